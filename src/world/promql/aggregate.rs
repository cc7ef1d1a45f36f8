//! Aggregation over the elements of an instant vector.

use std::collections::BTreeMap;

use promql_parser::parser::{AggregateExpr, LabelModifier, token};

use super::{Element, Evaluator, QueryError, Value, range, unsupported};
use crate::world::metrics::labels::Labels;

impl Evaluator<'_> {
    /// Grouped in the order of their labels: the same query gives its series in the same order.
    pub(super) fn aggregate(&self, aggregate: &AggregateExpr, t: i64) -> Result<Value, QueryError> {
        let elements = self.vector(&aggregate.expr, t)?;
        let param = match &aggregate.param {
            Some(param) if aggregate.op.id() != token::T_COUNT_VALUES => Some(self.scalar(param, t)?),
            _ => None,
        };
        let mut groups: BTreeMap<Labels, Vec<Element>> = BTreeMap::new();
        for element in elements {
            let group = match &aggregate.modifier {
                None => Labels::default(),
                Some(LabelModifier::Include(by)) => element.labels.only(&by.labels),
                Some(LabelModifier::Exclude(without)) => element.labels.without(&without.labels),
            };
            groups.entry(group).or_default().push(element);
        }
        match aggregate.op.id() {
            token::T_TOPK => Ok(ranked(groups, param, true)),
            token::T_BOTTOMK => Ok(ranked(groups, param, false)),
            op => groups
                .into_iter()
                .map(|(labels, members)| {
                    let values: Vec<f64> = members.into_iter().map(|member| member.value).collect();
                    let value = reduce(op, &values, param).ok_or_else(|| unsupported(aggregate.op))?;
                    Ok(Element { labels, value })
                })
                .collect::<Result<_, _>>()
                .map(Value::Vector),
        }
    }
}

/// One value of a group's values, none for an operator that is not known here. `values` is not empty.
#[expect(clippy::cast_precision_loss, reason = "a vector holds some thousand elements")]
fn reduce(op: token::TokenId, values: &[f64], param: Option<f64>) -> Option<f64> {
    let all = || values.iter().copied();
    let count = values.len() as f64;
    Some(match op {
        token::T_SUM => all().sum(),
        token::T_AVG => all().sum::<f64>() / count,
        token::T_MIN => all().fold(f64::NAN, f64::min),
        token::T_MAX => all().fold(f64::NAN, f64::max),
        token::T_COUNT => count,
        token::T_GROUP => 1.0,
        token::T_STDVAR => range::variance(all()),
        token::T_STDDEV => range::variance(all()).sqrt(),
        token::T_QUANTILE => range::quantile(param?, values.to_vec()),
        _ => return None,
    })
}

/// `topk` and `bottomk`: the elements themselves, with all their labels; NaN ranks last in both.
fn ranked(groups: BTreeMap<Labels, Vec<Element>>, k: Option<f64>, largest: bool) -> Value {
    let k = k.filter(|k| *k >= 1.0).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
    let k = k as usize;
    let mut kept = Vec::new();
    for mut members in groups.into_values() {
        members.sort_by(|a, b| {
            let by_value = a.value.total_cmp(&b.value);
            let by_value = if largest { by_value.reverse() } else { by_value };
            a.value.is_nan().cmp(&b.value.is_nan()).then(by_value)
        });
        members.truncate(k);
        kept.append(&mut members);
    }
    Value::Vector(kept)
}
