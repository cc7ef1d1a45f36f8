//! Everything that is recorded: the journal first, then updates for screens, deploy.log and the journal's copy. Also
//! holds back what can't be written yet.

use std::{collections::VecDeque, io::Write as _, path::Path, sync::Arc};

use super::{
    hall::Hall,
    ledger::{self, Ledger},
    ports::{Journal, JournalCopier},
};
use crate::domain::{
    copy::CopyHead,
    effect::Input,
    event::{Envelope, Outcome},
    id::RunId,
    message::{JournalState, Update},
    run::Run,
    story,
    time::Timestamp,
};

/// The run's events, and where they are written.
pub(super) struct Books {
    events: Vec<Envelope>,
    ledger: Ledger,
    /// Results that the journal could not take yet, oldest first.
    late: VecDeque<Input>,
    deploy_log: Option<std::fs::File>,
    copy: Option<Arc<dyn JournalCopier>>,
}

impl Books {
    /// Opens them with everything that happened before.
    pub(super) fn open(
        events: Vec<Envelope>,
        journal: Box<dyn Journal>,
        run_dir: &Path,
        copy: Option<Arc<dyn JournalCopier>>,
    ) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(run_dir.join("deploy.log"));
        Self {
            events,
            ledger: Ledger::new(journal),
            late: VecDeque::new(),
            deploy_log: log.inspect_err(|error| tracing::error!(%error, "deploy.log can't be opened")).ok(),
            copy,
        }
    }

    /// Everything that happened, for a screen that has just come.
    pub(super) fn backlog(&self, now: Timestamp, run_dir: &Path) -> Update {
        Update::Backlog { events: self.events.clone(), now, run_dir: run_dir.display().to_string() }
    }

    /// The run as it is written.
    pub(super) fn run(&self) -> Option<Run> {
        Run::fold(&self.events)
    }

    /// The journal's state.
    pub(super) fn state(&self) -> &JournalState {
        self.ledger.state()
    }

    /// Finds out whether the journal is still where it is looked for; whether it has just been lost.
    pub(super) fn verify(&mut self) -> bool {
        self.ledger.verify()
    }

    /// Nothing can be written before a person has consented to a record elsewhere.
    pub(super) fn is_lost(&self) -> bool {
        self.ledger.is_lost()
    }

    /// From now on a rollback is recorded elsewhere. The person's word was typed.
    ///
    /// # Errors
    /// If no other place can be written either.
    pub(super) fn go_elsewhere(&mut self, run_id: &RunId) -> Result<(), String> {
        self.ledger.go_elsewhere(run_id, &ledger::places())
    }

    /// Writes events to the journal and syncs it. `run` has them already.
    ///
    /// # Errors
    /// Why the journal does not take them. Nothing of what was decided may be done then.
    pub(super) fn enter(&mut self, events: &[Envelope], run: &Run, hall: &mut Hall) -> Result<(), String> {
        let rolling_back = run.rolling_back().is_some();
        let before = self.ledger.state().clone();
        let written = tokio::task::block_in_place(|| self.ledger.write(events, rolling_back));
        if *self.ledger.state() != before {
            self.show_journal(hall);
        }
        written
    }

    /// Tells what the journal has: screens, deploy.log, the journal's copy.
    pub(super) fn tell(&mut self, events: Vec<Envelope>, run: &Run, hall: &mut Hall) {
        if events.is_empty() {
            return;
        }
        for envelope in events {
            self.log(run, &envelope);
            hall.show(&Update::Event { envelope: envelope.clone() });
            self.events.push(envelope);
        }
        self.note_copy(run);
    }

    /// Shows everybody the journal's state.
    pub(super) fn show_journal(&self, hall: &mut Hall) {
        hall.show(&Update::Journal { state: self.ledger.state().clone() });
    }

    /// One plain line for every event that matters.
    fn log(&mut self, run: &Run, envelope: &Envelope) {
        let Some(text) = story::line(run, &envelope.event) else { return };
        if let Some(file) = &mut self.deploy_log
            // In one piece: each piece would be a system call.
            && let Err(error) = file.write_all(format!("{} {text}\n", envelope.at).as_bytes())
        {
            tracing::error!(%error, "deploy.log can't be written");
            self.deploy_log = None;
        }
    }

    /// Tells the copier how far the journal is.
    fn note_copy(&self, run: &Run) {
        let Some(copy) = &self.copy else { return };
        let outcome = run.finished.as_ref().map(|(outcome, ..)| *outcome);
        let word = serde_json::to_value(outcome).ok().and_then(|word| word.as_str().map(str::to_owned));
        copy.note(CopyHead {
            sequence: run.last_seq,
            at: run.last_at,
            state: word.unwrap_or_else(|| "open".to_owned()),
            ended: outcome.is_some_and(|outcome| outcome != Outcome::Held),
        });
    }

    /// Whether results wait for room.
    pub(super) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// A result waits for room, behind those that wait already.
    pub(super) fn put_off(&mut self, result: Input) {
        self.late.push_back(result);
    }

    /// The result that has waited longest, where the journal may take it now.
    pub(super) fn next_late(&mut self) -> Option<Input> {
        if self.is_lost() { None } else { self.late.pop_front() }
    }

    /// There was no room for it yet.
    pub(super) fn put_back(&mut self, result: Input) {
        self.late.push_front(result);
    }
}

/// What the end of an engine without a journal says.
pub(super) fn lost(why: &str) -> String {
    format!(
        "the journal can't be written ({why}); nothing new starts. Fix the disk, then run `cutover resume`"
    )
}
