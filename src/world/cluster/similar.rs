//! Events that differ only in their words: whoever reports many of them within a while tells the rest as one.

use std::collections::{BTreeSet, HashMap};

/// From so many different messages on, of one object and for one reason, they are combined.
const MANY: usize = 10;
/// … where no more than this lies between them, in milliseconds.
const WHILE: i64 = 600_000;
/// What a combined message begins with.
pub(super) const COMBINED: &str = "(combined from similar events): ";

/// What was reported lately.
#[derive(Debug, Default)]
pub(super) struct Similar(HashMap<String, Told>);

/// Of one object, for one reason.
#[derive(Debug, Default)]
struct Told {
    messages: BTreeSet<String>,
    /// When the newest was.
    last: i64,
}

impl Similar {
    /// Takes a message in, and says whether it is told with others as one.
    pub(super) fn combines(&mut self, about: &str, message: &str, now: i64) -> bool {
        let told = self.0.entry(about.to_owned()).or_default();
        if now - told.last > WHILE {
            told.messages.clear();
        }
        told.last = now;
        told.messages.insert(message.to_owned());
        let many = told.messages.len() >= MANY;
        if many {
            told.messages.pop_first();
        }
        many
    }

    /// Forgets what is too long ago to be combined with.
    pub(super) fn forget(&mut self, now: i64) {
        self.0.retain(|_, told| now - told.last <= WHILE);
    }
}
