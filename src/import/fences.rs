//! Fences: commands to where they run or are offered, everything else as it stands.

use super::{
    commands,
    draft::{Entry, Point, Task},
    fence,
    page::{Lines, Text},
    roles::{self, Role},
    walk::Walk,
    words::one_line,
};

impl Walk<'_> {
    /// A command in backticks that is to be run.
    pub(super) fn command_line(&mut self, command: &str, plain: &str, lines: Lines) {
        let read =
            vec![fence::Line::Command { text: command.to_owned(), first: 0, last: lines.last - lines.first }];
        let (before, after) = plain.split_once(&format!("`{command}`")).unwrap_or((plain, ""));
        let ends = !after.contains(char::is_alphanumeric);
        // A name without the command, where the command is not in the middle of it.
        let name = if ends { before.to_owned() } else { plain.replace('`', "") };
        let name = name.trim().trim_end_matches([':', '.', '`']).trim().to_owned();
        let bare = ["run", "execute", "exécuter", "lancer"].contains(&name.to_lowercase().as_str());
        let name = Some(name).filter(|name| !name.is_empty() && !bare);
        self.run(read, lines.first, name.as_deref());
    }

    pub(super) fn fence(&mut self, info: Option<&str>, code: &str, first: usize, lines: Lines) {
        self.ledger.form(lines.first, first.saturating_sub(1).max(lines.first).min(lines.last));
        if lines.last > lines.first && info.is_some()
            || code.lines().count() + 1 < lines.last - lines.first + 1
        {
            self.ledger.form(lines.last, lines.last);
        }
        if matches!(self.label, Some((Role::Triggers | Role::Success | Role::Contacts | Role::Links, _))) {
            // What is listed is over; commands belong to the place.
            self.label = None;
        }
        let role = self.role();
        let lines_code = Lines { first, last: (first + code.lines().count().max(1) - 1).min(lines.last) };
        if role == Role::Template
            || matches!(self.section().role, Role::Incident)
                && fence::is_shell(info) != Some(true)
                && self.draft.incident.template.is_none()
                && code.contains('[')
        {
            self.flush();
            if self.draft.incident.template.is_none() {
                self.ledger.taken(lines_code.first, lines_code.last, "the message's template");
                self.draft.incident.template = Some(code.trim_end().to_owned());
                return;
            }
        }
        let output = role == Role::Output;
        if let Some(boxes) = fence::boxes(info, code).filter(|_| role != Role::Output) {
            self.flush();
            for (at, text, ticked) in boxes {
                let text = Text {
                    plain: text.to_owned(),
                    rest: text.to_owned(),
                    line: first + at,
                    ..Text::default()
                };
                self.point(&text, Some(ticked), false, Lines { first: first + at, last: first + at });
            }
            return;
        }
        let file = fence::is_file(code);
        if file {
            let words = "this is the text of a script: it is kept as a comment and does not run; call the script by its name";
            self.ledger.decide(first, words);
        }
        let read = fence::read(info, code)
            .filter(|_| !file)
            .filter(|read| !output && read.iter().any(|line| matches!(line, fence::Line::Command { .. })));
        if let Some(read) = read {
            let commands = read.iter().filter(|line| matches!(line, fence::Line::Command { .. })).count();
            let named = read.iter().any(|line| matches!(line, fence::Line::Comment { .. }));
            let mut name = None;
            match self.lead.take() {
                Some((text, at)) if commands == 1 && !named && text.chars().count() <= 100 => {
                    self.ledger.taken(at.first, at.last, "the command's name");
                    name = Some(text.trim_end_matches(':').to_owned());
                }
                lead => {
                    self.lead = lead;
                    self.flush();
                }
            }
            self.doing = false;
            if self.aside {
                self.ledger.decide(
                    first,
                    "this is another way to do what stands above it, so it does not run: choose one",
                );
                self.offer(read, first, name.as_deref(), Role::Links);
                return;
            }
            self.run(read, first, name.as_deref());
        } else {
            if std::mem::take(&mut self.doing)
                && !output
                && let Some((text, at)) = self.lead.take()
            {
                // What a person does with what is kept below.
                self.ledger.taken(at.first, at.last, "something that a person does");
                self.ledger.counts.items += 1;
                let text = text.trim_end_matches(':').to_owned();
                let point = Point { text, line: at.first, optional: false };
                self.entries().push(Entry::Item(point));
            }
            self.flush();
            if code.trim().is_empty() {
                self.ledger.form(lines.first, lines.last);
                return;
            }
            let marked = info.map(|info| format!("{info}\n")).unwrap_or_default();
            self.keep(&format!("{marked}{}", code.trim_end()), lines_code);
            if output || fence::is_shell(info) == Some(true) {
                self.label = None;
            }
        }
    }

    /// Puts commands where they belong.
    fn run(&mut self, read: Vec<fence::Line>, first: usize, name: Option<&str>) {
        let role = self.role();
        let due = self.section().due;
        let apart = match role {
            Role::Failure
            | Role::Summary
            | Role::Notes
            | Role::Links
            | Role::Metrics
            | Role::Contacts
            | Role::Changes
            | Role::Severity
            | Role::Incident
            | Role::Triggers
            | Role::Template
            | Role::Success
            | Role::Output => true,
            Role::Tasks => due.is_some(),
            _ => false,
        };
        if apart {
            self.offer(read, first, name, role);
            return;
        }
        let inside = self.inside.clone();
        let taken = commands::take(read, first, name, inside.as_deref(), &mut self.draft, self.ledger);
        self.inside = taken.enters;
        if role == Role::Rollback && !matches!(self.section().role, Role::Rollback | Role::DatabaseRollback) {
            // Below a label in a step: how to undo it.
            self.step().undo.extend(taken.entries);
        } else if matches!(self.section().role, Role::Checklist) {
            self.step().entries.extend(taken.entries);
        } else {
            self.entries().extend(taken.entries);
        }
        for note in taken.notes {
            self.remark(&note, first);
        }
    }

    /// Commands that are for a person to use when needed: never run by a deployment.
    fn offer(&mut self, read: Vec<fence::Line>, first: usize, name: Option<&str>, role: Role) {
        let mut called: Option<String> = name.map(str::to_owned);
        let heading = roles::without_number(&self.section().title).to_owned();
        let title = self.label.as_ref().map_or(heading, |(_, words)| words.clone());
        for line in read {
            match line {
                fence::Line::Comment { text, line } => {
                    self.ledger.form(first + line, first + line);
                    if let Some(before) = called.replace(text) {
                        self.remark(&before, first + line);
                    }
                }
                fence::Line::Other { text, line } => {
                    self.note(&text, Lines { first: first + line, last: first + line });
                }
                fence::Line::Command { text, first: from, last: to } => {
                    let (from, to) = (first + from, first + to);
                    self.ledger.taken(from, to, "command, for whoever needs it");
                    self.ledger.counts.commands += 1;
                    let called = called.take();
                    let command = one_line_command(&text);
                    if role == Role::Failure && self.section().step.is_some() {
                        let told =
                            called.map_or_else(|| command.clone(), |name| format!("{name}: {command}"));
                        self.step().on_failure.push(told);
                    } else if role == Role::Tasks {
                        let told =
                            called.map_or_else(|| command.clone(), |name| format!("{name}: {command}"));
                        let due = self.section().due;
                        self.draft.tasks.push(Task { due, text: told });
                    } else {
                        let name = called.map_or_else(|| title.clone(), |name| format!("{title}: {name}"));
                        self.draft.link(&name, &command);
                    }
                }
            }
        }
        if let Some(rest) = called.filter(|rest| Some(rest.as_str()) != name) {
            self.remark(&rest, first);
        }
    }
}

/// A command as one line, continuations joined; what needs its lines keeps them.
fn one_line_command(text: &str) -> String {
    let joined = text.replace("\\\n", " ");
    if joined.contains('\n') { text.to_owned() } else { one_line(&joined) }
}
