//! Every strategy but blue-green by selector, which has the other flights: one Deployment, a canary by its pods, and weights of a
//! route. kubectl is the judge.

#[path = "strategies/gateway.rs"]
mod gateway;
#[path = "strategies/init.rs"]
mod init;
#[path = "strategies/recreate.rs"]
mod recreate;
#[path = "strategies/replicas.rs"]
mod replicas;
#[path = "strategies/rolling.rs"]
mod rolling;
#[path = "strategies/route.rs"]
mod route;
#[path = "strategies/sip.rs"]
mod sip;

use std::time::Duration;

use cutover::domain::{
    cause::HoldCause,
    event::{Outcome, RunEvent},
};
use serde_json::Value;

use super::{
    app::Way,
    helm::{Base as _, Helm},
    place::{NEW, OLD, Place},
    proxy::Trouble,
};

/// What a write of the way back may meet, and how often.
const TROUBLES: [(Trouble, u32); 4] = [
    (Trouble::Answer(503), 3),
    (Trouble::Cut, 2),
    (Trouble::AnswerLost, 1),
    (Trouble::Late(Duration::from_secs(3)), 1),
];

const HEAD: &str = include_str!("strategies/head.toml");

/// A runbook of the directory `strategies`, for an image, with what the application calls a slot.
fn runbook(course: &str, image: &str, slot: &str) -> String {
    [HEAD, course].concat().replace("@image@", image).replace("@slot@", slot)
}

/// A Deployment of so many pods, and what else its spec has. The template has more than an image.
fn deployment(namespace: &str, name: &str, labels: &str, [image, pods, more]: [&str; 3]) -> String {
    format!(
        "---\n\
         apiVersion: apps/v1\n\
         kind: Deployment\n\
         metadata: {{ name: {name}, namespace: {namespace} }}\n\
         spec:\n\
         \x20 replicas: {pods}\n\
         \x20 {more}\n\
         \x20 selector: {{ matchLabels: {{ {labels} }} }}\n\
         \x20 template:\n\
         \x20   metadata: {{ labels: {{ {labels} }}, annotations: {{ team: payments }} }}\n\
         \x20   spec:\n\
         \x20     terminationGracePeriodSeconds: 1\n\
         \x20     containers: [{{ name: backend, image: '{image}', env: [{{ name: MODE, value: plain }}] }}]\n"
    )
}

fn service(namespace: &str, name: &str, selector: &str) -> String {
    format!(
        "---\n\
         apiVersion: v1\n\
         kind: Service\n\
         metadata: {{ name: {name}, namespace: {namespace} }}\n\
         spec: {{ selector: {{ {selector} }}, ports: [{{ port: 80 }}] }}\n"
    )
}

fn namespace(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{ name: {name} }}\n")
}

/// A namespace with one slot live on so many pods, another one asleep beside it, and one Service that selects the pods of both.
fn two_slots(name: &str, [live, asleep]: [&str; 2], pods: usize) -> String {
    let slot = |slot: &str, image: &str, pods: &str| {
        let labels = format!("app: backend, version: {slot}");
        deployment(name, &format!("backend-{slot}"), &labels, [image, pods, "minReadySeconds: 0"])
    };
    [
        namespace(name),
        service(name, "backend-service", "app: backend"),
        slot(live, OLD, &pods.to_string()),
        slot(asleep, "registry.example.com/backend:v1.4.0", "0"),
    ]
    .concat()
}

/// A pod as kubectl shows it.
#[derive(Debug)]
struct Pod {
    /// Its Deployment's revision.
    hash: String,
    image: String,
    slot: String,
    ready: bool,
}

impl Place {
    /// All pods but those on their way out.
    fn pods(&self) -> Vec<Pod> {
        let Some(list) = self.object("pods", "--selector=app=backend") else { return Vec::new() };
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        let stays = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = stays.map(|pod| Pod {
            hash: text(&pod["metadata"]["labels"]["pod-template-hash"]),
            image: text(&pod["spec"]["containers"][0]["image"]),
            slot: text(&pod["metadata"]["labels"]["version"]),
            ready: pod["status"]["containerStatuses"][0]["ready"] == true,
        });
        told.collect()
    }

    /// Ready pods of an image.
    fn ready(&self, image: &str) -> usize {
        self.pods().iter().filter(|pod| pod.ready && pod.image == image).count()
    }

    fn template(&self, deployment: &str) -> Value {
        self.object("deployment", deployment).unwrap_or_default()["spec"]["template"].clone()
    }

    /// Before a flight: so many pods of the old image are ready and have users.
    fn await_users(&self, pods: usize) {
        self.eventually("the old version serves", || {
            let users = self.app.served() > 0.0;
            users && self.ready(OLD) == pods && self.pods().len() == pods
        });
        self.app.forget_unanswered();
    }
}

/// Waits until the run ends like this.
fn ends(helm: &mut Helm, outcome: Outcome) {
    helm.wait_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(outcome), "{}", helm.story());
}

/// The same, where what is asked is confirmed.
fn flies_to(helm: &mut Helm, outcome: Outcome) {
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(outcome), "{}", helm.story());
}

/// Waits until somebody else's change holds the run, and gives what the run says of it.
fn held(helm: &mut Helm) -> String {
    helm.wait_until("hold", |helm| {
        let held = helm.run.as_ref().and_then(|run| run.held.as_ref());
        held.is_some_and(|held| held.cause == HoldCause::Foreign)
    });
    assert!(helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })), "{}", helm.story());
    helm.held_because()
}

/// A run is refused before it begins: what is said of it.
fn refused(place: &Place) -> String {
    let mut command = place.stage.command(&["run", "--plain"]);
    let output = place.equip(&mut command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    said
}
