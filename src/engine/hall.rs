//! Who is connected, and what they have been shown. A screen that joins later is shown it too.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{crew::Crew, messages::UpdateSink};
use crate::domain::{
    actor::Actor,
    copy::CopyState,
    crew::{Member, Person, ScreenId, Wish},
    effect::Input,
    event::{CheckRef, Place},
    id::{MetricId, SlotName},
    message::{Command, Request, Update},
    metric::Sample,
    run::Run,
    workload::{Access, Workload},
};

/// Samples kept for screens that come later, for each metric and slot.
const HISTORY: usize = 360;
/// How long the engine of a finished run stays, for people who want to look or to roll back.
const LINGER: Duration = Duration::from_mins(1);
/// A rehearsal that nobody attends ends after this long: nothing real is in its hands.
const REHEARSE_ALONE: Duration = Duration::from_mins(30);

/// The screens, and what they were last shown.
#[derive(Default)]
pub(super) struct Hall {
    crew: Crew,
    /// Screens that were found gone while something was shown.
    gone: Vec<ScreenId>,
    /// Whose request is being answered.
    asker: Option<ScreenId>,
    /// Since when nobody has been there who may act.
    alone_since: Option<tokio::time::Instant>,
    history: BTreeMap<(MetricId, Option<SlotName>), VecDeque<Sample>>,
    workload: Option<Box<Workload>>,
    access: Option<Access>,
    copied: Option<CopyState>,
    /// What screens were told of the checks under way.
    looks: BTreeMap<CheckRef, (bool, String)>,
}

impl Hall {
    /// Shows a screen that has just come what came in by itself so far.
    pub(super) fn catch_up(&self, screen: &dyn UpdateSink) {
        for samples in self.history.values() {
            screen.send(&Update::Samples { samples: samples.iter().cloned().collect(), backfill: true });
        }
        if let Some(workload) = &self.workload {
            screen.send(&Update::Workload { workload: workload.clone() });
        }
        if let Some(state) = &self.copied {
            screen.send(&Update::Copy { state: state.clone() });
        }
        if let Some(access) = &self.access {
            screen.send(&Update::Access { access: access.clone() });
        }
    }

    /// Lets a screen in. The input is what the machine must be told, where this matters to the run.
    pub(super) fn join(
        &mut self,
        run: &Run,
        id: ScreenId,
        who: Person,
        wish: Wish,
        screen: Box<dyn UpdateSink>,
    ) -> Option<Input> {
        self.crew.join(run, id, who, wish, screen)
    }

    /// Tells everybody who is here.
    pub(super) fn tell_crew(&mut self) {
        self.gone.extend(self.crew.tell());
    }

    /// Somebody left.
    pub(super) fn left(&mut self, id: ScreenId) {
        self.gone.push(id);
    }

    /// The next screen that is gone and still has its place.
    pub(super) fn next_gone(&mut self) -> Option<ScreenId> {
        self.gone.pop()
    }

    /// Takes a screen's place away. The input is what the machine must be told, where this matters to the run.
    pub(super) fn leave(&mut self, id: ScreenId) -> Option<Input> {
        self.crew.leave(id)
    }

    /// Whoever is at a screen.
    pub(super) fn member(&self, id: ScreenId) -> Option<&Member> {
        self.crew.member(id)
    }

    /// Somebody takes control.
    ///
    /// # Errors
    /// Why they may not, and what to do instead.
    pub(super) fn take_control(&mut self, run: &Run, id: ScreenId, reason: &str) -> Result<Input, String> {
        self.crew.take(run, id, reason)
    }

    /// The pilot hands control over to the person who asked.
    ///
    /// # Errors
    /// If nobody asked, or the person who asked has left.
    pub(super) fn hand_over(&mut self, run: &Run) -> Result<Input, String> {
        self.crew.hand_over(run)
    }

    /// An engine that has nothing left to do, and nobody to do it for, ends: this is the machine told.
    pub(super) fn end_if_alone(&mut self, run: &Run) -> Option<Input> {
        if self.crew.anybody_acts() {
            self.alone_since = None;
            return None;
        }
        let alone = self.alone_since.get_or_insert_with(tokio::time::Instant::now).elapsed();
        let by = Actor::Auto;
        if run.finished.is_some() && alone >= LINGER {
            Some(Input::Operator(Request { by, command: Command::Close }))
        } else if run.opened.rehearsal.is_some() && self.crew.is_empty() && alone >= REHEARSE_ALONE {
            Some(Input::Terminate { reason: "nobody watches this rehearsal".to_owned() })
        } else {
            None
        }
    }

    /// From now on answers go to this screen; to everybody, where it is none.
    pub(super) fn answer_to(&mut self, asker: Option<ScreenId>) {
        self.asker = asker;
    }

    /// Tells the person who asked why it was not done, or everybody if nobody in particular asked.
    pub(super) fn answer(&mut self, why: impl Into<String>) {
        let update = Update::Refused { why: why.into() };
        match self.asker {
            Some(id) => {
                if !self.crew.send(id, &update) {
                    self.gone.push(id);
                }
            }
            None => self.show(&update),
        }
    }

    /// Shows everybody.
    pub(super) fn show(&mut self, update: &Update) {
        let gone = self.crew.show(update);
        self.gone.extend(gone);
    }

    /// Shows what something that runs has for the screens.
    pub(super) fn pass_on(&mut self, update: &Update) {
        if let Update::Copy { state } = update {
            self.copied = Some(state.clone());
        }
        self.show(update);
    }

    /// Shows what came in by itself, and keeps it for screens that come later.
    pub(super) fn take_in(&mut self, input: &Input) {
        match input {
            Input::Sample(sample) => self.remember(sample.clone()),
            Input::Workload(workload) => {
                self.show(&Update::Workload { workload: workload.clone() });
                self.workload = Some(workload.clone());
            }
            Input::Access(access) => {
                self.show(&Update::Access { access: access.clone() });
                self.access = Some(access.clone());
            }
            _ => {}
        }
    }

    fn remember(&mut self, sample: Sample) {
        let past = self.history.entry((sample.metric.clone(), sample.slot.clone())).or_default();
        past.push_back(sample.clone());
        if past.len() > HISTORY {
            past.pop_front();
        }
        self.show(&Update::Samples { samples: vec![sample], backfill: false });
    }

    /// What the checks under way see now, where that has changed.
    pub(super) fn show_looks<'a>(&mut self, looks: impl Iterator<Item = (&'a CheckRef, bool, &'a str)>) {
        let looks: BTreeMap<CheckRef, (bool, String)> =
            looks.map(|(at, holds, evidence)| (at.clone(), (holds, evidence.to_owned()))).collect();
        for (at, (holds, evidence)) in &looks {
            if self.looks.get(at) == Some(&(*holds, evidence.clone())) {
                continue;
            }
            let step = match &at.place {
                Place::Step { step } => Some(step.clone()),
                _ => None,
            };
            self.show(&Update::Watching { step, check: at.check, holds: *holds, evidence: evidence.clone() });
        }
        self.looks = looks;
    }
}
