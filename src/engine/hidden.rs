//! Output that a secret is captured from. What is secret in it is known only at its end, so until then it is kept in
//! memory and is gone with the engine. On disk it is masked, or replaced by a line that says why it is missing.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use nix::{
    fcntl::OFlag,
    sys::memfd::{MFdFlags, memfd_create},
};

use super::{mask::Masker, ports::Output};
use crate::domain::event::ActionOutcome;

/// What is kept of such output where nobody knows what in it is secret.
pub const NOT_KEPT: &str = "[not stored: it may contain a captured secret]\n";

/// Such output is kept up to this length, masked; bytes. Of more, pieces are missing, and half a secret is not found.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A file that is memory, and has no name.
///
/// # Errors
/// If the system gives none.
pub fn file() -> io::Result<Arc<File>> {
    Ok(Arc::new(File::from(memfd_create("cutover-output", MFdFlags::MFD_CLOEXEC)?)))
}

/// Opens what was kept, once the command is over.
///
/// # Errors
/// If it can't be read.
pub fn open(kept: &Output) -> io::Result<File> {
    match kept {
        Output::Disk(path) => File::open(path),
        Output::Memory(file) => {
            let mut file = file.try_clone()?;
            file.rewind()?;
            Ok(file)
        }
    }
}

/// Writes hidden output to a file, without the secret that was captured from it; where none was captured, nothing of it.
///
/// # Errors
/// If it can't be written.
pub fn write_masked(kept: &Output, path: &Path, masker: &Masker, outcome: ActionOutcome) -> io::Result<()> {
    let mut hidden = open(kept)?;
    let text = match outcome {
        ActionOutcome::Succeeded if hidden.metadata()?.len() <= LONGEST => {
            let mut bytes = Vec::new();
            hidden.read_to_end(&mut bytes)?;
            masker.mask(&String::from_utf8_lossy(&bytes)).into_owned()
        }
        _ => NOT_KEPT.to_owned(),
    };
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?
        .write_all(text.as_bytes())
}
