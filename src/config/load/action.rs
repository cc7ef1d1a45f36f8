//! Loads actions: exactly one kind each.

use std::collections::BTreeMap;

use super::{
    Loader, default, entries, items, key_span, names::action_name, number, optional_text, span, span_or,
    text, texts, word,
};
use crate::{
    config::{
        conform::percent,
        raw::{Entry, Node, Value},
        shape::{ACTION, ACTION_KINDS, HTTP, PATCH, Shape},
        vars::{Moment, Sink},
    },
    domain::{
        action::{
            Action, ActionKind, Capture, Confirm, HttpRequest, PatchAction, PatchType, Replicas, SlotRef,
        },
        director::Share,
        runbook::Strategy,
        template::Template,
        time::Span,
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

    /// Patience comes after the timeout, which bounds it.
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
        let Some((container, image)) = self.promoted_image(entry) else { return Vec::new() };
        let title = optional_text(node, "name").unwrap_or_else(|| "Promote".to_owned());
        let words =
            ["the new image for the previous slot", "wait for its pods", "give it all of the traffic"];
        let short = ACTION.default_span("timeout", "set_image");
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

    /// The image that a step before has given the new slot. Under another strategy there is nothing to promote, which has been
    /// told.
    fn promoted_image(&mut self, entry: &Entry) -> Option<(Option<String>, Template)> {
        if self.strategy != Strategy::Canary {
            return None;
        }
        let image = self.new_image.clone();
        if image.is_none() {
            self.faults
                .error(
                    entry.key_span.clone(),
                    "no step before this sets the new slot's image, so nothing can be promoted",
                )
                .help("put `{ set_image = { slot = \"new\", image = \"...\" } }` in a step before it");
        }
        image
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

    /// Everything that a kind must have was checked against the shape before: a value that is missing here has a fault
    /// already, and what stands in its place never runs.
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

    /// An empty script succeeds, and an empty message is refused by every channel: neither is what anybody meant.
    pub(super) fn not_empty(&mut self, node: &Node, what: &str) {
        if node.text().is_some_and(|text| text.trim().is_empty()) {
            self.faults
                .error(node.span.clone(), "this is empty")
                .help(format!("write {what}, or remove the action"));
        }
    }

    /// A missing one was told by the shape.
    pub(super) fn template_at(&mut self, node: &Node, key: &str, sink: Sink, moment: Moment) -> Template {
        match node.get(key) {
            Some(value) => self.template(value, sink, moment),
            None => Template::from(""),
        }
    }

    /// Where it is missing, that is a fault already; the new slot is the one whose acts are checked most.
    pub(super) fn slot_at(&mut self, node: &Node, key: &str) -> SlotRef {
        match node.get(key) {
            Some(value) => self.slot(value),
            None => SlotRef::New,
        }
    }

    /// `"new"` or `{ slot = "new" }`.
    pub(super) fn slot_short(&mut self, node: &Node) -> SlotRef {
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

    /// Strategic unless said otherwise, as `kubectl patch` does it: lists of containers merge by name and are not replaced.
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

    /// JSON pointers are checked here: one without its slash finds nothing, and the check would fail for ever without a
    /// word why.
    pub(super) fn http(&mut self, node: &Node, default_method: &str, moment: Moment) -> HttpRequest {
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

    /// Tried on the sample at once: a pattern that does not fit is found while writing, and not after a backup has run.
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
}

pub(super) fn confirm(shape: &'static Shape, node: &Node) -> Confirm {
    match word(shape, node, "confirm").as_str() {
        "twice" => Confirm::Twice,
        "type" => Confirm::Type,
        _ => Confirm::None,
    }
}
