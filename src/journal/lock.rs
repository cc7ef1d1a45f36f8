//! One engine per run and one run per target on this host: `flock` on a file that names its holder.
//!
//! The kernel gives a lock back when its holder dies, however it dies. That is all a free lock means: a command that
//! the dead engine had started may run on, so the journal is asked for it before anything else is done.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::dir::RunDir;

/// The lock of a run, in its directory.
pub const RUN_LOCK: &str = "lock";

/// Tries before a lock counts as held: somebody who only looks holds it for a moment.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Bytes that are read of a lock file.
const LONGEST: u64 = 4096;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The engine's process.
    pub pid: u32,
    /// The boot that `pid` counts in.
    pub boot_id: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// The user, as in `alice@bastion`.
    pub who: String,
}

/// Why a lock was not obtained.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{} is locked by {}", path.display(), holder.as_ref().map_or("another process".to_owned(), |holder| format!("{} (pid {})", holder.who, holder.pid)))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who, where it could be read.
        holder: Option<Holder>,
    },
    /// The file can't be used.
    #[error("{} can't be locked: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A lock that is held until this is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    /// Open as long as the lock is held. The file stays: removing it would let two holders have two files.
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock `name` in a directory of ours, without waiting for it. Blocks for up to 50 ms.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn acquire(dir: &Path, name: &str, holder: &Holder) -> Result<Self, LockError> {
        let path = dir.join(name);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut file = RunDir::create(dir).and_then(|dir| dir.open_file(name)).map_err(failed)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { holder: holder_in(&mut file), path });
                }
            }
        }
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&serde_json::to_vec(holder)?)?;
            file.sync_data()
        };
        write(&mut file).map_err(failed)?;
        Ok(Self { _file: file, path })
    }

    /// Whether the lock `name` is held, and by whom; `None` if it is free. A holder that can't be read is told without
    /// a name, as process 0.
    ///
    /// # Errors
    /// The system's, other than that there is no such file yet.
    pub fn holder(dir: &Path, name: &str) -> io::Result<Option<Holder>> {
        let mut file = match RunDir::open(dir).and_then(|dir| dir.read_file(name)) {
            Ok(file) => file,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder_in(&mut file).unwrap_or_else(|| Holder {
                pid: 0,
                boot_id: String::new(),
                since_ms: 0,
                who: "another process".to_owned(),
            }))),
            Err(TryLockError::Error(fault)) => Err(fault),
        }
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn holder_in(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// The name of the lock file for a target: two runs that would change the same Service exclude each other, whatever
/// their runbooks call it. `cluster` is what names the cluster itself, best the uid of its `kube-system` namespace.
#[must_use]
pub fn target_lock_name(cluster: &str, namespace: &str, service: &str) -> String {
    let mut hash = Sha256::new();
    for part in [cluster, namespace, service] {
        // With its length, so that no two triples run together the same way.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let tag = hash.finalize().first_chunk().copied().map_or(0, u64::from_be_bytes);
    let readable: String = format!("{namespace}-{service}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(80)
        .collect();
    format!("target-{readable}-{tag:016x}.lock")
}
