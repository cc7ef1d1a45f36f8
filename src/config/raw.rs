//! A TOML file as a tree whose keys and values know their position.
//!
//! Deserialising with serde stops at the first fault, and with flattened or untagged types it loses the place as well.
//! So the file is parsed into this tree, with TOML's own faults collected, and everything after walks the tree.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::diagnose::Faults;

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Bytes of the value; of its header where it is a table with one.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    /// An integer beyond 64 bits is none.
    Integer(Option<i64>),
    Float(f64),
    Bool(bool),
    /// Dates and times as written.
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

/// A table, its entries in order of writing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

/// Parses a file. Faults of TOML itself are reported; what could be understood comes back anyway.
pub(crate) fn parse(faults: &mut Faults<'_>) -> Node {
    let (document, errors) = DeTable::parse_recoverable(faults.source());
    for error in errors {
        let end = faults.source().len();
        let span = error.span().unwrap_or(0..0);
        let (start, end) = (span.start.min(end), span.end.min(end));
        let marked = faults.source().get(start..end).unwrap_or_default();
        let (message, help) = explain(error.message(), marked);
        faults.error(start..end, message).maybe_help(help.map(str::to_owned));
    }
    Node { span: document.span(), value: Value::Table(table(document.get_ref())) }
}

/// TOML's words for a fault, with a cure where people often go wrong.
fn explain(message: &str, marked: &str) -> (String, Option<&'static str>) {
    if message.starts_with("duplicate key") {
        let help = "keep one of them: a key may appear once in a table, a table header once in a file";
        (format!("duplicate key `{marked}`"), Some(help))
    } else if message.starts_with("string values must be quoted") {
        (
            "text must be in quotes".to_owned(),
            Some("put it in quotes, durations and bounds too: `timeout = \"10m\"`, `is = \"< 1%\"`"),
        )
    } else if message.contains("recursion") || message.contains("recurse") {
        ("nested too deeply".to_owned(), Some("a runbook needs only a few levels of tables and lists"))
    } else if message.starts_with("missing escaped value") {
        let help = "write regular expressions and commands in '...', which takes backslashes literally";
        ("unknown escape in \"...\"".to_owned(), Some(help))
    } else if message.starts_with("unclosed array") {
        let help = "close the list with `]`, and put a comma between items";
        (message.to_owned(), Some(help))
    } else {
        (message.to_owned(), None)
    }
}

fn table(table_: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = table_
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: Node { span: value.span(), value: value_of(value.get_ref()) },
        })
        .collect();
    // The parser keeps keys sorted by name; people are shown things in their own order.
    entries.sort_by_key(|entry| entry.key_span.start);
    Table { entries }
}

/// Numbers stay what they are: whether 1.0 may stand for 1 is decided where the key is known.
fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(
            items.iter().map(|item| Node { span: item.span(), value: value_of(item.get_ref()) }).collect(),
        ),
        DeValue::Table(inner) => Value::Table(table(inner)),
    }
}

impl Node {
    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a decimal number",
            Value::Bool(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(number) => *number,
            _ => None,
        }
    }

    /// A number, whole or not.
    pub(crate) fn number(&self) -> Option<f64> {
        match &self.value {
            #[expect(clippy::cast_precision_loss, reason = "shares and quantiles are small")]
            Value::Integer(number) => number.map(|number| number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The items of a list; none where it is something else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// A key's value, where this is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// A key and its value.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a table; none where it is something else.
    pub(crate) fn entries(&self) -> &[Entry] {
        self.table().map_or(&[], |table| &table.entries)
    }
}
