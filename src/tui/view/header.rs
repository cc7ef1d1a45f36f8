//! The first three lines, and what is wrong.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    domain::{
        crew::Role,
        event::Outcome,
        metric::{Metric, Missing, Verdict},
        run::{Run, StepState, StepStatus},
        time::Span,
    },
    tui::{
        alerts,
        layout::Layout,
        model::{Model, Phase},
        story,
        style::Look,
        subject,
        widget::{
            meter,
            row::{Row, shorten},
        },
    },
};

pub(super) fn draw(model: &Model, places: &Layout, buffer: &mut Buffer) {
    band(model, places.band, buffer);
    let width = usize::from(places.strip.width);
    strip(model, width).draw(places.strip, buffer);
    clock(model, width).draw(places.clock, buffer);
}

/// The band in the environment's colour: what, where, and who drives.
pub(super) fn band(model: &Model, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let Some(run) = &model.run else {
        return Row::of(" cutover  waiting for the engine", model.look.strong()).draw(area, buffer);
    };
    let environment = run.runbook.deployment.environment;
    let rehearsal = run.opened.rehearsal.is_some();
    let style = model.look.band(environment, rehearsal);
    let place = match (&run.opened.cluster, &run.opened.rehearsal) {
        (_, Some(_)) => "simulated cluster".to_owned(),
        (Some(cluster), _) => format!("{}/{}", cluster.context, cluster.namespace),
        (None, _) => "no cluster".to_owned(),
    };
    let what = if rehearsal {
        format!("REHEARSAL of {}", environment.word().to_lowercase())
    } else {
        environment.word().to_owned()
    };
    let mode = if model.looks_only() {
        "READ-ONLY"
    } else if rehearsal {
        ""
    } else {
        "LIVE"
    };
    let (who, name) = match (model.looks_only(), model.pilot(), run.finished.is_some()) {
        (false, Some(pilot), _) => ("you: ", pilot.name.clone()),
        (_, Some(pilot), _) => ("pilot: ", pilot.name.clone()),
        (false, None, _) => ("you: ", run.opened.pilot.clone()),
        (true, None, true) => (
            "pilot: ",
            run.pilot.as_ref().map_or_else(|| run.opened.pilot.clone(), |pilot| pilot.name.clone()),
        ),
        (true, None, false) => ("pilot: ", "NOBODY".to_owned()),
    };
    // Everybody else who sees this run.
    let others = model
        .members
        .iter()
        .filter(|member| member.role != Role::Pilot && Some(member.id) != model.you)
        .count();
    let others = if others > 0 { format!(" +{others}") } else { String::new() };
    let right = Row::of(mode, style)
        .put("  ", style)
        .put(who, style)
        .put(name, style)
        .put(others, style)
        .put(" ", style);
    // Where all of it does not fit, the module's name gives way: whether this is real, and where, does not.
    let rest = what.width() + place.width() + right.width() + 6;
    let module = shorten(&run.runbook.document.module, width.saturating_sub(rest).max(8));
    let left = Row::of(" ", style)
        .put(module, style)
        .put("  ", style)
        .put(what, style)
        .put("  ", style)
        .put(place, style);
    left.right(right, width).over(style).draw(area, buffer);
}

/// Checklist and steps, the due one in capitals. The further a step is from it, the sooner it is only a number.
pub(super) fn strip(model: &Model, width: usize) -> Row {
    let Some(run) = &model.run else { return Row::new() };
    let steps = run.steps.len();
    let due = match model.phase() {
        Phase::Checklist => None,
        _ => Some(run.current().unwrap_or(steps)),
    };
    // How many steps on each side keep their names: as many as fit.
    for names in (0..=steps).rev() {
        let row = strip_with(model, run, due, names);
        if row.width() <= width || names == 0 {
            return row.fit(width);
        }
    }
    Row::new()
}

fn strip_with(model: &Model, run: &Run, due: Option<usize>, names: usize) -> Row {
    let look = model.look;
    let mut row = Row::new();
    match due {
        None => {
            let (done, all) = run.checklist_progress();
            row = row.put(" ▶ CHECKLIST ", look.strong()).put(format!("{done}/{all}"), look.strong());
        }
        Some(_) => row = row.put(" ✔", look.ok()).put(" checklist", look.dim()),
    }
    let centre = due.unwrap_or(0);
    for (index, (step, state)) in run.runbook.steps.iter().zip(&run.steps).enumerate() {
        row = row.put(" ", look.text());
        if due == Some(index) {
            row = row.join(due_step(model, index, state));
            continue;
        }
        let (sign, style) = sign(look, state.status);
        row = row.put(if sign == " " { "" } else { sign }, style);
        // The strip is a path: what is far from here is a number.
        let near = index.abs_diff(centre) <= names;
        let text = if near { format!("{} {}", index + 1, step.id) } else { (index + 1).to_string() };
        row = row.put(text, look.dim());
    }
    if due == Some(run.steps.len()) && run.finished.is_none() && run.rolling_back().is_none() {
        row = row.put(" ▶ COMPLETION", look.strong());
    }
    if let Some((outcome, ..)) = &run.finished {
        row = row.put(" ", look.text()).put(story::outcome_words(*outcome).to_uppercase(), look.strong());
    } else if run.rolling_back().is_some() {
        row = row.put(" ↶ ROLLING BACK", look.alert());
    }
    row
}

fn due_step(model: &Model, index: usize, state: &StepState) -> Row {
    let look = model.look;
    let Some(step) = model.run.as_ref().and_then(|run| run.runbook.steps.get(index)) else {
        return Row::new();
    };
    let (sign, style) = match state.status {
        StepStatus::Pending => ("▶", look.strong()),
        status => sign(look, status),
    };
    let name = step.id.0.to_uppercase();
    let mut row = Row::of(sign, style).put(format!("{} {name}", index + 1), look.strong());
    match (step.window, state.status) {
        (Some(window), StepStatus::Checking) if model.phase() == Phase::Window => {
            let watched = watched(model, index).min(window.lasts);
            let bar = meter::bar(watched.as_millis(), window.lasts.as_millis(), 10);
            row = row.put(" ", look.text()).put(bar, look.strong());
            row = row.put(format!(" {} of {}", watched.clock(), window.lasts.clock()), look.strong());
        }
        (_, StepStatus::Running) => {
            let done = state.work.actions.iter().filter(|action| action.took.is_some()).count();
            row = row.put(format!(" {done}/{}", state.work.actions.len()), look.strong());
        }
        (_, StepStatus::Failed | StepStatus::Unknown) => {
            row = row.put(" ", look.text()).put(state.status.word(), look.alert());
        }
        _ => {}
    }
    row
}

/// A step's sign and its look.
pub(super) fn sign(look: Look, status: StepStatus) -> (&'static str, ratatui::style::Style) {
    match status {
        StepStatus::Pending => (" ", look.dim()),
        StepStatus::Running | StepStatus::Checking => ("▶", look.strong()),
        StepStatus::Passed => ("✔", look.ok()),
        StepStatus::Failed => ("✖", look.alert()),
        StepStatus::Unknown => ("?", look.alert()),
        StepStatus::Skipped => ("–", look.dim()),
    }
}

/// The window's watched time. Between two entries in the journal it goes on by the clock, as long as there is data.
pub(super) fn watched(model: &Model, index: usize) -> Span {
    let Some(run) = &model.run else { return Span::ZERO };
    let Some(state) = run.steps.get(index) else { return Span::ZERO };
    let blind = run.triggers.iter().any(|trigger| trigger.blind.is_some());
    let Some(since) = model.window_advanced.or(state.window_opened).filter(|_| !blind) else {
        return state.watched;
    };
    // The journal has it every ten seconds; more than that was not counted.
    state.watched.saturating_add(model.now.since(since).min(Span::from_secs(10)))
}

/// Time, versions, the first metric and whether anything is wrong: at any moment, on any screen.
pub(super) fn clock(model: &Model, width: usize) -> Row {
    let look = model.look;
    let Some(run) = &model.run else { return Row::new() };
    let mut row = Row::of(" ", look.text()).join(elapsed(model, run));
    let versions = (run.previous_version(), run.new_version());
    // On narrow screens the slots' own lines have to do.
    if let (true, (Some(from), Some(to))) = (width >= 72, versions) {
        row = row.put("  ", look.text()).put(from, look.text()).put(" → ", look.dim()).put(to, look.strong());
    }
    if let Some(metric) = first_metric(run).filter(|_| !model.looks_back()) {
        row = row.put("  ", look.text()).join(metric_words(model, metric));
    }
    row.right(state_words(model).put(" ", look.text()), width)
}

fn elapsed(model: &Model, run: &Run) -> Row {
    let look = model.look;
    let expected = run.runbook.deployment.expected;
    if run.started_at.is_none() {
        let about = expected.map_or_else(String::new, |expected| format!(", takes ~{}", expected.clock()));
        return Row::of(format!("not started{about}"), look.text());
    }
    let gone = run.elapsed(model.now);
    if run.finished.is_some() {
        return Row::of("ended after ", look.text()).put(gone.clock(), look.strong());
    }
    let mut row = Row::of(gone.clock(), look.strong());
    if let Some(expected) = expected {
        row = row.put(format!(" of ~{}", expected.clock()), look.text());
        if run.finished.is_none() && run.rolling_back().is_none() {
            // A window lasts as long as it lasts, whatever was expected of the whole.
            let left = expected.saturating_sub(gone).max(window_left(model));
            let over = gone.saturating_sub(expected);
            row = if left > Span::ZERO {
                row.put(format!(", {} left", left.clock()), look.text())
            } else {
                row.put(format!(", {} over", over.clock()), look.warn())
            };
        }
    }
    row
}

/// What the window that is watched now still wants; nothing outside of one.
fn window_left(model: &Model) -> Span {
    let index = model.run.as_ref().and_then(Run::current).filter(|_| model.phase() == Phase::Window);
    let window = index
        .and_then(|index| model.run.as_ref()?.runbook.steps.get(index)?.window.map(|window| (index, window)));
    window.map_or(Span::ZERO, |(index, window)| window.lasts.saturating_sub(watched(model, index)))
}

/// The metric whose state is always in sight: the first that a trigger watches, else the first declared.
pub(super) fn first_metric(run: &Run) -> Option<&Metric> {
    let watched = run.runbook.triggers.iter().find_map(|trigger| trigger.watch.as_ref());
    watched
        .and_then(|watch| run.runbook.metric(watch.metric.as_str()))
        .or_else(|| run.runbook.metrics.first())
}

fn metric_words(model: &Model, metric: &Metric) -> Row {
    let look = model.look;
    let slot = subject::live(model);
    let reading = model.telemetry.reading(metric, slot.as_ref(), model.now);
    let title = Row::of(metric.title.to_lowercase(), look.text()).put(" ", look.text());
    match reading.value {
        Some(value) => title
            .put(metric.unit.show(value), look.strong())
            .put(" ", look.text())
            .put(reading.verdict.word(), verdict_style(look, reading.verdict)),
        None if reading.age.is_none() => title.put("not measured yet", look.dim()),
        None if reading.why.as_ref().is_some_and(Missing::is_no_traffic) => {
            title.put("NO TRAFFIC", look.alert())
        }
        None => title.put("NO DATA", look.alert()),
    }
}

/// A verdict's look.
pub(super) fn verdict_style(look: Look, verdict: Verdict) -> ratatui::style::Style {
    match verdict {
        Verdict::Ok => look.ok(),
        Verdict::Warn => look.warn(),
        Verdict::Alert | Verdict::Missing => look.alert(),
    }
}

fn state_words(model: &Model) -> Row {
    let look = model.look;
    let alerts = alerts::all(model);
    let outcome = model.run.as_ref().and_then(|run| run.finished.as_ref()).map(|(outcome, ..)| *outcome);
    match (model.phase(), outcome) {
        (Phase::RollingBack, _) if alerts.is_empty() => return Row::of("rolling back", look.alert()),
        (_, Some(Outcome::Succeeded)) if alerts.is_empty() => return Row::of("done, all well", look.ok()),
        (_, Some(outcome)) if alerts.is_empty() => {
            return Row::of(story::outcome_words(outcome), look.warn());
        }
        _ => {}
    }
    let urgent = alerts.iter().filter(|alert| alert.urgent).count();
    match (urgent, alerts.len()) {
        (0, 0) => Row::of("all well", look.ok()),
        (0, 1) => Row::of("1 remark", look.warn()),
        (0, n) => Row::of(format!("{n} remarks"), look.warn()),
        (1, 1) => Row::of("1 ALERT", look.alert()),
        (_, n) => Row::of(format!("{n} ALERTS"), look.alert()),
    }
}

/// The worst of what is wrong: a line that says it, a line that says what follows.
pub(super) fn alert(model: &Model, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    if area.height == 0 {
        return;
    }
    let alerts = alerts::all(model);
    let Some(first) = alerts.first() else { return };
    let width = usize::from(area.width);
    let style = if first.urgent { look.alert_band() } else { look.warn() };
    let more =
        if alerts.len() > 1 { format!(" +{} more, :alerts ", alerts.len() - 1) } else { String::new() };
    let mut head = Row::of(if first.urgent { " ✖ " } else { " ! " }, style).put(&first.headline, style);
    if let Some((value, whole)) = first.meter {
        // The meter takes what the words leave.
        let room = width.saturating_sub(head.width() + more.len() + 3).min(40);
        if room >= 4 {
            head = head.put("  ", style).put(meter::bar(value, whole, room), style);
        }
    }
    let line = Rect { height: 1, ..area };
    let head = head.right(Row::of(more, style), width);
    (if first.urgent { head.over(style) } else { head }).draw(line, buffer);
    let follows = Row::of("   ", look.text())
        .put(&first.follows, if first.urgent { look.strong() } else { look.text() });
    if area.height > 1 {
        follows.fit(width).draw(Rect { y: area.y + 1, ..line }, buffer);
    }
}
