//! The engine: driver, effects, ports.
