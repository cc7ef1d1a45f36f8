//! Loads actions and checks: exactly one kind each.

use std::collections::BTreeMap;

use super::{
    Loader, default, entries, flag, items, key_span, number, number_or, optional_text, span, span_or, text,
    texts, word,
};
use crate::{
    config::{
        conform::percent,
        raw::{Entry, Node, Value},
        shape::{ACTION, ACTION_KINDS, CHECK, CHECK_KINDS, HTTP, PATCH, PODS_READY, Shape, TLS},
        vars::{Moment, Sink},
    },
    domain::{
        action::{
            Action, ActionKind, Capture, Confirm, HttpRequest, PatchAction, PatchType, Replicas, SlotRef,
        },
        check::{Check, CheckKind, Condition, NoTraffic},
        director::Share,
        id::MetricId,
        metric::{Bound, Op},
        runbook::Strategy,
        template::Template,
        time::Span,
        verdict::parse_within,
    },
};

/// Methods that only read.
pub(super) const READS: &[&str] = &["GET", "HEAD", "OPTIONS"];

impl Loader<'_, '_> {
    /// The actions under a key. `moment` gives each its place in the course of the run.
    pub(super) fn actions(
        &mut self,
        node: &Node,
        key: &str,
        moment: impl Fn(usize) -> Moment,
    ) -> Vec<Action> {
        items(node, key)
            .iter()
            .enumerate()
            .flat_map(|(index, item)| self.action(item, moment(index)))
            .collect()
    }

    /// The actions that an entry stands for: one, or those that a promotion consists of.
    fn action(&mut self, node: &Node, moment: Moment) -> Vec<Action> {
        let Some(entry) = ACTION_KINDS.iter().find_map(|kind| node.entry(kind)) else { return Vec::new() };
        self.fits_strategy(entry);
        if entry.key == "promote" {
            self.promotion(node, entry)
        } else {
            vec![self.plain_action(node, entry, moment)]
        }
    }

    fn plain_action(&mut self, node: &Node, entry: &Entry, moment: Moment) -> Action {
        let mut kind = self.action_kind(&entry.key, &entry.node, moment);
        let timeout = self.above_zero_or(&ACTION, node, "timeout");
        if let ActionKind::Rollout { patience, .. } = &mut kind {
            *patience = self.patience(node, timeout);
        }
        let sample = texts(node, "sample");
        Action {
            name: optional_text(node, "name").unwrap_or_else(|| action_name(&kind)),
            timeout,
            capture: self.captures(node, &sample, moment),
            sample,
            sample_failure: texts(node, "sample_failure"),
            confirm: confirm(&ACTION, node),
            irreversible: optional_text(node, "irreversible"),
            data_loss: optional_text(node, "data_loss"),
            kind,
        }
    }

    /// The end of a canary: the previous slot gets the new slot's image, then all of the traffic.
    fn promotion(&mut self, node: &Node, entry: &Entry) -> Vec<Action> {
        let slot = self.slot_short(&entry.node);
        if slot == SlotRef::Previous {
            self.faults
                .error(entry.node.span.clone(), "`promote` names the slot that is promoted, the new one")
                .help("write `promote = \"new\"`");
        }
        let timeout = self.above_zero_or(&ACTION, node, "timeout");
        let patience = self.patience(node, timeout);
        let canary = self.strategy == Strategy::Canary;
        let Some((container, image)) = self.new_image.clone().filter(|_| canary) else {
            if !canary {
                return Vec::new();
            }
            self.faults
                .error(
                    entry.key_span.clone(),
                    "no step before this sets the new slot's image, so nothing can be promoted",
                )
                .help("put `{ set_image = { slot = \"new\", image = \"...\" } }` in a step before it");
            return Vec::new();
        };
        let title = optional_text(node, "name").unwrap_or_else(|| "Promote".to_owned());
        let words =
            ["the new image for the previous slot", "wait for its pods", "give it all of the traffic"];
        let short = span_of_default("set_image");
        let previous = SlotRef::Previous;
        let parts = [
            (ActionKind::SetImage { slot: previous.clone(), container, image }, short),
            (ActionKind::Rollout { slot: previous.clone(), patience }, timeout),
            (ActionKind::ShiftTraffic { to: previous, share: Share::ALL }, short),
        ];
        let mut confirm = confirm(&ACTION, node);
        parts
            .into_iter()
            .zip(words)
            .map(|((kind, timeout), words)| Action {
                name: format!("{title}: {words}"),
                timeout,
                capture: Vec::new(),
                sample: Vec::new(),
                sample_failure: Vec::new(),
                // Whoever has confirmed the first has confirmed the whole.
                confirm: std::mem::take(&mut confirm),
                irreversible: optional_text(node, "irreversible"),
                data_loss: None,
                kind,
            })
            .collect()
    }

    /// A duration that must not be nothing.
    pub(super) fn above_zero(&mut self, node: &Node, key: &str) -> Option<Span> {
        let read = span(node, key)?;
        if read == Span::ZERO {
            self.faults
                .error(key_span(node, key), format!("`{key}` must be longer than zero"))
                .help("write a duration such as \"30s\" or \"5m\"");
        }
        Some(read)
    }

    /// The same, or what holds where it is not given.
    pub(super) fn above_zero_or(&mut self, shape: &'static Shape, node: &Node, key: &str) -> Span {
        self.above_zero(node, key).unwrap_or_else(|| span_or(shape, node, key))
    }

    fn action_kind(&mut self, key: &str, value: &Node, moment: Moment) -> ActionKind {
        match key {
            "sh" => {
                self.not_empty(value, "a command");
                ActionKind::Sh { script: self.script(value, moment) }
            }
            "argv" => {
                if value.items().is_empty() && matches!(value.value, Value::List(_)) {
                    self.faults
                        .error(value.span.clone(), "`argv` has no program")
                        .help("write the program first: `argv = [\"git\", \"push\"]`");
                }
                ActionKind::Argv {
                    argv: value.items().iter().map(|word| self.template(word, Sink::Argv, moment)).collect(),
                }
            }
            "set_image" => {
                let image = self.template_at(value, "image", Sink::Shown, moment);
                self.image(value, &image);
                let (slot, container) = (self.slot_at(value, "slot"), optional_text(value, "container"));
                if slot != SlotRef::Previous && matches!(moment, Moment::Run(..)) {
                    self.new_image.get_or_insert_with(|| (container.clone(), image.clone()));
                }
                ActionKind::SetImage { slot, container, image }
            }
            "rollout" => ActionKind::Rollout { slot: self.slot_short(value), patience: None },
            "restart" => ActionKind::Restart { slot: self.slot_short(value) },
            "switch_traffic" => {
                ActionKind::SwitchTraffic { to: self.slot_at(value, "to"), ready: number(value, "ready") }
            }
            "shift_traffic" => {
                let share = value.get("share").and_then(Node::text).and_then(|text| percent(text).ok());
                ActionKind::ShiftTraffic { to: self.slot_at(value, "to"), share: share.unwrap_or_default() }
            }
            "revert" => ActionKind::Revert { slot: self.slot_short(value) },
            "pause" => ActionKind::Pause { slot: self.slot_short(value) },
            "resume" => ActionKind::Resume { slot: self.slot_short(value) },
            "scale" => ActionKind::Scale {
                slot: self.slot_at(value, "slot"),
                replicas: number(value, "replicas").map_or(Replicas::Before, Replicas::Count),
            },
            "patch" => self.patch(value, moment),
            "http" => {
                // As curl has it: something to send is posted, else it only asks, which verifies between two actions.
                ActionKind::Http(self.http(value, default(&HTTP, value, "method"), moment))
            }
            _ => {
                self.not_empty(value, "a text");
                ActionKind::Notify { text: self.template(value, Sink::Notice, moment) }
            }
        }
    }

    fn not_empty(&mut self, node: &Node, what: &str) {
        if node.text().is_some_and(|text| text.trim().is_empty()) {
            self.faults
                .error(node.span.clone(), "this is empty")
                .help(format!("write {what}, or remove the action"));
        }
    }

    fn template_at(&mut self, node: &Node, key: &str, sink: Sink, moment: Moment) -> Template {
        match node.get(key) {
            Some(value) => self.template(value, sink, moment),
            None => Template::from(""),
        }
    }

    fn slot_at(&mut self, node: &Node, key: &str) -> SlotRef {
        match node.get(key) {
            Some(value) => self.slot(value),
            None => SlotRef::New,
        }
    }

    /// `"new"` or `{ slot = "new" }`.
    fn slot_short(&mut self, node: &Node) -> SlotRef {
        if node.text().is_some() { self.slot(node) } else { self.slot_at(node, "slot") }
    }

    /// An image without spaces, and with a tag or digest: without one Kubernetes would take whatever is newest.
    fn image(&mut self, node: &Node, image: &Template) {
        let Some(value) = node.get("image").filter(|value| value.text().is_some()) else { return };
        let shown = image.show(|_| Some("x".to_owned()));
        let last = shown.rsplit('/').next().unwrap_or_default();
        if shown.is_empty() || shown.contains(char::is_whitespace) {
            self.faults
                .error(value.span.clone(), "this is not a valid image")
                .help("`registry.example.com/name:$DEPLOY_VERSION`");
        } else if !last.contains([':', '@']) && !image.as_str().trim().starts_with('$') {
            self.faults
                .warning(value.span.clone(), "the image has no tag")
                .help("add the version, `...:$DEPLOY_VERSION`; without it nobody knows what runs");
        }
    }

    fn patch(&mut self, node: &Node, moment: Moment) -> ActionKind {
        let patch = node.get("patch").map_or(serde_json::Value::Null, |patch| self.json(patch, moment));
        let patch_type = match word(&PATCH, node, "type").as_str() {
            "merge" => PatchType::Merge,
            "json" => PatchType::Json,
            _ => PatchType::Strategic,
        };
        if let Some(written) = node.get("patch") {
            let fits = if patch_type == PatchType::Json { patch.is_array() } else { patch.is_object() };
            if !fits {
                let right =
                    if patch_type == PatchType::Json { "a list of operations (RFC 6902)" } else { "a table" };
                self.faults
                    .error(written.span.clone(), format!("this patch must be {right}"))
                    .help("see `type`: strategic, merge or json");
            }
        }
        ActionKind::Patch(PatchAction {
            kind: text(node, "kind"),
            name: self.template_at(node, "name", Sink::Shown, moment),
            patch_type,
            patch,
        })
    }

    /// TOML as JSON.
    fn json(&mut self, node: &Node, moment: Moment) -> serde_json::Value {
        use serde_json::Value as Json;
        match &node.value {
            Value::Text(text) => {
                self.template(node, Sink::Shown, moment);
                Json::from(text.as_str())
            }
            Value::Date(text) => Json::from(text.as_str()),
            Value::Integer(number) => number.map_or(Json::Null, Json::from),
            Value::Float(number) => Json::from(*number),
            Value::Bool(flag) => Json::from(*flag),
            Value::List(items) => items.iter().map(|item| self.json(item, moment)).collect(),
            Value::Table(table) => Json::Object(
                table.entries.iter().map(|e| (e.key.clone(), self.json(&e.node, moment))).collect(),
            ),
        }
    }

    fn http(&mut self, node: &Node, default_method: &str, moment: Moment) -> HttpRequest {
        let url = match node.get("url") {
            Some(url) => self.url(url, moment),
            None => Template::from(""),
        };
        for entry in entries(node, "json") {
            if !entry.key.is_empty() && !entry.key.starts_with('/') {
                self.faults
                    .error(entry.key_span.clone(), format!("`{}` is not a valid JSON pointer", entry.key))
                    .help(format!("a pointer starts with a slash: `\"/{}\"`", entry.key.replace('.', "/")));
            }
        }
        let json: BTreeMap<String, Template> = entries(node, "json")
            .iter()
            .map(|entry| (entry.key.clone(), self.template(&entry.node, Sink::Shown, moment)))
            .collect();
        HttpRequest {
            method: optional_text(node, "method").unwrap_or_else(|| default_method.to_owned()),
            url,
            headers: self.private_map(node, "headers", moment),
            body: node.get("body").map(|body| self.template(body, Sink::Private, moment)),
            status: node.get("status").and_then(Node::integer).and_then(|status| u16::try_from(status).ok()),
            json,
            contains: node.get("contains").map(|part| self.template(part, Sink::Shown, moment)),
        }
    }

    fn captures(&mut self, node: &Node, sample: &[String], moment: Moment) -> Vec<Capture> {
        entries(node, "capture")
            .iter()
            .filter_map(|entry| {
                let pattern = entry.node.text()?;
                self.ledger.capture(&entry.key, entry.key_span.clone(), moment);
                let regex = regex::Regex::new(pattern).ok()?;
                if regex.captures_len() < 2 {
                    self.faults
                        .error(entry.node.span.clone(), "the pattern captures nothing: it has no group")
                        .help("put the part to capture in parentheses: `'backup-id: (\\S+)'`");
                } else if !sample.is_empty() && !sample.iter().any(|line| regex.is_match(line)) {
                    self.faults
                        .warning(
                            entry.node.span.clone(),
                            format!("the sample gives no value for `{}`", entry.key),
                        )
                        .help("a rehearsal prints the sample; one of its lines must match this pattern");
                }
                Some(Capture { var: entry.key.clone(), pattern: pattern.to_owned() })
            })
            .collect()
    }

    /// The checks under a key.
    pub(super) fn checks(&mut self, node: &Node, key: &str, moment: Moment) -> Vec<Check> {
        items(node, key).iter().map(|item| self.check(item, moment)).collect()
    }

    /// One check, with its text beside it or made from it.
    pub(super) fn check(&mut self, node: &Node, moment: Moment) -> Check {
        let mut kind = self.check_kind(node, moment);
        let timeout = self.above_zero_or(&CHECK, node, "timeout");
        if let CheckKind::Rollout { patience, .. } | CheckKind::PodsReady { patience, .. } = &mut kind {
            *patience = self.patience(node, timeout);
        }
        if matches!(kind, CheckKind::Person) && node.get("text").is_none() && node.table().is_some() {
            self.faults.error(node.span.clone(), "a check needs `text` or a kind").help(
                "write `{ text = \"No customer complaints\" }` for a manual check, or add a kind such \
                    as `http`",
            );
        }
        Check {
            text: optional_text(node, "text").unwrap_or_else(|| self.check_text(&kind)),
            timeout,
            interval: self.above_zero_or(&CHECK, node, "interval"),
            optional: flag(&CHECK, node, "optional"),
            sample: texts(node, "sample"),
            kind,
        }
    }

    pub(super) fn check_kind(&mut self, node: &Node, moment: Moment) -> CheckKind {
        let Some((key, value)) = CHECK_KINDS.iter().find_map(|key| Some((*key, node.get(key)?))) else {
            return CheckKind::Person;
        };
        match key {
            "http" => {
                let request = self.http(value, HTTP.default("method", |_| false), moment);
                if !READS.contains(&request.method.as_str()) {
                    self.faults
                        .error(
                            key_span(value, "method"),
                            format!("a check may only read, but {} writes", request.method),
                        )
                        .help("move it to `run`, or use GET");
                }
                CheckKind::Http(request)
            }
            "tls" => CheckKind::Tls {
                host: self.template_at(value, "host", Sink::Shown, moment),
                port: u16::try_from(number_or(&TLS, value, "port")).unwrap_or_default(),
                days: number_or(&TLS, value, "days"),
            },
            "dns" => CheckKind::Dns {
                name: self.template_at(value, "name", Sink::Shown, moment),
                expect: self.template_at(value, "expect", Sink::Shown, moment),
            },
            "metric" => self.metric_check(value, node),
            "rollout" => CheckKind::Rollout { slot: self.slot_short(value), patience: None },
            "pods_ready" => CheckKind::PodsReady {
                slot: self.slot_short(value),
                at_least: number_or(&PODS_READY, value, "at_least"),
                patience: None,
            },
            "traffic_on" => CheckKind::TrafficOn { slot: self.slot_short(value) },
            "scaled_to" => CheckKind::ScaledTo {
                slot: self.slot_at(value, "slot"),
                replicas: number(value, "replicas").unwrap_or_default(),
            },
            "headroom" => CheckKind::Headroom {
                slot: self.slot_at(value, "slot"),
                replicas: number(value, "replicas").unwrap_or_default(),
            },
            "sh" => {
                self.not_empty(value, "a command");
                let expect = optional_text(node, "expect");
                self.sample_meets(node, expect.as_deref());
                CheckKind::Sh { script: self.script(value, moment), expect }
            }
            _ => {
                let (without, with) = (optional_text(value, "without"), optional_text(value, "with"));
                if without.is_none() && with.is_none() && value.table().is_some() {
                    self.faults.error(value.span.clone(), "`logs` needs `without` or `with`").help(
                        "`without = 'ERROR|FATAL'`: no line may match it; `with = 'GET /'`: some line must \
                         match it",
                    );
                }
                CheckKind::Logs { slot: self.slot_at(value, "slot"), without, with }
            }
        }
    }

    /// A rehearsal takes the sample for the output, so it should be what is expected.
    fn sample_meets(&mut self, node: &Node, expect: Option<&str>) {
        let sample = texts(node, "sample").join("\n");
        let Some(regex) = expect.and_then(|pattern| regex::Regex::new(pattern).ok()) else { return };
        if !sample.is_empty() && !regex.is_match(&sample) {
            self.faults
                .warning(key_span(node, "sample"), "the sample does not match `expect`")
                .help("a rehearsal uses it as the output, so the check would fail there");
        }
    }

    fn metric_check(&mut self, name: &Node, node: &Node) -> CheckKind {
        let metric = self.metric_named(name);
        if metric.as_ref().is_some_and(|metric| !metric.per_slot) && node.get("slot").is_some() {
            self.faults
                .error(
                    key_span(node, "slot"),
                    format!("`{}` is not a per-slot metric", name.text().unwrap_or_default()),
                )
                .help("remove `slot`, or give the metric `per_slot = true` and a query with `$slot`");
        }
        if node.get("slot").is_some() && node.get("not").is_some() {
            self.faults
                .error(key_span(node, "slot"), "`not` always judges the new version")
                .help("remove `slot`, or use `is` with a bound for another slot");
        }
        let slot = node.get("slot").map(|slot| self.slot(slot));
        let given: Vec<&Node> = ["is", "within", "not"].iter().filter_map(|key| node.get(key)).collect();
        if let [_, second, ..] = given.as_slice() {
            self.faults
                .error(second.span.clone(), "a check can have only one of `is`, `within` and `not`")
                .help("split it into two checks");
        }
        let condition = match (node.get("is"), node.get("within"), node.get("not")) {
            _ if given.len() > 1 => None,
            (_, _, Some(claim)) => {
                self.worse(claim, node, metric.as_ref()).map(|worse| Condition::NotWorse(worse.than))
            }
            (Some(is), ..) => self.bound(is, metric.and_then(|metric| metric.unit)).map(Condition::Is),
            (None, Some(within), None) => within.text().and_then(|text| match parse_within(text) {
                Ok(condition) => Some(condition),
                Err(bad) => {
                    self.faults.error_with_cure(within.span.clone(), &bad.to_string());
                    None
                }
            }),
            (None, None, None) => {
                self.faults.error(name.span.clone(), "a metric check needs a bound").help(
                    "add `is = \"< 0.1%\"`, `within = \"20% of baseline\"` or `not = \"worse than before\"`",
                );
                None
            }
        };
        CheckKind::Metric {
            metric: MetricId::from(name.text().unwrap_or_default()),
            slot,
            // Where there is none, that is an error and this is never looked at.
            condition: condition.unwrap_or(Condition::Is(Bound { op: Op::Lt, value: 0.0 })),
            no_traffic: match text(node, "no_traffic").as_str() {
                "skip" => Some(NoTraffic::Skip),
                "wait" => Some(NoTraffic::Wait),
                "fail" => Some(NoTraffic::Fail),
                _ => None,
            },
        }
    }

    /// Words for a check that has none of its own.
    fn check_text(&self, kind: &CheckKind) -> String {
        match kind {
            CheckKind::Person => String::new(),
            CheckKind::Http(request) => {
                format!("{} {} answers as expected", request.method, request.url.as_str())
            }
            CheckKind::Tls { host, days, .. } => {
                format!("the certificate of {} is valid for {days} more days", host.as_str())
            }
            CheckKind::Dns { name, expect } => format!("{} resolves as {}", name.as_str(), expect.as_str()),
            CheckKind::Metric { metric, condition, .. } => {
                let unit = self.metric_names.iter().find(|m| m.name == metric.as_str()).and_then(|m| m.unit);
                let condition = unit.map_or_else(String::new, |unit| {
                    crate::domain::verdict::show_condition(*condition, unit, None)
                });
                format!("{} {condition}", metric.as_str().replace('_', " "))
            }
            CheckKind::Rollout { slot, .. } => format!("the rollout of {} is complete", slot_word(slot)),
            CheckKind::PodsReady { slot, .. } => format!("all pods of {} are ready", slot_word(slot)),
            CheckKind::TrafficOn { slot } => format!("traffic goes to {}", slot_word(slot)),
            CheckKind::ScaledTo { slot, replicas } => format!("{} has {replicas} replicas", slot_word(slot)),
            CheckKind::Headroom { slot, replicas } => {
                format!("room for {replicas} pods of {}", slot_word(slot))
            }
            CheckKind::Sh { script, .. } => first_line(script),
            // No runbook declares it.
            CheckKind::Allowed { right } => format!("allowed to {} {}", right.verb.as_str(), right.object()),
            CheckKind::Logs { slot, .. } => format!("the logs of {} are as expected", slot_word(slot)),
        }
    }
}

pub(super) fn confirm(shape: &'static Shape, node: &Node) -> Confirm {
    match word(shape, node, "confirm").as_str() {
        "twice" => Confirm::Twice,
        "type" => Confirm::Type,
        _ => Confirm::None,
    }
}

/// What holds for an action's timeout where it is not given.
fn span_of_default(kind: &str) -> Span {
    ACTION.default("timeout", |key| key == kind).parse().unwrap_or_default()
}

fn slot_word(slot: &SlotRef) -> String {
    match slot {
        SlotRef::New => "the new slot".to_owned(),
        SlotRef::Previous => "the previous slot".to_owned(),
        SlotRef::Named(name) => name.to_string(),
    }
}

/// A name for an action that has none of its own.
fn action_name(kind: &ActionKind) -> String {
    match kind {
        ActionKind::Sh { script } => first_line(script),
        ActionKind::Argv { argv } => argv.iter().map(Template::as_str).collect::<Vec<_>>().join(" "),
        ActionKind::SetImage { slot, image, .. } => {
            format!("Set the image of {} to {}", slot_word(slot), image.as_str())
        }
        ActionKind::Rollout { slot, .. } => format!("Wait for the rollout of {}", slot_word(slot)),
        ActionKind::SwitchTraffic { to, .. } => format!("Switch traffic to {}", slot_word(to)),
        ActionKind::Scale { slot, replicas: Replicas::Count(count) } => {
            format!("Scale {} to {count}", slot_word(slot))
        }
        ActionKind::Scale { slot, replicas: Replicas::Before } => {
            format!("Scale {} back up", slot_word(slot))
        }
        ActionKind::ShiftTraffic { to, share } => format!("Give {} {share} of the traffic", slot_word(to)),
        ActionKind::Revert { slot } => format!("Revert {} to what it ran before", slot_word(slot)),
        ActionKind::Pause { slot } => format!("Pause the rollout of {}", slot_word(slot)),
        ActionKind::Resume { slot } => format!("Resume the rollout of {}", slot_word(slot)),
        ActionKind::Restart { slot } => format!("Restart {}", slot_word(slot)),
        ActionKind::Patch(patch) => format!("Patch {} {}", patch.kind, patch.name.as_str()),
        ActionKind::Http(request) => format!("{} {}", request.method, request.url.as_str()),
        ActionKind::Notify { text } => format!("Notify the channel: {}", text.as_str()),
    }
}

fn first_line(script: &str) -> String {
    script
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default()
        .to_owned()
}
