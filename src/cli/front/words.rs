//! Messages about a run, for screen and line mode alike.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    domain::{
        event::{Envelope, Outcome, RunEvent, SCHEMA_VERSION},
        id::RunId,
        run::Run,
        safe_text::escaped_json,
    },
    flight::store,
};

/// A killed engine releases its sockets a moment before its lock.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// How a run ended, and what to do next.
pub fn ended(outcome: Outcome, run_id: &RunId) -> String {
    match outcome {
        Outcome::Succeeded => {
            format!("run {run_id} succeeded; see what is left to do with: cutover tasks {run_id}")
        }
        Outcome::Failed => format!("run {run_id} failed; traffic was not touched"),
        Outcome::RolledBack => format!("run {run_id} was rolled back"),
        Outcome::RollbackFailed => format!("run {run_id}: THE ROLLBACK FAILED, a person must act"),
        Outcome::Held => {
            format!("run {run_id} is paused, NOBODY WATCHES; resume it with: cutover resume {run_id}")
        }
    }
}

/// What to say about a run that ended paused.
pub fn paused(run: &Run) -> String {
    let [resume, rollback] = run.ways_on();
    if run.needs_an_engine() {
        format!("{}; resume with: {resume}; roll back with: {rollback}", run.unwatched())
    } else if run.opened.rehearsal.is_some() {
        "the rehearsal has ended and cannot be resumed".to_owned()
    } else {
        format!("the run is paused; resume it with: {resume}")
    }
}

/// What to do after an engine has closed the connection without a word: is it dead, or only unreachable?
pub fn gone(run_id: &RunId, run_dir: &Path) -> String {
    let until = Instant::now() + LAST_BREATH;
    loop {
        match store::engine(run_dir) {
            Ok(None) => {
                let found = store::in_dir(run_dir.to_owned()).ok().flatten();
                let ended = found.and_then(|found| found.run.finished).map(|(outcome, ..)| outcome);
                if let Some(outcome) = ended.filter(|outcome| *outcome != Outcome::Held) {
                    return format!("{}; its engine is gone", self::ended(outcome, run_id));
                }
                return format!(
                    "run {run_id}: its engine is gone, NOBODY WATCHES; resume with: cutover resume {run_id}; roll back with: cutover rollback {run_id} --reason WHY"
                );
            }
            Ok(Some(_)) if Instant::now() < until => std::thread::sleep(LAST_BREATH / 20),
            Ok(Some(_)) => {
                return format!(
                    "lost the connection to the engine of run {run_id}; reconnect with: cutover attach {run_id}"
                );
            }
            Err(_) => {
                return format!("lost the connection to the engine; see: cutover status {run_id}");
            }
        }
    }
}

/// One event as a line of the published stream.
pub fn json_line(envelope: &Envelope) -> String {
    let mut line = serde_json::Map::new();
    line.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(envelope) {
        line.extend(fields);
    }
    // The whole runbook is in the journal; a reader of the stream has its hash.
    if matches!(envelope.event, RunEvent::RunOpened(_)) {
        line.shift_remove("runbook");
    }
    escaped_json(&serde_json::Value::Object(line).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{actor::Actor, time::Timestamp};
    use crate::flight::say::json_document;

    #[test]
    fn u4_foreign_text_in_json_does_not_command_a_terminal() {
        let text = "no\u{202e}thing\u{9b}2J";
        let event = RunEvent::NoteAdded { text: text.to_owned(), by: Actor::person("ada") };
        let envelope = Envelope { seq: 1, at: Timestamp(0), event };
        let document = serde_json::json!({ "title": text });
        for json in [json_line(&envelope), json_document(&document)] {
            assert!(json.contains(r"no\u202ething\u009b2J"), "{json}");
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
    }
}
