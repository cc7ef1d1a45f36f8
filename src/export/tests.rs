//! The page of every runbook that we have: nothing is missing, nothing is broken.

pub(super) fn runbooks() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = std::fs::read_dir(root.join("assets/examples")).unwrap();
    let mut paths: Vec<_> = examples.map(|entry| entry.unwrap().path()).collect();
    paths.push(root.join("runbook.toml"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

use std::{collections::BTreeMap, process::Command};

use super::{
    Page, page,
    reader::{Parts, parts},
    written::Node,
};
use crate::{
    config::load_str,
    domain::runbook::{Runbook, Target},
};

fn exported(name: &str, source: &str) -> Page {
    page(name, source).unwrap_or_else(|why| panic!("{name}: {why:?}"))
}

fn meant(name: &str, source: &str) -> Runbook {
    let loaded = load_str(name, source);
    loaded.runbook.clone().unwrap_or_else(|| panic!("{name}: {}", loaded.render(false)))
}

/// All texts of a runbook that people wrote, each as often as it stands there.
fn texts(node: &Node, found: &mut BTreeMap<String, usize>) {
    match node {
        Node::Leaf(_) => {
            for line in
                node.as_text().unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty())
            {
                *found.entry(line.to_owned()).or_default() += 1;
            }
        }
        Node::List(items) => items.iter().for_each(|item| texts(item, found)),
        Node::Table(entries) => entries.iter().for_each(|(_, node)| texts(node, found)),
    }
}

/// Words that the page says in other words: durations, and those of the format.
fn said_otherwise(text: &str) -> bool {
    let duration = text.split("..").all(|part| part.parse::<crate::domain::time::Span>().is_ok());
    duration || ["true", "false", "countdown"].contains(&text)
}

#[test]
fn every_text_of_a_runbook_is_on_its_page() {
    for (name, source) in runbooks() {
        let read = parts(&exported(&name, &source).markdown);
        let (_, settings) = read.fences.last().unwrap();
        let (mut found, mut set) = (BTreeMap::new(), BTreeMap::new());
        let mut tree = Node::parse(&source).unwrap();
        // The page calls a trigger's metric by its title.
        if let Some(Node::List(triggers)) = tree.get_mut("trigger") {
            for trigger in triggers {
                trigger.remove(&["metric"]);
            }
        }
        texts(&tree, &mut found);
        texts(&Node::parse(settings).unwrap(), &mut set);
        assert!(found.len() > 40, "{name}: {}", found.len());
        let page = read.texts.replace(settings.as_str(), "");
        for (text, times) in found.into_iter().filter(|(text, _)| !said_otherwise(text)) {
            let shown = page.matches(text.as_str()).count();
            let set = set.get(&text).copied().unwrap_or_default();
            assert!(
                shown + set >= times,
                "{name}: {times} times, but {shown} and {set} times on the page: {text}"
            );
        }
    }
}

#[test]
fn a_page_has_as_many_items_tables_and_blocks_as_its_runbook() {
    for (name, source) in runbooks() {
        let runbook = meant(&name, &source);
        let page = exported(&name, &source).markdown;
        let Parts { tasks, rows, fences, headings, .. } = parts(&page);
        let items: usize = runbook.checklist.iter().map(|group| group.items.len()).sum();
        let ready: usize = runbook.rollbacks.iter().map(|rollback| rollback.ready.len()).sum();
        let checks = runbook.checks().count() - items;
        assert_eq!(tasks.len(), items + checks + ready + runbook.tasks.len(), "{name}\n{page}");
        let expected: Vec<&str> = runbook
            .checklist
            .iter()
            .flat_map(|group| group.items.iter().map(|item| item.text.as_str()))
            .chain(runbook.steps.iter().flat_map(|step| step.check.iter().map(|check| check.text.as_str())))
            .collect();
        assert_eq!(tasks[..expected.len()], expected, "{name}");

        let commands = fences.iter().filter(|(language, _)| language == "sh").count();
        let actions = Node::parse(&source).unwrap();
        let lists = |node: &Node| node.list("run").len() + node.list("undo").len();
        let tables = ["step"].iter().flat_map(|key| actions.list(key)).map(lists).sum::<usize>()
            + actions.get("completion").map_or(0, lists)
            + actions
                .get("rollback")
                .map_or(&[][..], Node::entries)
                .iter()
                .map(|(_, node)| lists(node))
                .sum::<usize>();
        assert_eq!(commands, tables, "{name}\n{page}");
        let queries = fences.iter().filter(|(language, _)| language == "promql").count();
        let promql = actions.get("metrics").map_or(&[][..], Node::entries);
        assert_eq!(queries, promql.iter().filter(|(_, metric)| metric.get("query").is_some()).count());

        let levels = runbook.incident.as_ref().map_or(0, |incident| incident.levels.len());
        let document =
            5 + usize::from(!runbook.document.keywords.is_empty()) + runbook.document.related.len();
        let slots = if runbook.target.as_ref().is_some_and(Target::is_one_deployment) { 0 } else { 2 };
        let other = runbook.vars.len() + runbook.parts.len() + runbook.triggers.len() + runbook.metrics.len();
        let people = runbook.contacts.len() + runbook.changes.len();
        assert_eq!(rows.len(), document + slots + other + people + levels, "{name}\n{page}");
        let steps =
            headings.iter().filter(|(level, title)| *level == 3 && title.starts_with("Step ")).count();
        assert_eq!(steps, runbook.steps.len());
        let (language, _) = fences.last().unwrap();
        assert_eq!(language, "toml");
    }
}

#[test]
fn a_shell_reads_every_block() {
    for (name, source) in runbooks() {
        for (_, script) in
            parts(&exported(&name, &source).markdown).fences.iter().filter(|(of, _)| of == "sh")
        {
            let checked = Command::new("/bin/sh").args(["-n", "-c", script]).output().unwrap();
            assert!(checked.status.success(), "{name}: {script}\n{checked:?}");
            assert!(script.starts_with("# "), "{name}: {script}");
            assert!(!script.contains("@@") && !script.contains("There is no command"), "{name}: {script}");
        }
    }
}

#[test]
fn no_value_of_a_secret_is_on_a_page() {
    let (_, source) =
        runbooks().into_iter().find(|(name, _)| name.ends_with("blue-green-small.toml")).unwrap();
    let secrets = [
        "https://hooks.example.com/T0/S3CRET",
        "b3arer-t0ken",
        "pa55-w0rd",
        "Basic Zm9vOmJhcg==",
        "f1xed-value",
        "d3fault-value",
    ];
    let source = source
        .replace("[vars]\n", &format!("[vars]\nFIXED = {{ value = \"{}\", secret = true }}\nASKED = {{ ask = \"Which?\", default = \"{}\", secret = true, sample = \"none\" }}\n", secrets[4], secrets[5]))
        .replace("[sources.prometheus]\n", &format!("[sources.other]\nurl = \"http://other.example.com\"\nbasic_auth = {{ user = \"me\", password = \"{}\" }}\n\n[sources.prometheus]\nbearer_token = \"{}\"\n", secrets[2], secrets[1]))
        .replace("per_slot = true\n", "per_slot = true\nsource = \"prometheus\"\n")
        .replace("run = [{ switch_traffic = { to = \"new\" } }]", &format!("run = [{{ name = \"Say $FIXED\", http = {{ method = \"POST\", url = \"https://example.com\", headers = {{ authorization = \"{}\" }} }} }}, {{ name = \"curl {}\", sh = \"echo $ASKED\" }}, {{ switch_traffic = {{ to = \"new\" }} }}]", secrets[3], secrets[0]))
        .replace("on_failure = [\"R switches back", &format!("notes = [\"the token is {}\"]\non_failure = [\"R switches back", secrets[1]))
        + &format!("\n[notify]\nslack = \"{}\"\n", secrets[0]);
    let page = exported("secrets", &source);
    for secret in secrets {
        assert!(!page.markdown.contains(secret), "{secret}\n{}", page.markdown);
    }
    assert!(page.markdown.contains("the token is \\$PROMETHEUS_TOKEN"), "{}", page.markdown);
    assert_eq!(page.left_out.len(), 6, "{:?}", page.left_out);
    assert!(page.left_out.iter().all(|told| secrets.iter().all(|secret| !told.contains(secret))));
    // What is left is a runbook still.
    let back = super::read(&page.markdown).unwrap();
    let runbook = meant("back", &back.toml);
    let secret: Vec<&str> =
        runbook.vars.iter().filter(|var| var.secret).map(|var| var.name.as_str()).collect();
    assert_eq!(
        secret,
        ["FIXED", "ASKED", "SLACK_WEBHOOK_URL", "OTHER_PASSWORD", "PROMETHEUS_TOKEN", "AUTHORIZATION"]
    );
    for (name, source) in runbooks() {
        assert!(exported(&name, &source).left_out.is_empty(), "{name}");
    }
}
