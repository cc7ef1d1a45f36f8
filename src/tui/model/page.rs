//! Pages over the whole body: what one looks up, apart from the run's own panes.

use super::still::Times;
use crate::{config::keymap::Context, domain::id::SlotName};

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Which.
    pub kind: PageKind,
    /// The first visible line.
    pub scroll: usize,
    /// The selected line, on pages where lines can be selected.
    pub selected: usize,
    /// Whether it stays at its end while lines are added.
    pub follow: bool,
    /// What was searched for on it.
    pub search: Option<String>,
    /// The metrics in the order in which they are shown: worst first as it was when the page was opened, so that nothing moves
    /// under the eye. Empty on other pages.
    pub order: Vec<usize>,
    /// Which time its charts show.
    pub times: Times,
}

/// The pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageKind {
    /// What every key does.
    Help,
    /// Whom to call.
    Contacts,
    /// Where to look.
    Links,
    /// Post-deployment tasks.
    Tasks,
    /// What the team was told, or would have been in a rehearsal.
    Inbox,
    /// What has happened, line by line.
    Story,
    /// What happened while nobody had control.
    Missed,
    /// Who is at the screens.
    Crew,
    /// Everything that is wrong now.
    Alerts,
    /// What was found before the start.
    Preflight,
    /// Metrics with axes and bounds.
    Metrics,
    /// The log of a slot, or of one of its pods.
    Logs {
        /// Whose.
        slot: SlotName,
        /// One pod only.
        pod: Option<String>,
    },
    /// The whole output of an action.
    Output(crate::domain::event::ActionRef),
    /// Incident response.
    Incident,
}

impl Page {
    /// A page at its beginning, or at its end where the newest is last.
    pub fn new(kind: PageKind) -> Self {
        let follow =
            matches!(kind, PageKind::Logs { .. } | PageKind::Story | PageKind::Inbox | PageKind::Output(_));
        Self {
            kind,
            scroll: 0,
            selected: 0,
            follow,
            search: None,
            order: Vec::new(),
            times: Times::default(),
        }
    }

    /// The place after the selected one on a page of charts, wrapping around. None if there is no other.
    pub fn next_place(&self) -> Option<usize> {
        (self.order.len() > 1).then(|| (self.selected + 1) % self.order.len())
    }

    /// Whether it is a log: lines that can be filtered, and that are saved as a whole.
    pub fn is_log(&self) -> bool {
        matches!(self.kind, PageKind::Logs { .. } | PageKind::Story | PageKind::Missed | PageKind::Output(_))
    }

    /// Its keys.
    pub fn context(&self) -> Context {
        match self.kind {
            PageKind::Logs { .. } | PageKind::Story | PageKind::Missed | PageKind::Output(_) => Context::Logs,
            PageKind::Incident => Context::Incident,
            PageKind::Tasks => Context::Tasks,
            PageKind::Metrics => Context::Metrics,
            _ => Context::Global,
        }
    }

    /// Whether a line is selected on it, instead of the page being scrolled.
    pub fn selects(&self) -> bool {
        matches!(
            self.kind,
            PageKind::Tasks | PageKind::Incident | PageKind::Metrics | PageKind::Links | PageKind::Contacts
        )
    }
}
