//! What each key does, and where. Keys, footer and help all use these bindings.
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
//! not-needed = "w"      # `x` no longer does it
//! ```

mod action;
mod defaults;
mod key;
mod load;

use std::collections::BTreeMap;

pub use action::KeyAction;
use defaults::DEFAULTS;
pub use key::{BadKey, Key, KeyCode};

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
    /// Charts.
    Metrics,
    /// The incident view.
    Incident,
    /// Post-deployment tasks.
    Tasks,
    /// The panes of a replay.
    Replay,
    /// A question with buttons or a choice.
    Dialog,
    /// A text field.
    Input,
}

impl Context {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Global,
        Self::Checklist,
        Self::Steps,
        Self::Logs,
        Self::Metrics,
        Self::Incident,
        Self::Tasks,
        Self::Replay,
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
            Self::Metrics => "metrics",
            Self::Incident => "incident",
            Self::Tasks => "tasks",
            Self::Replay => "replay",
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
            Self::Metrics => "Charts",
            Self::Incident => "Incident",
            Self::Tasks => "Tasks",
            Self::Replay => "Replay",
            Self::Dialog => "Dialogs",
            Self::Input => "Text fields",
        }
    }

    /// Whether the global keys work here as well.
    pub fn falls_through(self) -> bool {
        !matches!(self, Self::Global | Self::Dialog | Self::Input)
    }
}

/// A line of help.
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

impl Hint {
    /// Takes in a further action of the same word. Down and up, first and last, the panes: one hint for all that share one.
    fn join(&mut self, action: KeyAction, keys: &[Key], first: Key) {
        self.actions.push(action);
        self.keys.extend(keys);
        if let KeyAction::Pane(_) = action {
            let from = self.label.split_once('-').map_or(self.label.as_str(), |(from, _)| from);
            self.label = format!("{from}-{first}");
            "The pane with that number".clone_into(&mut self.about);
        } else {
            self.label = format!("{}/{first}", self.label);
            self.about = format!("{}; {}", self.about, lower_first(action.about()));
        }
    }
}

/// Bindings of one context, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Bindings(Vec<(KeyAction, Vec<Key>)>);

impl Bindings {
    /// The first that has it; two actions with one key were refused when the file was read.
    fn action(&self, key: Key) -> Option<KeyAction> {
        self.0.iter().find(|(_, keys)| keys.contains(&key)).map(|(action, _)| *action)
    }

    /// None where the context leaves the action to the one below it.
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

    /// Every binding by context, for the help page.
    pub fn help(&self) -> Vec<(Context, Vec<Hint>)> {
        Context::ALL.into_iter().map(|context| (context, self.own_hints(context))).collect()
    }

    fn bindings(&self, context: Context) -> &Bindings {
        static NONE: Bindings = Bindings(Vec::new());
        self.contexts.get(&context).unwrap_or(&NONE)
    }

    /// Actions of one word are one hint ("j/k move"): a footer has room for few.
    fn own_hints(&self, context: Context) -> Vec<Hint> {
        let mut hints: Vec<Hint> = Vec::new();
        for (action, keys) in &self.bindings(context).0 {
            let Some(first) = keys.first() else { continue };
            match hints.last_mut().filter(|hint| hint.word == action.word()) {
                Some(hint) => hint.join(*action, keys, *first),
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
}

/// Only the first letter: names inside the text keep theirs.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let help = Keymap::default().help();
        let shown = |context| -> Vec<String> {
            let hints = help.iter().find(|(of, _)| *of == context).map(|(_, hints)| hints.clone());
            hints.unwrap_or_default().iter().map(|hint| format!("{} {}", hint.label, hint.word)).collect()
        };
        let steps = shown(Context::Steps);
        assert_eq!(&steps[..4], ["space tick", "f not ok", "r retry", "s skip"]);
        let global = shown(Context::Global);
        for hint in
            ["R roll back", "tab/shift-tab panes", "j/k move", "g/G ends", "1-9 pane", "? help", "q leave"]
        {
            assert!(global.contains(&hint.to_owned()), "{hint} in {global:?}");
        }
        assert!(shown(Context::Logs).contains(&"n/N match".to_owned()));
        assert!(shown(Context::Dialog).starts_with(&["y yes".to_owned(), "n no".to_owned()]));
    }
}
