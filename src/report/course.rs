//! A run from its first event to its last: its stages with what was done and seen in each, what mattered, and every line.

use super::{
    decisions::{self, Decision},
    moments::moment,
    tone::Tone,
};
use crate::domain::{
    actor::Actor,
    event::{ActionOutcome, ActionRef, CheckRef, Envelope, Outcome, Place, Resolution, RunEvent},
    id::{StepId, UNDO},
    run::Run,
    story,
    time::{Span, Timestamp},
};

/// An estimate that is exceeded by less than this part of it was right.
const SLACK: u64 = 20;

/// A run from its first event to its last.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Checklist, attempts at steps, undos, rollbacks, completion, in order of beginning.
    pub stages: Vec<Stage>,
    /// What mattered.
    pub moments: Vec<Line>,
    /// Everything, one line an event, as deploy.log has it.
    pub log: Vec<Line>,
    /// What somebody decided.
    pub decisions: Vec<Decision>,
    /// Variables with their value and where it came from.
    pub values: Vec<Value>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
    /// Whether somebody should look.
    pub tone: Tone,
}

/// A variable's value.
#[derive(Debug, Clone)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its value; none for a secret.
    pub value: Option<String>,
    /// Where it came from.
    pub source: String,
}

/// What kind of stage it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The checklist, from the run's opening.
    Checklist,
    /// An attempt at a step, a step's undo, a rollback or the completion.
    At(Place),
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Open,
    /// Well.
    Passed,
    /// Not well.
    Failed,
    /// It was left out.
    Skipped,
}

/// A part of the run that has a beginning and an end.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Which.
    pub kind: Kind,
    /// Its name for people: `3. Deploy to GREEN`, `Rollback (quick)`.
    pub title: String,
    /// From 1.
    pub attempt: u32,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Option<Timestamp>,
    /// How long it should take, from and to.
    pub estimate: Option<(Span, Span)>,
    /// How it ended.
    pub end: End,
    /// Why, where somebody or something said so.
    pub reason: Option<String>,
    /// Who began it.
    pub by: String,
    /// What was done.
    pub acts: Vec<Act>,
    /// What was looked at, each with what was seen last.
    pub checks: Vec<Check>,
}

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Act {
    at: ActionRef,
    /// Its name.
    pub name: String,
    /// What it did.
    pub does: String,
    /// When it began.
    pub from: Timestamp,
    /// How long it took.
    pub took: Option<Span>,
    /// How it ended, in a word.
    pub word: &'static str,
    /// Whether somebody should look.
    pub tone: Tone,
    /// How it ended.
    pub detail: String,
}

/// Something that was looked at.
#[derive(Debug, Clone)]
pub struct Check {
    at: CheckRef,
    /// When it was seen last.
    pub seen: Timestamp,
    /// Its text.
    pub text: String,
    /// What was seen.
    pub evidence: String,
    /// Who looked.
    pub by: String,
    /// How it was, in a word.
    pub word: &'static str,
    /// Whether somebody should look.
    pub tone: Tone,
}

impl Stage {
    /// How long it took, or has taken by then.
    pub fn took(&self, now: Timestamp) -> Span {
        self.to.unwrap_or(now).since(self.from)
    }

    /// How it ended, in a word.
    pub fn word(&self) -> &'static str {
        match (self.end, &self.kind) {
            (End::Open, _) => "not over",
            (End::Passed, Kind::At(Place::Rollback { .. } | Place::Undo { .. } | Place::Completion)) => {
                "done"
            }
            (End::Passed, _) => "passed",
            (End::Failed, _) => "FAILED",
            (End::Skipped, _) => "skipped",
        }
    }

    /// Whether somebody should look.
    pub fn tone(&self) -> Tone {
        match self.end {
            End::Open | End::Skipped => Tone::Plain,
            End::Passed => Tone::Well,
            End::Failed => Tone::Bad,
        }
    }

    /// The estimate in words, and whether it was kept; of a rollback it is a promise.
    pub fn judged(&self, now: Timestamp) -> Option<(String, Tone)> {
        let (least, most) = self.estimate?;
        let promise = matches!(self.kind, Kind::At(Place::Rollback { .. }));
        let words = match (promise, least == most) {
            (true, _) => format!("promised {}", most.clock()),
            (false, true) => format!("estimate {}", most.clock()),
            (false, false) => format!("estimate {} to {}", least.clock(), most.clock()),
        };
        let over = self.took(now).saturating_sub(most);
        if over > Span::ZERO {
            let tone = if promise {
                Tone::Bad
            } else if over.as_millis().saturating_mul(SLACK) > most.as_millis() {
                Tone::Watch
            } else {
                // A window of 15 minutes is passed some seconds later.
                Tone::Plain
            };
            return Some((format!("{words}, {} longer", over.clock()), tone));
        }
        Some((words, Tone::Plain))
    }
}

impl Course {
    /// Walks through a run.
    pub fn of(events: &[Envelope]) -> Self {
        let mut course = Self::default();
        let Some((first, rest)) = events.split_first() else { return course };
        let Some(mut run) = Run::open(first) else { return course };
        course.stages.push(Stage {
            kind: Kind::Checklist,
            title: "Checklist".to_owned(),
            ..Stage::begun(first.at, &run.opened.pilot)
        });
        course.take(&run, first);
        for envelope in rest {
            run.apply(envelope);
            course.take(&run, envelope);
        }
        course
    }

    /// Takes an event in; `run` is the state after it.
    fn take(&mut self, run: &Run, envelope: &Envelope) {
        let at = envelope.at;
        if let Some(text) = story::line(run, &envelope.event) {
            let tone = moment(run, &envelope.event);
            let line = Line { at, text, tone: tone.unwrap_or_default() };
            self.moments.extend(tone.map(|_| line.clone()));
            self.log.push(line);
        }
        self.decisions.extend(decisions::decisions(run, envelope));
        self.stage(run, &envelope.event, at);
        self.work(&envelope.event, at);
        if let RunEvent::VarSet { name, value, source } = &envelope.event {
            let (name, value, source) = (name.clone(), value.clone(), source.clone());
            self.values.retain(|known| known.name != name);
            self.values.push(Value { name, value, source });
        }
    }

    /// Stages begin and end.
    fn stage(&mut self, run: &Run, event: &RunEvent, at: Timestamp) {
        let step_place = |step: &StepId| Place::Step { step: step.clone() };
        match event {
            RunEvent::ChecklistPassed { .. } => self.end_of(&Kind::Checklist, End::Passed, None, at),
            RunEvent::StepStarted { step, attempt, by } => {
                let declared = run.declared(step.as_str());
                let estimate = declared.and_then(|step| step.time);
                let title = step_title(run, step);
                self.begin(step_place(step), title, *attempt, estimate, by, at);
            }
            RunEvent::StepPassed { step, .. } => {
                self.end_of(&Kind::At(step_place(step)), End::Passed, None, at);
            }
            RunEvent::StepFailed { step, reason, .. } => {
                self.end_of(&Kind::At(step_place(step)), End::Failed, Some(reason), at);
            }
            RunEvent::StepSkipped { step, reason, by } => {
                self.begin(step_place(step), step_title(run, step), 1, None, by, at);
                self.end_of(&Kind::At(step_place(step)), End::Skipped, Some(reason), at);
            }
            RunEvent::UndoStarted { .. }
            | RunEvent::UndoFinished { .. }
            | RunEvent::RollbackStarted { .. }
            | RunEvent::RollbackFinished { .. } => self.way_back(run, event, at),
            RunEvent::CompletionStarted { attempt, by } => {
                self.begin(Place::Completion, "Completion".to_owned(), *attempt, None, by, at);
            }
            RunEvent::CompletionFailed { reason, .. } => {
                self.end_of(&Kind::At(Place::Completion), End::Failed, Some(reason), at);
            }
            RunEvent::RunFinished { outcome, .. } => {
                let well = *outcome == Outcome::Succeeded;
                if well {
                    self.end_of(&Kind::At(Place::Completion), End::Passed, None, at);
                }
            }
            _ => {}
        }
    }

    /// The same for undos and rollbacks.
    fn way_back(&mut self, run: &Run, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::UndoStarted { step, attempt, by } => {
                let title = format!("Undo of {}", step_title(run, step));
                self.begin(Place::Undo { step: step.clone() }, title, *attempt, None, by, at);
            }
            RunEvent::UndoFinished { step, ok, detail, .. } => {
                let end = if *ok { End::Passed } else { End::Failed };
                self.end_of(&Kind::At(Place::Undo { step: step.clone() }), end, Some(detail), at);
            }
            RunEvent::RollbackStarted { procedure, by, within, .. } => {
                let place = Place::Rollback { procedure: procedure.clone() };
                let title = if procedure.as_str() == UNDO {
                    "Rollback (undo of the finished steps)".to_owned()
                } else {
                    format!("Rollback ({procedure})")
                };
                self.begin(place, title, 1, within.map(|within| (within, within)), by, at);
            }
            RunEvent::RollbackFinished { procedure, ok, detail, .. } => {
                let end = if *ok { End::Passed } else { End::Failed };
                self.end_of(
                    &Kind::At(Place::Rollback { procedure: procedure.clone() }),
                    end,
                    Some(detail),
                    at,
                );
            }
            _ => {}
        }
    }

    fn begin(
        &mut self,
        place: Place,
        title: String,
        attempt: u32,
        estimate: Option<(Span, Span)>,
        by: &Actor,
        at: Timestamp,
    ) {
        let title = if attempt > 1 { format!("{title}, attempt {attempt}") } else { title };
        let begun = Stage::begun(at, by.as_str());
        self.stages.push(Stage { kind: Kind::At(place), title, attempt, estimate, ..begun });
    }

    /// The newest that is open: a step that was tried again has several.
    fn end_of(&mut self, kind: &Kind, end: End, reason: Option<&String>, at: Timestamp) {
        let open = self.stages.iter_mut().rev().find(|stage| stage.kind == *kind && stage.end == End::Open);
        if let Some(stage) = open {
            stage.end = end;
            stage.to = Some(at);
            stage.reason = reason.filter(|reason| !reason.is_empty()).cloned();
        }
    }

    fn at(&mut self, place: &Place) -> Option<&mut Stage> {
        let is = |stage: &&mut Stage| matches!(&stage.kind, Kind::At(at) if at == place);
        self.stages.iter_mut().rev().find(is)
    }

    /// What is done and looked at in a stage.
    fn work(&mut self, event: &RunEvent, now: Timestamp) {
        match event {
            RunEvent::ActionStarted { at, name, does } => {
                let act = Act {
                    at: at.clone(),
                    name: name.clone(),
                    does: does.clone(),
                    from: now,
                    took: None,
                    word: "not over",
                    tone: Tone::Plain,
                    detail: String::new(),
                };
                if let Some(stage) = self.at(&at.place) {
                    stage.acts.push(act);
                }
            }
            RunEvent::ActionFinished { at, outcome, detail, took, .. } => {
                let (word, tone) = ended(*outcome);
                self.settle(at, word, tone, detail, Some(*took));
            }
            RunEvent::ActionResolved { at, resolution, by, evidence } => {
                let (word, tone) = match resolution {
                    Resolution::Done => ("done", Tone::Well),
                    Resolution::NotDone => ("NOT DONE", Tone::Bad),
                    Resolution::RunAgain => ("UNKNOWN, run again", Tone::Watch),
                };
                self.settle(
                    at,
                    word,
                    tone,
                    &format!("resolved by {}", by.with_evidence(evidence.as_deref())),
                    None,
                );
            }
            RunEvent::CheckPassed { at, text, evidence, by, skipped } => {
                let (word, tone) =
                    if *skipped { ("not measured", Tone::Watch) } else { ("passed", Tone::Well) };
                self.seen(at, text, evidence, by, (word, tone), now);
            }
            RunEvent::CheckFailed { at, text, evidence, by, .. } => {
                self.seen(at, text, evidence, by, ("FAILED", Tone::Bad), now);
            }
            _ => {}
        }
    }

    /// An act may be settled twice, by its end and by what a look found later; the later word counts, and keeps the time of
    /// the first.
    fn settle(&mut self, at: &ActionRef, word: &'static str, tone: Tone, detail: &str, took: Option<Span>) {
        let Some(stage) = self.at(&at.place) else { return };
        if let Some(act) = stage.acts.iter_mut().rev().find(|act| act.at == *at) {
            (act.word, act.tone, act.detail) = (word, tone, detail.to_owned());
            act.took = took.or(act.took);
        }
    }

    fn seen(
        &mut self,
        at: &CheckRef,
        text: &str,
        evidence: &str,
        by: &Actor,
        (word, tone): (&'static str, Tone),
        seen: Timestamp,
    ) {
        let Some(stage) = self.at(&at.place) else { return };
        stage.checks.retain(|check| check.at != *at);
        let (text, evidence, by) = (text.to_owned(), evidence.to_owned(), by.to_string());
        stage.checks.push(Check { at: at.clone(), seen, text, evidence, by, word, tone });
    }
}

impl Stage {
    fn begun(at: Timestamp, by: &str) -> Self {
        Self {
            kind: Kind::Checklist,
            title: String::new(),
            attempt: 1,
            from: at,
            to: None,
            estimate: None,
            end: End::Open,
            reason: None,
            by: by.to_owned(),
            acts: Vec::new(),
            checks: Vec::new(),
        }
    }
}

fn step_title(run: &Run, step: &StepId) -> String {
    let number = run.runbook.step_index(step.as_str()).map_or(0, |index| index + 1);
    format!("{number}. {}", run.declared(step.as_str()).map_or(step.as_str(), |step| step.title.as_str()))
}

fn ended(outcome: ActionOutcome) -> (&'static str, Tone) {
    match outcome {
        ActionOutcome::Succeeded => ("done", Tone::Well),
        ActionOutcome::Failed => ("FAILED", Tone::Bad),
        ActionOutcome::TimedOut => ("TIMED OUT", Tone::Bad),
        ActionOutcome::Cancelled => ("cancelled", Tone::Watch),
        ActionOutcome::Unavailable => ("NOT DONE", Tone::Bad),
        ActionOutcome::Unknown => ("UNKNOWN", Tone::Bad),
    }
}
