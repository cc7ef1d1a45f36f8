//! The format of runbook.toml as data: every key, what it takes, and what it is for.
//!
//! The loader accepts exactly these keys, the JSON Schema for editors is made from them, and unknown keys are corrected
//! by them. What a table cannot say (a slot that exists, a bound that fits its unit) is checked where it is loaded.

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Text without control characters but line ends and tabs.
    Text,
    /// Text in which `$NAME` stands for a variable.
    Template,
    /// A shell script; besides control characters, nothing in it may be invisible.
    Script,
    /// A slot by colour or role.
    Slot,
    /// `"90s"`, `"5m"`, `"1h30m"`.
    Duration,
    /// A duration, or `"2m..5m"`.
    DurationRange,
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Integer(i64, i64),
    /// A number from 0 to 1.
    Share,
    /// A TOML date, or the same in quotes.
    Date,
    /// `"14:00"`.
    ClockTime,
    /// One of some words.
    Word(&'static [&'static str]),
    /// `"< 0.1%"`.
    Bound,
    /// A regular expression.
    Regex,
    /// A list of values of one kind.
    List(&'static Kind),
    /// A table with known keys.
    Table(&'static Shape),
    /// A table whose keys are names.
    Map(&'static Kind),
    /// A value of one of these kinds; the first that fits its TOML type is taken.
    Either(&'static [Kind]),
    /// Anything.
    Any,
}

/// A table with known keys.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is, for messages: `an action`.
    pub(crate) what: &'static str,
    /// Its name in the schema.
    pub(crate) id: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
    /// Its keys, in groups that shapes can share.
    pub(crate) keys: &'static [&'static [Key]],
    /// Keys of which a table has one.
    pub(crate) choice: Option<Choice>,
}

/// Keys that exclude each other.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) keys: &'static [&'static str],
    /// Whether there may be none.
    pub(crate) optional: bool,
}

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// Keys of which one must be there for this one to mean anything; empty where it always does.
    pub(crate) with: &'static [&'static str],
    pub(crate) about: &'static str,
}

impl Shape {
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.all_keys().find(|key| key.name == name)
    }
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: true, with: &[], about }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: false, with: &[], about }
}

const fn with(name: &'static str, with: &'static [&'static str], kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: false, with, about }
}

const fn shape(
    what: &'static str,
    id: &'static str,
    about: &'static str,
    keys: &'static [&'static [Key]],
) -> Shape {
    Shape { what, id, about, keys, choice: None }
}

const TEXTS: Kind = Kind::List(&Kind::Text);
const TEXT_OR_TEXTS: Kind = Kind::Either(&[Kind::Text, TEXTS]);
const SLOT_TABLE: Kind = Kind::Table(&SLOT_OF);

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

static DEPLOYMENT: Shape = shape(
    "[deployment]",
    "deployment",
    "The deployment's metadata and executive summary.",
    &[&[
        must("environment", Kind::Word(&["development", "staging", "production"]), "Where it goes."),
        must("strategy", Kind::Word(&["blue-green", "rolling", "canary", "recreate"]), "How traffic moves."),
        may(
            "automation",
            Kind::Word(&["manual", "semi-automated", "full"]),
            "Where Enter is needed: before every action, before every step (the default), or nowhere while all is well.",
        ),
        may("frequency", Kind::Text, "How often, in words."),
        may("window", Kind::Table(&DEPLOY_WINDOW), "When it may run; outside, a reason is asked for."),
        may("expected", Kind::Duration, "How long it takes."),
        may("rollback_within", Kind::Duration, "The promise: a rollback is done within this."),
        may("zero_downtime", Kind::Bool, "Whether users see no interruption. Default false."),
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

static VAR: Shape = Shape {
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
        may("secret", Kind::Bool, "`true`: masked wherever it would be shown or kept."),
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

static PART: Shape = shape(
    "a part",
    "part",
    "An optional part of the runbook, asked about once when a run opens.",
    &[&[
        must("name", Kind::Text, "The name that steps give in `when`."),
        must("question", Kind::Text, "The question."),
        may("default", Kind::Bool, "What is assumed where nobody answers. Default true."),
    ]],
);

static SOURCE: Shape = Shape {
    what: "a source",
    id: "source",
    about: "Where metrics come from.",
    choice: Some(Choice { keys: &["url", "scrape"], optional: false }),
    keys: &[&[
        may("url", Kind::Template, "Base URL of a Prometheus query API."),
        may("scrape", Kind::Template, "URL of a text exposition: a `/metrics` or a `/federate`."),
        may("headers", Kind::Map(&Kind::Template), "Extra headers."),
        may("bearer_token", Kind::Template, "A bearer token: `$NAME` of a secret variable."),
        may("basic_auth", Kind::Table(&BASIC_AUTH), "User and password."),
        may("ca_file", Kind::Text, "A file of certificates to trust besides the host's."),
        may("timeout", Kind::Duration, "How long an answer may take. Default 5s."),
    ]],
};

static BASIC_AUTH: Shape = shape(
    "basic_auth",
    "basic_auth",
    "User and password for basic authentication.",
    &[&[
        must("user", Kind::Template, "The user."),
        must("password", Kind::Template, "The password: `$NAME` of a secret variable."),
    ]],
);

static METRIC: Shape = Shape {
    what: "a metric",
    id: "metric",
    about: "A number that is watched.",
    choice: Some(Choice { keys: &["query", "scrape"], optional: false }),
    keys: &[&[
        may("title", Kind::Text, "Its name for people; the key where not given."),
        may("query", Kind::Text, "PromQL; `$slot` stands for the slot where the metric is per slot."),
        may("scrape", Kind::Table(&SCRAPE), "What is computed from a text exposition, without PromQL."),
        with(
            "source",
            &["query"],
            Kind::Text,
            "The source's name; needed where there is more than one Prometheus.",
        ),
        may("per_slot", Kind::Bool, "Whether each slot has a line of its own. Default false."),
        must(
            "unit",
            Kind::Word(&["percent", "ms", "s", "count", "per-minute", "bytes"]),
            "What the number counts; `percent` takes a ratio from 0 to 1.",
        ),
        may("normal", Kind::Bound, "The range in which nothing needs doing."),
        may("alert", Kind::Bound, "The range in which somebody must act."),
        may("action", Kind::Text, "What to do then."),
        may("interval", Kind::Duration, "Time between samples. Default 5s."),
    ]],
};

static SCRAPE: Shape = Shape {
    what: "a scrape",
    id: "scrape",
    about: "What is computed from scraped series.",
    choice: Some(Choice { keys: &["rate", "quantile", "gauge"], optional: false }),
    keys: &[&[
        may("source", Kind::Text, "The source's name; needed where there is more than one to scrape."),
        may("rate", Kind::Text, "Counters whose increase per second is taken."),
        with("over", &["rate"], Kind::Text, "Counters to divide by."),
        may("quantile", Kind::Share, "A quantile, 0 to 1, of a histogram's increase."),
        with("histogram", &["quantile"], Kind::Text, "The histogram's name without `_bucket`."),
        may("gauge", Kind::Text, "Gauges that are summed."),
    ]],
};

static GROUP: Shape = shape(
    "a checklist group",
    "group",
    "A group of the checklist.",
    &[&[
        must("group", Kind::Text, "Its name."),
        must("items", Kind::List(&Kind::Table(&ITEM)), "Its items."),
    ]],
);

static ITEM: Shape = shape(
    "a checklist item",
    "item",
    "One thing that must be true; a person ticks it where it has no check.",
    &[&[
        must("text", Kind::Text, "What must be true."),
        may("check", Kind::Table(&LOOK), "How that is found out without a person."),
        may("optional", Kind::Bool, "`true`: the steps open without it. Default false."),
        may("valid_for", Kind::Duration, "After this long it must be looked at again. Default 30m."),
    ]],
);

static STEP: Shape = shape(
    "a step",
    "step",
    "A step.",
    &[&[
        must("id", Kind::Text, "Its id, unique: small letters, digits and `-`."),
        must("title", Kind::Text, "Its title."),
        may("time", Kind::DurationRange, "How long it takes: `5m` or `2m..5m`."),
        may("critical", Kind::Text, "What stands out before it starts."),
        may("when", Kind::Text, "The optional part it belongs to."),
        may("confirm", CONFIRM, "What starts it: Enter, Enter twice, or a word that is typed. Default none."),
        may("approvals", Kind::Integer(0, 9), "How many other people must confirm. Default 0."),
        may("run", ACTIONS, "What it does, in order."),
        may("check", CHECKS, "What must hold then."),
        may("undo", ACTIONS, "What takes it back, in order."),
        may("no_undo", Kind::Text, "Why nothing needs taking back."),
        may("window", Kind::Table(&WINDOW), "Watch the checks for a time, with triggers armed."),
        may("on_failure", TEXTS, "What a person should do when it fails."),
        may("notes", TEXTS, "Hints for a person: what to look at, where."),
    ]],
);

const CONFIRM: Kind = Kind::Word(&["none", "twice", "type"]);
const ACTIONS: Kind = Kind::List(&Kind::Table(&ACTION));
const CHECKS: Kind = Kind::List(&Kind::Table(&CHECK));

static WINDOW: Shape = shape(
    "a monitored window",
    "window",
    "The time for which the checks are watched.",
    &[&[must("lasts", Kind::Duration, "How long, counting only time with data.")]],
);

static COMPLETION: Shape = shape(
    "[completion]",
    "completion",
    "What ends a deployment.",
    &[&[may("run", ACTIONS, "What is done, in order."), may("check", CHECKS, "What must hold then.")]],
);

static PROCEDURE: Shape = shape(
    "a rollback procedure",
    "procedure",
    "A rollback procedure.",
    &[&[
        may("title", Kind::Text, "Its title."),
        may("within", Kind::Duration, "The promise."),
        may("only", Kind::Text, "When it may be used at all."),
        must("run", ACTIONS, "What it does, in order."),
        may("check", CHECKS, "What must hold then."),
    ]],
);

/// The kinds of action.
pub(crate) const ACTION_KINDS: &[&str] =
    &["sh", "argv", "set_image", "rollout", "switch_traffic", "scale", "restart", "patch", "http", "notify"];

static ACTION: Shape = Shape {
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
        may(
            "timeout",
            Kind::Duration,
            "It is ended after this long. Default 10m; http 10s; Kubernetes writes 30s.",
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
        may("confirm", CONFIRM, "What a person must do before it starts. Default none."),
        may("irreversible", Kind::Text, "Why a rollback cannot take it back."),
    ]],
};

const SLOT_SHORT: Kind = Kind::Either(&[Kind::Slot, SLOT_TABLE]);

const PODS_SHORT: Kind = Kind::Either(&[Kind::Slot, Kind::Table(&PODS_READY)]);

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
    &[&[must("to", Kind::Slot, "The slot that gets the traffic.")]],
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

static PATCH: Shape = shape(
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
        may(
            "type",
            Kind::Word(&["strategic", "merge", "json"]),
            "How the patch is applied. Default strategic.",
        ),
        must("patch", Kind::Any, "The patch itself."),
    ]],
);

static HTTP: Shape = shape(
    "http",
    "http",
    "A request, and what its answer must be like.",
    &[&[
        may(
            "method",
            Kind::Word(&["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]),
            "The method. Default GET; POST in an action with a body.",
        ),
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

static CHECK: Shape = Shape {
    what: "a check",
    id: "check",
    about: "Something that must hold: at most one of its kinds; with none, a person looks.",
    choice: Some(Choice { keys: CHECK_KINDS, optional: true }),
    keys: &[
        &[
            may("text", Kind::Text, "What must be true; made from the check where not given."),
            may("optional", Kind::Bool, "`true`: the step passes without it. Default false."),
        ],
        LOOK_KEYS,
    ],
};

static LOOK: Shape = Shape {
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
    with("slot", &["metric"], Kind::Slot, "Which slot, where the metric is per slot. Default new."),
    with(
        "no_traffic",
        &["metric"],
        Kind::Word(&["skip", "wait", "fail"]),
        "What it means that nothing was counted (0/0): the check is skipped, waits, or fails. Without it: no data.",
    ),
    with("expect", &["sh"], Kind::Regex, "A regular expression that the output must match."),
    with("sample", &["sh"], TEXT_OR_TEXTS, "What a rehearsal takes as the command's output."),
    with(
        "timeout",
        CHECK_KINDS,
        Kind::Duration,
        "It has failed when it did not hold for this long. Default 60s.",
    ),
    with("interval", CHECK_KINDS, Kind::Duration, "Time between looks. Default 2s."),
];

static TLS: Shape = shape(
    "tls",
    "tls",
    "The certificate is valid for so many days more.",
    &[&[
        must("host", Kind::Template, "The host, which is also the name the certificate must carry."),
        may("port", Kind::Integer(1, 65_535), "The port. Default 443."),
        may("days", Kind::Integer(0, 3_650), "Days that must be left. Default 30."),
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

static PODS_READY: Shape = shape(
    "pods_ready",
    "pods_ready",
    "All wanted pods of a slot are ready.",
    &[&[
        must("slot", Kind::Slot, "Whose."),
        may("at_least", Kind::Integer(0, 100_000), "The least number that will do. Default 1."),
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

static TRIGGER: Shape = Shape {
    what: "a trigger",
    id: "trigger",
    about: "What fires a rollback: a metric, or a reason for a person to choose.",
    choice: None,
    keys: &[&[
        may("metric", Kind::Text, "The metric that is watched."),
        may("reason", Kind::Text, "The reason in words; without a metric, one for a person to choose."),
        with("when", &["metric"], Kind::Bound, "The breach."),
        with("for", &["metric"], Kind::Duration, "How long it must last. Default 5m."),
        with(
            "then",
            &["metric"],
            Kind::Word(&["ask", "countdown", "rollback"]),
            "What happens then. Default countdown.",
        ),
        with("countdown", &["metric"], Kind::Duration, "How long the countdown runs. Default 30s."),
        with(
            "no_data",
            &["metric"],
            Kind::Word(&["hold", "rollback"]),
            "What happens where there is no data. Default hold.",
        ),
    ]],
};

static TASK: Shape = shape(
    "a task",
    "task",
    "A post-deployment task.",
    &[&[
        must("due", Kind::Duration, "Due this long after completion."),
        must("text", Kind::Text, "What to do."),
    ]],
);

static INCIDENT: Shape = shape(
    "[incident]",
    "incident",
    "Incident response.",
    &[&[
        may("channel", Kind::Text, "The channel."),
        may("commander", Kind::Text, "Who commands, in words."),
        must("levels", Kind::List(&Kind::Table(&LEVEL)), "Severity levels, worst first."),
        must("steps", TEXTS, "What to do, in order."),
        must(
            "template",
            Kind::Text,
            "The message; {severity}, {title}, {started}, {impact}, {actions} and {status} are filled in.",
        ),
    ]],
);

static LEVEL: Shape = shape(
    "a severity level",
    "level",
    "A severity level.",
    &[&[
        must("level", Kind::Text, "`P0`."),
        must("title", Kind::Text, "`Critical`."),
        must("example", Kind::Text, "What it looks like."),
        must("respond", Kind::Text, "How soon somebody must respond."),
        must("escalate", Kind::Text, "Who is told."),
    ]],
);

static CONTACT: Shape = shape(
    "a contact",
    "contact",
    "Whom to call.",
    &[&[
        must("role", Kind::Text, "The role."),
        may("name", Kind::Text, "The person."),
        may("slack", Kind::Text, "The handle."),
        may("phone", Kind::Text, "The number."),
    ]],
);

static NOTIFY: Shape = shape(
    "[notify]",
    "notify",
    "Where notices go.",
    &[&[
        may("slack", Kind::Template, "A Slack-compatible incoming webhook: `$NAME` of a secret variable."),
        may("channel", Kind::Text, "The channel's name for people."),
        may(
            "on",
            Kind::List(&Kind::Word(&["started", "switched", "succeeded", "failed", "rolled-back", "paged"])),
            "Which milestones are told.",
        ),
    ]],
);

static CHANGE: Shape = shape(
    "a change",
    "change",
    "A line of the document's change log.",
    &[&[
        must("date", Kind::Date, "When."),
        must("version", Kind::Text, "The document's version."),
        must("author", Kind::Text, "Who."),
        must("changes", Kind::Text, "What."),
    ]],
);
