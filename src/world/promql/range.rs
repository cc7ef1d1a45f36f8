//! Functions of a range vector: each turns one series' samples into one value, or none.

use std::cmp::Ordering;

use super::seconds;
use crate::world::metrics::store::Sample;

/// What a counter's or gauge's change over a window is wanted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// A counter's change a second.
    Rate,
    /// A counter's change in the window.
    Increase,
    /// A gauge's change in the window.
    Delta,
}

/// `rate`, `increase` and `delta` over the window `(from, to]` in milliseconds.
///
/// The samples seldom reach the window's ends, so the change between the first and the last is extrapolated: up to an end
/// that is no further than 1.1 average intervals away, else by half an interval; never to before a counter was zero.
#[expect(clippy::cast_precision_loss, reason = "a store holds some thousand samples")]
pub(super) fn change(samples: &[Sample], from: i64, to: i64, wanted: Change) -> Option<f64> {
    let [first, .., last] = samples else { return None };
    let counter = wanted != Change::Delta;
    let mut change = last.v - first.v;
    if counter {
        // A value below its predecessor means that the process restarted from zero.
        change += samples.windows(2).filter(|pair| pair[1].v < pair[0].v).map(|pair| pair[0].v).sum::<f64>();
    }
    let covered = seconds(last.t - first.t);
    let interval = covered / (samples.len() - 1) as f64;
    let reach = interval * 1.1;
    let mut to_start = seconds(first.t - from);
    if to_start >= reach {
        to_start = interval / 2.0;
    }
    if counter && change > 0.0 && first.v >= 0.0 {
        to_start = to_start.min(covered * (first.v / change));
    }
    let mut to_end = seconds(to - last.t);
    if to_end >= reach {
        to_end = interval / 2.0;
    }
    let whole = change * ((covered + to_start + to_end) / covered);
    Some(if wanted == Change::Rate { whole / seconds(to - from) } else { whole })
}

/// `irate` and `idelta`: from the last two samples alone.
pub(super) fn last_change(samples: &[Sample], per_second: bool) -> Option<f64> {
    let [.., before, last] = samples else { return None };
    if !per_second {
        return Some(last.v - before.v);
    }
    let change = if last.v < before.v { last.v } else { last.v - before.v };
    Some(change / seconds(last.t - before.t))
}

/// Slope a second and value at `t` of the straight line that fits best: `deriv` and `predict_linear`.
#[expect(clippy::cast_precision_loss, reason = "a store holds some thousand samples")]
pub(super) fn line(samples: &[Sample], t: i64) -> Option<(f64, f64)> {
    let n = samples.len() as f64;
    if samples.len() < 2 {
        return None;
    }
    let x = |sample: &Sample| seconds(sample.t - t);
    let (sum_x, sum_y) = samples.iter().fold((0.0, 0.0), |sum, s| (sum.0 + x(s), sum.1 + s.v));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let covariance: f64 = samples.iter().map(|s| (x(s) - mean_x) * (s.v - mean_y)).sum();
    let variance: f64 = samples.iter().map(|s| (x(s) - mean_x).powi(2)).sum();
    let slope = covariance / variance;
    Some((slope, mean_y - slope * mean_x))
}

/// The functions named `…_over_time`, `changes` and `resets`; none for a name that is not one of them. `samples` is not
/// empty.
#[expect(clippy::cast_precision_loss, reason = "a store holds some thousand samples")]
pub(super) fn over_time(name: &str, samples: &[Sample]) -> Option<f64> {
    let values = || samples.iter().map(|sample| sample.v);
    let count = samples.len() as f64;
    let steps = |counted: fn(f64, f64) -> bool| {
        samples.windows(2).filter(|pair| counted(pair[0].v, pair[1].v)).count() as f64
    };
    Some(match name {
        "avg_over_time" => values().sum::<f64>() / count,
        "min_over_time" => values().fold(f64::NAN, f64::min),
        "max_over_time" => values().fold(f64::NAN, f64::max),
        "sum_over_time" => values().sum(),
        "count_over_time" => count,
        "last_over_time" => samples.last()?.v,
        "present_over_time" => 1.0,
        "stdvar_over_time" => variance(values()),
        "stddev_over_time" => variance(values()).sqrt(),
        // A value that stays NaN has not changed.
        "changes" => steps(|before, after| {
            before.partial_cmp(&after) != Some(Ordering::Equal) && !(before.is_nan() && after.is_nan())
        }),
        "resets" => steps(|before, after| after < before),
        _ => return None,
    })
}

/// The mean squared distance from the mean.
#[expect(clippy::cast_precision_loss, reason = "a store holds some thousand samples")]
pub(super) fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    values.map(|value| (value - mean).powi(2)).sum::<f64>() / count
}

/// The `q`-quantile of the values, interpolated between neighbours: `quantile` and `quantile_over_time`.
#[expect(clippy::cast_precision_loss, reason = "a store holds some thousand samples")]
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rank lies between 0 and the length"
    )]
    let below = rank.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[below] * (1.0 - weight) + values[above] * weight
}
