//! Which part of the users meets the new version: told as it changes, by our own act or as pods become ready.

use super::Machine;
use crate::domain::{
    director::{Share, Shares, in_words, share_of},
    event::RunEvent,
    runbook::Milestone,
    workload::{Connection, Workload},
};

/// Smaller changes are only shown live: a rollout of a thousand pods is no thousand events.
const TOLD_BY: u32 = 100;

impl Machine {
    /// Takes in what a picture or a look says of the shares, where they follow which pods are ready.
    pub(super) fn follow_shares(&mut self, seen: Shares) {
        if self.follows_shares() && self.is_worth_telling(&seen) {
            self.tell_shares(seen);
        }
    }

    /// The same from the watched picture, while it is one of now.
    pub(super) fn follow_picture(&mut self) {
        if let Some(shares) = self.picture_of_now().map(|picture| picture.shares.clone()) {
            self.follow_shares(shares);
        }
    }

    /// Whether a picture that may be of before shows other shares than were told: pods have moved, or it is late. A look tells.
    pub(super) fn may_have_shifted(&self) -> bool {
        let picture = self.workload.as_ref().filter(|picture| picture.connection == Connection::Connected);
        self.follows_shares() && picture.is_some_and(|picture| self.is_worth_telling(&picture.shares))
    }

    /// One that is older than a look, or than our own last act, tells of what was. What the watch tells of pods comes at once,
    /// but nobody knows whether it was before: a picture is as old as the last read that has confirmed it.
    fn picture_of_now(&self) -> Option<&Workload> {
        let looked = self.looks.seen.as_ref().map_or(self.looks.floor, |seen| seen.at.max(self.looks.floor));
        self.workload
            .as_ref()
            .filter(|picture| picture.connection == Connection::Connected && picture.as_of >= looked)
    }

    fn follows_shares(&self) -> bool {
        self.run.shares_follow_pods() && self.run.finished.is_none() && self.run.started_at.is_some()
    }

    /// Whether a slot begins or ceases to have traffic, nobody answers any more or somebody does again, or much has moved.
    fn is_worth_telling(&self, seen: &Shares) -> bool {
        let now = &self.run.shares;
        let met = |shares: &Shares, name| share_of(shares, name) > Share::NONE;
        let mut names = now.keys().chain(seen.keys());
        names.any(|name| {
            let apart = share_of(now, name).apart(share_of(seen, name));
            met(now, name) != met(seen, name) || apart.thousandths() >= TOLD_BY
        })
    }

    /// Tells other shares: triggers are armed from the moment on at which users meet the new version.
    pub(super) fn tell_shares(&mut self, shares: Shares) {
        let (before, nobody) = (self.run.switched_at, shares.is_empty());
        let was_nobody = self.run.shares.is_empty();
        self.emit(RunEvent::TrafficShifted { shares });
        let version = self.run.new_version().unwrap_or_default();
        let module = self.run.runbook.document.module.clone();
        let words = in_words(&self.run.shares);
        match (before, self.run.switched_at) {
            (None, Some(_)) => {
                self.arm_triggers();
                self.notify(
                    Milestone::Switched,
                    format!("SWITCHED: users meet {module} {version} ({words})"),
                );
            }
            (Some(_), None) => self.disarm_triggers(),
            _ => {}
        }
        if nobody && !was_nobody {
            self.notify(Milestone::Paged, format!("NOBODY ANSWERS: {module} has no ready pod"));
        }
    }
}
