//! Coming to a run that flies already: `attach`, `watch`, `takeover`, `approve`, `rollback`, `abort`.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use color_eyre::eyre::eyre;

use super::{
    args::{ApproveArgs, AttachArgs, DriveArgs, OrderArgs, ResumeArgs, RollbackArgs, TakeoverArgs},
    engine::Task,
    exit::Exit,
    flight, launch,
    plain::{self, data, talk},
    screen::{self, Purpose},
    serve,
    store::{self, Found},
};
use crate::{
    domain::{
        crew::{ScreenId, Wish},
        event::Outcome,
        id::{RunId, StepId},
        message::{Command, Update},
        run::Run,
        story,
    },
    link::{self, Client},
};

/// An engine that ends gives its locks back within this time: what it still does is bounded.
const BETWEEN_ENGINES: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// `cutover attach`
///
/// # Errors
/// If there is no such run, or its engine can't be reached.
pub async fn main(args: &AttachArgs) -> color_eyre::Result<Exit> {
    attach(args, Purpose::Drive).await
}

/// `cutover takeover`
///
/// # Errors
/// As [`main`].
pub async fn take_over(args: &TakeoverArgs) -> color_eyre::Result<Exit> {
    if let Some(lock_id) = args.attach.run.clone().filter(|id| is_lock_id(id)) {
        // The lock of a target: whoever held it flew the run on another host.
        let mut resume = ResumeArgs::of(None, args.attach.drive());
        resume.from_cluster = true;
        resume.runbook.clone_from(&args.runbook);
        resume.takeover = Some(lock_id);
        resume.reason = Some(args.reason.clone());
        return launch::fly(Task::Resume(resume)).await;
    }
    attach(&args.attach, Purpose::TakeOver(args.reason.clone())).await
}

/// Whether this is the id of a lock, such as `3f9a-12bc-77de`, and not of a run.
fn is_lock_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 3
        && parts.iter().all(|part| part.len() == 4 && part.chars().all(|c| c.is_ascii_hexdigit()))
}

/// `cutover watch`: one's own run, else one that another user opened to a group.
///
/// # Errors
/// As [`main`].
pub async fn watch(args: &AttachArgs) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.view.state_dir.as_ref())?;
    let own = store::live(&state, args.run.as_deref())?;
    let there = args.run.as_ref().is_some_and(|run| state.join("runs").join(run).is_dir());
    if !own.is_empty() || there {
        return attach(args, Purpose::Watch).await;
    }
    let Some((run, socket, client)) =
        knock("watch", args.run.as_deref(), async |path| link::client::watch(path).await).await?
    else {
        return Ok(Exit::Usage);
    };
    let drive = args.drive();
    screen::show(client, &RunId(run), socket.parent().unwrap_or(&socket), &drive, true).await
}

async fn attach(args: &AttachArgs, purpose: Purpose) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.view.state_dir.as_ref())?;
    let drive = args.drive();
    let until = Instant::now() + BETWEEN_ENGINES;
    loop {
        match chosen(&state, args.run.as_deref())? {
            // It is just starting, or ending: it has its lock and no socket.
            Choice::Live(_, dir)
                if Instant::now() < until && !link::client::answers(&dir.join(link::WATCH)) =>
            {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Choice::Live(run_id, dir) => return screen::follow(&dir, &run_id, &drive, purpose).await,
            Choice::Over(found) => return look_back(*found, &drive).await,
            Choice::None(why) => {
                talk(&why);
                return Ok(Exit::Usage);
            }
        }
    }
}

/// What a command that names a run, or none, is about.
enum Choice {
    Live(RunId, PathBuf),
    Over(Box<Found>),
    None(String),
}

fn chosen(state: &Path, run: Option<&str>) -> color_eyre::Result<Choice> {
    let mut live = store::live(state, run)?;
    if live.len() > 1 {
        let ids: Vec<_> = live.iter().map(|(id, _)| id.0.as_str()).collect();
        return Ok(Choice::None(format!("several runs fly; say which: {}", ids.join(", "))));
    }
    if let Some((id, dir)) = live.pop() {
        return Ok(Choice::Live(id, dir));
    }
    let Some(run) = run else {
        return Ok(match store::newest(state)? {
            None => Choice::None("no run flies on this host".to_owned()),
            Some(last) => match chosen(state, Some(&last))? {
                Choice::Over(_) => Choice::None(format!(
                    "no run flies on this host; look back at the last one with: cutover attach {last}"
                )),
                other => other,
            },
        });
    };
    let Some(found) = store::find(state, run)? else {
        return Ok(Choice::None(format!("there is no run {run}; see: cutover list")));
    };
    Ok(match found.run.finished {
        Some((outcome, ..)) if outcome != Outcome::Held => Choice::Over(Box::new(found)),
        Some(_) => Choice::None(format!("run {run} has no engine: {}", plain::paused(&found.run))),
        None => {
            let since = found.run.last_at.clock();
            let what = if found.run.needs_an_engine() {
                plain::paused(&found.run)
            } else {
                format!("go on with: cutover resume {run}")
            };
            Choice::None(format!("the engine of run {run} is gone since {since} UTC; {what}"))
        }
    })
}

/// A run that is over, on a screen that only looks: the same story from the same journal.
async fn look_back(found: Found, drive: &DriveArgs) -> color_eyre::Result<Exit> {
    let contents = crate::journal::read(&found.dir)?;
    let events = contents.records.into_iter().map(|(_, envelope)| envelope).collect();
    let now = found.run.last_at;
    let (client, server) = link::pair();
    server.send(&Update::Backlog { events, now, run_dir: found.dir.display().to_string() });
    server.send(&Update::Crew { members: Vec::new(), you: ScreenId(0) });
    if drive.view.plain {
        server.send(&Update::Closed { outcome: found.run.finished.as_ref().map(|(outcome, ..)| *outcome) });
    }
    tokio::spawn(async move {
        // No engine ticks here; the story's last moment is the present.
        while server.send(&Update::Tick { now }) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    screen::show(client, &found.run.opened.run_id.clone(), &found.dir, drive, true).await
}

/// Connects to the only socket of other users' runs that lets us in.
async fn knock(
    ending: &str,
    run: Option<&str>,
    connect: impl AsyncFn(&Path) -> std::io::Result<Client>,
) -> color_eyre::Result<Option<(String, PathBuf, Client)>> {
    let mut open: Vec<_> = serve::shared_sockets(ending);
    // Nothing is said to an engine before it is known which one is meant.
    open.retain(|(id, path)| run.is_none_or(|run| run == id) && link::client::answers(path));
    if open.len() > 1 {
        let ids: Vec<_> = open.iter().map(|(id, _)| id.as_str()).collect();
        talk(&format!("several runs fly; say which: {}", ids.join(", ")));
        return Ok(None);
    }
    let found = match open.pop() {
        Some((id, path)) => connect(&path).await.ok().map(|client| (id, path, client)),
        None => None,
    };
    if found.is_none() {
        let what = run.map_or("no run".to_owned(), |run| format!("run {run} is not one that"));
        talk(&format!(
            "{what} is open to you on this host; whoever runs it lets a group in with --{ending}-group"
        ));
    }
    Ok(found)
}

/// `cutover approve`
///
/// # Errors
/// If no engine can be reached.
pub async fn approve(args: ApproveArgs) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let step = args.step.map(StepId);
    let mut own = store::live(&state, args.run.as_deref())?;
    let client = if let Some((_, dir)) = own.pop().filter(|_| own.is_empty()) {
        let hello = link::client::hello(Wish::Errand, launch::alias());
        let client = link::client::connect(&dir.join(link::CONTROL), &hello).await?;
        client.send(&Command::Approve { step }).await;
        client
    } else {
        let approve = async |path: &Path| link::client::approve(path, step.clone()).await;
        match knock("approve", args.run.as_deref(), approve).await? {
            Some((_, _, client)) => client,
            None => return Ok(Exit::Usage),
        }
    };
    let given = |run: &Run, before: &Run| {
        let count = |run: &Run| run.approvals.values().map(Vec::len).sum::<usize>();
        (count(run) > count(before)).then_some(Exit::Done)
    };
    errand(client, false, given).await
}

/// `cutover rollback`: works while the screen is the trouble, and where the engine is gone.
///
/// # Errors
/// If no engine can be reached or started.
pub async fn roll_back(args: RollbackArgs) -> color_eyre::Result<Exit> {
    let retried = |run: &Run| (run.rollbacks.len(), run.rollbacks.last().map(|last| last.work.attempt));
    let retry = args.retry;
    let over = |run: &Run, before: &Run| {
        let last = run.rollbacks.last()?;
        // One that had stopped before says nothing new until it is tried again.
        let new = !retry || retried(run) != retried(before);
        if let Some(stopped) = last.stopped.as_ref().filter(|_| new && last.finished.is_none()) {
            let id = &run.opened.run_id;
            talk(&format!("the rollback has stopped: {}", stopped.reason));
            talk(&format!(
                "try it again with: cutover rollback {id} --retry; give it up with: cutover rollback {id} --give-up --reason WHY; look with: cutover attach {id}"
            ));
            return Some(Exit::RollbackFailed);
        }
        last.finished.as_ref()?;
        run.finished.as_ref().map(|(outcome, ..)| Exit::of(*outcome))
    };
    let RollbackArgs { run, reason, retry, give_up, vars, json_lines, state_dir } = args;
    let reason = reason.unwrap_or_default();
    let command = match (retry, give_up) {
        (true, _) => Command::RetryRollback,
        (false, true) => Command::AbandonRollback { reason: reason.clone() },
        (false, false) => Command::Rollback { reason: reason.clone() },
    };
    order(OrderArgs { run, reason, vars, json_lines, state_dir }, command, true, over).await
}

/// `cutover abort`
///
/// # Errors
/// If no engine can be reached.
pub async fn abort(args: OrderArgs) -> color_eyre::Result<Exit> {
    let over = |run: &Run, _: &Run| run.finished.as_ref().map(|(outcome, ..)| Exit::of(*outcome));
    let reason = args.reason.clone();
    order(args, Command::Abort { reason }, false, over).await
}

/// The run that is meant where none is named and none has an engine: the newest unfinished one. `why` says why there is no
/// engine to come to.
fn meant(state: &Path, why: String) -> color_eyre::Result<Result<String, String>> {
    if !store::live(state, None)?.is_empty() {
        // Several have one.
        return Ok(Err(why));
    }
    let runs = store::runs(state)?;
    let Some(at) = runs.iter().position(|found| is_unfinished(&found.run)) else {
        let last = runs.first().map(|found| &found.run.opened.run_id);
        let last =
            last.map(|id| format!("; the last one is {id}, name it if you mean it")).unwrap_or_default();
        return Ok(Err(format!("no unfinished run on this host{last}")));
    };
    let (newer, found) = (runs.get(..at).unwrap_or_default(), runs.get(at));
    let Some(run) = found.map(|found| &found.run) else { return Ok(Err(why)) };
    // An old run that was paused and left must not undo what a later one has done.
    let later = newer.iter().map(|found| &found.run).find(|later| {
        later.opened.rehearsal.is_none()
            && later.runbook.target.is_some()
            && later.runbook.target == run.runbook.target
    });
    Ok(match later {
        Some(later) => Err(format!(
            "run {} is unfinished, but the later run {} on the same target is over; name the run you mean",
            run.opened.run_id, later.opened.run_id
        )),
        None => Ok(run.opened.run_id.0.clone()),
    })
}

fn is_unfinished(run: &Run) -> bool {
    let paused = match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        None | Some(Outcome::Held) => true,
        Some(Outcome::Succeeded | Outcome::Failed | Outcome::RolledBack | Outcome::RollbackFailed) => false,
    };
    paused && flight::resumable(run).is_ok()
}

/// Comes to the engine of a run; where it is gone and `starts`, another takes the run up. One that is just starting or
/// ending has its lock and no socket: it is asked again.
async fn reach(
    state: &Path,
    run: Option<&str>,
    starts: bool,
    vars: &[String],
) -> color_eyre::Result<Result<Client, Exit>> {
    let until = Instant::now() + BETWEEN_ENGINES;
    let mut run = run.map(str::to_owned);
    loop {
        let dir = match chosen(state, run.as_deref())? {
            Choice::Live(_, dir) => dir,
            Choice::None(why) if !starts => {
                talk(&why);
                return Ok(Err(Exit::Usage));
            }
            Choice::None(why) if run.is_none() => match meant(state, why)? {
                Ok(found) => {
                    talk(&format!("run {found} has no engine; starting one"));
                    run = Some(found);
                    continue;
                }
                Err(why) => {
                    talk(&why);
                    return Ok(Err(Exit::Usage));
                }
            },
            Choice::None(_) | Choice::Over(_) => {
                let drive = DriveArgs { vars: vars.to_vec(), ..DriveArgs::unattended(state) };
                match launch::start(Task::Resume(ResumeArgs::of(run.clone(), drive)))? {
                    Ok(started) => started.run_dir,
                    Err(exit) => return Ok(Err(exit)),
                }
            }
        };
        let hello = link::client::hello(Wish::Errand, launch::alias());
        match link::client::connect(&dir.join(link::CONTROL), &hello).await {
            Ok(client) => return Ok(Ok(client)),
            Err(_) if Instant::now() < until => tokio::time::sleep(ASK_AGAIN).await,
            Err(error) => {
                return Err(eyre!("the engine does not answer ({error}); see: cutover status"));
            }
        }
    }
}

async fn order(
    args: OrderArgs,
    command: Command,
    starts: bool,
    over: impl Fn(&Run, &Run) -> Option<Exit>,
) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let client = match reach(&state, args.run.as_deref(), starts, &args.vars).await? {
        Ok(client) => client,
        Err(exit) => return Ok(exit),
    };
    client.send(&command).await;
    errand(client, args.json_lines, over).await
}

/// Follows a run until `over` says how it came out, or the engine refuses.
async fn errand(
    mut client: Client,
    json_lines: bool,
    over: impl Fn(&Run, &Run) -> Option<Exit>,
) -> color_eyre::Result<Exit> {
    let mut run: Option<(Run, Run)> = None;
    while let Some(update) = client.next().await {
        match update {
            Update::Backlog { events, .. } => {
                run = Run::fold(&events).map(|run| (run.clone(), run));
            }
            Update::Event { envelope } => {
                let Some((run, before)) = &mut run else { continue };
                run.apply(&envelope);
                if json_lines {
                    data(&plain::json_line(&envelope));
                } else if let Some(line) = story::line(run, &envelope.event) {
                    data(&format!("{} {line}", envelope.at.clock()));
                }
                if let Some(exit) = over(run, before) {
                    return Ok(exit);
                }
            }
            Update::Refused { why } => {
                talk(&format!("refused: {why}"));
                return Ok(Exit::Usage);
            }
            Update::Closed { outcome } => return Ok(outcome.map_or(Exit::Internal, Exit::of)),
            _ => {}
        }
    }
    talk("the connection to the engine is gone; see: cutover status");
    Ok(Exit::Internal)
}
