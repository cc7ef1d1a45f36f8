//! PromQL as runbooks use it, evaluated over the simulated Prometheus's [`Store`] by an [`Engine`].
//!
//! `promql-parser` reads and type-checks the query; this evaluates its tree for one instant, or for each step of a range.
//! The rules are those of Prometheus 3: windows open on the left, rates extrapolated to the window's ends, labels matched
//! one to one unless `group_left` or `group_right` says otherwise. What is left out (native histograms, `count_values`,
//! rare functions) is refused as an execution error that names it, never answered with a guess.
//!
//! Some eighty queries over the same samples were put to Prometheus 2.42 as well. The answers are equal but where version 3
//! has other rules: a window's left end no longer belongs to it, and `atan2` drops the metric's name.

mod aggregate;
mod binary;
mod functions;
mod histogram;
mod range;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use promql_parser::parser::{self, AtModifier, Expr, Offset, SubqueryExpr, VectorSelector, value::ValueType};
use thiserror::Error;

use super::metrics::{
    labels::Labels,
    store::{Sample, SeriesId, Store},
};

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// The query itself is wrong: Prometheus answers 400 and `bad_data`.
    #[error("{0}")]
    BadData(String),
    /// The query is right but cannot be evaluated: Prometheus answers 422 and `execution`.
    #[error("{0}")]
    Execution(String),
}

fn unsupported(what: impl std::fmt::Display) -> QueryError {
    QueryError::Execution(format!("{what} is not supported by the simulated Prometheus"))
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its labels; the metric's name is among them where the expression kept it.
    pub labels: Labels,
    /// Its value at the instant asked for.
    pub value: f64,
}

/// One series of a range vector or of a range query's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// Its labels.
    pub labels: Labels,
    /// Its samples in order of time.
    pub samples: Vec<Sample>,
}

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number without labels.
    Scalar(f64),
    /// A string literal.
    Text(String),
    /// One value a series.
    Vector(Vec<Element>),
    /// Several samples a series.
    Matrix(Vec<Range>),
}

/// Evaluates queries. It remembers how the last ones parsed: a runbook asks the same few again and again.
#[derive(Debug, Default)]
pub struct Engine {
    parsed: Mutex<HashMap<String, Arc<Expr>>>,
}

/// Queries that an [`Engine`] remembers.
const REMEMBERED: usize = 256;

impl Engine {
    /// Evaluates `query` at `t` (simulated milliseconds since the epoch).
    ///
    /// # Errors
    /// [`QueryError::BadData`] where it does not parse, [`QueryError::Execution`] where it cannot be evaluated.
    pub fn instant(&self, store: &Store, query: &str, t: i64) -> Result<Value, QueryError> {
        let expr = self.parse(query)?;
        Evaluator::new(store, t, t).eval(&expr, t)
    }

    /// Evaluates `query` at `start`, `start + step` … up to `end` (simulated milliseconds since the epoch; `step`
    /// positive).
    ///
    /// # Errors
    /// As [`Engine::instant`]; also [`QueryError::BadData`] where the query is a range vector or a string.
    pub fn range(
        &self,
        store: &Store,
        query: &str,
        start: i64,
        end: i64,
        step: i64,
    ) -> Result<Vec<Range>, QueryError> {
        let expr = self.parse(query)?;
        match expr.value_type() {
            ValueType::String => return Err(not_a_range("string")),
            ValueType::Matrix => return Err(not_a_range("range vector")),
            ValueType::Scalar | ValueType::Vector => {}
        }
        Evaluator::new(store, start, end).steps(&expr, start, end, step.max(1))
    }

    /// Parses a selector such as `match[]` takes.
    ///
    /// # Errors
    /// [`QueryError::BadData`] where it is not a plain selector.
    pub fn selector(&self, text: &str) -> Result<VectorSelector, QueryError> {
        match &*self.parse(text)? {
            Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => {
                Ok(selector.clone())
            }
            _ => {
                Err(QueryError::BadData(format!("invalid parameter \"match[]\": `{text}` is not a selector")))
            }
        }
    }

    fn parse(&self, query: &str) -> Result<Arc<Expr>, QueryError> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = parsed.get(query) {
            return Ok(Arc::clone(known));
        }
        let expr = parser::parse(query).map(Arc::new).map_err(|error| {
            QueryError::BadData(format!("invalid parameter \"query\": parse error: {}", error.trim()))
        })?;
        if parsed.len() >= REMEMBERED {
            parsed.clear();
        }
        parsed.insert(query.to_owned(), Arc::clone(&expr));
        Ok(expr)
    }
}

fn not_a_range(kind: &str) -> QueryError {
    QueryError::BadData(format!(
        "invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector"
    ))
}

/// Evaluates one expression at as many instants as wanted.
struct Evaluator<'a> {
    store: &'a Store,
    /// What `@ start()` and `@ end()` mean.
    start: i64,
    end: i64,
    /// The series of each selector, by the place of the selector in the tree: a range query asks for them at every step.
    selected: RefCell<HashMap<*const VectorSelector, Rc<[SeriesId]>>>,
}

impl<'a> Evaluator<'a> {
    fn new(store: &'a Store, start: i64, end: i64) -> Self {
        Self { store, start, end, selected: RefCell::default() }
    }

    fn eval(&self, expr: &Expr, t: i64) -> Result<Value, QueryError> {
        match expr {
            Expr::Paren(inner) => self.eval(&inner.expr, t),
            Expr::NumberLiteral(number) => Ok(Value::Scalar(number.val)),
            Expr::StringLiteral(text) => Ok(Value::Text(text.val.clone())),
            Expr::VectorSelector(selector) => Ok(Value::Vector(
                self.samples(selector, t)?
                    .into_iter()
                    .map(|(labels, sample)| Element { labels, value: sample.v })
                    .collect(),
            )),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Ok(Value::Matrix(self.window(expr, t)?.ranges)),
            Expr::Unary(unary) => match self.eval(&unary.expr, t)? {
                Value::Scalar(value) => Ok(Value::Scalar(-value)),
                Value::Vector(elements) => functions::map(elements, |value| -value),
                Value::Text(_) | Value::Matrix(_) => Err(unsupported("a minus before this expression")),
            },
            Expr::Binary(binary) => self.binary(binary, t),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, t),
            Expr::Call(call) => self.call(call, t),
            Expr::Extension(_) => Err(unsupported("this expression")),
        }
    }

    /// The samples a selector finds at `t`, each with its own time.
    fn samples(&self, selector: &VectorSelector, t: i64) -> Result<Vec<(Labels, Sample)>, QueryError> {
        let t = self.shift(t, selector.at.as_ref(), selector.offset.as_ref())?;
        let found = self.select(selector);
        let sampled =
            found.iter().filter_map(|&id| Some((self.store.labels(id).clone(), self.store.at(id, t)?)));
        Ok(sampled.collect())
    }

    /// The samples of a range selector or a subquery, with the window they lie in.
    fn window(&self, expr: &Expr, t: i64) -> Result<Window, QueryError> {
        match expr {
            Expr::Paren(inner) => self.window(&inner.expr, t),
            Expr::MatrixSelector(matrix) => {
                let to = self.shift(t, matrix.vs.at.as_ref(), matrix.vs.offset.as_ref())?;
                let from = to - millis(matrix.range)?;
                let ranges = self
                    .select(&matrix.vs)
                    .iter()
                    .map(|&id| Range {
                        labels: self.store.labels(id).clone(),
                        samples: self.store.window(id, from, to),
                    })
                    .filter(|range| !range.samples.is_empty())
                    .collect();
                Ok(Window { ranges, from, to })
            }
            Expr::Subquery(subquery) => self.subquery(subquery, t),
            _ => Err(unsupported("a range over this expression")),
        }
    }

    /// Evaluates the inner expression at each multiple of the step inside the window.
    fn subquery(&self, subquery: &SubqueryExpr, t: i64) -> Result<Window, QueryError> {
        /// Prometheus's default evaluation interval, where the subquery names no step.
        const DEFAULT_STEP_MS: i64 = 60_000;
        let to = self.shift(t, subquery.at.as_ref(), subquery.offset.as_ref())?;
        let from = to - millis(subquery.range)?;
        let step = subquery.step.map_or(Ok(DEFAULT_STEP_MS), millis)?;
        if step <= 0 || (to - from) / step > MAX_POINTS {
            return Err(unsupported("a subquery with that many steps"));
        }
        let ranges = self.steps(&subquery.expr, from.div_euclid(step) * step + step, to, step)?;
        Ok(Window { ranges, from, to })
    }

    /// Evaluates `expr` at `start`, `start + step` … up to `end`: one series for each set of labels that ever came up.
    fn steps(&self, expr: &Expr, start: i64, end: i64, step: i64) -> Result<Vec<Range>, QueryError> {
        let mut series: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        let mut t = start;
        while t <= end {
            match self.eval(expr, t)? {
                Value::Scalar(v) => series.entry(Labels::default()).or_default().push(Sample { t, v }),
                Value::Vector(elements) => {
                    for Element { labels, value } in elements {
                        series.entry(labels).or_default().push(Sample { t, v: value });
                    }
                }
                Value::Text(_) | Value::Matrix(_) => {
                    return Err(unsupported("a range of anything but numbers and instant vectors"));
                }
            }
            t += step;
        }
        Ok(series.into_iter().map(|(labels, samples)| Range { labels, samples }).collect())
    }

    fn select(&self, selector: &VectorSelector) -> Rc<[SeriesId]> {
        let found = || self.store.select(selector.name.as_deref(), &selector.matchers).into();
        Rc::clone(self.selected.borrow_mut().entry(std::ptr::from_ref(selector)).or_insert_with(found))
    }

    /// The instant that `@` and `offset` mean.
    fn shift(&self, t: i64, at: Option<&AtModifier>, offset: Option<&Offset>) -> Result<i64, QueryError> {
        let t = match at {
            None => t,
            Some(AtModifier::Start) => self.start,
            Some(AtModifier::End) => self.end,
            Some(AtModifier::At(time)) => match time.duration_since(UNIX_EPOCH) {
                Ok(since) => millis(since)?,
                Err(before) => -millis(before.duration())?,
            },
        };
        Ok(match offset {
            None => t,
            Some(Offset::Pos(by)) => t - millis(*by)?,
            Some(Offset::Neg(by)) => t + millis(*by)?,
        })
    }

    /// Evaluates what has to be an instant vector.
    fn vector(&self, expr: &Expr, t: i64) -> Result<Vec<Element>, QueryError> {
        match self.eval(expr, t)? {
            Value::Vector(elements) => Ok(elements),
            _ => Err(QueryError::Execution("expected an instant vector".to_owned())),
        }
    }

    /// Evaluates what has to be a scalar.
    fn scalar(&self, expr: &Expr, t: i64) -> Result<f64, QueryError> {
        match self.eval(expr, t)? {
            Value::Scalar(value) => Ok(value),
            _ => Err(QueryError::Execution("expected a scalar".to_owned())),
        }
    }
}

/// A range vector and the window it was taken from, open on the left.
struct Window {
    ranges: Vec<Range>,
    from: i64,
    to: i64,
}

/// The most points a query may ask for: Prometheus's own limit for one series.
pub const MAX_POINTS: i64 = 11_000;

fn millis(duration: std::time::Duration) -> Result<i64, QueryError> {
    i64::try_from(duration.as_millis()).map_err(|_| QueryError::Execution("duration out of range".to_owned()))
}

/// Milliseconds as PromQL's seconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch fit a double")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
