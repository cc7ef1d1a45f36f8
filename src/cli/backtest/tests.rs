use super::*;
use crate::domain::{
    backtest::{LeftOut, SCHEMA_VERSION, judge::Harmless},
    time::Timestamp,
};

fn looked(triggers: Vec<Judged>, remarks: Vec<String>) -> Backtest {
    let (from, to) = (Timestamp(1_800_000_000_000), Timestamp(1_800_086_400_000));
    Backtest {
        schema_version: SCHEMA_VERSION,
        module: "shop".into(),
        from,
        to,
        window: Span::from_mins(15),
        triggers,
        runs: 0,
        left_out: Vec::new(),
        remarks,
    }
}

fn judged() -> Judged {
    let run = |would: Option<u64>, did: Option<u64>, back: Option<u64>| RunJudged {
        run_id: "20261120-101500-a1".into(),
        met_at: Timestamp(1_800_003_600_000),
        rolled_back: back.map(Span::from_secs),
        by: back.map(|_| By::Person),
        measured: true,
        would_fire: would.map(Span::from_secs),
        did_fire: did.map(Span::from_secs),
    };
    Judged {
        trigger: "error rate > 1 % for 5m".into(),
        metric: "error_rate".into(),
        by_evidence: false,
        harmless: Harmless {
            windows: 95,
            fired: (0..7).map(|hour| Timestamp(1_800_000_000_000 + hour * 3_600_000)).collect(),
            unmeasured: 1,
            ..Harmless::default()
        },
        runs: vec![run(Some(305), None, Some(431)), run(None, Some(300), None)],
        advice: Advice::Instead("> 2 % for 5m".into()),
        proof: Some(Proof {
            quiet: 95,
            caught: 1,
            slowest: Some(Span::from_secs(305)),
            out_of_reach: vec!["20261121-090000-b2".into()],
            room: Some(["> 1.4 %".into(), "> 2.9 %".into()]),
        }),
    }
}

#[test]
fn a_trigger_is_told_in_a_few_lines() {
    let lines = lines(&looked(vec![judged()], vec!["error_rate: measured every 5s live".into()]));
    assert_eq!(
        lines[0],
        "2027-01-15T08:00:00.000Z to 2027-01-16T08:00:00.000Z, in windows of 15:00; 0 past runs"
    );
    assert_eq!(lines[2], "error rate > 1 % for 5m (error_rate, fixed rule)");
    assert_eq!(lines[3], "  without a release: would have fired in 7 of 95 windows");
    assert!(lines[4].ends_with("T12:00:00.000Z, and 2 more: was anything wrong then?"), "{}", lines[4]);
    assert_eq!(lines[5], "    if so, leave it out: --except FROM..TO");
    assert_eq!(lines[6], "    left out, as too little was measured: 1 window");
    let run = "  run 20261120-101500-a1: ";
    assert_eq!(
        lines[7],
        format!("{run}would have fired after 5:05; did not fire; rolled back by a person after 7:11")
    );
    assert_eq!(lines[8], format!("{run}would not have fired; fired after 5:00; not rolled back"));
    assert_eq!(lines[9], "  better: > 2 % for 5m: quiet in 95 windows, and catches 1 bad run within 5:05");
    assert_eq!(lines[10], "    the same is true of anything from > 1.4 % to > 2.9 %");
    let beyond =
        "    rolled back too soon, or with too little measured, for any bound: run 20261121-090000-b2";
    assert_eq!(lines[11], beyond);
    assert_eq!(lines[13..], ["What the past cannot tell:", "  error_rate: measured every 5s live"]);
}

#[test]
fn nothing_is_said_to_be_proved_that_the_past_does_not_prove() {
    let kept = |quiet, caught| {
        let slowest = (caught > 0).then_some(Span::from_secs(30));
        let proof = Some(Proof { quiet, caught, slowest, ..Proof::default() });
        advised(&Judged { advice: Advice::Keep, proof, ..judged() }).remove(0)
    };
    assert_eq!(kept(8, 2), "  keep it: quiet in 8 windows, and catches 2 bad runs within 0:30");
    assert_eq!(
        kept(8, 0),
        "  keep it: quiet in 8 windows; no run that was rolled back could tell what it catches"
    );
    assert!(kept(0, 1).starts_with("  keep it: nothing is known of times without a release"));
}

#[test]
fn times_that_are_left_out_are_told_and_read_as_they_are_written() {
    let window: Window = "2026-11-20T13:00Z..2026-11-20T15:30:00+01:00".parse().unwrap();
    assert_eq!(window.to.since(window.from), Span::from_mins(90));
    for wrong in ["", "..", "2026-11-20", "2026-11-20T13:00Z..", "2026-11-20T13:00Z..2026-11-20T13:00Z"] {
        assert!(wrong.parse::<Window>().is_err(), "{wrong}");
    }
    let left_out = vec![LeftOut { window, why: "incident of run x: pool".into() }];
    let lines = lines(&Backtest { left_out, ..looked(Vec::new(), Vec::new()) });
    assert_eq!(
        lines[1],
        "left out: 2026-11-20T13:00:00.000Z to 2026-11-20T14:30:00.000Z (incident of run x: pool)"
    );
}

#[test]
fn the_document_has_all_of_it() {
    let looked = looked(vec![judged()], Vec::new());
    let document = serde_json::to_value(&looked).unwrap();
    assert_eq!(serde_json::from_value::<Backtest>(document.clone()).unwrap(), looked);
    let trigger = &document["triggers"][0];
    assert_eq!((&document["schema_version"], &document["window"]), (&1.into(), &900_000.into()));
    assert_eq!(trigger["harmless"]["fired"].as_array().map(Vec::len), Some(7));
    assert_eq!(
        (&trigger["runs"][0]["would_fire"], &trigger["runs"][0]["by"]),
        (&305_000.into(), &"person".into())
    );
    assert_eq!(
        (&trigger["advice"]["advice"], &trigger["advice"]["text"]),
        (&"instead".into(), &"> 2 % for 5m".into())
    );
}
