//! What a runbook's own `patch` does to what directs traffic or to a slot: the resulting selector, weights, replicas and
//! image, computed before anything is written.
//!
//! Strategic and merge patches merge by key, null removes; a JSON patch is followed operation by operation. Where the result
//! cannot be told (a value that is not known here, an operation that copies from elsewhere) the answer says so, and what
//! needs it is refused: strictness costs a runbook another way of writing, a guess may cost the users.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    action::{Action, ActionKind, PatchAction, PatchType},
    belief::{PinnedRoute, PinnedSlot},
    director::{Director, RouteRef, RuleRef, Share},
    id::SlotName,
    run::Run,
    runbook::Target,
};

/// Stands in a text for a variable whose value is not known here: a secret, or one that has none yet.
const UNKNOWN: &str = "\u{1}";

/// Where a Deployment's containers stand.
const CONTAINERS: &str = "/spec/template/spec/containers";

/// An object of the target that a patch is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// The Service that directs traffic.
    Service,
    /// A slot's Deployment.
    Slot(SlotName),
    /// The route that directs traffic.
    Route,
    /// A slot's own Service, which a route leads to.
    Backend(SlotName),
}

/// What a patch makes of a slot's Deployment. Nothing where it leaves a field alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotChange {
    /// The replicas, or why they cannot be told.
    pub replicas: Option<Result<u32, String>>,
    /// The image; none inside where it cannot be told.
    pub image: Option<Option<String>>,
}

impl Run {
    /// The object of the target that an action patches, where it does that.
    pub fn patches(&self, action: &Action) -> Option<Patched> {
        let ActionKind::Patch(patch) = &action.kind else { return None };
        let target = self.runbook.target.as_ref()?;
        let name = self.show(&patch.name);
        let written = patch.kind.to_ascii_lowercase();
        // `deployment.apps/v1` is the same object as `deployment`.
        let (kind, group) = written.split_once('.').unwrap_or((&written, ""));
        let is = |word: &str| kind == word || kind.strip_suffix('s') == Some(word);
        let service = is("service") && group.is_empty();
        if let Director::Route(route) = &target.director {
            let routes =
                is("httproute") && (group.is_empty() || group.starts_with("gateway.networking.k8s.io/"));
            if routes && name == route.name {
                return Some(Patched::Route);
            }
            let own = target.slots.iter().find(|(_, slot)| service && slot.service.as_ref() == Some(&name));
            if let Some((slot, _)) = own {
                return Some(Patched::Backend(slot.clone()));
            }
        } else if service && name == target.service {
            return Some(Patched::Service);
        }
        let deployment = is("deployment") && (group.is_empty() || group.starts_with("apps/"));
        let slot = target.slots.iter().find(|(_, slot)| deployment && slot.deployment == name);
        slot.map(|(slot, _)| Patched::Slot(slot.clone()))
    }

    /// What the Service selects after an action that patches it, if it selects this before.
    ///
    /// # Errors
    /// Why that cannot be told, or why no pod would get anything whatever it selects.
    pub fn selector_after(
        &self,
        action: &Action,
        before: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let ActionKind::Patch(patch) = &action.kind else { return Ok(before.clone()) };
        // A Service has a selector, ports and much else; the rest stands for itself.
        let service = json!({ "metadata": {}, "spec": { "selector": before, "type": null } });
        let mut after = self.patched(patch, service, &["/spec/selector", "/spec/type"])?;
        if after.pointer("/spec/type").and_then(Value::as_str) == Some("ExternalName") {
            return Err("the Service would select no pods, but point to another name".to_owned());
        }
        let selector = match after.pointer_mut("/spec/selector").map(Value::take) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(selector)) => selector,
            Some(other) => return Err(format!("unknown what the Service would select: {other}")),
        };
        let known = |(key, value): (String, Value)| match value {
            Value::String(text) if !text.contains(UNKNOWN) => Ok((key, text)),
            _ => Err(format!("unknown what the Service would select: the value of {key} is not known")),
        };
        selector.into_iter().map(known).collect()
    }

    /// What the slots' backends of the route's rule weigh after an action that patches the route, if it is like this before.
    ///
    /// # Errors
    /// Why that cannot be told, or that a slot would have no backend any more.
    pub fn weights_after(
        &self,
        action: &Action,
        before: &PinnedRoute,
    ) -> Result<BTreeMap<SlotName, u32>, String> {
        let target = self.runbook.target.as_ref();
        let (ActionKind::Patch(patch), Some(target)) = (&action.kind, target) else {
            return Ok(before.weights.clone());
        };
        let Director::Route(RouteRef { rule, .. }) = &target.director else {
            return Ok(before.weights.clone());
        };
        let kept = format!("/spec/rules/{}/backendRefs", before.rule);
        // Users that another rule sends to a slot are on it whatever it weighs.
        let sends = |value: &Value| before.weights.keys().find(|name| names(value, service(target, name)));
        let by_another =
            |name: &SlotName| format!("another rule of the HTTPRoute would send users to {name}");
        // Where a rule is put in or taken out before ours, it is another one that has its number.
        if let Some(operation) = patch.patch.as_array().into_iter().flatten().find(|it| moves_rules(it)) {
            return Err(unclear(operation));
        }
        for operation in patch.patch.as_array().into_iter().flatten() {
            let [path, from] = ["path", "from"].map(|field| operation[field].as_str().unwrap_or_default());
            if operation["op"] == "copy" && touches(from, &kept) {
                return Err(unclear(operation));
            }
            if let Some(name) =
                sends(&operation["value"]).filter(|_| operation["op"] != "test" && !touches(path, &kept))
            {
                return Err(by_another(name));
            }
        }
        let after = self.patched(patch, route_of(target, rule, before), &[&kept])?;
        let rules =
            after.pointer("/spec/rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let ours = match rule {
            RuleRef::Number(_) => Some(before.rule),
            RuleRef::Name(name) => rules.iter().position(|rule| rule["name"] == name.as_str()),
        };
        let others = rules.iter().enumerate().filter(|(place, _)| Some(*place) != ours);
        if let Some(name) = others.into_iter().find_map(|(_, rule)| sends(rule)) {
            return Err(by_another(name));
        }
        let ours = ours.and_then(|place| rules.get(place));
        let backends = ours.and_then(|rule| rule.get("backendRefs")).and_then(Value::as_array);
        let backends = backends.map(Vec::as_slice).unwrap_or_default();
        let weigh = |name: &SlotName| Ok((name.clone(), weight_in(backends, name, service(target, name))?));
        before.weights.keys().map(weigh).collect()
    }

    /// The new slot's share after an action that patches the route which the run believes in; nothing where it says nothing of
    /// the weights, or where that cannot be told.
    pub(super) fn patched_share(&self, action: &Action) -> Option<Share> {
        let before = self.pinned.as_ref()?.route.as_ref()?;
        let after = self.weights_after(action, before).ok()?;
        let mut other = before.clone();
        other.weights.values_mut().for_each(|weight| *weight = 7);
        let says = after != before.weights || self.weights_after(action, &other).ok()? != other.weights;
        self.share_by_weights(&after).filter(|_| says)
    }

    /// The new slot's share by what the slots' backends weigh; nothing where nobody gets any.
    pub(super) fn share_by_weights(&self, weights: &BTreeMap<SlotName, u32>) -> Option<Share> {
        let all: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
        let new = weights.get(self.opened.new_slot.as_ref()?).copied().unwrap_or(0);
        (all > 0).then(|| Share::of(u64::from(new), all))
    }

    /// The labels of a Deployment's new pods after an action that patches it, if they are these before.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub(super) fn pod_labels_after(
        &self,
        action: &Action,
        before: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        const LABELS: &str = "/spec/template/metadata/labels";
        let ActionKind::Patch(patch) = &action.kind else { return Ok(before.clone()) };
        let object = json!({ "spec": { "template": { "metadata": { "labels": before } } } });
        let after = self.patched(patch, object, &[LABELS])?;
        let labels = after.pointer(LABELS).and_then(Value::as_object).into_iter().flatten();
        let known = |(key, value): (&String, &Value)| match value.as_str() {
            Some(text) if !text.contains(UNKNOWN) => Ok((key.clone(), text.to_owned())),
            _ => Err(format!("unknown which labels new pods would carry: the value of {key} is not known")),
        };
        labels.map(known).collect()
    }

    /// Whether an action that patches an object writes to a place in it, or above it.
    pub(super) fn writes_at(action: &Action, place: &str) -> bool {
        let ActionKind::Patch(patch) = &action.kind else { return false };
        if let Some(operations) = patch.patch.as_array() {
            return operations.iter().any(|operation| {
                let at = |field: &str| operation[field].as_str().is_some_and(|path| touches(path, place));
                operation["op"] != "test" && (at("path") || (operation["op"] == "move" && at("from")))
            });
        }
        let mut node = &patch.patch;
        for step in place.split('/').skip(1) {
            // What is no object replaces all that is below; a directive may.
            let Some(fields) = node.as_object().filter(|fields| !fields.contains_key("$patch")) else {
                return true;
            };
            match fields.get(step) {
                Some(below) => node = below,
                None => return fields.contains_key("$retainKeys"),
            }
        }
        true
    }

    /// Whether an action that patches the Service says anything of its selector.
    pub(super) fn says_selector(&self, action: &Action) -> bool {
        let known = [("a", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let changes = |before: BTreeMap<_, _>| self.selector_after(action, &before).as_ref() != Ok(&before);
        changes(BTreeMap::new()) || changes(known.into())
    }

    /// The selector that the run believes in, after an action of ours that patches it; nothing where it cannot be told.
    pub(super) fn believed_after(&self, action: &Action) -> Option<BTreeMap<String, String>> {
        self.selector_after(action, &self.pinned.as_ref()?.selector).ok()
    }

    /// What an action makes of the slot's Deployment that it patches.
    pub fn slot_after(&self, action: &Action, before: &PinnedSlot) -> SlotChange {
        let (ActionKind::Patch(patch), Some(target)) = (&action.kind, &self.runbook.target) else {
            return SlotChange::default();
        };
        let same = "\u{2}";
        let containers = json!([{ "name": target.container, "image": same }]);
        let template = json!({ "spec": { "containers": containers } });
        let object = json!({ "metadata": {}, "spec": { "replicas": before.replicas, "template": template } });
        let after = match self.patched(patch, object, &["/spec/replicas", CONTAINERS]) {
            Ok(after) => after,
            Err(why) => return SlotChange { replicas: Some(Err(why)), image: Some(None) },
        };
        let replicas = match after.pointer("/spec/replicas") {
            // What is not said is one.
            None | Some(Value::Null) => Ok(1),
            Some(number) => (number.as_u64().and_then(|count| u32::try_from(count).ok()))
                .ok_or_else(|| format!("unknown how many replicas there would be: {number}")),
        };
        let containers = after.pointer(CONTAINERS).and_then(Value::as_array);
        let named = |item: &&Value| item.get("name").and_then(Value::as_str) == Some(&target.container);
        let ours = containers.and_then(|items| items.iter().find(named));
        let image = ours.and_then(|it| it.get("image")).and_then(Value::as_str);
        SlotChange {
            replicas: Some(replicas).filter(|after| *after != Ok(before.replicas)),
            image: (image != Some(same))
                .then(|| image.filter(|image| !image.contains(UNKNOWN)).map(str::to_owned)),
        }
    }

    /// An object after a patch. `kept` are the places in it that are to be told.
    fn patched(&self, patch: &PatchAction, mut object: Value, kept: &[&str]) -> Result<Value, String> {
        let known = |text: &super::template::Template| {
            Ok::<_, std::convert::Infallible>(
                text.expand(|name| self.value(name).or_else(|| Some(UNKNOWN.to_owned())))
                    .unwrap_or_else(|_| UNKNOWN.to_owned()),
            )
        };
        let body = match patch.expand(&known) {
            Ok(body) => body,
            Err(never) => match never {},
        };
        match patch.patch_type {
            PatchType::Json => {
                let list = body.as_array();
                for operation in list.ok_or("a patch of type `json` must be a list of operations")? {
                    follow(&mut object, operation, kept)?;
                }
            }
            PatchType::Merge | PatchType::Strategic => {
                merge(&mut object, &body, patch.patch_type == PatchType::Strategic);
            }
        }
        Ok(object)
    }
}

fn service<'t>(target: &'t Target, name: &SlotName) -> Option<&'t str> {
    target.slots.get(name).and_then(|slot| slot.service.as_deref())
}

/// The route as far as it counts: our rule with the slots' backends where they stand, everything else empty. What a patch does
/// to the rest of it nobody here can tell, and need not.
fn route_of(target: &Target, rule: &RuleRef, before: &PinnedRoute) -> Value {
    let places = before.places.values().max().map_or(0, |last| last + 1);
    let mut backends = vec![Value::Null; places];
    for (name, place) in &before.places {
        let weight = before.weights.get(name).copied().unwrap_or(0);
        backends[*place] = json!({ "name": service(target, name), "weight": weight });
    }
    let mut rules = vec![json!({}); before.rule + 1];
    rules[before.rule] = json!({ "backendRefs": backends });
    if let RuleRef::Name(name) = rule {
        rules[before.rule]["name"] = json!(name);
    }
    json!({ "metadata": {}, "spec": { "rules": rules } })
}

/// What a slot's backend weighs. One without a weight weighs 1: that is the Gateway API's default.
fn weight_in(backends: &[Value], name: &SlotName, service: Option<&str>) -> Result<u32, String> {
    let mut own = backends.iter().filter(|it| service.is_some_and(|service| it["name"] == service));
    let backend =
        own.next().ok_or_else(|| format!("the HTTPRoute's rule would have no backend for {name}"))?;
    if own.next().is_some() {
        return Err(format!("the HTTPRoute's rule would name the Service of {name} more than once"));
    }
    let weight = match backend.get("weight") {
        None | Some(Value::Null) => Some(1),
        Some(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    weight.ok_or_else(|| format!("unknown what {name} would weigh in the HTTPRoute"))
}

/// Merges by key; null removes. A strategic patch merges the containers by their names, and knows directives.
fn merge(target: &mut Value, patch: &Value, strategic: bool) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    let directive = fields.get("$patch").and_then(Value::as_str).filter(|_| strategic);
    if !target.is_object() || matches!(directive, Some("replace" | "delete")) {
        *target = json!({});
    }
    let Some(object) = target.as_object_mut().filter(|_| directive != Some("delete")) else { return };
    if let Some(retained) = fields.get("$retainKeys").and_then(Value::as_array).filter(|_| strategic) {
        object.retain(|key, _| retained.iter().any(|kept| kept.as_str() == Some(key)));
    }
    for (key, value) in fields.iter().filter(|(key, _)| !(strategic && key.starts_with('$'))) {
        match value {
            Value::Null => drop(object.remove(key)),
            Value::Object(_) => merge(object.entry(key.clone()).or_insert(Value::Null), value, strategic),
            Value::Array(items) if strategic && key == "containers" => {
                merge_by_name(object.entry(key.clone()).or_insert_with(|| json!([])), items);
            }
            plain => drop(object.insert(key.clone(), plain.clone())),
        }
    }
}

fn merge_by_name(target: &mut Value, patch: &[Value]) {
    let Some(items) = target.as_array_mut() else { return };
    let directive = |item: &Value| item.get("$patch").and_then(Value::as_str).map(str::to_owned);
    if patch.iter().any(|item| directive(item).as_deref() == Some("replace")) {
        *items = patch.iter().filter(|item| directive(item).is_none()).cloned().collect();
        return;
    }
    for item in patch {
        let place = items.iter().position(|known| known.get("name") == item.get("name"));
        match (place, directive(item).as_deref()) {
            (Some(place), Some("delete")) => drop(items.remove(place)),
            (Some(place), _) => merge(&mut items[place], item, true),
            (None, Some("delete")) => {}
            (None, _) => items.push(item.clone()),
        }
    }
}

fn unclear(operation: &Value) -> String {
    format!("unknown what this patch does to the Service, HTTPRoute or Deployment: {operation}")
}

/// Whether a path leads to a place, into it, or to what it is in.
fn touches(path: &str, place: &str) -> bool {
    let below = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    path.is_empty() || below(path, place) || below(place, path)
}

/// Whether a text in a value is this name.
fn names(value: &Value, name: Option<&str>) -> bool {
    match value {
        Value::String(text) => Some(text.as_str()) == name,
        Value::Array(items) => items.iter().any(|item| names(item, name)),
        Value::Object(fields) => fields.values().any(|field| names(field, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether an operation of a JSON patch puts a rule into a route, or takes one out of it. What is added at the end moves none.
fn moves_rules(operation: &Value) -> bool {
    let at = |field: &str| {
        let place = operation[field].as_str().and_then(|path| path.strip_prefix("/spec/rules/"));
        place.is_some_and(|place| place.parse::<usize>().is_ok())
    };
    let op = operation["op"].as_str().unwrap_or_default();
    matches!(op, "add" | "remove" | "move" | "copy") && (at("path") || (op == "move" && at("from")))
}

/// One operation of a JSON patch (RFC 6902), as far as it concerns the places that are to be told.
fn follow(object: &mut Value, operation: &Value, kept: &[&str]) -> Result<(), String> {
    let field = |name: &str| operation.get(name).and_then(Value::as_str);
    let unclear = || unclear(operation);
    let (op, path) = field("op").zip(field("path")).ok_or_else(unclear)?;
    let concerns = |path: &str| kept.iter().any(|place| touches(path, place));
    match op {
        "test" => Ok(()),
        "copy" | "move" => {
            let from = field("from").ok_or_else(unclear)?;
            let changes = concerns(path) || (op == "move" && concerns(from));
            if changes { Err(unclear()) } else { Ok(()) }
        }
        "add" | "replace" | "remove" if !concerns(path) => Ok(()),
        "add" | "replace" => {
            let value = operation.get("value").ok_or_else(unclear)?;
            put(object, path, Some(value.clone())).ok_or_else(unclear)
        }
        "remove" => put(object, path, None).ok_or_else(unclear),
        _ => Err(unclear()),
    }
}

/// Sets what stands at a path, or takes it away. Nothing where the path leads nowhere.
fn put(object: &mut Value, path: &str, value: Option<Value>) -> Option<()> {
    let Some((parent, last)) = path.rsplit_once('/') else {
        *object = value?;
        return path.is_empty().then_some(());
    };
    // Which of the containers stands at which place is not known here.
    if path.starts_with(&format!("{CONTAINERS}/")) {
        *object.pointer_mut(CONTAINERS)? = json!([]);
        return Some(());
    }
    let last = last.replace("~1", "/").replace("~0", "~");
    let fields = object.pointer_mut(parent)?.as_object_mut()?;
    match value {
        Some(value) => drop(fields.insert(last, value)),
        None => drop(fields.remove(&last)),
    }
    Some(())
}
