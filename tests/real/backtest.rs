//! `cutover backtest` over a real Prometheus with hours of history and two real runs: a bad release that was rolled back, and a good one.

use std::time::Duration;

use cutover::domain::{
    backtest::{Backtest, advice::Advice, judge::Judged},
    event::RunEvent,
};

use super::{
    evidence::{Past, Site, now, wait_for_data},
    ground::Ground,
    helm::Helm,
    server::{Prometheus, installed},
};

const HOUR: i64 = 3600;
/// Ten minutes with 3 % errors in the middle of the night, while nothing was released.
const INCIDENT: (i64, i64, f64) = (5 * HOUR, 5 * HOUR - 600, 0.03);
/// Windows of a minute, so that a run takes no longer.
const WINDOW: &str = r#"window = { lasts = "1m" }"#;
const FIXED: &str = "when = \"> 1%\"\nfor = \"20s\"";
/// Nothing is quieter than this is loud.
const TOO_KEEN: &str = "when = \"> 0.02%\"\nfor = \"20s\"";

fn look(ground: &Ground, args: &[&str]) -> Backtest {
    let output =
        ground.command(&[&["backtest", "--since", "10h", "--json"], args].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Who was caught and when, and that nothing was condemned but what was bad.
fn assert_right(judged: &Judged, bad: &str, good: &str) {
    let run = |id: &str| judged.runs.iter().find(|run| run.run_id == id).unwrap();
    assert!(run(bad).measured && run(good).measured, "{judged:#?}");
    let (would, did) = (run(bad).would_fire.unwrap(), run(bad).did_fire.unwrap());
    // It is asked at other moments than live.
    assert!(would.as_millis().abs_diff(did.as_millis()) <= 5_000, "{judged:#?}");
    assert!(run(good).would_fire.is_none() && run(good).did_fire.is_none(), "{judged:#?}");
    assert!(run(bad).rolled_back.is_some() && run(good).rolled_back.is_none(), "{judged:#?}");
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_backtest_says_what_has_happened_and_its_advice_holds() {
    let program = installed().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(0.05, Past { lasts: 12 * HOUR, incident: Some(INCIDENT) });
    let begun = now();
    let server = Prometheus::start(&program, dir.path(), &site.scraped_every(1));
    let runbook = include_str!("../support/verdict.toml").replace("@prometheus@", &server.url);
    let runbook = runbook.replace("@interval@", "1s").replace(r#"window = { lasts = "15m" }"#, WINDOW);
    let runbook = runbook.replace("when = \"> 1%\"\nfor = \"5m\"", FIXED);
    assert!(runbook.contains(FIXED) && runbook.contains(WINDOW));
    let ground = Ground::new(&runbook);
    site.follow(&ground.cluster);
    wait_for_data(&server.url);

    let fired = |helm: &Helm, which: usize| {
        helm.has(|event| matches!(event, RunEvent::TriggerFired { trigger, .. } if *trigger == which))
    };
    let mut helm = Helm::open(&ground);
    helm.fly_until("both verdicts", |helm| fired(helm, 0) && fired(helm, 1));
    helm.roll_back();
    helm.wait_until("rollback", Helm::is_over);
    helm.close();
    site.fail(0.0005);
    let mut helm = Helm::open(&ground);
    helm.fly_until("the window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    helm.wait(Duration::from_secs(45));
    helm.fly_until("the end", Helm::is_over);
    assert!(!fired(&helm, 0) && !fired(&helm, 1), "{}", helm.story());
    helm.close();
    let runs: Vec<String> = ground
        .stage
        .runs()
        .iter()
        .map(|run| run.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let [bad, good] = runs.as_slice() else { panic!("{runs:?}") };

    // Both catch the bad run when they did, and cry over the incident alone.
    let looked = look(&ground, &[]);
    assert_eq!((looked.runs, looked.triggers.len()), (2, 2), "{looked:#?}");
    let (from, to) = (begun.0 - INCIDENT.0 * 1000, begun.0 - INCIDENT.1 * 1000);
    // A verdict compares with the hour before, and soon the incident is in it.
    for (judged, least) in looked.triggers.iter().zip([4, 9]) {
        assert_right(judged, bad, good);
        let harmless = &judged.harmless;
        assert!(harmless.windows > 550 && harmless.unmeasured < 10, "{harmless:#?}");
        assert!(harmless.fired.len() >= least, "the incident is seen: {harmless:#?}");
        let during = |at: i64| (from - 60_000..to + 120_000).contains(&at);
        assert!(harmless.fired.iter().all(|at| during(at.0)), "{from} {to}: {harmless:#?}");
    }

    // The incident named, nothing speaks against either.
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
    let except = format!("{}..{}", time(from - 60_000), time(to + 120_000));
    let looked = look(&ground, &["--except", &except]);
    for judged in &looked.triggers {
        assert_right(judged, bad, good);
        assert!(judged.harmless.fired.is_empty(), "{judged:#?}");
        let proof = judged.proof.as_ref().unwrap();
        assert_eq!((&judged.advice, proof.caught), (&Advice::Keep, 1), "{judged:#?}");
    }

    // A bound that cries wolf is told a better one, and who takes it has peace and still catches the bad run.
    std::fs::write(ground.stage.path().join("runbook.toml"), runbook.replace(FIXED, TOO_KEEN)).unwrap();
    let looked = look(&ground, &["--except", &except]);
    let keen = &looked.triggers[1];
    assert!(keen.harmless.fired.len() > 100, "{keen:#?}");
    let Advice::Instead(better) = &keen.advice else { panic!("{keen:#?}") };
    let (bound, hold_for) = better.split_once(" for ").unwrap();
    let advised = format!("when = \"{}\"\nfor = \"{hold_for}\"", bound.replace(" %", "%"));
    std::fs::write(ground.stage.path().join("runbook.toml"), runbook.replace(FIXED, &advised)).unwrap();
    let looked = look(&ground, &["--except", &except]);
    let taken = &looked.triggers[1];
    assert!(taken.harmless.fired.is_empty() && taken.advice == Advice::Keep, "{better}: {taken:#?}");
    assert_eq!(taken.proof.as_ref().unwrap().caught, 1, "{better}: {taken:#?}");
}
