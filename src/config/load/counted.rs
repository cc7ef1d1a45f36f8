//! Counted metrics, and the claims that evidence decides on them.

use promql_parser::parser::{self, Expr};

use super::{Loader, MetricName, entries, items, key_span, metrics::is_selector};
use crate::{
    config::raw::Node,
    domain::{
        check::{Check, CheckKind, Condition},
        metric::{Counted, Query, Unit},
        runbook::Runbook,
        verdict::{
            BadBound,
            claimed::{parse_at_least, parse_certainty, parse_than},
        },
        worse::{Than, Worse},
    },
};

impl Loader<'_, '_> {
    /// Bad or good events out of all, by the selectors in `node`; `metric` is the whole metric.
    pub(super) fn counted(&mut self, node: &Node, metric: &Node, scraped: bool, per_slot: bool) -> Query {
        let source = self.source(node, metric, scraped);
        let (part, good) = match (node.get("bad"), node.get("good")) {
            (Some(_), Some(good)) => {
                self.faults
                    .error(good.span.clone(), "a metric can have only one of `bad` and `good`")
                    .help("remove one: what is not good is bad");
                (node.get("bad"), false)
            }
            (None, None) => {
                self.faults.error(key_span(node, "all"), "nothing says which of these events are bad").help(
                    "add `bad = 'http_requests_total{code=~\"5..\"}'`, or `good` with those that are not",
                );
                (None, false)
            }
            (Some(bad), None) => (Some(bad), false),
            (None, good) => (good, true),
        };
        let all = node.get("all");
        for value in [part, all].into_iter().flatten() {
            self.counter(value, per_slot);
        }
        let written = |node: Option<&Node>| node.and_then(Node::text).unwrap_or_default().to_owned();
        if let (Some(part), Some(all)) = (part, all)
            && part.text() == all.text()
        {
            self.faults
                .error(
                    part.span.clone(),
                    "these are the same counters as `all`: every event would be counted as this",
                )
                .help("add what tells them apart, such as `code=~\"5..\"`");
        }
        let unit = metric.get("unit").and_then(Node::text);
        if unit.is_some_and(|unit| unit != "percent") {
            self.faults
                .error(key_span(metric, "unit"), "bad events out of all events are a share, in percent")
                .help("write `unit = \"percent\"`, or a `query` for another number");
        }
        Query::Counted(Counted { source, scraped, part: written(part), good, all: written(all) })
    }

    /// A plain selector of counters: what they have grown by is reckoned here.
    fn counter(&mut self, node: &Node, per_slot: bool) {
        let Some(text) = node.text() else { return };
        self.slot_variable(node, text, per_slot);
        if !self.is_readable(node, text) {
            return;
        }
        if !is_selector(text) {
            self.faults
                .error(node.span.clone(), "not a plain selector of counters")
                .help("write a name with labels, without functions: `http_requests_total{code=~\"5..\"}`");
        } else if is_moved(text) {
            self.faults
                .error(
                    node.span.clone(),
                    "counters are read as they are now; `offset` and `@` are not supported",
                )
                .help("remove it");
        }
    }

    /// What `worse than …` says of a metric, with its certainty where `node` is a trigger.
    pub(super) fn worse(&mut self, claim: &Node, node: &Node, metric: Option<&MetricName>) -> Option<Worse> {
        let mut read = |written: &Node, parsed: Result<Than, BadBound>| {
            parsed.map_err(|bad| self.faults.error_with_cure(written.span.clone(), &bad.to_string())).ok()
        };
        let than = claim.text().and_then(|text| read(claim, parse_than(text)));
        if let Some(metric) = metric.filter(|metric| !metric.counted) {
            self.faults
                .error(
                    claim.span.clone(),
                    format!("`{}` is not counted, so there is no evidence of what is worse", metric.name),
                )
                .help(
                    "give the metric `bad` (or `good`) and `all` with counters instead of its query, or write a bound \
                     such as `> 1%`",
                );
        }
        let than = than?;
        let mut worse = Worse::usual(than);
        if let Some(certainty) = node.get("certainty") {
            match parse_certainty(certainty.text()?) {
                Ok(certainty) => worse.certainty = certainty,
                Err(bad) => self.faults.error_with_cure(certainty.span.clone(), &bad.to_string()),
            }
        }
        if let Some(at_least) = node.get("at_least") {
            match parse_at_least(at_least.text()?) {
                Ok(at_least) => worse.at_least = at_least,
                Err(bad) => self.faults.error_with_cure(at_least.span.clone(), &bad.to_string()),
            }
        }
        metric.is_some_and(|metric| metric.unit == Some(Unit::Percent)).then_some(worse)
    }

    /// Keys of the other kind of trigger: a bound has no certainty, and evidence no `for`.
    pub(super) fn keys_of_the_other(&mut self, node: &Node, claims: bool) {
        let others: &[&str] = if claims { &["for"] } else { &["certainty", "at_least"] };
        for key in others.iter().filter(|key| node.get(key).is_some()) {
            let (what, help) = if claims {
                (
                    "evidence fires as soon as there is enough of it",
                    "remove it; `certainty` and `at_least` say how much that is",
                )
            } else {
                ("a bound is broken or not", "remove it, or write `when = \"worse than 0.1%\"`")
            };
            self.faults.error(key_span(node, key), format!("`{key}` has no effect: {what}")).help(help);
        }
    }

    /// A claim looks at what has been counted since the switch: before it there is nothing to judge.
    pub(super) fn claims_after_the_switch(&mut self, root: &Node, runbook: &Runbook) {
        let switch = runbook.switch_step();
        for (index, (node, step)) in items(root, "step").iter().zip(&runbook.steps).enumerate() {
            if switch.is_some_and(|switch| switch <= index) {
                continue;
            }
            self.claims_too_early(items(node, "check"), &step.check);
        }
        for (group, declared) in items(root, "checklist").iter().zip(&runbook.checklist) {
            for (node, item) in items(group, "items").iter().zip(&declared.items) {
                if let Some(look) = node.get("check") {
                    self.claims_too_early(std::slice::from_ref(look), std::slice::from_ref(&item.check));
                }
            }
        }
        let procedures = entries(root, "rollback").iter().zip(&runbook.rollbacks);
        for (entry, procedure) in procedures {
            self.claims_too_early(items(&entry.node, "check"), &procedure.check);
        }
    }

    /// "Worse than before" needs users on the new version: a check before the switch could only wait until it times out.
    fn claims_too_early(&mut self, nodes: &[Node], checks: &[Check]) {
        for (node, check) in nodes.iter().zip(checks) {
            if matches!(check.kind, CheckKind::Metric { condition: Condition::NotWorse(_), .. }) {
                self.faults
                    .error(key_span(node, "not"), "there is evidence only while the new version has traffic")
                    .help("move this check to the switch or behind it, or use `is` with a bound");
            }
        }
    }
}

/// Words for a claim in a trigger: `error rate worse than 0.1 %`, with the certainty where it is not the usual one.
pub(super) fn claim_words(title: &str, worse: &Worse) -> String {
    let usual = (worse.certainty - Worse::usual(worse.than).certainty).abs() < 1e-12;
    let certain = if usual {
        String::new()
    } else {
        format!(" ({} certain)", Unit::Percent.show_beside(worse.certainty, [1.0]))
    };
    format!("{title} {}{certain}", worse.than.show())
}

/// Whether a selector looks at another time than now.
fn is_moved(text: &str) -> bool {
    match parser::parse(&super::metrics::with_slot(text)) {
        Ok(Expr::VectorSelector(selector)) => selector.offset.is_some() || selector.at.is_some(),
        _ => false,
    }
}
