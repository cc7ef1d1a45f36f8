//! The backtest's part of a report.

use super::{
    count, is_balanced,
    runs::{good, kept},
};
use crate::{
    domain::{
        backtest::{
            Backtest, LeftOut, SCHEMA_VERSION, Window,
            advice::{Advice, Proof},
            judge::{Harmless, Judged, RunJudged},
            past_run::By,
        },
        time::{Span, Timestamp},
    },
    report::{Format, Integrity, Source, write},
};

const DAY: u64 = 86_400;
const FROM: Timestamp = Timestamp(1_800_000_000_000);

fn at(days: u64) -> Timestamp {
    FROM + Span::from_secs(days * DAY)
}

fn run(name: &str, days: u64, would: Option<u64>, back: Option<u64>) -> RunJudged {
    RunJudged {
        run_id: name.to_owned(),
        met_at: at(days),
        rolled_back: back.map(Span::from_secs),
        by: back.map(|_| By::Person),
        measured: true,
        would_fire: would.map(Span::from_secs),
        did_fire: None,
    }
}

/// Two weeks in which three windows were false alarms, one bad run was caught and one was missed.
fn found(text: &str) -> Backtest {
    let judged = Judged {
        trigger: format!("error rate > 1 % for 5m{text}"),
        metric: format!("error_rate{text}"),
        by_evidence: false,
        harmless: Harmless {
            windows: 1_340,
            fired: vec![at(1), at(5), at(9)],
            unmeasured: 4,
            too_little: 0,
            no_verdict: Some(format!("no verdict{text}")),
        },
        runs: vec![
            run(&format!("caught{text}"), 3, Some(305), Some(431)),
            run("missed", 8, None, Some(900)),
            run("good", 12, None, None),
        ],
        advice: Advice::Instead(format!("> 2 % for 5m{text}")),
        proof: Some(Proof { quiet: 1_340, caught: 2, ..Proof::default() }),
    };
    Backtest {
        schema_version: SCHEMA_VERSION,
        module: format!("shop{text}"),
        from: FROM,
        to: at(14),
        window: Span::from_mins(15),
        triggers: vec![judged],
        runs: 3,
        left_out: vec![LeftOut { window: Window { from: at(6), to: at(7) }, why: format!("incident{text}") }],
        remarks: vec![format!("measured every 5s live{text}")],
    }
}

fn page(backtest: Option<&Backtest>, format: Format) -> String {
    let (events, journal) = (good(), Integrity::default());
    let kept = kept(&events);
    write(&Source { events: &events, kept: &kept, journal: &journal, backtest }, format).unwrap()
}

#[test]
fn each_false_alarm_and_each_run_is_in_the_picture_and_in_words() {
    let found = found("");
    let html = page(Some(&found), Format::Html);
    is_balanced(&html).unwrap();
    let section = html.split_once("id=\"backtest\"").unwrap().1.split_once("</section>").unwrap().0;
    // Once in the wide picture and once in the narrow one.
    assert_eq!(section.matches("class=\"alarm\"").count(), 2 * 3);
    assert_eq!(section.matches("class=\"out\"").count(), 2);
    assert_eq!(section.matches(">✔</text>").count(), 2);
    assert_eq!(section.matches(">✖</text>").count(), 2);
    for words in [
        "2027-01-15 08:00 to 2027-01-29 08:00 UTC, in windows of 15:00; 3 past runs.",
        "fires in 3 of 1340 windows; 4 not measured; no verdict",
        "caught: bad, would have fired after 5:05",
        "missed: bad, would have been missed",
        "good: not rolled back, quiet",
        "better: &gt; 2 % for 5m (quiet in 1340 windows, catches 2 bad runs)",
        "Left out: 2027-01-21 08:00:00 UTC to 2027-01-22 08:00:00 UTC: incident",
    ] {
        assert!(section.contains(words), "{words}\n{section}");
    }
    let wiki = page(Some(&found), Format::Markdown);
    let row = wiki.lines().find(|line| line.starts_with("| error rate &gt; 1 %")).unwrap();
    assert_eq!(count(row, '|'), 5, "{row}");
    let json: serde_json::Value = serde_json::from_str(&page(Some(&found), Format::Json)).unwrap();
    assert_eq!(serde_json::from_value::<Backtest>(json["backtest"].clone()).unwrap(), found);
    for format in [Format::Html, Format::Markdown] {
        assert!(!page(None, format).contains("Backtest"), "nobody has looked");
    }
}

#[test]
fn a_hostile_backtest_is_text_and_a_strange_one_is_no_panic() {
    let evil = found("\"><script>alert(1)</script>\u{202e}\u{1b}[31m|`x` [a](https://evil.example)");
    let html = page(Some(&evil), Format::Html);
    is_balanced(&html).unwrap();
    let wiki = page(Some(&evil), Format::Markdown);
    for text in [&html, &wiki] {
        assert!(!text.contains("<script") && !text.contains('\u{202e}') && !text.contains('\u{1b}'));
    }
    assert!(!wiki.contains("https://"), "{wiki}");
    let plain = found("");
    for (from, to) in
        [(at(3), at(3)), (at(14), at(0)), (Timestamp(-60_000_000_000_000), at(4_000)), (at(0), at(1))]
    {
        let strange = Backtest { from, to, ..plain.clone() };
        is_balanced(&page(Some(&strange), Format::Html)).unwrap();
    }
}
