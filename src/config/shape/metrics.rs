//! Sources and metrics.

use super::{Choice, Kind, Shape, may, must, shape, with};

pub(crate) static SOURCE: Shape = Shape {
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
        may("timeout", Kind::Duration, "How long an answer may take.").or("5s"),
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
        may("per_slot", Kind::Bool, "Whether each slot has a line of its own.").or("false"),
        must(
            "unit",
            Kind::Word(&["percent", "ms", "s", "count", "per-minute", "bytes"]),
            "What the number counts; `percent` takes a ratio from 0 to 1.",
        ),
        may("normal", Kind::Bound, "The range in which nothing needs doing."),
        may("alert", Kind::Bound, "The range in which somebody must act."),
        may("action", Kind::Text, "What to do then."),
        may("interval", Kind::Duration, "Time between samples.").or("5s"),
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
