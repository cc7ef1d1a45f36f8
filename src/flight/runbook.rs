//! Reads and validates a runbook, and prints every fault.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{exit::Exit, stop::Stop};
use crate::{
    config::{self, theme::ColorChoice},
    domain::runbook::Runbook,
};

/// A valid runbook.
pub struct Loaded {
    /// The runbook.
    pub runbook: Runbook,
    /// Its text.
    pub text: String,
    /// Its path or name.
    pub path: PathBuf,
}

impl Loaded {
    /// The built-in runbook.
    ///
    /// # Errors
    /// If it has a fault, which is ours.
    pub fn builtin(color: &str) -> Result<Self, Stop> {
        load(Path::new("built-in runbook"), config::BUILTIN_RUNBOOK.to_owned(), color)
    }
}

/// Reads and loads a runbook; prints every fault.
///
/// # Errors
/// If it can't be read, or has a fault.
pub fn open(path: &Path, color: &str) -> Result<Loaded, Stop> {
    load(path, read(path)?, color)
}

/// Loads a runbook from its text; prints every fault.
fn load(path: &Path, text: String, color: &str) -> Result<Loaded, Stop> {
    let loaded = config::load_str(&path.display().to_string(), &text);
    let color = use_color(color, std::io::stderr().is_terminal());
    for diagnostic in &loaded.diagnostics {
        let _ = writeln!(std::io::stderr().lock(), "{}\n", diagnostic.render(&text, color));
    }
    match loaded.runbook {
        Some(runbook) => Ok(Loaded { runbook, text, path: path.to_owned() }),
        None => Err(Stop::Exit(Exit::InvalidRunbook)),
    }
}

/// The text of a file that must be a runbook, with its name for messages.
///
/// # Errors
/// If it can't be read.
pub fn read(path: &Path) -> Result<String, Stop> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Stop::usage(format!(
            "there is no runbook {name}\ngive the path of yours, or rehearse the built-in one with: cutover rehearse"
        )),
        _ => Stop::usage(format!("cannot read the runbook {name}: {error}\ngive a file that you can read")),
    })?;
    String::from_utf8(bytes).map_err(|error| Stop::unfit(not_utf8(path, &error)))
}

/// Where a runbook stops being text.
pub fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> String {
    let at = error.utf8_error().valid_up_to();
    let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
    format!("{}:{line}: the byte at offset {at} is not UTF-8 text\nsave the file as UTF-8", path.display())
}

/// Whether messages are coloured.
pub fn use_color(choice: &str, terminal: bool) -> bool {
    let choice = ColorChoice::from_word(choice).unwrap_or(ColorChoice::Auto);
    config::theme::use_color(choice, &|name| std::env::var(name).ok(), terminal)
}

/// A runbook's identity in the journal.
pub(super) fn sha256(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
