//! What faces the world: one port each.

pub mod kube;
