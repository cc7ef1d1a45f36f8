//! Steps, completion and rollbacks: what is done, and how it is checked.

use std::fmt::Write as _;

use super::{
    Source,
    hand::{self, curl_line},
    markdown::{code, each_line, fence, text},
    settings::{grouped, one_line},
    words,
    written::Node,
};
use crate::{
    config::ACTION,
    domain::{
        action::{Action, ActionKind, Confirm, HttpRequest, Replicas, SlotRef},
        check::{Check, CheckKind, Condition, NoTraffic},
        director::Director,
        id::QUICK,
        kubectl::quote,
        plan::WAY_BACK_SLOT,
        runbook::{Procedure, Step},
        template::Template,
        time::Span,
        verdict::show_condition,
    },
};

/// Where an item's nested list and its further lines begin.
const NESTED: usize = 2;

/// The sections of steps, completion and rollbacks.
pub(super) fn steps(source: &Source<'_>) -> Vec<String> {
    let runbook = source.runbook;
    let mut blocks = vec!["## Steps\n".to_owned()];
    for (index, (step, written)) in runbook.steps.iter().zip(source.tree.list("step")).enumerate() {
        blocks.push(format!("### Step {}: {}\n", index + 1, text(&step.title, 0)));
        source.step(&mut blocks, step, written);
    }
    if let Some(written) = source.tree.get("completion") {
        blocks.push("## Completion\n".to_owned());
        source.actions(&mut blocks, &runbook.completion.run, written.list("run"));
        source.checks(&mut blocks, "Validation", &runbook.completion.check);
    }
    let rollbacks = source.tree.get("rollback").map_or(&[][..], Node::entries);
    for (procedure, (_, written)) in runbook.rollbacks.iter().zip(rollbacks) {
        blocks.push(format!("## Rollback: {}\n", text(&procedure.title, 0)));
        source.rollback(&mut blocks, procedure, written);
    }
    blocks
}

/// `**Label:** text`
fn labelled(label: &str, written: &str) -> String {
    format!("**{label}:** {}\n", text(written, 0))
}

/// `**Label:**` and a list.
fn listed(blocks: &mut Vec<String>, label: &str, items: &[String]) {
    if !items.is_empty() {
        blocks.push(format!("**{label}:**\n"));
        blocks.push(each_line(items, |item| format!("- {}", text(item, NESTED))));
    }
}

/// What the operator does before a step starts; nothing where it just starts.
fn starts_when(confirm: Confirm) -> Option<&'static str> {
    match confirm {
        Confirm::None => None,
        Confirm::Twice => Some("the operator has confirmed it twice"),
        Confirm::Type => Some("the operator has typed a word"),
    }
}

impl Source<'_> {
    /// One step, in the order in which a person does it: what to know first, the lines to run, what to look at, how
    /// to undo it.
    fn step(&self, blocks: &mut Vec<String>, step: &Step, written: &Node) {
        blocks.extend(step.time.map(|(from, to)| labelled("Time", &words::range(from, to))));
        blocks.extend(step.critical.iter().map(|critical| labelled("CRITICAL", critical)));
        if let Some(name) = &step.when {
            let question = self.runbook.parts.iter().find(|part| part.name == *name);
            let question = question.map(|part| format!(": {}", text(&part.question, 0))).unwrap_or_default();
            blocks.push(format!("*Only if:* {} applies{question}\n", code(name)));
        }
        blocks.extend(starts_when(step.confirm).map(|when| format!("*Starts when:* {when}\n")));
        if step.approvals > 0 {
            let who = if step.approvals == 1 { "one other person" } else { "other people" };
            blocks.push(format!("*Needs:* approval by {who} ({})\n", step.approvals));
        }
        self.actions(blocks, &step.run, written.list("run"));
        if let Some(window) = step.window {
            let lasts = words::duration(window.lasts);
            blocks.push(format!("*Watch:* for {lasts}, all the time, what is to be validated here\n"));
        }
        self.checks(blocks, "Validation", &step.check);
        if !step.undo.is_empty() {
            blocks.push("**Undo:**\n".to_owned());
            self.actions(blocks, &step.undo, written.list("undo"));
        }
        blocks.extend(step.no_undo.iter().map(|why| labelled("No undo", why)));
        listed(blocks, "If it fails", &step.on_failure);
        listed(blocks, "Notes", &step.notes);
    }

    /// One way back. What a run does around it by itself stands before it, since nobody else will think of it at that
    /// hour.
    fn rollback(&self, blocks: &mut Vec<String>, procedure: &Procedure, written: &Node) {
        blocks.extend(procedure.only.iter().map(|only| labelled("Only", only)));
        let within = procedure.within.or(self.runbook.deployment.rollback_within);
        blocks.extend(within.map(|within| format!("*Within:* {}\n", words::duration(within))));
        if procedure.id.as_str() == QUICK {
            blocks.extend(self.pods_first());
            blocks.extend(self.promotion_first());
        }
        self.actions(blocks, &procedure.run, written.list("run"));
        self.checks(blocks, "Validation", &procedure.check);
        let way_back = self.hand.name("PREVIOUS", "SLOT");
        let ready: Vec<Check> = procedure.ready.iter().map(|check| with_way_back(check, &way_back)).collect();
        self.checks(blocks, "Ready", &ready);
    }

    /// A run starts the pods of the previous slot by itself before it gives it the traffic. A person has to think of it.
    fn pods_first(&self) -> Option<String> {
        let target = self.runbook.target.as_ref().filter(|target| !target.is_one_deployment())?;
        let deployment = self.hand.deployment(&SlotRef::Previous)?;
        let line = |kind: ActionKind| code(&self.hand.command(&Action::plain("", kind, Span::ZERO)));
        let previous = SlotRef::Previous;
        let scale = line(ActionKind::Scale { slot: previous.clone(), replicas: Replicas::Before });
        let rollout = line(ActionKind::Rollout { slot: previous, patience: None });
        let get = code(&format!("kubectl get deployment {deployment} {}", self.hand.scope()));
        let to = target.director_word();
        Some(format!(
            "*Before it:* {get} shows all pods of the previous slot ready. If not, start them before {to} sends users there: {scale}, \
             then {rollout}\n"
        ))
    }

    /// … and takes a promotion back: the previous slot runs the new version then.
    fn promotion_first(&self) -> Option<String> {
        let steps = self.tree.list("step").iter();
        steps.flat_map(|step| step.list("run")).find(|action| action.get("promote").is_some())?;
        let revert = Action::plain("", ActionKind::Revert { slot: SlotRef::Previous }, Span::ZERO);
        let rollout = ActionKind::Rollout { slot: SlotRef::Previous, patience: None };
        let rollout = Action::plain("", rollout, Span::ZERO);
        Some(format!(
            "*After a promotion:* first give the previous slot its old image back: {}, then {}\n",
            code(&self.hand.command(&revert)),
            code(&self.hand.command(&rollout))
        ))
    }

    /// Actions as lines to paste, each below its name. Below the fence stands what the lines do not say: how long
    /// they may take, what cannot be undone.
    fn actions(&self, blocks: &mut Vec<String>, run: &[Action], written: &[Node]) {
        for (name, actions) in grouped(written, run) {
            let mut script = format!("# {}\n", one_line(&name));
            for (at, action) in actions.iter().enumerate() {
                if at > 0 {
                    let _ = writeln!(script, "\n# {}", one_line(&action.name));
                }
                script.push_str(&self.hand.command(action));
                script.push('\n');
            }
            blocks.push(fence("sh", &script, 0));
            let known: Vec<String> = actions.iter().flat_map(known_of).collect();
            if !known.is_empty() {
                blocks.push(format!("*Mind:* {}.\n", known.join("; ")));
            }
        }
    }

    /// Checks as boxes to tick, each with how a person finds it out.
    fn checks(&self, blocks: &mut Vec<String>, label: &str, checks: &[Check]) {
        if checks.is_empty() {
            return;
        }
        blocks.push(format!("**{label}:**\n"));
        blocks.push(checks.iter().map(|check| self.item(&check.text, check, check.optional, None)).collect());
    }

    /// An item of a task list, with what is known of it below.
    pub(super) fn item(&self, what: &str, check: &Check, optional: bool, valid_for: Option<Span>) -> String {
        let mut out = format!("- [ ] {}\n", text(what, NESTED));
        // Writing to a String cannot fail.
        let mut below = |line: &str| {
            let _ = writeln!(out, "  - {line}");
        };
        if optional {
            below("*Optional.*");
        }
        if let Some(valid_for) = valid_for {
            below(&format!("*Check again* after {}.", words::duration(valid_for)));
        }
        if let Some(line) = self.by_hand(&check.kind) {
            below(&format!("*By hand:* {line}"));
        }
        if let CheckKind::Sh { script, .. } = &check.kind
            && script.trim_end().contains('\n')
        {
            out.push('\n');
            out.push_str(&fence("sh", script, NESTED + 2));
        }
        out
    }

    /// How a person finds out what a check does.
    fn by_hand(&self, kind: &CheckKind) -> Option<String> {
        let get = |slot: &SlotRef| code(&self.about_deployment("get deployment ", slot));
        Some(match kind {
            CheckKind::Person | CheckKind::Allowed { .. } => return None,
            CheckKind::Http(request) => http(request),
            CheckKind::Tls { host, port, days } => certificate(host, *port, *days),
            CheckKind::Dns { name, expect } => same_address(name, expect),
            CheckKind::Metric { metric, slot, condition, no_traffic } => {
                self.measured(metric.as_str(), slot.as_ref(), *condition, *no_traffic)?
            }
            CheckKind::Rollout { slot, .. } => {
                code(&self.about_deployment("rollout status deployment/", slot))
            }
            CheckKind::PodsReady { slot, at_least, .. } => {
                format!("{} shows all pods ready, at least {at_least}", get(slot))
            }
            CheckKind::TrafficOn { slot } => self.traffic_on(slot),
            CheckKind::ScaledTo { slot, replicas } => format!("{} shows {replicas} replicas", get(slot)),
            CheckKind::Headroom { slot, replicas } => format!(
                "{} shows room for {replicas} pods of {}",
                code("kubectl describe nodes"),
                text(&self.hand.colour(slot), NESTED)
            ),
            CheckKind::Sh { script, expect } => script_line(script, expect.as_deref()),
            CheckKind::Logs { slot, without, with } => self.logs(slot, without.as_deref(), with.as_deref()),
        })
    }

    /// A `kubectl` line about a slot's Deployment; `what` ends where its name begins.
    fn about_deployment(&self, what: &str, slot: &SlotRef) -> String {
        let deployment = self.hand.deployment(slot).unwrap_or_default();
        format!("kubectl {what}{deployment} {}", self.hand.scope())
    }

    /// What a metric must show; nothing where the runbook has no such metric.
    fn measured(
        &self,
        metric: &str,
        slot: Option<&SlotRef>,
        condition: Condition,
        no_traffic: Option<NoTraffic>,
    ) -> Option<String> {
        let declared = self.runbook.metric(metric)?;
        let of = slot.filter(|_| declared.per_slot).map(|slot| self.hand.colour(slot));
        let of = of.map(|of| format!(" of {}", text(&of, NESTED))).unwrap_or_default();
        let wanted = show_condition(condition, declared.unit, None);
        let idle = match no_traffic {
            None => "",
            Some(NoTraffic::Skip) => "; not without requests",
            Some(NoTraffic::Wait) => "; wait for requests",
            Some(NoTraffic::Fail) => "; without requests it fails",
        };
        let title = text(&declared.title, NESTED);
        Some(format!("{title}{of} is {}{idle}; its query is under Metrics", text(&wanted, NESTED)))
    }

    /// What the logs of a slot's pods must say, and must not.
    fn logs(&self, slot: &SlotRef, without: Option<&str>, with: Option<&str>) -> String {
        let container = self.runbook.target.as_ref().map(|target| quote(&target.container));
        // All of each log, said outright: how many lines kubectl shows by itself depends on how the pods are named.
        let logs = format!(
            "{} --container={} --tail=-1",
            self.about_deployment("logs deployment/", slot),
            container.unwrap_or_default()
        );
        let mut wanted = Vec::new();
        wanted.extend(without.map(|pattern| format!("no line matches {}", code(pattern))));
        wanted.extend(with.map(|pattern| format!("some line matches {}", code(pattern))));
        format!("{}, for each pod: {}", code(&logs), wanted.join(", "))
    }

    /// How a person sees where the traffic is, by what directs it.
    fn traffic_on(&self, slot: &SlotRef) -> String {
        let ask = code(&self.hand.ask_director());
        let colour = text(&self.hand.colour(slot), NESTED);
        match self.runbook.target.as_ref().map(|target| &target.director) {
            Some(Director::Selector) => format!("{ask} prints the labels of {colour}"),
            Some(Director::Route(_)) => format!("{ask} prints weight 0 for all but {colour}"),
            _ => format!("{ask} lists ready pods of {colour} only"),
        }
    }
}

/// Whether a certificate is good for some days more. The name is sent as well (SNI): a server with several certificates
/// answers with another one otherwise.
fn certificate(host: &Template, port: u16, days: u32) -> String {
    let seconds = u64::from(days) * 86_400;
    let at = super::shell::word(&Template(format!("{}:{port}", host.as_str())));
    let name = super::shell::word(host);
    code(&format!(
        "openssl s_client -connect {at} -servername {name} </dev/null | openssl x509 -noout -checkend {seconds}"
    ))
}

fn same_address(name: &Template, expect: &Template) -> String {
    let look = |name| code(&format!("getent ahosts {}", super::shell::word(name)));
    format!("{} and {} show the same address", look(name), look(expect))
}

/// A script of one line stands here; a longer one follows in a fence of its own.
fn script_line(script: &str, expect: Option<&str>) -> String {
    let expected = expect.map(|expect| format!("prints what matches {}", code(expect)));
    match (script.trim_end().contains('\n'), expected) {
        (false, None) => code(script),
        (false, Some(expected)) => format!("{} {expected}", code(script)),
        (true, None) => "this succeeds:".to_owned(),
        (true, Some(expected)) => format!("this {expected}:"),
    }
}

/// A request as a `curl` line, with what its answer must be.
fn http(request: &HttpRequest) -> String {
    let mut line = code(&curl_line(request));
    for (at, what) in hand::expected(request) {
        let _ = write!(line, "; expected {}: {}", text(&at, NESTED), code(&what));
    }
    line
}

/// What else is known of an action, for whoever does it by hand.
fn known_of(action: &Action) -> Vec<String> {
    let mut known = Vec::new();
    if action.timeout != usual_timeout(&action.kind) {
        known.push(format!("at most {}", words::duration(action.timeout)));
    }
    if matches!(action.kind, ActionKind::Revert { .. }) {
        let history = code("kubectl rollout history");
        known.push(format!("it goes to the revision before the newest; if that is another one ({history} shows them), add {}", code("--to-revision")));
    }
    match action.confirm {
        Confirm::None => {}
        Confirm::Twice => known.push("confirm twice".to_owned()),
        Confirm::Type => known.push("confirm by typing a word".to_owned()),
    }
    known.extend(action.capture.iter().map(|capture| {
        format!(
            "keep {}, which it prints (matches {})",
            code(&format!("${}", capture.var)),
            code(&capture.pattern)
        )
    }));
    known.extend(action.irreversible.iter().map(|why| format!("cannot be undone: {}", text(why, 0))));
    known.extend(action.data_loss.iter().map(|what| format!("loses data: {}", text(what, 0))));
    known
}

/// How long an action may take unless it says something else. Its key is named only where the format has a time of its own
/// for it.
fn usual_timeout(kind: &ActionKind) -> Span {
    let key = match kind {
        ActionKind::Sh { .. } => "sh",
        ActionKind::Argv { .. } => "argv",
        ActionKind::Rollout { .. } => "rollout",
        ActionKind::Http(_) => "http",
        ActionKind::Notify { .. } => "notify",
        _ => "",
    };
    ACTION.default_span("timeout", key)
}

/// A check of the way back, with the slot that it is about under a name that a person has.
fn with_way_back(check: &Check, slot: &str) -> Check {
    let mut check = check.clone();
    let renamed = |template: &Template| {
        Template(template.show(|name| (name == WAY_BACK_SLOT).then(|| format!("${slot}"))))
    };
    match &mut check.kind {
        CheckKind::Http(request) => request.url = renamed(&request.url),
        CheckKind::Tls { host, .. } => *host = renamed(host),
        CheckKind::Dns { name, .. } => *name = renamed(name),
        _ => {}
    }
    check
}
