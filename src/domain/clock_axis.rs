//! The time axis of charts: clock times, one axis for all charts of a screen.
//!
//! It stands still while time goes on: its end lies a little ahead, and when the newest value has reached it, the axis moves
//! on by a round step. So a tick of the clock changes a cell or two of a chart and not all of them, which is what a slow line
//! can bear.

use super::time::{Span, Timestamp};

/// Round steps of a clock, in seconds.
const STEPS: [u64; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200];
/// Lengths of time that are shown, in minutes.
const SPANS: [u64; 9] = [1, 2, 5, 10, 15, 20, 30, 45, 60];
/// The axis moves on by about this part of its length.
const PART: u64 = 10;

/// The past that is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockAxis {
    /// Its left end.
    pub from: Timestamp,
    /// Its right end.
    pub to: Timestamp,
}

impl ClockAxis {
    /// The axis of a length that ends at a time or a little after it.
    pub fn ending(at: Timestamp, span: Span) -> Self {
        let step = step_of(Span::from_millis(span.as_millis() / PART));
        let ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let to = Timestamp((at.0.div_euclid(ms) + 1).saturating_mul(ms));
        Self { from: to - span, to }
    }

    /// The shortest axis that ends at `now` and has everything since `since`; the longest where none is long enough.
    pub fn since(since: Timestamp, now: Timestamp) -> Self {
        let mut axes = SPANS.iter().skip(1).map(|minutes| Self::ending(now, Span::from_mins(*minutes)));
        axes.find(|axis| axis.from <= since).unwrap_or_else(|| Self::ending(now, longest()))
    }

    /// Its length.
    pub fn span(&self) -> Span {
        self.to.since(self.from)
    }

    /// Where a time stands: 0 at the left end, 1 at the right one; below 0 and above 1 outside.
    pub fn at(&self, at: Timestamp) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "spans of hours")]
        let (gone, whole) = ((at.0 - self.from.0) as f64, self.span().as_millis().max(1) as f64);
        gone / whole
    }

    /// The column of a time among so many, as a curve of dots is drawn there, two in a column; none outside.
    pub fn column(&self, at: Timestamp, columns: usize) -> Option<usize> {
        (at >= self.from && at <= self.to && columns > 0).then(|| column_at(self.at(at), columns))
    }

    /// Round clock times with their columns, as many as have room: see [`Self::times`].
    pub fn ticks(&self, columns: usize) -> Vec<(usize, String)> {
        let times = self.times(columns).into_iter();
        times.filter_map(|(at, text)| Some((self.column(at, columns)?, text))).collect()
    }

    /// Round clock times within, as many as have room on so many columns: `14:05`, and with seconds where they are less than
    /// a minute apart.
    pub fn times(&self, columns: usize) -> Vec<(Timestamp, String)> {
        let room = |step: u64| {
            let wide = if step < 60 { 14 } else { 11 };
            self.span().as_secs() / step * wide <= columns as u64
        };
        let Some(step) = STEPS.into_iter().find(|step| room(*step)) else { return Vec::new() };
        let ms = i64::try_from(step * 1000).unwrap_or(i64::MAX);
        let first = Timestamp(self.from.0.div_euclid(ms) * ms);
        let times = (0..).map(|n| first + Span::from_secs(step * n)).take_while(|at| *at <= self.to);
        times
            .filter_map(|at| {
                let clock = at.clock();
                let text = if step < 60 { clock.as_str() } else { clock.get(..5).unwrap_or_default() };
                (at >= self.from).then(|| (at, text.to_owned()))
            })
            .collect()
    }
}

/// The column of a place between 0 and 1 among so many.
pub fn column_at(place: f64, columns: usize) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "columns of a screen")]
    let dots = (columns as f64 * 2.0 - 1.0).max(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the dots")]
    let column = (place.clamp(0.0, 1.0) * dots).round() as usize / 2;
    column.min(columns.saturating_sub(1))
}

/// The next shorter length to show; the same where there is none.
pub fn shorter(span: Span) -> Span {
    let spans = SPANS.iter().rev().map(|minutes| Span::from_mins(*minutes));
    spans.into_iter().find(|other| *other < span).unwrap_or(span)
}

/// The next longer length to show; the same where there is none.
pub fn longer(span: Span) -> Span {
    SPANS.iter().map(|minutes| Span::from_mins(*minutes)).find(|other| *other > span).unwrap_or(span)
}

fn longest() -> Span {
    Span::from_mins(SPANS[SPANS.len() - 1])
}

/// The first round step that is not below a length.
fn step_of(span: Span) -> Span {
    let seconds = STEPS.into_iter().find(|step| *step >= span.as_secs()).unwrap_or(STEPS[STEPS.len() - 1]);
    Span::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 14:00:00 UTC.
    const START: Timestamp = Timestamp(1_795_183_200_000);

    fn at(seconds: u64) -> Timestamp {
        START + Span::from_secs(seconds)
    }

    fn texts(axis: ClockAxis, columns: usize) -> Vec<String> {
        axis.ticks(columns).into_iter().map(|(column, text)| format!("{column} {text}")).collect()
    }

    #[test]
    fn labels_are_round_clock_times() {
        let axis = ClockAxis::ending(at(754), Span::from_mins(15));
        assert_eq!((axis.from.clock(), axis.to.clock()), ("13:59:00".to_owned(), "14:14:00".to_owned()));
        assert_eq!(texts(axis, 60), ["4 14:00", "24 14:05", "43 14:10"]);
        assert_eq!(texts(axis, 140).len(), 8, "every two minutes");
        let axis = ClockAxis::ending(at(754), Span::from_mins(2));
        assert_eq!(texts(axis, 60), ["7 14:11:00", "22 14:11:30", "37 14:12:00", "52 14:12:30"]);
        assert_eq!(texts(axis, 5), Vec::<String>::new());
        assert_eq!(axis.column(axis.to + Span::from_secs(1), 60), None);
        assert_eq!((axis.column(axis.from, 60), axis.column(axis.to, 60)), (Some(0), Some(59)));
    }

    #[test]
    fn it_stands_still_and_moves_on_by_a_step() {
        let axes: Vec<ClockAxis> =
            (0..300).map(|n| ClockAxis::ending(at(600 + n), Span::from_mins(15))).collect();
        let moves = axes.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(moves, 2, "every two minutes");
        assert!(axes.iter().zip(600..).all(|(axis, n)| axis.to > at(n)));
    }

    #[test]
    fn it_is_as_long_as_what_there_is_to_show() {
        let span = |since: u64, now: u64| ClockAxis::since(at(since), at(now)).span();
        assert_eq!(span(600, 610), Span::from_mins(2));
        assert_eq!(span(0, 600), Span::from_mins(15));
        assert_eq!(span(0, 36_000), Span::from_mins(60));
    }

    #[test]
    fn lengths_go_step_by_step_and_end() {
        assert_eq!(shorter(Span::from_mins(15)), Span::from_mins(10));
        assert_eq!(longer(Span::from_mins(15)), Span::from_mins(20));
        assert_eq!(shorter(Span::from_mins(1)), Span::from_mins(1));
        assert_eq!(longer(Span::from_mins(60)), Span::from_mins(60));
    }

    proptest! {
        #[test]
        fn labels_never_run_into_each_other(now in 0_u64..100_000, span in 0_usize..SPANS.len(), columns in 0_usize..300) {
            let axis = ClockAxis::ending(at(now), Span::from_mins(SPANS[span]));
            let ticks = axis.ticks(columns);
            prop_assert!(ticks.windows(2).all(|pair| pair[0].0 + pair[0].1.len() + 2 <= pair[1].0), "{ticks:?}");
            prop_assert!(ticks.iter().all(|(column, _)| *column < columns));
        }
    }
}
