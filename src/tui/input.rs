//! What comes from the terminal: keys, pastes, the mouse, answers, its end.
//!
//! A thread of its own waits for it, so that decoding never waits for drawing and drawing never for decoding. It waits
//! with `poll`, which tells a terminal that has hung up from one that is silent.

mod decode;

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd,
    time::Duration,
};

use decode::{Decoder, Waits};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};
use tokio::sync::mpsc;

use crate::config::keymap::Key;

/// Something from the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// A text was pasted. Never keys, whatever is in it.
    Paste(String),
    /// Something was done with the mouse.
    Mouse(Mouse),
    /// The terminal has answered what it was asked.
    Told(Answer),
    /// The terminal has gone away.
    HungUp,
}

/// What a terminal says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its background's colour.
    Background([u8; 3]),
    /// It can hold a frame back until all of it has come (mode 2026).
    HoldsFrames,
    /// It has answered everything that it knows an answer to.
    Last,
}

/// A mouse, where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mouse {
    /// What was done.
    pub does: MouseDoes,
    /// The column, from 0.
    pub column: u16,
    /// The row, from 0.
    pub row: u16,
}

/// What a mouse can do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseDoes {
    /// The left button was pressed.
    Click,
    /// The wheel was turned up by a notch.
    WheelUp,
    /// The wheel was turned down by a notch.
    WheelDown,
}

/// Inputs that may wait; more than anybody types while a frame is drawn.
const WAITING: usize = 1024;

/// After an escape nothing more comes within this time where it was the key. Short enough to be no delay, long enough for a
/// connection that cuts sequences in two.
const ESCAPE: Duration = Duration::from_millis(25);
/// A sequence that has begun is complete within this time, or never.
const REST: Duration = Duration::from_millis(100);
/// … but an answer from the terminal is, which nobody types: a connection may stall in the middle of it.
const ANSWER: Duration = Duration::from_secs(5);
/// A paste that has brought nothing for this long has stalled: from then on ctrl-c ends it.
const PASTE: Duration = Duration::from_secs(2);
/// A paste that has stalled for this long is over: its end was lost.
const STALLED: Duration = Duration::from_mins(1);

/// The thread that reads the terminal. Ends when dropped.
#[derive(Debug)]
pub struct Reader {
    inputs: mpsc::Receiver<Input>,
    stop: Option<PipeWriter>,
}

impl Reader {
    /// Starts reading standard input.
    ///
    /// # Errors
    /// If the thread or its pipe cannot be made.
    pub fn start() -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (sender, inputs) = mpsc::channel(WAITING);
        std::thread::Builder::new().name("terminal-input".to_owned()).spawn(move || {
            read(&stopped, &sender);
        })?;
        Ok(Self { inputs, stop: Some(stop) })
    }

    /// The next input; none once the terminal is gone.
    pub async fn next(&mut self) -> Option<Input> {
        self.inputs.recv().await
    }

    /// The next input if one is there already.
    pub fn try_next(&mut self) -> Option<Input> {
        self.inputs.try_recv().ok()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Closing the pipe wakes the thread; closing the channel frees it where it waits for room. It is not waited
        // for: another process on the same terminal may have taken what it was woken for.
        self.stop = None;
        self.inputs.close();
    }
}

fn read(stopped: &PipeReader, sender: &mpsc::Sender<Input>) {
    let mut decoder = Decoder::default();
    let mut bytes = [0; 4096];
    let stdin = io::stdin();
    let send = |inputs: Vec<Input>| inputs.into_iter().all(|input| sender.blocking_send(input).is_ok());
    loop {
        let mut waits =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        let ready = match poll(&mut waits, patience(decoder.waits())) {
            Err(Errno::EINTR) => continue,
            Err(_) => break,
            Ok(ready) => ready,
        };
        if ready == 0 {
            if send(decoder.give_up()) {
                continue;
            }
            return;
        }
        let is = |at: usize, flags| waits[at].revents().is_some_and(|found| found.intersects(flags));
        if is(1, PollFlags::all()) {
            return;
        }
        // After a hang-up the descriptor is readable as well, and gives end of file for ever.
        if is(0, PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            break;
        }
        match unistd::read(&stdin, &mut bytes) {
            Ok(0) => break,
            Ok(count) => {
                if !send(decoder.take(&bytes[..count])) {
                    return;
                }
            }
            // Another process has been quicker, or has made the terminal non-blocking.
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => break,
        }
    }
    let _ = sender.blocking_send(Input::HungUp);
}

/// How long the next byte may take.
fn patience(waits: Waits) -> PollTimeout {
    let most = match waits {
        Waits::No => return PollTimeout::NONE,
        Waits::Escape => ESCAPE,
        Waits::Rest => REST,
        Waits::Answer => ANSWER,
        Waits::Paste => PASTE,
        Waits::Stalled => STALLED,
    };
    // All are far below what poll can wait.
    PollTimeout::try_from(most).unwrap_or(PollTimeout::NONE)
}
