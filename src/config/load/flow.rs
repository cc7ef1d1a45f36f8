//! The course of a run: checklist, steps, completion, rollbacks, triggers and tasks.

use super::{
    Loader, action::confirm, entries, flag, items, key_span, number, optional_text, span, text, texts,
};
use crate::{
    config::{conform::duration_range, raw::Node, vars::Moment},
    domain::{
        check::{Check, CheckKind},
        id::{MetricId, ProcedureId, StepId},
        metric::{Bound, Op},
        runbook::{
            Completion, Group, Item, OnNoData, Procedure, Step, Task, Then, Trigger, TriggerWatch, Window,
        },
        time::Span,
    },
};

impl Loader<'_, '_> {
    pub(super) fn checklist(&mut self, root: &Node) -> Vec<Group> {
        let mut titles: Vec<String> = Vec::new();
        items(root, "checklist")
            .iter()
            .map(|node| {
                let title = text(node, "group");
                if titles.contains(&title) {
                    self.faults
                        .error(key_span(node, "group"), format!("there are two groups `{title}`"))
                        .help("put their items into one");
                }
                titles.push(title.clone());
                Group { title, items: items(node, "items").iter().map(|item| self.item(item)).collect() }
            })
            .collect()
    }

    fn item(&mut self, node: &Node) -> Item {
        let words = text(node, "text");
        let check = match node.get("check") {
            Some(look) => {
                let kind = self.check_kind(look, Moment::Checklist);
                if let CheckKind::Metric {
                    condition: crate::domain::check::Condition::WithinBaseline(_),
                    ..
                } = kind
                {
                    self.faults
                        .error(key_span(look, "within"), "there is no baseline before the steps begin")
                        .help("use `is` with a bound");
                }
                Check {
                    text: words.clone(),
                    timeout: self.above_zero(look, "timeout").unwrap_or(Span::from_secs(60)),
                    interval: self.above_zero(look, "interval").unwrap_or(Span::from_secs(2)),
                    optional: false,
                    sample: texts(look, "sample"),
                    kind,
                }
            }
            None => Check {
                text: words.clone(),
                kind: CheckKind::Person,
                timeout: Span::from_secs(60),
                interval: Span::from_secs(2),
                optional: false,
                sample: Vec::new(),
            },
        };
        Item {
            text: words,
            check,
            optional: flag(node, "optional", false),
            valid_for: self.above_zero(node, "valid_for").unwrap_or(Span::from_mins(30)),
        }
    }

    pub(super) fn steps(&mut self, root: &Node) -> Vec<Step> {
        let nodes = items(root, "step");
        if nodes.is_empty() && root.get("step").is_some() {
            self.faults
                .error(key_span(root, "step"), "no steps")
                .help("a step begins with [[step]], `id` and `title`");
        }
        let mut ids: Vec<String> = Vec::new();
        nodes
            .iter()
            .enumerate()
            .map(|(index, node)| {
                let id = text(node, "id");
                self.step_id(node, &id, &ids);
                ids.push(id);
                self.step(index, node)
            })
            .collect()
    }

    fn step_id(&mut self, node: &Node, id: &str, before: &[String]) {
        let Some(value) = node.get("id").filter(|value| value.text().is_some()) else { return };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(plain) {
            let cleaned: String = id.to_lowercase().chars().map(|c| if plain(c) { c } else { '-' }).collect();
            self.faults.error(value.span.clone(), format!("`{id}` is no id")).help(format!(
                "small letters, digits and `-`{}",
                if cleaned.is_empty() { String::new() } else { format!(": `{cleaned}`") }
            ));
        } else if before.iter().any(|other| other == id) {
            self.faults
                .error(value.span.clone(), format!("there are two steps `{id}`"))
                .help("ids name steps in the journal and on the command line; give each its own");
        }
    }

    fn step(&mut self, index: usize, node: &Node) -> Step {
        let run = self.actions(node, "run", |action| Moment::Run(index, action));
        let check = self.checks(node, "check", Moment::Check(index));
        let undo = self.actions(node, "undo", |_| Moment::Undo(index));
        let window = node
            .get("window")
            .map(|window| Window { lasts: self.above_zero(window, "lasts").unwrap_or(Span::from_mins(15)) });
        if run.is_empty() && check.is_empty() && node.get("run").is_none() && node.get("check").is_none() {
            self.faults
                .error(key_span(node, "id"), "a step that does nothing and checks nothing")
                .help("give it `run` or `check`; a step for a person is `check = [{ text = \"...\" }]`");
        }
        if undo.is_empty()
            && node.get("undo").is_some()
            && node.get("no_undo").is_none()
            && items(node, "undo").is_empty()
        {
            self.faults
                .error(key_span(node, "undo"), "an empty `undo`")
                .help("say why nothing needs taking back: `no_undo = \"...\"`");
        }
        if node.get("undo").is_some() && node.get("no_undo").is_some() {
            self.faults
                .error(key_span(node, "no_undo"), "both `undo` and `no_undo`")
                .help("keep the one that is true");
        }
        Step {
            id: StepId::from(text(node, "id").as_str()),
            title: text(node, "title"),
            time: optional_text(node, "time").and_then(|time| duration_range(&time).ok()),
            critical: optional_text(node, "critical"),
            when: optional_text(node, "when"),
            confirm: confirm(node),
            approvals: number(node, "approvals").unwrap_or(0),
            run,
            check,
            undo,
            no_undo: optional_text(node, "no_undo"),
            window,
            on_failure: texts(node, "on_failure"),
            notes: texts(node, "notes"),
        }
    }

    pub(super) fn completion(&mut self, root: &Node) -> Completion {
        let Some(node) = root.get("completion") else { return Completion::default() };
        Completion {
            run: self.actions(node, "run", Moment::After),
            check: self.checks(node, "check", Moment::After(0)),
        }
    }

    pub(super) fn rollbacks(&mut self, root: &Node) -> Vec<Procedure> {
        entries(root, "rollback")
            .iter()
            .map(|entry| {
                let node = &entry.node;
                let run = self.actions(node, "run", Moment::After);
                if run.is_empty() && node.get("run").is_some() && items(node, "run").is_empty() {
                    self.faults.error(key_span(node, "run"), "a rollback that does nothing");
                }
                Procedure {
                    id: ProcedureId::from(entry.key.as_str()),
                    title: optional_text(node, "title").unwrap_or_else(|| format!("Rollback: {}", entry.key)),
                    within: self.above_zero(node, "within"),
                    only: optional_text(node, "only"),
                    run,
                    check: self.checks(node, "check", Moment::After(usize::MAX)),
                }
            })
            .collect()
    }

    pub(super) fn triggers(&mut self, root: &Node) -> Vec<Trigger> {
        let mut written: Vec<String> = Vec::new();
        items(root, "trigger")
            .iter()
            .map(|node| {
                let trigger = self.trigger(node, root);
                if written.contains(&trigger.reason) && !trigger.reason.is_empty() {
                    self.faults
                        .error(node.span.clone(), format!("there are two triggers `{}`", trigger.reason))
                        .help("a reason stands once in the list that a person chooses from");
                }
                written.push(trigger.reason.clone());
                trigger
            })
            .collect()
    }

    fn trigger(&mut self, node: &Node, root: &Node) -> Trigger {
        let reason = optional_text(node, "reason");
        let Some(name) = node.get("metric") else {
            if reason.is_none() {
                self.faults
                    .error(node.span.clone(), "a trigger without a metric or a reason")
                    .help("`metric`, `when` and `for` for one that fires by itself; `reason` for one that a person chooses");
            }
            return Trigger { reason: reason.unwrap_or_default(), watch: None };
        };
        let metric = self.metric_named(name);
        let when = if let Some(when) = node.get("when") {
            self.bound(when, metric.as_ref().and_then(|metric| metric.unit))
        } else {
            self.faults
                .error(name.span.clone(), "when does it fire?")
                .help("add the breach, `when = \"> 1%\"`, and how long it must last, `for = \"5m\"`");
            None
        };
        let hold_for = self.above_zero(node, "for").unwrap_or(Span::from_mins(5));
        let countdown = self.above_zero(node, "countdown").unwrap_or(Span::from_secs(30));
        let then = match text(node, "then").as_str() {
            "ask" => Then::Ask,
            "rollback" => Then::Rollback,
            _ => Then::Countdown(countdown),
        };
        if node.get("countdown").is_some() && !matches!(then, Then::Countdown(_)) {
            self.faults
                .error(
                    key_span(node, "countdown"),
                    format!("a countdown, but `then` is \"{}\"", text(node, "then")),
                )
                .help("leave one of them out");
        }
        // As the metric names itself, small, for the middle of a sentence: `error rate > 1 % for 5m`.
        let title = root
            .get("metrics")
            .and_then(|metrics| metrics.get(name.text().unwrap_or_default()))
            .and_then(|metric| optional_text(metric, "title"))
            .unwrap_or_else(|| name.text().unwrap_or_default().replace('_', " "));
        let unit = metric.and_then(|metric| metric.unit);
        let measured = when
            .zip(unit)
            .map(|(when, unit)| format!("{} {} for {hold_for}", uncapitalised(&title), when.show(unit)));
        Trigger {
            reason: reason.or(measured).unwrap_or_default(),
            watch: Some(TriggerWatch {
                metric: MetricId::from(name.text().unwrap_or_default()),
                when: when.unwrap_or(Bound { op: Op::Lt, value: 0.0 }),
                hold_for,
                then,
                no_data: if text(node, "no_data") == "rollback" {
                    OnNoData::Rollback
                } else {
                    OnNoData::Hold
                },
            }),
        }
    }

    pub(super) fn tasks(root: &Node) -> Vec<Task> {
        items(root, "task")
            .iter()
            .map(|node| Task { due: span(node, "due").unwrap_or_default(), text: text(node, "text") })
            .collect()
    }
}

/// A title for the middle of a sentence; abbreviations such as `API` and `CPU` stay as they are.
fn uncapitalised(title: &str) -> String {
    let mut chars = title.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(std::iter::once(second)).chain(chars).collect()
        }
        _ => title.to_owned(),
    }
}
