//! `cutover import`: turns a Markdown runbook into one of ours and says what became of each part.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    path::Path,
};

use super::args::ImportArgs;
use crate::{
    config,
    domain::safe_text::SafeText,
    export,
    flight::{
        exit::Exit,
        say::{data, talk},
        stop::Stop,
    },
    import::{self, Fate},
};

/// The largest page that is read, in bytes: a long wiki page has some hundred thousand.
const MAX_PAGE: u64 = 16 * 1024 * 1024;

/// Reads the page, writes the runbook, prints the findings. Without findings of what a person must decide the exit code is
/// the same: the runbook was written.
///
/// # Errors
/// If the page can't be read, or the runbook's file is there already or can't be written.
pub fn main(args: &ImportArgs) -> Result<Exit, Stop> {
    let name = SafeText::new(&args.page.display().to_string());
    let bytes = read(&args.page)?;
    let (text, other) = import::decode(&bytes);
    // A page of ours says all of its runbook: nothing has to be guessed.
    if let Some(back) = export::read(&text) {
        return read_back(args, &name, &back);
    }
    let file = args.page.file_name().map_or_else(String::new, |file| file.to_string_lossy().into_owned());
    let imported = import::import(&SafeText::new(&file), &text);
    let to_stdout = args.output.as_os_str() == "-";
    if to_stdout {
        data(imported.runbook.trim_end());
    } else {
        write(&args.output, &imported.runbook)?;
    }
    let say = |line: &str| if to_stdout { talk(line) } else { data(line) };
    for finding in &imported.findings {
        if finding.fate == Fate::Taken && !args.all {
            continue;
        }
        let lines = match (finding.line, finding.last) {
            (0, _) => String::new(),
            (first, last) if first == last => format!(":{first}"),
            (first, last) => format!(":{first}-{last}"),
        };
        say(&format!("{name}{lines}: {}: {}", finding.fate, finding.text));
    }
    if let Some(other) = other {
        talk(&format!("{name}: {other}"));
    }
    talk(&imported.counts.to_string());
    let output = SafeText::new(&args.output.display().to_string());
    if !to_stdout {
        next(&output, &imported.runbook);
    }
    Ok(Exit::Done)
}

/// Writes the runbook of a page that `cutover export` has written.
fn read_back(args: &ImportArgs, name: &SafeText, back: &export::Back) -> Result<Exit, Stop> {
    let to_stdout = args.output.as_os_str() == "-";
    if to_stdout {
        data(back.toml.trim_end());
    } else {
        write(&args.output, &back.toml)?;
    }
    let say = |line: &str| if to_stdout { talk(line) } else { data(line) };
    for (line, text) in &back.unread {
        say(&format!("{name}:{line}: note: not part of the runbook: {}", SafeText::new(text)));
    }
    for lost in &back.lost {
        say(&format!("{name}: decide: settings of what is no longer on the page: {}", SafeText::new(lost)));
    }
    talk(&format!(
        "a page of cutover export, read back: {} blocks are not part of the runbook, {} settings have lost their entry",
        back.unread.len(),
        back.lost.len()
    ));
    if !to_stdout {
        next(&SafeText::new(&args.output.display().to_string()), &back.toml);
    }
    Ok(Exit::Done)
}

/// What was written, and what to do now.
fn next(output: &SafeText, runbook: &str) {
    let loaded = config::load_str(output, runbook);
    talk(&format!("wrote {output}"));
    talk(&match (loaded.errors(), loaded.warnings()) {
        (0, 0) => format!("next: cutover rehearse {output}"),
        (0, warnings) => {
            format!("next: cutover check {output} ({warnings} warnings), then cutover rehearse {output}")
        }
        (errors, _) => format!("next: cutover check {output} ({errors} errors to mend)"),
    });
}

fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    let name = SafeText::new(&path.display().to_string());
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Stop::usage(format!("there is no page {name}\ngive the path of a Markdown file"))
        }
        _ => Stop::usage(format!(
            "cannot read the page {name}: {error}\ngive a Markdown file that you can read"
        )),
    };
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_PAGE + 1).read_to_end(&mut bytes).map_err(told)?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_PAGE + 1).read_to_end(&mut bytes))
            .map_err(told)?;
    }
    if bytes.len() as u64 > MAX_PAGE {
        return Err(Stop::usage(format!("the page {name} is larger than 16 MiB\nis this the right file?")));
    }
    Ok(bytes)
}

/// Writes a new file. One that is there is never touched.
fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let name = SafeText::new(&path.display().to_string());
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Stop::usage(format!(
            "{name} exists, and an import never overwrites\ngive another name: --output FILE, or --output - to print it"
        )),
        _ => Stop::usage(format!("cannot write {name}: {error}")),
    })?;
    file.write_all(text.as_bytes()).map_err(|error| Stop::usage(format!("cannot write {name}: {error}")))
}
