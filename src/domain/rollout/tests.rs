//! Every cause with its patience, what flickers, and what is nobody's fault.

use super::*;
use crate::domain::{time::Timestamp, workload::RolloutState};

const IMAGE: &str = "registry.example.com/backend:v9";

fn at(second: u64) -> Timestamp {
    Timestamp(1_795_000_000_000) + Span::from_secs(second)
}

fn pod(name: &str, stage: PodStage) -> NewPod {
    NewPod { uid: format!("uid-{name}"), name: name.to_owned(), restarts: 0, stage }
}

/// Three pods wanted, one of the newest template.
fn facts(pods: Vec<NewPod>) -> RolloutFacts {
    let updated = u32::try_from(pods.len()).unwrap();
    let ready = pods.iter().filter(|pod| pod.stage == PodStage::Ready).count();
    RolloutFacts {
        observed: true,
        desired: 3,
        replicas: updated,
        updated,
        available: u32::try_from(ready).unwrap(),
        pods,
        ..RolloutFacts::default()
    }
}

fn pull_failed(reason: &str, why: &str) -> PodStage {
    PodStage::PullFailed { image: IMAGE.to_owned(), reason: reason.to_owned(), why: why.to_owned() }
}

fn not_found() -> PodStage {
    pull_failed("ErrImagePull", "manifest unknown: not found")
}

fn crashed(restarts: u32) -> NewPod {
    let stage = PodStage::Crashed { end: "Error, exit code 3".to_owned() };
    NewPod { restarts, ..pod("a", stage) }
}

fn unschedulable(node_comes: bool) -> PodStage {
    PodStage::Unschedulable { why: "0/3 nodes are available: 3 Insufficient cpu.".to_owned(), node_comes }
}

fn running() -> PodStage {
    PodStage::Unready { why: String::new() }
}

/// The first second at which a watch that looks every second at the same facts gives up, and how.
fn gives_up(patience: Patience, facts: &RolloutFacts) -> Option<(u64, RolloutCause, String)> {
    let mut watch = RolloutWatch::new(patience);
    (0..=900).find_map(|second| match watch.look(facts, at(second)) {
        RolloutVerdict::Stuck { cause, text, .. } => Some((second, cause, text)),
        RolloutVerdict::Progressing { .. } | RolloutVerdict::Complete => None,
    })
}

fn text(verdict: RolloutVerdict) -> String {
    match verdict {
        RolloutVerdict::Progressing { text, .. } | RolloutVerdict::Stuck { text, .. } => text,
        RolloutVerdict::Complete => "complete".to_owned(),
    }
}

fn is_stuck(verdict: &RolloutVerdict) -> bool {
    matches!(verdict, RolloutVerdict::Stuck { .. })
}

/// Every cause as facts, with the words that must be told.
fn causes() -> Vec<(RolloutCause, RolloutFacts, Vec<&'static str>)> {
    let refused = |why: &str| RolloutFacts { refused: Some(why.to_owned()), ..facts(vec![]) };
    let config = |reason: &str, why: &str| {
        facts(vec![pod("a", PodStage::Misconfigured { reason: reason.to_owned(), why: why.to_owned() })])
    };
    let not_created =
        PodStage::NotCreated { reason: "CreateContainerError".to_owned(), why: "no such device".to_owned() };
    vec![
        (
            RolloutCause::Config,
            config("CreateContainerConfigError", "secret \"db\" not found"),
            vec!["secret \"db\" not found", "pod a"],
        ),
        (RolloutCause::Config, config("InvalidImageName", "couldn't parse"), vec!["InvalidImageName"]),
        (
            RolloutCause::ImagePull,
            facts(vec![pod("a", not_found())]),
            vec![IMAGE, "manifest unknown: not found", "pod a", "for 0:15"],
        ),
        (
            RolloutCause::CrashLoop,
            facts(vec![crashed(3)]),
            vec!["pod a keeps crashing", "3 restarts", "exit code 3"],
        ),
        (RolloutCause::Container, facts(vec![pod("a", not_created)]), vec!["no such device"]),
        (
            RolloutCause::Refused,
            refused("admission webhook \"policy.example.com\" denied the request: no owner label"),
            vec!["denied the request: no owner label"],
        ),
        (
            RolloutCause::Refused,
            refused(
                "pods \"backend-1-x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged",
            ),
            vec!["violates PodSecurity"],
        ),
        (
            RolloutCause::Quota,
            refused(
                "pods \"backend-1-x\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=6, limited: pods=6",
            ),
            vec!["limited: pods=6"],
        ),
        (
            RolloutCause::Uncreated,
            refused(
                "Internal error occurred: failed calling webhook \"policy.example.com\": connection refused",
            ),
            vec!["connection refused"],
        ),
        (
            RolloutCause::Unschedulable,
            facts(vec![pod("a", unschedulable(false))]),
            vec!["no node accepts pod a", "Insufficient cpu"],
        ),
        (
            RolloutCause::Paused,
            RolloutFacts { paused: true, ..facts(vec![]) },
            vec!["is paused", "kubectl rollout resume"],
        ),
        (
            RolloutCause::Deadline,
            RolloutFacts {
                deadline: Some("ReplicaSet \"backend-1\" has timed out progressing.".to_owned()),
                ..facts(vec![pod("a", running())])
            },
            vec!["progress deadline has passed", "timed out progressing", "1 is running but not ready"],
        ),
    ]
}

#[test]
fn every_cause_fails_the_rollout_once_its_patience_is_over_and_says_why() {
    for (cause, facts, words) in causes() {
        let (second, found, text) = gives_up(Patience::ByCause, &facts).unwrap();
        assert_eq!((second, found), (cause.patience().as_secs(), cause), "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
    }
}

#[test]
fn patience_of_the_runbook_counts_for_every_cause_and_endless_patience_never_ends() {
    for (cause, facts, _) in causes() {
        let given_up = |patience| gives_up(patience, &facts).map(|(second, ..)| second);
        assert_eq!(given_up(Patience::of(Some(Span::from_secs(97)))), Some(97), "{cause:?}");
        assert_eq!(given_up(Patience::Endless), None, "{cause:?}");
        assert_eq!(given_up(Patience::of(None)), Some(cause.patience().as_secs()));
    }
}

#[test]
fn a_status_of_an_older_spec_is_no_fact() {
    for (cause, facts, _) in causes() {
        let old = RolloutFacts { observed: false, ..facts.clone() };
        assert_eq!(gives_up(Patience::ByCause, &old), None, "{cause:?}");
        assert_eq!(old.state(), RolloutState::Unobserved);
        // And what was seen of it does not count for the newer one.
        let mut watch = RolloutWatch::default();
        let half = cause.patience().as_secs() / 2;
        (0..half).for_each(|second| assert!(!is_stuck(&watch.look(&facts, at(second)))));
        watch.look(&old, at(half));
        let late = cause.patience().as_secs() + half;
        let early = (half + 1..=late).find(|second| is_stuck(&watch.look(&facts, at(*second))));
        assert_eq!(early, None, "{cause:?}");
    }
}

#[test]
fn a_pull_that_succeeds_at_the_second_try_is_no_fault() {
    let mut watch = RolloutWatch::default();
    for second in 0..13 {
        assert!(!is_stuck(&watch.look(&facts(vec![pod("a", not_found())]), at(second))));
    }
    assert!(!is_stuck(&watch.look(&facts(vec![pod("a", running())]), at(13))));
    // It fails anew (it was restarted elsewhere, say): that is another fault, with a patience of its own.
    assert!(!is_stuck(&watch.look(&facts(vec![pod("a", not_found())]), at(14))));
    assert!(!is_stuck(&watch.look(&facts(vec![pod("a", not_found())]), at(20))));
    assert!(is_stuck(&watch.look(&facts(vec![pod("a", not_found())]), at(29))));
}

#[test]
fn a_fault_that_flickers_is_one_fault_and_keeps_its_most_telling_words() {
    let mut watch = RolloutWatch::default();
    let stages = [
        (0, not_found()),
        (4, pull_failed("ImagePullBackOff", "")),
        (8, PodStage::Pulling),
        (12, pull_failed("ImagePullBackOff", "")),
        (16, pull_failed("ImagePullBackOff", "")),
    ];
    let verdicts = stages.map(|(second, stage)| watch.look(&facts(vec![pod("a", stage)]), at(second)));
    assert!(verdicts[..4].iter().all(|verdict| !is_stuck(verdict)), "{verdicts:?}");
    let last = text(verdicts[4].clone());
    assert!(last.contains("manifest unknown: not found") && last.contains("0:16"), "{last}");

    // One that stayed away is over.
    let mut watch = RolloutWatch::default();
    for (second, stage) in
        [(0, not_found()), (2, PodStage::Pulling), (13, PodStage::Pulling), (16, not_found())]
    {
        assert!(!is_stuck(&watch.look(&facts(vec![pod("a", stage)]), at(second))), "{second}");
    }
}

#[test]
fn one_look_is_never_enough_where_patience_is_due() {
    let mut watch = RolloutWatch::default();
    let facts = facts(vec![pod("a", not_found())]);
    assert!(!is_stuck(&watch.look(&facts, at(0))));
    // The laptop slept: in between nobody has looked, yet two looks an hour apart saw the same.
    assert!(is_stuck(&watch.look(&facts, at(3600))));
    let late = RolloutFacts { deadline: Some("late".to_owned()), ..self::facts(vec![]) };
    assert!(
        !is_stuck(&RolloutWatch::default().look(&late, at(0))),
        "a condition that may be of the rollout before"
    );
}

#[test]
fn pods_that_fail_one_after_the_other_have_each_their_own_patience() {
    let mut watch = RolloutWatch::default();
    for second in 0..60 {
        let failing = format!("p{}", second / 10);
        assert!(!is_stuck(&watch.look(&facts(vec![pod(&failing, not_found())]), at(second))), "{second}");
    }
}

#[test]
fn a_crash_loop_counts_restarts_since_the_pod_was_last_ready() {
    for restarts in 0..RESTARTS {
        assert_eq!(gives_up(Patience::ByCause, &facts(vec![crashed(restarts)])), None, "{restarts}");
    }
    // It runs, for the fourth time: it may stay.
    let again = NewPod { restarts: 3, ..pod("a", running()) };
    assert_eq!(gives_up(Patience::ByCause, &facts(vec![again])), None);
    // A pod that was restarted now and then in weeks, and was ready in between, does not crash again and again.
    let mut watch = RolloutWatch::default();
    let old = NewPod { restarts: 7, ..pod("a", PodStage::Ready) };
    watch.look(&facts(vec![old]), at(0));
    for (second, restarts) in [(1, 7), (2, 8), (20, 9)] {
        assert!(!is_stuck(&watch.look(&facts(vec![crashed(restarts)]), at(second))), "{restarts}");
    }
    assert!(is_stuck(&watch.look(&facts(vec![crashed(10)]), at(60))));
}

#[test]
fn a_node_that_is_being_added_is_waited_for() {
    let (second, cause, _) =
        gives_up(Patience::ByCause, &facts(vec![pod("a", unschedulable(true))])).unwrap();
    assert_eq!((second, cause), (300, RolloutCause::Unschedulable));
}

#[test]
fn while_old_pods_end_neither_room_nor_quota_is_missing() {
    for facts in [
        facts(vec![pod("a", unschedulable(false))]),
        RolloutFacts { refused: Some("exceeded quota: pods".to_owned()), ..facts(vec![]) },
    ] {
        let ending = RolloutFacts { leaving: 1, ..facts.clone() };
        assert_eq!(gives_up(Patience::ByCause, &ending), None);
        assert!(gives_up(Patience::ByCause, &facts).is_some());
    }
    let denied = RolloutFacts {
        refused: Some("admission webhook \"x\" denied the request".to_owned()),
        leaving: 1,
        ..facts(vec![])
    };
    assert!(gives_up(Patience::ByCause, &denied).is_some(), "a rule stays a rule");
}

#[test]
fn what_only_takes_time_never_fails() {
    for stage in [
        PodStage::Queued,
        PodStage::Pulling,
        PodStage::Starting { why: "secret \"tls\" not found".to_owned() },
        PodStage::Unready { why: "readiness probe failed: 503".to_owned() },
        PodStage::Ended { why: "Evicted".to_owned() },
    ] {
        assert_eq!(gives_up(Patience::ByCause, &facts(vec![pod("a", stage.clone())])), None, "{stage:?}");
    }
}

#[test]
fn the_most_telling_cause_is_told_with_the_number_of_its_pods() {
    let mut both = facts(["a", "b", "c"].map(|name| pod(name, not_found())).into());
    both.deadline = Some("late".to_owned());
    let mut watch = RolloutWatch::new(Patience::of(Some(Span::from_secs(20))));
    watch.look(&both, at(0));
    let verdict = watch.look(&both, at(20));
    let RolloutVerdict::Stuck { cause, pod, text } = verdict else { panic!("{verdict:?}") };
    assert_eq!((cause, pod.as_deref()), (RolloutCause::ImagePull, Some("a")));
    assert!(text.contains("pod a and 2 more"), "{text}");
}

#[test]
fn a_kubelet_that_repeats_the_image_is_cut_short() {
    let why = format!(
        "failed to pull and unpack image \"{IMAGE}\": failed to resolve reference \"{IMAGE}\": {IMAGE}: not found"
    );
    let facts = facts(vec![pod("a", pull_failed("ErrImagePull", &why))]);
    let (_, _, text) = gives_up(Patience::ByCause, &facts).unwrap();
    assert_eq!(
        text,
        format!(
            "the image cannot be pulled: {IMAGE}: ErrImagePull: failed to pull and unpack image \"…\": failed to resolve \
             reference \"…\": …: not found (pod a, for 0:15)"
        )
    );
    let RolloutState::Progressing(words) = facts.state() else { panic!("not progressing") };
    assert_eq!(words.matches(IMAGE).count(), 1, "{words}");
}

#[test]
fn long_words_are_told_with_their_beginning_and_their_end() {
    let long = format!("rpc error: {}: not found", "no ".repeat(200));
    let (_, _, text) =
        gives_up(Patience::ByCause, &facts(vec![pod("a", pull_failed("ErrImagePull", &long))])).unwrap();
    assert!(text.contains("rpc error: ") && text.contains(": not found (pod a"), "{text}");
    assert!(text.chars().count() < 400, "{text}");
}

#[test]
fn a_complete_rollout_is_complete_whatever_its_pods_say() {
    let mut done = facts(["a", "b", "c"].map(|name| pod(name, PodStage::Ready)).into());
    done.paused = true;
    done.leaving = 2;
    assert_eq!(RolloutWatch::default().look(&done, at(0)), RolloutVerdict::Complete);
    assert_eq!(done.state(), RolloutState::Complete);
    let none = RolloutFacts { observed: true, ..RolloutFacts::default() };
    assert_eq!(none.state(), RolloutState::Complete, "no pods are wanted, and there are none");
}

#[test]
fn progress_says_what_the_others_wait_for() {
    let mut on_its_way = facts(vec![
        pod("a", PodStage::Pulling),
        pod("b", PodStage::Pulling),
        pod("c", PodStage::Starting { why: String::new() }),
        pod("d", PodStage::Unready { why: "readiness probe failed: HTTP 503".to_owned() }),
        pod("e", PodStage::Ready),
    ]);
    (on_its_way.desired, on_its_way.leaving) = (6, 2);
    let mut watch = RolloutWatch::default();
    let gist = "5 of 6 pods have the new template; 2 wait for their image; 1 is starting; \
                1 is running but not ready: readiness probe failed: HTTP 503; 2 old pods are terminating";
    let first = watch.look(&on_its_way, at(0));
    assert_eq!(first, RolloutVerdict::Progressing { text: gist.to_owned(), gist: gist.to_owned() });
    on_its_way.pods[1].stage = not_found();
    on_its_way.pods[2].stage = PodStage::Starting { why: String::new() };
    let RolloutVerdict::Progressing { text, gist: timeless } = watch.look(&on_its_way, at(12)) else {
        panic!("not under way")
    };
    assert!(
        text.contains("2 wait for their image (one for 0:12): ErrImagePull: manifest unknown: not found"),
        "{text}"
    );
    assert!(text.contains("1 is starting (0:12)") && !timeless.contains("0:12"), "{text}\n{timeless}");
}

#[test]
fn each_stage_of_a_rollout_has_its_words() {
    let numbers = |replicas: u32, updated: u32, available: u32| RolloutFacts {
        observed: true,
        desired: 3,
        replicas,
        updated,
        available,
        ..RolloutFacts::default()
    };
    for (facts, words) in [
        (numbers(4, 1, 3), "1 of 3 pods have the new template"),
        (numbers(4, 3, 3), "1 old pod is terminating"),
        (numbers(5, 3, 3), "2 old pods are terminating"),
        (numbers(3, 3, 2), "2 of 3 new pods are available"),
    ] {
        assert_eq!(facts.state(), RolloutState::Progressing(words.to_owned()));
    }
    assert_eq!(numbers(3, 3, 3).state(), RolloutState::Complete);
    let late = RolloutFacts { deadline: Some("late".to_owned()), ..numbers(0, 0, 0) };
    assert_eq!(
        late.state(),
        RolloutState::DeadlineExceeded("late; 0 of 3 pods have the new template".to_owned())
    );
}
