//! Turns a Markdown runbook of any kind into one of ours: text in, text and findings out.
//!
//! Nothing is invented and nothing dropped: each line of the page is in the runbook as what it means, is a note in its place,
//! or is told with its number. Only what plainly is a shell command becomes one, and what has a hole is asked for.
//!
//! ```text
//! bytes ─ decode ─> text ─ mangled, secrets ─> clean text ─ page ─> blocks with lines
//!       ─ walk (roles, points, tables, fence, commands) ─> draft ─ resolve (target, metrics) ─> book ─ write ─> TOML
//! ```
//!
//! docs/import.md says what becomes what.

mod amounts;
mod aside;
mod commands;
mod declare;
mod draft;
mod fence;
mod fences;
mod findings;
mod front;
mod headings;
mod holes;
mod html;
mod incident;
mod keyed;
mod kubectl;
mod mangled;
mod measure;
mod metrics;
mod nature;
mod page;
mod people;
mod points;
mod procedure;
mod programs;
mod resolve;
mod roles;
mod secrets;
mod sections;
mod sheet;
mod shell;
mod tables;
mod target;
mod text;
mod verbs;
mod walk;
mod words;
mod write;

#[cfg(test)]
mod tests;

pub use self::{
    findings::{Counts, Fate, Finding},
    mangled::decode,
};

use self::{findings::Ledger, walk::Walk};

/// What an import gives.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The runbook's text.
    pub runbook: String,
    /// What became of each part of the page, in order of lines.
    pub findings: Vec<Finding>,
    /// How much was taken.
    pub counts: Counts,
    /// The fate of each line; none where it is blank.
    pub fates: Vec<Option<Fate>>,
}

/// The largest runbook that can be loaded, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Turns a page into a runbook. `name` is how the page is called in the runbook's first comment.
pub fn import(name: &str, source: &str) -> Imported {
    let (text, repairs) = mangled::repaired(source);
    let (text, secrets) = secrets::hidden(&text);
    let mut ledger = Ledger::of(text.lines().count());
    for repair in repairs {
        ledger.repaired(repair.line, &repair.what);
    }
    for secret in &secrets {
        ledger.decide(
            secret.line,
            &format!(
                "a secret is on this page: its value is left out, and ${} comes from the environment",
                secret.name
            ),
        );
    }
    let blocks = page::read(&text);
    let mut walk = Walk::new(&mut ledger);
    walk.choose(&blocks);
    walk.blocks(&blocks);
    let draft = walk.finish();
    let mut book = resolve::book(draft, &mut ledger);
    declare::declare(&mut book, &mut ledger);
    ledger.sweep(&text);
    ledger.counts.steps = book.parts.len();
    ledger.counts.metrics = book.metrics.len();
    ledger.counts.tasks = book.draft.tasks.len();
    ledger.counts.contacts = book.draft.contacts.len();
    ledger.counts.links = book.draft.links.len();
    let (runbook, dropped) = write::runbook(&book, name);
    if dropped > 0 {
        ledger.decide(
            0,
            &format!("{dropped} lines of notes have no room in the runbook; they are told here only"),
        );
    }
    if runbook.len() > LARGEST {
        ledger.decide(0, "the runbook is larger than 1 MiB, so it cannot be loaded: split the page");
    }
    let (findings, counts, fates) = ledger.finish();
    Imported { runbook, findings, counts, fates }
}
