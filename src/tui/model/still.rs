//! A screen that is held still, and which time its charts show.

use super::{Model, telemetry::Telemetry};
use crate::domain::time::{Span, Timestamp};

/// What was measured and printed when the screen was frozen. The run itself is never held still: header, alerts, triggers,
/// countdown, the rollback light and all dialogs go on.
#[derive(Debug, Clone)]
pub struct Still {
    /// When that was.
    pub at: Timestamp,
    /// The measurements of that moment.
    pub telemetry: Telemetry,
    /// What had happened until then.
    pub story: Vec<(Timestamp, String)>,
}

/// Which time the charts of a page show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// For how long; none shows what matters now.
    pub span: Option<Span>,
    /// Until when; none until now.
    pub end: Option<Timestamp>,
}

impl Model {
    /// The measurements to show in panes and on pages: those of now, or those that stand still.
    pub fn measured(&self) -> &Telemetry {
        self.still.as_ref().map_or(&self.telemetry, |still| &still.telemetry)
    }

    /// The time that [`Model::measured`] is of.
    pub fn measured_at(&self) -> Timestamp {
        self.still.as_ref().map_or(self.now, |still| still.at)
    }

    /// What has happened, as far as the panes and pages tell it.
    pub fn told(&self) -> &[(Timestamp, String)] {
        self.still.as_ref().map_or(&self.story, |still| &still.story)
    }

    /// Freezes measurements and output, or continues.
    pub fn freeze(&mut self) {
        self.still = match self.still.take() {
            Some(_) => None,
            None => Some(Box::new(Still {
                at: self.now,
                telemetry: self.telemetry.clone(),
                story: self.story.clone(),
            })),
        };
    }
}
