//! Operators between scalars and vectors.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use promql_parser::{
    label::METRIC_NAME,
    parser::{
        BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality,
        token::{self, TokenId},
    },
};

use super::{Element, Evaluator, QueryError, Value, unsupported};
use crate::world::metrics::labels::Labels;

impl Evaluator<'_> {
    /// What this engine does not know is refused, never ignored: a query that is nearly understood gives a number that
    /// looks right.
    pub(super) fn binary(&self, binary: &BinaryExpr, t: i64) -> Result<Value, QueryError> {
        let op = Operator { id: binary.op.id(), as_bool: binary.return_bool() };
        let default = BinModifier::default();
        let matching = binary.modifier.as_ref().unwrap_or(&default);
        if matching.fill_values.lhs.is_some() || matching.fill_values.rhs.is_some() {
            return Err(unsupported("`fill`"));
        }
        match (self.eval(&binary.lhs, t)?, self.eval(&binary.rhs, t)?) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                let value = match op.apply(left, right)? {
                    Outcome::Number(value) => value,
                    Outcome::Truth(holds) => f64::from(u8::from(holds)),
                };
                Ok(Value::Scalar(value))
            }
            (Value::Vector(elements), Value::Scalar(scalar)) => op.each(elements, |value| (value, scalar)),
            (Value::Scalar(scalar), Value::Vector(elements)) => op.each(elements, |value| (scalar, value)),
            (Value::Vector(left), Value::Vector(right)) => match op.id {
                token::T_LAND | token::T_LOR | token::T_LUNLESS => {
                    Ok(Value::Vector(set(op.id, left, right, matching)))
                }
                _ => op.matched(left, right, matching).map(Value::Vector),
            },
            _ => Err(unsupported("an operator on range vectors or strings")),
        }
    }
}

/// What an operator made of two numbers.
enum Outcome {
    Number(f64),
    Truth(bool),
}

/// An operator, and whether its truth is to be a number (`bool`).
#[derive(Clone, Copy)]
struct Operator {
    id: TokenId,
    /// `bool`: a comparison gives 0 or 1 rather than filtering.
    as_bool: bool,
}

impl Operator {
    #[expect(clippy::float_cmp, reason = "PromQL's == and != compare exactly")]
    fn apply(self, left: f64, right: f64) -> Result<Outcome, QueryError> {
        Ok(match self.id {
            token::T_ADD => Outcome::Number(left + right),
            token::T_SUB => Outcome::Number(left - right),
            token::T_MUL => Outcome::Number(left * right),
            token::T_DIV => Outcome::Number(left / right),
            token::T_MOD => Outcome::Number(left % right),
            token::T_POW => Outcome::Number(left.powf(right)),
            token::T_ATAN2 => Outcome::Number(left.atan2(right)),
            token::T_EQLC => Outcome::Truth(left == right),
            token::T_NEQ => Outcome::Truth(left != right),
            token::T_GTR => Outcome::Truth(left > right),
            token::T_LSS => Outcome::Truth(left < right),
            token::T_GTE => Outcome::Truth(left >= right),
            token::T_LTE => Outcome::Truth(left <= right),
            _ => return Err(unsupported("this operator")),
        })
    }

    /// The value that stays for `left op right`, where `kept` is what a filter lets through; and whether the metric's
    /// name goes.
    fn result(self, left: f64, right: f64, kept: f64) -> Result<Option<(f64, bool)>, QueryError> {
        Ok(match self.apply(left, right)? {
            Outcome::Number(value) => Some((value, true)),
            Outcome::Truth(holds) if self.as_bool => Some((f64::from(u8::from(holds)), true)),
            Outcome::Truth(true) => Some((kept, false)),
            Outcome::Truth(false) => None,
        })
    }

    /// The operator between each element and a scalar; `sides` puts them in order.
    fn each(self, elements: Vec<Element>, sides: impl Fn(f64) -> (f64, f64)) -> Result<Value, QueryError> {
        let mut results = Vec::with_capacity(elements.len());
        for Element { labels, value } in elements {
            let (left, right) = sides(value);
            if let Some((value, unnamed)) = self.result(left, right, value)? {
                results.push(Element { labels: if unnamed { labels.unnamed() } else { labels }, value });
            }
        }
        super::functions::distinct(results).map(Value::Vector)
    }

    /// The operator between elements of two vectors whose labels match.
    fn matched(
        self,
        left: Vec<Element>,
        right: Vec<Element>,
        matching: &BinModifier,
    ) -> Result<Vec<Element>, QueryError> {
        let many_is_right = matches!(matching.card, VectorMatchCardinality::OneToMany(_));
        let (many, one) = if many_is_right { (right, left) } else { (left, right) };
        let mut ones: HashMap<Labels, Element> = HashMap::new();
        for element in one {
            match ones.entry(signature(&element.labels, matching)) {
                Entry::Vacant(entry) => drop(entry.insert(element)),
                Entry::Occupied(other) => {
                    let (group, side) = (other.key(), if many_is_right { "left" } else { "right" });
                    return Err(QueryError::Execution(format!(
                        "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
                         [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                        braced(&element.labels),
                        braced(&other.get().labels),
                    )));
                }
            }
        }
        let mut taken = HashSet::new();
        let mut results = Vec::new();
        for element in many {
            let key = signature(&element.labels, matching);
            let Some(partner) = ones.get(&key) else { continue };
            let (l, r) =
                if many_is_right { (partner.value, element.value) } else { (element.value, partner.value) };
            // A comparison keeps the value on the left.
            let Some((value, unnamed)) = self.result(l, r, l)? else { continue };
            let labels = match &matching.card {
                VectorMatchCardinality::ManyToOne(include) | VectorMatchCardinality::OneToMany(include) => {
                    let mut labels = if unnamed { element.labels.unnamed() } else { element.labels };
                    for name in &include.labels {
                        labels.set(name, partner.labels.get(name));
                    }
                    labels
                }
                _ if !taken.insert(key.clone()) => {
                    return Err(QueryError::Execution(
                        "multiple matches for labels: many-to-one matching must be explicit \
                         (group_left/group_right)"
                            .to_owned(),
                    ));
                }
                _ => one_to_one_labels(&element.labels, matching, unnamed),
            };
            results.push(Element { labels, value });
        }
        super::functions::distinct(results)
    }
}

/// The labels of a one-to-one result: those matched on, or all but those ignored.
fn one_to_one_labels(labels: &Labels, matching: &BinModifier, unnamed: bool) -> Labels {
    let mut result = match &matching.matching {
        Some(LabelModifier::Include(on)) => return labels.only(&on.labels),
        Some(LabelModifier::Exclude(ignoring)) => labels.without(&ignoring.labels),
        None => labels.unnamed(),
    };
    if !unnamed {
        result.set(METRIC_NAME, labels.metric());
    }
    result
}

/// The labels by which an element finds its partner.
fn signature(labels: &Labels, matching: &BinModifier) -> Labels {
    match &matching.matching {
        Some(LabelModifier::Include(on)) => labels.only(&on.labels),
        Some(LabelModifier::Exclude(ignoring)) => labels.without(&ignoring.labels),
        None => labels.unnamed(),
    }
}

/// `and`, `or` and `unless`: elements stay or go as they are.
fn set(op: TokenId, mut left: Vec<Element>, right: Vec<Element>, matching: &BinModifier) -> Vec<Element> {
    let keys = |elements: &[Element]| -> HashSet<Labels> {
        elements.iter().map(|element| signature(&element.labels, matching)).collect()
    };
    if op == token::T_LOR {
        let known = keys(&left);
        left.extend(
            right.into_iter().filter(|element| !known.contains(&signature(&element.labels, matching))),
        );
        return left;
    }
    let known = keys(&right);
    left.retain(|element| known.contains(&signature(&element.labels, matching)) == (op == token::T_LAND));
    left
}

/// Labels as Prometheus writes them in errors: the metric's name is a label among the others.
fn braced(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
