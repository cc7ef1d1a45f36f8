//! What a heading or a label says of what stands below it, in English, French, German and Spanish.

use std::sync::LazyLock;

use regex::RegexSet;

use super::verbs::is_verb;

/// What a part of the page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing that is known: what to do, where it has commands.
    Step,
    Summary,
    Checklist,
    Completion,
    Rollback,
    DatabaseRollback,
    Triggers,
    Tasks,
    Incident,
    Severity,
    Template,
    Metrics,
    Contacts,
    Links,
    Changes,
    Validation,
    Failure,
    Notes,
    /// What counts as success.
    Success,
    /// What a command prints.
    Output,
}

/// A list of patterns, the first that matches counts.
struct Table(Option<RegexSet>, Vec<Role>);

impl Table {
    fn of(rows: &[(&str, Role)]) -> Self {
        let set = RegexSet::new(rows.iter().map(|(text, _)| format!("(?i){text}"))).ok();
        Self(set, rows.iter().map(|(_, role)| *role).collect())
    }

    fn find(&self, text: &str) -> Option<Role> {
        let at = self.0.as_ref()?.matches(text).into_iter().min()?;
        self.1.get(at).copied()
    }
}

const BACK: &str = r"roll(?:ing|ed)?[- ]?back|\bback[- ]?out|\bback out|\brevert|retour (?:en )?arri[èe]re|zur[üu]ck(?:rollen|setzen)|reversi[óo]n|restauration|\bundo\b|downgrade|recovery plan";

static HEADINGS: LazyLock<Table> = LazyLock::new(|| {
    Table::of(&[
        (
            r"change ?-?log|revision history|document history|version history|historique|[äa]nderungs|historial|\bchanges\b$",
            Role::Changes,
        ),
        (
            r"\bcontacts?\b|escalation (?:path|matrix|contacts?|list)|who to (?:call|contact)|on-?call (?:rota|rotation|list|engineers?)|ansprechpartner|contactos?|^escalation$|points? of contact",
            Role::Contacts,
        ),
        (r"severity|priority levels?|gravit[ée]|schweregrad|severidad", Role::Severity),
        (
            r"(?:communication|message|notification|status|announcement|incident) templates?|mod[èe]le de message",
            Role::Template,
        ),
        (r"incident|outage response", Role::Incident),
        (
            r"when to (?:roll|abort|stop)|(?:rollback|roll back|abort|stop|no-?go|backout) (?:criteria|triggers?|conditions?|decision)|^triggers$|crit[èe]res? (?:de|d.) ?(?:rollback|retour|abandon)|quand revenir|triggers? (?:for|of) (?:a )?rollback|decision to roll",
            Role::Triggers,
        ),
        (
            r"(?:success|acceptance) (?:criteria|factors)|definition of done|crit[èe]res de succ[èe]s|erfolgskriterien",
            Role::Success,
        ),
        (
            r"pre-?[ ]?(?:deploy|release|flight|launch|requisit|condition|check|rollout|upgrade|maintenance)|prerequis|pr[ée]-?requis|before (?:you|deploy|the |we |start|release)|^requirements|avant (?:le |la |de |tout|d.)|voraussetzung|vorbereitung|vor dem|requisitos|antes de|^(?:go[- /]?live )?check-?list|deployment checklist|release checklist|readiness|^access$|required access",
            Role::Checklist,
        ),
        (
            r"post-?[ ]?(?:deploy|release|launch|rollout|upgrade)|after (?:the )?(?:deploy|release|rollout|upgrade)|follow-?[ ]?up|apr[èe]s (?:le |la )?(?:d[ée]ploiement|mise)|nach dem|despu[ée]s|\btasks?\b|aufgaben|within \d+|sous \d+ ?h",
            Role::Tasks,
        ),
        (BACK, Role::Rollback),
        (
            r"\bcomplet(?:ion|e the|ing)|wrap[- ]?up|close[- ]?out|finali[sz]|cl[ôo]ture|abschluss|finalizaci",
            Role::Completion,
        ),
        (
            r"if (?:.*)(?:fails?|goes wrong|breaks?|errors?)\b|troubleshoot|d[ée]pannage|fehlerbehebung|en cas d.[ée]chec|manual (?:override|intervention)|simulat|game ?day|fire drill|chaos|known issues|common (?:issues|problems|errors)|failure (?:scenarios|modes)",
            Role::Failure,
        ),
        (
            r"related|references?|\blinks?\b|see also|(?:more information|find out more|learn more)|resources|further reading|documentation|dashboards?|\btools\b|liens|r[ée]f[ée]rences|verweise|enlaces|runbooks? index",
            Role::Links,
        ),
        (
            r"\bmetrics?\b|m[ée]triques?|metriken|m[ée]tricas|\bsl[io]s?\b|alert(?:ing)? (?:thresholds?|rules?)|thresholds|indicateurs|seuils|^monitoring(?: (?:&|and) alerting)?$|surveillance",
            Role::Metrics,
        ),
        (
            r"^(?:\d[\d.]*\s*)?(?:overview|(?:executive )?summary|introduction|purpose|scope|background|about|context|description|architecture|goals?|objectives?|contexte|objectif|pr[ée]sentation|r[ée]sum[ée]|[üu]bersicht|zusammenfassung|zweck|resumen|glossary|terminology|definitions|table of contents|contents|toc|sommaire|index)\b|directives?|service (?:overview|details|information)|assumptions|lay of the land|how it works|risks?\b|schedule|timeline|roles (?:and|&) responsib|impact|strategy$|d[ée]roul[ée]",
            Role::Summary,
        ),
        (
            r"best practices|post-?[ ]?mortem|principles$|philosophy|rationale|reasons (?:behind|for)|bonnes pratiques|^(?:\d[\d.]*\s*)?(?:notes?|remarks?|remarques?|hinweise?|notas|tips|faq|caveats|appendix)\b",
            Role::Notes,
        ),
        (
            r"^(?:\d[\d.]*\s*)?(?:validations?|verif(?:y|ications?|ying)|v[ée]rifications?|[üu]berpr[üu]fung|verificaci[óo]n|expected results?|checks?|tests?|contr[ôo]les?)\s*:?$",
            Role::Validation,
        ),
    ])
});

static LABELS: LazyLock<Table> = LazyLock::new(|| {
    Table::of(&[
        (
            r"immediately if|when to (?:roll|abort|revert|stop)|roll ?back (?:immediately )?(?:if|when)|abort (?:if|when)|trigger(?:s|ed)?(?: a)? ?(?:rollback|when|if)?s?$|stop (?:if|when)|rollback (?:criteria|triggers|conditions)|revenir (?:en arri[èe]re )?si|rollback si|abbruch",
            Role::Triggers,
        ),
        (
            r"^if .*(?:fails?|failed|failing|failure|goes wrong|not (?:pass|ok|healthy|work|succeed)|error|breaks?|unhealthy|stuck|times? out)|on failure|troubleshoot|^en cas d|^si .*(?:[ée]chou|erreur|[ée]chec)|^falls .*|bei fehler|in case of",
            Role::Failure,
        ),
        (BACK, Role::Rollback),
        (
            r"expected (?:output|result|response)|^output|^example output|sample output|^r[ée]sultat|sortie attendue|erwartete ausgabe|should (?:print|return|show|see|look)",
            Role::Output,
        ),
        (
            r"validat|verif|v[ée]rif|[üu]berpr[üu]f|^checks?$|acceptance|pass criteria|expected state|health checks?$|smoke tests?$|confirm that|post-?checks?|contr[ôo]le",
            Role::Validation,
        ),
        (r"success (?:criteria|factors)|critical success|crit[èe]res de succ[èe]s", Role::Success),
        (r"^pre-?(?:checks?|conditions?|requisites?)|^before ", Role::Checklist),
        (r"template", Role::Template),
        (r"^notes?$|^hinweis|^remarque|^nota|^info|^tip", Role::Notes),
        (r"^(?:useful )?(?:links?|dashboards?|references?|resources)$", Role::Links),
        (r"^contacts?$", Role::Contacts),
        (
            r"^(?:(?:deployment|deploy|procedure|the|high-level) )?(?:steps?|procedure|[ée]tapes?|schritte|pasos|commands?|commandes?|run|execute|actions?)$",
            Role::Step,
        ),
    ])
});

static DATABASE: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        r"(?i)database|\bdb\b|\bdata\b|schema|migration|restore|base de donn|datenbank|base de datos",
    ])
    .ok()
});

/// What a heading says, where it says something.
pub(super) fn of_heading(text: &str) -> Option<Role> {
    let text = without_number(text);
    let role = HEADINGS.find(text)?;
    let database = DATABASE.as_ref().is_some_and(|set| set.is_match(text));
    // What is ticked off afterwards is no list of what must be true before.
    let after = text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase().starts_with("post");
    Some(match role {
        Role::Rollback if database => Role::DatabaseRollback,
        Role::Checklist if after => Role::Tasks,
        role => role,
    })
}

/// What a label (bold words, or words with a colon before a list) says.
pub(super) fn of_label(text: &str) -> Option<Role> {
    LABELS.find(without_number(text).trim_end_matches(':').trim())
}

/// Whether a label says how to undo something, rather than speaking of it: `Rollback:`, `To roll back:`.
pub(super) fn undoes(label: &str) -> bool {
    let lower = label.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let speaks = [
        "after ", "before ", "to test", "test ", "define", "automat", "every ", "all ", "each ", "no ",
        "nach ",
    ];
    !speaks.iter().any(|start| lower.starts_with(start)) && label.split_whitespace().count() <= 8
}

/// Whether a heading names a step of its own: `Step 3: …`, `3. …`, `Étape 2`.
pub(super) fn is_numbered_step(text: &str) -> bool {
    let lower = text.trim().to_lowercase();
    ["step ", "étape ", "etape ", "schritt ", "paso ", "phase ", "stage "].iter().any(|word| {
        lower
            .strip_prefix(word)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || "ivx".contains(c)))
    })
}

/// Without `3.2.`, `Step 4:`, `#1`, `(a)` in front; all of it where nothing is left.
pub(super) fn without_number(text: &str) -> &str {
    let trimmed = text.trim();
    let mut rest = trimmed;
    let lower = trimmed.to_lowercase();
    for word in ["step ", "étape ", "etape ", "schritt ", "paso "] {
        if is_numbered_step(trimmed) && lower.starts_with(word) {
            rest = trimmed.get(word.len()..).unwrap_or(trimmed);
        }
    }
    let numbered =
        rest.trim_start_matches(['#', '(']).trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if numbered.len() < rest.len() {
        let after = numbered.trim_start_matches([')', ':', '.', '-', '–', '—', ' ']);
        // `5 minutes` is no number of a heading, `3. Do` and `Step 3 Do` are.
        let marked = numbered.starts_with([')', ':', '-', '–', '—'])
            || rest.len() < trimmed.len()
            || rest[..rest.len() - numbered.len()].ends_with('.');
        if marked && !after.is_empty() {
            return after;
        }
        return trimmed;
    }
    trimmed
}

/// The strategy that a heading is the name of: `Canary deployment`, `Option B: rolling update`.
pub(super) fn strategy(heading: &str) -> Option<&'static str> {
    let lower = without_number(heading).to_lowercase();
    let lower = lower
        .split_once(':')
        .map_or(
            lower.as_str(),
            |(before, after)| if before.split_whitespace().count() <= 2 { after } else { before },
        )
        .trim();
    if lower.split_whitespace().count() > 5 || is_numbered_step(heading) {
        return None;
    }
    let names = [
        ("blue-green", "blue-green"),
        ("blue/green", "blue-green"),
        ("blue green", "blue-green"),
        ("canary", "canary"),
        ("rolling", "rolling"),
        ("recreate", "recreate"),
    ];
    let ends =
        ["", "deployment", "deployments", "update", "updates", "strategy", "release", "deploy", "rollout"];
    names.iter().find_map(|(name, strategy)| {
        let rest = lower.strip_prefix(name)?.trim();
        let rest = rest.split('(').next().unwrap_or_default().trim();
        ends.contains(&rest.split_whitespace().next().unwrap_or_default()).then_some(*strategy)
    })
}

static COURSE: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        r"(?i)^(?:the |how to )?(?:(?:deploy|deployment|release|rollout|upgrade|update|migration|production|main|step[- ]by[- ]step) )*(?:steps?|procedures?|process|instructions?|guide|workflow|sequence|course|runbook|playbook|deploy|deploying|deployment|release|rollout)$",
        r"(?i)^(?:[ée]tapes?|proc[ée]dure|d[ée]ploiement|marche [àa] suivre|mode op[ée]ratoire)(?: (?:de |du )?(?:d[ée]ploiement|mise en production|livraison))?$",
        r"(?i)^(?:schritte|ablauf|vorgehen|durchf[üu]hrung|anleitung|bereitstellung)$",
        r"(?i)^(?:pasos|procedimiento|despliegue)(?: de despliegue)?$",
    ])
    .ok()
});

/// Whether a heading says no more than that what is to be done follows: `Steps`, `Deployment procedure`.
pub(super) fn is_course(heading: &str) -> bool {
    let bare = without_number(heading).trim_matches(|c: char| !c.is_alphanumeric());
    COURSE.as_ref().is_some_and(|set| set.is_match(bare))
}

/// Whether a label says nothing but what the list below it is.
pub(super) fn is_only_a_word(label: &str) -> bool {
    let word = label.trim().trim_end_matches(':').to_lowercase();
    ["validation", "validations", "verification", "checks", "notes", "links", "contacts", "triggers"]
        .contains(&word.as_str())
}

/// Whether a text begins as an instruction does.
pub(super) fn is_instruction(text: &str) -> bool {
    let first = text
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '.'))
        .next()
        .unwrap_or_default();
    is_verb(&first.to_lowercase())
}

#[cfg(test)]
mod tests;
