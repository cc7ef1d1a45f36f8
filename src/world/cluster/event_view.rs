//! The two shapes of an Event: as it is stored, and as `events.k8s.io/v1` has it.

use serde_json::{Value, json};

use super::object::int;

/// An Event in the shape of `events.k8s.io/v1`.
pub(super) fn event_view(event: &Value) -> Value {
    let first = event["firstTimestamp"].clone();
    json!({
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": event["metadata"],
        "eventTime": event["eventTime"],
        "reportingController": event["reportingComponent"],
        "reportingInstance": event["reportingInstance"],
        "reason": event["reason"],
        "regarding": event["involvedObject"],
        "note": event["message"],
        "type": event["type"],
        "deprecatedSource": event["source"],
        "deprecatedFirstTimestamp": first,
        "deprecatedLastTimestamp": event["lastTimestamp"],
        "deprecatedCount": int(event, "/count"),
    })
}

/// The stored shape of an Event that was written through `events.k8s.io/v1`.
pub(super) fn event_from_view(event: &Value) -> Value {
    json!({
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": event["metadata"],
        "eventTime": event["eventTime"],
        "reportingComponent": event["reportingController"],
        "reportingInstance": event["reportingInstance"],
        "reason": event["reason"],
        "action": event["action"],
        "involvedObject": event["regarding"],
        "message": event["note"],
        "type": event["type"],
        "source": event["deprecatedSource"],
        "firstTimestamp": event["deprecatedFirstTimestamp"],
        "lastTimestamp": event["deprecatedLastTimestamp"],
        "count": event["deprecatedCount"],
    })
}
