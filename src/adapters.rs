//! What faces the world: one port each.
