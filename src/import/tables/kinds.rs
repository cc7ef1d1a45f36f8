//! What a table is about, by the words of its head. Nothing here looks at a row, or at where on the page the table stands.
//!
//! A head counts where one of its words is listed: `Rollback Trigger` is a trigger. Two columns that belong together tell
//! more than one: a `Date` alone may be when a task is due, a `Date` beside an `Author` is a list of changes.

use crate::import::people::Columns;

/// The column with a command to run.
pub(super) const COMMAND: &[&str] = &["command", "commands", "commande", "cmd", "befehl", "comando", "run"];

/// The column with what is measured.
pub(super) const METRIC: &[&str] = &[
    "metric",
    "metrics",
    "indicator",
    "sli",
    "kpi",
    "métrique",
    "metrik",
    "métrica",
    "indicateur",
    "signal",
];

/// The column with what Prometheus is asked.
pub(super) const QUERY: &[&str] =
    &["query", "promql", "expression", "expr", "prometheus", "requête", "abfrage", "consulta"];

/// The columns by which somebody is reached.
const REACHED_BY: &[&str] = &[
    "slack",
    "phone",
    "téléphone",
    "email",
    "e-mail",
    "mail",
    "handle",
    "pager",
    "pagerduty",
    "telefon",
    "mobile",
    "contact",
    "channel",
];

/// The columns that say who that is, or for what.
const WHO: &[&str] = &[
    "role",
    "name",
    "team",
    "contact",
    "function",
    "rôle",
    "rolle",
    "nom",
    "who",
    "person",
    "area",
    "responsibility",
    "escalation",
    "equipe",
    "équipe",
];

impl Columns {
    fn has(&self, words: &[&str]) -> bool {
        self.find(words).is_some()
    }

    /// What changed when, and by whom.
    pub(super) fn tell_changes(&self) -> bool {
        self.has(&["date"])
            && self.has(&[
                "version",
                "change",
                "changes",
                "author",
                "description",
                "modification",
                "auteur",
                "änderung",
            ])
    }

    /// Who is called, and how.
    pub(super) fn tell_contacts(&self) -> bool {
        self.has(REACHED_BY) && self.has(WHO) && !self.has(&["command"])
    }

    /// How bad an incident is, and what that means.
    pub(super) fn tell_levels(&self) -> bool {
        self.has(&["level", "severity", "sev", "priority", "gravité", "niveau"])
            && self.has(&[
                "response",
                "description",
                "escalation",
                "definition",
                "example",
                "délai",
                "réponse",
                "examples",
            ])
    }

    /// What is measured, with what is normal or wrong.
    pub(super) fn tell_metrics(&self) -> bool {
        self.has(METRIC)
            && self.has(&[
                "normal",
                "alert",
                "threshold",
                "target",
                "warning",
                "critical",
                "expected",
                "baseline",
                "seuil",
                "healthy",
                "slo",
                "value",
                "alerte",
                "range",
                "acceptable",
                "limit",
                "success",
                "rollback",
            ])
            && !self.has(&["trigger"])
    }

    /// What makes people roll back.
    pub(super) fn tell_triggers(&self) -> bool {
        self.has(&["trigger", "condition", "symptom", "criteria", "criterion", "déclencheur"])
            && self.has(&[
                "action",
                "threshold",
                "duration",
                "for",
                "response",
                "seuil",
                "durée",
                "decision",
                "rollback",
            ])
    }

    /// What is to be done, and by when.
    pub(super) fn tell_tasks(&self) -> bool {
        self.has(&["task", "tâche", "action", "aufgabe", "item"])
            && self.has(&["due", "when", "deadline", "within", "échéance", "frist", "timeline"])
    }

    /// What is looked at, with room for a tick.
    pub(super) fn tell_checks(&self) -> bool {
        self.has(&["check", "checklist", "vérification", "prüfung"])
            && self.has(&[
                "status", "done", "ok", "owner", "result", "statut", "✓", "✔", "☐", "pass", "expected",
            ])
    }

    /// Where something is found.
    pub(super) fn tell_links(&self) -> bool {
        self.has(&["link", "url", "dashboard", "lien"])
    }

    /// What is done, one row a step.
    pub(super) fn tell_steps(&self) -> bool {
        self.has(&["step", "étape", "schritt", "#", "no", "action", "paso"])
    }
}
