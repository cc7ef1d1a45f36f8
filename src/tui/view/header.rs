//! The first three lines, and the worst problem.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use super::elapsed::{elapsed, watched};
use crate::{
    domain::{
        crew::Role,
        event::Outcome,
        metric::{Metric, Missing, Verdict},
        prompt::Prompt,
        run::{ItemStatus, Run, StepState, StepStatus},
    },
    tui::{
        alerts,
        layout::Layout,
        model::{Model, Phase, replay::Replay},
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

/// The band in the environment's colour: what, where, and who has control.
pub(super) fn band(model: &Model, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let Some(run) = &model.run else {
        return Row::of(" cutover  waiting for the engine", model.look.strong()).draw(area, buffer);
    };
    let environment = run.runbook.deployment.environment;
    let rehearsal = run.opened.rehearsal.is_some();
    let style = match &model.replay {
        // No environment's colour: nothing here is under way.
        Some(_) => model.look.held_still(),
        None => model.look.band(environment, rehearsal),
    };
    let (what, place) = match (&run.opened.rehearsal, &run.opened.cluster) {
        // Only a real run names an environment.
        (Some(_), _) => ("REHEARSAL".to_owned(), "no real cluster".to_owned()),
        (None, Some(cluster)) => {
            (environment.word().to_owned(), format!("{}/{}", cluster.context, cluster.namespace))
        }
        (None, None) => (environment.word().to_owned(), "no cluster".to_owned()),
    };
    let (what, right) = match &model.replay {
        Some(_) if width < 40 => ("REPLAY".to_owned(), String::new()),
        Some(replay) => (format!("REPLAY of {what}"), replay_words(replay, width)),
        None => (what, pilot_words(model, run)),
    };
    let right = Row::of(right, style).put(" ", style);
    // Where all of it does not fit, the module's name gives way: whether this is real, and where, does not.
    let rest = what.width() + place.width() + right.width() + 6;
    let module = shorten(&run.runbook.document.module, width.saturating_sub(rest).max(4));
    let left = Row::of(" ", style)
        .put(module, style)
        .put("  ", style)
        .put(what, style)
        .put("  ", style)
        .put(place, style);
    left.right(right, width).over(style).draw(area, buffer);
}

/// Where a replay is in its run, and how fast it goes on.
fn replay_words(replay: &Replay, width: usize) -> String {
    let sign = if replay.playing { "▶" } else { "▮▮" };
    let (gone, all) = (replay.gone().clock(), replay.reel.length().clock());
    if width < 80 {
        return format!("{sign} {}x {gone}/{all}", replay.speed);
    }
    format!("{sign} {}x  {} UTC, {gone} of {all}", replay.speed, replay.at.clock())
}

/// Who has control, and whether that is you.
fn pilot_words(model: &Model, run: &Run) -> String {
    let over = run.finished.is_some();
    let named = model.pilot().map(|pilot| pilot.name.clone());
    let last = || run.pilot.as_ref().map_or_else(|| run.opened.pilot.clone(), |pilot| pilot.name.clone());
    match (model.looks_only(), named) {
        (false, named) => format!("pilot: {} (you)", named.unwrap_or_else(|| run.opened.pilot.clone())),
        (true, Some(pilot)) => format!("pilot: {pilot} · you watch"),
        (true, None) if over => format!("pilot: {} · you watch", last()),
        (true, None) => "pilot: NOBODY · you watch".to_owned(),
    }
}

/// Everybody else who sees this run.
fn watchers(model: &Model) -> String {
    let others = model.members.iter().filter(|it| it.role != Role::Pilot && Some(it.id) != model.you);
    let names: Vec<&str> = others.map(|member| member.person.name.as_str()).collect();
    match names.len() {
        0 => String::new(),
        1 | 2 => format!("{} watching", names.join(", ")),
        n => format!("{n} watching"),
    }
}

/// Checklist and steps, the due one in capitals. The further a step is from it, the sooner it is only a number.
pub(super) fn strip(model: &Model, width: usize) -> Row {
    let Some(run) = &model.run else { return Row::new() };
    let steps = run.steps.len();
    let due = match model.phase() {
        Phase::Checklist => None,
        _ => Some(run.current().unwrap_or(steps)),
    };
    // Once a run is over, or going back, no step is due.
    let centre = due.unwrap_or(0);
    let due = due.map(|index| if is_left(run) { steps } else { index });
    // How many steps on each side keep their names: as many as fit.
    for names in (0..=steps).rev() {
        let row = strip_with(model, run, due, centre, names);
        if row.width() <= width || names == 0 {
            return row.fit(width);
        }
    }
    Row::new()
}

fn strip_with(model: &Model, run: &Run, due: Option<usize>, centre: usize, names: usize) -> Row {
    let look = model.look;
    let mut row = Row::new();
    match due {
        None => {
            let (done, all) = run.checklist_progress();
            row = row.put(" ▶ CHECKLIST ", look.strong()).put(format!("{done}/{all}"), look.strong());
        }
        Some(_) => match run.left_open() {
            0 => row = row.put(" ✔", look.ok()).put(" checklist", look.dim()),
            // What was overridden stays open, and says so.
            open => row = row.put(" !", look.warn()).put(format!(" {open} unticked"), look.warn()),
        },
    }
    for (index, (step, state)) in run.runbook.steps.iter().zip(&run.steps).enumerate() {
        row = row.put(" ", look.text());
        if due == Some(index) {
            row = row.join(due_step(model, index, state));
            continue;
        }
        let (sign, style) = sign_in(look, run, state.status);
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
        // Apart from the last step, whose word it is not.
        row = row.put(" │ ", look.rule()).put(story::outcome_words(*outcome).to_uppercase(), look.strong());
    } else if run.rolling_back().is_some() {
        row = row.put(" │ ", look.rule()).put("↶ ROLLING BACK", look.alert());
    }
    row
}

fn due_step(model: &Model, index: usize, state: &StepState) -> Row {
    let look = model.look;
    let Some(step) = model.run.as_ref().and_then(|run| run.runbook.steps.get(index)) else {
        return Row::new();
    };
    // One that is due and not begun has not the sign of one that runs.
    let (sign, style) = match state.status {
        StepStatus::Pending => ("next: ", look.strong()),
        status => sign(look, status),
    };
    let name = step.id.0.to_uppercase();
    let mut row = Row::of(sign, style).put(format!("{} {name}", index + 1), look.strong());
    match (step.window, state.status) {
        (Some(window), StepStatus::Checking) if model.phase() == Phase::Window => {
            let watched = watched(model, index).min(window.lasts);
            // Where the run is about to go back there is one bar: that of what counts, in the alert below.
            if model.size.0 >= 80 && !goes_back(model) {
                let bar = meter::bar(watched.as_millis(), window.lasts.as_millis(), 10);
                row = row.put(" ", look.text()).put(bar, look.strong());
            }
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

/// Whether the run goes back by itself if nothing changes.
fn goes_back(model: &Model) -> bool {
    model.run.as_ref().is_some_and(|run| run.goes_back_in(model.now).is_some())
}

/// Whether steps are left as they are: the run is over, or goes back.
pub(super) fn is_left(run: &Run) -> bool {
    let over = run.finished.as_ref().is_some_and(|(outcome, ..)| *outcome != Outcome::Held);
    over || run.rolling_back().is_some()
}

/// A step's sign in its run, and its look: one that was under way when the run ended or went back is not any more.
pub(super) fn sign_in(look: Look, run: &Run, status: StepStatus) -> (&'static str, ratatui::style::Style) {
    match status {
        StepStatus::Running | StepStatus::Checking if is_left(run) => {
            (if run.rollbacks.is_empty() { "–" } else { "↶" }, look.warn())
        }
        status => sign(look, status),
    }
}

/// A step's sign and its look.
fn sign(look: Look, status: StepStatus) -> (&'static str, ratatui::style::Style) {
    match status {
        StepStatus::Pending => (" ", look.dim()),
        StepStatus::Running | StepStatus::Checking => ("▶", look.strong()),
        StepStatus::Passed => ("✔", look.ok()),
        StepStatus::Failed => ("✖", look.alert()),
        StepStatus::Unknown => ("?", look.alert()),
        StepStatus::Skipped => ("–", look.dim()),
    }
}

/// Time, versions, the first metric and the state word: at any moment, on any screen.
pub(super) fn clock(model: &Model, width: usize) -> Row {
    let look = model.look;
    let Some(run) = &model.run else { return Row::new() };
    let right = frozen(model).join(less(model)).join(state_words(model)).put(" ", look.text());
    // Each in its forms, longest first.
    let mut more: Vec<Vec<Row>> = Vec::new();
    if let Some(metric) = subject::first_metric(run).filter(|_| !model.looks_back()) {
        let blank = Row::of("  ", look.text());
        more.push(metric_words(model, metric).map(|words| blank.clone().join(words)).to_vec());
    }
    if let (Some(from), Some(to)) = (run.previous_version(), run.new_version()) {
        let back = match &run.finished {
            Some((outcome, ..)) => (*outcome == Outcome::RolledBack).then_some("back on "),
            // It is no more about what goes out.
            None => run.rolling_back().map(|_| "back to "),
        };
        let to = |row: Row| row.put("→ ", look.dim()).put(&to, look.strong());
        let blank = Row::of("  ", look.text());
        more.push(match back {
            Some(words) => vec![blank.put(words, look.text()).put(from, look.strong())],
            None => vec![to(blank.clone().put(format!("{from} "), look.text())), to(blank)],
        });
    } else if let Some(Prompt::Ask { .. }) = model.prompt() {
        let to = Row::of("  → not chosen", look.strong());
        let from = run.previous_version().map(|from| Row::of(format!("  {from}"), look.text()));
        more.push(
            from.map(|from| from.join(Row::of(" → not chosen", look.strong())))
                .into_iter()
                .chain([to])
                .collect(),
        );
    }
    // The metric with its limit and the version matter more than the time of day at which it ends.
    let least: usize = more.iter().filter_map(|forms| forms.get(1).or(forms.first())).map(Row::width).sum();
    let [long, short] = elapsed(model, run);
    let fits = 1 + long.width() + least + 1 + right.width() <= width;
    let mut row = Row::of(" ", look.text()).join(if fits { long } else { short });
    let watching = watchers(model);
    if !watching.is_empty() {
        more.push(vec![Row::of("  ", look.text()).put(watching, look.dim())]);
    }
    // Whole, or not at all: half a number decides nothing. A longer form never takes the room of the next part.
    for (n, forms) in more.iter().enumerate() {
        let room = width.saturating_sub(row.width() + right.width() + 1);
        let next = more.get(n + 1).and_then(|forms| forms.iter().map(Row::width).min()).unwrap_or(0);
        let least = forms.iter().map(Row::width).min().unwrap_or(0);
        let room = if least + next <= room { room - next } else { room };
        if let Some(part) = forms.iter().find(|form| form.width() <= room) {
            row = row.join(part.clone());
        }
    }
    row.right(right, width)
}

/// What a replay lacks of this time.
fn less(model: &Model) -> Row {
    let look = model.look;
    let Some(replay) = &model.replay else { return Row::new() };
    let words = match replay.reel.thinned(replay.at) {
        _ if !replay.reel.has_samples() => "NO SAMPLES KEPT".to_owned(),
        Some(grid) => format!("THINNED TO {}", grid.short()),
        None => return Row::new(),
    };
    Row::of(words, look.warn()).put("  ", look.text())
}

/// How long the panes have been frozen. Loud: nobody may take old numbers for new ones.
fn frozen(model: &Model) -> Row {
    let Some(still) = &model.still else { return Row::new() };
    let words = format!(" FROZEN {} ", model.now.since(still.at).clock());
    Row::of(words, model.look.held_still()).put(" ", model.look.text())
}

/// The number with both its limits, with the one that decides, and in as few words as tell whether it is well.
fn metric_words(model: &Model, metric: &Metric) -> [Row; 3] {
    let look = model.look;
    let slot = subject::live(model);
    let reading = model.telemetry.reading(metric, slot.as_ref(), model.now);
    let title = Row::of(metric.title.to_lowercase(), look.text()).put(" ", look.text());
    let Some(value) = reading.value else {
        let words = if reading.age.is_none() {
            title.put("not measured yet", look.dim())
        } else if reading.why.as_ref().is_some_and(Missing::is_no_traffic) {
            title.put("NO TRAFFIC", look.alert())
        } else {
            title.put("NO DATA", look.alert())
        };
        return [words.clone(), words.clone(), words];
    };
    let style = verdict_style(look, reading.verdict);
    // Green is for the word: what is healthy needs no colour.
    let plain = if reading.verdict == Verdict::Ok { look.text() } else { style };
    let bare = title.put(metric.show(value), plain);
    let number = bare.clone().join(verdict_word(model, reading.verdict));
    let decides = deciding(metric, reading.verdict).map(|limit| format!(" {limit}")).unwrap_or_default();
    // A number above the limit of its alert needs no word beside it.
    let short = if reading.verdict == Verdict::Alert { bare.put(&decides, style) } else { number.clone() };
    [number.clone().put(bounds(metric), look.dim()), number.put(decides, look.dim()), short]
}

/// A verdict in a word, behind its number. While a rollback runs nothing is called well: whether it is, its own checks say
/// at its end.
pub(super) fn verdict_word(model: &Model, verdict: Verdict) -> Row {
    let style = verdict_style(model.look, verdict);
    if verdict == Verdict::Ok && model.phase() == Phase::RollingBack {
        return Row::new();
    }
    Row::of(" ", style).put(verdict.word(), style)
}

/// The limit that decides a verdict: `> 1 %`.
pub(super) fn deciding(metric: &Metric, verdict: Verdict) -> Option<String> {
    let bound = match verdict {
        Verdict::Alert => metric.alert.or(metric.normal),
        Verdict::Ok | Verdict::Warn | Verdict::Missing => metric.normal.or(metric.alert),
    };
    bound.map(|bound| bound.show(metric.unit))
}

/// A metric's limits, both: `, normal < 0.1 %, alert > 1 %`.
pub(super) fn bounds(metric: &Metric) -> String {
    let normal = metric.normal.map(|bound| format!(", normal {}", bound.show(metric.unit)));
    let alert = metric.alert.map(|bound| format!(", alert {}", bound.show(metric.unit)));
    normal.into_iter().chain(alert).collect()
}

/// A verdict's look.
pub(super) fn verdict_style(look: Look, verdict: Verdict) -> ratatui::style::Style {
    match verdict {
        Verdict::Ok => look.ok(),
        Verdict::Warn => look.warn(),
        Verdict::Alert | Verdict::Missing => look.alert(),
    }
}

pub(super) fn state_words(model: &Model) -> Row {
    let look = model.look;
    let alerts = alerts::all(model);
    let outcome = model.run.as_ref().and_then(|run| run.finished.as_ref()).map(|(outcome, ..)| *outcome);
    if let Some(first) = alerts.first().filter(|first| first.urgent || outcome.is_none()) {
        let rolling = model.phase() == Phase::RollingBack && !first.urgent;
        if rolling {
            return Row::of("ROLLING BACK", look.alert());
        }
        return Row::of(&first.word, if first.urgent { look.alert() } else { look.warn() });
    }
    match (model.phase(), outcome) {
        (Phase::RollingBack, _) => Row::of("ROLLING BACK", look.alert()),
        (_, Some(Outcome::Succeeded)) if alerts.is_empty() => Row::of("SUCCEEDED", look.ok()),
        (_, Some(Outcome::Succeeded)) => Row::of("SUCCEEDED, see below", look.warn()),
        (_, Some(outcome)) => Row::of(story::outcome_words(outcome).to_uppercase(), look.warn()),
        // What nobody has looked at yet is not well.
        _ if model.telemetry.workload.is_none()
            && model.run.as_ref().is_some_and(|run| run.runbook.target.is_some()) =>
        {
            Row::of("nothing seen yet", look.dim())
        }
        (Phase::Checklist, None) if failing_items(model) > 0 => match failing_items(model) {
            1 => Row::of("1 item FAILS", look.warn()),
            items => Row::of(format!("{items} items FAIL"), look.warn()),
        },
        (Phase::Checklist | Phase::Steps | Phase::Window | Phase::Over, None) => {
            Row::of("no alerts", look.ok())
        }
    }
}

/// Items of the checklist that the program has looked at and found wanting.
fn failing_items(model: &Model) -> usize {
    let states = model.run.iter().flat_map(|run| run.items.iter().flatten());
    states.filter(|state| state.status == ItemStatus::Fails).count()
}

/// As many clauses of a text as fit: half of one says nothing. The text as it is where not even the first fits.
fn whole_clauses(text: &str, width: usize) -> &str {
    if text.width() <= width {
        return text;
    }
    let ends = text.match_indices([',', ';', '.']).map(|(at, _)| at);
    let ends = ends.filter(|at| text.get(at + 1..).is_some_and(|rest| rest.starts_with(' ')));
    let fits = ends.filter_map(|at| text.get(..at)).rfind(|part| part.width() <= width);
    fits.unwrap_or(text)
}

/// The worst problem: a line or two for what it is, a line for what follows.
pub(super) fn alert(model: &Model, screen: Rect, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    if area.height == 0 {
        return;
    }
    let alerts = alerts::all(model);
    let Some(first) = alerts.first() else { return };
    let width = usize::from(area.width);
    let style = if first.urgent { look.alert_band() } else { look.warn() };
    let more = match &alerts[1..] {
        [] => String::new(),
        [second] => format!(" also: {} ", second.about()),
        [second, rest @ ..] => format!(" also: {} and {} more, :alerts ", second.about(), rest.len()),
    };
    let mut lines = first.lines((screen.width, screen.height)).into_iter();
    let mut head =
        Row::of(if first.urgent { " ✖ " } else { " ! " }, style).put(lines.next().unwrap_or_default(), style);
    let second = lines.next().map(|line| Row::of("   ", style).put(line, style));
    // How many more there are goes below where the first has no room for it.
    let below = second.is_some() || head.width() + 1 + more.width() > width;
    let room = width.saturating_sub(3 + if below { more.width() + 1 } else { 0 });
    let mut follows = Row::of("   ", look.text())
        .put(whole_clauses(&first.follows, room), if first.urgent { look.strong() } else { look.text() });
    if below {
        follows = follows.right(Row::of(more, look.dim()), width);
    } else {
        if let Some((value, whole)) = first.meter {
            // The meter takes what the words leave.
            let room = width.saturating_sub(head.width() + more.width() + 3).min(40);
            if room >= 4 {
                head = head.put("  ", style).put(meter::bar(value, whole, room), style);
            }
        }
        head = head.right(Row::of(more, style), width);
    }
    let band = |row: Row| if first.urgent { row.over(style) } else { row };
    let rows = [Some(band(head)), second.map(|row| band(row.fit(width))), Some(follows.fit(width))];
    for (y, row) in (area.y..area.bottom()).zip(rows.into_iter().flatten()) {
        row.draw(Rect { y, height: 1, ..area }, buffer);
    }
}
