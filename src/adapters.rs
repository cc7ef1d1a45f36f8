//! What faces the world: one port each.

pub mod clock;
pub mod http;
pub mod notify;
pub mod process;
pub mod rehearsal;
#[cfg(test)]
mod testing;
mod tls;
