//! Commands start with default signal dispositions, however this process was started.
//!
//! nohup ignores SIGHUP, and a shell without job control ignores SIGINT and SIGQUIT for what it runs in the background. An
//! ignored signal stays ignored through `exec`, so it would reach every command, and a shell can't undo it: such a command
//! could not be interrupted. A signal that is *caught* is reset to its default by `exec`. So each signal that we ignore gets
//! a handler that does nothing: for us that is the same, and commands begin clean. Nor is a signal blocked in them: a child
//! has the mask of the thread that started it. `std` resets SIGPIPE itself. See `docs/decisions/0011-commands-begin-with-default-signals.md`.

use std::sync::OnceLock;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tokio::signal::unix::{SignalKind, signal};

/// Catches what this process ignores, once. Must be called within a Tokio runtime.
pub(super) fn catch_ignored() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        // std resets this one in every child, and we rely on it being ignored here.
        for number in ignored(&status).filter(|number| *number != Signal::SIGPIPE as i32) {
            // The handler stays when its listener is dropped.
            if let Err(fault) = signal(SignalKind::from_raw(number)) {
                tracing::warn!(number, %fault, "commands will ignore this signal, as this process does");
            }
        }
    });
}

/// Does something while this thread has no signal blocked: what it starts then has none blocked either.
pub(super) fn unblocked<T>(act: impl FnOnce() -> T) -> T {
    let before = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let done = act();
    // The first call can't fail with these arguments, and then neither can this one.
    let _ = before.and_then(|before| before.thread_set_mask());
    done
}

/// The numbers of the signals that a process ignores, from its `/proc/PID/status`.
fn ignored(status: &str) -> impl Iterator<Item = i32> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    (1..=64).filter(move |number| mask >> (number - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let numbers = |status: &str| ignored(status).collect::<Vec<_>>();
        assert_eq!(numbers("SigBlk:\t0000000000000200\nSigIgn:\t0000000000001007\n"), [1, 2, 3, 13]);
        assert_eq!(numbers("SigIgn:\t8000000000000000\n"), [64]);
        assert!(numbers("Name:\tx\n").is_empty());
    }
}
