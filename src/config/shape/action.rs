//! Actions, and the requests that they share with checks.

use super::{Choice, Default, Kind, OTHERS, Shape, TEXT_OR_TEXTS, may, must, shape, with};

pub(super) const ACTIONS: Kind = Kind::List(&Kind::Table(&ACTION));

pub(super) const CONFIRM: Kind = Kind::Word(&["none", "twice", "type"]);

/// The kinds of action, in the order in which the reference lists them.
pub(crate) const ACTION_KINDS: &[&str] = &[
    "sh",
    "argv",
    "set_image",
    "rollout",
    "switch_traffic",
    "shift_traffic",
    "promote",
    "revert",
    "pause",
    "resume",
    "scale",
    "restart",
    "patch",
    "http",
    "notify",
];

/// The kinds of action and of check that need no cluster: they run on the host or send a request. All
/// others act on the `[target]` or look at it.
pub(crate) const WITHOUT_CLUSTER: &[&str] = &["sh", "argv", "http", "notify", "tls", "dns", "metric"];

pub(crate) static ACTION: Shape = Shape {
    what: "an action",
    id: "action",
    about: "Something to do; exactly one kind.",
    choice: Some(Choice { keys: ACTION_KINDS, optional: false }),
    keys: &[&[
        may("name", Kind::Text, "Its name on the screen."),
        may(
            "sh",
            Kind::Script,
            "A command line for /bin/sh. Variables are environment variables: write \"$NAME\".",
        ),
        may("argv", Kind::List(&Kind::Template), "A program with its arguments, without a shell."),
        may("set_image", Kind::Table(&SET_IMAGE), "Set the image of a slot's Deployment."),
        may("rollout", SLOT_SHORT, "Wait until a slot's rollout is complete."),
        may("switch_traffic", Kind::Table(&SWITCH), "Give a slot all of the traffic."),
        may(
            "shift_traffic",
            Kind::Table(&SHIFT),
            "Give a slot a share of the traffic, and the other the rest.",
        ),
        may(
            "promote",
            SLOT_SHORT,
            "End a canary: the previous slot gets the new slot's image, then all of the traffic.",
        ),
        may("revert", SLOT_SHORT, "Give a slot the pod template again that it had when the run opened."),
        may("pause", SLOT_SHORT, "Stop a rollout where it is; pods that run stay."),
        may("resume", SLOT_SHORT, "Let a paused rollout continue."),
        may("scale", Kind::Table(&SCALE), "Set a slot's replicas."),
        may("restart", SLOT_SHORT, "Rolling restart of a slot's pods."),
        may("patch", Kind::Table(&PATCH), "Patch an object in the namespace."),
        may(
            "http",
            Kind::Table(&HTTP),
            "A request that changes something, or verifies something between two actions.",
        ),
        may("notify", Kind::Template, "A message to the channel."),
        may("timeout", Kind::Duration, "It is stopped after this time.").or_default(Default::With(&[
            (&["sh", "argv", "rollout", "promote"], "10m"),
            (&["http", "notify"], "10s"),
            (OTHERS, "30s"),
        ])),
        with(
            "patience",
            &["rollout", "promote"],
            Kind::Duration,
            "How long a cause may keep the rollout from succeeding before it fails. If not set, it depends \
             on the cause.",
        ),
        with(
            "capture",
            &["sh", "argv"],
            Kind::Map(&Kind::Regex),
            "Variables to read from its output: a regular expression with one group each.",
        ),
        with("sample", &["sh", "argv"], TEXT_OR_TEXTS, "What a rehearsal prints instead of running it."),
        with(
            "sample_failure",
            &["sh", "argv"],
            TEXT_OR_TEXTS,
            "What a rehearsal prints if its scenario makes this fail.",
        ),
        may("confirm", CONFIRM, "What the operator must do before it starts.").or("none"),
        may("irreversible", Kind::Text, "Why a rollback cannot undo it."),
        may(
            "data_loss",
            Kind::Text,
            "What data is lost when it runs. An `undo` with this is never part of R: it has its own key and \
             a typed word.",
        ),
    ]],
};

pub(super) const SLOT_SHORT: Kind = Kind::Either(&[Kind::Slot, SLOT_TABLE]);

const SLOT_TABLE: Kind = Kind::Table(&SLOT_OF);

static SLOT_OF: Shape = shape(
    "a slot reference",
    "slot_of",
    "The slot.",
    &[&[must("slot", Kind::Slot, "The slot: `new`, `previous`, or a colour.")]],
);

static SET_IMAGE: Shape = shape(
    "set_image",
    "set_image",
    "Set the image of a slot's Deployment.",
    &[&[
        must("slot", Kind::Slot, "The slot."),
        may("container", Kind::Text, "The container; if not set, the target's."),
        must("image", Kind::Template, "The image."),
    ]],
);

static SWITCH: Shape = shape(
    "switch_traffic",
    "switch_traffic",
    "Give a slot all of the traffic: the Service selects it, or the route's weights say so.",
    &[&[
        must("to", Kind::Slot, "The slot that gets the traffic."),
        may(
            "ready",
            Kind::Integer(1, 100_000),
            "How many of its pods must be ready first. If not set: as many as serve the traffic now.",
        ),
    ]],
);

static SHIFT: Shape = shape(
    "shift_traffic",
    "shift_traffic",
    "Give a slot a share of the traffic, and the other the rest.",
    &[&[
        must("to", Kind::Slot, "The slot that gets the share."),
        must("share", Kind::Percent, "How much of the traffic, from `0%` to `100%`."),
    ]],
);

static SCALE: Shape = shape(
    "scale",
    "scale",
    "Set a slot's replicas.",
    &[&[
        must("slot", Kind::Slot, "The slot."),
        must(
            "replicas",
            Kind::Either(&[Kind::Integer(0, 100_000), Kind::Word(&["before"])]),
            "How many, or `before`: the number of the live slot when the run opened.",
        ),
    ]],
);

pub(crate) static PATCH: Shape = shape(
    "patch",
    "patch",
    "Patch an object in the target's namespace.",
    &[&[
        must(
            "kind",
            Kind::Text,
            "`deployment`, `service`, `configmap`, or any resource as `kind.group/version`.",
        ),
        must("name", Kind::Template, "The object's name."),
        may("type", Kind::Word(&["strategic", "merge", "json"]), "How the patch is applied.").or("strategic"),
        must("patch", Kind::Any, "The patch itself."),
    ]],
);

pub(crate) static HTTP: Shape = shape(
    "http",
    "http",
    "A request, and what its answer must contain.",
    &[&[
        may(
            "method",
            Kind::Word(&["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]),
            "The method. In a check: GET, HEAD or OPTIONS.",
        )
        .or_default(Default::With(&[(&["body"], "POST"), (OTHERS, "GET")])),
        must("url", Kind::Template, "The URL."),
        may("headers", Kind::Map(&Kind::Template), "Headers by name."),
        may("body", Kind::Template, "The body."),
        may("status", Kind::Integer(100, 599), "The expected status; if not set, any 2xx."),
        may(
            "json",
            Kind::Map(&Kind::Template),
            "JSON pointers into the answer, and the text expected there.",
        ),
        may("contains", Kind::Template, "Text that the answer must contain."),
    ]],
);
