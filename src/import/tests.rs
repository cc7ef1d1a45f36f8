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

#[test]
fn a_row_with_more_cells_than_its_head_is_kept_whole() {
    let page = "# Shop\n\n## Steps\n\n| Step | Command |\n|---|---|\n| Look | `kubectl get pods | grep shop` |\n\
                | Ship | `make ship \\| tee log` |\n";
    let imported = loads(page);
    assert!(imported.runbook.contains("| Look | `kubectl get pods | grep shop` |"), "{}", imported.runbook);
    assert!(imported.runbook.contains("make ship | tee log"), "{}", imported.runbook);
    assert!(imported.findings.iter().any(|finding| finding.line == 7 && finding.fate == Fate::Decide));
}

#[test]
fn secrets_within_other_values_give_a_runbook_that_loads() {
    let page = "# Shop\n\n## 1. Go\n\n```sh\nexport TOKEN=abc123def456\nexport HEADER=\"X-Token: $TOKEN\"\n\
                export ALL=\"$HEADER, more\"\nexport PATH=\"$PATH:/opt/bin\"\nexport LATE=\"x-$EARLY\"\nexport EARLY=one\n\
                export SHA=$(git rev-parse HEAD)\nexport IMAGE=\"shop:$SHA\"\n\
                curl https://api.example.com/v1?token=zyxwv98765\n\
                curl -X POST -d '{\"text\":\"done abc123def456\"}' https://hooks.slack.com/services/T0/B0/xyz\n\
                PGPASSWORD=sup3rs3cret psql -h db -c 'select 1'\nmake push $IMAGE $LATE \"$ALL\"\n```\n";
    let imported = loads(page);
    for value in ["abc123def456", "zyxwv98765", "sup3rs3cret", "B0/xyz"] {
        assert!(!imported.runbook.contains(value), "{}", imported.runbook);
    }
    let line = imported.runbook.lines().find(|line| line.starts_with("ALL = ")).unwrap_or_default();
    assert!(line.ends_with(", secret = true }"), "{line}");
    assert!(!imported.runbook.contains("notify = "), "{}", imported.runbook);
}

#[test]
fn a_window_wants_a_switch_to_the_new_version() {
    let page = "# Shop\n\n## 1. Back\n\n```sh\nkubectl set image deployment/shop-green app=shop:v1\n\
                kubectl patch service shop -p '{\"spec\":{\"selector\":{\"slot\":\"blue\"}}}'\n```\n\n\
                ## 2. Monitor (5 minutes)\n\n- [ ] All is well\n";
    assert!(!loads(page).runbook.contains("window = "));
}
