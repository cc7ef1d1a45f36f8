//! What a key can do, and what is said about it.

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
    /// The pane before.
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
    /// A command by name.
    Command,
    /// Search in what is shown.
    Search,
    /// The next match.
    NextMatch,
    /// The match before.
    PreviousMatch,
    /// The focused pane over the whole screen, or back.
    Zoom,
    /// The metrics over the whole screen, or back.
    Metrics,
    /// Logs of a pod or slot.
    Logs,
    /// Incident response.
    Incident,
    /// Whom to call.
    Contacts,
    /// Dashboards, trackers, documents.
    Links,
    /// Post-deployment tasks.
    Tasks,
    /// Notices a rehearsal kept instead of sending.
    Inbox,
    /// Copy what is selected.
    Copy,
    /// A remark for the log, or for the selected item.
    Note,
    /// Start nothing new, or go on.
    Hold,
    /// Roll back.
    Rollback,
    /// Roll the database back.
    DatabaseRollback,
    /// Draw the screen anew.
    Redraw,
    /// Tick or untick: it holds.
    Tick,
    /// Say that a check does not hold.
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
    /// The next slot or pod.
    NextSource,
    /// Change the incident's text.
    Edit,
    /// Send the incident's message.
    Send,
    /// Yes.
    Yes,
    /// No.
    No,
    /// The next field.
    NextField,
    /// The field before.
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
    spec(KeyAction::Confirm, "confirm", "go", "Start or confirm what is shown above the footer"),
    spec(KeyAction::Rollback, "rollback", "rollback", "Show what a rollback would do now, and roll back"),
    spec(
        KeyAction::DatabaseRollback,
        "database-rollback",
        "database",
        "Roll the database back: typed confirmation, own procedure",
    ),
    spec(KeyAction::Tick, "tick", "tick", "Tick or untick: it holds"),
    spec(KeyAction::Fails, "fails", "fails", "Say that the selected check does not hold"),
    spec(
        KeyAction::NotNeeded,
        "not-needed",
        "needless",
        "Say that the selected item is not needed, with a reason",
    ),
    spec(KeyAction::Recheck, "recheck", "recheck", "Look again now"),
    spec(KeyAction::Retry, "retry", "retry", "Try the failed step or the stopped rollback again"),
    spec(KeyAction::Undo, "undo", "undo", "Take the selected step back by its own undo"),
    spec(KeyAction::Skip, "skip", "skip", "Leave the step out, with a reason"),
    spec(KeyAction::Resolve, "resolve", "resolve", "Say what became of an unknown action"),
    spec(
        KeyAction::CancelCountdown,
        "cancel-countdown",
        "cancel",
        "Cancel the countdown to a rollback, with a reason",
    ),
    spec(KeyAction::Hold, "hold", "hold", "Start nothing new; again: go on"),
    spec(KeyAction::Note, "note", "note", "Add a remark to the selected item or to the log"),
    spec(KeyAction::Logs, "logs", "logs", "Logs of the selected pod or of the new slot"),
    spec(KeyAction::Incident, "incident", "incident", "Incident response: levels, steps, message"),
    spec(KeyAction::Contacts, "contacts", "contacts", "Whom to call"),
    spec(KeyAction::Links, "links", "links", "Dashboards, trackers and documents"),
    spec(KeyAction::Metrics, "metrics", "metrics", "Metrics over the whole screen, or back"),
    spec(KeyAction::Tasks, "tasks", "tasks", "What is to be done after the deployment"),
    spec(KeyAction::Inbox, "inbox", "inbox", "Notices that the rehearsal kept instead of sending"),
    spec(KeyAction::NextPane, "next-pane", "panes", "The next pane"),
    spec(KeyAction::PreviousPane, "previous-pane", "panes", "The pane before"),
    spec(KeyAction::Zoom, "zoom", "zoom", "The focused pane over the whole screen, or back"),
    spec(KeyAction::Search, "search", "search", "Search in what is shown"),
    spec(KeyAction::NextMatch, "next-match", "match", "The next match"),
    spec(KeyAction::PreviousMatch, "previous-match", "match", "The match before"),
    spec(KeyAction::Command, "command", "command", "A command by name"),
    spec(KeyAction::Copy, "copy", "copy", "Copy what is selected"),
    spec(KeyAction::Help, "help", "help", "What every key does"),
    spec(KeyAction::Back, "back", "back", "Back, or close; never leaves"),
    spec(KeyAction::Quit, "quit", "leave", "Leave this screen; the run goes on"),
    spec(KeyAction::Up, "up", "move", "Up"),
    spec(KeyAction::Down, "down", "move", "Down"),
    spec(KeyAction::Left, "left", "aside", "Left"),
    spec(KeyAction::Right, "right", "aside", "Right"),
    spec(KeyAction::Top, "top", "ends", "The first row"),
    spec(KeyAction::Bottom, "bottom", "ends", "The last row"),
    spec(KeyAction::PageUp, "page-up", "page", "A page up"),
    spec(KeyAction::PageDown, "page-down", "page", "A page down"),
    spec(KeyAction::Redraw, "redraw", "redraw", "Draw the screen anew"),
    spec(KeyAction::Follow, "follow", "follow", "Follow new lines, or stop"),
    spec(KeyAction::NextSource, "next-source", "source", "The next slot or pod"),
    spec(KeyAction::Edit, "edit", "edit", "Change the message's severity, title, impact or status"),
    spec(KeyAction::Send, "send", "send", "Preview the message and send it to the channel"),
    spec(KeyAction::Yes, "yes", "yes", "Yes"),
    spec(KeyAction::No, "no", "no", "No"),
    spec(KeyAction::NextField, "next-field", "field", "The next field"),
    spec(KeyAction::PreviousField, "previous-field", "field", "The field before"),
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
