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
    "One thing that must be true. Without `check`, a person ticks it.",
    &[&[
        must("text", Kind::Text, "What must be true."),
        may("check", Kind::Table(&LOOK), "An automatic check."),
        may("optional", Kind::Bool, "`true`: the steps can open without it.").or("false"),
        may("valid_for", Kind::Duration, "After this time it must be checked again.").or("30m"),
    ]],
);

pub(crate) static STEP: Shape = shape(
    "a step",
    "step",
    "A step.",
    &[&[
        must("id", Kind::Text, "Its unique id: lower-case letters, digits and `-`."),
        must("title", Kind::Text, "Its title."),
        may("time", Kind::DurationRange, "How long it takes: `5m` or `2m..5m`."),
        may("critical", Kind::Text, "A warning, shown before it starts."),
        may("when", Kind::Text, "The optional part it belongs to: the `name` of a [[part]]."),
        may("confirm", CONFIRM, "What starts it: Enter, Enter twice, or typing a word.").or("none"),
        may("approvals", Kind::Integer(0, 9), "How many other people must approve it.").or("0"),
        may("run", ACTIONS, "Its actions, in order."),
        may("check", CHECKS, "Checks that must pass afterwards."),
        may("undo", ACTIONS, "Actions that undo it, in order."),
        may("no_undo", Kind::Text, "Why there is nothing to undo."),
        may("window", Kind::Table(&WINDOW), "Watch the checks for a while, with triggers armed."),
        may("on_failure", TEXTS, "What the operator should do if it fails."),
        may("notes", TEXTS, "Hints for the operator: what to look at, and where."),
    ]],
);

static WINDOW: Shape = shape(
    "a monitored window",
    "window",
    "How long the checks are watched.",
    &[&[must("lasts", Kind::Duration, "How long; paused while metrics are missing.")]],
);

pub(super) static COMPLETION: Shape = shape(
    "[completion]",
    "completion",
    "The end of a deployment.",
    &[&[
        may("run", ACTIONS, "Actions, in order."),
        may("check", CHECKS, "Checks that must pass afterwards."),
    ]],
);

pub(super) static PROCEDURE: Shape = shape(
    "a rollback procedure",
    "procedure",
    "A rollback procedure.",
    &[&[
        may("title", Kind::Text, "Its title."),
        may("within", Kind::Duration, "The promised time."),
        may("only", Kind::Text, "When it may be used."),
        must("run", ACTIONS, "Its actions, in order."),
        may("check", CHECKS, "Checks that must pass afterwards."),
        may(
            "ready",
            CHECKS,
            "Checks that prove the rollback would work, every 10 s for the whole run. `$SLOT` is the slot to \
             go back to. Only in `quick`.",
        ),
    ]],
);

pub(crate) static TRIGGER: Shape = Shape {
    what: "a trigger",
    id: "trigger",
    about: "What triggers a rollback: a metric, or a reason that a person can choose.",
    choice: None,
    keys: &[&[
        may("metric", Kind::Text, "The metric to watch."),
        may(
            "reason",
            Kind::Text,
            "The reason in words. Without a metric, a reason that a person can choose.",
        ),
        with(
            "when",
            &["metric"],
            Kind::BoundOrClaim,
            "The breach; or `worse than 0.1%` or `worse than before`, which evidence decides, for counted metrics.",
        ),
        with("for", &["metric"], Kind::Duration, "How long the breach must last.").or("5m"),
        with(
            "then",
            &["metric"],
            Kind::Word(&["ask", "countdown", "rollback"]),
            "What happens when it fires.",
        )
        .or("countdown"),
        with("countdown", &["metric"], Kind::Duration, "How long the countdown runs.").or("30s"),
        with(
            "certainty",
            &["metric"],
            Kind::Text,
            "With `worse than`: so many runs of a harmless release out of all do not fire.",
        )
        .or("99.9%"),
        with(
            "at_least",
            &["metric"],
            Kind::Text,
            "With `worse than`: below so many events there is too little traffic for any verdict.",
        )
        .or("100 events"),
        with(
            "no_data",
            &["metric"],
            Kind::Word(&["hold", "rollback"]),
            "What happens if the metric is missing: `hold` pauses the run.",
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
