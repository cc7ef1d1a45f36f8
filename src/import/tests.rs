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

#[test]
fn severity_levels_under_headings_are_levels() {
    let page = "# Shop\n\n## Severity levels\n\n### 🔴 **SEV-1: Critical**\n- **Impact**: all is down\n- **Response time**: 5 minutes\n\
                - **Notification**: the on-call engineer\n- **Resolution target**: 1 hour\n\n### SEV-2 - High\n- **Impact**: some is down\n";
    let imported = loads(page);
    let levels: Vec<&str> =
        imported.runbook.lines().filter(|line| line.contains("level = ")).map(str::trim).collect();
    let first = r#"{ level = "SEV-1", title = "Critical", example = "all is down", respond = "5 minutes", escalate = "the on-call engineer" },"#;
    assert_eq!(levels[0], first);
    assert!(
        levels[1].starts_with(r#"{ level = "SEV-2", title = "High", example = "some is down""#),
        "{}",
        levels[1]
    );
    assert_eq!(levels.len(), 2);
    assert!(imported.runbook.contains("1 hour"), "{}", imported.runbook);
}
