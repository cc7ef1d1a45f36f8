use super::*;
use crate::{
    domain::survey::{FoundContainer, FoundService, Labels},
    init::shape::choose,
    world::{
        metrics::store::{Store, named},
        promql::{Engine, Value},
    },
};

const NOW: i64 = 1_795_000_000_000;

/// A series by name and labels, with its increase a second.
type Rising<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// A Prometheus with these series, each of which has risen steadily for ten minutes.
struct Fake {
    store: Store,
    engine: Engine,
    is_gone: bool,
}

impl Fake {
    /// Series by name and labels, with their increase a second.
    fn new(series: &[Rising<'_>]) -> Self {
        let mut store = Store::new(3_600_000);
        for (name, labels, rate) in series {
            let id = store.series(named(name, labels.iter().copied()));
            for second in (0..=600).step_by(15) {
                store.append(
                    id,
                    NOW - 600_000 + second * 1_000,
                    f64::from(u32::try_from(second).unwrap()) * rate,
                );
            }
        }
        Self { store, engine: Engine::default(), is_gone: false }
    }
}

#[async_trait]
impl Numbers for Fake {
    async fn number(&self, query: &str, slot: Option<&SlotLabels>) -> Result<f64, Missing> {
        if self.is_gone {
            return Err(Missing::Unreachable("nobody there".to_owned()));
        }
        let mut query = query.to_owned();
        for place in ["slot", "deployment", "hash", "version"] {
            let name = format!("${place}");
            if let Some(value) = slot.filter(|_| query.contains(&name)).and_then(|slot| slot.value(place)) {
                query = query.replace(&name, value?);
            }
        }
        assert!(!query.contains('$'), "{query}");
        match self.engine.instant(&self.store, &query, NOW).unwrap() {
            Value::Vector(elements) => match elements.as_slice() {
                [] if query.contains(" / ") => Err(Missing::EmptyRatio),
                [] => Err(Missing::NoData),
                [one] if one.value.is_nan() => Err(Missing::ZeroByZero),
                [one] => Ok(one.value),
                more => Err(Missing::Ambiguous(format!("{} series", more.len()))),
            },
            _ => Err(Missing::NotANumber),
        }
    }

    async fn labels(&self, metric: &str) -> Result<Vec<String>, Missing> {
        let all = self.store.alive(i64::MIN, NOW).into_iter().filter(|labels| labels.metric() == metric);
        let mut names: Vec<String> =
            all.flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn deployment(name: &str, slot: &str, ready: u32) -> FoundDeployment {
    FoundDeployment {
        name: name.to_owned(),
        labels: labels(&[("app", "shop"), ("track", slot)]),
        containers: vec![FoundContainer {
            name: "app".to_owned(),
            image: "shop:v1.5.0".to_owned(),
            ..FoundContainer::default()
        }],
        replicas: ready,
        ready,
        hash: Some(format!("hash{slot}")),
        ..FoundDeployment::default()
    }
}

/// Two Deployments behind one Service, the canary with so many pods.
fn two(canaries: u32) -> Survey {
    Survey {
        namespace: "prod".to_owned(),
        services: vec![FoundService {
            name: "shop".to_owned(),
            selector: labels(&[("app", "shop")]),
            headless: false,
        }],
        deployments: vec![
            deployment("shop-stable", "stable", 3),
            deployment("shop-canary", "canary", canaries),
        ],
        ..Survey::default()
    }
}

fn one() -> Survey {
    Survey { deployments: vec![deployment("shop", "only", 3)], ..two(0) }
}

async fn asked(fake: &Fake, survey: &Survey) -> Measured {
    measure(fake, survey, &choose(survey, None).unwrap()).await
}

/// How the first metric is measured, in words.
fn said(measured: &Measured) -> String {
    match &measured.metrics[0].measure {
        Measure::Counted { all, .. } => all.clone(),
        Measure::Query(query) => query.clone(),
    }
}

const REQUESTS: &str = "http_requests_total";
const BUCKETS: &str = "http_request_duration_seconds_bucket";

#[tokio::test]
async fn pods_of_two_deployments_are_told_apart_by_their_names() {
    let stable: &[(&str, &str)] = &[("pod", "shop-stable-6f7d-x1"), ("namespace", "prod"), ("code", "200")];
    let broken: &[(&str, &str)] = &[("pod", "shop-stable-6f7d-x1"), ("namespace", "prod"), ("code", "500")];
    let canary: &[(&str, &str)] = &[("pod", "shop-canary-77aa-x2"), ("namespace", "prod"), ("code", "200")];
    let fake = Fake::new(&[(REQUESTS, stable, 99.0), (REQUESTS, broken, 1.0), (REQUESTS, canary, 5.0)]);
    let measured = asked(&fake, &two(1)).await;
    let [errors] = measured.metrics.as_slice() else { panic!("{measured:?}") };
    let only = "namespace=\"prod\",pod=~\"$deployment-[a-z0-9]+-[a-z0-9]+\"";
    let counted = Measure::Counted {
        bad: format!("http_requests_total{{code=~\"5..\",{only}}}"),
        all: format!("http_requests_total{{{only}}}"),
    };
    assert_eq!(errors.measure, counted);
    // One in a hundred fails: that is usual here.
    assert_eq!((errors.normal.as_str(), errors.alert.as_str()), ("< 2%", "> 4%"));
    assert_eq!(errors.harmless.as_deref(), Some("2%"));
    assert!(errors.found[0].contains("stable: 1 %, canary: 0 %"), "{errors:?}");
    assert_eq!(
        measured.gaps,
        ["none of the usual metrics of durations is there, such as http_request_duration_seconds"]
    );
}

#[tokio::test]
async fn a_label_of_the_slot_goes_before_and_a_slot_without_pods_is_no_reason() {
    let series: &[(&str, &str)] = &[("track", "stable"), ("job", "shop"), ("status", "200")];
    let bucket = |le: &'static str| [("track", "stable"), ("le", le)];
    let (fast, all) = (bucket("0.1"), bucket("+Inf"));
    let fake = Fake::new(&[(REQUESTS, series, 10.0), (BUCKETS, &fast, 10.0), (BUCKETS, &all, 10.0)]);
    let measured = asked(&fake, &two(0)).await;
    let measures: Vec<Measure> = measured.metrics.iter().map(|metric| metric.measure.clone()).collect();
    let counted = Measure::Counted {
        bad: "http_requests_total{status=~\"5..\",job=\"shop\",track=\"$slot\"}".to_owned(),
        all: "http_requests_total{job=\"shop\",track=\"$slot\"}".to_owned(),
    };
    let latency = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{track=\"$slot\"}[1m])))";
    assert_eq!(measures, [counted, Measure::Query(latency.to_owned())]);
    assert_eq!(measured.metrics[0].harmless.as_deref(), Some("0.1%"));
    assert!(measured.metrics[0].found[0].contains("canary: no pods"), "{measured:?}");
    assert_eq!((measured.metrics[1].normal.as_str(), measured.metrics[1].unit), ("< 300ms", "s"));
}

#[tokio::test]
async fn revisions_of_one_deployment_are_told_apart_by_their_hash() {
    let pod: &[(&str, &str)] = &[("pod", "shop-hashonly-x1"), ("code", "200")];
    let measured = asked(&Fake::new(&[(REQUESTS, pod, 10.0)]), &one()).await;
    assert!(said(&measured).contains("pod=~\"$deployment-$hash-[a-z0-9]+\""), "{measured:?}");
    let label: &[(&str, &str)] = &[("pod_template_hash", "hashonly"), ("pod", "x"), ("code", "200")];
    let measured = asked(&Fake::new(&[(REQUESTS, label, 10.0)]), &one()).await;
    assert!(said(&measured).contains("pod_template_hash=\"$hash\""), "{measured:?}");
    let version: &[(&str, &str)] = &[("version", "v1.5.0"), ("code", "200")];
    let measured = asked(&Fake::new(&[(REQUESTS, version, 10.0)]), &one()).await;
    assert!(said(&measured).contains("version=\"$version\""), "{measured:?}");
}

#[tokio::test]
async fn what_tells_no_slot_or_no_status_is_a_gap_that_says_what_was_seen() {
    let no_slot: &[(&str, &str)] = &[("instance", "10.0.0.1:8080"), ("code", "200")];
    let measured = asked(&Fake::new(&[(REQUESTS, no_slot, 10.0)]), &two(1)).await;
    assert!(measured.metrics.is_empty());
    assert!(
        measured.gaps[0].contains(
            "1 series, and no label of them is that of stable or canary; its labels: code, instance"
        ),
        "{measured:?}"
    );
    let measured = asked(&Fake::new(&[(REQUESTS, no_slot, 10.0)]), &one()).await;
    let advice = measured.gaps.last().unwrap();
    assert!(advice.contains("pod_template_hash") && measured.gaps[0].contains("hashonly"), "{measured:?}");
    let no_status: &[(&str, &str)] = &[("pod", "shop-hashonly-x1")];
    let measured = asked(&Fake::new(&[(REQUESTS, no_status, 10.0)]), &one()).await;
    assert!(measured.gaps[0].contains("has no label with the status; its labels: pod"), "{measured:?}");
    let gone = Fake { is_gone: true, ..Fake::new(&[]) };
    assert_eq!(asked(&gone, &one()).await.gaps, ["Prometheus did not answer: nobody there"]);
}

#[tokio::test]
async fn a_live_slot_without_requests_proves_no_query() {
    let idle: &[(&str, &str)] = &[("pod", "shop-hashonly-x1"), ("code", "200")];
    let measured = asked(&Fake::new(&[(REQUESTS, idle, 0.0)]), &one()).await;
    assert!(
        measured.metrics.is_empty() && measured.gaps[0].contains("http_requests_total: old: "),
        "{measured:?}"
    );
}

#[tokio::test]
async fn the_mesh_is_asked_for_what_the_server_saw() {
    let of = |reporter: &'static str| {
        [
            ("destination_workload", "shop"),
            ("reporter", reporter),
            ("response_code", "200"),
            ("destination_version", "v1.5.0"),
        ]
    };
    let (source, server) = (of("source"), of("destination"));
    let fake = Fake::new(&[("istio_requests_total", &source, 10.0), ("istio_requests_total", &server, 10.0)]);
    let measured = asked(&fake, &one()).await;
    assert!(
        said(&measured).contains("{reporter=\"destination\",destination_version=\"$version\"}"),
        "{measured:?}"
    );
}
