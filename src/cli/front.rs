//! What the subcommands share: starting or finding an engine, and showing its run on a screen or as lines.
//!
//! ```text
//! own       the operator's settings and keymap
//! launch    starts an engine and waits until it is ready
//! reach     finds the run that is meant, and its engine       errand  sends it one command and follows the run
//! screen    the cockpit     plain  line mode; autopilot answers its prompts     words  messages that both print
//! ```

pub mod autopilot;
pub mod errand;
pub mod launch;
pub mod name;
pub mod own;
pub mod plain;
pub mod reach;
pub mod screen;
pub mod words;
