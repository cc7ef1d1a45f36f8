//! Texts that are kept in files: the screen, a log, a copy.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::domain::time::Timestamp;

/// More files of one second are not made.
const MOST: u32 = 100;

/// Writes a text into a new file of a directory, readable by its owner only, as its neighbours are. The name gets the time;
/// nothing that is there already is written over. Where the directory is somebody else's (a colleague's run that is watched),
/// the file goes to the directory for temporary files.
///
/// # Errors
/// Why it could not be written, with its path.
pub fn write(dir: &Path, name: &str, at: Timestamp, text: &str) -> Result<PathBuf, String> {
    let stem = stem(name, at);
    let first = dir.join(format!("{stem}.txt"));
    match write_new(dir, &stem, text) {
        Ok(path) => Ok(path),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            let elsewhere =
                tempfile::Builder::new().prefix(&format!("cutover-{stem}-")).suffix(".txt").tempfile();
            let kept = elsewhere.and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.keep().map(|(_, path)| path).map_err(|error| error.error)
            });
            kept.map_err(|other| format!("{}: {error}; nor elsewhere: {other}", first.display()))
        }
        Err(error) => Err(format!("{}: {error}", first.display())),
    }
}

fn write_new(dir: &Path, stem: &str, text: &str) -> io::Result<PathBuf> {
    for n in 1..=MOST {
        let path = dir.join(if n == 1 { format!("{stem}.txt") } else { format!("{stem}-{n}.txt") });
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => return file.write_all(text.as_bytes()).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

/// `log-green-141502`: names of pods and slots come from elsewhere, and no path is made of them.
fn stem(name: &str, at: Timestamp) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().take(80).map(plain).collect();
    format!("{name}-{}", at.clock().replace(':', ""))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const AT: Timestamp = Timestamp(1_795_183_200_000);

    #[test]
    fn a_file_is_its_owners_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> =
            ["one\n", "two\n"].iter().map(|text| write(dir.path(), "screen", AT, text).unwrap()).collect();
        assert_eq!(paths, ["screen-140000.txt", "screen-140000-2.txt"].map(|name| dir.path().join(name)));
        assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "one\n");
        for path in paths {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "log-../../etc/\u{202e}x", AT, "").unwrap();
        assert_eq!(path.parent(), Some(dir.path()));
        assert!(path.file_name().unwrap().to_str().unwrap().is_ascii(), "{path:?}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_no_reason_to_lose_a_text() {
        let path = write(Path::new("/nonexistent/run"), "screen", AT, "text").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(path).unwrap();
    }
}
