//! Pages of all kinds as runbooks: what `cutover import` takes, and that it drops nothing.
//!
//! Each page under `tests/import/` has beside it what must come of it: every command and every item, in order, and words
//! that must not be lost. `seed.md` is the page that our own runbook was made from.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read the files it compares has failed"
)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use cutover::{
    config,
    domain::{
        action::{Action, ActionKind, Confirm, Replicas, SlotRef},
        check::{Check, CheckKind},
        metric::{Metric, Query},
        runbook::Runbook,
    },
    import::{self, Fate, Imported},
};

use nix::{
    sys::time::{TimeSpec, TimeValLike as _},
    time::{ClockId, clock_gettime},
};

#[path = "import/broken.rs"]
mod broken;
#[path = "import/kept.rs"]
mod kept;
#[path = "import/mutate.rs"]
mod mutate;

use kept::words;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn file(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect("a page of ours can be read")
}

/// Imports a page; what comes of it loads.
fn taken(name: &str, source: &str) -> (Imported, Runbook) {
    let imported = import::import(name, source);
    let loaded = config::load_str("runbook.toml", &imported.runbook);
    let Some(runbook) = loaded.runbook.clone() else {
        panic!("{name}: {}\n{}", loaded.render(false), imported.runbook)
    };
    (imported, runbook)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn slot(slot: &SlotRef) -> &str {
    match slot {
        SlotRef::New => "new",
        SlotRef::Previous => "previous",
        SlotRef::Named(name) => name.as_str(),
    }
}

/// A command in a few words.
fn shown(action: &Action) -> String {
    match &action.kind {
        ActionKind::Sh { script } => one_line(script),
        ActionKind::SetImage { slot: of, image, .. } => format!("set_image {} {}", slot(of), image.as_str()),
        ActionKind::Rollout { slot: of, .. } => format!("rollout {}", slot(of)),
        ActionKind::Restart { slot: of } => format!("restart {}", slot(of)),
        ActionKind::SwitchTraffic { to, .. } => format!("switch_traffic {}", slot(to)),
        ActionKind::Scale { slot: of, replicas: Replicas::Count(count) } => {
            format!("scale {} {count}", slot(of))
        }
        ActionKind::Revert { slot: of } => format!("revert {}", slot(of)),
        ActionKind::Http(request) => format!("http {} {}", request.method, request.url.as_str()),
        ActionKind::Notify { text } => format!("notify {}", text.as_str()),
        other => format!("{other:?}"),
    }
}

fn commands(runbook: &Runbook) -> Vec<String> {
    let mut all = Vec::new();
    let mut part = |run: &[Action], check: &[Check]| {
        all.extend(run.iter().map(shown).filter(|command| command != ":"));
        all.extend(check.iter().filter_map(|check| match &check.kind {
            CheckKind::Sh { script, .. } => Some(one_line(script)),
            CheckKind::Http(request) => Some(format!("http {} {}", request.method, request.url.as_str())),
            _ => None,
        }));
    };
    for step in &runbook.steps {
        part(&step.run, &step.check);
        part(&step.undo, &[]);
    }
    part(&runbook.completion.run, &runbook.completion.check);
    for procedure in &runbook.rollbacks {
        part(&procedure.run, &procedure.check);
    }
    all
}

/// What a person ticks or does, and what a metric is asked for.
fn items(runbook: &Runbook) -> Vec<String> {
    let ours = |check: &Check| matches!(check.kind, CheckKind::Person | CheckKind::Metric { .. });
    let list = runbook.checklist.iter().flat_map(|group| &group.items).map(|item| item.text.clone());
    let steps = runbook.steps.iter().flat_map(|step| &step.check);
    let back = runbook.rollbacks.iter().flat_map(|procedure| &procedure.check);
    let checks = steps.chain(&runbook.completion.check).chain(back).filter(|check| ours(check));
    list.chain(checks.map(|check| check.text.clone())).collect()
}

fn confirmed(runbook: &Runbook) -> Vec<String> {
    let back = runbook.rollbacks.iter().flat_map(|procedure| &procedure.run);
    let all = runbook.steps.iter().flat_map(|step| &step.run).chain(back);
    all.filter(|action| action.confirm == Confirm::Type).map(shown).collect()
}

fn triggers(runbook: &Runbook) -> Vec<String> {
    let fires = |trigger: &cutover::domain::runbook::Trigger| match &trigger.watch {
        Some(watch) => {
            let unit = runbook.metric(watch.metric.as_str()).expect("its metric").unit;
            let (when, hold_for) = watch.rule.fixed().expect("a page has no certainties");
            let bound = when.show(unit).replace(" %", "%").replace(" s", "s");
            format!("{} {bound} {hold_for}", watch.metric)
        }
        None => trigger.reason.clone(),
    };
    runbook.triggers.iter().map(fires).collect()
}

fn query(metric: &Metric) -> String {
    match &metric.query {
        Query::Promql { expr, .. } => expr.clone(),
        other => format!("{other:?}"),
    }
}

/// Each line that is not blank has a fate, and its words are in the runbook or were told.
fn nothing_is_lost(name: &str, source: &str, imported: &Imported) {
    let lost = lost(source, imported);
    assert!(lost.is_empty(), "{name}: {}\n{}", lost.join("\n"), imported.runbook);
}

/// The lines of which something is neither in the runbook nor told.
fn lost(source: &str, imported: &Imported) -> Vec<String> {
    let mut all = Vec::new();
    let known = kept::known(imported);
    // Words that hold others together, and what fences are marked as.
    let form = [
        "export",
        "bash",
        "console",
        "markdown",
        "text",
        "curl",
        "time",
        "minute",
        "minutes",
        "critical",
        "point",
        "validation",
        "durée",
        "étape",
        "exécuter",
        "execute",
        "exit",
        "owner",
        "date",
        "tags",
        "fss",
    ];
    for (at, line) in source.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if imported.fates.get(at).copied().flatten().is_none() {
            all.push(format!("{}: lost: {line}", at + 1));
        }
        let plain = line.replace("&amp;", "&").replace("\\\"", "\"");
        let lost: Vec<String> = words(&plain)
            .into_iter()
            .filter(|word| !known.contains(word) && !form.contains(&word.as_str()))
            .collect();
        let head =
            source.lines().nth(at + 1).is_some_and(|next| next.starts_with('|') && next.contains("--"));
        let hidden = line.trim_start().starts_with('<')
            || ["TOKEN=", "password=", "Bearer", "hooks.slack.com", ":~$ "]
                .iter()
                .any(|part| line.contains(part));
        if !(lost.is_empty() || head || hidden) {
            all.push(format!("{}: words lost: {lost:?} of {line}", at + 1));
        }
    }
    all
}

#[test]
fn every_page_gives_its_commands_and_items_and_no_others() {
    let entries = fs::read_dir(folder()).expect("the pages are there");
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            entry.expect("an entry").path().file_name().map(|name| name.to_string_lossy().into_owned())
        })
        .filter_map(|name| name.strip_suffix(".expect").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    let mut wrong: Vec<String> = Vec::new();
    for name in names {
        let source = file(&format!("{name}.md"));
        let (imported, runbook) = taken(&name, &source);
        let expected = file(&format!("{name}.expect"));
        let wanted = |kind: &str| -> Vec<String> {
            expected
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{kind}: ")))
                .map(str::to_owned)
                .collect()
        };
        let tasks = runbook.tasks.iter().map(|task| format!("{} {}", task.due, task.text)).collect();
        for (kind, found) in [
            ("command", commands(&runbook)),
            ("item", items(&runbook)),
            ("trigger", triggers(&runbook)),
            ("confirmed", confirmed(&runbook)),
            ("task", tasks),
        ] {
            if found != wanted(kind) {
                wrong.push(format!("{name}: {kind}\n  found  {found:#?}\n  wanted {:#?}", wanted(kind)));
            }
        }
        // What only some pages have an expectation of.
        let titles: Vec<String> = runbook.steps.iter().map(|step| step.title.clone()).collect();
        let queries: Vec<String> = runbook.metrics.iter().map(query).collect();
        for (kind, found) in [("step", titles), ("query", queries)] {
            if !wanted(kind).is_empty() && found != wanted(kind) {
                wrong.push(format!("{name}: {kind}\n  found  {found:#?}\n  wanted {:#?}", wanted(kind)));
            }
        }
        let links = |link: &String| runbook.links.iter().any(|known| known.url == *link);
        let everything = format!("{}{:?}", imported.runbook, imported.findings);
        wrong.extend(wanted("link").into_iter().filter(|link| !links(link)));
        wrong.extend(wanted("note").into_iter().filter(|note| !imported.runbook.contains(note)));
        wrong.extend(wanted("absent").into_iter().filter(|secret| everything.contains(secret)));
        nothing_is_lost(&name, &source, &imported);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_seed_is_whole() {
    let source = file("seed.md");
    let (imported, runbook) = taken("seed.md", &source);
    nothing_is_lost("seed.md", &source, &imported);
    let ours = config::load_str("runbook.toml", config::BUILTIN_RUNBOOK).runbook.expect("ours loads");
    assert_eq!(runbook.deployment.strategy, ours.deployment.strategy);
    assert_eq!(runbook.target, ours.target);
    // Each box of the page is an item, a check or a task, in its words.
    let mut known: BTreeSet<String> = items(&runbook).into_iter().collect();
    known.extend(runbook.tasks.iter().map(|task| task.text.clone()));
    let boxes: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("- [ ] ")).collect();
    assert_eq!(boxes.len(), 66);
    for item in &boxes {
        assert!(known.contains(*item), "{item}");
    }
    assert_eq!(runbook.checklist.iter().map(|group| group.items.len()).collect::<Vec<_>>(), [5, 4, 4, 4, 4]);
    assert_eq!(
        runbook.steps.len(),
        ours.steps.len(),
        "{:#?}",
        runbook.steps.iter().map(|step| &step.title).collect::<Vec<_>>()
    );
    for (step, our) in runbook.steps.iter().zip(&ours.steps) {
        assert_eq!(step.time, our.time, "{}", step.title);
        assert_eq!(step.when.is_some(), our.when.is_some(), "{}", step.title);
        assert_eq!(step.window, our.window, "{}", step.title);
    }
    let all = commands(&runbook);
    for command in [
        "echo \"Deployment started: $DEPLOY_TIME\" > deploy.log",
        "notify DEPLOYMENT: Starting $DEPLOY_VERSION (User: $PILOT)",
        "npm run db:backup -- --env production",
        "npm run prisma:migrate:deploy -- --schema=./prisma/schema.prisma",
        "npm run prisma:migrate:status",
        "npm run db:restore -- --backup-id=\"$BACKUP_ID\"",
        "docker build -t payment-system-backend:$DEPLOY_VERSION .",
        "docker push registry.example.com/payment-system-backend:$DEPLOY_VERSION",
        "set_image new registry.example.com/payment-system-backend:$DEPLOY_VERSION",
        "rollout new",
        "http GET https://${NEW_SLOT}.api.payment-system.com/health",
        "http GET https://${NEW_SLOT}.api.payment-system.com/health/db",
        "npm run test:smoke -- --target=https://${NEW_SLOT}.api.payment-system.com",
        "switch_traffic new",
        "http GET https://api.payment-system.com/version",
        "kubectl logs -l app=backend-${NEW_SLOT} --tail=100 --namespace=production",
        "scale previous 0",
        "echo \"Deployment completed: $(date -u +%Y-%m-%dT%H:%M:%SZ)\" >> deploy.log",
        "notify SUCCESS: Deployment $DEPLOY_VERSION completed successfully",
        "git tag -a $DEPLOY_VERSION -m \"Production deployment\"",
        "git push origin $DEPLOY_VERSION",
        "switch_traffic previous",
        "notify ROLLBACK ALERT: Reverted to $PREVIOUS_VERSION",
        "scale new 0",
        "npm run db:restore -- --backup-id=\"$PRE_DEPLOYMENT_BACKUP_ID\"",
        "npm run db:verify -- --expected-version=\"$PREVIOUS_VERSION\"",
        "scale previous 3",
    ] {
        assert!(all.iter().any(|known| known == command), "{command}\n{all:#?}");
    }
    assert_eq!(all.len(), 32, "{all:#?}");
    let fires = triggers(&runbook);
    assert_eq!(fires.len(), 4, "{fires:?}");
    assert_eq!(fires[0], "error_rate > 1% 5m");
    for metric in ours.metrics.iter().filter(|metric| metric.alert.is_some()) {
        let found = runbook.metrics.iter().find(|other| other.title.eq_ignore_ascii_case(&metric.title));
        let found = found.unwrap_or_else(|| panic!("{}", metric.title));
        assert_eq!(
            (found.unit, found.normal, found.alert),
            (metric.unit, metric.normal, metric.alert),
            "{}",
            metric.title
        );
    }
    let dues: Vec<String> = runbook.tasks.iter().map(|task| task.due.to_string()).collect();
    assert_eq!(dues, ["1h", "1h", "1h", "1h", "1d", "1d", "1d", "1d", "1w", "1w", "1w", "1w"]);
    let (incident, our) =
        (runbook.incident.as_ref().expect("incidents"), ours.incident.as_ref().expect("incidents"));
    let levels = |of: &cutover::domain::runbook::Incident| {
        of.levels
            .iter()
            .map(|level| (level.level.clone(), level.title.clone(), level.example.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(levels(incident), levels(our));
    assert_eq!(incident.steps.len(), our.steps.len());
    assert!(
        incident.template.contains("{impact}") && incident.template.contains("{status}"),
        "{}",
        incident.template
    );
    let handles = |of: &Runbook| {
        of.contacts.iter().map(|contact| (contact.slack.clone(), contact.phone.clone())).collect::<Vec<_>>()
    };
    assert_eq!(handles(&runbook), handles(&ours));
    for link in &ours.links {
        assert!(runbook.links.iter().any(|known| known.url == link.url), "{}", link.url);
    }
    let related: BTreeSet<&String> = runbook.document.related.values().collect();
    assert!(ours.document.related.values().all(|path| related.contains(path)), "{related:?}");
    assert_eq!(runbook.changes.len(), 1);
    assert_eq!(runbook.deployment.success_factors.len(), 4);
    let procedures: Vec<&str> = runbook.rollbacks.iter().map(|procedure| procedure.id.as_str()).collect();
    assert_eq!(procedures, ["quick", "database"]);
}

#[test]
fn a_mangled_page_gives_the_same_runbook() {
    let source = file("seed.md");
    // As an editor that takes UTF-8 for Windows-1252 saves it.
    let (mangled, _) = import::decode(&[source.as_bytes(), &[0xFF]].concat());
    let mangled = mangled.trim_end_matches('ÿ').to_owned();
    assert_ne!(mangled, source);
    let imported = import::import("seed.md", &mangled);
    assert_eq!(imported.runbook, import::import("seed.md", &source).runbook);
    assert!(imported.findings.iter().any(|finding| finding.fate == Fate::Repaired));
}

#[test]
fn a_huge_page_is_read_at_once() {
    let mut page = "# Huge\n\n## Steps\n\n".to_owned();
    let mut n = 0;
    while page.len() < 2 * 1024 * 1024 {
        n += 1;
        let part = format!(
            "### Part {n}\n\nSome words about part {n}, which nobody needs to read twice.\n\n- a point\n\n"
        );
        page.push_str(&part);
        if n % 100 == 0 {
            page.push_str("```sh\nmake part\n```\n\n");
        }
    }
    // What it computes, and not how busy the machine is.
    let spent = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a thread has a clock");
    let begun = spent();
    let imported = import::import("huge.md", &page);
    let took = spent() - begun;
    assert!(took < TimeSpec::seconds(20), "{took}");
    assert!(
        imported.fates.iter().zip(page.lines()).all(|(fate, line)| fate.is_some() || line.trim().is_empty())
    );
    let loaded = config::load_str("runbook.toml", &imported.runbook);
    assert!(loaded.runbook.is_some(), "{}", loaded.render(false).chars().take(3_000).collect::<String>());
}

#[test]
fn a_page_of_export_comes_back_as_the_same_runbook() {
    let dir = tempfile::tempdir().expect("a directory of our own");
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("runbook.toml");
    let [page, back] = ["page.md", "back.toml"].map(|name| dir.path().join(name));
    let cutover = |word: &str, from: &PathBuf, to: &PathBuf| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.env("CUTOVER_STATE_DIR", dir.path());
        command.arg(word).arg(from).arg("--output").arg(to).assert().success();
    };
    cutover("export", &ours, &page);
    cutover("import", &page, &back);
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("it was written");
        config::load_str("runbook.toml", &text).runbook.expect("it loads")
    };
    assert_eq!(read(&back), read(&ours));
}
