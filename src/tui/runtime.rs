//! The screen's loop: drain everything that has come, change the model, draw once.
//!
//! Updates are drawn at most ten times a second (four on slow links), and only if something changed. A key is drawn at
//! once, and what it brings about shortly after, however much else comes in: draining stops after a few milliseconds.

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    sync::oneshot::Receiver,
    time::{sleep_until, timeout},
};

mod signals;

use signals::Signals;

pub use super::model::ScreenOptions;
pub use super::terminal::TuiError;
use super::{
    input::{Answer, Input, Reader},
    keep, links,
    model::Model,
    msg::{Effect, Msg, Saved},
    offer,
    terminal::{Manners, Screen},
    title,
    update::update,
    view,
};
use crate::{
    domain::{
        event::Outcome,
        message::{Command, Update},
        online::preflight::Preflight,
        reel::Reel,
        safe_text::SafeText,
        time::Span,
    },
    failpoint,
    link::{self, Client},
};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// Between two frames on a slow link.
const SLOW_FRAME: Duration = Duration::from_millis(250);
/// Time between two frames while somebody types.
const QUICK_FRAME: Duration = Duration::from_millis(16);
/// How long after a key frames are quick: long enough for the engine's answer to it.
const QUICK: Duration = Duration::from_millis(300);
/// The longest that updates are drained before a frame is due.
const DRAIN: Duration = Duration::from_millis(8);
/// The engine ticks every second; this long without a word is worth saying.
const SILENCE: Duration = Duration::from_secs(4);
/// How long the first frame waits for the engine's first word.
const FIRST: Duration = Duration::from_millis(100);
/// How long the engine may keep a request waiting before it is tried again.
const SEND: Duration = Duration::from_millis(20);

/// After a real pause longer than this (a suspended laptop) a replay does not make up for it.
const LONGEST_PASS: Duration = Duration::from_secs(1);

/// How long the terminal's answers are waited for when the screen is left.
const HEAR_OUT: Duration = Duration::from_millis(100);

/// How a screen ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenEnd {
    /// Why.
    pub why: EndReason,
    /// How the run stood then; none where it was under way.
    pub outcome: Option<Outcome>,
}

/// Why a screen ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its user left it.
    Quit,
    /// The engine closed the run, or is gone.
    EngineClosed,
    /// This signal came.
    Signal(i32),
    /// The terminal went away: a dropped connection, a closed window.
    HungUp,
}

/// Shows a run until its user leaves, the engine closes it, or the terminal goes away. The terminal is as before
/// afterwards, however it ends. The client ends with it; the run goes on in its engine.
///
/// `reload` reads settings and keymap again, or gives their faults. What `look` brings is shown when it comes.
///
/// # Errors
/// If there is no terminal, it cannot be set up, or another part of the process panicked.
pub async fn run(
    client: Client,
    options: ScreenOptions,
    reload: &Reload<'_>,
    look: Option<Receiver<Preflight>>,
) -> Result<ScreenEnd, TuiError> {
    show(client, options, reload, look, None).await
}

/// Shows a run, or a past one that begins with a message.
async fn show(
    client: Client,
    options: ScreenOptions,
    reload: &Reload<'_>,
    look: Option<Receiver<Preflight>>,
    replay: Option<(Msg, &Path)>,
) -> Result<ScreenEnd, TuiError> {
    // Signals first: from here on none of them ends the process over a raw terminal.
    let mut signals = Signals::new().map_err(TuiError::Input)?;
    let asks_background = options.theme.asks();
    let screen = Screen::enter(Manners {
        title: options.title,
        mouse: options.mouse,
        asks: options.asks_terminal,
        asks_background,
    })?;
    let reader = Reader::start().map_err(TuiError::Input)?;
    let mut cockpit = Cockpit::new(client, options, screen, reader, reload);
    cockpit.model.size = crossterm::terminal::size().unwrap_or((80, 24));
    cockpit.model.preflight = look.is_some().then_some(Preflight::Looking);
    cockpit.look = look;
    if let Some((begin, dir)) = replay {
        cockpit.model.run_dir = dir.display().to_string();
        cockpit.handle(begin).await;
    }
    let why = match cockpit.first().await {
        Some(end) => end,
        None => cockpit.fly(&mut signals).await?,
    };
    if why != EndReason::HungUp {
        cockpit.hear_out().await;
    }
    let outcome = match cockpit.model.closed {
        Some(outcome) => outcome,
        None => {
            cockpit.model.run.as_ref().and_then(|run| run.finished.as_ref()).map(|(outcome, ..)| *outcome)
        }
    };
    Ok(ScreenEnd { why, outcome })
}

/// What the look before the start has found; never, where none is waited for.
async fn brought(look: &mut Option<Receiver<Preflight>>) -> Preflight {
    let found = match look {
        Some(look) => {
            look.await.unwrap_or_else(|_| Preflight::of([Err("the look was broken off".to_owned())]))
        }
        None => std::future::pending().await,
    };
    *look = None;
    found
}

/// Replays a past run until its user leaves or the terminal goes away. What is saved goes to `dir`.
///
/// # Errors
/// As [`run`].
pub async fn replay(
    reel: Reel,
    speed: u32,
    dir: &Path,
    options: ScreenOptions,
    reload: &Reload<'_>,
) -> Result<ScreenEnd, TuiError> {
    // There is no engine: nothing comes from it, and nothing that is asked of it goes anywhere.
    let (client, _engine) = link::pair();
    let begin = Msg::Replay(Arc::new(reel), speed);
    show(client, options, reload, None, Some((begin, dir))).await
}

/// Reads settings and keymap again: what the screen is to be like, or every fault, one a line.
pub type Reload<'a> = dyn Fn() -> Result<ScreenOptions, Vec<String>> + Send + Sync + 'a;

/// Everything the loop holds.
struct Cockpit<'a> {
    reload: &'a Reload<'a>,
    client: Client,
    screen: Screen,
    reader: Reader,
    model: Model,
    /// Requests that the engine has not taken yet, oldest first.
    outbox: VecDeque<Command>,
    dirty: bool,
    drawn: Instant,
    pressed: Option<Instant>,
    heard: Instant,
    /// When silence was last looked for.
    looked: Instant,
    /// The look before the start, while it is waited for.
    look: Option<Receiver<Preflight>>,
    /// Up to when real time has passed in a replay.
    passed: Instant,
    /// When this screen was opened.
    began: Instant,
}

/// What woke the loop.
enum Woken {
    Input(Option<Input>),
    Update(Option<Box<Update>>),
    Signal(i32),
    Resized,
    Continued,
    Frame,
    Second,
    Preflight(Preflight),
    Passed,
}

impl<'a> Cockpit<'a> {
    fn new(
        client: Client,
        options: ScreenOptions,
        screen: Screen,
        reader: Reader,
        reload: &'a Reload<'a>,
    ) -> Self {
        let now = Instant::now();
        Self {
            reload,
            client,
            screen,
            reader,
            model: Model::new(options),
            outbox: VecDeque::new(),
            dirty: false,
            drawn: now,
            pressed: None,
            heard: now,
            looked: now,
            look: None,
            passed: now,
            began: now,
        }
    }

    /// The first frame shows the run where the engine is as quick as it mostly is; else that it is waited for.
    async fn first(&mut self) -> Option<EndReason> {
        let end = match timeout(FIRST, self.client.next()).await {
            Ok(None) => Some(EndReason::EngineClosed),
            Ok(Some(update)) => match self.update(update).await {
                Some(end) => Some(end),
                None => self.drain().await,
            },
            Err(_) => None,
        };
        self.draw();
        end
    }

    async fn fly(&mut self, signals: &mut Signals) -> Result<EndReason, TuiError> {
        loop {
            let woken = self.wait(signals).await;
            let end = match woken {
                Woken::Signal(number) => Some(EndReason::Signal(number)),
                Woken::Input(None) => Some(EndReason::HungUp),
                Woken::Update(None) => Some(EndReason::EngineClosed),
                Woken::Input(Some(input)) => self.input(input).await,
                Woken::Update(Some(update)) => self.update(*update).await,
                Woken::Resized => {
                    self.dirty = true;
                    self.resize();
                    None
                }
                Woken::Continued => {
                    self.screen.repaint();
                    self.dirty = true;
                    None
                }
                Woken::Second => {
                    self.listen();
                    None
                }
                Woken::Preflight(found) => self.handle(Msg::Preflight(found)).await,
                Woken::Passed => {
                    let real = self.passed.elapsed().min(LONGEST_PASS);
                    self.passed = Instant::now();
                    self.handle(Msg::Passed(Span::from_millis(u64::try_from(real.as_millis()).unwrap_or(0))))
                        .await
                }
                Woken::Frame => None,
            };
            if let Some(end) = match end {
                Some(end) => Some(end),
                None => self.drain().await,
            } {
                return Ok(end);
            }
            self.flush_outbox().await;
            if self.screen.is_lost() {
                return Err(TuiError::Panicked);
            }
            if self.screen.is_gone() {
                return Ok(EndReason::HungUp);
            }
            if self.dirty && Instant::now() >= self.due() {
                self.draw();
            }
        }
    }

    async fn wait(&mut self, signals: &mut Signals) -> Woken {
        let due = self.due();
        let second = self.heard.max(self.looked) + Duration::from_secs(1);
        let dirty = self.dirty;
        let plays = self.model.replay.as_ref().is_some_and(|replay| replay.playing);
        let next = self.passed + if self.model.options.slow_link { SLOW_FRAME } else { FRAME };
        // In this order: whoever presses a key must not wait for what the engine has to say.
        tokio::select! {
            biased;
            signal = signals.next() => signal,
            input = self.reader.next() => Woken::Input(input),
            () = sleep_until(due.into()), if dirty => Woken::Frame,
            update = self.client.next() => Woken::Update(update.map(Box::new)),
            found = brought(&mut self.look) => Woken::Preflight(found),
            () = sleep_until(next.into()), if plays => Woken::Passed,
            () = sleep_until(second.into()), if !self.model.replays() => Woken::Second,
        }
    }

    /// When the next frame may be drawn.
    fn due(&self) -> Instant {
        let typed = self.pressed.is_some_and(|at| at.elapsed() < QUICK);
        let pause = if typed {
            QUICK_FRAME
        } else if self.model.options.slow_link {
            SLOW_FRAME
        } else {
            FRAME
        };
        self.drawn + pause
    }

    /// Handles what has already arrived, for a few milliseconds at most.
    async fn drain(&mut self) -> Option<EndReason> {
        let until = Instant::now() + DRAIN;
        loop {
            if let Some(input) = self.reader.try_next() {
                if let Some(end) = self.input(input).await {
                    return Some(end);
                }
            } else if let Some(update) = self.client.try_next() {
                if let Some(end) = self.update(update).await {
                    return Some(end);
                }
            } else {
                return None;
            }
            if Instant::now() >= until {
                return None;
            }
        }
    }

    async fn input(&mut self, input: Input) -> Option<EndReason> {
        if input == Input::HungUp {
            return Some(EndReason::HungUp);
        }
        if let Input::Told(answer) = input {
            if answer == Answer::HoldsFrames {
                self.screen.hold_frames();
            }
            let before = self.model.look;
            let end = self.handle(Msg::Input(input)).await;
            // Nobody waits for it, unless the colours are other ones now.
            if before != self.model.look {
                self.draw();
            }
            return end;
        }
        let end = self.handle(Msg::Input(input)).await;
        self.pressed = Some(Instant::now());
        if end.is_none() {
            self.draw();
        }
        end
    }

    async fn update(&mut self, update: Update) -> Option<EndReason> {
        self.heard = Instant::now();
        let closed = matches!(update, Update::Closed { .. });
        let end = self.handle(Msg::Update(Box::new(update))).await;
        end.or(closed.then_some(EndReason::EngineClosed))
    }

    /// Takes a message in, at the time that it is here: the engine's may be that of a rehearsal, which runs faster.
    fn tell(&mut self, msg: Msg) -> Vec<Effect> {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.model.real = Span::from_millis(ms);
        update(&mut self.model, msg)
    }

    async fn handle(&mut self, msg: Msg) -> Option<EndReason> {
        self.dirty = true;
        let plays = |model: &Model| model.replay.as_ref().is_some_and(|replay| replay.playing);
        let played = plays(&self.model);
        let effects = self.tell(msg);
        if !played {
            self.passed = Instant::now();
        }
        let mut end = None;
        for effect in effects {
            match effect {
                Effect::Send(_) if self.model.replays() => {}
                Effect::Send(command) => {
                    self.outbox.push_back(command);
                }
                Effect::Call(text) => self.call(&text),
                Effect::Copy { name, text } => {
                    let copied = self.copy(name, &text);
                    self.tell(Msg::Copied(copied));
                }
                Effect::Reload => {
                    let fresh = (self.reload)().map(Box::new);
                    self.tell(Msg::Reloaded(fresh));
                }
                Effect::Save { name, what } => {
                    let saved = self.save(&name, what);
                    self.tell(Msg::Saved(saved));
                }
                Effect::Repaint => self.screen.repaint(),
                Effect::Leave => end = Some(EndReason::Quit),
            }
        }
        self.flush_outbox().await;
        end
    }

    /// Hands requests over in order. An engine that is busy must not freeze the screen: they wait here then.
    async fn flush_outbox(&mut self) {
        while let Some(request) = self.outbox.front() {
            match timeout(SEND, self.client.send(request)).await {
                Ok(_) => {
                    self.outbox.pop_front();
                }
                Err(_) => return,
            }
        }
    }

    fn resize(&mut self) {
        if let Ok(size) = crossterm::terminal::size() {
            self.model.size = size;
        }
    }

    fn draw(&mut self) {
        failpoint::pass("screen.draw");
        self.dirty = false;
        self.drawn = Instant::now();
        let model = &mut self.model;
        let links = links::targets(model);
        self.screen.draw(&links, |buffer| {
            model.size = (buffer.area.width, buffer.area.height);
            view::draw(model, buffer);
        });
        self.screen.set_title(&title::of(&self.model));
        self.model.shown = offer::shown(&self.model);
    }

    /// If the program left before the terminal has answered, the answers would be typed into the shell.
    async fn hear_out(&mut self) {
        let until = Instant::now() + HEAR_OUT;
        while self.model.asking {
            match timeout(until.saturating_duration_since(Instant::now()), self.reader.next()).await {
                Ok(Some(Input::Told(Answer::Last))) => self.model.asking = false,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Says so where nothing has come from the engine for too long.
    fn listen(&mut self) {
        let silent = self.heard.elapsed();
        if silent >= SILENCE {
            let ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
            self.tell(Msg::Silence(Span::from_millis(ms)));
            self.dirty = true;
        }
        self.looked = Instant::now();
    }

    fn call(&mut self, text: &str) {
        let mut bytes = Vec::new();
        if self.model.options.bell {
            bytes.push(0x07);
        }
        if self.model.options.osc9 {
            let text = SafeText::new(text);
            bytes.extend_from_slice(format!("\x1b]9;cutover: {text}\x07").as_bytes());
        }
        self.screen.write(&bytes);
    }

    /// Copies by OSC 52, or into a file of the run's directory. The answer says where it is.
    fn copy(&mut self, name: &str, text: &str) -> Result<String, String> {
        if self.model.options.copy_osc52 {
            let encoded = BASE64_STANDARD.encode(text);
            self.screen.write(format!("\x1b]52;c;{encoded}\x07").as_bytes());
            return Ok("the clipboard of your terminal".to_owned());
        }
        self.keep(name, &format!("{text}\n"))
    }

    /// Keeps the screen or some lines in a file. The answer says where it is.
    fn save(&mut self, name: &str, what: Saved) -> Result<String, String> {
        let text = match what {
            Saved::Screen => view::text(&self.model),
            Saved::Lines(lines) => lines.iter().fold(String::new(), |text, line| text + line + "\n"),
        };
        self.keep(name, &text)
    }

    fn keep(&self, name: &str, text: &str) -> Result<String, String> {
        let path = keep::write(Path::new(&self.model.run_dir), name, self.model.now, text)?;
        Ok(path.display().to_string())
    }
}
