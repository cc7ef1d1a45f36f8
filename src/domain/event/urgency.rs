//! Which events must be written even if the disk is nearly full.

use super::{Envelope, RunEvent};

/// What an event is to a journal that has only the space left which is kept for a rollback and for ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It begins something: never there, and nothing that comes with it.
    Begins,
    /// It ends something, saves something, or is a fact that must not be forgotten: there too.
    Saves,
    /// It can be told later, or again: there only beside something that saves.
    Waits,
}

impl RunEvent {
    /// What this event is to a journal that is short of room.
    pub fn urgency(&self) -> Urgency {
        match self {
            Self::ActionStarted { .. }
            | Self::StepStarted { .. }
            | Self::UndoStarted { .. }
            | Self::CompletionStarted { .. }
            | Self::PutBackStarted { .. }
            | Self::ChecklistPassed { .. }
            | Self::RunContinued { .. } => Urgency::Begins,
            Self::ActionFinished { .. }
            | Self::ActionResolved { .. }
            | Self::ActionSpawned { .. }
            | Self::ActionLooked { .. }
            | Self::VarSet { .. }
            | Self::NoticeSent { .. }
            | Self::LockTaken { .. }
            | Self::LockUncertain { .. }
            | Self::LockCertain
            | Self::LockLost { .. }
            | Self::ChildSeen { .. }
            | Self::ControlTaken { .. }
            | Self::ScreenJoined { .. }
            | Self::ScreenLeft { .. }
            | Self::TrafficSwitched { .. }
            | Self::TrafficShifted { .. }
            | Self::TriggerFired { .. }
            | Self::CountdownStarted { .. }
            | Self::CountdownCancelled { .. }
            | Self::RollbackStarted { .. }
            | Self::RollbackFinished { .. }
            | Self::RollbackPrepared { .. }
            | Self::RollbackRemarked { .. }
            | Self::RollbackBlind { .. }
            | Self::ActionRetried { .. }
            | Self::TargetTaken { .. }
            | Self::PutBackFinished { .. }
            | Self::OverrideGiven(_)
            | Self::RunHeld { .. }
            | Self::RunFinished { .. } => Urgency::Saves,
            Self::RunOpened(_)
            | Self::RunResumed { .. }
            | Self::ControlAsked { .. }
            | Self::ControlKept { .. }
            | Self::ApprovalGiven { .. }
            | Self::PartDecided { .. }
            | Self::ItemTicked { .. }
            | Self::ItemUnticked { .. }
            | Self::ItemWaived { .. }
            | Self::CheckPassed { .. }
            | Self::CheckFailed { .. }
            | Self::StepPassed { .. }
            | Self::StepFailed { .. }
            | Self::StepSkipped { .. }
            | Self::UndoFinished { .. }
            | Self::CompletionFailed { .. }
            | Self::BaselineRecorded { .. }
            | Self::EvidenceBegan { .. }
            | Self::EvidenceTold { .. }
            | Self::WindowOpened { .. }
            | Self::WindowAdvanced { .. }
            | Self::WayBackChanged { .. }
            | Self::TriggerBreaching { .. }
            | Self::TriggerWaits { .. }
            | Self::TriggerCleared { .. }
            | Self::TriggerBlind { .. }
            | Self::TriggerSees { .. }
            | Self::RollbackStopped { .. }
            | Self::RollbackRetried { .. }
            | Self::RollbackLate { .. }
            | Self::ActionWaits { .. }
            | Self::ForeignChange { .. }
            | Self::TaskCreated { .. }
            | Self::TaskDone { .. }
            | Self::IncidentUpdated { .. }
            | Self::IncidentStepTicked { .. }
            | Self::NoteAdded { .. } => Urgency::Waits,
        }
    }
}

/// Whether events that are written together may use the space that is kept.
pub fn are_urgent(events: &[Envelope]) -> bool {
    let any = |urgency| events.iter().any(|envelope| envelope.event.urgency() == urgency);
    !any(Urgency::Begins) && any(Urgency::Saves)
}
