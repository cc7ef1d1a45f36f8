//! The slots, which of them has traffic, and whether there is a way back. Never leaves the screen.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    config::keymap::{Context, KeyAction},
    domain::{
        action::ActionKind,
        director::Share,
        id::{SlotName, UNDO},
        plan::{Light, Readiness},
        prompt::Prompt,
        run::Run,
        safe_text::SafeText,
        workload::SlotWorkload,
    },
    tui::{
        model::{Layer, Model},
        subject,
        widget::row::Row,
    },
};

/// Where the second column begins, at least.
const LIGHT: usize = 51;
/// Below this width words give way to signs, so that no number, and no key, is cut.
const NARROW: usize = 80;
/// More pods than this are a number only.
const DOTS: u32 = 6;
/// What pods may take before the part of the traffic behind them is cut: then they go without their last word.
const COUNT: usize = 15;

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(run) = &model.run else { return };
    let width = usize::from(area.width);
    let light = readiness(model, run);
    // On wider screens there is room for all the facts behind the light.
    let column = match width {
        101.. => width * 11 / 20,
        NARROW.. => LIGHT,
        _ => LIGHT.min(width * 17 / 30),
    };
    let slots = subject::slots(model);
    for line in 0..area.height {
        let left = match slots.get(usize::from(line)) {
            Some(slot) => slot_row(model, run, slot),
            None => Row::of(
                if line == 0 { " no slots: this runbook does not move traffic" } else { "" },
                model.look.dim(),
            ),
        };
        let right = light.get(usize::from(line)).cloned().unwrap_or_default();
        let row = left.fit(column.saturating_sub(1)).to(column).join(right.fit(width.saturating_sub(column)));
        row.draw(Rect { y: area.y + line, height: 1, ..area }, buffer);
    }
}

/// One slot: its colour, version, pods, and its part of the traffic.
pub(super) fn slot_row(model: &Model, run: &Run, slot: &SlotName) -> Row {
    let look = model.look;
    let name = slot.0.to_uppercase();
    let seen = seen(model, slot);
    let version = version(model, run, slot);
    let mut row =
        Row::of("  ", look.text()).put(format!("{name:<6}"), look.slot(&slot.0)).put(" ", look.text());
    row = row.put(format!("{version:<7}"), look.text()).put(" ", look.text());
    let one = run.is_one_deployment();
    let pods = if one { revision(model, seen) } else { pods(model, seen) };
    row = row.join(pods).to(if is_narrow(model) { 25 } else { 31 });
    row.join(traffic(model, run, slot))
}

fn seen<'m>(model: &'m Model, slot: &SlotName) -> Option<&'m SlotWorkload> {
    model.telemetry.workload.as_ref().and_then(|workload| workload.slots.get(slot))
}

/// The version that a slot runs: as the cluster is seen, else as our own events tell.
pub(super) fn version(model: &Model, run: &Run, slot: &SlotName) -> String {
    match seen(model, slot) {
        Some(seen) if seen.found && run.is_one_deployment() => revision_version(run, slot, seen),
        Some(seen) if seen.found => crate::domain::run::tag_of(&seen.image).to_owned(),
        _ => version_known(run, slot),
    }
}

fn is_narrow(model: &Model) -> bool {
    usize::from(model.size.0) < NARROW
}

fn version_known(run: &Run, slot: &SlotName) -> String {
    let previous =
        run.opened.previous.as_ref().filter(|target| target.slot == *slot).map(|target| target.image.clone());
    // Traffic was there, or is: also after it went back.
    let went_back = run.rollbacks.iter().any(|rollback| rollback.procedure.as_str() != UNDO);
    if run.opened.new_slot.as_ref() == Some(slot) && (run.switch_begun() || went_back) {
        return run.new_version().unwrap_or_else(|| "?".to_owned());
    }
    let image = previous
        .or_else(|| run.opened.new_slot_image.clone().filter(|_| run.opened.new_slot.as_ref() == Some(slot)));
    image.map_or_else(|| "?".to_owned(), |image| crate::domain::run::tag_of(&image).to_owned())
}

fn pods(model: &Model, seen: Option<&SlotWorkload>) -> Row {
    let look = model.look;
    let Some(seen) = seen else {
        return Row::of(if model.looks_back() { "not watched" } else { "not seen yet" }, look.dim());
    };
    if !seen.found {
        return Row::of("no Deployment", look.alert());
    }
    let ready = subject::ready(seen);
    let enough = ready >= seen.desired;
    let unseen = subject::unseen_for(model);
    if seen.desired == 0 && unseen.is_none() {
        return Row::of(going(subject::there(seen)), look.dim());
    }
    let style = if seen.desired == 0 || unseen.is_some() {
        look.dim()
    } else if enough {
        look.ok()
    } else {
        look.warn()
    };
    let mut count = format!("{}/{} ready", ready, seen.desired);
    if count.len() > COUNT || is_narrow(model) {
        count = format!("{}/{}", ready, seen.desired);
    }
    // What was, while nobody can say what is.
    if let Some(unseen) = unseen {
        count = format!("{ready}/{} {} ago", seen.desired, unseen.short());
    }
    let mut row =
        Row::of(count, if unseen.is_some() { look.warn() } else { look.text() }).put(" ", look.text());
    if seen.desired.max(ready) <= DOTS {
        let missing = seen.desired.saturating_sub(ready);
        let missing_style = if unseen.is_some() { look.dim() } else { look.warn() };
        row = row.put("●".repeat(ready as usize), style).put("◌".repeat(missing as usize), missing_style);
    }
    row
}

/// What is there of a slot that should have no pods.
fn going(there: u32) -> String {
    if there == 0 { "scaled to 0".to_owned() } else { format!("{there} stopping") }
}

/// What the pods of a revision run; of one without pods what it is known for. The template alone says nothing of it: after a
/// revert it is the old one again.
fn revision_version(run: &Run, slot: &SlotName, seen: &SlotWorkload) -> String {
    if let Some(pod) = seen.pods.iter().find(|pod| pod.status != "Terminating") {
        return pod.version.clone();
    }
    let old = run.opened.previous.as_ref().filter(|target| target.slot == *slot);
    if old.is_some() {
        return run.previous_version().unwrap_or_else(|| "?".to_owned());
    }
    let template = crate::domain::run::tag_of(&seen.image);
    if Some(template) == run.previous_version().as_deref() { "–".to_owned() } else { template.to_owned() }
}

/// Pods of one revision of the one Deployment: how many there should be hangs on how far the rollout is.
fn revision(model: &Model, seen: Option<&SlotWorkload>) -> Row {
    let look = model.look;
    let Some(seen) = seen.filter(|seen| seen.found && subject::unseen_for(model).is_none()) else {
        return pods(model, seen);
    };
    let ready = seen.ready;
    let row = Row::of(format!("{ready} ready"), look.text()).put(" ", look.text());
    let listed = u32::try_from(seen.pods.iter().filter(|pod| pod.status != "Terminating").count());
    let coming = listed.unwrap_or(u32::MAX).saturating_sub(ready);
    if ready.saturating_add(coming) > DOTS {
        return row;
    }
    row.put("●".repeat(ready as usize), look.ok()).put("◌".repeat(coming as usize), look.warn())
}

fn traffic(model: &Model, run: &Run, slot: &SlotName) -> Row {
    let look = model.look;
    if let Some(share) = subject::share(model, slot) {
        return part(model, run, slot, share);
    }
    let live = subject::live(model);
    if live.as_ref() == Some(slot) {
        let narrow = is_narrow(model);
        let row = Row::of(if narrow { "◀━ " } else { "◀━━ " }, look.slot(&slot.0));
        // A label that somebody has put in keeps users from pods that do not have it, however many are ready.
        if let Some(label) = foreign_label(model, run) {
            return row.put(format!("only {label}"), look.alert());
        }
        return row.put(if narrow { "100 %" } else { "traffic 100 %" }, look.strong());
    }
    if live.is_none() && model.telemetry.workload.as_ref().is_some_and(|workload| workload.selector.is_some())
    {
        return Row::of("  no traffic!", look.alert());
    }
    Row::of(idle(model, run, slot), look.dim())
}

/// A slot's part of the traffic, where it can have one.
fn part(model: &Model, run: &Run, slot: &SlotName, share: Share) -> Row {
    let look = model.look;
    if share > Share::NONE {
        let narrow = is_narrow(model);
        let row = Row::of(if narrow { "◀━ " } else { "◀━━ " }, look.slot(&slot.0));
        // Why, the alert says.
        if let Some(route) = subject::route(model).filter(|route| route.unfit.is_some()) {
            let (words, style) = if route.lags { ("not yet", look.dim()) } else { ("REFUSED", look.alert()) };
            return row.put(format!("{share} {words}"), style);
        }
        return row.put(if narrow { share.to_string() } else { format!("traffic {share}") }, look.strong());
    }
    if subject::nobody_answers(model) {
        return Row::of("  nobody answers!", look.alert());
    }
    Row::of(idle(model, run, slot), look.dim())
}

fn idle(model: &Model, run: &Run, slot: &SlotName) -> String {
    let waits = run.started_at.is_none() && run.opened.new_slot.as_ref() == Some(slot);
    let gets = run.new_version().filter(|_| waits && !is_narrow(model));
    gets.map_or_else(|| "  idle".to_owned(), |version| format!("  idle, gets {version}"))
}

/// The first label that the Service selects by and this run knows nothing of.
fn foreign_label(model: &Model, run: &Run) -> Option<String> {
    let seen = model.telemetry.workload.as_ref()?.selector.as_ref()?;
    let believed = run.believed_selector()?;
    let (key, value) = seen.iter().find(|(key, _)| !believed.contains_key(*key))?;
    Some(SafeText::from(format!("{key}={value}")).into())
}

/// The readiness light with its key, and the facts behind it.
fn readiness(model: &Model, run: &Run) -> Vec<Row> {
    let look = model.look;
    let readiness =
        run.readiness(model.telemetry.workload.as_ref(), model.telemetry.access.as_ref(), model.now);
    let style = match readiness.light {
        Light::Off => look.dim(),
        Light::Ready => look.ok(),
        Light::Slow => look.warn(),
        Light::NotReady => look.alert(),
    };
    if let Some(rollback) = run.rolling_back() {
        let took = model.now.since(rollback.started_at).clock();
        let words = if is_narrow(model) { "within" } else { "promised within" };
        let promise =
            rollback.within.map(|within| format!(", {words} {}", within.clock())).unwrap_or_default();
        return vec![
            Row::of("↶ ROLLING BACK", look.alert()),
            Row::of(format!("  {took}{promise}"), look.strong()),
        ];
    }
    let sign = match readiness.light {
        Light::Off => "○ ",
        Light::Ready => "● ",
        Light::Slow => "◌ ",
        Light::NotReady => "✖ ",
    };
    let mut first = Row::of(sign, style).put(&readiness.word, style);
    if readiness.light != Light::Off && !model.looks_only() {
        let key = model.key_in(Context::Steps, KeyAction::Rollback);
        // While a dialog is open it is a letter like any other, and the rollback's own says which keys decide.
        let live = model.live_key(KeyAction::Rollback).is_some();
        if !matches!(model.layers.last(), Some(Layer::Rollback(_))) {
            let way = match (live, is_narrow(model)) {
                (true, _) => "  key ",
                (false, false) => "  ESC then ",
                (false, true) => "  ESC, ",
            };
            first = first.put(way, look.text()).put(key, look.key());
        }
    }
    let lead = if switch_is_due(model, run) { "now: " } else { "  " };
    vec![first, Row::of(lead, look.text()).put(detail(model, run, &readiness), look.text())]
}

/// The facts behind the light: few words, or all of them if there is room.
fn detail(model: &Model, run: &Run, readiness: &Readiness) -> String {
    let workload = model.telemetry.workload.as_ref();
    let target = run.opened.previous.as_ref();
    let back = target.map(|target| target.slot.0.to_uppercase());
    let about = || run.rollback_plan(workload, model.now).estimate.about();
    let asleep = workload
        .zip(target)
        .and_then(|(workload, target)| workload.slots.get(&target.slot))
        .is_some_and(|slot| slot.desired == 0);
    if let (Some(slot), Light::Slow, true) = (&back, readiness.light, asleep) {
        return format!("scales {slot} up first, {}", about());
    }
    if model.size.0 > 100 || readiness.light != Light::Ready {
        return readiness.detail.clone();
    }
    if let (true, Some(slot)) = (run.switch_begun(), back) {
        return format!("back to {slot} in {}", about());
    }
    let undo = run.rollback_plan(workload, model.now).undo;
    let (what, about) = (run.undo_words(&undo), about());
    // What may be cut at the end is never the number.
    if is_narrow(model) { format!("{about}, {what}") } else { format!("{what}, {about}") }
}

/// Whether the step that is due moves the traffic: its dialog says what the way back is after that.
fn switch_is_due(model: &Model, run: &Run) -> bool {
    let Some(Prompt::Start { step, .. }) = model.prompt() else { return false };
    let acts = run.runbook.steps.get(step).map_or(&[][..], |step| &step.run);
    acts.iter().any(|action| matches!(action.kind, ActionKind::SwitchTraffic { .. }))
}
