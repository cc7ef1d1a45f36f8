//! The schema of an `HTTPRoute`, as the Gateway API's custom resource definition has it: what goes without saying, and what
//! is refused. Only the parts that decide where requests go; all others are kept as they are written.

use serde_json::{Value, json};

use super::{
    object::{list, put, text},
    resource::GATEWAY_API,
    status::Cause,
};

/// The bounds below are those of the Gateway API v1, channel "standard".
const LARGEST_WEIGHT: i64 = 1_000_000;
/// Rules in a route, backends in a rule, hostnames.
const MOST: usize = 16;
const MOST_PARENTS: usize = 32;
const LONGEST_NAME: usize = 253;

/// Fills in what every route has.
pub(super) fn fill_in(route: &mut Value) {
    let everything = || json!([{"path": {"type": "PathPrefix", "value": "/"}}]);
    for parent in items(route, "/spec/parentRefs") {
        default(parent, "group", || json!(GATEWAY_API));
        default(parent, "kind", || json!("Gateway"));
    }
    if route["spec"].is_object() {
        default(&mut route["spec"], "rules", || json!([{}]));
    }
    for rule in items(route, "/spec/rules") {
        default(rule, "matches", everything);
        for one in items(rule, "/matches") {
            default(one, "path", || json!({"type": "PathPrefix", "value": "/"}));
        }
        for backend in items(rule, "/backendRefs") {
            default(backend, "group", || json!(""));
            default(backend, "kind", || json!("Service"));
            default(backend, "weight", || json!(1));
        }
    }
}

/// What is no object stands as it was written: the check that follows refuses it in better words.
fn items<'a>(object: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    let items = object.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten();
    items.filter(|item| item.is_object())
}

/// A field that is there keeps its value, also a wrong one. `null` counts as not there: a merge patch removes with it.
fn default(object: &mut Value, field: &str, value: impl FnOnce() -> Value) {
    if object.get(field).is_none_or(Value::is_null) {
        put(object, &format!("/{field}"), value());
    }
}

/// Refuses what the schema refuses, in the words of the server that the contract is with: later ones name the index as well.
pub(super) fn check(causes: &mut Vec<Cause>, route: &Value) {
    if !route["spec"].is_object() {
        return causes.push(Cause::required("spec", ""));
    }
    for (field, most) in [("parentRefs", MOST_PARENTS), ("hostnames", MOST), ("rules", MOST)] {
        check_length(causes, &format!("spec.{field}"), &route["spec"][field], most);
    }
    for parent in list(route, "/spec/parentRefs") {
        check_name(causes, "spec.parentRefs", parent);
    }
    for rule in list(route, "/spec/rules") {
        let backends = "spec.rules.backendRefs";
        check_length(causes, backends, &rule["backendRefs"], MOST);
        for backend in list(rule, "/backendRefs") {
            check_backend(causes, backends, backend);
        }
    }
}

/// One cause for the whole list: a real server does not count what is too much one by one.
fn check_length(causes: &mut Vec<Cause>, field: &str, value: &Value, most: usize) {
    if value.is_null() {
        return;
    }
    match value.as_array() {
        None => causes.push(Cause::wrong_type(field, value, "array")),
        Some(items) if items.len() > most => {
            let why = format!("should have at most {most} items");
            causes.push(Cause::in_body(field, &json!(items.len()), &why));
        }
        Some(_) => {}
    }
}

/// Missing, empty and too long are three different refusals, and only the first one is "required".
fn check_name(causes: &mut Vec<Cause>, at: &str, reference: &Value) {
    let field = format!("{at}.name");
    match &reference["name"] {
        Value::Null => causes.push(Cause::required(field, "")),
        Value::String(name) if name.is_empty() => {
            causes.push(Cause::in_body(&field, &json!(name), "should be at least 1 chars long"));
        }
        Value::String(name) if name.chars().count() > LONGEST_NAME => {
            let why = format!("should be at most {LONGEST_NAME} chars long");
            causes.push(Cause::in_body(&field, &json!(name), &why));
        }
        Value::String(_) => {}
        other => causes.push(Cause::wrong_type(&field, other, "string")),
    }
}

/// A weight of 0 is fine: that is how a backend is named and gets nothing. A Service needs a port, since it may have
/// several.
fn check_backend(causes: &mut Vec<Cause>, at: &str, backend: &Value) {
    check_name(causes, at, backend);
    let field = format!("{at}.weight");
    match (&backend["weight"], backend["weight"].as_i64()) {
        (Value::Null, _) => {}
        (value, Some(weight)) if weight < 0 => {
            causes.push(Cause::in_body(&field, value, "should be greater than or equal to 0"));
        }
        (value, Some(weight)) if weight > LARGEST_WEIGHT => {
            causes.push(Cause::in_body(&field, value, "should be less than or equal to 1000000"));
        }
        (_, Some(_)) => {}
        (value, None) => causes.push(Cause::wrong_type(&field, value, "integer")),
    }
    let is_service = text(backend, "/group").is_empty() && matches!(text(backend, "/kind"), "" | "Service");
    if is_service && backend["port"].is_null() {
        causes.push(Cause::rule(at, "Must have port for Service reference"));
    }
}
