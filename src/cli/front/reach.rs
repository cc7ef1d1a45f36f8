//! Finds the run that is meant and its engine, and starts one if there is none.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{launch, name, words};
use crate::{
    domain::{crew::Wish, event::Outcome, id::RunId, run::Run},
    flight::{
        doors,
        exit::Exit,
        job::{Resumption, Task, Terms},
        resuming::resumable,
        say::talk,
        stop::Stop,
        store::{self, Found},
    },
    link::{self, Client},
};

/// An engine that exits releases its locks within this time.
pub(in crate::cli) const BETWEEN_ENGINES: Duration = Duration::from_secs(10);
/// Between two tries to reach an engine that is starting or exiting.
pub(in crate::cli) const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The run that a command refers to.
pub(in crate::cli) enum Choice {
    /// It has an engine, and this directory.
    Live(RunId, PathBuf),
    /// It has finished.
    Over(Box<Found>),
    /// No run, or none with an engine: why.
    None(String),
}

/// The run that is meant, and its state.
///
/// # Errors
/// If the state directory can't be read.
pub(in crate::cli) fn chosen(state: &Path, run: Option<&str>) -> Result<Choice, Stop> {
    let mut live = store::live(state, run)?;
    if live.len() > 1 {
        let ids: Vec<_> = live.iter().map(|(id, _)| id.0.as_str()).collect();
        return Ok(Choice::None(format!(
            "several runs are active: {}\nsay which one you mean",
            ids.join(", ")
        )));
    }
    if let Some((id, dir)) = live.pop() {
        return Ok(Choice::Live(id, dir));
    }
    let Some(run) = run else {
        return Ok(match store::newest(state)? {
            None => {
                Choice::None("there is no active run on this host\nstart one with: cutover run".to_owned())
            }
            Some(last) => match chosen(state, Some(&last))? {
                Choice::Over(_) => Choice::None(format!(
                    "there is no active run on this host\nlook back at the last one with: cutover attach {last}"
                )),
                other => other,
            },
        });
    };
    let Some(found) = store::find(state, run)? else {
        return Ok(Choice::None(format!("there is no run {run} on this host\nsee: cutover list")));
    };
    Ok(match found.run.finished {
        Some((outcome, ..)) if outcome != Outcome::Held => Choice::Over(Box::new(found)),
        Some(_) => Choice::None(format!("run {run} has no engine: {}", words::paused(&found.run))),
        None => {
            let since = found.run.last_at.clock();
            let what = if found.run.needs_an_engine() {
                words::paused(&found.run)
            } else {
                format!("resume it with: cutover resume {run}")
            };
            Choice::None(format!("the engine of run {run} has been gone since {since} UTC; {what}"))
        }
    })
}

/// Connects to the only run of another user that is shared with us.
///
/// # Errors
/// If there is none, or several.
pub(in crate::cli) async fn knock(
    ending: &str,
    run: Option<&str>,
    connect: impl AsyncFn(&Path) -> std::io::Result<Client>,
) -> Result<(String, PathBuf, Client), Stop> {
    let mut open: Vec<_> = doors::shared_sockets(ending);
    // Nothing is sent to an engine before it is clear which one is meant.
    open.retain(|(id, path)| run.is_none_or(|run| run == id) && link::client::answers(path));
    if open.len() > 1 {
        let ids: Vec<_> = open.iter().map(|(id, _)| id.as_str()).collect();
        return Err(Stop::usage(format!(
            "several runs are active: {}\nsay which one you mean",
            ids.join(", ")
        )));
    }
    let found = match open.pop() {
        Some((id, path)) => connect(&path).await.ok().map(|client| (id, path, client)),
        None => None,
    };
    found.ok_or_else(|| {
        let what = run.map_or("no run".to_owned(), |run| format!("run {run} is not one that"));
        Stop::usage(format!(
            "{what} is open to you on this host; whoever runs it lets a group in with --{ending}-group"
        ))
    })
}

/// The run that is meant if none is named and none has an engine: the newest unfinished one. `why` says why there is no
/// engine to connect to.
///
/// # Errors
/// If no run is meant for certain, or the state directory can't be read.
fn meant(state: &Path, why: String) -> Result<String, Stop> {
    if !store::live(state, None)?.is_empty() {
        // Several have one.
        return Err(Stop::usage(why));
    }
    let runs = store::runs(state)?;
    let Some(at) = runs.iter().position(|found| is_unfinished(&found.run)) else {
        let last = runs.first().map(|found| &found.run.opened.run_id);
        let last =
            last.map(|id| format!("; the last one is {id}, name it if you mean it")).unwrap_or_default();
        return Err(Stop::usage(format!("no unfinished run on this host{last}")));
    };
    let (newer, found) = (runs.get(..at).unwrap_or_default(), runs.get(at));
    let Some(run) = found.map(|found| &found.run) else { return Err(Stop::usage(why)) };
    // An old run that was left paused must not undo what a later one has done.
    let later = newer.iter().map(|found| &found.run).find(|later| {
        later.opened.rehearsal.is_none()
            && later.runbook.target.is_some()
            && later.runbook.target == run.runbook.target
    });
    match later {
        Some(later) => Err(Stop::usage(format!(
            "run {} is unfinished, but the later run {} on the same target has finished; name the run you mean",
            run.opened.run_id, later.opened.run_id
        ))),
        None => Ok(run.opened.run_id.0.clone()),
    }
}

fn is_unfinished(run: &Run) -> bool {
    let paused = match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        None | Some(Outcome::Held) => true,
        Some(Outcome::Succeeded | Outcome::Failed | Outcome::RolledBack | Outcome::RollbackFailed) => false,
    };
    paused && resumable(run).is_ok()
}

/// Connects to the engine of a run; if it is gone and `starts` is set, starts another. An engine that is just starting or
/// exiting holds its lock but has no socket yet: it is tried again.
///
/// # Errors
/// If there is no such run, or its engine does not answer or can't be started.
pub(in crate::cli) async fn reach(
    state: &Path,
    run: Option<&str>,
    starts: bool,
    vars: &[String],
) -> Result<Client, Stop> {
    let until = Instant::now() + BETWEEN_ENGINES;
    let mut run = run.map(str::to_owned);
    loop {
        let dir = match chosen(state, run.as_deref())? {
            Choice::Live(_, dir) => dir,
            Choice::None(why) if !starts => return Err(Stop::usage(why)),
            Choice::None(why) if run.is_none() => {
                let found = meant(state, why)?;
                talk(&format!("run {found} has no engine; starting one"));
                run = Some(found);
                continue;
            }
            Choice::None(_) | Choice::Over(_) => {
                let terms = Terms { vars: vars.to_vec(), ..Terms::unattended(state) };
                let resumption = Resumption { run: run.clone(), ..Resumption::default() };
                launch::start(Task::Resume(resumption), terms, false)?.run_dir
            }
        };
        let hello = link::client::hello(Wish::Errand, name::alias());
        match link::client::connect(&dir.join(link::CONTROL), &hello).await {
            Ok(client) => return Ok(client),
            Err(_) if Instant::now() < until => tokio::time::sleep(ASK_AGAIN).await,
            Err(error) => {
                return Err(Stop::Told(
                    Exit::Internal,
                    format!("the engine does not answer ({error})\nsee: cutover status"),
                ));
            }
        }
    }
}
