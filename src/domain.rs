//! What a runbook and a run are, the state machine that decides, and the verdicts on metrics.
//!
//! Nothing here reads a clock, a file or a socket: time and facts come in as values. Besides `std` and `serde` it uses
//! only crates of plain values (`jiff` for calendar types, `unicode-width` for columns); `docs/decisions/` says why.

pub mod action;
pub mod actor;
pub mod backtest;
pub mod belief;
pub mod cause;
pub mod check;
pub mod claim;
pub mod clock_axis;
pub mod copy;
pub mod crew;
pub mod director;
pub mod dora;
pub mod effect;
pub mod event;
pub mod evidence;
pub mod felt;
#[cfg(test)]
pub(crate) mod fixture;
pub mod guard;
pub mod id;
pub mod kept;
pub mod kubectl;
pub mod lock;
pub mod machine;
pub mod message;
pub mod metric;
pub mod needs;
pub mod observation;
pub mod online;
pub mod patched;
pub mod plan;
pub mod promise;
pub mod prompt;
pub mod put_back;
pub mod reel;
pub mod rights;
pub mod rollback_target;
pub mod rollout;
pub mod run;
pub mod runbook;
pub mod safe_text;
pub mod scale;
pub mod schedule;
pub mod series;
pub mod slot_labels;
pub mod story;
pub mod survey;
pub mod target;
pub mod template;
pub mod time;
pub mod trigger;
pub mod verdict;
pub mod workload;
pub mod worse;
