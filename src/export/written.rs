//! A runbook as it is written: a tree of tables, lists and values in their order, without comments.
//!
//! The page needs it beside the runbook as it is meant: bounds and durations as somebody wrote them, and whatever goes into
//! the settings word for word.

use std::fmt::Write as _;

use toml_edit::{DocumentMut, Item, TableLike, TomlError, Value};

/// A table, a list, or a value.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// A text, number, date or flag as it was written.
    Leaf(Value),
    /// A list.
    List(Vec<Node>),
    /// A table, its entries in order.
    Table(Vec<(String, Node)>),
}

/// Tables of the format that hold tables with names of the team's own.
const NAMED: &[&str] = &["sources", "metrics", "rollback"];

/// The tables of a runbook in the order of our own.
const ORDER: &[&str] = &[
    "runbook",
    "deployment",
    "target",
    "vars",
    "part",
    "checklist",
    "step",
    "completion",
    "rollback",
    "trigger",
    "task",
    "incident",
    "sources",
    "metrics",
    "notify",
    "contact",
    "links",
    "change",
];

impl Node {
    /// The tree of a file.
    ///
    /// # Errors
    /// If it is no TOML.
    pub(super) fn parse(source: &str) -> Result<Self, TomlError> {
        Ok(Self::of_table(source.parse::<DocumentMut>()?.as_table()))
    }

    /// A text.
    pub(super) fn text_of(text: &str) -> Self {
        Self::Leaf(Value::from(text))
    }

    fn of_table(table: &dyn TableLike) -> Self {
        Self::Table(table.iter().map(|(key, item)| (key.to_owned(), Self::of_item(item))).collect())
    }

    fn of_item(item: &Item) -> Self {
        match item {
            Item::Table(table) => Self::of_table(table),
            Item::ArrayOfTables(tables) => {
                Self::List(tables.iter().map(|table| Self::of_table(table)).collect())
            }
            Item::Value(value) => Self::of_value(value),
            Item::None => Self::Table(Vec::new()),
        }
    }

    /// Without comments and spaces: they are of the place where the value stood.
    fn of_value(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::of_value).collect()),
            Value::InlineTable(table) => Self::of_table(table),
            leaf => Self::Leaf(leaf.clone().decorated("", "")),
        }
    }

    /// An entry of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// An entry of a table, for a change.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.entries_mut().iter_mut().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The text of an entry.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The text itself, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Leaf(value) => value.as_str(),
            Self::List(_) | Self::Table(_) => None,
        }
    }

    /// A table's entries.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Table(entries) => entries,
            Self::Leaf(_) | Self::List(_) => &[],
        }
    }

    /// A table's entries, for a change.
    pub(super) fn entries_mut(&mut self) -> &mut [(String, Self)] {
        match self {
            Self::Table(entries) => entries,
            Self::Leaf(_) | Self::List(_) => &mut [],
        }
    }

    /// What a list holds under a key; nothing where there is none.
    pub(super) fn list(&self, key: &str) -> &[Self] {
        match self.get(key) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }

    /// Puts an entry in front, or takes the place of the one that is there.
    pub(super) fn put_first(&mut self, key: &str, node: Self) {
        self.remove(&[key]);
        if let Self::Table(entries) = self {
            entries.insert(0, (key.to_owned(), node));
        }
    }

    /// Puts an entry at the end.
    pub(super) fn put(&mut self, key: &str, node: Self) {
        if let Self::Table(entries) = self {
            entries.push((key.to_owned(), node));
        }
    }

    /// Puts an entry at the end, if there is none of that name.
    pub(super) fn put_once(&mut self, key: &str, node: Self) -> bool {
        let is_new = self.get(key).is_none();
        if is_new {
            self.put(key, node);
        }
        is_new
    }

    /// Puts items at the end of a list, which is made if there is none. Not where something else stands there.
    pub(super) fn extend(&mut self, key: &str, items: Vec<Self>) -> bool {
        match self.get_mut(key) {
            Some(Self::List(list)) => list.extend(items),
            Some(_) => return false,
            None => self.put(key, Self::List(items)),
        }
        true
    }

    /// Takes entries out.
    pub(super) fn remove(&mut self, keys: &[&str]) {
        if let Self::Table(entries) = self {
            entries.retain(|(key, _)| !keys.contains(&key.as_str()));
        }
    }

    /// Whether a table or list holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Leaf(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Table(entries) => entries.is_empty(),
        }
    }

    /// Shows every text of the tree, the innermost first, to something that may change it.
    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&str) -> Option<String>) {
        match self {
            Self::Leaf(value) => {
                if let Some(new) = value.as_str().and_then(&mut *change) {
                    *value = Value::from(new);
                }
            }
            Self::List(items) => items.iter_mut().for_each(|item| item.each_text(change)),
            Self::Table(entries) => entries.iter_mut().for_each(|(_, node)| node.each_text(change)),
        }
    }

    /// The tree with its tables in the order of our own runbooks.
    pub(super) fn ordered(mut self) -> Self {
        if let Self::Table(entries) = &mut self {
            entries
                .sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
        }
        self
    }

    /// The tree as a file, in the layout of our own runbooks.
    pub(super) fn to_toml(&self) -> String {
        let mut out = String::new();
        for (name, node) in self.entries() {
            match node {
                Self::Table(entries) if NAMED.contains(&name.as_str()) => {
                    for (inner, node) in entries {
                        section(&mut out, &format!("[{}.{}]", key(name), key(inner)), node);
                    }
                }
                Self::List(items) if items.iter().all(|item| matches!(item, Self::Table(_))) => {
                    for item in items {
                        section(&mut out, &format!("[[{}]]", key(name)), item);
                    }
                }
                node => section(&mut out, &format!("[{}]", key(name)), node),
            }
        }
        out
    }

    /// The tree in one line.
    fn inline(&self) -> String {
        match self {
            Self::Leaf(value) => value.to_string(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::inline).collect::<Vec<_>>().join(", "))
            }
            Self::Table(entries) if entries.is_empty() => "{}".to_owned(),
            Self::Table(entries) => {
                let entries = entries.iter().map(|(name, node)| format!("{} = {}", key(name), node.inline()));
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// One table with its header, after an empty line.
fn section(out: &mut String, header: &str, node: &Node) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(header);
    out.push('\n');
    // Writing to a String cannot fail.
    for (name, node) in node.entries() {
        let name = key(name);
        match node {
            // Slots, each with a line of its own.
            Node::Table(entries) if entries.iter().any(|(_, node)| matches!(node, Node::Table(_))) => {
                for (inner, node) in entries {
                    let _ = writeln!(out, "{name}.{} = {}", key(inner), node.inline());
                }
            }
            Node::List(items) if items.iter().any(|item| matches!(item, Node::Table(_))) => {
                let _ = writeln!(out, "{name} = [");
                for item in items {
                    let _ = writeln!(out, "    {},", item.inline());
                }
                out.push_str("]\n");
            }
            node => {
                let _ = writeln!(out, "{name} = {}", node.inline());
            }
        }
    }
}

/// A key, in quotes where it needs them.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use crate::config::load_str;

    use super::*;

    #[test]
    fn a_tree_written_again_is_the_same_runbook() {
        for (name, source) in crate::export::tests::runbooks() {
            let again = Node::parse(&source).unwrap().to_toml();
            let (was, is) = (load_str(&name, &source), load_str(&name, &again));
            assert_eq!(is.runbook, was.runbook, "{name}: {}", is.render(false));
        }
    }
}
