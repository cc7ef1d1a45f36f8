//! `cutover check --online`, `cutover doctor` and `cutover backtest` as programs: against the simulated cluster, and against
//! servers that write down all that they are asked.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use cutover::world::cluster::{Fault, Misbehaviour};
use parking_lot::Mutex;
use serde_json::{Value, json};

#[path = "support/ground.rs"]
mod ground;
#[path = "support/pty.rs"]
mod pty;

use ground::Ground;

const RUNBOOK: &str = include_str!("support/online.toml");

/// A server on this host that answers with `reply` and writes down the beginning of each request.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(reply: impl Fn(&str) -> (String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (reply, known) = (Arc::new(reply), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, known) = (Arc::clone(&reply), Arc::clone(&known));
                std::thread::spawn(move || answer(&stream, &*reply, &known));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

/// Answers each request of a connection.
fn answer(stream: &TcpStream, reply: &dyn Fn(&str) -> (String, String), asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                break;
            }
            let line = line.to_ascii_lowercase();
            length = line.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().unwrap());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        asked.lock().push(first.trim().to_owned());
        let (head, body) = reply(first.trim());
        let head =
            format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = stream;
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A Prometheus with one fresh number for everything, a service that is well, and a webhook.
fn around() -> Server {
    Server::start(|line| {
        let value = if line.contains("timestamp") || line.contains("time%28%29") {
            seconds()
        } else if line.contains("count_over_time") {
            20.0
        } else {
            0.0004
        };
        let result = json!([{ "metric": {}, "value": [seconds(), value.to_string()] }]);
        let body = json!({ "status": "success", "data": { "resultType": "vector", "result": result } });
        ("HTTP/1.1 200 OK".to_owned(), body.to_string())
    })
}

/// The runbook with its servers on this host.
fn runbook(port: u16) -> String {
    RUNBOOK.replace("127.0.0.1:9", &format!("127.0.0.1:{port}"))
}

/// Exit code, findings.
fn check(ground: &Ground, port: u16) -> (i32, Vec<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(["check", "--online", "--json", "--var", "VERSION=v1.6.0"]).current_dir(ground.stage.path());
    command.env("CUTOVER_TEST_HOOK", format!("http://127.0.0.1:{port}/services/canary-secret"));
    let output = ground.equip(&mut command).output().unwrap();
    let (said, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("canary") && !told.contains("canary"), "the secret is shown");
    let document: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{told}"));
    (output.status.code().unwrap(), document["findings"].as_array().unwrap().clone())
}

fn bad(findings: &[Value]) -> Vec<String> {
    let bad = findings.iter().filter(|finding| finding["mark"] != "ok");
    bad.map(|it| format!("{}: {}: {} -> {}", it["mark"], it["about"], it["found"], it["do"])).collect()
}

/// Nothing but reads and access reviews reached the cluster.
fn assert_only_looked(ground: &Ground) {
    let requests = ground.cluster.requests();
    assert!(requests.len() > 20, "{}", requests.len());
    for (method, path) in requests {
        let review = method == "POST" && path.ends_with("/selfsubjectaccessreviews");
        assert!(method == "GET" || review, "{method} {path}");
    }
}

#[test]
fn nothing_is_written_and_nothing_posted() {
    let server = around();
    let ground = Ground::with_replicas(&runbook(server.port), 3);
    let (code, findings) = check(&ground, server.port);
    assert_eq!((code, bad(&findings)), (0, Vec::new()));
    let about = |area: &str| findings.iter().filter(|finding| finding["area"] == area).count();
    for area in [
        "cluster",
        "clock",
        "permissions",
        "objects",
        "traffic",
        "owners",
        "room",
        "metrics",
        "triggers",
        "network",
        "tools",
        "variables",
    ] {
        assert!(about(area) > 0, "nothing about {area}: {findings:#?}");
    }
    assert_only_looked(&ground);
    let asked = server.asked();
    assert!(asked.len() > 4 && asked.iter().all(|line| line.starts_with("GET ")), "{asked:#?}");
    assert!(!asked.iter().any(|line| line.contains("/services/")), "the webhook was asked: {asked:#?}");
}

#[test]
fn faults_that_are_planted_in_a_cluster_are_found() {
    let server = around();
    let ground = Ground::with_replicas(&runbook(server.port), 3);
    let world = &ground.cluster;
    world.deny("patch", "services");
    world.deny("list", "nodes");
    world.add_autoscaler("backend-green", 4, 10);
    assert!(world.edit("deployments", "backend-green", |green| {
        green["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] =
            json!("shop:apps/Deployment:production/backend-green");
        green["spec"]["paused"] = json!(true);
        green["spec"]["progressDeadlineSeconds"] = json!(60);
        green["spec"]["template"]["spec"]["containers"][0]["image"] =
            json!("registry.example.com/shop:v1.5.0");
        green["spec"]["template"]["metadata"]["labels"]["version"] = json!("gren");
    }));
    assert!(world.edit("deployments", "backend-blue", |blue| {
        blue["spec"]["template"]["spec"]["containers"][0]["name"] = json!("app");
    }));
    let (code, findings) = check(&ground, server.port);
    let bad = bad(&findings);
    assert_eq!(code, 3, "{bad:#?}");
    for words in [
        "\"fault\": \"patch services backend-service\": \"not allowed",
        "\"fault\": \"deployment/backend-blue\": \"it has no container `backend`; it has app\" -> \"correct target.container",
        "\"fault\": \"slot green\": \"after a switch the Service would select version=green (the pods have version=gren)",
        "between 4 and 10 pods, but step deploy scales it to 3",
        "\"not-looked-at\": \"deployment/backend-green\": \"not looked at: Argo CD's application shop writes it",
        "\"fault\": \"deployment/backend-green\": \"it is paused",
        "\"warning\": \"deployment/backend-green\": \"progressDeadlineSeconds is 60",
        "\"fault\": \"deployment/backend-green\": \"it runs registry.example.com/shop, but step deploy sets",
        "\"not-looked-at\": \"deployment/backend-green\": \"not looked at: the room on the nodes is unknown",
    ] {
        assert_eq!(bad.iter().filter(|line| line.contains(words)).count(), 1, "{words}\n{bad:#?}");
    }
    assert!(bad.iter().all(|line| !line.ends_with("-> null")), "{bad:#?}");
    assert_only_looked(&ground);
}

/// The look goes on beside the run, which does not wait for it: here the run is long enough to hear of it.
#[test]
fn line_mode_says_what_was_found_beside_the_run() {
    let server = around();
    let text = runbook(server.port).replace("date > deploy.log", "sleep 6; date > deploy.log");
    let ground = Ground::with_replicas(&text, 3);
    assert!(ground.cluster.edit("deployments", "backend-green", |green| {
        green["spec"]["progressDeadlineSeconds"] = json!(60);
    }));
    let mut command = ground.command(&["run", "--plain", "--yes", "--var", "VERSION=v1.6.0"]);
    command.env("CUTOVER_TEST_HOOK", format!("http://127.0.0.1:{}/services/canary-secret", server.port));
    let output = command.output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("canary-secret") && !told.contains("canary-secret"), "the secret is shown");
    assert!(told.contains("cutover: looked before the start: 0 faults"), "{told}\n{said}");
    let found = told
        .lines()
        .find(|line| line.contains("warning: objects: deployment/backend-green: progressDeadline"));
    assert!(
        found.is_some_and(|line| line.contains("; do: set progressDeadlineSeconds to at least")),
        "{told}"
    );
}

#[test]
fn a_run_does_not_open_where_another_controller_would_undo_it() {
    let server = around();
    let ground = Ground::with_replicas(&runbook(server.port), 3);
    assert!(ground.cluster.edit("deployments", "backend-green", |green| {
        green["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] =
            json!("shop:apps/Deployment:production/backend-green");
    }));
    assert!(ground.cluster.edit("services", "backend-service", |service| {
        service["metadata"]["ownerReferences"] = json!([
            { "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "shop", "uid": "7" }
        ]);
    }));
    let mut command = ground.command(&["run", "--plain", "--yes", "--var", "VERSION=v1.6.0"]);
    command.env("CUTOVER_TEST_HOOK", format!("http://127.0.0.1:{}/services/x", server.port));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{said}");
    for words in [
        "service/backend-service: Flagger (Canary shop) moves traffic and scales here: it would undo the run",
        "deployment/backend-green: not looked at: Argo CD's application shop writes it",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(ground.changes().is_empty());
}

#[test]
fn a_login_that_is_not_accepted_is_told_as_that() {
    let server = around();
    let ground = Ground::new(&runbook(server.port));
    let answer = Misbehaviour::Answer { code: 401, retry_after: None, applied: false };
    ground.cluster.inject(Fault::next("GET", "/", answer).times(u32::MAX));
    let (code, findings) = check(&ground, server.port);
    let bad = bad(&findings);
    assert_eq!((code, bad.len()), (3, 1), "{bad:#?}");
    assert!(
        bad[0].contains("\"credentials\": \"") && bad[0].contains("(401)") && bad[0].contains("log in again"),
        "{bad:#?}"
    );
}

/// What `cutover doctor` says with a kubeconfig for this server.
fn doctor(server: &str) -> String {
    let stage = pty::Stage::new();
    let config = stage.path().join("kubeconfig");
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": server } }],
        "users": [{ "name": "ada", "user": { "token": "canary-token" } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "ada" } }],
    });
    std::fs::write(&config, kubeconfig.to_string()).unwrap();
    let output = stage.command(&["doctor"]).env("KUBECONFIG", config).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("canary"), "{said}");
    said
}

#[test]
fn a_doctor_tells_a_clock_a_name_and_a_door_apart() {
    let server = Server::start(|_| {
        let date = jiff::Timestamp::from_second(1_000_000_000).unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT");
        (format!("HTTP/1.1 200 OK\r\nDate: {date}"), json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.1", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": "" }).to_string())
    });
    let said = doctor(&format!("http://127.0.0.1:{}", server.port));
    assert!(said.contains("FAULT") && said.contains("s behind this machine's"), "{said}");
    assert_eq!(server.asked(), ["GET /version HTTP/1.1"]);
    let said = doctor("http://nowhere.invalid:6443");
    assert!(
        said.contains("name of the API server: the name in http://nowhere.invalid:6443 does not resolve"),
        "{said}"
    );
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = doctor(&format!("http://{free}"));
    assert!(said.contains("refuses connections"), "{said}");
}

/// What a parameter of a request's first line says.
fn parameter(line: &str, name: &str) -> String {
    let url = format!("http://host{}", line.split(' ').nth(1).unwrap());
    let url = url::Url::parse(&url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// A Prometheus with two hours of a service that answers 100 requests a second, 0.05 % of them with errors; between 60 and 40
/// minutes before `now` it was 5 %.
fn past(now: f64) -> Server {
    Server::start(move |line| {
        let seconds = |name: &str| parameter(line, name).parse::<f64>().unwrap();
        let (start, end, step) = (seconds("start"), seconds("end"), seconds("step"));
        let query = parameter(line, "query");
        let incident = |at: f64| (at - (now - 3600.0)).clamp(0.0, 1200.0);
        let bad = |at: f64| (0.05 * (at - now + 90_000.0) + 4.95 * incident(at)).floor();
        let all = |at: f64| (100.0 * (at - now + 90_000.0)).floor();
        let ratio = |at: f64| if incident(at) > 0.0 && incident(at) < 1200.0 { 0.05 } else { 0.0005 };
        let points = |value: &dyn Fn(f64) -> f64| {
            let mut values = Vec::new();
            let mut at = start;
            while at <= end {
                if at >= now - 7200.0 {
                    let value = if query.contains("timestamp") { at - 2.0 } else { value(at) };
                    values.push(json!([at, value.to_string()]));
                }
                at += step;
            }
            values
        };
        let result: Vec<Value> = if query.contains("requests_total") {
            // Many counters: a long answer is too long.
            let series = |mark: &str, values: Vec<Value>| -> Vec<Value> {
                let of = |pod: usize| json!({ "metric": { "cutover_counts": mark, "pod": pod.to_string() }, "values": &values });
                (0..120).map(of).collect()
            };
            [series("part", points(&bad)), series("all", points(&all))].concat()
        } else {
            vec![json!({ "metric": {}, "values": points(&ratio) })]
        };
        let body = json!({ "status": "success", "data": { "resultType": "matrix", "result": result } });
        ("HTTP/1.1 200 OK".to_owned(), body.to_string())
    })
}

#[test]
fn a_backtest_counts_false_alarms_by_both_kinds_of_trigger_and_only_reads() {
    let dir = tempfile::tempdir().unwrap();
    let now = (seconds() / 60.0).floor() * 60.0;
    let prometheus = past(now);
    let runbook = format!(
        r#"
        runbook = {{ module = "small", title = "Small", status = "approved", version = "1.0.0", last_updated = 2026-11-22, author = "@tests" }}
        deployment = {{ environment = "staging", strategy = "rolling" }}
        sources.prometheus = {{ url = "http://127.0.0.1:{}" }}
        metrics.ratio = {{ query = "max(error_ratio)", unit = "percent" }}
        metrics.failed = {{ bad = 'requests_total{{code="500"}}', all = "requests_total", unit = "percent" }}
        step = [{{ id = "one", title = "One", run = [{{ name = "one", sh = "true" }}] }}]
        trigger = [
            {{ metric = "ratio", when = "> 1%", for = "5m", then = "ask" }},
            {{ metric = "failed", when = "worse than 0.1%", then = "ask" }},
        ]
        "#,
        prometheus.port
    );
    std::fs::write(dir.path().join("runbook.toml"), runbook).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(["backtest", "--since", "3h", "--json", "--state-dir", "state"]).current_dir(dir.path());
    let output = command.output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{told}"));
    assert_eq!(output.status.code(), Some(0), "{told}");
    for (index, by_evidence) in [(0, false), (1, true)] {
        let judged = &document["triggers"][index];
        assert_eq!(judged["by_evidence"], by_evidence, "{said}");
        let harmless = &judged["harmless"];
        // Three hours were asked for, of which Prometheus has two.
        assert_eq!((&harmless["windows"], &harmless["unmeasured"]), (&8.into(), &4.into()), "{said}");
        let fired = harmless["fired"].as_array().unwrap();
        assert!((1..=2).contains(&fired.len()), "{said}");
        for at in fired {
            let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
            let before = now - at.as_duration().as_secs_f64();
            assert!((2399.0..3600.0).contains(&before), "only while it was bad: {before} s ago");
        }
    }
    let asked = prometheus.asked();
    assert!(asked.iter().all(|line| line.starts_with("GET /api/v1/query_range?")), "{asked:?}");
}
