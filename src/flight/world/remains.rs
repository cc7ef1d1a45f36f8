//! What a rehearsal leaves of its world: the objects that matter as they are at the end, and what its users met.

use serde_json::{Map, Value, json};

use super::World;
use crate::domain::runbook::Target;

impl World {
    /// The simulated cluster at this moment, and its users' requests; nothing of a real one.
    pub fn remains(&self, target: Option<&Target>) -> Option<Value> {
        let (cluster, network) = self.simulated.as_ref()?;
        let users = network.users();
        let users = json!({
            "requests": users.requests(),
            "failed": users.failed(),
            "found_nobody": users.unanswered(),
        });
        let Some(target) = target else { return Some(json!({ "users": users })) };
        let deployments: Map<String, Value> = target
            .slots
            .values()
            .filter_map(|slot| {
                Some((slot.deployment.clone(), cluster.object("deployments", &slot.deployment)?))
            })
            .map(|(name, object)| {
                let at = |path: &str| object.pointer(path).cloned().unwrap_or_default();
                let shown = json!({
                    "image": at("/spec/template/spec/containers/0/image"),
                    "replicas": at("/spec/replicas"),
                    "ready": at("/status/readyReplicas"),
                    "updated": at("/status/updatedReplicas"),
                    "paused": at("/spec/paused"),
                });
                (name, shown)
            })
            .collect();
        let route = match &target.director {
            crate::domain::director::Director::Route(route) => cluster.object("httproutes", &route.name),
            _ => None,
        };
        Some(json!({
            "users": users,
            "deployments": deployments,
            "selector": cluster.selector(),
            "rules": route.and_then(|route| route.pointer("/spec/rules").cloned()),
        }))
    }
}
