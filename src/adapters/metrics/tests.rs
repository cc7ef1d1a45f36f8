use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    adapters::{
        http::Proxying,
        testing::{Reply, nobody, serve},
    },
    domain::{
        metric::{Bound, Op, ScrapeCalc, Unit},
        runbook::{OnNoData, Rule, Then, TriggerWatch},
        trigger::{TriggerChange, TriggerClock},
    },
};

/// The moment at which all tests ask, and the one at which servers answer.
pub(in crate::adapters) const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// For servers that do answer: no test may depend on how busy its host is.
pub(in crate::adapters) const PATIENCE: Span = Span::from_secs(60);

pub(in crate::adapters) fn source(kind: SourceKind, timeout: Span) -> Source {
    Source { kind, headers: BTreeMap::new(), bearer_token: None, basic_auth: None, ca_file: None, timeout }
}

pub(in crate::adapters) fn adapter(source: Source) -> MetricsAdapter {
    let options = HttpOptions { proxy: Proxying::Direct, ..HttpOptions::default() };
    let expand = |template: &Template| template.expand(|name| (name == "TOKEN").then(|| "t0k".to_owned()));
    // Time stands still, so that ages are exact however long an answer takes.
    MetricsAdapter::new(&[("s".to_owned(), source)].into(), expand, &options).unwrap().at_speed(0.0)
}

pub(in crate::adapters) fn prometheus(address: SocketAddr) -> MetricsAdapter {
    let url = format!("http://{address}").as_str().into();
    adapter(source(SourceKind::Prometheus { url }, PATIENCE))
}

pub(in crate::adapters) fn scraper(address: SocketAddr) -> MetricsAdapter {
    let url = format!("http://{address}/metrics").as_str().into();
    adapter(source(SourceKind::Scrape { url }, PATIENCE))
}

pub(in crate::adapters) fn metric(query: Query) -> Metric {
    Metric {
        id: "m".into(),
        title: "M".into(),
        query,
        per_slot: false,
        unit: Unit::Count,
        normal: None,
        alert: None,
        action: None,
        interval: Span::from_secs(5),
    }
}

pub(in crate::adapters) fn promql(expr: &str) -> Metric {
    metric(Query::Promql { source: "s".into(), expr: expr.into() })
}

pub(in crate::adapters) fn calc(calc: ScrapeCalc) -> Metric {
    metric(Query::Scrape { source: "s".into(), calc })
}

/// M2 and M4: a quarter of an hour of an outage of every kind, at both kinds of source. Not one sample is a value, the
/// trigger is blind from the fifth on and never fires.
#[tokio::test]
async fn m2_m4_an_outage_is_never_health() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".to_vec();
    let outages = [
        None,
        Some(Reply::Hang),
        Some(Reply::Close),
        Some(Reply::http("500 Internal Server Error", "text/plain", "oops")),
        Some(Reply::http("200 OK", "text/html", "<!doctype html><title>Sign in</title>")),
        Some(Reply::with("302 Found", &[("Location", "https://login.example.com/")], "")),
        Some(Reply::Drip(head, std::time::Duration::from_millis(1))),
    ];
    for outage in outages {
        let slow = matches!(outage, Some(Reply::Hang | Reply::Drip(..)));
        let address = match outage.clone() {
            Some(reply) => serve(move |_| reply.clone()).await.0,
            None => nobody().await,
        };
        let timeout = if slow { Span::from_millis(2) } else { PATIENCE };
        let prometheus = SourceKind::Prometheus { url: format!("http://{address}").as_str().into() };
        let scrape = SourceKind::Scrape { url: format!("http://{address}/metrics").as_str().into() };
        let gauge = calc(ScrapeCalc::Gauge { gauge: "up".into() });
        for (kind, metric) in [(prometheus, promql("up")), (scrape, gauge)] {
            let adapter = adapter(source(kind, timeout));
            let watch = TriggerWatch {
                metric: "m".into(),
                rule: Rule::Fixed { when: Bound { op: Op::Gt, value: 0.0 }, hold_for: Span::ZERO },
                then: Then::Ask,
                no_data: OnNoData::Hold,
            };
            let metric = Metric { interval: Span::from_secs(15), ..metric };
            let mut clock = TriggerClock::new(&watch, metric.interval);
            for tick in 0..60 {
                let now = NOW + Span::from_secs(15 * tick);
                let sample = adapter.sample(&metric, None, now).await;
                assert!(sample.value.is_err(), "{outage:?}: {sample:?}");
                let changes = clock.observe(&sample, now);
                let blinded = matches!(changes.as_slice(), [TriggerChange::Blind(_)]);
                assert_eq!(
                    (blinded, changes.len()),
                    (tick == 4, usize::from(tick == 4)),
                    "{outage:?} {tick}: {changes:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn credentials_and_headers_go_along_and_never_show() {
    let (address, requests) = serve(|_| Reply::text("up 1")).await;
    let kind = SourceKind::Scrape { url: format!("http://{address}/metrics?token=$TOKEN").as_str().into() };
    let plain = source(kind, PATIENCE);
    let gauge = calc(ScrapeCalc::Gauge { gauge: "up".into() });
    let bearer = Source {
        bearer_token: Some("$TOKEN".into()),
        headers: [("X-Scope-OrgID".to_owned(), "team-$TOKEN".into())].into(),
        ..plain.clone()
    };
    let basic = Source { basic_auth: Some(("me".into(), "$TOKEN".into())), ..plain.clone() };
    for (source, wanted) in
        [(bearer, "authorization: bearer t0k\r\n"), (basic, "authorization: basic bwu6ddbr\r\n")]
    {
        let has_org = !source.headers.is_empty();
        let adapter = adapter(source);
        assert_eq!(adapter.sample(&gauge, None, NOW).await.value, Ok(1.0));
        let request = requests.lock().unwrap().pop().unwrap().to_lowercase();
        assert!(request.starts_with("get /metrics?token=t0k http/1.1"), "{request}");
        assert!(request.contains(wanted), "{request}");
        assert_eq!(request.contains("x-scope-orgid: team-t0k"), has_org, "{request}");
        assert!(
            !format!("{adapter:?}").contains("bwu6ddbr") && !format!("{adapter:?}").contains("Bearer t0k")
        );
    }
}

/// X1: a secret in a source's URL is in none of the faults.
#[tokio::test]
async fn x1_no_fault_repeats_a_url() {
    let gauge = calc(ScrapeCalc::Gauge { gauge: "up".into() });
    let refused = nobody().await;
    let mut told = Vec::new();
    for reply in [
        Reply::Close,
        Reply::Hang,
        Reply::http("500 Oops", "text/plain", ""),
        Reply::Bytes(b"garbage".to_vec()),
    ] {
        let (address, _) = serve(move |_| reply.clone()).await;
        told.push((address, "http"));
    }
    told.extend([(refused, "http"), (refused, "https")]);
    for (address, scheme) in told {
        let url = format!("{scheme}://u:$TOKEN@{address}/$TOKEN/metrics?token=$TOKEN");
        let adapter =
            adapter(source(SourceKind::Scrape { url: url.as_str().into() }, Span::from_millis(100)));
        let why = adapter.sample(&gauge, None, NOW).await.value.unwrap_err().to_string();
        assert!(!why.contains("t0k"), "{why}");
    }
}

#[test]
fn bad_sources_say_what_is_wrong() {
    let kind = |url: &str| SourceKind::Prometheus { url: url.into() };
    let good = source(kind("http://p"), Span::from_secs(1));
    let options = HttpOptions::default();
    for (source, says) in [
        (source(kind("$NOPE/x"), Span::from_secs(1)), "variable $NOPE has no value"),
        (source(kind("p:9090"), Span::from_secs(1)), "must start with http"),
        (
            Source { ca_file: Some("/no/such/file".into()), ..good.clone() },
            "cannot read `ca_file` /no/such/file",
        ),
        (Source { bearer_token: Some("a\nb".into()), ..good.clone() }, "header `Authorization`"),
        (
            Source { headers: [("a b".to_owned(), "x".into())].into(), ..good },
            "`a b` is not a valid header name",
        ),
    ] {
        let expand = |template: &Template| template.expand(|_| None);
        let error = MetricsAdapter::new(&[("s".to_owned(), source)].into(), expand, &options)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("source `s`: ") && error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_query_must_suit_its_source() {
    let address = nobody().await;
    let gauge = calc(ScrapeCalc::Gauge { gauge: "up".into() });
    for (adapter, metric, says) in [
        (prometheus(address), gauge, "is not scraped"),
        (scraper(address), promql("up"), "cannot answer PromQL"),
        (
            scraper(address),
            metric(Query::Promql { source: "x".into(), expr: "up".into() }),
            "no such source: `x`",
        ),
    ] {
        let sample = adapter.sample(&metric, None, NOW).await;
        let Err(Missing::BadAnswer(why)) = &sample.value else { panic!("{sample:?}") };
        assert!(why.contains(says), "{why}");
        assert_eq!(sample.at, NOW, "the time of asking");
        assert!(adapter.backfill(&metric, None, NOW - Span::from_mins(15), NOW).await.is_empty());
    }
}

#[test]
fn slots_are_put_in_as_strings_and_end_none() {
    let put = |text: &str, name: &str| with_slot(text, Some(&name.into())).unwrap();
    assert_eq!(put("up{slot=\"$slot\"}", "blue"), "up{slot=\"blue\"}");
    assert_eq!(put("a{s=\"$slot\"}/b{s=\"${slot}\"}", "blue"), "a{s=\"blue\"}/b{s=\"blue\"}");
    assert_eq!(put("a{s=\"$slot\"}", "b\"} or up{x=\"\\"), "a{s=\"b\\\"} or up{x=\\\"\\\\\"}");
    assert_eq!(put("a{s=~\"x$\",t=\"$slots${x}\"}", "blue"), "a{s=~\"x$\",t=\"$slots${x}\"}");
    assert_eq!(with_slot("up{slot=\"$slot\"}", None).unwrap(), "up{slot=\"$slot\"}");
}

/// A query about no revision would be about something else.
#[test]
fn a_revision_that_is_not_known_is_never_asked_for() {
    let known = SlotLabels {
        name: "new".into(),
        deployment: Some("shop".to_owned()),
        hash: Some("7f9c".to_owned()),
        version: Some("v1.6.0".to_owned()),
    };
    let query = "a{h=\"$hash\",d=\"$deployment\",v=\"$version\",s=\"$slot\"}";
    assert_eq!(with_slot(query, Some(&known)).unwrap(), "a{h=\"7f9c\",d=\"shop\",v=\"v1.6.0\",s=\"new\"}");
    for (labels, what) in [
        (SlotLabels { hash: None, ..known.clone() }, "the pod-template-hash of new"),
        (SlotLabels { version: None, ..known }, "the version of new"),
    ] {
        let missing = with_slot(query, Some(&labels)).unwrap_err();
        assert_eq!(missing, Missing::NotYet(what.to_owned()));
        assert_eq!(missing.to_string(), format!("not known yet: {what}"));
    }
}

/// One tick, many metrics, one scrape; and one failing tick, one failed scrape.
#[tokio::test]
async fn metrics_of_a_tick_share_a_scrape() {
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    let (address, _) = serve(|_| match TIMES.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::text("a 1\nb{slot=\"blue\"} 2\nb{slot=\"green\"} 3\n"),
        1 => Reply::http("500 Oops", "text/plain", ""),
        _ => Reply::text("a 4\n"),
    })
    .await;
    let adapter = scraper(address);
    let a = calc(ScrapeCalc::Gauge { gauge: "a".into() });
    let b = calc(ScrapeCalc::Gauge { gauge: "b{slot=\"$slot\"}".into() });
    let (blue, green): (SlotLabels, SlotLabels) = ("blue".into(), "green".into());
    let (first, second, third) = tokio::join!(
        adapter.sample(&a, None, NOW),
        adapter.sample(&b, Some(&blue), NOW + Span::from_millis(3)),
        adapter.sample(&b, Some(&green), NOW + Span::from_millis(2499)),
    );
    assert_eq!((first.value, second.value, third.value), (Ok(1.0), Ok(2.0), Ok(3.0)));
    assert_eq!((second.slot, third.at), (Some(blue.name), NOW));
    assert_eq!(TIMES.load(Ordering::SeqCst), 1);
    for metric in [&a, &b] {
        let sample = adapter.sample(metric, Some(&green), NOW + Span::from_secs(5)).await;
        assert_eq!(sample.value, Err(Missing::BadAnswer("status 500".into())));
    }
    assert_eq!(TIMES.load(Ordering::SeqCst), 2);
    assert_eq!(adapter.sample(&a, None, NOW + Span::from_secs(10)).await.value, Ok(4.0));
    assert_eq!(adapter.sample(&b, Some(&green), NOW + Span::from_secs(10)).await.value, Err(Missing::NoData));
}

#[tokio::test]
async fn a_source_whose_secret_is_gone_has_no_data_and_stops_nothing_else() {
    let url = "http://127.0.0.1:1";
    let kind = || SourceKind::Prometheus { url: url.into() };
    let lost = Source { bearer_token: Some("$NOPE".into()), ..source(kind(), PATIENCE) };
    let (sources, options) = ([("s".to_owned(), lost)].into(), HttpOptions::default());
    let expand = |template: &Template| template.expand(|_| None);
    assert!(MetricsAdapter::new(&sources, expand, &options).is_err(), "nobody begins so");
    let adapter = MetricsAdapter::taken_up(&sources, expand, &options).unwrap();
    let sample = adapter.sample(&promql("up"), None, NOW).await;
    assert!(matches!(&sample.value, Err(Missing::Unreachable(why)) if why.contains("$NOPE")), "{sample:?}");
    let broken = [("s".to_owned(), source(SourceKind::Prometheus { url: "p:9090".into() }, PATIENCE))].into();
    assert!(MetricsAdapter::taken_up(&broken, expand, &options).is_err(), "another fault is a fault");
}
