//! Label selectors and field selectors, as query parameters write them.

use std::collections::BTreeSet;

use kube::core::{Expression, Selector, SelectorExt};
use serde_json::Value;

use super::{
    object::{labels, text},
    resource::{Kind, Resource},
    status::ApiError,
};

/// What a list or a watch leaves over.
#[derive(Debug, Default)]
pub(super) struct Filter {
    labels: Selector,
    fields: Vec<Field>,
}

/// One requirement on a field: a JSON pointer and what must stand there, or must not.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    pointer: String,
    value: String,
    equal: bool,
}

impl Filter {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(super) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, ApiError> {
        let labels = parse_labels(labels)
            .map_err(|why| ApiError::bad_request(format!("unable to parse requirement: {why}")))?;
        Ok(Self { labels, fields: parse_fields(resource, fields)? })
    }

    /// All of them must hold: both languages know "and" alone.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.fields.iter().all(|field| (text(object, &field.pointer) == field.value) == field.equal)
            && (self.labels.selects_all() || self.labels.matches(&labels(object)))
    }
}

/// Cuts at commas outside parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, letter) in selector.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(selector[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(selector[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The whole fails where one part does: a selector that is half understood would select too much.
fn parse_labels(selector: &str) -> Result<Selector, String> {
    split(selector).into_iter().map(parse_expression).collect()
}

/// `in` and `notin` before `=`: a value in parentheses may have one in it.
fn parse_expression(part: &str) -> Result<Expression, String> {
    if let Some((head, values)) = part.split_once('(') {
        let values = values.strip_suffix(')').ok_or_else(|| format!("found '{part}', expected: ')'"))?;
        let values: BTreeSet<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(Expression::In(label_key(key)?, values)),
            (Some(key), Some("notin"), None) => Ok(Expression::NotIn(label_key(key)?, values)),
            _ => Err(format!("found '{part}', expected: in, notin")),
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Expression::NotEqual(label_key(key)?, value.trim().to_owned()));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Expression::Equal(label_key(key)?, value.trim().to_owned()));
    }
    match part.strip_prefix('!') {
        Some(key) => Ok(Expression::DoesNotExist(label_key(key)?)),
        None => Ok(Expression::Exists(label_key(part)?)),
    }
}

/// In the words of a real server, whose errors people paste into a search engine.
fn label_key(key: &str) -> Result<String, String> {
    let key = key.trim();
    let fine = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    if key.is_empty() || !key.chars().all(fine) {
        return Err(format!(
            "<nil>: Invalid value: \"{key}\": name part must consist of alphanumeric characters"
        ));
    }
    Ok(key.to_owned())
}

/// Each resource has its short list of fields that can be selected by; any other is refused, as no index knows it.
fn parse_fields(resource: &Resource, selector: &str) -> Result<Vec<Field>, ApiError> {
    let mut fields = Vec::new();
    for part in split(selector) {
        let (key, value, equal) = if let Some((key, value)) = part.split_once("!=") {
            (key, value, false)
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (key, value, true)
        } else {
            return Err(ApiError::bad_request(format!("invalid field selector {part}; can't understand it")));
        };
        if !supported(resource, key) {
            return Err(ApiError::bad_request(format!("field label not supported: {key}")));
        }
        // `source` in an Event's selector means the component that reported it.
        let key = if resource.kind == Kind::Event && key == "source" { "source.component" } else { key };
        fields.push(Field { pointer: format!("/{}", key.replace('.', "/")), value: value.to_owned(), equal });
    }
    Ok(fields)
}

/// Kind by kind, as the API server has them.
fn supported(resource: &Resource, key: &str) -> bool {
    if key == "metadata.name" || (key == "metadata.namespace" && resource.namespaced) {
        return true;
    }
    let object = if resource.is_event_view() { "regarding." } else { "involvedObject." };
    match resource.kind {
        Kind::Pod => matches!(
            key,
            "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
                | "status.phase"
                | "status.podIP"
                | "status.nominatedNodeName"
        ),
        Kind::Event => {
            matches!(key, "reason" | "type" | "source" | "reportingComponent")
                || key.strip_prefix(object).is_some_and(|rest| {
                    matches!(
                        rest,
                        "kind"
                            | "namespace"
                            | "name"
                            | "uid"
                            | "apiVersion"
                            | "resourceVersion"
                            | "fieldPath"
                    )
                })
        }
        Kind::Node => key == "spec.unschedulable",
        Kind::Namespace => key == "status.phase",
        Kind::ReplicaSet => key == "status.replicas",
        Kind::Service => matches!(key, "spec.clusterIP" | "spec.type"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(kind: Kind, labels: &str, fields: &str, object: &Value) -> bool {
        Filter::parse(Resource::of(kind), labels, fields).unwrap().matches(object)
    }

    #[test]
    fn label_selectors() {
        let pod = json!({"metadata": {"labels": {"app": "backend-blue", "version": "blue"}}});
        for selector in [
            "",
            "app=backend-blue",
            "app==backend-blue,version!=green",
            "version in (blue, green)",
            "version notin (green),app",
            "!canary",
            "canary notin (yes)",
        ] {
            assert!(kept(Kind::Pod, selector, "", &pod), "{selector}");
        }
        for selector in ["app=x", "version in (green)", "version notin (blue)", "!app", "canary"] {
            assert!(!kept(Kind::Pod, selector, "", &pod), "{selector}");
        }
        assert_eq!(Filter::parse(Resource::of(Kind::Pod), "a b", "").unwrap_err().code, 400);
        assert_eq!(Filter::parse(Resource::of(Kind::Pod), "a in (x", "").unwrap_err().code, 400);
    }

    #[test]
    fn field_selectors() {
        let pod = json!({"metadata": {"name": "a"}, "status": {"phase": "Running"}});
        assert!(kept(Kind::Pod, "", "metadata.name=a,status.phase!=Pending", &pod));
        assert!(!kept(Kind::Pod, "", "status.phase=Pending", &pod));
        let event = json!({"involvedObject": {"name": "a"}, "source": {"component": "kubelet"}});
        assert!(kept(Kind::Event, "", "involvedObject.name=a,source=kubelet", &event));
        let unknown = Filter::parse(Resource::of(Kind::Pod), "", "spec.colour=red").unwrap_err();
        assert_eq!((unknown.code, unknown.message.as_str()), (400, "field label not supported: spec.colour"));
    }
}
