//! Which time the charts show: by itself what matters now, else what a person has chosen with the keys. One clock axis for
//! all charts of a screen.

use super::{
    model::{Model, still::Times},
    widget::clock_axis::{ClockAxis, longer, shorter},
};
use crate::domain::time::{Span, Timestamp};

/// Without a switch so much of the past is shown at most.
const PAST: Span = Span::from_mins(30);
/// How far one key moves, as a part of what is shown.
const PART: u64 = 4;
/// At least so long before the switch is shown, so that there is something to compare with.
const BEFORE: Span = Span::from_secs(30);

/// What matters now: from before the first switch, or from the oldest value on.
pub fn live(model: &Model) -> ClockAxis {
    let now = model.measured_at();
    let moved = model.run.as_ref().and_then(|run| run.moves.first()).map(|(at, ..)| *at);
    let oldest = oldest(model).unwrap_or(now);
    let since = match moved {
        Some(at) => {
            let part = Span::from_millis(now.since(at).as_millis() / (PART - 1));
            (at - part.max(BEFORE)).max(oldest)
        }
        None => oldest.max(now - PAST),
    };
    ClockAxis::since(since, now)
}

/// What a page shows.
pub fn shown(model: &Model, times: Times) -> ClockAxis {
    let live = live(model);
    let span = times.span.unwrap_or_else(|| live.span());
    match (times.end, times.span) {
        (Some(to), _) => ClockAxis { from: to - span, to },
        (None, Some(_)) => ClockAxis::ending(model.measured_at(), span),
        (None, None) => live,
    }
}

/// Zooms in or out; none at the last step. The middle stays, or the newest value if it is in sight.
pub fn zoomed(model: &Model, times: Times, more: bool) -> Option<Times> {
    let axis = shown(model, times);
    let span = if more { longer(axis.span()) } else { shorter(axis.span()) };
    if span == axis.span() {
        return None;
    }
    let half = |span: Span| Span::from_millis(span.as_millis() / 2);
    let middle = axis.from + half(axis.span());
    let end = times.end.and_then(|_| past(model, span, middle + half(span)));
    Some(Times { span: Some(span), end })
}

/// Moves to an earlier time; none if nothing was measured before.
pub fn earlier(model: &Model, times: Times) -> Option<Times> {
    let axis = shown(model, times);
    oldest(model).filter(|oldest| *oldest < axis.from)?;
    let part = Span::from_millis(axis.span().as_millis() / PART);
    Some(Times { span: Some(axis.span()), end: Some(axis.to - part) })
}

/// Some time later; none where the newest value is in sight.
pub fn later(model: &Model, times: Times) -> Option<Times> {
    let axis = shown(model, times);
    times.end?;
    let part = Span::from_millis(axis.span().as_millis() / PART);
    Some(Times { span: Some(axis.span()), end: past(model, axis.span(), axis.to + part) })
}

/// An end in the past; none where that is now.
fn past(model: &Model, span: Span, end: Timestamp) -> Option<Timestamp> {
    Some(end).filter(|end| *end < ClockAxis::ending(model.measured_at(), span).to)
}

/// When the oldest value that is still known was measured.
fn oldest(model: &Model) -> Option<Timestamp> {
    model.measured().series.values().filter_map(|series| series.iter().next()).map(|(at, _)| at).min()
}
