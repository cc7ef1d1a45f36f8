//! Who is connected, and what they have been shown. A screen that joins later is shown it too.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{crew::Crew, messages::UpdateSink, ports::SampleKeeper};
use crate::domain::{
    actor::Actor,
    claim::Standing,
    copy::CopyState,
    crew::{Member, Person, ScreenId, Wish},
    effect::Input,
    event::{CheckRef, Place},
    id::{MetricId, SlotName},
    kept::Moment,
    message::{Command, Request, Update},
    metric::Sample,
    run::Run,
    time::Timestamp,
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
    /// Where the evidence stands, as screens were told.
    evidence: Vec<Standing>,
    /// What screens were told of the checks under way.
    looks: BTreeMap<CheckRef, (bool, String)>,
    /// Where it is kept for replays and reports.
    keeper: Option<Box<dyn SampleKeeper>>,
}

impl Hall {
    /// Nobody is here yet. What will be shown is kept, where there is a keeper.
    pub(super) fn open(keeper: Option<Box<dyn SampleKeeper>>) -> Self {
        Self { keeper, ..Self::default() }
    }

    /// Shows a screen that has just come what came in by itself so far.
    pub(super) fn catch_up(&self, screen: &dyn UpdateSink) {
        for samples in self.history.values() {
            screen.send(&Update::Samples { samples: samples.iter().cloned().collect(), backfill: true });
        }
        if !self.evidence.is_empty() {
            screen.send(&Update::Evidence { standings: self.evidence.clone() });
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

    /// Shows what came in by itself at this time, and keeps it.
    fn show_and_keep(&mut self, update: &Update, now: Timestamp) {
        self.show(update);
        if let Some(keeper) = &mut self.keeper {
            for moment in Moment::of(update, now) {
                keeper.keep(moment);
            }
        }
    }

    /// Says once where nothing can be kept any more.
    pub(super) fn tell_unkept(&mut self) {
        if let Some(why) = self.keeper.as_mut().and_then(|keeper| keeper.fault()) {
            tracing::warn!(%why, "samples");
            self.show(&Update::Refused { why });
        }
    }

    /// Shows what something that runs has for the screens.
    pub(super) fn pass_on(&mut self, update: &Update, now: Timestamp) {
        if let Update::Copy { state } = update {
            self.copied = Some(state.clone());
        }
        self.show_and_keep(update, now);
    }

    /// Shows what came in by itself, and keeps it for screens that come later.
    pub(super) fn take_in(&mut self, input: &Input, now: Timestamp) {
        match input {
            Input::Sample(sample) => self.remember(sample.clone(), now),
            Input::Workload(workload) => {
                self.show_and_keep(&Update::Workload { workload: workload.clone() }, now);
                self.workload = Some(workload.clone());
            }
            Input::Access(access) => {
                self.show_and_keep(&Update::Access { access: access.clone() }, now);
                self.access = Some(access.clone());
            }
            _ => {}
        }
    }

    /// So much is kept as a chart shows: a screen that joins later starts with it.
    fn remember(&mut self, sample: Sample, now: Timestamp) {
        let past = self.history.entry((sample.metric.clone(), sample.slot.clone())).or_default();
        past.push_back(sample.clone());
        if past.len() > HISTORY {
            past.pop_front();
        }
        self.show_and_keep(&Update::Samples { samples: vec![sample], backfill: false }, now);
    }

    /// Where the evidence stands now, where that has changed.
    pub(super) fn show_evidence(&mut self, standings: impl Iterator<Item = Standing>, now: Timestamp) {
        let standings: Vec<Standing> = standings.collect();
        if standings != self.evidence {
            self.show_and_keep(&Update::Evidence { standings: standings.clone() }, now);
            self.evidence = standings;
        }
    }

    /// What the checks under way see now, where that has changed.
    pub(super) fn show_looks<'a>(
        &mut self,
        looks: impl Iterator<Item = (&'a CheckRef, bool, &'a str)>,
        now: Timestamp,
    ) {
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
            let (check, holds, evidence) = (at.check, *holds, evidence.clone());
            self.show_and_keep(&Update::Watching { step, check, holds, evidence }, now);
        }
        self.looks = looks;
    }
}
