//! Incident response, contacts, notices, the change log.

use super::{Kind, Shape, TEXTS, may, must, shape};

pub(super) static INCIDENT: Shape = shape(
    "[incident]",
    "incident",
    "Incident response.",
    &[&[
        may("channel", Kind::Text, "The channel."),
        may("commander", Kind::Text, "The incident commander, in words."),
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
        must("example", Kind::Text, "An example."),
        must("respond", Kind::Text, "How soon somebody must respond."),
        must("escalate", Kind::Text, "Who is told."),
    ]],
);

pub(super) static CONTACT: Shape = shape(
    "a contact",
    "contact",
    "A person or role to contact.",
    &[&[
        must("role", Kind::Text, "The role."),
        may("name", Kind::Text, "The person."),
        may("slack", Kind::Text, "The handle."),
        may("phone", Kind::Text, "The number."),
    ]],
);

pub(super) static NOTIFY: Shape = shape(
    "[notify]",
    "notify",
    "Where notices are sent.",
    &[&[
        may("slack", Kind::Template, "A Slack-compatible incoming webhook: `$NAME` of a secret variable."),
        may("channel", Kind::Text, "The channel's name, for people."),
        may(
            "on",
            Kind::List(&Kind::Word(&["started", "switched", "succeeded", "failed", "rolled-back", "paged"])),
            "Which milestones are sent.",
        ),
    ]],
);

pub(super) static CHANGE: Shape = shape(
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
