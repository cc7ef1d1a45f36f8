//! API discovery.

use serde_json::{Map, Value, json};

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

/// Every group and version there is, with or without the Gateway API, the core group first, each once.
fn versions(gateway_api: bool) -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    let there = RESOURCES.iter().filter(|resource| gateway_api || !resource.is_custom());
    let stored = there.map(|resource| (resource.group, resource.version));
    for one in stored.chain(REVIEWS.iter().map(|review| (review.0, review.1))) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// A group with its versions, the preferred one first.
fn group(name: &str, gateway_api: bool) -> Option<Value> {
    let versions: Vec<Value> = versions(gateway_api)
        .into_iter()
        .filter(|(group, _)| *group == name)
        .map(|(_, version)| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    let preferred = versions.first()?.clone();
    Some(json!({"name": name, "versions": versions, "preferredVersion": preferred}))
}

/// `/apis`
pub(super) fn group_list(gateway_api: bool) -> Value {
    let mut names: Vec<&str> =
        versions(gateway_api).into_iter().map(|(name, _)| name).filter(|name| !name.is_empty()).collect();
    names.dedup();
    let groups: Vec<_> = names.into_iter().filter_map(|name| group(name, gateway_api)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub(super) fn one_group(name: &str, gateway_api: bool) -> Option<Value> {
    let mut body = group(name, gateway_api).filter(|_| !name.is_empty())?;
    body["kind"] = json!("APIGroup");
    body["apiVersion"] = json!("v1");
    Some(body)
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub(super) fn resource_list(group: &str, version: &str, gateway_api: bool) -> Option<Value> {
    if !versions(gateway_api).contains(&(group, version)) {
        return None;
    }
    let mut rows = Vec::new();
    for resource in RESOURCES.iter().filter(|resource| (resource.group, resource.version) == (group, version))
    {
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

/// Every verb, whatever may be done: what a user may do is told by reviews, and not by discovery.
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

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// `/openapi/v3`: where each group's part is.
pub(super) fn openapi(gateway_api: bool) -> Value {
    let paths: Map<String, Value> = versions(gateway_api)
        .into_iter()
        .map(|(group, version)| {
            let path = path_of(group, version);
            let place = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=1")});
            (path, place)
        })
        .collect();
    json!({"paths": paths})
}

/// One group's part of the `OpenAPI` document. It has no schemas: what kubectl looks for before it sends an object is
/// whether the server checks fields and dry runs itself.
pub(super) fn openapi_of(group: &str, version: &str, gateway_api: bool) -> Option<Value> {
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let mut paths = Map::new();
    for resource in RESOURCES.iter().filter(|resource| (resource.group, resource.version) == (group, version))
    {
        let scope = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
        let path = format!("/{}/{scope}{}/{{name}}", path_of(group, version), resource.plural);
        paths.insert(
            path,
            json!({"patch": {
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": resource.name},
            }}),
        );
    }
    (versions(gateway_api).contains(&(group, version))).then(|| {
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": super::VERSION}, "paths": paths,
               "components": {"schemas": {}}})
    })
}
