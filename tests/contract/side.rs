//! One of the two worlds: calls to it, and what is written down of its answers.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::world::cluster::{Cluster, Fault, Misbehaviour};
use hyper::{Method, Request};
use kube::{Client, config::Kubeconfig};
use regex::Regex;
use serde_json::{Value, json};

pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const JSON: &str = "application/json";
/// Pods come up within this on a busy host, in either world.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// One of the two worlds, and what was written down there.
pub(crate) struct Side {
    pub(crate) client: Client,
    /// Nothing on the real side.
    pub(crate) simulated: Option<Arc<Cluster>>,
    pub(crate) namespace: String,
    pub(crate) told: String,
    kubeconfig: Value,
    masks: Vec<(Regex, &'static str)>,
}

/// Whose calls they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// May do everything.
    Admin,
    /// Is known, and may do nothing.
    Stranger,
    /// Has a token that nobody has given out.
    Nobody,
}

async fn client(kubeconfig: &str) -> Client {
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::from_yaml(kubeconfig).unwrap(), &options);
    Client::try_from(config.await.unwrap()).unwrap()
}

impl Side {
    pub(crate) async fn new(kubeconfig: &str, namespace: &str, simulated: Option<Arc<Cluster>>) -> Self {
        let mask = |pattern: &str, word| (Regex::new(pattern).unwrap(), word);
        Self {
            client: client(kubeconfig).await,
            simulated,
            namespace: namespace.to_owned(),
            told: String::new(),
            kubeconfig: serde_saphyr::from_str(kubeconfig).unwrap(),
            masks: vec![
                mask(&regex::escape(namespace), "NAMESPACE"),
                mask(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
                mask(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
                mask(r#"User \\?"[^"\\]*\\?""#, "User WHO"),
                mask(r"backend-(blue|green)-[0-9a-z]{8,10}(-[0-9a-z]{5})?", "backend-$1-HASH"),
            ],
        }
    }

    /// From now on it is somebody else who calls.
    pub(crate) async fn call_as(&mut self, caller: Caller) {
        if let Some(cluster) = &self.simulated {
            let all = json!({"kind": "ClusterRole", "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
            cluster.allow_only(if caller == Caller::Stranger { &[] } else { std::slice::from_ref(&all) });
            if caller == Caller::Nobody {
                let answer = Misbehaviour::Answer { code: 401, retry_after: None, applied: false };
                cluster.inject(Fault::next("GET", "/services/backend-service", answer));
            }
            return;
        }
        let mut kubeconfig = self.kubeconfig.clone();
        match caller {
            Caller::Admin => {}
            Caller::Stranger => kubeconfig["users"][0]["user"]["as"] = json!("stranger"),
            Caller::Nobody => kubeconfig["users"][0]["user"] = json!({"token": "nonsense"}),
        }
        self.client = client(&kubeconfig.to_string()).await;
    }

    fn masked(&self, text: &str) -> String {
        self.masks
            .iter()
            .fold(text.to_owned(), |text, (mask, word)| mask.replace_all(&text, *word).into_owned())
    }

    pub(crate) fn path(&self, resource: &str) -> String {
        let group = match resource.split(['/', '?']).next().unwrap_or_default() {
            "deployments" | "replicasets" => "/apis/apps/v1",
            "leases" => "/apis/coordination.k8s.io/v1",
            "httproutes" | "gateways" => "/apis/gateway.networking.k8s.io/v1",
            "horizontalpodautoscalers" => "/apis/autoscaling/v1",
            _ => "/api/v1",
        };
        format!("{group}/namespaces/{}/{resource}", self.namespace)
    }

    /// The status code and the body of an answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        resource: &str,
        kind: &str,
        body: &Value,
    ) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        self.call_raw(method, &self.path(resource), kind, body).await
    }

    pub(crate) async fn call_raw(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(kube::client::Body::from(body)).unwrap();
        let exchange = async {
            let answer = self.client.send(request).await.unwrap();
            let code = answer.status().as_u16();
            (code, http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes())
        };
        let Ok((code, body)) = tokio::time::timeout(PATIENCE, exchange).await else {
            panic!("no end of {path}\n{}", self.told);
        };
        let text = String::from_utf8_lossy(&body).into_owned();
        (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, resource: &str) -> Value {
        self.call(Method::GET, resource, JSON, &Value::Null).await.1
    }

    pub(crate) async fn patch(&self, resource: &str, kind: &str, body: Value) -> (u16, Value) {
        let (path, by) = resource.split_once('?').map_or((resource, ""), |(path, by)| (path, by));
        let by = if by.is_empty() { "fieldManager=contract".to_owned() } else { by.to_owned() };
        self.call(Method::PATCH, &format!("{path}?{by}"), kind, &body).await
    }

    /// The namespace may have no more pods than it has, or as many as it likes.
    pub(crate) async fn limit_pods(&self, limit: bool) {
        if let Some(cluster) = &self.simulated {
            return cluster.limit_quota(limit.then_some(1));
        }
        if !limit {
            self.call(Method::DELETE, "resourcequotas/pods", JSON, &Value::Null).await;
            return;
        }
        let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"},
                           "spec": {"hard": {"pods": "1"}}});
        self.call(Method::POST, "resourcequotas", JSON, &quota).await;
        let counted = |object: &Value| object["status"]["hard"]["pods"] == "1";
        self.until("resourcequotas/pods", "counted", counted).await;
    }

    /// Pods of green's next template find no room, or some.
    pub(crate) async fn limit_room(&self, limit: bool) {
        if let Some(cluster) = &self.simulated {
            cluster.limit_pods(limit.then_some(0));
        }
        let cpu = if limit { "500" } else { "10m" };
        let container = json!({"name": "backend", "resources": {"requests": {"cpu": cpu}}});
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        self.patch("deployments/backend-green", STRATEGIC, patch).await;
    }

    // --- what is written down -------------------------------------------------------------------------------------------

    pub(crate) fn begin(&mut self, what: &str) {
        let _ = writeln!(self.told, "\n## {what}");
    }

    pub(crate) fn tell(&mut self, what: &str, value: impl std::fmt::Display) {
        let line = self.masked(&format!("{what}: {value}"));
        let _ = writeln!(self.told, "{line}");
    }

    /// An answer in the words that matter: an error's whole, of an object nothing.
    pub(crate) fn tell_answer(&mut self, what: &str, (code, body): &(u16, Value)) {
        if *code < 400 {
            return self.tell(what, code);
        }
        let details = json!({
            "name": body["details"]["name"],
            "kind": body["details"]["kind"],
            "causes": body["details"]["causes"],
        });
        let told = format!("{code} {} {} {details}", body["reason"], body["message"]);
        self.tell(what, told);
    }

    /// Who owns which fields under `spec`, as the server keeps it.
    pub(crate) fn tell_owners(&mut self, what: &str, object: &Value) {
        let mut owners: Vec<String> = object["metadata"]["managedFields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|entry| entry["manager"] == "contract" || entry["manager"] == "scaler")
            .map(|entry| {
                let spec = &entry["fieldsV1"]["f:spec"];
                format!("{} {} sub={} {spec}", entry["manager"], entry["operation"], entry["subresource"])
            })
            .collect();
        owners.sort();
        self.tell(what, owners.join(" | "));
    }

    /// Waits until this is so, and gives the object.
    pub(crate) async fn until(&self, resource: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let object = self.get(resource).await;
            if is(&object) {
                return object;
            }
            assert!(Instant::now() < until, "never: {what}: {object:#}\n{}", self.told);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn tell_conditions(&mut self, what: &str, object: &Value) {
        let mut told: Vec<String> = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|condition| {
                format!(
                    "{}={} {} {}",
                    condition["type"], condition["status"], condition["reason"], condition["message"]
                )
            })
            .collect();
        told.sort();
        self.tell(what, told.join(" | "));
    }
}

pub(crate) fn observed(object: &Value) -> bool {
    object["metadata"]["generation"] == object["status"]["observedGeneration"]
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == kind);
    found.unwrap_or(&Value::Null)
}

pub(crate) fn count(object: &Value, field: &str) -> i64 {
    object["status"][field].as_i64().unwrap_or(0)
}
