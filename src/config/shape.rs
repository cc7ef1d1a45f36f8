//! The format of runbook.toml as data: every key, its type, and its meaning.
//!
//! The loader accepts exactly these keys, the JSON Schema for editors is made from them, and unknown keys are corrected
//! by them. What a table cannot say (a slot that exists, a bound that fits its unit) is checked where it is loaded.

mod action;
mod check;
mod course;
mod head;
mod metrics;
mod people;

pub(crate) use action::{ACTION, ACTION_KINDS, HTTP, PATCH, WITHOUT_CLUSTER};
pub(crate) use check::{CHECK, CHECK_KINDS, PODS_READY, TLS};
pub(crate) use course::{ITEM, STEP, TRIGGER};
pub(crate) use head::{DEPLOYMENT, FACTS, PART, RUNBOOK, SLOT, TARGET, VAR};
pub(crate) use metrics::{METRIC, SOURCE};

use crate::domain::time::Span;

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
    /// `"5%"`: a share of the traffic.
    Percent,
    /// A TOML date, or the same in quotes.
    Date,
    /// `"14:00"`.
    ClockTime,
    /// One of some words.
    Word(&'static [&'static str]),
    /// `"< 0.1%"`.
    Bound,
    /// A bound, or `"worse than 0.1%"`.
    BoundOrClaim,
    /// A regular expression.
    Regex,
    /// A list of values of one kind.
    List(&'static Kind),
    /// A table with known keys.
    Table(&'static Shape),
    /// A table with names as keys.
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
    /// Mutually exclusive keys.
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
    /// Requires one of these keys; none if empty.
    pub(crate) with: &'static [&'static str],
    /// What holds where it is not given. It stands here only: the loader, the schema and the reference take it from here.
    pub(crate) default: Default,
    pub(crate) about: &'static str,
}

/// What holds where a key is not given, as it would be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Default {
    /// Nothing does; or what its words say, where it is no value (a name that is made of others).
    None,
    /// This.
    Is(&'static str),
    /// It depends on which other key is there; the last holds for all the others.
    With(&'static [(&'static [&'static str], &'static str)]),
}

/// In [`Default::With`]: whatever else is there.
const OTHERS: &[&str] = &[];

impl Shape {
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.all_keys().find(|key| key.name == name)
    }

    /// What holds for a key that a table with these keys does not give, as it would be written; empty where nothing does.
    pub(crate) fn default(&self, name: &str, given: impl Fn(&str) -> bool) -> &'static str {
        match self.key(name).map_or(Default::None, |key| key.default) {
            Default::None => "",
            Default::Is(value) => value,
            Default::With(cases) => cases
                .iter()
                .find(|(keys, _)| keys.iter().any(|key| given(key)))
                .or(cases.last())
                .map_or("", |(_, value)| value),
        }
    }

    /// The same for a duration, beside one other key. Whoever shows or writes a runbook asks here too: with another value for the
    /// usual one it would hide a time that counts, or show one that doesn't.
    pub(crate) fn default_span(&self, name: &str, beside: &str) -> Span {
        self.default(name, |key| key == beside).parse().unwrap_or_default()
    }
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: true, with: &[], default: Default::None, about }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: false, with: &[], default: Default::None, about }
}

const fn with(name: &'static str, with: &'static [&'static str], kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: false, with, default: Default::None, about }
}

impl Key {
    /// With what holds where it is not given.
    const fn or(self, default: &'static str) -> Self {
        self.or_default(Default::Is(default))
    }

    const fn or_default(self, default: Default) -> Self {
        let Self { name, kind, required, with, about, .. } = self;
        Self { name, kind, required, with, default, about }
    }
}

const fn shape(
    what: &'static str,
    id: &'static str,
    about: &'static str,
    keys: &'static [&'static [Key]],
) -> Shape {
    Shape { what, id, about, keys, choice: None }
}

/// A list of texts.
const TEXTS: Kind = Kind::List(&Kind::Text);

/// A text, or a list of them.
const TEXT_OR_TEXTS: Kind = Kind::Either(&[Kind::Text, TEXTS]);
