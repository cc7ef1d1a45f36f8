//! How one input is processed: the machine decides, the journal stores it, the hands carry it out. Also what happens if
//! the journal can't store it.

use super::Engine;
use crate::{
    domain::{
        effect::{Decision, Input},
        event::RunEvent,
        message::{Command, JournalState, Request, WITHOUT_A_JOURNAL, is_consent},
    },
    engine::{books::lost, messages::End},
};

impl Engine {
    /// Tells the machine, writes down what it decides, and does that.
    pub(super) fn feed(&mut self, input: Input) {
        if self.books.is_lost() && !matches!(input, Input::Workload(_) | Input::Access(_)) {
            return self.feed_lost(input);
        }
        // Results stay in their order.
        if input.is_result() && self.books.has_late() {
            return self.books.put_off(input);
        }
        let asked = matches!(input, Input::Operator(_));
        let kept = input.is_result().then(|| input.clone());
        match self.decide(input) {
            Ok(()) => {}
            Err(why) => {
                if let Some(result) = kept {
                    self.books.put_off(result);
                }
                if asked {
                    self.hall.answer(format!("not done: the journal can't be written: {why}"));
                }
                self.on_journal_fault();
            }
        }
    }

    /// What follows is durable before anything of it begins: `commit` writes first.
    fn decide(&mut self, input: Input) -> Result<(), String> {
        let now = self.kit.ports.clock.now();
        let decision = self.machine.handle(now, input);
        self.commit(decision)
    }

    /// Results that waited for room.
    pub(super) fn feed_late(&mut self) {
        while let Some(input) = self.books.next_late() {
            if self.decide(input.clone()).is_err() {
                self.books.put_back(input);
                return;
            }
        }
    }

    /// With a lost journal nothing is decided but whether to go on without it.
    fn feed_lost(&mut self, input: Input) {
        match input {
            Input::Operator(Request { by, command: Command::GoOnUnrecorded { typed } }) => {
                let run_id = self.machine.run().opened.run_id.clone();
                // The word first: nothing is left on a disk for a slip of the finger.
                if !is_consent(&typed) {
                    let why = format!("type exactly `:unrecorded {WITHOUT_A_JOURNAL}`");
                    return self.hall.answer(why);
                }
                if let Err(why) = self.books.go_elsewhere(&run_id) {
                    return self.hall.answer(why);
                }
                let consent = Request { by, command: Command::GoOnUnrecorded { typed } };
                if let Err(why) = self.decide(Input::Operator(consent)) {
                    self.hall.answer(why);
                }
                self.books.show_journal(&mut self.hall);
                self.feed_late();
            }
            Input::Operator(Request {
                command: Command::Suspend { .. } | Command::Abort { .. } | Command::Close,
                ..
            })
            | Input::Terminate { .. } => self.leaving = true,
            Input::Operator(_) => self.hall.answer(format!(
                "not done: the journal is lost. To roll back anyway, type `:unrecorded {WITHOUT_A_JOURNAL}`"
            )),
            input if input.is_result() => self.books.put_off(input),
            _ => {}
        }
        if self.leaving
            && self.hands.is_idle()
            && let JournalState::Lost { why } = self.books.state()
        {
            self.end = Some(End::JournalLost(lost(why)));
        }
    }

    /// A lost journal is paged: from here on nothing is done by itself.
    pub(super) fn page_lost_journal(&self) {
        if let JournalState::Lost { why } = self.books.state() {
            let run = self.machine.run();
            let id = &run.opened.run_id;
            self.hands.tell(None, &format!("{id}: THE JOURNAL IS LOST, nothing runs any more: {why}"), run);
        }
    }

    /// A fault was met. Where there is no room the run is held, with the space that is kept for such an end.
    fn on_journal_fault(&mut self) {
        if let JournalState::Full { why } = self.books.state().clone()
            && self.decide(Input::JournalFull { why }).is_ok()
        {
            self.feed_late();
        }
    }

    /// First the journal, synced; then the effects, which take no time here; then the screens, so that nobody waits for
    /// them. Where the journal does not take it nothing is done, and the machine is back where the journal is.
    pub(super) fn commit(&mut self, decision: Decision) -> Result<(), String> {
        if let Some(why) = decision.refused {
            self.hall.answer(why);
        }
        let taken =
            decision.events.iter().any(|envelope| matches!(envelope.event, RunEvent::TargetTaken { .. }));
        if !decision.events.is_empty()
            && let Err(why) = self.books.enter(&decision.events, self.machine.run(), &mut self.hall)
        {
            if let Some(run) = self.books.run() {
                self.machine.take_back(run, |at| self.hands.watches(at));
            }
            self.page_lost_journal();
            return Err(why);
        }
        if taken {
            self.tell_revision();
        }
        for effect in decision.effects {
            if let Some(end) = self.hands.perform(effect, self.machine.run()) {
                self.end = Some(end);
            }
        }
        self.books.tell(decision.events, self.machine.run(), &mut self.hall);
        Ok(())
    }
}
