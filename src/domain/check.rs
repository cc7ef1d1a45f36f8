//! Checks: what a step or a checklist item looks at without changing anything.

use serde::{Deserialize, Serialize};

use super::{
    action::{HttpRequest, SlotRef},
    id::MetricId,
    metric::Bound,
    rights::Right,
    template::Template,
    time::Span,
    worse::Than,
};

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What must be true, in words.
    pub text: String,
    /// How that is found out.
    pub kind: CheckKind,
    /// The check fails if it has not passed for this long. Ignored for a person's.
    pub timeout: Span,
    /// Time between attempts.
    pub interval: Span,
    /// Whether the step can pass without it.
    #[serde(default)]
    pub optional: bool,
    /// What a rehearsal takes as a command's output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample: Vec<String>,
}

/// The kinds of check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// A person looks, and says so.
    Person,
    /// A request that only reads.
    Http(HttpRequest),
    /// A certificate is valid for long enough.
    Tls {
        /// The host, and the name in the certificate.
        host: Template,
        /// The port, 443 if not set.
        port: u16,
        /// How many days it must still be valid.
        days: u32,
    },
    /// A name resolves as expected.
    Dns {
        /// The name.
        name: Template,
        /// An address, or a name with which it must share an address.
        expect: Template,
    },
    /// A metric is within a bound. Decided from samples, not polled.
    Metric {
        /// Which metric.
        metric: MetricId,
        /// The slot, for a per-slot metric; `new` if not set.
        slot: Option<SlotRef>,
        /// What must hold.
        condition: Condition,
        /// What a metric without requests means; if not set, it counts as missing and never passes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        no_traffic: Option<NoTraffic>,
    },
    /// The rollout is complete.
    Rollout {
        /// Whose.
        slot: SlotRef,
        /// How long a fault may last before the check fails; if not set, it depends on the cause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        patience: Option<Span>,
    },
    /// All wanted pods of a slot are ready, at least `at_least` of them.
    PodsReady {
        /// Whose.
        slot: SlotRef,
        /// The minimum number.
        at_least: u32,
        /// How long a fault may last before the check fails; if not set, it depends on the cause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        patience: Option<Span>,
    },
    /// The Service selects this slot.
    TrafficOn {
        /// Which.
        slot: SlotRef,
    },
    /// The slot's Deployment has this many replicas, in spec and in status.
    ScaledTo {
        /// Whose.
        slot: SlotRef,
        /// How many.
        replicas: u32,
    },
    /// The nodes have room for this many more pods of a slot, by their requests.
    Headroom {
        /// Whose pods.
        slot: SlotRef,
        /// How many.
        replicas: u32,
    },
    /// The API server allows us something. No runbook declares it: a run opens with it where a right is missing.
    Allowed {
        /// What.
        right: Right,
    },
    /// A command that only looks; it must exit 0 and print what is expected.
    Sh {
        /// The script, exactly as written.
        script: String,
        /// A regular expression the output must match, where given.
        expect: Option<String>,
    },
    /// Log lines of a slot's pods: none may match `without`, and one must match `with`, since the step began.
    Logs {
        /// Whose pods.
        slot: SlotRef,
        /// No line may match this.
        without: Option<String>,
        /// Some line must match this.
        with: Option<String>,
    },
}

/// What a metric check demands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Inside the bound.
    Is(Bound),
    /// At most this part (0.2 = 20 %) away from what was recorded before the switch.
    WithinBaseline(f64),
    /// No evidence that the events counted are worse than this.
    NotWorse(Than),
}

/// What it means for a metric's check that nothing was counted: a slot that has no requests has no rate of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoTraffic {
    /// There is nothing to check yet: the check is skipped, and shown as that.
    Skip,
    /// The check stays open until there is traffic; its timeout does not run meanwhile.
    Wait,
    /// There should be traffic: the check fails.
    Fail,
}

impl CheckKind {
    /// Whether a person decides.
    pub fn is_person(&self) -> bool {
        matches!(self, Self::Person)
    }
}
