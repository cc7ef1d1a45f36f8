//! The outside world: one adapter for each port of the engine.
//!
//! An adapter turns what a real thing says (an API server, a Prometheus, a process, a webhook) into the engine's words, and
//! says for each failure whether something may have been done. It decides nothing: whether a check passes, whether a write is
//! tried again, what a person is asked, is the engine's and the domain's. `flight::world` puts the adapters of a run together;
//! a rehearsal uses the same ones against the simulated cluster, so what it proves holds for them too.

pub mod clock;
pub mod connect;
pub mod http;
pub mod kube;
pub mod metrics;
pub mod notify;
pub mod process;
mod prometheus;
pub mod rehearsal;
mod scrape;
mod shown;
#[cfg(test)]
mod testing;
mod tls;
