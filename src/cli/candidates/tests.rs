use super::*;
use crate::{
    cli::{completions, grammar},
    domain::{
        event::{Envelope, RunEvent},
        fixture::{Flight, runbook},
    },
    journal::{Header, Holder, Lock, Writer, lock::RUN_LOCK},
};

/// A run that was just opened, as an engine would have left it.
fn open(state: &Path, id: &str, alter: impl FnOnce(&mut Vec<Envelope>)) -> PathBuf {
    let mut events = Flight::open(runbook()).events;
    alter(&mut events);
    let dir = store::runs_dir(state).unwrap().join(id);
    let header = Header { run_id: id.to_owned(), runbook_sha256: String::new(), boot_id: String::new() };
    Writer::create(&dir, &header).unwrap().append_all(&events).unwrap();
    dir
}

fn titled(title: &str, rehearsal: bool) -> impl FnOnce(&mut Vec<Envelope>) {
    move |events| {
        if let RunEvent::RunOpened(opened) = &mut events[0].event {
            opened.runbook.document.title = title.to_owned();
            opened.rehearsal = rehearsal.then(|| "good".to_owned());
        }
    }
}

fn offered(state: &Path, which: Which, typed: &str) -> Vec<(String, String)> {
    let runs = runs(state, which, |id| id.starts_with(typed), Instant::now() + Duration::from_mins(1));
    let help = |it: &CompletionCandidate| it.get_help().map(ToString::to_string).unwrap_or_default();
    runs.iter().map(|it| (it.get_value().to_string_lossy().into_owned(), help(it))).collect()
}

fn ids(state: &Path, which: Which) -> Vec<String> {
    offered(state, which, "").into_iter().map(|(id, _)| id).collect()
}

#[test]
fn runs_are_offered_with_their_states_to_the_subcommands_that_can_use_them() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path();
    assert!(offered(state, Which::All, "").is_empty(), "there is no such directory");

    open(state, "20260101-000000-aaaa", titled("Pay\x1b]0;x\x07ments", false));
    open(state, "20260102-000000-bbbb", titled("Shop", true));
    let active = open(state, "20260103-000000-cccc", titled("Mail", false));
    let holder = Holder { pid: 1, boot_id: String::new(), since_ms: 0, who: "me@here".to_owned() };
    let _lock = Lock::acquire(&active, RUN_LOCK, &holder).unwrap();
    std::fs::write(active.join("tick"), "2026-01-03T00:00:00Z\n").unwrap();
    // What is no run, what cannot be read, and what would write over the line.
    std::fs::create_dir(state.join("runs/20260104-000000-dddd")).unwrap();
    std::fs::create_dir(state.join("runs/\x1b[2J")).unwrap();
    std::fs::write(state.join("runs/20260105-000000-eeee"), "").unwrap();

    let all = offered(state, Which::All, "");
    let shown: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(shown, ["20260103-000000-cccc", "20260102-000000-bbbb", "20260101-000000-aaaa"]);
    assert!(all[0].1.starts_with("open: Mail"), "{all:?}");
    assert!(all[1].1.starts_with("NOBODY WATCHES: rehearsal of Shop"), "{all:?}");
    assert!(!all[2].1.contains('\x1b') && all[2].1.contains("Pay<U+001B>"), "{all:?}");
    assert_eq!(offered(state, Which::All, "20260102").len(), 1);

    assert_eq!(ids(state, Which::Active), ["20260103-000000-cccc"]);
    assert_eq!(ids(state, Which::Resumable), ["20260101-000000-aaaa"]);
    assert_eq!(ids(state, Which::RollsBack), ["20260103-000000-cccc", "20260101-000000-aaaa"]);
    assert!(ids(state, Which::WithTasks).is_empty());

    let late = runs(state, Which::Resumable, |_| true, Instant::now());
    assert!(late.len() == 4 && late.iter().all(|it| it.get_help().is_none()), "no time: {late:?}");
}

#[test]
fn the_state_directory_is_that_of_the_line_being_typed() {
    let dir = |words: &[&str]| given_dir(words.iter().map(OsString::from));
    assert_eq!(dir(&["cutover", "--", "cutover", "attach", "--state-dir", "/a", ""]), Some("/a".into()));
    assert_eq!(dir(&["cutover", "--", "cutover", "attach", "--state-dir=/b", ""]), Some("/b".into()));
    assert_ne!(dir(&["cutover", "--", "cutover", "attach", "--state-dir="]), Some("".into()));
}

/// What a shell is answered, without what the words say.
fn completed(line: &[&str]) -> Vec<String> {
    let words: Vec<OsString> = line.iter().map(OsString::from).collect();
    let mut whole = completions::offering(grammar::whole(), &words);
    let answer = clap_complete::engine::complete(&mut whole, words, line.len() - 1, None).unwrap();
    answer.iter().map(|it| it.get_value().to_string_lossy().into_owned()).collect()
}

#[test]
fn values_are_offered_before_options() {
    let offered = completed(&["cutover", "rehearse", "--scenario", ""]);
    assert_eq!(offered, scenarios().map(|(name, _)| name.to_owned()).collect::<Vec<_>>());
    assert_eq!(completed(&["cutover", "rehearse", "--scenario", "bad-r"]), ["bad-release"]);
    assert!(completed(&["cutover", "rehearse", "--theme", ""]).contains(&"colour-blind".to_owned()));
    let pages = completed(&["cutover", "man", ""]);
    assert!(pages.contains(&"rollback".to_owned()) && !pages.iter().any(|page| page.starts_with('-')));
    assert!(completed(&["cutover", "man", "-"]).contains(&"--dir".to_owned()));
    // Where there are no values, options are better than nothing.
    assert!(completed(&["cutover", "schema", ""]).contains(&"--help".to_owned()));
    let subcommands = completed(&["cutover", ""]);
    assert!(subcommands.contains(&"attach".to_owned()) && !subcommands.contains(&"engine".to_owned()));
}
