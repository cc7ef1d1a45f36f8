//! The verbs that take objects away: delete, with and without a name, and a pod's eviction.
//!
//! What an object owns goes with it, in the next round of the garbage collector, and is left out of the answer as in a real
//! cluster.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    api::{Answer, Call, list_of, present},
    object::{controller_uid, cut, text, uid_of},
    resource::{Kind, Target},
    state::State,
    status::{self, ApiError},
    store::Key,
};

impl State {
    /// DELETE. Its options come in the body; those that clients send as query parameters count where the body has none.
    pub(super) fn delete_object(&mut self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let options = call.json_or_nothing()?;
        let Some(object_name) = target.name.as_deref() else {
            return self.delete_collection(call, target, &options);
        };
        if target.subresource.is_some() {
            return Err(ApiError::method_not_allowed());
        }
        let resource = target.resource;
        let key = Key::new(resource.kind, target.namespace.as_deref().unwrap_or_default(), object_name);
        let old = self.stored(resource, &key)?;
        for (field, what) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let wanted = text(&options, &format!("/preconditions/{field}"));
            let found = text(&old, &format!("/metadata/{field}"));
            if !wanted.is_empty() && wanted != found {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                );
                return Err(ApiError::conflict(resource, object_name, &why));
            }
        }
        if call.dry_run() || options.pointer("/dryRun/0").is_some() {
            return Ok(Answer::Json(200, status::deleted(resource, object_name, uid_of(&old))));
        }
        Ok(match self.take_away(call, &key, &options) {
            Some(pod) if resource.kind == Kind::Pod => Answer::Json(200, present(resource, &pod)),
            _ => Answer::Json(200, status::deleted(resource, object_name, uid_of(&old))),
        })
    }

    /// Deletes, by the rules of the kind: a pod ends with its grace period, everything else is gone at once, and its
    /// dependents with it unless they are orphaned.
    fn take_away(&mut self, call: &Call, key: &Key, options: &Value) -> Option<Arc<Value>> {
        if key.kind == Kind::Pod {
            let grace = options["gracePeriodSeconds"]
                .as_i64()
                .or_else(|| call.query("gracePeriodSeconds").parse().ok());
            return self.terminate(key, grace);
        }
        let policy = match text(options, "/propagationPolicy") {
            "" => call.query("propagationPolicy"),
            policy => policy,
        };
        if policy == "Orphan" {
            self.orphan(key);
        }
        self.store.remove(key)
    }

    /// Cuts the dependents loose, so that they stay when their owner goes.
    fn orphan(&mut self, key: &Key) {
        let Some(owner) = self.store.get(key).map(|owner| uid_of(owner).to_owned()) else { return };
        for kind in [Kind::ReplicaSet, Kind::Pod] {
            let dependents: Vec<Value> = self
                .store
                .list(kind, Some(&key.namespace))
                .filter(|(_, object)| controller_uid(object) == owner)
                .map(|(_, object)| Value::clone(object))
                .collect();
            for mut object in dependents {
                cut(&mut object, "/metadata/ownerReferences");
                self.write(kind, object, "kube-controller-manager", None);
            }
        }
    }

    /// DELETE without a name: all that the selector finds. A pod that only begins to end is in the answer too.
    fn delete_collection(
        &mut self,
        call: &Call,
        target: &Target,
        options: &Value,
    ) -> Result<Answer, ApiError> {
        let filter = call.filter(target.resource)?;
        let keys: Vec<Key> = self
            .store
            .list(target.resource.kind, target.namespace.as_deref())
            .filter(|(_, object)| filter.matches(object))
            .map(|(key, _)| key.clone())
            .collect();
        let mut gone = Vec::new();
        for key in keys {
            if call.dry_run() {
                gone.extend(self.store.get(&key).cloned());
            } else {
                gone.extend(self.take_away(call, &key, options));
            }
        }
        let shown: Vec<_> = gone.iter().map(|object| present(target.resource, object)).collect();
        Ok(Answer::Json(200, list_of(target.resource, shown, self.store.version(), None)))
    }

    /// Evicts a pod: it ends as by DELETE. Disruption budgets are not looked at here, which a real server would do first.
    pub(super) fn evict(&mut self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let pod = target.name.as_deref().unwrap_or_default();
        let key = Key::new(Kind::Pod, target.namespace.as_deref().unwrap_or_default(), pod);
        if self.store.get(&key).is_none() {
            return Err(ApiError::not_found(target.resource, pod));
        }
        if !call.dry_run() {
            self.terminate(&key, None);
        }
        Ok(Answer::Json(
            201,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        ))
    }
}
