//! A look at a namespace for `cutover init`: lists, and nothing else.
//!
//! What may not be listed is said and left out: a runbook can be written without it. What a server does not serve, such as
//! routes or rollouts, is not there. Names and labels that Kubernetes itself would refuse are left out too, since a runbook
//! is written from them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Container, Probe, Service},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    domain::{
        safe_text::SafeText,
        survey::{
            FoundAutoscaler, FoundBudget, FoundContainer, FoundController, FoundDeployment, FoundRoute,
            FoundService, Labels, Survey, is_label, is_object_name,
        },
    },
    engine::ports::{PortError, PortResult},
};

use super::{
    KubeConnector, access,
    call::{
        AUTOSCALERS, BUDGETS, Call, DEPLOYMENTS, HTTP_ROUTES, NAMESPACES, OLD_BUDGETS, REPLICA_SETS,
        Resource, SERVICES,
    },
    cause::cause,
    fault::Failure,
    gateway::{Gateway, PAGE, Page},
    pod::TEMPLATE_HASH,
};

/// Argo Rollouts.
static ROLLOUTS: Resource = Resource::known("argoproj.io", "v1alpha1", "rollouts", "rollout");
/// Flagger.
static CANARIES: Resource = Resource::known("flagger.app", "v1beta1", "canaries", "canary");

/// Namespaces of the control plane, in which nobody deploys.
const OF_THE_SYSTEM: &[&str] = &["kube-system", "kube-public", "kube-node-lease"];

/// The most objects of a kind that are taken in: a namespace with more is none that a person could choose from.
const MOST: usize = 5_000;

/// A connection that only lists.
pub struct KubeSurvey {
    gateway: Gateway,
}

impl std::fmt::Debug for KubeSurvey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeSurvey").finish_non_exhaustive()
    }
}

/// All objects of a kind.
enum Listed<T> {
    All(Vec<T>),
    /// Why not, with what to ask for.
    Forbidden(String),
    /// This server has no such kind.
    NotServed,
}

/// An object of which only its name and namespace are wanted.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    metadata: ObjectMeta,
}

impl KubeConnector {
    /// Connects to look at namespaces. `context` is the kubeconfig's; its current one where none is given.
    ///
    /// # Errors
    /// If the kubeconfig can't be used: in words.
    pub async fn survey(&self, context: Option<&str>) -> PortResult<KubeSurvey> {
        let gateway = Gateway::open(self.source.clone(), context, None, self.timing.clone()).await?;
        Ok(KubeSurvey { gateway })
    }
}

impl KubeSurvey {
    /// The context and the API server's URL.
    pub fn place(&self) -> (String, String) {
        let session = self.gateway.session();
        (session.context, session.server)
    }

    /// The namespace that the kubeconfig's context names; nothing where it names none, or `default`.
    pub fn own_namespace(&self) -> Option<String> {
        let session = self.gateway.session();
        let name = session.client.default_namespace();
        (name != "default" && is_object_name(name)).then(|| name.to_owned())
    }

    /// The namespaces that somebody may deploy in, sorted; those with a Deployment where all may be listed.
    ///
    /// # Errors
    /// If they can't be listed, or this is not allowed: in words.
    pub async fn namespaces(&self) -> PortResult<Vec<String>> {
        let with_deployments = self.list::<Named>(Call::list(&DEPLOYMENTS, None).metadata_only()).await?;
        let mut names: Vec<String> = match with_deployments {
            Listed::All(all) => all.into_iter().filter_map(|one| one.metadata.namespace).collect(),
            Listed::Forbidden(_) | Listed::NotServed => Vec::new(),
        };
        if names.is_empty() {
            names = match self.list::<Named>(Call::list(&NAMESPACES, None).metadata_only()).await? {
                Listed::All(all) => all.into_iter().filter_map(|one| one.metadata.name).collect(),
                Listed::Forbidden(why) => return Err(PortError::failed(why)),
                Listed::NotServed => Vec::new(),
            };
        }
        names.retain(|name| is_object_name(name) && !OF_THE_SYSTEM.contains(&name.as_str()));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// All that a runbook can be written from in a namespace.
    ///
    /// # Errors
    /// If the server does not answer, or Services or Deployments may not be listed: in words.
    pub async fn read(&self, namespace: &str) -> PortResult<Survey> {
        let identity = access::identify(&self.gateway, namespace).await?;
        let in_it = |resource: &Resource| Call::list(resource, Some(namespace));
        let (services, deployments) = tokio::try_join!(
            self.list::<Service>(in_it(&SERVICES)),
            self.list::<Deployment>(in_it(&DEPLOYMENTS))
        )?;
        let (services, deployments) = (needed(services), needed(deployments));
        // Both sentences, so that both rights are asked for at once.
        let refused: Vec<String> =
            [services.as_ref().err(), deployments.as_ref().err()].into_iter().flatten().cloned().collect();
        let (Ok(services), Ok(deployments)) = (services, deployments) else {
            return Err(PortError::failed(refused.join("; ")));
        };
        let groups = self.groups().await;
        let groups = groups.as_deref();
        let (sets, autoscalers, routes, budgets, rollouts, canaries) = tokio::try_join!(
            self.list::<ReplicaSet>(in_it(&REPLICA_SETS)),
            self.list::<Value>(in_it(&AUTOSCALERS)),
            self.list_of(groups, &HTTP_ROUTES, namespace),
            self.budgets(namespace),
            self.list_of(groups, &ROLLOUTS, namespace),
            self.list_of(groups, &CANARIES, namespace),
        )?;
        let mut survey = Survey {
            context: identity.context,
            server: identity.server,
            cluster_uid: identity.uid,
            namespace: namespace.to_owned(),
            ..Survey::default()
        };
        let forbidden = &mut survey.forbidden;
        let sets = allowed(sets, forbidden);
        let (autoscalers, routes) = (allowed(autoscalers, forbidden), allowed(routes, forbidden));
        let budgets = allowed(budgets, forbidden);
        let (rollouts, canaries) = (allowed(rollouts, forbidden), allowed(canaries, forbidden));
        survey.services = services.iter().filter_map(service).collect();
        survey.deployments = deployments.iter().filter_map(|one| deployment(one, &sets)).collect();
        survey.routes = routes.iter().filter_map(|one| route(one, namespace)).collect();
        survey.autoscalers = autoscalers.iter().filter_map(autoscaler).collect();
        survey.budgets = budgets.iter().filter_map(budget).collect();
        survey.controllers = rollouts.iter().filter_map(rollout).collect();
        survey.controllers.extend(canaries.iter().filter_map(canary));
        Ok(survey)
    }

    /// The API groups that the server has; nothing where it does not say.
    async fn groups(&self) -> Option<Vec<String>> {
        let all: Value = self.gateway.read(&Call::path("/apis")).await.ok()?;
        let names = all["groups"].as_array()?.iter().filter_map(|group| text(group, "/name"));
        Some(names.collect())
    }

    /// Objects of a kind that many clusters do not have. Without rights a server refuses kinds that it does not even know, so its
    /// groups are looked at first.
    async fn list_of(
        &self,
        groups: Option<&[String]>,
        resource: &Resource,
        namespace: &str,
    ) -> PortResult<Listed<Value>> {
        if groups.is_some_and(|groups| groups.iter().all(|group| *group != resource.group)) {
            return Ok(Listed::NotServed);
        }
        self.list(Call::list(resource, Some(namespace))).await
    }

    /// Budgets in the version that the server has.
    async fn budgets(&self, namespace: &str) -> PortResult<Listed<Value>> {
        match self.list(Call::list(&BUDGETS, Some(namespace))).await? {
            Listed::NotServed => self.list(Call::list(&OLD_BUDGETS, Some(namespace))).await,
            listed => Ok(listed),
        }
    }

    /// Lists a kind page by page. A right that is missing, or a kind that the server does not have, is an answer;
    /// everything else is an error.
    async fn list<T: DeserializeOwned>(&self, call: Call) -> PortResult<Listed<T>> {
        let limit = PAGE.to_string();
        let mut page_call = call.clone().with("limit", limit.clone());
        let mut all = Vec::new();
        loop {
            let body = match self.gateway.try_read(&page_call).await {
                Ok(body) => body,
                Err((session, failure)) => {
                    return match failure.code() {
                        Some(403) => Ok(Listed::Forbidden(failure.told(&call, &session).message)),
                        Some(404) => Ok(Listed::NotServed),
                        _ => Err(failure.told(&call, &session)),
                    };
                }
            };
            let page: Page<T> = serde_json::from_slice(&body)
                .map_err(|fault| Failure::Unreadable(cause(&fault)).told(&call, &self.gateway.session()))?;
            all.extend(page.items.into_iter().flatten());
            match page.metadata.continue_.filter(|token| !token.is_empty() && all.len() < MOST) {
                Some(token) => {
                    page_call = call.clone().with("limit", limit.clone()).with("continue", token);
                }
                None => return Ok(Listed::All(all)),
            }
        }
    }
}

/// The objects, or why they are not to be had, where nothing can be written without them.
fn needed<T>(listed: Listed<T>) -> Result<Vec<T>, String> {
    match listed {
        Listed::All(all) => Ok(all),
        Listed::Forbidden(why) => Err(why),
        Listed::NotServed => Ok(Vec::new()),
    }
}

/// What may be listed; a refusal is noted for whoever reads the runbook, and stops nothing.
fn allowed<T>(listed: Listed<T>, forbidden: &mut Vec<String>) -> Vec<T> {
    needed(listed).unwrap_or_else(|why| {
        forbidden.push(why);
        Vec::new()
    })
}

/// Names go into a file that people run, so only those that Kubernetes itself would take are taken over.
fn name_of(metadata: &ObjectMeta) -> Option<String> {
    metadata.name.clone().filter(|name| is_object_name(name))
}

/// Labels that Kubernetes would take; nothing where one is none.
fn labels_of(labels: Option<&BTreeMap<String, String>>) -> Option<Labels> {
    let labels = labels.cloned().unwrap_or_default();
    labels.iter().all(|(key, value)| is_label(key) && is_label(value)).then_some(labels)
}

/// A Service that selects pods. One without a selector leads to addresses that somebody else keeps, and is no
/// candidate.
fn service(service: &Service) -> Option<FoundService> {
    let spec = service.spec.as_ref()?;
    let selector = labels_of(spec.selector.as_ref()).filter(|selector| !selector.is_empty())?;
    let headless = spec.cluster_ip.as_deref() == Some("None");
    Some(FoundService { name: name_of(&service.metadata)?, selector, headless })
}

/// A Deployment as far as a runbook needs it.
fn deployment(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<FoundDeployment> {
    let (metadata, spec) = (&deployment.metadata, &deployment.spec);
    let pods = spec.template.spec.as_ref()?;
    let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    let status = deployment.status.as_ref();
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let owner = owner.map(|owner| format!("{}/{}", owner.kind.to_ascii_lowercase(), owner.name));
    Some(FoundDeployment {
        name: name_of(metadata)?,
        labels: labels_of(spec.template.metadata.as_ref().and_then(|template| template.labels.as_ref()))?,
        containers: pods.containers.iter().filter_map(container).collect(),
        replicas: count(spec.replicas).unwrap_or(1),
        ready: count(status.and_then(|status| status.ready_replicas)).unwrap_or(0),
        recreate: spec.strategy.as_ref().and_then(|it| it.type_.as_deref()) == Some("Recreate"),
        paused: spec.paused == Some(true),
        hash: newest(deployment, sets),
        applied_by: applied_by(metadata),
        owner: owner.map(|owner| SafeText::from(owner).into()),
    })
}

/// The `pod-template-hash` of the `ReplicaSet` that has the Deployment's own revision.
fn newest(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<String> {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let revision = |metadata: &ObjectMeta| metadata.annotations.as_ref()?.get(REVISION).cloned();
    let (uid, wanted) = (deployment.metadata.uid.as_ref()?, revision(&deployment.metadata)?);
    let own = |set: &&ReplicaSet| {
        set.metadata.owner_references.iter().flatten().any(|owner| owner.uid == *uid)
            && revision(&set.metadata).as_ref() == Some(&wanted)
    };
    let set = sets.iter().find(own)?;
    set.metadata.labels.as_ref()?.get(TEMPLATE_HASH).cloned().filter(|hash| is_label(hash))
}

/// A container; its readiness probe tells which path says that the application is well.
fn container(container: &Container) -> Option<FoundContainer> {
    let probe = container.readiness_probe.as_ref();
    let get = probe.and_then(|probe| probe.http_get.as_ref());
    Some(FoundContainer {
        name: Some(container.name.clone()).filter(|name| is_object_name(name))?,
        image: container.image.clone().unwrap_or_default(),
        readiness: probe.map(words),
        health_path: get.map(|get| get.path.clone().unwrap_or_else(|| "/".to_owned())),
    })
}

/// `GET /health on port 8080`.
fn words(probe: &Probe) -> String {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    if let Some(get) = &probe.http_get {
        return format!("GET {} on port {}", get.path.as_deref().unwrap_or("/"), port(&get.port));
    }
    if let Some(socket) = &probe.tcp_socket {
        return format!("a connection to port {}", port(&socket.port));
    }
    if let Some(grpc) = &probe.grpc {
        return format!("gRPC on port {}", grpc.port);
    }
    "a command in the container".to_owned()
}

/// Who applies an object again and again, by the marks that they leave on it.
fn applied_by(metadata: &ObjectMeta) -> Option<String> {
    let label = |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
    let note = |key: &str| metadata.annotations.as_ref().and_then(|notes| notes.get(key)).cloned();
    let argo = note("argocd.argoproj.io/tracking-id")
        .map(|id| id.split(':').next().unwrap_or_default().to_owned())
        .or_else(|| label("argocd.argoproj.io/instance"));
    let flux = label("kustomize.toolkit.fluxcd.io/name").or_else(|| label("helm.toolkit.fluxcd.io/name"));
    let who = argo.map(|name| format!("Argo CD (application {name})"));
    let who = who.or_else(|| flux.map(|name| format!("Flux ({name})")))?;
    Some(SafeText::from(who).into())
}

/// A text of an object that has no type of its own here.
fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// A name that no object can have is none: it would stand in a command that somebody pastes.
fn object_name(object: &Value, pointer: &str) -> Option<String> {
    text(object, pointer).filter(|name| is_object_name(name))
}

/// All or none: a selector with a part left out selects more.
fn labels(object: &Value, pointer: &str) -> Option<Labels> {
    let map = object.pointer(pointer)?.as_object()?;
    let pairs = map.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    labels_of(Some(&pairs.collect::<Option<BTreeMap<_, _>>>()?))
}

/// A route as it weighs Services of its own namespace.
fn route(object: &Value, namespace: &str) -> Option<FoundRoute> {
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let hosts = list("/spec/hostnames").filter_map(Value::as_str).map(str::to_owned).collect();
    let backend = |backend: &Value| {
        let is = |key: &str, wanted: &str| backend[key].as_str().is_none_or(|value| value == wanted);
        let ours = is("kind", "Service") && is("group", "") && is("namespace", namespace);
        let weight = backend["weight"].as_u64().map_or(1, |weight| u32::try_from(weight).unwrap_or(u32::MAX));
        ours.then(|| object_name(backend, "/name")).flatten().map(|name| (name, weight))
    };
    let rules = list("/spec/rules").map(|rule| {
        let backends = rule["backendRefs"].as_array().into_iter().flatten();
        backends.filter_map(backend).collect()
    });
    Some(FoundRoute { name: object_name(object, "/metadata/name")?, hosts, rules: rules.collect() })
}

/// An autoscaler of a Deployment: its replicas are not for a runbook to set.
fn autoscaler(object: &Value) -> Option<FoundAutoscaler> {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64);
    let count = |pointer: &str| number(pointer).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    (text(object, "/spec/scaleTargetRef/kind")? == "Deployment").then_some(())?;
    Some(FoundAutoscaler {
        name: object_name(object, "/metadata/name")?,
        deployment: object_name(object, "/spec/scaleTargetRef/name")?,
        min: count("/spec/minReplicas").unwrap_or(1),
        max: count("/spec/maxReplicas").unwrap_or(1),
    })
}

/// A disruption budget, as it was written: a count or a percentage.
fn budget(object: &Value) -> Option<FoundBudget> {
    let wants = ["minAvailable", "maxUnavailable"].iter().find_map(|key| {
        let value = object.pointer(&format!("/spec/{key}")).filter(|value| !value.is_null())?;
        Some(format!("{key} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    });
    Some(FoundBudget {
        name: object_name(object, "/metadata/name")?,
        selector: labels(object, "/spec/selector/matchLabels")?,
        wants: wants.unwrap_or_default(),
    })
}

/// An Argo Rollout, alone or on top of a Deployment: somebody else already directs this traffic.
fn rollout(object: &Value) -> Option<FoundController> {
    let reference = text(object, "/spec/workloadRef/kind").filter(|kind| kind == "Deployment");
    Some(FoundController {
        product: "Argo Rollouts",
        object: format!("rollout/{}", object_name(object, "/metadata/name")?),
        labels: labels(object, "/spec/template/metadata/labels").unwrap_or_default(),
        deployment: reference.and_then(|_| object_name(object, "/spec/workloadRef/name")),
    })
}

/// A Flagger canary: it changes its Deployment and its routes by itself.
fn canary(object: &Value) -> Option<FoundController> {
    let reference = text(object, "/spec/targetRef/kind").filter(|kind| kind == "Deployment");
    Some(FoundController {
        product: "Flagger",
        object: format!("canary/{}", object_name(object, "/metadata/name")?),
        labels: Labels::new(),
        deployment: reference.and_then(|_| object_name(object, "/spec/targetRef/name")),
    })
}

#[cfg(test)]
mod tests;
