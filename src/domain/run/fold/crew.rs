//! Who has control of the run, who asks for it, and who has approved a step.

use crate::domain::{
    crew::{Person, Role},
    event::RunEvent,
    run::Run,
    time::Timestamp,
};

impl Run {
    /// Takes in an event about people.
    pub(super) fn apply_crew(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::ScreenJoined { who, role: Role::Pilot } => self.seat(who),
            RunEvent::ControlTaken { by, .. } => self.seat(by),
            RunEvent::ScreenLeft { role: Role::Pilot, .. } => self.away_since = Some(at),
            RunEvent::ScreenLeft { who, .. } => {
                self.control_asked.take_if(|asking| asking == who);
            }
            RunEvent::ControlKept { .. } => self.control_asked = None,
            RunEvent::ControlAsked { by } => self.control_asked = Some(by.clone()),
            RunEvent::ApprovalGiven { step, attempt, by } => {
                let given = self.approvals.entry((step.clone(), *attempt)).or_default();
                // Two approvals of one person are one: a runbook that wants two wants two people.
                if given.iter().all(|person| person.login != by.login) {
                    given.push(by.clone());
                }
            }
            _ => {}
        }
    }

    fn seat(&mut self, who: &Person) {
        self.pilot = Some(who.clone());
        self.away_since = None;
        self.control_asked = None;
    }
}
