//! Sources and metrics.

use super::{Choice, Kind, Shape, may, must, shape, with};

pub(crate) static SOURCE: Shape = Shape {
    what: "a source",
    id: "source",
    about: "A source of metrics.",
    choice: Some(Choice { keys: &["url", "scrape"], optional: false }),
    keys: &[&[
        may("url", Kind::Template, "Base URL of a Prometheus query API."),
        may("scrape", Kind::Template, "URL of metrics in text format, such as `/metrics` or `/federate`."),
        may("headers", Kind::Map(&Kind::Template), "Extra headers."),
        may("bearer_token", Kind::Template, "A bearer token: `$NAME` of a secret variable."),
        may("basic_auth", Kind::Table(&BASIC_AUTH), "User and password."),
        may("ca_file", Kind::Text, "Certificates to trust in addition to the host's."),
        may("timeout", Kind::Duration, "Time limit for an answer.").or("5s"),
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

pub(crate) static METRIC: Shape = Shape {
    what: "a metric",
    id: "metric",
    about: "A number to watch.",
    choice: Some(Choice { keys: &["query", "scrape", "all"], optional: false }),
    keys: &[&[
        may("title", Kind::Text, "Its name on the screen; if not set, the key."),
        may(
            "query",
            Kind::Text,
            "PromQL; with `per_slot`, `$slot`, `$deployment`, `$hash` (pod-template-hash) and `$version` (image tag) are \
             those of the slot.",
        ),
        may("scrape", Kind::Table(&SCRAPE), "What to compute from metrics in text format, without PromQL."),
        may(
            "all",
            Kind::Text,
            "Counters of all events, as a PromQL selector; the metric is the bad ones out of these.",
        ),
        with("bad", &["all"], Kind::Text, "Counters of the bad events, as a PromQL selector."),
        with("good", &["all"], Kind::Text, "Counters of the good events instead: all others are bad."),
        with(
            "source",
            &["query", "all"],
            Kind::Text,
            "The source's name; required if there is more than one Prometheus.",
        ),
        may("per_slot", Kind::Bool, "Whether it is measured for each slot.").or("false"),
        must(
            "unit",
            Kind::Word(&["percent", "ms", "s", "count", "per-minute", "bytes"]),
            "The unit; `percent` takes a ratio from 0 to 1.",
        ),
        may("normal", Kind::Bound, "The range in which nothing needs to be done."),
        may("alert", Kind::Bound, "The range in which somebody must act."),
        may("action", Kind::Text, "What to do then, shown to the operator."),
        may("interval", Kind::Duration, "Time between samples.").or("5s"),
    ]],
};

static SCRAPE: Shape = Shape {
    what: "a scrape",
    id: "scrape",
    about: "What to compute from scraped series.",
    choice: Some(Choice { keys: &["rate", "quantile", "gauge", "all"], optional: false }),
    keys: &[&[
        may("source", Kind::Text, "The source's name; required if there is more than one to scrape."),
        may("rate", Kind::Text, "Counters; their increase per second."),
        with("over", &["rate"], Kind::Text, "Counters to divide by."),
        may("quantile", Kind::Share, "This quantile (0 to 1) of a histogram's increase."),
        with("histogram", &["quantile"], Kind::Text, "The histogram's name without `_bucket`."),
        may("gauge", Kind::Text, "Gauges; their sum."),
        may("all", Kind::Text, "Counters of all events; the metric is the bad ones out of these."),
        with("bad", &["all"], Kind::Text, "Counters of the bad events."),
        with("good", &["all"], Kind::Text, "Counters of the good events instead: all others are bad."),
    ]],
};
