//! The simulated world that rehearsals and tests fly in: a Kubernetes API server, a Prometheus and the deployed
//! application, each real HTTP on a loopback port, driven by a [`scenario::Scenario`] and a [`clock::WorldClock`] that can run
//! faster than the wall's.
//!
//! It must not flatter us: the same contract tests run against it and against real servers.

pub mod clock;
pub mod cluster;
pub mod metrics;
pub mod network;
pub mod promql;
pub mod scenario;
pub mod service;
pub mod stage;
pub mod traffic;
