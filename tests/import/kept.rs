//! What holds of every page, however broken: no line of it is lost, and what comes of it loads.

use std::collections::BTreeSet;

use cutover::{
    config,
    import::{Fate, Finding, Imported},
};

pub(crate) fn words(text: &str) -> BTreeSet<String> {
    let all = text.split(|c: char| !c.is_alphanumeric());
    all.filter(|word| word.chars().count() > 2).map(str::to_lowercase).collect()
}

/// The words that are in the runbook, or were told.
pub(crate) fn known(imported: &Imported) -> BTreeSet<String> {
    let mut known = words(&imported.runbook);
    for finding in imported.findings.iter().filter(|finding| finding.fate != Fate::Taken) {
        known.extend(words(&finding.text));
    }
    known
}

/// What does not hold of what came of a page.
pub(crate) fn broken(source: &str, imported: &Imported) -> Vec<String> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let seen = |line: &str| !line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty();
    let fate = |at: usize| imported.fates.get(at).copied().flatten();
    let lines = source.lines().enumerate();
    let lost = lines.filter(|(at, line)| seen(line) && fate(*at).is_none());
    let mut all: Vec<String> = lost.map(|(at, line)| format!("lost: {}: {line}", at + 1)).collect();
    all.extend(commands_lost(&source, imported).into_iter().map(|line| format!("lost: {line}")));
    let loaded = config::load_str("runbook.toml", &imported.runbook);
    if loaded.runbook.is_none() {
        all.push(loaded.render(false));
    }
    if imported.runbook.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        all.push("a control character".to_owned());
    }
    all
}

/// A text without what stands in angle brackets: tags, that a reader does not see, and holes, that have a name of their own.
fn untagged(text: &str) -> String {
    let mut parts = text.split('<');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('>').map_or(part, |(_, after)| after))
}

/// Lines that were taken as commands, items and the like, of which most words are nowhere in what came of the page.
fn commands_lost(source: &str, imported: &Imported) -> Vec<String> {
    let known = known(imported);
    let lines: Vec<&str> = source.lines().collect();
    let kinds = [
        "command",
        "check",
        "item of the checklist",
        "something that a person does",
        "trigger",
        "metric",
        "contact",
    ];
    let mut lost = Vec::new();
    for finding in imported.findings.iter().filter(|finding| finding.fate == Fate::Taken) {
        if !kinds.contains(&finding.text.as_str()) {
            continue;
        }
        let all =
            lines[finding.line.saturating_sub(1).min(lines.len())..finding.last.min(lines.len())].join("\n");
        // A prompt goes, a secret does, what was mangled is repaired, an entity is its sign, and a check by HTTP has no curl.
        let hides = |other: &&Finding| {
            other.text.starts_with("a secret") && (finding.line..=finding.last).contains(&other.line)
        };
        if imported.findings.iter().any(|other| hides(&other)) {
            continue;
        }
        if all.contains(['Ã', '&']) || all.contains(":~") {
            continue;
        }
        let mut own = words(&untagged(&all));
        own.retain(|word| !["curl", "fss", "https"].contains(&word.as_str()));
        let gone = own.iter().filter(|word| !known.contains(*word)).count();
        if gone * 2 > own.len() {
            lost.push(format!("{}: {}: {all}", finding.line, finding.text));
        }
    }
    lost
}
