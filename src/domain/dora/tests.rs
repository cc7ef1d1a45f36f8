use super::*;
use crate::domain::{
    action::Confirm,
    event::{Envelope, RunEvent},
    fixture::{Flight, START, runbook},
    message::Command,
};

const DAY: Span = Span::from_mins(24 * 60);

fn past(day: u64, failed: bool) -> Past {
    Past {
        kind: Kind::Production,
        opened_at: START + Span::from_millis(DAY.as_millis() * day),
        over: true,
        deployed_at: Some(START + Span::from_millis(DAY.as_millis() * day)),
        failed,
        restored: failed.then(|| Span::from_mins(day)),
        lead: (day > 2).then(|| Span::from_mins(60 * day)),
    }
}

fn words(figures: &Figures) -> Vec<String> {
    figures.lines().map(|(name, words)| format!("{name}: {words}")).to_vec()
}

#[test]
fn four_figures_of_a_month() {
    let runs: Vec<Past> = (0..8).map(|n| past(n * 4, n == 2 || n == 5)).collect();
    let figures = figures(&runs, START + Span::from_millis(DAY.as_millis() * 28));
    assert_eq!(figures.len(), 1);
    assert_eq!(
        words(&figures[0]),
        [
            "Deployment frequency: 2 a week (8 deployments in 28 days)",
            "Lead time for changes: 16:00:00 (median of 7)",
            "Change failure rate: 25 % (2 of 8)",
            "Time to restore: 14:00 (median of 2)",
        ]
    );
}

#[test]
fn what_the_runs_do_not_tell_is_not_known() {
    let stopped = Past { deployed_at: None, lead: None, ..past(0, false) };
    let figures_of = |runs: &[Past]| figures(runs, START + DAY);
    assert_eq!(
        words(&figures_of(&[stopped])[0]),
        [
            "Deployment frequency: not known yet: 0 deployments in 1 day",
            "Lead time for changes: not known: no deployment has a variable COMMITTED_AT",
            "Change failure rate: not known: no deployments",
            "Time to restore: nothing had to be restored",
        ]
    );
    let broken = Past { restored: None, ..past(0, true) };
    assert_eq!(words(&figures_of(&[broken])[0])[3], "Time to restore: not known");
    let one_of_two = figures_of(&[broken, Past { restored: Some(Span::from_mins(3)), ..broken }]);
    assert_eq!(words(&one_of_two[0])[3], "Time to restore: 3:00 (median of 1); not known of 1");
    let under_way = Past { over: false, ..past(0, false) };
    assert_eq!(figures_of(&[under_way]), []);
}

#[test]
fn rehearsals_are_never_among_deployments() {
    let rehearsal = Past { kind: Kind::Rehearsal, ..past(1, true) };
    let both = figures(&[past(0, false), rehearsal], START + Span::from_millis(DAY.as_millis() * 30));
    assert_eq!(both.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::Production, Kind::Rehearsal]);
    assert_eq!((both[0].deployments, both[0].failed), (1, 0));
    assert_eq!((both[1].deployments, both[1].failed, both[1].per_week), (1, 1, None));
    assert!(words(&both[1])[0].contains("the clock is simulated"));
}

#[test]
fn a_run_that_is_rolled_back_tells_how_long_users_had_trouble() {
    let mut book = runbook();
    let committed = START - Span::from_mins(90);
    book.vars.push(crate::domain::runbook::Var {
        name: COMMITTED_AT.to_owned(),
        source: crate::domain::runbook::VarSource::Fixed { value: committed.to_string().as_str().into() },
        pattern: None,
        secret: false,
        sample: None,
    });
    let mut flight = Flight::in_window(book);
    let met = flight.run().met_at.unwrap();
    flight.fly(Span::from_secs(30));
    flight.error_rate = Ok(0.05);
    flight.fly(Span::from_secs(120));
    flight.command(Command::Rollback { reason: "errors".to_owned() });
    flight.settle();
    flight.fly(Span::from_secs(60));
    let run = flight.run();
    assert!(run.finished.is_some(), "{:?}", run.prompt(flight.now));
    // The same from the bare events.
    let at = |wanted: &dyn Fn(&RunEvent) -> bool| {
        let found = |envelope: &&Envelope| wanted(&envelope.event);
        flight.events.iter().rev().find(found).map(|envelope| envelope.at).unwrap()
    };
    let back = at(&|event| matches!(event, RunEvent::TrafficSwitched { .. }));
    let since = flight.events.iter().find_map(|envelope| match &envelope.event {
        RunEvent::TriggerBreaching { since, .. } => Some(*since),
        _ => None,
    });
    let past = Past::of(run);
    assert_eq!(past.restored, Some(back.since(since.unwrap())));
    assert!(past.failed && past.over && past.kind == Kind::Production);
    assert_eq!((run.met_at, run.left_at), (Some(met), Some(back)));
    assert_eq!(past.lead, Some(met.since(committed)));
}

#[test]
fn a_run_that_is_undone_before_users_met_it_is_no_deployment() {
    let mut book = runbook();
    book.steps[0].undo[0].confirm = Confirm::None;
    let mut flight = Flight::passed(book, 2);
    flight.command(Command::Rollback { reason: "wrong version".to_owned() });
    flight.settle();
    flight.fly(Span::from_secs(60));
    let past = Past::of(flight.run());
    assert_eq!((past.deployed_at, past.failed, past.restored), (None, false, None));
    assert!(past.over, "{:?} {:?}", flight.run().prompt(flight.now), flight.names());
}

#[test]
fn heads_tell_how_runs_ended_and_no_more() {
    let head = |state: &str, ended, day: u64| CopyHead {
        sequence: 1,
        at: START + Span::from_millis(DAY.as_millis() * day),
        state: state.to_owned(),
        ended,
    };
    let heads = [
        head("succeeded", true, 0),
        head("rolled-back", true, 3),
        head("rollback-failed", true, 4),
        head("failed", true, 5),
        head("held", false, 6),
    ];
    let all = Heads::of(&heads);
    assert_eq!((all.ended, all.succeeded, all.went_back, all.failed), (4, 1, 2, 1));
    assert_eq!(all.over, Span::from_millis(DAY.as_millis() * 5));
}
