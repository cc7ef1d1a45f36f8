//! Messages to and from an engine: from and to screens, from running work, and how it ended.

use crate::domain::{
    crew::{Person, ScreenId, Wish},
    effect::Input,
    event::Outcome,
    message::{Command, Update},
};

/// One screen as the engine sees it. `link` makes it of a connection.
pub trait UpdateSink: Send {
    /// Sends an update; `false` where the screen is gone.
    fn send(&self, update: &Update) -> bool;
}

/// What comes from the sockets.
pub enum Incoming {
    /// Somebody has connected.
    Joined {
        /// The connection.
        id: ScreenId,
        /// Who.
        who: Person,
        /// For what.
        wish: Wish,
        /// Where updates for it go.
        screen: Box<dyn UpdateSink>,
    },
    /// Somebody asks for something.
    Asked {
        /// The connection.
        id: ScreenId,
        /// What.
        command: Command,
    },
    /// A connection is gone.
    Left {
        /// Which.
        id: ScreenId,
    },
    /// The engine shall end: finish what runs, start nothing, pause.
    Terminate {
        /// Why.
        reason: String,
    },
}

/// What everything that runs tells the driver.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives in a channel that is drained at once")]
pub enum News {
    /// For the machine.
    Input(Input),
    /// For the screens.
    Show(Update),
}

/// How an engine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The run is over or paused.
    Closed(Option<Outcome>),
    /// The journal can't be written: nothing more was begun.
    JournalLost(String),
}
