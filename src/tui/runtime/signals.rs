//! The signals that a screen's loop waits for.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Woken;

/// The signals a screen lives and dies by.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    resize: Signal,
    carry_on: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            resize: signal(SignalKind::window_change())?,
            carry_on: signal(SignalKind::from_raw(nix::sys::signal::Signal::SIGCONT as i32))?,
        })
    }

    pub(super) async fn next(&mut self) -> Woken {
        use nix::sys::signal::Signal as Number;
        tokio::select! {
            _ = self.terminate.recv() => Woken::Signal(Number::SIGTERM as i32),
            _ = self.interrupt.recv() => Woken::Signal(Number::SIGINT as i32),
            _ = self.hang_up.recv() => Woken::Signal(Number::SIGHUP as i32),
            _ = self.resize.recv() => Woken::Resized,
            _ = self.carry_on.recv() => Woken::Continued,
        }
    }
}
