//! The product on a real Kubernetes control plane with a real Prometheus, judged by kubectl.
//!
//! `.ci/run` builds the servers, starts them and flies all of it. By hand:
//!
//! ```text
//! tests/real/kube up && cargo test --features real-servers --test real; tests/real/kube down
//! ```
//!
//! Each flight has a namespace of its own, so that many are in the air at once. Those that stop the API server have it alone.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

#[path = "support/verdict.rs"]
mod evidence;
#[path = "support/ground.rs"]
mod ground;
#[path = "support/helm.rs"]
mod helm;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/pty.rs"]
mod pty;

#[path = "real/app.rs"]
mod app;
#[path = "real/line.rs"]
mod line;
#[path = "real/place.rs"]
mod place;
#[path = "real/plane.rs"]
mod plane;

#[path = "real/backtest.rs"]
mod backtest;
#[path = "real/calls.rs"]
mod calls;
#[path = "real/flights.rs"]
mod flights;
#[path = "real/hosts.rs"]
mod hosts;
#[path = "real/metrics.rs"]
mod metrics;
#[path = "real/online.rs"]
mod online;
#[path = "real/outages.rs"]
mod outages;
#[path = "real/rights.rs"]
mod rights;
#[path = "real/rollouts.rs"]
mod rollouts;
#[path = "real/strangers.rs"]
mod strangers;
#[path = "real/strategies.rs"]
mod strategies;
#[path = "real/verdict.rs"]
mod verdict;
#[path = "real/watches.rs"]
mod watches;

use app::server;
