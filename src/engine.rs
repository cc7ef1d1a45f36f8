//! The engine owns a run: it feeds the machine, journals what the machine decides, then does it, and feeds results back.

pub mod feed;
pub mod mask;
pub mod ports;
