//! The terminal, borrowed: taken in [`Screen::enter`], given back when that is dropped, and by the panic hook.
//!
//! Given back means: the line discipline as it was before, the main screen, the cursor, no bracketed paste, no mouse, no
//! colours, the title that was there.
//!
//! A terminal is asked once, right after it was taken, what it is: whether it can hold frames back (mode 2026), its
//! background's colour (OSC 11), and last what every terminal answers (DA1), so that nobody has to wait for a silent one. The
//! answers come as [`Input::Told`](super::input::Input::Told); the first frame does not wait for them.
//! A terminal that has gone away meanwhile is no error here and never a panic: what is written to it is lost, and
//! [`Screen::is_gone`] says so.

mod painter;

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
    terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, SetTitle},
};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use painter::Painter;
use ratatui::{Terminal, buffer::Buffer};

use crate::domain::safe_text::SafeText;

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

/// The terminal's former state, and a way to write to it without taking a lock.
struct Taken {
    before: Termios,
    tty: File,
    manners: Manners,
}

/// What to do with a terminal besides drawing on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manners {
    /// Its title shows the state of the run.
    pub title: bool,
    /// Clicks and the wheel come here.
    pub mouse: bool,
    /// It is asked what it can do, and is told where links lead.
    pub asks: bool,
    /// It is asked for its background's colour.
    pub asks_background: bool,
}

/// Keeps the title for later (XTWINOPS): what stood there before comes back when the screen is left.
const KEEP_TITLE: &[u8] = b"\x1b[22;0t";
const TITLE_BACK: &[u8] = b"\x1b[23;0t";
/// Clicks and the wheel, with places of more than 223 columns.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";
/// Whether a frame can be held back.
const ASK_FRAMES: &[u8] = b"\x1b[?2026$p";
const ASK_BACKGROUND: &[u8] = b"\x1b]11;?\x1b\\";
/// What every terminal answers.
const ASK_LAST: &[u8] = b"\x1b[c";
/// What holds a frame back, and lets it be seen.
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";
/// Longer titles are cut by most terminals anyway.
const LONGEST_TITLE: usize = 80;

/// The cockpit's hold on the terminal.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<Painter>,
    shared: Arc<Shared>,
    manners: Manners,
    title: String,
    holds_frames: bool,
}

/// What a screen and its writer tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// The terminal has gone away.
    gone: AtomicBool,
    /// A frame is being written: nothing goes out before it is complete.
    holding: AtomicBool,
    /// What goes out next is a frame that the terminal is to show at once.
    framed: AtomicBool,
}

impl Screen {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste, and what its user's manners want.
    ///
    /// # Errors
    /// If standard input or output is not a terminal, or it cannot be set up.
    pub fn enter(manners: Manners) -> Result<Self, TuiError> {
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
        *taken() = Some(Taken { before: before.clone(), tty: for_restoring, manners });
        hook_panics();
        // From here on the guard gives back whatever was taken, also where the next line fails.
        let shared = Arc::new(Shared::default());
        let mut tty = Tty { file: ours, buffer: Vec::with_capacity(16 * 1024), shared: Arc::clone(&shared) };
        raw(&before).map_err(|error| fail(TuiError::Terminal(error)))?;
        queue!(tty, EnterAlternateScreen, EnableBracketedPaste)
            .and_then(|()| tty.write_all(&opening(manners)))
            .and_then(|()| tty.flush())
            .map_err(|error| fail(TuiError::Terminal(error)))?;
        let terminal = Terminal::new(Painter::new(tty)).map_err(|error| fail(TuiError::Terminal(error)))?;
        Ok(Self { terminal, shared, manners, title: String::new(), holds_frames: false })
    }

    /// From now on the terminal is told where a frame begins and ends, and shows all of it at once.
    pub fn hold_frames(&mut self) {
        self.holds_frames = true;
    }

    /// Draws a frame; only what changed since the last one is written, in one piece. `links` are where its links lead, by
    /// their numbers.
    pub fn draw(&mut self, links: &[String], paint: impl FnOnce(&mut Buffer)) {
        if LOST.load(Ordering::SeqCst) {
            return;
        }
        self.terminal.backend_mut().set_links(if self.manners.asks { links } else { &[] });
        self.shared.holding.store(true, Ordering::SeqCst);
        // The writer swallows errors, so what can fail here is asking for the size: the same as a terminal that is gone.
        if self.terminal.draw(|frame| paint(frame.buffer_mut())).is_err() {
            self.shared.gone.store(true, Ordering::SeqCst);
        }
        self.shared.holding.store(false, Ordering::SeqCst);
        self.shared.framed.store(self.holds_frames, Ordering::SeqCst);
        self.write(&[]);
    }

    /// Sets the terminal's title, if that is wanted and it has changed.
    pub fn set_title(&mut self, title: &str) {
        let title: String = SafeText::new(title).chars().take(LONGEST_TITLE).collect();
        if !self.manners.title || title == self.title {
            return;
        }
        let mut bytes = Vec::new();
        // A vector takes everything.
        let _ = queue!(bytes, SetTitle(&title));
        self.write(&bytes);
        self.title = title;
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
        if self.manners.mouse {
            enter.extend_from_slice(MOUSE_ON);
        }
        self.write(&enter);
        if self.terminal.clear().is_err() {
            self.shared.gone.store(true, Ordering::SeqCst);
        }
    }

    /// Whether the terminal has gone away: the connection was lost, the window closed.
    pub fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::SeqCst)
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

/// What is said to a terminal that was just taken. The questions come before everything is cleared: a terminal that doesn't
/// know one may print a part of it.
fn opening(manners: Manners) -> Vec<u8> {
    let said = [
        (manners.title, KEEP_TITLE),
        (manners.mouse, MOUSE_ON),
        (manners.asks, ASK_FRAMES),
        (manners.asks && manners.asks_background, ASK_BACKGROUND),
        (manners.asks, ASK_LAST),
    ];
    let mut bytes: Vec<u8> =
        said.into_iter().filter(|(wanted, _)| *wanted).flat_map(|(_, it)| it.to_vec()).collect();
    if manners.asks {
        // A vector takes everything.
        let _ = queue!(bytes, Clear(ClearType::All));
    }
    bytes
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

/// Restores the terminal. Does nothing the second time. Errors are not reported: there is nowhere to report them.
fn restore() -> bool {
    let Some(Taken { before, mut tty, manners }) = taken().take() else { return false };
    let mut bytes = Vec::new();
    if manners.mouse {
        bytes.extend_from_slice(MOUSE_OFF);
    }
    if manners.title {
        bytes.extend_from_slice(TITLE_BACK);
    }
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
    shared: Arc<Shared>,
}

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.shared.holding.load(Ordering::SeqCst) {
            return Ok(());
        }
        let framed = self.shared.framed.swap(false, Ordering::SeqCst);
        if self.buffer.is_empty() {
            return Ok(());
        }
        if framed {
            self.buffer.splice(..0, FRAME_BEGINS.iter().copied());
            self.buffer.extend_from_slice(FRAME_ENDS);
        }
        if !self.shared.gone.load(Ordering::SeqCst)
            && !LOST.load(Ordering::SeqCst)
            && self.file.write_all(&self.buffer).is_err()
        {
            self.shared.gone.store(true, Ordering::SeqCst);
        }
        self.buffer.clear();
        Ok(())
    }
}
