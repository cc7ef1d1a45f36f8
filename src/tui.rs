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
//! `offer`, `alerts`, `layout`, `subject`, `times`, `pages` and `story` say in words and numbers what each key does, what is
//! wrong, what has room, what panes and charts are about; drawing and key handling both ask them, so that no key does what the screen does
//! not say.
//!
//! [`Run`]: crate::domain::run::Run

pub mod alerts;
pub mod commands;
mod evidence;
pub mod incident;
pub mod input;
pub mod keep;
pub mod layout;
pub mod links;
pub mod model;
pub mod msg;
pub mod offer;
pub mod pages;
pub mod runtime;
pub mod story;
pub mod style;
pub mod subject;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod times;
pub mod title;
pub mod untold;
pub mod update;
pub mod view;
pub mod widget;

pub use runtime::{EndReason, ScreenEnd, ScreenOptions, TuiError, run};

/// Columns and rows of the terminal, where it tells them.
pub fn terminal_size() -> Option<(u16, u16)> {
    crossterm::terminal::size().ok()
}
