//! Runbooks, runs and flights for tests.

mod flight;
pub(crate) mod ground;
mod parts;
mod payment;
mod small;
mod strategies;

pub(crate) use flight::Flight;
pub(crate) use parts::{action, check, is, measured, person};
pub(crate) use payment::payment;
pub(crate) use small::{at_quick, at_step, look, opened, runbook, sh, trigger, workload};
pub(crate) use strategies::{canary_replicas, canary_route, recreate, rolling, rolling_in_two, sip};

use super::time::Timestamp;

/// When every flight opens.
pub(crate) const START: Timestamp = Timestamp(1_795_000_000_000);
