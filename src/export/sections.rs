//! What stands before the steps and after them: tables and lists.

use super::{
    Source,
    markdown::{NONE, cell, cell_or_none, code, code_cell, each_line, fence, link, table, text},
    words,
    written::Node,
};
use crate::{
    config::ITEM,
    domain::{
        check::Check,
        director::Director,
        kubectl::quote,
        metric::{Counted, Metric, Query, ScrapeCalc},
        runbook::{ClusterFact, Then, TriggerWatch, Var, VarSource},
    },
};

/// The sections before the steps.
pub(super) fn before_steps(source: &Source<'_>) -> Vec<String> {
    let mut blocks = Vec::new();
    source.head(&mut blocks);
    source.strategy(&mut blocks);
    source.who_is_who(&mut blocks);
    source.variables(&mut blocks);
    source.parts(&mut blocks);
    source.checklist(&mut blocks);
    blocks
}

/// The sections after the rollbacks.
pub(super) fn after_steps(source: &Source<'_>) -> Vec<String> {
    let mut blocks = Vec::new();
    source.triggers(&mut blocks);
    source.tasks(&mut blocks);
    source.incidents(&mut blocks);
    source.metrics(&mut blocks);
    source.people(&mut blocks);
    source.changes(&mut blocks);
    blocks
}

/// A list item with a label: `- **Label:** text`.
fn point(label: &str, written: &str) -> String {
    format!("- **{label}:** {}\n", text(written, 2))
}

/// An ordered list; its further lines are indented by four, behind the widest usual number.
fn numbered(items: &[String]) -> String {
    let lines = items.iter().enumerate().map(|(at, item)| format!("{}. {}\n", at + 1, text(item, 4)));
    lines.collect::<Vec<_>>().concat()
}

impl Source<'_> {
    /// The title, and the front matter as a table: what a page has instead of `[runbook]`.
    fn head(&self, blocks: &mut Vec<String>) {
        let document = &self.runbook.document;
        blocks.push(format!("# {}\n", text(&document.title, 0)));
        let mut rows = vec![
            vec!["Module".to_owned(), cell(&document.module)],
            vec!["Version".to_owned(), cell(&document.version)],
            vec!["Status".to_owned(), words::word(document.status)],
            vec!["Last updated".to_owned(), cell(&document.last_updated)],
            vec!["Author".to_owned(), cell(&document.author)],
        ];
        if !document.keywords.is_empty() {
            rows.push(vec!["Keywords".to_owned(), cell(&document.keywords.join(", "))]);
        }
        // In the order of writing, which the runbook as it is meant does not have.
        let related = self.tree.get("runbook").and_then(|head| head.get("related"));
        for (kind, path) in related.map_or(&[][..], Node::entries) {
            rows.push(vec![format!("Related: {}", cell(kind)), cell(path.as_text().unwrap_or_default())]);
        }
        blocks.push(table(&["Runbook", ""], &rows));
    }

    /// How the deployment goes, in one list; what the runbook does not say is left out.
    fn strategy(&self, blocks: &mut Vec<String>) {
        let deployment = &self.runbook.deployment;
        let mut points = vec![
            point("Environment", &words::word(deployment.environment)),
            point("Strategy", deployment.strategy.word()),
            point("Automation", &words::word(deployment.automation)),
        ];
        points.extend(deployment.frequency.iter().map(|frequency| point("Frequency", frequency)));
        points.extend(deployment.window.iter().map(|window| {
            let days = if window.days.is_empty() { "every day".to_owned() } else { window.days.join(", ") };
            point("Window", &format!("{days} {}-{} {}", window.from, window.to, window.timezone))
        }));
        points.extend(deployment.expected.map(|time| point("Expected time", &words::duration(time))));
        points
            .extend(deployment.rollback_within.map(|time| point("Rollback within", &words::duration(time))));
        points.push(point("Zero downtime", if deployment.zero_downtime { "yes" } else { "no" }));
        blocks.push("## Strategy\n".to_owned());
        blocks.push(points.concat());
        if !deployment.success_factors.is_empty() {
            blocks.push("**Success factors:**\n".to_owned());
            blocks.push(numbered(&deployment.success_factors));
        }
    }

    /// Which slot is new on the day, and how lines get its name.
    fn who_is_who(&self, blocks: &mut Vec<String>) {
        let Some(target) = &self.runbook.target else { return };
        blocks.push("## Which slot is which\n".to_owned());
        if target.is_one_deployment() {
            blocks.push(
                "*One Deployment:* its pods from before are the old revision, those with the new image the new one.\n"
                    .to_owned(),
            );
            return;
        }
        let live = match &target.director {
            Director::Selector => "whose labels this prints",
            Director::Route(_) => "to whose Service this gives most weight (the first backend is number 0)",
            Director::Replicas | Director::Rollout => "whose pods this lists",
        };
        blocks.push(format!(
            "*Before anything else:* find the slot that has the users now, {live}: {}. It is the previous slot; the other one is \
             new. Then paste the line beside it.\n",
            code(&self.hand.ask_director())
        ));
        let labels = |name: &str| -> String {
            let slot = target.slots.iter().find(|(slot, _)| slot.as_str() == name).map(|(_, slot)| slot);
            let labels =
                slot.iter().flat_map(|slot| &slot.selector).map(|(key, value)| format!("{key}={value}"));
            let labels: Vec<String> = labels.collect();
            if labels.is_empty() { NONE.to_owned() } else { code_cell(&labels.join(",")) }
        };
        let rows: Vec<Vec<String>> = self
            .hand
            .cases()
            .into_iter()
            .map(|(live, exports)| vec![cell(&live), labels(&live), code_cell(&exports)])
            .collect();
        blocks.push(table(&["Has the users", "Labels", "Paste"], &rows));
        if let Some((name, line)) = self.hand.replicas_before() {
            blocks.push(format!(
                "*Then* the number of its pods, {}: {}\n",
                code(&format!("${name}")),
                code(&line)
            ));
        }
    }

    /// What has to be set before the first line is pasted: a run knows its variables, a shell does not.
    fn variables(&self, blocks: &mut Vec<String>) {
        if self.runbook.vars.is_empty() {
            return;
        }
        blocks.push("## Variables\n".to_owned());
        blocks.push("*Before anything else:* set these, with `export NAME=value`.\n".to_owned());
        let rows: Vec<Vec<String>> = self
            .runbook
            .vars
            .iter()
            .map(|var| {
                let pattern = var.pattern.as_deref().map_or_else(|| NONE.to_owned(), code_cell);
                vec![code_cell(&format!("${}", var.name)), self.origin(var), pattern]
            })
            .collect();
        blocks.push(table(&["Variable", "Where it comes from", "Must match"], &rows));
    }

    /// Where a variable's value comes from. Of a secret no value is shown.
    fn origin(&self, var: &Var) -> String {
        let default = |default: &Option<String>| match default {
            Some(value) if !var.secret => format!("; if nobody says: {}", code_cell(value)),
            _ => String::new(),
        };
        let mut origin = match &var.source {
            VarSource::Ask { question, default: value } => {
                format!("asked: {}{}", cell(question), default(value))
            }
            VarSource::Env { name, default: value } => {
                format!("environment variable {}{}", code_cell(name), default(value))
            }
            VarSource::Fixed { value } => code_cell(value.as_str()),
            VarSource::Captured => self.captured(&var.name),
            VarSource::Cluster(fact) => self.fact(*fact),
        };
        if var.secret {
            origin.push_str(" (secret)");
        }
        origin
    }

    /// The action that prints a variable's value; a person copies it from there.
    fn captured(&self, name: &str) -> String {
        let steps = self.runbook.steps.iter().flat_map(|step| step.run.iter().chain(&step.undo));
        let mut all = steps.chain(&self.runbook.completion.run);
        let by = all.find(|action| action.capture.iter().any(|capture| capture.var == name));
        by.map_or_else(
            || "printed by an action".to_owned(),
            |action| format!("printed by: {}", cell(&action.name)),
        )
    }

    /// The command that finds out what a run takes from the cluster.
    fn fact(&self, fact: ClusterFact) -> String {
        use crate::domain::action::SlotRef::{New, Previous};
        let scope = self.hand.scope();
        let container =
            self.runbook.target.as_ref().map(|target| target.container.clone()).unwrap_or_default();
        let ask = |slot, path: &str| {
            let deployment = self.hand.deployment(slot).unwrap_or_default();
            code_cell(&format!("kubectl get deployment {deployment} {scope} -o {}", quote(path)))
        };
        let image = format!("jsonpath={{.spec.template.spec.containers[?(@.name==\"{container}\")].image}}");
        match fact {
            ClusterFact::LiveImageTag => {
                format!("tag of the image that users have now: {}", ask(&Previous, &image))
            }
            ClusterFact::LiveImage => format!("image that users have now: {}", ask(&Previous, &image)),
            ClusterFact::IdleImage => format!("image of the new slot from before: {}", ask(&New, &image)),
            ClusterFact::IdleImageTag => {
                format!("tag of the image of the new slot from before: {}", ask(&New, &image))
            }
            ClusterFact::LiveSlot => "name of the slot that has the users now: see above".to_owned(),
            ClusterFact::IdleSlot => "name of the slot without users: see above".to_owned(),
            ClusterFact::LiveReplicas => {
                format!(
                    "pods of the slot that has the users now: {}",
                    ask(&Previous, "jsonpath={.spec.replicas}")
                )
            }
            ClusterFact::OpenedAt => {
                format!("time of the beginning: {}", code_cell("date -u +%Y-%m-%dT%H:%M:%SZ"))
            }
            ClusterFact::Pilot => "name of the operator".to_owned(),
        }
    }

    /// The optional parts. On paper the reader answers, so the usual answer is shown and not a default.
    fn parts(&self, blocks: &mut Vec<String>) {
        if self.runbook.parts.is_empty() {
            return;
        }
        let usual = |default: bool| if default { "yes" } else { "no" }.to_owned();
        let rows: Vec<Vec<String>> = self
            .runbook
            .parts
            .iter()
            .map(|part| vec![code_cell(&part.name), cell(&part.question), usual(part.default)])
            .collect();
        blocks.push("## Optional parts\n".to_owned());
        blocks.push(table(&["Part", "Question", "Usually"], &rows));
    }

    /// The checklist with boxes to tick. How long a tick counts is said only where it is unusual.
    fn checklist(&self, blocks: &mut Vec<String>) {
        if self.runbook.checklist.is_empty() {
            return;
        }
        blocks.push("## Checklist\n".to_owned());
        let usual = ITEM.default_span("valid_for", "");
        for group in &self.runbook.checklist {
            blocks.push(format!("### {}\n", text(&group.title, 0)));
            let items = group.items.iter().map(|item| {
                let valid_for = (item.valid_for != usual).then_some(item.valid_for);
                let check: &Check = &item.check;
                self.item(&item.text, check, item.optional, valid_for)
            });
            blocks.push(items.collect());
        }
    }

    /// What makes one roll back. Bounds stand as they were written, so that the page reads back to the same runbook.
    fn triggers(&self, blocks: &mut Vec<String>) {
        let written = self.tree.list("trigger");
        if written.is_empty() {
            return;
        }
        let rows: Vec<Vec<String>> = written
            .iter()
            .zip(&self.runbook.triggers)
            .map(|(trigger, meant)| self.trigger(trigger, meant.watch.as_ref()))
            .collect();
        blocks.push("## Triggers\n".to_owned());
        blocks.push("*Roll back* if one of these is true.\n".to_owned());
        blocks.push(table(
            &["Reason", "Metric", "Breach", "For", "Then", "Without data", "Certainty", "At least"],
            &rows,
        ));
    }

    /// One that is not measured has its reason alone: a person decides.
    fn trigger(&self, written: &Node, watch: Option<&TriggerWatch>) -> Vec<String> {
        let then = watch.map(|watch| match watch.then {
            Then::Countdown(span) => format!("countdown {}", words::duration(span)),
            then => words::word(then),
        });
        let cells = [
            written.text("reason").map(str::to_owned),
            watch.map(|watch| self.title_of(watch.metric.as_str())),
            watch.and(written.text("when")).map(str::to_owned),
            watch.and_then(|watch| watch.rule.fixed()).map(|(_, lasts)| words::duration(lasts)),
            then,
            watch.map(|watch| words::word(watch.no_data)),
            written.text("certainty").map(str::to_owned),
            written.text("at_least").map(str::to_owned),
        ];
        cells.map(|text| cell_or_none(text.as_deref())).into()
    }

    /// A metric's title; its name, if another metric has the same title.
    fn title_of(&self, name: &str) -> String {
        let title = |metric: &Metric| metric.title.clone();
        let Some(found) = self.runbook.metric(name).map(title) else { return name.to_owned() };
        let same = self.runbook.metrics.iter().filter(|metric| metric.title == found).count();
        if same > 1 { name.to_owned() } else { found }
    }

    /// Tasks for afterwards, under the time by which they are due.
    fn tasks(&self, blocks: &mut Vec<String>) {
        if self.runbook.tasks.is_empty() {
            return;
        }
        blocks.push("## Tasks\n".to_owned());
        for group in self.runbook.tasks.chunk_by(|one, next| one.due == next.due) {
            let due = group.first().map(|task| words::duration(task.due)).unwrap_or_default();
            blocks.push(format!("### Within {due}\n"));
            blocks.push(each_line(group, |task| format!("- [ ] {}", text(&task.text, 2))));
        }
    }

    /// What to do when it has gone wrong, and what to write to the channel.
    fn incidents(&self, blocks: &mut Vec<String>) {
        let Some(incident) = &self.runbook.incident else { return };
        blocks.push("## Incidents\n".to_owned());
        let mut points: Vec<String> = Vec::new();
        points.extend(incident.channel.iter().map(|channel| point("Channel", channel)));
        points.extend(incident.commander.iter().map(|commander| point("Commander", commander)));
        if !points.is_empty() {
            blocks.push(points.concat());
        }
        let rows: Vec<Vec<String>> = incident
            .levels
            .iter()
            .map(|level| {
                [&level.level, &level.title, &level.example, &level.respond, &level.escalate]
                    .map(|text| cell(text))
                    .into()
            })
            .collect();
        if !rows.is_empty() {
            blocks.push(table(&["Level", "Title", "Example", "Respond", "Escalate"], &rows));
        }
        if !incident.steps.is_empty() {
            blocks.push("**What to do:**\n".to_owned());
            blocks.push(numbered(&incident.steps));
        }
        blocks.push("**Message:**\n".to_owned());
        blocks.push(fence("text", &incident.template, 0));
    }

    /// Bounds as they were written, in the words that people discuss them in.
    fn metrics(&self, blocks: &mut Vec<String>) {
        let written = self.tree.get("metrics").map_or(&[][..], Node::entries);
        if written.is_empty() {
            return;
        }
        let rows: Vec<Vec<String>> = written
            .iter()
            .map(|(name, metric)| {
                vec![
                    cell(metric.text("title").unwrap_or(name)),
                    cell_or_none(metric.text("normal")),
                    cell_or_none(metric.text("alert")),
                    cell_or_none(metric.text("action")),
                ]
            })
            .collect();
        blocks.push("## Metrics\n".to_owned());
        blocks.push(table(&["Metric", "Normal", "Alert", "Action"], &rows));
        for metric in &self.runbook.metrics {
            blocks.extend(query(metric));
        }
    }

    /// Near the end, where somebody looks for them in a hurry: after all that is only read once.
    fn people(&self, blocks: &mut Vec<String>) {
        let runbook = self.runbook;
        if !runbook.contacts.is_empty() {
            let rows: Vec<Vec<String>> = runbook
                .contacts
                .iter()
                .map(|contact| {
                    vec![
                        cell(&contact.role),
                        cell_or_none(contact.name.as_deref()),
                        cell_or_none(contact.slack.as_deref()),
                        cell_or_none(contact.phone.as_deref()),
                    ]
                })
                .collect();
            blocks.push("## Contacts\n".to_owned());
            blocks.push(table(&["Role", "Name", "Slack", "Phone"], &rows));
        }
        if !runbook.links.is_empty() {
            blocks.push("## Links\n".to_owned());
            blocks.push(each_line(&runbook.links, |of| format!("- {}", link(&of.name, &of.url))));
        }
        self.notices(blocks);
    }

    /// What a run would tell the channel by itself, and a person has to.
    fn notices(&self, blocks: &mut Vec<String>) {
        let notify = &self.runbook.notify;
        if notify.slack.is_some() || notify.channel.is_some() || !notify.on.is_empty() {
            let channel = notify.channel.as_deref().unwrap_or("the team");
            let on: Vec<String> = notify.on.iter().map(words::word).collect();
            let on = if on.is_empty() { "only what the steps send".to_owned() } else { on.join(", ") };
            blocks.push("## Notices\n".to_owned());
            blocks.push(format!("*Tell* {} by yourself when this happens: {on}.\n", text(channel, 0)));
        }
    }

    fn changes(&self, blocks: &mut Vec<String>) {
        if self.runbook.changes.is_empty() {
            return;
        }
        let rows: Vec<Vec<String>> = self
            .runbook
            .changes
            .iter()
            .map(|change| {
                [&change.date, &change.version, &change.author, &change.changes].map(|text| cell(text)).into()
            })
            .collect();
        blocks.push("## Changes\n".to_owned());
        blocks.push(table(&["Date", "Version", "Author", "Changes"], &rows));
    }
}

/// How a metric is measured. PromQL stands in a fence, from where it can be pasted; what is scraped has no language to paste it
/// in.
fn query(metric: &Metric) -> Vec<String> {
    let title = text(&metric.title, 0);
    match &metric.query {
        Query::Promql { expr, .. } => vec![format!("### Query: {title}\n"), fence("promql", expr, 0)],
        Query::Scrape { source, calc } => {
            vec![format!("*Computed:* {title}, from {}: {}\n", code(source), calculation(calc))]
        }
        Query::Counted(Counted { source, part, good, all, .. }) => {
            let from = code(source);
            let (which, part, all) = (if *good { "good" } else { "bad" }, code(part), code(all));
            vec![format!("*Counted:* {title}, from {from}: {which} {part} of all {all}\n")]
        }
    }
}

fn calculation(calc: &ScrapeCalc) -> String {
    match calc {
        ScrapeCalc::Rate { rate, over: None } => format!("{} a second", code(rate)),
        ScrapeCalc::Rate { rate, over: Some(over) } => format!("rate of {} over {}", code(rate), code(over)),
        ScrapeCalc::Quantile { quantile, histogram } => format!("quantile {quantile} of {}", code(histogram)),
        ScrapeCalc::Gauge { gauge } => format!("sum of {}", code(gauge)),
    }
}
