//! Headings: where the page goes on, and which of several strategies is taken.

use super::{
    aside,
    page::{Block, Lines, Text},
    roles::{self, Role},
    sections::{Section, is_alternative, placed, what},
    walk::Walk,
    words,
};

impl Walk<'_> {
    /// Where the page describes several strategies, one is taken: blue-green, else what it calls its own, else the first.
    pub(super) fn choose(&mut self, blocks: &[Block]) {
        let mut described: Vec<&'static str> = Vec::new();
        let mut said = String::new();
        for block in blocks {
            match block {
                Block::Heading { text, .. } => described.extend(roles::strategy(&text.plain)),
                Block::Paragraph { texts, .. } => {
                    let own = texts.iter().find(|text| {
                        text.label.as_ref().is_some_and(|label| label.to_lowercase().contains("strategy"))
                    });
                    said.push_str(&own.map(|text| text.rest.to_lowercase()).unwrap_or_default());
                }
                _ => {}
            }
        }
        described.dedup();
        let first = described.first().copied();
        let own = described.iter().find(|strategy| said.contains(**strategy)).copied();
        let Some(chosen) =
            described.iter().find(|strategy| **strategy == "blue-green").copied().or(own).or(first)
        else {
            return;
        };
        self.others = described.into_iter().filter(|strategy| *strategy != chosen).collect();
    }

    /// A heading: the page's title, or a section that begins here and ends those of its level and below.
    pub(super) fn heading(&mut self, level: usize, text: &Text, lines: Lines) {
        self.label = None;
        self.inside = None;
        self.lasting = None;
        self.aside = false;
        let words = text.plain.clone();
        if words.is_empty() {
            self.ledger.form(lines.first, lines.last);
            return;
        }
        self.speaks_of_strategy(&words);
        self.draft.named.hear(&words);
        if self.is_title(level, &words, lines) {
            self.ledger.taken(lines.first, lines.last, "the title");
            self.draft.head.title = Some(words);
            if level == 1 {
                self.sections.truncate(1);
                self.section().level = 0;
            }
            return;
        }
        while self.sections.len() > 1 && self.section().level >= level {
            self.sections.pop();
        }
        let parent = self.section().clone();
        let own = roles::of_heading(&words);
        let (mut role, label) = placed(&parent, own, &words, !self.draft.steps.is_empty());
        if roles::strategy(&words).is_some_and(|strategy| self.others.contains(&strategy)) {
            // Another way to deploy is for reading: a run goes one way.
            role = Role::Notes;
        }
        let due = if role == Role::Tasks { words::due_of_heading(&words).or(parent.due) } else { None };
        let mut section = Section {
            level,
            role,
            title: words.clone(),
            line: lines.first,
            step: None,
            procedure: None,
            group: None,
            due,
        };
        if let Some(label) = label {
            // A part of the step above.
            section.step = parent.step;
            section.procedure = parent.procedure;
            self.label = Some((label, words.clone()));
        } else if matches!(role, Role::Rollback | Role::DatabaseRollback)
            && role == parent.role
            && own.is_none()
            && !is_alternative(&words)
            && !aside::is_variant(&words)
        {
            section.procedure = self.part_of_procedure(&parent, role, &words, lines);
        }
        self.ledger.taken(lines.first, lines.last, what(role));
        // What no step, group or procedure has for its title is kept as a remark.
        let silent = !matches!(role, Role::Step | Role::Checklist | Role::Rollback | Role::DatabaseRollback)
            || label.is_some();
        self.sections.push(section);
        if silent {
            self.remark_heading(&words, lines.first, role);
        } else {
            self.pending.push((words, lines.first));
        }
    }

    /// Whether a heading is the page's title: the first of level 1, or of level 2 at the very top where it says nothing else.
    fn is_title(&self, level: usize, words: &str, lines: Lines) -> bool {
        self.draft.head.title.is_none()
            && (level == 1
                || self.sections.len() == 1
                    && level == 2
                    && roles::of_heading(words).is_none()
                    && !roles::is_numbered_step(words)
                    && self.draft.steps.is_empty()
                    && lines.first <= 3)
    }

    /// A heading within a way back, which is a step of that procedure and not another one. Gives the procedure.
    fn part_of_procedure(
        &mut self,
        parent: &Section,
        role: Role,
        words: &str,
        lines: Lines,
    ) -> Option<usize> {
        let mut at = parent.procedure;
        if at.is_none() {
            // The parent's name is the procedure's; its parts are steps of it.
            self.procedure(role);
            at = self.section().procedure;
        }
        if let Some(procedure) = self.draft.rollbacks.get_mut(at.unwrap_or_default()) {
            procedure.comments.push(format!("{words} (line {})", lines.first));
        }
        at
    }

    fn remark_heading(&mut self, words: &str, line: usize, role: Role) {
        let comment = format!("{words} (line {line})");
        match role {
            Role::Incident | Role::Severity | Role::Template => self.draft.incident.comments.push(comment),
            Role::Completion => self.draft.completion_comments.push(comment),
            Role::Rollback | Role::DatabaseRollback => self.procedure(role).comments.push(comment),
            _ if self.section().step.is_some() => self.step().comments.push(comment),
            _ if self.draft.steps.is_empty() => self.draft.head.comments.push(comment),
            _ => self.draft.comments.push(comment),
        }
    }
}
