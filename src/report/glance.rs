//! The run at a glance: each stage as a bar over clock time, its estimate as a frame, with the moves of the traffic.

use super::{
    chart::{
        Mark,
        svg::{Frame, Size, draw_clock, draw_marks, line, marks_high, picture, text},
    },
    course::{End, Kind, Stage},
    facts::Facts,
    markup::{Markup, number, tag},
};
use crate::domain::{
    clock_axis::ClockAxis,
    time::{Span, Timestamp},
};

/// The height of a bar.
const BAR: f64 = 15.0;

/// Draws it; nothing where no step has begun.
pub fn draw(facts: &Facts, size: Size) -> Markup {
    let stages = shown(facts);
    let (Some(from), Some(to)) = (
        stages.iter().map(|stage| stage.from).min(),
        stages.iter().map(|stage| stage.to.unwrap_or(facts.now)).max(),
    ) else {
        return Markup::default();
    };
    // Room for what is written behind the last bars.
    let whole = to.since(from).max(Span::from_secs(10));
    let axis = ClockAxis { from, to: to + Span::from_millis(whole.as_millis() / 50) };
    let marks: Vec<Mark> = facts.marks.clone();
    let (left, row) = match size {
        Size::Wide => (262.0, 26.0),
        Size::Narrow => (6.0, 42.0),
    };
    let right = size.width() - 128.0;
    let right = if size == Size::Narrow { size.width() - 8.0 } else { right };
    let frame = Frame { left, right, top: 0.0, bottom: 0.0, axis };
    let top = marks_high(&marks, &frame);
    #[expect(clippy::cast_precision_loss, reason = "a handful of stages")]
    let frame = Frame { top, bottom: (stages.len() as f64).mul_add(row, top) + 4.0, ..frame };
    let words = words(&stages, facts.now);
    let mut picture = picture("glance", size, frame.bottom + 22.0, "The run at a glance", &words);
    picture = picture.all(draw_clock(&frame));
    picture = picture.all(draw_marks(&marks, &frame));
    for (index, stage) in stages.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a handful of stages")]
        let y = (index as f64).mul_add(row, top + 4.0);
        picture = picture.all(bar(stage, facts.now, &frame, y, size));
    }
    picture.end()
}

/// The stages that are drawn: a checklist that took longer than everything else would leave no room for it.
fn shown(facts: &Facts) -> Vec<&Stage> {
    let begun: Vec<&Stage> = facts.stages().filter(|stage| stage.end != End::Skipped).collect();
    let steps = begun.iter().filter(|stage| stage.kind != Kind::Checklist);
    let first = steps.clone().map(|stage| stage.from).min();
    let rest = first.map_or(Span::ZERO, |first| facts.now.since(first));
    begun
        .into_iter()
        .filter(|stage| stage.kind != Kind::Checklist || first.is_none() || stage.took(facts.now) <= rest)
        .collect()
}

fn bar(stage: &Stage, now: Timestamp, frame: &Frame, y: f64, size: Size) -> Vec<Markup> {
    let (from, to) = (frame.x(stage.from), frame.x(stage.to.unwrap_or(now)));
    let wide = (to - from).max(2.0);
    let mut drawn = Vec::new();
    let bar_y = if size == Size::Narrow { y + 20.0 } else { y + 3.0 };
    if let Some((_, most)) = stage.estimate {
        let (top, bottom) = (bar_y - 2.0, bar_y + BAR + 2.0);
        let end = frame.x(stage.from + most).max(from + 2.0);
        // One that goes on beyond the picture has no end in it.
        let close = if stage.from + most > frame.axis.to { "M" } else { "L" };
        let [x, right, y, low] = [from, end, top, bottom].map(number);
        let way = format!("M{right} {y}L{x} {y}L{x} {low}L{right} {low}{close}{right} {y}");
        drawn.push(tag("path").class("estimate").attr("d", way).end());
    }
    let class = match (stage.end, &stage.kind) {
        (End::Failed, _) => "bar bad",
        (
            _,
            Kind::At(crate::domain::event::Place::Rollback { .. } | crate::domain::event::Place::Undo { .. }),
        ) => "bar watch",
        (End::Open, _) => "bar open",
        (End::Passed | End::Skipped, _) => "bar",
    };
    let rect = tag("rect").class(class).number("x", from).number("y", bar_y);
    drawn.push(rect.number("width", wide).number("height", BAR).number("rx", 2.0).end());
    let took = stage.took(now).clock();
    let failed = stage.end == End::Failed;
    let end = if failed { format!("{took} FAILED") } else { took };
    match size {
        Size::Wide => {
            drawn.push(text(0.0, y + 15.0, "start", &cut(&stage.title, 35)).class("t").end());
            let class = if failed { "t bad" } else { "t" };
            drawn.push(text(frame.right + 8.0, y + 15.0, "start", &end).class(class).end());
        }
        Size::Narrow => {
            drawn.push(text(frame.left, y + 14.0, "start", &cut(&stage.title, 32)).class("t").end());
            let class = if failed { "t bad" } else { "t" };
            drawn.push(text(frame.right, y + 14.0, "end", &end).class(class).end());
        }
    }
    let below = if size == Size::Narrow { y + 40.0 } else { y + 25.0 };
    drawn.push(line((frame.left, below), (frame.right, below)).class("grid").end());
    drawn
}

/// A title that has room, cut at its end.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{}…", kept.trim_end())
}

fn words(stages: &[&Stage], now: Timestamp) -> String {
    let each: Vec<String> = stages
        .iter()
        .map(|stage| {
            let judged = stage.judged(now).map(|(words, _)| format!(", {words}")).unwrap_or_default();
            format!("{}: {} after {}{judged}", stage.title, stage.word(), stage.took(now).clock())
        })
        .collect();
    format!("{}.", each.join("; "))
}
