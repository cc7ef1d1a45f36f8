//! Checks.

use super::{
    Choice, Key, Kind, Shape, TEXT_OR_TEXTS,
    action::{HTTP, SLOT_SHORT},
    may, must, shape, with,
};

pub(super) const CHECKS: Kind = Kind::List(&Kind::Table(&CHECK));

const PODS_SHORT: Kind = Kind::Either(&[Kind::Slot, Kind::Table(&PODS_READY)]);

/// The kinds of check.
pub(crate) const CHECK_KINDS: &[&str] = &[
    "http",
    "tls",
    "dns",
    "metric",
    "rollout",
    "pods_ready",
    "traffic_on",
    "scaled_to",
    "headroom",
    "sh",
    "logs",
];

pub(crate) static CHECK: Shape = Shape {
    what: "a check",
    id: "check",
    about: "Something that must be true; at most one kind. Without a kind, a person looks.",
    choice: Some(Choice { keys: CHECK_KINDS, optional: true }),
    keys: &[
        &[
            may("text", Kind::Text, "What must be true. If not set, it is derived from the check."),
            may("optional", Kind::Bool, "`true`: the step can pass without it.").or("false"),
            // A checklist's item waits for nothing, so it has none.
            with(
                "patience",
                &["rollout", "pods_ready"],
                Kind::Duration,
                "How long a cause may keep the pods from becoming ready before the check fails. If not set, \
                 it depends on the cause.",
            ),
        ],
        LOOK_KEYS,
    ],
};

pub(super) static LOOK: Shape = Shape {
    what: "an item's check",
    id: "look",
    about: "An automatic check; exactly one kind.",
    choice: Some(Choice { keys: CHECK_KINDS, optional: false }),
    keys: &[LOOK_KEYS],
};

const LOOK_KEYS: &[Key] = &[
    may("http", Kind::Table(&HTTP), "A request that only reads."),
    may("tls", Kind::Table(&TLS), "A certificate is valid for long enough."),
    may("dns", Kind::Table(&DNS), "A name resolves as expected."),
    may("metric", Kind::Text, "A metric is within a bound."),
    may("rollout", SLOT_SHORT, "The slot's rollout is complete."),
    may("pods_ready", PODS_SHORT, "All wanted pods of a slot are ready."),
    may("traffic_on", SLOT_SHORT, "The Service selects this slot."),
    may("scaled_to", Kind::Table(&SCALED_TO), "The slot's Deployment has this many replicas."),
    may("headroom", Kind::Table(&SCALED_TO), "The nodes have room for this many more pods of the slot."),
    may("sh", Kind::Script, "A command that changes nothing; it must exit with 0."),
    may("logs", Kind::Table(&LOGS), "Log lines of a slot's pods since the step began."),
    with("is", &["metric"], Kind::Bound, "The bound."),
    with(
        "within",
        &["metric"],
        Kind::Text,
        "`20% of baseline`: the allowed distance from the value recorded before the switch.",
    ),
    with(
        "not",
        &["metric"],
        Kind::Text,
        "`worse than 0.1%` or `worse than before`, of a counted metric, after the switch: it holds while evidence does not say so.",
    ),
    with(
        "slot",
        &["metric"],
        Kind::Slot,
        "The slot, for a `per_slot` metric. If not set: the new one, in a rollback the previous one.",
    ),
    with(
        "no_traffic",
        &["metric"],
        Kind::Word(&["skip", "wait", "fail"]),
        "What a slot without requests (0/0) means: skip the check, wait, or fail. If not set: no data.",
    ),
    with("expect", &["sh"], Kind::Regex, "The output must match this."),
    with("sample", &["sh"], TEXT_OR_TEXTS, "The command's output in a rehearsal."),
    with("timeout", CHECK_KINDS, Kind::Duration, "The check fails if it has not passed for this long.")
        .or("60s"),
    with("interval", CHECK_KINDS, Kind::Duration, "Time between attempts.").or("2s"),
];

pub(crate) static TLS: Shape = shape(
    "tls",
    "tls",
    "A certificate is valid for long enough.",
    &[&[
        must("host", Kind::Template, "The host, and the name in the certificate."),
        may("port", Kind::Integer(1, 65_535), "The port.").or("443"),
        may("days", Kind::Integer(0, 3_650), "How many days it must still be valid.").or("30"),
    ]],
);

static DNS: Shape = shape(
    "dns",
    "dns",
    "A name resolves as expected.",
    &[&[
        must("name", Kind::Template, "The name."),
        must("expect", Kind::Template, "An address, or a name with which it must share an address."),
    ]],
);

pub(crate) static PODS_READY: Shape = shape(
    "pods_ready",
    "pods_ready",
    "All wanted pods of a slot are ready.",
    &[&[
        must("slot", Kind::Slot, "The slot."),
        may("at_least", Kind::Integer(0, 100_000), "The minimum number.").or("1"),
    ]],
);

static SCALED_TO: Shape = shape(
    "a slot and a number of replicas",
    "slot_replicas",
    "A slot and a number of replicas.",
    &[&[must("slot", Kind::Slot, "The slot."), must("replicas", Kind::Integer(0, 100_000), "How many.")]],
);

static LOGS: Shape = shape(
    "logs",
    "logs",
    "Log lines of a slot's pods since the step began.",
    &[&[
        must("slot", Kind::Slot, "The slot."),
        may("without", Kind::Regex, "No line may match this."),
        may("with", Kind::Regex, "Some line must match this."),
    ]],
);
