//! The channel between the engine and its screens.
//!
//! Every message is a length-prefixed JSON frame, in one process as well as between two: nothing that cannot be
//! serialised can pass. Requests are bounded and never dropped. Of the updates, events are never dropped either;
//! telemetry is, for a screen that does not keep up.

pub mod frame;
pub mod local;

pub use local::{Client, Server, pair};
