//! Everything behind the API: objects, upcoming events, and who gets traffic.
//!
//! Time is simulated by an agenda: each entry says what happens when, and [`State::advance`] plays all that is due, each
//! at its own time. So the story is the same however late or seldom the clock is looked at.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    directing::{Directed, Receiver},
    fields::{Writer, record},
    gateway::Gateway,
    hindrance::Hindrances,
    life::{Life, PodStep},
    object::{condition, int, name, put, rfc3339, suffix, terminating, text, uid, uid_of},
    resource::{Kind, Resource},
    roles::Roles,
    similar::{COMBINED, Similar},
    store::{Key, Store},
};
use crate::world::{scenario::Scenario, stage::Furniture};

/// The time from a write to the controllers' reaction, milliseconds.
const REACTION_MS: i64 = 150;
/// How long Events are kept, as by a real server.
const EVENT_LIFE_MS: i64 = 3_600_000;

/// Something that is due to happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The controllers look at what changed.
    Controllers,
    /// The kubelet's next step with the pod of this uid.
    Pod(String, PodStep),
    /// A pod of this one crashes, if it still has traffic since the time given. The count says which crash it is.
    Wobble { receiver: Receiver, since: i64, count: u32 },
    /// The gateway takes up what its route says.
    Gateway,
    /// Old Events go.
    ExpireEvents,
}

/// The cluster, and what is going to happen in it. It moves only when it is told what time it is: the same questions at the
/// same times get the same answers.
#[derive(Debug)]
pub(super) struct State {
    pub(super) furniture: Furniture,
    pub(super) scenario: Scenario,
    pub(super) store: Store,
    /// The time of what is happening now: simulated milliseconds since the epoch.
    pub(super) now: i64,
    agenda: BinaryHeap<Reverse<(i64, u64, Due)>>,
    entered: u64,
    controllers_due: bool,
    /// Times at which the controllers look again.
    looks: BTreeSet<i64>,
    /// While true, nothing happens by itself: a test looks at statuses that lag behind.
    pub(super) frozen: bool,
    /// The kubelet's memory of each pod, by uid.
    pub(super) lives: BTreeMap<String, Life>,
    /// Images that a node holds: (node, image).
    pub(super) pulled: BTreeSet<(String, String)>,
    /// Events by what they say of whom: saying it again counts up.
    told: HashMap<String, Key>,
    /// What is combined from Events that are alike.
    similar: Similar,
    /// Pods that were given a node so far: they take turns.
    pub(super) scheduled: usize,
    /// Whether something changed that Services lead to.
    pub(super) endpoints_changed: bool,
    pub(super) directed: Directed,
    pub(super) gateway: Gateway,
    /// Verbs on resources that are forbidden: `("patch", "services")`.
    pub(super) denied: BTreeSet<(String, String)>,
    /// What keeps pods from running.
    pub(super) hindrances: Hindrances,
    pub(super) roles: Roles,
    names: u64,
}

impl State {
    pub(super) fn new(furniture: Furniture, scenario: Scenario, now: i64) -> Self {
        let mut state = Self {
            furniture,
            scenario,
            store: Store::new(48_200),
            now,
            agenda: BinaryHeap::new(),
            entered: 0,
            controllers_due: false,
            looks: BTreeSet::new(),
            frozen: false,
            lives: BTreeMap::new(),
            pulled: BTreeSet::new(),
            told: HashMap::new(),
            similar: Similar::default(),
            scheduled: 0,
            endpoints_changed: false,
            directed: Directed::default(),
            gateway: Gateway::default(),
            denied: BTreeSet::new(),
            hindrances: Hindrances::default(),
            roles: Roles::default(),
            names: 0,
        };
        state.furnish();
        state.store.compact();
        // The controllers find everything as it should be; they only take note.
        state.notice();
        state.at(now + EVENT_LIFE_MS / 60, Due::ExpireEvents);
        state
    }

    /// Puts something on the agenda.
    pub(super) fn at(&mut self, when: i64, due: Due) {
        self.entered += 1;
        self.agenda.push(Reverse((when, self.entered, due)));
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> Option<i64> {
        if self.frozen { None } else { self.agenda.peek().map(|Reverse((when, ..))| *when) }
    }

    /// Plays everything that is due by `now`.
    pub(super) fn advance(&mut self, now: i64) {
        while let Some(when) = self.next_due().filter(|when| *when <= now) {
            let Some(Reverse((_, _, due))) = self.agenda.pop() else { break };
            // An entry may be for a time that the clock has jumped over; time never runs back.
            self.now = self.now.max(when);
            self.happen(due);
            self.notice();
        }
        self.now = self.now.max(now);
    }

    /// One thing that was due. Controllers look after every change, as informers make them.
    fn happen(&mut self, due: Due) {
        match due {
            Due::Controllers => {
                self.controllers_due = false;
                self.looks = self.looks.split_off(&(self.now + 1));
                self.reconcile();
            }
            Due::Pod(uid, step) => self.pod_step(&uid, step),
            Due::Wobble { receiver, since, count } => self.wobble(&receiver, since, count),
            Due::Gateway => self.sync_gateway(),
            Due::ExpireEvents => {
                let old: Vec<Key> = self
                    .store
                    .list(Kind::Event, None)
                    .filter(|(_, event)| {
                        let last = super::object::parse_time(text(event, "/lastTimestamp"));
                        last.is_some_and(|last| last + EVENT_LIFE_MS < self.now)
                    })
                    .map(|(key, _)| key.clone())
                    .collect();
                for key in old {
                    self.store.remove(&key);
                }
                self.told.retain(|_, key| self.store.get(key).is_some());
                self.similar.forget(self.now);
                self.at(self.now + EVENT_LIFE_MS / 60, Due::ExpireEvents);
            }
        }
    }

    /// Reacts to the writes since the last call: wakes the controllers and the kubelet, follows the traffic.
    pub(super) fn notice(&mut self) {
        let changes = self.store.take_unseen();
        let mut wake = false;
        for change in &changes {
            match change.key.kind {
                Kind::Pod => {
                    wake = true;
                    self.endpoints_changed |=
                        change.removed || !same_address(change.before.as_deref(), &change.object);
                    if change.before.is_none() {
                        self.begin_life(&change.object);
                    } else if change.removed {
                        self.lives.remove(uid_of(&change.object));
                    }
                }
                Kind::Endpoints | Kind::EndpointSlice => {
                    wake = true;
                    self.endpoints_changed = true;
                }
                Kind::Deployment | Kind::ReplicaSet | Kind::HorizontalPodAutoscaler => wake = true,
                Kind::Service => {
                    wake = true;
                    self.endpoints_changed = true;
                    self.follow_traffic();
                    self.wake_gateway();
                }
                Kind::HttpRoute | Kind::Gateway => self.wake_gateway(),
                _ => {}
            }
        }
        if wake && !self.controllers_due {
            self.controllers_due = true;
            self.at(self.now + REACTION_MS, Due::Controllers);
        }
    }

    /// The controllers look again at `when`, whatever happens until then.
    pub(super) fn look_again(&mut self, when: i64) {
        if self.looks.insert(when) {
            self.at(when, Due::Controllers);
        }
    }

    // --- objects -----------------------------------------------------------------------------------------------

    pub(super) fn namespace(&self) -> String {
        self.furniture.namespace.clone()
    }

    /// The key of an object in the furniture's namespace.
    pub(super) fn key(&self, kind: Kind, name: &str) -> Key {
        Key::new(kind, &self.furniture.namespace, name)
    }

    /// Completes the metadata of a new object and stores it. `created` is its age's beginning.
    pub(super) fn create(
        &mut self,
        kind: Kind,
        mut object: Value,
        manager: &str,
        created: i64,
    ) -> Arc<Value> {
        let resource = Resource::of(kind);
        let api_version = resource.api_version();
        put(&mut object, "/apiVersion", api_version.as_str());
        put(&mut object, "/kind", resource.name);
        self.complete(&mut object, created);
        let time = rfc3339(created);
        let writer = Writer {
            manager,
            operation: "Update",
            api_version: &api_version,
            subresource: None,
            time: &time,
        };
        record(&json!({}), &mut object, &writer, None);
        self.store.put(kind, object)
    }

    /// uid, creationTimestamp and, for kinds that have it, generation.
    pub(super) fn complete(&mut self, object: &mut Value, created: i64) {
        self.names += 1;
        let context = &self.furniture.context;
        let seed = format!("{context}/{}/{}/{}", text(object, "/kind"), name(object), self.names);
        put(object, "/metadata/uid", uid(&seed));
        put(object, "/metadata/creationTimestamp", rfc3339(created));
        if matches!(text(object, "/kind"), "Deployment" | "ReplicaSet" | "HTTPRoute" | "Gateway")
            && int(object, "/metadata/generation") == 0
        {
            put(object, "/metadata/generation", 1);
        }
    }

    /// `prefix` and five letters that no name before had.
    pub(super) fn fresh_name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", suffix(&format!("{prefix}{}", self.names), 5))
    }

    /// Stores what one of the control plane's own parts made of an object; does nothing where nothing changed.
    pub(super) fn write(&mut self, kind: Kind, mut new: Value, manager: &str, subresource: Option<&str>) {
        let Some(old) = self.store.get(&Key::of(kind, &new)).cloned() else { return };
        if *old == new {
            return;
        }
        if old.get("spec") != new.get("spec") && kind.has_generation() {
            put(&mut new, "/metadata/generation", int(&old, "/metadata/generation") + 1);
        }
        let api_version = Resource::of(kind).api_version();
        let time = rfc3339(self.now);
        let writer =
            Writer { manager, operation: "Update", api_version: &api_version, subresource, time: &time };
        record(&old, &mut new, &writer, None);
        self.store.put(kind, new);
    }

    /// Tells people what happened to `about`. The same thing again raises the count of the Event there is, and so do many that
    /// are alike.
    pub(super) fn event(
        &mut self,
        about: &Value,
        warning: bool,
        reason: &str,
        message: &str,
        reporter: &str,
    ) {
        let namespace = text(about, "/metadata/namespace").to_owned();
        let (about_uid, now) = (uid_of(about), rfc3339(self.now));
        let alike = format!("{about_uid}/{warning}/{reason}/{reporter}");
        let (identity, message) = if self.similar.combines(&alike, message, self.now) {
            (alike, format!("{COMBINED}{message}"))
        } else {
            (format!("{about_uid}/{reason}/{message}"), message.to_owned())
        };
        let same = self.told.get(&identity).and_then(|key| self.store.get(key));
        if let Some(mut event) = same.map(|event| Value::clone(event)) {
            let count = int(&event, "/count") + 1;
            put(&mut event, "/count", count);
            put(&mut event, "/message", message);
            put(&mut event, "/lastTimestamp", now);
            self.store.put(Kind::Event, event);
            return;
        }
        let (involved, source) = involved(about, warning, reason, reporter);
        self.names += 1;
        let event_name =
            format!("{}.{:016x}", name(about), super::object::digest(&format!("event{}", self.names)));
        let event = json!({
            "metadata": {"name": event_name, "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": if warning { "Warning" } else { "Normal" },
            "eventTime": null,
            "reportingComponent": reporter,
            "reportingInstance": source["host"].as_str().unwrap_or_default(),
        });
        self.told.insert(identity, Key::new(Kind::Event, &namespace, &event_name));
        self.create(Kind::Event, event, reporter, self.now);
    }
}

/// What an Event is about, and who tells it. A kubelet names its node, and of a pod the container, but where it kills it.
fn involved(about: &Value, warning: bool, reason: &str, reporter: &str) -> (Value, Value) {
    let mut involved = json!({
        "kind": about["kind"],
        "namespace": text(about, "/metadata/namespace"),
        "name": name(about),
        "uid": uid_of(about),
        "apiVersion": about["apiVersion"],
        "resourceVersion": about["metadata"]["resourceVersion"],
    });
    let mut source = json!({"component": reporter});
    if text(about, "/kind") == "Pod" && reporter == "kubelet" {
        source["host"] = about["spec"]["nodeName"].clone();
        if reason != "Killing" || warning {
            let container = text(about, "/spec/containers/0/name");
            involved["fieldPath"] = json!(format!("spec.containers{{{container}}}"));
        }
    }
    (involved, source)
}

/// Whether a pod leads where it led before, as far as Services care.
fn same_address(before: Option<&Value>, after: &Value) -> bool {
    let address = |pod: &Value| {
        let ready = condition(pod, "Ready") == "True";
        (ready, terminating(pod), text(pod, "/status/podIP").to_owned(), pod["metadata"]["labels"].clone())
    };
    before.is_some_and(|before| address(before) == address(after))
}
