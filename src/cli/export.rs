//! `cutover export`: writes the Markdown page of a runbook.

use std::{
    fs::Permissions,
    io::{ErrorKind, IsTerminal as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    domain::safe_text::SafeText,
    export::{self, NoPage},
    flight::{
        exit::Exit,
        runbook,
        say::{data, talk},
        stop::Stop,
    },
};

/// `cutover export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The runbook file.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Write the page to this file [default: print it].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, requires = "output")]
    pub overwrite: bool,
    /// When to use colours.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
}

/// Writes it, or prints it where no file is named.
///
/// # Errors
/// If the runbook can't be read or has errors, or the file exists or can't be written.
pub fn main(args: &ExportArgs) -> Result<Exit, Stop> {
    let name = args.runbook.display().to_string();
    let source = runbook::read(&args.runbook)?;
    let page = match export::page(&name, &source) {
        Ok(page) => page,
        Err(NoPage::Invalid(loaded)) => {
            let color = runbook::use_color(&args.color, std::io::stderr().is_terminal());
            let _ = writeln!(std::io::stderr().lock(), "{}\n", loaded.render(color));
            return Err(Stop::unfit(format!(
                "{name} has errors, so it has no page\nfix them first; see: cutover check"
            )));
        }
        Err(NoPage::Secrets(loaded)) => {
            let faults: Vec<&str> = loaded.diagnostics.iter().map(|fault| fault.message.as_str()).collect();
            return Err(Stop::unfit(format!(
                "{name} has secrets written out, and is no runbook without them: {}\ntake them from the environment: `env = \"...\"`",
                faults.join(", ")
            )));
        }
    };
    match &args.output {
        Some(output) => {
            write(output, &page.markdown, args.overwrite)?;
            talk(&format!("wrote {}", output.display()));
        }
        None if std::io::stdout().is_terminal() => {
            page.markdown.lines().for_each(|line| data(SafeText::new(line).as_str()));
        }
        None => data(page.markdown.trim_end()),
    }
    page.left_out.iter().for_each(|what| talk(what));
    Ok(Exit::Done)
}

/// Writes a file whole or not at all.
pub(super) fn write(path: &Path, text: &str, overwrite: bool) -> Result<(), Stop> {
    let unwritten = |error: &std::io::Error| {
        if error.kind() == ErrorKind::AlreadyExists {
            let path = path.display();
            return Stop::usage(format!(
                "{path} exists already\ngive another file, or replace this one with --overwrite"
            ));
        }
        // The file that it was to become is named, and not the one that would have become it.
        let error = error.to_string();
        let why = error.split(" at path ").next().unwrap_or_default();
        Stop::usage(format!(
            "cannot write {}: {why}\ngive a file that you can write with --output",
            path.display()
        ))
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        // What the umask leaves of it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .map_err(|error| unwritten(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| unwritten(&error))?;
    let kept = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(|_| ()).map_err(|error| unwritten(&error.error))
}
