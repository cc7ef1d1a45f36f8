//! Calls that fail in the middle of a rollback: it goes on until it is done, and stops only where trying is no use.

use std::time::{Duration, Instant};

use cutover::domain::event::RunEvent;

use super::{
    helm::Helm,
    proxy::Trouble,
    stand::{GREEN, Stand, eventually, within},
};

/// The rollback's PATCH of the Service.
const SERVICE: [&str; 1] = ["/services/backend-service"];

fn rolls_back(stand: &Stand, mut helm: Helm) -> String {
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
    story
}

#[test]
fn a_rollback_goes_on_after_an_answer_that_says_come_again() {
    std::thread::scope(|scope| {
        let troubles = [
            (Trouble::Answer(503), 1),
            (Trouble::Answer(503), 4),
            (Trouble::Answer(429), 2),
            (Trouble::Answer(500), 1),
            (Trouble::Cut, 1),
            (Trouble::AnswerLost, 1),
        ];
        for (trouble, times) in troubles {
            scope.spawn(move || {
                let stand = Stand::new();
                let helm = stand.switched();
                stand.proxy.rule("PATCH", &SERVICE, times, trouble);
                let before = stand.proxy.taken("PATCH", SERVICE[0]).len();
                helm.roll_back();
                let story = rolls_back(&stand, helm);
                let tried = stand.proxy.taken("PATCH", SERVICE[0]).len() - before;
                assert!(tried >= times as usize, "{trouble:?} was not met: {story}");
            });
        }
    });
}

#[test]
fn a_rollback_goes_on_after_connections_were_refused() {
    let stand = Stand::new();
    let helm = stand.switched();
    stand.proxy.refuse(Duration::from_secs(3));
    helm.roll_back();
    let story = rolls_back(&stand, helm);
    assert!(within(&story), "{story}");
}

fn its_switch_is_silent() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    stand.proxy.rule("PATCH", &SERVICE, 1, Trouble::Late(Duration::from_secs(20)));
    helm.roll_back();
    let sent = Instant::now();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    // The late one changes nothing when it comes.
    helm.wait(Duration::from_millis(20_500).saturating_sub(sent.elapsed()));
    rolls_back(&stand, helm);
}

fn the_whole_api_is_silent() {
    let stand = Stand::new();
    let helm = stand.switched();
    stand.proxy.stall(Duration::from_secs(20));
    helm.roll_back();
    let story = rolls_back(&stand, helm);
    assert!(within(&story), "{story}");
}

#[test]
fn a_rollback_that_is_forbidden_stops_at_once_and_says_what_to_run() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    stand.proxy.rule("PATCH", &SERVICE, u32::MAX, Trouble::Answer(403));
    helm.roll_back();
    let begun = Instant::now();
    helm.wait_until("stop", Helm::is_over);
    let story = helm.story();
    assert!(begun.elapsed() < Duration::from_secs(5), "{story}");
    assert!(helm.has(|event| matches!(event, RunEvent::RollbackStopped { .. })), "{story}");
    assert_eq!(stand.live(), "green", "{story}");
    assert_eq!(stand.serving(GREEN), 2, "{story}");
}

#[test]
fn a_rollback_looks_however_slow_the_api_is() {
    let stand = Stand::new();
    let helm = stand.switched();
    // Each read takes longer than a look may be old.
    stand.proxy.rule(
        "GET",
        &["/namespaces/production/"],
        u32::MAX,
        Trouble::LateAnswer(Duration::from_millis(900)),
    );
    helm.roll_back();
    rolls_back(&stand, helm);
}

/// No read of the target is answered.
fn blind(stand: &Stand) {
    stand.proxy.rule("GET", &["/namespaces/production/"], u32::MAX, Trouble::Answer(503));
}

fn blind_to_pods_that_were_ready() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    helm.wait(Duration::from_secs(1));
    blind(&stand);
    let begun = Instant::now();
    helm.roll_back();
    helm.wait_until("the switch", |helm| helm.began("back"));
    let story = helm.story();
    assert!(begun.elapsed() >= Duration::from_secs(9), "it tries to look first\n{story}");
    assert!(helm.has(|event| matches!(event, RunEvent::RollbackBlind { .. })), "{story}");
    eventually("the service is switched", || stand.live() == "blue");
    stand.proxy.clear();
    rolls_back(&stand, helm);
}

fn blind_to_a_slot_that_was_emptied() {
    let stand = Stand::new();
    let mut helm = stand.retired();
    blind(&stand);
    helm.roll_back();
    helm.wait(Duration::from_secs(14));
    assert_eq!(
        (stand.live().as_str(), stand.serving(GREEN)),
        ("green", 2),
        "{}\n{}",
        stand.told(),
        helm.story()
    );
    let offers =
        |event: &RunEvent| matches!(event, RunEvent::ActionWaits { why, .. } if why.contains(":blind"));
    assert!(helm.has(offers), "{}", helm.story());
    stand.proxy.clear();
    rolls_back(&stand, helm);
}

// Most of these is waiting: they wait side by side.

#[test]
fn a_rollback_goes_on_after_20_seconds_of_silence() {
    std::thread::scope(|scope| {
        scope.spawn(its_switch_is_silent);
        scope.spawn(the_whole_api_is_silent);
    });
}

#[test]
fn a_rollback_that_cannot_look_goes_only_where_pods_were_ready_a_moment_ago() {
    std::thread::scope(|scope| {
        scope.spawn(blind_to_pods_that_were_ready);
        scope.spawn(blind_to_a_slot_that_was_emptied);
    });
}
