//! Past runs, to be looked at: recorded on this host, or told by another host's report.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{say::talk, stop::Stop, store};
use crate::{
    domain::{
        event::Envelope,
        id::RunId,
        kept::{Kept, Moment, Seen},
        metric::Sample,
    },
    journal,
};

/// A report longer than this is none.
const LONGEST: u64 = 256 << 20;

/// The version of a report's JSON that is read.
const SCHEMA_VERSION: u32 = 1;

/// A run of this host: its events, what is kept beside them, and its directory. The newest where none is named.
///
/// # Errors
/// If there is no such run, or its journal can't be read. Samples that can't be read are told, and left out.
pub fn recorded(state: &Path, run: Option<&str>) -> Result<(Vec<Envelope>, Kept, PathBuf), Stop> {
    let mut dirs = store::dirs(state)?.into_iter();
    let found = match run {
        Some(run) => dirs.find(|(id, _)| id == run),
        None => dirs.next(),
    };
    let Some((id, dir)) = found else {
        return Err(Stop::usage(run.map_or_else(
            || {
                "there are no runs on this host yet\nstart one with: cutover run, or cutover rehearse"
                    .to_owned()
            },
            |run| format!("there is no run {run} on this host\nsee: cutover list"),
        )));
    };
    let events = store::events(&dir)?;
    Ok((events, kept(&dir, &RunId(id)), dir))
}

/// What is kept beside a run's journal. What can't be read is told, and left out.
pub fn kept(dir: &Path, run_id: &RunId) -> Kept {
    match journal::samples::read(dir, run_id.as_str()) {
        Ok(kept) => kept.unwrap_or_default(),
        Err(error) => {
            talk(&error.to_string());
            Kept { faults: vec![error.to_string()], ..Kept::default() }
        }
    }
}

/// What is read of a report.
#[derive(Deserialize)]
struct Reported {
    schema_version: u32,
    events: Vec<Envelope>,
    #[serde(default)]
    samples: Vec<Sample>,
    /// What was seen beside samples: pods, warnings, looks.
    #[serde(default)]
    seen: Vec<Moment>,
    /// What is not in them.
    #[serde(default)]
    samples_remarks: Vec<String>,
}

/// A run of another host, as its report in JSON tells it.
///
/// # Errors
/// If the file can't be read, is too long, or is no such report.
pub fn reported(file: &Path) -> Result<(Vec<Envelope>, Kept), Stop> {
    let unread = |why: String| {
        Stop::usage(format!(
            "cannot read {}: {why}\nwrite it with: cutover report RUN --format json",
            file.display()
        ))
    };
    let mut text = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(LONGEST + 1).read_to_end(&mut text));
    let length = read.map_err(|error| unread(error.to_string()))?;
    if length as u64 > LONGEST {
        return Err(unread(format!("it is longer than {} MiB", LONGEST >> 20)));
    }
    let report: Reported = serde_json::from_slice(&text)
        .map_err(|error| unread(format!("it is no report of a run: {error}")))?;
    if report.schema_version != SCHEMA_VERSION {
        return Err(unread(format!(
            "it has version {}, this program reads {SCHEMA_VERSION}",
            report.schema_version
        )));
    }
    let samples =
        report.samples.into_iter().map(|sample| Moment { at: sample.at, seen: Seen::Sample(sample) });
    let moments = samples.chain(report.seen).collect();
    Ok((report.events, Kept::new(moments, Vec::new(), report.samples_remarks)))
}
