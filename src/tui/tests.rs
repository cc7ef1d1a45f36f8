//! Whole screens, keys, and what must never happen to a terminal.

mod charts;
mod dialogs;
mod evidence;
mod fixture;
mod glance;
mod help;
mod idle;
mod keys;
mod large;
mod measured;
mod mouse;
mod preflight;
mod promises;
mod replay;
mod safety;
mod screens;
mod styles;
mod untold;
