//! Words with a label that says what they are: `**Time:** 5 minutes`.

use super::{
    amounts,
    draft::{Entry, Point},
    page::{Lines, Text},
    roles::{self, Role},
    walk::Walk,
    words::{self, address},
};

impl Walk<'_> {
    /// Words with a label that says what they are. Whether it did.
    pub(super) fn keyed(&mut self, label: &str, rest: &str, text: &Text, lines: Lines) -> bool {
        let key = label.trim().trim_end_matches(':').to_lowercase();
        let (value, example) = words::value_of(rest);
        let role = self.section().role;
        let has = |words: &[&str]| {
            words.iter().any(|word| {
                key == *word || key.starts_with(&format!("{word} ")) || key.ends_with(&format!(" {word}"))
            })
        };
        let head = matches!(role, Role::Summary) || self.section().level == 0 || self.draft.steps.is_empty();
        let taken = if rest.is_empty() {
            false
        } else if has(&["rollback time", "time to rollback", "rto", "rollback within"]) {
            let span = amounts::time(&value).map(|(_, high)| high);
            if let Some(span) = span {
                self.draft.head.rollback_within.get_or_insert(span);
            }
            span.is_some()
        } else if has(&[
            "time",
            "duration",
            "estimated time",
            "estimated duration",
            "durée",
            "dauer",
            "eta",
            "time estimate",
            "duración",
            "expected duration",
            "expected time",
        ]) {
            self.timed(&value, role)
        } else if has(&[
            "critical",
            "critical point",
            "warning",
            "important",
            "caution",
            "danger",
            "attention",
            "achtung",
        ]) && role == Role::Step
        {
            let step = self.step();
            if step.critical.is_none() {
                step.critical = Some(rest.to_owned());
                true
            } else {
                false
            }
        } else if has(&["only", "only if"]) && matches!(role, Role::Rollback | Role::DatabaseRollback) {
            self.procedure(role).only.get_or_insert(rest.to_owned());
            true
        } else if has(&["incident commander", "commander"]) {
            self.draft.incident.commander.get_or_insert(rest.to_owned());
            true
        } else if has(&["namespace", "k8s namespace", "kubernetes namespace"]) {
            let name = value.trim_matches('`').to_owned();
            let name = name.split_whitespace().next().unwrap_or_default().to_owned();
            self.draft.head.namespace.get_or_insert(name);
            true
        } else if head && has(&["strategy", "deployment strategy", "stratégie", "strategie", "estrategia"]) {
            self.draft.head.strategy.get_or_insert(value.clone());
            true
        } else if head
            && has(&["environment", "environnement", "umgebung", "entorno"])
            && !key.contains("service")
        {
            self.draft.head.environment.get_or_insert(value.clone());
            true
        } else if head
            && has(&[
                "service",
                "service/environment",
                "application",
                "app",
                "system",
                "component",
                "project",
            ])
        {
            self.draft.head.module.get_or_insert(value.clone());
            true
        } else if head && has(&["frequency", "fréquence", "häufigkeit", "cadence"]) {
            self.draft.head.frequency.get_or_insert(value.clone());
            true
        } else if head && has(&["downtime", "expected downtime", "interruption"]) {
            let lower = value.to_lowercase();
            let zero = lower.starts_with("zero")
                || lower.starts_with("no")
                || lower.starts_with("aucun")
                || lower.starts_with("kein")
                || lower.starts_with('0');
            self.draft.head.zero_downtime.get_or_insert(zero);
            zero
        } else if head && has(&["version", "document version", "runbook version"]) && value.len() < 20 {
            self.draft.head.version.get_or_insert(value.clone());
            true
        } else if head
            && has(&["status"])
            && ["approved", "draft", "deprecated"].contains(&value.to_lowercase().as_str())
        {
            self.draft.head.status.get_or_insert(value.clone());
            true
        } else if roles::of_label(label) == Some(Role::Validation)
            && matches!(role, Role::Step | Role::Rollback | Role::DatabaseRollback | Role::Completion)
        {
            self.ledger.taken(lines.first, lines.last, "check");
            self.ledger.counts.items += 1;
            self.entries().push(Entry::Item(Point {
                text: text.plain.clone(),
                line: lines.first,
                optional: false,
            }));
            return true;
        } else if head
            && has(&["owner", "author", "maintainer", "owners", "maintainers", "auteur", "autor", "team"])
        {
            self.draft.head.author.get_or_insert(value.clone());
            true
        } else if head
            && has(&["last updated", "updated", "last reviewed", "last modified", "mis à jour"])
            && words::is_date(value.get(..10).unwrap_or_default())
        {
            self.draft.head.updated.get_or_insert(value.get(..10).unwrap_or_default().to_owned());
            true
        } else if matches!(role, Role::Links | Role::Metrics | Role::Summary | Role::Contacts)
            && (!text.links.is_empty() || address(rest).is_some())
        {
            return self.linked(text, lines);
        } else {
            false
        };
        if taken {
            self.ledger.taken(lines.first, lines.last, &format!("{label}: {value}"));
            // What the key has no room for stays as a remark.
            let comment = format!("{} (line {})", text.plain, lines.first);
            if role == Role::Step
                && self.section().step.is_some()
                && !example
                && (amounts::is_all_time(&value) || self.is_critical(rest))
            {
                return true;
            }
            match role {
                Role::Step if self.section().step.is_some() => self.step().comments.push(comment),
                Role::Rollback | Role::DatabaseRollback => self.procedure(role).comments.push(comment),
                _ if self.draft.steps.is_empty() => self.draft.head.comments.push(comment),
                _ => self.draft.comments.push(comment),
            }
            if example {
                self.ledger.decide(
                    lines.first,
                    &format!("the page has an example for {label}: fill in what is true"),
                );
            }
        }
        taken
    }

    /// Whether the step's warning is these words.
    fn is_critical(&mut self, rest: &str) -> bool {
        self.step().critical.as_deref() == Some(rest)
    }

    fn timed(&mut self, value: &str, role: Role) -> bool {
        let Some(time) = amounts::time(value) else { return false };
        match role {
            Role::Summary => {
                self.draft.head.expected.get_or_insert(time.1);
                true
            }
            Role::Rollback | Role::DatabaseRollback => {
                self.procedure(role).within.get_or_insert(time.1);
                true
            }
            Role::Step if self.section().level > 0 => {
                self.step().time.get_or_insert(time);
                true
            }
            Role::Step => {
                self.draft.head.expected.get_or_insert(time.1);
                true
            }
            _ => false,
        }
    }
}
