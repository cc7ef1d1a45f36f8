//! What a runbook's own `patch` does to the Service or to a slot's Deployment: the resulting selector, replicas and
//! image, computed before anything is written.
//!
//! Strategic and merge patches merge by key, null removes; a JSON patch is followed operation by operation. Where the result
//! cannot be told (a value that is not known here, an operation that copies from elsewhere) the answer says so, and what
//! needs it is refused: strictness costs a runbook another way of writing, a guess may cost the users.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    action::{Action, ActionKind, PatchAction, PatchType},
    belief::PinnedSlot,
    id::SlotName,
    run::Run,
};

/// Stands in a text for a variable whose value is not known here: a secret, or one that has none yet.
const UNKNOWN: &str = "\u{1}";

/// Where a Deployment's containers stand.
const CONTAINERS: &str = "/spec/template/spec/containers";

/// An object of the target that a patch is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// The Service.
    Service,
    /// A slot's Deployment.
    Slot(SlotName),
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
        if is("service") && group.is_empty() && name == target.service {
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

/// One operation of a JSON patch (RFC 6902), as far as it concerns the places that are to be told.
fn follow(object: &mut Value, operation: &Value, kept: &[&str]) -> Result<(), String> {
    let field = |name: &str| operation.get(name).and_then(Value::as_str);
    let unclear = || format!("unknown what this patch does to the Service or Deployment: {operation}");
    let (op, path) = field("op").zip(field("path")).ok_or_else(unclear)?;
    // Inside a place, or above it.
    let concerns = |path: &str| {
        kept.iter().any(|place| {
            let below =
                |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
            path.is_empty() || below(path, place) || below(place, path)
        })
    };
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
