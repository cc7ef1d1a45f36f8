//! The engine's sockets.
//!
//! ```text
//! control   0600 in the run's directory      decodes hello and commands
//! approve   a group's, beside watch          decodes one thing: "I approve", and of which step
//! watch     0600, or a group's               decodes nothing: what a client sends is never read as anything
//! ```
//!
//! Who connects is known from the kernel. Frames are bounded, and so is what waits for a client: one that does not read
//! is dropped, never waited for. It may come back, and gets everything from the journal then.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    task::AbortHandle,
    time::timeout,
};

use super::{frame, peer::Peer};
use crate::domain::{
    crew::{Person, ScreenId, Wish},
    id::StepId,
    message::{Command, Update},
};

/// The longest frame a client may send, bytes: a form's texts fit many times over.
pub const LONGEST_REQUEST: usize = 64 * 1024;
/// What may wait for a client beyond the backlog it begins with, bytes.
const LONGEST_QUEUE: usize = 16 * 1024 * 1024;
/// Beyond this, telemetry for it is dropped, bytes.
const TELEMETRY_QUEUE: usize = 512 * 1024;
/// A client must say what it came for within this time.
const HELLO: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is gone.
const STUCK: Duration = Duration::from_secs(30);
/// Connections of a socket at once; more are turned away, so that nobody can use the engine's files up.
const MOST: usize = 64;

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What it came for.
    pub wish: Wish,
    /// What its user wants to be called.
    pub name: Option<String>,
}

/// What an approver says, and all that its socket understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The step; the one that waits if not set.
    pub approve: Option<StepId>,
}

/// Which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// For the person who has control.
    Control,
    /// For approvers.
    Approve,
    /// For watchers.
    Watch,
}

/// What comes in.
#[derive(Debug)]
pub enum Arrival {
    /// Somebody has connected.
    Joined {
        /// The connection.
        id: ScreenId,
        /// Who.
        who: Person,
        /// For what.
        wish: Wish,
        /// Where updates for it go.
        outlet: Outlet,
    },
    /// It asks for something.
    Asked {
        /// The connection.
        id: ScreenId,
        /// What.
        command: Command,
    },
    /// It is gone.
    Left {
        /// The connection.
        id: ScreenId,
    },
}

/// Updates on their way to one client.
#[derive(Debug)]
pub struct Outlet {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    connection: AbortHandle,
}

impl Outlet {
    /// Sends an update; never waits. Telemetry is left out while the client is behind. `false` where the client is gone,
    /// or so far behind that it is dropped.
    pub fn send(&self, update: &Update) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting > TELEMETRY_QUEUE && frame::is_telemetry(update) {
            return !self.frames.is_closed();
        }
        let bytes = match frame::encode(update) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "an update could not be encoded");
                return true;
            }
        };
        let first = matches!(update, Update::Backlog { .. });
        if !first && waiting.saturating_add(bytes.len()) > LONGEST_QUEUE {
            tracing::warn!("dropped a screen that did not keep up");
            return false;
        }
        self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        self.frames.send(bytes).is_ok()
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        // What was sent before is still written; the reading ends at once.
        self.connection.abort();
    }
}

/// A socket that takes connections until this is dropped; its file goes then.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    accepting: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Counts connections over all sockets of an engine.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    last: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
}

impl Counter {
    /// How many are connected, or are still being sent what was said to them.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// Opens a socket. The directory must be ours alone, or a group's that we chose; `mode` is the socket's.
///
/// # Errors
/// The system's. A socket that a dead engine left is replaced: the caller holds the run's lock.
pub fn listen(
    path: &Path,
    mode: u32,
    door: Door,
    counter: &Counter,
    arrivals: mpsc::Sender<Arrival>,
) -> io::Result<Listener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(super::short(path)?.path())?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    let counter = counter.clone();
    // Of this socket alone: whoever crowds one does not shut another.
    let seats = Arc::new(Semaphore::new(MOST));
    let accepting = tokio::spawn(async move {
        loop {
            let accepted = listener.accept().await;
            match accepted.map(|(stream, _)| (stream, Arc::clone(&seats).try_acquire_owned())) {
                Ok((stream, Ok(seat))) => {
                    let served = serve(stream, door, counter.clone(), arrivals.clone());
                    tokio::spawn(async move {
                        served.await;
                        drop(seat);
                    });
                }
                Ok(_) => tracing::warn!("too many screens: rejected one"),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(Listener { path: path.to_owned(), accepting: accepting.abort_handle() })
}

async fn serve(stream: UnixStream, door: Door, counter: Counter, arrivals: mpsc::Sender<Arrival>) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => return tracing::warn!(%error, "rejected a client whose user is unknown"),
    };
    let own = nix::unistd::getuid().as_raw();
    // The file's mode says so already; a directory moved or a mode changed by hand must not let anybody take control.
    if door == Door::Control && peer.uid != own && peer.uid != 0 {
        return tracing::warn!(uid = peer.uid, "refused control to another user");
    }
    counter.open.fetch_add(1, Ordering::Relaxed);
    let id = ScreenId(counter.last.fetch_add(1, Ordering::Relaxed) + 1);
    if let Some((who, wish, reader, writer)) = greet(stream, door, &peer).await {
        let (frames, queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let reading = tokio::spawn(read(reader, door, id, arrivals.clone()));
        let outlet = Outlet { frames, waiting: Arc::clone(&waiting), connection: reading.abort_handle() };
        if arrivals.send(Arrival::Joined { id, who, wish, outlet }).await.is_ok() {
            let mut writing = tokio::spawn(write(writer, queue, waiting));
            tokio::select! {
                _ = reading => {
                    let _ = arrivals.send(Arrival::Left { id }).await;
                    // The client may have closed its writing end only; what is on its way still goes.
                    let _ = timeout(Duration::from_secs(1), &mut writing).await;
                    writing.abort();
                }
                _ = &mut writing => {
                    let _ = arrivals.send(Arrival::Left { id }).await;
                }
            }
        }
    }
    counter.open.fetch_sub(1, Ordering::Relaxed);
}

type Greeted = (Person, Wish, OwnedReadHalf, OwnedWriteHalf);

/// What the client came for. A watching client is not asked.
async fn greet(stream: UnixStream, door: Door, peer: &Peer) -> Option<Greeted> {
    let (mut reader, writer) = stream.into_split();
    match door {
        Door::Watch => Some((peer.person(None), Wish::Watch, reader, writer)),
        Door::Approve => Some((peer.person(None), Wish::Approve, reader, writer)),
        Door::Control => {
            let bytes = timeout(HELLO, frame::read(&mut reader, LONGEST_REQUEST)).await.ok()?.ok()??;
            let hello: Hello = frame::decode(&bytes)
                .inspect_err(|error| tracing::warn!(%error, "a client did not say hello"))
                .ok()?;
            Some((peer.person(hello.name.as_deref()), hello.wish, reader, writer))
        }
    }
}

/// Forwards a client's requests until it leaves or sends something invalid.
async fn read(mut reader: OwnedReadHalf, door: Door, id: ScreenId, arrivals: mpsc::Sender<Arrival>) {
    if door == Door::Watch {
        // Nothing here can become a command: there is no decoder. Bytes are only counted, so that a flood ends.
        let mut ignored = [0_u8; 1024];
        let mut taken = 0_usize;
        while let Ok(read @ 1..) = reader.read(&mut ignored).await {
            taken += read;
            if taken > LONGEST_REQUEST {
                return;
            }
        }
        return;
    }
    loop {
        let bytes = match frame::read(&mut reader, LONGEST_REQUEST).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "dropped a client"),
        };
        let command = match door {
            Door::Control => frame::decode::<Command>(&bytes),
            Door::Approve | Door::Watch => {
                frame::decode::<Approval>(&bytes).map(|approval| Command::Approve { step: approval.approve })
            }
        };
        match command {
            Ok(command) => {
                if arrivals.send(Arrival::Asked { id, command }).await.is_err() {
                    return;
                }
            }
            Err(error) => return tracing::warn!(%error, "dropped a client that sent no message"),
        }
    }
}

async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(bytes) = queue.recv().await {
        match timeout(STUCK, writer.write_all(&bytes)).await {
            Ok(Ok(())) => waiting.fetch_sub(bytes.len(), Ordering::Relaxed),
            Ok(Err(_)) => return,
            Err(_) => return tracing::warn!("dropped a screen that read nothing"),
        };
    }
    let _ = writer.shutdown().await;
}
