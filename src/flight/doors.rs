//! The engine's side of its sockets: opens them and passes connections and signals to the engine.

use std::{
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use color_eyre::eyre::{WrapErr as _, eyre};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::stop::Stop;
use crate::{
    domain::message::Update,
    engine::messages::{Incoming, UpdateSink},
    link::{
        self,
        server::{Arrival, Counter, Door, Listener, Outlet, listen},
    },
};

/// Where sockets for other users are: a directory that every user of the host can find.
const SHARED: &str = "/tmp";

impl UpdateSink for Outlet {
    fn send(&self, update: &Update) -> bool {
        Self::send(self, update)
    }
}

impl UpdateSink for link::Server {
    fn send(&self, update: &Update) -> bool {
        Self::send(self, update)
    }
}

/// Who else may connect.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// A group that may watch.
    pub watch: Option<String>,
    /// A group that may approve.
    pub approve: Option<String>,
}

/// How long the last messages to screens may take to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often it is looked whether the last connection has ended. They end at once, so this is short.
const LOOK: Duration = Duration::from_millis(5);

/// The open sockets. Screens can connect as long as this lives.
pub struct Doors {
    listeners: Vec<Listener>,
    counter: Counter,
}

impl Doors {
    /// Closes them once everybody has been sent what the engine, which is gone, has said: how the run ended comes last.
    pub async fn close(self) {
        drop(self.listeners);
        let until = tokio::time::Instant::now() + LAST_WORDS;
        while self.counter.open() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Opens the sockets of a run; connections go to `engine`.
///
/// # Errors
/// If a socket can't be made, or a group is not known.
pub fn open(
    run_dir: &Path,
    run_id: &str,
    groups: &Groups,
    engine: mpsc::Sender<Incoming>,
) -> Result<Doors, Stop> {
    let counter = Counter::default();
    let (arrivals_in, arrivals) = mpsc::channel(64);
    let door = |path: &Path, mode, door| {
        listen(path, mode, door, &counter, arrivals_in.clone())
            .wrap_err_with(|| format!("cannot open {}", path.display()))
    };
    let mut listeners = vec![
        door(&run_dir.join(link::CONTROL), 0o600, Door::Control)?,
        door(&run_dir.join(link::WATCH), 0o600, Door::Watch)?,
    ];
    for (group, kind, ending) in
        [(&groups.watch, Door::Watch, "watch"), (&groups.approve, Door::Approve, "approve")]
    {
        let Some(group) = group else { continue };
        let gid = gid_of(group)?;
        let path = shared_dir()?.join(format!("{run_id}.{ending}.sock"));
        // Closed to others until it belongs to the group.
        listeners.push(door(&path, 0o600, kind)?);
        nix::unistd::chown(&path, None, Some(gid))
            .map_err(|_| Stop::usage(format!("you are not in group {group}\nsee: groups")))?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o660))?;
    }
    tokio::spawn(pass_on(arrivals, engine.clone()));
    heed_signals(engine)?;
    Ok(Doors { listeners, counter })
}

fn gid_of(group: &str) -> Result<nix::unistd::Gid, Stop> {
    let found = nix::unistd::Group::from_name(group)?;
    let known = found
        .ok_or_else(|| Stop::usage(format!("there is no group {group} on this host\nsee: getent group")))?;
    Ok(known.gid)
}

/// Tells the engine who comes, asks and goes, until it is gone.
async fn pass_on(mut arrivals: mpsc::Receiver<Arrival>, engine: mpsc::Sender<Incoming>) {
    while let Some(arrival) = arrivals.recv().await {
        let incoming = match arrival {
            Arrival::Joined { id, who, wish, outlet } => {
                Incoming::Joined { id, who, wish, screen: Box::new(outlet) }
            }
            Arrival::Asked { id, command } => Incoming::Asked { id, command },
            Arrival::Left { id } => Incoming::Left { id },
        };
        if engine.send(incoming).await.is_err() {
            return;
        }
    }
}

/// SIGTERM ends the engine in order. Hang-ups are ignored here, and nobody presses ctrl-c in its session.
fn heed_signals(engine: mpsc::Sender<Incoming>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut ignored = [signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?];
    tokio::spawn(async move {
        let [hang_up, interrupt] = &mut ignored;
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    let reason = "interrupted: the engine was told to end (SIGTERM)".to_owned();
                    if engine.send(Incoming::Terminate { reason }).await.is_err() {
                        return;
                    }
                }
                _ = hang_up.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    });
    Ok(())
}

/// The directory for sockets that others may open: ours, and writable by nobody else.
fn shared_dir() -> Result<PathBuf, Stop> {
    let dir = shared_dir_of(nix::unistd::getuid().as_raw());
    match std::fs::DirBuilder::new().mode(0o755).create(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).wrap_err_with(|| format!("cannot create {}", dir.display()))?;
        }
        _ => {}
    }
    if !is_safe(&dir, nix::unistd::getuid().as_raw()) {
        return Err(eyre!(
            "{} belongs to somebody else, or others may write to it: remove it",
            dir.display()
        )
        .into());
    }
    // The umask may have taken rights away that others need to come in.
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(dir)
}

/// One per user: whoever comes first must not own the directory of the others.
fn shared_dir_of(uid: u32) -> PathBuf {
    Path::new(SHARED).join(format!("cutover-{uid}"))
}

/// Whether only this user could have put a socket there.
fn is_safe(dir: &Path, uid: u32) -> bool {
    std::fs::symlink_metadata(dir)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == uid && meta.mode() & 0o022 == 0)
}

/// Sockets of other users' runs that end in `ending`, with the run's id: `watch` or `approve`.
pub fn shared_sockets(ending: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(SHARED).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let uid =
            name.to_str().and_then(|name| name.strip_prefix("cutover-")).and_then(|uid| uid.parse().ok());
        if !uid.is_some_and(|uid| is_safe(&entry.path(), uid)) {
            continue;
        }
        for socket in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let name = socket.file_name().to_string_lossy().into_owned();
            if let Some(run) = name.strip_suffix(&format!(".{ending}.sock")) {
                found.push((run.to_owned(), socket.path()));
            }
        }
    }
    found.sort();
    found
}
