use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    adapters::{
        metrics::{
            MetricsAdapter,
            tests::{NOW, calc, scraper},
        },
        testing::{Reply, serve},
    },
    domain::metric::Metric,
    engine::ports::Metrics as _,
};

/// A page that changes between scrapes.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<String>>);

impl Page {
    fn set(&self, text: impl Into<String>) {
        *self.0.lock().unwrap() = text.into();
    }

    async fn adapter(&self) -> MetricsAdapter {
        let page = self.clone();
        scraper(serve(move |_| Reply::text(page.0.lock().unwrap().as_bytes())).await.0)
    }
}

/// What the metric is at each of the pages, five seconds apart.
async fn over(metric: &Metric, pages: &[&str]) -> Vec<Result<f64, Missing>> {
    let page = Page::default();
    let adapter = page.adapter().await;
    let mut values = Vec::new();
    for (tick, text) in pages.iter().enumerate() {
        page.set(*text);
        let now = NOW + Span::from_secs(5 * u64::try_from(tick).unwrap());
        values.push(adapter.sample(metric, None, now).await.value);
    }
    values
}

async fn last(metric: &Metric, pages: &[&str]) -> Result<f64, Missing> {
    over(metric, pages).await.pop().unwrap()
}

fn rate_of(rate: &str, over: Option<&str>) -> Metric {
    calc(ScrapeCalc::Rate { rate: rate.into(), over: over.map(Into::into) })
}

fn gauge_of(gauge: &str) -> Metric {
    calc(ScrapeCalc::Gauge { gauge: gauge.into() })
}

fn quantile_of(quantile: f64, histogram: &str) -> Metric {
    calc(ScrapeCalc::Quantile { quantile, histogram: histogram.into() })
}

fn close(value: &Result<f64, Missing>, wanted: f64) -> bool {
    matches!(value, Ok(value) if (value - wanted).abs() < 1e-9)
}

#[tokio::test]
async fn gauges_are_summed() {
    let page = "a{x=\"1\"} 1\na{x=\"2\"} 2.5\na{x=\"3\"} 100\nb 7\n";
    assert_eq!(last(&gauge_of("a{x=~\"1|2\"}"), &[page]).await, Ok(3.5));
    assert_eq!(last(&gauge_of("a{x!=\"3\",y=\"\"}"), &[page]).await, Ok(3.5));
    assert_eq!(last(&gauge_of("{__name__=\"b\"}"), &[page]).await, Ok(7.0));
    assert_eq!(last(&gauge_of("c"), &[page]).await, Err(Missing::NoData));
    assert_eq!(last(&gauge_of("a{x=\"4\"}"), &[page]).await, Err(Missing::NoData));
    assert_eq!(last(&gauge_of("a{x=~\"1\"}"), &["a{x=\"1\"} NaN"]).await, Err(Missing::NotANumber));
    assert_eq!(last(&gauge_of("a"), &["a +Inf"]).await, Err(Missing::NotANumber));
}

#[tokio::test]
async fn rates_are_taken_between_scrapes() {
    let values = over(&rate_of("c", None), &["c 100", "c 150", "c 150", "c 180"]).await;
    assert_eq!(values[0], Err(Missing::NoData), "one scrape is no rate");
    assert!(
        close(&values[1], 10.0) && close(&values[2], 5.0) && close(&values[3], 80.0 / 15.0),
        "{values:?}"
    );
}

#[tokio::test]
async fn a_reset_counts_from_zero() {
    // +50, then a restart and 20 since, then +10: 80 in 15 s.
    assert!(close(&last(&rate_of("c", None), &["c 100", "c 150", "c 20", "c 30"]).await, 80.0 / 15.0));
}

#[tokio::test]
async fn a_ratio_knows_zero_from_nothing() {
    let ratio = rate_of("r{code=~\"5..\"}", Some("r"));
    let values = over(
        &ratio,
        &["r{code=\"200\"} 0", "r{code=\"200\"} 100", "r{code=\"200\"} 190\nr{code=\"500\"} 10"],
    )
    .await;
    assert_eq!(values[1], Ok(0.0), "no error has ever happened");
    assert!(close(&values[2], 0.0), "the process does not tell who it is: {values:?}");
    // The first errors ever count where the process is known to be the same.
    let page = |rest: &str| format!("process_start_time_seconds 5\n{rest}");
    let pages =
        ["r{code=\"200\"} 0", "r{code=\"200\"} 100", "r{code=\"200\"} 190\nr{code=\"500\"} 10"].map(page);
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    assert!(close(&last(&ratio, &pages).await, 10.0 / 200.0));
    // No traffic is no rate of errors, and an unknown metric is no zero.
    assert_eq!(last(&ratio, &["r{code=\"200\"} 5", "r{code=\"200\"} 5"]).await, Err(Missing::ZeroByZero));
    assert_eq!(last(&rate_of("errors_total", Some("r")), &["r 1", "r 2"]).await, Err(Missing::NoData));
    assert_eq!(last(&rate_of("r", Some("requests")), &["r 1", "r 2"]).await, Err(Missing::NoData));
    // … unless it is declared, as clients do before the first occurrence.
    let declared = "# TYPE errors_total counter\nr";
    assert_eq!(
        last(&rate_of("errors_total", Some("r")), &[&format!("{declared} 1"), &format!("{declared} 2")])
            .await,
        Ok(0.0)
    );
}

#[tokio::test]
async fn processes_behind_one_address_are_told_apart() {
    let pod = |start: u32, count: u32| format!("process_start_time_seconds {start}\nc {count}\n");
    // Two pods answer in turn, one at 1000 and one at 5: taken for one, every other scrape would be a reset.
    let pages = [pod(1, 1000), pod(2, 5), pod(1, 1100), pod(2, 105), pod(1, 1200)];
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    // 200 in 20 s and 100 in 10 s.
    assert!(close(&last(&rate_of("c", None), &pages).await, 20.0));
}

#[tokio::test]
async fn the_window_is_a_minute() {
    let page = Page::default();
    let adapter = page.adapter().await;
    let metric = rate_of("c", None);
    let mut value = Err(Missing::NoData);
    for tick in 0..40_u64 {
        // A burst long ago, then one a second.
        page.set(format!("c {}", if tick == 0 { 0 } else { 10_000 + 5 * tick }));
        value = adapter.sample(&metric, None, NOW + Span::from_secs(5 * tick)).await.value;
    }
    assert!(close(&value, 1.0), "{value:?}");
}

#[tokio::test]
async fn a_metric_asked_for_later_begins_later() {
    let page = Page::default();
    let adapter = page.adapter().await;
    let (a, b) = (gauge_of("a"), rate_of("b", None));
    let text = |count: u32| format!("process_start_time_seconds 1\na 1\nb {count}\n");
    page.set(text(1_000_000));
    for tick in 0..3 {
        adapter.sample(&a, None, NOW + Span::from_secs(5 * tick)).await.value.unwrap();
    }
    // The scrapes before did not look for it; that is not the same as its not being there.
    assert_eq!(adapter.sample(&b, None, NOW + Span::from_secs(10)).await.value, Err(Missing::NoData));
    page.set(text(1_000_050));
    assert_eq!(adapter.sample(&b, None, NOW + Span::from_secs(15)).await.value, Ok(10.0));
}

#[tokio::test]
async fn quantiles_follow_prometheus() {
    let histogram = |counts: [u32; 4]| {
        let [a, b, c, d] = counts;
        format!(
            "h_bucket{{le=\"0.1\",s=\"x\"}} {a}\nh_bucket{{le=\"0.5\",s=\"x\"}} {b}\nh_bucket{{s=\"x\",le=\"1\"}} {c}\n\
             h_bucket{{s=\"x\",le=\"+Inf\"}} {d}\nh_bucket{{s=\"y\",le=\"0.1\"}} 9\nh_sum 1\nh_count {d}\n"
        )
    };
    let (before, after) = (histogram([100, 100, 100, 100]), histogram([150, 180, 195, 200]));
    for (quantile, wanted) in [
        (0.0, 0.0),
        (0.25, 0.05),
        (0.5, 0.1),
        (0.65, 0.3),
        (0.8, 0.5),
        (0.9, 0.5 + 0.5 * 10.0 / 15.0),
        (0.95, 1.0),
        (0.99, 1.0),
        (1.0, 1.0),
    ] {
        let value = last(&quantile_of(quantile, "h{s=\"x\"}"), &[&before, &after]).await;
        assert!(close(&value, wanted), "{quantile}: {value:?}, wanted {wanted}");
    }
    let p95 = quantile_of(0.95, "h{s=\"x\"}");
    assert_eq!(over(&p95, &[&before, &before]).await, [Err(Missing::NoData), Err(Missing::ZeroByZero)]);
    assert_eq!(last(&quantile_of(0.95, "nothing"), &[&before, &after]).await, Err(Missing::NoData));
    assert_eq!(last(&quantile_of(1.5, "h{s=\"x\"}"), &[&before, &after]).await, Err(Missing::NotANumber));
    let cut = "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 5";
    let told = last(&quantile_of(0.5, "h"), &[cut, cut]).await.unwrap_err().to_string();
    assert!(told.contains("without its bucket `+Inf`"), "{told}");
}

#[tokio::test]
async fn a_federation_is_taken_at_its_own_times() {
    let metric = rate_of("c", None);
    let at = |seconds: i64, count: u32| format!("c{{job=\"x\"}} {count} {}\n", NOW.0 + seconds * 1000);
    // Scraped every five seconds, renewed every ten: what is not new says nothing.
    let pages = [at(-2, 100), at(-2, 100), at(8, 150), at(8, 150)];
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let values = over(&metric, &pages).await;
    assert_eq!(values[1], Err(Missing::NoData));
    assert!(close(&values[2], 5.0) && close(&values[3], 5.0), "{values:?}");
    let told = last(&gauge_of("c"), &[&at(-91, 1)]).await;
    assert_eq!(told, Err(Missing::Stale("the newest point is 91s old".into())));
    let told = last(&gauge_of("c"), &[&at(11, 1)]).await;
    assert_eq!(told, Err(Missing::Stale("its clock is 11s ahead of ours".into())));
}

#[tokio::test]
async fn a_clock_that_steps_back_starts_anew() {
    let page = Page::default();
    let adapter = page.adapter().await;
    let metric = rate_of("c", None);
    page.set("c 100");
    adapter.sample(&metric, None, NOW).await;
    page.set("c 200");
    assert_eq!(adapter.sample(&metric, None, NOW - Span::from_secs(30)).await.value, Err(Missing::NoData));
    page.set("c 250");
    assert_eq!(adapter.sample(&metric, None, NOW - Span::from_secs(25)).await.value, Ok(10.0));
}

#[tokio::test]
async fn pages_that_are_no_exposition_are_missing() {
    let gauge = gauge_of("up");
    for (reply, says) in [
        (Reply::text("<html>"), "status 200 with an HTML page instead of metrics"),
        (
            Reply::text("{\"status\":\"ok\"}"),
            "not metrics in text format: line 1 is not a metric: {\"status\":\"ok\"}",
        ),
        (
            Reply::text("up 1\nwelcome to the jungle"),
            "not metrics in text format: line 2 is not a metric: welcome to the jungle",
        ),
        (Reply::text(b"up 1\n\xff\xfe 1"), "the answer is not text"),
        (Reply::http("404 Not Found", "text/plain", "up 1"), "status 404"),
        (Reply::text("x".repeat(9 << 20)), "is longer than 8 MiB"),
    ] {
        let (address, _) = serve(move |_| reply.clone()).await;
        let told = scraper(address).sample(&gauge, None, NOW).await.value;
        assert!(
            matches!(&told, Err(Missing::BadAnswer(why)) if why.ends_with(says)),
            "{told:?}, wanted {says}"
        );
    }
    assert_eq!(last(&gauge, &[""]).await, Err(Missing::NoData));
}

#[tokio::test]
async fn selectors_that_we_cannot_follow_are_refused() {
    for (selector, says) in [
        ("sum(up)", "write it as name"),
        ("up[5m]", "write it as name"),
        ("up offset 5m", "need a Prometheus"),
        ("{code=\"500\"}", "must name the metric"),
        ("up{code=~\"(\"}", "is not a valid selector"),
        ("", "is not a valid selector"),
    ] {
        let told = last(&gauge_of(selector), &["up 1"]).await;
        assert!(matches!(&told, Err(Missing::BadAnswer(why)) if why.contains(says)), "{selector}: {told:?}");
    }
}

fn counted(good: bool) -> Metric {
    crate::adapters::metrics::tests::metric(crate::domain::metric::Query::Counted(
        crate::domain::metric::Counted {
            source: "s".into(),
            scraped: true,
            part: "requests_total{code=\"500\"}".into(),
            good,
            all: "requests_total".into(),
        },
    ))
}

/// What each of the pages has added to the one before it, five seconds apart.
async fn added(pages: &[&str]) -> Vec<(f64, f64)> {
    let page = Page::default();
    let adapter = page.adapter().await;
    let metric = counted(false);
    let mut lane = crate::domain::evidence::lane::Lane::new(metric.counted().unwrap());
    let mut added = Vec::new();
    for (tick, text) in pages.iter().enumerate() {
        page.set(*text);
        let now = NOW + Span::from_secs(5 * u64::try_from(tick).unwrap());
        let answer = adapter.count(&metric, None, now).await.unwrap();
        let counts = lane.take(&answer);
        added.push((counts.bad, counts.all));
    }
    added
}

#[tokio::test]
async fn scraped_counters_are_counted_series_by_series() {
    let pages = [
        "requests_total{code=\"200\"} 100\nrequests_total{code=\"500\"} 2\n",
        "requests_total{code=\"200\"} 190\nrequests_total{code=\"500\"} 5\n",
        // Restarted.
        "requests_total{code=\"200\"} 10\nrequests_total{code=\"500\"} 1\n",
    ];
    assert_eq!(added(&pages).await, [(0.0, 0.0), (3.0, 93.0), (1.0, 11.0)]);
}

#[tokio::test]
async fn processes_behind_one_address_are_counted_each_on_its_own() {
    let page = |process: u32, all: u32, bad: u32| {
        format!(
            "process_start_time_seconds {process}\nrequests_total{{code=\"200\"}} {all}\nrequests_total{{code=\"500\"}} {bad}\n"
        )
    };
    let pages = [page(1, 100, 0), page(2, 5000, 7), page(1, 150, 2), page(2, 5050, 7)];
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    assert_eq!(added(&pages).await, [(0.0, 0.0), (0.0, 0.0), (2.0, 52.0), (0.0, 50.0)]);
}
