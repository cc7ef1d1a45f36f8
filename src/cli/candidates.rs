//! What the shell offers at TAB: runs with their states, runbooks, scenarios.
//!
//! The shell waits, and shows what is written to stderr in the middle of the line that is being typed: nothing here asks the
//! network, writes or says anything, and what cannot be read is not offered.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Command, builder::StyledStr};
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter};

use super::status;
use crate::{
    domain::{event::Outcome, run::Run, safe_text::SafeText},
    flight::{pulse::Pulse, scenarios, store},
};

/// Runs that are offered at most, the newest ones: who wants an older one types how its ID begins.
const OFFERED: usize = 100;

/// After this, runs are offered by their IDs alone: reading a journal takes a few milliseconds, and a person types on.
const READING: Duration = Duration::from_millis(25);

/// A longer journal is not read for a word about its run.
const LONGEST_JOURNAL: u64 = 4 << 20;

/// Which runs a subcommand can do something with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// An engine has them.
    Active,
    /// They are not over and have no engine. A rehearsal ends with its engine.
    Resumable,
    /// They are active, or users may be on their new version.
    RollsBack,
    WithTasks,
}

/// Tells a subcommand's arguments what completes them. Arguments of one name mean the same in all subcommands.
pub(super) fn added(subcommand: Command) -> Command {
    let which = match subcommand.get_name() {
        "approve" | "abort" | "takeover" => Which::Active,
        "resume" => Which::Resumable,
        "rollback" => Which::RollsBack,
        "tasks" => Which::WithTasks,
        _ => Which::All,
    };
    subcommand.mut_args(|arg| match arg.get_id().as_str() {
        "run" => arg.add(ArgValueCompleter::new(move |typed: &OsStr| {
            let began = |id: &str| typed.to_str().is_some_and(|typed| id.starts_with(typed));
            given_dir(std::env::args_os())
                .map_or_else(Vec::new, |state| runs(&state, which, began, Instant::now() + READING))
        })),
        "runbook" => arg.add(ArgValueCompleter::new(PathCompleter::any().filter(is_runbook))),
        "scenario" => arg.add(ArgValueCandidates::new(all_scenarios)),
        "state_dir" | "dir" => arg.add(ArgValueCompleter::new(PathCompleter::dir())),
        _ => arg,
    })
}

/// By its extension alone: completion runs at every key and must not read files.
fn is_runbook(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "toml")
}

fn all_scenarios() -> Vec<CompletionCandidate> {
    scenarios().map(|(name, about)| offer(name, about)).collect()
}

fn offer(value: &str, words: &str) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(StyledStr::from(words.to_owned())))
}

/// The state directory: as the line that is being typed says, else as for any command.
fn given_dir(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut words = words;
    let mut given = None;
    while let Some(word) = words.next() {
        if word == "--state-dir" {
            given = words.next().map(PathBuf::from);
        } else if let Some(dir) = word.to_str().and_then(|word| word.strip_prefix("--state-dir=")) {
            given = Some(PathBuf::from(dir));
        }
    }
    store::state_dir(given.filter(|dir| !dir.as_os_str().is_empty()).as_ref()).ok()
}

/// The runs under a state directory whose IDs are wanted, newest first. Journals are read until `until`.
fn runs(
    state: &Path,
    which: Which,
    wanted: impl Fn(&str) -> bool,
    until: Instant,
) -> Vec<CompletionCandidate> {
    let found = store::dirs(state).unwrap_or_default();
    let found =
        found.into_iter().filter(|(id, dir)| wanted(id) && SafeText::new(id).as_str() == id && dir.is_dir());
    // Whether there is an engine is known without reading a journal.
    let found = found.filter(|(_, dir)| which != Which::Active || store::has_engine(dir));
    let candidates = found.filter_map(|(id, dir)| {
        if Instant::now() > until || journal_length(&dir) > LONGEST_JOURNAL {
            return Some(CompletionCandidate::new(id));
        }
        let found = store::in_dir(dir).ok()??;
        let engine = Pulse::of(&found.dir).ok()?;
        fits(which, &found.run, engine.lives()).then(|| offer(&id, &words(&found.run, &engine)))
    });
    candidates.take(OFFERED).enumerate().map(|(index, it)| it.display_order(Some(index))).collect()
}

fn journal_length(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("journal")).map_or(0, |meta| meta.len())
}

/// A shell offers only what the command would take.
fn fits(which: Which, run: &Run, lives: bool) -> bool {
    let outcome = run.finished.as_ref().map(|(outcome, ..)| *outcome);
    let real = run.opened.rehearsal.is_none();
    match which {
        Which::All => true,
        Which::Active => lives,
        Which::Resumable => !lives && real && matches!(outcome, None | Some(Outcome::Held)),
        Which::RollsBack => {
            lives || real && matches!(outcome, None | Some(Outcome::Held | Outcome::Succeeded))
        }
        Which::WithTasks => !run.tasks.is_empty(),
    }
}

/// A word about a run: its state, then what it deploys. A title comes from a runbook, so from anybody.
fn words(run: &Run, engine: &Pulse) -> String {
    let state = status::state_word(run, engine);
    let rehearsal = if run.opened.rehearsal.is_some() { "rehearsal of " } else { "" };
    let title = &run.opened.runbook.document.title;
    let version = run.new_version().map(|version| format!(" {version}")).unwrap_or_default();
    SafeText::new(&format!("{state}: {rehearsal}{title}{version}")).as_str().to_owned()
}

#[cfg(test)]
mod tests;
