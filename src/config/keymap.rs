//! What each key does, where: the bindings that keys, footer and help all come from.
//!
//! A context is a place on the screen that has keys of its own. A key is looked up there first, then among the global
//! ones, except in dialogs and while text is typed: there only their own keys count, so nothing typed into a field can
//! start anything. An operator's keymap file changes bindings, and is refused where it would make the screen unsafe:
//! a rollback that no key reaches, a key with two meanings, a ctrl letter that undoes or starts something.
//!
//! ```toml
//! [global]
//! logs = ["l", "L"]
//! [checklist]
//! not-needed = "z"      # `x` no longer does it
//! ```

mod key;

use std::{collections::BTreeMap, ops::Range};

pub use key::{BadKey, Key, KeyCode};

use super::{
    diagnose::{Diagnostic, Faults, list, suggest},
    raw::{self, Node, Value},
};

/// A place on the screen with keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Everywhere but in dialogs and text fields.
    Global,
    /// The checklist.
    Checklist,
    /// The steps and the running step, window and countdown included.
    Steps,
    /// The log view.
    Logs,
    /// The incident view.
    Incident,
    /// Post-deployment tasks.
    Tasks,
    /// A question with buttons or a choice.
    Dialog,
    /// A text field.
    Input,
}

impl Context {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Global,
        Self::Checklist,
        Self::Steps,
        Self::Logs,
        Self::Incident,
        Self::Tasks,
        Self::Dialog,
        Self::Input,
    ];

    /// Its table's name in a keymap file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Checklist => "checklist",
            Self::Steps => "steps",
            Self::Logs => "logs",
            Self::Incident => "incident",
            Self::Tasks => "tasks",
            Self::Dialog => "dialog",
            Self::Input => "input",
        }
    }

    /// Its heading in help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Checklist => "Checklist",
            Self::Steps => "Steps",
            Self::Logs => "Logs",
            Self::Incident => "Incident",
            Self::Tasks => "Tasks",
            Self::Dialog => "Dialogs",
            Self::Input => "Text fields",
        }
    }

    /// Whether the global keys work here as well.
    pub fn falls_through(self) -> bool {
        !matches!(self, Self::Global | Self::Dialog | Self::Input)
    }
}

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
    /// Leave the screen. The run lives in a process of its own; without a pilot it starts nothing new.
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
struct Spec {
    action: KeyAction,
    /// In a keymap file.
    name: &'static str,
    /// In the footer.
    word: &'static str,
    /// In help.
    about: &'static str,
}

const fn spec(action: KeyAction, name: &'static str, word: &'static str, about: &'static str) -> Spec {
    Spec { action, name, word, about }
}

const SPECS: &[Spec] = &[
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

/// An action and the keys that do it.
type Keys = (KeyAction, &'static [&'static str]);

/// The bindings we come with, in the order of footer and help.
const DEFAULTS: &[(Context, &[Keys])] = &[
    (
        Context::Global,
        &[
            (KeyAction::Confirm, &["enter"]),
            (KeyAction::Rollback, &["R"]),
            (KeyAction::DatabaseRollback, &["D"]),
            (KeyAction::Logs, &["l"]),
            (KeyAction::Incident, &["i"]),
            (KeyAction::Contacts, &["c"]),
            (KeyAction::Links, &["o"]),
            (KeyAction::Metrics, &["m"]),
            (KeyAction::NextPane, &["tab"]),
            (KeyAction::PreviousPane, &["shift-tab"]),
            (KeyAction::Help, &["?"]),
            (KeyAction::Quit, &["q"]),
            (KeyAction::Back, &["esc"]),
            (KeyAction::Hold, &["p"]),
            (KeyAction::Note, &["n"]),
            (KeyAction::Tasks, &["t"]),
            (KeyAction::Inbox, &["b"]),
            (KeyAction::Zoom, &["+"]),
            (KeyAction::Search, &["/"]),
            (KeyAction::Command, &[":"]),
            (KeyAction::Copy, &["y"]),
            (KeyAction::Down, &["j", "down"]),
            (KeyAction::Up, &["k", "up"]),
            (KeyAction::Left, &["left"]),
            (KeyAction::Right, &["right"]),
            (KeyAction::Top, &["g", "home"]),
            (KeyAction::Bottom, &["G", "end"]),
            (KeyAction::PageUp, &["pgup"]),
            (KeyAction::PageDown, &["pgdn"]),
            (KeyAction::Redraw, &["ctrl-l"]),
            (KeyAction::Pane(1), &["1"]),
            (KeyAction::Pane(2), &["2"]),
            (KeyAction::Pane(3), &["3"]),
            (KeyAction::Pane(4), &["4"]),
            (KeyAction::Pane(5), &["5"]),
            (KeyAction::Pane(6), &["6"]),
            (KeyAction::Pane(7), &["7"]),
            (KeyAction::Pane(8), &["8"]),
            (KeyAction::Pane(9), &["9"]),
        ],
    ),
    (
        Context::Checklist,
        &[
            (KeyAction::Tick, &["space"]),
            (KeyAction::Note, &["n"]),
            (KeyAction::NotNeeded, &["x"]),
            (KeyAction::Recheck, &["r"]),
        ],
    ),
    (
        Context::Steps,
        &[
            (KeyAction::Tick, &["space"]),
            (KeyAction::Fails, &["f"]),
            (KeyAction::Retry, &["r"]),
            (KeyAction::Skip, &["s"]),
            (KeyAction::Undo, &["u"]),
            (KeyAction::Resolve, &["v"]),
            (KeyAction::CancelCountdown, &["x"]),
        ],
    ),
    (
        Context::Logs,
        &[
            (KeyAction::Follow, &["f"]),
            (KeyAction::NextSource, &["space"]),
            (KeyAction::NextMatch, &["n"]),
            (KeyAction::PreviousMatch, &["N"]),
        ],
    ),
    (
        Context::Incident,
        &[(KeyAction::Tick, &["space"]), (KeyAction::Edit, &["e"]), (KeyAction::Send, &["s"])],
    ),
    (Context::Tasks, &[(KeyAction::Tick, &["space"])]),
    (
        Context::Dialog,
        &[
            (KeyAction::Yes, &["y"]),
            (KeyAction::No, &["n"]),
            (KeyAction::Confirm, &["enter"]),
            (KeyAction::Back, &["esc"]),
            (KeyAction::Tick, &["space"]),
            (KeyAction::Down, &["j", "down"]),
            (KeyAction::Up, &["k", "up"]),
            (KeyAction::Left, &["left"]),
            (KeyAction::Right, &["right"]),
            (KeyAction::PageUp, &["pgup"]),
            (KeyAction::PageDown, &["pgdn"]),
            (KeyAction::NextField, &["tab"]),
            (KeyAction::PreviousField, &["shift-tab"]),
        ],
    ),
    (
        Context::Input,
        &[
            (KeyAction::Confirm, &["enter"]),
            (KeyAction::Back, &["esc"]),
            (KeyAction::NextField, &["tab"]),
            (KeyAction::PreviousField, &["shift-tab"]),
            (KeyAction::Down, &["down"]),
            (KeyAction::Up, &["up"]),
            (KeyAction::PageUp, &["pgup"]),
            (KeyAction::PageDown, &["pgdn"]),
        ],
    ),
];

/// Actions that must stay in reach, with the contexts they must be reached in.
const ESSENTIAL: &[KeyAction] =
    &[KeyAction::Rollback, KeyAction::Confirm, KeyAction::Back, KeyAction::Quit, KeyAction::Help];

impl KeyAction {
    fn spec(self) -> &'static Spec {
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

/// A line of the footer or of help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The actions it stands for: one, or a pair such as down and up, or the panes.
    pub actions: Vec<KeyAction>,
    /// The keys as shown: `R`, `enter`, `j/k`, `1-9`.
    pub label: String,
    /// Every key, for help.
    pub keys: Vec<Key>,
    /// One word.
    pub word: &'static str,
    /// A sentence.
    pub about: String,
}

/// Bindings of one context, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Bindings(Vec<(KeyAction, Vec<Key>)>);

impl Bindings {
    fn action(&self, key: Key) -> Option<KeyAction> {
        self.0.iter().find(|(_, keys)| keys.contains(&key)).map(|(action, _)| *action)
    }

    fn keys(&self, action: KeyAction) -> &[Key] {
        self.0.iter().find(|(other, _)| *other == action).map_or(&[], |(_, keys)| keys)
    }
}

/// All bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    contexts: BTreeMap<Context, Bindings>,
}

impl Default for Keymap {
    /// The bindings we come with.
    fn default() -> Self {
        let contexts = DEFAULTS
            .iter()
            .map(|(context, bindings)| {
                let bindings = bindings
                    .iter()
                    .map(|(action, keys)| (*action, keys.iter().filter_map(|key| key.parse().ok()).collect()))
                    .collect();
                (*context, Bindings(bindings))
            })
            .collect();
        Self { contexts }
    }
}

impl Keymap {
    /// What a key does in a context; none where it does nothing there.
    pub fn action(&self, context: Context, key: Key) -> Option<KeyAction> {
        let here = self.bindings(context).action(key);
        if context.falls_through() {
            here.or_else(|| self.bindings(Context::Global).action(key))
        } else {
            here
        }
    }

    /// The keys that do something in a context, those of the context before global ones.
    pub fn keys(&self, context: Context, action: KeyAction) -> Vec<Key> {
        let mut keys = self.bindings(context).keys(action).to_vec();
        if context.falls_through() {
            let global = self.bindings(Context::Global).keys(action);
            keys.extend(global.iter().filter(|key| self.action(context, **key) == Some(action)));
        }
        keys.dedup();
        keys
    }

    /// The key to show for an action in a context: `R`. None where no key does it there.
    pub fn label(&self, context: Context, action: KeyAction) -> Option<String> {
        self.keys(context, action).first().map(Key::to_string)
    }

    /// What can be done in a context, most useful first: the context's own, then the global ones it lets through.
    /// A footer takes as many as fit.
    pub fn hints(&self, context: Context) -> Vec<Hint> {
        let mut hints = self.own_hints(context, |_| true);
        if context.falls_through() {
            let own: Vec<KeyAction> = hints.iter().flat_map(|hint| hint.actions.clone()).collect();
            hints.extend(self.own_hints(Context::Global, |(action, keys)| {
                !own.contains(action) && keys.iter().any(|key| self.action(context, *key) == Some(*action))
            }));
        }
        hints
    }

    /// Every binding by context, for the help page.
    pub fn help(&self) -> Vec<(Context, Vec<Hint>)> {
        Context::ALL.into_iter().map(|context| (context, self.own_hints(context, |_| true))).collect()
    }

    fn bindings(&self, context: Context) -> &Bindings {
        static NONE: Bindings = Bindings(Vec::new());
        self.contexts.get(&context).unwrap_or(&NONE)
    }

    fn own_hints(&self, context: Context, keep: impl Fn(&(KeyAction, Vec<Key>)) -> bool) -> Vec<Hint> {
        let mut hints: Vec<Hint> = Vec::new();
        for entry @ (action, keys) in &self.bindings(context).0 {
            let Some(first) = keys.first() else { continue };
            if !keep(entry) {
                continue;
            }
            match hints.last_mut().filter(|hint| hint.word == action.word()) {
                // Down and up, first and last, the panes: one hint for all that share a word.
                Some(hint) => {
                    hint.actions.push(*action);
                    hint.keys.extend(keys);
                    hint.label = match (
                        hint.label.split_once('-').map_or(hint.label.as_str(), |(from, _)| from),
                        action,
                    ) {
                        (from, KeyAction::Pane(_)) => format!("{from}-{first}"),
                        _ => format!("{}/{first}", hint.label),
                    };
                    hint.about = match action {
                        KeyAction::Pane(_) => "The pane of that number".to_owned(),
                        _ => format!("{}; {}", hint.about, lower_first(action.about())),
                    };
                }
                None => hints.push(Hint {
                    actions: vec![*action],
                    label: first.to_string(),
                    keys: keys.clone(),
                    word: action.word(),
                    about: action.about().to_owned(),
                }),
            }
        }
        hints
    }

    /// Reads a keymap file over the bindings we come with. With faults, what could be understood is in the keymap; a
    /// caller that finds an error among them should say so and not use it.
    pub fn load_str(path: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        let mut faults = Faults::new(path, text);
        let mut keymap = Self::default();
        let root = raw::parse(&mut faults);
        let mut written: Vec<Written> = Vec::new();
        for entry in root.entries() {
            let Some(context) = Context::ALL.into_iter().find(|context| context.name() == entry.key) else {
                faults
                    .error(entry.key_span.clone(), format!("unknown context `{}`", entry.key))
                    .maybe_help(suggest(&entry.key, Context::ALL.map(Context::name)));
                continue;
            };
            if entry.node.table().is_none() {
                faults
                    .error(
                        entry.node.span.clone(),
                        format!("`{}` is a table of bindings, not {}", entry.key, entry.node.kind()),
                    )
                    .help(format!("write `[{}]`, and below it lines such as `logs = \"l\"`", entry.key));
            }
            for binding in entry.node.entries() {
                written.extend(keymap.bind(
                    context,
                    &binding.key,
                    &binding.key_span,
                    &binding.node,
                    &mut faults,
                ));
            }
        }
        keymap.check(&written, &mut faults);
        (keymap, faults.into_sorted())
    }

    /// Takes one line of a keymap file: the action's keys in that context become the ones written.
    fn bind(
        &mut self,
        context: Context,
        name: &str,
        span: &Range<usize>,
        node: &Node,
        faults: &mut Faults<'_>,
    ) -> Vec<Written> {
        let allowed = || -> Vec<&'static str> {
            DEFAULTS
                .iter()
                .filter(|(c, _)| *c == context)
                .flat_map(|(_, all)| all.iter().map(|(a, _)| a.name()))
                .collect()
        };
        let Some(action) = KeyAction::from_name(name) else {
            faults
                .error(span.clone(), format!("unknown action `{name}` in [{}]", context.name()))
                .maybe_help(suggest(name, allowed()));
            return Vec::new();
        };
        if !allowed().contains(&name) {
            let places: Vec<&str> = DEFAULTS
                .iter()
                .filter(|(_, all)| all.iter().any(|(a, _)| *a == action))
                .map(|(context, _)| context.name())
                .collect();
            faults
                .error(span.clone(), format!("`{name}` does nothing in [{}]", context.name()))
                .help(format!("it can be bound in {}", list(&places)));
            return Vec::new();
        }
        let mut written = Vec::new();
        let nodes =
            if let Value::List(items) = &node.value { items.as_slice() } else { std::slice::from_ref(node) };
        for item in nodes {
            let Some(text) = item.text() else {
                faults
                    .error(item.span.clone(), format!("a key is text, not {}", item.kind()))
                    .help(format!("write `{name} = \"x\"` or `{name} = [\"x\", \"space\"]`"));
                continue;
            };
            match text.parse::<Key>() {
                Ok(key) if key.is_text() && context == Context::Input => {
                    faults
                        .error(item.span.clone(), format!("`{key}` would be typed into the field"))
                        .help("in [input] only named keys such as `enter` or `pgup` can be bound");
                }
                Ok(key) if key.ctrl && action.is_weighty() => {
                    faults
                        .error(item.span.clone(), format!("`{name}` cannot be a ctrl key"))
                        .help("what starts, confirms or takes back something must not be one slip away from copy and paste");
                }
                Ok(key) => written.push(Written { context, action, key, span: item.span.clone() }),
                Err(bad) => {
                    let help = bad.help();
                    faults.error(item.span.clone(), format!("key {bad}")).help(help);
                }
            }
        }
        if let Some((_, keys)) =
            self.contexts.entry(context).or_default().0.iter_mut().find(|(other, _)| *other == action)
        {
            *keys = written.iter().map(|written| written.key).collect();
        }
        if written.is_empty() && nodes.is_empty() && ESSENTIAL.contains(&action) {
            faults
                .error(span.clone(), format!("`{name}` must have a key"))
                .help("it is one of the few that must always be in reach; give it another key instead");
        }
        written
    }

    /// Looks for keys with two meanings, and for essential actions that a context hides.
    fn check(&self, written: &[Written], faults: &mut Faults<'_>) {
        for (at, binding) in written.iter().enumerate() {
            let bindings = self.bindings(binding.context);
            let others = bindings
                .0
                .iter()
                .filter(|(action, keys)| *action != binding.action && keys.contains(&binding.key));
            for (other, _) in others {
                // Two lines of the file that clash are told once, at the later one.
                let later = written[at + 1..]
                    .iter()
                    .any(|w| w.context == binding.context && w.key == binding.key && w.action == *other);
                if !later {
                    faults
                        .error(
                            binding.span.clone(),
                            format!(
                                "`{}` is already `{}` in [{}]",
                                binding.key,
                                other.name(),
                                binding.context.name()
                            ),
                        )
                        .help(format!(
                            "choose another key, or give `{}` another one in the same table",
                            other.name()
                        ));
                }
            }
            let twice = written[..at]
                .iter()
                .any(|w| w.context == binding.context && w.key == binding.key && w.action == binding.action);
            if twice {
                faults.error(binding.span.clone(), format!("`{}` is given twice", binding.key));
            }
        }
        for action in ESSENTIAL {
            let keys = self.bindings(Context::Global).keys(*action);
            let hides = |context: &Context| {
                let here = self.bindings(*context);
                here.keys(*action).is_empty()
                    && !keys.is_empty()
                    && keys.iter().all(|key| here.action(*key).is_some())
            };
            let hidden: Vec<Context> =
                Context::ALL.into_iter().filter(|context| context.falls_through()).filter(hides).collect();
            // Either the action was moved onto a key that a context uses, or a context took the action's key.
            let culprit = written.iter().find(|w| {
                keys.contains(&w.key)
                    && (hidden.contains(&w.context) || (w.context == Context::Global && w.action == *action))
            });
            if let Some(culprit) = culprit.filter(|_| !hidden.is_empty()) {
                let names: Vec<&str> = hidden.iter().map(|context| context.name()).collect();
                faults
                    .error(
                        culprit.span.clone(),
                        format!(
                            "`{}` does something else in {}, so no key would do `{}` there",
                            culprit.key,
                            list(&names),
                            action.name()
                        ),
                    )
                    .help(format!("`{}` must be in reach everywhere; choose another key", action.name()));
            }
        }
    }
}

/// A key as a keymap file binds it.
struct Written {
    context: Context,
    action: KeyAction,
    key: Key,
    span: Range<usize>,
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_key_parses_and_means_one_thing() {
        for (context, bindings) in DEFAULTS {
            let mut seen = Vec::new();
            for (action, keys) in *bindings {
                assert_eq!(action.spec().action, *action, "{action:?} is described");
                for key in *keys {
                    let key: Key = key.parse().unwrap();
                    assert!(!seen.contains(&key), "{key} twice in {context:?}");
                    assert!(!(key.ctrl && action.is_weighty()), "{key}");
                    seen.push(key);
                }
            }
        }
        let names: std::collections::BTreeSet<_> = SPECS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), SPECS.len());
    }

    #[test]
    fn essential_actions_are_in_reach_everywhere_by_default() {
        let keymap = Keymap::default();
        for context in Context::ALL.into_iter().filter(|context| context.falls_through()) {
            for action in ESSENTIAL {
                assert!(!keymap.keys(context, *action).is_empty(), "{action:?} in {context:?}");
            }
        }
    }

    #[test]
    fn a_key_is_looked_up_in_its_context_first() {
        let keymap = Keymap::default();
        assert_eq!(keymap.action(Context::Steps, Key::char('x')), Some(KeyAction::CancelCountdown));
        assert_eq!(keymap.action(Context::Checklist, Key::char('x')), Some(KeyAction::NotNeeded));
        assert_eq!(keymap.action(Context::Checklist, Key::char('R')), Some(KeyAction::Rollback));
        assert_eq!(keymap.action(Context::Dialog, Key::char('R')), None);
        assert_eq!(keymap.action(Context::Input, Key::char('y')), None);
        assert_eq!(keymap.action(Context::Global, Key::ctrl('c')), None);
    }

    #[test]
    fn hints_come_from_the_bindings_and_pairs_share_one() {
        let keymap = Keymap::default();
        let shown = |context| -> Vec<String> {
            keymap.hints(context).iter().map(|hint| format!("{} {}", hint.label, hint.word)).collect()
        };
        let steps = shown(Context::Steps);
        assert_eq!(&steps[..4], ["space tick", "f fails", "r retry", "s skip"]);
        for hint in
            ["R rollback", "tab/shift-tab panes", "j/k move", "g/G ends", "1-9 pane", "? help", "q leave"]
        {
            assert!(steps.contains(&hint.to_owned()), "{hint} in {steps:?}");
        }
        let logs = shown(Context::Logs);
        assert!(logs.contains(&"n/N match".to_owned()) && !logs.contains(&"n note".to_owned()), "{logs:?}");
        assert!(shown(Context::Dialog).starts_with(&["y yes".to_owned(), "n no".to_owned()]));
    }

    #[test]
    fn a_file_changes_bindings() {
        let (keymap, faults) = Keymap::load_str(
            "keymap.toml",
            "[global]\nlogs = [\"L\", \"w\"]\n[checklist]\nnot-needed = \"z\"\n",
        );
        assert_eq!(faults, []);
        assert_eq!(keymap.action(Context::Global, Key::char('L')), Some(KeyAction::Logs));
        assert_eq!(keymap.action(Context::Global, Key::char('l')), None);
        assert_eq!(keymap.action(Context::Checklist, Key::char('z')), Some(KeyAction::NotNeeded));
        assert_eq!(keymap.label(Context::Checklist, KeyAction::Logs).unwrap(), "L");
    }

    #[test]
    fn a_file_that_would_make_the_screen_unsafe_is_refused() {
        let text = r#"
[global]
rolback = "R"
rollback = "s"
logs = "ctrl-c"
links = "alt-o"
contacts = "F2"
confirm = "ctrl-e"
quit = []
tick = "space"
zoom = 5
help = "m"
[steps]
skip = "r"
[input]
confirm = "a"
[stps]
"#;
        let (_, faults) = Keymap::load_str("keymap.toml", text);
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        keymap.toml:3:1: error: unknown action `rolback` in [global]; did you mean `rollback`?
        keymap.toml:4:12: error: `s` does something else in `incident`, so no key would do `rollback` there; `rollback` must be in reach everywhere; choose another key
        keymap.toml:5:8: error: key `ctrl-c` is the terminal's interrupt, which only tells how to leave; use a letter, a digit, a sign, or a named key such as `space` or `pgup`
        keymap.toml:6:9: error: key `alt-o` uses alt, which many terminals keep or send as escape; use a letter, a digit, a sign, or a named key such as `space` or `pgup`
        keymap.toml:7:12: error: key `F2` is a function key, which terminals and desktops keep for themselves; use a letter, a digit, a sign, or a named key such as `space` or `pgup`
        keymap.toml:8:11: error: `confirm` cannot be a ctrl key; what starts, confirms or takes back something must not be one slip away from copy and paste
        keymap.toml:9:1: error: `quit` must have a key; it is one of the few that must always be in reach; give it another key instead
        keymap.toml:10:1: error: `tick` does nothing in [global]; it can be bound in `checklist`, `steps`, `incident`, `tasks` and `dialog`
        keymap.toml:11:8: error: a key is text, not a whole number; write `zoom = "x"` or `zoom = ["x", "space"]`
        keymap.toml:12:8: error: `m` is already `metrics` in [global]; choose another key, or give `metrics` another one in the same table
        keymap.toml:14:8: error: `r` is already `retry` in [steps]; choose another key, or give `retry` another one in the same table
        keymap.toml:16:11: error: `a` would be typed into the field; in [input] only named keys such as `enter` or `pgup` can be bound
        keymap.toml:17:2: error: unknown context `stps`; did you mean `steps`?
        "#);
    }
}
