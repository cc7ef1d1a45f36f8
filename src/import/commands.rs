//! Commands of the page: from a fence to entries of a step, with names, variables and what may not run by itself.

use super::{
    draft::{Command, Draft, Entry, Point, Source},
    fence::{self, Line},
    findings::Ledger,
    holes,
    nature::{self, Nature},
    secrets::is_secret_name,
    shell,
    words::{address, one_line},
};

/// What a fence became.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) entries: Vec<Entry>,
    /// Remarks that belong to no command.
    pub(super) notes: Vec<String>,
    /// What follows would run elsewhere: inside what this command enters.
    pub(super) enters: Option<String>,
}

/// Words before what a command prints.
fn is_expectation(text: &str) -> bool {
    let lower = text.to_lowercase();
    [
        "expected",
        "expect ",
        "expect:",
        "output",
        "should ",
        "returns",
        "result:",
        "=>",
        "->",
        "→",
        "e.g. output",
        "résultat",
        "sortie",
    ]
    .iter()
    .any(|start| lower.starts_with(start))
}

/// Reads a fence with commands. `first` is the page's line of its first line; `name` is what the page calls it.
pub(super) fn take(
    lines: Vec<Line>,
    first: usize,
    name: Option<&str>,
    inside: Option<&str>,
    draft: &mut Draft,
    ledger: &mut Ledger,
) -> Taken {
    let mut taken = Taken { enters: inside.map(str::to_owned), ..Taken::default() };
    let commands = lines.iter().filter(|line| matches!(line, Line::Command { .. })).count();
    let mut pending: Vec<(String, usize)> = Vec::new();
    // `cd` and the like hold for what follows in the fence.
    let mut prefix: Vec<String> = Vec::new();
    let mut unnamed = 0;
    for line in lines {
        match line {
            Line::Comment { text, line } => {
                let text = super::roles::without_number(&text).to_owned();
                if text.is_empty() {
                    ledger.form(first + line, first + line);
                } else if let (true, Some(Entry::Command(last))) =
                    (is_expectation(&text) && pending.is_empty(), taken.entries.last_mut())
                {
                    ledger.taken(first + line, first + line, "what the command above prints");
                    last.expected = Some(match last.expected.take() {
                        Some(before) => format!("{before}; {text}"),
                        None => text,
                    });
                } else {
                    pending.push((text, first + line));
                }
            }
            Line::Other { text, line } => {
                for (note, at) in pending.drain(..) {
                    remark(note, at, &mut taken, draft, ledger);
                }
                ledger.note(first + line, first + line, &text);
                taken.notes.push(text);
            }
            Line::Command { text, first: from, last: to } => {
                let (from, to) = (first + from, first + to);
                let mut named: Option<String> = None;
                let comments = pending.len();
                for (at, (note, line)) in pending.drain(..).enumerate() {
                    // The nearest comment names the command; what stands above that is a remark.
                    if at + 1 == comments && note.chars().count() <= 120 {
                        ledger.form(line, line);
                        named = Some(note.trim_end_matches(':').to_owned());
                    } else {
                        if let Some((words, url)) = address(&note) {
                            draft.link(words.trim_start_matches("Open "), &url);
                        }
                        ledger.note(line, line, &note);
                        taken.notes.push(note);
                    }
                }
                if named.is_none() {
                    unnamed += 1;
                }
                let named = named.or_else(|| {
                    name.filter(|_| commands == 1 || unnamed == 1 && commands == 0).map(str::to_owned)
                });
                let mut command = Command { name: named, first: from, last: to, ..Command::default() };
                let nature = nature::of(&text);
                if let Some(place) = &taken.enters {
                    if nature == Nature::Idle && text.trim() != "set" {
                        ledger.taken(from, to, "left with the session");
                        if text.starts_with("exit") || text.starts_with("logout") {
                            taken.enters = None;
                        }
                        taken.notes.push(text);
                        continue;
                    }
                    command.by_hand = Some(format!("runs inside `{place}`, not on this host"));
                    command.script = text;
                    put(command, draft, &mut taken, ledger);
                    continue;
                }
                if let Some(rest) = moves(&text) {
                    ledger.taken(from, to, "holds for the commands that follow in this block");
                    taken.notes.extend(command.name.map(|name| format!("{name}: {text}")));
                    prefix.push(rest);
                    continue;
                }
                match nature {
                    Nature::Idle => {
                        ledger.note(from, to, &format!("{text}: a run needs no such command"));
                        taken.notes.push(with_name(&command, &text));
                        continue;
                    }
                    Nature::Watches => {
                        ledger.note(from, to, &format!("{text}: shows something until it is stopped"));
                        taken.notes.push(format!("By hand: {}", with_name(&command, &text)));
                        continue;
                    }
                    Nature::Enters => {
                        command.by_hand = Some("waits for a person at a terminal".to_owned());
                        command.script.clone_from(&text);
                        taken.enters = Some(text);
                        put(command, draft, &mut taken, ledger);
                        continue;
                    }
                    Nature::Interactive => {
                        command.by_hand = Some("waits for a person at a terminal".to_owned());
                        command.script = text;
                        put(command, draft, &mut taken, ledger);
                        continue;
                    }
                    Nature::Looks | Nature::Tests | Nature::Changes => {}
                }
                if let Some(all) = shell::assignments(&text) {
                    let title = command.name.clone();
                    if let Some(title) = title.filter(|_| comments > 0) {
                        draft.head.comments.push(format!("{title} (line {from})"));
                    }
                    for (name, value) in all {
                        let bare = value.trim_matches(['"', '\'']);
                        let other = draft
                            .var(&name)
                            .is_some_and(|var| matches!(&var.source, Source::Value(known) if known != bare));
                        if other && holes::holes(&value).is_empty() {
                            // Another value than before: it holds for what follows in this block only.
                            ledger.taken(from, to, "variable, for the commands that follow in this block");
                            ledger.decide(from, &format!("${name} has another value above"));
                            taken.notes.push(text.clone());
                            prefix.push(format!("export {name}={value}"));
                            continue;
                        }
                        if let Some(found) = assign(&name, &value, from, to, draft, ledger) {
                            taken.entries.push(Entry::Command(found));
                        }
                    }
                    continue;
                }
                command.script = text;
                fill(&mut command, draft, ledger);
                if command.by_hand.is_none() && !prefix.is_empty() {
                    command.script = format!("{}\n{}", prefix.join("\n"), command.script);
                }
                put(command, draft, &mut taken, ledger);
            }
        }
    }
    for (note, at) in pending.drain(..) {
        remark(note, at, &mut taken, draft, ledger);
    }
    // Whoever enters something leaves it at the end of the block, unless the block is nothing else.
    if commands > 1 && inside.is_none() {
        taken.enters = None;
    }
    taken
}

fn with_name(command: &Command, text: &str) -> String {
    command.name.as_ref().map_or_else(|| text.to_owned(), |name| format!("{name}: {text}"))
}

/// A comment that belongs to no command: a note, and a link where it has an address.
fn remark(text: String, line: usize, taken: &mut Taken, draft: &mut Draft, ledger: &mut Ledger) {
    if let Some((words, url)) = address(&text) {
        let words = words.trim_start_matches("Open ").trim_start_matches("open ").to_owned();
        draft.link(&words, &url);
    }
    ledger.note(line, line, &text);
    taken.notes.push(text);
}

/// A command that only moves the shell: as it stands before each that follows.
fn moves(text: &str) -> Option<String> {
    let word = fence::program(text);
    let simple = shell::words(text).is_some() || text.contains('~');
    if !simple || text.contains("&&") || text.contains('\n') || !holes::holes(text).is_empty() {
        return None;
    }
    match word {
        "cd" | "pushd" => Some(format!("{} || exit 1", text.replacen("pushd", "cd", 1))),
        "source" | "." => Some(format!("{} || exit 1", text.replacen("source ", ". ", 1))),
        "umask" | "shopt" => Some(text.to_owned()),
        _ => None,
    }
}

/// Puts variables in the place of holes, and declares them.
pub(super) fn fill(command: &mut Command, draft: &mut Draft, ledger: &mut Ledger) {
    let mut found = holes::holes(&command.script);
    for hole in &mut found {
        if hole.name == "VALUE" {
            // `xxx` here is not `xxx` there.
            let n = draft.vars.iter().filter(|var| var.name.starts_with("VALUE_")).count() + 1;
            hole.name = format!("VALUE_{n}");
            draft.declare(&hole.name, ask_for(&hole.name, &hole.written, command), false, command.first);
        }
    }
    let Some(script) = holes::filled(&command.script, &found) else {
        command.by_hand = Some("has a hole that no variable can fill".to_owned());
        return;
    };
    command.script = script;
    for hole in found {
        if hole.secret || is_secret_name(&hole.name) {
            draft.declare(&hole.name, Source::Env, true, command.first);
        } else if let Some(fact) = fact(&hole.name) {
            draft.declare(&hole.name, Source::From(fact), false, command.first);
        } else {
            let source = ask_for(&hole.name, &hole.written, command);
            draft.declare(&hole.name, source, false, command.first);
            ledger.decide(
                command.first,
                &format!("{} is a hole: the run asks for ${}", hole.written, hole.name),
            );
        }
    }
}

fn ask_for(name: &str, written: &str, command: &Command) -> Source {
    let what = command.name.as_ref().map(|name| format!(", for: {name}")).unwrap_or_default();
    let words = name.to_lowercase().replace('_', " ");
    let question = if name.starts_with("VALUE_") {
        format!("What stands for {written}{what}?")
    } else {
        format!("Which {words}{what}?")
    };
    Source::Ask { question, sample: None }
}

/// What the cluster knows, by the names that people give it.
pub(super) fn fact(name: &str) -> Option<&'static str> {
    Some(match name {
        "PREVIOUS_VERSION" | "OLD_VERSION" | "LAST_VERSION" | "PREV_VERSION" | "PREVIOUS_TAG" | "OLD_TAG"
        | "CURRENT_VERSION" | "PREVIOUS_IMAGE_TAG" => "live-image-tag",
        "PREVIOUS_IMAGE" | "OLD_IMAGE" => "live-image",
        _ => return None,
    })
}

fn put(mut command: Command, draft: &mut Draft, taken: &mut Taken, ledger: &mut Ledger) {
    if let Some(why) = &command.by_hand {
        ledger.taken(command.first, command.last, "command, for a person");
        ledger.decide(command.first, &format!("a person does this by hand: {why}"));
        let text = match &command.name {
            Some(name) => format!("By hand: {name}: {}", command.script),
            None => format!("By hand: {}", command.script),
        };
        draft.head.comments.append(&mut command.comments);
        taken.entries.push(Entry::Item(Point {
            text: one_line(&text),
            line: command.first,
            optional: false,
        }));
        return;
    }
    ledger.taken(command.first, command.last, "command");
    ledger.counts.commands += 1;
    taken.entries.push(Entry::Command(command));
}

/// Whether a value is one of this deployment only.
fn is_version(name: &str, value: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    let named = parts.iter().any(|part| {
        matches!(
            part.to_ascii_uppercase().as_str(),
            "VERSION" | "TAG" | "RELEASE" | "SHA" | "COMMIT" | "BUILD" | "REVISION"
        )
    });
    let bare = value.trim_start_matches('v');
    let dotted = bare.split('.').count() >= 3
        && bare.starts_with(|c: char| c.is_ascii_digit())
        && bare.split('.').take(2).all(|part| part.chars().all(|c| c.is_ascii_digit()));
    (named || dotted) && !value.contains('$') && !value.contains('/')
}

/// `export NAME=value`: a variable, and the command that finds its value where that is one.
fn assign(
    name: &str,
    written: &str,
    from: usize,
    to: usize,
    draft: &mut Draft,
    ledger: &mut Ledger,
) -> Option<Command> {
    ledger.taken(from, to, &format!("variable {name}"));
    ledger.counts.commands += 1;
    let bare = written.trim();
    let inner = bare.trim_matches(['"', '\'']);
    let secret = is_secret_name(name) || bare.contains("<secret:");
    let computed = inner.contains("$(") || inner.contains('`');
    if secret && !computed {
        draft.declare(name, Source::Env, true, from);
        return None;
    }
    let found = holes::holes(inner);
    if let [hole] = found.as_slice()
        && hole.at == (0..inner.len())
    {
        let words = hole.name.to_lowercase().replace('_', " ");
        let source = fact(name)
            .map_or(Source::Ask { question: format!("Which {words} ({name})?"), sample: None }, Source::From);
        draft.declare(name, source, false, from);
        ledger.decide(from, &format!("{} is a hole: the run asks for ${name}", hole.written));
        return None;
    }
    if computed {
        let lower = inner.to_lowercase();
        if lower.starts_with("$(date") || lower.starts_with("`date") {
            draft.declare(name, Source::From("opened-at"), false, from);
            return None;
        }
        if matches!(inner, "$(whoami)" | "`whoami`") {
            draft.declare(name, Source::From("pilot"), false, from);
            return None;
        }
        draft.declare(name, Source::Captured, secret, from);
        let mut command = Command {
            script: format!(
                "printf '%s\\n' {}",
                if bare.starts_with('"') { bare.to_owned() } else { format!("\"{bare}\"") }
            ),
            name: Some(format!("Find out {name}")),
            captures: Some(name.to_owned()),
            first: from,
            last: to,
            ..Command::default()
        };
        fill(&mut command, draft, ledger);
        if command.by_hand.is_some() {
            return None;
        }
        return Some(command);
    }
    let mut whole = Command { script: format!("x {bare}"), first: from, last: to, ..Command::default() };
    if !found.is_empty() {
        fill(&mut whole, draft, ledger);
    }
    let template = shell::words(&whole.script)
        .filter(|words| words.len() <= 2)
        .map(|words| words.get(1).map_or_else(String::new, |word| word.template.clone()));
    let template = template.unwrap_or_else(|| inner.replace('$', "$$"));
    let source = if is_version(name, &template) {
        Source::Ask {
            question: format!("Which {}? The page has {template}", name.to_lowercase().replace('_', " ")),
            sample: Some(template),
        }
    } else {
        Source::Value(template)
    };
    draft.declare(name, source, false, from);
    None
}
