//! The four ways to patch an object: JSON patch, JSON merge patch, strategic merge patch, server-side apply.

use serde_json::{Map, Value, json};

use super::{
    fields::{
        Writer, all_fields, leaves, list_keys, owned_by, owned_by_others, remove_at, same_element, spell,
        subtract, value_at,
    },
    status::ApiError,
};

/// How a patch's body is meant: its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchKind {
    /// RFC 6902: a list of operations, of which all apply or none.
    Json,
    /// RFC 7386: `null` removes, lists are replaced as a whole.
    Merge,
    /// As Merge, but lists that have a merge key are merged element by element. Kubernetes' own, for built-in kinds.
    Strategic,
    /// All that one manager wants, and no more.
    Apply,
}

impl PatchKind {
    /// All content types, as a 415 lists them. Custom resources have no strategy.
    pub(super) fn accepted(custom: bool) -> &'static str {
        if custom {
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        } else {
            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
             application/apply-patch+yaml"
        }
    }

    /// The kind of a media type; parameters such as a charset say nothing of it.
    pub(super) fn parse(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// Applies one of the first three kinds to `object`.
pub(super) fn patch(kind: PatchKind, object: &mut Value, body: Value) -> Result<(), ApiError> {
    match kind {
        PatchKind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(body)
                .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(object, &operations).map_err(|error| ApiError::patch_failed(&error.to_string()))
        }
        _ if !body.is_object() => Err(ApiError::bad_request("error decoding patch: a JSON object is wanted")),
        PatchKind::Strategic => strategic(object, &body),
        PatchKind::Merge | PatchKind::Apply => {
            json_patch::merge(object, &body);
            Ok(())
        }
    }
}

/// Merges `patch` into the object `target`, lists with a merge key by that key.
fn strategic(target: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *target =
                Value::Object(patch.iter().filter(|(key, _)| !key.starts_with('$')).map(cloned).collect());
            return Ok(());
        }
        Some("delete") => {
            *target = json!({});
            return Ok(());
        }
        _ => {}
    }
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(object) = target else { return Ok(()) };
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        object.retain(|key, _| kept.iter().any(|kept| kept.as_str() == Some(key)));
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(gone), Some(items)) =
                (value.as_array(), object.get_mut(field).and_then(Value::as_array_mut))
            {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        match value {
            Value::Null => drop(object.shift_remove(key)),
            Value::Object(_) => strategic(object.entry(key.clone()).or_insert_with(|| json!({})), value)?,
            Value::Array(items) => {
                merge_list(key, object.entry(key.clone()).or_insert_with(|| json!([])), items)?;
            }
            plain => drop(object.insert(key.clone(), plain.clone())),
        }
    }
    for (key, order) in patch {
        if let (Some(field), Some(order)) = (key.strip_prefix("$setElementOrder/"), order.as_array())
            && let Some(items) = object.get_mut(field).and_then(Value::as_array_mut)
        {
            reorder(field, items, order);
        }
    }
    Ok(())
}

/// An owned pair.
fn cloned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// The one key that strategic merge goes by: ports by their number alone.
fn merge_key(field: &str, items: &[Value]) -> Option<&'static str> {
    list_keys(field, items).and_then(|keys| keys.first().copied())
}

/// Merges a list. Elements of the patch are found by the merge key; one without it cannot be placed, and a real
/// server answers 500 there, which is kept.
fn merge_list(field: &str, target: &mut Value, patch: &[Value]) -> Result<(), ApiError> {
    let Value::Array(items) = target else {
        *target = Value::Array(patch.to_vec());
        return Ok(());
    };
    let replace = |entry: &&Value| entry.get("$patch").and_then(Value::as_str) == Some("replace");
    if patch.iter().any(|entry| replace(&entry)) {
        *items = patch.iter().filter(|entry| !replace(entry)).cloned().collect();
        return Ok(());
    }
    // The key can be told from the patch, or (for ports, which have two) from what is there.
    let Some(key) = merge_key(field, patch).filter(|_| !patch.is_empty()).or_else(|| merge_key(field, items))
    else {
        if field == "finalizers" {
            items.extend(patch.iter().filter(|entry| !items.contains(entry)).cloned().collect::<Vec<_>>());
        } else {
            *items = patch.to_vec();
        }
        return Ok(());
    };
    let mut added = 0;
    for entry in patch {
        let Some(wanted) = entry.get(key) else {
            return Err(ApiError::unexplained(format!(
                "map: {entry} does not contain declared merge key: {key}"
            )));
        };
        let place = items.iter().position(|item| item.get(key) == Some(wanted));
        match (entry.get("$patch").and_then(Value::as_str), place) {
            (Some("delete"), Some(place)) => drop(items.remove(place)),
            (Some("delete"), None) => {}
            (_, Some(place)) => strategic(&mut items[place], entry)?,
            (_, None) => {
                let mut fresh = json!({});
                strategic(&mut fresh, entry)?;
                // What the patch brings comes before what was there, unless it says an order.
                items.insert(added, fresh);
                added += 1;
            }
        }
    }
    Ok(())
}

/// Sorts by the order that `$setElementOrder` gives. Elements that it does not name stay behind the others, in the
/// order they had.
fn reorder(field: &str, items: &mut [Value], order: &[Value]) {
    let key = merge_key(field, items);
    let rank = |item: &Value| {
        order
            .iter()
            .position(|wanted| key.map_or(wanted == item, |key| wanted.get(key) == item.get(key)))
            .unwrap_or(order.len())
    };
    items.sort_by_key(rank);
}

/// A server-side apply: the object that comes of it, and the set of fields the applier now owns.
pub(super) fn apply(
    live: &Value,
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<(Value, Value), ApiError> {
    let owned = all_fields(applied);
    let others = owned_by_others(live, writer);
    let mut conflicts = Vec::new();
    for path in leaves(&owned) {
        let differs = value_at(live, &path).is_some_and(|value| Some(value) != value_at(applied, &path));
        if !differs || force {
            continue;
        }
        for (manager, set) in &others {
            if value_at_tree(set, &path) {
                conflicts.push((manager.clone(), spell(&path)));
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(ApiError::apply_conflict(&conflicts));
    }
    let mut result = live.clone();
    merge_applied(&mut result, applied);
    // What this manager applied before and names no more goes, unless someone else wants it too.
    if let Some(before) = owned_by(live, writer) {
        let mut orphaned = subtract(&before, &owned);
        for (_, set) in &others {
            orphaned = subtract(&orphaned, set);
        }
        for path in leaves(&orphaned) {
            remove_at(&mut result, &path);
        }
    }
    Ok((result, owned))
}

fn value_at_tree(tree: &Value, path: &[String]) -> bool {
    path.iter().try_fold(tree, |at, segment| at.get(segment)).is_some()
}

fn merge_applied(target: &mut Value, applied: &Value) {
    let (Value::Object(object), Some(applied)) = (&mut *target, applied.as_object()) else {
        *target = applied.clone();
        return;
    };
    for (field, value) in applied {
        match (object.get_mut(field), value) {
            (Some(Value::Array(items)), Value::Array(wanted)) => match list_keys(field, wanted) {
                Some(keys) if !wanted.is_empty() => {
                    for entry in wanted {
                        match items.iter().position(|item| same_element(keys, item, entry)) {
                            Some(place) => merge_applied(&mut items[place], entry),
                            None => items.push(entry.clone()),
                        }
                    }
                }
                _ => items.clone_from(wanted),
            },
            (Some(below @ Value::Object(_)), Value::Object(_)) => merge_applied(below, value),
            _ => drop(object.insert(field.clone(), value.clone())),
        }
    }
}

/// Drops the nulls that a written object may carry.
pub(super) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// An empty object of this identity, for applies that create.
pub(super) fn blank() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests {
    use super::{super::fields::record, *};

    fn deployment() -> Value {
        json!({"spec": {"replicas": 3, "template": {"spec": {"containers": [
            {"name": "proxy", "image": "p:1"},
            {"name": "backend", "image": "b:1", "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 8080}]},
        ]}}}})
    }

    #[test]
    fn strategic_merges_lists_by_key() {
        let mut object = deployment();
        let body = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "backend"}, {"name": "proxy"}],
        "containers": [
            {"name": "backend", "image": "b:2", "env": [{"name": "B", "value": "2"}], "ports": [{"containerPort": 9090}]},
            {"name": "proxy", "$patch": "delete"},
        ]}}}});
        patch(PatchKind::Strategic, &mut object, body).unwrap();
        assert_eq!(
            object["spec"]["template"]["spec"]["containers"],
            json!([{"name": "backend", "image": "b:2",
                    "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
                    "ports": [{"containerPort": 9090}, {"containerPort": 8080}]}])
        );
        assert_eq!(object["spec"]["replicas"], 3);
    }

    #[test]
    fn strategic_replaces_plain_lists_and_removes_nulls() {
        let mut object = json!({"a": [1, 2], "b": {"c": 1, "d": 2}, "metadata": {"finalizers": ["x"]}});
        let body = json!({"a": [3], "b": {"c": null, "e": {"f": null}}, "metadata": {"finalizers": ["y"]}});
        patch(PatchKind::Strategic, &mut object, body).unwrap();
        assert_eq!(object, json!({"a": [3], "b": {"d": 2, "e": {}}, "metadata": {"finalizers": ["x", "y"]}}));
    }

    #[test]
    fn strategic_wants_the_merge_key() {
        let body = json!({"spec": {"template": {"spec": {"containers": [{"image": "b:2"}]}}}});
        assert_eq!(patch(PatchKind::Strategic, &mut deployment(), body).unwrap_err().code, 500);
    }

    #[test]
    fn a_failed_json_patch_test_is_invalid() {
        let body = json!([{"op": "test", "path": "/spec/replicas", "value": 4}]);
        let mut object = deployment();
        assert_eq!(patch(PatchKind::Json, &mut object, body).unwrap_err().code, 422);
        assert_eq!(object, deployment());
    }

    #[test]
    fn apply_conflicts_with_what_others_set_and_force_takes_it() {
        let helm =
            Writer { manager: "helm", operation: "Update", api_version: "v1", subresource: None, time: "t" };
        let us = Writer { manager: "us", operation: "Apply", ..helm.clone() };
        let mut live = json!({"spec": {"selector": {"version": "blue"}}});
        record(&json!({}), &mut live, &helm, None);
        let wanted = json!({"spec": {"selector": {"version": "green"}}});
        let refused = apply(&live, &wanted, &us, false).unwrap_err();
        assert_eq!(refused.code, 409);
        assert!(
            refused.message.contains("conflict with \"helm\": .spec.selector.version"),
            "{}",
            refused.message
        );
        let (mut taken, owned) = apply(&live, &wanted, &us, true).unwrap();
        record(&live, &mut taken, &us, Some(&owned));
        assert_eq!(taken["spec"]["selector"]["version"], "green");
        assert_eq!(
            taken["metadata"]["managedFields"].as_array().unwrap().len(),
            1,
            "helm owns nothing any more"
        );
        // Applying without a field gives it up.
        let (dropped, _) = apply(&taken, &json!({"spec": {"ports": []}}), &us, false).unwrap();
        assert_eq!(dropped["spec"]["selector"], json!({}));
    }
}
