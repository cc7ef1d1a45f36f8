//! Sends one command to a run from the shell, and follows the run until it has been carried out.

use super::{reach::reach, words};
use crate::{
    cli::args::ErrandArgs,
    domain::{
        message::{Command, Update},
        run::Run,
        story,
    },
    flight::{
        exit::Exit,
        say::{data, talk},
        stop::Stop,
        store,
    },
    link::Client,
};

/// Sends a command, and follows the run until `over` gives an exit code.
///
/// # Errors
/// If no engine can be reached, or started if `starts` is set.
pub(in crate::cli) async fn order(
    args: ErrandArgs,
    run: Option<&str>,
    command: Command,
    starts: bool,
    over: impl Fn(&Run, &Run) -> Option<Exit>,
) -> Result<Exit, Stop> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let client = reach(&state, run, starts, &args.vars).await?;
    client.send(&command).await;
    follow(client, args.json_lines, over).await
}

/// Follows a run until `over` gives an exit code, or the engine refuses.
///
/// # Errors
/// If the engine refuses, or the connection is lost.
pub(in crate::cli) async fn follow(
    mut client: Client,
    json_lines: bool,
    over: impl Fn(&Run, &Run) -> Option<Exit>,
) -> Result<Exit, Stop> {
    // The run as it is now, and as it was when this process came: what had happened before is no answer to this command.
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
                    data(&words::json_line(&envelope));
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
    talk("lost the connection to the engine; see: cutover status");
    Ok(Exit::Internal)
}
