//! The screens of an engine, and which of them has control.
//!
//! ```text
//! joins as pilot ── seat free, and it was this person's or nobody's ──▶ pilot
//!                └─ otherwise ──▶ observer ── asks ──▶ pilot hands over ──▶ pilot
//!                                     └─ seat free, with a reason ───────────▶ pilot
//!                                     └─ same person, other screen ──────────▶ pilot
//! ```

use std::collections::BTreeMap;

use super::messages::UpdateSink;
use crate::domain::{
    crew::{Member, Person, Role, ScreenId, Wish},
    effect::Input,
    message::{Command, Update},
    run::Run,
};

/// One screen with its place.
struct Seat {
    member: Member,
    screen: Box<dyn UpdateSink>,
}

/// Everybody who is there.
#[derive(Default)]
pub(super) struct Crew {
    seats: BTreeMap<ScreenId, Seat>,
}

impl Crew {
    /// Lets somebody in. The input is what the machine must be told, where this matters to the run.
    pub(super) fn join(
        &mut self,
        run: &Run,
        id: ScreenId,
        person: Person,
        wish: Wish,
        screen: Box<dyn UpdateSink>,
    ) -> Option<Input> {
        let free = self.pilot().is_none();
        let was_theirs = run.pilot.as_ref().is_none_or(|pilot| pilot.login == person.login);
        let role = match wish {
            Wish::Pilot if free && was_theirs => Role::Pilot,
            Wish::Pilot | Wish::Observe => Role::Observer,
            Wish::Errand => Role::Errand,
            Wish::Approve => Role::Approver,
            Wish::Watch => Role::Watcher,
        };
        self.seats.insert(id, Seat { member: Member { id, person: person.clone(), role }, screen });
        is_told(role).then_some(Input::ScreenJoined { who: person, role })
    }

    /// Somebody is gone.
    pub(super) fn leave(&mut self, id: ScreenId) -> Option<Input> {
        let Member { person, role, .. } = self.seats.remove(&id)?.member;
        is_told(role).then_some(Input::ScreenLeft { who: person, role })
    }

    /// Who has control.
    pub(super) fn pilot(&self) -> Option<&Member> {
        self.members().find(|member| member.role == Role::Pilot)
    }

    /// Everybody.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.seats.values().map(|seat| &seat.member)
    }

    /// One of them.
    pub(super) fn member(&self, id: ScreenId) -> Option<&Member> {
        self.seats.get(&id).map(|seat| &seat.member)
    }

    /// Whether anybody is there who may act.
    pub(super) fn anybody_acts(&self) -> bool {
        self.members().any(|member| member.role != Role::Watcher)
    }

    /// Whether anybody is there at all.
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Sends to one; `false` where it is gone.
    pub(super) fn send(&self, id: ScreenId, update: &Update) -> bool {
        self.seats.get(&id).is_none_or(|seat| seat.screen.send(update))
    }

    /// Sends to everybody and returns who is gone.
    pub(super) fn show(&self, update: &Update) -> Vec<ScreenId> {
        self.seats.iter().filter(|(_, seat)| !seat.screen.send(update)).map(|(id, _)| *id).collect()
    }

    /// Tells everybody who is there.
    pub(super) fn tell(&self) -> Vec<ScreenId> {
        let members: Vec<Member> = self.members().cloned().collect();
        let told =
            |seat: &Seat| seat.screen.send(&Update::Crew { members: members.clone(), you: seat.member.id });
        self.seats.iter().filter(|(_, seat)| !told(seat)).map(|(id, _)| *id).collect()
    }

    /// Gives control to a screen.
    fn seat(&mut self, to: ScreenId) {
        for (id, seat) in &mut self.seats {
            if *id == to {
                seat.member.role = Role::Pilot;
            } else if seat.member.role == Role::Pilot {
                seat.member.role = Role::Observer;
            }
        }
    }

    /// Somebody takes control.
    ///
    /// # Errors
    /// Why they may not, and what to do instead.
    pub(super) fn take(&mut self, run: &Run, id: ScreenId, reason: &str) -> Result<Input, String> {
        let Some(Member { person, .. }) = self.member(id).cloned() else {
            return Err("this screen is closed".to_owned());
        };
        let pilot = self.pilot().map(|pilot| (pilot.id, pilot.person.clone()));
        if pilot.as_ref().is_some_and(|(seat, _)| *seat == id) {
            return Err("you have control".to_owned());
        }
        let from = pilot.map(|(_, pilot)| pilot);
        if let Some(pilot) = from.as_ref().filter(|pilot| pilot.login != person.login) {
            return Err(format!("{pilot} has control; ask for it, and {pilot} can hand it over"));
        }
        let before = from.clone().or_else(|| run.pilot.clone());
        let own = before.as_ref().is_none_or(|before| before.login == person.login);
        let reason = reason.trim();
        if !own && reason.is_empty() {
            return Err("say why you take control".to_owned());
        }
        self.seat(id);
        let from = before.filter(|before| before.login != person.login);
        Ok(Input::Control { by: person, from, reason: (!reason.is_empty()).then(|| reason.to_owned()) })
    }

    /// The pilot hands control over to the person who asked.
    ///
    /// # Errors
    /// If nobody asked, or the person who asked has left.
    pub(super) fn hand_over(&mut self, run: &Run) -> Result<Input, String> {
        let asking = run.control_asked.as_ref().ok_or("nobody asks for control")?;
        let to = self
            .members()
            .find(|member| member.person == *asking && member.role == Role::Observer)
            .map(|member| (member.id, member.person.clone()));
        let (id, by) = to.ok_or_else(|| format!("{asking} has left"))?;
        let from = self.pilot().map(|pilot| pilot.person.clone());
        self.seat(id);
        Ok(Input::Control { by, from, reason: None })
    }
}

/// Who may do what.
///
/// # Errors
/// Why not, and what to do instead.
pub(super) fn permit(role: Role, command: &Command) -> Result<(), &'static str> {
    let permitted = command.needs().contains(&role);
    match role {
        _ if permitted => Ok(()),
        Role::Pilot => Err("you have control"),
        Role::Observer => Err("you only watch; ask for control with :ask"),
        Role::Errand => Err("do that in the cockpit"),
        Role::Approver => Err("this connection may only approve"),
        Role::Watcher => Err("this connection may only watch"),
    }
}

/// Whether the run remembers that somebody like this came or went. Those who only look could fill the journal.
fn is_told(role: Role) -> bool {
    matches!(role, Role::Pilot | Role::Observer)
}

#[cfg(test)]
mod tests;
