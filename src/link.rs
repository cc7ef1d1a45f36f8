//! The channel between the engine and its screens.
