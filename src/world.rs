//! The simulated world for rehearsals and tests: a Kubernetes API server, a Prometheus and the deployed application.
//! Each speaks real HTTP on a loopback port, driven by a [`scenario::Scenario`] and a [`clock::WorldClock`] that can
//! run faster than real time.
//!
//! It must not flatter us: the same contract tests run against it and against real servers.

pub mod clock;
pub mod cluster;
pub mod metrics;
pub mod network;
pub mod promql;
pub mod reply;
pub mod scenario;
pub mod service;
pub mod stage;
pub mod traffic;
