//! What moves traffic between the slots, one file each.
//!
//! ```text
//! selector       switches a Service from one slot's labels to another's: all of the traffic at once
//! route, shift   reads an HTTPRoute, and changes what the slots' Services weigh in it: any share at once
//! replicas       a Service selects the pods of both slots: share = ready pods
//! rollout        one Deployment, two revisions: which pod belongs to which
//! revert         the template that a Deployment had, a rollout that is paused or goes on
//! ```

mod replicas;
mod revert;
mod rollout;
mod route;
mod selector;
mod shift;

pub(super) use replicas::shares as shares_of_pods;
pub(super) use rollout::{Parting, Revisions};
pub(super) use route::{HttpRoute, RouteView};
