//! `histogram_quantile` over classic buckets.

use std::collections::BTreeMap;

use super::{Element, Value};
use crate::world::metrics::labels::Labels;

const UPPER_BOUND: &str = "le";

/// The `q`-quantile of each histogram in `elements`, which are its cumulative buckets. What is not a bucket is ignored.
pub(super) fn quantile(q: f64, elements: Vec<Element>) -> Value {
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for Element { labels, value } in elements {
        if let Ok(bound) = labels.get(UPPER_BOUND).parse::<f64>() {
            let rest = labels.without(&[UPPER_BOUND.to_owned()]);
            histograms.entry(rest).or_default().push((bound, value));
        }
    }
    let quantiles = histograms.into_iter().map(|(labels, buckets)| Element { labels, value: of(q, buckets) });
    Value::Vector(quantiles.collect())
}

/// The quantile of one histogram: linear within the bucket it falls in; NaN for none or nothing counted.
fn of(q: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|later, earlier| {
        let same = later.0.total_cmp(&earlier.0).is_eq();
        if same {
            earlier.1 += later.1;
        }
        same
    });
    // Rates of buckets can fall out of step by a rounding: a cumulative count never falls.
    let mut highest = f64::NEG_INFINITY;
    for (_, count) in &mut buckets {
        highest = highest.max(*count);
        *count = highest;
    }
    let [.., (below_last, _), (last, total)] = buckets[..] else { return f64::NAN };
    if last != f64::INFINITY || total == 0.0 || total.is_nan() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * total;
    let at = buckets.partition_point(|(_, count)| *count < rank);
    if at >= buckets.len() - 1 {
        // Beyond the last finite bound all that is known is that bound.
        return below_last;
    }
    let (upper, count) = buckets[at];
    if at == 0 && upper <= 0.0 {
        return upper;
    }
    let (lower, before) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    lower + (upper - lower) * ((rank - before) / (count - before))
}
