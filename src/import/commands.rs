//! Commands of the page: from a fence to entries of a step, with names, variables and what may not run by itself.

use super::{
    aside,
    draft::{Command, Draft, Entry, Point, Source},
    fence::{self, Line},
    findings::Ledger,
    holes,
    nature::{self, Nature},
    secrets::is_secret_name,
    shell,
    words::{address, one_line},
};
use crate::domain::template::Template;

/// What a fence became.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) entries: Vec<Entry>,
    /// Remarks that belong to no command.
    pub(super) notes: Vec<String>,
    /// What follows would run elsewhere: inside what this command enters.
    pub(super) enters: Option<String>,
}

/// When a command is run that is not simply the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Instead of what stands before it.
    Another,
    /// One of several ways.
    Way,
    /// Only where its words are true.
    Condition,
}

impl Case {
    fn of(comment: &str, ways: &[&str]) -> Option<Self> {
        match comment {
            _ if aside::is_another_way(comment) => Some(Self::Another),
            _ if ways.contains(&comment) => Some(Self::Way),
            _ if aside::is_condition(comment) => Some(Self::Condition),
            _ => None,
        }
    }
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

/// Reads a fence with commands. `first` is the page's line of its first line; `name` is what the page calls it; `inside` is what
/// a fence before this one has entered.
pub(super) fn take(
    lines: Vec<Line>,
    first: usize,
    name: Option<&str>,
    inside: Option<&str>,
    draft: &mut Draft,
    ledger: &mut Ledger,
) -> Taken {
    let commands = lines.iter().filter(|line| matches!(line, Line::Command { .. })).count();
    let comments: Vec<String> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Comment { text, .. } => Some(super::roles::without_number(text).to_owned()),
            _ => None,
        })
        .collect();
    let mut fence = Fence {
        ways: aside::are_ways(comments.iter().map(String::as_str)),
        case: name.filter(|name| aside::is_condition(name)).map(|name| (Case::Condition, name.to_owned())),
        taken: Taken { enters: inside.map(str::to_owned), ..Taken::default() },
        name,
        commands,
        pending: Vec::new(),
        prefix: Vec::new(),
        unnamed: 0,
        draft,
        ledger,
    };
    for line in lines {
        match line {
            Line::Comment { text, line } => fence.comment(&text, first + line),
            Line::Other { text, line } => fence.other(text, first + line),
            Line::Command { text, first: from, last: to } => fence.command(text, first + from, first + to),
        }
    }
    fence.remarks();
    let mut taken = fence.taken;
    // Whoever enters something leaves it at the end of the block, unless the block is nothing else.
    if commands > 1 && inside.is_none() {
        taken.enters = None;
    }
    taken
}

/// A fence while it is read, line by line. Lines are those of the page, from 1.
struct Fence<'f> {
    taken: Taken,
    /// What the page calls the fence.
    name: Option<&'f str>,
    /// How many commands it has.
    commands: usize,
    /// Comments since the last command, each with its line: the last of them names the next command.
    pending: Vec<(String, usize)>,
    /// `cd` and the like hold for what follows in the fence.
    prefix: Vec<String>,
    /// How many commands no comment has named.
    unnamed: usize,
    /// Comments that name one of several ways each.
    ways: Vec<&'f str>,
    /// What the comments above say of when the commands below them are run.
    case: Option<(Case, String)>,
    draft: &'f mut Draft,
    ledger: &'f mut Ledger,
}

impl Fence<'_> {
    fn comment(&mut self, text: &str, line: usize) {
        let text = super::roles::without_number(text).to_owned();
        let said = (!is_expectation(&text)).then(|| Case::of(&text, &self.ways)).flatten();
        self.case = said.map(|of| (of, text.trim_end_matches(':').to_owned())).or(
            // More words on the same.
            self.case.take().filter(|_| !self.pending.is_empty() || is_expectation(&text)),
        );
        if text.is_empty() {
            self.ledger.form(line, line);
        } else if let (true, Some(Entry::Command(last))) =
            (is_expectation(&text) && self.pending.is_empty(), self.taken.entries.last_mut())
        {
            self.ledger.taken(line, line, "what the command above prints");
            last.expected = Some(match last.expected.take() {
                Some(before) => format!("{before}; {text}"),
                None => text,
            });
        } else {
            self.pending.push((text, line));
        }
    }

    /// A line that is no command, nor a comment.
    fn other(&mut self, text: String, line: usize) {
        self.remarks();
        self.ledger.note(line, line, &text);
        self.taken.notes.push(text);
    }

    /// Comments that name nothing.
    fn remarks(&mut self) {
        for (note, at) in std::mem::take(&mut self.pending) {
            remark(note, at, &mut self.taken, self.draft, self.ledger);
        }
    }

    fn command(&mut self, text: String, from: usize, to: usize) {
        let commented = !self.pending.is_empty();
        let mut command = Command { name: self.called(), first: from, last: to, ..Command::default() };
        let nature = nature::of(&text);
        if let Some(place) = &self.taken.enters {
            let place = place.clone();
            return self.within(&place, nature, text, command);
        }
        if let Some((of, words)) = self.case.clone() {
            return self.in_a_case(of, &words, text, command);
        }
        if let Some(rest) = moves(&text) {
            self.ledger.taken(from, to, "holds for the commands that follow in this block");
            self.taken.notes.extend(command.name.map(|name| format!("{name}: {text}")));
            self.prefix.push(rest);
            return;
        }
        match nature {
            Nature::Idle => {
                self.ledger.note(from, to, &format!("{text}: a run needs no such command"));
                self.taken.notes.push(with_name(&command, &text));
            }
            Nature::Watches => {
                self.ledger.note(from, to, &format!("{text}: shows something until it is stopped"));
                self.taken.notes.push(format!("By hand: {}", with_name(&command, &text)));
            }
            Nature::Enters | Nature::Interactive => {
                command.by_hand = Some("waits for a person at a terminal".to_owned());
                command.script.clone_from(&text);
                if nature == Nature::Enters {
                    self.taken.enters = Some(text);
                }
                put(command, self.draft, &mut self.taken, self.ledger);
            }
            Nature::Looks | Nature::Tests | Nature::Changes => match shell::assignments(&text) {
                Some(all) => self.assignments(&all, commented, &text, &command),
                None => self.acts(text, command),
            },
        }
    }

    /// A command that is not simply the next one: the page says when it is run, so a person does.
    fn in_a_case(&mut self, of: Case, words: &str, text: String, mut command: Command) {
        match of {
            Case::Another => {
                self.ledger.note(command.first, command.last, &one_line(&text));
                self.ledger.decide(command.first, "this is another way, so it does not run: choose one");
                self.taken.notes.push(format!("{words}: {}", one_line(&text)));
                return;
            }
            Case::Way => command.by_hand = Some("one of several ways: choose one".to_owned()),
            Case::Condition => command.by_hand = Some("it is for some cases only".to_owned()),
        }
        command.name.get_or_insert_with(|| words.to_owned());
        command.script = text;
        put(command, self.draft, &mut self.taken, self.ledger);
    }

    /// What the page calls the next command: the comment right above it, else the fence's own name where that has one
    /// command. What else stands above is kept as remarks.
    fn called(&mut self) -> Option<String> {
        let mut named: Option<String> = None;
        let comments = self.pending.len();
        for (at, (note, line)) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            // The nearest comment names the command; what stands above that is a remark.
            if at + 1 == comments && note.chars().count() <= 120 {
                self.ledger.form(line, line);
                named = Some(note.trim_end_matches(':').to_owned());
            } else {
                if let Some((words, url)) = address(&note) {
                    self.draft.link(words.trim_start_matches("Open "), &url);
                }
                self.ledger.note(line, line, &note);
                self.taken.notes.push(note);
            }
        }
        if named.is_none() {
            self.unnamed += 1;
        }
        let only = self.commands == 1 || self.unnamed == 1 && self.commands == 0;
        named.or_else(|| self.name.filter(|_| only).map(str::to_owned))
    }

    /// A command that follows one which has entered something (a shell in a pod, a database): it would not run on this host.
    fn within(&mut self, place: &str, nature: Nature, text: String, mut command: Command) {
        if nature == Nature::Idle && text.trim() != "set" {
            self.ledger.taken(command.first, command.last, "left with the session");
            if text.starts_with("exit") || text.starts_with("logout") {
                self.taken.enters = None;
            }
            self.taken.notes.push(text);
            return;
        }
        command.by_hand = Some(format!("runs inside `{place}`, not on this host"));
        command.script = text;
        put(command, self.draft, &mut self.taken, self.ledger);
    }

    /// `NAME=value`: variables of the runbook, or of this block alone where the page has another value above.
    fn assignments(&mut self, all: &[(String, String)], commented: bool, text: &str, command: &Command) {
        let (from, to) = (command.first, command.last);
        if let Some(title) = command.name.as_ref().filter(|_| commented) {
            self.draft.head.comments.push(format!("{title} (line {from})"));
        }
        for (name, value) in all {
            let bare = value.trim_matches(['"', '\'']);
            let longer = Template::from(value.as_str()).names().any(|used| used == name);
            if longer && !value.starts_with('\'') {
                // `PATH="$PATH:/opt/bin"`: only the shell knows what it is made of.
                self.ledger.taken(from, to, "variable, for the commands that follow in this block");
                self.taken.notes.push(text.to_owned());
                self.prefix.push(format!("export {name}={value}"));
                continue;
            }
            let other = self
                .draft
                .var(name)
                .is_some_and(|var| matches!(&var.source, Source::Value(known) if known != bare));
            if other && holes::holes(value).is_empty() {
                // Another value than before: it holds for what follows in this block only.
                self.ledger.taken(from, to, "variable, for the commands that follow in this block");
                self.ledger.decide(from, &format!("${name} has another value above"));
                self.taken.notes.push(text.to_owned());
                self.prefix.push(format!("export {name}={value}"));
                continue;
            }
            if let Some(found) = assign(name, value, from, to, self.draft, self.ledger) {
                self.taken.entries.push(Entry::Command(found));
            }
        }
    }

    /// A command that a run can execute, after what moves its shell.
    fn acts(&mut self, text: String, mut command: Command) {
        command.script = text;
        fill(&mut command, self.draft, self.ledger);
        if command.by_hand.is_none() && !self.prefix.is_empty() {
            command.script = format!("{}\n{}", self.prefix.join("\n"), command.script);
        }
        put(command, self.draft, &mut self.taken, self.ledger);
    }
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
    // What is made of an output is only known once there is that output.
    let made_of_output = Template::from(inner)
        .names()
        .any(|name| draft.var(name).is_some_and(|var| var.source == Source::Captured));
    let computed = inner.contains("$(") || inner.contains('`') || made_of_output && !bare.starts_with('\'');
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
