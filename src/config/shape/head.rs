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
    "A deployment runbook that cutover flies.",
    &[&[
        must("runbook", Kind::Table(&DOCUMENT), "The document itself: its front matter."),
        must("deployment", Kind::Table(&DEPLOYMENT), "The deployment's metadata and executive summary."),
        may("target", Kind::Table(&TARGET), "What is deployed to, where the runbook does Kubernetes work."),
        may("vars", Kind::Map(&Kind::Table(&VAR)), "Variables by name."),
        may("part", Kind::List(&Kind::Table(&PART)), "Optional parts, asked about once when a run opens."),
        may("sources", Kind::Map(&Kind::Table(&SOURCE)), "Where metrics come from, by name."),
        may("metrics", Kind::Map(&Kind::Table(&METRIC)), "Metrics by name."),
        may(
            "checklist",
            Kind::List(&Kind::Table(&GROUP)),
            "Groups of things that must be true before the first step.",
        ),
        must("step", Kind::List(&Kind::Table(&STEP)), "The steps, in order."),
        may("completion", Kind::Table(&COMPLETION), "What is done when the last step has passed."),
        may(
            "rollback",
            Kind::Map(&Kind::Table(&PROCEDURE)),
            "Rollback procedures; `quick` is the one that R runs after the switch.",
        ),
        may(
            "trigger",
            Kind::List(&Kind::Table(&TRIGGER)),
            "What fires a rollback, or is a reason to choose for one.",
        ),
        may("task", Kind::List(&Kind::Table(&TASK)), "What is to be done after the deployment."),
        may("incident", Kind::Table(&INCIDENT), "Incident response."),
        may("contact", Kind::List(&Kind::Table(&CONTACT)), "Whom to call."),
        may(
            "links",
            Kind::Map(&Kind::Text),
            "Links by name: dashboards, trackers, documents. A command is fine, too.",
        ),
        may("notify", Kind::Table(&NOTIFY), "Where notices go."),
        may("change", Kind::List(&Kind::Table(&CHANGE)), "The document's change log."),
    ]],
);

static DOCUMENT: Shape = shape(
    "[runbook]",
    "document",
    "The document's front matter.",
    &[&[
        must("module", Kind::Text, "The module that is deployed."),
        must("title", Kind::Text, "The document's title."),
        must(
            "status",
            Kind::Word(&["draft", "in-review", "approved", "deprecated"]),
            "Where it is in its review. In production only an approved one flies without an override.",
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
    "The deployment's metadata and executive summary.",
    &[&[
        must("environment", Kind::Word(&["development", "staging", "production"]), "Where it goes."),
        must("strategy", Kind::Word(&["blue-green", "rolling", "canary", "recreate"]), "How traffic moves."),
        may(
            "automation",
            Kind::Word(&["manual", "semi-automated", "full"]),
            "Where Enter is needed: before every action, before every step, or nowhere while all is well.",
        )
        .or("semi-automated"),
        may("frequency", Kind::Text, "How often, in words."),
        may("window", Kind::Table(&DEPLOY_WINDOW), "When it may run; outside, a reason is asked for."),
        may("expected", Kind::Duration, "How long it takes."),
        may("rollback_within", Kind::Duration, "The promise: a rollback is done within this."),
        may("zero_downtime", Kind::Bool, "Whether users see no interruption.").or("false"),
        may("success_factors", TEXTS, "What must be true for it to count as a success."),
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
            "Days of the week; every day where not given.",
        ),
        must("from", Kind::ClockTime, "The first minute inside, HH:MM."),
        must(
            "to",
            Kind::ClockTime,
            "The first minute outside, HH:MM. Earlier than `from` means past midnight.",
        ),
        must("timezone", Kind::Text, "IANA name of the time zone: `UTC`, `Europe/Berlin`."),
    ]],
);

static TARGET: Shape = shape(
    "[target]",
    "target",
    "What is deployed to.",
    &[&[
        may("context", Kind::Text, "The kubeconfig context; the current one where not given."),
        may(
            "cluster_uid",
            Kind::Text,
            "The uid of the namespace kube-system, which pins the cluster itself.",
        ),
        must("namespace", Kind::Text, "The namespace."),
        must("service", Kind::Text, "The Service whose selector says which slot is live."),
        must("slots", Kind::Map(&Kind::Table(&SLOT)), "The slots by colour."),
        must("container", Kind::Text, "The container whose image is set."),
    ]],
);

static SLOT: Shape = shape(
    "a slot",
    "slot",
    "One slot of the pair.",
    &[&[
        must("deployment", Kind::Text, "Its Deployment."),
        must(
            "selector",
            Kind::Map(&Kind::Text),
            "The labels that the Service selects when this slot is live.",
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
        may("from", Kind::Word(FACTS), "What the cluster or the run knows when it opens."),
        may("value", Kind::Template, "The value itself; may use variables written before it."),
        may("captured", Kind::Bool, "`true`: an action's output holds it (`capture`)."),
        with(
            "default",
            &["ask", "env"],
            Kind::Text,
            "What is taken where nobody answers or the environment has none.",
        ),
        may("pattern", Kind::Regex, "A regular expression that the whole value must match."),
        may("secret", Kind::Bool, "`true`: masked wherever it would be shown or kept.").or("false"),
        may("sample", Kind::Text, "What a rehearsal takes where nothing else gives a value."),
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
    "An optional part of the runbook, asked about once when a run opens.",
    &[&[
        must("name", Kind::Text, "The name that steps give in `when`."),
        must("question", Kind::Text, "The question."),
        may("default", Kind::Bool, "What is assumed where nobody answers.").or("true"),
    ]],
);
