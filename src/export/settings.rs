//! The settings of a page: what of a runbook the page does not say.
//!
//! Whoever lays them over what the page says gets the runbook again. So an entry of a list that has settings has the name
//! that the page shows, and where a name occurs twice, either all of them have an entry or none.

use super::written::Node;
use crate::domain::{
    action::Action,
    check::Check,
    runbook::{Runbook, Step},
};

/// Tables that the page says whole.
const ON_PAGE: &[&str] =
    &["runbook", "deployment", "trigger", "task", "incident", "contact", "links", "change"];

/// The settings of a runbook, from how it is written and what it means.
pub(super) fn settings(tree: &Node, runbook: &Runbook) -> Node {
    let entries = tree.entries().iter().filter(|(name, _)| !ON_PAGE.contains(&name.as_str()));
    let kept = entries.filter_map(|(name, node)| {
        let kept = match name.as_str() {
            "metrics" => metrics(node),
            "checklist" => checklist(node, runbook),
            "step" => steps(node, runbook),
            "completion" => procedure(node, &runbook.completion.run, &runbook.completion.check, &[]),
            "rollback" => rollbacks(node, runbook),
            _ => node.clone(),
        };
        (!kept.is_empty()).then(|| (name.clone(), kept))
    });
    Node::Table(kept.collect())
}

/// The page calls a metric by its title, so the settings keep it even where it is the name.
fn metrics(node: &Node) -> Node {
    let metrics = node.entries().iter().map(|(name, metric)| {
        let mut kept = metric.clone();
        kept.remove(&["query", "normal", "alert", "action"]);
        if kept.text("title").is_none() {
            kept.put_first("title", Node::text_of(name));
        }
        (name.clone(), kept)
    });
    Node::Table(metrics.collect())
}

/// What a person ticks is on the page whole; only how it is looked at stays here.
fn checklist(node: &Node, runbook: &Runbook) -> Node {
    let Node::List(groups) = node else { return node.clone() };
    let groups = groups.iter().zip(&runbook.checklist).filter_map(|(written, group)| {
        let names: Vec<&str> = group.items.iter().map(|item| item.text.as_str()).collect();
        let kept = kept(written.list("items"), &names, "text", &[]);
        let title = Node::text_of(&group.title);
        (!kept.is_empty())
            .then(|| Node::Table(vec![("group".to_owned(), title), ("items".to_owned(), Node::List(kept))]))
    });
    Node::List(groups.collect())
}

fn steps(node: &Node, runbook: &Runbook) -> Node {
    let Node::List(steps) = node else { return node.clone() };
    Node::List(steps.iter().zip(&runbook.steps).map(|(written, step)| one_step(written, step)).collect())
}

fn one_step(written: &Node, step: &Step) -> Node {
    let mut kept = procedure(written, &step.run, &step.check, &step.undo);
    kept.put_first("title", Node::text_of(&step.title));
    kept.put_first("id", Node::text_of(step.id.as_str()));
    kept
}

/// `ready` is found by its own list: its checks may have the same texts as those behind the rollback.
fn rollbacks(node: &Node, runbook: &Runbook) -> Node {
    let rollbacks = node.entries().iter().zip(&runbook.rollbacks).map(|((name, written), rollback)| {
        let mut kept = procedure(written, &rollback.run, &rollback.check, &[]);
        let ready = checks(written.list("ready"), &rollback.ready);
        kept.remove(&["ready"]);
        if !ready.is_empty() {
            kept.put("ready", Node::List(ready));
        }
        kept.put_first("title", Node::text_of(&rollback.title));
        (name.clone(), kept)
    });
    Node::Table(rollbacks.collect())
}

/// What a step, the completion and a rollback have in common.
fn procedure(written: &Node, run: &[Action], check: &[Check], undo: &[Action]) -> Node {
    let mut kept = written.clone();
    kept.remove(&["time", "critical", "only", "no_undo", "on_failure", "notes", "run", "check", "undo"]);
    let lists = [
        ("run", actions(written.list("run"), run)),
        ("check", checks(written.list("check"), check)),
        ("undo", actions(written.list("undo"), undo)),
    ];
    for (key, list) in lists {
        if !list.is_empty() {
            kept.put(key, Node::List(list));
        }
    }
    kept
}

fn actions(written: &[Node], run: &[Action]) -> Vec<Node> {
    let groups = grouped(written, run);
    let names: Vec<&str> = groups.iter().map(|(name, _)| name.as_str()).collect();
    kept(written, &names, "name", &["sh"])
}

fn checks(written: &[Node], checks: &[Check]) -> Vec<Node> {
    let names: Vec<&str> = checks.iter().map(|check| check.text.as_str()).collect();
    kept(written, &names, "text", &[])
}

/// Actions as they are written, each with its name and what it consists of: a promotion is three.
pub(super) fn grouped<'a>(written: &[Node], run: &'a [Action]) -> Vec<(String, &'a [Action])> {
    let mut rest = run;
    let mut groups = Vec::new();
    for node in written {
        let promotes = node.get("promote").is_some();
        let Some((these, others)) = rest.split_at_checked(if promotes { 3 } else { 1 }) else { break };
        let name = match node.text("name") {
            None if promotes => "Promote".to_owned(),
            None => these.first().map(|action| action.name.clone()).unwrap_or_default(),
            Some(name) => name.to_owned(),
        };
        groups.push((name, these));
        rest = others;
    }
    groups
}

/// A name that is written as a comment.
pub(super) fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The entries of a list that are more than their name and what the page says of them, under that name.
fn kept(written: &[Node], names: &[&str], name_key: &str, on_page: &[&str]) -> Vec<Node> {
    let more = |node: &Node| {
        node.entries().iter().any(|(key, _)| key != name_key && !on_page.contains(&key.as_str()))
    };
    let named = || written.iter().zip(names);
    let wanted: Vec<&str> = named().filter(|(node, _)| more(node)).map(|(_, name)| *name).collect();
    named()
        .filter(|(_, name)| wanted.contains(name))
        .map(|(node, name)| {
            let mut kept = node.clone();
            kept.remove(on_page);
            kept.put_first(name_key, Node::text_of(name));
            kept
        })
        .collect()
}
