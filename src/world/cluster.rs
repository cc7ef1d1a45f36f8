//! A Kubernetes API server with just enough of a cluster behind it to deploy, switch, shift and roll back Deployments:
//! real HTTP on a loopback port, answering kubectl and every other client as the real one would.
//!
//! ```text
//! server     connections, answers that go on (watches, followed logs), faults on request
//! api        one request -> one answer; write: the verbs that change; watching; validate, route, patch, fields (who set what), selector, table
//! state      objects (store) and the agenda: what happens when, in simulated time
//! controllers, rollout, endpoints, kubelet, gateway    what a control plane, its nodes and a gateway do by themselves
//! directing  who gets the users' requests
//! seed       the cluster at the beginning; trouble, hindrance: what makes a real one awkward
//! ```
//!
//! What happens depends on the [`Scenario`] and on the [`WorldClock`] alone, not on how often anyone looks. Transport matters
//! (watch timeouts, bookmarks, late answers) go by real time, as a client's own deadlines do.

mod api;
mod controllers;
mod created;
mod delete;
mod directing;
mod discovery;
mod endpoints;
mod event_view;
mod fault;
mod fields;
mod gateway;
mod hindrance;
mod kubelet;
mod life;
mod logs;
mod object;
mod patch;
mod resource;
mod roles;
mod rollout;
mod route;
mod scale;
mod seed;
mod selector;
mod server;
mod similar;
mod state;
mod status;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod trouble;
mod validate;
mod watching;
mod weather;
mod write;

use std::{collections::BTreeMap, io, sync::Arc};

use serde_json::{Value, json};

pub use self::{
    fault::{Fault, Misbehaviour},
    server::Recorded,
};
use self::{
    object::{name, put, string_map},
    resource::Kind,
    server::Shared,
    state::State,
};
use super::{
    clock::WorldClock,
    scenario::Scenario,
    stage::{Furniture, Picture, Stage},
};

/// The version that the cluster says it is.
const VERSION: &str = "v1.32.4";
/// Who everyone is to this cluster.
const USER: &str = "operator";

/// A running cluster. Dropping it stops it: watches end, the port closes.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    context: String,
    namespace: String,
}

/// A change by someone else than us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignEdit {
    /// The Service selects other pods.
    Selector(BTreeMap<String, String>),
    /// A Deployment's container gets another image.
    Image {
        /// The Deployment.
        deployment: String,
        /// Its new image.
        image: String,
    },
    /// A Deployment gets another number of replicas.
    Replicas {
        /// The Deployment.
        deployment: String,
        /// Its new number.
        replicas: u32,
    },
    /// The backends of a route's rule get other weights, in their order; what is not named keeps its own.
    Weights {
        /// The `HTTPRoute`.
        route: String,
        /// The rule's index.
        rule: usize,
        /// Their new weights.
        weights: Vec<u32>,
    },
}

impl Cluster {
    /// Starts a cluster on a free loopback port. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start(furniture: Furniture, scenario: Scenario, clock: WorldClock) -> io::Result<Arc<Self>> {
        let listener = server::bind().await?;
        let (context, namespace) = (furniture.context.clone(), furniture.namespace.clone());
        let state = State::new(furniture, scenario, clock.now_ms());
        let shared = Arc::new(Shared::new(state, listener.local_addr()?, clock));
        tokio::spawn(server::listen(Arc::clone(&shared), listener));
        tokio::spawn(server::play(Arc::clone(&shared)));
        if scenario == Scenario::BadLine {
            tokio::spawn(weather::play(Arc::clone(&shared)));
        }
        Ok(Arc::new(Self { shared, context, namespace }))
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// A kubeconfig (YAML) with one context, which leads here.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        // JSON strings are YAML strings.
        let (context, namespace, url) = (json!(self.context), json!(self.namespace), json!(self.url()));
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             current-context: {context}\n\
             clusters:\n\
             - name: {context}\n  cluster:\n    server: {url}\n\
             users:\n\
             - name: {USER}\n  user:\n    token: rehearsal\n\
             contexts:\n\
             - name: {context}\n  context:\n    cluster: {context}\n    user: {USER}\n    namespace: {namespace}\n"
        )
    }

    // --- for tests ---------------------------------------------------------------------------------------------

    /// Lets requests fail. Faults are tried in the order they were injected.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults().push(fault);
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }

    /// The requests so far as (method, path without query), oldest first; the newest few thousand.
    #[must_use]
    pub fn requests(&self) -> Vec<(String, String)> {
        self.recorded().into_iter().map(|request| (request.method, request.path)).collect()
    }

    /// The same with their queries.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.requests().iter().cloned().collect()
    }

    /// How many requests with this method had `path` in their path.
    #[must_use]
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.shared
            .requests()
            .iter()
            .filter(|request| request.method == method && request.path.contains(path))
            .count()
    }

    /// Ends all watches there are, as a server that restarts does.
    pub fn close_watches(&self) {
        self.shared.end_watches();
    }

    /// Forgets all changes so far: whoever watches from before now gets a 410.
    pub fn expire_history(&self) {
        self.shared.change(|state| state.store.compact());
    }

    /// Stops or restarts everything that happens by itself: controllers, kubelets, the scenario. Meanwhile statuses lag behind.
    pub fn freeze(&self, frozen: bool) {
        self.shared.change(|state| state.frozen = frozen);
    }

    /// Forbids a verb on a resource, say `patch` on `services` or `deployments/scale`: reviews say so, requests get 403.
    pub fn deny(&self, verb: &str, resource: &str) {
        self.shared.change(|state| state.denied.insert((verb.to_owned(), resource.to_owned())));
    }

    /// Allows what [`Cluster::deny`] forbade.
    pub fn allow(&self, verb: &str, resource: &str) {
        self.shared.change(|state| state.denied.remove(&(verb.to_owned(), resource.to_owned())));
    }

    /// Changes something as the field manager `manager`. Says whether there was such an object.
    #[must_use = "there may be nothing of this name"]
    pub fn foreign_edit(&self, manager: &str, edit: &ForeignEdit) -> bool {
        let change = |object: &mut Value| match edit {
            ForeignEdit::Selector(selector) => put(object, "/spec/selector", json!(selector)),
            ForeignEdit::Image { image, .. } => {
                if let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") {
                    container["image"] = json!(image);
                }
            }
            ForeignEdit::Replicas { replicas, .. } => put(object, "/spec/replicas", *replicas),
            ForeignEdit::Weights { rule, weights, .. } => {
                let backends = object.pointer_mut(&format!("/spec/rules/{rule}/backendRefs"));
                let backends = backends.and_then(Value::as_array_mut).into_iter().flatten();
                for (backend, weight) in backends.zip(weights) {
                    backend["weight"] = json!(weight);
                }
            }
        };
        self.shared.change(|state| {
            let key = match edit {
                ForeignEdit::Selector(_) => state.key(Kind::Service, &state.furniture.service),
                ForeignEdit::Image { deployment, .. } | ForeignEdit::Replicas { deployment, .. } => {
                    state.key(Kind::Deployment, deployment)
                }
                ForeignEdit::Weights { route, .. } => state.key(Kind::HttpRoute, route),
            };
            let Some(mut object) = state.store.get(&key).map(|object| Value::clone(object)) else {
                return false;
            };
            change(&mut object);
            // People scale with `kubectl scale`, which is a subresource.
            let scales = matches!(edit, ForeignEdit::Replicas { .. });
            state.write(key.kind, object, manager, scales.then_some("scale"));
            true
        })
    }

    /// The Service's selector.
    #[must_use]
    pub fn selector(&self) -> BTreeMap<String, String> {
        let state = self.shared.state();
        let service = state.store.get(&state.key(Kind::Service, &state.furniture.service));
        service.map(|service| string_map(service, "/spec/selector")).unwrap_or_default()
    }

    /// An object by its plural, say `deployments`, and its name, in the furniture's namespace.
    #[must_use]
    pub fn object(&self, plural: &str, name: &str) -> Option<Value> {
        let kind = resource::RESOURCES.iter().find(|resource| resource.plural == plural)?.kind;
        let state = self.shared.state();
        state.store.get(&state.key(kind, name)).map(|object| Value::clone(object))
    }

    /// Makes an object by its plural, in the furniture's namespace, as `kubectl create` would.
    pub fn create(&self, plural: &str, mut object: Value) {
        let Some(resource) = resource::RESOURCES.iter().find(|resource| resource.plural == plural) else {
            return;
        };
        put(&mut object, "/metadata/namespace", self.namespace.as_str());
        self.shared.change(|state| state.create(resource.kind, object, "kubectl-create", state.now));
    }

    /// Changes an object by hand. Says whether there was such an object.
    #[must_use = "there may be nothing of this name"]
    pub fn edit(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(resource) = resource::RESOURCES.iter().find(|resource| resource.plural == plural) else {
            return false;
        };
        self.shared.change(|state| {
            let key = state.key(resource.kind, name);
            let Some(mut object) = state.store.get(&key).map(|object| Value::clone(object)) else {
                return false;
            };
            change(&mut object);
            state.write(resource.kind, object, "kubectl-edit", None);
            true
        })
    }

    /// Deletes an object at once. Says whether there was such an object.
    #[must_use = "there may be nothing of this name"]
    pub fn delete(&self, plural: &str, name: &str) -> bool {
        let Some(resource) = resource::RESOURCES.iter().find(|resource| resource.plural == plural) else {
            return false;
        };
        self.shared.change(|state| {
            let key = state.key(resource.kind, name);
            state.store.remove(&key).is_some()
        })
    }

    /// Names of a Deployment's pods that are not on their way out.
    #[must_use]
    pub fn pods(&self, deployment: &str) -> Vec<String> {
        self.shared.state().pods_of(deployment).iter().map(|pod| name(pod).to_owned()).collect()
    }

    /// Begins a pod's graceful end. Says whether there was such a pod.
    #[must_use = "there may be nothing of this name"]
    pub fn delete_pod(&self, pod: &str) -> bool {
        self.shared.change(|state| {
            let key = state.key(Kind::Pod, pod);
            state.terminate(&key, None).is_some()
        })
    }

    /// Lets a pod's container exit with code 1: at once back the first time, a crash loop soon after. Says whether there was
    /// such a pod.
    #[must_use = "there may be nothing of this name"]
    pub fn crash_pod(&self, pod: &str) -> bool {
        self.shared.change(|state| state.crash_pod(pod))
    }

    /// Gives a Deployment a `HorizontalPodAutoscaler`. It keeps the number of replicas there is, within its bounds, until it is
    /// told otherwise: see [`Cluster::autoscale`].
    pub fn add_autoscaler(&self, deployment: &str, minimum: u32, maximum: u32) {
        self.shared.change(|state| {
            let object = json!({
                "metadata": {"name": deployment, "namespace": state.namespace()},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
                    "minReplicas": minimum,
                    "maxReplicas": maximum,
                },
                "status": {"currentReplicas": 0, "desiredReplicas": 0},
            });
            state.create(Kind::HorizontalPodAutoscaler, object, "kubectl-autoscale", state.now);
        });
    }
}

impl Stage for Cluster {
    fn picture(&self) -> Picture {
        self.shared.state().picture()
    }

    fn pictures(&self, since: i64) -> Vec<(i64, Picture)> {
        self.shared.state().pictures(since)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

/// An image's repository and tag. The tag is empty where there is none; a digest counts as no part of either.
fn image_parts(image: &str) -> (&str, &str) {
    let plain = image.split('@').next().unwrap_or_default();
    match plain.rsplit_once(':') {
        // A colon before the last slash belongs to a port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (plain, ""),
    }
}
