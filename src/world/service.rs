//! The simulated application: what it answers under its front door and under the doors of its slots.
//!
//! `/health`, `/health/db`, `/version` and `/metrics`, as the runbook's checks and scrapes ask for them. Behind every door
//! there is one slot: the front door leads to the one that the Service selects. Where that has no ready pod, the answer
//! is 503, as a load balancer without a backend gives it.

use serde_json::{Value as Json, json};

use super::{
    metrics::{Telemetry, exposition::Exposition},
    stage::SlotState,
    traffic::tag,
};

/// An HTTP answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Reply {
    /// An answer from its parts.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body }
    }

    /// 200 with plain text.
    #[must_use]
    pub fn text(body: &str) -> Self {
        Self::new(200, "text/plain; charset=utf-8", body.to_owned())
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: u16, body: &Json) -> Self {
        Self::new(status, "application/json", body.to_string())
    }
}

/// A way into the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// The production address: whatever slot the Service selects.
    Front,
    /// The address of one slot.
    Slot(&'a str),
}

/// Whether the application knows `path`.
#[must_use]
pub fn is_path(path: &str) -> bool {
    matches!(path, "/health" | "/health/db" | "/version" | "/metrics")
}

/// Answers a GET of `path` at `door`, the cluster being as `stage` says.
pub fn answer(door: Door<'_>, path: &str, stage: &[SlotState], telemetry: &Telemetry) -> Reply {
    let slot = stage.iter().find(|slot| match door {
        Door::Front => slot.live,
        Door::Slot(name) => slot.name == name,
    });
    let Some(slot) = slot.filter(|slot| slot.ready > 0) else {
        return Reply::json(503, &json!({ "status": "unavailable", "error": "no ready pod" }));
    };
    match path {
        "/health/db" => {
            Reply::json(200, &json!({ "status": "ok", "database": "ok", "environment": slot.name }))
        }
        "/version" => Reply::json(200, &json!({ "version": tag(&slot.image), "environment": slot.name })),
        "/metrics" => metrics(door, telemetry),
        // `/health`, or a smoke test's or a user's path: the application is there and well.
        _ => Reply::json(200, &json!({ "status": "ok", "environment": slot.name })),
    }
}

/// The exposition of one slot; at the front door that of both, told apart by their labels.
fn metrics(door: Door<'_>, telemetry: &Telemetry) -> Reply {
    let traffic = telemetry.traffic();
    let mut out = Exposition::default();
    for (slot, _) in traffic.exporting() {
        if matches!(door, Door::Front) || door == Door::Slot(slot) {
            traffic.visit(slot, &mut |point| out.point(point));
        }
    }
    Reply::new(200, Exposition::CONTENT_TYPE, out.into_text())
}
