//! Checks and metrics of the window as one table: failing first, one line each, with the value, the limit that decides, its
//! course since before the switch, and for how long it has been outside.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use super::{checks::Checks, header::deciding, rows::rows_around};
use crate::{
    domain::{
        action::SlotRef,
        check::{CheckKind, Condition},
        event::Place,
        id::SlotName,
        metric::{Bound, Metric, Op, Verdict},
        run::Run,
        runbook::Step,
        series::Series,
        time::{Span, Timestamp},
        verdict::condition_holds,
    },
    tui::{
        model::{Model, telemetry::SeriesKey},
        offer::check_due,
        subject,
        widget::{
            row::{Row, shorten},
            sparkline::{GAP, bars},
        },
    },
};

/// Where traffic moved, in a line of bars.
const SWITCH: &str = "┆";
/// So much of the course is from before the switch, where that is known: one column in this many.
const BEFORE: usize = 4;
/// The time shown before traffic has moved.
const COURSE: Span = Span::from_mins(5);

/// Outside its limit.
const FAILS: u8 = 0;
/// Not normal, or not known.
const WATCH: u8 = 1;
/// A value within its limit.
const WELL: u8 = 2;
/// Checked by the program, and passed.
const SEEN: u8 = 3;
/// Waiting for a person.
const ASKED: u8 = 4;
/// Answered by a person.
const SAID: u8 = 5;

/// The widths of the columns.
#[derive(Clone, Copy)]
struct Columns {
    name: usize,
    now: usize,
    limit: usize,
    course: usize,
    lasted: usize,
}

impl Columns {
    fn of(width: usize) -> Self {
        if width < 50 {
            // Only the number and its limit, and these whole.
            return Self { name: 10.min(width), now: 8, limit: 8, course: 0, lasted: 0 };
        }
        let (now, limit, lasted) = (10, 12, 6);
        let name = (width * 3 / 10).clamp(16, 34);
        // The sign, and a blank between the columns.
        let course = width.saturating_sub(3 + name + now + limit + lasted + 5).min(60);
        Self { name, now, limit, course, lasted }
    }
}

/// A line of the table.
struct Line {
    /// Failing first.
    rank: u8,
    /// The check, by its index; none for a metric that no check judges.
    check: Option<usize>,
    row: Row,
}

/// The heads of the columns, for the rule above the table.
pub(super) fn heads(model: &Model, width: usize) -> Option<Row> {
    let columns = Columns::of(width);
    if columns.course < 8 {
        return None;
    }
    let switched = model.run.as_ref().is_some_and(|run| run.switched_at.is_some());
    // The mark stands above the marks of the rows.
    let course = match (switched, columns.course / BEFORE) {
        (true, before) => format!("{:>before$}{SWITCH} switch", ""),
        (false, _) => "the last minutes".to_owned(),
    };
    let text = format!(
        "{:>now$}  {:<limit$} {course:<wide$} {:>lasted$}",
        "now",
        "normal",
        "for",
        now = columns.now,
        limit = columns.limit,
        wide = columns.course,
        lasted = columns.lasted.saturating_sub(2),
    );
    Some(Row::of(text, model.look.dim()))
}

pub(super) fn draw(model: &Model, run: &Run, step: &Step, area: Rect, buffer: &mut Buffer) {
    let lines = in_room(model, lines(model, run, step, usize::from(area.width)), usize::from(area.height));
    // What fails stays in sight until a person goes to a line.
    let chosen = model.cursor.check;
    let selected = lines.iter().position(|line| chosen.is_some() && line.check == chosen).unwrap_or(0);
    rows_around(lines.into_iter().map(|line| line.row).collect(), selected, area, model, buffer);
}

/// If not all lines fit, those that are ok are only counted: failures and manual checks stay in sight.
fn in_room(model: &Model, lines: Vec<Line>, height: usize) -> Vec<Line> {
    let well = |line: &Line| matches!(line.rank, WELL | SEEN);
    let over = lines.len().saturating_sub(height);
    let count = lines.iter().filter(|line| well(line)).count();
    if over == 0 || count < 2 {
        return lines;
    }
    let hidden = (over + 1).min(count);
    let keep = count - hidden;
    let row = Row::of(" ✔ ", model.look.ok())
        .put(format!("{hidden} more, all within their limits"), model.look.dim());
    let (mut kept, mut told) = (0, Some(Line { rank: SEEN, check: None, row }));
    let mut shown = Vec::new();
    for line in lines {
        if well(&line) {
            if kept == keep {
                shown.extend(told.take());
                continue;
            }
            kept += 1;
        }
        shown.push(line);
    }
    shown
}

fn lines(model: &Model, run: &Run, step: &Step, width: usize) -> Vec<Line> {
    let place = Place::Step { step: step.id.clone() };
    let Some(work) = run.work(&place) else { return Vec::new() };
    let selected = check_due(model).filter(|_| model.layers.is_empty()).map(|(.., check)| check);
    let list = Checks { model, step: Some(step.id.clone()), strict: true, selected };
    let mut lines = Vec::new();
    let mut judged = Vec::new();
    for (index, (check, state)) in run.checks(&place).iter().zip(&work.checks).enumerate() {
        if let CheckKind::Metric { metric, .. } = &check.kind {
            judged.push(metric);
        }
        if let CheckKind::Metric { metric, slot, condition, .. } = &check.kind
            && !state.caught
            && !state.skipped
            // What evidence decides is no matter of the newest value.
            && !matches!(condition, Condition::NotWorse(_))
            && let Some(metric) = run.runbook.metric(metric.as_str())
        {
            let slot = run.metric_slot(slot.as_ref().unwrap_or(&SlotRef::New));
            if let Some((rank, row)) = measured(model, run, metric, slot.as_ref(), Some(*condition), width) {
                lines.push(Line { rank, check: Some(index), row });
                continue;
            }
        }
        // A metric without a number, and what was skipped for want of requests, is neither well nor counted as if it were.
        let by_evidence = matches!(check.kind, CheckKind::Metric { condition: Condition::NotWorse(_), .. });
        let unmeasured = matches!(check.kind, CheckKind::Metric { .. }) && (!by_evidence || state.skipped);
        let rank = match (check.kind.is_person(), list.holds(index, check, state)) {
            (_, Some(false)) => FAILS,
            (false, None) => WATCH,
            (false, Some(true)) if unmeasured => WATCH,
            (false, Some(true)) => SEEN,
            (true, None) => ASKED,
            (true, Some(true)) => SAID,
        };
        lines.push(Line { rank, check: Some(index), row: list.row(index, check, state, width) });
    }
    let live = subject::live(model);
    for metric in run.runbook.metrics.iter().filter(|metric| !judged.contains(&&metric.id)) {
        if let Some((rank, row)) = measured(model, run, metric, live.as_ref(), None, width) {
            lines.push(Line { rank, check: None, row });
        }
    }
    lines.sort_by_key(|line| line.rank);
    lines
}

/// A metric's line; none if it has no value, which the check's own line says.
fn measured(
    model: &Model,
    run: &Run,
    metric: &Metric,
    slot: Option<&SlotName>,
    condition: Option<Condition>,
    width: usize,
) -> Option<(u8, Row)> {
    let look = model.look;
    let reading = model.measured().reading(metric, slot, model.measured_at());
    let key = Run::baseline_key(&metric.id, slot.filter(|_| metric.per_slot));
    let baseline = run.baseline.get(&key).copied();
    let columns = Columns::of(width);
    let name = Row::of(shorten(&metric.title, columns.name), look.text());
    let Some(value) = reading.value else {
        if condition.is_some() {
            return None;
        }
        let why = reading.why.as_ref().map_or_else(|| "not measured yet".to_owned(), ToString::to_string);
        let row = Row::of(" ? ", look.alert()).join(name).to(columns.name + 4).put("NO DATA ", look.alert());
        let row = row.put(why, look.dim());
        return Some((WATCH, row.fit(width)));
    };
    let fails = condition.is_some_and(|condition| condition_holds(condition, value, baseline) != Ok(true));
    let (sign, style, rank) = match (fails, reading.verdict) {
        (true, _) | (_, Verdict::Alert | Verdict::Missing) => ("✖", look.alert(), FAILS),
        (false, Verdict::Warn) => ("!", look.warn(), WATCH),
        (false, Verdict::Ok) => ("✔", look.ok(), WELL),
    };
    let bound = match condition {
        Some(Condition::Is(bound)) => Some(bound),
        Some(Condition::WithinBaseline(_) | Condition::NotWorse(_)) | None => None,
    };
    let limit = match (condition, baseline) {
        (Some(Condition::WithinBaseline(part)), Some(base)) => within(metric, base, part),
        (Some(Condition::WithinBaseline(_)), None) => "no baseline".to_owned(),
        (Some(Condition::Is(bound)), _) => bound.show(metric.unit),
        (Some(Condition::NotWorse(than)), _) => than.show(),
        (None, _) => deciding(metric, reading.verdict).unwrap_or_default(),
    };
    let normal = Normal { bound: bound.or(metric.normal), around: condition.zip(baseline) };
    let lasted = outside_for(model, metric, slot, &normal).filter(|_| rank <= WATCH && columns.lasted > 0);
    let (loud, quiet) = if rank <= WATCH { (style, style) } else { (look.text(), look.dim()) };
    let row = Row::of(" ", look.text())
        .put(sign, style)
        .put(" ", look.text())
        .join(name)
        .to(columns.name + 4)
        .join(padded(&metric.show(value), columns.now, loud))
        .put(format!("  {limit:<0$} ", columns.limit, limit = shorten(&limit, columns.limit)), look.dim())
        .join(course(model, run, metric, slot, &normal, columns.course, style))
        .join(padded(&lasted.map(Span::clock).unwrap_or_default(), columns.lasted, quiet));
    Some((rank, row.fit(width)))
}

/// At the right end of a column. The blanks before it have no look: where a theme gives a look a ground, only the number
/// stands on it.
fn padded(text: &str, width: usize, style: ratatui::style::Style) -> Row {
    Row::of(" ".repeat(width.saturating_sub(text.width())), ratatui::style::Style::new()).put(text, style)
}

/// `562 to 842`, without the unit.
fn within(metric: &Metric, base: f64, part: f64) -> String {
    let show = |value: f64| metric.unit.show(value);
    let (low, high) = (show(base * (1.0 - part)), show(base * (1.0 + part)));
    let bare = |text: &str| text.split(['/', ' ']).next().unwrap_or_default().to_owned();
    format!("{} to {}", bare(&low), bare(&high))
}

/// The range in which nothing needs to be done.
struct Normal {
    bound: Option<Bound>,
    around: Option<(Condition, f64)>,
}

impl Normal {
    fn has(&self, value: f64) -> bool {
        let inside = self.around.is_none_or(|(condition, baseline)| {
            matches!(condition, Condition::Is(_))
                || condition_holds(condition, value, Some(baseline)) == Ok(true)
        });
        inside && self.bound.is_none_or(|bound| bound.holds(value))
    }
}

fn series_key(metric: &Metric, slot: Option<&SlotName>) -> SeriesKey {
    (metric.id.clone(), slot.filter(|_| metric.per_slot).cloned())
}

/// For how long every measured sample has been outside.
fn outside_for(model: &Model, metric: &Metric, slot: Option<&SlotName>, normal: &Normal) -> Option<Span> {
    let series = model.measured().series.get(&series_key(metric, slot))?;
    let outside = series.iter().rev().filter_map(|(at, value)| Some((at, value?)));
    let first = outside.take_while(|(_, value)| !normal.has(*value)).last();
    let seen = first.map(|(at, _)| model.measured_at().since(at));
    // A trigger knows of samples from before this screen came.
    let run = model.run.as_ref()?;
    let watches = run.runbook.triggers.iter().zip(&run.triggers);
    let breaching = watches
        .filter(|(trigger, _)| trigger.watch.as_ref().is_some_and(|watch| watch.metric == metric.id))
        .filter_map(|(_, state)| Some(model.measured_at().since(state.breaching?.0)));
    seen.map(|seen| breaching.fold(seen, Span::max))
}

/// Bars over time, from before the switch to now: of the slot that had traffic then, and of the one that has it now. What is
/// normal is dim; what is not has the line's own look.
fn course(
    model: &Model,
    run: &Run,
    metric: &Metric,
    slot: Option<&SlotName>,
    normal: &Normal,
    width: usize,
    bad: ratatui::style::Style,
) -> Row {
    let look = model.look;
    if width < 4 {
        return Row::of(" ".repeat(width), look.text());
    }
    let switched = run.switched_at;
    let before = switched.map_or(0, |_| width / BEFORE);
    let after = width - before - usize::from(switched.is_some());
    let from = switched.unwrap_or(model.measured_at() - COURSE);
    // One time axis for all rows: a column has a sample of the slowest metric.
    let slowest = run.runbook.metrics.iter().map(|metric| metric.interval).max().unwrap_or(metric.interval);
    let each = column(model.measured_at().since(from), after, slowest);
    // Columns keep their place while time goes on: only the newest one changes.
    let from = if switched.is_some() { from } else { aligned(from, each) };
    let old = run.opened.previous.as_ref().map(|target| &target.slot);
    let read = |slot: Option<&SlotName>, from: Timestamp, columns: usize| -> Vec<Option<f64>> {
        let points = model.measured().series.get(&series_key(metric, slot));
        let mut values = vec![None; columns];
        for (at, value) in points.into_iter().flat_map(Series::iter).filter(|(at, _)| *at >= from) {
            let column = usize::try_from(at.since(from).as_millis() / each.as_millis().max(1));
            if let Some(place) = column.ok().and_then(|column| values.get_mut(column)) {
                *place = value.or(*place);
            }
        }
        values
    };
    let first = (0..before).fold(from, |at, _| at - each);
    let mut values = if before > 0 { read(old.or(slot), first, before) } else { Vec::new() };
    values.extend(read(slot, from, after));
    let (low, high) = scale(metric, normal, &values);
    let drawn: Vec<char> = bars(&values, low, high, values.len()).chars().collect();
    let mut row = Row::new();
    for (at, (sign, value)) in drawn.into_iter().zip(&values).enumerate() {
        if at == before && switched.is_some() {
            row.add(SWITCH, look.text());
        }
        let style = if value.is_some_and(|value| !normal.has(value)) { bad } else { look.dim() };
        row.add(if sign == GAP { ' ' } else { sign }.to_string(), style);
    }
    row
}

/// The time of one column: the shortest round time with which everything fits and each column has a sample.
fn column(whole: Span, columns: usize, interval: Span) -> Span {
    let fits = |seconds: &u64| {
        seconds.saturating_mul(columns as u64) > whole.as_secs() && *seconds >= interval.as_secs()
    };
    let seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600].into_iter().find(fits);
    Span::from_secs(seconds.unwrap_or_else(|| whole.as_secs() / columns.max(1) as u64 + 1))
}

/// The last whole column before a time.
fn aligned(at: Timestamp, each: Span) -> Timestamp {
    let each = i64::try_from(each.as_millis()).unwrap_or(i64::MAX).max(1);
    Timestamp(at.0 - at.0.rem_euclid(each))
}

/// Both what was seen and the limit are inside: where more is worse, bars stand on zero and the limit is at half of the height;
/// where less is worse, what is normal is at the top.
fn scale(metric: &Metric, normal: &Normal, values: &[Option<f64>]) -> (f64, f64) {
    let seen = || values.iter().flatten().copied();
    let high = seen().fold(0.0, f64::max);
    match normal.bound.or(metric.alert) {
        Some(Bound { op: Op::Gt | Op::Ge, value }) => {
            let low = seen().fold(value, f64::min);
            let high = high.max(value);
            (low - (high - low).max(high.abs() * 0.01), high.max(low + f64::MIN_POSITIVE))
        }
        Some(Bound { op: Op::Lt | Op::Le, value }) => (0.0, high.max(value * 2.0).max(f64::MIN_POSITIVE)),
        None => (0.0, (high * 1.5).max(f64::MIN_POSITIVE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_stands_for_a_round_time_and_all_of_it_fits() {
        assert_eq!(column(Span::from_secs(10), 20, Span::from_secs(1)), Span::from_secs(1));
        assert_eq!(column(Span::from_secs(20), 20, Span::from_secs(1)), Span::from_secs(2));
        assert_eq!(column(Span::from_mins(15), 20, Span::from_secs(15)), Span::from_secs(60));
        assert_eq!(column(Span::from_mins(6_000), 20, Span::from_secs(1)), Span::from_secs(18_001));
        assert_eq!(column(Span::from_secs(10), 20, Span::from_secs(15)), Span::from_secs(15));
        assert_eq!(aligned(Timestamp(12_345), Span::from_secs(5)), Timestamp(10_000));
    }
}
