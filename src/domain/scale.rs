//! The value axis of a chart: where a value stands between its bottom and its top, and what is written beside it.
//!
//! The axis has one of three shapes, chosen by what the limits look like, never by the values of the moment: a chart that
//! changes its shape while one looks at it cannot be read.
//!
//! ```text
//! linear   most things: milliseconds, connections, CPU. Twice as high is twice as much.
//! log      limits near zero, or ten times and more apart, such as normal < 0.1 % and alert > 1 %: on a linear axis everything
//!          below the alert would lie on the bottom, and a rate of 30 % would press both limits into it.
//! nines    shares near 100 % of which less is worse, such as normal > 99 % and alert < 98 %: the same axis, of what is missing
//!          to 100 %, upside down.
//! ```
//!
//! Both limits are inside whatever the values are.

use super::metric::{Bound, Metric, Op, Unit};

/// Beyond this nobody reads an axis, and arithmetic on it stays finite.
const HUGE: f64 = 1e18;
/// A limit is near zero (or near 100 %) up to this part.
const NEAR: f64 = 0.1;
/// Limits this many times apart want a logarithmic axis.
const APART: f64 = 10.0;
/// A logarithmic axis is about linear up to this part of its lowest limit: what is far below it, and zero, takes little room
/// and looks as calm as it is.
const BELOW: f64 = 3.0;
/// Rows between a limit and the edge where trouble lies.
const ROOM: f64 = 1.25;
/// Dots in the height of a character.
const DOTS: f64 = 4.0;

/// A limit that is drawn as a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Where.
    pub value: f64,
    /// Whether beyond it somebody must act; else it is the edge of what is normal.
    pub alert: bool,
}

impl Limit {
    /// The limits that a metric declares.
    pub fn of(metric: &Metric) -> Vec<Self> {
        let limit = |bound: Option<Bound>, alert| bound.map(|bound| Self { value: bound.value, alert });
        limit(metric.normal, false).into_iter().chain(limit(metric.alert, true)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Linear,
    /// Up to about `floor` it is linear, and zero is its bottom; above it each tenfold has the same height.
    Log {
        floor: f64,
    },
    /// The same of `1 - value`, upside down.
    Nines {
        floor: f64,
    },
}

/// The value axis of one chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    unit: Unit,
    shape: Shape,
    low: f64,
    high: f64,
}

/// What stands beside the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The row, counted from the top.
    pub row: usize,
    /// The value.
    pub value: f64,
    /// The value, with its unit.
    pub text: String,
    /// The limit whose line is in this row.
    pub limit: Option<Limit>,
}

impl Scale {
    /// The axis for a metric's limits, those that it declares and any others, and the values that are to be seen, in a plot of
    /// so many rows. Beyond the limits, on the side of trouble, there is a row at least, so that a curve is seen to cross them.
    pub fn new(metric: &Metric, limits: &[Limit], seen: impl IntoIterator<Item = f64>, rows: usize) -> Self {
        let unit = metric.unit;
        let values: Vec<f64> = seen.into_iter().filter(|value| value.is_finite()).map(tame).collect();
        let bounds: Vec<f64> =
            limits.iter().map(|limit| limit.value).filter(|value| value.is_finite()).map(tame).collect();
        let all = || values.iter().chain(&bounds).copied();
        let (least, most) = (all().fold(HUGE, f64::min), all().fold(-HUGE, f64::max));
        if values.is_empty() && bounds.is_empty() {
            return Self { unit, shape: Shape::Linear, low: 0.0, high: 1.0 };
        }
        let shape = shape(metric, &bounds, least);
        let (low, high) = match shape {
            Shape::Log { .. } => (0.0, capped(unit, most, nice_above(unit, most * 1.1))),
            Shape::Nines { .. } => (1.0 - nice_above(unit, (1.0 - least) * 1.1), 1.0),
            Shape::Linear => linear(unit, least, most, bounds.is_empty()),
        };
        let low = if least >= 0.0 { low.max(0.0) } else { low };
        let high = if high > low { high } else { low + low.abs().max(f64::MIN_POSITIVE) };
        let scale = Self { unit, shape, low, high };
        if bounds.is_empty() || rows < 4 { scale } else { scale.with_room(metric, &bounds, rows) }
    }

    /// With a row at least between the outermost limit and the edge where trouble lies.
    fn with_room(self, metric: &Metric, bounds: &[f64], rows: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "rows of a screen")]
        let part = 1.0 - ROOM / rows as f64;
        let (low, high) = (self.axis(self.low), self.axis(self.high));
        if matches!(worse(metric), Some(Worse::Down)) {
            let limit = self.axis(bounds.iter().copied().fold(HUGE, f64::min));
            let wanted = self.value(high - (high - limit) / part);
            let low = match self.shape {
                Shape::Nines { .. } => 1.0 - nice_above(self.unit, 1.0 - wanted),
                Shape::Linear | Shape::Log { .. } => -self.round_up(-wanted),
            };
            let floor = if self.low >= 0.0 { 0.0 } else { -HUGE };
            return Self { low: self.low.min(low.max(floor)), ..self };
        }
        let limit = self.axis(bounds.iter().copied().fold(-HUGE, f64::max));
        let wanted = self.value(low + (limit - low) / part);
        let cap = if self.unit == Unit::Percent && self.high <= 1.0 { 1.0 } else { HUGE };
        let high = match self.shape {
            _ if wanted <= self.high => self.high,
            Shape::Linear => self.round_up(wanted),
            Shape::Log { .. } | Shape::Nines { .. } => nice_above(self.unit, wanted),
        };
        Self { high: self.high.max(high.min(cap)), ..self }
    }

    /// A round value a little above one, on a linear axis.
    fn round_up(&self, value: f64) -> f64 {
        let step = nice_above(self.unit, (self.high - self.low) / 8.0);
        (value / step).ceil() * step
    }

    /// The value at a place of [`Scale::axis`].
    fn value(&self, place: f64) -> f64 {
        tame(match self.shape {
            Shape::Linear => place,
            Shape::Log { floor } => floor * (10_f64.powf(place) - 1.0),
            Shape::Nines { floor } => 1.0 - floor * (10_f64.powf(-place) - 1.0),
        })
    }

    /// Where a value stands: 0 at the bottom, 1 at the top. What is beyond stands at the edge.
    pub fn at(&self, value: f64) -> f64 {
        let (low, high) = (self.axis(self.low), self.axis(self.high));
        let part = (self.axis(tame(value)) - low) / (high - low);
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Whether equal heights are not equal differences: the caption says so.
    pub fn is_logarithmic(&self) -> bool {
        self.shape != Shape::Linear
    }

    fn axis(&self, value: f64) -> f64 {
        match self.shape {
            Shape::Linear => value,
            Shape::Log { floor } => (1.0 + value.max(0.0) / floor).log10(),
            Shape::Nines { floor } => -(1.0 + (1.0 - value).max(0.0) / floor).log10(),
        }
    }

    /// The row of a value in a plot of so many rows, as its curve is drawn: from the nearest of the dots in it.
    fn row(&self, value: f64, rows: usize) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "rows of a screen")]
        let dots = (rows as f64).mul_add(DOTS, -1.0).max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the dots")]
        let row = (((1.0 - self.at(value)) * dots).round() / DOTS) as usize;
        row.min(rows.saturating_sub(1))
    }

    /// The rows of limits, in the order of `limits`. Each has one of its own, in the order of their values: where two would
    /// be in the same one, the next is taken.
    pub fn rows_of(&self, limits: &[Limit], rows: usize) -> Vec<usize> {
        let last = rows.saturating_sub(1);
        let mut order: Vec<usize> = (0..limits.len()).collect();
        order.sort_by(|a, b| limits[*a].value.total_cmp(&limits[*b].value));
        let mut heights = vec![0; limits.len()];
        let mut next = 0;
        for &index in &order {
            heights[index] = next.max(last - self.row(limits[index].value, rows));
            next = heights[index] + 1;
        }
        let mut most = last;
        for &index in order.iter().rev() {
            heights[index] = heights[index].min(most);
            most = heights[index].saturating_sub(1);
        }
        heights.into_iter().map(|height| last - height).collect()
    }

    /// What stands beside the axis of a plot of so many rows: every limit, top and bottom, and round values between where
    /// there is room.
    pub fn marks(&self, limits: &[Limit], rows: usize) -> Vec<Mark> {
        let mut marks: Vec<Mark> = limits
            .iter()
            .zip(self.rows_of(limits, rows))
            .map(|(limit, row)| {
                let text = self.unit.show(limit.value);
                Mark { row, value: limit.value, text, limit: Some(*limit) }
            })
            .collect();
        let mut add = |value: f64, near: usize| {
            let (row, text) = (self.row(value, rows), self.unit.show(value));
            // What is shown as zero and is none would be a lie, and the same number twice a riddle.
            let zero = value != 0.0 && self.unit.show(0.0) == text;
            let taken = marks.iter().any(|mark| mark.row.abs_diff(row) < near || mark.text == text);
            if !zero && !taken {
                marks.push(Mark { row, value, text, limit: None });
            }
        };
        add(self.high, 1);
        add(self.low, 1);
        for value in self.round_values() {
            add(value, 2);
        }
        marks.sort_by_key(|mark| mark.row);
        marks
    }

    /// Values that may be written between bottom and top, those that matter most first.
    fn round_values(&self) -> Vec<f64> {
        // 0.1 %, 1 %, 10 %: whole powers of ten.
        let decades = |floor: f64| {
            let first = 10_f64.powf(floor.log10().ceil());
            (0..24).map(move |power| first * 10_f64.powi(power))
        };
        match self.shape {
            Shape::Linear => {
                let quarter = (self.high - self.low) / 4.0;
                [2.0, 1.0, 3.0].map(|part| quarter.mul_add(part, self.low)).to_vec()
            }
            Shape::Log { floor } => decades(floor).take_while(|value| *value < self.high).collect(),
            Shape::Nines { floor } => {
                decades(floor).map(|value| 1.0 - value).take_while(|value| *value > self.low).collect()
            }
        }
    }
}

fn tame(value: f64) -> f64 {
    value.clamp(-HUGE, HUGE)
}

/// Which axis the limits want. `least` is the lowest of all that is drawn: below zero there is no logarithm.
fn shape(metric: &Metric, bounds: &[f64], least: f64) -> Shape {
    let (lowest, highest) =
        (bounds.iter().copied().fold(HUGE, f64::min), bounds.iter().copied().fold(-HUGE, f64::max));
    let share = metric.unit == Unit::Percent;
    match worse(metric) {
        Some(Worse::Up)
            if lowest > 0.0 && least >= 0.0 && (share && highest <= NEAR || highest / lowest >= APART) =>
        {
            Shape::Log { floor: (lowest / BELOW).max(1.0 / HUGE) }
        }
        Some(Worse::Down) if share && lowest >= 1.0 - NEAR && highest < 1.0 => {
            Shape::Nines { floor: ((1.0 - highest) / BELOW).max(1.0 / HUGE) }
        }
        _ => Shape::Linear,
    }
}

/// On which side trouble lies.
enum Worse {
    Up,
    Down,
}

fn worse(metric: &Metric) -> Option<Worse> {
    let up = |op: Op| matches!(op, Op::Gt | Op::Ge);
    match (metric.alert, metric.normal) {
        (Some(alert), _) => Some(if up(alert.op) { Worse::Up } else { Worse::Down }),
        (None, Some(normal)) => Some(if up(normal.op) { Worse::Down } else { Worse::Up }),
        (None, None) => None,
    }
}

/// Bottom and top with some air. Zero is the bottom unless everything is far from it, and of a share always; without any
/// limit nothing says what is much, so that the curve lies in the middle.
fn linear(unit: Unit, least: f64, most: f64, unlimited: bool) -> (f64, f64) {
    let from_zero = least >= 0.0 && (least < most / 2.0 || unlimited || unit == Unit::Percent);
    let least = if from_zero { 0.0 } else { least };
    let most = if unlimited { most.max(most * 1.5) } else { most };
    let span = (most - least).max(most.abs() * 0.01).max(1.0 / HUGE);
    let step = nice_above(unit, span / 4.0);
    let air = span * 0.04;
    let low = if from_zero { 0.0 } else { ((least - air) / step).floor() * step };
    (low, capped(unit, most, ((most + air) / step).ceil() * step))
}

/// A share that is never above 100 % is not drawn as if it could be.
fn capped(unit: Unit, most: f64, high: f64) -> f64 {
    if unit == Unit::Percent && most <= 1.0 { high.min(1.0) } else { high }
}

/// The least of 1, 2, 5, 10, 20 … that is not below a value; of bytes the same in their own units.
fn nice_above(unit: Unit, value: f64) -> f64 {
    let value = value.abs().max(1.0 / HUGE);
    let whole =
        if unit == Unit::Bytes && value >= 1024.0 { 1024_f64.powf(value.log(1024.0).floor()) } else { 1.0 };
    let power = 10_f64.powf((value / whole).log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].map(|step| step * power * whole);
    // A hair's breadth below counts as equal.
    nice.into_iter().find(|nice| *nice >= value * (1.0 - 1e-9)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        metric::{Query, ScrapeCalc},
        time::Span,
    };

    fn metric(unit: Unit, normal: impl Into<Option<Bound>>, alert: impl Into<Option<Bound>>) -> Metric {
        let calc = ScrapeCalc::Gauge { gauge: "x".to_owned() };
        Metric {
            id: "x".into(),
            title: "X".to_owned(),
            query: Query::Scrape { source: "s".to_owned(), calc },
            per_slot: false,
            unit,
            normal: normal.into(),
            alert: alert.into(),
            action: None,
            interval: Span::from_secs(5),
        }
    }

    fn bound(op: Op, value: f64) -> Bound {
        Bound { op, value }
    }

    fn errors() -> Metric {
        metric(Unit::Percent, bound(Op::Lt, 0.001), bound(Op::Gt, 0.01))
    }

    fn scale(metric: &Metric, seen: &[f64]) -> Scale {
        scale_in(metric, seen, 8)
    }

    fn scale_in(metric: &Metric, seen: &[f64], rows: usize) -> Scale {
        Scale::new(metric, &Limit::of(metric), seen.iter().copied(), rows)
    }

    /// The axis as text, from the top.
    fn shown(metric: &Metric, seen: &[f64], rows: usize) -> Vec<String> {
        let marks = scale_in(metric, seen, rows).marks(&Limit::of(metric), rows);
        let kind =
            |mark: &Mark| mark.limit.map_or("", |limit| if limit.alert { "alert " } else { "normal " });
        marks.iter().map(|mark| format!("{} {}{}", mark.row, kind(mark), mark.text)).collect()
    }

    #[test]
    fn an_error_rate_has_a_logarithmic_axis_with_both_limits_apart() {
        assert!(scale(&errors(), &[]).is_logarithmic());
        assert_eq!(shown(&errors(), &[0.0004], 8), ["0 2 %", "1 alert 1 %", "5 normal 0.1 %", "7 0 %"]);
        // Thirty times the alert, and both limits can still be told apart.
        assert_eq!(shown(&errors(), &[0.3], 8), ["0 50 %", "4 alert 1 %", "6 normal 0.1 %", "7 0 %"]);
        assert!(scale(&errors(), &[0.0]).at(0.0) <= 0.0);
    }

    #[test]
    fn a_success_rate_has_the_same_axis_upside_down() {
        let payments = metric(Unit::Percent, bound(Op::Gt, 0.99), bound(Op::Lt, 0.98));
        assert!(scale(&payments, &[]).is_logarithmic());
        assert_eq!(
            shown(&payments, &[0.996, 0.42], 10),
            ["0 100 %", "2 normal 99 %", "3 alert 98 %", "5 90 %", "9 0 %"]
        );
        assert!(scale(&payments, &[0.5]).at(1.0) >= 1.0);
    }

    #[test]
    fn a_curve_is_seen_to_cross_its_limit() {
        let payments = metric(Unit::Percent, bound(Op::Gt, 0.99), bound(Op::Lt, 0.98));
        let latency = metric(Unit::S, bound(Op::Lt, 0.2), bound(Op::Gt, 0.5));
        for rows in 4..30 {
            let row = |metric: &Metric, value: f64| {
                let limits = Limit::of(metric);
                let scale = scale_in(metric, &[value], rows);
                (scale.row(value, rows), scale.rows_of(&limits, rows)[1])
            };
            for (metric, value) in [(errors(), 0.05), (latency.clone(), 0.75), (errors(), 0.5)] {
                let (curve, alert) = row(&metric, value);
                assert!(curve < alert, "{curve} {alert} in {rows}");
            }
            let (curve, alert) = row(&payments, 0.9);
            assert!(curve > alert, "{curve} {alert} in {rows}");
        }
    }

    #[test]
    fn what_has_limits_of_its_own_size_stays_linear() {
        let latency = metric(Unit::S, bound(Op::Lt, 0.2), bound(Op::Gt, 0.5));
        let cpu = metric(Unit::Percent, bound(Op::Lt, 0.7), bound(Op::Gt, 0.85));
        assert!(!scale(&latency, &[0.14]).is_logarithmic() && !scale(&cpu, &[0.5]).is_logarithmic());
        assert_eq!(
            shown(&latency, &[0.14, 0.16], 12),
            ["0 600 ms", "2 alert 500 ms", "7 normal 200 ms", "11 0 ms"]
        );
        // A share ends at 100 %.
        assert_eq!(
            shown(&cpu, &[0.5], 9),
            ["0 100 %", "1 alert 85 %", "2 normal 70 %", "4 50 %", "6 25 %", "8 0 %"]
        );
        // Ten times apart it is not.
        let queue = metric(Unit::Count, bound(Op::Lt, 10.0), bound(Op::Gt, 1000.0));
        assert!(scale(&queue, &[3.0]).is_logarithmic());
    }

    #[test]
    fn without_limits_the_curve_is_in_the_middle_and_far_from_zero_the_axis_begins_there() {
        let rate = metric(Unit::PerMinute, None, None);
        let middle = scale(&rate, &[2300.0, 2350.0]).at(2300.0);
        assert!((0.4..0.8).contains(&middle), "{middle}");
        let around = [Limit { value: 1840.0, alert: false }, Limit { value: 2760.0, alert: false }];
        let marks = Scale::new(&rate, &around, [2300.0], 8).marks(&around, 8);
        let texts: Vec<&str> = marks.iter().map(|mark| mark.text.as_str()).collect();
        assert_eq!(texts, ["3000/min", "2760/min", "2250/min", "1840/min", "1500/min"]);
        assert!((scale(&rate, &[]).at(0.5) - 0.5).abs() < 1e-9);
        assert_eq!(scale(&metric(Unit::Bytes, None, None), &[3e9]).marks(&[], 6)[0].text, "6 GiB");
    }

    fn any_bound() -> impl Strategy<Value = Option<Bound>> {
        let op = prop::sample::select(vec![Op::Lt, Op::Le, Op::Gt, Op::Ge]);
        let value = prop_oneof![prop::num::f64::NORMAL | prop::num::f64::ZERO, 0.0..1.0, 0.0..1000.0];
        prop::option::of((op, value).prop_map(|(op, value)| Bound { op, value }))
    }

    fn any_unit() -> impl Strategy<Value = Unit> {
        prop::sample::select(vec![
            Unit::Percent,
            Unit::Ms,
            Unit::S,
            Unit::Count,
            Unit::PerMinute,
            Unit::Bytes,
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn both_limits_are_inside_whatever_is_measured(
            unit in any_unit(),
            normal in any_bound(),
            alert in any_bound(),
            seen in prop::collection::vec(prop_oneof![prop::num::f64::ANY, 0.0..1.0, -5.0..2000.0], 0..12),
            rows in 3_usize..40,
        ) {
            let metric = metric(unit, normal, alert);
            let limits = Limit::of(&metric);
            let scale = Scale::new(&metric, &limits, seen.iter().copied(), rows);
            let placed = scale.rows_of(&limits, rows);
            prop_assert!(placed.iter().all(|row| *row < rows), "{placed:?} in {rows}");
            if let [normal, alert] = limits[..] {
                prop_assert_ne!(placed[0], placed[1]);
                if normal.value > alert.value {
                    prop_assert!(placed[0] < placed[1], "the higher one is above");
                }
            }
            let marks = scale.marks(&limits, rows);
            prop_assert!(limits.iter().all(|limit| marks.iter().any(|mark| mark.limit == Some(*limit))));
            prop_assert!(marks.windows(2).all(|pair| pair[0].row < pair[1].row), "one mark a row: {marks:?}");
        }

        #[test]
        fn more_is_never_drawn_lower(
            unit in any_unit(),
            normal in any_bound(),
            alert in any_bound(),
            mut seen in prop::collection::vec(prop_oneof![prop::num::f64::NORMAL, 0.0..1.0, -5.0..2000.0], 2..12),
            rows in 1_usize..40,
        ) {
            let metric = metric(unit, normal, alert);
            let scale = Scale::new(&metric, &Limit::of(&metric), seen.iter().copied(), rows);
            seen.sort_by(f64::total_cmp);
            for pair in seen.windows(2) {
                let (less, more) = (scale.at(pair[0]), scale.at(pair[1]));
                prop_assert!((0.0..=1.0).contains(&less) && less <= more, "{less} {more}: {scale:?}");
            }
        }
    }
}
