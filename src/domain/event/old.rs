//! Reads events that earlier versions wrote.
//!
//! Earlier versions told the cause of a hold by its sentence alone, and put what a look had found into `by`. Their
//! sentences stand here word for word, whatever we say today; nothing else compares a sentence.

use serde::Deserialize;

use super::{Envelope, RunEvent};
use crate::domain::{
    actor::Actor,
    cause::{HoldCause, StopCause},
    time::Timestamp,
};

/// An envelope as it stands in a journal.
#[derive(Deserialize)]
pub(super) struct Written {
    seq: u64,
    at: Timestamp,
    #[serde(flatten)]
    event: RunEvent,
}

impl From<Written> for Envelope {
    fn from(Written { seq, at, mut event }: Written) -> Self {
        complete(&mut event);
        Self { seq, at, event }
    }
}

/// Fills in what an earlier version did not write.
fn complete(event: &mut RunEvent) {
    match event {
        RunEvent::RunHeld { reason, by, cause } if *cause == HoldCause::Other => {
            *cause = hold_cause(reason, by);
        }
        RunEvent::RollbackStopped { reason, cause, .. }
            if *cause == StopCause::Failed && reason == COPIED =>
        {
            *cause = StopCause::Copied;
        }
        RunEvent::ActionResolved { by, evidence: evidence @ None, .. } => {
            let seen = by.as_str().strip_prefix("auto, by looking: ").map(str::to_owned);
            if let Some(seen) = seen {
                *by = Actor::Auto;
                *evidence = Some(seen);
            }
        }
        _ => {}
    }
}

const COPIED: &str =
    "taken over from a copy, which may lack the last seconds: look around, then try it again";

fn hold_cause(reason: &str, by: &Actor) -> HoldCause {
    if by.is_person() {
        return match reason {
            "the journal is lost: only a rollback is done" => HoldCause::JournalLost,
            _ => HoldCause::Person,
        };
    }
    match reason {
        "no data: the run cannot tell health from harm" => HoldCause::NoData,
        "nobody was at the controls" => HoldCause::Away,
        "resumed: look around, then continue" => HoldCause::Resumed,
        "fenced off: somebody else has the target's lock" => HoldCause::Fenced,
        _ if reason.starts_with("the journal has no room (") => HoldCause::JournalFull,
        _ if reason.contains(", and the rollback could not begin: ") => HoldCause::RollbackNotBegun,
        _ if reason.contains(" was changed by ") => HoldCause::Foreign,
        _ => HoldCause::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Resolution;

    fn read(json: &str) -> RunEvent {
        serde_json::from_str::<Envelope>(json).unwrap().event
    }

    #[test]
    fn a_hold_of_an_earlier_version_has_its_cause() {
        let told = [
            ("auto", "no data: the run cannot tell health from harm", HoldCause::NoData),
            ("auto", "nobody was at the controls", HoldCause::Away),
            ("auto", "resumed: look around, then continue", HoldCause::Resumed),
            ("auto", "fenced off: somebody else has the target's lock", HoldCause::Fenced),
            (
                "auto",
                "the journal has no room (No space left on device): free the disk, then continue",
                HoldCause::JournalFull,
            ),
            ("ada", "the journal is lost: only a rollback is done", HoldCause::JournalLost),
            ("auto", "service/web was changed by kubectl: the selector points at blue", HoldCause::Foreign),
            (
                "auto",
                "5xx too high (measured: 9 % for 1:00), and the rollback could not begin: nothing to roll back",
                HoldCause::RollbackNotBegun,
            ),
            ("auto", "the moon", HoldCause::Other),
            ("ada", "lunch", HoldCause::Person),
            // A person may say what they like.
            ("ada", "nobody was at the controls", HoldCause::Person),
        ];
        for (by, reason, cause) in told {
            let json = format!(
                r#"{{"seq":2,"at":"2026-11-22T20:46:00Z","event":"run_held","reason":"{reason}","by":"{by}"}}"#
            );
            let RunEvent::RunHeld { cause: read, reason: kept, .. } = read(&json) else { panic!("{json}") };
            assert_eq!((read, kept.as_str()), (cause, reason));
        }
    }

    #[test]
    fn a_written_cause_counts_whatever_the_sentence_says() {
        let json = r#"{"seq":2,"at":"2026-11-22T20:46:00Z","event":"run_held","reason":"nobody was at the controls","by":"auto","cause":"no_data"}"#;
        assert!(matches!(read(json), RunEvent::RunHeld { cause: HoldCause::NoData, .. }));
    }

    #[test]
    fn a_rollback_of_an_earlier_version_that_was_taken_up_from_a_copy_waits_for_a_person() {
        let stopped = |reason: &str| {
            read(&format!(
                r#"{{"seq":2,"at":"2026-11-22T20:46:00Z","event":"rollback_stopped","procedure":"quick","reason":"{reason}"}}"#
            ))
        };
        assert!(matches!(stopped(COPIED), RunEvent::RollbackStopped { cause: StopCause::Copied, .. }));
        assert!(matches!(stopped("exit 1"), RunEvent::RollbackStopped { cause: StopCause::Failed, .. }));
    }

    #[test]
    fn what_a_look_of_an_earlier_version_found_is_evidence() {
        let json = r#"{"seq":2,"at":"2026-11-22T20:46:00Z","event":"action_resolved","phase":"step","step":"switch","attempt":1,"action":0,"resolution":"done","by":"auto, by looking: the selector points at green"}"#;
        let RunEvent::ActionResolved { resolution, by, evidence, .. } = read(json) else { panic!() };
        assert_eq!((resolution, by), (Resolution::Done, Actor::Auto));
        assert_eq!(evidence.as_deref(), Some("the selector points at green"));
    }
}
