//! Rolling back after, or while, the previous slot is taken away.

use std::time::{Duration, Instant};

use cutover::domain::event::{ActionRef, Place, RunEvent};

use super::{
    helm::Helm,
    proxy::Trouble,
    stand::{BLUE, GREEN, Stand, eventually},
};

/// The retire step's PATCH.
const RETIRE: [&str; 2] = ["/deployments/backend-blue", "fieldManager=cutover"];

/// Rolls back and brings the run to its end, which must be what it says.
fn rolls_back(stand: &Stand, mut helm: Helm) {
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((stand.live().as_str(), stand.serving(BLUE)), ("blue", 2), "{}\n{story}", stand.told());
}

#[test]
fn a_rollback_right_after_the_retirement_starts_the_pods_first() {
    std::thread::scope(|scope| {
        for pause in [0, 20, 50, 100] {
            scope.spawn(move || {
                let stand = Stand::new();
                let mut helm = Helm::open(&stand.ground);
                let retired = |helm: &Helm| {
                    helm.run
                        .as_ref()
                        .is_some_and(|run| run.step("retire").is_some_and(|step| step.work.acted()))
                };
                helm.fly_until("the scale-down", retired);
                std::thread::sleep(Duration::from_millis(pause));
                helm.roll_back();
                rolls_back(&stand, helm);
            });
        }
    });
}

#[test]
fn a_rollback_after_the_retirement_starts_the_pods_first_while_the_watch_is_behind() {
    let stand = Stand::new();
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    // Watches that run already are not slowed down: new ones are.
    stand.lag(Duration::from_secs(8));
    stand.ground.cluster.close_watches();
    helm.fly_until("the scale-down", |helm| helm.passed("retire"));
    helm.roll_back();
    rolls_back(&stand, helm);
}

fn late_by_3_seconds() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    stand.proxy.rule("PATCH", &RETIRE, 1, Trouble::Late(Duration::from_secs(3)));
    helm.fly_until("the scale-down", |helm| helm.began("retire"));
    helm.roll_back();
    rolls_back(&stand, helm);
}

fn late_by_15_seconds() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    stand.proxy.rule("PATCH", &RETIRE, 1, Trouble::Late(Duration::from_secs(15)));
    helm.fly_until("the scale-down", |helm| helm.began("retire"));
    let sent = Instant::now();
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    helm.wait(Duration::from_millis(15_500).saturating_sub(sent.elapsed()));
    rolls_back(&stand, helm);
}

fn killed_after_it() {
    let stand = Stand::new();
    let helm = stand.retired();
    helm.kill();
    stand.lag(Duration::from_secs(8));
    let mut command = stand.ground.command(&["rollback", "--reason", "it looks odd"]);
    let runs = stand.ground.stage.runs();
    let run = runs[0].file_name().unwrap().to_string_lossy().into_owned();
    let output = command.arg(&run).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert_eq!((stand.live().as_str(), stand.serving(BLUE)), ("blue", 2), "{}\n{said}", stand.told());
}

fn killed_while_it_is_under_way() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    stand.proxy.rule("PATCH", &RETIRE, 1, Trouble::Late(Duration::from_secs(6)));
    helm.fly_until("the scale-down", |helm| helm.began("retire"));
    let sent = Instant::now();
    eventually("the scale-down is sent", || {
        stand.proxy.taken("PATCH", RETIRE[0]).iter().any(|one| one.body.contains("replicas"))
    });
    helm.kill();
    let mut helm = Helm::resume(&stand.ground);
    helm.wait_until("the run", |helm| helm.run.is_some());
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    helm.wait(Duration::from_millis(6_500).saturating_sub(sent.elapsed()));
    rolls_back(&stand, helm);
}

fn killed_in_its_rollback() {
    let stand = Stand::new();
    let mut helm = stand.retired();
    // The pods are started; the switch never comes to it.
    stand.ground.cluster.limit_pods(Some(0));
    helm.roll_back();
    let woken = |helm: &Helm| {
        helm.has(|event| {
            matches!(
                event,
                RunEvent::ActionFinished { at: ActionRef { place: Place::Rollback { .. }, .. }, .. }
            )
        })
    };
    helm.wait_until("the pods' start", woken);
    helm.kill();
    stand.lag(Duration::from_secs(8));
    let mut helm = Helm::resume(&stand.ground);
    helm.wait_until("the run", |helm| helm.run.is_some());
    helm.wait(Duration::from_secs(2));
    assert_eq!(
        (stand.live().as_str(), stand.serving(GREEN)),
        ("green", 2),
        "{}\n{}",
        stand.told(),
        helm.story()
    );
    stand.ground.cluster.limit_pods(None);
    rolls_back(&stand, helm);
}

// Most of these is waiting: they wait side by side.

#[test]
fn a_retirement_that_is_answered_late_or_arrives_after_its_deadline_takes_no_pods_from_a_rollback() {
    std::thread::scope(|scope| {
        scope.spawn(late_by_3_seconds);
        scope.spawn(late_by_15_seconds);
    });
}

#[test]
fn an_engine_killed_around_the_retirement_leaves_a_rollback_that_starts_the_pods_first() {
    std::thread::scope(|scope| {
        scope.spawn(killed_after_it);
        scope.spawn(killed_while_it_is_under_way);
        scope.spawn(killed_in_its_rollback);
    });
}
