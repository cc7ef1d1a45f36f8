use super::*;
use crate::config;

fn loads(source: &str) -> Imported {
    let imported = import("page.md", source);
    let loaded = config::load_str("runbook.toml", &imported.runbook);
    assert!(loaded.runbook.is_some(), "{}\n{}", loaded.render(false), imported.runbook);
    imported
}

#[test]
fn an_empty_page_gives_a_runbook_that_says_what_is_missing() {
    let imported = loads("");
    assert!(imported.runbook.contains("TODO"), "{}", imported.runbook);
}
