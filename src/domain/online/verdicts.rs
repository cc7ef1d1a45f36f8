//! Whether there is traffic enough for a verdict within the window, and how long one would take.

use super::{
    finding::{Area, Finding},
    picture::Measured,
};
use crate::domain::{
    evidence::{outlook::time_to_verdict, terms::Terms},
    metric::{Metric, Unit},
    runbook::Runbook,
    time::Span,
    worse::{Than, Worse},
};

/// A release that is so many times as bad as it may be must be found within the window.
const CLEARLY: f64 = 10.0;
/// A window that the runbook does not have is taken for this long.
const NO_WINDOW: Span = Span::from_mins(15);
/// What is taken for harmless where only the past would say.
const USUAL: f64 = 0.001;

/// What a trigger that evidence decides makes of the traffic there is; nothing where nobody knows how much that is.
pub(super) fn traffic(
    reason: &str,
    worse: Worse,
    runbook: &Runbook,
    metric: &Metric,
    mine: &[&Measured],
) -> Option<Finding> {
    // The slot with the users: it is what the new one will get.
    let per_second = mine.iter().filter_map(|measured| measured.per_second).reduce(f64::max)?;
    let p0 = match worse.than {
        Than::Share(share) => share,
        Than::Before => metric.normal.map_or(USUAL, |bound| bound.value.clamp(1e-6, 0.5)),
    };
    let window = runbook.steps.iter().filter_map(|step| step.window).map(|window| window.lasts).max();
    let window = window.unwrap_or(NO_WINDOW);
    let starts = Terms::starts(window, metric.interval);
    let terms = Terms::new(p0, worse.alpha(), starts, f64::from(worse.at_least));
    let rate = (p0 * CLEARLY).min(1.0);
    let takes = time_to_verdict(terms, rate, per_second, metric.interval);
    let (often, bad) = (format!("{per_second:.1} events a second"), Unit::Percent.show(rate));
    Some(match takes.filter(|takes| *takes <= window) {
        Some(takes) => Finding::fine(
            Area::Triggers,
            reason,
            format!("can fire: with {often} it finds {bad} after about {}", takes.short()),
        ),
        None => Finding::warn(
            Area::Triggers,
            reason,
            format!(
                "too little traffic for any verdict within the window of {window}: with {often} it would take {} to find {bad}",
                takes.map_or_else(
                    || "more than 30 days".to_owned(),
                    |takes: Span| format!("about {}", takes.short())
                )
            ),
            "make the window longer, or judge it by a fixed rule and by hand",
        ),
    })
}
