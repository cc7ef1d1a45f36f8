//! The cockpit: what a person sees of a run, and asks of it.
//!
//! A screen is a client of the engine like any other. It gets updates, folds events into a [`Run`], keeps telemetry
//! beside it, and sends requests; everything it shows beyond that is asked from the run.
//!
//! ```text
//! terminal, input ──▶ Msg ──▶ update(Model) ──▶ Effect ──▶ requests, bell, copy
//! engine's updates ──▶ Msg ──┘      │
//!                                   ▼
//!                         view::draw(&Model, buffer)      at most ten times a second, at once after a key
//! ```
//!
//! `alerts`, `next`, `layout`, `subject`, `pages` and `story` say in words and numbers what is wrong, what the next key does,
//! what has room, what panes are about; drawing and key handling both ask them, so that no key does what the screen does
//! not say.
//!
//! [`Run`]: crate::domain::run::Run

pub mod alerts;
pub mod input;
pub mod layout;
pub mod model;
pub mod msg;
pub mod next;
pub mod pages;
pub mod runtime;
pub mod story;
pub mod style;
pub mod subject;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod update;
pub mod view;
pub mod widget;

pub use runtime::{EndReason, ScreenEnd, ScreenOptions, TuiError, run};
