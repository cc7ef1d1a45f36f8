//! One request and its answer: the object, the permission, and the read-only verbs.

use std::{collections::BTreeMap, sync::Arc};

use base64::Engine as _;
use serde_json::{Value, json};

use super::{
    discovery,
    event_view::event_view,
    logs::Wanted,
    object::{cut, name, put, text},
    resource::{Kind, Resource, Route, Target, route},
    roles::{self, Asked},
    selector::Filter,
    state::State,
    status::ApiError,
    store::Key,
    table::{Include, partial, table},
};

/// A request as it came in.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) accept: String,
    pub(super) content_type: String,
    pub(super) user_agent: String,
    pub(super) body: Vec<u8>,
}

/// How the objects of an answer are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Table(Include),
    Partial,
}

/// A watch that begins.
#[derive(Debug)]
pub(super) struct WatchPlan {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) filter: Filter,
    pub(super) shape: Shape,
    /// Objects that the watcher is told of first.
    pub(super) initial: Vec<Arc<Value>>,
    /// Whether the end of those is marked.
    pub(super) mark_end: bool,
    pub(super) bookmarks: bool,
    /// Changes after this version follow.
    pub(super) from: u64,
    /// Real seconds until the server ends the watch.
    pub(super) timeout: Option<u64>,
}

/// A log that is followed.
#[derive(Debug)]
pub(super) struct LogPlan {
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) container: String,
    pub(super) timestamps: bool,
    /// What there is already.
    pub(super) first: String,
    /// Lines after this time follow; simulated milliseconds.
    pub(super) from: i64,
}

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Answer {
    Json(u16, Value),
    Text(String),
    Watch(WatchPlan),
    Follow(LogPlan),
}

impl Call {
    pub(super) fn query(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }

    /// Who writes: the `fieldManager`, or the program that the user agent names.
    pub(super) fn manager(&self) -> &str {
        match self.query("fieldManager") {
            "" => self.user_agent.split('/').next().filter(|agent| !agent.is_empty()).unwrap_or("unknown"),
            manager => manager,
        }
    }

    /// `dryRun=All` is the one value there is.
    pub(super) fn dry_run(&self) -> bool {
        self.query("dryRun") == "All"
    }

    pub(super) fn filter(&self, resource: &Resource) -> Result<Filter, ApiError> {
        Filter::parse(resource, self.query("labelSelector"), self.query("fieldSelector"))
    }

    /// The body. Apply sends YAML by its media type; JSON is YAML, and this server reads only that.
    pub(super) fn json(&self) -> Result<Value, ApiError> {
        let kind = self.content_type.split(';').next().unwrap_or_default().trim();
        let yaml_apply = kind == "application/apply-patch+yaml";
        if !kind.is_empty() && kind != "*/*" && !yaml_apply && !kind.ends_with("json") {
            return Err(ApiError::unsupported_media_type("application/json"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            ApiError::bad_request(format!(
                "the object provided is unrecognized (must be of type JSON): {error}"
            ))
        })
    }

    /// The body where there is one.
    pub(super) fn json_or_nothing(&self) -> Result<Value, ApiError> {
        if self.body.is_empty() { Ok(json!({})) } else { self.json() }
    }

    /// What the client accepts, the first that can be had. kubectl asks for a Table and takes the object where there
    /// is none.
    pub(super) fn shape(&self) -> Result<Shape, ApiError> {
        for accepted in self.accept.split(',') {
            let mut parts = accepted.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let wanted = parts.find_map(|part| part.strip_prefix("as=")).unwrap_or_default();
            match (media, wanted) {
                ("application/json", "Table") => {
                    return Ok(Shape::Table(Include::parse(self.query("includeObject"))));
                }
                ("application/json", "PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Ok(Shape::Partial);
                }
                ("application/json" | "*/*" | "application/*" | "", "") => return Ok(Shape::Object),
                _ => {}
            }
        }
        Err(ApiError::not_acceptable())
    }

    /// The verb as roles have it. DELETE without a name is another right than with one.
    fn verb(&self, target: &Target) -> &'static str {
        match (self.method.as_str(), &target.name) {
            ("GET", Some(_)) => "get",
            ("GET", None) if self.watches() => "watch",
            ("GET", None) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            _ => "",
        }
    }

    /// Whether this is a watch.
    pub(super) fn watches(&self) -> bool {
        matches!(self.query("watch"), "true" | "1")
    }

    /// A version parameter. Real servers call it opaque; this one counts, and refuses what is no number, as theirs
    /// do.
    pub(super) fn version(&self, key: &str) -> Result<Option<u64>, ApiError> {
        match self.query(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                ApiError::bad_request(format!(
                    "Invalid value: \"{text}\": the resource version must be a number"
                ))
            }),
        }
    }
}

impl State {
    /// Answers a request.
    pub(super) fn answer(&mut self, call: &Call, address: &str) -> Result<Answer, ApiError> {
        let answer = self.dispatch(call, address);
        self.notice();
        answer
    }

    /// Discovery and health need no permission; objects do. A kind of the Gateway API exists only where its CRDs are
    /// installed, and is an unknown path otherwise, not an empty list.
    fn dispatch(&mut self, call: &Call, address: &str) -> Result<Answer, ApiError> {
        let get = matches!(call.method.as_str(), "GET" | "HEAD");
        let look = |body: Option<Value>| match body {
            Some(_) if !get => Err(ApiError::method_not_allowed()),
            Some(body) => Ok(Answer::Json(200, body)),
            None => Err(ApiError::no_such_path()),
        };
        let gateway_api = self.has_gateway_api();
        match route(&call.path) {
            Route::Version => look(Some(discovery::version())),
            Route::Health => Ok(Answer::Text("ok".to_owned())),
            Route::CoreVersions => look(Some(discovery::core_versions(address))),
            Route::Groups => look(Some(discovery::group_list(gateway_api))),
            Route::Group(group) => look(discovery::one_group(&group, gateway_api)),
            Route::Resources(group, version) => look(discovery::resource_list(&group, &version, gateway_api)),
            Route::OpenApi(None) => look(Some(discovery::openapi(gateway_api))),
            Route::OpenApi(Some((group, version))) => {
                look(discovery::openapi_of(&group, &version, gateway_api))
            }
            Route::Review(kind) => self.review(call, kind),
            Route::Objects(target) if target.resource.is_custom() && !gateway_api => {
                Err(ApiError::no_such_path())
            }
            Route::Objects(target) => {
                self.authorize(call, &target)?;
                match call.verb(&target) {
                    "get" => self.get(call, &target),
                    "list" => self.list(call, &target),
                    "watch" => self.watch(call, &target),
                    "create" => self.create_object(call, &target),
                    "update" => self.update_object(call, &target),
                    "patch" => self.patch_object(call, &target),
                    "delete" | "deletecollection" => self.delete_object(call, &target),
                    _ => Err(ApiError::method_not_allowed()),
                }
            }
            Route::Unknown => Err(ApiError::no_such_path()),
        }
    }

    /// A right that was taken away is refused whatever the roles allow.
    fn is_denied(&self, asked: &Asked) -> bool {
        self.denied.contains(&(asked.verb.clone(), asked.resource.clone())) || !self.roles.allow(asked)
    }

    /// Refuses with 403 what the roles do not allow. What was used and what was refused is noted, so that a test
    /// finds a permission that is printed and not needed, or needed and not printed.
    fn authorize(&mut self, call: &Call, target: &Target) -> Result<(), ApiError> {
        let verb = call.verb(target);
        let subresource = target.subresource.as_deref();
        // The server takes the name of one object from a field selector, too: so roles can limit lists and watches.
        let selected =
            || call.query("fieldSelector").split(',').find_map(|term| term.strip_prefix("metadata.name="));
        let asked = Asked {
            verb: verb.to_owned(),
            group: target.resource.group.to_owned(),
            resource: roles::qualified(target.resource.plural, subresource.unwrap_or_default()),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: match verb {
                "create" => String::new(),
                _ => target.name.as_deref().or_else(selected).unwrap_or_default().to_owned(),
            },
        };
        if !self.is_denied(&asked) {
            self.roles.note_use(&asked);
            return Ok(());
        }
        self.roles.note_refusal(&asked);
        let object = target.name.as_deref().unwrap_or_default();
        Err(ApiError::forbidden(target.resource, verb, subresource, target.namespace.as_deref(), object))
    }

    /// The two questions about oneself: who am I, and may I do this.
    fn review(&self, call: &Call, kind: &str) -> Result<Answer, ApiError> {
        if call.method != "POST" {
            return Err(ApiError::method_not_allowed());
        }
        let mut body = call.json_or_nothing()?;
        put(&mut body, "/kind", kind);
        if kind == "SelfSubjectReview" {
            put(&mut body, "/apiVersion", "authentication.k8s.io/v1");
            let user = json!({"username": super::USER, "groups": ["system:authenticated"]});
            put(&mut body, "/status", json!({"userInfo": user}));
            return Ok(Answer::Json(201, body));
        }
        put(&mut body, "/apiVersion", "authorization.k8s.io/v1");
        let asked = |field: &str| text(&body, &format!("/spec/resourceAttributes/{field}")).to_owned();
        let denied = self.is_denied(&Asked {
            verb: asked("verb"),
            group: asked("group"),
            resource: roles::qualified(&asked("resource"), &asked("subresource")),
            namespace: asked("namespace"),
            name: asked("name"),
        });
        let status = if denied { json!({"allowed": false}) } else { json!({"allowed": true}) };
        put(&mut body, "/status", status);
        Ok(Answer::Json(201, body))
    }

    /// An object in the form that the client accepts.
    pub(super) fn shown(&self, resource: &'static Resource, object: &Value, shape: Shape) -> Value {
        match shape {
            Shape::Object => present(resource, object),
            Shape::Partial => partial(object),
            Shape::Table(include) => {
                let version = text(object, "/metadata/resourceVersion").parse().unwrap_or(0);
                table(resource, &[object], self.now, include, version)
            }
        }
    }

    /// One object, or its status, scale or log. A pod's log is text, not JSON.
    fn get(&self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let resource = target.resource;
        let object_name = target.name.as_deref().unwrap_or_default();
        let key = Key::new(resource.kind, target.namespace.as_deref().unwrap_or_default(), object_name);
        let object = self.store.get(&key).ok_or_else(|| ApiError::not_found(resource, object_name))?;
        match target.subresource.as_deref() {
            None => Ok(Answer::Json(200, self.shown(resource, object, call.shape()?))),
            Some("status") if resource.has_status() => Ok(Answer::Json(200, present(resource, object))),
            Some("scale") if resource.subresources.contains(&"scale") => {
                Ok(Answer::Json(200, Self::scale_of(object)))
            }
            Some("log") if resource.kind == Kind::Pod => self.logs(call, &key, object),
            Some(_) => Err(ApiError::no_such_path()),
        }
    }

    /// A container's log. `tailLines` counts from the end, after `sinceTime` has cut the beginning; `limitBytes` cuts
    /// last, at a character.
    fn logs(&self, call: &Call, key: &Key, pod: &Value) -> Result<Answer, ApiError> {
        let yes = |key: &str| matches!(call.query(key), "true" | "1");
        let previous = yes("previous");
        let log = self.log_of(pod, call.query("container"), previous)?;
        let since_seconds =
            call.query("sinceSeconds").parse::<i64>().ok().map(|seconds| self.now - seconds * 1000);
        let since = since_seconds.or_else(|| super::object::parse_time(call.query("sinceTime")));
        let wanted = Wanted { tail: call.query("tailLines").parse().ok(), since };
        let timestamps = yes("timestamps");
        let mut text: String =
            log.lines(wanted, self.now).iter().map(|line| line.spell(timestamps)).collect();
        if let Ok(limit) = call.query("limitBytes").parse::<usize>() {
            text.truncate(text.floor_char_boundary(limit));
        }
        if !yes("follow") || log.ended.is_some() {
            return Ok(Answer::Text(text));
        }
        Ok(Answer::Follow(LogPlan {
            key: key.clone(),
            uid: super::object::uid_of(pod).to_owned(),
            container: call.query("container").to_owned(),
            timestamps,
            first: text,
            from: self.now + 1,
        }))
    }

    pub(super) fn kept(&self, target: &Target, filter: &Filter) -> Vec<Arc<Value>> {
        self.store
            .list(target.resource.kind, target.namespace.as_deref())
            .filter(|(_, object)| {
                if target.resource.is_event_view() {
                    filter.matches(&event_view(object))
                } else {
                    filter.matches(object)
                }
            })
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    fn list(&self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let resource = target.resource;
        let shape = call.shape()?;
        let newest = self.store.version();
        match call.version("resourceVersion")? {
            Some(asked) if asked > newest => return Err(ApiError::from_the_future(asked, newest)),
            Some(asked) if call.query("resourceVersionMatch") == "Exact" && asked != newest => {
                return Err(ApiError::expired(asked, newest));
            }
            _ => {}
        }
        let mut objects = self.kept(target, &call.filter(resource)?);
        let mut version = newest;
        let token = call.query("continue");
        if !token.is_empty() {
            let (began, last) = read_token(token)?;
            if began < self.store.compacted() {
                return Err(ApiError::expired(began, self.store.compacted()));
            }
            // All pages name the version of the first: a watch from there misses nothing.
            version = began;
            objects
                .retain(|object| (text(object, "/metadata/namespace"), name(object)) > (&*last.0, &*last.1));
        }
        let limit = call.query("limit").parse::<usize>().unwrap_or(0);
        let mut next = None;
        let mut left = 0;
        if limit > 0 && objects.len() > limit {
            left = objects.len() - limit;
            objects.truncate(limit);
            next = objects.last().map(|last| write_token(version, last));
        }
        // Counted only where nothing is selected.
        let counted =
            left > 0 && call.query("labelSelector").is_empty() && call.query("fieldSelector").is_empty();
        let mut body = body_of(resource, &objects, shape, (version, next), self.now);
        if counted {
            body["metadata"]["remainingItemCount"] = json!(left);
        }
        Ok(Answer::Json(200, body))
    }
}

/// A list as it was asked for. `next` is the token of the page that follows.
fn body_of(
    resource: &Resource,
    objects: &[Arc<Value>],
    shape: Shape,
    (version, next): (u64, Option<String>),
    now: i64,
) -> Value {
    match shape {
        Shape::Table(include) => {
            let rows: Vec<&Value> = objects.iter().map(|object| &**object).collect();
            let mut body = table(resource, &rows, now, include, version);
            if let Some(next) = next {
                body["metadata"]["continue"] = json!(next);
            }
            body
        }
        Shape::Partial => {
            let items: Vec<Value> = objects.iter().map(|object| partial(object)).collect();
            let mut body = list_of(resource, Vec::new(), version, next);
            body["kind"] = json!("PartialObjectMetadataList");
            body["apiVersion"] = json!("meta.k8s.io/v1");
            // A real server says `null` where there are none, and unlike in other lists each item says what it is.
            body["items"] = if items.is_empty() { Value::Null } else { Value::Array(items) };
            body
        }
        Shape::Object => {
            let items: Vec<Value> = objects.iter().map(|object| present(resource, object)).collect();
            list_of(resource, items, version, next)
        }
    }
}

/// The object as this resource shows it.
pub(super) fn present(resource: &Resource, object: &Value) -> Value {
    if resource.is_event_view() {
        return event_view(object);
    }
    let mut shown = object.clone();
    // The same object under another version of its group.
    put(&mut shown, "/apiVersion", resource.api_version());
    shown
}

/// A list object around `items`, which leave out what the list says.
pub(super) fn list_of(resource: &Resource, items: Vec<Value>, version: u64, next: Option<String>) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some(next) = next {
        metadata["continue"] = json!(next);
    }
    let items: Vec<Value> = items
        .into_iter()
        .map(|mut item| {
            cut(&mut item, "/kind");
            cut(&mut item, "/apiVersion");
            item
        })
        .collect();
    let mut body = json!({
        "kind": format!("{}List", resource.name),
        "apiVersion": resource.api_version(),
        "metadata": metadata,
    });
    // Put in as it is: `json!` would copy all of it.
    body["items"] = Value::Array(items);
    body
}

fn write_token(version: u64, last: &Value) -> String {
    let token = json!({"v": version, "ns": text(last, "/metadata/namespace"), "name": name(last)});
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read_token(token: &str) -> Result<(u64, (String, String)), ApiError> {
    let bad = || ApiError::bad_request("continue key is not valid");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let version = token["v"].as_u64().ok_or_else(bad)?;
    Ok((version, (text(&token, "/ns").to_owned(), text(&token, "/name").to_owned())))
}
