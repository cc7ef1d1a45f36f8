//! Everything as JSON: the figures for programs, and the events and samples for whoever wants to look at the run on another host.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::{SCHEMA_VERSION, Source, course::Stage, decisions::Decision, facts::Facts};
use crate::domain::{
    kept::{Moment, Seen},
    metric::Sample,
    run::Run,
    safe_text::escaped_json,
    time::Timestamp,
};

/// A measurement as it stands in the document.
#[derive(Serialize)]
struct Measured<'a> {
    #[serde(flatten)]
    sample: &'a Sample,
    /// It was fetched after an engine had started, for the time before: no screen took it for the newest value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    past: bool,
}

impl<'a> Measured<'a> {
    fn of(moment: &'a Moment) -> Option<Self> {
        Some(Self { sample: moment.sample()?, past: matches!(moment.seen, Seen::Past(_)) })
    }
}

/// The document. `events` are the journal's envelopes, oldest first, the runbook in the first of them. `samples` are the measurements
/// that were kept beside it, by time; `seen` is what else was: pictures of the pods, looks of checks. What is missing is in
/// `samples_remarks`.
pub fn document(run: &Run, facts: &Facts, source: &Source<'_>) -> String {
    let opened = &run.opened;
    let decisions: Vec<Value> = facts.course.decisions.iter().map(decision).collect();
    let stages: Vec<Value> = facts.stages().map(|stage| stage_of(stage, facts.now)).collect();
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "run": {
            "run_id": opened.run_id,
            "title": facts.title,
            "rehearsal": opened.rehearsal,
            "pilot": opened.pilot,
            "host": opened.host,
            "cluster": opened.cluster,
            "cutover_version": opened.cutover_version,
            "runbook_sha256": opened.runbook_sha256,
            "new_slot": opened.new_slot,
            "opened_at": run.opened_at,
            "last_at": run.last_at,
        },
        "ending": { "word": facts.ending.word, "sentence": facts.ending.sentence, "why": facts.ending.why },
        "figures": facts.figures,
        "stages": stages,
        "decisions": decisions,
        "left_open": facts.left,
        "journal": facts.journal,
        "backtest": facts.backtest,
        "samples_remarks": source.kept.remarks(),
        "samples_thinned": source.kept.thinned,
    });
    let head = format!("{document:#}");
    let mut text = head.trim_end().trim_end_matches('}').trim_end().to_owned();
    array(&mut text, "events", source.events);
    array(&mut text, "samples", &source.kept.moments.iter().filter_map(Measured::of).collect::<Vec<_>>());
    // What could not be kept is among the remarks.
    let seen = |moment: &&Moment| moment.sample().is_none() && !matches!(moment.seen, Seen::Lost { .. });
    array(&mut text, "seen", &source.kept.moments.iter().filter(seen).collect::<Vec<_>>());
    text.push_str(
        "
}",
    );
    escaped_json(&text)
}

fn decision(it: &Decision) -> Value {
    json!({ "at": it.at, "by": it.by, "what": it.what, "reason": it.reason, "override": it.is_override })
}

fn stage_of(stage: &Stage, now: Timestamp) -> Value {
    json!({
        "title": stage.title, "attempt": stage.attempt, "from": stage.from, "to": stage.to,
        "took_ms": stage.took(now).as_millis(), "ended": stage.word(), "reason": stage.reason,
        "estimate_ms": stage.estimate.map(|(least, most)| [least.as_millis(), most.as_millis()]),
    })
}

/// An array with one element a line: so a long run is a long file, but no line that no editor opens.
fn array<T: Serialize>(text: &mut String, name: &str, elements: &[T]) {
    // Writing to a String cannot fail.
    let _ = write!(text, ",\n  \"{name}\": [");
    for (index, element) in elements.iter().enumerate() {
        text.push_str(if index == 0 { "\n    " } else { ",\n    " });
        text.push_str(&serde_json::to_string(element).unwrap_or_else(|_| "null".to_owned()));
    }
    text.push_str("\n  ]");
}
