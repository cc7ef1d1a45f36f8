//! Questions.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    config::keymap::KeyAction,
    domain::{
        action::{ActionKind, Confirm},
        event::{ActionRef, Place},
        id::{QUICK, SlotName, StepId},
        run::{Run, StepStatus, tag_of},
    },
    tui::{
        model::{
            Model,
            form::{Form, IncidentDraft, Purpose, STATUSES},
        },
        offer::panes,
        pages, story, subject,
        widget::{
            dialog_box::{self, Content},
            row::{Row, wrap},
        },
    },
};

/// Columns inside a question, if there is room.
const WIDTH: usize = 70;

pub(super) fn draw(model: &Model, form: &Form, body: Rect, buffer: &mut Buffer) {
    let look = model.look;
    if let Some(content) = content(model, form, body) {
        dialog_box::draw(content, body, look, (look.edge(), look.strong()), buffer);
    }
}

pub(super) fn content(model: &Model, form: &Form, body: Rect) -> Option<Content> {
    let look = model.look;
    let run = model.run.as_ref()?;
    let width = WIDTH.min(usize::from(body.width).saturating_sub(6));
    let mut content = Content { title: title(run, form), width, ..Content::default() };
    let (rows, foot) = (&mut content.rows, &mut content.foot);
    if let Purpose::Start { step: Some(step), .. } = &form.purpose {
        rows.extend(switch_facts(model, run, step, width));
    }
    for (text, strong) in words(model, run, form) {
        let style = if strong { look.strong() } else { look.text() };
        rows.extend(wrap(&text, width).into_iter().map(|line| Row::of(line, style)));
    }
    if let Purpose::Incident(draft) = &form.purpose {
        rows.extend(incident(model, run, form, draft, width));
    } else {
        // A blank line between, where there is room for one.
        let parts = match &form.input {
            Some(input) => vec![field(model, input, width)],
            None => buttons(model, run, form, width),
        };
        if rows.len() + parts.len() + 2 < usize::from(body.height) {
            foot.push(Row::new());
        }
        foot.extend(parts);
    }
    if let Some(fault) = &form.fault {
        let lines = wrap(fault, width.saturating_sub(2)).into_iter().enumerate();
        foot.extend(lines.map(|(n, line)| {
            Row::of(if n == 0 { "! " } else { "  " }, look.alert()).put(line, look.alert())
        }));
    }
    content.focus = match &form.purpose {
        Purpose::Incident(draft) => draft.field,
        _ => 0,
    };
    (content.scroll, content.keys) = (form.scroll, scroll_keys(model));
    Some(content)
}

/// The keys that scroll a dialog, as they are called on this keyboard.
pub(super) fn scroll_keys(model: &Model) -> String {
    format!("{}/{}", model.key(KeyAction::PageUp), model.key(KeyAction::PageDown))
}

/// A text field with its cursor.
pub(super) fn field(model: &Model, input: &tui_input::Input, width: usize) -> Row {
    let look = model.look;
    let room = width.saturating_sub(3);
    let chars: Vec<char> = input.value().chars().collect();
    let at = input.cursor().min(chars.len());
    // The part around the cursor, where the text is longer than the field.
    let first = at.saturating_sub(room.saturating_sub(1));
    let text = |range: &[char]| range.iter().collect::<String>();
    let before = text(&chars[first..at]);
    let under = chars.get(at).map_or_else(|| " ".to_owned(), char::to_string);
    let after = text(chars.get(at + 1..).unwrap_or_default());
    let line = look.strong().add_modifier(ratatui::style::Modifier::UNDERLINED);
    let row = Row::of("▸ ", look.edge()).put(before, line).put(under, look.selected()).put(after, line);
    let blank = room.saturating_sub(row.width().saturating_sub(2));
    row.put(" ".repeat(blank), line).fit(width)
}

fn step_title(run: &Run, step: Option<&StepId>) -> String {
    step.and_then(|step| run.declared(step.as_str()))
        .map_or_else(|| "the completion".to_owned(), |step| step.title.clone())
}

fn title(run: &Run, form: &Form) -> String {
    match &form.purpose {
        Purpose::Ask { .. } | Purpose::Decide { .. } => "Before the deployment".to_owned(),
        Purpose::Override { .. } => "Start the steps without them?".to_owned(),
        Purpose::TickItem { .. } => "Tick with a note".to_owned(),
        Purpose::Waive { .. } => "Not needed this time?".to_owned(),
        Purpose::Start { step, .. } => match switched_to(run, step.as_ref()) {
            Some(slot) => format!("Switch all traffic to {}?", slot.0.to_uppercase()),
            None => format!("Start {}?", step_title(run, step.as_ref())),
        },
        Purpose::Proceed { .. } => "Start this action?".to_owned(),
        Purpose::TickCheck { holds: true, .. } => "Is it all right?".to_owned(),
        Purpose::TickCheck { .. } => "Not ok?".to_owned(),
        Purpose::Retry { step, .. } => format!("Try {} again?", step_title(run, step.as_ref())),
        Purpose::Skip { step } => format!("Skip {}?", step_title(run, Some(step))),
        Purpose::Undo { step, .. } => format!("Undo {}?", step_title(run, Some(step))),
        Purpose::Hold => "Pause the run?".to_owned(),
        Purpose::Continue => "Resume the run?".to_owned(),
        Purpose::CancelCountdown { .. } => "Cancel the automatic rollback?".to_owned(),
        Purpose::Resolve { .. } => "How did it end?".to_owned(),
        Purpose::Abandon => "Abandon the rollback?".to_owned(),
        Purpose::Abort => "End the run here?".to_owned(),
        Purpose::Note => "A note for the log".to_owned(),
        Purpose::SendIncident => "Send this?".to_owned(),
        Purpose::Incident(_) => "Incident".to_owned(),
        Purpose::Quit => "Leave the cockpit?".to_owned(),
    }
}

/// The question's text, line by line; the flag makes a line stand out.
fn words(model: &Model, run: &Run, form: &Form) -> Vec<(String, bool)> {
    let plain = |text: &str| (text.to_owned(), false);
    let mut out = match &form.purpose {
        Purpose::Ask { name, question } => vec![(question.clone(), true), (pattern_of(run, name), false)],
        Purpose::Decide { question, .. } => vec![(question.clone(), true)],
        Purpose::Override { open } => {
            vec![(
                format!("{open} items are open. The steps start anyway; the reason goes to the log."),
                false,
            )]
        }
        Purpose::TickItem { group, item } | Purpose::Waive { group, item } => {
            vec![(run.runbook.checklist[*group].items[*item].text.clone(), true)]
        }
        Purpose::Start { step: Some(step), confirm, word, .. } => start_words(run, step, *confirm, word),
        Purpose::Start { confirm, word, .. } => typed_words(*confirm, word),
        Purpose::Proceed { at, confirm, word } => {
            let mut words = vec![(story::action_name(run, at), true)];
            let simulated = if run.opened.rehearsal.is_some() { "simulated: " } else { "" };
            let command = run.action(at).and_then(|action| run.action_command(action));
            words.extend(command.map(|command| (format!("{simulated}{command}"), false)));
            words.extend(
                run.action(at)
                    .and_then(|action| action.irreversible.clone())
                    .map(|why| (format!("Can't be undone: {why}"), true)),
            );
            words.extend(typed_words(*confirm, word));
            words
        }
        Purpose::TickCheck { step, check, .. } => check_words(model, run, step.as_ref(), *check),
        Purpose::Retry { .. } => vec![plain(
            "What has finished is kept: the failed action and those after it run, then all checks. Nothing is rolled back.",
        )],
        Purpose::Skip { .. } => vec![plain("It will not run. Why?")],
        Purpose::Undo { step, word } => undo_words(model, run, step, word.as_deref()),
        Purpose::Hold => vec![plain(
            "Nothing new starts until somebody resumes it. Actions under way finish; triggers stay armed. Why?",
        )],
        Purpose::Continue => {
            let held = run.held.as_ref().map_or("", |held| held.reason.as_str());
            vec![(format!("Paused: {held}"), true)]
        }
        Purpose::CancelCountdown { trigger } => {
            let fired = run.triggers.get(*trigger).and_then(|state| state.fired.as_ref());
            vec![
                (fired.map_or_else(String::new, |(_, reason)| reason.clone()), true),
                plain("Then there is no rollback, and the trigger starts counting again. Why is that right?"),
                plain(match run.triggers.iter().filter(|state| state.countdown.is_some()).count() {
                    0 => "",
                    1 => "The countdown waits while you type, for at most a minute in all.",
                    _ => "All countdowns wait while you type, for at most a minute in all.",
                }),
            ]
        }
        Purpose::Resolve { at } => resolve_words(run, at),
        Purpose::Abandon => {
            vec![plain("The run then ends as a failed rollback; what is left must be done by hand. Why?")]
        }
        Purpose::Abort => vec![plain(
            "The run ends as failed. Traffic was not touched; what the steps did stays as it is. Why?",
        )],
        Purpose::SendIncident => {
            // One webhook serves all: where it leads is its own affair.
            let mut words = vec![("To the notification webhook:".to_owned(), true)];
            words.extend(pages::incident::message(model).lines().map(|line| (line.to_owned(), false)));
            words
        }
        Purpose::Note | Purpose::Incident(_) => vec![],
        Purpose::Quit => quit_words(model, run),
    };
    out.retain(|(text, _)| !text.is_empty());
    out
}

fn pattern_of(run: &Run, name: &str) -> String {
    let pattern = run.runbook.vars.iter().find(|var| var.name == name).and_then(|var| var.pattern.clone());
    pattern.map_or_else(
        || format!("Becomes ${name}."),
        |pattern| format!("Becomes ${name}; must match {pattern}"),
    )
}

/// Where a step moves the traffic to.
fn switched_to(run: &Run, step: Option<&StepId>) -> Option<SlotName> {
    run.declared(step?.as_str())?.run.iter().find_map(|action| match &action.kind {
        ActionKind::SwitchTraffic { to, .. } => run.slot(to),
        _ => None,
    })
}

/// The facts that a switch is decided by: what has the traffic now, what gets it, and what it takes to go back.
fn switch_facts(model: &Model, run: &Run, step: &StepId, width: usize) -> Vec<Row> {
    let Some(to) = switched_to(run, Some(step)) else { return Vec::new() };
    let look = model.look;
    let workload = model.telemetry.workload.as_ref();
    let fact = |name: &str, what: Row| Row::of(format!("{name:<6}"), look.dim()).join(what).fit(width);
    let slot = |name: &SlotName| {
        let seen = workload.and_then(|workload| workload.slots.get(name)).filter(|slot| slot.found);
        let row = Row::of(format!("{:<6} ", name.0.to_uppercase()), look.slot(&name.0));
        match seen {
            Some(seen) => {
                let style =
                    if seen.desired > 0 && seen.ready >= seen.desired { look.text() } else { look.alert() };
                row.put(format!("{:<8} ", tag_of(&seen.image)), look.strong())
                    .put(format!("{}/{} ready   ", seen.ready, seen.desired), style)
            }
            None => row.put("not seen   ", look.alert()),
        }
    };
    let mut rows = Vec::new();
    if let Some(live) = subject::live(model) {
        let rates = run.runbook.metrics.iter().filter_map(|metric| {
            let value = model.telemetry.reading(metric, Some(&live), model.now).value?;
            Some(format!("{} {}", metric.title.to_lowercase(), metric.show(value)))
        });
        let rates: Vec<String> = rates.take(if width < 90 { 1 } else { 2 }).collect();
        rows.push(fact("now", slot(&live).put(rates.join(", "), look.text())));
    }
    let before = run.steps.iter().zip(&run.runbook.steps).take_while(|(_, declared)| declared.id != *step);
    let checked =
        before.filter(|(state, it)| state.status == StepStatus::Passed && !it.check.is_empty()).last();
    let checked = checked.and_then(|(state, declared)| {
        let ago = model.now.since(state.work.finished_at?).short();
        Some(format!("checks of step {} passed {ago} ago", declared.id))
    });
    rows.push(fact("then", slot(&to).put(checked.unwrap_or_default(), look.text())));
    let plan = run.procedure_plan(QUICK, workload);
    let key = panes::label(model, KeyAction::Rollback).unwrap_or_default();
    let back = format!(" takes {} once traffic is on {}", plan.estimate.about(), to.0.to_uppercase());
    rows.push(fact("back", Row::of("key ", look.text()).put(key, look.key()).put(back, look.text())));
    let undone = run.rollback_plan(workload, model.now).undo;
    let lines = left(run, &undone, &plan.not_undone);
    let lines = lines.iter().flat_map(|left| wrap(left, width.saturating_sub(6)));
    rows.extend(lines.map(|line| fact("", Row::of(line, look.warn()))));
    rows
}

/// What a rollback leaves as it is once traffic has moved: its name, without where its backup is. The header says what it
/// still undoes now: what of that ends with the switch is told apart.
fn left(run: &Run, undone: &[StepId], not_undone: &[String]) -> Vec<String> {
    let name = |left: &String| left.split([':', ';', ',', '(']).next().unwrap_or_default().trim().to_owned();
    let titles: Vec<&str> =
        undone.iter().filter_map(|step| Some(run.declared(step.as_str())?.title.as_str())).collect();
    let (ends, never): (Vec<String>, Vec<String>) =
        not_undone.iter().map(name).partition(|name| titles.contains(&name.as_str()));
    [("from then on it no longer undoes", ends), ("it does not undo", never)]
        .into_iter()
        .filter(|(_, what)| !what.is_empty())
        .map(|(words, what)| format!("{words}: {}", what.join(", ")))
        .collect()
}

fn start_words(run: &Run, step: &StepId, confirm: Confirm, word: &str) -> Vec<(String, bool)> {
    let Some(declared) = run.declared(step.as_str()) else { return Vec::new() };
    let mut words: Vec<(String, bool)> =
        declared.critical.iter().map(|critical| (format!("! {critical}"), true)).collect();
    for (n, action) in declared.run.iter().enumerate() {
        words.push((format!("{}  {}", n + 1, run.action_text(action)), false));
        if let Some(slot) = run.endangers_rollback(action) {
            words.push((format!("   ! after this there is no quick way back to {slot}"), true));
        }
    }
    words.extend(typed_words(confirm, word));
    words
}

fn typed_words(confirm: Confirm, word: &str) -> Vec<(String, bool)> {
    match confirm {
        Confirm::Type => vec![(format!("Type the word  {word}  to start."), true)],
        Confirm::Twice => vec![("Press Enter once more to start.".to_owned(), false)],
        Confirm::None => Vec::new(),
    }
}

fn check_words(model: &Model, run: &Run, step: Option<&StepId>, check: usize) -> Vec<(String, bool)> {
    let place = step.map_or_else(|| model.place(), |step| Some(Place::Step { step: step.clone() }));
    let text = place
        .and_then(|place| run.checks(&place).get(check).map(|check| check.text.clone()))
        .unwrap_or_default();
    vec![(text, true), ("What did you see?".to_owned(), false)]
}

fn undo_words(model: &Model, run: &Run, step: &StepId, word: Option<&str>) -> Vec<(String, bool)> {
    let Some(declared) = run.declared(step.as_str()) else { return Vec::new() };
    let mut words = vec![("Undoing it does:".to_owned(), false)];
    for (n, action) in declared.undo.iter().enumerate() {
        words.push((format!("{}  {}", n + 1, run.action_text(action)), false));
        words.extend(run.action_command(action).map(|command| (format!("   {}", command.trim()), false)));
    }
    if let Some((name, value)) = run.restores(declared) {
        let age = run.captured_age(&name, model.now).map(|age| format!(", taken {} ago", age.short()));
        words.push((format!("Backup {value}{}", age.unwrap_or_default()), true));
    }
    words.extend(run.undo_loses(declared).map(|lost| (format!("LOST: {lost}"), true)));
    words.extend(word.map(|word| (format!("Type  {word}  to undo."), true)));
    words
}

fn resolve_words(run: &Run, at: &ActionRef) -> Vec<(String, bool)> {
    let mut words = vec![
        (story::action_name(run, at), true),
        ("It was started, its outcome was not recorded. Look before you answer: it never runs again by itself.".to_owned(), false),
    ];
    let state = run.work(&at.place).and_then(|work| work.actions.get(at.action));
    if let Some(state) = state {
        words.extend(state.child.as_ref().map(|child| {
            let pid = child.pid;
            let what = match state.lives {
                Some(true) => {
                    format!("Its process {pid} STILL RUNS: wait for it to end, or end it with :kill.")
                }
                Some(false) => format!("Its process was {pid}; it does not run on this host."),
                None => format!("Its process was {pid}; it may still run."),
            };
            (what, true)
        }));
        words.extend((!state.detail.is_empty()).then(|| (state.detail.clone(), false)));
    }
    words
        .extend(run.action(at).and_then(|action| run.action_command(action)).map(|command| (command, false)));
    words
}

fn quit_words(model: &Model, run: &Run) -> Vec<(String, bool)> {
    let mut words = vec![(
        "The run continues without this screen: running actions finish, triggers stay armed, nothing new starts.".to_owned(),
        false,
    )];
    if run.switched_at.is_some() && run.finished.is_none() {
        words.push(("Traffic is on the new version: nobody sees what the triggers do not.".to_owned(), true));
    }
    if run.rolling_back().is_some() {
        words.push(("A rollback is running. It runs to its end.".to_owned(), true));
    }
    words.push((format!("Come back with:  {}", model.options.come_back), false));
    words
}

/// Buttons side by side, or choices below each other where there are more than two.
fn buttons(model: &Model, run: &Run, form: &Form, width: usize) -> Vec<Row> {
    let look = model.look;
    let names: Vec<String> = match &form.purpose {
        Purpose::Resolve { .. } => {
            let roll = if run.can_roll_back() {
                "Roll back instead"
            } else {
                "Roll back instead (nothing to roll back yet)"
            };
            ["It was done", "It was not done: the step failed", "Run it again", roll]
                .map(str::to_owned)
                .to_vec()
        }
        Purpose::Decide { .. } => vec!["Yes, it applies".to_owned(), "No, skip it".to_owned()],
        Purpose::Start { .. } | Purpose::Proceed { .. } if form.pressed > 0 => {
            vec!["Really start".to_owned()]
        }
        Purpose::Start { .. } | Purpose::Proceed { .. } => vec!["Start".to_owned()],
        Purpose::Retry { .. } => vec!["Try again".to_owned(), "Cancel".to_owned()],
        Purpose::Undo { .. } => vec!["Undo".to_owned(), "Cancel".to_owned()],
        Purpose::Continue => vec!["Resume".to_owned(), "Cancel".to_owned()],
        Purpose::SendIncident => vec!["Send".to_owned(), "Cancel".to_owned()],
        Purpose::Quit => vec!["Leave, the run continues".to_owned(), "Stay".to_owned()],
        _ => vec!["Yes".to_owned(), "No".to_owned()],
    };
    let button = |n: usize, name: &str| {
        if form.choice == n {
            Row::of(format!("[ {name} ]"), look.selected())
        } else {
            Row::of(format!("  {name}  "), look.text())
        }
    };
    let buttons: Vec<Row> = names.iter().enumerate().map(|(n, name)| button(n, name)).collect();
    if buttons.len() > 2 {
        return buttons;
    }
    let row = buttons.into_iter().fold(Row::new(), |row, button| row.put("  ", look.text()).join(button));
    vec![Row::new().right(row, width)]
}

/// The incident's fields, and below them the message as it becomes.
fn incident(model: &Model, run: &Run, form: &Form, draft: &IncidentDraft, width: usize) -> Vec<Row> {
    let look = model.look;
    let levels = run.runbook.incident.as_ref().map_or(&[][..], |incident| &incident.levels);
    let level = levels.get(draft.level).map_or_else(
        || "P1".to_owned(),
        |level| format!("{} {}: {}", level.level, level.title, level.example),
    );
    let choose = |n: usize, name: &str, value: &str| {
        let focused = draft.field == n;
        let row = Row::of(format!("{name:<10}"), look.strong());
        if focused {
            row.put(format!("◀ {value} ▶"), look.selected())
        } else {
            row.put(format!("  {value}"), look.text())
        }
    };
    let write = |n: usize, name: &str, value: &str| {
        let row = Row::of(format!("{name:<10}"), look.strong());
        match &form.input {
            Some(input) if draft.field == n => row.join(field(model, input, width.saturating_sub(10))),
            _ if value.is_empty() => row.put("  …", look.dim()),
            _ => row.put(format!("  {value}"), look.text()).fit(width),
        }
    };
    let mut rows = vec![
        choose(0, "severity", &level).fit(width),
        write(1, "what", &draft.title),
        write(2, "impact", &draft.impact),
        choose(3, "status", STATUSES.get(draft.status).copied().unwrap_or_default()),
    ];
    if let Some(level) = levels.get(draft.level) {
        rows.push(
            Row::of(format!("          respond {}; {}", level.respond, level.escalate), look.dim())
                .fit(width),
        );
    }
    rows.push(Row::new());
    for line in pages::incident::message(model).lines() {
        rows.extend(
            wrap(line, width.saturating_sub(2))
                .into_iter()
                .map(|line| Row::of(format!("  {line}"), look.dim())),
        );
    }
    rows
}
