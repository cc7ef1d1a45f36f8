//! What is measured, and what of it fires.

use std::collections::BTreeSet;

use super::{
    draft::{Draft, Entry, Metric},
    findings::Ledger,
    metrics::{self, Apart, Kind},
};
use crate::domain::time::Span;

/// A metric with its name.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) id: String,
    pub(super) metric: Metric,
    pub(super) query: String,
    pub(super) per_slot: bool,
    /// It is what services usually have, or nothing at all.
    pub(super) guessed: bool,
    pub(super) whole: bool,
}

/// A trigger.
#[derive(Debug, Clone)]
pub(super) struct Fires {
    pub(super) reason: String,
    /// Metric, bound, how long.
    pub(super) measured: Option<(String, String, Option<Span>)>,
    pub(super) comments: Vec<String>,
}

pub(super) fn is(known: &Measured, kind: &Kind) -> bool {
    let id = metrics::id(kind);
    known.id == id || metrics::alike(&known.id, &id)
}

/// Metrics of tables and lists, and those that checks and triggers state.
pub(super) fn measured(draft: &Draft, apart: Apart, ledger: &mut Ledger) -> Vec<Measured> {
    let mut all: Vec<Measured> = Vec::new();
    let mut add = |metric: Metric, kind: Kind, all: &mut Vec<Measured>| {
        if all.iter().any(|known| is(known, &kind)) {
            return false;
        }
        let id = metrics::id(&kind);
        let custom = metrics::query(&kind, apart);
        let whole = metric.query.is_some() || custom.is_some();
        let guessed = metric.query.is_none();
        let per_slot = guessed && custom.is_some() && apart == Apart::Slots;
        let query = metric.query.clone().or(custom).unwrap_or_else(|| format!("todo_{id}"));
        if guessed {
            ledger.decide(metric.line, &format!("metric {id}: fill in its query"));
        }
        all.push(Measured { id, metric, query, per_slot, guessed, whole });
        true
    };
    for metric in &draft.metrics {
        let kind = metrics::measured_kind(&metric.title, "", metric.unit);
        let mut metric = metric.clone();
        if metric.normal.is_some() && metric.alert.is_some() && overlaps(&metric) {
            metric.comments.push(format!(
                "the page's normal range, {}, overlaps the alert",
                metric.normal.take().unwrap_or_default()
            ));
        }
        let bounds: Vec<&str> =
            [&metric.normal, &metric.alert].into_iter().flatten().map(String::as_str).collect();
        let told = format!("{}: {}", metric.title, bounds.join(" "));
        let (unit, normal, alert) = (metric.unit, metric.normal.clone(), metric.alert.clone());
        let query = metric.query.clone();
        if !add(metric, kind.clone(), &mut all)
            && let Some(known) = all.iter_mut().find(|known| is(known, &kind))
        {
            // What one place says of the normal and another of the alert belongs together.
            if known.metric.unit == unit {
                known.metric.normal = known.metric.normal.take().or(normal);
                known.metric.alert = known.metric.alert.take().or(alert);
                if overlaps(&known.metric) {
                    known.metric.normal = None;
                }
            }
            if let Some(asked) = query.filter(|_| known.guessed) {
                (known.query, known.guessed, known.whole, known.per_slot) = (asked, false, true, false);
            }
            known.metric.comments.push(told);
        }
    }
    let checks = draft
        .steps
        .iter()
        .flat_map(|step| &step.entries)
        .chain(draft.rollbacks.iter().flat_map(|procedure| &procedure.entries))
        .chain(&draft.completion);
    let stated: Vec<(String, usize)> = checks
        .filter_map(|entry| match entry {
            Entry::Item(point) => Some((point.text.clone(), point.line)),
            Entry::Command(_) => None,
        })
        .chain(draft.triggers.iter().map(|trigger| (trigger.text.clone(), trigger.line)))
        .collect();
    for (text, line) in stated {
        let Some((kind, found, title)) = metrics::stated(&text) else { continue };
        if metrics::query(&kind, apart).is_none() {
            continue;
        }
        let metric = Metric {
            title,
            unit: found.unit,
            normal: None,
            alert: None,
            action: None,
            query: None,
            line,
            comments: Vec::new(),
        };
        add(metric, kind, &mut all);
    }
    all
}

fn overlaps(metric: &Metric) -> bool {
    use crate::domain::{metric::Op, verdict::parse_bound};
    let read =
        |bound: &Option<String>| bound.as_deref().and_then(|bound| parse_bound(bound, metric.unit).ok());
    let (Some(normal), Some(alert)) = (read(&metric.normal), read(&metric.alert)) else { return false };
    let below = |op: Op| matches!(op, Op::Lt | Op::Le);
    match (below(normal.op), below(alert.op)) {
        (true, false) => alert.value < normal.value,
        (false, true) => normal.value < alert.value,
        _ => true,
    }
}

pub(super) fn triggers(draft: &Draft, metrics: &[Measured], quick: bool, ledger: &mut Ledger) -> Vec<Fires> {
    let mut all: Vec<Fires> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for trigger in &draft.triggers {
        if !seen.insert(trigger.text.as_str()) {
            continue;
        }
        let mut fires = Fires { reason: trigger.text.clone(), measured: None, comments: Vec::new() };
        if let Some((kind, found, _)) = metrics::stated(&trigger.text)
            && let Some(known) =
                metrics.iter().find(|known| is(known, &kind) && known.metric.unit == found.unit)
        {
            let lasts = trigger.lasts.filter(|lasts| *lasts >= Span::from_secs(15));
            if known.whole {
                fires.measured = Some((known.id.clone(), found.bound, lasts));
                if lasts.is_none() {
                    fires.comments.push(
                        "TODO: the page does not say for how long; 5m is the default of `for`".to_owned(),
                    );
                    ledger.decide(trigger.line, "a trigger: how long must it last?");
                }
            } else {
                let id = &known.id;
                fires.comments.push(format!("TODO: once [metrics.{id}] has its query, make it fire by itself: metric = \"{id}\", when = \"{}\"", found.bound));
                ledger.decide(
                    trigger.line,
                    &format!("a trigger: a person chooses it until [metrics.{id}] has a query"),
                );
            }
        }
        if fires.measured.is_some() && !quick {
            fires
                .comments
                .push("TODO: the page has no rollback, so this asks; add [rollback.quick]".to_owned());
        }
        all.push(fires);
    }
    all
}
