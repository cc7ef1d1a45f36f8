//! Errors in the API server's words: `Status` objects.

use serde_json::{Value, json};

use super::resource::Resource;

/// A failed request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiError {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) details: Option<Box<Value>>,
    /// Seconds for `Retry-After`.
    pub(super) retry_after: Option<u32>,
}

/// One reason for which an object is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) field: String,
    /// `FieldValueRequired`, `FieldValueInvalid`, …
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Cause {
    /// A field that every object of the kind has.
    pub(super) fn required(field: impl Into<String>, why: &str) -> Self {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }

    /// A value that is larger than the store takes.
    pub(super) fn too_long(field: impl Into<String>, most: usize) -> Self {
        let message = format!("Too long: may not be more than {most} bytes");
        Self { field: field.into(), reason: "FieldValueTooLong", message }
    }

    pub(super) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    pub(super) fn forbidden(field: &str, why: &str) -> Self {
        Self { field: field.to_owned(), reason: "FieldValueForbidden", message: format!("Forbidden: {why}") }
    }

    /// A value that a custom resource's schema does not allow.
    pub(super) fn in_body(field: &str, value: &Value, why: &str) -> Self {
        Self::invalid(field, value, &format!("{field} in body {why}"))
    }

    /// A value of a type that a custom resource's schema does not have there.
    pub(super) fn wrong_type(field: &str, value: &Value, wanted: &str) -> Self {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        Self::in_body(field, &json!(found), &format!("must be of type {wanted}: \"{found}\""))
    }

    /// A rule of a custom resource's schema that an object breaks.
    pub(super) fn rule(field: &str, message: &str) -> Self {
        Self::invalid(field, &json!("object"), message)
    }

    pub(super) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {value}"),
        }
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, retry_after: None }
    }

    /// Says which object it is about, as clients read it: `kind` is the plural here, which is Kubernetes' own habit.
    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = json!({});
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        if !resource.group.is_empty() {
            details["group"] = json!(resource.group);
        }
        details["kind"] = json!(resource.plural);
        self.details = Some(Box::new(details));
        self
    }

    /// 404 for an object. A path that nothing serves is answered alike, but without a name.
    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified()))
            .about(resource, name)
    }

    /// A path that nothing serves.
    pub(super) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409 for a create; another reason than that of an update, which clients try again.
    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", resource.qualified()))
            .about(resource, name)
    }

    /// 409: the write is certainly without effect, and never will have one.
    pub(super) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// The write named an older resourceVersion.
    pub(super) fn modified(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// A server-side apply that meets other managers' fields: pairs of (manager, field).
    pub(super) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let listed: Vec<_> = conflicts
            .iter()
            .map(|(manager, field)| format!("conflict with \"{manager}\": {field}"))
            .collect();
        let noun = if conflicts.len() == 1 { "conflict" } else { "conflicts" };
        let message = format!("Apply failed with {} {noun}: {}", conflicts.len(), listed.join(", "));
        let causes: Vec<_> = conflicts
            .iter()
            .map(|(manager, field)| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with \"{manager}\""), "field": field})
            })
            .collect();
        Self { details: Some(Box::new(json!({"causes": causes}))), ..Self::new(409, "Conflict", message) }
    }

    /// 422 with all causes at once, so that whoever mends one sees the others.
    pub(super) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let kind = if resource.group.is_empty() {
            resource.name.to_owned()
        } else {
            format!("{}.{}", resource.name, resource.group)
        };
        let mut listed: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        listed.dedup();
        let listed =
            if let [one] = listed.as_slice() { one.clone() } else { format!("[{}]", listed.join(", ")) };
        let mut error = Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {listed}"))
            .about(resource, name);
        if let Some(details) = &mut error.details {
            details["kind"] = json!(resource.name);
            details["causes"] = causes
                .iter()
                .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
                .collect();
        }
        error
    }

    /// A write that has to name the version that it replaces, and does not.
    pub(super) fn unversioned(resource: &Resource, name: &str) -> Self {
        let (field, message) =
            ("metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update");
        let told = format!("{} \"{name}\" is invalid: {field}: {message}", resource.qualified());
        let mut error = Self::new(422, "Invalid", told).about(resource, name);
        if let Some(details) = &mut error.details {
            details["causes"] = json!([{"reason": "FieldValueInvalid", "message": message, "field": field}]);
        }
        error
    }

    /// A patch that cannot be applied to this object, such as a failed JSON patch `test`.
    pub(super) fn patch_failed(why: &str) -> Self {
        // A real server keeps the reason to itself; it goes to the log here.
        tracing::debug!(why, "patch refused");
        Self {
            details: Some(Box::new(json!({}))),
            ..Self::new(422, "Invalid", "the server rejected our request due to an error in our request")
        }
    }

    /// A failure that the server has no reason for.
    pub(super) fn unexplained(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 400: the request could not be read as one.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A watch that says how its version is meant, which is for lists.
    pub(super) fn watch_without_match() -> Self {
        Self::new(
            422,
            "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for \
             watch unless sendInitialEvents is provided, and must be NotOlderThan with it",
        )
    }

    /// 401: who asks is not known, which a new login may mend.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(super) fn forbidden(
        resource: &Resource,
        verb: &str,
        subresource: Option<&str>,
        namespace: Option<&str>,
        name: &str,
    ) -> Self {
        let plural = match subresource {
            Some(subresource) => format!("{}/{subresource}", resource.plural),
            None => resource.plural.to_owned(),
        };
        let scope = namespace.map_or_else(
            || " at the cluster scope".to_owned(),
            |namespace| format!(" in the namespace \"{namespace}\""),
        );
        let subject = if name.is_empty() {
            format!("{} is forbidden", resource.qualified())
        } else {
            format!("{} \"{name}\" is forbidden", resource.qualified())
        };
        let message = format!(
            "{subject}: User \"{}\" cannot {verb} resource \"{plural}\" in API group \"{}\"{scope}",
            super::USER,
            resource.group,
        );
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// 405: the path exists, and does not take this verb.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 406: none of the forms that the client takes can be had.
    pub(super) fn not_acceptable() -> Self {
        Self::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/json;stream=watch",
        )
    }

    /// 413, at the limit of 3 MiB that a real server has for a request.
    pub(super) fn too_large() -> Self {
        Self::new(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
    }

    /// 415, for a patch of a kind that the resource does not know.
    pub(super) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// A watch or a continued list from a version that history no longer holds.
    pub(super) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// A read from a version that does not exist yet.
    pub(super) fn from_the_future(asked: u64, newest: u64) -> Self {
        Self {
            details: Some(Box::new(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            }))),
            retry_after: Some(1),
            ..Self::new(
                504,
                "Timeout",
                format!("Timeout: Too large resource version: {asked}, current: {newest}"),
            )
        }
    }

    /// The answer that a test asked for.
    pub(super) fn injected(code: u16, retry_after: Option<u32>) -> Self {
        let (reason, message) = match code {
            400 => ("BadRequest", "the request is invalid"),
            401 => return Self::unauthorized(),
            403 => ("Forbidden", "access to this resource was withdrawn"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => (
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            410 => ("Expired", "The resourceVersion for the provided watch is too old."),
            429 => (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later",
            ),
            500 => ("InternalError", "an internal server error occurred: etcdserver: leader changed"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the request did not complete within the allotted timeout"),
            _ => ("InternalError", "an unexpected condition was met"),
        };
        let details = retry_after.map(|seconds| Box::new(json!({"retryAfterSeconds": seconds})));
        Self { details, retry_after, ..Self::new(code, reason, message) }
    }

    /// The `Status` object.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        });
        if let Some(details) = &self.details {
            body["details"] = Value::clone(details);
        }
        body["code"] = json!(self.code);
        body
    }
}

/// What a DELETE answers for an object that is gone at once.
pub(super) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name});
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details["kind"] = json!(resource.plural);
    details["uid"] = json!(uid);
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
