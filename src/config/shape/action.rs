//! Actions, and the requests that they share with checks.

use super::{Choice, Default, Kind, OTHERS, Shape, TEXT_OR_TEXTS, may, must, shape, with};

pub(super) const ACTIONS: Kind = Kind::List(&Kind::Table(&ACTION));

pub(super) const CONFIRM: Kind = Kind::Word(&["none", "twice", "type"]);

/// The kinds of action.
pub(crate) const ACTION_KINDS: &[&str] =
    &["sh", "argv", "set_image", "rollout", "switch_traffic", "scale", "restart", "patch", "http", "notify"];

pub(crate) static ACTION: Shape = Shape {
    what: "an action",
    id: "action",
    about: "Something that is done: exactly one of its kinds.",
    choice: Some(Choice { keys: ACTION_KINDS, optional: false }),
    keys: &[&[
        may("name", Kind::Text, "What it is called on the screen."),
        may(
            "sh",
            Kind::Script,
            "A command line for /bin/sh. Variables reach it as environment variables: write \"$NAME\".",
        ),
        may("argv", Kind::List(&Kind::Template), "A program with its arguments, no shell between."),
        may("set_image", Kind::Table(&SET_IMAGE), "Give a slot's Deployment a new image."),
        may("rollout", SLOT_SHORT, "Wait until a slot's rollout is complete."),
        may("switch_traffic", Kind::Table(&SWITCH), "Point the Service at a slot."),
        may("scale", Kind::Table(&SCALE), "Set a slot's replicas."),
        may("restart", SLOT_SHORT, "Restart a slot's pods one after the other."),
        may("patch", Kind::Table(&PATCH), "Patch an object of the namespace."),
        may("http", Kind::Table(&HTTP), "A request that writes, or one that verifies between two actions."),
        may("notify", Kind::Template, "A text for the channel."),
        may("timeout", Kind::Duration, "It is ended after this long.").or_default(Default::With(&[
            (&["sh", "argv", "rollout"], "10m"),
            (&["http", "notify"], "10s"),
            (OTHERS, "30s"),
        ])),
        with(
            "patience",
            &["rollout"],
            Kind::Duration,
            "How long what keeps the rollout from succeeding must last before it has failed. By cause, where not given.",
        ),
        with(
            "capture",
            &["sh", "argv"],
            Kind::Map(&Kind::Regex),
            "Variables read from its output: a regular expression with one group each.",
        ),
        with("sample", &["sh", "argv"], TEXT_OR_TEXTS, "What a rehearsal prints instead of running it."),
        with(
            "sample_failure",
            &["sh", "argv"],
            TEXT_OR_TEXTS,
            "What a rehearsal prints where its scenario lets this fail.",
        ),
        may("confirm", CONFIRM, "What a person must do before it starts.").or("none"),
        may("irreversible", Kind::Text, "Why a rollback cannot take it back."),
        may(
            "data_loss",
            Kind::Text,
            "What is lost when it runs. In an `undo` it is never a part of R: it has a key of its own, and asks for a typed word.",
        ),
    ]],
};

pub(super) const SLOT_SHORT: Kind = Kind::Either(&[Kind::Slot, SLOT_TABLE]);

const SLOT_TABLE: Kind = Kind::Table(&SLOT_OF);

static SLOT_OF: Shape = shape(
    "a slot reference",
    "slot_of",
    "Whose.",
    &[&[must("slot", Kind::Slot, "The slot: `new`, `previous`, or a colour.")]],
);

static SET_IMAGE: Shape = shape(
    "set_image",
    "set_image",
    "Give a slot's Deployment a new image.",
    &[&[
        must("slot", Kind::Slot, "Whose Deployment."),
        may("container", Kind::Text, "The container; the target's where not given."),
        must("image", Kind::Template, "The image."),
    ]],
);

static SWITCH: Shape = shape(
    "switch_traffic",
    "switch_traffic",
    "Point the Service at a slot.",
    &[&[
        must("to", Kind::Slot, "The slot that gets the traffic."),
        may(
            "ready",
            Kind::Integer(1, 100_000),
            "How many of its pods must be ready, or it is not switched; as many as the slot has that has the traffic, where not given.",
        ),
    ]],
);

static SCALE: Shape = shape(
    "scale",
    "scale",
    "Set a slot's replicas.",
    &[&[
        must("slot", Kind::Slot, "Whose Deployment."),
        must(
            "replicas",
            Kind::Either(&[Kind::Integer(0, 100_000), Kind::Word(&["before"])]),
            "How many, or `before`: as many as the live slot had when the run opened.",
        ),
    ]],
);

pub(crate) static PATCH: Shape = shape(
    "patch",
    "patch",
    "Patch an object of the target's namespace.",
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
    "A request, and what its answer must be like.",
    &[&[
        may(
            "method",
            Kind::Word(&["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]),
            "The method. In a check it only reads.",
        )
        .or_default(Default::With(&[(&["body"], "POST"), (OTHERS, "GET")])),
        must("url", Kind::Template, "Where to."),
        may("headers", Kind::Map(&Kind::Template), "Headers by name."),
        may("body", Kind::Template, "The body."),
        may("status", Kind::Integer(100, 599), "The status wanted; any 2xx where not given."),
        may(
            "json",
            Kind::Map(&Kind::Template),
            "JSON pointers into the answer, and the text that must be there.",
        ),
        may("contains", Kind::Template, "Text that the answer must contain."),
    ]],
);
