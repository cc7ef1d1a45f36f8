use super::*;
use crate::domain::{
    backtest::{Window, judge::Harmless},
    time::Timestamp,
};

fn looked(judged: Vec<Judged>, remarks: Vec<String>) -> Looked {
    let whole = Window { from: Timestamp(1_800_000_000_000), to: Timestamp(1_800_086_400_000) };
    Looked { judged, window: Span::from_mins(15), whole, runs: Vec::new(), remarks }
}

fn judged() -> Judged {
    let run = |would: Option<u64>, did: Option<u64>, back: Option<u64>| RunJudged {
        run_id: "20261120-101500-a1".into(),
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
    assert_eq!(lines[5], "    left out, as too little was measured: 1 window");
    let run = "  run 20261120-101500-a1: ";
    assert_eq!(
        lines[6],
        format!("{run}would have fired after 5:05; did not fire; rolled back by a person after 7:11")
    );
    assert_eq!(lines[7], format!("{run}would not have fired; fired after 5:00; not rolled back"));
    assert_eq!(lines[8], "  better: > 2 % for 5m");
    assert_eq!(lines[10..], ["What the past cannot tell:", "  error_rate: measured every 5s live"]);
}

#[test]
fn the_document_has_all_of_it() {
    let document = document(&looked(vec![judged()], Vec::new()));
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
