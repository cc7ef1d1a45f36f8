//! Look before every act: the product flown by a hostile operator. Its own engine and its own Kubernetes adapter, against a
//! simulated cluster behind a proxy that lags, loses, refuses and stalls. Judged by what the cluster holds at the end.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

#[path = "support/ground.rs"]
mod ground;
#[path = "support/helm.rs"]
mod helm;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/pty.rs"]
mod pty;
#[path = "guard/stand.rs"]
mod stand;

#[path = "guard/calls.rs"]
mod calls;
#[path = "guard/patches.rs"]
mod patches;
#[path = "guard/pods.rs"]
mod pods;
#[path = "guard/retired.rs"]
mod retired;
#[path = "guard/strangers.rs"]
mod strangers;
