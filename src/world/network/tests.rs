use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use reqwest::{Certificate, Client, Proxy, StatusCode};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value as Json, json};
use tokio_rustls::TlsConnector;

use super::*;
use crate::world::{
    stage::Picture,
    traffic::tests::{NEW, OLD, START_MS, furniture, slots},
};

/// A cluster that tests set by hand.
struct Cluster(Mutex<Picture>);

impl Cluster {
    fn set(&self, picture: Picture) {
        *self.0.lock().unwrap() = picture;
    }
}

impl Stage for Cluster {
    fn picture(&self) -> Picture {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct World {
    network: Arc<Network>,
    cluster: Arc<Cluster>,
    now: Arc<AtomicI64>,
    client: Client,
}

impl World {
    /// A world in which time stands still until it is set.
    async fn begin(scenario: Scenario) -> Self {
        // Another test may have installed it before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let cluster = Arc::new(Cluster(Mutex::new(slots(OLD, "blue", None))));
        let now = Arc::new(AtomicI64::new(START_MS));
        let read = Arc::clone(&now);
        let config = NetworkConfig {
            furniture: furniture(),
            scenario,
            clock: WorldClock::new(Arc::new(move || read.load(Ordering::SeqCst)), 60.0),
            stage: Arc::clone(&cluster) as Arc<dyn Stage>,
            prometheus_hosts: vec!["prometheus.internal:9090".into(), "Prometheus.example.com".into()],
            seed: 7,
        };
        let short_past = metrics::Settings { history_ms: 120_000, ..metrics::Settings::default() };
        let network = Network::start_with(config, short_past).await.unwrap();
        let client = Client::builder()
            .proxy(Proxy::all(network.proxy_url()).unwrap())
            .tls_certs_only([Certificate::from_pem(network.ca_pem().as_bytes()).unwrap()])
            .build()
            .unwrap();
        Self { network, cluster, now, client }
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    async fn get(&self, url: &str) -> (StatusCode, String) {
        let response = self.client.get(url).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn json(&self, url: &str) -> Json {
        serde_json::from_str(&self.get(url).await.1).unwrap()
    }
}

#[tokio::test]
async fn doors_lead_to_their_slots_by_http_and_https() {
    let world = World::begin(Scenario::Good).await;
    world.cluster.set(slots(NEW, "blue", None));
    let version = |version: &str, slot: &str| json!({ "version": version, "environment": slot });
    for scheme in ["http", "https"] {
        let front = format!("{scheme}://api.payment-system.com/version");
        let green = format!("{scheme}://green.api.payment-system.com/version");
        assert_eq!(world.json(&front).await, version("v1.5.0", "blue"));
        assert_eq!(world.json(&green).await, version("v1.6.0", "green"));
    }
    world.cluster.set(slots(NEW, "green", None));
    assert_eq!(world.json("https://api.payment-system.com/version").await, version("v1.6.0", "green"));
    for path in ["health", "health/db"] {
        let (status, body) = world.get(&format!("https://green.api.payment-system.com/{path}")).await;
        assert!(status.is_success() && body.contains("\"ok\""), "{body}");
    }
    let mut down = slots(NEW, "green", None);
    down.backends[1].ready = 0;
    world.cluster.set(down);
    assert_eq!(world.get("https://api.payment-system.com/health").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.get("https://blue.api.payment-system.com/health").await.0, StatusCode::OK);
}

#[tokio::test]
async fn prometheus_answers_under_its_hosts_and_directly() {
    let world = World::begin(Scenario::Good).await;
    let direct = world.network.prometheus_url();
    for base in [
        "http://prometheus.internal:9090",
        "http://prometheus.example.com",
        "https://prometheus.example.com:9443",
    ] {
        let answer = world.json(&format!("{base}/api/v1/query?query=up%7Bslot%3D%22blue%22%7D")).await;
        assert_eq!(answer["data"]["result"][0]["value"], json!([START_MS / 1_000, "1"]), "{base}");
    }
    // Another port of that name is not Prometheus.
    assert_eq!(world.json("http://prometheus.internal/api/v1/query?query=up").await["state"], "success");

    let plain = Client::builder().no_proxy().build().unwrap();
    let form = [("query", "count(up)"), ("time", "1764000000")];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = plain.post(format!("{direct}/api/v1/query"));
    let response = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer: Json = response.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["result"][0]["value"][1], "3");
    for path in ["/-/ready", "/-/healthy", "/metrics", "/federate?match[]=up"] {
        assert_eq!(
            plain.get(format!("{direct}{path}")).send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
    let wrong = plain.get(format!("{direct}/api/v1/query?query=sum(")).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert_eq!(plain.get(format!("{direct}/nothing")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert!(world.network.inbox().is_empty());
}

#[tokio::test]
async fn metrics_follow_the_clock_and_the_switch() {
    let world = World::begin(Scenario::Good).await;
    world.cluster.set(slots(NEW, "green", Some(START_MS)));
    world.pass(120);
    let rate = "http://prometheus.internal:9090/api/v1/query?query=\
                sum%20by%20(slot)(rate(http_requests_total%7Bhandler!%3D%22%2Fhealth%22%7D%5B1m%5D))";
    let answer = world.json(rate).await;
    let of =
        |slot: usize| answer["data"]["result"][slot]["value"][1].as_str().unwrap().parse::<f64>().unwrap();
    assert!(of(0) < 0.001);
    assert!((of(1) - 40.0).abs() < 5.0, "{answer}");

    let exposition = world.get("https://api.payment-system.com/metrics").await.1;
    assert!(exposition.contains("slot=\"blue\"") && exposition.contains("slot=\"green\""));
    let green = world.get("https://green.api.payment-system.com/metrics").await.1;
    assert!(
        green.contains("app_info{slot=\"green\",version=\"v1.6.0\"} 1") && !green.contains("slot=\"blue\"")
    );
}

#[tokio::test]
async fn an_outage_takes_all_metrics_down_in_three_ways() {
    let world = World::begin(Scenario::MetricsOutage).await;
    world.cluster.set(slots(NEW, "green", Some(START_MS)));
    let direct = format!("{}/-/ready", world.network.prometheus_url());
    let urls = ["http://prometheus.internal:9090/-/ready", "https://api.payment-system.com/metrics", &direct];
    world.pass(59);
    for url in urls {
        assert_eq!(world.get(url).await.0, StatusCode::OK);
    }
    assert!(!world.network.is_metrics_outage());
    world.pass(2);
    // A client that keeps no connections asks exactly once, so the ways come in their order.
    let once = || Client::builder().pool_max_idle_per_host(0).no_proxy();
    let plain = once().build().unwrap();
    let authority = Certificate::from_pem(world.network.ca_pem().as_bytes()).unwrap();
    let proxy = Proxy::all(world.network.proxy_url()).unwrap();
    let proxied = once().proxy(proxy).tls_certs_only([authority]).build().unwrap();
    for url in urls {
        let client = if *url == direct { &plain } else { &proxied };
        assert!(client.get(url).send().await.is_err_and(|error| !error.is_timeout()), "{url}: refused");
        let silent = tokio::time::timeout(Duration::from_millis(100), client.get(url).send());
        assert!(silent.await.is_err(), "{url}: silent");
        assert_eq!(client.get(url).send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE, "{url}");
    }
    assert!(world.network.is_metrics_outage());
    assert_eq!(
        world.get("https://api.payment-system.com/health").await.0,
        StatusCode::OK,
        "the application lives"
    );
    world.cluster.set(slots(NEW, "blue", Some(START_MS + 61_000)));
    world.pass(600);
    assert!(plain.get(&direct).send().await.is_err(), "no rollback brings them back");
}

#[tokio::test]
async fn other_hosts_are_well_and_posts_are_kept() {
    let world = World::begin(Scenario::Good).await;
    let well = world.json("https://grafana.payment-system.com/d/deployment-dashboard").await;
    assert_eq!(
        well,
        json!({ "status": "ok", "state": "success", "conclusion": "success", "database": "ok" })
    );
    assert_eq!(world.json("https://ci.example.com/repos/x/status").await["state"], "success");

    let hook = "https://hooks.slack.com/services/A/B?x=1";
    let response = world.client.post(hook).body(r#"{"text":"hello"}"#).send().await.unwrap();
    assert_eq!((response.status(), response.text().await.unwrap()), (StatusCode::OK, "ok".to_owned()));
    world.client.put("http://status.example.com:8080/page").body("up").send().await.unwrap();
    assert_eq!(
        world.network.inbox(),
        [
            (hook.to_owned(), r#"{"text":"hello"}"#.to_owned()),
            ("http://status.example.com:8080/page".to_owned(), "up".to_owned()),
        ]
    );
    let large = world.client.post(hook).body(vec![b'x'; (1 << 20) + 1]).send().await.unwrap();
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn names_resolve_to_the_load_balancer_but_for_invalid_ones() {
    let world = World::begin(Scenario::Good).await;
    let address = |text: &str| vec![text.parse::<IpAddr>().unwrap()];
    assert_eq!(world.network.resolve("api.payment-system.com"), address("203.0.113.10"));
    assert_eq!(world.network.resolve("api.payment-system.com."), address("203.0.113.10"));
    assert_eq!(world.network.resolve("192.0.2.7"), address("192.0.2.7"));
    assert_eq!(world.network.resolve("[2001:db8::1]"), address("2001:db8::1"));
    for name in ["nowhere.invalid", "Nowhere.INVALID.", "invalid", ""] {
        assert!(world.network.resolve(name).is_empty(), "{name}");
    }
    assert_eq!(world.get("http://nowhere.invalid/health").await.0, StatusCode::BAD_GATEWAY);
    assert!(world.client.get("https://nowhere.invalid/health").send().await.is_err());
}

/// The certificate that the TLS listener shows for `name`, verified against the world's authority.
async fn certificate(world: &World, name: &'static str) -> CertificateDer<'static> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.network.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(world.network.tls_addr()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from(name).unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn certificates_are_for_the_name_and_for_eighty_one_days() {
    let world = World::begin(Scenario::Good).await;
    let der = certificate(&world, "api.payment-system.com").await;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let validity = parsed.validity();
    // The tests' world lies in the past: days are left from the wall's now, and the week counts back from the world's.
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let left = validity.not_after.timestamp() - i64::try_from(wall.as_secs()).unwrap();
    assert!((80 * 24 * 3_600..=81 * 24 * 3_600).contains(&left), "{left} s left");
    assert_eq!(validity.not_before.timestamp(), START_MS / 1_000 - 7 * 24 * 3_600);
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert!(format!("{:?}", names.value).contains("api.payment-system.com"));
    assert_eq!(certificate(&world, "api.payment-system.com").await, der, "minted once");
    assert_ne!(certificate(&world, "green.api.payment-system.com").await, der);
}

#[tokio::test]
async fn who_does_not_trust_the_authority_gets_nowhere() {
    let world = World::begin(Scenario::Good).await;
    let other = World::begin(Scenario::Good).await;
    let stranger = Client::builder()
        .proxy(Proxy::all(world.network.proxy_url()).unwrap())
        .tls_certs_only([Certificate::from_pem(other.network.ca_pem().as_bytes()).unwrap()])
        .build()
        .unwrap();
    assert!(stranger.get("https://api.payment-system.com/health").send().await.is_err());
    assert_eq!(stranger.get("http://api.payment-system.com/health").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_dropped_network_is_gone() {
    let World { network, client, .. } = World::begin(Scenario::Good).await;
    let url = "https://api.payment-system.com/health";
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
    let address = network.tls_addr();
    drop(network);
    // The tasks end when they are next run; connecting again fails as soon as they have.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(client.get(url).send().await.is_err());
}
