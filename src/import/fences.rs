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
        self.fence_marks(info, code, first, lines);
        if matches!(self.label, Some((Role::Triggers | Role::Success | Role::Contacts | Role::Links, _))) {
            // What is listed is over; commands belong to the place.
            self.label = None;
        }
        let role = self.role();
        let here = Lines { first, last: (first + code.lines().count().max(1) - 1).min(lines.last) };
        if self.is_template(role, info, code) {
            self.flush();
            if self.draft.incident.template.is_none() {
                self.ledger.taken(here.first, here.last, "the message's template");
                self.draft.incident.template = Some(code.trim_end().to_owned());
                return;
            }
        }
        let output = role == Role::Output;
        if let Some(boxes) = fence::boxes(info, code).filter(|_| !output) {
            self.flush();
            for (at, text, ticked) in boxes {
                let line = first + at;
                let (plain, rest) = (text.to_owned(), text.to_owned());
                let text = Text { plain, rest, line, ..Text::default() };
                self.point(&text, Some(ticked), false, Lines { first: line, last: line });
            }
            return;
        }
        match self.commands_of(info, code, first).filter(|_| !output) {
            Some(read) => self.commands(read, first),
            None => self.no_commands(info, code, lines, here),
        }
    }

    /// The lines of a fence that only mark it.
    fn fence_marks(&mut self, info: Option<&str>, code: &str, first: usize, lines: Lines) {
        self.ledger.form(lines.first, first.saturating_sub(1).max(lines.first).min(lines.last));
        if lines.last > lines.first && info.is_some()
            || code.lines().count() + 1 < lines.last - lines.first + 1
        {
            self.ledger.form(lines.last, lines.last);
        }
    }

    /// Whether a fence has what is written to the channel: it is said to, or it stands with the incidents and has blanks to
    /// fill in.
    fn is_template(&mut self, role: Role, info: Option<&str>, code: &str) -> bool {
        role == Role::Template
            || matches!(self.section().role, Role::Incident)
                && fence::is_shell(info) != Some(true)
                && self.draft.incident.template.is_none()
                && code.contains('[')
    }

    /// What a fence runs, if anything.
    fn commands_of(&mut self, info: Option<&str>, code: &str, first: usize) -> Option<Vec<fence::Line>> {
        if fence::is_file(code) {
            let words = "this is the text of a script: it is kept as a comment and does not run; call the script by its name";
            self.ledger.decide(first, words);
            return None;
        }
        fence::read(info, code)
            .filter(|read| read.iter().any(|line| matches!(line, fence::Line::Command { .. })))
    }

    /// Commands, with the words before them: the name of a single one, a note before several.
    fn commands(&mut self, read: Vec<fence::Line>, first: usize) {
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
            let words = "this is another way to do what stands above it, so it does not run: choose one";
            self.ledger.decide(first, words);
            self.offer(read, first, name.as_deref(), Role::Links);
        } else {
            self.run(read, first, name.as_deref());
        }
    }

    /// What does not run: kept below what a person does with it, where the words before it say that.
    fn no_commands(&mut self, info: Option<&str>, code: &str, lines: Lines, here: Lines) {
        let output = self.role() == Role::Output;
        if std::mem::take(&mut self.doing)
            && !output
            && let Some((text, at)) = self.lead.take()
        {
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
        self.keep(&format!("{marked}{}", code.trim_end()), here);
        if output || fence::is_shell(info) == Some(true) {
            self.label = None;
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
                    self.ledger.taken(first + from, first + to, "command, for whoever needs it");
                    self.ledger.counts.commands += 1;
                    self.offer_one(&one_line_command(&text), called.take(), &title, role);
                }
            }
        }
        if let Some(rest) = called.filter(|rest| Some(rest.as_str()) != name) {
            self.remark(&rest, first);
        }
    }

    /// One of them: what to do about a failure, a task for afterwards, or a link.
    fn offer_one(&mut self, command: &str, name: Option<String>, title: &str, role: Role) {
        let told = name.as_ref().map_or_else(|| command.to_owned(), |name| format!("{name}: {command}"));
        if role == Role::Failure && self.section().step.is_some() {
            self.step().on_failure.push(told);
        } else if role == Role::Tasks {
            let due = self.section().due;
            self.draft.tasks.push(Task { due, text: told });
        } else {
            let name = name.map_or_else(|| title.to_owned(), |name| format!("{title}: {name}"));
            self.draft.link(&name, command);
        }
    }
}

/// A command as one line, continuations joined; what needs its lines keeps them.
fn one_line_command(text: &str) -> String {
    let joined = text.replace("\\\n", " ");
    if joined.contains('\n') { text.to_owned() } else { one_line(&joined) }
}
