//! What the metrics did, over clock time, with the moves of the traffic and the rollback: as curves for the page, and in words
//! for whoever cannot see them.

pub mod svg;

use super::measured::{Measured, Point};
use crate::domain::{
    clock_axis::ClockAxis,
    event::{Envelope, RunEvent},
    id::SlotName,
    metric::{Metric, Unit, Verdict},
    run::Run,
    scale::{Limit, Scale},
    time::{Span, Timestamp},
    verdict::judge,
};

/// Two samples that are further apart than this many intervals are not joined.
const FRESH: u64 = 3;
/// What is drawn before the first step and after the end.
const AROUND: Span = Span::from_mins(2);

/// Something that happened at a time and is a line in every chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// In a few words.
    pub text: String,
    /// Whether it is an order to go back, and no move of traffic.
    pub is_rollback: bool,
}

/// What one metric did.
#[derive(Debug, Clone)]
pub struct Chart {
    /// The metric.
    pub id: String,
    /// Its name.
    pub title: String,
    /// Its curves, the new slot's last, so that it lies on top.
    pub curves: Vec<Curve>,
    /// The limits, with their words.
    pub limits: Vec<(Limit, String)>,
    /// The value axis.
    pub scale: Scale,
    /// The time axis, the same for all charts of a report.
    pub axis: ClockAxis,
    /// What it shows, in words.
    pub words: String,
}

/// Whose curve it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The slot that got the new version.
    New,
    /// Any other slot.
    Other,
    /// Of no slot.
    Whole,
}

/// One curve.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Whose.
    pub whose: Whose,
    /// Its name in the legend.
    pub name: String,
    /// Whether only the journal tells of it: a mean or single values, no samples.
    pub told: bool,
    /// Points that are joined; between two pieces nobody knows.
    pub pieces: Vec<Vec<(Timestamp, f64)>>,
    /// Where it was in the alert range, from and to.
    pub alerts: Vec<(Timestamp, Timestamp)>,
}

/// What is marked: every move of the traffic, and the beginning of every rollback.
pub fn marks(run: &Run) -> Vec<Mark> {
    let name = |slot: &SlotName| slot.as_str().to_uppercase();
    let mut marks: Vec<Mark> = run
        .moves
        .iter()
        .map(|(at, _, to)| {
            let back = run.rollbacks.iter().any(|rollback| rollback.started_at <= *at);
            let text =
                if back { format!("back on {}", name(to)) } else { format!("traffic to {}", name(to)) };
            Mark { at: *at, text, is_rollback: false }
        })
        .collect();
    if let Some(met) = run.met_at.filter(|met| marks.iter().all(|mark| mark.at != *met)) {
        marks.push(Mark { at: met, text: "first users".to_owned(), is_rollback: false });
    }
    if let Some(left) = run.left_at.filter(|left| marks.iter().all(|mark| mark.at != *left)) {
        marks.push(Mark { at: left, text: "last users".to_owned(), is_rollback: false });
    }
    marks.extend(run.rollbacks.iter().map(|rollback| Mark {
        at: rollback.started_at,
        text: "rollback".to_owned(),
        is_rollback: true,
    }));
    marks.sort_by_key(|mark| mark.at);
    marks
}

/// A chart of each metric of which something is known, those first that a trigger watches.
pub fn charts(run: &Run, events: &[Envelope], measured: &Measured, marks: &[Mark]) -> Vec<Chart> {
    let axis = axis(run);
    // The metric whose trigger fired first comes first, then what is watched at all.
    let rank = |metric: &Metric| {
        let triggers = run.runbook.triggers.iter().zip(&run.triggers);
        let watched =
            triggers.filter(|(it, _)| it.watch.as_ref().is_some_and(|watch| watch.metric == metric.id));
        let fired = watched.clone().filter_map(|(_, state)| state.fired.as_ref().map(|(at, _)| *at)).min();
        (fired.is_none(), fired, watched.count() == 0)
    };
    let mut metrics: Vec<&Metric> = run.runbook.metrics.iter().collect();
    metrics.sort_by_key(|metric| rank(metric));
    metrics.into_iter().filter_map(|metric| chart(run, events, measured, metric, axis, marks)).collect()
}

/// From shortly before the first step to shortly after the end.
fn axis(run: &Run) -> ClockAxis {
    let from = run.started_at.unwrap_or(run.opened_at) - AROUND;
    let to = run.finished.as_ref().map_or(run.last_at, |(_, at, _)| *at) + AROUND;
    ClockAxis { from, to }
}

fn chart(
    run: &Run,
    events: &[Envelope],
    measured: &Measured,
    metric: &Metric,
    axis: ClockAxis,
    marks: &[Mark],
) -> Option<Chart> {
    let mut curves = drawn(run, measured, metric, axis);
    if curves.is_empty() {
        curves = told(run, events, metric);
    }
    if curves.is_empty() {
        return None;
    }
    curves.sort_by_key(|curve| curve.whose == Whose::New);
    let declared = Limit::of(metric);
    let limits: Vec<(Limit, String)> =
        declared.iter().map(|limit| (*limit, limit_words(limit, metric))).collect();
    let seen = curves.iter().flat_map(|curve| curve.pieces.iter().flatten()).map(|(_, value)| *value);
    let scale = Scale::new(metric, &declared, seen, svg::ROWS);
    let words = words(metric, &curves, &limits, marks);
    Some(Chart { id: metric.id.to_string(), title: metric.title.clone(), curves, limits, scale, axis, words })
}

/// What was measured of a metric in the time that is shown, a curve for each slot.
fn drawn(run: &Run, measured: &Measured, metric: &Metric, axis: ClockAxis) -> Vec<Curve> {
    let slots = measured.slots(&metric.id).into_iter();
    let curves = slots.filter_map(|slot| {
        let points = measured.lane(&metric.id, slot)?;
        let within = points.iter().filter(|(at, _)| *at >= axis.from && *at <= axis.to);
        let (whose, name) = named(run, slot);
        let pieces = pieces(within.copied(), metric.interval);
        let alerts = alerts(metric, &pieces);
        (!pieces.is_empty()).then_some(Curve { whose, name, told: false, alerts, pieces })
    });
    curves.collect()
}

fn limit_words(limit: &Limit, metric: &Metric) -> String {
    let bound = if limit.alert { metric.alert } else { metric.normal };
    let words = bound.map(|bound| bound.show(metric.unit)).unwrap_or_default();
    format!("{} {words}", if limit.alert { "alert" } else { "normal" })
}

/// By role and version: colours change sides with every deployment, and mean nothing a week later.
fn named(run: &Run, slot: Option<&SlotName>) -> (Whose, String) {
    let Some(slot) = slot else { return (Whose::Whole, "all".to_owned()) };
    let (whose, version) = if run.opened.new_slot.as_ref() == Some(slot) {
        (Whose::New, run.new_version().map(|version| format!("new, {version}")))
    } else {
        let previous = run.opened.previous.as_ref().is_some_and(|target| target.slot == *slot);
        (
            Whose::Other,
            run.previous_version().filter(|_| previous).map(|version| format!("before, {version}")),
        )
    };
    let version = version.map(|version| format!(" ({version})")).unwrap_or_default();
    (whose, format!("{}{version}", slot.as_str().to_uppercase()))
}

/// Points that may be joined: neither over a missing sample nor over a long time without one.
fn pieces(points: impl Iterator<Item = Point>, interval: Span) -> Vec<Vec<(Timestamp, f64)>> {
    let longest = Span::from_millis(interval.as_millis().saturating_mul(FRESH));
    let mut pieces: Vec<Vec<(Timestamp, f64)>> = Vec::new();
    let mut last: Option<Timestamp> = None;
    for (at, value) in points {
        let Some(value) = value else {
            last = None;
            continue;
        };
        match pieces.last_mut().filter(|_| last.is_some_and(|last| at.since(last) <= longest)) {
            Some(piece) => piece.push((at, value)),
            None => pieces.push(vec![(at, value)]),
        }
        last = Some(at);
    }
    pieces
}

/// What the journal itself tells where no samples were kept: the mean before the switch, and values that a trigger told of.
fn told(run: &Run, events: &[Envelope], metric: &Metric) -> Vec<Curve> {
    let of = |slot: Option<&SlotName>, words: &str, pieces: Vec<Vec<(Timestamp, f64)>>| {
        let (whose, name) = named(run, slot);
        let (name, alerts) = (format!("{name}: {words}"), alerts(metric, &pieces));
        (!pieces.is_empty()).then_some(Curve { whose, name, told: true, pieces, alerts })
    };
    let slots: Vec<Option<SlotName>> = if metric.per_slot {
        run.opened.previous.iter().map(|target| Some(target.slot.clone())).collect()
    } else {
        vec![None]
    };
    let recorded = |it: &&Envelope| matches!(it.event, RunEvent::BaselineRecorded { .. });
    let until = events.iter().rev().find(recorded).map(|envelope| envelope.at);
    let mut curves = Vec::new();
    for slot in slots {
        let mean = run.baseline.get(&Run::baseline_key(&metric.id, slot.as_ref()));
        let mean = mean.filter(|mean| mean.is_finite()).zip(until);
        let from = run.started_at.unwrap_or(run.opened_at);
        let piece = mean.map(|(mean, until)| vec![vec![(from.min(until), *mean), (until, *mean)]]);
        curves.extend(of(slot.as_ref(), "mean before the switch", piece.unwrap_or_default()));
    }
    let slot = run.judged_slot().filter(|_| metric.per_slot);
    curves.extend(of(slot.as_ref(), "values in the journal", values_told(run, events, metric)));
    curves
}

/// The values that triggers of a metric told of, each a point of its own: what lay between them nobody wrote down.
fn values_told(run: &Run, events: &[Envelope], metric: &Metric) -> Vec<Vec<(Timestamp, f64)>> {
    let watches = |trigger: usize| {
        let watch = run.runbook.triggers.get(trigger).and_then(|trigger| trigger.watch.as_ref());
        watch.is_some_and(|watch| watch.metric == metric.id)
    };
    let values = events.iter().filter_map(|envelope| match &envelope.event {
        RunEvent::TriggerBreaching { trigger, value, since, .. } if watches(*trigger) => {
            Some((*since, *value))
        }
        RunEvent::TriggerCleared { trigger, value: Some(value) } if watches(*trigger) => {
            Some((envelope.at, *value))
        }
        _ => None,
    });
    values.filter(|(_, value)| value.is_finite()).map(|point| vec![point]).collect()
}

/// Where a curve was in the alert range.
fn alerts(metric: &Metric, pieces: &[Vec<(Timestamp, f64)>]) -> Vec<(Timestamp, Timestamp)> {
    let mut alerts: Vec<(Timestamp, Timestamp)> = Vec::new();
    for piece in pieces {
        let mut open: Option<(Timestamp, Timestamp)> = None;
        for (at, value) in piece {
            if judge(metric, &Ok(*value)) == Verdict::Alert {
                open = Some((open.map_or(*at, |(from, _)| from), *at));
            } else {
                alerts.extend(open.take());
            }
        }
        alerts.extend(open);
    }
    alerts
}

/// What a chart shows, for whoever cannot see it.
fn words(metric: &Metric, curves: &[Curve], limits: &[(Limit, String)], marks: &[Mark]) -> String {
    let mut words: Vec<String> = Vec::new();
    for curve in curves {
        words.push(format!("{}: {}", curve.name, range(metric.unit, curve)));
        let alert = limits.iter().find(|(limit, _)| limit.alert).map_or("alert", |(_, words)| words.as_str());
        if let (Some((from, _)), Some((_, to))) = (curve.alerts.first(), curve.alerts.last()) {
            let times = if curve.alerts.len() > 1 {
                format!(", in {} stretches", curve.alerts.len())
            } else {
                String::new()
            };
            let span = if from == to {
                format!("at {}", from.clock())
            } else {
                format!("from {} to {}", from.clock(), to.clock())
            };
            words.push(format!("in the alert range ({alert}) {span} UTC{times}"));
        }
        if curve.pieces.len() > 1 && !curve.told {
            let gaps = curve.pieces.len() - 1;
            words.push(format!("{gaps} gap{} without samples", if gaps == 1 { "" } else { "s" }));
        }
    }
    let bounds: Vec<&str> = limits.iter().map(|(_, words)| words.as_str()).collect();
    if !bounds.is_empty() {
        words.push(format!("limits: {}", bounds.join(", ")));
    }
    let marked: Vec<String> = marks.iter().map(|mark| format!("{} {}", mark.text, mark.at.clock())).collect();
    if !marked.is_empty() {
        words.push(format!("marked: {}", marked.join(", ")));
    }
    format!("{}.", words.join("; "))
}

/// As it is shown: two values that look alike are one.
fn range(unit: Unit, curve: &Curve) -> String {
    let values = || curve.pieces.iter().flatten().map(|(_, value)| *value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let (least, most) = (unit.show(least), unit.show(most));
    if least == most { least } else { format!("{least} to {most}") }
}

#[cfg(test)]
mod tests;
