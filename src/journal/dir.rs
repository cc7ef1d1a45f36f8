//! A private directory: journals, locks and output contain what was deployed, where and by whom.

use std::{
    fs::{DirBuilder, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
    unistd::geteuid,
};

/// An open directory. Files are opened relative to the handle, so that exchanging the path for another directory or a
/// link later leads nobody astray.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    handle: File,
}

impl RunDir {
    /// Opens a directory, making it with mode 0700 where it is missing. Directories above it must exist.
    ///
    /// # Errors
    /// Where it can't be made or opened, is a symbolic link, belongs to somebody else, or can be entered by others.
    pub fn create(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => Err(fault),
            _ => Self::open(path),
        }
    }

    /// Opens a directory that exists.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let handle =
            OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(|fault| {
                let link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
                if link { refused(path, "is a symbolic link") } else { fault }
            })?;
        check(path, &handle.metadata()?)?;
        Ok(Self { path: path.to_owned(), handle })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file in it is.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes entries of the directory durable.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    /// Makes a file that must not exist yet, with mode 0600.
    ///
    /// # Errors
    /// The system's.
    pub fn create_file(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)
    }

    /// Opens a file for reading and writing, making it with mode 0600 where it is missing.
    ///
    /// # Errors
    /// As [`Self::read_file`].
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlag::O_RDWR | OFlag::O_CREAT)
    }

    /// Opens a file that exists for reading and writing.
    ///
    /// # Errors
    /// As [`Self::read_file`].
    pub fn write_file(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlag::O_RDWR)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// The system's; or it is a link, no regular file, belongs to somebody else, or others may read or change it.
    pub fn read_file(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlag::O_RDONLY)
    }

    fn file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(openat(&self.handle, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let meta = file.metadata()?;
        let path = self.join(name);
        if !meta.is_file() {
            return Err(refused(&path, "is not a regular file"));
        }
        check(&path, &meta)?;
        Ok(file)
    }
}

fn check(path: &Path, meta: &Metadata) -> io::Result<()> {
    if meta.uid() != geteuid().as_raw() {
        Err(refused(path, "belongs to another user"))
    } else if meta.mode() & 0o077 != 0 {
        Err(refused(path, "is accessible to other users; run `chmod go-rwx` on it if you trust its contents"))
    } else {
        Ok(())
    }
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_directory_of_our_own() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("run");
        let dir = RunDir::create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        dir.create_file("journal").unwrap();
        assert_eq!(dir.join("journal").metadata().unwrap().mode() & 0o777, 0o600);
        assert!(dir.create_file("journal").is_err());
        RunDir::create(&path).unwrap();
        assert!(RunDir::open(&base.path().join("missing")).is_err());
    }

    #[test]
    fn links_and_open_doors_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("run");
        let dir = RunDir::create(&path).unwrap();
        let link = base.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(RunDir::create(&link).unwrap_err().to_string().ends_with("is a symbolic link"));

        symlink("/etc/passwd", dir.join("journal")).unwrap();
        assert!(dir.read_file("journal").is_err());
        assert!(dir.open_file("journal").is_err());
        std::fs::write(dir.join("shared"), "").unwrap();
        std::fs::set_permissions(dir.join("shared"), PermissionsExt::from_mode(0o644)).unwrap();
        assert!(dir.read_file("shared").unwrap_err().to_string().contains("accessible to other users"));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(RunDir::open(&path).unwrap_err().to_string().contains("accessible to other users"));
    }

    #[test]
    fn what_belongs_to_others_is_refused() {
        let root = Path::new("/proc/1");
        // Everybody may open it; it is root's, and for root it is open to others.
        assert_eq!(RunDir::open(root).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
