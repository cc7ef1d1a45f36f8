//! `:` commands, by name.

use crate::{
    config::keymap::{Key, KeyAction},
    domain::{
        message::{Command, JournalState},
        prompt::Prompt,
        run::Run,
    },
    tui::{
        model::{
            Layer, Model,
            form::{Form, Purpose},
            page::PageKind,
        },
        msg::Effect,
    },
};

use super::{form, page, send, text};

/// A command: its name, what may follow it, what it does.
type Entry = (&'static str, &'static str, &'static str);

/// All commands, in the order of help.
pub const COMMANDS: &[Entry] = &[
    ("note", "TEXT", "a remark for the log"),
    ("hold", "REASON", "start nothing new"),
    ("continue", "", "go on after a hold"),
    ("override", "REASON", "open the steps although items are open"),
    ("skip", "REASON", "leave the step that is due out"),
    ("rollback", "[PROCEDURE]", "show what a rollback would do now"),
    ("accept", "", "take the target as it is after somebody else's change, and go on"),
    ("putback", "", "put somebody else's change back, as far as that is safe, and go on"),
    ("blind", "blind", "let a rollback go on that cannot look at the cluster"),
    ("unrecorded", "WORDS", "where the journal is lost: let a rollback go on without it"),
    ("abort", "REASON", "end the run here, before traffic was switched"),
    ("set", "NAME=VALUE", "give an asked variable another value, before the steps are open"),
    ("part", "NAME yes|no", "say whether an optional part applies, before the steps are open"),
    ("log", "", "what has happened, line by line"),
    ("alerts", "", "everything that is wrong now"),
    ("output", "", "all output of the last action"),
    ("logs", "", "the log of the slot that matters now"),
    ("metrics", "", "metrics with axes and bounds"),
    ("tasks", "", "what is to be done after the deployment"),
    ("incident", "", "incident response"),
    ("contacts", "", "whom to call"),
    ("links", "", "where to look"),
    ("inbox", "", "what the team was told"),
    ("help", "", "what every key does"),
    ("kill", "", "end the process of an unknown action that outlived its engine"),
    ("ask", "", "ask whoever drives for the controls"),
    ("give", "", "hand the controls to whoever asks for them"),
    ("keep", "", "keep the controls: whoever asked is told so"),
    ("take", "[REASON]", "take the controls, once the pilot's screen is gone, or from one's own"),
    ("approve", "", "agree, as somebody else than the pilot, that the step begins"),
    ("missed", "", "what happened while nobody was at the controls"),
    ("crew", "", "who is at the screens of this run"),
    ("quit", "", "leave the screen"),
];

/// Commands that begin like this, for the line above the footer.
pub(super) fn matching(typed: &str) -> impl Iterator<Item = &'static Entry> {
    let name = typed.split_whitespace().next().unwrap_or_default().to_owned();
    COMMANDS.iter().filter(move |(command, ..)| command.starts_with(&name))
}

/// A key while a command is typed.
pub(super) fn on_key(model: &mut Model, key: Key, action: Option<KeyAction>, effects: &mut Vec<Effect>) {
    let Some(Layer::Command(input)) = model.layers.last_mut() else { return };
    match action {
        Some(KeyAction::Back) => {
            model.layers.pop();
        }
        Some(KeyAction::NextField) => {
            let completed = matching(input.value()).next().map(|(name, ..)| *name);
            if let Some(name) = completed {
                *input = tui_input::Input::new(format!("{name} "));
            }
        }
        Some(KeyAction::Confirm) => {
            let line = input.value().trim().to_owned();
            model.layers.pop();
            run(model, &line, effects);
        }
        _ => text::edit(input, key),
    }
}

fn run(model: &mut Model, line: &str, effects: &mut Vec<Effect>) {
    let (name, rest) =
        line.split_once(char::is_whitespace).map_or((line, ""), |(name, rest)| (name, rest.trim()));
    if name.is_empty() {
        return;
    }
    let mut found = COMMANDS.iter().filter(|(command, ..)| command.starts_with(name));
    let exact = COMMANDS.iter().find(|(command, ..)| *command == name);
    let chosen = exact.or_else(|| found.next().filter(|_| found.next().is_none()));
    let Some((command, ..)) = chosen else {
        return model.refuse(format!("no command `{name}`, or more than one; :help lists them"));
    };
    match *command {
        "note" => written(model, Purpose::Note, rest, effects),
        "hold" => written(model, Purpose::Hold, rest, effects),
        "continue" => send(model, Command::Continue, effects),
        "override" => match model.prompt() {
            Some(Prompt::Checklist { open }) => {
                written(model, Purpose::Override { open: open.len() }, rest, effects);
            }
            _ => model.refuse("no checklist items keep the steps closed"),
        },
        "skip" => match model.run.as_ref().and_then(due_step) {
            Some(step) => written(model, Purpose::Skip { step }, rest, effects),
            None => model.refuse("no step is due"),
        },
        "unrecorded" if model.journal == JournalState::Whole => {
            model.refuse("the journal is written; roll back as ever");
        }
        "accept" => send(model, Command::TakeTarget, effects),
        "putback" => send(model, Command::PutBack, effects),
        "blind" => send(model, Command::GoBlind { typed: rest.to_owned() }, effects),
        "unrecorded" => send(model, Command::GoOnUnrecorded { typed: rest.to_owned() }, effects),
        "abort" => written(model, Purpose::Abort, rest, effects),
        "rollback" if rest.is_empty() => form::open_rollback(model),
        "rollback" => form::open_procedure(model, Some(rest)),
        "set" => match rest.split_once('=') {
            Some((name, value)) => {
                let command =
                    Command::SetVar { name: name.trim().to_owned(), value: value.trim().to_owned() };
                send(model, command, effects);
            }
            None => model.refuse("write :set NAME=VALUE"),
        },
        "part" => match rest.rsplit_once(char::is_whitespace) {
            Some((part, "yes" | "no")) => {
                let applies = rest.ends_with("yes");
                send(model, Command::DecidePart { part: part.trim().to_owned(), applies }, effects);
            }
            _ => model.refuse("write :part NAME yes, or :part NAME no"),
        },
        "quit" => form::open_quit(model, effects),
        "kill" => send(model, Command::EndChildren, effects),
        "ask" => of_crew(model, Command::AskControl, effects),
        "give" => of_crew(model, Command::HandOver, effects),
        "keep" => of_crew(model, Command::KeepControl, effects),
        "take" => of_crew(model, Command::TakeControl { reason: rest.to_owned() }, effects),
        "approve" => of_crew(model, Command::Approve { step: None }, effects),
        other => open_page(model, other, effects),
    }
}

/// What somebody may ask who does not drive. The engine knows who may what.
fn of_crew(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    if model.options.read_only {
        return model.refuse("this screen only watches; come with: cutover attach");
    }
    effects.push(Effect::Send(command));
}

fn open_page(model: &mut Model, name: &str, effects: &mut Vec<Effect>) {
    match name {
        "log" => page::open(model, PageKind::Story, effects),
        "missed" => page::open(model, PageKind::Missed, effects),
        "crew" => page::open(model, PageKind::Crew, effects),
        "alerts" => page::open(model, PageKind::Alerts, effects),
        "output" => match model.telemetry.outputs.back().map(|(at, _)| at.clone()) {
            Some(at) => page::open(model, PageKind::Output(at), effects),
            None => model.say("no action has printed anything yet"),
        },
        "logs" => page::toggle(model, KeyAction::Logs, effects),
        "metrics" => page::open(model, PageKind::Metrics, effects),
        "tasks" => page::open(model, PageKind::Tasks, effects),
        "incident" => page::open(model, PageKind::Incident, effects),
        "contacts" => page::open(model, PageKind::Contacts, effects),
        "links" => page::open(model, PageKind::Links, effects),
        "inbox" => page::open(model, PageKind::Inbox, effects),
        _ => page::open(model, PageKind::Help, effects),
    }
}

fn due_step(run: &Run) -> Option<crate::domain::id::StepId> {
    run.current().and_then(|index| run.runbook.steps.get(index)).map(|step| step.id.clone())
}

/// With its text at once where it was written behind the command, else with a question.
fn written(model: &mut Model, purpose: Purpose, rest: &str, effects: &mut Vec<Effect>) {
    let form = Form::typing(purpose, rest);
    if rest.is_empty() {
        return form::open(model, form);
    }
    if let Some(command) = model.run.as_ref().and_then(|run| form.command(run)) {
        send(model, command, effects);
    }
}
