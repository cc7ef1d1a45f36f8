//! What faces the world: one port each.

pub mod clock;
pub mod http;
pub mod metrics;
pub mod notify;
mod prometheus;
mod scrape;
#[cfg(test)]
mod testing;
mod tls;
