//! The Lease object: what we read from it, and what we write to it.

use serde_json::{Value, json};

use crate::domain::{
    id::RunId,
    lock::LockHolder,
    safe_text::SafeText,
    time::{Span, Timestamp},
};

use super::{super::call::LEASES, LockClaim};

/// Whose name stands before our annotations.
pub(super) const PREFIX: &str = "cutover.dev/";

/// Characters shown of a text in a Lease.
const LONGEST: usize = 200;

/// A lease duration that others may ask of us before a takeover: beyond this, ours counts.
const LONGEST_TERM: Span = Span::from_secs(60);

/// A Lease as it was read.
#[derive(Debug, Clone)]
pub(super) struct Record {
    object: Value,
}

/// What moves with each renewal and each new holder: while it stands still, nobody renews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pulse {
    uid: String,
    holder: Option<String>,
    renewed: String,
    transitions: u64,
}

impl Record {
    pub(super) fn new(object: Value) -> Self {
        Self { object }
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Written by other hosts and perhaps other people: shown only after it was made harmless.
    fn annotation(&self, name: &str) -> String {
        let annotations = self.object.pointer("/metadata/annotations");
        let text = annotations.and_then(|all| all.get(format!("{PREFIX}{name}"))).and_then(Value::as_str);
        shown(text.unwrap_or_default())
    }

    /// The id of who holds it; nothing where it is free.
    pub(super) fn holder_id(&self) -> Option<&str> {
        self.text("/spec/holderIdentity")
    }

    pub(super) fn uid(&self) -> &str {
        self.text("/metadata/uid").unwrap_or_default()
    }

    pub(super) fn transitions(&self) -> u64 {
        self.object.pointer("/spec/leaseTransitions").and_then(Value::as_u64).unwrap_or(0)
    }

    /// How long a holder may be silent before it counts as gone, by its own word.
    pub(super) fn term(&self, ours: Span) -> Span {
        let said = self.object.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64);
        said.map(Span::from_secs).filter(|said| *said <= LONGEST_TERM && *said > Span::ZERO).unwrap_or(ours)
    }

    /// Compared and not interpreted: any change of these means that somebody lives.
    pub(super) fn pulse(&self) -> Pulse {
        Pulse {
            uid: self.uid().to_owned(),
            holder: self.holder_id().map(str::to_owned),
            renewed: self.text("/spec/renewTime").unwrap_or_default().to_owned(),
            transitions: self.transitions(),
        }
    }

    /// Who holds it, for people; nothing where it is free.
    pub(super) fn holder(&self, expired: bool) -> Option<LockHolder> {
        let since = self.annotation("since").parse().ok().map(|at: jiff::Timestamp| at.as_millisecond());
        Some(LockHolder {
            lock_id: shown(self.holder_id()?),
            who: self.annotation("who"),
            host: self.annotation("host"),
            run_id: self.annotation("run"),
            since: since.map(Timestamp).or_else(|| self.time("/spec/acquireTime")),
            renewed_at: self.time("/spec/renewTime"),
            expired,
        })
    }

    /// One that cannot be read is none: a lock by a foreign tool is judged by its silence like any other.
    fn time(&self, pointer: &str) -> Option<Timestamp> {
        let at: jiff::Timestamp = self.text(pointer)?.parse().ok()?;
        Some(Timestamp(at.as_millisecond()))
    }

    /// Whether it is held on this host by one of the ids that this host has noted, for the run that it was noted for.
    pub(super) fn is_own(&self, claim: &LockClaim) -> bool {
        let noted = |(id, run): &(String, RunId)| {
            self.holder_id() == Some(id.as_str()) && self.annotation("run") == shown(run.as_str())
        };
        claim.previous.iter().any(noted) && self.annotation("host") == shown(&claim.host)
    }

    /// The object that makes it ours: a new one, or this one with another holder. Whatever others wrote into it stays.
    pub(super) fn taken(
        found: Option<&Self>,
        name: &str,
        claim: &LockClaim,
        (id, fence): (&str, u64),
        now: Timestamp,
        term: Span,
    ) -> Value {
        let mut object = found.map_or_else(
            || json!({ "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "cutover" } } }),
            Self::body,
        );
        object["apiVersion"] = json!(format!("{}/{}", LEASES.group, LEASES.version));
        object["kind"] = json!("Lease");
        for (name, text) in [
            ("who", claim.who.as_str()),
            ("host", claim.host.as_str()),
            ("run", claim.run_id.as_str()),
            ("since", &now.to_string()),
        ] {
            object["metadata"]["annotations"][format!("{PREFIX}{name}")] = json!(text);
        }
        for name in ["takeover-reason", "taken-from", "released"] {
            if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                annotations.shift_remove(&format!("{PREFIX}{name}"));
            }
        }
        object["spec"]["holderIdentity"] = json!(id);
        object["spec"]["leaseDurationSeconds"] = json!(term.as_secs().max(1));
        object["spec"]["acquireTime"] = json!(micro(now));
        object["spec"]["renewTime"] = json!(micro(now));
        object["spec"]["leaseTransitions"] = json!(fence);
        object
    }

    /// The object of one more renewal.
    pub(super) fn renewed(&self, now: Timestamp) -> Value {
        let mut object = self.body();
        object["spec"]["renewTime"] = json!(micro(now));
        object
    }

    /// The object of a lock that was given back. Its count of transitions stays: the next holder's is higher.
    pub(super) fn released(&self, now: Timestamp) -> Value {
        let mut object = self.body();
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.shift_remove("holderIdentity");
        }
        object["spec"]["renewTime"] = json!(micro(now));
        object["metadata"]["annotations"][format!("{PREFIX}released")] = json!(now.to_string());
        object
    }

    /// The object without what the API server keeps by itself. Its uid and `resourceVersion` stay: they make the write apply
    /// to exactly what was read, or not at all.
    fn body(&self) -> Value {
        let mut object = self.object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.shift_remove("managedFields");
        }
        object
    }
}

/// Adds why somebody was taken over from.
pub(super) fn with_reason(mut object: Value, from: &str, reason: &str) -> Value {
    object["metadata"]["annotations"][format!("{PREFIX}takeover-reason")] = json!(shown(reason));
    object["metadata"]["annotations"][format!("{PREFIX}taken-from")] = json!(from);
    object
}

/// Text from outside, safe and not endless.
fn shown(text: &str) -> String {
    let safe: String = SafeText::new(text).into();
    safe.chars().take(LONGEST).collect()
}

/// A time as `MicroTime` wants it: six digits, neither more nor fewer.
fn micro(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> LockClaim {
        LockClaim {
            who: "alice@bastion".to_owned(),
            host: "bastion-2".to_owned(),
            run_id: "20261122-140000-ab".into(),
            previous: vec![("one".to_owned(), "20261122-140000-ab".into())],
            id: None,
        }
    }

    #[test]
    fn a_lease_reads_as_it_was_written() {
        let now = Timestamp(1_795_356_000_250);
        let object = Record::taken(None, "cutover-x", &claim(), ("one", 7), now, Span::from_secs(15));
        assert_eq!(object["spec"]["renewTime"], "2026-11-22T14:00:00.250000Z");
        let record = Record::new(object);
        let holder = record.holder(false).unwrap();
        assert_eq!((holder.lock_id.as_str(), holder.who.as_str()), ("one", "alice@bastion"));
        assert_eq!((holder.since, holder.renewed_at), (Some(now), Some(now)));
        assert_eq!((record.transitions(), record.term(Span::ZERO)), (7, Span::from_secs(15)));
        assert!(record.is_own(&claim()));
        assert!(record.is_own(&LockClaim { run_id: "next".into(), ..claim() }), "a run that was never born");
        let noted =
            |id: &str, run: &str| LockClaim { previous: vec![(id.to_owned(), run.into())], ..claim() };
        assert!(!record.is_own(&LockClaim { previous: Vec::new(), ..claim() }));
        assert!(!record.is_own(&noted("two", "20261122-140000-ab")));
        assert!(!record.is_own(&noted("one", "other")));
        assert!(!record.is_own(&LockClaim { host: "other".to_owned(), ..claim() }));

        let later = Record::new(record.renewed(now + Span::from_secs(2)));
        assert_ne!(later.pulse(), record.pulse());
        let free = Record::new(later.released(now));
        assert_eq!((free.holder_id(), free.transitions()), (None, 7));
        assert!(free.holder(false).is_none());
    }

    #[test]
    fn foreign_text_in_a_lease_is_made_safe_and_short() {
        let object = json!({
            "metadata": { "annotations": { "cutover.dev/who": "\u{1b}[2Jeve\u{202e}", "cutover.dev/host": "x".repeat(5000) } },
            "spec": { "holderIdentity": "\u{7}id", "leaseDurationSeconds": 86_400 },
        });
        let record = Record::new(object);
        let holder = record.holder(false).unwrap();
        assert!(
            !holder.who.contains(['\u{1b}', '\u{202e}']) && !holder.lock_id.contains('\u{7}'),
            "{holder:?}"
        );
        assert_eq!(holder.host.chars().count(), LONGEST);
        assert_eq!(record.term(Span::from_secs(15)), Span::from_secs(15), "nobody waits for a day");
    }
}
