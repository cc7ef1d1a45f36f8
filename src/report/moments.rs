//! Which events somebody who has a minute must know of.

use super::tone::Tone;
use crate::domain::{
    event::{Outcome, RunEvent},
    run::Run,
};

/// What a reader who has a minute must know, and what to make of it; none for what only the whole log has.
///
/// Longer than a screen because it sorts every event by name: one that is new does not compile before somebody has decided
/// whether a reader in a hurry must see it.
pub fn moment(run: &Run, event: &RunEvent) -> Option<Tone> {
    match event {
        // With a rollback every step under way fails; the rollback says it.
        RunEvent::StepFailed { .. } => run.rolling_back().is_none().then_some(Tone::Bad),
        RunEvent::UndoFinished { ok: false, .. }
        | RunEvent::CompletionFailed { .. }
        | RunEvent::LockLost { .. }
        | RunEvent::LockUncertain { .. }
        | RunEvent::TriggerFired { .. }
        | RunEvent::RollbackLate { .. }
        | RunEvent::RollbackStopped { .. }
        | RunEvent::RollbackFinished { ok: false, .. }
        | RunEvent::NoticeSent { ok: false, .. }
        | RunEvent::ActionLooked { .. }
        | RunEvent::RollbackBlind { .. } => Some(Tone::Bad),
        RunEvent::OverrideGiven(_)
        | RunEvent::TriggerBreaching { .. }
        | RunEvent::TriggerBlind { .. }
        | RunEvent::CountdownStarted { .. }
        | RunEvent::CountdownCancelled { .. }
        | RunEvent::RollbackStarted { .. }
        | RunEvent::RollbackRemarked { .. }
        | RunEvent::WayBackChanged { ready: false, .. }
        | RunEvent::ForeignChange { .. }
        | RunEvent::RunHeld { .. }
        | RunEvent::IncidentUpdated { .. } => Some(Tone::Watch),
        RunEvent::RollbackFinished { ok: true, .. } => Some(Tone::Well),
        RunEvent::RunFinished { outcome, .. } => Some(match outcome {
            Outcome::Succeeded => Tone::Well,
            Outcome::RolledBack | Outcome::Held => Tone::Watch,
            Outcome::Failed | Outcome::RollbackFailed => Tone::Bad,
        }),
        RunEvent::RunOpened(_)
        | RunEvent::RunResumed { .. }
        | RunEvent::ControlTaken { .. }
        | RunEvent::LockTaken { from: Some(_), .. }
        | RunEvent::ChecklistPassed { .. }
        | RunEvent::StepStarted { .. }
        | RunEvent::StepSkipped { .. }
        | RunEvent::UndoStarted { .. }
        | RunEvent::TrafficSwitched { .. }
        | RunEvent::TrafficShifted { .. }
        | RunEvent::TriggerCleared { .. }
        | RunEvent::TriggerSees { .. }
        | RunEvent::RollbackRetried { .. }
        | RunEvent::PutBackStarted { .. }
        | RunEvent::PutBackFinished { .. }
        | RunEvent::TargetTaken { .. }
        | RunEvent::RunContinued { .. }
        | RunEvent::ActionResolved { .. }
        | RunEvent::NoteAdded { .. } => Some(Tone::Plain),
        RunEvent::ScreenJoined { .. }
        | RunEvent::ScreenLeft { .. }
        | RunEvent::ControlAsked { .. }
        | RunEvent::ControlKept { .. }
        | RunEvent::ApprovalGiven { .. }
        | RunEvent::LockTaken { .. }
        | RunEvent::LockCertain
        | RunEvent::ChildSeen { .. }
        | RunEvent::VarSet { .. }
        | RunEvent::PartDecided { .. }
        | RunEvent::ItemTicked { .. }
        | RunEvent::ItemUnticked { .. }
        | RunEvent::ItemWaived { .. }
        | RunEvent::ActionStarted { .. }
        | RunEvent::ActionSpawned { .. }
        | RunEvent::ActionFinished { .. }
        | RunEvent::ActionWaits { .. }
        | RunEvent::ActionRetried { .. }
        | RunEvent::CheckPassed { .. }
        | RunEvent::CheckFailed { .. }
        | RunEvent::StepPassed { .. }
        | RunEvent::UndoFinished { .. }
        | RunEvent::CompletionStarted { .. }
        | RunEvent::BaselineRecorded { .. }
        | RunEvent::EvidenceBegan { .. }
        // What it leads to is told by a trigger or a check; the cards have a part of their own.
        | RunEvent::EvidenceTold { .. }
        | RunEvent::WayBackChanged { .. }
        | RunEvent::WindowOpened { .. }
        | RunEvent::WindowAdvanced { .. }
        | RunEvent::TriggerWaits { .. }
        | RunEvent::RollbackPrepared { .. }
        | RunEvent::NoticeSent { .. }
        | RunEvent::TaskCreated { .. }
        | RunEvent::TaskDone { .. }
        | RunEvent::IncidentStepTicked { .. } => None,
    }
}
