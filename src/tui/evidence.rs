//! The evidence for the runbook's claims, as screens show it: the strongest first, in words, with what follows from it.

use super::model::Model;
use crate::domain::{
    claim::{Stage, Standing},
    run::{Run, TriggerState},
    runbook::{Then, Trigger},
};

/// From this part of what a verdict takes on, evidence is more than chance usually gives.
const EARNEST: f64 = 25.0;

/// Where the evidence for every claim stands, the strongest first: as the engine told last, else as the run's events do.
pub(super) fn standings(model: &Model, run: &Run) -> Vec<Standing> {
    let told = &model.measured().evidence;
    let mut standings = if told.is_empty() { run.standings() } else { told.clone() };
    standings.sort_by(|a, b| b.percent.total_cmp(&a.percent));
    standings
}

/// Whether it is more than chance usually gives.
pub(super) fn is_earnest(standing: &Standing) -> bool {
    standing.stage == Stage::Worse || (standing.stage == Stage::Open && standing.percent >= EARNEST)
}

/// Where a claim stands, in words; with its metric's name where claims are made of several.
pub(super) fn words(run: &Run, standing: &Standing) -> Option<String> {
    let (words, claims) = (run.standing_words(standing)?, run.runbook.claims());
    let mine = &claims.get(standing.claim)?.metric;
    let several = claims.iter().any(|claim| claim.metric != *mine);
    let title = run.runbook.metric(mine.as_str()).map_or("", |metric| metric.title.as_str());
    Some(if several { format!("{title}: {words}") } else { words })
}

/// What a trigger does, for the middle of a sentence.
pub(super) fn then_words(then: Then) -> String {
    match then {
        Then::Ask => "you are asked".to_owned(),
        Then::Countdown(whole) => format!("{whole} countdown, then rollback"),
        Then::Rollback => "rollback at once".to_owned(),
    }
}

/// Evidence that grows and has fired nothing yet.
pub(super) struct Growing {
    /// Where it stands, in words.
    pub(super) words: String,
    /// The part of what a verdict takes, in percent.
    pub(super) part: u64,
    /// What the trigger does then, for the middle of a sentence.
    pub(super) then: String,
}

/// All evidence that grows and has fired nothing yet, the strongest first.
pub(super) fn growing(model: &Model, run: &Run) -> Vec<Growing> {
    let growing = standings(model, run).into_iter().filter(|it| it.stage == Stage::Open && is_earnest(it));
    growing
        .filter_map(|standing| {
            let mut watching = run.runbook.triggers.iter().zip(&run.triggers).enumerate();
            let mine = |(index, (_, state)): &(usize, (&Trigger, &TriggerState))| {
                run.runbook.claim_of(*index) == Some(standing.claim) && state.fired.is_none()
            };
            let (_, (trigger, _)) = watching.find(mine)?;
            let then = then_words(trigger.watch.as_ref()?.then);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a percentage from 0 to 100"
            )]
            let part = standing.percent.floor() as u64;
            Some(Growing { words: words(run, &standing)?, part, then })
        })
        .collect()
}
