//! What faces the world: one port each.

pub mod clock;
pub mod http;
pub mod notify;
#[cfg(test)]
mod testing;
mod tls;
