//! Reading and building API objects as JSON, and everything about them that must look random and yet be the same
//! in every run: uids, name suffixes, jitter.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The letters that the API machinery picks name suffixes from: no vowels, nothing that looks like another.
const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The text at `pointer`, empty where there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at `pointer`, zero where there is none.
pub(super) fn int(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// Whether `pointer` holds `true`.
pub(super) fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// The elements at `pointer`, none where there is no list.
pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The string-to-string map at `pointer`, such as labels or a selector.
pub(super) fn string_map(object: &Value, pointer: &str) -> BTreeMap<String, String> {
    object
        .pointer(pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The object's labels.
pub(super) fn labels(object: &Value) -> BTreeMap<String, String> {
    string_map(object, "/metadata/labels")
}

/// Whether `labels` carries everything that `wanted` names. An empty `wanted` selects nothing, as in a Service.
pub(super) fn selects(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The same for an object's labels, without collecting them first.
pub(super) fn selects_object(wanted: &BTreeMap<String, String>, object: &Value) -> bool {
    let labels = object.pointer("/metadata/labels");
    let has = |key: &String, value: &String| {
        labels.and_then(|labels| labels.get(key)).and_then(Value::as_str) == Some(value.as_str())
    };
    !wanted.is_empty() && wanted.iter().all(|(key, value)| has(key, value))
}

/// Puts `value` at `pointer`, making the objects on the way.
pub(super) fn put(object: &mut Value, pointer: &str, value: impl Into<Value>) {
    let mut at = object;
    for segment in pointer.trim_start_matches('/').split('/') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(segment.replace("~1", "/")).or_insert(Value::Null);
    }
    *at = value.into();
}

/// Takes the value at `pointer` out of its object.
pub(super) fn cut(object: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    object.pointer_mut(parent)?.as_object_mut()?.shift_remove(&key.replace("~1", "/"))
}

/// `metadata.name`.
pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.uid`.
pub(super) fn uid_of(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether the object is on its way out.
pub(super) fn terminating(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// The status of a condition, `"True"`, `"False"` or `"Unknown"`; empty where the object has no such condition.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    find_condition(object, kind).map_or("", |found| text(found, "/status"))
}

/// A condition in `status.conditions`.
pub(super) fn find_condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind)
}

/// The uid of the object's controlling owner, empty where it has none.
pub(super) fn controller_uid(object: &Value) -> &str {
    list(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| flag(owner, "/controller"))
        .map_or("", |owner| text(owner, "/uid"))
}

/// A time as the API writes it: UTC, whole seconds.
pub(super) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| "1970-01-01T00:00:00Z".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// A time with its fraction in `digits` digits, as logs (9) and `MicroTime` (6) have it.
pub(super) fn rfc3339_fraction(ms: i64, digits: usize) -> String {
    let whole = rfc3339(ms);
    let fraction = format!("{:03}{:0>pad$}", ms.rem_euclid(1000), "", pad = digits.saturating_sub(3));
    format!("{}.{fraction}Z", whole.trim_end_matches('Z'))
}

/// Milliseconds since the epoch of an API time.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// A number that depends on `seed` alone.
pub(super) fn digest(seed: &str) -> u64 {
    let bytes = Sha256::digest(seed.as_bytes());
    bytes.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// A whole number in `range`, both ends included, that depends on `seed` alone.
pub(super) fn between(seed: &str, range: (i64, i64)) -> i64 {
    let width = u64::try_from(range.1 - range.0 + 1).unwrap_or(1).max(1);
    range.0 + i64::try_from(digest(seed) % width).unwrap_or(0)
}

/// `length` letters for a name, that depend on `seed` alone.
pub(super) fn suffix(seed: &str, length: usize) -> String {
    Sha256::digest(seed.as_bytes())
        .iter()
        .take(length)
        .map(|byte| char::from(SAFE[usize::from(*byte) % SAFE.len()]))
        .collect()
}

/// A uid in the usual form, that depends on `seed` alone.
pub(super) fn uid(seed: &str) -> String {
    let hex = format!("{:016x}{:016x}", digest(seed), digest(&format!("{seed}+")));
    // Version 4, variant 1: what a real server hands out.
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// The hash of a pod template that names `ReplicaSets` and labels pods. Labels that carry the hash itself do not count.
pub(super) fn template_hash(template: &Value) -> String {
    let mut plain = template.clone();
    cut(&mut plain, "/metadata/labels/pod-template-hash");
    cut(&mut plain, "/metadata/creationTimestamp");
    suffix(&canonical(&plain), 10)
}

/// JSON with its keys in order, so that equal objects give equal text.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            let fields: Vec<_> =
                sorted.iter().map(|(key, value)| format!("{key:?}:{}", canonical(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn put_makes_the_way_and_cut_takes_back() {
        let mut object = json!({});
        put(&mut object, "/metadata/annotations/a.io~1b", "c");
        assert_eq!(object, json!({"metadata": {"annotations": {"a.io/b": "c"}}}));
        assert_eq!(cut(&mut object, "/metadata/annotations/a.io~1b"), Some(json!("c")));
        assert_eq!(object, json!({"metadata": {"annotations": {}}}));
    }

    #[test]
    fn a_template_hash_ignores_key_order_and_itself() {
        let one = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1, "y": 2}});
        let other =
            json!({"spec": {"y": 2, "x": 1}, "metadata": {"labels": {"a": "b", "pod-template-hash": "q"}}});
        assert_eq!(template_hash(&one), template_hash(&other));
        assert_ne!(template_hash(&one), template_hash(&json!({"spec": {"x": 1}})));
    }

    #[test]
    fn times_are_written_as_the_api_writes_them() {
        assert_eq!(rfc3339(1_795_356_000_250), "2026-11-22T14:00:00Z");
        assert_eq!(rfc3339_fraction(1_795_356_000_250, 6), "2026-11-22T14:00:00.250000Z");
        assert_eq!(parse_time("2026-11-22T14:00:00Z"), Some(1_795_356_000_000));
    }
}
