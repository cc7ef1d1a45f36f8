//! What a trigger would have done in all windows and runs.

use serde::{Deserialize, Serialize};

use super::{
    advice::{Advice, Known, Proof},
    past_run::{By, PastRun},
    trial::Measured,
};
use crate::domain::{
    metric::Metric,
    runbook::{Rule, Trigger, TriggerWatch},
    time::{Span, Timestamp},
};

/// A trigger, judged by the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its words in the runbook.
    pub trigger: String,
    /// Its metric.
    pub metric: String,
    /// Whether evidence decides it; else a fixed rule does.
    pub by_evidence: bool,
    /// The times without a release.
    pub harmless: Harmless,
    /// The past runs, oldest first.
    pub runs: Vec<RunJudged>,
    /// What would have been better.
    pub advice: Advice,
    /// What that would have done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What it would have done while nothing was released.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Harmless {
    /// Windows with enough samples.
    pub windows: usize,
    /// When it would have fired, once a window.
    pub fired: Vec<Timestamp>,
    /// Windows in which too little was measured to say anything.
    pub unmeasured: usize,
    /// Windows with too little traffic for a verdict.
    pub too_little: usize,
    /// Why there is no verdict at all, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_verdict: Option<String>,
}

/// What it would have done in a past run, and what was done. Times are milliseconds from the moment users met the new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunJudged {
    /// The run.
    pub run_id: String,
    /// When users met its version.
    #[serde(default)]
    pub met_at: Timestamp,
    /// Whether it was rolled back after users had met the new version.
    pub rolled_back: Option<Span>,
    /// What started that.
    pub by: Option<By>,
    /// Whether enough was measured to say what the trigger would have done.
    pub measured: bool,
    /// When the trigger would have fired.
    pub would_fire: Option<Span>,
    /// When one with the same words did.
    pub did_fire: Option<Span>,
}

/// Judges a measured trigger; nothing of one that a person pulls. `window` is how long a release is watched.
pub fn judge(
    trigger: &Trigger,
    metric: &Metric,
    window: Span,
    harmless: &[Measured],
    runs: &[(&PastRun, Measured)],
) -> Option<Judged> {
    let watch = trigger.watch.as_ref()?;
    let enough: Vec<&Measured> = harmless.iter().filter(|measured| measured.is_enough()).collect();
    let mut told =
        Harmless { windows: enough.len(), unmeasured: harmless.len() - enough.len(), ..Harmless::default() };
    let mut fires = |measured: &Measured| fires(watch, metric, window, measured, &mut told);
    let fired = enough.iter().filter_map(|measured| fires(measured)).collect();
    let mut no_verdicts = Harmless::default();
    let judged_runs = runs.iter().map(|(run, measured)| {
        let since = |at: Timestamp| at.since(run.watched.from);
        let did = run.fired.iter().find(|it| it.metric == watch.metric && it.reason == trigger.reason);
        RunJudged {
            run_id: run.run_id.clone(),
            met_at: run.watched.from,
            rolled_back: run.rolled_back.map(|(at, _)| since(at)),
            by: run.rolled_back.map(|(_, by)| by),
            measured: measured.is_enough(),
            would_fire: self::fires(watch, metric, window, measured, &mut no_verdicts).map(since),
            did_fire: did.map(|it| since(it.at)),
        }
    });
    let judged_runs = judged_runs.collect();
    told.fired = fired;
    let bad = runs.iter().filter(|(run, measured)| run.was_bad() && measured.is_enough());
    let bad = bad.map(|(run, measured)| (*run, measured)).collect();
    let (advice, proof) = Known { watch, metric, window, harmless: enough, bad }.advise();
    Some(Judged {
        trigger: trigger.reason.clone(),
        metric: watch.metric.0.clone(),
        by_evidence: watch.rule.worse().is_some(),
        harmless: told,
        runs: judged_runs,
        advice,
        proof,
    })
}

/// When the trigger would have fired in a window.
fn fires(
    watch: &TriggerWatch,
    metric: &Metric,
    window: Span,
    measured: &Measured,
    told: &mut Harmless,
) -> Option<Timestamp> {
    let Rule::Worse(claim) = watch.rule else { return measured.fires(watch) };
    match measured.weigh(claim, metric, window) {
        Ok(weighed) => {
            told.too_little += usize::from(weighed.too_little);
            weighed.worse
        }
        Err(why) => {
            told.no_verdict.get_or_insert(why);
            None
        }
    }
}
