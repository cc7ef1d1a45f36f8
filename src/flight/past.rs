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
        backtest::{self, Backtest},
        event::Envelope,
        id::RunId,
        kept::{Kept, Moment, Seen, Thinned},
        metric::Sample,
        safe_text::SafeText,
    },
    journal,
};

/// A file longer than this is not read.
const LONGEST: u64 = 256 << 20;

/// So many characters of what is wrong with a file are told.
const LONGEST_QUOTE: usize = 200;

/// The version of a report's JSON that is read.
const SCHEMA_VERSION: u32 = 1;

/// A run of this host: its events, what is kept beside them, and its directory. The newest where none is named.
///
/// # Errors
/// If there is no such run, or not even the beginning of its journal can be read. What is damaged in it, and samples that can't
/// be read, are told and left out.
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
    let told = store::told(&dir)?;
    let mut kept = kept(&dir, &RunId(id));
    if let Some(why) = told.damage {
        talk(&why);
        kept.faults.push(format!("the journal is damaged, and only what is intact is shown: {why}"));
    }
    Ok((told.events, kept, dir))
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

/// A measurement of a report.
#[derive(Deserialize)]
struct Measured {
    #[serde(flatten)]
    sample: Sample,
    /// It is of the time before an engine had started, and was fetched by it afterwards.
    #[serde(default)]
    past: bool,
}

/// What is read of a report.
#[derive(Deserialize)]
struct Reported {
    schema_version: u32,
    events: Vec<Envelope>,
    #[serde(default)]
    samples: Vec<Measured>,
    /// What was seen beside samples: pods, warnings, looks.
    #[serde(default)]
    seen: Vec<Moment>,
    /// What is not in them.
    #[serde(default)]
    samples_remarks: Vec<String>,
    /// Where less is in them than was seen.
    #[serde(default)]
    samples_thinned: Vec<Thinned>,
}

/// What `cutover backtest --json` has written to a file.
///
/// # Errors
/// If the file can't be read, is too long, or is no such document.
pub fn backtest(file: &Path) -> Result<Backtest, Stop> {
    let unread = |why: String| {
        Stop::usage(format!(
            "cannot read {}: {why}\nwrite one with: cutover backtest --json > backtest.json",
            file.display()
        ))
    };
    let text = whole(file).map_err(unread)?;
    let found: Backtest = serde_json::from_slice(&text)
        .map_err(|error| unread(quoted("it is no output of cutover backtest --json", &error)))?;
    if found.schema_version != backtest::SCHEMA_VERSION {
        let (has, reads) = (found.schema_version, backtest::SCHEMA_VERSION);
        return Err(unread(format!("it has version {has}, this program reads {reads}")));
    }
    Ok(found)
}

/// What is wrong with a file: the error quotes from it, so it is one line and no longer than one.
fn quoted(what: &str, error: &serde_json::Error) -> String {
    let why = SafeText::from(error.to_string());
    match why.char_indices().nth(LONGEST_QUOTE) {
        Some((cut, _)) => {
            let (begins, line, column) = (why.get(..cut).unwrap_or_default(), error.line(), error.column());
            format!("{what}: {begins}… at line {line} column {column}")
        }
        None => format!("{what}: {}", why.as_str()),
    }
}

/// A file's bytes.
///
/// # Errors
/// Why there are none, in words.
fn whole(file: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(LONGEST + 1).read_to_end(&mut text));
    let length = read.map_err(|error| error.to_string())?;
    if length as u64 > LONGEST {
        return Err(format!("it is longer than {} MiB", LONGEST >> 20));
    }
    Ok(text)
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
    let text = whole(file).map_err(unread)?;
    let report: Reported =
        serde_json::from_slice(&text).map_err(|error| unread(quoted("it is no report of a run", &error)))?;
    if report.schema_version != SCHEMA_VERSION {
        return Err(unread(format!(
            "it has version {}, this program reads {SCHEMA_VERSION}",
            report.schema_version
        )));
    }
    let samples = report.samples.into_iter().map(|Measured { sample, past }| Moment {
        at: sample.at,
        seen: if past { Seen::Past(sample) } else { Seen::Sample(sample) },
    });
    let moments = samples.chain(report.seen).collect();
    let mut kept = Kept::new(moments, report.samples_thinned, Vec::new());
    // What the thinned times say of themselves is said once.
    let said = kept.remarks();
    kept.faults.extend(report.samples_remarks.into_iter().filter(|remark| !said.contains(remark)));
    Ok((report.events, kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            fixture::{Flight, runbook},
            time::{Span, Timestamp},
        },
        flight::exit::Exit,
    };

    fn told<T>(result: Result<T, Stop>) -> String {
        match result {
            Err(Stop::Told(Exit::Usage, why)) => why,
            _ => panic!("it is refused with words"),
        }
    }

    #[test]
    fn a_report_of_another_host_says_where_it_was_thinned_out_and_what_was_lost() {
        let mut flight = Flight::in_window(runbook());
        flight.fly(Span::from_secs(5));
        let from = flight.events[0].at;
        let sample = |seconds| {
            let at = from + Span::from_secs(seconds);
            let sample = Sample { metric: "errors".into(), slot: None, at, value: Ok(0.1), counts: None };
            Moment { at, seen: Seen::Sample(sample) }
        };
        let thinned = Thinned { from, to: from + Span::from_mins(5), grid: Span::from_secs(30) };
        let faults = vec!["the last 7 bytes of samples.cut are no whole block".to_owned()];
        let mut before = sample(5);
        if let Seen::Sample(sample) = before.seen {
            before.seen = Seen::Past(sample);
        }
        let kept = Kept::new(vec![before, sample(10), sample(40)], vec![thinned], faults);
        let mut samples: Vec<_> =
            kept.samples().map(|sample| serde_json::to_value(sample).unwrap()).collect();
        samples[0]["past"] = true.into();
        let document = serde_json::json!({
            "schema_version": 1, "events": flight.events, "samples": samples,
            "samples_remarks": kept.remarks(), "samples_thinned": kept.thinned,
        });
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("report.json");
        std::fs::write(&file, document.to_string()).unwrap();
        let (events, read) = reported(&file).ok().unwrap();
        assert_eq!((&events, &read), (&flight.events, &kept));
        assert_eq!(read.remarks(), kept.remarks());
        // As an earlier version wrote it: what was thinned stands among the remarks alone.
        let mut earlier = document;
        earlier.as_object_mut().unwrap().remove("samples_thinned");
        std::fs::write(&file, earlier.to_string()).unwrap();
        let (_, read) = reported(&file).ok().unwrap();
        assert_eq!(read.remarks(), kept.remarks());
    }

    #[test]
    fn what_is_no_report_and_no_backtest_is_refused_with_how_to_write_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file.json");
        assert!(told(reported(&file)).contains("cutover report RUN --format json"));
        for text in ["", "{}", "[1]", "\u{1b}[2J", r#"{"schema_version":9,"events":[]}"#] {
            std::fs::write(&file, text).unwrap();
            assert!(told(reported(&file)).contains("cutover report RUN --format json"), "{text}");
            assert!(told(backtest(&file)).contains("cutover backtest --json >"), "{text}");
        }
        let (from, to) = (Timestamp(0), Timestamp(1));
        let newer = Backtest {
            schema_version: backtest::SCHEMA_VERSION + 1,
            module: String::new(),
            from,
            to,
            window: Span::from_mins(15),
            triggers: Vec::new(),
            runs: 0,
            left_out: Vec::new(),
            remarks: Vec::new(),
        };
        std::fs::write(&file, serde_json::to_vec(&newer).unwrap()).unwrap();
        assert!(told(backtest(&file)).contains("it has version 2"));
        let ours = Backtest { schema_version: backtest::SCHEMA_VERSION, ..newer };
        std::fs::write(&file, serde_json::to_vec(&ours).unwrap()).unwrap();
        assert_eq!(backtest(&file).ok(), Some(ours));
    }
}
