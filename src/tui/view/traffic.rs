//! The slots, which of them has traffic, and whether there is a way back. Never leaves the screen.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    config::keymap::{Context, KeyAction},
    domain::{
        id::SlotName,
        plan::{Light, Readiness, UNDO},
        run::Run,
        safe_text::SafeText,
        workload::SlotWorkload,
    },
    tui::{model::Model, subject, widget::row::Row},
};

/// Where the second column begins, at least.
const LIGHT: usize = 51;
/// More pods than this are a number only.
const DOTS: u32 = 6;

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(run) = &model.run else { return };
    let width = usize::from(area.width);
    let light = readiness(model, run);
    // On wider screens there is room for all the facts behind the light.
    let column = if width > 100 { width * 11 / 20 } else { LIGHT.min(width * 2 / 3) };
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
    let seen = model.telemetry.workload.as_ref().and_then(|workload| workload.slots.get(slot));
    let mut row =
        Row::of("  ", look.text()).put(format!("{name:<6}"), look.slot(&slot.0)).put(" ", look.text());
    let version = match seen {
        Some(seen) if seen.found => crate::domain::run::tag_of(&seen.image).to_owned(),
        _ => version_known(run, slot),
    };
    row = row.put(format!("{version:<7}"), look.text()).put(" ", look.text());
    row = row.join(pods(model, seen)).to(31);
    row.join(traffic(model, run, slot))
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
        return Row::of(if model.looks_back() { "not looked at" } else { "not seen yet" }, look.dim());
    };
    if !seen.found {
        return Row::of("no Deployment", look.alert());
    }
    let enough = seen.ready >= seen.desired;
    let style = if seen.desired == 0 {
        look.dim()
    } else if enough {
        look.ok()
    } else {
        look.warn()
    };
    let mut row =
        Row::of(format!("{}/{} ready", seen.ready, seen.desired), look.text()).put(" ", look.text());
    if seen.desired.max(seen.ready) <= DOTS {
        let missing = seen.desired.saturating_sub(seen.ready);
        row = row.put("●".repeat(seen.ready as usize), style).put("◌".repeat(missing as usize), look.warn());
    }
    row
}

fn traffic(model: &Model, run: &Run, slot: &SlotName) -> Row {
    let look = model.look;
    let live = subject::live(model);
    if live.as_ref() == Some(slot) {
        let row = Row::of("◀━━ ", look.slot(&slot.0));
        // A label that somebody has put in keeps users from pods that do not have it, however many are ready.
        if let Some(label) = foreign_label(model, run) {
            return row.put(format!("only {label}"), look.alert());
        }
        return row.put("traffic 100 %", look.strong());
    }
    if live.is_none() && model.telemetry.workload.as_ref().is_some_and(|workload| workload.selector.is_some())
    {
        return Row::of("  no traffic!", look.alert());
    }
    let note = if run.started_at.is_none() && run.opened.new_slot.as_ref() == Some(slot) {
        let version = run.new_version().unwrap_or_else(|| "new version".to_owned());
        format!("  idle, gets {version}")
    } else {
        "  idle".to_owned()
    };
    Row::of(note, look.dim())
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
        let promise =
            rollback.within.map(|within| format!(" of {} promised", within.clock())).unwrap_or_default();
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
        first = first.put("  key ", look.text()).put(key, look.key());
    }
    vec![first, Row::of("  ", look.text()).put(detail(model, run, &readiness), look.text())]
}

/// What is behind the light, in few words; the whole where there is room.
fn detail(model: &Model, run: &Run, readiness: &Readiness) -> String {
    if model.size.0 > 100 || readiness.light == Light::Off {
        return readiness.detail.clone();
    }
    let workload = model.telemetry.workload.as_ref();
    let plan = run.rollback_plan(workload, model.now);
    let about = plan.estimate.as_secs().max(1);
    let target = run.opened.previous.as_ref();
    let back = target.map(|target| target.slot.0.to_uppercase());
    let asleep = workload
        .zip(target)
        .and_then(|(workload, target)| workload.slots.get(&target.slot))
        .is_some_and(|slot| slot.desired == 0);
    match (&back, readiness.light, asleep) {
        (Some(slot), Light::Slow, true) => return format!("scales {slot} up first, ~{about} s"),
        (_, Light::Slow | Light::NotReady, _) => return readiness.detail.clone(),
        _ => {}
    }
    if let (true, Some(slot)) = (run.switch_begun(), back) {
        return format!("back to {slot} in ~{about} s");
    }
    let count = plan.undo.len();
    format!("undoes {count} step{}, ~{about} s", if count == 1 { "" } else { "s" })
}
