//! Whether triggers can ever get the samples they need: their `for`, the metric's interval, the source's timeout.

use super::{Loader, entries, items, key_span};
use crate::{
    config::raw::Node,
    domain::{
        metric::Metric,
        runbook::{Runbook, TriggerWatch},
        time::Span,
        trigger::longest_gap,
    },
};

impl Loader<'_, '_> {
    /// An interval of zero would ask without a pause: the first victim would be the Prometheus that everybody shares.
    pub(super) fn sampling(&mut self, root: &Node, runbook: &Runbook) {
        for (entry, metric) in entries(root, "metrics").iter().zip(&runbook.metrics) {
            self.some_time(
                &entry.node,
                "interval",
                metric.interval,
                "write the time between samples, such as \"5s\" or \"15s\"",
            );
        }
        for entry in entries(root, "sources") {
            if let Some(source) = runbook.sources.get(&entry.key) {
                self.some_time(
                    &entry.node,
                    "timeout",
                    source.timeout,
                    "write how long an answer may take, such as \"5s\"",
                );
            }
        }
        for (node, trigger) in items(root, "trigger").iter().zip(&runbook.triggers) {
            let Some(watch) = &trigger.watch else { continue };
            let Some(metric) = runbook.metric(watch.metric.as_str()) else { continue };
            self.enough_samples(node, watch, metric, runbook);
        }
    }

    fn some_time(&mut self, node: &Node, key: &str, span: Span, help: &str) {
        if span == Span::ZERO {
            self.faults.error(key_span(node, key), format!("`{key}` must be longer than zero")).help(help);
        }
    }

    /// A trigger fires on two samples at least, and one answer that never comes must not be a gap that restarts it.
    fn enough_samples(&mut self, node: &Node, watch: &TriggerWatch, metric: &Metric, runbook: &Runbook) {
        let Some((_, hold_for)) = watch.rule.fixed() else { return };
        let interval = metric.interval;
        if hold_for == Span::ZERO || interval == Span::ZERO {
            return;
        }
        let key = if node.get("for").is_some() { "for" } else { "metric" };
        if hold_for < interval {
            self.faults
                .error(key_span(node, key), format!("shorter than the metric's interval of {interval}"))
                .help(format!(
                    "a trigger needs two samples: use at least `for = \"{interval}\"`, or measure `{}` more \
                     often",
                    metric.id
                ));
            return;
        }
        let name = metric.query.source();
        let Some(source) = runbook.sources.get(name) else { return };
        let gap = longest_gap(hold_for, interval);
        if source.timeout > gap {
            self.faults
                .error(
                    key_span(node, key),
                    format!(
                        "one missing answer takes {} (the timeout of `{name}`), but the trigger starts over \
                         after a gap of {gap}",
                        source.timeout
                    ),
                )
                .help(format!("give [sources.{name}] a `timeout` of at most {gap}, or make `for` longer"));
        }
    }
}
