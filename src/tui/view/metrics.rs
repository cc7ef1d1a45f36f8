//! Metrics: one line each, per slot if they are measured per slot, and charts if there is room.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    charts,
    header::{self, verdict_style},
    missing::missing,
    rows::rows_around,
};
use crate::{
    domain::{
        id::SlotName,
        metric::{Metric, Op, Verdict},
        run::Run,
        series::Series,
        verdict::judge,
    },
    tui::{
        model::{
            Model, Pane, Phase,
            telemetry::{Reading, SeriesKey},
        },
        subject, times,
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
    let area = draw_charts(model, run, area, buffer);
    if area.height == 0 {
        return;
    }
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

/// The least rows and columns of a chart in a pane; on low screens lines say more.
const CHART: (u16, u16) = (7, 56);
/// The lines that stay below a chart, and the highest that it grows above them.
const LINES: u16 = 7;
const HIGHEST: u16 = 13;

/// With room to spare the metrics that are worst off are drawn over time. In the window the table has all the numbers, so that
/// charts may have the whole pane. Gives what is left of it.
fn draw_charts(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) -> Rect {
    let window = model.phase() == Phase::Window;
    let least = if window { CHART.0 + charts::TIMES } else { CHART.0 + charts::TIMES + LINES - 1 };
    if area.height < least || area.width < CHART.1 {
        return area;
    }
    let count = if window { usize::from((area.height - charts::TIMES) / CHART.0) } else { 1 };
    let high =
        if window { area.height } else { (area.height - LINES).clamp(CHART.0 + charts::TIMES, HIGHEST) };
    let worst = subject::worst_first(model).into_iter().filter_map(|index| run.runbook.metrics.get(index));
    let charted: Vec<(&Metric, bool)> = worst.take(count).map(|metric| (metric, false)).collect();
    let place = Rect { height: high, ..area };
    charts::draw_column(model, run, times::live(model), &charted, place, buffer);
    Rect { y: area.y + high, height: if window { 0 } else { area.height - high }, ..area }
}

/// What fits: first every metric for the slot that matters, then the other slot's lines for as many as there is room.
/// What is not ok is never left out.
fn entries<'a>(model: &Model, run: &'a Run, height: usize) -> Vec<Entry<'a>> {
    let slots = subject::slots(model);
    let watched = subject::live(model).or_else(|| subject::watched_slot(model));
    let metrics = &run.runbook.metrics;
    let mut chosen: Vec<usize> = (0..metrics.len()).collect();
    if chosen.len() > height {
        let room = height.saturating_sub(1);
        let ill = |index: &usize| {
            let reading = model.measured().reading(&metrics[*index], watched.as_ref(), model.measured_at());
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
        .map(|(_, metric)| {
            (metric, model.measured().reading(metric, slot.as_ref(), model.measured_at()).verdict)
        })
        .collect();
    let (count, &(worst, verdict)) = (verdicts.len(), verdicts.iter().max_by_key(|(_, verdict)| *verdict)?);
    let ill = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Ok).count();
    Some(match ill {
        0 if model.phase() == Phase::RollingBack => {
            Row::of(format!(" {count} more, all within their limits"), look.dim())
        }
        0 => Row::of(format!(" {count} more, all "), look.dim()).put("ok", look.ok()),
        1 => Row::of(format!(" {count} more; {}: {}", worst.title, verdict.word()), look.warn()),
        _ => Row::of(
            format!(" {count} more, {ill} of them not ok; {}: {}", worst.title, verdict.word()),
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
    let reading = model.measured().reading(metric, slot, model.measured_at());
    let right_width = 21.min(width.saturating_sub(row.width()));
    let right = value(model, metric, slot, &reading, right_width);
    let room = width.saturating_sub(row.width() + right_width + 1);
    row = row.join(spark(model, run, metric, slot, room)).put(" ", look.text());
    row.join(right.fit(right_width))
}

/// The value, its verdict in a word, and the limit that decides; or why there is no value.
fn value(model: &Model, metric: &Metric, slot: Option<&SlotName>, reading: &Reading, width: usize) -> Row {
    let look = model.look;
    let Some(number) = reading.value else {
        let (word, why) = missing(model, slot, reading);
        let left = if why.is_empty() { "  " } else { " " };
        return Row::of(left, look.text()).join(word).put(" ", look.text()).put(why, look.dim());
    };
    if slot.is_some_and(|slot| subject::is_idle(model, slot)) {
        // What nobody meets is no alert, and what is left of a rate from before is not of now.
        return Row::of(format!("{:>8} idle", metric.show(number)), look.dim());
    }
    let style = verdict_style(look, reading.verdict);
    // The limit that decides stands beside the number.
    let limit =
        header::deciding(metric, reading.verdict).map(|limit| format!(" {limit}")).unwrap_or_default();
    let plain = if reading.verdict == Verdict::Ok { look.text() } else { style };
    let row = Row::of(format!("{:>8}", metric.show(number)), plain)
        .join(header::verdict_word(model, reading.verdict));
    // Its age only where it is not as young as it should be; that matters more than the limit.
    let late = reading.age.filter(|age| age.as_millis() > metric.interval.as_millis().saturating_mul(2));
    let more = [
        late.map(|age| Row::of(format!(" {} old", age.short()), look.warn())),
        Some(Row::of(limit, look.dim())),
    ];
    more.into_iter()
        .flatten()
        .fold(row, |row, more| if row.width() + more.width() <= width { row.join(more) } else { row })
}

fn key(metric: &Metric, slot: Option<&SlotName>) -> SeriesKey {
    (metric.id.clone(), if metric.per_slot { slot.cloned() } else { None })
}

/// Bars of the last samples. What is healthy is dim, and of what is not only the part that is not has a colour.
fn spark(model: &Model, run: &Run, metric: &Metric, slot: Option<&SlotName>, width: usize) -> Row {
    let look = model.look;
    let series = model.measured().series.get(&key(metric, slot));
    let values: Vec<Option<f64>> =
        series.into_iter().flat_map(Series::iter).map(|(_, value)| value).collect();
    let (low, high) = scale(model, run, metric, width);
    let drawn = bars(&values, low, high, width);
    // The newest is at the right, and before the first there is nothing.
    let shown = values.iter().rev().map(Some).chain(std::iter::repeat(None)).take(width);
    let shown: Vec<Option<&Option<f64>>> = shown.collect();
    drawn.chars().zip(shown.into_iter().rev()).fold(Row::new(), |row, (bar, value)| {
        let verdict = value.copied().flatten().map(|value| judge(metric, &Ok(value)));
        let style = match verdict {
            Some(Verdict::Alert) => look.alert(),
            Some(Verdict::Warn) => look.warn(),
            Some(Verdict::Ok | Verdict::Missing) | None => look.dim(),
        };
        row.put(bar.to_string(), style)
    })
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
        .filter_map(|slot: &Option<SlotName>| model.measured().series.get(&key(metric, slot.as_ref())));
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
