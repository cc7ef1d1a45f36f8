//! Words with a label that says what they are: `**Time:** 5 minutes`.

use super::{
    amounts,
    draft::{Entry, Point},
    page::{Lines, Text},
    roles::{self, Role},
    walk::Walk,
    words::{self, address},
};

/// How long something takes.
const TIMES: &[&str] = &[
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
];

/// What must be known before a step is done.
const WARNINGS: &[&str] =
    &["critical", "critical point", "warning", "important", "caution", "danger", "attention", "achtung"];

/// What is deployed.
const SERVICES: &[&str] =
    &["service", "service/environment", "application", "app", "system", "component", "project"];

/// A label as it is compared: in small letters, without its colon.
struct Key(String);

impl Key {
    fn of(label: &str) -> Self {
        Self(label.trim().trim_end_matches(':').to_lowercase())
    }

    /// Whether it is one of these, or begins or ends with one: `Expected downtime`, `Owner (on call)`.
    fn is(&self, words: &[&str]) -> bool {
        let Self(key) = self;
        words.iter().any(|word| {
            key == *word || key.starts_with(&format!("{word} ")) || key.ends_with(&format!(" {word}"))
        })
    }
}

impl Walk<'_> {
    /// Words with a label that says what they are. Whether it did.
    ///
    /// What is told of the page itself (its strategy, its owner) is taken from its head only: in a step, `Service: payments` is
    /// what the step is about.
    pub(super) fn keyed(&mut self, label: &str, rest: &str, text: &Text, lines: Lines) -> bool {
        if rest.is_empty() {
            return false;
        }
        let key = Key::of(label);
        let (value, example) = words::value_of(rest);
        let role = self.section().role;
        let head = matches!(role, Role::Summary) || self.section().level == 0 || self.draft.steps.is_empty();
        let taken = if let Some(taken) = self.keyed_anywhere(&key, &value, rest, role) {
            taken
        } else if let Some(taken) = head.then(|| self.keyed_of_deployment(&key, &value)).flatten() {
            taken
        } else if is_validation(label, role) {
            self.ledger.taken(lines.first, lines.last, "check");
            self.ledger.counts.items += 1;
            let point = Point { text: text.plain.clone(), line: lines.first, optional: false };
            self.entries().push(Entry::Item(point));
            return true;
        } else if head && self.keyed_of_document(&key, &value) {
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
            let whole = role == Role::Step
                && self.section().step.is_some()
                && !example
                && (amounts::is_all_time(&value) || self.is_critical(rest));
            if !whole {
                self.keep_beside(text, role, lines);
                if example {
                    self.ledger.decide(
                        lines.first,
                        &format!("the page has an example for {label}: fill in what is true"),
                    );
                }
            }
        }
        taken
    }

    /// What a key has no room for stays as a remark beside what it belongs to.
    fn keep_beside(&mut self, text: &Text, role: Role, lines: Lines) {
        let comment = format!("{} (line {})", text.plain, lines.first);
        match role {
            Role::Step if self.section().step.is_some() => self.step().comments.push(comment),
            Role::Rollback | Role::DatabaseRollback => self.procedure(role).comments.push(comment),
            _ if self.draft.steps.is_empty() => self.draft.head.comments.push(comment),
            _ => self.draft.comments.push(comment),
        }
    }

    /// What is told wherever it stands: times, warnings, a rollback's condition, the commander, the namespace. None where the
    /// key is another; false where it is one of these and what follows it cannot be read.
    fn keyed_anywhere(&mut self, key: &Key, value: &str, rest: &str, role: Role) -> Option<bool> {
        let taken = if key.is(&["rollback time", "time to rollback", "rto", "rollback within"]) {
            let span = amounts::time(value).map(|(_, high)| high);
            if let Some(span) = span {
                self.draft.head.rollback_within.get_or_insert(span);
            }
            span.is_some()
        } else if key.is(TIMES) {
            self.timed(value, role)
        } else if role == Role::Step && key.is(WARNINGS) {
            // A step has room for one warning: the first counts, others stay remarks.
            let step = self.step();
            let first = step.critical.is_none();
            if first {
                step.critical = Some(rest.to_owned());
            }
            first
        } else if key.is(&["only", "only if"]) && matches!(role, Role::Rollback | Role::DatabaseRollback) {
            self.procedure(role).only.get_or_insert(rest.to_owned());
            true
        } else if key.is(&["incident commander", "commander"]) {
            self.draft.incident.commander.get_or_insert(rest.to_owned());
            true
        } else if key.is(&["namespace", "k8s namespace", "kubernetes namespace"]) {
            let name = value.trim_matches('`').to_owned();
            let name = name.split_whitespace().next().unwrap_or_default().to_owned();
            self.draft.head.namespace.get_or_insert(name);
            true
        } else {
            return None;
        };
        Some(taken)
    }

    /// What the page's head tells of the deployment. None where the key is another.
    fn keyed_of_deployment(&mut self, key: &Key, value: &str) -> Option<bool> {
        let head = &mut self.draft.head;
        if key.is(&["strategy", "deployment strategy", "stratégie", "strategie", "estrategia"]) {
            head.strategy.get_or_insert(value.to_owned());
        } else if key.is(&["environment", "environnement", "umgebung", "entorno"])
            && !key.0.contains("service")
        {
            head.environment.get_or_insert(value.to_owned());
        } else if key.is(SERVICES) {
            head.module.get_or_insert(value.to_owned());
        } else if key.is(&["frequency", "fréquence", "häufigkeit", "cadence"]) {
            head.frequency.get_or_insert(value.to_owned());
        } else if key.is(&["downtime", "expected downtime", "interruption"]) {
            let lower = value.to_lowercase();
            let zero = ["zero", "no", "aucun", "kein", "0"].iter().any(|none| lower.starts_with(none));
            head.zero_downtime.get_or_insert(zero);
            return Some(zero);
        } else if key.is(&["version", "document version", "runbook version"]) && value.len() < 20 {
            head.version.get_or_insert(value.to_owned());
        } else if key.is(&["status"])
            && ["approved", "draft", "deprecated"].contains(&value.to_lowercase().as_str())
        {
            head.status.get_or_insert(value.to_owned());
        } else {
            return None;
        }
        Some(true)
    }

    /// What the page's head tells of the page. Whether it did.
    fn keyed_of_document(&mut self, key: &Key, value: &str) -> bool {
        let date = value.get(..10).unwrap_or_default();
        if key.is(&["owner", "author", "maintainer", "owners", "maintainers", "auteur", "autor", "team"]) {
            self.draft.head.author.get_or_insert(value.to_owned());
            return true;
        }
        let updated = key.is(&["last updated", "updated", "last reviewed", "last modified", "mis à jour"])
            && words::is_date(date);
        if updated {
            self.draft.head.updated.get_or_insert(date.to_owned());
        }
        updated
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

/// Whether a label in a part of the page with steps says that what follows is looked at.
fn is_validation(label: &str, role: Role) -> bool {
    roles::of_label(label) == Some(Role::Validation)
        && matches!(role, Role::Step | Role::Rollback | Role::DatabaseRollback | Role::Completion)
}
