//! The runbooks that people copy: complete, short, and without a word from `cutover check`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read the files it compares has failed"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use cutover::{
    config::load_str,
    domain::{
        action::{ActionKind, SlotRef},
        director::{Director, NEW_REVISION, OLD_REVISION, RouteRef, RuleRef, Share},
        id::SlotName,
        runbook::{Runbook, Strategy, Then},
        time::Span,
    },
};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of ours can be read")
}

fn paths() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/examples");
    let entries = fs::read_dir(folder).expect("the examples are there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn examples() -> BTreeMap<String, Runbook> {
    let load = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let loaded = load_str(&name, &fs::read_to_string(&path).expect("an example can be read"));
        assert!(loaded.diagnostics.is_empty(), "{name}: {}", loaded.render(false));
        (name, loaded.runbook.expect("it loads"))
    };
    paths().into_iter().map(load).collect()
}

fn example(name: &str) -> Runbook {
    examples().remove(name).unwrap_or_else(|| panic!("no example `{name}`"))
}

#[test]
fn each_is_complete_short_and_without_a_fault() {
    let names: Vec<String> = examples().into_keys().collect();
    let all =
        ["blue-green-sip", "blue-green-small", "canary-replicas", "canary-route", "recreate", "rolling"];
    assert_eq!(names, all);
    for path in paths() {
        let lines = fs::read_to_string(&path).expect("an example can be read").lines().count();
        assert!(lines <= 120, "{}: {lines} lines", path.display());
    }
    for (name, runbook) in examples() {
        assert!(runbook.checklist.iter().flat_map(|group| &group.items).count() >= 2, "{name}");
        assert!(runbook.steps.iter().any(|step| step.window.is_some()), "{name} has a window");
        assert!(runbook.metrics.iter().all(|metric| metric.per_slot), "{name} tells old from new");
        let fires = |then| matches!(then, Then::Countdown(_) | Then::Rollback);
        assert!(
            runbook.triggers.iter().filter_map(|it| it.watch.as_ref()).any(|it| fires(it.then)),
            "{name}"
        );
        let quick = runbook.procedure("quick").unwrap_or_else(|| panic!("{name} has a way back"));
        assert!(!quick.ready.is_empty() && quick.within.is_some(), "{name}");
        assert!(!runbook.tasks.is_empty() && !runbook.contacts.is_empty(), "{name}");
        assert!(runbook.switch_step().is_some(), "{name} lets users meet the new version");
    }
}

#[test]
fn the_readme_shows_the_smallest_whole() {
    let shortest = paths()
        .into_iter()
        .map(|path| fs::read_to_string(path).expect("an example can be read"))
        .min_by_key(|text| text.lines().count())
        .expect("there are examples");
    let readme = file("README.md");
    let block = readme.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```\n"));
    assert_eq!(block.expect("the README has a runbook").0, shortest);
}

#[test]
fn one_deployment_has_its_two_revisions_for_slots() {
    for (name, strategy) in [("rolling", Strategy::Rolling), ("recreate", Strategy::Recreate)] {
        let runbook = example(name);
        assert_eq!(runbook.deployment.strategy, strategy);
        let target = runbook.target.as_ref().expect("a target");
        assert_eq!(target.director, Director::Rollout);
        let slots: Vec<_> =
            target.slots.iter().map(|(name, slot)| (name.as_str(), slot.deployment.as_str())).collect();
        assert_eq!(slots, [(NEW_REVISION, "shop"), (OLD_REVISION, "shop")]);
        assert!(target.slots.values().all(|slot| slot.selector.is_empty() && slot.service.is_none()));
        assert_eq!(target.presumed_live().map(SlotName::as_str), Some(OLD_REVISION));
        assert_eq!(runbook.switch_step(), Some(0), "users meet the new version as it is rolled out");
    }
}

#[test]
fn a_route_gives_each_slots_service_its_weight() {
    for (name, stages) in [("canary-route", [50, 500].as_slice()), ("blue-green-sip", &[50])] {
        let runbook = example(name);
        let target = runbook.target.as_ref().expect("a target");
        let route = RouteRef { name: "shop".to_owned(), rule: RuleRef::Number(0) };
        assert_eq!(target.director, Director::Route(route));
        assert_eq!(target.service, "shop", "the route's name stands for the Service that is not given");
        assert!(target.slots.values().all(|slot| slot.service.as_ref() == Some(&slot.deployment)));
        let shares: Vec<u32> = runbook
            .steps
            .iter()
            .flat_map(|step| &step.run)
            .filter_map(|action| match &action.kind {
                ActionKind::ShiftTraffic { to: SlotRef::New, share } => Some(share.thousandths()),
                _ => None,
            })
            .collect();
        assert_eq!(shares, stages, "{name}");
    }
    let target = example("canary-route").target.expect("a target");
    assert_eq!(target.presumed_live().map(SlotName::as_str), Some("stable"));
}

#[test]
fn a_promotion_is_an_image_a_wait_and_all_of_the_traffic() {
    for name in ["canary-route", "canary-replicas"] {
        let runbook = example(name);
        let image_of = |wanted: &SlotRef| {
            runbook.steps.iter().flat_map(|step| &step.run).find_map(|action| match &action.kind {
                ActionKind::SetImage { slot, image, .. } if slot == wanted => Some(image.clone()),
                _ => None,
            })
        };
        assert!(image_of(&SlotRef::New).is_some());
        assert_eq!(image_of(&SlotRef::New), image_of(&SlotRef::Previous), "{name}");
        let step = &runbook.steps[runbook.step_index("promote").expect("a promotion")];
        let names: Vec<&str> = step.run.iter().map(|action| action.name.as_str()).collect();
        assert_eq!(
            names[..3],
            [
                "Promote: the new image for the previous slot",
                "Promote: wait for its pods",
                "Promote: give it all of the traffic"
            ]
        );
        assert!(
            matches!(&step.run[1].kind, ActionKind::Rollout { slot: SlotRef::Previous, .. }),
            "{:?}",
            step.run[1]
        );
        assert_eq!(step.run[1].timeout, Span::from_mins(10));
        let all = ActionKind::ShiftTraffic { to: SlotRef::Previous, share: Share::ALL };
        assert_eq!(step.run[2].kind, all);
    }
}
