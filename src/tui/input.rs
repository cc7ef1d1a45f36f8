//! What comes from the terminal: keys, pastes, a new size, its end.
//!
//! A thread of its own waits for it, so that decoding never waits for drawing and drawing never for decoding. It waits
//! with `poll` on the terminal itself and only then asks crossterm: crossterm alone would spin or sleep for ever once
//! the terminal has hung up.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd,
    time::Duration,
};

use crossterm::event::{self, Event, KeyEvent, KeyEventKind, KeyModifiers};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

use crate::config::keymap::{Key, KeyCode};

/// Something from the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// A text was pasted. Never keys, whatever is in it.
    Paste(String),
    /// The size has changed.
    Resized,
    /// The terminal has gone away.
    HungUp,
}

/// Inputs that may wait; more than anybody types while a frame is drawn.
const WAITING: usize = 1024;

/// The least that crossterm's source must be given: with no time at all it does not look.
const LOOK: Duration = Duration::from_millis(1);

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
        std::thread::Builder::new()
            .name("terminal-input".to_owned())
            .spawn(move || read(&stopped, &sender))?;
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
        // for: half of an escape sequence keeps it in a read that only another key ends.
        self.stop = None;
        self.inputs.close();
    }
}

fn read(stopped: &PipeReader, sender: &mpsc::Sender<Input>) {
    let stdin = io::stdin();
    loop {
        let mut waits =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waits, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => break,
            Ok(_) => {}
        }
        let is = |at: usize, flags| waits[at].revents().is_some_and(|found| found.intersects(flags));
        if is(1, PollFlags::all()) {
            return;
        }
        // After a hang-up the descriptor is readable as well, and gives end of file for ever.
        if is(0, PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) || !drain(sender) {
            break;
        }
    }
    let _ = sender.blocking_send(Input::HungUp);
}

/// Takes what crossterm can decode now. `false` where nobody listens any more or the terminal fails.
fn drain(sender: &mpsc::Sender<Input>) -> bool {
    loop {
        match event::poll(LOOK) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return false,
        }
        let Ok(event) = event::read() else { return false };
        if let Some(input) = decode(event)
            && sender.blocking_send(input).is_err()
        {
            return false;
        }
    }
}

/// What an event of the terminal means; nothing for what has no meaning here.
pub fn decode(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) => decode_key(key).map(Input::Key),
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(..) => Some(Input::Resized),
        Event::Mouse(_) | Event::FocusGained | Event::FocusLost => None,
    }
}

fn decode_key(key: KeyEvent) -> Option<Key> {
    use crossterm::event::KeyCode as Code;
    if key.kind == KeyEventKind::Release {
        return None;
    }
    // Alt is never bound: many terminals send it as escape and the key, which must not become the key alone.
    if key
        .modifiers
        .intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META | KeyModifiers::HYPER)
    {
        return None;
    }
    let code = match key.code {
        Code::Char(c) => KeyCode::Char(c),
        Code::Enter => KeyCode::Enter,
        Code::Esc => KeyCode::Esc,
        Code::BackTab => KeyCode::BackTab,
        Code::Tab if key.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        Code::Tab => KeyCode::Tab,
        Code::Up => KeyCode::Up,
        Code::Down => KeyCode::Down,
        Code::Left => KeyCode::Left,
        Code::Right => KeyCode::Right,
        Code::Home => KeyCode::Home,
        Code::End => KeyCode::End,
        Code::PageUp => KeyCode::PageUp,
        Code::PageDown => KeyCode::PageDown,
        Code::Backspace => KeyCode::Backspace,
        Code::Delete => KeyCode::Delete,
        Code::Insert => KeyCode::Insert,
        _ => return None,
    };
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let code = match code {
        // Terminals differ in the case they report for ctrl and a letter.
        KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
        code => code,
    };
    Some(Key { code, ctrl })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: event::KeyCode, modifiers: KeyModifiers) -> Option<Input> {
        decode(Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn keys_keep_their_meaning_and_alt_has_none() {
        use event::KeyCode as Code;
        assert_eq!(key(Code::Char('R'), KeyModifiers::SHIFT), Some(Input::Key(Key::char('R'))));
        assert_eq!(key(Code::Char('C'), KeyModifiers::CONTROL), Some(Input::Key(Key::ctrl('c'))));
        assert_eq!(key(Code::Tab, KeyModifiers::SHIFT), Some(Input::Key(Key::named(KeyCode::BackTab))));
        assert_eq!(key(Code::Char('y'), KeyModifiers::ALT), None);
        assert_eq!(key(Code::F(5), KeyModifiers::NONE), None);
    }

    #[test]
    fn a_paste_stays_one() {
        assert_eq!(decode(Event::Paste("y\r".to_owned())), Some(Input::Paste("y\r".to_owned())));
    }
}
