//! Everything a screen knows: the run as folded from its events, the telemetry, and where the operator's attention is.
//!
//! Nothing of the run is kept twice. What the run waits for, what a rollback would do, how ready it is: all of that is
//! asked from [`Run`] when it is needed.

pub mod form;
pub mod offer;
pub mod page;
pub mod replay;
pub mod still;
pub mod telemetry;

use form::{Form, RollbackForm};
use offer::Offer;
use page::Page;
use replay::Replay;
use still::Still;
use telemetry::Telemetry;

use super::style::Look;
use crate::{
    config::{
        keymap::{Context, KeyAction, Keymap},
        theme::Theme,
    },
    domain::{
        copy::CopyState,
        crew::{Member, Person, Role, ScreenId},
        event::{Outcome, Place},
        message::JournalState,
        online::preflight::Preflight,
        prompt::Prompt,
        run::{ItemStatus, Run, StepStatus},
        time::{Span, Timestamp},
    },
};

/// What the caller decides about a screen.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a person's settings")]
pub struct ScreenOptions {
    /// Whether it only watches.
    pub read_only: bool,
    /// What each key does.
    pub keymap: Keymap,
    /// How it looks.
    pub theme: Theme,
    /// Four frames a second instead of ten.
    pub slow_link: bool,
    /// Whether to ring where a person is needed.
    pub bell: bool,
    /// Whether to say the same by OSC 9, as a desktop notification.
    pub osc9: bool,
    /// Whether the terminal's title shows the state of the run.
    pub title: bool,
    /// Whether to take the mouse: a click selects, the wheel scrolls, nothing acts.
    pub mouse: bool,
    /// Whether the terminal can be asked what it is: not where it would print the question.
    pub asks_terminal: bool,
    /// Whether copies go to the terminal's clipboard (OSC 52), as over SSH; else to a file in the run's directory.
    pub copy_osc52: bool,
    /// How a person comes back to this run, as typed in a shell; shown before leaving.
    pub come_back: String,
}

impl Default for ScreenOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            keymap: Keymap::default(),
            theme: Theme::default(),
            slow_link: false,
            bell: true,
            osc9: false,
            title: true,
            mouse: false,
            asks_terminal: true,
            copy_osc52: false,
            come_back: "cutover attach".to_owned(),
        }
    }
}

/// The screen's state.
#[derive(Debug, Clone)]
pub struct Model {
    /// What the caller decided.
    pub options: ScreenOptions,
    /// How things look.
    pub look: Look,
    /// The run, once the engine has told it.
    pub run: Option<Run>,
    /// The run's directory, for paths shown to people.
    pub run_dir: String,
    /// The engine's time.
    pub now: Timestamp,
    /// How long the engine has been silent, in real time, where that is too long.
    pub silent: Option<Span>,
    /// How the run stood when the engine closed it.
    pub closed: Option<Option<Outcome>>,
    /// State of the journal's copy beside the target; none if there is no copy.
    pub copy: Option<CopyState>,
    /// Who is there.
    pub members: Vec<Member>,
    /// Which of them this screen is; none before the engine has said so.
    pub you: Option<ScreenId>,
    /// From when to when nobody had control, if this screen returned after that.
    pub missed: Option<(Timestamp, Timestamp)>,
    /// State of the journal.
    pub journal: JournalState,
    /// Measurements, the cluster, output, logs, as they are now. Panes and pages show [`Model::measured`].
    pub telemetry: Telemetry,
    /// The frozen data, if the screen is frozen.
    pub still: Option<Box<Still>>,
    /// What has happened, in words, oldest first.
    pub story: Vec<(Timestamp, String)>,
    /// Where the operator's attention is.
    pub cursor: Cursor,
    /// What lies over the panes, the topmost last.
    pub layers: Vec<Layer>,
    /// Something said once.
    pub toast: Option<Toast>,
    /// What the last frame offered: a key starts this and nothing else, whatever has happened since.
    pub shown: Vec<Offer>,
    /// For how long this screen has been open, by its own clock: how long a person has to read something, or to press a key
    /// again, does not depend on how fast a rehearsal runs.
    pub real: Span,
    /// When a key was last pressed, by this screen's clock.
    pub last_key: Option<Span>,
    /// When the engine was last asked to keep a look at the target at hand, by the engine's time.
    pub kept_looking: Timestamp,
    /// When ctrl-c was pressed once, by this screen's clock.
    pub interrupted: Option<Span>,
    /// The window's watched time as last shown.
    pub window: Option<ShownWindow>,
    /// The look at cluster and machine before the start, where this screen has started one.
    pub preflight: Option<Preflight>,
    /// Whether the terminal may still answer what it was asked.
    pub asking: bool,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The replay, where this is one and no run under way.
    pub replay: Option<Replay>,
    /// A question that was put aside with esc, so that it does not come back by itself.
    pub aside: Option<Prompt>,
}

/// How much of a window was shown as watched: its clock never falls back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownWindow {
    /// The step's index.
    pub step: usize,
    /// The step's attempt.
    pub attempt: u32,
    /// The time.
    pub watched: Span,
    /// When that was shown.
    pub at: Timestamp,
}

/// Where the operator's attention is.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// The focused pane.
    pub focus: Pane,
    /// Whether it fills the screen.
    pub zoomed: bool,
    /// The selected checklist item, counted over all groups.
    pub item: usize,
    /// The selected step; none follows the run.
    pub step: Option<usize>,
    /// The selected check of the place that is shown.
    pub check: Option<usize>,
    /// How far the detail pane is scrolled.
    pub detail: usize,
    /// The selected metric row.
    pub metric: usize,
    /// The selected pod, counted over both slots.
    pub pod: usize,
    /// The selected task.
    pub task: usize,
    /// How far the log pane is scrolled up from its end.
    pub logs: usize,
    /// Whether long lines of logs are wrapped instead of cut.
    pub wrap: bool,
    /// Whether lines of logs have their times.
    pub stamps: bool,
    /// What was searched for.
    pub search: Option<String>,
}

/// A part of the screen that keys can be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pane {
    /// Checklist, steps, or tasks.
    #[default]
    Work,
    /// What is selected there.
    Detail,
    /// Metrics.
    Metrics,
    /// Pods and warning events.
    Pods,
    /// The new slot's log, on large screens.
    Logs,
}

/// Something over the panes.
#[derive(Debug, Clone)]
pub enum Layer {
    /// A question.
    Form(Box<Form>),
    /// `R` or `D`.
    Rollback(Box<RollbackForm>),
    /// A page over the whole body.
    Page(Box<Page>),
    /// `:`
    Command(tui_input::Input),
    /// `/`
    Search(tui_input::Input),
}

/// Something said once, until the next key or for a few seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// The words.
    pub text: String,
    /// Whether something was not done.
    pub refused: bool,
    /// When it was said, by this screen's clock.
    pub at: Span,
}

/// How far a deployment is, as far as the layout cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Questions and checklist.
    Checklist,
    /// A step, or the completion.
    Steps,
    /// The monitored window.
    Window,
    /// A rollback runs or waits.
    RollingBack,
    /// It is over.
    Over,
}

impl Model {
    /// A screen that has heard nothing yet.
    pub fn new(options: ScreenOptions) -> Self {
        Self {
            look: Look(options.theme),
            asking: options.asks_terminal,
            options,
            run: None,
            run_dir: String::new(),
            now: Timestamp::default(),
            silent: None,
            closed: None,
            copy: None,
            members: Vec::new(),
            you: None,
            missed: None,
            journal: JournalState::Whole,
            telemetry: Telemetry::default(),
            still: None,
            story: Vec::new(),
            cursor: Cursor::default(),
            layers: Vec::new(),
            toast: None,
            shown: Vec::new(),
            real: Span::ZERO,
            last_key: None,
            kept_looking: Timestamp::default(),
            interrupted: None,
            window: None,
            preflight: None,
            size: (80, 24),
            replay: None,
            aside: None,
        }
    }

    /// What this screen may do.
    pub fn role(&self) -> Role {
        if self.options.read_only || self.replays() {
            return Role::Watcher;
        }
        let own = self.you.and_then(|you| self.members.iter().find(|member| member.id == you));
        // Before the engine has said anything nothing can be pressed that it would not judge itself.
        own.map_or(Role::Pilot, |member| member.role)
    }

    /// Whether this screen is read-only: it was opened so, or somebody else has control.
    pub fn looks_only(&self) -> bool {
        self.role() != Role::Pilot
    }

    /// Whether this is a look back at a run that is over: nothing is measured, and no cluster is looked at.
    pub fn looks_back(&self) -> bool {
        let over = self.run.as_ref().is_some_and(|run| run.finished.is_some());
        over && self.telemetry.workload.is_none() && self.telemetry.latest.is_empty()
    }

    /// Who has control now, if anybody.
    pub fn pilot(&self) -> Option<&Person> {
        self.run.as_ref().and_then(Run::present_pilot)
    }

    /// What the run waits for now.
    pub fn prompt(&self) -> Option<Prompt> {
        self.run.as_ref().map(|run| run.prompt(self.now))
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        let Some(run) = &self.run else { return Phase::Checklist };
        if run.rolling_back().is_some() {
            return Phase::RollingBack;
        }
        if run.finished.is_some() {
            return Phase::Over;
        }
        if !run.steps_open {
            return Phase::Checklist;
        }
        let window = run.current().is_some_and(|index| {
            run.runbook.steps[index].window.is_some() && run.steps[index].status == StepStatus::Checking
        });
        if window { Phase::Window } else { Phase::Steps }
    }

    /// The step whose detail is shown: the selected one, else the one that is due, else the last.
    pub fn step_shown(&self) -> Option<usize> {
        let run = self.run.as_ref()?;
        let last = run.steps.len().checked_sub(1)?;
        Some(self.cursor.step.or_else(|| run.current()).map_or(last, |index| index.min(last)))
    }

    /// The place whose work is under way or was last.
    pub fn place(&self) -> Option<Place> {
        let run = self.run.as_ref()?;
        match run.rolling_back() {
            Some(rollback) => match run.undoing() {
                Some((step, _)) => Some(Place::Undo { step }),
                None => Some(Place::Rollback { procedure: rollback.procedure.clone() }),
            },
            None => run.current_place(),
        }
    }

    /// The selected checklist item.
    pub fn item_shown(&self) -> Option<(usize, usize)> {
        self.items().nth(self.cursor.item)
    }

    /// All checklist items in order.
    pub fn items(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let groups = self.run.as_ref().map_or(&[][..], |run| &run.runbook.checklist);
        groups.iter().enumerate().flat_map(|(g, group)| (0..group.items.len()).map(move |i| (g, i)))
    }

    /// A checklist item's state with staleness taken in: one that passed too long ago counts no more.
    pub fn item_status(&self, group: usize, item: usize) -> (ItemStatus, bool) {
        let Some(run) = &self.run else { return (ItemStatus::Open, false) };
        let Some((state, declared)) = run
            .items
            .get(group)
            .and_then(|items| items.get(item))
            .zip(run.runbook.checklist.get(group).and_then(|group| group.items.get(item)))
        else {
            return (ItemStatus::Open, false);
        };
        let too_old = !run.is_persons_item(group, item)
            && state.status == ItemStatus::Holds
            && self.now.since(state.at) > declared.valid_for;
        (state.status, too_old)
    }

    /// The keys that count now.
    pub fn context(&self) -> Context {
        self.context_of(self.layers.last())
    }

    /// The keys that count where this lies on top.
    pub fn context_of(&self, layer: Option<&Layer>) -> Context {
        match layer {
            Some(Layer::Form(form)) if form.is_typing() => Context::Input,
            Some(Layer::Rollback(form)) if form.is_typing() => Context::Input,
            Some(Layer::Form(_) | Layer::Rollback(_)) => Context::Dialog,
            Some(Layer::Command(_) | Layer::Search(_)) => Context::Input,
            Some(Layer::Page(page)) => page.context(),
            None => self.pane_context(),
        }
    }

    /// The keys that count on the panes.
    pub fn pane_context(&self) -> Context {
        match self.phase() {
            _ if self.replays() => Context::Replay,
            Phase::Checklist => Context::Checklist,
            Phase::Steps | Phase::Window | Phase::RollingBack => Context::Steps,
            Phase::Over => Context::Tasks,
        }
    }

    /// The key to show for an action where it would be pressed now.
    pub fn key(&self, action: KeyAction) -> String {
        self.key_in(self.context(), action)
    }

    /// The key that does this where the operator is now, as it is shown.
    pub fn live_key(&self, action: KeyAction) -> Option<String> {
        self.bound_key(self.context(), action)
    }

    /// The key to show for an action in a context; a dash if it has none.
    pub fn key_in(&self, context: Context, action: KeyAction) -> String {
        self.bound_key(context, action).unwrap_or_else(|| "-".to_owned())
    }

    /// The key that does this in a context, as it is shown; none where the keymap gives none.
    pub fn bound_key(&self, context: Context, action: KeyAction) -> Option<String> {
        let label = self.options.keymap.label(context, action)?;
        // Named keys stand out from words as capitals: ENTER, SPACE, ESC.
        Some(if label.chars().count() > 1 { label.to_uppercase() } else { label })
    }

    /// The topmost page, where a page is topmost.
    pub fn page(&self) -> Option<&Page> {
        self.layers.iter().rev().find_map(|layer| match layer {
            Layer::Page(page) => Some(page.as_ref()),
            _ => None,
        })
    }

    /// Says something once.
    pub fn say(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), refused: false, at: self.real });
    }

    /// Says that something was not done.
    pub fn refuse(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), refused: true, at: self.real });
    }
}
