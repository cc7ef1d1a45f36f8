//! The engine owns a run: it feeds the machine, writes its decisions to the journal, carries them out, and feeds the
//! results back.
//!
//! ```text
//!   screens ─Incoming──▶ requests ─┐
//!   feeds ────────────────────News─┼──▶ driver ──Input──▶ Machine ──Decision──▶ books ──▶ hands ──▶ perform ──▶ ports
//!   results of what runs ─────News─┘                                              │
//!                                                          screens ◀── hall ◀─────┘
//! ```
//!
//! `books` writes the journal, synced, before `hall` shows anything and before `hands` does anything. [`driver`] is the
//! loop around them.

pub mod driver;
pub mod hidden;
pub mod ledger;
pub mod look;
pub mod mask;
pub mod messages;
pub mod output;
pub mod perform;
pub mod ports;
pub mod values;

mod books;
mod crew;
mod feeds;
mod hall;
mod hands;
mod kit;
mod requests;
mod rollout;
mod way_back;

#[cfg(test)]
mod tests;
