//! Back to a template that a Deployment had, as `kubectl rollout undo` goes back; and a rollout that is paused or goes on.
//!
//! The template is that of the `ReplicaSet` with the revision's hash, as the API server has it, down to fields that this program
//! does not know, without the hash in its labels. Unlike kubectl the Deployment's annotations stay as they are, so the fence
//! does, and a paused Deployment is resumed in the same patch, since a template alone would change nothing then.
//!
//! Where the set is gone (`revisionHistoryLimit`), or `ReplicaSets` may not be listed, the image is what is known of the revision:
//! that is set, and the answer says so.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use crate::{
    domain::{event::RollbackTarget, id::SlotName, observation::Observation, safe_text::SafeText},
    engine::ports::{Fault, PortError, PortResult},
};

use super::super::{
    KubeCluster,
    call::{Call, DEPLOYMENTS, REPLICA_SETS},
    deployment::{Change, container_names, image_of, name_of},
    pod::TEMPLATE_HASH,
    rollout::{is_owned, template_matches},
    view::selector,
};

impl KubeCluster {
    /// The whole template, not the image: a rollback that left a new environment variable behind would run a version that
    /// nobody has tested.
    pub(in super::super) async fn put_template(
        &self,
        slot: &SlotName,
        to: &RollbackTarget,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        let before = self.read_as_seen(slot, seen).await?;
        let template = match self.template_of(&before, to).await? {
            Ok(template) => template,
            Err(why) => return self.put_image_back(slot, to, before, &why).await,
        };
        let revision = revision_words(to);
        let paused = before.spec.paused == Some(true);
        let holds = |deployment: &Deployment| {
            deployment.spec.paused != Some(true) && template_matches(&template, &deployment.spec.template)
        };
        let name = name_of(&before.metadata);
        if self.has_template_now(&name, &template).await? {
            if !paused {
                self.remember(slot, &before);
                return Ok(format!("deployment/{name} already has the template of {revision}"));
            }
            let patch = json!({ "spec": { "paused": false } });
            let done =
                format!("it already has the template of {revision}; its rollout was paused, and is resumed");
            return self.change(slot, before, &Change { patch, holds: &holds, done }).await;
        }
        let mut whole = template.clone();
        whole["$patch"] = json!("replace");
        let mut patch = json!({ "spec": { "template": whole } });
        let mut done = format!("template set back to {revision}");
        if paused {
            patch["spec"]["paused"] = json!(false);
            done.push_str("; its rollout was paused, and is resumed");
        }
        self.change(slot, before, &Change { patch, holds: &holds, done }).await
    }

    /// The template of a revision, without the hash that its controller has added; or why it can't be had.
    async fn template_of(
        &self,
        deployment: &Deployment,
        to: &RollbackTarget,
    ) -> PortResult<Result<Value, String>> {
        let Some(hash) = to.hash.as_deref() else {
            return Ok(Err("it is not known which revision it was".to_owned()));
        };
        let selector = format!("{},{TEMPLATE_HASH}={hash}", selector(&deployment.spec.selector));
        let call = Call::list(&REPLICA_SETS, Some(&self.target.namespace)).with("labelSelector", selector);
        let uid = deployment.metadata.uid.as_deref();
        let mut found: Option<Value> = None;
        let listed = self.gateway.each(&call, |mut set: Value| {
            let metadata = serde_json::from_value(set["metadata"].take()).unwrap_or_default();
            if is_owned(&metadata, uid) {
                found = Some(set["spec"]["template"].take());
            }
        });
        match listed.await {
            Ok(()) => {}
            Err(PortError { kind: Fault::Denied, .. }) => {
                return Ok(Err("ReplicaSets may not be listed".to_owned()));
            }
            Err(fault) => return Err(fault),
        }
        let Some(mut template) = found.filter(Value::is_object) else {
            return Ok(Err(format!("the ReplicaSet of {} is gone", revision_words(to))));
        };
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove(TEMPLATE_HASH);
        }
        Ok(Ok(without_nulls(template)))
    }

    /// Whether the Deployment has this template, down to what this program does not know of it.
    async fn has_template_now(&self, name: &str, template: &Value) -> PortResult<bool> {
        let call = Call::get(&DEPLOYMENTS, Some(&self.target.namespace), name);
        let now: Value = self.gateway.read(&call).await?;
        let now = now.pointer("/spec/template").map(|template| without_nulls(template.clone()));
        Ok(now.as_ref() == Some(template))
    }

    /// The image alone, where nothing else of the revision is known.
    async fn put_image_back(
        &self,
        slot: &SlotName,
        to: &RollbackTarget,
        before: Deployment,
        why: &str,
    ) -> PortResult<String> {
        let (name, container) = (name_of(&before.metadata), self.target.container.as_str());
        let image = to.image.as_str();
        let list = container_names(&before).into_iter().find(|(_, known)| known == container);
        let Some((list, _)) = list.filter(|_| !image.is_empty()) else {
            return Err(PortError::failed(format!(
                "deployment/{name} can't be set back: {why}, and the image of `{}` then is not known",
                SafeText::new(container)
            )));
        };
        let paused = before.spec.paused == Some(true);
        let has_image = image_of(&before, container).as_deref() == Some(image);
        let remark = format!(
            "{why}, so only the image of {} is {}; whatever else of the template was changed stays changed",
            SafeText::new(container),
            SafeText::new(image)
        );
        if has_image && !paused {
            self.remember(slot, &before);
            return Ok(format!("deployment/{name} already has that image: {remark}"));
        }
        let mut patch = json!({ "spec": {} });
        if !has_image {
            patch["spec"]["template"] = json!({ "spec": { list: [{ "name": container, "image": image }] } });
        }
        if paused {
            patch["spec"]["paused"] = json!(false);
        }
        let resumed = if paused { "; its rollout was paused, and is resumed" } else { "" };
        let holds = |deployment: &Deployment| {
            image_of(deployment, container).as_deref() == Some(image) && deployment.spec.paused != Some(true)
        };
        let done = format!("image set back: {remark}{resumed}");
        self.change(slot, before, &Change { patch, holds: &holds, done }).await
    }

    /// Already as wanted is done, and not written again: a write would change the version under somebody else's hands.
    pub(in super::super) async fn put_paused(
        &self,
        slot: &SlotName,
        paused: bool,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        let before = self.read_as_seen(slot, seen).await?;
        let is = |deployment: &Deployment| (deployment.spec.paused == Some(true)) == paused;
        if is(&before) {
            self.remember(slot, &before);
            let state = if paused { "is paused already" } else { "is not paused" };
            return Ok(format!("deployment/{} {state}", name_of(&before.metadata)));
        }
        let patch = json!({ "spec": { "paused": paused } });
        let done = if paused { "rollout paused" } else { "rollout resumed" }.to_owned();
        self.change(slot, before, &Change { patch, holds: &is, done }).await
    }
}

/// A value without what is null in it: to the API server that is the same as what is not there, while in a patch it is an order
/// to remove.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        plain => plain,
    }
}

/// `revision 4 (backend:v1.5.0)`, with what is known of it.
fn revision_words(to: &RollbackTarget) -> String {
    let image = SafeText::new(to.image.rsplit('/').next().unwrap_or_default());
    let number = match (to.revision, &to.hash) {
        (Some(number), _) => format!("revision {number}"),
        (None, Some(hash)) => format!("revision {}", SafeText::new(hash)),
        (None, None) => "the revision before".to_owned(),
    };
    if to.image.is_empty() { number } else { format!("{number} ({image})") }
}
