//! The engine owns a run: it feeds the machine, journals what the machine decides, then does it, and feeds results back.
//!
//! ```text
//!   screens ─Incoming──▶ driver ──Input──▶ Machine ──Decision──▶ journal (sync) ──▶ perform ──▶ ports
//!      ▲                   ▲                                                          │
//!      └──Update───────────┴───────────────Input: results, samples, pictures ─────────┘
//! ```

pub mod crew;
pub mod driver;
pub mod feed;
pub mod hidden;
pub mod ledger;
pub mod look;
pub mod mask;
pub mod perform;
pub mod ports;
pub mod values;

#[cfg(test)]
mod tests;
