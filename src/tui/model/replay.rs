//! A screen on a past run: where in it, and how fast it goes on.

use std::sync::Arc;

use super::Model;
use crate::domain::{
    reel::Reel,
    time::{Span, Timestamp},
};

/// How many times faster than the run was.
pub const SPEEDS: [u32; 9] = [1, 2, 5, 10, 30, 60, 120, 300, 600];

/// A replay under way.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The run.
    pub reel: Arc<Reel>,
    /// How many of its scenes are shown.
    pub place: usize,
    /// The time in the run.
    pub at: Timestamp,
    /// Whether time goes on.
    pub playing: bool,
    /// How many times faster than the run was: one of [`SPEEDS`], or what the command line says.
    pub speed: u32,
}

impl Replay {
    /// Whether nothing comes any more.
    pub fn is_over(&self) -> bool {
        self.place >= self.reel.scenes()
    }

    /// How far it is into the run.
    pub fn gone(&self) -> Span {
        self.at.since(self.reel.from())
    }

    /// Another speed, if there is one in that direction.
    pub fn other_speed(&self, faster: bool) -> Option<u32> {
        if faster {
            SPEEDS.into_iter().find(|speed| *speed > self.speed)
        } else {
            SPEEDS.into_iter().rev().find(|speed| *speed < self.speed)
        }
    }
}

impl Model {
    /// Whether this is a replay, not a run.
    pub fn replays(&self) -> bool {
        self.replay.is_some()
    }
}
