//! What a run begins with, opened or resumed: runbook, world, secrets, and the terms that its operator gave.

use std::{path::Path, sync::Arc};

use super::{
    exit::Exit,
    guard::{Guard, Taken},
    job::{Takeover, Terms, Word},
    runbook::Loaded,
    say::talk,
    stop::Stop,
    who,
    world::World,
};
use crate::{
    domain::{effect::Decision, event::Override, id::RunId},
    engine::values::Secrets,
};

/// What a run begins with.
pub struct Setup {
    /// The runbook.
    pub loaded: Loaded,
    /// Everything outside.
    pub world: World,
    /// Secrets.
    pub secrets: Arc<Secrets>,
    /// The story, in a rehearsal.
    pub rehearsal: Option<String>,
    /// What the operator gave.
    pub terms: Terms,
    /// What whoever started it wants to be called.
    pub pilot: String,
}

impl Setup {
    /// Takes the locks; without permission for the cluster's only where somebody gave a reason, among `refusals` then.
    pub(super) async fn guard(
        &self,
        state: &Path,
        run_id: &RunId,
        previous: Option<String>,
        takeover: Option<&Takeover>,
        refusals: &mut Vec<String>,
    ) -> Result<Guard, Stop> {
        let runbook = &self.loaded.runbook;
        match Guard::take(&self.world, runbook, state, run_id, previous, takeover).await? {
            Taken::Guard(guard) => Ok(guard),
            Taken::Forbidden(why) => {
                refusals.push(why);
                self.overridden(refusals)?;
                Guard::without_lease(&self.world, runbook, state, run_id).await
            }
        }
    }

    /// Refusals with the reason they are overridden for.
    ///
    /// # Errors
    /// Where there is no reason: whoever started this engine is told, and may ask for one.
    pub(super) fn overridden(&self, refusals: &[String]) -> Result<Vec<Override>, Stop> {
        match &self.terms.override_reason {
            None if !refusals.is_empty() => {
                Word::Refused { why: refusals.to_vec() }.say();
                Err(Stop::Exit(Exit::NeedsPerson))
            }
            reason => {
                let reason = reason.clone().unwrap_or_default();
                let by = who::user();
                let over =
                    |what: &String| Override { what: what.clone(), reason: reason.clone(), by: by.clone() };
                Ok(refusals.iter().map(over).collect())
            }
        }
    }
}

/// Adds what the machine decides on one more input.
pub(super) fn append(all: &mut Decision, more: Decision) {
    all.events.extend(more.events);
    all.effects.extend(more.effects);
    if let Some(why) = more.refused {
        talk(&format!("refused: {why}"));
    }
}

/// Wrong arguments, each with its line.
pub(super) fn usage(faults: &[String]) -> Stop {
    Stop::usage(faults.join("\n"))
}
