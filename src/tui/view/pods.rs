//! Pods by slot, worst first, and what the cluster warns about.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use super::rows::rows_around;
use crate::{
    domain::{
        id::SlotName,
        run::Run,
        workload::{Connection, Pod, RolloutState, SlotWorkload, WarningEvent, Workload},
    },
    tui::{
        model::{Model, Pane},
        subject,
        widget::row::{Row, wrap},
    },
};

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(area.width);
    let Some(workload) = &model.measured().workload else {
        let words = if model.looks_back() {
            " This run has ended: the cluster is not watched."
        } else {
            " The cluster has not been read yet."
        };
        return Row::of(words, look.dim()).fit(width).draw(area, buffer);
    };
    let focused = model.cursor.focus == Pane::Pods && model.layers.is_empty();
    let height = if focused { usize::MAX } else { usize::from(area.height) };
    let (rows, focus) = rows(model, workload, height, focused, width);
    rows_around(rows, focus, area, model, buffer);
}

/// The lines, and the one of the selected pod. Without the keys only what fits: a heading for each slot, then the
/// pods of the slot that matters, then warnings.
fn rows(model: &Model, workload: &Workload, height: usize, focused: bool, width: usize) -> (Vec<Row>, usize) {
    let look = model.look;
    let watched = subject::watched_slot(model);
    let mut slots: Vec<(&SlotName, &SlotWorkload)> = workload.slots.iter().collect();
    slots.sort_by_key(|(name, _)| Some(*name) != watched.as_ref());
    let warnings = workload
        .warnings
        .iter()
        .filter(|warning| model.measured_at().since(warning.at) < crate::domain::time::Span::from_mins(15));
    let warnings: Vec<&WarningEvent> = warnings.collect();
    // A warning gets a line as soon as there is one; more only where pods leave room.
    let reserved = usize::from(!warnings.is_empty()) * if height > 8 { 3 } else { 1 };
    let crowds: usize = slots.iter().map(|(_, slot)| by_status(slot, width).len()).sum();
    let mut room = height.saturating_sub(slots.len() + crowds + reserved.min(warnings.len()));
    let mut rows = Vec::new();
    // First, since all below is what was seen before.
    if let Connection::Lost(why) = &workload.connection {
        let unseen = model.now.since(workload.as_of).short();
        let words = format!(" ! not seen for {unseen}: {why}");
        rows.push(Row::of(words, look.alert()).fit(width));
        room = room.saturating_sub(1);
    }
    let mut focus = 0;
    let mut index = 0;
    for (name, slot) in slots {
        rows.push(heading(model, name, slot, width));
        rows.extend(by_status(slot, width).into_iter().map(|line| Row::of(line, look.dim()).fit(width)));
        let shown = slot.pods.len().min(room);
        room -= shown;
        for (n, pod) in slot.pods.iter().enumerate() {
            if n < shown {
                let selected = focused && index == model.cursor.pod;
                if selected {
                    focus = rows.len();
                }
                let row = pod_row(model, slot, pod, width);
                rows.push(if selected { row.over(look.selected()) } else { row });
            }
            index += 1;
        }
    }
    let mut left = height.saturating_sub(rows.len()).max(reserved).min(20);
    for warning in warnings {
        if left == 0 {
            break;
        }
        let lines = warned(model, warning, width, left);
        left -= lines.len().min(left);
        rows.extend(lines);
    }
    (rows, focus)
}

/// A warning in at most so many lines: without its message where there is no room for all of it.
fn warned(model: &Model, warning: &WarningEvent, width: usize, most: usize) -> Vec<Row> {
    let ago = model.measured_at().since(warning.at).short();
    let times = if warning.count > 1 { format!(", {} times", warning.count) } else { String::new() };
    let head = format!("{} {ago} ago{times}", warning.reason);
    let room = width.saturating_sub(3);
    let whole = wrap(&format!("{head}: {}", warning.message), room);
    let lines = if whole.len() <= most { whole } else { vec![head] };
    let lead = |n| if n == 0 { " ! " } else { "   " };
    let lines = lines.into_iter().enumerate();
    lines.map(|(n, line)| Row::of(format!("{}{line}", lead(n)), model.look.warn()).fit(width)).collect()
}

/// Where there are more pods than are listed, all of them by status: on one line if they fit, else on two at most.
fn by_status(slot: &SlotWorkload, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if slot.unlisted.pods == 0 {
        return lines;
    }
    for (status, count) in slot.by_status() {
        let piece = format!("{count} {status}");
        let room = lines.len() < 2;
        match lines.last_mut() {
            Some(line) if line.len() + 2 + piece.len() <= width => {
                line.push_str(", ");
                line.push_str(&piece);
            }
            Some(_) if !room => break,
            Some(_) | None => lines.push(format!("   {piece}")),
        }
    }
    lines
}

fn heading(model: &Model, name: &SlotName, slot: &SlotWorkload, width: usize) -> Row {
    let look = model.look;
    let row = Row::of(" ", look.text()).put(name.0.to_uppercase(), look.slot(&name.0));
    if !slot.found {
        return row.put(" no Deployment", look.alert()).fit(width);
    }
    let restarts = slot.restarts();
    let ready = if width < 30 && restarts > 0 { "" } else { " ready" };
    let one = model.run.as_ref().is_some_and(Run::is_one_deployment);
    let mut text = if one {
        // How many of one Deployment's pods each revision should have hangs on how far its rollout is.
        format!(" {}{ready}", slot.ready)
    } else {
        match (subject::there(slot), slot.desired) {
            (0, 0) => " scaled to 0".to_owned(),
            (stopping, 0) => format!(" {stopping} stopping"),
            (_, wanted) => format!(" {}/{wanted}{ready}", subject::ready(slot)),
        }
    };
    // More than fits is left out: half of it says nothing.
    let fits = |text: &str, more: &str| 1 + name.0.width() + text.width() + more.width() <= width;
    match &slot.rollout {
        RolloutState::Progressing(why) => {
            let more = format!(", {why}");
            text.push_str(if fits(&text, &more) { &more } else { "" });
        }
        RolloutState::DeadlineExceeded(why) => text = format!("{text}, {why}"),
        RolloutState::Unobserved => text.push_str(", change not seen yet"),
        RolloutState::Complete | RolloutState::Unknown if restarts > 0 => {
            let more = format!(", {}", restarts_words(restarts));
            if !fits(&text, &more) {
                text = text.replace(" ready", "");
            }
            text.push_str(if fits(&text, &more) { &more } else { "" });
        }
        RolloutState::Complete | RolloutState::Unknown => {}
    }
    let style =
        if matches!(slot.rollout, RolloutState::DeadlineExceeded(_)) { look.alert() } else { look.text() };
    row.put(text, style).fit(width)
}

fn restarts_words(restarts: u32) -> String {
    format!("{restarts} restart{}", if restarts == 1 { "" } else { "s" })
}

fn pod_row(model: &Model, slot: &SlotWorkload, pod: &Pod, width: usize) -> Row {
    let look = model.look;
    let (sign, style) = match (pod.bad, pod.ready) {
        (true, _) => ("✖", look.alert()),
        // It goes, as it was told to.
        (false, _) if pod.status == "Terminating" => ("◌", look.dim()),
        // It was, when it was last seen.
        (false, true) if subject::unseen_for(model).is_some() => ("●", look.dim()),
        (false, true) => ("●", look.ok()),
        (false, false) => ("◌", look.warn()),
    };
    let mut name = subject::short_pod(&slot.deployment, &pod.name);
    if width < 40
        && let Some((_, tail)) = name.rsplit_once('-')
    {
        // The ReplicaSet's part is the same for all but the pods of an older template.
        name = String::from(tail);
    }
    let status = if pod.ready && pod.status == "Running" { "ready".to_owned() } else { pod.status.clone() };
    let left = Row::of(" ", look.text())
        .put(sign, style)
        .put(" ", look.text())
        .put(name, look.text())
        .put(" ", look.text())
        .put(status, style);
    let age = format!("{} old", model.measured_at().since(pod.created).short());
    let version = if width > 44 { format!("{}  ", pod.version) } else { String::new() };
    let restarts = restarts_words(pod.restarts);
    let forms = if pod.restarts > 0 {
        vec![format!("{version}{restarts}  {age} "), format!("{restarts}  {age} "), restarts, String::new()]
    } else {
        vec![format!("{version}{age} "), format!("{age} "), String::new()]
    };
    let room = width.saturating_sub(left.width() + 1);
    let right = forms.into_iter().find(|form| form.width() <= room).unwrap_or_default();
    left.right(Row::of(right, look.dim()), width)
}
