//! A run that is over, however it ended, never refuses the next one on its target; and one whose rollback has stopped can be
//! tried again, or given up, from a shell.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::time::Duration;

use cutover::domain::{event::Outcome, message::Command as Order, prompt::Prompt};

#[path = "support/ground.rs"]
mod ground;
#[path = "support/helm.rs"]
mod helm;
#[path = "support/pty.rs"]
mod pty;

use ground::Ground;
use helm::Helm;

/// The deployment of the guard's tests, without the step that another person approves.
fn runbook() -> String {
    include_str!("support/guard.toml").replace("approvals = 1\n", "")
}

fn outcome(helm: &Helm) -> Outcome {
    helm.run.as_ref().unwrap().finished.as_ref().unwrap().0
}

/// A run on this ground that has ended so. Its engine stays for whoever may want to look.
fn ended(ground: &Ground, wanted: Outcome) -> Helm {
    let mut helm = Helm::open(ground);
    match wanted {
        Outcome::Succeeded => {}
        Outcome::Failed | Outcome::Held => {
            helm.fly_until("deploy", |helm| helm.passed("deploy"));
            let reason = "no more today".to_owned();
            helm.order(&match wanted {
                Outcome::Held => Order::Suspend { reason },
                _ => Order::Abort { reason },
            });
        }
        Outcome::RolledBack => {
            helm.fly_until("switch", |helm| helm.passed("switch"));
            helm.roll_back();
        }
        Outcome::RollbackFailed => {
            helm = stopped(ground, helm);
            helm.order(&Order::AbandonRollback { reason: "by hand".into() });
        }
    }
    let over = |helm: &Helm| helm.run.as_ref().is_some_and(|run| run.finished.is_some());
    match wanted {
        Outcome::Succeeded => helm.fly_until("the end", over),
        _ => helm.wait_until("the end", over),
    }
    assert_eq!(outcome(&helm), wanted, "{}", helm.story());
    helm
}

/// A run whose rollback has stopped, since the switch back is forbidden.
fn stopped(ground: &Ground, mut helm: Helm) -> Helm {
    helm.fly_until("switch", |helm| helm.passed("switch"));
    ground.cluster.deny("patch", "services");
    helm.roll_back();
    helm.wait_until("the stop", |helm| {
        helm.run.as_ref().is_some_and(|run| matches!(run.prompt(helm.now), Prompt::RollbackStopped { .. }))
    });
    helm
}

#[test]
fn whatever_has_ended_makes_way_for_the_next_run() {
    for wanted in
        [Outcome::Succeeded, Outcome::Failed, Outcome::RolledBack, Outcome::RollbackFailed, Outcome::Held]
    {
        let ground = Ground::new(&runbook());
        let first = ended(&ground, wanted);
        ground.cluster.allow("patch", "services");
        let mut next = Helm::open(&ground);
        next.wait_until("the next run", |helm| helm.run.is_some());
        assert!(next.run.as_ref().unwrap().lock.is_some(), "{wanted:?}: without the target's lock");
        drop(first);
    }
}

#[test]
fn an_engine_that_ends_slowly_and_takes_no_more_orders_is_waited_for() {
    let ground = Ground::new(&runbook());
    let first = ended(&ground, Outcome::Held);
    let signal = |signal: &str| {
        let sent = std::process::Command::new("kill").args([signal, &first.engine.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    std::fs::remove_file(ground.stage.runs().pop().unwrap().join(cutover::link::CONTROL)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(2));
            signal("-CONT");
        });
        let mut next = Helm::open(&ground);
        next.wait_until("the next run", |helm| helm.run.is_some());
    });
}

#[test]
fn a_lock_that_the_engine_of_an_ended_run_left_is_taken_over() {
    let ground = Ground::new(&runbook());
    let first = ended(&ground, Outcome::RolledBack);
    first.kill();
    let output = ground.command(&["run", "--plain"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "a person is asked for the checklist, as always: {said}");
    assert!(
        said.contains("taking over the lock of run") && said.contains("that run is over (rolled back)"),
        "{said}"
    );
}

#[test]
fn a_rollback_that_has_stopped_is_tried_again_from_a_shell() {
    let ground = Ground::new(&runbook());
    let opened = Helm::open(&ground);
    let helm = stopped(&ground, opened);
    let id = helm.run.as_ref().unwrap().opened.run_id.0.clone();
    let shell = |args: &[&str]| {
        let output = ground.command(args).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (exit, said) = shell(&["rollback", &id, "--reason", "again"]);
    assert_eq!(exit, 2, "{said}");
    assert!(
        said.contains("the rollback has stopped") && said.contains("--retry") && said.contains("--give-up"),
        "{said}"
    );
    let (exit, said) = shell(&["rollback", &id, "--retry"]);
    assert_eq!(exit, 6, "it is still forbidden: {said}");
    assert!(
        said.contains("not allowed to patch service/backend-service") && said.contains("--retry"),
        "{said}"
    );
    ground.cluster.allow("patch", "services");
    let (exit, said) = shell(&["rollback", &id, "--retry"]);
    assert_eq!(exit, 5, "{said}");
}

#[test]
fn a_rollback_that_has_stopped_is_given_up_from_a_shell_also_without_an_engine() {
    let ground = Ground::new(&runbook());
    let opened = Helm::open(&ground);
    let helm = stopped(&ground, opened);
    let id = helm.run.as_ref().unwrap().opened.run_id.0.clone();
    helm.kill();
    let mut command = ground.command(&["rollback", &id, "--give-up"]);
    let without = command.output().unwrap();
    assert_eq!(without.status.code(), Some(2), "a reason is needed");
    let output =
        ground.command(&["rollback", &id, "--give-up", "--reason", "mended by hand"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
}
