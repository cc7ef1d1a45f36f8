//! Walks a page from top to bottom and puts each block where it belongs: by the headings above it, the label before it, and
//! its own form.

use super::{
    amounts, aside,
    draft::{Draft, Entry, Group, Procedure, Step},
    fence,
    findings::Ledger,
    html,
    page::{Block, Lines, Text},
    roles::{self, Role},
    sections::{Section, warning, what},
    words::one_line,
};
use crate::domain::time::Span;

/// Deeper than any heading.
pub(super) const DEEPEST: usize = 9;

/// The walk.
pub(super) struct Walk<'l> {
    pub(super) draft: Draft,
    pub(super) ledger: &'l mut Ledger,
    pub(super) sections: Vec<Section>,
    /// What the last label said of what follows, and its words.
    pub(super) label: Option<(Role, String)>,
    /// Words right before a block: a name for it, or a note.
    pub(super) lead: Option<(String, Lines)>,
    /// What an earlier command of this section has entered.
    pub(super) inside: Option<String>,
    /// Headings that nothing has for its title yet.
    pub(super) pending: Vec<(String, usize)>,
    /// Strategies that the page describes beside the one that is taken.
    pub(super) others: Vec<&'static str>,
    /// How long the triggers that follow must last, by the words before them.
    pub(super) lasting: Option<Span>,
    /// What follows is another way to do what stands above it.
    pub(super) aside: bool,
    /// The words before a block are something that a person does.
    pub(super) doing: bool,
    /// Items of lists that are open.
    pub(super) within: usize,
}

impl<'l> Walk<'l> {
    pub(super) fn new(ledger: &'l mut Ledger) -> Self {
        Self {
            draft: Draft::default(),
            ledger,
            sections: vec![Section::top()],
            label: None,
            lead: None,
            inside: None,
            pending: Vec::new(),
            others: Vec::new(),
            lasting: None,
            aside: false,
            doing: false,
            within: 0,
        }
    }

    /// What was gathered.
    pub(super) fn finish(mut self) -> Draft {
        self.flush();
        let left = self.headings(0);
        self.draft.comments.extend(left);
        self.draft
    }

    pub(super) fn section(&mut self) -> &mut Section {
        if self.sections.is_empty() {
            self.sections.push(Section::top());
        }
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// What the place is about: the label's word, else the heading's.
    pub(super) fn role(&mut self) -> Role {
        let section = self.section().role;
        self.label.as_ref().map_or(section, |(role, _)| *role)
    }

    /// The title of the nearest heading.
    pub(super) fn title(&mut self) -> String {
        let title = roles::without_number(&self.section().title).to_owned();
        if title.is_empty() {
            self.draft.head.title.clone().unwrap_or_else(|| "Deploy".to_owned())
        } else {
            title
        }
    }

    /// The step of this place, made where there is none.
    pub(super) fn step(&mut self) -> &mut Step {
        let at = if let Some(at) = self.section().step {
            at
        } else {
            let (title, whole, line) = (self.title(), self.section().title.clone(), self.section().line);
            let time = if whole.contains('(') { amounts::time(&whole) } else { None };
            let time = time.filter(|(_, high)| *high > Span::ZERO);
            let lower = whole.to_lowercase();
            let comments = self.headings(line);
            let optional =
                ["if applicable", "if needed", "optional", "if required", "si nécessaire", "falls"]
                    .iter()
                    .any(|words| lower.contains(words));
            self.draft.steps.push(Step { title, line, time, comments, optional, ..Step::default() });
            let at = self.draft.steps.len() - 1;
            self.section().step = Some(at);
            at
        };
        &mut self.draft.steps[at]
    }

    /// The way back of this place, made where there is none.
    pub(super) fn procedure(&mut self, role: Role) -> &mut Procedure {
        let at = if let Some(at) = self.section().procedure {
            at
        } else {
            let (title, whole, line) = (self.title(), self.section().title.clone(), self.section().line);
            let taken = |id: &str| self.draft.rollbacks.iter().any(|known| known.id == id);
            let wanted = if role == Role::DatabaseRollback { "database" } else { "quick" };
            let base = if taken(wanted) { super::words::slug(&title) } else { wanted.to_owned() };
            let (mut id, mut n) = (base.clone(), self.draft.rollbacks.len());
            while taken(&id) {
                n += 1;
                id = format!("{base}-{n}");
            }
            let within = amounts::time(&whole).map(|(_, high)| high);
            let comments = self.headings(line);
            self.draft.rollbacks.push(Procedure {
                id,
                title,
                line,
                within,
                comments,
                ..Procedure::default()
            });
            let at = self.draft.rollbacks.len() - 1;
            self.section().procedure = Some(at);
            at
        };
        &mut self.draft.rollbacks[at]
    }

    /// The checklist's group of this place, made where there is none.
    pub(super) fn group(&mut self) -> &mut Group {
        let at = if let Some(at) = self.section().group {
            at
        } else {
            let line = self.section().line;
            let (title, comments) = (self.title(), self.headings(line));
            let own = self.draft.group_names.own(&title);
            self.draft.groups.push(Group { title: own, comments, ..Group::default() });
            let at = self.draft.groups.len() - 1;
            self.section().group = Some(at);
            at
        };
        &mut self.draft.groups[at]
    }

    /// Headings above that nothing has for its title, as comments; the one at this line is somebody's title from now on.
    fn headings(&mut self, line: usize) -> Vec<String> {
        let all = std::mem::take(&mut self.pending);
        all.into_iter()
            .filter(|(_, at)| *at != line)
            .map(|(words, at)| format!("{words} (line {at})"))
            .collect()
    }

    /// Entries of this place that run or are looked at, in order; where it is a way back, its own.
    pub(super) fn entries(&mut self) -> &mut Vec<Entry> {
        let role = self.section().role;
        match role {
            Role::Rollback | Role::DatabaseRollback => &mut self.procedure(role).entries,
            Role::Completion | Role::Tasks => &mut self.draft.completion,
            _ => &mut self.step().entries,
        }
    }

    /// A note in this place: a hint of the step, or a comment. `lines` of the page it stands on.
    pub(super) fn note(&mut self, text: &str, lines: Lines) {
        self.ledger.note(lines.first, lines.last, text);
        self.remark(text, lines.first);
    }

    /// The same for what is told already.
    pub(super) fn remark(&mut self, text: &str, line: usize) {
        let comment = format!("{text} (line {line})");
        let role = self.section().role;
        match role {
            Role::Checklist => {
                if self.section().group.is_some() {
                    self.group().comments.push(comment);
                } else if self.draft.steps.is_empty() {
                    self.draft.head.comments.push(comment);
                } else {
                    self.draft.comments.push(comment);
                }
            }
            Role::Step | Role::Validation if self.section().level > 0 || self.section().step.is_some() => {
                self.step().notes.push(text.to_owned());
            }
            _ if self.section().level == 0 => self.draft.head.comments.push(comment),
            Role::Rollback | Role::DatabaseRollback => self.procedure(role).comments.push(comment),
            Role::Completion => self.draft.completion_comments.push(comment),
            Role::Incident | Role::Severity | Role::Template => self.draft.incident.comments.push(comment),
            Role::Summary if self.draft.steps.is_empty() => self.draft.head.comments.push(comment),
            _ => self.draft.comments.push(comment),
        }
    }

    /// A block that is kept as it stands, as comments.
    pub(super) fn keep(&mut self, text: &str, lines: Lines) {
        let all: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
        let role = self.section().role;
        let first = format!("From line {}:", lines.first);
        let comments = match role {
            Role::Checklist if self.section().group.is_some() => &mut self.group().comments,
            Role::Step | Role::Validation if self.section().step.is_some() => &mut self.step().comments,
            Role::Rollback | Role::DatabaseRollback => &mut self.procedure(role).comments,
            Role::Completion => &mut self.draft.completion_comments,
            Role::Incident | Role::Severity | Role::Template => &mut self.draft.incident.comments,
            _ if self.draft.steps.is_empty() || self.section().level == 0 => &mut self.draft.head.comments,
            _ => &mut self.draft.comments,
        };
        comments.push(first);
        comments.extend(all.iter().map(|line| format!("    {line}")));
        self.ledger.note(lines.first, lines.last, &one_line(text));
    }

    pub(super) fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            if !matches!(block, Block::Fence { .. } | Block::Paragraph { .. }) {
                self.flush();
            }
            match block {
                Block::Heading { level, text, lines } => self.heading(*level, text, *lines),
                Block::Paragraph { texts, lines } => self.paragraph(texts, *lines),
                Block::Fence { info, code, first, lines } => {
                    self.fence(info.as_deref(), code, *first, *lines);
                }
                Block::List { ordered, items, .. } => self.list(*ordered, items),
                Block::Table { head, rows, lines } => self.table(head, rows, *lines),
                Block::Quote { blocks, lines } => {
                    self.ledger.form(lines.first, lines.first);
                    self.blocks(blocks);
                }
                Block::Html { text, comment, lines } => self.html(text, *comment, *lines),
                Block::Meta { text, lines } => self.front_matter(text, *lines),
                Block::Rule { lines } => {
                    self.ledger.form(lines.first, lines.last);
                    self.label = None;
                }
            }
        }
        self.flush();
    }

    /// Words that turned out to be no name.
    pub(super) fn flush(&mut self) {
        self.doing = false;
        if let Some((text, lines)) = self.lead.take() {
            self.note(&text, lines);
        }
    }

    pub(super) fn speaks_of_strategy(&mut self, text: &str) {
        self.draft.words.hear(text);
    }

    fn html(&mut self, text: &str, comment: bool, lines: Lines) {
        if let (false, None, Some(title)) = (comment, &self.draft.head.title, html::title(text)) {
            self.draft.head.title = Some(title);
        }
        let kept: Vec<String> =
            html::stripped(text).lines().map(one_line).filter(|line| !line.is_empty()).collect();
        if kept.is_empty() {
            self.ledger.form(lines.first, lines.last);
        } else if comment && self.section().step.is_none() || !self.in_step() || kept.len() > 3 {
            self.keep(&kept.join("\n"), lines);
        } else {
            self.note(&kept.join(" "), lines);
        }
    }

    fn in_step(&mut self) -> bool {
        matches!(self.section().role, Role::Step | Role::Validation)
    }

    fn paragraph(&mut self, texts: &[Text], lines: Lines) {
        for (at, text) in texts.iter().enumerate() {
            self.flush();
            let first = text.line.max(lines.first);
            let last = texts.get(at + 1).map_or(lines.last, |next| next.line.max(first + 1) - 1).max(first);
            let here = Lines { first, last };
            self.speaks_of_strategy(&text.plain);
            self.said(text, here);
        }
    }

    /// One text of a paragraph.
    fn said(&mut self, text: &Text, lines: Lines) {
        let colon = text.plain.ends_with(':');
        if colon && self.role() == Role::Triggers {
            self.lasting = amounts::lasting(&text.plain);
        }
        self.aside = aside::is_another_way(&text.plain) || self.aside && aside::goes_on(&text.plain);
        match &text.label {
            Some(label) if text.rest.is_empty() => self.label(label, lines),
            Some(label) => {
                if !self.keyed(label, &text.rest, text, lines) {
                    let role = roles::of_label(label);
                    match role {
                        Some(
                            role @ (Role::Failure
                            | Role::Triggers
                            | Role::Rollback
                            | Role::Success
                            | Role::Template),
                        ) if colon => {
                            self.label = Some((role, text.plain.clone()));
                            self.note(&text.plain, lines);
                        }
                        _ => self.tell(text, lines),
                    }
                }
            }
            None if colon
                && roles::of_label(&text.plain).is_some()
                && text.plain.split_whitespace().count() <= 10 =>
            {
                let label = text.plain.trim_end_matches(':').to_owned();
                self.label(&label, lines);
            }
            None => self.tell(text, lines),
        }
    }

    /// A label of its own: what follows is what it says.
    fn label(&mut self, label: &str, lines: Lines) {
        let section = self.section().role;
        if aside::is_variant(label) && matches!(section, Role::Step | Role::Rollback | Role::DatabaseRollback)
        {
            // Bold words are all the heading that it has.
            let text = Text { plain: label.to_owned(), line: lines.first, ..Text::default() };
            return self.heading(DEEPEST, &text, lines);
        }
        let in_step = self.section().step.is_some() && section == Role::Step;
        let role = roles::of_label(label).map(|role| match role {
            // What a step must have reached is looked at in that step.
            Role::Success if in_step => Role::Validation,
            other => other,
        });
        let role = role.filter(|role| match role {
            // In a way back its own words are no label: `Quick rollback:` goes on. Nor are they among triggers.
            Role::Rollback => {
                !matches!(section, Role::Rollback | Role::DatabaseRollback | Role::Triggers)
                    && roles::undoes(label)
            }
            Role::Step => false,
            // … and whatever has failed is why it is gone.
            Role::Failure => !matches!(section, Role::Rollback | Role::DatabaseRollback),
            _ => true,
        });
        self.label = role.map(|role| (role, label.to_owned()));
        match role {
            Some(role) => {
                self.ledger.taken(lines.first, lines.last, what(role));
                if let Some((_, high)) =
                    amounts::time(label).filter(|_| role == Role::Validation && self.section().step.is_some())
                {
                    self.step().watch = Some(high);
                }
                self.remark_label(label, lines.first);
            }
            // Words in bold before something: its name, or a remark.
            None if section == Role::DatabaseRollback && label.to_lowercase().starts_with("only") => {
                self.ledger.taken(lines.first, lines.last, "when it may be used");
                self.procedure(section).only.get_or_insert(label.to_owned());
            }
            None => self.lead = Some((label.to_owned(), lines)),
        }
    }

    fn remark_label(&mut self, label: &str, line: usize) {
        if roles::is_only_a_word(label) {
            return;
        }
        let comment = format!("{label} (line {line})");
        let role = self.section().role;
        if matches!(role, Role::Rollback | Role::DatabaseRollback) && self.section().procedure.is_some() {
            self.procedure(role).comments.push(comment);
        } else if self.section().step.is_some() {
            self.step().comments.push(comment);
        } else if self.draft.steps.is_empty() {
            self.draft.head.comments.push(comment);
        } else {
            self.draft.comments.push(comment);
        }
    }

    /// Prose.
    fn tell(&mut self, text: &Text, lines: Lines) {
        let role = self.role();
        let links = matches!(role, Role::Links);
        for (words, url) in text.links.iter().filter(|(_, url)| links && url.starts_with("http")) {
            self.draft.link(words, url);
        }
        if let (Role::Step | Role::Rollback | Role::DatabaseRollback, Some(command)) =
            (role, fence::inline(&text.plain, &text.code).filter(|_| !self.aside && is_order(&text.plain)))
        {
            let command = command.to_owned();
            self.command_line(&command, &text.plain, lines);
            return;
        }
        if let Some(warning) = warning(&text.plain)
            && matches!(self.section().role, Role::Step)
            && self.section().level > 0
            && self.step().critical.is_none()
        {
            self.ledger.taken(lines.first, lines.last, "a warning of the step");
            self.step().critical = Some(warning);
            return;
        }
        if role == Role::Template && text.plain.contains('[') && self.draft.incident.template.is_none() {
            self.ledger.taken(lines.first, lines.last, "the message's template");
            self.draft.incident.template = Some(text.plain.clone());
            return;
        }
        if role == Role::DatabaseRollback
            && self.procedure(role).only.is_none()
            && text.plain.to_lowercase().starts_with("only")
        {
            self.ledger.taken(lines.first, lines.last, "when it may be used");
            self.procedure(role).only = Some(text.plain.clone());
            return;
        }
        self.lead = Some((text.plain.clone(), lines));
    }
}

/// Whether a paragraph tells to do something and nothing else: prose that mentions a command is no order to run it.
fn is_order(text: &str) -> bool {
    let sentences = text.matches(". ").count() + text.matches("; ").count();
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '`');
    let starts = ["then ", "next, ", "now ", "now, ", "finally, ", "please ", "first, "];
    let lower = text.to_lowercase();
    let at = starts.iter().find(|start| lower.starts_with(**start)).map_or(0, |start| start.len());
    sentences == 0 && (text.starts_with('`') || roles::is_instruction(text.get(at..).unwrap_or(text)))
}
