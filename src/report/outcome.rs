//! How a run ended, in one sentence that somebody who knows nothing of it can read out.

use super::{figures::Figures, tone::Tone};
use crate::domain::{
    event::Outcome,
    metric::Unit,
    run::{Run, StepStatus},
    time::Span,
};

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Whether somebody should look.
    pub tone: Tone,
    /// In a word or two.
    pub word: String,
    /// In a sentence.
    pub sentence: String,
    /// Why it was rolled back, where it was.
    pub why: Option<String>,
}

/// How it ended.
pub fn ending(run: &Run, figures: &Figures) -> Ending {
    let new = figures.new_version.clone().unwrap_or_else(|| "the new version".to_owned());
    let old = figures.previous_version.clone().unwrap_or_else(|| "the version from before".to_owned());
    let took = figures.took().clock();
    let why = clause(run.finished.as_ref().map_or("", |(.., detail)| detail.as_str()));
    let users = users_on(run, if run.switched_at.is_some() { &new } else { &old });
    let (tone, word, sentence) = match figures.outcome {
        Some(Outcome::Succeeded) => {
            let kept = if run.switched_at.is_some() { "users are on it" } else { "every step has passed" };
            let sentence = format!("The deployment of {new} succeeded after {took}: {kept}.");
            (Tone::Well, format!("Deployed {new}"), sentence)
        }
        Some(Outcome::RolledBack) => {
            (Tone::Watch, format!("Rolled back to {old}"), rolled_back(figures, &new, &old))
        }
        Some(Outcome::RollbackFailed) => {
            let sentence =
                format!("The rollback from {new} FAILED, and somebody had to act: {why}; {users}.");
            (Tone::Bad, "Rollback failed".to_owned(), sentence)
        }
        Some(Outcome::Failed) => (Tone::Bad, "Failed".to_owned(), format!("{}; {users}.", failed(run, &new))),
        Some(Outcome::Held) => {
            let sentence = format!("The deployment of {new} is paused and can be resumed: {why}; {users}.");
            (Tone::Watch, "Paused".to_owned(), sentence)
        }
        None => {
            let sentence =
                format!("The deployment of {new} is not over: this is how it stood after {took}; {users}.");
            (Tone::Watch, "Not over".to_owned(), sentence)
        }
    };
    let why = figures.rollback.as_ref().map(|rollback| rollback.reason.trim().to_owned());
    Ending { tone, word, sentence, why: why.filter(|why| !why.is_empty()) }
}

/// Where a run failed, and why; one that was aborted has failed in no step.
fn failed(run: &Run, new: &str) -> String {
    let detail = run.finished.as_ref().map_or("", |(.., detail)| detail.as_str());
    let at = run.steps.iter().position(|state| state.status == StepStatus::Failed);
    let Some((index, step)) = at.and_then(|index| Some((index, run.runbook.steps.get(index)?))) else {
        return format!("The deployment of {new} was ended: {}", clause(detail));
    };
    let why = run.steps.get(index).and_then(|state| state.reason.as_deref());
    let (number, title, why) = (index + 1, &step.title, clause(why.unwrap_or(detail)));
    format!("The deployment of {new} failed in step {number}, {title}: {why}")
}

/// A sentence as a part of another one.
fn clause(text: &str) -> &str {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() { "no reason was recorded" } else { text }
}

fn users_on(run: &Run, version: &str) -> String {
    if run.met_at.is_none() {
        format!("users stayed on {version}")
    } else {
        format!("users were on {version} then")
    }
}

fn rolled_back(figures: &Figures, new: &str, old: &str) -> String {
    let Some(rollback) = &figures.rollback else { return format!("{new} was rolled back to {old}.") };
    let who = match rollback.by.as_str() {
        "trigger" => "a trigger".to_owned(),
        "auto" => "cutover".to_owned(),
        person => person.to_owned(),
    };
    let Some(users) = &figures.users else {
        return format!("{who} rolled {new} back before users met it; users stayed on {old}.");
    };
    let met = Span::from_millis(users.lasted_ms).clock();
    let failed = match (users.failed_requests, users.worst_error_rate) {
        (Some(failed), _) if failed >= 0.5 => {
            let about = if users.failed_is_counted { "" } else { "about " };
            format!(", and {about}{failed:.0} of their requests failed")
        }
        (_, Some(worst)) => format!(", with an error rate of up to {}", Unit::Percent.show(worst)),
        _ => String::new(),
    };
    let back = rollback.traffic_back_ms.map_or_else(String::new, |back| {
        let within = rollback
            .within_ms
            .map(|within| format!(" of the promised {}", Span::from_millis(within).clock()));
        format!(" in {}{}", seconds(back), within.unwrap_or_default())
    });
    format!("Users met {new} for {met}{failed}; {who} brought {old} back{back}.")
}

/// `0.4 s`, `12 s`, from two minutes on `2:10`. What has not gone by is not counted: a clock beside it says the same.
pub fn seconds(ms: u64) -> String {
    match ms {
        0..=9_999 => {
            let tenths = ms / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        10_000..=119_999 => format!("{} s", ms / 1000),
        _ => Span::from_millis(ms).clock(),
    }
}
