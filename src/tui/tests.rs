//! Whole screens, keys, and what must never happen to a terminal.

mod fixture;
mod keys;
mod promises;
mod safety;
mod screens;
