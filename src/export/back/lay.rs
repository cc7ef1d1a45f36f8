//! Lays the settings of a page over what the page says.

use crate::{config::ACTION_KINDS, export::written::Node};

/// Lists whose entries have a name, with the key of the name.
const NAMED_LISTS: &[(&str, &str)] = &[
    ("checklist", "group"),
    ("items", "text"),
    ("step", "title"),
    ("run", "name"),
    ("undo", "name"),
    ("check", "text"),
    ("ready", "text"),
];

/// Tables whose entries belong together by their title, and not by their key.
const TITLED: &[&str] = &["rollback", "metrics"];

/// Lays settings over a page. What has no place on the page is put into `lost`, by name.
pub(super) fn lay(page: &mut Node, settings: &Node, lost: &mut Vec<String>) {
    for (key, set) in settings.entries() {
        let names = NAMED_LISTS.iter().find(|(list, _)| list == key).map(|(_, name)| *name);
        match (names, set) {
            (Some(name), Node::List(entries)) => list(page, key, name, entries, lost),
            _ if TITLED.contains(&key.as_str()) => titled(page, key, set, lost),
            (None, Node::Table(_))
                if page.get(key).is_some_and(|on_page| matches!(on_page, Node::Table(_))) =>
            {
                if let Some(on_page) = page.get_mut(key) {
                    lay(on_page, set, lost);
                }
            }
            _ => {
                page.remove(&[key]);
                page.put(key, set.clone());
            }
        }
    }
    // Where the settings say that an action is something other than a command, the command on the page is a view of it.
    if ACTION_KINDS.iter().any(|kind| *kind != "sh" && settings.get(kind).is_some()) {
        page.remove(&["sh"]);
    }
}

/// The first entry of that name belongs to the first of the page, and so on.
fn list(page: &mut Node, key: &str, name_key: &str, entries: &[Node], lost: &mut Vec<String>) {
    let mut taken: Vec<usize> = Vec::new();
    for entry in entries {
        let name = entry.text(name_key).unwrap_or_default();
        let on_page = match page.get_mut(key) {
            Some(Node::List(items)) => items.as_mut_slice(),
            _ => &mut [],
        };
        let found = on_page.iter_mut().enumerate().find(|(at, item)| {
            !taken.contains(at) && item.text(name_key).is_some_and(|on_page| same(on_page, name))
        });
        if let Some((at, item)) = found {
            taken.push(at);
            lay(item, entry, lost);
        } else {
            lost.push(format!("{key}: {name}"));
        }
    }
}

fn titled(page: &mut Node, key: &str, set: &Node, lost: &mut Vec<String>) {
    for (name, entry) in set.entries() {
        let title = entry.text("title").unwrap_or(name);
        let tables = page.get_mut(key).map(Node::entries_mut).unwrap_or_default();
        let found = tables.iter_mut().find(|(at, table)| {
            at.starts_with(UNNAMED) && table.text("title").is_some_and(|on_page| same(on_page, title))
        });
        if let Some((at, table)) = found {
            name.clone_into(at);
            lay(table, entry, lost);
        } else {
            lost.push(format!("{key}: {title}"));
        }
    }
}

/// What the key of a table begins with until the settings say its name.
pub(super) const UNNAMED: &str = "\u{1}";

/// Whether two names are the same: white space is not told apart on a page.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}
