//! The terminal, borrowed: taken in [`Screen::enter`], given back when that is dropped, and by the panic hook.
//!
//! Given back means: the line discipline as it was before, the main screen, the cursor, no bracketed paste, no colours.
//! A terminal that has gone away meanwhile is no error here and never a panic: what is written to it is lost, and
//! [`Screen::is_gone`] says so.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste},
    queue,
    style::{ResetColor, force_color_output},
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, SetTitle},
};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use ratatui::{Terminal, backend::CrosstermBackend, buffer::Buffer};

/// Why the screen cannot be had, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Standard input or output is a file or a pipe.
    #[error("open the cockpit: standard input and output must be a terminal; use --plain without one")]
    NoTerminal,
    /// The terminal does not let itself be set up.
    #[error("set up the terminal: {0}")]
    Terminal(#[source] io::Error),
    /// Signals could not be subscribed to, or the input thread not be started.
    #[error("listen to keys and signals: {0}")]
    Input(#[source] io::Error),
    /// Another part of this process panicked and the terminal was given back.
    #[error("keep the cockpit open: a part of the program panicked")]
    Panicked,
}

/// What must be undone, where the panic hook can reach it.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
/// Whether the panic hook has given the terminal back under a living screen.
static LOST: AtomicBool = AtomicBool::new(false);

/// The terminal as it was, and a way to write to it that no lock of ours stands before.
struct Taken {
    before: Termios,
    tty: File,
}

/// The cockpit's hold on the terminal.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Tty>>,
    gone: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste.
    ///
    /// # Errors
    /// If standard input or output is no terminal, or it cannot be set up.
    pub fn enter(title: &str) -> Result<Self, TuiError> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(TuiError::NoTerminal);
        }
        let file = || io::stdout().as_fd().try_clone_to_owned().map(File::from).map_err(TuiError::Terminal);
        let (ours, for_restoring) = (file()?, file()?);
        let before = tcgetattr(io::stdin()).map_err(|errno| TuiError::Terminal(errno.into()))?;
        // With NO_COLOR in the environment crossterm would swallow the attributes together with the colours, and so
        // the selection. Whether there are colours is the theme's business.
        force_color_output(true);
        LOST.store(false, Ordering::SeqCst);
        *taken() = Some(Taken { before: before.clone(), tty: for_restoring });
        hook_panics();
        // From here on the guard gives back whatever was taken, also where the next line fails.
        let gone = Arc::new(AtomicBool::new(false));
        let mut tty = Tty { file: ours, buffer: Vec::with_capacity(16 * 1024), gone: Arc::clone(&gone) };
        raw(&before).map_err(|error| fail(TuiError::Terminal(error)))?;
        let title = crate::domain::safe_text::SafeText::new(title);
        queue!(tty, EnterAlternateScreen, EnableBracketedPaste, SetTitle(title))
            .and_then(|()| tty.flush())
            .map_err(|error| fail(TuiError::Terminal(error)))?;
        let terminal =
            Terminal::new(CrosstermBackend::new(tty)).map_err(|error| fail(TuiError::Terminal(error)))?;
        Ok(Self { terminal, gone })
    }

    /// Draws a frame; only what changed since the last one is written.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) {
        if LOST.load(Ordering::SeqCst) {
            return;
        }
        // The writer swallows errors, so what can fail here is asking for the size: the same as a terminal that is gone.
        if self.terminal.draw(|frame| paint(frame.buffer_mut())).is_err() {
            self.gone.store(true, Ordering::SeqCst);
        }
    }

    /// Writes control sequences between frames: a bell, a copy.
    pub fn write(&mut self, bytes: &[u8]) {
        let tty = self.terminal.backend_mut();
        // The writer swallows errors.
        let _ = tty.write_all(bytes).and_then(|()| Write::flush(tty));
    }

    /// Draws everything anew with the next frame, as after being stopped and continued by job control.
    pub fn repaint(&mut self) {
        if let Some(taken) = taken().as_ref() {
            // A failure shows as a terminal that is gone.
            let _ = raw(&taken.before);
        }
        let mut enter = Vec::new();
        // A vector takes everything.
        let _ = queue!(enter, EnterAlternateScreen, EnableBracketedPaste);
        self.write(&enter);
        if self.terminal.clear().is_err() {
            self.gone.store(true, Ordering::SeqCst);
        }
    }

    /// Whether the terminal has gone away: the connection was lost, the window closed.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whether a panic elsewhere has given the terminal back already.
    pub fn is_lost(&self) -> bool {
        LOST.load(Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn fail(error: TuiError) -> TuiError {
    restore();
    error
}

fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As crossterm's raw mode, but from the settings that are given back later.
fn raw(before: &Termios) -> io::Result<()> {
    let mut raw = before.clone();
    cfmakeraw(&mut raw);
    tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).map_err(io::Error::from)
}

/// Gives the terminal back. Does nothing the second time. Whatever fails is not reported: there is nowhere to.
fn restore() -> bool {
    let Some(Taken { before, mut tty }) = taken().take() else { return false };
    let mut bytes = Vec::new();
    let _ = queue!(bytes, ResetColor, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = tty.write_all(&bytes);
    let _ = tty.flush();
    let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
    true
}

/// Puts giving back before whatever the panic hook does already: the report then lands on the main screen.
fn hook_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if restore() {
                LOST.store(true, Ordering::SeqCst);
            }
            next(info);
        }));
    });
}

/// A terminal to write to. Collects a frame and writes it at once; errors only set a flag, since ratatui answers them
/// by printing, which panics where standard error is gone as well.
#[derive(Debug)]
struct Tty {
    file: File,
    buffer: Vec<u8>,
    gone: Arc<AtomicBool>,
}

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.gone.load(Ordering::SeqCst)
            && !LOST.load(Ordering::SeqCst)
            && self.file.write_all(&self.buffer).is_err()
        {
            self.gone.store(true, Ordering::SeqCst);
        }
        self.buffer.clear();
        Ok(())
    }
}
