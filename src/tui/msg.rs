//! What can happen to a screen.

use std::sync::Arc;

use super::{input::Input, model::ScreenOptions};
use crate::domain::{message::Update, online::preflight::Preflight, reel::Reel, time::Span};

/// Something that may change the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    /// From the engine.
    Update(Box<Update>),
    /// From the terminal.
    Input(Input),
    /// A second of real time has passed since the engine was heard, and more.
    Silence(Span),
    /// A past run is to be shown, so many times faster than it was.
    Replay(Arc<Reel>, u32),
    /// So much real time has passed in a replay.
    Passed(Span),
    /// A copy was made: to the terminal's clipboard, or to this file; or why not.
    Copied(Result<String, String>),
    /// Settings and keymap were read again; or their faults, one per line.
    Reloaded(Result<Box<ScreenOptions>, Vec<String>>),
    /// Something was saved to this file; or why not.
    Saved(Result<String, String>),
    /// A look at cluster and machine before the start has begun, or is done.
    Preflight(Preflight),
}

/// What a change of the model wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the engine.
    Send(crate::domain::message::Command),
    /// Ring the bell, and say this by OSC 9 where that is wanted: a person is needed.
    Call(String),
    /// Copy a text; the name is for a file.
    Copy {
        /// What the file is called, without its ending.
        name: &'static str,
        /// The text.
        text: String,
    },
    /// Read settings and keymap again.
    Reload,
    /// Keep something as text in a file of the run's directory.
    Save {
        /// What the file is called, without its time and ending.
        name: String,
        /// What is kept.
        what: Saved,
    },
    /// Draw everything anew.
    Repaint,
    /// Leave the screen.
    Leave,
}

/// What to save in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// The screen as it is seen.
    Screen,
    /// These lines.
    Lines(Vec<String>),
}
