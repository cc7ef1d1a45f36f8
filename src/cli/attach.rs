//! `cutover attach`: opens another screen on an active run, or shows a finished one.

use std::time::{Duration, Instant};

use super::{
    args::{AttachArgs, DriveArgs},
    front::{
        reach::{ASK_AGAIN, BETWEEN_ENGINES, Choice, chosen},
        screen::{self, Purpose},
    },
};
use crate::{
    domain::{crew::ScreenId, message::Update},
    flight::{
        exit::Exit,
        stop::Stop,
        store::{self, Found},
    },
    link,
};

/// Shows the run, and takes control if nobody has it.
///
/// # Errors
/// If there is no such run, or its engine can't be reached.
pub async fn main(args: &AttachArgs) -> Result<Exit, Stop> {
    show(args, Purpose::Drive).await
}

/// Shows a run for a purpose.
///
/// # Errors
/// If there is no such run, or its engine can't be reached.
pub(super) async fn show(args: &AttachArgs, purpose: Purpose) -> Result<Exit, Stop> {
    let state = store::state_dir(args.view.look.state_dir.as_ref())?;
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
            Choice::Live(run_id, dir) => {
                let exit = screen::follow(&dir, &run_id, &drive, purpose.clone(), None).await?;
                // An engine stays for a while after its run. If it went just now, the journal has all there is to see.
                if exit != Exit::Internal || !matches!(chosen(&state, Some(&run_id.0))?, Choice::Over(_)) {
                    return Ok(exit);
                }
            }
            Choice::Over(found) => return look_back(*found, &drive).await,
            Choice::None(why) => return Err(Stop::usage(why)),
        }
    }
}

/// Shows a finished run read-only, from its journal.
async fn look_back(found: Found, drive: &DriveArgs) -> Result<Exit, Stop> {
    let events = store::events(&found.dir)?;
    let now = found.run.last_at;
    let (client, server) = link::pair();
    server.send(&Update::Backlog { events, now, run_dir: found.dir.display().to_string() });
    server.send(&Update::Crew { members: Vec::new(), you: ScreenId(0) });
    if drive.view.plain {
        server.send(&Update::Closed { outcome: found.run.finished.as_ref().map(|(outcome, ..)| *outcome) });
    }
    tokio::spawn(async move {
        // There is no engine to send ticks: time stands still at the last event.
        while server.send(&Update::Tick { now }) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    screen::show(client, &found.run.opened.run_id.clone(), &found.dir, drive, true, None).await
}
