//! The four DORA figures over past runs: how often, how fast, how often it goes wrong, how fast it is put right.
//!
//! A deployment is a run in which users met the new version, or which succeeded without a switch. It failed where it was rolled
//! back after users had met it, where that rollback failed, or where an incident was declared. What the runs do not tell is
//! `None` and is shown as not known: nothing is made up.
//!
//! ```text
//!   committed ──── lead time ────> users meet it ─ trouble begins ─── time to restore ───> users have the old one again
//! ```

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    copy::CopyHead,
    event::Outcome,
    id::UNDO,
    run::Run,
    runbook::Environment,
    time::{Span, Timestamp},
};

/// The variable that tells when the change was committed: RFC 3339, or seconds since the Unix epoch.
pub const COMMITTED_AT: &str = "COMMITTED_AT";

/// Runs over less time than this have no frequency that means anything.
const LEAST: Span = Span::from_mins(7 * 24 * 60);

/// What kind of runs figures are about; figures of two kinds are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs that users met.
    Production,
    /// Runs in staging.
    Staging,
    /// Runs for developers.
    Development,
    /// Rehearsals: no cluster, no users, and a simulated clock.
    Rehearsal,
}

impl Kind {
    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
            Self::Rehearsal => "rehearsals",
        }
    }
}

/// What a past run tells for the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Which kind it was.
    pub kind: Kind,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Whether it has ended, and is not only paused.
    pub over: bool,
    /// When the new version was in use; none where it never was.
    pub deployed_at: Option<Timestamp>,
    /// Whether it went wrong after that.
    pub failed: bool,
    /// How long it took from the first sign of trouble until users were well again; none where nothing went wrong, or where that
    /// is not known.
    pub restored: Option<Span>,
    /// How long it took from the commit until users met it; none where nobody said when it was committed.
    pub lead: Option<Span>,
}

impl Past {
    /// What a run tells.
    pub fn of(run: &Run) -> Self {
        let kind = match (&run.opened.rehearsal, run.runbook.deployment.environment) {
            (Some(_), _) => Kind::Rehearsal,
            (None, Environment::Production) => Kind::Production,
            (None, Environment::Staging) => Kind::Staging,
            (None, Environment::Development) => Kind::Development,
        };
        let ended = run.finished.as_ref().filter(|(outcome, ..)| *outcome != Outcome::Held);
        let succeeded = ended.filter(|(outcome, ..)| *outcome == Outcome::Succeeded).map(|(_, at, _)| *at);
        let deployed_at = run.met_at.or(succeeded);
        // The clock of a rehearsal is not the one of the commit.
        let committed = run.committed_at().filter(|_| kind != Kind::Rehearsal);
        let failed = deployed_at.is_some() && (run.repaired_by().is_some() || run.incident.is_some());
        Self {
            kind,
            opened_at: run.opened_at,
            over: ended.is_some(),
            deployed_at,
            failed,
            restored: if failed { run.time_to_restore() } else { None },
            lead: committed.zip(deployed_at).and_then(|(from, to)| (to >= from).then(|| to.since(from))),
        }
    }
}

impl Run {
    /// The first rollback that began after users had met the new version.
    fn repaired_by(&self) -> Option<&super::run::RollbackState> {
        let met = self.met_at?;
        self.rollbacks
            .iter()
            .find(|rollback| rollback.started_at >= met && rollback.procedure.as_str() != UNDO)
    }

    /// From the first sign of trouble until users had the old version again, or the incident was resolved; none where nothing
    /// went wrong after users met the new version, or where it is not known that they are well.
    pub fn time_to_restore(&self) -> Option<Span> {
        let met = self.met_at?;
        if let Some(rollback) = self.repaired_by() {
            // Trouble that was measured before users met the new version is none of its own.
            let since = rollback.trouble_since.max(met);
            return Some(self.left_at.filter(|left| *left >= since)?.since(since));
        }
        let incident = self.incident.as_ref()?;
        Some(incident.resolved_at()?.since(incident.started_at.max(met)))
    }

    /// When the change was committed, where a variable of that name says so.
    fn committed_at(&self) -> Option<Timestamp> {
        let text = self.value(COMMITTED_AT)?;
        let seconds = || Some(Timestamp(text.trim().parse::<i64>().ok()?.checked_mul(1000)?));
        text.trim().parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond())).or_else(seconds)
    }
}

/// The four figures of one kind of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Of which runs.
    pub kind: Kind,
    /// All that have ended.
    pub runs: usize,
    /// Of these, those whose version came into use.
    pub deployments: usize,
    /// Of these, those that went wrong afterwards.
    pub failed: usize,
    /// From the first run to now.
    pub over: Span,
    /// Deployments in a week; none where the runs are of less than a week, or rehearsals.
    pub per_week: Option<f64>,
    /// The median time from the commit to the users.
    pub lead: Option<Span>,
    /// Of how many deployments that is.
    pub lead_known: usize,
    /// The part of deployments that went wrong, 0 to 1; none without deployments.
    pub failure_rate: Option<f64>,
    /// The median time until users were well again.
    pub restore: Option<Span>,
    /// Of how many failed deployments that is.
    pub restore_known: usize,
}

/// The figures of each kind of run that there is, rehearsals last.
pub fn figures(runs: &[Past], now: Timestamp) -> Vec<Figures> {
    let kinds = [Kind::Production, Kind::Staging, Kind::Development, Kind::Rehearsal];
    kinds.into_iter().filter_map(|kind| of_kind(runs, kind, now)).collect()
}

fn of_kind(runs: &[Past], kind: Kind, now: Timestamp) -> Option<Figures> {
    let ended: Vec<&Past> = runs.iter().filter(|run| run.kind == kind && run.over).collect();
    let first = ended.iter().map(|run| run.opened_at).min()?;
    let deployed: Vec<&&Past> = ended.iter().filter(|run| run.deployed_at.is_some()).collect();
    let failed = deployed.iter().filter(|run| run.failed).count();
    let leads: Vec<Span> = deployed.iter().filter_map(|run| run.lead).collect();
    let restores: Vec<Span> = deployed.iter().filter_map(|run| run.restored).collect();
    let over = now.since(first);
    // A simulated clock says nothing of how often.
    let counts = over >= LEAST && kind != Kind::Rehearsal;
    let per_week = counts.then(|| part(deployed.len(), 1) / (over.to_std().as_secs_f64() / 604_800.0));
    Some(Figures {
        kind,
        runs: ended.len(),
        deployments: deployed.len(),
        failed,
        over,
        per_week,
        lead_known: leads.len(),
        lead: median(leads),
        failure_rate: (!deployed.is_empty()).then(|| part(failed, deployed.len())),
        restore_known: restores.len(),
        restore: median(restores),
    })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of runs")]
fn part(some: usize, of: usize) -> f64 {
    some as f64 / of as f64
}

/// The middle one; of two in the middle, the mean.
fn median(mut spans: Vec<Span>) -> Option<Span> {
    spans.sort();
    let upper = *spans.get(spans.len() / 2)?;
    let lower = *spans.get((spans.len() - 1) / 2)?;
    Some(Span::from_millis(lower.as_millis().midpoint(upper.as_millis())))
}

impl Figures {
    /// Each figure with its name, in words.
    pub fn lines(&self) -> [(&'static str, String); 4] {
        let (n, days) = (self.deployments, self.over.as_secs() / 86_400);
        let deployments = if n == 1 { "1 deployment".to_owned() } else { format!("{n} deployments") };
        let frequency = match (self.per_week, self.kind) {
            (Some(per_week), _) => format!("{} a week ({deployments} in {days} days)", rounded(per_week)),
            (None, Kind::Rehearsal) => format!("not known: the clock is simulated ({deployments})"),
            (None, _) => {
                format!("not known yet: {deployments} in {days} {}", if days == 1 { "day" } else { "days" })
            }
        };
        let lead = match self.lead {
            Some(lead) => format!("{} (median of {})", lead.clock(), self.lead_known),
            None if self.kind == Kind::Rehearsal => "not known: the clock is simulated".to_owned(),
            None => format!("not known: no deployment has a variable {COMMITTED_AT}"),
        };
        let rate = self.failure_rate.map_or_else(
            || "not known: no deployments".to_owned(),
            |rate| format!("{} % ({} of {n})", rounded(rate * 100.0), self.failed),
        );
        let mut restore = match (self.restore, self.failed) {
            (Some(restore), _) => format!("{} (median of {})", restore.clock(), self.restore_known),
            (None, 0) => "nothing had to be restored".to_owned(),
            (None, _) => "not known".to_owned(),
        };
        if let (open @ 1.., Some(_)) = (self.failed - self.restore_known.min(self.failed), self.restore) {
            // Writing to a String cannot fail.
            let _ = write!(restore, "; not known of {open}");
        }
        [
            ("Deployment frequency", frequency),
            ("Lead time for changes", lead),
            ("Change failure rate", rate),
            ("Time to restore", restore),
        ]
    }
}

/// Without decimals that say nothing.
fn rounded(value: f64) -> String {
    let text = if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// As far as the heads of copies in a cluster tell: how many runs have ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Heads {
    /// Runs that have ended.
    pub ended: usize,
    /// Of these, succeeded.
    pub succeeded: usize,
    /// Of these, rolled back, or their rollback failed. Whether users had met the new version is not in a head.
    pub went_back: usize,
    /// Of these, failed or aborted.
    pub failed: usize,
    /// From the first end to the last.
    pub over: Span,
}

impl Heads {
    /// What the heads tell.
    pub fn of<'a>(heads: impl IntoIterator<Item = &'a CopyHead>) -> Self {
        let mut all = Self::default();
        let mut ends: Option<(Timestamp, Timestamp)> = None;
        for head in heads.into_iter().filter(|head| head.ended) {
            all.ended += 1;
            match head.state.as_str() {
                "succeeded" => all.succeeded += 1,
                "rolled-back" | "rollback-failed" => all.went_back += 1,
                _ => all.failed += 1,
            }
            let (first, last) = ends.unwrap_or((head.at, head.at));
            ends = Some((first.min(head.at), last.max(head.at)));
        }
        all.over = ends.map_or(Span::ZERO, |(first, last)| last.since(first));
        all
    }
}

#[cfg(test)]
mod tests;
