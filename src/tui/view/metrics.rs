//! Metrics: a line each, per slot where they are; on their own page with axes and both bounds.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    symbols::Marker,
    text::{Line, Span as TextSpan},
    widgets::{Axis, Chart, Dataset, GraphType, Widget},
};

use super::{
    body::rows_around,
    header::{self, verdict_style},
};
use crate::{
    domain::{
        id::SlotName,
        metric::{Metric, Missing, Op, Verdict},
        run::Run,
        safe_text::SafeText,
        time::Span,
    },
    tui::{
        model::{
            Model, Pane,
            telemetry::{Reading, SeriesKey},
        },
        subject,
        widget::{
            row::{Row, shorten},
            sparkline::bars,
        },
    },
};

/// A line of the pane: a metric of a slot, and whether its title is said.
type Entry<'a> = (usize, &'a Metric, Option<SlotName>);

pub(super) fn draw(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(area.width);
    if run.runbook.metrics.is_empty() {
        return Row::of(" This runbook measures nothing.", look.dim()).draw(area, buffer);
    }
    if model.looks_back() {
        return Row::of(" This run is over: nothing is measured.", look.dim()).draw(area, buffer);
    }
    let focused = model.cursor.focus == Pane::Metrics && model.layers.is_empty();
    let area = match header::first_metric(run) {
        // With room to spare the metric that decides is drawn with its axes and bounds.
        Some(metric) if area.height >= 14 && area.width >= 70 => {
            let plot = Rect { height: (area.height - 7).min(12), ..area };
            chart(model, run, metric, plot, buffer);
            Rect { y: plot.bottom(), height: area.height - plot.height, ..area }
        }
        _ => area,
    };
    let height = usize::from(area.height);
    let entries = entries(model, run, if focused { usize::MAX } else { height });
    let selected = entries.iter().position(|(index, ..)| focused && *index == model.cursor.metric);
    let hidden = hidden(model, run, &entries);
    let mut rows = Vec::new();
    let mut last = None;
    for (index, metric, slot) in &entries {
        let row = row(model, run, metric, slot.as_ref(), last != Some(*index), width);
        last = Some(*index);
        rows.push(if selected.is_some_and(|selected| entries[selected].0 == *index) {
            row.over(look.strong())
        } else {
            row
        });
    }
    if let Some(words) = hidden.filter(|_| !focused) {
        rows.truncate(height.saturating_sub(1));
        rows.push(words);
    }
    rows_around(rows, selected.unwrap_or(0), area, model, buffer);
}

/// What fits: first every metric for the slot that matters, then the other slot's lines for as many as there is room.
/// What is not well is never left out.
fn entries<'a>(model: &Model, run: &'a Run, height: usize) -> Vec<Entry<'a>> {
    let slots = subject::slots(model);
    let watched = subject::live(model).or_else(|| subject::watched_slot(model));
    let metrics = &run.runbook.metrics;
    let mut chosen: Vec<usize> = (0..metrics.len()).collect();
    if chosen.len() > height {
        let room = height.saturating_sub(1);
        let ill = |index: &usize| {
            let reading = model.telemetry.reading(&metrics[*index], watched.as_ref(), model.now);
            reading.verdict != Verdict::Ok && reading.age.is_some()
        };
        let (mut first, rest): (Vec<usize>, Vec<usize>) = chosen.into_iter().partition(ill);
        first.extend(rest);
        first.truncate(room);
        first.sort_unstable();
        chosen = first;
    }
    let mut spare = height.saturating_sub(chosen.len());
    let mut entries = Vec::new();
    for index in chosen {
        let metric = &metrics[index];
        if !metric.per_slot {
            entries.push((index, metric, None));
            continue;
        }
        entries.push((index, metric, watched.clone()));
        for slot in slots.iter().filter(|slot| Some(*slot) != watched.as_ref()) {
            if spare > 0 {
                spare -= 1;
                entries.push((index, metric, Some(slot.clone())));
            }
        }
    }
    entries
}

/// How many metrics are not shown, and how they are.
fn hidden(model: &Model, run: &Run, entries: &[Entry<'_>]) -> Option<Row> {
    let look = model.look;
    let slot = subject::live(model);
    let rest = run
        .runbook
        .metrics
        .iter()
        .enumerate()
        .filter(|(index, _)| !entries.iter().any(|(shown, ..)| shown == index));
    let verdicts: Vec<(&Metric, Verdict)> = rest
        .map(|(_, metric)| (metric, model.telemetry.reading(metric, slot.as_ref(), model.now).verdict))
        .collect();
    let (count, &(worst, verdict)) = (verdicts.len(), verdicts.iter().max_by_key(|(_, verdict)| *verdict)?);
    let ill = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Ok).count();
    Some(match ill {
        0 => Row::of(format!(" +{count} more, all "), look.dim()).put("ok", look.ok()),
        1 => Row::of(format!(" +{count} more; {}: {}", worst.title, verdict.word()), look.warn()),
        _ => Row::of(
            format!(" +{count} more, {ill} of them not ok; {}: {}", worst.title, verdict.word()),
            look.warn(),
        ),
    })
}

fn row(
    model: &Model,
    run: &Run,
    metric: &Metric,
    slot: Option<&SlotName>,
    titled: bool,
    width: usize,
) -> Row {
    let look = model.look;
    let title_width = if width < 70 { 15 } else { 24 };
    let title = if titled { shorten(&metric.title, title_width) } else { String::new() };
    let mut row = Row::of(" ", look.text()).put(title, look.text()).to(title_width + 2);
    if let Some(slot) = slot {
        row = row.put(shorten(&slot.0.to_uppercase(), 5), look.slot(&slot.0));
    }
    row = row.to(title_width + 8);
    let reading = model.telemetry.reading(metric, slot, model.now);
    let right = value(model, metric, slot, &reading);
    let right_width = 19.min(width.saturating_sub(row.width()));
    let room = width.saturating_sub(row.width() + right_width + 1);
    let style = match reading.verdict {
        Verdict::Alert => look.alert(),
        _ => slot.map_or(look.text(), |slot| look.slot(&slot.0)),
    };
    row = row.put(spark(model, run, metric, slot, room), style).put(" ", look.text());
    row.join(right.fit(right_width))
}

/// The number, its verdict in a word, its age; or why there is none.
fn value(model: &Model, metric: &Metric, slot: Option<&SlotName>, reading: &Reading) -> Row {
    let look = model.look;
    let age = reading.age.map(|age| format!("{:>3}", age.short())).unwrap_or_default();
    let Some(number) = reading.value else { return missing(model, slot, reading) };
    Row::of(format!("{:>8}", metric.unit.show(number)), look.strong())
        .put(" ", look.text())
        .put(format!("{:<6}", reading.verdict.word()), verdict_style(look, reading.verdict))
        .put(age, look.dim())
}

fn missing(model: &Model, slot: Option<&SlotName>, reading: &Reading) -> Row {
    let look = model.look;
    let idle = slot.is_some() && subject::live(model).as_ref() != slot;
    match &reading.why {
        // A slot that nobody asks has no rates: that is no fault, and no number either.
        Some(Missing::NoData | Missing::NotANumber | Missing::ZeroByZero | Missing::EmptyRatio) | None
            if idle =>
        {
            Row::of("  no traffic", look.dim())
        }
        None => Row::of("  not measured yet", look.dim()),
        Some(why) if why.is_no_traffic() => {
            Row::of(" NO TRAFFIC ", look.alert()).put(why.to_string(), look.dim())
        }
        Some(why) => Row::of(" NO DATA ", look.alert()).put(why.to_string(), look.dim()),
    }
}

fn key(metric: &Metric, slot: Option<&SlotName>) -> SeriesKey {
    (metric.id.clone(), if metric.per_slot { slot.cloned() } else { None })
}

fn spark(model: &Model, run: &Run, metric: &Metric, slot: Option<&SlotName>, width: usize) -> String {
    let Some(series) = model.telemetry.series.get(&key(metric, slot)) else {
        return bars(&[], 0.0, 1.0, width);
    };
    let values: Vec<Option<f64>> = series.iter().map(|(_, value)| value).collect();
    let (low, high) = scale(model, run, metric, width);
    bars(&values, low, high, width)
}

/// From where to where a metric is drawn: both slots alike, with its bounds inside, so that a line that reaches the top
/// (or the bottom, where less is worse) has left its range.
fn scale(model: &Model, run: &Run, metric: &Metric, points: usize) -> (f64, f64) {
    let slots = if metric.per_slot {
        run.runbook
            .target
            .as_ref()
            .map(|target| target.slots.keys().cloned().map(Some).collect())
            .unwrap_or_default()
    } else {
        vec![None]
    };
    let values = slots
        .iter()
        .filter_map(|slot: &Option<SlotName>| model.telemetry.series.get(&key(metric, slot.as_ref())));
    let seen = values.flat_map(|series| {
        series.iter().rev().take(points).filter_map(|(_, value)| value).collect::<Vec<_>>()
    });
    let bounds = [metric.normal, metric.alert].into_iter().flatten().map(|bound| bound.value);
    let all: Vec<f64> = seen.chain(bounds).filter(|value| value.is_finite()).collect();
    let high = all.iter().copied().fold(f64::MIN, f64::max);
    let low = all.iter().copied().fold(f64::MAX, f64::min);
    if all.is_empty() {
        return (0.0, 1.0);
    }
    let less_is_worse =
        metric.alert.or(metric.normal.filter(|_| metric.alert.is_none())).is_some_and(|bound| {
            matches!((bound.op, metric.alert.is_some()), (Op::Lt | Op::Le, true) | (Op::Gt | Op::Ge, false))
        });
    if metric.normal.is_none() && metric.alert.is_none() {
        // Nothing to measure it by: in the middle, so that both ways can be seen.
        return (low.min(0.0), high.max(f64::MIN_POSITIVE) * 1.5);
    }
    let span = (high - low).max(high.abs() * 0.01).max(f64::MIN_POSITIVE);
    // What is as it should be stays clear of the edge that means trouble, and of the other one as well.
    let lowest = low;
    let range = if less_is_worse {
        (low - span * 0.3, high + span * 0.4)
    } else {
        (low.min(0.0), high.max(f64::MIN_POSITIVE))
    };
    // What is never below zero is not drawn as if it could be.
    if lowest >= 0.0 { (range.0.max(0.0), range.1) } else { range }
}

/// A slot's line in a chart: seconds before now, and values.
type Curve = (Option<SlotName>, Vec<(f64, f64)>);

/// One metric with axes, both bounds and a line for each slot.
pub(super) fn chart(model: &Model, run: &Run, metric: &Metric, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let slots: Vec<Option<SlotName>> =
        if metric.per_slot { subject::slots(model).into_iter().map(Some).collect() } else { vec![None] };
    let span = shown_span(model, &slots, metric);
    let seconds = seconds(span);
    let lines: Vec<Curve> = slots
        .into_iter()
        .map(|slot| {
            let points =
                model.telemetry.series.get(&key(metric, slot.as_ref())).into_iter().flat_map(|series| {
                    series.iter().filter_map(|(at, value)| {
                        let ago = model.now.since(at);
                        (ago <= span).then_some((-self::seconds(ago), value?))
                    })
                });
            let points = points.collect();
            (slot, points)
        })
        .collect();
    let most = usize::from(area.width) * 2;
    let (low, high) = scale(model, run, metric, most.max(1_000));
    let pad = ((high - low) * 0.08).max(f64::MIN_POSITIVE);
    let bound_line =
        |bound: Option<f64>| bound.map(|value| vec![(-seconds, value), (0.0, value)]).unwrap_or_default();
    let normal = bound_line(metric.normal.map(|bound| bound.value));
    let alert = bound_line(metric.alert.map(|bound| bound.value));
    let marker = if model.look.0.ascii { Marker::Dot } else { Marker::Braille };
    let set = |data, style: Style| {
        Dataset::default().marker(marker).graph_type(GraphType::Line).data(data).style(style)
    };
    let mut sets = vec![set(normal.as_slice(), look.dim()), set(alert.as_slice(), look.alert())];
    for (slot, points) in &lines {
        sets.push(set(points.as_slice(), slot.as_ref().map_or(look.strong(), |slot| look.slot(&slot.0))));
    }
    let label = |text: String| Line::from(TextSpan::styled(String::from(SafeText::from(text)), look.dim()));
    let x = Axis::default()
        .bounds([-seconds, 0.0])
        .labels([label(format!("{} ago", span.clock())), label("now".to_owned())])
        .style(look.dim());
    let floor = if low >= 0.0 { (low - pad).max(0.0) } else { low - pad };
    let middle = f64::midpoint(floor, high + pad);
    let y = Axis::default()
        .bounds([floor, high + pad])
        .labels([floor, middle, high + pad].map(|value| label(metric.unit.show(value))))
        .style(look.dim());
    let plot = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    caption(model, metric, area, buffer);
    // The widget's labels need room; below it there is none for a line either.
    if plot.height >= 4 && plot.width >= 20 {
        Chart::new(sets).x_axis(x).y_axis(y).render(plot, buffer);
    }
}

fn seconds(span: Span) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "spans of minutes")]
    let ms = span.as_millis() as f64;
    ms / 1000.0
}

/// The past that is drawn: as much as there is, from two minutes to half an hour.
fn shown_span(model: &Model, slots: &[Option<SlotName>], metric: &Metric) -> Span {
    let oldest = slots
        .iter()
        .filter_map(|slot| {
            model.telemetry.series.get(&key(metric, slot.as_ref()))?.iter().next().map(|(at, _)| at)
        })
        .min();
    let past = oldest.map_or(Span::ZERO, |at| model.now.since(at));
    past.clamp(Span::from_mins(2), Span::from_mins(30))
}

/// Values by slot, both bounds in words, and what to do outside them.
fn caption(model: &Model, metric: &Metric, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let mut row = Row::of(" ", look.text()).put(&metric.title, look.strong());
    let slots: Vec<Option<SlotName>> =
        if metric.per_slot { subject::slots(model).into_iter().map(Some).collect() } else { vec![None] };
    for slot in slots {
        let reading = model.telemetry.reading(metric, slot.as_ref(), model.now);
        let idle = slot.is_some() && subject::live(model) != slot;
        if area.width < 80 && idle && reading.value.is_none() {
            continue;
        }
        row = row.put("   ", look.text());
        if let Some(slot) = &slot {
            row = row.put(slot.0.to_uppercase(), look.slot(&slot.0)).put(" ", look.text());
        }
        row = match reading.value {
            Some(value) => row
                .put(metric.unit.show(value), look.strong())
                .put(" ", look.text())
                .put(reading.verdict.word(), verdict_style(look, reading.verdict)),
            None => row.join(Row::of(missing(model, slot.as_ref(), &reading).text().trim(), look.dim())),
        };
    }
    let mut bounds = Row::new();
    if let Some(normal) = metric.normal {
        bounds = bounds.put(format!("normal {}  ", normal.show(metric.unit)), look.dim());
    }
    if let Some(alert) = metric.alert {
        bounds = bounds.put(format!("alert {} ", alert.show(metric.unit)), look.alert());
    }
    row.right(bounds, usize::from(area.width)).draw(area, buffer);
}
