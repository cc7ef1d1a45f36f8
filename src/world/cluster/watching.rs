//! Watches: how they start, and what they send after that.

use serde_json::{Value, json};

use super::{
    api::{Answer, Call, WatchPlan},
    event_view::event_view,
    object::put,
    resource::{Resource, Target},
    state::State,
    status::ApiError,
};

impl State {
    /// Begins a watch.
    pub(super) fn watch(&self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        let shape = call.shape()?;
        let filter = call.filter(target.resource)?;
        // Version 0 means any: what the server has, as for a watch that names none.
        let asked = call.version("resourceVersion")?.unwrap_or(0);
        let send_initial = call.query("sendInitialEvents");
        let matching = call.query("resourceVersionMatch");
        if send_initial.is_empty() != matching.is_empty()
            || (!matching.is_empty() && matching != "NotOlderThan")
        {
            return Err(ApiError::watch_without_match());
        }
        let mark_end = send_initial == "true";
        let begins_with_all = mark_end || (asked == 0 && send_initial != "false");
        let initial = if begins_with_all { self.kept(target, &filter) } else { Vec::new() };
        let from = if begins_with_all || asked == 0 { self.store.version() } else { asked };
        Ok(Answer::Watch(WatchPlan {
            resource: target.resource,
            namespace: target.namespace.clone(),
            filter,
            shape,
            initial,
            mark_end,
            bookmarks: matches!(call.query("allowWatchBookmarks"), "true" | "1"),
            from,
            timeout: call.query("timeoutSeconds").parse().ok(),
        }))
    }

    /// The lines of a watch for everything that happened after `plan.from`, which moves on; an error when some of it is
    /// forgotten.
    pub(super) fn watch_events(&self, plan: &mut WatchPlan) -> Result<Vec<Value>, ApiError> {
        let Some(changes) = self.store.since(plan.from) else {
            return Err(ApiError::expired(plan.from, self.store.compacted()));
        };
        let mut events = Vec::new();
        for change in changes {
            let key = &change.key;
            if key.kind != plan.resource.kind
                || plan.namespace.as_ref().is_some_and(|wanted| *wanted != key.namespace)
            {
                continue;
            }
            let matches = |object: &Value| {
                if plan.resource.is_event_view() {
                    plan.filter.matches(&event_view(object))
                } else {
                    plan.filter.matches(object)
                }
            };
            let was = change.before.as_ref().is_some_and(|before| matches(before));
            let is = !change.removed && matches(&change.object);
            // An object that leaves the selection is as good as deleted for this watcher.
            let what = match (was, is) {
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
                (false, false) => continue,
            };
            events.push(event(what, self.shown(plan.resource, &change.object, plan.shape)));
        }
        plan.from = plan.from.max(self.store.version());
        Ok(events)
    }

    /// What a watch begins with.
    pub(super) fn initial_events(&self, plan: &mut WatchPlan) -> Vec<Value> {
        let initial = std::mem::take(&mut plan.initial);
        let mut events: Vec<Value> = initial
            .iter()
            .map(|object| event("ADDED", self.shown(plan.resource, object, plan.shape)))
            .collect();
        if plan.mark_end && plan.bookmarks {
            let mut mark = bookmark(plan.resource, plan.from);
            put(&mut mark, "/object/metadata/annotations", json!({"k8s.io/initial-events-end": "true"}));
            events.push(mark);
        }
        events
    }
}

/// A bookmark: nothing happened up to this version.
pub(super) fn bookmark(resource: &Resource, version: u64) -> Value {
    json!({"type": "BOOKMARK", "object": {
        "kind": resource.name,
        "apiVersion": resource.api_version(),
        "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null},
    }})
}

/// One line of a watch.
fn event(what: &str, object: Value) -> Value {
    let mut event = json!({"type": what});
    // Put in as it is: `json!` would copy all of it.
    event["object"] = object;
    event
}
