//! Draws charts, wide and for a phone. What a curve or a line is can be told without its colour: the new version's is thick and
//! whole, others are thin and broken; limits and marks are named.

use super::{Chart, Curve, Mark, Whose};
use crate::{
    domain::{clock_axis::ClockAxis, scale::Limit, time::Timestamp},
    report::markup::{Markup, Tag, number, tag},
};

/// Rows that the value axis is reckoned for; each is about a line of text high.
pub const ROWS: usize = 9;

/// How wide a picture is, and what room its texts have. Widths are those of the texts' own pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// For a screen, and for paper.
    Wide,
    /// For a phone.
    Narrow,
}

impl Size {
    /// The class in the style sheet, which shows one of the two.
    pub fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }

    /// The picture's width.
    pub fn width(self) -> f64 {
        match self {
            Self::Wide => 960.0,
            Self::Narrow => 360.0,
        }
    }

    /// Room right of the plot, where a wide picture names its limits.
    fn right(self) -> f64 {
        match self {
            Self::Wide => 124.0,
            Self::Narrow => 8.0,
        }
    }

    fn left(self) -> f64 {
        match self {
            Self::Wide => 68.0,
            Self::Narrow => 58.0,
        }
    }
}

/// About the width of a character.
const CHAR: f64 = 7.1;
/// The height of a line of text.
const LINE: f64 = 16.0;
/// The height of a plot.
const HIGH: f64 = 176.0;

/// Where things stand in a picture.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The left end of the plot.
    pub left: f64,
    /// Its right end.
    pub right: f64,
    /// Its top.
    pub top: f64,
    /// Its bottom.
    pub bottom: f64,
    /// The times of its ends.
    pub axis: ClockAxis,
}

impl Frame {
    /// Where a time stands, within the plot.
    pub fn x(&self, at: Timestamp) -> f64 {
        (self.right - self.left).mul_add(self.axis.at(at).clamp(0.0, 1.0), self.left)
    }
}

/// The height that the marks' texts take above a plot.
pub fn marks_high(marks: &[Mark], frame: &Frame) -> f64 {
    let rows = rows(marks, frame).into_iter().map(|(row, ..)| row + 1).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let high = rows as f64 * LINE;
    high + 6.0
}

/// Each mark's text in the first row where it has room: row, where it is anchored, and whether it ends there.
fn rows(marks: &[Mark], frame: &Frame) -> Vec<(usize, f64, bool)> {
    let mut taken: Vec<Vec<(f64, f64)>> = Vec::new();
    marks
        .iter()
        .map(|mark| {
            let x = frame.x(mark.at);
            #[expect(clippy::cast_precision_loss, reason = "a short text")]
            let wide = label(mark).chars().count() as f64 * CHAR + 8.0;
            let ends = x + wide > frame.right;
            let (from, to) = if ends { (x - wide, x) } else { (x, x + wide) };
            let free = |row: &Vec<(f64, f64)>| row.iter().all(|(a, b)| to < *a || from > *b);
            let row = taken.iter().position(free).unwrap_or(taken.len());
            if row == taken.len() {
                taken.push(Vec::new());
            }
            if let Some(row) = taken.get_mut(row) {
                row.push((from, to));
            }
            (row, x, ends)
        })
        .collect()
}

fn label(mark: &Mark) -> String {
    format!("{} {}", mark.text, mark.at.clock())
}

/// The marks: a line through the plot each, and its text above.
pub fn draw_marks(marks: &[Mark], frame: &Frame) -> Vec<Markup> {
    let mut drawn = Vec::new();
    for (mark, (row, x, ends)) in marks.iter().zip(rows(marks, frame)) {
        #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
        let y = (row as f64).mul_add(LINE, LINE - 3.0);
        let class = if mark.is_rollback { "mark back" } else { "mark" };
        drawn.push(line((x, y - 8.0), (x, frame.bottom)).class(class).end());
        let (x, anchor) = if ends { (x - 4.0, "end") } else { (x + 4.0, "start") };
        drawn.push(text(x, y, anchor, &label(mark)).class("t strong").end());
    }
    drawn
}

/// The clock times below a plot.
pub fn draw_clock(frame: &Frame) -> Vec<Markup> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the width of a plot in characters"
    )]
    let columns = ((frame.right - frame.left) / CHAR) as usize;
    let mut drawn = vec![line((frame.left, frame.bottom), (frame.right, frame.bottom)).class("axis").end()];
    for (at, words) in frame.axis.times(columns) {
        let x = frame.x(at);
        drawn.push(line((x, frame.bottom), (x, frame.bottom + 4.0)).class("axis").end());
        // Left of it stands what clock it is.
        if x > (frame.left + 14.0).max(54.0) && x < frame.right - 14.0 {
            drawn.push(text(x, frame.bottom + LINE, "middle", &words).class("t dim").end());
        }
    }
    drawn.push(text(4.0, frame.bottom + LINE, "start", "UTC").class("t dim").end());
    drawn
}

/// A line between two points.
pub fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Tag {
    tag("line").number("x1", x1).number("y1", y1).number("x2", x2).number("y2", y2)
}

/// A text at a point.
pub fn text(x: f64, y: f64, anchor: &'static str, words: &str) -> Tag {
    tag("text").number("x", x).number("y", y).attr("text-anchor", anchor).put(words)
}

/// The picture's frame, with its name and its words for whoever cannot see it.
pub fn picture(id: &str, size: Size, high: f64, title: &str, words: &str) -> Tag {
    let wide = size.width();
    let (name, about) = (format!("{id}-{}-name", size.class()), format!("{id}-{}-words", size.class()));
    tag("svg")
        .class(size.class())
        .attr("viewBox", format!("0 0 {} {}", number(wide), number(high)))
        .attr("role", "img")
        .attr("aria-labelledby", format!("{name} {about}"))
        .put(tag("title").attr("id", &name).put(title))
        .put(tag("desc").attr("id", &about).put(words))
}

/// A metric's chart.
pub fn draw(chart: &Chart, marks: &[Mark], id: &str, size: Size) -> Markup {
    let (left, right) = (size.left(), size.width() - size.right());
    let frame = Frame { left, right, top: 0.0, bottom: 0.0, axis: chart.axis };
    let top = marks_high(marks, &frame);
    let frame = Frame { top, bottom: top + HIGH, ..frame };
    let y = |value: f64| (frame.bottom - frame.top).mul_add(-chart.scale.at(value), frame.bottom);
    let mut picture = picture(id, size, frame.bottom + LINE + 6.0, &chart.title, &chart.words);
    picture = picture.all(values(chart, &frame, &y, size));
    picture = picture.all(draw_clock(&frame));
    for curve in &chart.curves {
        picture = picture.all(draw_curve(curve, &frame, &y));
    }
    picture.all(draw_marks(marks, &frame)).end()
}

/// The value axis and the limits.
fn values(chart: &Chart, frame: &Frame, y: &impl Fn(f64) -> f64, size: Size) -> Vec<Markup> {
    let limits: Vec<Limit> = chart.limits.iter().map(|(limit, _)| *limit).collect();
    let mut marks = chart.scale.marks(&limits, ROWS);
    marks.sort_by(|a, b| y(a.value).total_cmp(&y(b.value)));
    let mut drawn = Vec::new();
    let mut next = f64::NEG_INFINITY;
    for mark in &marks {
        let at = y(mark.value);
        if mark.limit.is_none() {
            drawn.push(line((frame.left, at), (frame.right, at)).class("grid").end());
        }
        // Two that are close stand one below the other.
        let place = (at + 4.5).max(next);
        next = place + LINE - 2.0;
        let class = if mark.limit.is_some() { "t" } else { "t dim" };
        drawn.push(text(frame.left - 8.0, place, "end", &mark.text).class(class).end());
    }
    let mut named: Vec<(f64, &Limit, &String)> =
        chart.limits.iter().map(|(limit, words)| (y(limit.value), limit, words)).collect();
    named.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut next = f64::NEG_INFINITY;
    for (at, limit, words) in named {
        let class = if limit.alert { "limit alert" } else { "limit" };
        drawn.push(line((frame.left, at), (frame.right, at)).class(class).end());
        let (x, place, anchor) = match size {
            Size::Wide => (frame.right + 6.0, (at + 4.5).max(next), "start"),
            Size::Narrow => (frame.left + 4.0, (at - 4.0).max(next), "start"),
        };
        next = place + LINE - 2.0;
        let class = if limit.alert { "t bad" } else { "t dim" };
        drawn.push(text(x, place, anchor, words).class(class).end());
    }
    drawn
}

/// A curve: each piece by itself, single values as dots, and what was in the alert range once more, thicker.
fn draw_curve(curve: &Curve, frame: &Frame, y: &impl Fn(f64) -> f64) -> Vec<Markup> {
    let class = match curve.whose {
        Whose::New => "curve new",
        Whose::Other => "curve other",
        Whose::Whole => "curve whole",
    };
    let mut drawn = Vec::new();
    for piece in &curve.pieces {
        if let [(at, value)] = piece.as_slice() {
            let dot = tag("circle").number("cx", frame.x(*at)).number("cy", y(*value));
            drawn.push(dot.number("r", if curve.told { 4.0 } else { 2.0 }).class(class).end());
            continue;
        }
        drawn.push(tag("path").class(class).attr("d", way(piece.iter(), frame, y)).end());
    }
    for (from, to) in curve.alerts.iter().filter(|(from, to)| from < to) {
        let hot = curve.pieces.iter().flatten().filter(|(at, _)| at >= from && at <= to);
        drawn.push(tag("path").class("curve hot").attr("d", way(hot, frame, y)).end());
    }
    drawn
}

/// The way of a curve. Of what falls into one column of pixels the first, least, most and last are drawn: no peak is lost, and
/// a day of samples is no megabyte.
fn way<'a>(
    points: impl Iterator<Item = &'a (Timestamp, f64)>,
    frame: &Frame,
    y: &impl Fn(f64) -> f64,
) -> String {
    let mut columns: Vec<(i64, Vec<(f64, f64)>)> = Vec::new();
    for (at, value) in points {
        let place = (frame.x(*at), y(*value));
        #[expect(clippy::cast_possible_truncation, reason = "a column of pixels")]
        let column = place.0.floor() as i64;
        match columns.last_mut() {
            Some((same, places)) if *same == column => places.push(place),
            _ => columns.push((column, vec![place])),
        }
    }
    let mut way = String::new();
    for (_, places) in columns {
        let least = (0..places.len()).min_by(|a, b| places[*a].1.total_cmp(&places[*b].1));
        let most = (0..places.len()).max_by(|a, b| places[*a].1.total_cmp(&places[*b].1));
        let mut kept = vec![0, places.len() - 1];
        kept.extend(least);
        kept.extend(most);
        kept.sort_unstable();
        kept.dedup();
        for index in kept {
            let (x, y) = places[index];
            way.push(if way.is_empty() { 'M' } else { 'L' });
            way.push_str(&number(x));
            way.push(' ');
            way.push_str(&number(y));
        }
    }
    way
}
