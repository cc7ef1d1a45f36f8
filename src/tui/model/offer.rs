//! An offer: a key, the words for it, and exactly what it does. The list of offers is made in `tui/offer.rs`; here is
//! only what one is, so that a screen can keep those that its last frame has shown.

use std::borrow::Cow;

use super::{Model, form::Purpose};
use crate::{
    config::keymap::{Context, KeyAction},
    domain::{action::Confirm, id::ProcedureId, message::Command},
};

/// How an offer is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By the key that the keymap has for this.
    Key(KeyAction),
    /// By typing this after a colon.
    Command(String),
}

/// What taking an offer does.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// Nothing: its words say what the run waits for.
    Wait,
    /// Comes back to the step that is due.
    Return,
    /// Shows the opening's question again.
    Question,
    /// Goes to the next open checklist item.
    NextItem,
    /// Ticks this checklist item, and goes on to the next open one.
    TickItem {
        /// The group.
        group: usize,
        /// The item.
        item: usize,
    },
    /// Asks the engine for this.
    Send(Command),
    /// Asks for confirmation first, as much as is wanted.
    Confirm(Purpose, Confirm),
    /// Asks for words.
    Write(Purpose),
    /// Asks for a choice, with this one focused.
    Choose(Purpose, usize),
    /// Shows what a rollback would do now.
    Rollback,
    /// Shows what this procedure would do now.
    Procedure(ProcedureId),
    /// Opens the command line with this typed.
    Type(&'static str),
    /// Changes what this screen shows, and nothing else.
    Look,
    /// What the dialog or page on top makes of it.
    Layer,
}

impl Does {
    /// Whether it starts something, so that it is done only as the last frame has shown it. Items and tasks
    /// are not: a list that was gone through aloud is ticked faster than frames come, and that can be taken back.
    pub fn must_be_seen(&self) -> bool {
        match self {
            Self::Send(command) => !matches!(
                command,
                Command::UntickItem { .. } | Command::RecheckItem { .. } | Command::TaskDone { .. }
            ),
            Self::Confirm(..) => true,
            Self::Wait
            | Self::Return
            | Self::Question
            | Self::NextItem
            | Self::TickItem { .. }
            | Self::Write(_)
            | Self::Choose(..)
            | Self::Rollback
            | Self::Procedure(_)
            | Self::Type(_)
            | Self::Look
            | Self::Layer => false,
        }
    }
}

/// Something that can be done now.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// How.
    pub by: By,
    /// What it does.
    pub does: Does,
    /// For the line above the footer, longest first. Empty: the footer has it.
    pub words: Vec<String>,
    /// For the footer. Empty: it is not shown there.
    pub word: Cow<'static, str>,
}

impl Offer {
    /// A key with its usual word.
    pub fn key(action: KeyAction, does: Does) -> Self {
        Self { by: By::Key(action), does, words: Vec::new(), word: action.word().into() }
    }

    /// ENTER, where nothing can be confirmed: what the run waits for.
    pub fn wait(words: impl Into<String>) -> Self {
        Self::key(KeyAction::Confirm, Does::Wait).says(words)
    }

    /// Something to be typed after a colon.
    pub fn command(line: impl Into<String>, words: impl Into<String>) -> Self {
        let by = By::Command(line.into());
        Self { by, does: Does::Wait, words: Vec::new(), word: "".into() }.says(words)
    }

    /// Words for the line above the footer; each further call gives shorter ones.
    #[must_use]
    pub fn says(mut self, words: impl Into<String>) -> Self {
        self.words.push(words.into());
        self
    }

    /// Another word for the footer.
    #[must_use]
    pub fn called(mut self, word: impl Into<Cow<'static, str>>) -> Self {
        self.word = word.into();
        self
    }

    /// Not in the footer.
    #[must_use]
    pub fn quiet(self) -> Self {
        self.called("")
    }

    /// Its key or command as it is written in the line: `ENTER`, `R`, `:putback`.
    pub fn label(&self, model: &Model) -> Option<String> {
        self.label_in(model, model.context())
    }

    /// The same where the keys of this context count.
    pub fn label_in(&self, model: &Model, context: Context) -> Option<String> {
        match &self.by {
            By::Key(action) => model.bound_key(context, *action),
            By::Command(line) => Some(format!(":{line}")),
        }
    }

    /// Whether this key takes it.
    pub fn is(&self, action: KeyAction) -> bool {
        self.by == By::Key(action)
    }
}
