//! `:` commands, by name.

use crate::{
    config::keymap::{Key, KeyAction},
    domain::{
        message::{Command, JournalState},
        prompt::Prompt,
        run::Run,
    },
    tui::{
        commands::{self, matching},
        model::{
            Layer, Model,
            form::{Form, Purpose},
            page::PageKind,
        },
        msg::Effect,
    },
};

use super::{form, page, save_screen, send, text};

/// A key while a command is typed.
pub(super) fn on_key(model: &mut Model, key: Key, action: Option<KeyAction>, effects: &mut Vec<Effect>) {
    let replays = model.replays();
    let Some(Layer::Command(input)) = model.layers.last_mut() else { return };
    match action {
        Some(KeyAction::Back) => {
            model.layers.pop();
        }
        Some(KeyAction::NextField) => {
            let completed = matching(replays, input.value()).next().map(|(name, ..)| *name);
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
    let all = || commands::all(model.replays());
    let mut found = all().filter(|(command, ..)| command.starts_with(name));
    let exact = all().find(|(command, ..)| *command == name);
    let chosen = exact.or_else(|| found.next().filter(|_| found.next().is_none()));
    let Some((command, ..)) = chosen else {
        return model.refuse(format!("no such command, or ambiguous: `{name}`; :help lists them"));
    };
    match *command {
        "goto" => super::replay::goto(model, rest),
        "note" => written(model, Purpose::Note, rest, effects),
        "hold" => written(model, Purpose::Hold, rest, effects),
        "continue" => send(model, Command::Continue, effects),
        "override" => match model.prompt() {
            Some(Prompt::Checklist { open }) => {
                written(model, Purpose::Override { open: open.len() }, rest, effects);
            }
            _ => model.refuse("no open items: the steps can start"),
        },
        "skip" => match model.run.as_ref().and_then(due_step) {
            Some(step) => written(model, Purpose::Skip { step }, rest, effects),
            None => model.refuse("no step is next"),
        },
        "unrecorded" if model.journal == JournalState::Whole => {
            model.refuse("the journal works; roll back as usual");
        }
        "accept" => send(model, Command::TakeTarget, effects),
        "putback" => send(model, Command::PutBack, effects),
        "blind" => send(model, Command::GoBlind { typed: rest.to_owned() }, effects),
        "unrecorded" => send(model, Command::GoOnUnrecorded { typed: rest.to_owned() }, effects),
        "abort" => written(model, Purpose::Abort, rest, effects),
        "rollback" if rest.is_empty() => form::open_rollback(model),
        "rollback" => form::open_procedure(model, rest),
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
        "reload" => effects.push(Effect::Reload),
        "save" => save_screen(effects),
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

/// Requests that are allowed without control. The engine decides who may do what.
fn of_crew(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    if model.options.read_only {
        return model.refuse("this screen only watches; use: cutover attach");
    }
    effects.push(Effect::Send(command));
}

fn open_page(model: &mut Model, name: &str, effects: &mut Vec<Effect>) {
    match name {
        "log" => page::open(model, PageKind::Story, effects),
        "missed" => page::open(model, PageKind::Missed, effects),
        "crew" => page::open(model, PageKind::Crew, effects),
        "alerts" => page::open(model, PageKind::Alerts, effects),
        "preflight" => page::open(model, PageKind::Preflight, effects),
        "output" => match model.measured().outputs.back().map(|(at, _)| at.clone()) {
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
