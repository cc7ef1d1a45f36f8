//! Front matter, deployment, variables and parts.

use super::{Loader, entries, flag, items, key_span, optional_text, span, text, texts, word};
use crate::{
    config::{
        conform::clock_time,
        diagnose::nearest,
        raw::{Entry, Node, Value},
        shape::{DEPLOYMENT, FACTS, PART, VAR},
        vars::{Moment, Sink, check_value, name_help},
    },
    domain::{
        runbook::{
            Automation, ClusterFact, DeployWindow, Deployment, Document, DocumentStatus, Environment, Part,
            Strategy, Var, VarSource,
        },
        template::{MAX_EXPANDED, is_name},
    },
};

/// The longest that all values together may be, in bytes. Linux gives arguments and environment of a command a quarter of
/// its stack, 2 MiB by default; the other half is for what the host puts there.
const MAX_VALUES: usize = 1024 * 1024;

impl Loader<'_, '_> {
    /// The front matter. A status that is no known word counts as a draft, which does not run without an override;
    /// the fault itself was told.
    pub(super) fn document(root: &Node) -> Document {
        let empty = Node { span: 0..0, value: Value::Table(crate::config::raw::Table::default()) };
        let node = root.get("runbook").unwrap_or(&empty);
        Document {
            module: text(node, "module"),
            title: text(node, "title"),
            status: match text(node, "status").as_str() {
                "approved" => DocumentStatus::Approved,
                "in-review" => DocumentStatus::InReview,
                "deprecated" => DocumentStatus::Deprecated,
                _ => DocumentStatus::Draft,
            },
            version: text(node, "version"),
            last_updated: date(node, "last_updated"),
            author: text(node, "author"),
            keywords: texts(node, "keywords"),
            related: entries(node, "related")
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), entry.node.text()?.to_owned())))
                .collect(),
        }
    }

    /// The deployment's metadata. What is not given, or no known word, counts as the careful choice: production,
    /// blue-green, and ENTER before every step.
    pub(super) fn deployment(&mut self, root: &Node) -> Deployment {
        let empty = Node { span: 0..0, value: Value::Table(crate::config::raw::Table::default()) };
        let node = root.get("deployment").unwrap_or(&empty);
        Deployment {
            environment: match text(node, "environment").as_str() {
                "development" => Environment::Development,
                "staging" => Environment::Staging,
                _ => Environment::Production,
            },
            strategy: strategy(&text(node, "strategy")),
            automation: match word(&DEPLOYMENT, node, "automation").as_str() {
                "manual" => Automation::Manual,
                "full" => Automation::Full,
                _ => Automation::SemiAutomated,
            },
            frequency: optional_text(node, "frequency"),
            window: node.get("window").map(|window| self.deploy_window(window)),
            expected: span(node, "expected"),
            rollback_within: span(node, "rollback_within"),
            zero_downtime: flag(&DEPLOYMENT, node, "zero_downtime"),
            success_factors: texts(node, "success_factors"),
        }
    }

    /// When a deployment may begin. Times are those of the zone that is named, so that the window moves with daylight
    /// saving there, wherever the host is.
    fn deploy_window(&mut self, node: &Node) -> DeployWindow {
        let (from, to) = (text(node, "from"), text(node, "to"));
        if clock_time(&from).is_some() && from == to {
            self.faults
                .error(key_span(node, "to"), "the window ends when it begins")
                .help("`to` is the first minute after the window; to allow the whole day, remove `window`");
        }
        if let Some(zone) = node.get("timezone").filter(|zone| zone.text().is_some()) {
            let name = zone.text().unwrap_or_default();
            if jiff::tz::TimeZone::get(name).is_err() {
                let known: Vec<String> =
                    jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
                let help = nearest(name, known.iter().map(String::as_str)).map_or_else(
                    || "use an IANA name such as `UTC` or `Europe/Berlin`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                // A host without time zone data knows UTC only, and must not call the others unknown.
                if !known.is_empty() {
                    self.faults.error(zone.span.clone(), format!("unknown time zone `{name}`")).help(help);
                }
            }
        }
        DeployWindow { days: texts(node, "days"), from, to, timezone: text(node, "timezone") }
    }

    /// The variables. All are declared before the first value is read: a value may use what stands above it, and one
    /// that is used too early is told as that, and not as unknown.
    pub(super) fn vars(&mut self, root: &Node) -> Vec<Var> {
        let declared = entries(root, "vars");
        for entry in declared {
            if !is_name(&entry.key) {
                let help = name_help(&entry.key);
                self.faults.error(entry.key_span.clone(), "not a valid variable name").help(help);
            }
            let others = ["ask", "env", "from", "value"].iter().any(|key| entry.node.get(key).is_some());
            let captured = entry.node.get("captured").and_then(Node::bool) == Some(true) && !others;
            self.ledger.declare(
                &entry.key,
                entry.key_span.clone(),
                flag(&VAR, &entry.node, "secret"),
                captured,
            );
        }
        let vars = declared.iter().enumerate().map(|(index, entry)| self.var(index, entry)).collect();
        let all: usize = self.ledger.all_lengths();
        if let Some(first) = declared.first().filter(|_| all > MAX_VALUES) {
            self.faults
                .error(
                    first.key_span.clone(),
                    format!("all values together are longer than {} KiB", MAX_VALUES / 1024),
                )
                .help("commands get all of them in their environment and could not be started");
        }
        vars
    }

    /// One variable: where its value comes from, and what it must look like. `default` and `sample` are held to the
    /// pattern here, before a run asks anybody.
    fn var(&mut self, index: usize, entry: &Entry) -> Var {
        let node = &entry.node;
        let source = self.var_source(index, entry);
        let pattern = optional_text(node, "pattern").filter(|pattern| regex::Regex::new(pattern).is_ok());
        self.fits_pattern(entry, pattern.as_deref());
        let secret = flag(&VAR, node, "secret");
        if secret {
            self.no_secret_in_the_file(entry);
        }
        Var { name: entry.key.clone(), source, pattern, secret, sample: optional_text(node, "sample") }
    }

    /// Where a variable's value comes from; that exactly one of these keys is given was checked against the shape.
    fn var_source(&mut self, index: usize, entry: &Entry) -> VarSource {
        let node = &entry.node;
        let default = optional_text(node, "default");
        if let Some(question) = optional_text(node, "ask") {
            VarSource::Ask { question, default }
        } else if let Some(variable) = node.get("env") {
            let name = variable.text().unwrap_or_default().to_owned();
            if variable.text().is_some() && (name.is_empty() || name.contains(['=', '\0'])) {
                self.faults.error(variable.span.clone(), "not a valid environment variable name");
            }
            VarSource::Env { name, default }
        } else if let Some(value) = node.get("value") {
            let template = self.template(value, Sink::Value(index), Moment::Opening);
            // One that is too long was told; what is made of it is not told again.
            let length = Some(self.ledger.length(template.as_str())).filter(|length| *length <= MAX_EXPANDED);
            self.ledger.measure(&entry.key, length.unwrap_or(1));
            VarSource::Fixed { value: template }
        } else if let Some(fact) = node.get("from").and_then(Node::text) {
            let of_cluster = FACTS.contains(&fact) && !matches!(fact, "opened-at" | "pilot");
            if of_cluster && self.slots.is_none() {
                self.faults
                    .error(
                        key_span(node, "from"),
                        format!("`{fact}` comes from the cluster, but there is no [target]"),
                    )
                    .help("add [target], or take the value from `ask` or `env`");
            }
            VarSource::Cluster(cluster_fact(fact))
        } else {
            if node.get("captured").and_then(Node::bool) == Some(false) {
                self.faults
                    .error(key_span(node, "captured"), "`captured = false` gives no value")
                    .help("use one of `ask`, `env`, `from`, `value`, or `captured = true`");
            }
            VarSource::Captured
        }
    }

    /// What is written as a value is one that the variable can have.
    fn fits_pattern(&mut self, entry: &Entry, pattern: Option<&str>) {
        let node = &entry.node;
        for key in ["default", "sample", "value"] {
            let Some(value) = node.get(key) else { continue };
            let Some(text) = value.text().filter(|text| key != "value" || !text.contains('$')) else {
                continue;
            };
            if let Err(why) = check_value(pattern, text) {
                self.faults
                    .error(value.span.clone(), format!("`{key}` of `{}` is not valid: {why}", entry.key))
                    .help(if why.contains("match") {
                        "change the pattern or this value so that they match"
                    } else {
                        "a value must be one line of plain text"
                    });
            }
        }
    }

    /// A secret that everybody can read who reads the runbook is none.
    fn no_secret_in_the_file(&mut self, entry: &Entry) {
        let node = &entry.node;
        if node.get("value").is_some() || node.get("default").is_some() {
            let key = if node.get("value").is_some() { "value" } else { "default" };
            // A value made of other secrets is no secret in the file.
            if node.get(key).and_then(Node::text).is_some_and(|text| !text.contains('$')) {
                self.faults
                    .warning(
                        key_span(node, key),
                        format!("the secret `{}` is in this file in plain text", entry.key),
                    )
                    .help("take it from the environment: `env = \"...\"`");
            }
        }
    }

    /// The parts, and every `when` that names none of them: a step whose part nobody declared would be asked about by no
    /// question, so a slip in the name would run what was answered with no.
    pub(super) fn parts(&mut self, root: &Node) -> Vec<Part> {
        let declared: Vec<String> = items(root, "part").iter().map(|part| text(part, "name")).collect();
        let known = || declared.iter().map(String::as_str);
        let mut meant: Vec<&str> = Vec::new();
        for when in items(root, "step").iter().filter_map(|step| step.get("when")) {
            let Some(name) = when.text() else { continue };
            if known().any(|part| part == name) {
                meant.push(name);
                continue;
            }
            let near = nearest(name, known());
            meant.extend(near);
            let help = near.map_or_else(
                || format!("add a [[part]] with `name = \"{name}\"` and `question`"),
                |near| format!("did you mean `{near}`?"),
            );
            self.faults.error(when.span.clone(), format!("unknown part `{name}`")).help(help);
        }
        let mut parts: Vec<Part> = Vec::new();
        for node in items(root, "part") {
            let name = text(node, "name");
            if parts.iter().any(|part| part.name == name) {
                self.faults
                    .error(key_span(node, "name"), format!("duplicate part `{name}`"))
                    .help("give each part its own name");
                continue;
            }
            if !meant.contains(&name.as_str()) && node.get("name").is_some() {
                self.faults
                    .warning(key_span(node, "name"), format!("no step belongs to the part `{name}`"))
                    .help(format!("give the steps that belong to it `when = \"{name}\"`"));
            }
            parts.push(Part {
                name,
                question: text(node, "question"),
                default: flag(&PART, node, "default"),
            });
        }
        parts
    }
}

/// The strategy of a word.
pub(super) fn strategy(word: &str) -> Strategy {
    match word {
        "rolling" => Strategy::Rolling,
        "canary" => Strategy::Canary,
        "recreate" => Strategy::Recreate,
        _ => Strategy::BlueGreen,
    }
}

/// The fact of a word; that the word is one of them was checked against the shape.
fn cluster_fact(word: &str) -> ClusterFact {
    match word {
        "live-image" => ClusterFact::LiveImage,
        "idle-image" => ClusterFact::IdleImage,
        "idle-image-tag" => ClusterFact::IdleImageTag,
        "live-slot" => ClusterFact::LiveSlot,
        "idle-slot" => ClusterFact::IdleSlot,
        "live-replicas" => ClusterFact::LiveReplicas,
        "opened-at" => ClusterFact::OpenedAt,
        "pilot" => ClusterFact::Pilot,
        _ => ClusterFact::LiveImageTag,
    }
}

/// A date as ISO 8601, written as a date or in quotes.
pub(super) fn date(node: &Node, key: &str) -> String {
    match node.get(key).map(|node| &node.value) {
        Some(Value::Date(text) | Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}
