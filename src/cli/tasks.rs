//! `cutover tasks`: the tasks left after a deployment, and when they are due.

use super::args::TasksArgs;
use crate::{
    domain::{actor::Actor, event::RunEvent, time::Timestamp},
    flight::{
        exit::Exit,
        journal,
        say::data,
        stop::Stop,
        store::{runs, state_dir},
        who,
    },
};

/// Prints the tasks, and marks one as done if asked.
///
/// # Errors
/// If there is no such run, or its journal can't be read or written.
pub fn main(args: &TasksArgs) -> Result<Exit, Stop> {
    let found = runs(&state_dir(args.state_dir.as_ref())?)?;
    let mut found = found
        .into_iter()
        .find(|found| match &args.run {
            Some(id) => found.run.opened.run_id.as_str() == id,
            None => !found.run.tasks.is_empty(),
        })
        .ok_or_else(|| match &args.run {
            Some(run) => Stop::no_run(run),
            None => Stop::usage("no run on this host has tasks\nsee: cutover list"),
        })?;
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    if let Some(number) = args.done {
        let count = found.run.tasks.len();
        let task = number.checked_sub(1).filter(|task| *task < count);
        let task = task.ok_or_else(|| {
            Stop::usage(format!("there is no task {number}: the run has {count}\nsee: cutover tasks"))
        })?;
        journal::add(&mut found, now, RunEvent::TaskDone { task, by: Actor::person(who::user()) })?;
    }
    let run = &found.run;
    data(&format!("{}  {}", run.opened.run_id, run.opened.runbook.document.title));
    for (index, task) in run.tasks.iter().enumerate() {
        let state = match &task.done {
            Some((by, at)) => format!("[x] done by {by} {}", at.to_jiff().strftime("%F %H:%M")),
            None if task.due_at < now => {
                format!("[ ] OVERDUE since {}", task.due_at.to_jiff().strftime("%F %H:%M"))
            }
            None => format!("[ ] due in {}", task.due_at.since(now).short()),
        };
        data(&format!("{:3}  {state}  {}", index + 1, task.text));
    }
    Ok(Exit::Done)
}
