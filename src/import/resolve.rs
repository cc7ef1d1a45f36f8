//! From what was gathered to a runbook: which commands are actions and which are checks, what fires, what is measured.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    draft::{Command, Draft, Entry, Point, Procedure, Source, Step},
    findings::Ledger,
    kubectl::{self, Request},
    measure::{Fires, Measured, is, measured, triggers},
    metrics::{self, Apart},
    nature::{self, Nature},
    secrets,
    target::{self, Place, Slots, Target},
    words::{quoted, slug},
};
use crate::domain::{template::Template, time::Span};

/// An action or a check: its keys and values, and comments above it.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) pairs: Vec<String>,
    pub(super) comments: Vec<String>,
    /// Texts that use variables, and whether each is a script.
    pub(super) texts: Vec<(String, bool)>,
}

/// A part of the course.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) run: Vec<Line>,
    pub(super) check: Vec<Line>,
    pub(super) undo: Vec<Line>,
    pub(super) window: Option<Span>,
    pub(super) when: Option<String>,
    pub(super) step: Step,
}

/// All that is written.
pub(super) struct Book {
    pub(super) draft: Draft,
    pub(super) strategy: (&'static str, bool),
    pub(super) target: Option<Target>,
    pub(super) parts: Vec<Part>,
    pub(super) completion: (Vec<Line>, Vec<Line>),
    pub(super) rollbacks: Vec<(Vec<Line>, Vec<Line>)>,
    pub(super) metrics: Vec<Measured>,
    pub(super) triggers: Vec<Fires>,
    pub(super) questions: Vec<(String, String)>,
    pub(super) notifies: bool,
}

/// A title without what stands in brackets at its end.
fn bare(title: &str) -> &str {
    title
        .split_once('(')
        .map(|(before, _)| before.trim())
        .filter(|before| !before.is_empty())
        .unwrap_or(title)
}

fn text(words: &str) -> String {
    format!("text = {}", quoted(words))
}

/// A command's name, and what the page says that it prints.
fn name(command: &Command) -> Option<String> {
    match (&command.name, &command.expected) {
        (Some(name), Some(expected)) => Some(format!("{name} ({expected})")),
        (Some(name), None) => Some(name.clone()),
        (None, Some(expected)) => Some(format!("{} ({expected})", super::words::one_line(&command.script))),
        (None, None) => None,
    }
}

struct Maker<'b> {
    draft: &'b Draft,
    target: Option<&'b Target>,
    strategy: &'static str,
    metrics: &'b [Measured],
    slots: BTreeSet<&'static str>,
    notifies: bool,
}

impl Maker<'_> {
    fn uncoloured(&mut self, text: &str, script: bool) -> String {
        let Some(target) = self.target else { return text.to_owned() };
        let (text, found) = target.uncoloured(text, script);
        if found {
            self.slots.extend(["NEW_SLOT", "PREVIOUS_SLOT"].into_iter().filter(|name| text.contains(name)));
        }
        text
    }

    /// A command as an action.
    fn action(&mut self, command: &Command, place: Place) -> Line {
        let mut line = Line { comments: command.comments.clone(), ..Line::default() };
        line.pairs.extend(name(command).as_ref().map(|name| format!("name = {}", quoted(name))));
        if command.captures.is_none() {
            if let Some((native, timeout)) = self
                .target
                .and_then(|target| target.native(&command.script, self.draft, place, self.strategy))
                .filter(|(native, _)| !self.tells_secret(native))
            {
                line.comments
                    .push(format!("page: {}", super::words::one_line(&command.script.replace("\\\n", " "))));
                line.texts.push((native.clone(), false));
                line.pairs.push(native);
                line.pairs.extend(timeout.map(|timeout| format!("timeout = \"{timeout}\"")));
                return line;
            }
            match kubectl::curl(&command.script) {
                // A message with a secret in it is sent as the page does: cutover itself posts none.
                Some(Request::Message(message)) if !self.tells_secret(&message) => {
                    self.notifies = true;
                    line.comments.push(format!(
                        "page: {}",
                        super::words::one_line(&command.script.replace("\\\n", " "))
                    ));
                    let message = message.replace("$USER", "$PILOT");
                    line.pairs.push(format!("notify = {}", quoted(&message)));
                    line.texts.push((message, false));
                    return line;
                }
                Some(Request::Read { url, headers }) if http_fits(&url) && !self.tells_secret(&url) => {
                    let http = self.http(&url, &headers);
                    line.texts.push((http.clone(), false));
                    line.pairs.push(http.replacen("http = {", "http = { method = \"GET\",", 1));
                    return line;
                }
                _ => {}
            }
        }
        let script = self.uncoloured(&command.script, true);
        line.pairs.push(format!("sh = {}", quoted(&script)));
        line.texts.push((script, true));
        if let Some(variable) = &command.captures {
            line.pairs.push(format!("capture = {{ {variable} = '(\\S.*)' }}"));
            line.pairs.push(format!("sample = {}", quoted(&variable.to_lowercase().replace('_', "-"))));
        }
        if nature::restores(&command.script) {
            line.pairs.push("confirm = \"type\"".to_owned());
            line.pairs.push("data_loss = \"what was written since the backup\"".to_owned());
        } else if nature::destroys(&command.script) {
            line.pairs.push("confirm = \"type\"".to_owned());
        }
        line
    }

    fn tells_secret(&self, text: &str) -> bool {
        Template::from(text).names().any(|name| secrets::is_secret(self.draft, name))
    }

    fn http(&mut self, url: &str, headers: &[(String, String)]) -> String {
        let url = self.uncoloured(url, false);
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value))).collect();
        let headers = if headers.is_empty() {
            String::new()
        } else {
            format!(", headers = {{ {} }}", headers.join(", "))
        };
        format!("http = {{ url = {}{headers} }}", quoted(&url))
    }

    /// A command as a check, where it is one.
    fn look(&mut self, command: &Command) -> Option<Line> {
        if command.captures.is_some()
            || self.target.is_some_and(|target| {
                target.native(&command.script, self.draft, Place::Step, self.strategy).is_some()
            })
        {
            return None;
        }
        let mut line = Line { comments: command.comments.clone(), ..Line::default() };
        line.pairs.extend(name(command).map(|name| text(&name)));
        let asked = match kubectl::curl(&command.script) {
            Some(Request::Read { url, headers }) => Some((url, headers, None)),
            Some(Request::Code { url, headers }) => Some((url, headers, expected_code(command))),
            _ => None,
        };
        if let Some((url, headers, code)) =
            asked.filter(|(url, ..)| http_fits(url) && !self.tells_secret(url))
        {
            let mut http = self.http(&url, &headers);
            if let Some(code) = code {
                http = format!("{}, status = {code} }}", http.strip_suffix(" }").unwrap_or(&http));
            }
            line.texts.push((http.clone(), false));
            line.pairs.push(http);
            return Some(line);
        }
        if !matches!(nature::of(&command.script), Nature::Looks | Nature::Tests) {
            return None;
        }
        let script = self.uncoloured(&command.script, true);
        line.pairs.push(format!("sh = {}", quoted(&script)));
        line.texts.push((script, true));
        line.pairs.extend(["timeout = \"5m\"".to_owned(), "interval = \"30s\"".to_owned()]);
        Some(line)
    }

    /// What a person looks at, or a metric where it states a bound of one.
    fn item(&self, point: &Point, switched: bool) -> Line {
        let mut line = Line { pairs: vec![text(&point.text)], ..Line::default() };
        if let Some((kind, found, _)) = metrics::stated(&point.text) {
            let known = self.metrics.iter().find(|known| is(known, &kind) && known.metric.unit == found.unit);
            match known {
                Some(known) if known.whole && (switched || known.per_slot) => {
                    line.pairs.push(format!("metric = {}, is = {}", quoted(&known.id), quoted(&found.bound)));
                    if !switched {
                        line.pairs.push("no_traffic = \"skip\"".to_owned());
                    }
                }
                Some(known) => {
                    let id = &known.id;
                    line.comments.push(format!(
                        "once [metrics.{id}] has its query: metric = \"{id}\", is = \"{}\"",
                        found.bound
                    ));
                }
                None => {}
            }
        }
        if point.optional {
            line.pairs.push("optional = true".to_owned());
        }
        line
    }

    /// Entries as actions and checks. What only looks is a check where nothing is done after it.
    fn course(&mut self, entries: &[Entry], place: Place, switched: bool) -> (Vec<Line>, Vec<Line>) {
        let (mut run, mut check) = (Vec::new(), Vec::new());
        let last = entries
            .iter()
            .rposition(|entry| matches!(entry, Entry::Command(command) if self.look(command).is_none()));
        for (at, entry) in entries.iter().enumerate() {
            let before = last.is_some_and(|last| at <= last);
            match entry {
                Entry::Command(command) if before => run.push(self.action(command, place)),
                Entry::Command(command) => check.extend(self.look(command)),
                Entry::Item(point) if before && place == Place::Rollback && !point.text.is_empty() => {
                    // In a way back, what a person does between two commands must wait for that person.
                    run.push(by_hand(&point.text));
                }
                Entry::Item(point) => check.push(self.item(point, switched)),
            }
        }
        (run, check)
    }

    /// What undoes a step.
    fn undo(&mut self, entries: &[Entry]) -> Vec<Line> {
        entries
            .iter()
            .map(|entry| match entry {
                Entry::Command(command) => self.action(command, Place::Undo),
                Entry::Item(point) => by_hand(&point.text),
            })
            .collect()
    }

    /// Whether users meet the new version by an action: it moves traffic, or gives the only slot its new image.
    fn meets(&self, action: &Line) -> bool {
        let one_slot = matches!(self.target.map(|target| &target.slots), Some(Slots::One(_)));
        action.pairs.iter().any(|pair| {
            pair.starts_with("switch_traffic = { to = \"new\"") || pair.starts_with("set_image") && one_slot
        })
    }
}

/// The status that the page says a command prints: `Expected: 200`.
fn expected_code(command: &Command) -> Option<u16> {
    let words = command.expected.as_deref()?;
    let code = words.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() == 3)?;
    code.parse().ok().filter(|code| (100..600).contains(code))
}

/// Something that a person does, within a list of actions: it waits until that is confirmed.
fn by_hand(words: &str) -> Line {
    let words = words.strip_prefix("By hand: ").unwrap_or(words);
    Line {
        pairs: vec![
            format!("name = {}", quoted(&format!("By hand: {words}"))),
            "sh = \":\"".to_owned(),
            "confirm = \"type\"".to_owned(),
        ],
        ..Line::default()
    }
}

/// Whether an address is one that a check can ask: whole, and without a user in it.
fn http_fits(url: &str) -> bool {
    let filled = Template::from(url).show(|_| Some("x".to_owned()));
    url::Url::parse(&filled).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    })
}

/// Puts everything together.
pub(super) fn book(mut draft: Draft, ledger: &mut Ledger) -> Book {
    only_with_something_to_do(&mut draft);
    secrets::spread(&mut draft);
    let strategy = target::strategy(&draft);
    let target = target::target(&draft, strategy.0);
    let apart = match target.as_ref().map(|target| &target.slots) {
        Some(Slots::Two { .. }) => Apart::Slots,
        _ => Apart::Not,
    };
    let metrics = measured(&draft, apart, ledger);
    let steps = std::mem::take(&mut draft.steps);
    let mut maker = Maker {
        draft: &draft,
        target: target.as_ref(),
        strategy: strategy.0,
        metrics: &metrics,
        slots: BTreeSet::new(),
        notifies: false,
    };
    let (parts, questions, left) = parts(steps, &mut maker);
    let completion = maker.course(&draft.completion, Place::Rollback, true);
    let rollbacks: Vec<(Vec<Line>, Vec<Line>)> = draft
        .rollbacks
        .iter()
        .map(|procedure| {
            let (mut run, check) = maker.course(&procedure.entries, Place::Rollback, true);
            if run.is_empty() {
                run.push(by_hand(&format!("{}: do what the checks say", procedure.title)));
            }
            (run, check)
        })
        .collect();
    let quick = draft.rollbacks.iter().any(|procedure| procedure.id == "quick");
    let triggers = triggers(&draft, &metrics, quick, ledger);
    let (slots, notifies) = (maker.slots, maker.notifies);
    draft.comments.extend(left);
    for name in slots {
        let fact = if name == "NEW_SLOT" { "idle-slot" } else { "live-slot" };
        draft.declare(name, Source::From(fact), false, 1);
    }
    Book { draft, strategy, target, parts, completion, rollbacks, metrics, triggers, questions, notifies }
}

/// Words about a way back are none: a procedure without anything to do would be a key that does nothing.
fn only_with_something_to_do(draft: &mut Draft) {
    let all = std::mem::take(&mut draft.rollbacks);
    let (with, without): (Vec<Procedure>, Vec<Procedure>) =
        all.into_iter().partition(|procedure| !procedure.entries.is_empty());
    for mut procedure in without {
        draft.comments.push(format!("{} (line {})", procedure.title, procedure.line));
        draft.comments.extend(procedure.only.take());
        draft.comments.append(&mut procedure.comments);
    }
    draft.rollbacks = with;
    // The first that is left is the one that R starts.
    if draft.rollbacks.iter().all(|procedure| procedure.id != "quick")
        && let Some(first) = draft.rollbacks.iter_mut().find(|procedure| procedure.id != "database")
    {
        "quick".clone_into(&mut first.id);
    }
}

/// The steps, with those split in which something is done after something was looked at.
fn parts(steps: Vec<Step>, maker: &mut Maker<'_>) -> (Vec<Part>, Vec<(String, String)>, Vec<String>) {
    let mut parts: Vec<Part> = Vec::new();
    let mut questions: Vec<(String, String)> = Vec::new();
    let mut carried: Vec<String> = Vec::new();
    let mut switched = false;
    let mut ids = Ids::default();
    for mut step in steps {
        if step.entries.is_empty() {
            carried.extend(only_words(step));
            continue;
        }
        step.comments.splice(0..0, carried.drain(..));
        let groups = groups(std::mem::take(&mut step.entries), maker);
        let when = step.optional.then(|| slug(bare(&step.title)));
        if let Some(name) = &when
            && !questions.iter().any(|(known, _)| known == name)
        {
            questions.push((name.clone(), format!("Does this deployment need this: {}?", step.title)));
        }
        let count = groups.len();
        for (at, entries) in groups.into_iter().enumerate() {
            let last = at + 1 == count;
            let title = if at == 0 { step.title.clone() } else { format!("{} ({})", step.title, at + 1) };
            let short =
                if at == 0 { slug(bare(&title)) } else { slug(&format!("{} {}", bare(&step.title), at + 1)) };
            // Users must have the new version before it can be watched.
            let window = watch(&step).filter(|_| switched && last);
            let (run, check) = maker.course(&entries, Place::Step, switched);
            let undo = if last { maker.undo(&step.undo) } else { Vec::new() };
            switched |= run.iter().any(|line| maker.meets(line));
            let step = shown(&step, title, at == 0);
            parts.push(Part { id: ids.own(&short), run, check, undo, window, when: when.clone(), step });
        }
    }
    (parts, questions, carried)
}

/// Ids of steps, each given once.
#[derive(Default)]
struct Ids {
    given: BTreeSet<String>,
    /// The last number that was put behind an id.
    counts: BTreeMap<String, usize>,
}

impl Ids {
    /// An id that no other step has: with a number behind it where the page has two steps of one title.
    fn own(&mut self, short: &str) -> String {
        let n = self.counts.entry(short.to_owned()).or_insert(1_usize);
        let mut id = short.to_owned();
        while !self.given.insert(id.clone()) {
            *n += 1;
            id = format!("{short}-{n}");
        }
        id
    }
}

/// A step without anything to do: its words belong to what follows.
fn only_words(mut step: Step) -> Vec<String> {
    let mut words = vec![format!("{} (line {})", step.title, step.line)];
    words.extend(step.critical.take());
    words.append(&mut step.comments);
    words.append(&mut step.notes);
    words.append(&mut step.on_failure);
    words.extend(step.undo.into_iter().map(|entry| match entry {
        Entry::Command(command) => format!("to undo: {} (line {})", command.script, command.first),
        Entry::Item(point) => format!("to undo: {} (line {})", point.text, point.line),
    }));
    words
}

/// Entries in groups, each of which is done first and looked at afterwards: a step of a runbook knows no other order.
fn groups(entries: Vec<Entry>, maker: &mut Maker<'_>) -> Vec<Vec<Entry>> {
    let mut groups: Vec<Vec<Entry>> = vec![Vec::new()];
    let mut looked = false;
    for entry in entries {
        let acts = matches!(&entry, Entry::Command(command) if maker.look(command).is_none());
        if acts && looked {
            groups.push(Vec::new());
            looked = false;
        }
        looked |= matches!(entry, Entry::Item(_));
        if let Some(last) = groups.last_mut() {
            last.push(entry);
        }
    }
    groups
}

/// What is written around a part of a step: what holds for the whole step stands with its first part.
fn shown(step: &Step, title: String, first: bool) -> Step {
    let shown = Step { title, entries: Vec::new(), undo: Vec::new(), ..step.clone() };
    if first {
        return shown;
    }
    Step { time: None, critical: None, notes: Vec::new(), comments: Vec::new(), ..shown }
}

/// How long a step watches the new version, where it says that it does.
fn watch(step: &Step) -> Option<Span> {
    let lower = step.title.to_lowercase();
    let watches = [
        "monitor",
        "observe",
        "watch",
        "soak",
        "bake",
        "surveill",
        "beobacht",
        "überwach",
        "stabiliz",
        "observation",
    ]
    .iter()
    .any(|word| lower.contains(word));
    let span = step.watch.or(step.time.map(|(_, high)| high))?;
    (watches && span > Span::ZERO).then_some(span)
}
