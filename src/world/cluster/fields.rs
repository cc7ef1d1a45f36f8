//! Who set which field: `metadata.managedFields`, in the API's own `FieldsV1` form.
//!
//! A set of fields is a tree of JSON objects. A key is `f:NAME` for a field, `k:{…}` for an element of a list that is
//! merged by key, `.` for the element itself; an empty object is a leaf.

use serde_json::{Map, Value, json};

use super::object::{list, text};

/// Fields below `metadata` that the server owns.
const SERVER_OWNED: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
];

/// Who writes, how and when.
#[derive(Debug, Clone)]
pub(super) struct Writer<'a> {
    pub(super) manager: &'a str,
    /// `Update` or `Apply`.
    pub(super) operation: &'static str,
    pub(super) api_version: &'a str,
    pub(super) subresource: Option<&'a str>,
    /// An API time.
    pub(super) time: &'a str,
}

/// The fields that identify an element of the list called `field`, where the list is merged by key.
/// `items` tells a Service's ports from a container's.
pub(super) fn list_keys(field: &str, items: &[Value]) -> Option<&'static [&'static str]> {
    if !items.iter().all(Value::is_object) {
        return None;
    }
    match field {
        "containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes" | "imagePullSecrets" => {
            Some(&["name"])
        }
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => {
            Some(&["containerPort", "protocol"])
        }
        "ports" if items.iter().any(|item| item.get("port").is_some()) => Some(&["port", "protocol"]),
        "conditions" => Some(&["type"]),
        "volumeMounts" => Some(&["mountPath"]),
        "volumeDevices" => Some(&["devicePath"]),
        "ownerReferences" => Some(&["uid"]),
        "hostAliases" | "podIPs" | "hostIPs" => Some(&["ip"]),
        "topologySpreadConstraints" => Some(&["topologyKey", "whenUnsatisfiable"]),
        _ => None,
    }
}

/// Whether two elements of such a list are the same one. A protocol that is not said is TCP.
pub(super) fn same_element(keys: &[&str], one: &Value, other: &Value) -> bool {
    keys.iter().all(|key| key_value(one, key) == key_value(other, key))
}

/// What an element has for one of its list's keys.
fn key_value(item: &Value, key: &str) -> Value {
    match item.get(key) {
        Some(value) => value.clone(),
        None if key == "protocol" => json!("TCP"),
        None => Value::Null,
    }
}

/// How a tree names an element: by its keys as JSON, in the order of the list type, which is how managers' sets are
/// compared.
fn element_name(keys: &[&str], item: &Value) -> String {
    let named: Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), key_value(item, key))).collect();
    format!("k:{}", Value::Object(named))
}

/// The tree of everything in `object` that a client can own.
pub(super) fn all_fields(object: &Value) -> Value {
    changed_fields(&json!({}), object)
}

/// The tree of what `new` sets differently from `old`.
pub(super) fn changed_fields(old: &Value, new: &Value) -> Value {
    changed_root(old, new)
}

/// The tree of what is in `old` and no longer in `new`.
pub(super) fn removed_fields(old: &Value, new: &Value) -> Value {
    Value::Object(removed(&without_server_owned(old), &without_server_owned(new)))
}

/// What the server owns (version, uid, managed fields) belongs to nobody.
fn changed_root(old: &Value, new: &Value) -> Value {
    Value::Object(changed(Some(&without_server_owned(old)), &without_server_owned(new)))
}

/// What nobody can own is in no set: else every write of a version would make its writer an owner of the metadata.
fn without_server_owned(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.shift_remove("apiVersion");
        map.shift_remove("kind");
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| !SERVER_OWNED.contains(&key.as_str()));
            if metadata.is_empty() {
                map.shift_remove("metadata");
            }
        }
    }
    object
}

/// The tree below one object; fields that are as before belong to whoever set them.
fn changed(old: Option<&Value>, new: &Value) -> Map<String, Value> {
    let mut tree = Map::new();
    for (field, value) in new.as_object().into_iter().flatten() {
        let before = old.and_then(|old| old.get(field));
        if before == Some(value) {
            continue;
        }
        if let Some(subtree) = changed_value(field, before, value) {
            tree.insert(format!("f:{field}"), subtree);
        }
    }
    tree
}

/// The tree below one field, `None` where nothing below it changed.
fn changed_value(field: &str, before: Option<&Value>, value: &Value) -> Option<Value> {
    let fresh = before.is_none_or(Value::is_null);
    if let Some(items) = value.as_array()
        && let Some(keys) = list_keys(field, items)
    {
        let mut tree = Map::new();
        if fresh {
            tree.insert(".".to_owned(), json!({}));
        }
        let old_items = before.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for item in items {
            let old = old_items.iter().find(|old| same_element(keys, old, item));
            if old == Some(item) {
                continue;
            }
            let mut below = changed(old, item);
            if old.is_none() {
                below.insert(".".to_owned(), json!({}));
            }
            if !below.is_empty() {
                tree.insert(element_name(keys, item), Value::Object(below));
            }
        }
        return (!tree.is_empty()).then_some(Value::Object(tree));
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut tree = changed(before.filter(|before| before.is_object()), value);
            if fresh && matches!(field, "labels" | "annotations" | "matchLabels" | "limits" | "requests") {
                tree.insert(".".to_owned(), json!({}));
            }
            (!tree.is_empty()).then_some(Value::Object(tree))
        }
        _ => Some(json!({})),
    }
}

/// What went: a field as a leaf, since all below it went with it.
fn removed(old: &Value, new: &Value) -> Map<String, Value> {
    let mut tree = Map::new();
    for (field, value) in old.as_object().into_iter().flatten() {
        let Some(after) = new.get(field) else {
            tree.insert(format!("f:{field}"), json!({}));
            continue;
        };
        if let (Some(items), Some(left)) = (value.as_array(), after.as_array())
            && let Some(keys) = list_keys(field, items)
        {
            let mut elements = Map::new();
            for item in items {
                match left.iter().find(|left| same_element(keys, left, item)) {
                    None => drop(elements.insert(element_name(keys, item), json!({}))),
                    Some(left) => {
                        let below = removed(item, left);
                        if !below.is_empty() {
                            elements.insert(element_name(keys, item), Value::Object(below));
                        }
                    }
                }
            }
            if !elements.is_empty() {
                tree.insert(format!("f:{field}"), Value::Object(elements));
            }
        } else if value.is_object() && after.is_object() {
            let below = removed(value, after);
            if !below.is_empty() {
                tree.insert(format!("f:{field}"), Value::Object(below));
            }
        }
    }
    tree
}

/// An empty object stands for the field itself.
fn is_leaf(tree: &Value) -> bool {
    tree.as_object().is_none_or(Map::is_empty)
}

/// Both sets together.
fn union(one: &Value, other: &Value) -> Value {
    let mut tree = one.as_object().cloned().unwrap_or_default();
    for (key, below) in other.as_object().into_iter().flatten() {
        let merged = tree.get(key).map_or_else(|| below.clone(), |mine| union(mine, below));
        tree.insert(key.clone(), merged);
    }
    Value::Object(tree)
}

/// What is in `one` and not in `other`. A leaf in `other` takes away all that is below it.
pub(super) fn subtract(one: &Value, other: &Value) -> Value {
    let mut tree = Map::new();
    for (key, below) in one.as_object().into_iter().flatten() {
        match other.get(key) {
            None => drop(tree.insert(key.clone(), below.clone())),
            Some(taken) if is_leaf(taken) || is_leaf(below) => {}
            Some(taken) => {
                let rest = subtract(below, taken);
                if !is_leaf(&rest) {
                    tree.insert(key.clone(), rest);
                }
            }
        }
    }
    Value::Object(tree)
}

/// The leaves of a set, as paths such as `.spec.replicas`, without the `.` markers.
pub(super) fn leaves(tree: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

/// Walks down; `at` is the path so far.
fn collect(tree: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    for (key, below) in tree.as_object().into_iter().flatten() {
        if key == "." {
            continue;
        }
        at.push(key.clone());
        if is_leaf(below) {
            found.push(at.clone());
        } else {
            collect(below, at, found);
        }
        at.pop();
    }
}

/// A path of tree keys as error messages write it: `.spec.template.spec.containers[name="backend"].image`.
pub(super) fn spell(path: &[String]) -> String {
    path.iter()
        .map(|segment| match segment.strip_prefix("k:").map(serde_json::from_str::<Map<String, Value>>) {
            Some(Ok(keys)) => {
                let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("[{}]", keys.join(","))
            }
            _ => format!(".{}", segment.trim_start_matches("f:")),
        })
        .collect()
}

/// The value at a path of tree keys.
pub(super) fn value_at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, segment| match segment.strip_prefix("k:") {
        Some(keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            at.as_array()?.iter().find(|item| keys.iter().all(|(key, value)| key_value(item, key) == *value))
        }
        None => at.get(segment.trim_start_matches("f:")),
    })
}

/// Takes the value at a path of tree keys out of the object.
pub(super) fn remove_at(object: &mut Value, path: &[String]) {
    let Some((segment, rest)) = path.split_first() else { return };
    if let Some(keys) = segment.strip_prefix("k:") {
        let Ok(keys) = serde_json::from_str::<Map<String, Value>>(keys) else { return };
        let Some(items) = object.as_array_mut() else { return };
        let place =
            items.iter().position(|item| keys.iter().all(|(key, value)| key_value(item, key) == *value));
        let Some(place) = place else { return };
        if rest.is_empty() {
            items.remove(place);
        } else {
            remove_at(&mut items[place], rest);
        }
        return;
    }
    let field = segment.trim_start_matches("f:");
    if rest.is_empty() {
        if let Some(map) = object.as_object_mut() {
            map.shift_remove(field);
        }
    } else if let Some(below) = object.get_mut(field) {
        remove_at(below, rest);
    }
}

/// An entry is that of a manager, an operation and a subresource together: kubectl that applies and kubectl that
/// edits are two owners.
fn is_writer(entry: &Value, writer: &Writer<'_>) -> bool {
    text(entry, "/manager") == writer.manager
        && text(entry, "/operation") == writer.operation
        && text(entry, "/subresource") == writer.subresource.unwrap_or_default()
}

/// The set that this writer owned, where it wrote before.
pub(super) fn owned_by(object: &Value, writer: &Writer<'_>) -> Option<Value> {
    list(object, "/metadata/managedFields")
        .iter()
        .find(|entry| is_writer(entry, writer))
        .map(|entry| entry["fieldsV1"].clone())
}

/// All sets but this writer's, with their manager's name.
pub(super) fn owned_by_others(object: &Value, writer: &Writer<'_>) -> Vec<(String, Value)> {
    list(object, "/metadata/managedFields")
        .iter()
        .filter(|entry| !is_writer(entry, writer))
        .map(|entry| (text(entry, "/manager").to_owned(), entry["fieldsV1"].clone()))
        .collect()
}

/// Writes down in `new` that `writer` made it from `old`: what it changed is its own from now on.
/// An applier owns all that it names: `applied`.
pub(super) fn record(old: &Value, new: &mut Value, writer: &Writer<'_>, applied: Option<&Value>) {
    let changed = changed_fields(old, new);
    let removed = removed_fields(old, new);
    let gained = applied.unwrap_or(&changed);
    let mut entries = Vec::new();
    let mut mine = None;
    for entry in list(old, "/metadata/managedFields") {
        let mut entry = entry.clone();
        let mut kept = subtract(&entry["fieldsV1"], &removed);
        if is_writer(&entry, writer) {
            if applied.is_some() {
                kept = json!({});
            }
            mine = Some(kept);
            continue;
        }
        kept = subtract(&kept, &changed);
        if !is_leaf(&kept) {
            entry["fieldsV1"] = kept;
            entries.push(entry);
        }
    }
    let owned = union(&mine.unwrap_or_else(|| json!({})), gained);
    if !is_leaf(&owned) {
        let mut entry = json!({
            "manager": writer.manager,
            "operation": writer.operation,
            "apiVersion": writer.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": owned,
        });
        // The real API server keeps no time of what was written through `scale`.
        if writer.subresource != Some("scale") {
            entry["time"] = json!(writer.time);
        }
        if let Some(subresource) = writer.subresource {
            entry["subresource"] = json!(subresource);
        }
        entries.push(entry);
    }
    super::object::put(new, "/metadata/managedFields", entries);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(manager: &'static str) -> Writer<'static> {
        Writer {
            manager,
            operation: "Update",
            api_version: "v1",
            subresource: None,
            time: "2026-11-20T14:00:00Z",
        }
    }

    #[test]
    fn a_changed_field_moves_to_who_changed_it() {
        let mut one = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"selector": {"version": "blue"}, "type": "ClusterIP"}});
        record(&json!({}), &mut one, &writer("helm"), None);
        let mut two = one.clone();
        two["spec"]["selector"]["version"] = json!("green");
        record(&one, &mut two, &writer("kubectl-patch"), None);
        assert_eq!(
            two["metadata"]["managedFields"],
            json!([
                {"manager": "helm", "operation": "Update", "apiVersion": "v1", "time": "2026-11-20T14:00:00Z",
                 "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}, ".": {}}}, "f:spec": {"f:type": {}}}},
                {"manager": "kubectl-patch", "operation": "Update", "apiVersion": "v1", "time": "2026-11-20T14:00:00Z",
                 "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:selector": {"f:version": {}}}}},
            ])
        );
    }

    #[test]
    fn list_elements_are_named_by_their_keys() {
        let object = json!({"spec": {"containers": [{"name": "backend", "image": "a", "ports": [{"containerPort": 8080}]}]}});
        let tree = all_fields(&object);
        assert_eq!(tree["f:spec"]["f:containers"]["k:{\"name\":\"backend\"}"]["f:image"], json!({}));
        let image =
            leaves(&tree).into_iter().find(|path| path.last().is_some_and(|last| last == "f:image")).unwrap();
        assert_eq!(spell(&image), ".spec.containers[name=\"backend\"].image");
        assert_eq!(value_at(&object, &image), Some(&json!("a")));
        let mut less = object.clone();
        remove_at(&mut less, &image);
        assert_eq!(less["spec"]["containers"][0].get("image"), None);
    }

    #[test]
    fn what_is_removed_is_nobodys() {
        let mut one = json!({"spec": {"a": 1, "b": 2}});
        record(&json!({}), &mut one, &writer("helm"), None);
        let mut two = one.clone();
        two["spec"].as_object_mut().unwrap().shift_remove("b");
        record(&one, &mut two, &writer("other"), None);
        assert_eq!(two["metadata"]["managedFields"].as_array().unwrap().len(), 1);
        assert_eq!(two["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": {"f:a": {}}}));
    }
}
