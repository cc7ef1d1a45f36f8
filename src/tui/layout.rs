//! What has room on the screen: which panes there are at a size, and where. Asked by the view for drawing and by the
//! update for what a key can mean, so that no key acts on what cannot be seen.

use ratatui::layout::Rect;

use super::{
    alerts,
    model::{Model, Pane, Phase},
    subject,
};

/// Below this a single pane is shown.
const LEAST: (u16, u16) = (60, 15);
/// From here on the new slot's log has a pane of its own.
const LOG_PANE: (u16, u16) = (180, 48);

/// Where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// The environment's band.
    pub band: Rect,
    /// The strip of steps.
    pub strip: Rect,
    /// Time, versions, the first metric, the state in words.
    pub clock: Rect,
    /// The slots and the readiness light.
    pub traffic: Rect,
    /// What is wrong.
    pub alert: Rect,
    /// The panes, dialogs and pages, with the rule above them.
    pub body: Rect,
    /// The rule below the panes, or a one-time message.
    pub rule: Rect,
    /// What the next key does.
    pub next: Rect,
    /// The footer.
    pub footer: Rect,
}

/// Whether there is room for panes at all.
pub fn is_tiny(size: (u16, u16)) -> bool {
    size.0 < LEAST.0 || size.1 < LEAST.1
}

/// Whether the new slot's log has a pane.
pub fn has_log_pane(size: (u16, u16)) -> bool {
    size.0 >= LOG_PANE.0 && size.1 >= LOG_PANE.1
}

/// Where everything is on a screen that is not tiny.
pub fn layout(model: &Model, area: Rect) -> Layout {
    let mut top = area;
    let mut take = |height: u16| {
        let height = height.min(top.height);
        let taken = Rect { height, ..top };
        top = Rect { y: top.y + height, height: top.height - height, ..top };
        taken
    };
    let band = take(1);
    let strip = take(1);
    let clock = take(1);
    let slots =
        model.run.as_ref().and_then(|run| run.runbook.target.as_ref()).map_or(1, |target| target.slots.len());
    let traffic = take(u16::try_from(slots.clamp(1, 2)).unwrap_or(2));
    let alert = take(alerts::height(model, (area.width, area.height)));
    let foot = top.height.min(3);
    let body = Rect { height: top.height - foot, ..top };
    let line = |n: u16| Rect { y: body.bottom() + n, height: u16::from(n < foot), ..top };
    Layout { band, strip, clock, traffic, alert, body, rule: line(0), next: line(1), footer: line(2) }
}

/// Where the panes are. Each area includes the rule above it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Panes {
    /// Each pane with its place.
    pub places: Vec<(Pane, Rect)>,
    /// Vertical lines: column, first row, row of the rule below.
    pub dividers: Vec<(u16, u16, u16)>,
}

/// The panes of the moment, in the order of tab.
pub fn panes(model: &Model) -> Vec<Pane> {
    let (width, height) = model.size;
    let body = layout(model, Rect::new(0, 0, width, height)).body;
    split(model, body).places.into_iter().map(|(pane, _)| pane).collect()
}

/// Where the panes are in the body.
pub fn split(model: &Model, body: Rect) -> Panes {
    let mut panes = Panes::default();
    if body.height < 2 || body.width < 10 {
        return panes;
    }
    if model.cursor.zoomed {
        panes.places.push((model.cursor.focus, body));
        return panes;
    }
    let size = (body.width, body.height);
    let phase = model.phase();
    if phase == Phase::Window && size.1 >= 10 {
        return window(model, body);
    }
    // At 80x24 the checklist needs the whole height; its answers about health are in the line of the clock.
    let lower = match phase {
        Phase::Checklist if size.1 < 24 => 0,
        _ if size.1 < 10 => 0,
        // The end is a page of its own: what was measured last is in the header.
        Phase::Over if size.1 < 20 => 0,
        // 16 rows at 80x24 without an alert, 14 with one: 5 and a rule below in both.
        _ if size.1 < 20 => 6,
        // In the window the metrics are what is looked at.
        Phase::Window | Phase::RollingBack => size.1 * 3 / 5,
        Phase::Over => size.1 * 2 / 5,
        Phase::Checklist => size.1 / 3,
        Phase::Steps => size.1 * 9 / 20,
    };
    let upper = Rect { height: size.1 - lower, ..body };
    let below = Rect { y: upper.bottom(), height: lower, ..body };
    let left = match phase {
        Phase::Checklist => size.0 * 13 / 20,
        Phase::Window | Phase::RollingBack | Phase::Over => size.0 * 11 / 20,
        // Titles are short; what a step does is not.
        Phase::Steps if size.0 < 100 => 30,
        Phase::Steps => size.0 / 3,
    };
    columns(&mut panes, upper, &[(Pane::Work, left), (Pane::Detail, size.0 - left - 1)]);
    if lower > 0 {
        if has_log_pane(model.size) {
            let (metrics, pods) = (size.0 * 2 / 5, size.0 / 4);
            let logs = size.0 - metrics - pods - 2;
            columns(&mut panes, below, &[(Pane::Metrics, metrics), (Pane::Pods, pods), (Pane::Logs, logs)]);
        } else {
            let metrics = size.0 * 13 / 20;
            columns(&mut panes, below, &[(Pane::Metrics, metrics), (Pane::Pods, size.0 - metrics - 1)]);
        }
    }
    panes
}

/// The window: its table over the full width, as high as it needs; below it the details.
fn window(model: &Model, body: Rect) -> Panes {
    let mut panes = Panes::default();
    let lines = u16::try_from(subject::window_lines(model)).unwrap_or(u16::MAX).saturating_add(1);
    let workload = model.telemetry.workload.as_ref();
    let unwell =
        workload.is_some_and(|seen| seen.slots.values().any(|slot| slot.pods.iter().any(|pod| pod.bad)));
    let least = match &model.run {
        // What somebody else has changed wants more words than advice does.
        Some(run) if !run.foreign.is_empty() => 8,
        _ if unwell => 6,
        _ => 4,
    };
    let high = lines.min(body.height.saturating_sub(least));
    let upper = Rect { height: high, ..body };
    let below = Rect { y: upper.bottom(), height: body.height - high, ..body };
    columns(&mut panes, upper, &[(Pane::Work, body.width)]);
    let width = body.width;
    if has_log_pane(model.size) {
        let (metrics, pods) = (width * 2 / 5, width / 5);
        let logs = (width - metrics - pods) / 2;
        let rest = width - metrics - pods - logs - 3;
        let all = [(Pane::Metrics, metrics), (Pane::Pods, pods), (Pane::Logs, logs), (Pane::Detail, rest)];
        columns(&mut panes, below, &all);
    } else if below.height >= 12 && width >= 100 {
        let (metrics, pods) = (width * 19 / 40, width * 3 / 10);
        let all = [(Pane::Metrics, metrics), (Pane::Pods, pods), (Pane::Detail, width - metrics - pods - 2)];
        columns(&mut panes, below, &all);
    } else {
        let pods = width * 9 / 20;
        columns(&mut panes, below, &[(Pane::Pods, pods), (Pane::Detail, width - pods - 1)]);
    }
    panes
}

fn columns(panes: &mut Panes, area: Rect, widths: &[(Pane, u16)]) {
    let mut x = area.x;
    for (at, (pane, width)) in widths.iter().enumerate() {
        if at > 0 {
            panes.dividers.push((x, area.y + 1, area.bottom()));
            x += 1;
        }
        let width = (*width).min(area.right().saturating_sub(x));
        panes.places.push((*pane, Rect { x, width, ..area }));
        x += width;
    }
}
