//! What the API tells about itself.

use serde_json::{Value, json};

use super::resource::{RESOURCES, REVIEWS, Resource};

/// `/version`
pub(super) fn version() -> Value {
    let number = super::VERSION.trim_start_matches('v');
    let mut parts = number.split('.');
    json!({
        "major": parts.next().unwrap_or_default(),
        "minor": parts.next().unwrap_or_default(),
        "gitVersion": super::VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2025-04-22T16:02:27Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    })
}

/// `/api`
pub(super) fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// The named groups with their versions, in the order they are announced.
fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<(&str, &str)> = Vec::new();
    let stored = RESOURCES.iter().map(|resource| (resource.group, resource.version));
    for group in stored.chain(REVIEWS.iter().map(|review| (review.0, review.1))) {
        if !group.0.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

/// `/apis`
pub(super) fn group_list() -> Value {
    let groups: Vec<_> = groups().into_iter().map(|(name, version)| group(name, version)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub(super) fn one_group(name: &str) -> Option<Value> {
    let (name, version) = groups().into_iter().find(|(known, _)| *known == name)?;
    let mut body = group(name, version);
    body["kind"] = json!("APIGroup");
    body["apiVersion"] = json!("v1");
    Some(body)
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub(super) fn resource_list(group: &str, version: &str) -> Option<Value> {
    let mut rows = Vec::new();
    for resource in RESOURCES.iter().filter(|resource| (resource.group, resource.version) == (group, version)) {
        rows.push(row(resource));
        rows.extend(resource.subresources.iter().map(|subresource| subresource_row(resource, subresource)));
    }
    for review in REVIEWS.iter().filter(|review| (review.0, review.1) == (group, version)) {
        rows.push(json!({"name": review.2, "singularName": review.3.to_lowercase(), "namespaced": false, "kind": review.3,
                         "verbs": ["create"]}));
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!rows.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows})
    })
}

fn row(resource: &Resource) -> Value {
    let mut row = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.name,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    });
    if !resource.short.is_empty() {
        row["shortNames"] = json!(resource.short);
    }
    if resource.in_all {
        row["categories"] = json!(["all"]);
    }
    row
}

fn subresource_row(resource: &Resource, subresource: &str) -> Value {
    let mut row = json!({
        "name": format!("{}/{subresource}", resource.plural),
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.name,
        "verbs": ["get", "patch", "update"],
    });
    match subresource {
        "scale" => {
            row["group"] = json!("autoscaling");
            row["version"] = json!("v1");
            row["kind"] = json!("Scale");
        }
        "log" => row["verbs"] = json!(["get"]),
        "eviction" => {
            row["group"] = json!("policy");
            row["version"] = json!("v1");
            row["kind"] = json!("Eviction");
            row["verbs"] = json!(["create"]);
        }
        _ => {}
    }
    row
}
