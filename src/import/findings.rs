//! What became of each line of a page, with line numbers; and how much was taken.

use std::fmt;

use crate::domain::safe_text::SafeText;

/// What became of some lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It is in the runbook as what it means.
    Taken,
    /// It is in the runbook as a note.
    Note,
    /// It is not in the runbook; nothing in it has a meaning there.
    Left,
    /// It was mended.
    Repaired,
    /// A person must decide or fill in.
    Decide,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "taken",
            Self::Note => "note",
            Self::Left => "left",
            Self::Repaired => "repaired",
            Self::Decide => "decide",
        })
    }
}

/// What became of some lines of the page, or what a person must know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// First line, from 1; 0 where it is about the page as a whole.
    pub line: usize,
    /// Last line.
    pub last: usize,
    /// What became of them.
    pub fate: Fate,
    /// In words, safe to show.
    pub text: SafeText,
}

/// How much of the page was taken as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Commands that a run executes, variables that are set among them.
    pub commands: usize,
    /// Items of checklists, and checks.
    pub items: usize,
    /// Triggers.
    pub triggers: usize,
    /// Steps.
    pub steps: usize,
    /// Metrics.
    pub metrics: usize,
    /// Tasks for afterwards.
    pub tasks: usize,
    /// Contacts.
    pub contacts: usize,
    /// Links.
    pub links: usize,
    /// Notes.
    pub notes: usize,
    /// What a person must decide or fill in.
    pub decide: usize,
}

impl fmt::Display for Counts {
    /// `taken 31 commands, 66 items, 4 triggers; 3 notes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let taken: Vec<String> = [
            (self.commands, "command"),
            (self.items, "item"),
            (self.triggers, "trigger"),
            (self.steps, "step"),
            (self.metrics, "metric"),
            (self.tasks, "task"),
            (self.contacts, "contact"),
            (self.links, "link"),
        ]
        .into_iter()
        .enumerate()
        .filter(|(at, (n, _))| *n > 0 || *at < 2)
        .map(|(_, (n, what))| count(n, what))
        .collect();
        write!(f, "taken {}; {}, {} to decide", taken.join(", "), count(self.notes, "note"), self.decide)
    }
}

/// All that is known of the lines so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The fate of each line; the first is line 1.
    fates: Vec<Option<Fate>>,
    findings: Vec<Finding>,
    pub(super) counts: Counts,
}

impl Ledger {
    pub(super) fn of(lines: usize) -> Self {
        Self { fates: vec![None; lines], ..Self::default() }
    }

    fn mark(&mut self, first: usize, last: usize, fate: Fate) {
        let last = last.min(self.fates.len());
        if first == 0 || first > last {
            return;
        }
        for line in &mut self.fates[first - 1..last] {
            line.get_or_insert(fate);
        }
    }

    fn add(&mut self, first: usize, last: usize, fate: Fate, text: &str) {
        let text = SafeText::new(&text.replace(['\n', '\t'], " "));
        self.findings.push(Finding { line: first, last, fate, text });
    }

    /// These lines are in the runbook as this.
    pub(super) fn taken(&mut self, first: usize, last: usize, what: &str) {
        self.mark(first, last, Fate::Taken);
        self.add(first, last, Fate::Taken, what);
    }

    /// These lines hold something together: marks of fences, rules, heads of tables.
    pub(super) fn form(&mut self, first: usize, last: usize) {
        self.mark(first, last, Fate::Taken);
    }

    /// These lines are in the runbook as a note.
    pub(super) fn note(&mut self, first: usize, last: usize, text: &str) {
        self.mark(first, last, Fate::Note);
        self.counts.notes += 1;
        self.add(first, last, Fate::Note, text);
    }

    /// These lines are not in the runbook, and here is what they say.
    pub(super) fn left(&mut self, first: usize, last: usize, text: &str) {
        self.mark(first, last, Fate::Left);
        self.add(first, last, Fate::Left, text);
    }

    pub(super) fn repaired(&mut self, line: usize, what: &str) {
        self.add(line, line, Fate::Repaired, what);
    }

    /// A person must decide.
    pub(super) fn decide(&mut self, line: usize, what: &str) {
        self.counts.decide += 1;
        self.add(line, line, Fate::Decide, what);
    }

    /// What became of nothing yet is told as left, line by line.
    pub(super) fn sweep(&mut self, source: &str) {
        let blank: Vec<bool> = source.lines().map(|line| line.trim().is_empty()).collect();
        let repaired = self.findings.iter().filter(|finding| finding.fate == Fate::Repaired);
        for line in repaired.map(|finding| finding.line).collect::<Vec<_>>() {
            // Of some nothing is left.
            if blank.get(line.saturating_sub(1)) == Some(&true) {
                self.mark(line, line, Fate::Repaired);
            }
        }
        for (at, line) in source.lines().enumerate() {
            let number = at + 1;
            if line.trim().is_empty() {
                continue;
            }
            if self.fates.get(at).is_some_and(Option::is_none) {
                self.left(number, number, line.trim());
            }
        }
    }

    /// All findings in order of place.
    pub(super) fn finish(mut self) -> (Vec<Finding>, Counts, Vec<Option<Fate>>) {
        self.findings.sort_by_key(|finding| (finding.line, finding.last));
        (self.findings, self.counts, self.fates)
    }
}
