//! What the next key does, in words: the line above the footer. Never left empty.

use unicode_width::UnicodeWidthStr as _;

use super::{
    layout,
    model::{
        Layer, Model, Phase,
        form::{Form, Purpose, RESOLUTIONS, RollbackFocus, RollbackForm},
        page::PageKind,
    },
    story,
    style::Look,
    update::{check_due, command_help},
    widget::row::Row,
};
use crate::{
    config::keymap::{Context, KeyAction},
    domain::{
        action::Confirm,
        cause::HoldCause,
        crew::{Person, Role},
        event::Outcome,
        message::{JournalState, WITHOUT_A_JOURNAL},
        prompt::Prompt,
        run::Run,
    },
};

/// The line.
pub fn line(model: &Model) -> Row {
    let look = model.look;
    match model.layers.last() {
        Some(Layer::Form(form)) => form_line(model, form),
        Some(Layer::Rollback(form)) => rollback_line(model, form),
        Some(Layer::Command(input)) => Row::of(" :", look.key())
            .put(input.value(), look.strong())
            .put("█", look.dim())
            .put("  ", look.text())
            .put(command_help(input.value()), look.dim()),
        Some(Layer::Search(input)) => Row::of(" /", look.key())
            .put(input.value(), look.strong())
            .put("█", look.dim())
            .put("  enter finds, esc closes", look.dim()),
        Some(Layer::Page(page)) => page_line(model, &page.kind),
        None => run_line(model),
    }
}

/// A key, and what it does.
fn does(look: Look, key: impl AsRef<str>, what: impl AsRef<str>) -> Row {
    Row::of(" ", look.text())
        .put(key, look.key())
        .put("  ", look.text())
        .put(what, look.next())
        .put("  ", look.text())
}

/// Nothing to press: why, and what happens meanwhile.
fn waits(look: Look, what: impl AsRef<str>) -> Row {
    Row::of(" ", look.text()).put(what, look.text())
}

/// How many other people must still agree before a step begins.
fn lacking(run: &Run, step: usize, attempt: u32) -> usize {
    run.runbook.steps.get(step).map_or(0, |declared| {
        (declared.approvals as usize).saturating_sub(run.approved_by(&declared.id, attempt).len())
    })
}

/// Whoever only looks: who drives, and how to get the controls.
fn looking_words(model: &Model, run: &Run) -> String {
    let own = model.you.and_then(|you| model.members.iter().find(|member| member.id == you));
    let may_ask = own.is_some_and(|own| own.role == Role::Observer);
    let same = |person: &Person| own.is_some_and(|own| own.person.login == person.login);
    match (model.pilot(), &run.pilot) {
        _ if run.finished.is_some() => "You look back: this run is over.".to_owned(),
        (Some(pilot), _) if may_ask && same(pilot) => {
            "You drive from another screen. :take brings the controls here.".to_owned()
        }
        (Some(pilot), _)
            if may_ask && own.is_some_and(|own| run.control_asked.as_ref() == Some(&own.person)) =>
        {
            format!("You asked {pilot} for the controls.")
        }
        (Some(pilot), _) if may_ask => format!("You look on; {pilot} drives. :ask asks for the controls."),
        (Some(pilot), _) => format!("You watch; {pilot} drives. Nothing you press changes the run."),
        (None, Some(pilot)) if may_ask => {
            format!("NOBODY drives, {pilot} is gone. :take REASON takes the controls.")
        }
        (None, _) if may_ask => "NOBODY drives. :take takes the controls.".to_owned(),
        (None, _) => "You watch; NOBODY drives. Nothing you press changes the run.".to_owned(),
    }
}

fn run_line(model: &Model) -> Row {
    let look = model.look;
    let Some(run) = &model.run else {
        return waits(look, "Waiting for the engine to say how the run stands.");
    };
    let enter = model.key(KeyAction::Confirm);
    if model.looks_only() {
        return waits(look, looking_words(model, run));
    }
    if layout::enter_returns(model) {
        let due = run
            .current()
            .map(|index| format!("{} {}", index + 1, run.runbook.steps[index].title))
            .unwrap_or_default();
        return does(look, enter, format!("back to the step that is due: {due}"));
    }
    if matches!(model.journal, JournalState::Lost { .. }) {
        return does(look, ":", format!("unrecorded {WITHOUT_A_JOURNAL}  lets you roll back all the same"));
    }
    match run.prompt(model.now) {
        Prompt::Ask { question, .. } | Prompt::Decide { question, .. } => {
            does(look, enter, format!("answers: {question}"))
        }
        Prompt::Checklist { open } => checklist_line(model, run, &open),
        Prompt::OpenSteps => {
            let first = run.runbook.steps.first().map_or("the completion", |step| &step.title);
            does(look, enter, format!("opens step 1: {first}; nothing starts yet"))
        }
        Prompt::Start { step, attempt, .. } if lacking(run, step, attempt) > 0 => {
            let n = lacking(run, step, attempt);
            let people = if n == 1 { "person" } else { "people" };
            let how = match run.opened.rehearsal {
                Some(_) => ":approve plays one".to_owned(),
                None => format!("cutover approve {}", run.opened.run_id),
            };
            waits(look, format!("Step {} waits for {n} other {people} to agree: {how}", step + 1))
        }
        Prompt::Start { step, attempt, confirm, word } => {
            let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let step = &run.runbook.steps[step];
            does(look, enter, format!("{}{again}{}", start_words(run, step), confirm_words(confirm, &word)))
        }
        Prompt::Complete => does(look, enter, "completes the deployment: log, notices, tasks for later"),
        Prompt::Proceed { at, confirm, word } => {
            let what = story::action_name(run, &at);
            let row = does(look, enter, format!("{what}{}", confirm_words(confirm, &word)));
            if run.may_be_given_up() {
                row.join(does(look, model.key(KeyAction::CancelCountdown), "give the rollback up"))
            } else {
                row
            }
        }
        Prompt::Acting { at } => {
            let what = story::action_name(run, &at);
            match run.waiting_act().filter(|(waiting, _)| *waiting == at) {
                // Why stands in the alert, where there is room for it.
                Some(_) => waits(look, format!("Nothing to press: {what} begins by itself.")),
                None => waits(look, format!("Nothing to press: {what} …")),
            }
        }
        Prompt::Checking { .. } => checking_line(model, run),
        Prompt::Failed { .. } => {
            let undo = run.current().is_some_and(|index| !run.runbook.steps[index].undo.is_empty());
            let mut row = does(look, model.key(KeyAction::Retry), "try again");
            if undo {
                row = row.join(does(look, model.key(KeyAction::Undo), "undo this step"));
            }
            row = row.join(does(look, model.key(KeyAction::Skip), "skip, with a reason"));
            if run.can_roll_back() {
                row.join(does(look, model.key(KeyAction::Rollback), "roll back"))
            } else {
                row
            }
        }
        Prompt::Unknown { at } if run.is_looked_at(&at) => {
            waits(look, "Nothing to press: the cluster is looked at for what became of it …")
        }
        Prompt::Unknown { at } if run.outlives(&at).is_some() => {
            does(look, ":", "kill  ends its process; or wait, its end is seen")
        }
        Prompt::Unknown { .. } => {
            does(look, enter, "say what became of it: done, not done, run again, or roll back")
        }
        Prompt::Countdown { ends_at, .. } => does(look, model.key(KeyAction::Rollback), "roll back now")
            .join(does(
                look,
                model.key(KeyAction::CancelCountdown),
                format!("cancel, with a reason ({} left)", ends_at.since(model.now).clock()),
            )),
        Prompt::Fired { .. } => does(look, model.key(KeyAction::Rollback), "roll back").join(does(
            look,
            model.key(KeyAction::CancelCountdown),
            "go on, with a reason",
        )),
        Prompt::Held { cause: HoldCause::Foreign, .. } => does(look, enter, "goes on once put back")
            .join(does(look, ":putback", "puts it back"))
            .join(does(look, ":accept", "takes it")),
        Prompt::Held { .. } => does(look, enter, "goes on with the run (asks first)"),
        Prompt::RollingBack => {
            let what = run.rolling_back().map_or("rollback", |rollback| rollback.procedure.as_str());
            match check_due(model) {
                Some((place, _, check)) => {
                    let text = run.checks(&place).get(check).map_or("", |check| &check.text);
                    does(look, model.key(KeyAction::Tick), format!("confirms: {text}"))
                }
                None if run.is_undoing_steps() => {
                    does(look, model.key(KeyAction::Hold), "stops after the action that runs").join(does(
                        look,
                        model.key(KeyAction::CancelCountdown),
                        "gives the rollback up, with a reason",
                    ))
                }
                None if run.waiting_act().is_some() => does(
                    look,
                    model.key(KeyAction::CancelCountdown),
                    "gives the rollback up, with a reason; it is tried until it is done",
                ),
                None => {
                    waits(look, format!("Nothing to press: the rollback ({what}) runs to its end by itself."))
                }
            }
        }
        Prompt::RollbackStopped { .. } => {
            does(look, model.key(KeyAction::Retry), "try the failed action again").join(does(
                look,
                model.key(KeyAction::CancelCountdown),
                "give the rollback up, with a reason",
            ))
        }
        Prompt::Finished { outcome } => finished_line(model, run, outcome),
    }
}

fn checklist_line(model: &Model, run: &Run, open: &[(usize, usize)]) -> Row {
    let look = model.look;
    let person = open.iter().filter(|(g, i)| run.is_persons_item(*g, *i)).count();
    let selected = model.item_shown().filter(|item| open.contains(item));
    let by_person = selected.is_some_and(|(g, i)| run.is_persons_item(g, i));
    let to_go = format!("{} to go, then {} opens step 1", open.len(), model.key(KeyAction::Confirm));
    match (selected, by_person) {
        (Some(_), true) => {
            does(look, model.key(KeyAction::Tick), format!("ticks the selected item; {to_go}"))
        }
        (Some(_), false) => does(look, model.key(KeyAction::Recheck), format!("looks again; {to_go}")),
        (None, _) if person > 0 => {
            does(look, model.key(KeyAction::Confirm), format!("goes to the next open item; {to_go}"))
        }
        (None, _) => does(
            look,
            model.key(KeyAction::Confirm),
            format!("goes to the next item that does not hold; {to_go}"),
        ),
    }
}

/// What is done, in so many columns: with details, without, and at last only the first parts and how many follow.
fn in_short(items: &[&str], room: usize) -> String {
    let whole = items.join(", ");
    if whole.width() <= room {
        return whole;
    }
    let bare: Vec<&str> =
        items.iter().map(|item| item.split_once(": ").map_or(*item, |(what, _)| what)).collect();
    let first = |count: usize| match bare.len() - count {
        0 => bare.join(", "),
        more => format!("{}, +{more} more", bare[..count].join(", ")),
    };
    (1..=bare.len()).rev().map(first).find(|text| text.width() <= room).unwrap_or_else(|| match bare.len() {
        0 | 1 => bare.join(""),
        count => format!("{count} actions"),
    })
}

fn checking_line(model: &Model, run: &Run) -> Row {
    let look = model.look;
    // In a breach the way back comes before everything else.
    if model.phase() == Phase::Window && run.triggers.iter().any(|state| state.breaching.is_some()) {
        let plan = run.rollback_plan(model.telemetry.workload.as_ref(), model.now);
        let items: Vec<&str> = plan.items.iter().map(|item| item.text.as_str()).collect();
        let key = model.key(KeyAction::Rollback);
        // The key with a blank before and two behind it, and two at the end.
        let room = usize::from(model.size.0).saturating_sub(key.width() + "   roll back now:   ".len());
        return does(look, key, format!("roll back now: {}", in_short(&items, room)));
    }
    if let Some((place, _, check)) = check_due(model) {
        let text = run.checks(&place).get(check).map_or("", |check| &check.text);
        let open = run
            .work(&place)
            .and_then(|work| work.checks.get(check))
            .is_some_and(|state| state.status != crate::domain::run::CheckStatus::Holds);
        if run.has_caught(&place, check) {
            let what = format!("takes back, with a reason: {text}");
            return does(look, model.key(KeyAction::Tick), what).join(does(
                look,
                model.key(KeyAction::Fails),
                "the step fails",
            ));
        }
        if open {
            return does(look, model.key(KeyAction::Tick), format!("ticks: {text}")).join(does(
                look,
                model.key(KeyAction::Fails),
                "it does not hold",
            ));
        }
    }
    if model.phase() == Phase::Window {
        return waits(look, "Nothing to press: the window is watched until its time is full. ").join(does(
            look,
            model.key(KeyAction::Rollback),
            "rolls back",
        ));
    }
    waits(look, "Nothing to press: checks are looked at until they hold or their time is over.")
}

fn finished_line(model: &Model, run: &Run, outcome: Outcome) -> Row {
    let look = model.look;
    let quit = model.key(KeyAction::Quit);
    let open = run.tasks.iter().filter(|task| task.done.is_none()).count();
    if open > 0 {
        return does(look, model.key(KeyAction::Tick), format!("ticks the selected task; {open} to go"))
            .join(does(look, quit, "leaves; `cutover tasks` has them"));
    }
    match outcome {
        Outcome::RollbackFailed => {
            does(look, model.key(KeyAction::Contacts), "whom to call").join(does(look, quit, "leaves"))
        }
        _ => {
            does(look, quit, format!("leaves: the run has {}", story::outcome_words(outcome).to_lowercase()))
        }
    }
}

/// What starting a step means, in words.
pub fn start_words(run: &Run, step: &crate::domain::runbook::Step) -> String {
    use crate::domain::action::ActionKind;
    let switch = step.run.iter().find_map(|action| match &action.kind {
        ActionKind::SwitchTraffic { to, .. } => run.slot(to),
        _ => None,
    });
    if let Some(slot) = switch {
        return format!("switches traffic to {}", slot.0.to_uppercase());
    }
    if let Some(window) = step.window {
        return format!("starts: {} (watched for {})", step.title, window.lasts);
    }
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    match (step.run.len(), step.check.len()) {
        (0, checks) => format!("starts: {} ({})", step.title, count(checks, "check")),
        (actions, 0) => format!("starts: {} ({})", step.title, count(actions, "action")),
        (actions, checks) => {
            format!("starts: {} ({}, then {})", step.title, count(actions, "action"), count(checks, "check"))
        }
    }
}

/// What is asked for first.
pub fn confirm_words(confirm: Confirm, word: &str) -> String {
    match confirm {
        Confirm::None => String::new(),
        Confirm::Twice => " (asks once more)".to_owned(),
        Confirm::Type => format!(" (you will type the word: {word})"),
    }
}

fn form_line(model: &Model, form: &Form) -> Row {
    let look = model.look;
    let enter = model.key(KeyAction::Confirm);
    let esc = model.key(KeyAction::Back);
    let what = match &form.purpose {
        Purpose::Ask { name, .. } => format!("sets {name} to what is written"),
        Purpose::Decide { .. } if form.choice == 0 => "answers yes".to_owned(),
        Purpose::Decide { .. } => "answers no".to_owned(),
        Purpose::Override { open } => {
            format!("opens the steps with {open} items open, with this reason in the log")
        }
        Purpose::TickItem { .. } => "ticks the item, with this note".to_owned(),
        Purpose::Waive { .. } => "says that the item is not needed, with this reason".to_owned(),
        Purpose::Start { confirm: Confirm::Twice, .. } | Purpose::Proceed { confirm: Confirm::Twice, .. } => {
            if form.pressed == 0 {
                "asks once more".to_owned()
            } else {
                "starts it".to_owned()
            }
        }
        Purpose::Start { .. } | Purpose::Proceed { .. } => "starts it, once the word stands there".to_owned(),
        Purpose::TickCheck { holds: true, .. } => {
            "takes it back: what was seen is no reason to stop".to_owned()
        }
        Purpose::TickCheck { .. } => "says that it does not hold: the step fails".to_owned(),
        Purpose::Skip { .. } => "leaves the step out, with this reason".to_owned(),
        Purpose::Undo { word: Some(_), .. } => "undoes the step, once the word stands there".to_owned(),
        Purpose::Resolve { at } => match RESOLUTIONS.get(form.choice) {
            Some(_) if model.run.as_ref().is_some_and(|run| run.outlives(at).is_some()) => {
                "not while its process runs".to_owned()
            }
            Some(_) => "says so, and the run goes on from there".to_owned(),
            None => "shows what a rollback would do".to_owned(),
        },
        Purpose::Hold => "holds the run, with this reason".to_owned(),
        Purpose::CancelCountdown { .. } => "cancels it, with this reason in the log".to_owned(),
        Purpose::Abandon => "gives the rollback up: it then counts as failed".to_owned(),
        Purpose::Abort => "ends the run here, as failed".to_owned(),
        Purpose::Note => "adds it to the log".to_owned(),
        Purpose::Incident(draft) if draft.field < 3 => "goes to the next field".to_owned(),
        Purpose::Incident(_) => "keeps the incident's text; sending it is a step of its own".to_owned(),
        Purpose::Continue | Purpose::SendIncident | Purpose::Undo { .. } | Purpose::Quit => {
            if form.choice == 0 { "yes".to_owned() } else { "no, back".to_owned() }
        }
    };
    does(look, enter, what).join(does(look, esc, "back"))
}

fn rollback_line(model: &Model, form: &RollbackForm) -> Row {
    let look = model.look;
    let esc = does(look, model.key_in(Context::Dialog, KeyAction::Back), "cancel");
    let enter = model.key_in(Context::Dialog, KeyAction::Confirm);
    let yes = model.key_in(Context::Dialog, KeyAction::Yes);
    match (form.focus, &form.word) {
        (RollbackFocus::Reasons, None) => {
            does(look, yes, "roll back now").join(does(look, "j/k", "reason")).join(esc)
        }
        (RollbackFocus::Reasons, Some(_)) => {
            does(look, "j/k", "reason").join(does(look, "TAB", "the word")).join(esc)
        }
        (RollbackFocus::Other, _) => does(look, enter, "done writing; then roll back").join(esc),
        (RollbackFocus::Word, Some(word)) => {
            does(look, enter, format!("goes on, once {word} stands there")).join(esc)
        }
        (RollbackFocus::Word, None) => esc,
        (RollbackFocus::Cancel, _) => {
            does(look, enter, "closes this, nothing happens").join(does(look, "TAB", "Roll back"))
        }
        (RollbackFocus::Go, _) => does(look, enter, "ROLLS BACK NOW").join(esc),
    }
}

fn page_line(model: &Model, kind: &PageKind) -> Row {
    let look = model.look;
    let key = |action| model.key(action);
    let held = matches!(model.prompt(), Some(Prompt::Held { .. })) && !model.looks_only();
    let back = if *kind == PageKind::Missed && held {
        // The banner above speaks of Enter: that is the run's, not this page's.
        "back to the run; there ENTER goes on"
    } else {
        "back to the run"
    };
    let back = does(look, key(KeyAction::Back), back);
    let row = match kind {
        PageKind::Tasks => does(look, key(KeyAction::Tick), "ticks the selected task"),
        PageKind::Incident => {
            let declared = model.run.as_ref().is_some_and(|run| run.incident.is_some());
            let what = if declared { "changes the text" } else { "declares an incident" };
            does(look, key(KeyAction::Confirm), what).join(does(
                look,
                key(KeyAction::Send),
                "previews and sends",
            ))
        }
        PageKind::Logs { .. } => does(look, key(KeyAction::NextSource), "next slot or pod"),
        PageKind::Output(_) => does(look, key(KeyAction::NextSource), "next action"),
        PageKind::Contacts | PageKind::Links => does(look, key(KeyAction::Copy), "copies the selected line"),
        _ => Row::new(),
    };
    row.join(back)
}

#[cfg(test)]
mod tests {
    use super::in_short;

    #[test]
    fn what_a_rollback_does_is_shortened_by_parts() {
        let items = ["point web at BLUE", "tell #ops: ROLLBACK: back on v1", "scale GREEN to 0"];
        assert_eq!(
            in_short(&items, 80),
            "point web at BLUE, tell #ops: ROLLBACK: back on v1, scale GREEN to 0"
        );
        assert_eq!(in_short(&items, 67), "point web at BLUE, tell #ops, scale GREEN to 0");
        assert_eq!(in_short(&items, 45), "point web at BLUE, tell #ops, +1 more");
        assert_eq!(in_short(&items, 30), "point web at BLUE, +2 more");
        assert_eq!(in_short(&items, 20), "3 actions");
        assert_eq!(in_short(&items[..1], 5), "point web at BLUE");
        assert_eq!(in_short(&[], 5), "");
    }
}
