//! How long a run takes, and when it ends: one clock, at the same place in every state.

use crate::{
    domain::{prompt::Prompt, run::Run, time::Span},
    tui::{model::Model, widget::row::Row},
};

/// How long the run takes and when it ends, and the same in short: always in how many minutes that is.
pub(super) fn elapsed(model: &Model, run: &Run) -> [Row; 2] {
    let look = model.look;
    let alike = |row: Row| [row.clone(), row];
    if run.started_at.is_none() {
        // A runbook that gives no times promises none.
        let minutes = run.time_left(model.now, Span::ZERO).as_secs().div_ceil(60);
        let row = |about: &str| Row::of(format!("not started{about}"), look.text());
        return match minutes {
            0 => alike(row("")),
            minutes => [row(&format!(", takes about {minutes} min")), row(&format!(", ~{minutes} min"))],
        };
    }
    let gone = run.elapsed(model.now);
    if run.finished.is_some() {
        return alike(Row::of("ended after ", look.text()).put(gone.clock(), look.strong()));
    }
    let row = Row::of("run ", look.text()).put(gone.clock(), look.strong());
    if let Some(rollback) = run.rolling_back() {
        return alike(match rollback.within.map(|within| (rollback.started_at + within).since(model.now)) {
            None => row,
            Some(Span::ZERO) => row.put(", rollback late", look.alert()),
            Some(left) => row.put(format!(", back within {}", left.clock()), look.text()),
        });
    }
    if let Some(left) = run.goes_back_in(model.now) {
        // Where the run is about to go back there is no other end.
        return alike(row.put(format!(", rolls back in {}", left.clock()), look.alert()));
    }
    let watched = run.current().map_or(Span::ZERO, |index| watched(model, index));
    let left = run.time_left(model.now, watched);
    if left == Span::ZERO {
        return alike(row);
    }
    let minutes = left.as_secs().div_ceil(60);
    let ends = model.now + left;
    let ends = format!(", ends ~{} UTC", ends.clock().get(..5).unwrap_or_default());
    // While nothing goes on the end moves away.
    if let Some([why, short]) = stands(run, model) {
        return [why, short].map(|why| row.clone().put(format!(", {why}, then ~{minutes} min"), look.text()));
    }
    let left = format!(", ~{minutes} min left");
    [row.clone().put(format!("{ends} (in {minutes} min)"), look.text()), row.put(left, look.text())]
}

/// Why the run does not go on now, in a few words and in one; none while it does, or while it only waits for ENTER.
fn stands(run: &Run, model: &Model) -> Option<[&'static str; 2]> {
    match run.prompt(model.now) {
        Prompt::Held { .. } => Some(["paused"; 2]),
        Prompt::Failed { .. } | Prompt::Unknown { .. } => Some(["waits for you", "waits"]),
        Prompt::Checking { .. } if run.triggers.iter().any(|state| state.blind.is_some()) => {
            Some(["waits for data", "waits"])
        }
        _ => None,
    }
}

/// The window's watched time, as far as it was shown: a clock never falls back.
pub(super) fn watched(model: &Model, index: usize) -> Span {
    let Some(state) = model.run.as_ref().and_then(|run| run.steps.get(index)) else { return Span::ZERO };
    match model.window {
        Some(shown) if shown.step == index && shown.attempt == state.work.attempt => {
            shown.watched.max(state.watched)
        }
        _ => state.watched,
    }
}
