//! Who follows a run line by line is told what a screen shows: by events, or beside them.

use super::fixture::Told;
use crate::{
    domain::{
        copy::CopyState,
        message::{JournalState, Update},
        time::Timestamp,
        workload::Connection,
    },
    tui::{alerts, untold::Untold},
};

/// What is wrong in these words begins and ends with an event, which is a line of its own.
const BY_EVENTS: [&str; 18] = [
    "BLIND",
    "BREACH",
    "CHANGED",
    "COUNTDOWN",
    "FAILED",
    "FENCED OFF",
    "LOCK UNCERTAIN",
    "NOBODY HAS CONTROL",
    "PAUSED",
    "ROLLBACK FAILED",
    "ROLLBACK STOPPED",
    "ROLLBACK WAITS",
    "TRIGGER FIRED",
    "UNKNOWN",
    "WAITS FOR YOU",
    "control asked for",
    "waits",
    "watch: evidence",
];

/// The sentences of a whole story, in order.
fn told_beside(log: &[(Timestamp, Update)]) -> (Untold, Vec<String>) {
    let (mut untold, mut told) = (Untold::default(), Vec::new());
    for (_, update) in log {
        untold.take(update.clone());
        told.extend(untold.news());
    }
    (untold, told)
}

type Trouble = (&'static str, fn(&mut Told));
type State = (&'static str, fn() -> Told);

fn troubles() -> [Trouble; 8] {
    [
        ("nothing", |_| {}),
        ("no copy", |told| {
            drop(told.tell(Update::Copy { state: CopyState::Off { why: "not allowed to create".into() } }));
        }),
        ("full disk", |told| {
            drop(told.tell(Update::Journal { state: JournalState::Full { why: "no space left".into() } }));
        }),
        ("lost journal", |told| {
            drop(
                told.tell(Update::Journal { state: JournalState::Lost { why: "input/output error".into() } }),
            );
        }),
        ("no cluster", |told| told.workload(|it| it.connection = Connection::Lost("no route".into()))),
        ("no rights", |told| {
            told.workload(|workload| {
                for slot in workload.slots.values_mut() {
                    (slot.ready, slot.available) = (0, 0);
                    for pod in &mut slot.pods {
                        (pod.ready, pod.bad, pod.status) = (false, true, "CrashLoopBackOff".into());
                    }
                }
            });
        }),
        ("errors", |told| told.sample("error_rate", Some("blue"), &[0.4])),
        ("errors of green", |told| told.sample("error_rate", Some("green"), &[0.4])),
    ]
}

#[test]
fn whatever_a_screen_shows_as_wrong_is_told_line_by_line() {
    let states: [State; 9] = [
        ("checklist", Told::in_checklist),
        ("first step", Told::at_first_step),
        ("deploying", Told::deploying),
        ("failed", Told::failed),
        ("window", || Told::in_window(400)),
        ("breach", Told::in_breach),
        ("countdown", Told::counting_down),
        ("rolling back", Told::rolling_back),
        ("rolled back", Told::rolled_back),
    ];
    let mut beside = 0;
    for (state, story) in states {
        for (trouble, does) in troubles() {
            let mut told = story();
            does(&mut told);
            let (_, lines) = told_beside(&told.log);
            for alert in alerts::all(&told.model) {
                if BY_EVENTS.contains(&alert.word.as_str()) {
                    continue;
                }
                beside += 1;
                // Numbers go on changing.
                let changes = |c: char| c == ':' || c.is_ascii_digit();
                let begins = alert.headline.split(changes).next().unwrap_or_default();
                let said = !begins.is_empty() && lines.iter().any(|line| line.contains(begins));
                assert!(said, "{state}, {trouble}: {alert:?} is not in {lines:#?}");
            }
        }
    }
    assert!(beside > 20, "{beside}");
}

#[test]
fn it_is_said_once_and_so_is_its_end() {
    let mut told = Told::in_window(400);
    let (mut untold, _) = told_beside(&told.log);
    let copy = |untold: &mut Untold, state: CopyState| {
        untold.take(Update::Copy { state });
        untold.news()
    };
    let why = "not allowed to create configmaps\u{1b}[2J";
    let first = copy(&mut untold, CopyState::Off { why: why.into() });
    assert!(
        matches!(&first[..], [line] if line.starts_with("watch: No copy of the journal in the cluster: not allowed"))
    );
    assert!(!first[0].contains('\u{1b}'), "{first:?}");
    assert_eq!(copy(&mut untold, CopyState::Off { why: why.into() }), Vec::<String>::new());
    let at = told.model.now;
    let over = copy(&mut untold, CopyState::UpTo { sequence: 9, bytes: 900, at });
    assert!(matches!(&over[..], [line] if line.starts_with("over: No copy of the journal")), "{over:?}");
    // What only changes its words is not said every second.
    let as_of = told.model.now;
    let lost = |told: &mut Told, untold: &mut Untold, seconds: u64| {
        let from = told.log.len();
        told.wait(seconds);
        told.workload(|it| (it.connection, it.as_of) = (Connection::Lost("no route to host".into()), as_of));
        let updates: Vec<Update> = told.log[from..].iter().map(|(_, update)| update.clone()).collect();
        for update in updates {
            untold.take(update);
        }
        untold.news().into_iter().filter(|line| line.contains("NOT REACHABLE")).count()
    };
    assert_eq!([1, 1, 20, 50].map(|seconds| lost(&mut told, &mut untold, seconds)), [1, 0, 0, 1]);
}

#[test]
fn what_a_check_waits_for_is_said_after_a_while() {
    let mut told = Told::at_first_step();
    told.passes("prepare", 21);
    told.passes("migrate", 168);
    told.started("deploy", 1);
    let checks = &told.run().declared("deploy").unwrap().check;
    let index = checks.iter().position(|check| !check.kind.is_person()).unwrap();
    let text = checks[index].text.clone();
    let of_it = |told: &Told| -> Vec<String> {
        told_beside(&told.log).1.into_iter().filter(|line| line.starts_with(&text)).collect()
    };
    told.watching(Some("deploy"), index, false, "1 of 3 ready");
    told.wait(2);
    assert_eq!(of_it(&told), [""; 0], "it may pass in a moment");
    told.wait(10);
    let said = format!("{text}: not yet: 1 of 3 ready");
    assert_eq!(of_it(&told), [said.as_str()]);
    told.watching(Some("deploy"), index, true, "3 of 3 ready");
    told.wait(100);
    assert_eq!(of_it(&told), [said.as_str()]);
}
