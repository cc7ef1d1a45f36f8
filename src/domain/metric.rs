//! Metrics as declared, and samples as measured.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    evidence::counts::Counts,
    id::{MetricId, SlotName},
    time::{Span, Timestamp},
};

/// What a metric's value counts. Decides how numbers are read in bounds and shown on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A ratio from 0 to 1, shown and bounded as percent: `0.01` is `1 %`.
    Percent,
    /// Milliseconds.
    Ms,
    /// Seconds, Prometheus' base unit; shown as ms below one second.
    S,
    /// A plain number.
    Count,
    /// Events in a minute.
    PerMinute,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The value with its unit, in at most ten columns: `0.04 %`, `143 ms`, `1.2 s`, `41`, `2300/min`, `1.5 MiB`.
    pub fn show(self, value: f64) -> String {
        self.show_with(value, 0)
    }

    /// As [`Self::show`], with as many more digits as it takes to tell the value from one that it is judged by: a rate of
    /// 0.0996 % is not "0.1 %, below 0.1 %".
    pub fn show_beside(self, value: f64, bounds: impl IntoIterator<Item = f64> + Clone) -> String {
        #[expect(clippy::float_cmp, reason = "what is exactly the bound may look like it")]
        let alike = |extra: usize| {
            let text = self.show_with(value, extra);
            bounds.clone().into_iter().any(|bound| bound != value && self.show(bound) == text)
        };
        self.show_with(value, (0..MOST_EXTRA).find(|extra| !alike(*extra)).unwrap_or(MOST_EXTRA))
    }

    fn show_with(self, value: f64, extra: usize) -> String {
        let digits = |value| digits(value, extra);
        match self {
            Self::Percent => format!("{} %", digits(value * 100.0)),
            Self::Ms => format!("{} ms", digits(value)),
            Self::S if value.abs() < 1.0 => format!("{} ms", digits(value * 1000.0)),
            Self::S => format!("{} s", digits(value)),
            Self::Count => digits(value),
            Self::PerMinute => format!("{}/min", digits(value)),
            Self::Bytes => {
                let (mut value, mut unit) = (value, "B");
                for next in ["KiB", "MiB", "GiB", "TiB"] {
                    if value.abs() < 1024.0 {
                        break;
                    }
                    (value, unit) = (value / 1024.0, next);
                }
                format!("{} {unit}", digits(value))
            }
        }
    }
}

/// Digits that are added at most to tell a value from a bound.
const MOST_EXTRA: usize = 4;

/// About three significant digits and so many more, no trailing zeros.
fn digits(value: f64, extra: usize) -> String {
    let decimals = extra
        + match value.abs() {
            a if a >= 100.0 => 0,
            a if a >= 10.0 => 1,
            _ => 2,
        };
    let text = format!("{value:.decimals$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    if text == "-0" { "0".to_owned() } else { text }
}

/// A comparison with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Less than.
    #[serde(rename = "<")]
    Lt,
    /// At most.
    #[serde(rename = "<=")]
    Le,
    /// More than.
    #[serde(rename = ">")]
    Gt,
    /// At least.
    #[serde(rename = ">=")]
    Ge,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

/// A bound such as `< 0.1%` or `> 500ms`, in the metric's own unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Which side holds.
    pub op: Op,
    /// The constant, in the unit of the query's result (a percent bound of `1%` is kept as `0.01`).
    pub value: f64,
}

impl Bound {
    /// Whether a finite value lies on the bound's side. NaN never does; infinities are for callers to refuse first.
    pub fn holds(self, value: f64) -> bool {
        match self.op {
            Op::Lt => value < self.value,
            Op::Le => value <= self.value,
            Op::Gt => value > self.value,
            Op::Ge => value >= self.value,
        }
    }

    /// `< 0.1 %`
    pub fn show(self, unit: Unit) -> String {
        format!("{} {}", self.op, unit.show(self.value))
    }
}

/// How a metric's number is got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// PromQL for a Prometheus source.
    Promql {
        /// The source's name under `[sources]`.
        source: String,
        /// The expression, with one of [`SLOT_PLACES`](super::slot_labels::SLOT_PLACES) where the metric is per slot.
        expr: String,
    },
    /// Arithmetic on text exposition that we scrape ourselves.
    Scrape {
        /// The source's name under `[sources]`.
        source: String,
        /// What is computed.
        calc: ScrapeCalc,
    },
    /// Bad events out of all events, by counters.
    Counted(Counted),
}

impl Query {
    /// The source's name under `[sources]`.
    pub fn source(&self) -> &str {
        match self {
            Self::Promql { source, .. }
            | Self::Scrape { source, .. }
            | Self::Counted(Counted { source, .. }) => source,
        }
    }

    /// Whether the source is text exposition that we scrape ourselves.
    pub fn is_scraped(&self) -> bool {
        match self {
            Self::Promql { .. } => false,
            Self::Scrape { .. } => true,
            Self::Counted(counted) => counted.scraped,
        }
    }
}

/// Counters of events, and of a part of them: the bad or the good ones. Their values are read as they are, every series by
/// itself, and what each has grown by is summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The source's name under `[sources]`.
    pub source: String,
    /// Whether the source is text exposition that we scrape ourselves; else it is a Prometheus.
    pub scraped: bool,
    /// The selector of the counters of a part of the events.
    pub part: String,
    /// Whether that part is the good events; else it is the bad ones.
    pub good: bool,
    /// The selector of the counters of all events.
    pub all: String,
}

/// What to compute from scraped series. Selectors are written `name{label="value",other=~"re"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScrapeCalc {
    /// The per-second increase of counters matching `rate`, divided by that of `over` where given.
    Rate {
        /// The selector of the counters.
        rate: String,
        /// The selector of the counters to divide by.
        over: Option<String>,
    },
    /// A quantile (0..=1) of a histogram's increase.
    Quantile {
        /// The quantile, 0 to 1.
        quantile: f64,
        /// The histogram's name without `_bucket`, with label filters if wanted.
        histogram: String,
    },
    /// The sum of gauges matching the selector.
    Gauge {
        /// The selector.
        gauge: String,
    },
}

/// A metric as the runbook declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its key.
    pub id: MetricId,
    /// Its name for people.
    pub title: String,
    /// Where its number comes from.
    pub query: Query,
    /// Whether each slot has a line of its own; `$slot` and the like in the query are then the slot's.
    pub per_slot: bool,
    /// The unit of the number.
    pub unit: Unit,
    /// The range in which nothing needs to be done.
    pub normal: Option<Bound>,
    /// The range in which somebody must act.
    pub alert: Option<Bound>,
    /// What to do then, in words.
    pub action: Option<String>,
    /// Time between samples.
    pub interval: Span,
}

impl Metric {
    /// Whether its query names what only the cluster can tell of a slot: its revision or its version.
    pub fn names_revision(&self) -> bool {
        let texts: Vec<&str> = match &self.query {
            Query::Promql { expr, .. } => vec![expr],
            Query::Scrape { calc: ScrapeCalc::Rate { rate, over }, .. } => {
                over.iter().map(String::as_str).chain([rate.as_str()]).collect()
            }
            Query::Scrape { calc: ScrapeCalc::Quantile { histogram, .. }, .. } => vec![histogram],
            Query::Scrape { calc: ScrapeCalc::Gauge { gauge }, .. } => vec![gauge],
            Query::Counted(counted) => vec![&counted.part, &counted.all],
        };
        let names = |text: &str| {
            ["$hash", "${hash}", "$version", "${version}"].iter().any(|name| text.contains(name))
        };
        self.per_slot && texts.into_iter().any(names)
    }

    /// What is counted, where the metric is bad events out of all events.
    pub fn counted(&self) -> Option<&Counted> {
        match &self.query {
            Query::Counted(counted) => Some(counted),
            Query::Promql { .. } | Query::Scrape { .. } => None,
        }
    }

    /// A value with its unit, told from the bounds it is judged by.
    pub fn show(&self, value: f64) -> String {
        self.unit.show_beside(value, [self.normal, self.alert].into_iter().flatten().map(|bound| bound.value))
    }
}

/// Why there is no number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "missing", content = "detail", rename_all = "snake_case")]
pub enum Missing {
    /// The server could not be reached, or did not answer in time.
    Unreachable(String),
    /// It answered with an error or with something that is not a metric.
    BadAnswer(String),
    /// An empty result: nobody measures this.
    NoData,
    /// NaN or an infinity.
    NotANumber,
    /// A ratio of nothing to nothing: what would be divided is measured, and nothing was counted.
    ZeroByZero,
    /// A ratio without a series below the line.
    EmptyRatio,
    /// The newest point is too old, or lies in the future. The text says by how much.
    Stale(String),
    /// More than one series where one is wanted.
    Ambiguous(String),
    /// It can't be asked for, because something that the query names of the slot is not known: there is no such revision.
    NotYet(String),
}

impl Missing {
    /// Whether there is no number because nothing happened that could be counted. Whether that is good, bad or neither only
    /// a check can say; by itself it is as missing as everything else here.
    pub fn is_no_traffic(&self) -> bool {
        match self {
            Self::ZeroByZero | Self::EmptyRatio => true,
            Self::Unreachable(_)
            | Self::BadAnswer(_)
            | Self::NoData
            | Self::NotANumber
            | Self::Stale(_)
            | Self::Ambiguous(_)
            | Self::NotYet(_) => false,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::BadAnswer(why) => write!(f, "bad answer: {why}"),
            Self::NoData => f.write_str("no data"),
            Self::NotANumber => f.write_str("not a number"),
            Self::ZeroByZero => f.write_str("0/0, nothing was counted"),
            Self::EmptyRatio => f.write_str("no data to divide by"),
            Self::Stale(by) => write!(f, "stale: {by}"),
            Self::Ambiguous(what) => write!(f, "more than one series: {what}"),
            Self::NotYet(what) => write!(f, "not known yet: {what}"),
        }
    }
}

/// One measurement, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Which metric.
    pub metric: MetricId,
    /// Which slot, where the metric is per slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotName>,
    /// When the value was true: the server's timestamp, or the time of asking where there is no value.
    pub at: Timestamp,
    /// A finite number, or why not.
    pub value: Result<f64, Missing>,
    /// Of a counted metric: what was added since the answer before. None where there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
}

/// What a sample means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Inside the normal range, or no bound declared.
    Ok,
    /// Outside normal, not yet in the alert range.
    Warn,
    /// In the alert range.
    Alert,
    /// No number. Never ok.
    Missing,
}

impl Verdict {
    /// The word beside the number.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "watch",
            Self::Alert => "ALERT",
            Self::Missing => "NO DATA",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_their_unit() {
        assert_eq!(Unit::Percent.show(0.0004), "0.04 %");
        assert_eq!(Unit::Percent.show(0.992), "99.2 %");
        assert_eq!(Unit::S.show(0.143), "143 ms");
        assert_eq!(Unit::S.show(1.25), "1.25 s");
        assert_eq!(Unit::Count.show(41.0), "41");
        assert_eq!(Unit::PerMinute.show(2300.4), "2300/min");
        assert_eq!(Unit::Bytes.show(1_572_864.0), "1.5 MiB");
    }

    #[test]
    fn a_value_that_is_not_its_bound_does_not_look_like_it() {
        let beside = |unit: Unit, value, bound| unit.show_beside(value, [bound]);
        assert_eq!(beside(Unit::Percent, 0.000_996, 0.001), "0.0996 %");
        assert_eq!(beside(Unit::Percent, 0.001, 0.001), "0.1 %");
        assert_eq!(beside(Unit::Ms, 199.7, 200.0), "199.7 ms");
        assert_eq!(beside(Unit::Ms, 143.2, 200.0), "143 ms");
        assert_eq!(beside(Unit::Percent, 0.010_000_001, 0.01), "1 %", "as far as anybody cares");
    }
}
