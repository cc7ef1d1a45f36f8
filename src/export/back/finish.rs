//! What the texts of a page become in a runbook: names, dates, durations, and the order of tables.

use super::{lay::UNNAMED, leaf};
use crate::export::{words, written::Node};

/// What needs the settings: names of metrics in triggers, and names of what was added to the page by hand.
pub(super) fn finish(tree: &mut Node) {
    for key in ["metrics", "rollback"] {
        for (name, node) in tree.get_mut(key).map(Node::entries_mut).unwrap_or_default() {
            if name.starts_with(UNNAMED) {
                *name = slug(node.text("title").unwrap_or_default(), '_');
            }
        }
    }
    let metrics: Vec<(String, String)> = tree
        .get("metrics")
        .map_or(&[][..], Node::entries)
        .iter()
        .map(|(name, metric)| (metric.text("title").unwrap_or(name).to_owned(), name.clone()))
        .collect();
    if let Some(Node::List(triggers)) = tree.get_mut("trigger") {
        for trigger in triggers {
            let named = trigger.text("metric").and_then(|title| metrics.iter().find(|(of, _)| of == title));
            if let Some((_, name)) = named {
                replace(trigger, "metric", name);
            }
            if let Some(lasts) = trigger.text("for").and_then(words::notation) {
                replace(trigger, "for", &lasts);
            }
            if let Some(lasts) = trigger
                .text("then")
                .and_then(|then| then.strip_prefix("countdown "))
                .and_then(words::notation)
            {
                replace(trigger, "then", "countdown");
                trigger.put("countdown", leaf(&lasts));
            }
        }
    }
    if let Some(Node::List(steps)) = tree.get_mut("step") {
        for step in steps {
            if step.text("id").is_none() {
                let id = slug(step.text("title").unwrap_or_default(), '-');
                step.put_first("id", leaf(&id));
            }
        }
    }
}

fn replace(node: &mut Node, key: &str, text: &str) {
    if let Some(found) = node.get_mut(key) {
        *found = leaf(text);
    }
}

/// A title as a name: lower-case letters, digits, and one sign between words.
fn slug(title: &str, between: char) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(&between.to_string())
}

/// A block of the shell as an action: its first line is the name.
pub(super) fn action(text: &str) -> Node {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match first.strip_prefix("# ") {
        Some(name) => {
            Node::Table(vec![("name".to_owned(), leaf(name)), ("sh".to_owned(), leaf(rest.trim_end()))])
        }
        None => Node::Table(vec![("sh".to_owned(), leaf(text.trim_end()))]),
    }
}

/// `fri, sat 14:00-16:00 UTC`
pub(super) fn window(written: &str) -> Option<Node> {
    let (rest, zone) = written.trim().rsplit_once(' ')?;
    let (days, times) = rest.rsplit_once(' ')?;
    let (from, to) = times.split_once('-')?;
    let mut entries = Vec::new();
    if days != "every day" {
        entries.push(("days".to_owned(), Node::List(days.split(", ").map(leaf).collect())));
    }
    let others = [("from", from), ("to", to), ("timezone", zone)];
    entries.extend(others.map(|(key, text)| (key.to_owned(), leaf(text))));
    Some(Node::Table(entries))
}

/// A date is written without quotes.
pub(super) fn dated(node: &mut Node, key: &str) {
    let date = node.text(key).and_then(|text| text.parse::<toml_edit::Datetime>().ok());
    if let (Some(date), Some(found)) = (date, node.get_mut(key)) {
        *found = Node::Leaf(toml_edit::Value::from(date));
    }
}
