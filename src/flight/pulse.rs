//! Whether the engine of a run is alive.

use std::{path::Path, time::Duration};

use super::store;
use crate::{
    domain::time::{Span, Timestamp},
    engine::driver::TICK_FILE,
    journal::Holder,
};

/// An engine that has not ticked for this long is dead, whatever holds its lock.
const SILENT: Duration = Duration::from_secs(15);

/// What can be seen of a run's engine from outside.
pub struct Pulse {
    holder: Option<Holder>,
    /// How long ago it last ticked, where it ever did.
    ticked: Option<Span>,
    /// The run's time then: a rehearsal's runs faster than the host's.
    said: Option<Timestamp>,
}

impl Pulse {
    /// Of the engine of the run in a directory.
    ///
    /// # Errors
    /// If its lock can't be looked at.
    pub fn of(dir: &Path) -> std::io::Result<Self> {
        let holder = store::engine(dir)?;
        let tick = std::fs::metadata(dir.join(TICK_FILE)).and_then(|meta| meta.modified()).ok();
        let said = std::fs::read_to_string(dir.join(TICK_FILE)).ok();
        let said = said.and_then(|text| text.trim().parse::<jiff::Timestamp>().ok());
        Ok(Self {
            holder,
            ticked: tick.map(|tick| span(tick.elapsed().unwrap_or_default())),
            said: said.map(|said| Timestamp(said.as_millisecond())),
        })
    }

    /// Whether it has its lock and ticks.
    pub fn lives(&self) -> bool {
        self.holder.is_some() && self.ticked.is_some_and(|ago| ago < span(SILENT))
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.holder.as_ref().map(|holder| holder.pid)
    }

    /// How long ago it last ticked, where it ever did.
    pub fn ticked(&self) -> Option<Span> {
        self.ticked
    }

    /// The run's time as a living engine last said it.
    pub fn said(&self) -> Option<Timestamp> {
        self.said.filter(|_| self.lives())
    }
}

fn span(duration: Duration) -> Span {
    Span::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
