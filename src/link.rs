//! The channel between the engine and its screens.
//!
//! Every message is a length-prefixed JSON frame, in one process as well as between two: nothing that cannot be
//! serialised can pass. Requests are bounded and never dropped. Of the updates, events are never dropped either;
//! telemetry is, for a screen that does not keep up.

pub mod client;
pub mod frame;
pub mod local;
pub mod peer;
pub mod server;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

pub use local::{Client, Server, pair};

/// The socket for whoever drives, in the run's directory.
pub const CONTROL: &str = "control.sock";
/// The socket for the run's owner to watch, in the run's directory.
pub const WATCH: &str = "watch.sock";

/// A socket's path in a form that is never too long: the system takes 107 bytes, directories may be deeper.
struct Short {
    path: PathBuf,
    /// The path leads through this.
    _directory: Option<File>,
}

impl Short {
    fn path(&self) -> &Path {
        &self.path
    }
}

fn short(path: &Path) -> io::Result<Short> {
    if path.as_os_str().len() <= 100 {
        return Ok(Short { path: path.to_owned(), _directory: None });
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no path of a socket"));
    };
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_DIRECTORY;
    let directory = File::options().read(true).custom_flags(flags.bits()).open(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    Ok(Short { path, _directory: Some(directory) })
}
