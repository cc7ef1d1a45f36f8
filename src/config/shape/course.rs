//! The course of a run: checklist, steps, completion, rollbacks, triggers, tasks.

use super::{
    Kind, Shape, TEXTS,
    action::{ACTIONS, CONFIRM},
    check::{CHECKS, LOOK},
    may, must, shape, with,
};

pub(super) static GROUP: Shape = shape(
    "a checklist group",
    "group",
    "A group of the checklist.",
    &[&[
        must("group", Kind::Text, "Its name."),
        must("items", Kind::List(&Kind::Table(&ITEM)), "Its items."),
    ]],
);

pub(crate) static ITEM: Shape = shape(
    "a checklist item",
    "item",
    "One thing that must be true; a person ticks it where it has no check.",
    &[&[
        must("text", Kind::Text, "What must be true."),
        may("check", Kind::Table(&LOOK), "How that is found out without a person."),
        may("optional", Kind::Bool, "`true`: the steps open without it.").or("false"),
        may("valid_for", Kind::Duration, "After this long it must be looked at again.").or("30m"),
    ]],
);

pub(crate) static STEP: Shape = shape(
    "a step",
    "step",
    "A step.",
    &[&[
        must("id", Kind::Text, "Its id, unique: small letters, digits and `-`."),
        must("title", Kind::Text, "Its title."),
        may("time", Kind::DurationRange, "How long it takes: `5m` or `2m..5m`."),
        may("critical", Kind::Text, "What stands out before it starts."),
        may("when", Kind::Text, "The optional part it belongs to: the `name` of a [[part]]."),
        may("confirm", CONFIRM, "What starts it: Enter, Enter twice, or a word that is typed.").or("none"),
        may("approvals", Kind::Integer(0, 9), "How many other people must confirm.").or("0"),
        may("run", ACTIONS, "What it does, in order."),
        may("check", CHECKS, "What must hold then."),
        may("undo", ACTIONS, "What takes it back, in order."),
        may("no_undo", Kind::Text, "Why nothing needs taking back."),
        may("window", Kind::Table(&WINDOW), "Watch the checks for a time, with triggers armed."),
        may("on_failure", TEXTS, "What a person should do when it fails."),
        may("notes", TEXTS, "Hints for a person: what to look at, where."),
    ]],
);

static WINDOW: Shape = shape(
    "a monitored window",
    "window",
    "The time for which the checks are watched.",
    &[&[must("lasts", Kind::Duration, "How long, counting only time with data.")]],
);

pub(super) static COMPLETION: Shape = shape(
    "[completion]",
    "completion",
    "What ends a deployment.",
    &[&[may("run", ACTIONS, "What is done, in order."), may("check", CHECKS, "What must hold then.")]],
);

pub(super) static PROCEDURE: Shape = shape(
    "a rollback procedure",
    "procedure",
    "A rollback procedure.",
    &[&[
        may("title", Kind::Text, "Its title."),
        may("within", Kind::Duration, "The promise."),
        may("only", Kind::Text, "When it may be used at all."),
        must("run", ACTIONS, "What it does, in order."),
        may("check", CHECKS, "What must hold then."),
        may(
            "ready",
            CHECKS,
            "In `quick`: what proves that one can go back. It is looked at every 10 s for the whole run; `$SLOT` is the slot that one would go back to.",
        ),
    ]],
);

pub(crate) static TRIGGER: Shape = Shape {
    what: "a trigger",
    id: "trigger",
    about: "What fires a rollback: a metric, or a reason for a person to choose.",
    choice: None,
    keys: &[&[
        may("metric", Kind::Text, "The metric that is watched."),
        may("reason", Kind::Text, "The reason in words; without a metric, one for a person to choose."),
        with("when", &["metric"], Kind::Bound, "The breach."),
        with("for", &["metric"], Kind::Duration, "How long it must last.").or("5m"),
        with("then", &["metric"], Kind::Word(&["ask", "countdown", "rollback"]), "What happens then.")
            .or("countdown"),
        with("countdown", &["metric"], Kind::Duration, "How long the countdown runs.").or("30s"),
        with(
            "no_data",
            &["metric"],
            Kind::Word(&["hold", "rollback"]),
            "What happens where there is no data.",
        )
        .or("hold"),
    ]],
};

pub(super) static TASK: Shape = shape(
    "a task",
    "task",
    "A post-deployment task.",
    &[&[
        must("due", Kind::Duration, "Due this long after completion."),
        must("text", Kind::Text, "What to do."),
    ]],
);
