//! The application that the pods only pretend to be: users' requests go to the pods behind the Service's real endpoints, and
//! every version errs as ordered. What it counts, a real Prometheus scrapes.

#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use kube::Client;
use parking_lot::Mutex;
use serde_json::Value;

use super::{ground::WORLD, plane::PLANE};

#[path = "../support/prometheus.rs"]
pub(crate) mod server;

pub(crate) use server::Prometheus;

/// Requests of all users in a second.
const RATE: f64 = 200.0;

/// What leads users to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The Service: every pod behind it gets the same part.
    Service,
    /// The rule of the route `backend` with this number: as much as each backend weighs. No gateway serves it: this plays one.
    Route(usize),
}

/// Pods that share a part of all requests: slot and image tag of each.
struct Backend {
    part: f64,
    pods: Vec<(String, String)>,
}

/// What was counted of one slot, or of one revision of the Deployment that has no slots.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) good: f64,
    pub(crate) bad: f64,
}

#[derive(Default)]
struct State {
    /// Errors of all requests, by image tag.
    errs: BTreeMap<String, f64>,
    counted: BTreeMap<String, Counted>,
    /// Requests that found no pod.
    unanswered: f64,
    /// The slot and the image tag that the users have.
    live: (String, String),
}

/// The application of one namespace, with its Prometheus.
pub(crate) struct App {
    state: Arc<Mutex<State>>,
    ends: Arc<AtomicBool>,
    /// The generation of the route by which users' requests go, where a route leads them.
    pub(crate) generation: Arc<AtomicI64>,
    pub(crate) url: String,
    prometheus: Option<Prometheus>,
}

impl App {
    pub(crate) fn start(namespace: &str, way: Way) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let url = listen(&state, &ends);
        let (users, ended, namespace) = (Arc::clone(&state), Arc::clone(&ends), namespace.to_owned());
        let generation = Arc::new(AtomicI64::new(0));
        let now = Arc::clone(&generation);
        std::thread::spawn(move || {
            let client = WORLD.block_on(PLANE.client());
            let mut last = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                // Nobody knows where users go while the API server rests: nodes keep the rules that they have.
                let Some((backends, by)) = WORLD.block_on(behind(&client, &namespace, way)) else { continue };
                let requests = RATE * last.elapsed().as_secs_f64();
                last = Instant::now();
                users.lock().serve(&backends, requests);
                now.store(by, Ordering::Relaxed);
            }
        });
        Self { state, ends, generation, url, prometheus: None }
    }

    /// Its users are always where they are told to be: the API server is not asked, which would be a load of its own where
    /// thousands of pods are.
    pub(crate) fn steady(slot: &str, tag: &str) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let url = listen(&state, &ends);
        let (users, ended) = (Arc::clone(&state), Arc::clone(&ends));
        let backends = [Backend { part: 1.0, pods: vec![(slot.to_owned(), tag.to_owned())] }];
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_secs(1));
                users.lock().serve(&backends, RATE);
            }
        });
        Self { state, ends, generation: Arc::default(), url, prometheus: None }
    }

    /// With a Prometheus that scrapes it each second. Of a Deployment without slots its series have the revision where teams
    /// put it, too.
    pub(crate) fn with_prometheus(mut self, dir: &Path) -> Self {
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs: [{{ job_name: app, static_configs: [{{ targets: ['{}'] }}], metric_relabel_configs: [{{ \
             source_labels: [slot], regex: '([a-z0-9]{{8,10}})', target_label: pod_template_hash }}] }}]\n",
            self.url.trim_start_matches("http://")
        );
        self.prometheus = Some(prometheus(dir, &config));
        self
    }

    pub(crate) fn prometheus(&self) -> String {
        self.prometheus.as_ref().map(|it| it.url.clone()).unwrap_or_default()
    }

    pub(crate) fn stop_prometheus(&mut self) {
        self.prometheus = None;
    }

    /// From now on so many of a version's requests fail.
    pub(crate) fn errs(&self, tag: &str, ratio: f64) {
        self.state.lock().errs.insert(tag.to_owned(), ratio);
    }

    pub(crate) fn counted(&self, slot: &str) -> Counted {
        self.state.lock().counted.get(slot).copied().unwrap_or_default()
    }

    /// Everything that was counted, for whoever reads why a test has failed.
    pub(crate) fn told_of(&self) -> String {
        let state = self.state.lock();
        format!("counted {:?}, unanswered {}", state.counted, state.unanswered)
    }

    /// Requests that a pod has answered.
    pub(crate) fn served(&self) -> f64 {
        self.state.lock().counted.values().map(|counted| counted.good + counted.bad).sum()
    }

    /// What was before does not count: pods were still starting.
    pub(crate) fn forget_unanswered(&self) {
        self.state.lock().unanswered = 0.0;
    }

    pub(crate) fn unanswered(&self) -> f64 {
        self.state.lock().unanswered
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Its listener waits for somebody.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

impl State {
    fn serve(&mut self, backends: &[Backend], requests: f64) {
        if backends.is_empty() {
            self.unanswered += requests;
        }
        for Backend { part, pods } in backends {
            let Some(first) = pods.first() else {
                self.unanswered += requests * part;
                continue;
            };
            self.live.clone_from(first);
            #[expect(clippy::cast_precision_loss, reason = "a handful of pods")]
            let each = requests * part / pods.len() as f64;
            for (slot, tag) in pods {
                let bad = each * self.errs.get(tag).copied().unwrap_or(0.0);
                let counted = self.counted.entry(slot.clone()).or_default();
                counted.good += each - bad;
                counted.bad += bad;
            }
        }
    }

    fn exposition(&self) -> String {
        let mut text = String::from("db_connections 20\n");
        for (slot, Counted { good, bad }) in &self.counted {
            let (all, slot) = (good + bad, format!("slot=\"{slot}\""));
            // Every request takes 80 ms.
            let _ = write!(
                text,
                "http_requests_total{{{slot},code=\"200\"}} {good}\n\
                 http_requests_total{{{slot},code=\"503\"}} {bad}\n\
                 payments_total{{{slot},result=\"success\"}} {good}\n\
                 payments_total{{{slot},result=\"failure\"}} {bad}\n\
                 http_request_duration_seconds_bucket{{{slot},le=\"0.05\"}} 0\n\
                 http_request_duration_seconds_bucket{{{slot},le=\"0.1\"}} {all}\n\
                 http_request_duration_seconds_bucket{{{slot},le=\"0.2\"}} {all}\n\
                 http_request_duration_seconds_bucket{{{slot},le=\"+Inf\"}} {all}\n\
                 http_request_duration_seconds_count{{{slot}}} {all}\n\
                 http_request_duration_seconds_sum{{{slot}}} {}\n\
                 http_error_rate{{{slot}}} {}\n\
                 process_cpu_utilization{{{slot}}} 0.4\n\
                 container_memory_usage_ratio{{{slot}}} 0.5\n",
                all * 0.08,
                if all > 0.0 { bad / all } else { 0.0 },
            );
        }
        text
    }

    /// What everybody who asks over HTTP wants to hear: the application, CI, Grafana, the chat.
    fn told(&self) -> String {
        let (slot, tag) = &self.live;
        format!(
            r#"{{"status":"ok","database":"ok","state":"success","version":"{tag}","environment":"{slot}"}}"#
        )
    }
}

/// Where users' requests go now, and by which generation of the route.
async fn behind(client: &Client, namespace: &str, way: Way) -> Option<(Vec<Backend>, i64)> {
    let Way::Route(rule) = way else {
        let pods = endpoints(client, namespace, "backend-service").await?;
        return Some((vec![Backend { part: 1.0, pods }], 0));
    };
    let route =
        get(client, "gateway.networking.k8s.io/v1", &format!("{namespace}/httproutes/backend")).await?;
    let weighed: Vec<(String, f64)> = route["spec"]["rules"][rule]["backendRefs"]
        .as_array()?
        .iter()
        .filter_map(|backend| Some((backend["name"].as_str()?.to_owned(), backend["weight"].as_f64()?)))
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    let all: f64 = weighed.iter().map(|(_, weight)| weight).sum();
    let mut backends = Vec::new();
    for (service, weight) in weighed {
        let pods = endpoints(client, namespace, &service).await?;
        backends.push(Backend { part: weight / all, pods });
    }
    Some((backends, route["metadata"]["generation"].as_i64()?))
}

async fn get(client: &Client, group: &str, what: &str) -> Option<Value> {
    let root = if group == "v1" { "/api" } else { "/apis" };
    let path = format!("{root}/{group}/namespaces/{what}");
    let request = hyper::Request::get(path).body(Vec::new()).ok()?;
    let answer = client.request::<Value>(request);
    tokio::time::timeout(Duration::from_secs(2), answer).await.ok()?.ok()
}

/// The pods that a Service's endpoints are: slot, or revision where there are no slots, and image tag of each.
async fn endpoints(client: &Client, namespace: &str, service: &str) -> Option<Vec<(String, String)>> {
    let endpoints = get(client, "v1", &format!("{namespace}/endpoints/{service}")).await?;
    let pods = get(client, "v1", &format!("{namespace}/pods")).await?;
    let ready = endpoints["subsets"].as_array().into_iter().flatten();
    let ready = ready.flat_map(|subset| subset["addresses"].as_array().into_iter().flatten());
    let found = ready.filter_map(|address| {
        let pod = pods["items"]
            .as_array()?
            .iter()
            .find(|pod| pod["metadata"]["name"] == address["targetRef"]["name"])?;
        let image = pod["spec"]["containers"][0]["image"].as_str()?;
        let labels = &pod["metadata"]["labels"];
        let slot = labels["version"].as_str().or_else(|| labels["pod-template-hash"].as_str())?;
        Some((slot.to_owned(), image.rsplit(':').next()?.to_owned()))
    });
    Some(found.collect())
}

/// Answers everybody from now on; gives where.
fn listen(state: &Arc<Mutex<State>>, ends: &Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (serving, ended) = (Arc::clone(state), Arc::clone(ends));
    std::thread::spawn(move || {
        for line in listener.incoming() {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            let serving = Arc::clone(&serving);
            std::thread::spawn(move || line.map(|line| answer(line, &serving)));
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn answer(mut line: TcpStream, state: &Mutex<State>) {
    let _ = line.set_read_timeout(Some(Duration::from_secs(5)));
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match line.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&piece[..read]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let body = if path == "/metrics" { state.lock().exposition() } else { state.lock().told() };
    let kind = if path == "/metrics" { "text/plain; version=0.0.4" } else { "application/json" };
    let _ = write!(
        line,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// Whether this Prometheus has something to say to a query.
pub(crate) fn answers(server: &str, query: &str) -> bool {
    let url = url::Url::parse_with_params(&format!("{server}/api/v1/query"), [("query", query)]).unwrap();
    let asked = WORLD.block_on(async { reqwest::get(url).await.ok()?.json::<Value>().await.ok() });
    asked.is_some_and(|answer| answer["data"]["result"].as_array().is_some_and(|all| !all.is_empty()))
}

/// Debian's Prometheus, or that of `KUBEBUILDER_ASSETS`.
pub(crate) fn prometheus(dir: &Path, config: &str) -> Prometheus {
    Prometheus::start(&PLANE.bin.join("prometheus"), dir, config)
}
