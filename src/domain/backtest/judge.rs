//! What a trigger would have done in all windows and runs, and what would have been better.

use serde::Serialize;

use super::{
    past_run::{By, PastRun},
    trial::Measured,
};
use crate::domain::{
    metric::{Bound, Metric, Unit},
    runbook::{Rule, Trigger, TriggerWatch},
    time::{Span, Timestamp},
    worse::{Than, Worse},
};

/// Bounds and shares that are tried, as parts of the one in the runbook; the nearest first.
const FACTORS: [f64; 11] = [1.0, 1.5, 0.7, 2.0, 0.5, 3.0, 0.3, 5.0, 0.2, 10.0, 0.1];

/// Certainties that are tried.
const CERTAINTIES: [f64; 9] = [0.9, 0.95, 0.99, 0.995, 0.999, 0.999_5, 0.999_9, 0.999_99, 0.999_999];

/// "Worse than" can be asked of no higher share.
const MOST_SHARE: f64 = 0.5;

/// A trigger, judged by the past.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
}

/// What it would have done while nothing was released.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_verdict: Option<String>,
}

/// What it would have done in a past run, and what was done. Times are milliseconds from the moment users met the new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunJudged {
    /// The run.
    pub run_id: String,
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

/// What would have been quiet in harmless times and still have caught the runs that were rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "advice", content = "text", rename_all = "snake_case")]
pub enum Advice {
    /// The trigger as it is.
    Keep,
    /// This one instead.
    Instead(String),
    /// None of those tried; why.
    None(String),
}

/// What all windows and runs say of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Score {
    false_alarms: usize,
    missed: usize,
}

impl Score {
    const PERFECT: Self = Self { false_alarms: 0, missed: 0 };
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
            rolled_back: run.rolled_back.map(|(at, _)| since(at)),
            by: run.rolled_back.map(|(_, by)| by),
            measured: measured.is_enough(),
            would_fire: self::fires(watch, metric, window, measured, &mut no_verdicts).map(since),
            did_fire: did.map(|it| since(it.at)),
        }
    });
    let judged_runs = judged_runs.collect();
    told.fired = fired;
    let bad: Vec<&Measured> = runs
        .iter()
        .filter(|(run, measured)| run.was_bad() && measured.is_enough())
        .map(|(_, measured)| measured)
        .collect();
    let advice = if enough.is_empty() && bad.is_empty() {
        Advice::None("too little was measured".to_owned())
    } else {
        match watch.rule {
            Rule::Fixed { when, hold_for } => better_bound(watch, metric, when, hold_for, &enough, &bad),
            Rule::Worse(claim) => better_claim(claim, metric, window, &enough, &bad),
        }
    };
    Some(Judged {
        trigger: trigger.reason.clone(),
        metric: watch.metric.0.clone(),
        by_evidence: watch.rule.worse().is_some(),
        harmless: told,
        runs: judged_runs,
        advice,
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

fn better_bound(
    watch: &TriggerWatch,
    metric: &Metric,
    when: Bound,
    hold_for: Span,
    harmless: &[&Measured],
    bad: &[&Measured],
) -> Advice {
    for factor in FACTORS {
        let when = Bound { value: when.value * factor, ..when };
        let candidate = TriggerWatch { rule: Rule::Fixed { when, hold_for }, ..watch.clone() };
        let score = Score {
            false_alarms: harmless.iter().filter(|it| it.fires(&candidate).is_some()).count(),
            missed: bad.iter().filter(|it| it.fires(&candidate).is_none()).count(),
        };
        if score == Score::PERFECT {
            return if (factor - 1.0).abs() < f64::EPSILON {
                Advice::Keep
            } else {
                Advice::Instead(format!("{} for {hold_for}", when.show(metric.unit)))
            };
        }
    }
    Advice::None("none of the bounds tried is quiet and catches what was rolled back".to_owned())
}

fn better_claim(
    claim: Worse,
    metric: &Metric,
    window: Span,
    harmless: &[&Measured],
    bad: &[&Measured],
) -> Advice {
    let mut certainties = CERTAINTIES.map(|certainty| (certainty, (1.0 - certainty).ln()));
    let declared = claim.alpha().ln();
    certainties.sort_by(|a, b| (a.1 - declared).abs().total_cmp(&(b.1 - declared).abs()));
    let certainties = std::iter::once((claim.certainty, declared)).chain(certainties);
    for factor in FACTORS {
        let than = match claim.than {
            Than::Share(share) if share * factor <= MOST_SHARE => Than::Share(share * factor),
            Than::Before if (factor - 1.0).abs() < f64::EPSILON => Than::Before,
            Than::Share(_) | Than::Before => continue,
        };
        // The certainty moves only the line that the evidence must reach, so one reckoning is enough for all.
        let highest = |measured: &&Measured| {
            measured
                .weigh(Worse { than, ..claim }, metric, window)
                .map_or(f64::NEG_INFINITY, |weighed| weighed.highest)
        };
        let harmless: Vec<f64> = harmless.iter().map(highest).collect();
        let bad: Vec<f64> = bad.iter().map(highest).collect();
        for (certainty, ln_alpha) in certainties.clone() {
            let score = Score {
                false_alarms: harmless.iter().filter(|ln_e| **ln_e >= -ln_alpha).count(),
                missed: bad.iter().filter(|ln_e| **ln_e < -ln_alpha).count(),
            };
            if score == Score::PERFECT {
                let found = Worse { than, certainty, ..claim };
                return if found == claim {
                    Advice::Keep
                } else {
                    let certainty = Unit::Percent.show_beside(certainty, [1.0]);
                    Advice::Instead(format!("{} with {certainty} certainty", than.show()))
                };
            }
        }
    }
    Advice::None(
        "none of the shares and certainties tried is quiet and catches what was rolled back".to_owned(),
    )
}
