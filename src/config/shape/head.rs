//! The head of a runbook: the file itself, front matter, deployment, target, variables, parts.

use super::{
    Choice, Kind, Shape, TEXTS,
    course::{COMPLETION, GROUP, PROCEDURE, STEP, TASK, TRIGGER},
    may,
    metrics::{METRIC, SOURCE},
    must,
    people::{CHANGE, CONTACT, INCIDENT, NOTIFY},
    shape, with,
};

/// The whole file.
pub(crate) static RUNBOOK: Shape = shape(
    "a runbook",
    "runbook_file",
    "A deployment runbook for cutover.",
    &[&[
        must("runbook", Kind::Table(&DOCUMENT), "The document's front matter."),
        must("deployment", Kind::Table(&DEPLOYMENT), "Metadata of the deployment, executive summary."),
        may(
            "target",
            Kind::Table(&TARGET),
            "Where to deploy; required if the runbook does anything on Kubernetes.",
        ),
        may("vars", Kind::Map(&Kind::Table(&VAR)), "Variables by name."),
        may(
            "part",
            Kind::List(&Kind::Table(&PART)),
            "Optional parts; the operator is asked once when a run opens.",
        ),
        may("sources", Kind::Map(&Kind::Table(&SOURCE)), "Metrics sources by name."),
        may("metrics", Kind::Map(&Kind::Table(&METRIC)), "Metrics by name."),
        may(
            "checklist",
            Kind::List(&Kind::Table(&GROUP)),
            "What must be true before the first step, in groups.",
        ),
        must("step", Kind::List(&Kind::Table(&STEP)), "The steps, in order."),
        may("completion", Kind::Table(&COMPLETION), "What happens after the last step has passed."),
        may(
            "rollback",
            Kind::Map(&Kind::Table(&PROCEDURE)),
            "Rollback procedures; R runs `quick` after the switch.",
        ),
        may(
            "trigger",
            Kind::List(&Kind::Table(&TRIGGER)),
            "What triggers a rollback, or is offered as a reason for one.",
        ),
        may("task", Kind::List(&Kind::Table(&TASK)), "What to do after the deployment."),
        may("incident", Kind::Table(&INCIDENT), "Incident response."),
        may("contact", Kind::List(&Kind::Table(&CONTACT)), "Contacts."),
        may(
            "links",
            Kind::Map(&Kind::Text),
            "Links by name: dashboards, trackers, documents. A command works, too.",
        ),
        may("notify", Kind::Table(&NOTIFY), "Where notices are sent."),
        may("change", Kind::List(&Kind::Table(&CHANGE)), "The document's change log."),
    ]],
);

static DOCUMENT: Shape = shape(
    "[runbook]",
    "document",
    "The document's front matter.",
    &[&[
        must("module", Kind::Text, "The module to deploy."),
        must("title", Kind::Text, "The document's title."),
        must(
            "status",
            Kind::Word(&["draft", "in-review", "approved", "deprecated"]),
            "Review status. In production, only an approved runbook runs without an override.",
        ),
        must("version", Kind::Text, "The document's own version."),
        must("last_updated", Kind::Date, "The date of its last change."),
        must("author", Kind::Text, "Who wrote it."),
        may("keywords", TEXTS, "Search words."),
        may("related", Kind::Map(&Kind::Text), "Related documents by kind."),
    ]],
);

pub(crate) static DEPLOYMENT: Shape = shape(
    "[deployment]",
    "deployment",
    "Metadata of the deployment, executive summary.",
    &[&[
        must("environment", Kind::Word(&["development", "staging", "production"]), "The environment."),
        must("strategy", Kind::Word(&["blue-green", "rolling", "canary", "recreate"]), "How traffic moves."),
        may(
            "automation",
            Kind::Word(&["manual", "semi-automated", "full"]),
            "When Enter is needed: before every action, before every step, or never while everything is \
             fine.",
        )
        .or("semi-automated"),
        may("frequency", Kind::Text, "How often, in words."),
        may("window", Kind::Table(&DEPLOY_WINDOW), "When it may run; outside it, a reason is required."),
        may("expected", Kind::Duration, "How long it takes."),
        may("rollback_within", Kind::Duration, "The promised time for a rollback."),
        may("zero_downtime", Kind::Bool, "Whether users must see no interruption.").or("false"),
        may("success_factors", TEXTS, "What counts as success."),
    ]],
);

static DEPLOY_WINDOW: Shape = shape(
    "a deployment window",
    "deploy_window",
    "When a deployment may run.",
    &[&[
        may(
            "days",
            Kind::List(&Kind::Word(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"])),
            "Days of the week; if not set, every day.",
        ),
        must("from", Kind::ClockTime, "First minute inside the window, HH:MM."),
        must(
            "to",
            Kind::ClockTime,
            "First minute after the window, HH:MM. If earlier than `from`, the window ends after midnight.",
        ),
        must("timezone", Kind::Text, "IANA name of the time zone: `UTC`, `Europe/Berlin`."),
    ]],
);

pub(crate) static TARGET: Shape = shape(
    "[target]",
    "target",
    "Where to deploy.",
    &[&[
        may("context", Kind::Text, "The kubeconfig context; if not set, the current one."),
        may(
            "cluster_uid",
            Kind::Text,
            "The uid of the namespace kube-system. It pins the cluster: a run on another one needs an \
             override.",
        ),
        must("namespace", Kind::Text, "The namespace."),
        may(
            "service",
            Kind::Text,
            "The Service that users reach. Required unless a route directs the traffic.",
        ),
        may("deployment", Kind::Text, "With `rolling` and `recreate`: the Deployment."),
        may(
            "slots",
            Kind::Map(&Kind::Table(&SLOT)),
            "With `blue-green` and `canary`: the two slots by name.",
        ),
        may(
            "route",
            Kind::Table(&ROUTE),
            "With `blue-green` and `canary`: the HTTPRoute whose weights direct the traffic.",
        ),
        must("container", Kind::Text, "The container whose image is set."),
    ]],
);

pub(crate) static SLOT: Shape = shape(
    "a slot",
    "slot",
    "One slot.",
    &[&[
        must("deployment", Kind::Text, "Its Deployment."),
        may(
            "selector",
            Kind::Map(&Kind::Text),
            "The labels in the Service's selector when this slot is live. Required unless a route directs the \
             traffic.",
        ),
        may("service", Kind::Text, "Its own Service. Required with `route`, and only then."),
    ]],
);

static ROUTE: Shape = shape(
    "a route",
    "route",
    "An HTTPRoute of the Gateway API, and the rule whose backends are the slots' Services.",
    &[&[
        must("name", Kind::Text, "The HTTPRoute's name."),
        may(
            "rule",
            Kind::Either(&[Kind::Integer(0, 1_000), Kind::Text]),
            "The rule, by number from 0 or by name. If not set: 0, the first.",
        ),
    ]],
);

pub(crate) static VAR: Shape = Shape {
    what: "a variable",
    id: "var",
    about: "A variable: where its value comes from, and what it must look like.",
    choice: Some(Choice { keys: &["ask", "env", "from", "value", "captured"], optional: false }),
    keys: &[&[
        may("ask", Kind::Text, "The question to a person."),
        may("env", Kind::Text, "The environment variable that holds it."),
        may("from", Kind::Word(FACTS), "Taken from the cluster or the run when it opens."),
        may("value", Kind::Template, "The value. It may use variables defined above it."),
        may("captured", Kind::Bool, "`true`: an action's output contains it (`capture`)."),
        with(
            "default",
            &["ask", "env"],
            Kind::Text,
            "Used if nobody answers or the environment variable is not set.",
        ),
        may("pattern", Kind::Regex, "The whole value must match this."),
        may("secret", Kind::Bool, "`true`: masked wherever it would be shown or stored.").or("false"),
        may("sample", Kind::Text, "The value in a rehearsal, if nothing else gives one."),
    ]],
};

/// What a variable can take from the cluster or the run.
pub(crate) const FACTS: &[&str] = &[
    "live-image-tag",
    "live-image",
    "idle-image",
    "idle-image-tag",
    "live-slot",
    "idle-slot",
    "live-replicas",
    "opened-at",
    "pilot",
];

pub(crate) static PART: Shape = shape(
    "a part",
    "part",
    "An optional part of the runbook; the operator is asked once, when a run opens.",
    &[&[
        must("name", Kind::Text, "The name that steps use in `when`."),
        must("question", Kind::Text, "The question."),
        may("default", Kind::Bool, "The answer if nobody gives one.").or("true"),
    ]],
);
