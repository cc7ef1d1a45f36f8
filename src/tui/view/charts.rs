//! Charts: metrics over clock time, one below the other on one axis.
//!
//! ```text
//!  Error rate  GREEN 1.41 % ALERT, ≤ 5 s old                 normal < 0.1 %  alert > 1 %
//!      2 % │            BLUE ┆ GREEN since 14:08          ⣀⣀⡠⠤
//!  alert 1 % ┤╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┆╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌⢀⡠⠔⠒⠉⠁╌╌╌╌     both limits are lines, always inside
//!          │                 ┆          ⣀⠤⠒⠊⠉
//! normal 0.1 ┤┈⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤┆┈┈⢀⣀⠤⠤⠒⠊⠁                    ┆ traffic moved here
//!      0 % │
//!          └────┬───────────────┬─── ───────────┬─           no line below: nothing was measured
//!  UTC        14:05           14:10           14:15
//! ```
//!
//! Before the first switch both slots have a curve, that of the new one dim; from then on there is one, of the slot that had
//! the traffic at each time. A sample that is missing is never joined over, and the axis has a hole below it. What is as it should be is plain or dim;
//! only the part of a curve that is outside its limits has a colour, and the limit that it has crossed.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Style},
    symbols::Marker,
    widgets::{
        Widget,
        canvas::{Canvas, Line, Points},
    },
};

use super::header::{verdict_style, verdict_word};
use crate::{
    domain::{
        id::SlotName,
        metric::{Metric, Verdict},
        run::Run,
        series::Series,
        time::{Span, Timestamp},
        verdict::judge,
    },
    tui::{
        model::{
            Model,
            telemetry::{FRESH, Reading},
        },
        style::Look,
        subject,
        widget::{
            clock_axis::{ClockAxis, column_at},
            row::Row,
            scale::{Limit, Mark, Scale},
        },
    },
};

/// The least that a chart needs: its caption, three rows of curve, its axis.
pub(super) const LEAST: u16 = 5;
/// The line of clock times below all charts of a column.
pub(super) const TIMES: u16 = 1;
/// From this width on a limit's line is named as well, not only numbered.
const NAMED: u16 = 48;
/// The line of an alert limit, and of a normal one.
const ALERT: &str = "╌";
const NORMAL: &str = "┈";
/// Traffic moved.
const MOVED: &str = "┆";

/// Charts one below the other, with the clock times below the last one. The selected one is marked.
pub(super) fn draw_column(
    model: &Model,
    run: &Run,
    axis: ClockAxis,
    metrics: &[(&Metric, bool)],
    area: Rect,
    buffer: &mut Buffer,
) {
    let count = u16::try_from(metrics.len()).unwrap_or(u16::MAX).max(1);
    let high = area.height.saturating_sub(TIMES) / count;
    if high < LEAST || area.width < 24 {
        return captions(model, run, metrics, area, buffer);
    }
    let rows = usize::from(high) - 2;
    let plots: Vec<Plot<'_>> =
        metrics.iter().map(|(metric, _)| Plot::new(model, run, metric, axis, rows)).collect();
    let named = area.width >= NAMED;
    let gutter = plots.iter().map(|plot| plot.gutter(named)).max().unwrap_or(0);
    let gutter = u16::try_from(gutter).unwrap_or(0).min(area.width / 2);
    for (n, (plot, (metric, selected))) in (0..).zip(plots.iter().zip(metrics)) {
        let place = Rect { y: area.y + n * high, height: high, ..area };
        caption(model, run, metric, *selected, usize::from(area.width))
            .draw(Rect { height: 1, ..place }, buffer);
        let inner = Rect { y: place.y + 1, height: high - 1, ..place };
        plot.draw(inner, gutter, named, n == 0, buffer);
    }
    let times = Rect { y: area.y + count * high, height: TIMES, ..area };
    clock_times(model, axis, times, gutter, buffer);
}

/// Only the numbers, if there is no room for curves.
fn captions(model: &Model, run: &Run, metrics: &[(&Metric, bool)], area: Rect, buffer: &mut Buffer) {
    for (y, (metric, selected)) in (area.y..area.bottom()).zip(metrics) {
        let row = caption(model, run, metric, *selected, usize::from(area.width));
        row.draw(Rect { y, height: 1, ..area }, buffer);
    }
}

/// The clock times of the ticks.
fn clock_times(model: &Model, axis: ClockAxis, area: Rect, gutter: u16, buffer: &mut Buffer) {
    let look = model.look;
    let (left, wide) = (usize::from(gutter), usize::from(area.width.saturating_sub(gutter)));
    let mut row = Row::of(format!("{:>left$}", "UTC ".get(..left.min(4)).unwrap_or_default()), look.dim());
    for (column, text) in axis.ticks(wide) {
        // Below its tick, but never cut.
        let middle = left + column;
        let place =
            middle.saturating_sub(text.len() / 2).max(left).min((left + wide).saturating_sub(text.len()));
        if place >= row.width() {
            row = row.fill(place, look.dim()).put(text, look.dim());
        }
    }
    row.draw(area, buffer);
}

/// What a part of a curve is; each is painted over those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Of a slot that has no traffic at that time.
    Idle,
    Ok,
    Warn,
    Alert,
}

impl Part {
    const ALL: [Self; 4] = [Self::Idle, Self::Ok, Self::Warn, Self::Alert];

    fn of(metric: &Metric, value: f64, has_traffic: bool) -> Self {
        match judge(metric, &Ok(value)) {
            _ if !has_traffic => Self::Idle,
            Verdict::Alert => Self::Alert,
            Verdict::Warn => Self::Warn,
            Verdict::Ok | Verdict::Missing => Self::Ok,
        }
    }

    /// The canvas knows colours only: each part has one that stands for it until it is copied.
    fn stand_in(self) -> Color {
        Color::Indexed(self as u8)
    }

    fn style(self, look: Look) -> Style {
        match self {
            Self::Idle => look.dim(),
            Self::Ok => look.text(),
            Self::Warn => look.warn(),
            Self::Alert => look.alert(),
        }
    }
}

/// Two samples with nothing missing between, or one alone; as parts of the width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    from: (f64, f64),
    to: (f64, f64),
    part: Part,
}

/// One metric, ready to be drawn.
struct Plot<'a> {
    model: &'a Model,
    run: &'a Run,
    metric: &'a Metric,
    axis: ClockAxis,
    marks: Vec<Mark>,
    pieces: Vec<Piece>,
    /// Where nothing was measured.
    holes: Vec<Timestamp>,
}

impl<'a> Plot<'a> {
    fn new(model: &'a Model, run: &'a Run, metric: &'a Metric, axis: ClockAxis, rows: usize) -> Self {
        let limits = subject::limits(run, metric);
        let slots: Vec<Option<SlotName>> =
            if metric.per_slot { subject::slots(model).into_iter().map(Some).collect() } else { vec![None] };
        let inside = |at: Timestamp| at >= axis.from && at <= axis.to;
        let has_traffic =
            |slot: &Option<SlotName>, at: Timestamp| slot.is_none() || *slot == traffic_at(model, run, at);
        // Once traffic has moved, the curve is what users met: of the slot that had it then. Before, the new slot is looked at.
        let is_drawn = |slot: &Option<SlotName>, at: Timestamp| {
            inside(at) && (run.moves.is_empty() || has_traffic(slot, at))
        };
        let points = |slot: &Option<SlotName>| -> Vec<(Timestamp, Option<f64>)> {
            let series = model.measured().series.get(&(metric.id.clone(), slot.clone()));
            series.into_iter().flat_map(Series::iter).filter(|(at, _)| is_drawn(slot, *at)).collect()
        };
        let seen = slots.iter().flat_map(points).filter_map(|(_, value)| value);
        let scale = Scale::new(metric, &limits, seen, rows);
        let (mut pieces, mut holes) = (Vec::new(), Vec::new());
        for slot in &slots {
            let mut last: Option<(Timestamp, (f64, f64))> = None;
            for (at, value) in points(slot) {
                let Some(value) = value else {
                    holes.extend(has_traffic(slot, at).then_some(at));
                    last = None;
                    continue;
                };
                let place = (axis.at(at), scale.at(value));
                let part = Part::of(metric, value, has_traffic(slot, at));
                // A sample that never came is missing as well.
                let joined = last.filter(|(before, _)| at.since(*before) <= longest_gap(metric));
                let from = joined.map_or(place, |(_, from)| from);
                pieces.push(Piece { from, to: place, part });
                last = Some((at, place));
            }
        }
        pieces.sort_by_key(|piece| piece.part);
        let marks = scale.marks(&limits, rows);
        Self { model, run, metric, axis, marks, pieces, holes }
    }

    /// The columns of the numbers and the axis.
    fn gutter(&self, named: bool) -> usize {
        let wide = |mark: &Mark| label(mark, named).chars().count();
        self.marks.iter().map(wide).max().unwrap_or(0) + 3
    }

    fn draw(&self, area: Rect, gutter: u16, named: bool, first: bool, buffer: &mut Buffer) {
        let plot = Rect {
            x: area.x + gutter,
            width: area.width.saturating_sub(gutter),
            height: area.height - 1,
            ..area
        };
        self.scale(Rect { width: gutter, height: plot.height, ..area }, named, buffer);
        self.lines(plot, buffer);
        self.moves(plot, buffer);
        self.curve(plot, buffer);
        if first {
            self.names(plot, buffer);
        }
        self.floor(Rect { y: plot.bottom(), height: 1, ..plot }, buffer);
    }

    /// The numbers beside the axis.
    fn scale(&self, area: Rect, named: bool, buffer: &mut Buffer) {
        let look = self.model.look;
        let wide = usize::from(area.width).saturating_sub(2);
        for (row, y) in (area.y..area.bottom()).enumerate() {
            let mark = self.marks.iter().find(|mark| mark.row == row);
            let (text, style) = mark.map_or((String::new(), look.dim()), |mark| {
                (label(mark, named), mark.limit.map_or(look.dim(), |limit| self.limit_style(limit)))
            });
            Row::of(format!("{text:>wide$} "), style)
                .put(if mark.is_some() { "┤" } else { "│" }, look.dim())
                .draw(Rect { y, height: 1, ..area }, buffer);
        }
        Row::of(format!("{:>wide$} └", ""), look.dim())
            .draw(Rect { y: area.bottom(), height: 1, ..area }, buffer);
    }

    /// Both limits, over the whole width.
    fn lines(&self, plot: Rect, buffer: &mut Buffer) {
        for mark in &self.marks {
            let Some(limit) = mark.limit else { continue };
            let line = if limit.alert { ALERT } else { NORMAL };
            let y = plot.y + u16::try_from(mark.row).unwrap_or(0);
            Row::of(line.repeat(usize::from(plot.width)), self.limit_style(limit))
                .draw(Rect { y, height: 1, ..plot }, buffer);
        }
    }

    /// A limit has a colour only where the newest value has crossed it.
    fn limit_style(&self, limit: Limit) -> Style {
        let look = self.model.look;
        let slot = subject::live(self.model);
        let reading = self.model.measured().reading(self.metric, slot.as_ref(), self.model.measured_at());
        match (reading.verdict, limit.alert) {
            (Verdict::Alert, true) => look.alert(),
            (Verdict::Warn, false) => look.warn(),
            (_, true) => look.text(),
            (_, false) => look.dim(),
        }
    }

    /// A vertical line wherever traffic has moved.
    fn moves(&self, plot: Rect, buffer: &mut Buffer) {
        for (at, ..) in &self.run.moves {
            let Some(column) = self.axis.column(*at, usize::from(plot.width)) else { continue };
            let x = plot.x + u16::try_from(column).unwrap_or(0);
            for y in plot.y..plot.bottom() {
                Row::of(MOVED, self.model.look.text()).draw(Rect { x, y, width: 1, height: 1 }, buffer);
            }
        }
    }

    /// From where to where traffic has moved: in the top row, or in the bottom one where the curve is at the top. A curve is
    /// never written over.
    fn names(&self, plot: Rect, buffer: &mut Buffer) {
        let look = self.model.look;
        let columns = usize::from(plot.width);
        let wide = |text: &str| text.chars().count();
        let name = |slot: &SlotName| slot.0.to_uppercase();
        let mut free = 0;
        for (at, from, to) in &self.run.moves {
            let Some(column) = self.axis.column(*at, columns) else { continue };
            let before = from.as_ref().map_or_else(String::new, |from| format!("{} ", name(from)));
            let clock = at.clock();
            let since = format!(" {} since {}", name(to), clock.get(..5).unwrap_or_default());
            let forms = [since, format!(" {}", name(to))];
            let start = column.saturating_sub(wide(&before));
            let Some(after) = forms.iter().find(|form| column + 1 + wide(form) <= columns) else { continue };
            if start < free || column < wide(&before) {
                continue;
            }
            let row = Row::of(before, look.dim()).put(MOVED, look.text()).put(after, look.text());
            let x = plot.x + u16::try_from(start).unwrap_or(0);
            let width = u16::try_from(row.width()).unwrap_or(0);
            let is_curve = |symbol: &str| symbol == "*" || symbol.chars().all(|c| ('⠁'..='⣿').contains(&c));
            let crossed = |y: u16| {
                (x..x + width).any(|x| buffer.cell((x, y)).is_some_and(|cell| is_curve(cell.symbol())))
            };
            if let Some(y) = [plot.y, plot.bottom() - 1].into_iter().find(|y| !crossed(*y)) {
                free = start + usize::from(width) + 1;
                row.draw(Rect { x, y, width, height: 1 }, buffer);
            }
        }
    }

    fn curve(&self, plot: Rect, buffer: &mut Buffer) {
        let look = self.model.look;
        // On a screen of its own, so that lines and names stay where the curve is not.
        let mut canvas = Buffer::empty(plot);
        let marker = if look.0.ascii { Marker::Dot } else { Marker::Braille };
        Canvas::default()
            .marker(marker)
            .x_bounds([0.0, 1.0])
            .y_bounds([0.0, 1.0])
            .paint(|context| {
                for Piece { from, to, part } in &self.pieces {
                    let color = part.stand_in();
                    if from == to {
                        context.draw(&Points { coords: &[*to], color });
                    } else {
                        context.draw(&Line::new(from.0, from.1, to.0, to.1, color));
                    }
                }
            })
            .render(plot, &mut canvas);
        for y in plot.y..plot.bottom() {
            for x in plot.x..plot.right() {
                let drawn = &canvas[(x, y)];
                let part = Part::ALL.into_iter().find(|part| part.stand_in() == drawn.fg);
                if let (Some(part), Some(cell)) = (part, buffer.cell_mut((x, y))) {
                    let symbol = if look.0.ascii { "*" } else { drawn.symbol() };
                    cell.set_symbol(symbol).set_style(Style::reset().patch(part.style(look)));
                }
            }
        }
    }

    /// The time axis: a line where something was measured, a hole where it was not, ticks at the clock times.
    fn floor(&self, area: Rect, buffer: &mut Buffer) {
        let columns = usize::from(area.width);
        let mut cells = vec![" "; columns];
        let column = |part: f64| column_at(part, columns);
        for piece in self.pieces.iter().filter(|piece| piece.part != Part::Idle) {
            for cell in cells.iter_mut().take(column(piece.to.0) + 1).skip(column(piece.from.0)) {
                *cell = "─";
            }
        }
        for hole in &self.holes {
            if let Some(cell) = self.axis.column(*hole, columns).and_then(|column| cells.get_mut(column)) {
                *cell = " ";
            }
        }
        for (column, _) in self.axis.ticks(columns) {
            if let Some(cell) = cells.get_mut(column) {
                *cell = if *cell == " " { "╷" } else { "┬" };
            }
        }
        Row::of(cells.concat(), self.model.look.dim()).draw(area, buffer);
    }
}

/// A mark's text: `alert 1 %`, or only the number if there is little room.
fn label(mark: &Mark, named: bool) -> String {
    match mark.limit {
        Some(limit) if named => format!("{} {}", if limit.alert { "alert" } else { "normal" }, mark.text),
        _ => mark.text.clone(),
    }
}

/// Samples this far apart have something missing between them. The same that makes a value too old to be judged.
fn longest_gap(metric: &Metric) -> Span {
    Span::from_millis(metric.interval.as_millis().saturating_mul(FRESH))
}

/// The slot that had the traffic at a time, as far as our own events tell.
fn traffic_at(model: &Model, run: &Run, at: Timestamp) -> Option<SlotName> {
    let moved = run.moves.iter().rev().find(|(moved, ..)| *moved <= at);
    match (moved, run.moves.first()) {
        (Some((_, _, to)), _) => Some(to.clone()),
        (None, Some((_, from, _))) => from.clone(),
        (None, None) => subject::live(model),
    }
}

// --- the line above a chart -------------------------------------------------------------------------------------------------

/// The metric, its newest values with their ages, and both limits. Where there is no room for all of it, these go first: that
/// the axis is logarithmic, the slot without traffic, the limit that does not decide (the axis has both).
fn caption(model: &Model, run: &Run, metric: &Metric, selected: bool, width: usize) -> Row {
    let look = model.look;
    let live = subject::live(model);
    let title = Row::of(if selected { "▸" } else { " " }, look.edge()).put(&metric.title, look.strong());
    let mut slots: Vec<Option<SlotName>> =
        if metric.per_slot { subject::slots(model).into_iter().map(Some).collect() } else { vec![None] };
    slots.sort_by_key(|slot| slot.is_some() && *slot != live);
    let values: Vec<Row> = slots.iter().map(|slot| value(model, metric, slot.as_ref())).collect();
    let join = |count: usize| {
        values
            .iter()
            .take(count)
            .fold(title.clone(), |row, value| row.put("  ", look.text()).join(value.clone()))
    };
    let bounds = bounds(model, run, metric);
    let log = Scale::new(metric, &subject::limits(run, metric), [], 0).is_logarithmic();
    let log = Row::of(if log { "log axis  " } else { "" }, look.dim());
    let verdict = reading(model, metric, live.as_ref()).verdict;
    let decides = super::header::deciding(metric, verdict).unwrap_or_default();
    let word = if verdict == Verdict::Alert && metric.alert.is_some() { "alert" } else { "normal" };
    let [worded, decides] = [format!("{word} {decides} "), format!("{decides} ")]
        .map(|text| Row::of(if decides.is_empty() { String::new() } else { text }, look.dim()));
    let forms = [
        (values.len(), log.join(bounds.clone())),
        (values.len(), bounds.clone()),
        (1, bounds),
        (1, worded),
        (1, decides),
        (1, Row::new()),
    ];
    let fits = forms.into_iter().map(|(count, right)| (join(count), right));
    let mut fits = fits.skip_while(|(left, right)| left.width() + 2 + right.width() > width);
    let (left, right) = fits.next().unwrap_or_else(|| (join(1), Row::new()));
    left.right(right, width)
}

fn reading(model: &Model, metric: &Metric, slot: Option<&SlotName>) -> Reading {
    model.measured().reading(metric, slot, model.measured_at())
}

/// `GREEN 1.41 % ALERT, ≤ 5 s old`
fn value(model: &Model, metric: &Metric, slot: Option<&SlotName>) -> Row {
    let look = model.look;
    let mut row = Row::new();
    if let Some(slot) = slot {
        row = row.put(slot.0.to_uppercase(), look.text()).put(" ", look.text());
    }
    let reading = reading(model, metric, slot);
    let Some(value) = reading.value else {
        let (word, why) = super::missing::missing(model, slot, &reading);
        row = row.join(word);
        // Since when matters more than why, which may be long.
        if let Some((at, value)) = last_measured(model, metric, slot) {
            let ago = model.measured_at().since(at).clock();
            row = row.put(format!(", last {} {ago} ago", metric.unit.show(value)), look.text());
        }
        let colon = if why.is_empty() { "" } else { ": " };
        return row.put(format!("{colon}{why}"), look.dim());
    };
    if slot.is_some_and(|slot| subject::is_idle(model, slot)) {
        return row.put(format!("{} idle", metric.show(value)), look.dim());
    }
    let style = verdict_style(look, reading.verdict);
    let plain = if reading.verdict == Verdict::Ok { look.strong() } else { style };
    row.put(metric.show(value), plain)
        .join(verdict_word(model, reading.verdict))
        .put(", ", look.dim())
        .join(age(model, metric, &reading))
}

/// How old the newest value is: by whole intervals while it comes as it should, so that nothing flickers, and exactly once it
/// is late.
fn age(model: &Model, metric: &Metric, reading: &Reading) -> Row {
    let look = model.look;
    let Some(age) = reading.age else { return Row::new() };
    let interval = metric.interval.as_millis().max(1);
    match age.as_millis() / interval {
        n @ 0..=1 => {
            let within = Span::from_millis(interval * (n + 1)).as_secs().max(1);
            Row::of(format!("≤ {within} s old"), look.dim())
        }
        _ => Row::of(format!("{} s old", age.as_secs()), look.warn()),
    }
}

fn last_measured(model: &Model, metric: &Metric, slot: Option<&SlotName>) -> Option<(Timestamp, f64)> {
    let key = (metric.id.clone(), slot.filter(|_| metric.per_slot).cloned());
    let series = model.measured().series.get(&key)?;
    series.iter().rev().find_map(|(at, value)| Some((at, value?)))
}

/// Both limits in words; of a range around the baseline both its ends.
fn bounds(model: &Model, run: &Run, metric: &Metric) -> Row {
    let look = model.look;
    let normal: Vec<Limit> = subject::limits(run, metric).into_iter().filter(|limit| !limit.alert).collect();
    let mut row = Row::new();
    match (&normal[..], metric.normal) {
        ([low, high], _) => {
            // One unit for both.
            let low = metric.unit.show(low.value);
            let low = low.split(['/', ' ']).next().unwrap_or_default();
            let high = metric.unit.show(high.value);
            row = row.put(format!("normal {low} to {high}  "), look.dim());
        }
        (_, Some(bound)) => row = row.put(format!("normal {}  ", bound.show(metric.unit)), look.dim()),
        (_, None) => {}
    }
    if let Some(alert) = metric.alert {
        row = row.put(format!("alert {} ", alert.show(metric.unit)), look.text());
    }
    row
}
