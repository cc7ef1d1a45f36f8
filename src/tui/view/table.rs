//! Checks and metrics of the window as one table: failing first, one line each, with the value, the limit that decides, its
//! course since before the switch, and for how long it has been outside.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use super::{
    checks::{Checks, open_words},
    header::deciding,
    rows::rows_around,
};
use crate::{
    domain::{
        action::SlotRef,
        check::{CheckKind, Condition},
        event::Place,
        id::SlotName,
        metric::{Bound, Metric, Missing, Op, Verdict},
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
        let course = width.saturating_sub(3 + name + now + limit + lasted + 5);
        Self { name, now, limit, course, lasted }
    }
}

/// A line of the table.
struct Line {
    /// Failing first.
    rank: u8,
    /// The check, by its index; none for a metric that no check judges.
    check: Option<usize>,
    /// Whether it is a metric without data.
    blind: bool,
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

/// If not all lines fit, those that are ok are only counted, and then those without data: failures and manual checks, which
/// keys are for, stay in sight.
fn in_room(model: &Model, lines: Vec<Line>, height: usize) -> Vec<Line> {
    let look = model.look;
    let well = |hidden: usize| {
        Row::of(" ✔ ", look.ok()).put(format!("{hidden} more, all within their limits"), look.dim())
    };
    let lines = counted(lines, height, &|line| matches!(line.rank, WELL | SEEN), SEEN, well);
    let blind =
        |hidden: usize| Row::of(" ? ", look.alert()).put(format!("{hidden} more: NO DATA"), look.alert());
    counted(lines, height, &|line| line.blind, WATCH, blind)
}

/// With one line that counts the last of those lines for which there is no room.
fn counted(
    lines: Vec<Line>,
    height: usize,
    are: &dyn Fn(&Line) -> bool,
    rank: u8,
    words: impl FnOnce(usize) -> Row,
) -> Vec<Line> {
    let over = lines.len().saturating_sub(height);
    let count = lines.iter().filter(|line| are(line)).count();
    if over == 0 || count < 2 {
        return lines;
    }
    let hidden = (over + 1).min(count);
    let keep = count - hidden;
    let (mut kept, mut told) = (0, Some(Line { rank, check: None, blind: false, row: words(hidden) }));
    let mut shown = Vec::new();
    for line in lines {
        if are(&line) {
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
            if let Some(line) = measured(model, run, metric, slot.as_ref(), Some(*condition), width) {
                lines.push(Line { check: Some(index), ..line });
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
        let row = list.row(index, check, state, open_words(run, &place, work), width);
        lines.push(Line { rank, check: Some(index), blind: false, row });
    }
    let live = subject::live(model);
    for metric in run.runbook.metrics.iter().filter(|metric| !judged.contains(&&metric.id)) {
        lines.extend(measured(model, run, metric, live.as_ref(), None, width));
    }
    lines.sort_by_key(|line| line.rank);
    lines
}

/// A metric's line; none if nobody asks for what a check judges, which the check's own line says.
fn measured(
    model: &Model,
    run: &Run,
    metric: &Metric,
    slot: Option<&SlotName>,
    condition: Option<Condition>,
    width: usize,
) -> Option<Line> {
    let look = model.look;
    let reading = model.measured().reading(metric, slot, model.measured_at());
    let baseline = run.baseline_of(&metric.id, slot.filter(|_| metric.per_slot)).map(|(value, _)| value);
    let columns = Columns::of(width);
    let name = Row::of(shorten(&metric.title, columns.name), look.text());
    // What a check makes of it that nobody has asked for anything its own line says.
    if condition.is_some() && reading.why.as_ref().is_some_and(Missing::is_no_traffic) {
        return None;
    }
    let fails = |value| condition.is_some_and(|it| condition_holds(it, value, baseline) != Ok(true));
    let (sign, style, rank) = match (reading.value.map(fails), reading.verdict) {
        (None, _) if reading.age.is_none() => ("○", look.dim(), WATCH),
        (None, _) => ("?", look.alert(), if condition.is_some() { FAILS } else { WATCH }),
        (Some(true), _) | (_, Verdict::Alert | Verdict::Missing) => ("✖", look.alert(), FAILS),
        (Some(false), Verdict::Warn) => ("!", look.warn(), WATCH),
        (Some(false), Verdict::Ok) => ("✔", look.ok(), WELL),
    };
    let now = match reading.value {
        Some(value) => metric.show(value),
        None if reading.age.is_none() => "not yet".to_owned(),
        None => "NO DATA".to_owned(),
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
    let lasted = match reading.value {
        Some(_) => outside_for(model, metric, slot, &normal),
        None => missing_for(model, metric, slot),
    };
    let lasted = lasted.filter(|_| rank <= WATCH && columns.lasted > 0);
    let (loud, quiet) = if rank <= WATCH { (style, style) } else { (look.text(), look.dim()) };
    let row = Row::of(" ", look.text())
        .put(sign, style)
        .put(" ", look.text())
        .join(name)
        .to(columns.name + 4)
        .join(padded(&now, columns.now, loud))
        .put(format!("  {limit:<0$} ", columns.limit, limit = shorten(&limit, columns.limit)), look.dim())
        .join(course(model, run, metric, slot, &normal, columns.course, style))
        .join(padded(&lasted.map(Span::clock).unwrap_or_default(), columns.lasted, quiet));
    let blind = reading.value.is_none();
    Some(Line { rank, check: None, blind, row: row.fit(width) })
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

/// For how long every measured sample has been outside; where a trigger counts that, what it counts: its limit is what decides.
fn outside_for(model: &Model, metric: &Metric, slot: Option<&SlotName>, normal: &Normal) -> Option<Span> {
    let run = model.run.as_ref()?;
    let watches = run.runbook.triggers.iter().zip(&run.triggers);
    let counted = watches
        .filter(|(trigger, _)| trigger.watch.as_ref().is_some_and(|watch| watch.metric == metric.id))
        .filter_map(|(_, state)| Some(model.measured_at().since(state.breaching?.0)))
        .max();
    let series = model.measured().series.get(&series_key(metric, slot))?;
    let mut outside = series.iter().rev().filter_map(|(at, value)| Some((at, value?)));
    let is_outside = |(at, value): (Timestamp, f64)| (!normal.has(value)).then_some(at);
    let newest = outside.next().and_then(is_outside)?;
    let first = outside.map_while(is_outside).last().unwrap_or(newest);
    Some(counted.unwrap_or_else(|| model.measured_at().since(first)))
}

/// For how long there has been no value.
fn missing_for(model: &Model, metric: &Metric, slot: Option<&SlotName>) -> Option<Span> {
    let series = model.measured().series.get(&series_key(metric, slot))?;
    let last = series.iter().rev().find(|(_, value)| value.is_some());
    last.map(|(at, _)| model.measured_at().since(at))
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
    let seconds = [1, 2, 5, 10, 15, 20, 30, 40, 60, 90, 120, 180, 240, 300, 600].into_iter().find(fits);
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
