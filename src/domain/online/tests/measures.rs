//! Metrics: queries without a number, with the wrong one, or with too little behind it.

use super::*;

fn on_blue(value: Missing, explained: Explained) -> Vec<(Mark, String, String)> {
    planted(|picture| {
        picture.measured[0] = Measured { value: Ok(Err(value)), explained, ..measured("blue") };
        picture.measured.truncate(1);
    })
    .into_iter()
    .collect()
}

#[test]
fn a_query_without_series() {
    let gap = Gap::NoMetric { name: "http_request_total".into(), alike: vec!["http_requests_total".into()] };
    let found = on_blue(Missing::NoData, Explained { gap: Some(gap), ..Explained::default() });
    one(
        found,
        Mark::Fault,
        "nobody measures http_request_total; there are http_requests_total",
        "write http_requests_total in the query of [metrics.error_rate]",
    );
}

#[test]
fn a_query_with_two_series() {
    let series = ["blue", "green"].map(|color| labels(&[("color", color), ("job", "shop")])).to_vec();
    let found = on_blue(Missing::Ambiguous("two".into()), Explained { series, ..Explained::default() });
    one(
        found,
        Mark::Fault,
        r#"it gives 2 series: {color="blue"} {color="green"}"#,
        r#"add color="$slot" in the query of [metrics.error_rate]"#,
    );
    let series = ["a", "b"].map(|pod| labels(&[("pod", pod)])).to_vec();
    let found = on_blue(Missing::Ambiguous("two".into()), Explained { series, ..Explained::default() });
    one(found, Mark::Fault, "2 series", "write sum(…) or max(…) around it");
}

#[test]
fn stale_series() {
    let found = on_blue(Missing::Stale("the newest point is 4m old".into()), Explained::default());
    one(
        found,
        Mark::Fault,
        "its series are stale: the newest point is 4m old",
        "see the targets of prometheus",
    );
}

#[test]
fn a_wrong_namespace() {
    let gap = Gap::NoValue {
        name: "http_requests_total".into(),
        label: "namespace".into(),
        wanted: "production".into(),
        there: vec!["prod".into()],
    };
    let found = on_blue(Missing::EmptyRatio, Explained { gap: Some(gap), ..Explained::default() });
    one(
        found,
        Mark::Fault,
        r#"has no namespace="production"; there is prod"#,
        "correct namespace in the query of [metrics.error_rate]",
    );
    let found = planted(|picture| {
        for measured in &mut picture.measured {
            measured.explained.namespaces[0].1 = "staging".into();
        }
    });
    one(found, Mark::Fault, "measures namespace staging", r#"write namespace="production" in the query"#);
}

#[test]
fn a_label_that_no_series_has() {
    let gap =
        Gap::NoValue { name: "n".into(), label: "color".into(), wanted: "blue".into(), there: Vec::new() };
    let series = ["blue", "green"].map(|version| labels(&[("version", version)])).to_vec();
    let found = on_blue(Missing::NoData, Explained { gap: Some(gap), series, ..Explained::default() });
    let cure = "remove color in the query of [metrics.error_rate], and add version=\"$slot\"";
    one(found, Mark::Fault, "n has no label color", cure);
}

fn green_has_no_series(picture: &mut Picture) {
    picture.measured[1].value = Ok(Err(Missing::EmptyRatio));
    picture.measured[1].explained.gap = Some(Gap::NoValue {
        name: "n".into(),
        label: "version".into(),
        wanted: "green".into(),
        there: vec!["blue".into()],
    });
}

#[test]
fn a_slot_that_nobody_has_asked_yet_is_no_fault() {
    let found = planted(green_has_no_series);
    one(
        found,
        Mark::Warning,
        r#"no series yet: n has no version="green""#,
        "nothing to do if the slot has no requests yet",
    );
}

/// Who has the traffic is not known then, so a slot of its own without series is not one fault more.
#[test]
fn a_slot_without_series_is_no_fault_where_the_cluster_cannot_be_read() {
    let found = planted(|picture| {
        picture.cluster.as_mut().unwrap().as_mut().unwrap().workload =
            Err(Unseen::new("denied", "ask for the verb `list`"));
        green_has_no_series(picture);
    });
    let of_metric: Vec<_> = found.iter().filter(|(_, said, _)| said.contains("no series")).collect();
    assert!(matches!(of_metric[..], [(Mark::Warning, ..)]), "{found:#?}");
}

#[test]
fn a_trigger_that_cannot_fire() {
    let found = planted(|picture| picture.measured[0].took = Span::from_secs(70));
    one(found, Mark::Fault, "it can never fire", "make `for` at least");
    let found = planted(|picture| picture.measured[0].explained.spacing = Some(Span::from_secs(75)));
    one(found, Mark::Warning, "there is one measurement", "scrape more often");
}

#[test]
fn traffic_that_is_too_little_for_a_verdict_within_the_window() {
    let mut book = runbook();
    let metric = book.metrics.iter_mut().find(|metric| metric.id.as_str() == "error_rate").unwrap();
    metric.query = Query::Counted(Counted {
        source: "prometheus".to_owned(),
        scraped: false,
        part: "errors".to_owned(),
        good: false,
        all: "requests".to_owned(),
    });
    let rule = Rule::Worse(Worse::usual(Than::Share(0.001)));
    let fixed = book.triggers.iter().find_map(|trigger| trigger.watch.clone()).unwrap();
    let claims = Trigger { reason: "worse".to_owned(), watch: Some(TriggerWatch { rule, ..fixed }) };
    book.triggers.push(claims);
    let found = |per_second: f64| {
        let mut picture = fine();
        picture.measured.iter_mut().for_each(|measured| measured.per_second = Some(per_second));
        let Findings(all) = judge(&book, &picture);
        all.into_iter().find(|finding| finding.about == "worse").unwrap()
    };
    let (busy, idle) = (found(100.0), found(0.05));
    assert_eq!((busy.mark, idle.mark), (Mark::Ok, Mark::Warning), "{busy:?} {idle:?}");
    assert!(busy.found.contains("can fire"), "{}", busy.found);
    assert!(idle.found.contains("too little traffic for any verdict within the window"), "{}", idle.found);
    assert!(idle.found.contains("about "), "it says how long it would take: {}", idle.found);
}
