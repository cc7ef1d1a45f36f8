//! Whole flights through the real engine: fake cluster and metrics, the real shell, a clock that runs sixty times as fast.

mod acts;
mod fakes;
mod flown;
mod journal_faults;
mod replayed;
mod secrets;
mod waits;
