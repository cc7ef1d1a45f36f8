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
    about: "Something that must hold: at most one of its kinds; with none, a person looks.",
    choice: Some(Choice { keys: CHECK_KINDS, optional: true }),
    keys: &[
        &[
            may("text", Kind::Text, "What must be true; made from the check where not given."),
            may("optional", Kind::Bool, "`true`: the step passes without it.").or("false"),
            // A checklist's item waits for nothing, so it has none.
            with(
                "patience",
                &["rollout", "pods_ready"],
                Kind::Duration,
                "How long what keeps the pods from being ready must last before the check has failed. By cause, where not given.",
            ),
        ],
        LOOK_KEYS,
    ],
};

pub(super) static LOOK: Shape = Shape {
    what: "an item's check",
    id: "look",
    about: "How something is found out: exactly one kind.",
    choice: Some(Choice { keys: CHECK_KINDS, optional: false }),
    keys: &[LOOK_KEYS],
};

const LOOK_KEYS: &[Key] = &[
    may("http", Kind::Table(&HTTP), "A request that only reads."),
    may("tls", Kind::Table(&TLS), "The certificate is valid for so many days more."),
    may("dns", Kind::Table(&DNS), "A name resolves to what is expected."),
    may("metric", Kind::Text, "A metric is inside a bound."),
    may("rollout", SLOT_SHORT, "The slot's rollout is complete."),
    may("pods_ready", PODS_SHORT, "All wanted pods of a slot are ready."),
    may("traffic_on", SLOT_SHORT, "The Service selects this slot."),
    may("scaled_to", Kind::Table(&SCALED_TO), "The slot's Deployment has so many replicas."),
    may("headroom", Kind::Table(&SCALED_TO), "The nodes have room for so many more pods of the slot."),
    may("sh", Kind::Script, "A command that only looks; it must exit 0."),
    may("logs", Kind::Table(&LOGS), "Log lines of a slot's pods since the step began."),
    with("is", &["metric"], Kind::Bound, "The bound that must hold."),
    with(
        "within",
        &["metric"],
        Kind::Text,
        "`20% of baseline`: how far from what was recorded before the switch.",
    ),
    with(
        "slot",
        &["metric"],
        Kind::Slot,
        "Which slot, where the metric is per slot: the new one where not given, in a rollback the previous one.",
    ),
    with(
        "no_traffic",
        &["metric"],
        Kind::Word(&["skip", "wait", "fail"]),
        "What it means that nothing was counted (0/0): the check is skipped, waits, or fails. Without it: no data.",
    ),
    with("expect", &["sh"], Kind::Regex, "A regular expression that the output must match."),
    with("sample", &["sh"], TEXT_OR_TEXTS, "What a rehearsal takes as the command's output."),
    with("timeout", CHECK_KINDS, Kind::Duration, "It has failed when it did not hold for this long.")
        .or("60s"),
    with("interval", CHECK_KINDS, Kind::Duration, "Time between looks.").or("2s"),
];

pub(crate) static TLS: Shape = shape(
    "tls",
    "tls",
    "The certificate is valid for so many days more.",
    &[&[
        must("host", Kind::Template, "The host, which is also the name the certificate must carry."),
        may("port", Kind::Integer(1, 65_535), "The port.").or("443"),
        may("days", Kind::Integer(0, 3_650), "Days that must be left.").or("30"),
    ]],
);

static DNS: Shape = shape(
    "dns",
    "dns",
    "A name resolves to what is expected.",
    &[&[
        must("name", Kind::Template, "The name."),
        must("expect", Kind::Template, "An address, or a name whose addresses it must share."),
    ]],
);

pub(crate) static PODS_READY: Shape = shape(
    "pods_ready",
    "pods_ready",
    "All wanted pods of a slot are ready.",
    &[&[
        must("slot", Kind::Slot, "Whose."),
        may("at_least", Kind::Integer(0, 100_000), "The least number that will do.").or("1"),
    ]],
);

static SCALED_TO: Shape = shape(
    "a slot and a number of replicas",
    "slot_replicas",
    "A slot and a number of replicas.",
    &[&[must("slot", Kind::Slot, "Whose."), must("replicas", Kind::Integer(0, 100_000), "How many.")]],
);

static LOGS: Shape = shape(
    "logs",
    "logs",
    "Log lines of a slot's pods since the step began.",
    &[&[
        must("slot", Kind::Slot, "Whose pods."),
        may("without", Kind::Regex, "No line may match this."),
        may("with", Kind::Regex, "Some line must match this."),
    ]],
);
