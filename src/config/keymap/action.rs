//! The actions that keys can be bound to, and their descriptions.

/// What a key can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAction {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// To the left: a button, a column of a long line.
    Left,
    /// To the right.
    Right,
    /// The first row.
    Top,
    /// The last row.
    Bottom,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// The next pane.
    NextPane,
    /// Previous pane.
    PreviousPane,
    /// The pane of this number, 1 to 9.
    Pane(u8),
    /// Start or confirm what is shown.
    Confirm,
    /// Back, or close. Never leaves the program.
    Back,
    /// Leave the screen; the run goes on.
    Quit,
    /// What every key does.
    Help,
    /// Type a command.
    Command,
    /// Search this page.
    Search,
    /// Next match.
    NextMatch,
    /// Previous match.
    PreviousMatch,
    /// Focused pane in full screen, or back.
    Zoom,
    /// The metrics over the whole screen, or back.
    Metrics,
    /// Logs of a pod or slot.
    Logs,
    /// Incident response.
    Incident,
    /// Contacts.
    Contacts,
    /// Dashboards, trackers, documents.
    Links,
    /// Post-deployment tasks.
    Tasks,
    /// Notices a rehearsal kept instead of sending.
    Inbox,
    /// Copy the selection.
    Copy,
    /// A remark for the log, or for the selected item.
    Note,
    /// Start nothing new, or go on.
    Hold,
    /// Roll back.
    Rollback,
    /// Roll the database back.
    DatabaseRollback,
    /// Redraw the screen.
    Redraw,
    /// Hold what is measured and printed still, or let it go on.
    Freeze,
    /// Keep the screen, or a log, as text in a file.
    Save,
    /// Tick or untick: it holds.
    Tick,
    /// Mark a check as failed.
    Fails,
    /// Say that an item is not needed, with a reason.
    NotNeeded,
    /// Look again now.
    Recheck,
    /// Try a failed step, or a stopped rollback, again.
    Retry,
    /// Run the step's undo.
    Undo,
    /// Leave the step out, with a reason.
    Skip,
    /// Say what became of an unknown action.
    Resolve,
    /// Cancel a countdown, with a reason.
    CancelCountdown,
    /// Follow new lines, or stop.
    Follow,
    /// Next slot or pod.
    NextSource,
    /// Break long lines, or cut them.
    Wrap,
    /// The time of each line, or not.
    Stamps,
    /// Charts of less time.
    ZoomIn,
    /// Charts of more time.
    ZoomOut,
    /// Charts of an earlier time.
    Earlier,
    /// Charts of a later time.
    Later,
    /// Charts up to now.
    Live,
    /// Change the incident's text.
    Edit,
    /// Send the incident's message.
    Send,
    /// Let a replay go on, or pause it.
    Play,
    /// To the next event of a replay.
    NextEvent,
    /// To the event before.
    PreviousEvent,
    /// Play a replay faster.
    Faster,
    /// Play a replay slower.
    Slower,
    /// Yes.
    Yes,
    /// No.
    No,
    /// Next field.
    NextField,
    /// Previous field.
    PreviousField,
}

/// What is said about an action.
pub(super) struct Spec {
    pub(super) action: KeyAction,
    /// In a keymap file.
    pub(super) name: &'static str,
    /// In the footer.
    word: &'static str,
    /// In help.
    about: &'static str,
}

const fn spec(action: KeyAction, name: &'static str, word: &'static str, about: &'static str) -> Spec {
    Spec { action, name, word, about }
}

pub(super) const SPECS: &[Spec] = &[
    spec(KeyAction::Confirm, "confirm", "go", "Do what the line above the footer says"),
    spec(KeyAction::Rollback, "rollback", "roll back", "Show what a rollback would do, then roll back"),
    spec(
        KeyAction::DatabaseRollback,
        "database-rollback",
        "database",
        "Roll back the database: own procedure, typed word",
    ),
    spec(KeyAction::Tick, "tick", "tick", "Tick or untick an item; mark a check as ok"),
    spec(KeyAction::Fails, "fails", "not ok", "Mark the selected check as not ok"),
    spec(KeyAction::NotNeeded, "not-needed", "not needed", "Mark the item as not needed, with a reason"),
    spec(KeyAction::Recheck, "recheck", "check again", "Check the selected item again now"),
    spec(KeyAction::Retry, "retry", "retry", "Retry the failed step or the stopped rollback"),
    spec(KeyAction::Undo, "undo", "undo", "Undo the selected step"),
    spec(KeyAction::Skip, "skip", "skip", "Skip the step, with a reason"),
    spec(KeyAction::Resolve, "resolve", "resolve", "Resolve an action whose outcome is unknown"),
    spec(
        KeyAction::CancelCountdown,
        "cancel-countdown",
        "cancel",
        "Cancel the automatic rollback, with a reason",
    ),
    spec(KeyAction::Hold, "hold", "pause", "Pause the run, or resume it"),
    spec(KeyAction::Note, "note", "note", "Add a note to the selected item or to the log"),
    spec(KeyAction::Logs, "logs", "logs", "Logs of the selected pod or of the new slot"),
    spec(KeyAction::Incident, "incident", "incident", "Incident response: levels, steps, message"),
    spec(KeyAction::Contacts, "contacts", "contacts", "Contacts"),
    spec(KeyAction::Links, "links", "links", "Dashboards, trackers and documents"),
    spec(KeyAction::Metrics, "metrics", "metrics", "Metrics in full screen, or back"),
    spec(KeyAction::Tasks, "tasks", "tasks", "Tasks for after the deployment"),
    spec(KeyAction::Inbox, "inbox", "inbox", "Notices to the team"),
    spec(KeyAction::NextPane, "next-pane", "panes", "Next pane"),
    spec(KeyAction::PreviousPane, "previous-pane", "panes", "Previous pane"),
    spec(KeyAction::Zoom, "zoom", "zoom", "Focused pane in full screen, or back"),
    spec(KeyAction::Search, "search", "search", "Search this page"),
    spec(KeyAction::NextMatch, "next-match", "match", "Next match"),
    spec(KeyAction::PreviousMatch, "previous-match", "match", "Previous match"),
    spec(KeyAction::Command, "command", "command", "Type a command"),
    spec(KeyAction::Copy, "copy", "copy", "Copy the selection"),
    spec(KeyAction::Help, "help", "help", "Help: all keys"),
    spec(KeyAction::Back, "back", "back", "Back or close; never quits"),
    spec(KeyAction::Quit, "quit", "leave", "Close this screen; the run goes on"),
    spec(KeyAction::Up, "up", "move", "Up"),
    spec(KeyAction::Down, "down", "move", "Down"),
    spec(KeyAction::Left, "left", "aside", "Left"),
    spec(KeyAction::Right, "right", "aside", "Right"),
    spec(KeyAction::Top, "top", "ends", "First row"),
    spec(KeyAction::Bottom, "bottom", "ends", "Last row"),
    spec(KeyAction::PageUp, "page-up", "page", "Page up"),
    spec(KeyAction::PageDown, "page-down", "page", "Page down"),
    spec(KeyAction::Redraw, "redraw", "redraw", "Redraw the screen"),
    spec(
        KeyAction::Freeze,
        "freeze",
        "freeze",
        "Freeze measurements and output, or go live again; alerts and the header stay live",
    ),
    spec(
        KeyAction::Save,
        "save",
        "save",
        "Save the screen as text in the run's directory; on a log page, the whole log",
    ),
    spec(KeyAction::Follow, "follow", "follow", "Follow new lines, or stop"),
    spec(KeyAction::NextSource, "next-source", "source", "Next slot or pod"),
    spec(KeyAction::Wrap, "wrap", "wrap", "Wrap long lines, or cut them"),
    spec(KeyAction::Stamps, "timestamps", "times", "Show the time of each line, or not"),
    spec(KeyAction::ZoomIn, "zoom-in", "zoom", "Charts: less time"),
    spec(KeyAction::ZoomOut, "zoom-out", "zoom", "Charts: more time"),
    spec(KeyAction::Earlier, "earlier", "time", "Charts: earlier"),
    spec(KeyAction::Later, "later", "time", "Charts: later"),
    spec(KeyAction::Live, "live", "live", "Charts: back to now"),
    spec(KeyAction::Edit, "edit", "edit", "Edit the message's severity, title, impact or status"),
    spec(KeyAction::Send, "send", "send", "Preview the message and send it to the channel"),
    spec(KeyAction::Play, "play", "play", "Replay: play, or pause"),
    spec(KeyAction::NextEvent, "next-event", "event", "Replay: to the next event"),
    spec(KeyAction::PreviousEvent, "previous-event", "event", "Replay: to the event before"),
    spec(KeyAction::Faster, "faster", "faster", "Replay: faster"),
    spec(KeyAction::Slower, "slower", "slower", "Replay: slower"),
    spec(KeyAction::Yes, "yes", "yes", "Yes"),
    spec(KeyAction::No, "no", "no", "No"),
    spec(KeyAction::NextField, "next-field", "field", "Next field"),
    spec(KeyAction::PreviousField, "previous-field", "field", "Previous field"),
    spec(KeyAction::Pane(1), "pane-1", "pane", "Pane 1"),
    spec(KeyAction::Pane(2), "pane-2", "pane", "Pane 2"),
    spec(KeyAction::Pane(3), "pane-3", "pane", "Pane 3"),
    spec(KeyAction::Pane(4), "pane-4", "pane", "Pane 4"),
    spec(KeyAction::Pane(5), "pane-5", "pane", "Pane 5"),
    spec(KeyAction::Pane(6), "pane-6", "pane", "Pane 6"),
    spec(KeyAction::Pane(7), "pane-7", "pane", "Pane 7"),
    spec(KeyAction::Pane(8), "pane-8", "pane", "Pane 8"),
    spec(KeyAction::Pane(9), "pane-9", "pane", "Pane 9"),
];

impl KeyAction {
    pub(super) fn spec(self) -> &'static Spec {
        // Every action has its line in the table; a test holds that. The first line stands in for a pane number that
        // no key can give.
        SPECS.iter().find(|spec| spec.action == self).unwrap_or(&SPECS[0])
    }

    /// Its name in a keymap file.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// One word for the footer. Pairs such as up and down share theirs.
    pub fn word(self) -> &'static str {
        self.spec().word
    }

    /// What it does, for help.
    pub fn about(self) -> &'static str {
        self.spec().about
    }

    /// The action of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        SPECS.iter().find(|spec| spec.name == name).map(|spec| spec.action)
    }

    /// Whether it starts, ends or takes back something, so that a slip of the hand must not reach it.
    pub fn is_weighty(self) -> bool {
        matches!(
            self,
            Self::Confirm
                | Self::Rollback
                | Self::DatabaseRollback
                | Self::Retry
                | Self::Undo
                | Self::Skip
                | Self::Resolve
                | Self::CancelCountdown
                | Self::Send
                | Self::Yes
                | Self::Tick
                | Self::Fails
                | Self::NotNeeded
        )
    }
}
