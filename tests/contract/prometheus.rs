//! The contract of Prometheus: a real one and the simulated one measure the same simulated application, and answer the same
//! questions alike. What the real one answers is in tests/contract/prometheus-2.42.txt.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cutover::world::{
    metrics::{Settings, Telemetry, api::Request},
    scenario::Scenario,
    service::{self, Door},
    stage::{Backend, Picture},
};
use parking_lot::Mutex;
use regex::Regex;
use serde_json::{Value, json};

use super::{
    app::{self, Prometheus},
    ground::{WORLD, furniture},
    side::PATIENCE,
};

const SLOTS: [&str; 2] = ["blue", "green"];

/// The simulated application, and the simulated Prometheus that measures it.
struct Measured {
    telemetry: Telemetry,
    /// Green has pods.
    green: bool,
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

impl Measured {
    fn new() -> Self {
        let settings = Settings { scrape_ms: 1_000, history_ms: 60_000, ..Settings::default() };
        let stage = stage(true);
        let telemetry = Telemetry::start(&furniture(2), Scenario::Good, 7, now(), &stage, settings);
        Self { telemetry, green: true }
    }

    fn advance(&mut self) {
        self.telemetry.advance(now(), &stage(self.green));
    }

    fn exposition(&mut self, slot: &str) -> String {
        self.advance();
        service::answer(Door::Slot(slot), "/metrics", &stage(self.green), &self.telemetry).body
    }
}

fn stage(green: bool) -> Picture {
    let slot = |name: &str, ready: u32, share: f64| Backend {
        slot: name.to_owned(),
        image: furniture(2).image,
        ready,
        desired: 2,
        share,
        ..Backend::default()
    };
    vec![slot("blue", 2, 1.0), slot("green", if green { 2 } else { 0 }, 0.0)].into()
}

/// Who is asked.
enum Asked {
    Simulated,
    Real { server: Prometheus, dir: tempfile::TempDir, applications: [u16; 2] },
}

pub(crate) struct Metrics {
    measured: Arc<Mutex<Measured>>,
    asked: Asked,
    pub(crate) told: String,
    masks: Vec<(Regex, &'static str)>,
}

impl Metrics {
    fn of(measured: Arc<Mutex<Measured>>, asked: Asked) -> Self {
        let mask = |pattern: &str, word| (Regex::new(pattern).unwrap(), word);
        // What was parsed where is told by each parser in words of its own.
        let masks = vec![
            // In the order of a map.
            mask(r"(of the operation: )\[.*\];", "${1}[…];"),
            // Later releases say which parameter it was in a range as well.
            mask(
                r#"(invalid parameter \\"query\\": )?((\d+:\d+|unknown position): )?parse error: .*"#,
                "parse error",
            ),
            mask(r"\d{10}(\.\d+)?", "TIME"),
        ];
        Self { measured, asked, told: String::new(), masks }
    }

    pub(crate) fn simulated() -> Self {
        Self::of(Arc::new(Mutex::new(Measured::new())), Asked::Simulated)
    }

    /// A real Prometheus before the simulated application.
    pub(crate) fn real() -> Self {
        let measured = Arc::new(Mutex::new(Measured::new()));
        let applications = SLOTS.map(|slot| application(slot, Arc::clone(&measured)));
        let dir = tempfile::tempdir().unwrap();
        discover(dir.path(), &applications);
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs:\n\
             - {{ job_name: backend-service, honor_labels: true, file_sd_configs: [{{ files: ['{}'] }}] }}\n",
            dir.path().join("targets.json").display()
        );
        let server = app::prometheus(dir.path(), &config);
        Self::of(measured, Asked::Real { server, dir, applications })
    }

    /// What is asked, and its release: `prometheus-2.42`.
    pub(crate) fn server(&self) -> String {
        let build = self.get("/api/v1/status/buildinfo", "").1;
        let version = build["data"]["version"].as_str().unwrap().to_owned();
        format!("prometheus-{}", version.rsplit_once('.').map_or(version.as_str(), |(release, _)| release))
    }

    /// Green has no pods any more: nobody is there to be measured.
    fn take_green_away(&self) {
        self.measured.lock().green = false;
        if let Asked::Real { dir, applications, .. } = &self.asked {
            discover(dir.path(), &applications[..1]);
        }
    }

    /// The status code and the body of an answer.
    fn get(&self, path: &str, query: &str) -> (u16, Value) {
        let (code, body) = match &self.asked {
            Asked::Simulated => {
                let mut measured = self.measured.lock();
                measured.advance();
                let reply = measured.telemetry.answer(&Request::new(path, query, b""), now());
                (reply.status, reply.body)
            }
            Asked::Real { server, .. } => WORLD.block_on(async {
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                let answer = client.get(format!("{}{path}?{query}", server.url)).send().await.unwrap();
                (answer.status().as_u16(), answer.text().await.unwrap())
            }),
        };
        (code, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    fn query(&self, expr: &str) -> (u16, Value) {
        self.get("/api/v1/query", &encoded(&[("query", expr)]))
    }

    fn until(&self, expr: &str, what: &str, is: impl Fn(&[Value]) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let told = if self.is_up() { self.query(expr).1 } else { Value::Null };
            if told["data"]["result"].as_array().is_some_and(|result| is(result)) {
                return;
            }
            assert!(Instant::now() < until, "never: {what}: {told:#}\n{}", self.told);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn is_up(&self) -> bool {
        match &self.asked {
            Asked::Simulated => true,
            Asked::Real { server, .. } => {
                TcpStream::connect(server.url.trim_start_matches("http://")).is_ok()
            }
        }
    }

    fn tell(&mut self, what: &str, value: impl std::fmt::Display) {
        let line = format!("{what}: {value}");
        let line =
            self.masks.iter().fold(line, |line, (mask, word)| mask.replace_all(&line, *word).into_owned());
        let _ = writeln!(self.told, "{line}");
    }

    fn tell_query(&mut self, expr: &str) {
        let answer = self.query(expr);
        self.tell(expr, shape(&answer));
    }

    fn tell_range(&mut self, what: &str, query: &[(&str, &str)]) {
        let answer = self.get("/api/v1/query_range", &encoded(query));
        self.tell(what, shape(&answer));
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// An answer without its numbers: an error's words, of a result the kind, the series and how values are written.
fn shape((code, body): &(u16, Value)) -> String {
    let warnings = &body["warnings"];
    if *code != 200 {
        return format!("{code} {} {} {}", body["status"], body["errorType"], body["error"]);
    }
    let kind = body["data"]["resultType"].as_str().unwrap_or_default();
    let point = |value: &Value| {
        let text = value[1].as_str().unwrap_or("no text");
        // What is counted is told as it is, what is measured is not.
        let counted = ["0", "1", "2"].contains(&text);
        let measured = !counted && text.parse::<f64>().is_ok_and(f64::is_finite);
        let text = if measured { "a number" } else { text };
        format!("[{} {text:?}]", if value[0].is_number() { "number" } else { "no number" })
    };
    let result = &body["data"]["result"];
    let told = match kind {
        "scalar" | "string" => point(result),
        _ => {
            let mut series: Vec<String> = result
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| match one.get("value") {
                    Some(value) => format!("{} {}", one["metric"], point(value)),
                    None => format!("{} {}", one["metric"], point(&one["values"][0])),
                })
                .collect();
            series.sort();
            format!("{} {}", series.len(), series.join(" "))
        }
    };
    format!("{code} {} {kind} {told} warnings {warnings}", body["status"])
}

/// One slot's application, for a real Prometheus.
fn application(slot: &'static str, measured: Arc<Mutex<Measured>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for line in listener.incoming() {
            let Ok(mut line) = line else { continue };
            let mut head = [0; 4096];
            let _ = line.read(&mut head);
            let body = measured.lock().exposition(slot);
            let _ = write!(
                line,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    port
}

/// Says which slots there are to be measured, under the names that the simulated world gives them.
fn discover(dir: &Path, applications: &[u16]) {
    let targets: Vec<Value> = SLOTS
        .iter()
        .zip(applications)
        .map(|(slot, port)| {
            let labels = json!({"instance": format!("backend-{slot}:8080"), "slot": slot});
            json!({"targets": [format!("127.0.0.1:{port}")], "labels": labels})
        })
        .collect();
    let file = dir.join("targets.json");
    let next = dir.join("targets.next");
    std::fs::write(&next, json!(targets).to_string()).unwrap();
    std::fs::rename(next, file).unwrap();
}

pub(crate) fn play(metrics: &mut Metrics) {
    let requests = "rate(http_requests_total[5s])";
    metrics.until(requests, "measured for a while", |result| {
        let slots = SLOTS.iter().all(|slot| result.iter().any(|one| one["metric"]["slot"] == *slot));
        slots && !result.is_empty()
    });
    metrics.tell("## queries", "");
    for expr in [
        r#"up{job="backend-service"}"#,
        r#"sum by (slot) (up{job="backend-service"}) > 0"#,
        "nobody_measures_this",
        "sum(nobody_measures_this)",
        "sum(nobody_measures_this) or vector(0)",
        "absent(nobody_measures_this)",
        "1 + 1",
        r#""a text""#,
        "0 / 0",
        "1 / 0",
        "-1 / 0",
        "vector(0) / vector(0)",
        "sum(rate(http_requests_total[5s]))",
        r#"sum(rate(http_requests_total{slot="blue"}[5s])) / sum(rate(http_requests_total{slot="nobody"}[5s]))"#,
        r#"timestamp(up{job="backend-service",slot="blue"}) > bool 0"#,
        "histogram_quantile(0.95, sum by (le) (rate(nobody_bucket[5s])))",
    ] {
        metrics.tell_query(expr);
    }
    metrics.tell("## errors", "");
    for expr in [
        "",
        "sum(",
        "up +",
        "rate(up)",
        "up[5s] + 1",
        "no_such_function(up)",
        r#"{slot=~".*"}"#,
        r#"up{slot=~"("}"#,
        r#"{__name__=~"up|process_cpu_utilization",job="backend-service"} / on (job) {__name__=~"up|process_cpu_utilization",job="backend-service"}"#,
        r#"up{job="backend-service"} / on (job) up{job="backend-service"}"#,
    ] {
        metrics.tell_query(expr);
    }
    let bad = metrics.get("/api/v1/query", &encoded(&[("query", "up"), ("time", "yesterday")]));
    metrics.tell("a time that is none", shape(&bad));
    let (code, body) = metrics.get("/api/v1/nope", "");
    metrics.tell("a path that is none", format!("{code} {body}"));
    for path in ["/-/healthy", "/-/ready"] {
        metrics.tell(path, metrics.get(path, "").0);
    }

    metrics.tell("## ranges", "");
    let (from, to) = ((now() / 1000 - 4).to_string(), (now() / 1000).to_string());
    let blue = r#"up{job="backend-service",slot="blue"}"#;
    metrics.tell_range("a range", &[("query", blue), ("start", &from), ("end", &to), ("step", "1")]);
    let nobody = "nobody_measures_this";
    metrics.tell_range("of nothing", &[("query", nobody), ("start", &from), ("end", &to), ("step", "1s")]);
    metrics.tell_range("a number", &[("query", "1"), ("start", &from), ("end", &to), ("step", "1")]);
    metrics.tell_range("backwards", &[("query", blue), ("start", &to), ("end", &from), ("step", "1")]);
    metrics.tell_range("without a step", &[("query", blue), ("start", &from), ("end", &to), ("step", "0")]);
    metrics
        .tell_range("a step that is none", &[("query", blue), ("start", &from), ("end", &to), ("step", "x")]);
    metrics.tell_range("without a beginning", &[("query", blue), ("end", &to), ("step", "1")]);
    metrics.tell_range("too fine", &[("query", blue), ("start", "0"), ("end", &to), ("step", "1")]);
    metrics.tell_range("of a range", &[("query", "up[5s]"), ("start", &from), ("end", &to), ("step", "1")]);
    metrics.tell_range("a mistake", &[("query", "up{"), ("start", &from), ("end", &to), ("step", "1")]);

    metrics.tell("## a target that is gone", "");
    metrics.take_green_away();
    // Well before the look-back of five minutes is over.
    metrics.until(r#"up{slot="green"}"#, "gone", <[Value]>::is_empty);
    for expr in [
        r#"up{slot="green"}"#,
        r#"count(http_requests_total{slot="green"})"#,
        r#"count(rate(http_requests_total{slot="green"}[1m])) > bool 0"#,
        r#"timestamp(up{slot="green"})"#,
        r#"absent(up{slot="green"})"#,
        r#"count(up{slot="blue"})"#,
    ] {
        metrics.tell_query(expr);
    }
}
