//! The figures of a run: what the sentence, the tiles, the JSON and a test all reckon with.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measured::Measured;
use crate::domain::{
    event::Outcome,
    evidence::counts::Counts,
    felt::Failed,
    run::{RollbackState, Run, StepStatus},
    time::{Span, Timestamp},
};

/// The figures of a run. Times ending in `_ms` are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// How it ended; none while it has not.
    pub outcome: Option<Outcome>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When the first step began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// From the first step to the end, or to the last event.
    pub took_ms: u64,
    /// How long the runbook says that it takes.
    pub expected_ms: Option<u64>,
    /// The version that went out.
    pub new_version: Option<String>,
    /// The version that users had before.
    pub previous_version: Option<String>,
    /// What users met; none where they never met the new version.
    pub users: Option<Users>,
    /// The last rollback.
    pub rollback: Option<Rollback>,
    /// From the first sign of trouble to the rollback's beginning.
    pub time_to_react_ms: Option<u64>,
    /// From the first sign of trouble until users were well again.
    pub time_to_restore_ms: Option<u64>,
    /// Steps that passed.
    pub steps_passed: usize,
    /// Steps that failed, by their last attempt.
    pub steps_failed: usize,
    /// Steps that were left out.
    pub steps_skipped: usize,
    /// Refusals that were overridden.
    pub overrides: usize,
}

/// What users met on the new version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Users {
    /// When they first met it.
    pub from: Timestamp,
    /// When it was taken from them; none where they kept it.
    pub to: Option<Timestamp>,
    /// For how long, up to the run's end where they kept it.
    pub lasted_ms: u64,
    /// The highest share of failed requests, 0 to 1, where it was measured.
    pub worst_error_rate: Option<f64>,
    /// When that was.
    pub worst_at: Option<Timestamp>,
    /// How many requests failed, where it was measured.
    pub failed_requests: Option<f64>,
    /// Whether that is counted, and no estimate by rates.
    pub failed_is_counted: bool,
    /// What the counted metrics of the new version have counted: bad events, and all.
    pub counted: BTreeMap<String, Counts>,
}

/// A rollback against its promise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rollback {
    /// Which procedure.
    pub procedure: String,
    /// Who ordered it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it began.
    pub started_at: Timestamp,
    /// From its beginning until users had the old version again; none where it moved no traffic.
    pub traffic_back_ms: Option<u64>,
    /// Until everything was done and checked; none while it runs.
    pub took_ms: Option<u64>,
    /// What was promised.
    pub within_ms: Option<u64>,
    /// Whether everything went well; none while it runs.
    pub ok: Option<bool>,
    /// Whether the promise was kept; none without a promise or an end.
    pub kept: Option<bool>,
    /// Checks that never passed: a person's, which a rollback does not wait for, or those of one that is not over.
    pub open_checks: usize,
}

impl Rollback {
    /// The checks that never passed, counted: `1 check`.
    pub fn checks_words(&self) -> String {
        let many = self.open_checks;
        format!("{many} check{}", if many == 1 { "" } else { "s" })
    }

    /// What was done by its end; a person's checks may still be open then.
    pub fn done_words(&self) -> String {
        match self.open_checks {
            0 => "Everything was done and checked".to_owned(),
            _ => format!("Everything was done, with {} of a person still open,", self.checks_words()),
        }
    }
}

impl Figures {
    /// The figures of a run.
    pub fn of(run: &Run, measured: &Measured) -> Self {
        let count = |status| run.steps.iter().filter(|state| state.status == status).count();
        let rollback = run.rollbacks.last();
        let met = run.met_at.filter(|met| rollback.is_some_and(|rollback| rollback.started_at >= *met));
        let react = rollback.zip(met).map(|(last, met)| last.started_at.since(last.trouble_since.max(met)));
        Self {
            outcome: run.finished.as_ref().map(|(outcome, ..)| *outcome),
            opened_at: run.opened_at,
            started_at: run.started_at,
            finished_at: run.finished.as_ref().map(|(_, at, _)| *at),
            took_ms: run.elapsed(run.last_at).as_millis(),
            expected_ms: run.runbook.deployment.expected.map(Span::as_millis),
            new_version: run.new_version(),
            previous_version: run.previous_version(),
            users: users(run, measured),
            rollback: rollback.map(|rollback| returned(run, rollback)),
            time_to_react_ms: react.filter(|react| *react > Span::ZERO).map(Span::as_millis),
            time_to_restore_ms: run.time_to_restore().map(Span::as_millis),
            steps_passed: count(StepStatus::Passed),
            steps_failed: count(StepStatus::Failed),
            steps_skipped: count(StepStatus::Skipped),
            overrides: run.overrides.len(),
        }
    }

    /// From the first step to the end.
    pub fn took(&self) -> Span {
        Span::from_millis(self.took_ms)
    }
}

fn users(run: &Run, measured: &Measured) -> Option<Users> {
    let felt = run.felt(measured)?;
    let errors = felt.errors.as_ref();
    Some(Users {
        from: felt.from,
        to: run.left_at,
        lasted_ms: felt.lasted().as_millis(),
        worst_error_rate: errors.map(|errors| errors.worst),
        worst_at: errors.map(|errors| errors.worst_at),
        failed_requests: errors.and_then(|errors| errors.failed).map(Failed::requests),
        failed_is_counted: errors.is_some_and(|errors| matches!(errors.failed, Some(Failed::Counted(_)))),
        counted: felt.counted.iter().map(|(metric, counts)| (metric.to_string(), *counts)).collect(),
    })
}

fn returned(run: &Run, rollback: &RollbackState) -> Rollback {
    let done = rollback.finished.as_ref();
    let took = done.map(|(.., took)| *took);
    let back = run.left_at.filter(|left| *left >= rollback.started_at);
    Rollback {
        procedure: rollback.procedure.to_string(),
        by: rollback.by.to_string(),
        reason: rollback.reason.clone(),
        started_at: rollback.started_at,
        traffic_back_ms: back.map(|back| back.since(rollback.started_at).as_millis()),
        took_ms: took.map(Span::as_millis),
        within_ms: rollback.within.map(Span::as_millis),
        ok: done.map(|(ok, ..)| *ok),
        kept: done.zip(rollback.within).map(|((ok, _, took), within)| *ok && *took <= within),
        open_checks: run.open_rollback_checks(),
    }
}
