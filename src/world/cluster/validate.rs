//! The API server's defaulting and validation.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    object::{labels, list, name, put, selects, string_map, text},
    resource::{Kind, Resource},
    route,
    status::{ApiError, Cause},
};

/// Bytes that a `ConfigMap` may hold.
const LARGEST_CONFIG: usize = 1 << 20;

/// Fills in what an object of this kind always has.
pub(super) fn fill_in(kind: Kind, object: &mut Value) {
    match kind {
        Kind::Deployment => {
            default(object, "/spec/replicas", json!(1));
            default(object, "/spec/revisionHistoryLimit", json!(10));
            default(object, "/spec/progressDeadlineSeconds", json!(600));
            default(object, "/spec/strategy/type", json!("RollingUpdate"));
            if text(object, "/spec/strategy/type") == "RollingUpdate" {
                default(object, "/spec/strategy/rollingUpdate/maxSurge", json!("25%"));
                default(object, "/spec/strategy/rollingUpdate/maxUnavailable", json!("25%"));
            }
            fill_in_pod(object, "/spec/template/spec");
        }
        Kind::ReplicaSet => {
            default(object, "/spec/replicas", json!(1));
            fill_in_pod(object, "/spec/template/spec");
        }
        Kind::Pod => fill_in_pod(object, "/spec"),
        Kind::Service => {
            default(object, "/spec/type", json!("ClusterIP"));
            default(object, "/spec/sessionAffinity", json!("None"));
            default(object, "/spec/internalTrafficPolicy", json!("Cluster"));
            let ports = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten() {
                default(port, "/protocol", json!("TCP"));
                let number = port["port"].clone();
                default(port, "/targetPort", number);
            }
            default(object, "/spec/clusterIP", json!("10.96.41.20"));
        }
        Kind::HttpRoute => route::fill_in(object),
        _ => {}
    }
}

/// Sets a value where there is none; `null` counts as none, as in a real server's decoder.
fn default(object: &mut Value, pointer: &str, value: Value) {
    if object.pointer(pointer).is_none_or(Value::is_null) {
        put(object, pointer, value);
    }
}

/// What a pod's spec always has. The template hash is taken after this, so that a client that writes the defaults out
/// does not start a rollout.
fn fill_in_pod(object: &mut Value, at: &str) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        default(object, &format!("{at}/{field}"), value);
    }
    let containers = object.pointer_mut(&format!("{at}/containers")).and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let latest = matches!(super::image_parts(text(container, "/image")).1, "" | "latest");
        default(container, "/imagePullPolicy", json!(if latest { "Always" } else { "IfNotPresent" }));
        default(container, "/resources", json!({}));
        default(container, "/terminationMessagePath", json!("/dev/termination-log"));
        default(container, "/terminationMessagePolicy", json!("File"));
        let ports = container.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            default(port, "/protocol", json!("TCP"));
        }
    }
}

/// Refuses what a real server refuses; `old` is the object that `new` replaces.
pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    check_form(resource, new)?;
    let mut causes = Vec::new();
    for (key, value) in labels(new) {
        check_label(&mut causes, "metadata.labels", &key, &value);
    }
    match resource.kind {
        Kind::Deployment | Kind::ReplicaSet => check_workload(&mut causes, old, new),
        Kind::Pod => check_containers(&mut causes, "spec", &new["spec"]),
        Kind::Service => {
            if list(new, "/spec/ports").is_empty() && text(new, "/spec/type") != "ExternalName" {
                causes.push(Cause::required("spec.ports", ""));
            }
            for (key, value) in new.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten()
            {
                match value.as_str() {
                    Some(value) => check_label(&mut causes, "spec.selector", key, value),
                    None => causes.push(Cause::invalid(
                        format!("spec.selector[{key}]"),
                        value,
                        "must be a string",
                    )),
                }
            }
        }
        Kind::Lease => {
            for (field, value) in [("leaseDurationSeconds", &new["spec"]["leaseDurationSeconds"])] {
                if value.as_i64().is_some_and(|seconds| seconds <= 0) {
                    causes.push(Cause::invalid(format!("spec.{field}"), value, "must be greater than 0"));
                }
            }
            if new["spec"]["leaseTransitions"].as_i64().is_some_and(|count| count < 0) {
                let value = &new["spec"]["leaseTransitions"];
                causes.push(Cause::invalid(
                    "spec.leaseTransitions",
                    value,
                    "must be greater than or equal to 0",
                ));
            }
        }
        Kind::ConfigMap => check_data(&mut causes, new),
        Kind::HttpRoute => route::check(&mut causes, new),
        _ => {}
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(resource, name(new), &causes)) }
}

/// Refuses what cannot be decoded at all, before any rule of the kind: times and bytes in the wrong form.
fn check_form(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let wrong = |what: String| {
        let (name, version) = (resource.name, resource.version);
        Err(ApiError::bad_request(format!(
            "{name} in version \"{version}\" cannot be handled as a {name}: {what}"
        )))
    };
    match resource.kind {
        Kind::Lease => {
            for field in ["acquireTime", "renewTime"] {
                let value = &object["spec"][field];
                if !value.is_null() && !value.as_str().is_some_and(is_micro_time) {
                    return wrong(format!(
                        "parsing time {value} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse"
                    ));
                }
            }
        }
        Kind::ConfigMap => {
            for (key, value) in object["binaryData"].as_object().into_iter().flatten() {
                if value.as_str().and_then(|text| STANDARD.decode(text).ok()).is_none() {
                    return wrong(format!("illegal base64 data in binaryData[{key}]"));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether a time has exactly six digits of a second's fraction.
fn is_micro_time(text: &str) -> bool {
    let fraction = text.split_once('.').map(|(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    fraction == Some(6) && text.parse::<jiff::Timestamp>().is_ok()
}

/// A `ConfigMap`'s limit is on the sum of its decoded values; keys do not count. The copy of a run's journal is cut
/// into pieces by it.
fn check_data(causes: &mut Vec<Cause>, new: &Value) {
    let plain = new["data"].as_object().into_iter().flatten();
    let plain: usize = plain.map(|(_, text)| text.as_str().map_or(0, str::len)).sum();
    let binary = new["binaryData"].as_object().into_iter().flatten();
    let binary: usize = binary
        .filter_map(|(_, text)| text.as_str().and_then(|text| STANDARD.decode(text).ok()))
        .map(|bytes| bytes.len())
        .sum();
    if plain + binary > LARGEST_CONFIG {
        causes.push(Cause::too_long("", LARGEST_CONFIG));
    }
}

/// The rules of a Deployment and a `ReplicaSet`. The selector is fixed for good, since a changed one would leave the
/// pods of the old one behind without an owner.
fn check_workload(causes: &mut Vec<Cause>, old: Option<&Value>, new: &Value) {
    let replicas = &new["spec"]["replicas"];
    if replicas.as_i64().is_none_or(|count| count < 0) {
        causes.push(Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    let selector = string_map(new, "/spec/selector/matchLabels");
    if selector.is_empty() && list(new, "/spec/selector/matchExpressions").is_empty() {
        causes.push(Cause::required("spec.selector", ""));
    } else if !selector.is_empty() && !selects(&selector, &string_map(new, "/spec/template/metadata/labels"))
    {
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            &new["spec"]["template"]["metadata"]["labels"],
            "`selector` does not match template `labels`",
        ));
    }
    if old.is_some_and(|old| old["spec"]["selector"] != new["spec"]["selector"]) {
        causes.push(Cause::invalid("spec.selector", &new["spec"]["selector"], "field is immutable"));
    }
    check_containers(causes, "spec.template.spec", &new["spec"]["template"]["spec"]);
    check_strategy(causes, &new["spec"]["strategy"]);
}

/// Both limits at zero would be a rollout that may neither add a pod nor take one away.
fn check_strategy(causes: &mut Vec<Cause>, strategy: &Value) {
    let limits = &strategy["rollingUpdate"];
    match text(strategy, "/type") {
        "Recreate" if !limits.is_null() => causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "RollingUpdate" => {
            let nothing = |limit: &Value| limit.as_i64() == Some(0) || limit.as_str() == Some("0%");
            if nothing(&limits["maxUnavailable"]) && nothing(&limits["maxSurge"]) {
                causes.push(Cause {
                    field: "spec.strategy.rollingUpdate.maxUnavailable".to_owned(),
                    reason: "FieldValueInvalid",
                    message: "Invalid value: intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}: may not be 0 when `maxSurge` is 0"
                        .to_owned(),
                });
            }
        }
        _ => {}
    }
}

/// Names are unique within a pod, because a strategic patch finds its container by them: `set_image` names one.
fn check_containers(causes: &mut Vec<Cause>, at: &str, spec: &Value) {
    let containers = list(spec, "/containers");
    if containers.is_empty() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    let mut seen = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let field = |field: &str| format!("{at}.containers[{index}].{field}");
        let container_name = text(container, "/name");
        if container_name.is_empty() {
            causes.push(Cause::required(field("name"), ""));
        } else if seen.contains(&container_name) {
            causes.push(Cause::duplicate(field("name"), &container["name"]));
        }
        seen.push(container_name);
        let image = text(container, "/image");
        if image.is_empty() {
            causes.push(Cause::required(field("image"), ""));
        } else if image.trim() != image {
            causes.push(Cause::invalid(
                field("image"),
                &container["image"],
                "must not have leading or trailing whitespace",
            ));
        }
    }
}

/// A label's value has at most 63 characters, and so has the name in its key; a prefix before the slash is not looked
/// at here.
fn check_label(causes: &mut Vec<Cause>, field: &str, key: &str, value: &str) {
    let fine = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let edge = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    let valid = value.len() <= 63
        && value.chars().all(fine)
        && edge(value.chars().next())
        && edge(value.chars().next_back());
    if !valid {
        causes.push(Cause::invalid(
            field,
            &json!(value),
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
             end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ));
    }
    let bare = key.rsplit('/').next().unwrap_or_default();
    if bare.is_empty() || bare.len() > 63 || !bare.chars().all(fine) {
        causes.push(Cause::invalid(
            field,
            &json!(key),
            "name part must consist of alphanumeric characters, '-', '_' or '.'",
        ));
    }
}

/// Refuses names that no object may have.
pub(super) fn check_name(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let found = name(object);
    if found.is_empty() {
        return Err(ApiError::invalid(
            resource,
            "",
            &[Cause::required("metadata.name", "name or generateName is required")],
        ));
    }
    let fine = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
    let edge = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    let valid = found.len() <= 253
        && found.chars().all(fine)
        && edge(found.chars().next())
        && edge(found.chars().next_back());
    if valid {
        return Ok(());
    }
    let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
               and end with an alphanumeric character";
    Err(ApiError::invalid(resource, found, &[Cause::invalid("metadata.name", &json!(found), why)]))
}
