//! What panes are about, as text: for searching, copying and selecting.

use super::{
    model::{Model, Pane, Phase},
    widget::scale::Limit,
};
use crate::domain::{
    action::SlotRef,
    check::{CheckKind, Condition},
    director::{Share, share_of},
    event::Place,
    id::{MetricId, SlotName},
    metric::{Metric, Verdict},
    prompt::Prompt,
    run::{Run, tag_of},
    runbook::Target,
    time::Span,
    verdict::condition_holds,
    workload::{Connection, Pod, RouteState, SlotWorkload, Workload},
};

/// The slots in the order shown: the one that had traffic first, then the new one, then any other.
pub fn slots(model: &Model) -> Vec<SlotName> {
    let Some(run) = &model.run else { return Vec::new() };
    let mut slots: Vec<SlotName> = run.opened.previous.iter().map(|target| target.slot.clone()).collect();
    slots.extend(run.opened.new_slot.clone());
    if let Some(target) = &run.runbook.target {
        for name in target.slots.keys() {
            if !slots.contains(name) {
                slots.push(name.clone());
            }
        }
    }
    slots
}

/// The slot that has traffic: as the cluster is seen, else as our own events tell.
pub fn live(model: &Model) -> Option<SlotName> {
    let directed = |workload: &&Workload| workload.selector.is_some() || workload.route.is_some();
    let seen = model.telemetry.workload.as_ref().filter(directed);
    match seen {
        Some(workload) => workload.live.clone(),
        None => model.run.as_ref().and_then(|run| run.live.clone()),
    }
}

/// How much of the traffic a slot has, where a slot can have a part of it: as the cluster is seen, else as our own events
/// tell.
pub fn share(model: &Model, slot: &SlotName) -> Option<Share> {
    let run = model.run.as_ref().filter(|run| run.runbook.target.as_ref().is_some_and(Target::has_shares))?;
    // The first pictures know one thing after the other.
    let known = |workload: &&Workload| {
        workload.connection != Connection::Connecting
            && (workload.selector.is_some() || workload.route.is_some())
    };
    let seen = model.telemetry.workload.as_ref().filter(known);
    Some(share_of(seen.map_or(&run.shares, |workload| &workload.shares), slot))
}

/// The route that directs the traffic, as it was seen.
pub fn route(model: &Model) -> Option<&RouteState> {
    model.telemetry.workload.as_ref()?.route.as_ref()
}

/// Whether no slot has traffic, though slots can have parts of it and the cluster is seen.
pub fn nobody_answers(model: &Model) -> bool {
    let seen = model.telemetry.workload.as_ref().is_some_and(|it| it.connection == Connection::Connected);
    let mut shares = slots(model).into_iter().map(|slot| share(model, &slot));
    seen && shares.len() > 0 && shares.all(|share| share == Some(Share::NONE))
}

/// Whether a slot has no traffic at all.
pub fn is_idle(model: &Model, slot: &SlotName) -> bool {
    share(model, slot).map_or_else(|| live(model).as_ref() != Some(slot), |share| share == Share::NONE)
}

/// The slot a person cares most about now: the new one as soon as something was done to it, else the live one.
pub fn watched_slot(model: &Model) -> Option<SlotName> {
    let run = model.run.as_ref()?;
    let started = run.started_at.is_some();
    let back = model.phase() == Phase::Over && live(model).is_some() && live(model) != run.opened.new_slot;
    if started && !back { run.opened.new_slot.clone() } else { live(model).or_else(|| run.live.clone()) }
}

/// The pods as listed: the watched slot's first, worst first within a slot.
pub fn pods(model: &Model) -> Vec<(&SlotName, &Pod)> {
    let Some(workload) = &model.measured().workload else { return Vec::new() };
    let first = watched_slot(model);
    let mut slots: Vec<_> = workload.slots.iter().collect();
    slots.sort_by_key(|(name, _)| Some(*name) != first.as_ref());
    slots.into_iter().flat_map(|(name, slot)| slot.pods.iter().map(move |pod| (name, pod))).collect()
}

/// The metrics by their indices, worst first: what a trigger counts against, then what is outside its limits or not
/// measured, then what is not normal. What has led to a rollback comes next, then the one that the header shows.
pub fn worst_first(model: &Model) -> Vec<usize> {
    let Some(run) = &model.run else { return Vec::new() };
    // Where the new version has a part of the users, what it does counts.
    let new = run.judged_slot().filter(|slot| !is_idle(model, slot));
    let slot = new.or_else(|| live(model));
    let mut order: Vec<usize> = (0..run.runbook.metrics.len()).collect();
    let first = first_metric(run).map(|metric| &metric.id);
    order.sort_by_cached_key(|index| {
        let metric = &run.runbook.metrics[*index];
        let reading = model.measured().reading(metric, slot.as_ref(), model.measured_at());
        let watches = |state: &dyn Fn(usize) -> bool| {
            let mut triggers = run.runbook.triggers.iter().enumerate();
            triggers.any(|(n, it)| it.watch.as_ref().is_some_and(|it| it.metric == metric.id) && state(n))
        };
        let fails = reading.value.is_some_and(|value| fails_check(run, metric, value));
        match reading.verdict {
            _ if watches(&|n| run.triggers.get(n).is_some_and(|state| state.breaching.is_some())) => 0,
            Verdict::Alert => 1,
            _ if fails => 1,
            Verdict::Missing if reading.age.is_some() => 2,
            Verdict::Warn => 3,
            _ if watches(&|n| run.triggers.get(n).is_some_and(|state| state.fired.is_some())) => 4,
            _ if first == Some(&metric.id) => 5,
            Verdict::Ok | Verdict::Missing => 6,
        }
    });
    order
}

/// The metric whose state is always in sight: the first that a trigger watches, else the first declared.
pub fn first_metric(run: &Run) -> Option<&Metric> {
    let watched = run.runbook.triggers.iter().find_map(|trigger| trigger.watch.as_ref());
    watched
        .and_then(|watch| run.runbook.metric(watch.metric.as_str()))
        .or_else(|| run.runbook.metrics.first())
}

/// Whether a check of the step that is due judges this value of the metric, and finds it wrong.
fn fails_check(run: &Run, metric: &Metric, value: f64) -> bool {
    let step = run.current().and_then(|index| run.runbook.steps.get(index));
    step.is_some_and(|step| {
        step.check.iter().any(|check| match &check.kind {
            CheckKind::Metric { metric: judged, slot, condition, .. } if *judged == metric.id => {
                let slot = run.metric_slot(slot.as_ref().unwrap_or(&SlotRef::New));
                let key = Run::baseline_key(&metric.id, slot.as_ref().filter(|_| metric.per_slot));
                condition_holds(*condition, value, run.baseline.get(&key).copied()) == Ok(false)
            }
            _ => false,
        })
    })
}

/// The limits of a metric that are drawn as lines: those that it declares, and both ends of the range around the baseline that
/// a check demands.
pub fn limits(run: &Run, metric: &Metric) -> Vec<Limit> {
    let mut limits = Limit::of(metric);
    let checks = run.runbook.steps.iter().flat_map(|step| &step.check);
    let around = checks.filter_map(|check| match &check.kind {
        CheckKind::Metric { metric: judged, slot, condition: Condition::WithinBaseline(part), .. }
            if *judged == metric.id =>
        {
            let slot = run.metric_slot(slot.as_ref().unwrap_or(&SlotRef::New));
            let key = Run::baseline_key(&metric.id, slot.as_ref().filter(|_| metric.per_slot));
            Some((*run.baseline.get(&key)?, *part))
        }
        _ => None,
    });
    if let Some((base, part)) = around.into_iter().next() {
        let ends = [1.0 - part, 1.0 + part].map(|part| Limit { value: base * part, alert: false });
        limits.retain(|limit| limit.alert);
        limits.extend(ends);
    }
    limits
}

/// Ready pods of the version that stands beside the number: those of an older template do not count for it.
pub fn ready(seen: &SlotWorkload) -> u32 {
    if seen.unlisted.pods > 0 || seen.pods.is_empty() {
        return if seen.updated < seen.desired { seen.ready.min(seen.updated) } else { seen.ready };
    }
    let version = tag_of(&seen.image);
    let ready = seen.pods.iter().filter(|pod| pod.ready && pod.version == version).count();
    u32::try_from(ready).unwrap_or(u32::MAX).min(seen.ready)
}

/// Pods that are still there, ready or not.
pub fn there(seen: &SlotWorkload) -> u32 {
    let listed = u32::try_from(seen.pods.len()).unwrap_or(u32::MAX);
    listed.saturating_add(seen.unlisted.pods).max(seen.ready)
}

/// A pod's name without its Deployment's, which its slot has said already.
pub fn short_pod(deployment: &str, pod: &str) -> String {
    pod.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-')).unwrap_or(pod).to_owned()
}

/// The pods' names.
pub fn pod_texts(model: &Model) -> Vec<String> {
    pods(model).into_iter().map(|(slot, pod)| format!("{slot} {} {}", pod.name, pod.status)).collect()
}

/// How many lines the window's table has: each check of its step, and each metric that none of them judges.
pub fn window_lines(model: &Model) -> usize {
    let Some(run) = &model.run else { return 0 };
    let checks =
        run.current().and_then(|index| run.runbook.steps.get(index)).map_or(&[][..], |step| &step.check);
    let judged = |id: &MetricId| {
        checks.iter().any(|check| matches!(&check.kind, CheckKind::Metric { metric, .. } if metric == id))
    };
    checks.len() + run.runbook.metrics.iter().filter(|metric| !judged(&metric.id)).count()
}

/// The lines of the left pane.
pub fn work_texts(model: &Model) -> Vec<String> {
    let Some(run) = &model.run else { return Vec::new() };
    match model.phase() {
        Phase::Checklist => {
            model.items().map(|(group, item)| run.runbook.checklist[group].items[item].text.clone()).collect()
        }
        Phase::Over if !run.tasks.is_empty() => run.tasks.iter().map(|task| task.text.clone()).collect(),
        _ => run.runbook.steps.iter().map(|step| format!("{} {}", step.id, step.title)).collect(),
    }
}

/// The commands that do the same by hand, one per line.
pub fn commands_shown(model: &Model) -> String {
    let Some(run) = &model.run else { return String::new() };
    let place = match (model.prompt(), model.cursor.step) {
        (Some(Prompt::RollingBack | Prompt::RollbackStopped { .. }), _) => model.place(),
        (_, Some(step)) => run.runbook.steps.get(step).map(|step| Place::Step { step: step.id.clone() }),
        _ => run.current_place(),
    };
    let actions = place.map(|place| run.actions(&place).to_vec()).unwrap_or_default();
    let mut lines: Vec<String> = actions.iter().filter_map(|action| run.action_command(action)).collect();
    if run.opened.rehearsal.is_some() && !lines.is_empty() {
        // Pasted into a shell they would act on the real cluster.
        lines.insert(
            0,
            "# REHEARSAL: these commands were simulated; in a shell they change the real cluster".to_owned(),
        );
    }
    lines.join("\n")
}

/// For how long the cluster was not seen; nothing while it is.
pub fn unseen_for(model: &Model) -> Option<Span> {
    let workload = model.telemetry.workload.as_ref()?;
    matches!(workload.connection, Connection::Lost(_)).then(|| model.now.since(workload.as_of))
}

/// Whether Enter first brings back what it would act on: another step is shown, or another pane fills the screen.
pub fn enter_returns(model: &Model) -> bool {
    let Some(run) = &model.run else { return false };
    let elsewhere = model.cursor.step.is_some() && model.cursor.step != run.current();
    let hidden = model.cursor.zoomed && !matches!(model.cursor.focus, Pane::Work | Pane::Detail);
    matches!(model.phase(), Phase::Steps | Phase::Window) && (elsewhere || hidden)
}
