//! Looks at what a run will meet, for `cutover check --online`: objects with who owns them, autoscalers, budgets, quotas, and what
//! `GitOps` controllers do. Nothing is written here.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        self,
        apps::v1::Deployment,
        autoscaling::v1::HorizontalPodAutoscaler,
        core::v1::{Container, PodSpec, ResourceQuota},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde_json::Value;

use crate::{
    domain::{
        director::RuleRef,
        online::picture::{
            Amounts, Autoscaler, Budget, ContainerSeen, DeploymentSeen, Found, Labels, LimitRange, Meta,
            Quota, RouteSeen, Scope, ServiceSeen, Sync, Tracker,
        },
        time::Span,
    },
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{
        AUTOSCALERS, BUDGETS, Call, DEPLOYMENTS, HTTP_ROUTES, OLD_BUDGETS, PODS, Resource, SERVICES, is_name,
    },
    headroom::requests,
    lean::LeanPod,
    pod::record,
    quantity::milli,
};

/// Kinds of which only the look before a start wants to know. Who tracks an object is found by its kind's own API, if it is
/// there.
static QUOTAS: Resource = Resource::known("", "v1", "resourcequotas", "resourcequota");
static LIMIT_RANGES: Resource = Resource::known("", "v1", "limitranges", "limitrange");
static APPLICATIONS: Resource = Resource::known("argoproj.io", "v1alpha1", "applications", "application");
static KUSTOMIZATIONS: Resource =
    Resource::known("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "kustomization");
static HELM_RELEASES: Resource =
    Resource::known("helm.toolkit.fluxcd.io", "v2", "helmreleases", "helmrelease");

/// Where Argo CD is, unless an object says otherwise.
const ARGO_NAMESPACE: &str = "argocd";

impl KubeCluster {
    /// As whom we ask.
    pub fn user(&self) -> String {
        self.gateway.session().login.user().to_owned()
    }

    /// A Service, with how many pods it selects now.
    ///
    /// # Errors
    /// If it can't be asked.
    pub async fn inspect_service(&self, name: &str) -> PortResult<Found<ServiceSeen>> {
        let call = Call::get(&SERVICES, Some(&self.target.namespace), name);
        let Some(service) = self.gateway.find::<Value>(&call).await? else {
            return Ok(Found::Absent(self.no_service_named(name).await));
        };
        let selector = labels_at(&service, "/spec/selector");
        let pods = if selector.is_empty() { None } else { self.count(&selector).await.ok() };
        Ok(Found::There(ServiceSeen { meta: meta_of(&service), selector, pods }))
    }

    /// Pods with these labels, and how many of them are ready.
    async fn count(&self, selector: &Labels) -> PortResult<(u32, u32)> {
        let each: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let call = Call::list(&PODS, Some(&self.target.namespace)).with("labelSelector", each.join(","));
        let (mut all, mut ready) = (0, 0);
        let listed = self.gateway.each(&call, |pod: LeanPod| {
            all += 1;
            ready += u32::from(record(&pod, &self.target.container).pod.ready);
        });
        listed.await?;
        Ok((all, ready))
    }

    /// A route, with the Services behind a rule.
    ///
    /// # Errors
    /// If it can't be asked.
    pub async fn inspect_route(&self, name: &str, rule: &RuleRef) -> PortResult<Found<RouteSeen>> {
        let call = Call::get(&HTTP_ROUTES, Some(&self.target.namespace), name);
        let Some(route) = self.gateway.find::<Value>(&call).await? else {
            return Ok(Found::Absent(self.no_route().await));
        };
        let rules = route.pointer("/spec/rules").and_then(Value::as_array);
        let found = rules.and_then(|rules| match rule {
            RuleRef::Number(number) => rules.get(*number),
            RuleRef::Name(name) => rules.iter().find(|rule| rule["name"] == name.as_str()),
        });
        let backends = found.map(|rule| {
            let all = rule["backendRefs"].as_array().into_iter().flatten();
            all.filter_map(|backend| backend["name"].as_str().map(str::to_owned)).collect()
        });
        Ok(Found::There(RouteSeen { meta: meta_of(&route), backends }))
    }

    /// A Deployment.
    ///
    /// # Errors
    /// If it can't be asked.
    pub async fn inspect_deployment(&self, name: &str) -> PortResult<Found<DeploymentSeen>> {
        let call = Call::get(&DEPLOYMENTS, Some(&self.target.namespace), name);
        match self.gateway.find::<Deployment>(&call).await? {
            Some(deployment) => Ok(Found::There(seen(deployment))),
            None => Ok(Found::Absent(self.no_deployment(name).await)),
        }
    }

    /// The autoscalers of the namespace.
    ///
    /// # Errors
    /// If they can't be listed.
    pub async fn inspect_autoscalers(&self) -> PortResult<Vec<Autoscaler>> {
        let mut found = Vec::new();
        let call = Call::list(&AUTOSCALERS, Some(&self.target.namespace));
        let listed = self.gateway.each(&call, |autoscaler: HorizontalPodAutoscaler| {
            let spec = autoscaler.spec;
            if spec.scale_target_ref.kind != "Deployment" {
                return;
            }
            found.push(Autoscaler {
                name: autoscaler.metadata.name.unwrap_or_default(),
                deployment: spec.scale_target_ref.name,
                least: number(spec.min_replicas.unwrap_or(1)),
                most: number(spec.max_replicas),
            });
        });
        listed.await?;
        Ok(found)
    }

    /// The disruption budgets of the namespace; none where the server does not know the kind.
    ///
    /// # Errors
    /// If they can't be listed.
    pub async fn budgets(&self) -> PortResult<Vec<Budget>> {
        for resource in [&BUDGETS, &OLD_BUDGETS] {
            let mut found = Vec::new();
            let call = Call::list(resource, Some(&self.target.namespace));
            match self.gateway.each(&call, |budget: Value| found.push(budget_of(&budget))).await {
                Ok(()) => return Ok(found),
                Err(PortError { kind: Fault::NotFound, .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(Vec::new())
    }

    /// The quotas of the namespace; none where the server does not know the kind.
    ///
    /// # Errors
    /// If they can't be listed.
    pub async fn quotas(&self) -> PortResult<Vec<Quota>> {
        let mut found = Vec::new();
        let call = Call::list(&QUOTAS, Some(&self.target.namespace));
        let listed = self.gateway.each(&call, |quota: ResourceQuota| found.push(quota_of(quota))).await;
        match listed {
            Ok(()) | Err(PortError { kind: Fault::NotFound, .. }) => Ok(found),
            Err(fault) => Err(fault),
        }
    }

    /// The limit ranges of the namespace; none where the server does not know the kind.
    ///
    /// # Errors
    /// If they can't be listed.
    pub async fn limit_ranges(&self) -> PortResult<Vec<LimitRange>> {
        let mut found = Vec::new();
        let call = Call::list(&LIMIT_RANGES, Some(&self.target.namespace));
        match self.gateway.each(&call, |range: api::core::v1::LimitRange| found.push(range_of(range))).await {
            Ok(()) | Err(PortError { kind: Fault::NotFound, .. }) => Ok(found),
            Err(fault) => Err(fault),
        }
    }

    /// What a `GitOps` controller does with an application.
    ///
    /// # Errors
    /// If its object can't be read, or is not there.
    pub async fn sync_of(&self, tracker: &Tracker) -> PortResult<Sync> {
        let (resource, namespace, name) = match tracker {
            Tracker::ArgoCd { namespace, name } => {
                (&APPLICATIONS, namespace.as_deref().unwrap_or(ARGO_NAMESPACE), name)
            }
            Tracker::Kustomization { namespace, name } => (&KUSTOMIZATIONS, namespace.as_str(), name),
            Tracker::HelmRelease { namespace, name } => (&HELM_RELEASES, namespace.as_str(), name),
        };
        // They come from labels that anybody may have written.
        if !is_name(namespace) || !is_name(name) {
            return Err(PortError::failed("its label is no name of an object"));
        }
        let object: Value = self.gateway.read(&Call::get(resource, Some(namespace), name)).await?;
        Ok(sync_in(tracker, &object))
    }

    /// Whether an object that a `patch` action names is there.
    ///
    /// # Errors
    /// If the kind is not known, or it can't be asked.
    pub async fn has_object(&self, kind: &str, name: &str) -> PortResult<bool> {
        if !is_name(name) {
            return Err(PortError::failed("its name is no name of a Kubernetes object; correct `name`"));
        }
        let resource = self.resource_of(kind).await?;
        let call = Call::get(&resource, Some(&self.target.namespace), name);
        Ok(self.gateway.find::<Value>(&call).await?.is_some())
    }
}

/// The API server has no negative ones; a webhook might let one through.
fn number(of: i32) -> u32 {
    u32::try_from(of).unwrap_or(0)
}

fn labels_at(object: &Value, pointer: &str) -> Labels {
    let fields = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn meta_of(object: &Value) -> Meta {
    let metadata = object.get("metadata").cloned().unwrap_or_default();
    meta(&serde_json::from_value::<ObjectMeta>(metadata).unwrap_or_default())
}

/// Managers tell who has written to it, also where neither labels nor owners do: server-side apply leaves its name.
fn meta(metadata: &ObjectMeta) -> Meta {
    let owners = metadata.owner_references.iter().flatten();
    let managers = metadata.managed_fields.iter().flatten();
    Meta {
        labels: metadata.labels.clone().unwrap_or_default(),
        annotations: metadata.annotations.clone().unwrap_or_default(),
        owners: owners.map(|owner| (owner.kind.clone(), owner.name.clone())).collect(),
        managers: managers.filter_map(|entry| entry.manager.clone()).collect(),
    }
}

/// What goes without saying is filled in as the API server does it, so that what is compared later is alike.
fn seen(deployment: Deployment) -> DeploymentSeen {
    let meta = meta(&deployment.metadata);
    let spec = deployment.spec;
    let replicas = number(spec.replicas.unwrap_or(1));
    let strategy = spec.strategy.unwrap_or_default();
    let surge = match strategy.rolling_update {
        _ if strategy.type_.as_deref() == Some("Recreate") => 0,
        Some(update) => surge_of(update.max_surge.as_ref(), replicas),
        None => surge_of(None, replicas),
    };
    let template = spec.template.metadata.unwrap_or_default();
    let pod = spec.template.spec.unwrap_or_default();
    let per_pod = per_pod(&pod);
    DeploymentSeen {
        meta,
        replicas,
        paused: spec.paused.unwrap_or(false),
        // The largest number means never.
        progress_deadline: Some(number(spec.progress_deadline_seconds.unwrap_or(600)))
            .filter(|seconds| *seconds < number(i32::MAX))
            .map(|seconds| Span::from_secs(seconds.into())),
        surge,
        pod_labels: template.labels.unwrap_or_default(),
        containers: pod.containers.into_iter().map(container).collect(),
        per_pod,
        priority: pod.priority_class_name.filter(|name| !name.is_empty()),
    }
}

fn container(one: Container) -> ContainerSeen {
    let resources = one.resources.unwrap_or_default();
    ContainerSeen {
        name: one.name,
        image: one.image.unwrap_or_default(),
        requests: amounts(resources.requests),
        limits: amounts(resources.limits),
    }
}

/// What a quota counts for one pod, under the names that a quota may write.
fn per_pod(pod: &PodSpec) -> Amounts {
    let mut per_pod = Amounts::new();
    for (resource, amount) in requests(pod) {
        match resource.as_str() {
            // A quota may write either name.
            "cpu" | "memory" => {
                per_pod.insert(format!("requests.{resource}"), amount);
                per_pod.insert(resource, amount);
            }
            "pods" => {
                per_pod.insert("count/pods".to_owned(), amount);
                per_pod.insert(resource, amount);
            }
            _ => drop(per_pod.insert(format!("requests.{resource}"), amount)),
        }
    }
    for container in &pod.containers {
        let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        for (resource, quantity) in limits.into_iter().flatten() {
            *per_pod.entry(format!("limits.{resource}")).or_default() += milli(quantity).unwrap_or(0);
        }
    }
    per_pod
}

/// Pods beyond the wanted number during a rollout: a number, or a percentage rounded up.
fn surge_of(most: Option<&IntOrString>, replicas: u32) -> u32 {
    match most {
        Some(IntOrString::Int(count)) => number(*count),
        Some(IntOrString::String(text)) => {
            let percent: u32 = text.trim_end_matches('%').parse().unwrap_or(25);
            replicas.saturating_mul(percent).div_ceil(100)
        }
        None => replicas.div_ceil(4),
    }
}

/// By its status and not by its spec: percentages and pods that come and go are the controller's to count.
fn budget_of(budget: &Value) -> Budget {
    let status = |field: &str| {
        let found = budget.pointer(&format!("/status/{field}")).and_then(Value::as_u64);
        u32::try_from(found.unwrap_or(0)).unwrap_or(u32::MAX)
    };
    let expressions = budget.pointer("/spec/selector/matchExpressions").and_then(Value::as_array);
    Budget {
        name: budget.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        selector: labels_at(budget, "/spec/selector/matchLabels"),
        has_expressions: expressions.is_some_and(|all| !all.is_empty()),
        allowed: status("disruptionsAllowed"),
        needed: status("desiredHealthy"),
        healthy: status("currentHealthy"),
    }
}

/// Amounts in thousandths.
fn amounts(of: Option<BTreeMap<String, Quantity>>) -> Amounts {
    of.into_iter().flatten().filter_map(|(resource, quantity)| Some((resource, milli(&quantity)?))).collect()
}

/// Scopes come in two forms, names alone and requirements: both limit which pods count.
fn quota_of(quota: ResourceQuota) -> Quota {
    let spec = quota.spec.unwrap_or_default();
    let short = spec.scopes.into_iter().flatten().map(|name| Scope { name, ..Scope::default() });
    let long = spec.scope_selector.and_then(|selector| selector.match_expressions).into_iter().flatten();
    let long = long.map(|one| Scope {
        name: one.scope_name,
        operator: one.operator,
        values: one.values.unwrap_or_default(),
    });
    Quota {
        name: quota.metadata.name.unwrap_or_default(),
        hard: amounts(spec.hard),
        used: amounts(quota.status.unwrap_or_default().used),
        scopes: short.chain(long).collect(),
    }
}

/// What a limit range says of containers; nothing of other things.
fn range_of(range: api::core::v1::LimitRange) -> LimitRange {
    let mut found = LimitRange { name: range.metadata.name.unwrap_or_default(), ..LimitRange::default() };
    let items = range.spec.map(|spec| spec.limits).unwrap_or_default();
    for item in items.into_iter().filter(|item| item.type_ == "Container") {
        found.default.extend(amounts(item.default));
        found.default_request.extend(amounts(item.default_request));
        found.max.extend(amounts(item.max));
        found.min.extend(amounts(item.min));
    }
    found
}

/// Each of the tools says in its own place whether it writes by itself. One that does not only shows a difference; one that
/// heals takes back what a run writes.
fn sync_in(tracker: &Tracker, object: &Value) -> Sync {
    let is = |pointer: &str| object.pointer(pointer).and_then(Value::as_bool) == Some(true);
    let some =
        |pointer: &str| object.pointer(pointer).and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    match tracker {
        Tracker::ArgoCd { .. } => {
            let automated = object.pointer("/spec/syncPolicy/automated");
            let enabled = object.pointer("/spec/syncPolicy/automated/enabled").and_then(Value::as_bool);
            if automated.is_none_or(Value::is_null) || enabled == Some(false) {
                Sync::ByHand
            } else if !is("/spec/syncPolicy/automated/selfHeal") {
                Sync::OnCommit
            } else if some("/spec/ignoreDifferences") {
                Sync::HealsSome
            } else {
                Sync::Heals
            }
        }
        Tracker::Kustomization { .. } if is("/spec/suspend") => Sync::Suspended,
        Tracker::Kustomization { .. } => Sync::Heals,
        Tracker::HelmRelease { .. } if is("/spec/suspend") => Sync::Suspended,
        Tracker::HelmRelease { .. } => {
            match object.pointer("/spec/driftDetection/mode").and_then(Value::as_str) {
                Some("enabled") if some("/spec/driftDetection/ignore") => Sync::HealsSome,
                Some("enabled") => Sync::Heals,
                _ => Sync::OnCommit,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_read_as_quotas_and_rollouts_count_it() {
        let object = json!({
            "metadata": { "name": "blue", "labels": { "a": "b" }, "ownerReferences": [
                { "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "shop", "uid": "1" }] },
            "spec": { "replicas": 3, "paused": true, "progressDeadlineSeconds": 60, "selector": {},
                "strategy": { "rollingUpdate": { "maxSurge": "50%" } },
                "template": { "metadata": { "labels": { "version": "blue" } }, "spec": { "containers": [
                    { "name": "app", "image": "shop:v1", "resources": { "requests": { "cpu": "250m" }, "limits": { "memory": "1Gi" } } }] } } }
        });
        let it = seen(serde_json::from_value(object).unwrap());
        assert_eq!((it.replicas, it.paused, it.surge), (3, true, 2));
        assert_eq!(it.progress_deadline, Some(Span::from_secs(60)));
        assert_eq!(it.meta.owners, [("Canary".to_owned(), "shop".to_owned())]);
        assert_eq!((it.per_pod["requests.cpu"], it.per_pod["pods"]), (250, 1000));
        assert_eq!(it.per_pod["limits.memory"], (1_i128 << 30) * 1000);
        assert!(!it.per_pod.contains_key("requests.memory"));
    }

    #[test]
    fn what_a_gitops_controller_does_is_read_from_its_object() {
        let argo = Tracker::ArgoCd { namespace: None, name: "shop".to_owned() };
        let policy = |automated: Value| json!({ "spec": { "syncPolicy": { "automated": automated } } });
        assert_eq!(sync_in(&argo, &policy(json!({ "selfHeal": true }))), Sync::Heals);
        assert_eq!(sync_in(&argo, &policy(json!({ "selfHeal": true, "enabled": false }))), Sync::ByHand);
        assert_eq!(sync_in(&argo, &policy(json!({ "prune": true }))), Sync::OnCommit);
        assert_eq!(sync_in(&argo, &json!({ "spec": {} })), Sync::ByHand);
        let flux = Tracker::Kustomization { namespace: "flux-system".to_owned(), name: "apps".to_owned() };
        assert_eq!(sync_in(&flux, &json!({ "spec": {} })), Sync::Heals);
        assert_eq!(sync_in(&flux, &json!({ "spec": { "suspend": true } })), Sync::Suspended);
    }

    #[test]
    fn budgets_and_quotas_are_read() {
        let budget = budget_of(&json!({
            "metadata": { "name": "shop" }, "spec": { "selector": { "matchLabels": { "app": "shop" } } },
            "status": { "disruptionsAllowed": 0, "desiredHealthy": 3, "currentHealthy": 3 }
        }));
        assert_eq!((budget.allowed, budget.needed, budget.healthy), (0, 3, 3));
        let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "pods": "4", "requests.cpu": "1500m" } },
            "status": { "used": { "pods": "3" } } });
        let quota = quota_of(serde_json::from_value(quota).unwrap());
        assert_eq!((quota.hard["pods"], quota.hard["requests.cpu"], quota.used["pods"]), (4000, 1500, 3000));
        let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "pods": "4" }, "scopes": ["NotBestEffort"],
            "scopeSelector": { "matchExpressions": [
                { "scopeName": "PriorityClass", "operator": "In", "values": ["high"] }] } } });
        let scopes = quota_of(serde_json::from_value(quota).unwrap()).scopes;
        let names: Vec<(&str, &str)> =
            scopes.iter().map(|scope| (scope.name.as_str(), scope.operator.as_str())).collect();
        assert_eq!(names, [("NotBestEffort", ""), ("PriorityClass", "In")]);
        let range = json!({ "metadata": { "name": "r" }, "spec": { "limits": [
            { "type": "Container", "default": { "memory": "1Gi" }, "max": { "cpu": "2" } },
            { "type": "PersistentVolumeClaim", "max": { "storage": "1Gi" } }] } });
        let range = range_of(serde_json::from_value(range).unwrap());
        assert_eq!((range.default["memory"], range.max["cpu"]), ((1_i128 << 30) * 1000, 2000));
        assert!(!range.max.contains_key("storage"));
    }
}
