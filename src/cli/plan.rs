//! `cutover plan`: prints everything a run would do, with variables filled in.

use super::args::PlanArgs;
use crate::domain::{
    action::{Action, ActionKind, Confirm, SlotRef},
    check::{Check, CheckKind, Condition, NoTraffic},
    event::{Envelope, Opened, RollbackTarget, RunEvent},
    id::{MetricId, QUICK, RunId, SlotName},
    run::Run,
    runbook::{ClusterFact, Runbook, Step, Target, VarSource},
    time::Timestamp,
    verdict::show_condition,
};
use crate::flight::{exit::Exit, roles::roles, runbook, say::data, stop::Stop, vars::Given};

/// Prints the plan.
///
/// # Errors
/// If the runbook can't be read.
pub fn main(args: &PlanArgs) -> Result<Exit, Stop> {
    let loaded = runbook::open(&args.runbook, "auto")?;
    let given =
        Given::parse(&args.vars, &[], &loaded.runbook).map_err(|faults| Stop::usage(faults.join("\n")))?;
    let runbook = loaded.runbook;
    let slots: Vec<_> = runbook.target.iter().flat_map(|target| target.slots.keys().cloned()).collect();
    let live = args.live.as_ref().map_or_else(
        || runbook.target.as_ref().and_then(Target::presumed_live).cloned(),
        |live| slots.iter().find(|slot| slot.as_str() == live).cloned(),
    );
    if let (Some(wanted), None) = (&args.live, &live) {
        return Err(Stop::usage(format!("the runbook has no slot {wanted}")));
    }
    let opened = assumed(runbook, &args.runbook.display().to_string(), live.clone());
    let first = Envelope { seq: 1, at: Timestamp(0), event: RunEvent::RunOpened(opened) };
    let Some(mut run) = Run::open(&first) else { return Ok(Exit::Internal) };
    // The names of the slots are known as soon as one of them is assumed to be live, so lines that use them can be
    // shown filled in.
    for var in &run.runbook.clone().vars {
        let slot = match &var.source {
            VarSource::Cluster(ClusterFact::IdleSlot) => run.opened.new_slot.clone(),
            VarSource::Cluster(ClusterFact::LiveSlot) => live.clone(),
            _ => None,
        };
        if let Some(slot) = slot {
            run.vars.insert(var.name.clone(), Some(slot.0));
        }
    }
    for (name, value) in given.vars {
        run.vars.insert(name, Some(value));
    }
    if args.rbac {
        let roles = roles(&run)
            .ok_or_else(|| Stop::usage("the runbook has no [target], so it needs nothing in a cluster"))?;
        data(roles.trim_end());
        return Ok(Exit::Done);
    }
    print(&run);
    Ok(Exit::Done)
}

/// A run that is never opened: it has no journal and no cluster. What only a cluster could tell stands in it as words in
/// brackets, so that nobody takes it for a value.
fn assumed(runbook: Runbook, path: &str, live: Option<SlotName>) -> Opened {
    let mut slots = runbook.target.iter().flat_map(|target| target.slots.keys());
    Opened {
        run_id: RunId("plan".to_owned()),
        cutover_version: env!("CARGO_PKG_VERSION").to_owned(),
        runbook_sha256: String::new(),
        runbook_path: path.to_owned(),
        rehearsal: None,
        pilot: String::new(),
        host: String::new(),
        cluster: None,
        new_slot: slots.find(|slot| Some(*slot) != live.as_ref()).cloned(),
        previous: live.map(|slot| RollbackTarget {
            slot,
            image: "(its image now)".to_owned(),
            replicas: 3,
            hash: None,
            revision: None,
        }),
        new_slot_image: None,
        pinned: None,
        overrides: Vec::new(),
        runbook: Box::new(runbook),
    }
}

/// In the order of a run. Everything goes to standard output, for a pager or a diff between two versions of a
/// runbook.
fn print(run: &Run) {
    let runbook = &run.runbook;
    data(&format!("{}  (runbook version {})", runbook.document.title, runbook.document.version));
    if let (Some(target), Some(live), Some(new)) = (&runbook.target, &run.live, &run.opened.new_slot) {
        data(&format!(
            "assuming {live} is live and {new} is idle in {}; a run asks the cluster",
            target.namespace
        ));
    }
    print_variables(run);
    data("\nChecklist");
    for group in &runbook.checklist {
        data(&format!("  {}", group.title));
        for item in &group.items {
            let optional = if item.optional { ", if needed" } else { "" };
            data(&format!("    [ ] {}  ({}{optional})", item.text, check_how(run, &item.check)));
        }
    }
    for (index, step) in runbook.steps.iter().enumerate() {
        print_step(run, index + 1, step);
    }
    data("\nCompletion");
    print_work(run, &runbook.completion.run, &runbook.completion.check);
    for procedure in &runbook.rollbacks {
        let within = procedure.within.map(|within| format!("  within {within}")).unwrap_or_default();
        data(&format!("\nRollback `{}`: {}{within}", procedure.id, procedure.title));
        if let Some(only) = &procedure.only {
            data(&format!("  only if: {only}"));
        }
        if procedure.id.as_str() == QUICK
            && let (Some(first), Some(slot)) = (run.promotion_taken_back(), run.slot(&SlotRef::Previous))
        {
            data(&format!("  once {} has got the new image, before the rest:", slot.0.to_uppercase()));
            for action in &first {
                print_action(run, action);
            }
            data("  always:");
        }
        print_work(run, &procedure.run, &procedure.check);
    }
    data("\nTriggers");
    for trigger in &runbook.triggers {
        data(&format!("  {}", trigger.reason));
    }
}

/// Each variable with its value, or with where that will come from. A secret's value is shown nowhere.
fn print_variables(run: &Run) {
    data("\nVariables");
    for var in &run.runbook.vars {
        let value = match (&var.source, run.value(&var.name)) {
            _ if var.secret => "(secret)".to_owned(),
            (_, Some(value)) => value,
            (VarSource::Ask { question, .. }, None) => format!("(asked: {question})"),
            (VarSource::Env { name, .. }, None) => format!("(environment {name})"),
            (VarSource::Captured, None) => "(read from an action's output)".to_owned(),
            (VarSource::Cluster(fact), None) => format!("(from the cluster: {})", fact_name(*fact)),
            (VarSource::Fixed { value }, None) => value.as_str().to_owned(),
        };
        data(&format!("  {} = {value}", var.name));
    }
}

/// A step: what starts it, what it does, what is looked at, and what undoes it.
fn print_step(run: &Run, number: usize, step: &Step) {
    let time =
        step.time.map(|(from, to)| if from == to { format!("  ~{from}") } else { format!("  {from}-{to}") });
    data(&format!("\nStep {number}: {}{}", step.title, time.unwrap_or_default()));
    if let Some(part) = &step.when {
        data(&format!("  only if `{part}` applies"));
    }
    if let Some(critical) = &step.critical {
        data(&format!("  CRITICAL: {critical}"));
    }
    match step.confirm {
        Confirm::None => {}
        Confirm::Twice => data("  starts after the key is pressed twice"),
        Confirm::Type => data(&format!("  starts after `{}` is typed", run.word_for(step))),
    }
    step.run.iter().for_each(|action| print_action(run, action));
    if let Some(window) = step.window {
        data(&format!("  watch for {}, triggers armed:", window.lasts));
    }
    step.check.iter().for_each(|check| print_check(run, check));
    if !step.undo.is_empty() {
        data("  undo:");
        step.undo.iter().for_each(|action| print_action(run, action));
    }
    for line in &step.on_failure {
        data(&format!("  if it fails: {line}"));
    }
}

fn print_work(run: &Run, actions: &[Action], checks: &[Check]) {
    for action in actions {
        print_action(run, action);
    }
    for check in checks {
        print_check(run, check);
    }
}

/// An action with what does it: the line that is run, or the `kubectl` command that comes to the same.
fn print_action(run: &Run, action: &Action) {
    let item = run.plan_item(action);
    let kind = match &action.kind {
        ActionKind::Sh { .. } => "sh",
        ActionKind::Argv { .. } => "run",
        kind if kind.is_kubernetes() => "kubernetes",
        ActionKind::Notify { .. } => "notify",
        _ => "http",
    };
    data(&format!("  - {}  [{kind}, at most {}]", item.text, action.timeout));
    for line in item.command.iter().flat_map(|command| command.lines()) {
        data(&format!("      $ {line}"));
    }
}

fn print_check(run: &Run, check: &Check) {
    data(&format!("  [ ] {}  ({})", check.text, check_how(run, check)));
}

/// How a check finds out whether it passes.
fn check_how(run: &Run, check: &Check) -> String {
    let colour = |slot: &SlotRef| run.slot(slot).map_or_else(|| "?".to_owned(), |slot| slot.0);
    match &check.kind {
        CheckKind::Person => "a person".to_owned(),
        CheckKind::Http(request) => format!("{} {}", request.method, run.show(&request.url)),
        CheckKind::Tls { host, port, days } => {
            format!("certificate of {}:{port}, {days} days", run.show(host))
        }
        CheckKind::Dns { name, expect } => format!("{} resolves to {}", run.show(name), run.show(expect)),
        CheckKind::Metric { metric, condition, no_traffic, .. } => {
            metric_how(run, metric, *condition, *no_traffic)
        }
        CheckKind::Rollout { slot, .. } => format!("rollout of {} complete", colour(slot)),
        CheckKind::PodsReady { slot, at_least, .. } => {
            format!("pods of {} ready, at least {at_least}", colour(slot))
        }
        CheckKind::TrafficOn { slot } if run.runbook.target.as_ref().is_some_and(Target::has_shares) => {
            format!("{} has all the traffic", colour(slot))
        }
        CheckKind::TrafficOn { slot } => format!("the service selects {}", colour(slot)),
        CheckKind::ScaledTo { slot, replicas } => format!("{} has {replicas} replicas", colour(slot)),
        CheckKind::Headroom { slot, replicas } => format!("room for {replicas} pods of {}", colour(slot)),
        CheckKind::Allowed { right } => format!("allowed to {} {}", right.verb.as_str(), right.object()),
        CheckKind::Sh { script, expect } => {
            let expect = expect.as_ref().map(|expect| format!(" prints /{expect}/")).unwrap_or_default();
            format!("$ {script}{expect}")
        }
        CheckKind::Logs { slot, without, with } => {
            let mut parts = Vec::new();
            parts.extend(without.as_ref().map(|pattern| format!("no line /{pattern}/")));
            parts.extend(with.as_ref().map(|pattern| format!("a line /{pattern}/")));
            format!("logs of {}: {}", colour(slot), parts.join(", "))
        }
    }
}

fn metric_how(run: &Run, metric: &MetricId, condition: Condition, no_traffic: Option<NoTraffic>) -> String {
    let Some(declared) = run.runbook.metric(metric.as_str()) else { return metric.to_string() };
    let idle = match no_traffic {
        None => "",
        Some(NoTraffic::Skip) => ", skipped without requests",
        Some(NoTraffic::Wait) => ", waits for requests",
        Some(NoTraffic::Fail) => ", fails without requests",
    };
    format!("{} {}{idle}", declared.title, show_condition(condition, declared.unit, None))
}

/// The fact's name in the runbook.
fn fact_name(fact: ClusterFact) -> String {
    serde_json::to_value(fact).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
