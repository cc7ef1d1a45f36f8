//! Function calls.

use std::collections::HashSet;

use promql_parser::{
    label::{METRIC_NAME, MatchOp},
    parser::{Call, Expr, VectorSelector},
};
use regex::Regex;

use super::{
    Element, Evaluator, QueryError, Range, Value, histogram,
    range::{self, Change},
    seconds, unsupported,
};
use crate::world::metrics::{labels::Labels, store::Sample};

impl Evaluator<'_> {
    /// One call at one instant. A function that is not known here is an error that names it: an answer that is nearly
    /// right would teach a wrong threshold.
    pub(super) fn call(&self, call: &Call, t: i64) -> Result<Value, QueryError> {
        let name = call.func.name;
        match name {
            "time" => Ok(Value::Scalar(seconds(t))),
            "pi" => Ok(Value::Scalar(std::f64::consts::PI)),
            "vector" => {
                let value = self.scalar(argument(call, 0)?, t)?;
                Ok(Value::Vector(vec![Element { labels: Labels::default(), value }]))
            }
            "scalar" => {
                let elements = self.vector(argument(call, 0)?, t)?;
                Ok(Value::Scalar(if let [one] = &elements[..] { one.value } else { f64::NAN }))
            }
            "timestamp" => self.timestamp(argument(call, 0)?, t),
            "histogram_quantile" => {
                let q = self.scalar(argument(call, 0)?, t)?;
                Ok(histogram::quantile(q, self.vector(argument(call, 1)?, t)?))
            }
            "absent" => {
                let arg = argument(call, 0)?;
                let missing = self.vector(arg, t)?.is_empty();
                Ok(absent(missing, arg))
            }
            "absent_over_time" => {
                let arg = argument(call, 0)?;
                let missing = self.window(arg, t)?.ranges.is_empty();
                Ok(absent(missing, arg))
            }
            "label_replace" => self.label_replace(call, t),
            "sort" | "sort_desc" => {
                let mut elements = self.vector(argument(call, 0)?, t)?;
                elements.sort_by(|a, b| {
                    let order = a.value.total_cmp(&b.value);
                    if name == "sort" { order } else { order.reverse() }
                });
                Ok(Value::Vector(elements))
            }
            _ if takes_window(name) => self.over_window(call, t),
            _ => self.each_value(call, t),
        }
    }

    /// A function of what happened in a window before an instant.
    fn over_window(&self, call: &Call, t: i64) -> Result<Value, QueryError> {
        let name = call.func.name;
        match name {
            "rate" => self.each_window(call, t, |s, from, to| range::change(s, from, to, Change::Rate)),
            "increase" => {
                self.each_window(call, t, |s, from, to| range::change(s, from, to, Change::Increase))
            }
            "delta" => self.each_window(call, t, |s, from, to| range::change(s, from, to, Change::Delta)),
            "irate" => self.each_window(call, t, |s, _, _| range::last_change(s, true)),
            "idelta" => self.each_window(call, t, |s, _, _| range::last_change(s, false)),
            "deriv" => self.each_window(call, t, |s, _, _| range::line(s, t).map(|line| line.0)),
            "predict_linear" => {
                let ahead = self.scalar(argument(call, 1)?, t)?;
                self.each_window(call, t, |s, _, _| range::line(s, t).map(|line| line.1 + line.0 * ahead))
            }
            "quantile_over_time" => {
                let q = self.scalar(argument(call, 0)?, t)?;
                self.window_at(call, 1, t, |s, _, _| {
                    Some(range::quantile(q, s.iter().map(|sample| sample.v).collect()))
                })
            }
            "changes" | "resets" => self.each_window(call, t, |s, _, _| range::over_time(name, s)),
            "last_over_time" => {
                // The only one that leaves the samples what they are, and so their name.
                let ranges = self.window(argument(call, 0)?, t)?.ranges;
                let last = |Range { labels, samples }| Some(Element { labels, value: samples.last()?.v });
                Ok(Value::Vector(ranges.into_iter().filter_map(last).collect()))
            }
            _ => {
                // Tried on one sample: a function that gives nothing even there is none that we know.
                if range::over_time(name, &[Sample { t, v: 0.0 }]).is_none() {
                    return Err(unsupported(format!("function `{name}`")));
                }
                self.each_window(call, t, |s, _, _| range::over_time(name, s))
            }
        }
    }

    /// Functions of one value at a time.
    fn each_value(&self, call: &Call, t: i64) -> Result<Value, QueryError> {
        let bound = |at: usize| self.scalar(argument(call, at)?, t);
        let compute: Box<dyn Fn(f64) -> f64> = match call.func.name {
            "abs" => Box::new(f64::abs),
            "ceil" => Box::new(f64::ceil),
            "floor" => Box::new(f64::floor),
            "exp" => Box::new(f64::exp),
            "ln" => Box::new(f64::ln),
            "log2" => Box::new(f64::log2),
            "log10" => Box::new(f64::log10),
            "sqrt" => Box::new(f64::sqrt),
            "sgn" => Box::new(|v| {
                if v > 0.0 {
                    1.0
                } else if v < 0.0 {
                    -1.0
                } else {
                    v
                }
            }),
            "round" => {
                let to = if call.args.len() > 1 { bound(1)? } else { 1.0 };
                // Halves go up, as in Prometheus.
                Box::new(move |v| (v / to + 0.5).floor() * to)
            }
            "clamp_min" => {
                let low = bound(1)?;
                Box::new(move |v| if v < low || low.is_nan() { low } else { v })
            }
            "clamp_max" => {
                let high = bound(1)?;
                Box::new(move |v| if v > high || high.is_nan() { high } else { v })
            }
            "clamp" => {
                let (low, high) = (bound(1)?, bound(2)?);
                if low > high {
                    return Ok(Value::Vector(Vec::new()));
                }
                Box::new(move |v| {
                    if v < low {
                        low
                    } else if v > high {
                        high
                    } else {
                        v
                    }
                })
            }
            name => return Err(unsupported(format!("function `{name}`"))),
        };
        map(self.vector(argument(call, 0)?, t)?, compute)
    }

    /// Functions of the samples in a window, whose first argument is the range.
    fn each_window(
        &self,
        call: &Call,
        t: i64,
        compute: impl Fn(&[Sample], i64, i64) -> Option<f64>,
    ) -> Result<Value, QueryError> {
        self.window_at(call, 0, t, compute)
    }

    /// The same with the range as another argument. Series with fewer samples than the function needs are left out,
    /// as in Prometheus.
    fn window_at(
        &self,
        call: &Call,
        at: usize,
        t: i64,
        compute: impl Fn(&[Sample], i64, i64) -> Option<f64>,
    ) -> Result<Value, QueryError> {
        let window = self.window(argument(call, at)?, t)?;
        let computed = window.ranges.iter().filter_map(|range| {
            let value = compute(&range.samples, window.from, window.to)?;
            Some(Element { labels: range.labels.unnamed(), value })
        });
        distinct(computed.collect()).map(Value::Vector)
    }

    /// When the samples were taken, for a plain selector; the instant of evaluation for anything else.
    fn timestamp(&self, arg: &Expr, t: i64) -> Result<Value, QueryError> {
        if let Expr::Paren(inner) = arg {
            return self.timestamp(&inner.expr, t);
        }
        if let Expr::VectorSelector(selector) = arg {
            let taken = self
                .samples(selector, t)?
                .into_iter()
                .map(|(labels, sample)| Element { labels: labels.unnamed(), value: seconds(sample.t) });
            return distinct(taken.collect()).map(Value::Vector);
        }
        map(self.vector(arg, t)?, |_| seconds(t))
    }

    /// Sets a label by a pattern that must match the whole of another's value.
    fn label_replace(&self, call: &Call, t: i64) -> Result<Value, QueryError> {
        let text = |at: usize| match argument(call, at)? {
            Expr::StringLiteral(literal) => Ok(literal.val.as_str()),
            _ => Err(unsupported("`label_replace` with anything but string literals")),
        };
        let (target, replacement, source) = (text(1)?, text(2)?, text(3)?);
        let pattern = Regex::new(&format!("^(?s:{})$", text(4)?)).map_err(|error| {
            QueryError::Execution(format!("invalid regular expression in label_replace(): {error}"))
        })?;
        let mut elements = self.vector(argument(call, 0)?, t)?;
        for element in &mut elements {
            if let Some(found) = pattern.captures(element.labels.get(source)) {
                let mut value = String::new();
                found.expand(replacement, &mut value);
                element.labels.set(target, value);
            }
        }
        distinct(elements).map(Value::Vector)
    }
}

/// Whether a function takes a range vector. `absent_over_time` does too, but gives an answer for no window at all.
fn takes_window(name: &str) -> bool {
    let windowed =
        ["rate", "increase", "delta", "irate", "idelta", "deriv", "predict_linear", "changes", "resets"];
    windowed.contains(&name) || name.ends_with("_over_time")
}

/// An argument by its place; the parser has checked how many there are.
fn argument(call: &Call, at: usize) -> Result<&Expr, QueryError> {
    let missing = || QueryError::BadData(format!("missing argument {} of `{}`", at + 1, call.func.name));
    call.args.args.get(at).map(AsRef::as_ref).ok_or_else(missing)
}

/// Applies `compute` to each value; the result is another metric, so its name goes.
pub(super) fn map(elements: Vec<Element>, compute: impl Fn(f64) -> f64) -> Result<Value, QueryError> {
    let computed = elements
        .into_iter()
        .map(|element| Element { labels: element.labels.unnamed(), value: compute(element.value) });
    distinct(computed.collect()).map(Value::Vector)
}

/// The elements, if no two have the same labels.
pub(super) fn distinct(elements: Vec<Element>) -> Result<Vec<Element>, QueryError> {
    let mut seen = HashSet::with_capacity(elements.len());
    if elements.iter().all(|element| seen.insert(&element.labels)) {
        return Ok(elements);
    }
    Err(QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned()))
}

/// A single 1 where something is missing, labelled with what its selector asked for by equality.
fn absent(missing: bool, arg: &Expr) -> Value {
    let mut labels = Labels::default();
    if let Some(selector) = selector_of(arg) {
        let names = selector.matchers.matchers.iter().map(|matcher| &matcher.name);
        let mut once: HashSet<&String> = HashSet::new();
        let twice: HashSet<&String> = names.filter(|name| !once.insert(*name)).collect();
        for matcher in &selector.matchers.matchers {
            let plain = matches!(matcher.op, MatchOp::Equal) && !twice.contains(&matcher.name);
            if plain && matcher.name != METRIC_NAME {
                labels.set(&matcher.name, matcher.value.as_str());
            }
        }
    }
    Value::Vector(if missing { vec![Element { labels, value: 1.0 }] } else { Vec::new() })
}

/// The selector below brackets.
fn selector_of(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::Paren(inner) => selector_of(&inner.expr),
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}
