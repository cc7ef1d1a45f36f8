//! The verbs that make and change objects: create, update, patch, and the subresource `status`; `scale` and `delete` have the
//! others.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    api::{Answer, Call, present},
    created::complete_pod,
    event_view::event_from_view,
    fields::{Writer, record},
    object::{cut, int, name, put, rfc3339, text, uid_of},
    patch::{PatchKind, apply, blank, patch, without_nulls},
    resource::{Kind, Resource, Target},
    state::State,
    status::{ApiError, Cause},
    store::Key,
    validate::{check, check_name, fill_in},
};

/// Metadata that no writer can change.
const FIXED: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
];

/// How an object is being written.
pub(super) struct Write<'a> {
    /// What kind of object.
    pub(super) resource: &'static Resource,
    /// Which one.
    pub(super) key: Key,
    /// `status` or `scale`, where the path ends with it: a write to one leaves the rest of the object as it is.
    pub(super) subresource: Option<&'a str>,
    /// Who `managedFields` names as the writer.
    pub(super) manager: &'a str,
    /// Everything is checked and answered, and nothing is stored.
    pub(super) dry_run: bool,
    /// The set of fields of a server-side apply.
    pub(super) applied: Option<Value>,
    /// Whether a wrong uid is a failed precondition (PUT) or an attempt to change what is fixed (PATCH).
    pub(super) whole: bool,
}

impl<'a> Write<'a> {
    /// What a call asks for, its fields not applied; `whole` as in a PUT.
    pub(super) fn of(call: &'a Call, target: &'a Target, key: Key, whole: bool) -> Self {
        Self {
            resource: target.resource,
            key,
            subresource: target.subresource.as_deref(),
            manager: call.manager(),
            dry_run: call.dry_run(),
            applied: None,
            whole,
        }
    }
}

/// Whether a body is meant for the object that is stored: by its uid, its version and its name.
fn meant_for(write: &Write<'_>, old: &Value, new: &Value) -> Result<(), ApiError> {
    let Write { resource, key, .. } = write;
    // The uid comes before the version: of an object that was recreated both are wrong.
    let (uid, was) = (text(new, "/metadata/uid"), uid_of(old));
    if !uid.is_empty() && uid != was {
        return Err(if write.whole {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {was}");
            ApiError::conflict(resource, &key.name, &why)
        } else {
            // Found by the check of all objects, and by that of this kind.
            let cause = || Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
            ApiError::invalid(resource, &key.name, &[cause(), cause()])
        });
    }
    let asked = text(new, "/metadata/resourceVersion");
    if !asked.is_empty() && asked != text(old, "/metadata/resourceVersion") {
        return Err(ApiError::modified(resource, &key.name));
    }
    if name(new) != key.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            name(new),
            key.name
        )));
    }
    Ok(())
}

/// Puts back what no client can change, whatever the body says: a PUT made from an older read is no fault.
fn keep_what_is_fixed(write: &Write<'_>, old: &Value, new: &mut Value) {
    put(new, "/apiVersion", old["apiVersion"].clone());
    put(new, "/kind", old["kind"].clone());
    for field in FIXED {
        let pointer = format!("/metadata/{field}");
        match old.pointer(&pointer) {
            Some(value) => put(new, &pointer, value.clone()),
            None => drop(cut(new, &pointer)),
        }
    }
    for field in ["managedFields", "resourceVersion"] {
        put(new, &format!("/metadata/{field}"), old["metadata"][field].clone());
    }
    // The spec and the status have different writers, people and controllers: each write touches its own half only.
    if write.subresource == Some("status") {
        let status = new["status"].clone();
        *new = old.clone();
        put(new, "/status", status);
    } else if write.resource.has_status() {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => drop(cut(new, "/status")),
        }
    }
}

impl State {
    /// POST. A name in the path is a subresource's: a pod is evicted by creating an `eviction` for it.
    pub(super) fn create_object(&mut self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let resource = target.resource;
        if target.name.is_some() {
            return match (resource.kind, target.subresource.as_deref()) {
                (Kind::Pod, Some("eviction")) => self.evict(call, target),
                _ => Err(ApiError::method_not_allowed()),
            };
        }
        let mut object = call.json()?;
        self.place(resource, target, &mut object)?;
        if name(&object).is_empty() && !text(&object, "/metadata/generateName").is_empty() {
            let prefix = text(&object, "/metadata/generateName").to_owned();
            let fresh = self.fresh_name(&prefix);
            put(&mut object, "/metadata/name", fresh);
        }
        check_name(resource, &object)?;
        let key = Key::of(resource.kind, &object);
        if self.store.get(&key).is_some() {
            return Err(ApiError::already_exists(resource, &key.name));
        }
        // A version is what a writer has seen, and nothing was there to be seen.
        if !text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let stored = self.insert(resource, object, call.manager(), call.dry_run(), None)?;
        Ok(Answer::Json(201, present(resource, &stored)))
    }

    /// Checks the body's identity against the path and completes it.
    fn place(&self, resource: &Resource, target: &Target, object: &mut Value) -> Result<(), ApiError> {
        let kind = text(object, "/kind");
        if !kind.is_empty() && kind != resource.name {
            return Err(ApiError::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: no kind \"{kind}\" is registered for it",
                kind,
                text(object, "/apiVersion"),
                resource.name
            )));
        }
        // Clients may leave these out: the path says them.
        put(object, "/kind", resource.name);
        put(object, "/apiVersion", resource.api_version());
        without_nulls(object);
        if resource.is_event_view() {
            *object = event_from_view(object);
        }
        let Some(namespace) = target.namespace.as_deref() else {
            return if resource.namespaced {
                Err(ApiError::bad_request("an empty namespace may not be set during creation"))
            } else {
                Ok(())
            };
        };
        let said = text(object, "/metadata/namespace");
        if !said.is_empty() && said != namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if self.store.get(&Key::new(Kind::Namespace, "", namespace)).is_none() {
            return Err(ApiError::not_found(Resource::of(Kind::Namespace), namespace));
        }
        put(object, "/metadata/namespace", namespace);
        Ok(())
    }

    /// Stores an object that is new. What a client says of its generation, of who owns which field and of its status
    /// is not taken: the server writes those itself.
    fn insert(
        &mut self,
        resource: &'static Resource,
        mut object: Value,
        manager: &str,
        dry_run: bool,
        applied: Option<&Value>,
    ) -> Result<Arc<Value>, ApiError> {
        cut(&mut object, "/metadata/managedFields");
        cut(&mut object, "/metadata/generation");
        fill_in(resource.kind, &mut object);
        check(resource, None, &object)?;
        match resource.kind {
            Kind::Pod => complete_pod(&mut object),
            Kind::Namespace => put(&mut object, "/status", json!({"phase": "Active"})),
            Kind::Deployment | Kind::ReplicaSet | Kind::Service => put(&mut object, "/status", json!({})),
            Kind::Gateway | Kind::HttpRoute => drop(cut(&mut object, "/status")),
            _ => {}
        }
        if dry_run {
            self.complete(&mut object, self.now);
            return Ok(Arc::new(object));
        }
        match applied {
            None => Ok(self.create(resource.kind, object, manager, self.now)),
            Some(applied) => {
                self.complete(&mut object, self.now);
                let (api_version, time) = (resource.api_version(), rfc3339(self.now));
                let writer = Writer {
                    manager,
                    operation: "Apply",
                    api_version: &api_version,
                    subresource: None,
                    time: &time,
                };
                record(&json!({}), &mut object, &writer, Some(applied));
                Ok(self.store.put(resource.kind, object))
            }
        }
    }

    /// PUT. A version in the body is compared with the stored one; without it the last writer wins, except where the
    /// kind forbids that.
    pub(super) fn update_object(&mut self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let (resource, key) = Self::named(target)?;
        let mut body = call.json()?;
        if target.subresource.as_deref() == Some("scale") {
            return self.write_scale(call, target, |_| Ok(body));
        }
        if resource.kind == Kind::Lease && target.subresource.is_none() && self.store.get(&key).is_none() {
            return self.put_first(call, target, &key, body);
        }
        let old = self.stored(resource, &key)?;
        self.place(resource, target, &mut body)?;
        // No unconditional update of these: of two that write a Lease without a version, the later would win unseen.
        let is_guarded = resource.kind == Kind::Lease || resource.is_custom();
        if is_guarded && text(&body, "/metadata/resourceVersion").is_empty() {
            return Err(ApiError::unversioned(resource, &key.name));
        }
        let write = Write::of(call, target, key, true);
        let stored = self.replace(&write, &old, body)?;
        Ok(Answer::Json(200, present(resource, &stored)))
    }

    /// A Lease may be made by the first PUT, unless that is meant for one that was there.
    fn put_first(
        &mut self,
        call: &Call,
        target: &Target,
        key: &Key,
        mut body: Value,
    ) -> Result<Answer, ApiError> {
        let resource = target.resource;
        let uid = text(&body, "/metadata/uid");
        if !uid.is_empty() {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
            return Err(ApiError::conflict(resource, &key.name, &why));
        }
        self.place(resource, target, &mut body)?;
        let stored = self.insert(resource, body, call.manager(), call.dry_run(), None)?;
        Ok(Answer::Json(201, present(resource, &stored)))
    }

    /// The object as it is stored, or 404.
    pub(super) fn stored(&self, resource: &Resource, key: &Key) -> Result<Arc<Value>, ApiError> {
        self.store.get(key).cloned().ok_or_else(|| ApiError::not_found(resource, &key.name))
    }

    /// PATCH. Custom resources know no strategic merge: their lists have no merge keys in a schema that the server
    /// could look at.
    pub(super) fn patch_object(&mut self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let (resource, key) = Self::named(target)?;
        let accepted = PatchKind::accepted(resource.is_custom());
        let kind = PatchKind::parse(&call.content_type)
            .filter(|kind| !resource.is_custom() || *kind != PatchKind::Strategic)
            .ok_or_else(|| ApiError::unsupported_media_type(accepted))?;
        let body = call.json()?;
        if kind == PatchKind::Apply {
            return self.apply_object(call, target, body);
        }
        if call.query("force") == "true" {
            return Err(ApiError::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
            ));
        }
        if target.subresource.as_deref() == Some("scale") {
            return self.write_scale(call, target, |scale| {
                let mut scale = scale.clone();
                patch(kind, &mut scale, body)?;
                Ok(scale)
            });
        }
        let old = self.stored(resource, &key)?;
        let mut new = Value::clone(&old);
        patch(kind, &mut new, body)?;
        without_nulls(&mut new);
        let write = Write::of(call, target, key, false);
        let stored = self.replace(&write, &old, new)?;
        Ok(Answer::Json(200, present(resource, &stored)))
    }

    /// Server-side apply: the body is all that its manager wants, and what the manager owned before and does not name
    /// any more is removed. A field that another manager owns is a conflict, unless `force` says so.
    fn apply_object(&mut self, call: &Call, target: &Target, mut body: Value) -> Result<Answer, ApiError> {
        let (resource, key) = Self::named(target)?;
        if call.query("fieldManager").is_empty() {
            return Err(ApiError::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        if body.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        self.place(resource, target, &mut body)?;
        put(&mut body, "/metadata/name", key.name.as_str());
        let (api_version, time) = (resource.api_version(), rfc3339(self.now));
        let writer = Writer {
            manager: call.query("fieldManager"),
            operation: "Apply",
            api_version: &api_version,
            subresource: target.subresource.as_deref(),
            time: &time,
        };
        let Some(old) = self.store.get(&key).cloned() else {
            if target.subresource.is_some() {
                return Err(ApiError::not_found(resource, &key.name));
            }
            let (_, owned) = apply(&blank(), &body, &writer, true)?;
            let stored = self.insert(resource, body, writer.manager, call.dry_run(), Some(&owned))?;
            return Ok(Answer::Json(201, present(resource, &stored)));
        };
        let (new, owned) = apply(&old, &body, &writer, call.query("force") == "true")?;
        let write =
            Write { manager: writer.manager, applied: Some(owned), ..Write::of(call, target, key, false) };
        let stored = self.replace(&write, &old, new)?;
        Ok(Answer::Json(200, present(resource, &stored)))
    }

    /// Stores `new` in place of `old`, or says why not.
    pub(super) fn replace(
        &mut self,
        write: &Write<'_>,
        old: &Arc<Value>,
        mut new: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let resource = write.resource;
        meant_for(write, old, &new)?;
        keep_what_is_fixed(write, old, &mut new);
        fill_in(resource.kind, &mut new);
        if resource.kind == Kind::Service && new.pointer("/spec/clusterIP") != old.pointer("/spec/clusterIP")
        {
            // Unset means unchanged; anything else is refused.
            new["spec"]["clusterIP"] = old["spec"]["clusterIP"].clone();
        }
        check(resource, Some(old), &new)?;
        // The generation counts changes of the spec alone. It is what our adapter tells a foreign change from a
        // controller's status write by.
        if resource.kind.has_generation() && old.get("spec") != new.get("spec") {
            put(&mut new, "/metadata/generation", int(old, "/metadata/generation") + 1);
        }
        // A write that changes nothing leaves the version as it is, and no watcher hears of it.
        if **old == new && write.applied.is_none() {
            return Ok(Arc::clone(old));
        }
        let (api_version, time) = (resource.api_version(), rfc3339(self.now));
        let writer = Writer {
            manager: write.manager,
            operation: if write.applied.is_some() { "Apply" } else { "Update" },
            api_version: &api_version,
            subresource: write.subresource,
            time: &time,
        };
        record(old, &mut new, &writer, write.applied.as_ref());
        if write.dry_run {
            return Ok(Arc::new(new));
        }
        Ok(self.store.put(resource.kind, new))
    }

    /// The object that a path with a name is about. Only those subresources that the kind serves exist as paths.
    pub(super) fn named(target: &Target) -> Result<(&'static Resource, Key), ApiError> {
        let Some(object_name) = target.name.as_deref() else { return Err(ApiError::method_not_allowed()) };
        let resource = target.resource;
        match target.subresource.as_deref() {
            None => {}
            Some("status" | "scale")
                if resource.subresources.contains(&target.subresource.as_deref().unwrap_or_default()) => {}
            Some(_) => return Err(ApiError::no_such_path()),
        }
        Ok((resource, Key::new(resource.kind, target.namespace.as_deref().unwrap_or_default(), object_name)))
    }
}
