//! What users notice: how many of their requests were answered, by which version, and how many failed.

use std::collections::BTreeMap;

use super::counter::Counter;

/// The users' requests since the world began.
#[derive(Debug, Clone, Default)]
pub struct Users {
    by_version: BTreeMap<String, (f64, f64)>,
    lost: Counter,
    elsewhere: Counter,
}

/// Requests that somebody answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// All of them.
    pub requests: u64,
    /// Those that were answered with 5xx.
    pub failed: u64,
}

impl Users {
    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        let answered: u64 = self.versions().map(|(_, answered)| answered.requests).sum();
        answered + whole(self.elsewhere.total) + self.unanswered()
    }

    /// All that failed: answered with 5xx, or by nobody.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.versions().map(|(_, answered)| answered.failed).sum::<u64>() + self.unanswered()
    }

    /// Those that found no pod, or that the gateway had nowhere to send to. They failed, too.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        whole(self.lost.total)
    }

    /// What one version, by its image's tag, answered.
    #[must_use]
    pub fn of(&self, version: &str) -> Answered {
        self.by_version.get(version).map_or_else(Answered::default, answered)
    }

    /// What each version answered, by its image's tag.
    pub fn versions(&self) -> impl Iterator<Item = (&str, Answered)> {
        self.by_version.iter().map(|(version, counts)| (version.as_str(), answered(counts)))
    }

    pub(super) fn count(&mut self, version: &str, requests: f64, failed: f64) {
        if requests <= 0.0 {
            return;
        }
        if !self.by_version.contains_key(version) {
            self.by_version.insert(version.to_owned(), (0.0, 0.0));
        }
        if let Some(counts) = self.by_version.get_mut(version) {
            counts.0 += requests;
            counts.1 += failed;
        }
    }

    pub(super) fn count_lost(&mut self, requests: f64) {
        self.lost.expect(requests);
    }

    pub(super) fn count_elsewhere(&mut self, requests: f64) {
        self.elsewhere.expect(requests);
    }
}

fn answered(&(requests, failed): &(f64, f64)) -> Answered {
    Answered { requests: whole(requests), failed: whole(failed) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of whole events")]
fn whole(count: f64) -> u64 {
    count.round() as u64
}
