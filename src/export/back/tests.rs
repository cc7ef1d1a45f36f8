//! A page read back is the runbook that it was made of.

use super::*;
use crate::{
    config::load_str,
    domain::runbook::Runbook,
    export::{page, tests::runbooks},
};

fn meant(name: &str, source: &str) -> Runbook {
    let loaded = load_str(name, source);
    loaded.runbook.clone().unwrap_or_else(|| panic!("{name}: {}\n{source}", loaded.render(false)))
}

fn written(name: &str, source: &str) -> String {
    page(name, source).unwrap_or_else(|why| panic!("{name}: {why:?}")).markdown
}

/// A runbook with everything that Markdown and TOML might stumble over.
const HOSTILE: &str = r##"
[runbook]
module = "a | b"
title = "*Shop* <VERSION> & `co`"
status = "draft"
version = "0.1.0"
last_updated = 2026-11-20
author = "@a_b_c"
keywords = ["a", "- b"]
related = { z_last = "./Z.md", a_first = "./A.md" }
[deployment]
environment = "staging"
strategy = "blue-green"
automation = "manual"
window = { from = "22:00", to = "02:00", timezone = "Europe/Berlin" }
expected = "90s"
success_factors = ["1. one", "# two"]
[target]
context = "prod eu"
namespace = "shop"
service = "shop"
container = "app"
slots.blue = { deployment = "shop-1", selector = { slot = "blue", tier = "x" } }
slots.green = { deployment = "shop-2", selector = { slot = "green" } }
[vars]
VERSION = { ask = "Which | version?", default = "v1" }
HOOK = { env = "HOOK", secret = true }
ID = { captured = true }
NEW_DEPLOYMENT = { value = "mine" }
[[checklist]]
group = "Before `it`"
items = [
    { text = "same" },
    { text = "same", optional = true },
    { text = "- [ ] no task\n# no heading\n\n| no | table |\n| --- | --- |" },
    { text = "a script", check = { sh = "set -e\n\ntest -n '```'\n", timeout = "5s" }, valid_for = "1h" },
]
[[step]]
id = "one"
title = "Step 1: one"
time = "30s..2m"
critical = "**CRITICAL:** twice"
confirm = "twice"
approvals = 2
run = [
    { name = "Twice", sh = "echo a" },
    { name = "Twice", sh = "cat <<'END'\n# no name\n\n```\nEND", timeout = "1m" },
    { sh = "# a comment first\necho \"$VERSION\" | tee 'a b'", capture = { ID = '(\S+)' }, sample = "x\ny" },
    { argv = ["echo", "it's $VERSION", "$$5"] },
    { http = { method = "PUT", url = "https://example.com/$VERSION?a=1&b='", headers = { Accept = "*/*", Authorization = "$HOOK" }, body = "{\"a\": \"$VERSION\"}", status = 202, json = { "/a|b" = "$VERSION" }, contains = "<ok>" } },
    { notify = "it's <$VERSION>\n100 % | \"done\" $ID" },
    { patch = { kind = "configmap", name = "flags", type = "merge", patch = { data = { "a.b" = "$VERSION's", n = 3, l = [1, "x"] } } } },
    { restart = { slot = "blue" } },
    { switch_traffic = { to = "new" } },
]
check = [{ text = "*By hand:* no view" }, { logs = { slot = "new", with = "a|b" } }, { text = "same" }, { text = "same", traffic_on = "new", optional = true }]
no_undo = "nothing"
on_failure = ["**Bold:** no label", "two\nlines"]
notes = ["– a dash"]
[[step]]
id = "other"
title = "Step 1: one"
check = [{ text = "watch", metric = "errors", is = "< 1%" }]
window = { lasts = "90s" }
[rollback.quick]
run = [{ switch_traffic = { to = "previous" } }]
ready = [{ http = { url = "https://$SLOT.example.com" } }]
[sources.app]
scrape = "https://example.com/metrics"
[metrics.errors]
scrape = { source = "app", rate = 'e{code=~"5..|4.."}', over = "e" }
unit = "percent"
alert = "> 1.23456%"
action = "look | act"
[metrics.other]
title = "errors"
scrape = { source = "app", quantile = 0.95, histogram = "h" }
unit = "s"
[[trigger]]
metric = "errors"
when = "> 1.23456%"
then = "ask"
reason = "too | many"
[[trigger]]
metric = "other"
when = "> 2s"
then = "rollback"
no_data = "rollback"
[[task]]
due = "36h"
text = "[link](x)"
[[task]]
due = "1h"
text = "then this"
[[task]]
due = "36h"
text = "and this"
[incident]
levels = [{ level = "P0", title = "a|b", example = "`x`", respond = "<1h>", escalate = "*" }]
steps = ["1) first"]
template = "```\n{title}\n~~~\n"
[links]
"A [b]: c" = "kubectl logs | grep `x`"
"to" = "https://example.com/a(b)?c=[d]"
[notify]
slack = "$HOOK"
on = ["failed"]
"##;

#[test]
fn a_page_read_back_is_the_same_runbook() {
    let mut all = runbooks();
    all.push(("hostile".to_owned(), HOSTILE.to_owned()));
    for (name, source) in all {
        let page = written(&name, &source);
        let back = read(&page).unwrap();
        assert_eq!((back.unread, back.lost), (vec![], vec![]), "{name}");
        let (mut is, was) = (meant(&name, &back.toml), meant(&name, &source));
        // Line ends at the end of a script are not kept.
        for (group, other) in is.checklist.iter_mut().zip(&was.checklist) {
            group.items.iter_mut().zip(&other.items).for_each(|(item, other)| {
                if item.text == "a script" {
                    item.check.clone_from(&other.check);
                }
            });
        }
        assert_eq!(is, was, "{name}");
        // And the page of what was read is the same page.
        assert_eq!(written(&name, &back.toml), page, "{name}");
    }
}

#[test]
fn a_shell_reads_also_what_is_hard_to_quote() {
    let blocks = blocks::read(&written("hostile", HOSTILE));
    let scripts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match &block.kind {
            Kind::Fence(language, text) if language == "sh" => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(scripts.len(), 10);
    for script in &scripts {
        let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", script]).output().unwrap();
        assert!(checked.status.success(), "{script}\n{checked:?}");
    }
    // The slots have different labels, and the runbook has a variable with the name that ours would have.
    assert!(scripts[8].contains("if [ \"$NEW_SLOT\" = blue ]; then"), "{}", scripts[8]);
    let page = written("hostile", HOSTILE);
    assert!(page.contains("`export NEW_DEPLOYMENT_=shop-2 NEW_SLOT=green "), "{page}");
}

#[test]
fn what_people_change_on_a_page_is_in_the_runbook() {
    let (_, source) =
        runbooks().into_iter().find(|(name, _)| name.ends_with("blue-green-small.toml")).unwrap();
    let page = written("page", &source)
        .replace("- [ ] CI has passed\n", "- [ ] CI has passed\n- [ ] The <cache> is *really* warm\n")
        .replace(
            "```sh\n# Set the image\n",
            "```sh\n# Say so\necho \"$VERSION\"\n```\n\n```sh\n# Set the image\n",
        )
        .replace("- Roll back with R\n", "- Roll back with R\n- Call somebody\n")
        .replace("| < 0.5% | > 1% |", "| < 0.5% | > 2% |")
        .replace("### Within 1 day", "### Within 2 days")
        .replace("| On-call engineer |", "| Duty engineer |");
    let back = read(&page).unwrap();
    assert_eq!((back.unread, back.lost), (vec![], vec![]));
    let runbook = meant("back", &back.toml);
    let texts: Vec<&str> = runbook.checklist[0].items.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(
        texts,
        ["CI has passed", "The <cache> is really warm", "Somebody is on call who knows this service"]
    );
    assert!(!runbook.checklist[0].items[0].check.kind.is_person(), "what was not changed keeps its check");
    let names: Vec<&str> = runbook.steps[0].run.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(
        names,
        ["Say so", "Set the image", "Start as many pods as the other slot has", "Wait for them"]
    );
    assert!(runbook.steps[0].run[1].kind.is_kubernetes());
    assert_eq!(runbook.steps[2].on_failure, ["Roll back with R", "Call somebody"]);
    assert_eq!(runbook.metrics[0].alert.map(|alert| alert.value), Some(0.02));
    assert_eq!(runbook.tasks[0].due, crate::domain::time::Span::from_mins(2 * 24 * 60));
    assert_eq!(runbook.contacts[0].role, "Duty engineer");
}

#[test]
fn what_no_page_of_ours_has_is_told_with_its_line() {
    let (_, source) =
        runbooks().into_iter().find(|(name, _)| name.ends_with("blue-green-small.toml")).unwrap();
    let page = written("page", &source).replace(
        "## Steps\n",
        "A word of mine.\n\n> **CRITICAL:** quoted\n\n```sh\nrm -rf /\n```\n\n## My own\n\n- an item\n\n## Steps\n",
    );
    let page = page
        .replace("# Wait for them", "# Wait")
        .replace("- [ ] The new version works\n", "- [ ] It works\n");
    let back = read(&page).unwrap();
    let told: Vec<&str> = back.unread.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(told, ["A word of mine.", "CRITICAL: quoted", "rm -rf /", "My own", "an item"]);
    for (line, text) in &back.unread {
        let at = page.lines().nth(line - 1).unwrap_or_default();
        assert!(at.contains(text.split(": ").last().unwrap()) || at == "```sh", "{line}: {at}");
    }
    assert_eq!(back.lost, ["run: Wait for them", "check: The new version works"]);
    assert!(!back.toml.contains("rm -rf"));
    assert_eq!(read(&page.replace("## Settings for cutover", "## Settings")), None);
    assert_eq!(read(""), None);
}
