//! The outside world: one adapter for each port.

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
