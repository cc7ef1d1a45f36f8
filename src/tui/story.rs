//! Words for what the story of a run is about; its sentences are those of deploy.log.

use crate::domain::{
    event::{ActionRef, Outcome, Place},
    run::Run,
};

/// An action's name.
pub fn action_name(run: &Run, at: &ActionRef) -> String {
    let action = run.action(at).map(|action| run.action_text(action));
    action.unwrap_or_else(|| match &at.place {
        Place::Step { step } | Place::Undo { step } => format!("action {} of {step}", at.action + 1),
        Place::Rollback { procedure } => format!("action {} of {procedure}", at.action + 1),
        Place::Completion => format!("action {} of the completion", at.action + 1),
    })
}

/// How a run ended, in words.
pub fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "FAILED",
        Outcome::RolledBack => "ROLLED BACK",
        Outcome::RollbackFailed => "ROLLBACK FAILED",
        Outcome::Held => "paused",
    }
}
