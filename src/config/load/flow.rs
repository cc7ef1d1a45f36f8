//! The course of a run: checklist, steps, completion, rollbacks, triggers and tasks.

use super::{
    Loader, action::confirm, counted::claim_words, entries, flag, items, key_span, number_or, optional_text,
    span, span_or, text, texts, word,
};
use crate::{
    config::{
        conform::duration_range,
        raw::{Entry, Node},
        shape::{CHECK, ITEM, STEP, TRIGGER},
        vars::Moment,
    },
    domain::{
        check::{Check, CheckKind},
        id::{MetricId, ProcedureId, QUICK, StepId},
        metric::{Bound, Op},
        plan::WAY_BACK_SLOT,
        runbook::{
            Completion, Group, Item, OnNoData, Procedure, Rule, Step, Task, Then, Trigger, TriggerWatch,
            Window,
        },
        time::Span,
        verdict::claimed::is_claim,
    },
};

impl Loader<'_, '_> {
    /// The checklist. Reports and the page that `export` writes find a group by its title, so a title stands once.
    pub(super) fn checklist(&mut self, root: &Node) -> Vec<Group> {
        let mut titles: Vec<String> = Vec::new();
        items(root, "checklist")
            .iter()
            .map(|node| {
                let title = text(node, "group");
                if titles.contains(&title) {
                    self.faults
                        .error(key_span(node, "group"), format!("duplicate checklist group `{title}`"))
                        .help("merge them into one");
                }
                titles.push(title.clone());
                Group { title, items: items(node, "items").iter().map(|item| self.item(item)).collect() }
            })
            .collect()
    }

    /// One item: a check that looks by itself, or a person. Its text is the item's own, since the check's would say
    /// the same a second time.
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
                        .error(
                            key_span(look, "within"),
                            "no baseline is recorded yet when the checklist is checked",
                        )
                        .help("use `is` with a bound instead");
                }
                Check {
                    text: words.clone(),
                    timeout: self.above_zero_or(&CHECK, look, "timeout"),
                    interval: self.above_zero_or(&CHECK, look, "interval"),
                    optional: false,
                    sample: texts(look, "sample"),
                    kind,
                }
            }
            None => Check {
                text: words.clone(),
                kind: CheckKind::Person,
                timeout: span_or(&CHECK, node, "timeout"),
                interval: span_or(&CHECK, node, "interval"),
                optional: false,
                sample: Vec::new(),
            },
        };
        Item {
            text: words,
            check,
            optional: flag(&ITEM, node, "optional"),
            valid_for: self.above_zero_or(&ITEM, node, "valid_for"),
        }
    }

    /// How long a rollout's faults are borne. One as long as the timeout never ends anything early.
    pub(super) fn patience(&mut self, node: &Node, timeout: Span) -> Option<Span> {
        let patience = self.above_zero(node, "patience")?;
        if patience >= timeout {
            self.faults
                .warning(
                    key_span(node, "patience"),
                    format!("`patience` is not shorter than the timeout of {timeout}"),
                )
                .help("shorten `patience`, so that what cannot succeed fails early, or lengthen `timeout`");
        }
        Some(patience)
    }

    /// The steps in order of writing, which is the order in which they are run: nothing here sorts or branches.
    pub(super) fn steps(&mut self, root: &Node) -> Vec<Step> {
        let nodes = items(root, "step");
        if nodes.is_empty() && root.get("step").is_some() {
            self.faults
                .error(key_span(root, "step"), "the runbook has no steps")
                .help("add a [[step]] with `id` and `title`");
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

    /// An id outlives titles: it is in the journal and typed on the command line, and so is kept plain.
    fn step_id(&mut self, node: &Node, id: &str, before: &[String]) {
        let Some(value) = node.get("id").filter(|value| value.text().is_some()) else { return };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(plain) {
            let cleaned: String = id.to_lowercase().chars().map(|c| if plain(c) { c } else { '-' }).collect();
            self.faults.error(value.span.clone(), format!("`{id}` is not a valid id")).help(format!(
                "use lower-case letters, digits and `-`{}",
                if cleaned.is_empty() { String::new() } else { format!(": `{cleaned}`") }
            ));
        } else if before.iter().any(|other| other == id) {
            self.faults
                .error(value.span.clone(), format!("duplicate step id `{id}`"))
                .help("ids identify steps in the journal and on the command line; give each step its own");
        }
    }

    /// Actions before checks before undo, as they are read: faults come in the order of the page.
    fn step(&mut self, index: usize, node: &Node) -> Step {
        let run = self.actions(node, "run", |action| Moment::Run(index, action));
        let check = self.checks(node, "check", Moment::Check(index));
        let undo = self.actions(node, "undo", |_| Moment::Undo(index));
        let window = node
            .get("window")
            .map(|window| Window { lasts: self.above_zero(window, "lasts").unwrap_or_default() });
        self.says_enough(node, run.is_empty() && check.is_empty(), undo.is_empty());
        Step {
            id: StepId::from(text(node, "id").as_str()),
            title: text(node, "title"),
            time: optional_text(node, "time").and_then(|time| duration_range(&time).ok()),
            critical: optional_text(node, "critical"),
            when: optional_text(node, "when"),
            confirm: confirm(&STEP, node),
            approvals: number_or(&STEP, node, "approvals"),
            run,
            check,
            undo,
            no_undo: optional_text(node, "no_undo"),
            window,
            on_failure: texts(node, "on_failure"),
            notes: texts(node, "notes"),
        }
    }

    /// Whether a step says all that it must: what it does or checks, and how that is undone.
    fn says_enough(&mut self, node: &Node, idle: bool, no_undo: bool) {
        // An empty list is what somebody wrote on purpose; only a step that says nothing at all is a slip.
        if idle && node.get("run").is_none() && node.get("check").is_none() {
            self.faults
                .error(key_span(node, "id"), "this step does nothing and checks nothing")
                .help("add `run` or `check`; for a manual step: `check = [{ text = \"...\" }]`");
        }
        // `undo = []` could mean "nothing to undo" or "not written yet", and in a rollback the two are worlds apart:
        // so it must be said in words.
        if no_undo
            && node.get("undo").is_some()
            && node.get("no_undo").is_none()
            && items(node, "undo").is_empty()
        {
            self.faults
                .error(key_span(node, "undo"), "`undo` is empty")
                .help("say why it needs none: `no_undo = \"...\"`");
        }
        if node.get("undo").is_some() && node.get("no_undo").is_some() {
            self.faults
                .error(key_span(node, "no_undo"), "a step can have only one of `undo` and `no_undo`")
                .help("remove the one that is wrong");
        }
    }

    /// What follows the last step. A runbook without it ends with that step.
    pub(super) fn completion(&mut self, root: &Node) -> Completion {
        let Some(node) = root.get("completion") else { return Completion::default() };
        Completion {
            run: self.actions(node, "run", Moment::After),
            check: self.checks(node, "check", Moment::After(0)),
        }
    }

    /// The procedures. The one called `quick` is what R and triggers start; others are offered, and have to be chosen
    /// by name.
    pub(super) fn rollbacks(&mut self, root: &Node) -> Vec<Procedure> {
        entries(root, "rollback")
            .iter()
            .map(|entry| {
                let node = &entry.node;
                let run = self.actions(node, "run", Moment::After);
                if run.is_empty() && node.get("run").is_some() && items(node, "run").is_empty() {
                    self.faults.error(key_span(node, "run"), "this rollback does nothing");
                }
                Procedure {
                    id: ProcedureId::from(entry.key.as_str()),
                    title: optional_text(node, "title").unwrap_or_else(|| format!("Rollback: {}", entry.key)),
                    within: self.above_zero(node, "within"),
                    only: optional_text(node, "only"),
                    run,
                    check: self.checks(node, "check", Moment::After(usize::MAX)),
                    ready: self.ready(entry),
                }
            })
            .collect()
    }

    /// The checks that prove the way back. `$SLOT` is known in them and nowhere else.
    fn ready(&mut self, entry: &Entry) -> Vec<Check> {
        let Some(ready) = entry.node.entry("ready") else { return Vec::new() };
        if entry.key != QUICK {
            self.faults
                .error(ready.key_span.clone(), "`ready` works only in the quick rollback")
                .help("move it to [rollback.quick], or use `check`, which runs after the rollback");
        }
        self.ledger.know(WAY_BACK_SLOT, self.faults);
        let checks = self.checks(&entry.node, "ready", Moment::Opening);
        self.ledger.forget();
        for (node, check) in ready.node.items().iter().zip(&checks) {
            let by_whom = match check.kind {
                CheckKind::Person if node.get("text").is_some() => {
                    "`ready` cannot have a manual check: it runs every 10 s"
                }
                CheckKind::Metric { .. } => "`ready` cannot have a metric: the slot has no traffic",
                _ => continue,
            };
            self.faults
                .error(node.span.clone(), by_whom)
                .help("use `http`, `sh`, `pods_ready` or another automatic kind");
        }
        checks
    }

    /// The triggers and the reasons that a person can choose. A reason stands once: people choose it from a list, and
    /// could not tell two apart.
    pub(super) fn triggers(&mut self, root: &Node) -> Vec<Trigger> {
        let mut written: Vec<String> = Vec::new();
        items(root, "trigger")
            .iter()
            .map(|node| {
                let trigger = self.trigger(node, root);
                if written.contains(&trigger.reason) && !trigger.reason.is_empty() {
                    self.faults
                        .error(node.span.clone(), format!("duplicate trigger `{}`", trigger.reason))
                        .help("each reason can be offered only once");
                }
                written.push(trigger.reason.clone());
                trigger
            })
            .collect()
    }

    /// One trigger: measured where it names a metric, otherwise a reason that a person can choose.
    fn trigger(&mut self, node: &Node, root: &Node) -> Trigger {
        let reason = optional_text(node, "reason");
        let Some(name) = node.get("metric") else {
            if reason.is_none() {
                self.faults.error(node.span.clone(), "a trigger needs `metric` or `reason`").help(
                    "write `metric`, `when` and `for` if it fires by itself, or `reason` if a person \
                        chooses it",
                );
            }
            return Trigger { reason: reason.unwrap_or_default(), watch: None };
        };
        let metric = self.metric_named(name);
        let claim = node.get("when").filter(|when| when.text().is_some_and(is_claim));
        self.keys_of_the_other(node, claim.is_some());
        let hold_for = self.above_zero_or(&TRIGGER, node, "for");
        let rule = if let Some(claim) = claim {
            self.worse(claim, node, metric.as_ref()).map(Rule::Worse)
        } else if let Some(when) = node.get("when") {
            let when = self.bound(when, metric.as_ref().and_then(|metric| metric.unit));
            when.map(|when| Rule::Fixed { when, hold_for })
        } else {
            self.faults
                .error(name.span.clone(), "this trigger has no `when`")
                .help("add the breach, `when = \"> 1%\"`, and how long it must last, `for = \"5m\"`");
            None
        };
        let then = self.then(node);
        let unit = metric.and_then(|metric| metric.unit);
        let title = title_of(root, name);
        let measured = rule.zip(unit).map(|(rule, unit)| match rule {
            Rule::Fixed { when, hold_for } => format!("{title} {} for {hold_for}", when.show(unit)),
            Rule::Worse(worse) => claim_words(&title, &worse),
        });
        Trigger {
            reason: reason.or(measured).unwrap_or_default(),
            watch: Some(TriggerWatch {
                metric: MetricId::from(name.text().unwrap_or_default()),
                // Where there is none, that is an error and this never fires.
                rule: rule.unwrap_or(Rule::Fixed { when: Bound { op: Op::Lt, value: 0.0 }, hold_for }),
                then,
                no_data: if word(&TRIGGER, node, "no_data") == "rollback" {
                    OnNoData::Rollback
                } else {
                    OnNoData::Hold
                },
            }),
        }
    }

    /// What a trigger does once it has fired.
    fn then(&mut self, node: &Node) -> Then {
        // A countdown of zero would be `then = "rollback"` without saying so.
        let countdown = self.above_zero_or(&TRIGGER, node, "countdown");
        let then = match word(&TRIGGER, node, "then").as_str() {
            "ask" => Then::Ask,
            "rollback" => Then::Rollback,
            _ => Then::Countdown(countdown),
        };
        if node.get("countdown").is_some() && !matches!(then, Then::Countdown(_)) {
            self.faults
                .error(
                    key_span(node, "countdown"),
                    format!("`countdown` has no effect: `then` is \"{}\"", word(&TRIGGER, node, "then")),
                )
                .help("remove one of them");
        }
        then
    }

    /// Tasks for afterwards; `due` counts from the completion.
    pub(super) fn tasks(root: &Node) -> Vec<Task> {
        items(root, "task")
            .iter()
            .map(|node| Task { due: span(node, "due").unwrap_or_default(), text: text(node, "text") })
            .collect()
    }
}

/// A metric as it names itself, small, for the middle of a sentence: `error rate > 1 % for 5m`.
fn title_of(root: &Node, name: &Node) -> String {
    let name = name.text().unwrap_or_default();
    let title = root
        .get("metrics")
        .and_then(|metrics| metrics.get(name))
        .and_then(|metric| optional_text(metric, "title"))
        .unwrap_or_else(|| name.replace('_', " "));
    uncapitalised(&title)
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
