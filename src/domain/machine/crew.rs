//! What happens when people join, leave, approve or hand over control.

use super::Machine;
use crate::domain::{
    actor::Actor,
    cause::HoldCause,
    crew::{Person, Role},
    effect::Effect,
    event::{ActionRef, Place, RunEvent},
    id::StepId,
    lock::LockState,
    prompt::Prompt,
    run::ActionStatus,
    runbook::Milestone,
};

impl Machine {
    /// Without a pilot nothing new starts: what runs is finished, the watch goes on, triggers roll back.
    pub(super) fn screen_left(&mut self, who: Person, role: Role) {
        self.emit(RunEvent::ScreenLeft { who, role });
        let run = &self.run;
        let under_way = run.steps_open && run.finished.is_none() && run.rolling_back().is_none();
        if role == Role::Pilot && under_way && !self.is_held_for_good() {
            self.hold(HoldCause::Away, "nobody had control", Actor::Auto);
        }
    }

    pub(super) fn on_lock(&mut self, state: LockState) {
        let Some(lock) = self.run.lock.clone() else { return };
        match state {
            LockState::Held { .. } if lock.uncertain.is_some() => {
                self.emit(RunEvent::LockCertain);
                self.try_at_once();
            }
            LockState::Uncertain { why, .. } if lock.uncertain.is_none() => {
                self.emit(RunEvent::LockUncertain { why });
            }
            LockState::Lost { why, by } if lock.lost.is_none() => {
                let why = match by {
                    Some(by) => format!("{why}; {} has control now", by.words()),
                    None => why,
                };
                self.emit(RunEvent::LockLost { why: why.clone() });
                if self.run.finished.is_none() {
                    let reason = "fenced off: somebody else holds the target's lock";
                    self.hold(HoldCause::Fenced, reason, Actor::Auto);
                    self.notify(Milestone::Paged, format!("FENCED OFF: {why}"));
                }
            }
            _ => {}
        }
    }

    /// Somebody else has the lock: what this engine would do, it must not.
    pub(super) fn refuse_fenced_off(&mut self) -> bool {
        let Some(why) = self.run.fenced_off() else { return false };
        let why = format!("this engine is fenced off ({why}); close it, and watch with: cutover watch");
        self.refuse(why);
        true
    }

    pub(super) fn child_seen(&mut self, at: ActionRef, pid: u32, alive: bool) {
        let state = self.run.work(&at.place).and_then(|work| work.actions.get(at.action));
        let Some(state) = state.filter(|state| state.status == ActionStatus::Unknown) else { return };
        if state.lives != Some(alive) {
            self.emit(RunEvent::ChildSeen { at, pid, alive });
        }
    }

    /// Ends every process that outlived its engine, of actions at such places.
    pub(super) fn end_orphans(&mut self, at: impl Fn(&Place) -> bool) -> bool {
        let mut orphans = self.run.orphans();
        orphans.retain(|(action, _)| at(&action.place));
        for (at, ..) in &orphans {
            self.effect(Effect::EndChild(at.clone()));
        }
        !orphans.is_empty()
    }

    pub(super) fn keep_control(&mut self) {
        match self.run.control_asked.clone() {
            Some(from) => self.emit(RunEvent::ControlKept { from }),
            None => self.refuse("nobody asks for control"),
        }
    }

    pub(super) fn approve(&mut self, step: Option<StepId>, by: Person) {
        let Prompt::Start { step: index, attempt, .. } = self.run.prompt(self.now) else {
            return self.refuse("no step is waiting to start, so there is nothing to approve");
        };
        let declared = &self.run.runbook.steps[index];
        if step.is_some_and(|step| step != declared.id) {
            return self
                .refuse(format!("the waiting step is {}: look again before you approve it", declared.id));
        }
        if declared.approvals == 0 {
            return self.refuse(format!("step {} ({}) needs no approval", index + 1, declared.id));
        }
        let id = declared.id.clone();
        let own = self.run.pilot.as_ref().is_some_and(|pilot| pilot.login == by.login);
        // Who rehearses alone plays the colleague too.
        let by = match (own, &self.run.opened.rehearsal) {
            (true, Some(_)) => {
                let number = self.run.approved_by(&id, attempt).len() + 1;
                Person { login: format!("colleague-{number}"), name: "a rehearsed colleague".to_owned() }
            }
            (true, None) => return self.refuse("you have control, so somebody else must approve"),
            (false, _) => by,
        };
        if self.run.approved_by(&id, attempt).iter().any(|person| person.login == by.login) {
            return self.refuse("you have approved this step already");
        }
        self.emit(RunEvent::ApprovalGiven { step: id, attempt, by });
    }
}
