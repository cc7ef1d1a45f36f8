//! What panes are about, as text: for searching, copying and selecting.

use super::{
    layout,
    model::{Model, Phase},
};
use crate::domain::{event::Place, id::SlotName, prompt::Prompt, workload::Pod};

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
    let seen = model.telemetry.workload.as_ref().filter(|workload| workload.selector.is_some());
    match seen {
        Some(workload) => workload.live.clone(),
        None => model.run.as_ref().and_then(|run| run.live.clone()),
    }
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
    let Some(workload) = &model.telemetry.workload else { return Vec::new() };
    let first = watched_slot(model);
    let mut slots: Vec<_> = workload.slots.iter().collect();
    slots.sort_by_key(|(name, _)| Some(*name) != first.as_ref());
    slots.into_iter().flat_map(|(name, slot)| slot.pods.iter().map(move |pod| (name, pod))).collect()
}

/// A pod's name without its Deployment's, which its slot has said already.
pub fn short_pod(deployment: &str, pod: &str) -> String {
    pod.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-')).unwrap_or(pod).to_owned()
}

/// The pods' names.
pub fn pod_texts(model: &Model) -> Vec<String> {
    pods(model).into_iter().map(|(slot, pod)| format!("{slot} {} {}", pod.name, pod.status)).collect()
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

/// The commands that do by hand what is shown, one a line.
pub fn commands_shown(model: &Model) -> String {
    let Some(run) = &model.run else { return String::new() };
    let place = match (model.prompt(), model.cursor.step) {
        (Some(Prompt::RollingBack | Prompt::RollbackStopped { .. }), _) => model.place(),
        (_, Some(step)) => run.runbook.steps.get(step).map(|step| Place::Step { step: step.id.clone() }),
        _ => run.current_place(),
    };
    let actions = place.map(|place| run.actions(&place).to_vec()).unwrap_or_default();
    let lines: Vec<String> = actions.iter().filter_map(|action| run.action_command(action)).collect();
    lines.join("\n")
}

/// Whether a frame shows what the run waits for.
pub fn offered(model: &Model) -> Option<Prompt> {
    if layout::shows_next(model) { model.prompt() } else { None }
}
