//! The `scale` subresource: the number of replicas of a Deployment or `ReplicaSet`.

use serde_json::{Value, json};

use super::{
    api::{Answer, Call},
    object::{int, put, string_map, text},
    resource::Target,
    state::State,
    status::ApiError,
    write::Write,
};

impl State {
    /// The Scale of a Deployment or ReplicaSet.
    pub(super) fn scale_of(object: &Value) -> Value {
        let selector: Vec<_> = string_map(object, "/spec/selector/matchLabels")
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let metadata = &object["metadata"];
        json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
            },
            "spec": {"replicas": int(object, "/spec/replicas")},
            "status": {"replicas": int(object, "/status/replicas"), "selector": selector.join(",")},
        })
    }

    /// Reads the new number of replicas from what `change` makes of the Scale.
    pub(super) fn write_scale(
        &mut self,
        call: &Call,
        target: &Target,
        change: impl FnOnce(&Value) -> Result<Value, ApiError>,
    ) -> Result<Answer, ApiError> {
        let (resource, key) = Self::named(target)?;
        let old = self.stored(resource, &key)?;
        let scale = change(&Self::scale_of(&old))?;
        let mut new = Value::clone(&old);
        // No number at all means zero.
        put(&mut new, "/spec/replicas", scale.pointer("/spec/replicas").cloned().unwrap_or(json!(0)));
        put(&mut new, "/metadata/resourceVersion", text(&scale, "/metadata/resourceVersion"));
        let write = Write { subresource: Some("scale"), ..Write::of(call, target, key, true) };
        let stored = self.replace(&write, &old, new)?;
        Ok(Answer::Json(200, Self::scale_of(&stored)))
    }
}
