//! Loads runbook.toml, and the operator's settings, keymap and theme.
//!
//! A file becomes what it means in four passes, and each collects every fault it finds, with its place:
//!
//! ```text
//! text ─▶ raw      a tree of values that know where they stand       TOML's own faults
//!      ─▶ conform  the tree against the format, which is data (shape)  unknown keys, wrong types, missing keys
//!      ─▶ load     the tree as domain values                         exactly one of …, bounds, time zones, PromQL
//!      ─▶ cross    names against names                               variables, slots, metrics, parts, rollbacks
//! ```
//!
//! The format is written down once, as data: the loader, the JSON Schema for editors and the reference come from it.

pub mod diagnose;
pub mod keymap;
pub mod schema;
pub mod settings;
pub mod theme;

mod conform;
mod load;
mod raw;
mod shape;
mod vars;

pub use diagnose::{Diagnostic, Severity};
pub use load::{Loaded, gives_a_number, load_file, load_str};
pub(crate) use shape::{ACTION, ACTION_KINDS, ITEM};
pub use vars::{check_value, is_shell_own, script_names, script_sets, shell_gives};

/// The runbook that `rehearse` flies where no other is at hand: the one at the top level of this repository.
pub const BUILTIN_RUNBOOK: &str = include_str!("../runbook.toml");
