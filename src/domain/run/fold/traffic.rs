//! Where the traffic is, and since when users meet the new version.
//!
//! The journal tells of two kinds of routing. A Service's selector gives a slot all of the traffic (`traffic_switched`); a
//! route's weights, or pods that become ready, give shares (`traffic_shifted`).

use crate::domain::{
    belief::Pinned,
    director::{Share, Shares, leading, share_of, shares_by},
    event::{Roles, RunEvent},
    id::SlotName,
    run::{Run, WayBackSeen},
    time::Timestamp,
};

impl Run {
    /// Takes in where the traffic is now, or whether it can be taken back.
    pub(super) fn apply_traffic(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::TrafficShifted { shares } => {
                self.shifted_to = None;
                self.shift_traffic(shares, at);
            }
            RunEvent::TrafficSwitched { to, .. } => {
                self.move_traffic(to, at);
                self.moved_to = None;
                if self.pinned.as_ref().is_some_and(|pinned| pinned.live.as_ref() != Some(to)) {
                    self.believe_pointed_at(to);
                }
            }
            RunEvent::WayBackChanged { ready, failing, why } => {
                self.way_back =
                    Some(WayBackSeen { ready: *ready, failing: failing.clone(), why: why.clone() });
            }
            _ => {}
        }
    }

    fn move_traffic(&mut self, to: &SlotName, at: Timestamp) {
        // A selector gives all at once: then users meet the new slot from now on. One that had a share before has met them.
        let new = self.opened.new_slot.as_ref() == Some(to);
        let meets = new || self.is_promoted();
        let before = self.switched_at.filter(|_| self.shares.len() > 1 || !new);
        self.meet(meets.then(|| before.unwrap_or(at)), at);
        self.shares = [(to.clone(), Share::ALL)].into();
        self.lead(to, at);
    }

    fn shift_traffic(&mut self, shares: &Shares, at: Timestamp) {
        let met = self.opened.new_slot.as_ref().is_some_and(|new| share_of(shares, new) > Share::NONE);
        let meets = met || self.is_promoted();
        // Pods that are not ready for a moment are not gone: only an act of ours takes the new version from its users.
        let stays = self.shares_follow_pods() && (shares.is_empty() || !self.is_taken_back());
        let since = match self.switched_at {
            None => meets.then_some(at),
            since => since.filter(|_| meets || stays),
        };
        self.meet(since, at);
        self.shares.clone_from(shares);
        if let Some(to) = leading(shares).cloned() {
            self.lead(&to, at);
        }
    }

    /// Users meet the new version since then, or do not.
    pub(in crate::domain) fn meet(&mut self, since: Option<Timestamp>, at: Timestamp) {
        let left = self.switched_at.is_some() && since.is_none();
        self.left_at = if left { Some(at) } else { self.left_at.filter(|_| since.is_none()) };
        self.switched_at = since;
        self.met_at = self.met_at.or(since);
    }

    /// The slot with most of the traffic.
    fn lead(&mut self, to: &SlotName, at: Timestamp) {
        if self.live.as_ref() != Some(to) {
            self.moves.push((at, self.live.clone(), to.clone()));
        }
        self.live = Some(to.clone());
    }

    /// The target is taken as it is: what the run believes is what was seen.
    pub(super) fn take_target(&mut self, pinned: &Pinned, roles: Option<&Roles>, at: Timestamp) {
        if let Some(roles) = roles {
            self.opened.new_slot = Some(roles.new_slot.clone());
            self.opened.new_slot_image.clone_from(&roles.new_slot_image);
            self.opened.previous = Some(roles.previous.clone());
        }
        self.pinned = Some(pinned.clone());
        if let Some(route) = &pinned.route {
            let weights = route.weights.iter().map(|(name, weight)| (name.clone(), u64::from(*weight)));
            self.shift_traffic(&shares_by(weights), at);
        } else if let Some(live) = pinned.live.as_ref().filter(|live| Some(*live) != self.live.as_ref()) {
            self.move_traffic(live, at);
        }
        self.foreign.clear();
    }
}
