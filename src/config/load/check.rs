//! Loads checks: exactly one kind each, or none, which is a person.

use super::{
    Loader, MetricName, action::READS, flag, items, key_span, number, number_or, optional_text, text, texts,
};
use crate::{
    config::{
        raw::Node,
        shape::{CHECK, CHECK_KINDS, HTTP, PODS_READY, TLS},
        vars::{Moment, Sink},
    },
    domain::{
        check::{Check, CheckKind, Condition, NoTraffic},
        id::MetricId,
        metric::{Bound, Op},
        verdict::parse_within,
    },
};

impl Loader<'_, '_> {
    /// The checks under a key.
    pub(super) fn checks(&mut self, node: &Node, key: &str, moment: Moment) -> Vec<Check> {
        items(node, key).iter().map(|item| self.check(item, moment)).collect()
    }

    /// One check, with its text beside it or made from it.
    pub(super) fn check(&mut self, node: &Node, moment: Moment) -> Check {
        let mut kind = self.check_kind(node, moment);
        let timeout = self.above_zero_or(&CHECK, node, "timeout");
        if let CheckKind::Rollout { patience, .. } | CheckKind::PodsReady { patience, .. } = &mut kind {
            *patience = self.patience(node, timeout);
        }
        if matches!(kind, CheckKind::Person) && node.get("text").is_none() && node.table().is_some() {
            self.faults.error(node.span.clone(), "a check needs `text` or a kind").help(
                "write `{ text = \"No customer complaints\" }` for a manual check, or add a kind such \
                    as `http`",
            );
        }
        Check {
            text: optional_text(node, "text").unwrap_or_else(|| self.check_text(&kind)),
            timeout,
            interval: self.above_zero_or(&CHECK, node, "interval"),
            optional: flag(&CHECK, node, "optional"),
            sample: texts(node, "sample"),
            kind,
        }
    }

    /// One without a kind is a person's: what cannot be looked at must still be asked.
    pub(super) fn check_kind(&mut self, node: &Node, moment: Moment) -> CheckKind {
        let Some((key, value)) = CHECK_KINDS.iter().find_map(|key| Some((*key, node.get(key)?))) else {
            return CheckKind::Person;
        };
        match key {
            "http" => self.http_check(value, moment),
            "tls" => CheckKind::Tls {
                host: self.template_at(value, "host", Sink::Shown, moment),
                port: u16::try_from(number_or(&TLS, value, "port")).unwrap_or_default(),
                days: number_or(&TLS, value, "days"),
            },
            "dns" => CheckKind::Dns {
                name: self.template_at(value, "name", Sink::Shown, moment),
                expect: self.template_at(value, "expect", Sink::Shown, moment),
            },
            "metric" => self.metric_check(value, node),
            "rollout" => CheckKind::Rollout { slot: self.slot_short(value), patience: None },
            "pods_ready" => CheckKind::PodsReady {
                slot: self.slot_short(value),
                at_least: number_or(&PODS_READY, value, "at_least"),
                patience: None,
            },
            "traffic_on" => CheckKind::TrafficOn { slot: self.slot_short(value) },
            "scaled_to" => CheckKind::ScaledTo {
                slot: self.slot_at(value, "slot"),
                replicas: number(value, "replicas").unwrap_or_default(),
            },
            "headroom" => CheckKind::Headroom {
                slot: self.slot_at(value, "slot"),
                replicas: number(value, "replicas").unwrap_or_default(),
            },
            "sh" => {
                self.not_empty(value, "a command");
                let expect = optional_text(node, "expect");
                self.sample_meets(node, expect.as_deref());
                CheckKind::Sh { script: self.script(value, moment), expect }
            }
            _ => self.logs_check(value),
        }
    }

    /// A check is repeated until it passes: what writes would write again and again.
    fn http_check(&mut self, value: &Node, moment: Moment) -> CheckKind {
        let request = self.http(value, HTTP.default("method", |_| false), moment);
        if !READS.contains(&request.method.as_str()) {
            self.faults
                .error(
                    key_span(value, "method"),
                    format!("a check may only read, but {} writes", request.method),
                )
                .help("move it to `run`, or use GET");
        }
        CheckKind::Http(request)
    }

    /// With neither it would pass on any log, and so check nothing.
    fn logs_check(&mut self, value: &Node) -> CheckKind {
        let (without, with) = (optional_text(value, "without"), optional_text(value, "with"));
        if without.is_none() && with.is_none() && value.table().is_some() {
            self.faults.error(value.span.clone(), "`logs` needs `without` or `with`").help(
                "`without = 'ERROR|FATAL'`: no line may match it; `with = 'GET /'`: some line must \
                 match it",
            );
        }
        CheckKind::Logs { slot: self.slot_at(value, "slot"), without, with }
    }

    /// A rehearsal takes the sample for the output, so it should be what is expected.
    fn sample_meets(&mut self, node: &Node, expect: Option<&str>) {
        let sample = texts(node, "sample").join("\n");
        let Some(regex) = expect.and_then(|pattern| regex::Regex::new(pattern).ok()) else { return };
        if !sample.is_empty() && !regex.is_match(&sample) {
            self.faults
                .warning(key_span(node, "sample"), "the sample does not match `expect`")
                .help("a rehearsal uses it as the output, so the check would fail there");
        }
    }

    /// A metric that is not per slot measures both at once: a slot beside it would promise what its query cannot tell.
    fn metric_check(&mut self, name: &Node, node: &Node) -> CheckKind {
        let metric = self.metric_named(name);
        if metric.as_ref().is_some_and(|metric| !metric.per_slot) && node.get("slot").is_some() {
            self.faults
                .error(
                    key_span(node, "slot"),
                    format!("`{}` is not a per-slot metric", name.text().unwrap_or_default()),
                )
                .help("remove `slot`, or give the metric `per_slot = true` and a query with `$slot`");
        }
        if node.get("slot").is_some() && node.get("not").is_some() {
            self.faults
                .error(key_span(node, "slot"), "`not` always judges the new version")
                .help("remove `slot`, or use `is` with a bound for another slot");
        }
        let slot = node.get("slot").map(|slot| self.slot(slot));
        let condition = self.condition(name, node, metric.as_ref());
        CheckKind::Metric {
            metric: MetricId::from(name.text().unwrap_or_default()),
            slot,
            // Where there is none, that is an error and this is never looked at.
            condition: condition.unwrap_or(Condition::Is(Bound { op: Op::Lt, value: 0.0 })),
            no_traffic: match text(node, "no_traffic").as_str() {
                "skip" => Some(NoTraffic::Skip),
                "wait" => Some(NoTraffic::Wait),
                "fail" => Some(NoTraffic::Fail),
                _ => None,
            },
        }
    }

    /// What must hold of a metric; exactly one way of saying it.
    fn condition(&mut self, name: &Node, node: &Node, metric: Option<&MetricName>) -> Option<Condition> {
        let given: Vec<&Node> = ["is", "within", "not"].iter().filter_map(|key| node.get(key)).collect();
        if let [_, second, ..] = given.as_slice() {
            self.faults
                .error(second.span.clone(), "a check can have only one of `is`, `within` and `not`")
                .help("split it into two checks");
        }
        match (node.get("is"), node.get("within"), node.get("not")) {
            _ if given.len() > 1 => None,
            (_, _, Some(claim)) => {
                self.worse(claim, node, metric).map(|worse| Condition::NotWorse(worse.than))
            }
            (Some(is), ..) => self.bound(is, metric.and_then(|metric| metric.unit)).map(Condition::Is),
            (None, Some(within), None) => within.text().and_then(|text| match parse_within(text) {
                Ok(condition) => Some(condition),
                Err(bad) => {
                    self.faults.error_with_cure(within.span.clone(), &bad.to_string());
                    None
                }
            }),
            (None, None, None) => {
                self.faults.error(name.span.clone(), "a metric check needs a bound").help(
                    "add `is = \"< 0.1%\"`, `within = \"20% of baseline\"` or `not = \"worse than before\"`",
                );
                None
            }
        }
    }
}
