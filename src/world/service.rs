//! The simulated application: its answers on the main host name and on the host names of its slots and revisions.
//!
//! `/health`, `/health/db`, `/version` and `/metrics`, as the runbook's checks and scrapes ask for them. Behind the front door
//! requests go to all backends that have traffic, by their shares in turn. Where nobody is ready to answer, the answer is 503, as
//! a load balancer without a backend gives it; where a gateway has nowhere to send it, 500.

use serde_json::json;

use super::{
    metrics::{Telemetry, exposition::Exposition},
    reply::Reply,
    stage::{Backend, Picture},
    traffic::tag,
};

/// A way into the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// The production address. The number is the request's among all: shares are kept over many of them.
    Front(u64),
    /// The address of one slot.
    Slot(&'a str),
    /// The address of the pods with one `pod-template-hash`.
    Revision(&'a str),
}

/// Whether the application knows `path`.
#[must_use]
pub fn is_path(path: &str) -> bool {
    matches!(path, "/health" | "/health/db" | "/version" | "/metrics")
}

/// Answers a GET of `path` at `door`, the cluster being as `picture` says.
pub fn answer(door: Door<'_>, path: &str, picture: &Picture, telemetry: &Telemetry) -> Reply {
    let backend = match door {
        Door::Front(turn) => match turned_to(turn, picture) {
            Turn::Backend(backend) => Some(backend),
            Turn::Elsewhere => return Reply::json(200, &json!({ "status": "ok" })),
            Turn::Refused => {
                return Reply::json(500, &json!({ "status": "error", "error": "no route to a backend" }));
            }
            Turn::Nobody => None,
        },
        Door::Slot(name) => picture.slot(name),
        Door::Revision(hash) => picture.backends.iter().find(|backend| backend.hash == hash),
    };
    let Some(backend) = backend.filter(|backend| backend.ready > 0) else {
        return Reply::json(503, &json!({ "status": "unavailable", "error": "no ready pod" }));
    };
    match path {
        "/health/db" => {
            Reply::json(200, &json!({ "status": "ok", "database": "ok", "environment": backend.slot }))
        }
        "/version" => {
            Reply::json(200, &json!({ "version": tag(&backend.image), "environment": backend.slot }))
        }
        "/metrics" => metrics(door, telemetry),
        // `/health`, or a smoke test's or a user's path: the application is there and well.
        _ => Reply::json(200, &json!({ "status": "ok", "environment": backend.slot })),
    }
}

/// Where one request goes.
enum Turn<'a> {
    Backend(&'a Backend),
    Elsewhere,
    Refused,
    Nobody,
}

/// Where the request of this number goes: evenly spread, so that a few of them show all shares.
fn turned_to(turn: u64, picture: &Picture) -> Turn<'_> {
    /// Multiples of the golden ratio's fraction fill the line from 0 to 1 evenly, however many there are.
    const GOLDEN: f64 = 0.618_033_988_749_895;
    #[expect(clippy::cast_precision_loss, reason = "a count of requests fits a double")]
    let mut place = (turn as f64 * GOLDEN).fract();
    for backend in picture.backends.iter().filter(|backend| backend.is_live()) {
        // The last one's share may end a hair before the whole.
        if place < backend.share + f64::EPSILON {
            return Turn::Backend(backend);
        }
        place -= backend.share;
    }
    if place < picture.elsewhere {
        return Turn::Elsewhere;
    }
    if place - picture.elsewhere < picture.refused { Turn::Refused } else { Turn::Nobody }
}

/// The exposition of the backends behind a door; at the front door that of all, told apart by their labels.
fn metrics(door: Door<'_>, telemetry: &Telemetry) -> Reply {
    let traffic = telemetry.traffic();
    let mut out = Exposition::default();
    for exporter in traffic.exporting() {
        let shown = match door {
            Door::Front(_) => true,
            Door::Slot(slot) => exporter.slot == slot,
            Door::Revision(hash) => exporter.hash == hash,
        };
        if shown {
            traffic.visit(exporter.id, &mut |point| out.point(point));
        }
    }
    Reply::new(200, Exposition::CONTENT_TYPE, out.into_text())
}
