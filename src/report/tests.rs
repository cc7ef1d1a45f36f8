//! Reports of runs that went each way: figures reckoned once more, hostile texts, every prefix of every run.

mod backtests;
mod pages;
mod runs;

use serde_json::Value;

use super::{Format, Integrity, Source, write};
use crate::domain::{
    event::{Envelope, Outcome, RunEvent},
    evidence::{
        card::{Card, Selectors},
        counters::Counted,
        counts::Counts,
        meter::Meter,
        terms::Terms,
    },
    id::MetricId,
    kept::{Kept, Moment, Seen},
    metric::Sample,
    run::Run,
    time::{Span, Timestamp},
    worse::Than,
};
use pages::{count, elements, is_balanced};
use runs::{aborted, failed, good, kept, rolled_back};

/// The report of some events.
pub(super) fn report(events: &[Envelope], kept: &Kept, format: Format) -> String {
    let journal =
        Integrity { records: events.len(), bytes: 4711, checksum: 0xc0de_cafe, torn: 0, damage: None };
    write(&Source { events, kept, journal: &journal, backtest: None }, format).unwrap()
}

fn document(events: &[Envelope], kept: &Kept) -> Value {
    serde_json::from_str(&report(events, kept, Format::Json)).unwrap()
}

/// When something first happened.
fn first(events: &[Envelope], is: impl Fn(&RunEvent) -> bool) -> Timestamp {
    events.iter().find(|envelope| is(&envelope.event)).map(|envelope| envelope.at).unwrap()
}

fn last(events: &[Envelope], is: impl Fn(&RunEvent) -> bool) -> Timestamp {
    events.iter().rev().find(|envelope| is(&envelope.event)).map(|envelope| envelope.at).unwrap()
}

#[test]
fn figures_of_a_rolled_back_run_follow_from_its_journal() {
    let events = rolled_back();
    let kept = kept(&events);
    let document = document(&events, &kept);
    let figures = &document["figures"];
    // Reckoned once more, from the bare events.
    let switched = |event: &RunEvent| matches!(event, RunEvent::TrafficSwitched { .. });
    let (met, back) = (first(&events, switched), last(&events, switched));
    let begun = first(&events, |event| matches!(event, RunEvent::StepStarted { .. }));
    let ordered = first(&events, |event| matches!(event, RunEvent::RollbackStarted { .. }));
    let ended = last(&events, |event| matches!(event, RunEvent::RunFinished { .. }));
    let since = events.iter().find_map(|envelope| match &envelope.event {
        RunEvent::TriggerBreaching { since, .. } => Some(*since),
        _ => None,
    });
    let ms = |from: Timestamp, to: Timestamp| Value::from(to.0 - from.0);
    assert_eq!(figures["outcome"], "rolled-back");
    assert_eq!(figures["took_ms"], ms(begun, ended));
    assert_eq!(figures["users"]["lasted_ms"], ms(met, back));
    assert_eq!(figures["rollback"]["traffic_back_ms"], ms(ordered, back));
    assert_eq!(figures["rollback"]["took_ms"], ms(ordered, ended));
    assert_eq!(figures["rollback"]["within_ms"], 300_000);
    assert_eq!(figures["rollback"]["kept"], true);
    assert_eq!(figures["time_to_react_ms"], ms(since.unwrap(), ordered));
    assert_eq!(figures["time_to_restore_ms"], ms(since.unwrap(), back));
    let passed = events.iter().filter(|it| matches!(it.event, RunEvent::StepPassed { .. })).count();
    assert_eq!(figures["steps_passed"], passed);
    // 2,300 requests a minute of which 5 % fail, sampled every 10 s: each sample stands for the 10 s before it.
    let bad = kept.samples().filter(|sample| {
        let green = sample.slot.as_ref().is_some_and(|slot| slot.as_str() == "green");
        green && sample.metric.as_str() == "error_rate" && sample.at > met && sample.at <= back
    });
    let mut expected = 0.0;
    for (index, sample) in bad.enumerate() {
        // The first sample on the new slot has none before it.
        if index > 0 {
            expected += sample.value.clone().unwrap() * 2300.0 / 6.0;
        }
    }
    let failed = figures["users"]["failed_requests"].as_f64().unwrap();
    assert!(expected > 50.0 && (failed - expected).abs() < 1e-6, "{failed} and not {expected}");
    assert_eq!(figures["users"]["failed_is_counted"], false);
    // The page says the same.
    let page = report(&events, &kept, Format::Html);
    let lasted = Span::from_millis(figures["users"]["lasted_ms"].as_u64().unwrap()).clock();
    for said in [
        format!("Users met v2 for {lasted}, and about {failed:.0} of their requests failed"),
        "the promise of 5:00 was kept".to_owned(),
    ] {
        assert!(page.contains(&said), "{said}");
    }
}

#[test]
fn counters_count_exactly_and_thinned_ones_do_not() {
    let events = rolled_back();
    let all = kept(&events);
    let met = first(&events, |event| matches!(event, RunEvent::TrafficSwitched { .. }));
    let mut counting = events.clone();
    let RunEvent::RunOpened(opened) = &mut counting[0].event else { panic!() };
    opened.runbook.metrics[0].query = crate::domain::metric::Query::Counted(crate::domain::metric::Counted {
        source: "prometheus".to_owned(),
        scraped: false,
        part: "bad".to_owned(),
        good: false,
        all: "all".to_owned(),
    });
    let sampled = |sample: &Sample| {
        let green = sample.slot.as_ref().is_some_and(|slot| slot.as_str() == "green") && sample.at > met;
        Sample {
            counts: (green && sample.metric.as_str() == "error_rate").then_some(Counts::new(3.0, 400.0)),
            ..sample.clone()
        }
    };
    let moments = all.samples().map(|sample| Moment { at: sample.at, seen: Seen::Sample(sampled(sample)) });
    let counted = Kept::new(moments.collect(), Vec::new(), Vec::new());
    let users = &document(&counting, &counted)["figures"]["users"];
    let many = counted.samples().filter(|sample| sample.counts.is_some());
    let back = last(&events, |event| matches!(event, RunEvent::TrafficSwitched { .. }));
    // What the last samples tell after traffic left is of before.
    let many = many.filter(|sample| sample.at <= back + Span::from_secs(20)).count() as u64;
    assert_eq!(users["failed_is_counted"], true);
    let whole = |number: &Value| format!("{:.3}", number.as_f64().unwrap());
    assert_eq!(whole(&users["failed_requests"]), format!("{}.000", many * 3));
    assert_eq!(whole(&users["counted"]["error_rate"][1]), format!("{}.000", many * 400));
    let page = report(&counting, &counted, Format::Markdown);
    assert!(page.contains(&format!("and {} of their requests failed", many * 3)), "{page}");
    // With samples missing the sum would be too small: it is estimated, and said so.
    let cut = Kept { faults: vec!["the end is torn".to_owned()], ..counted };
    let page = report(&counting, &cut, Format::Markdown);
    assert!(page.contains("and about ") && page.contains("the end is torn"), "{page}");
}

#[test]
fn each_way_to_end_has_its_sentence_in_each_format() {
    let runs = [
        ("good", good(), "The deployment of v2 succeeded after", "succeeded"),
        ("rolled back", rolled_back(), "a trigger brought v1 back in", "rolled-back"),
        ("failed", failed(), "The deployment of v2 failed in step 2, DEPLOY", "failed"),
        (
            "aborted",
            aborted(),
            "The deployment of v2 was ended: wrong version; users stayed on v1.",
            "failed",
        ),
    ];
    for (name, events, sentence, outcome) in runs {
        let kept = kept(&events);
        for format in [Format::Html, Format::Markdown] {
            let page = report(&events, &kept, format);
            assert!(page.contains(sentence), "{name}: {page}");
        }
        let document = document(&events, &kept);
        assert_eq!(document["figures"]["outcome"], outcome, "{name}");
        assert!(document["ending"]["sentence"].as_str().unwrap().contains(sentence), "{name}");
    }
}

#[test]
fn every_prefix_of_every_run_has_a_report() {
    for events in [good(), rolled_back(), failed(), aborted()] {
        let kept = kept(&events);
        // All of them would take half a minute; each kind of event ends one.
        for end in (1..=events.len()).filter(|end| *end < 40 || end % 7 == 0 || *end == events.len()) {
            let page = report(&events[..end], &kept, Format::Html);
            is_balanced(&page).unwrap_or_else(|why| panic!("after {end} events: {why}"));
            assert!(report(&events[..end], &kept, Format::Markdown).starts_with("# "));
        }
        let end = events.iter().position(|it| matches!(it.event, RunEvent::RunFinished { .. })).unwrap();
        let open = &events[..end];
        let page = report(open, &kept, Format::Html);
        assert!(
            page.contains("not over") || page.contains("NOT OVER") || page.contains("Not over"),
            "{page}"
        );
    }
}

#[test]
fn a_journal_of_an_earlier_version_has_a_report() {
    let events = rolled_back();
    let mut old = Vec::new();
    for envelope in &events {
        let mut json = serde_json::to_value(envelope).unwrap();
        let fields = json.as_object_mut().unwrap();
        // What versions before this one did not write.
        for newer in ["pinned", "cause", "asks", "put_back", "skipped", "caught", "short"] {
            fields.remove(newer);
        }
        old.push(serde_json::from_value::<Envelope>(json).unwrap());
    }
    let none = Kept::default();
    for format in [Format::Html, Format::Markdown] {
        let page = report(&old, &none, format);
        assert!(page.contains("No samples were kept of this run"), "{page}");
        assert!(page.contains("Which errors they met is not known"), "{page}");
        assert!(page.contains("values in the journal"), "what a trigger told is drawn: {page}");
    }
    let document = document(&old, &none);
    assert_eq!(document["samples"], Value::Array(Vec::new()));
    assert_eq!(document["figures"]["users"]["failed_requests"], Value::Null);
}

#[test]
fn the_json_has_everything_that_a_replay_elsewhere_needs() {
    let events = rolled_back();
    let kept = kept(&events);
    let document = document(&events, &kept);
    assert_eq!(document["schema_version"], 1);
    let back: Vec<Envelope> = serde_json::from_value(document["events"].clone()).unwrap();
    assert_eq!(back, events);
    assert_eq!(Run::fold(&back), Run::fold(&events));
    let read = |name: &str| document[name].clone();
    let samples: Vec<Sample> = serde_json::from_value(read("samples")).unwrap();
    let moments = samples.into_iter().map(|sample| Moment { at: sample.at, seen: Seen::Sample(sample) });
    let seen: Vec<Moment> = serde_json::from_value(read("seen")).unwrap();
    let again = Kept::new(moments.chain(seen).collect(), Vec::new(), Vec::new());
    assert_eq!(again, kept);
    assert_eq!(document["run"]["run_id"], "20261120-1400-abcd");
}

#[test]
fn decisions_have_who_what_and_why() {
    let events = aborted();
    let document = document(&events, &kept(&events));
    let decisions: Vec<String> = document["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let word = |name: &str| it[name].as_str().unwrap_or("-").to_owned();
            format!(
                "{}: {}: {}{}",
                word("by"),
                word("what"),
                word("reason"),
                if it["override"] == true { "!" } else { "" }
            )
        })
        .collect();
    assert_eq!(
        decisions,
        [
            "ada: opened the run: -",
            "ada: `migrations` applies: -",
            "ada: went on although refused: open checklist items: approved: CI is down, looked by hand!",
            "ada: opened the steps: -",
            "ada: noted: the weather is fine",
            "not recorded: aborted the run: wrong version",
        ]
    );
}

#[test]
fn the_journal_is_judged_plainly() {
    let whole = Integrity { records: 155, bytes: 80_000, checksum: 0x1234_abcd, torn: 0, damage: None };
    assert_eq!(
        whole.words()[0],
        "The journal is whole: 155 records in 80000 bytes, and the chain of checksums holds from the first to the last \
         (1234abcd)."
    );
    let torn = Integrity { torn: 37, ..whole.clone() };
    assert!(torn.is_whole() && torn.words()[1].contains("cut off after 37 bytes"));
    let damaged = Integrity { damage: Some("the journal is damaged at byte 900: x".to_owned()), ..whole };
    assert!(
        !damaged.is_whole()
            && damaged.words()[0].starts_with("THE JOURNAL IS DAMAGED: the journal is damaged at byte 900")
    );
    let events = good();
    let source = Source { events: &events, kept: &Kept::default(), journal: &damaged, backtest: None };
    for format in [Format::Html, Format::Markdown, Format::Json] {
        assert!(write(&source, format).unwrap().contains("damaged at byte 900"));
    }
    assert_eq!(write(&Source { events: &[], ..source }, Format::Html), None);
}

#[test]
fn a_card_is_computed_again() {
    let mut events = rolled_back();
    let at = first(&events, |event| matches!(event, RunEvent::TrafficSwitched { .. }));
    let terms = Terms::new(0.001, 0.001, 180, 100.0);
    let mut meter = Meter::new(terms).unwrap();
    for n in 1..=5_u64 {
        meter.add(at + Span::from_secs(5 * n), Counts::new(25.0, 500.0));
    }
    let selectors =
        Selectors { what: Counted::Bad, counted: "bad{slot=\"green\"}".to_owned(), all: "all".to_owned() };
    let card = Card::of(&meter, selectors, None);
    let told = |card: Card| {
        let metric: MetricId = "error_rate".into();
        let than = Than::Share(0.001);
        [
            RunEvent::EvidenceBegan {
                claim: 0,
                metric: metric.clone(),
                than,
                terms: Some(terms),
                remark: None,
            },
            RunEvent::EvidenceTold {
                claim: 0,
                metric,
                words: "GREEN is worse than 0.1 %".to_owned(),
                card: Box::new(card),
            },
        ]
    };
    let end = events.iter().position(|it| matches!(it.event, RunEvent::RollbackStarted { .. })).unwrap();
    let put = |events: &mut Vec<Envelope>, card: Card| {
        let at = events[end - 1].at;
        let more = told(card).map(|event| Envelope { seq: 0, at, event });
        events.splice(end..end, more);
        (1..).zip(events).for_each(|(seq, envelope)| envelope.seq = seq);
    };
    let mut forged = events.clone();
    put(&mut events, card.clone());
    put(&mut forged, Card { ln_e: Some(40.0), ..card });
    for format in [Format::Html, Format::Markdown] {
        let page = report(&events, &Kept::default(), format);
        assert!(
            page.contains("Error_rate, worse than 0.1 %") || page.contains("error_rate, worse than 0.1 %"),
            "{page}"
        );
        assert!(
            page.contains("Computed again from the card&#39;s 5 samples: it agrees")
                || page.contains("Computed again from the card's 5 samples: it agrees"),
            "{page}"
        );
        assert!(page.contains("125 bad of 2,500"), "{page}");
        assert!(report(&forged, &Kept::default(), format).contains("it does NOT AGREE"));
    }
}

#[test]
fn nothing_from_outside_gets_out_of_its_place() {
    let events = runs::written(
        "\"><script>alert('1')</script><img src=x onerror=y> | \u{202e}\u{1b}[31m`x` [a](https://evil.example) --> </title></style>",
    );
    let kept = kept(&events);
    let page = report(&events, &kept, Format::Html);
    is_balanced(&page).unwrap();
    let known = elements(&report(&runs::written("harmless"), &kept, Format::Html));
    for element in elements(&page) {
        assert!(known.contains(&element), "an element or attribute of somebody else's: {element}");
    }
    let markdown = report(&events, &kept, Format::Markdown);
    let json = report(&events, &kept, Format::Json);
    for (name, text) in [("html", &page), ("markdown", &markdown), ("json", &json)] {
        let hidden = text.chars().find(|c| crate::domain::safe_text::is_hidden(*c) && *c != '\n');
        assert_eq!(hidden, None, "{name}");
    }
    for text in [&page, &markdown] {
        assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
        assert!(text.contains("&lt;script&gt;") && text.contains("&lt;U+202E&gt;"), "{text}");
    }
    // No cell ends before its end.
    let tables = markdown.lines().filter(|line| line.starts_with("| "));
    let mut cells = 0;
    for line in tables {
        if line.contains(" --- |") {
            cells = count(line, '|');
        }
        let unescaped = line.replace("\\|", "");
        assert!(cells == 0 || count(&unescaped, '|') == cells || !line.contains("script"), "{line}");
    }
    let unescaped = markdown.replace("\\]", "");
    assert!(!unescaped.contains("](") && !markdown.contains("https://"), "{markdown}");
    serde_json::from_str::<Value>(&json).unwrap();
}

#[test]
fn the_page_needs_nothing_and_its_policy_forbids_the_rest() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = report(&rolled_back(), &kept(&rolled_back()), Format::Html);
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    let policy = format!(
        "default-src &#39;none&#39;; style-src &#39;sha256-{hash}&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;"
    );
    assert!(page.contains(&policy), "the style sheet is the one that the policy allows");
    assert!(!style.contains("url(") && !style.contains("@import"));
    for element in elements(&page) {
        let (name, attribute) = element.split_once(' ').unwrap_or((&element, ""));
        assert!(!["script", "link", "img", "iframe", "object", "base", "form"].contains(&name), "{element}");
        assert!(!attribute.starts_with("on") && attribute != "src" && attribute != "style", "{element}");
    }
    for link in page.split("href=\"").skip(1) {
        assert!(link.starts_with('#'), "{}", &link[..20]);
    }
    // Every link leads somewhere on the page.
    for link in page.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
    }
}

#[test]
fn outcomes_of_the_fixtures_are_what_they_are_called() {
    let outcome = |events: &[Envelope]| Run::fold(events).unwrap().finished.map(|(outcome, ..)| outcome);
    assert_eq!(outcome(&good()), Some(Outcome::Succeeded));
    assert_eq!(outcome(&rolled_back()), Some(Outcome::RolledBack));
    assert_eq!(outcome(&failed()), Some(Outcome::Failed));
    assert_eq!(outcome(&aborted()), Some(Outcome::Failed));
}
