//! What faces the world: one port each.

pub mod clock;
pub mod http;
pub mod kube;
pub mod metrics;
pub mod notify;
pub mod process;
mod prometheus;
pub mod rehearsal;
mod scrape;
#[cfg(test)]
mod testing;
mod tls;
