//! The machine as a whole, driven by inputs: one file a phase. Every flight checks by itself that its events fold to the
//! machine's run, survive JSON, are numbered without gaps and keep the guarantees of the event module.

mod caught;
mod doubt;
mod endpoints;
mod evidence;
mod journal;
mod light;
mod nowhere;
mod patches;
mod put_back;
mod random;
mod rollback;
mod shares;
mod start;
mod steps;
mod watch;
