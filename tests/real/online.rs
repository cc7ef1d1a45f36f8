//! `cutover check --online` before a real control plane and a real Prometheus: twenty faults are planted, and each is found in one
//! line that says what to do. All that it sends goes through a proxy, which sees that nothing is written.

use std::{net::TcpListener, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{
    app::{App, Prometheus, Way, answers, prometheus},
    helm::Base as _,
    line::proxy_before,
    place::{BLUE, GREEN, PODS, Place},
    plane::{PLANE, furniture},
    proxy::{Proxy, Trouble},
    rights::{as_an_operator, without},
};

const RUNBOOK: &str = include_str!("online.toml");
const SCRAPED: &str = "Prometheus has scraped twice";

fn place() -> Place {
    let place = Place::furnished(RUNBOOK, |name| furniture(name, [PODS, 0]), Way::Service);
    place.edit("@app@", &place.app.url);
    place.eventually("blue serves", || place.serving(BLUE) == PODS && place.app.counted("blue").good > 0.0);
    let (server, query) = (place.app.prometheus(), r#"rate(http_requests_total{slot="blue"}[30s])"#);
    place.eventually(SCRAPED, || answers(&server, query));
    place
}

/// What was found.
struct Looked {
    code: i32,
    findings: Vec<Value>,
}

impl Looked {
    /// With a webhook that answers at this address.
    fn at(place: &Place, webhook: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(["check", "--online", "--json", "--var", "VERSION=v1.6.0"]);
        command.current_dir(place.stage.path());
        place.equip(&mut command).env("SLACK_WEBHOOK_URL", webhook);
        let output = command.output().unwrap();
        let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{told}"));
        Self {
            code: output.status.code().unwrap(),
            findings: document["findings"].as_array().unwrap().clone(),
        }
    }

    fn of(place: &Place) -> Self {
        Self::at(place, &format!("{}/hook", place.app.url))
    }

    /// What is not as it should be, a line each.
    fn bad(&self) -> Vec<String> {
        let bad = self.findings.iter().filter(|it| it["mark"] != "ok");
        let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
        bad.map(|it| {
            let [mark, about, found, cure] = ["mark", "about", "found", "do"].map(|key| text(&it[key]));
            format!("{mark}: {about}: {found} -> {cure}")
        })
        .collect()
    }

    fn faults(&self) -> usize {
        self.findings.iter().filter(|it| it["mark"] == "fault").count()
    }

    /// Each of these is one line of what is bad, and every line says what to do.
    fn assert_says(&self, wanted: &[&str]) {
        let bad = self.bad();
        for words in wanted {
            assert_eq!(bad.iter().filter(|line| line.contains(words)).count(), 1, "{words}\n{bad:#?}");
        }
        assert!(bad.iter().all(|line| !line.ends_with("-> nothing")), "{bad:#?}");
    }
}

/// Whatever went to the API server only looked.
fn assert_nothing_written(proxy: &Proxy) {
    assert!(proxy.taken("GET", "").len() > 20, "the look goes through the proxy");
    let reviews = proxy.taken("POST", "/selfsubjectaccessreviews").len();
    assert!(reviews > 0 && proxy.taken("POST", "").len() == reviews);
    for method in ["PUT", "PATCH", "DELETE"] {
        assert_eq!(proxy.taken(method, ""), []);
    }
}

/// A port that nobody listens at.
fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Prometheus that scrapes the place's application, another one in another namespace, and one that is gone by now.
fn with_history(place: &Place) -> (Prometheus, App) {
    let (foreign, gone) = (App::steady("blue", "v1.5.0"), App::steady("grey", "v1.0.0"));
    let target = |app: &App| app.url.trim_start_matches("http://").to_owned();
    let job = |name: &str, app: &App, labels: &str| {
        format!(
            "{{ job_name: {name}, static_configs: [{{ targets: ['{}'], labels: {labels} }}] }}",
            target(app)
        )
    };
    let namespace = &place.namespace;
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs: [{}, {}, {}]\n",
        job("app", &place.app, &format!("{{ namespace: {namespace} }}")),
        job("foreign", &foreign, "{ namespace: elsewhere }"),
        job("gone", &gone, "{ namespace: gone }"),
    );
    let server = prometheus(&place.stage.path().join("history"), &config);
    let has = |query: &str| answers(&server.url, query);
    place.eventually(SCRAPED, || has("rate(http_requests_total{job=\"app\"}[30s])"));
    place.eventually(SCRAPED, || has("http_requests_total{job=\"gone\"}") && has("up{job=\"foreign\"}"));
    drop(gone);
    place.eventually("its series end", || !has("http_requests_total{job=\"gone\"}"));
    (server, foreign)
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_place_that_is_well_has_no_fault_and_stays_as_it_is() {
    let mut place = place();
    let proxy = proxy_before(&mut place);
    let before = place.object("deployment", GREEN).unwrap();
    let looked = Looked::of(&place);
    assert_eq!((looked.code, looked.faults()), (0, 0), "{:#?}", looked.bad());
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
        assert!(looked.findings.iter().any(|it| it["area"] == area), "{area}: {:#?}", looked.findings);
    }
    assert_nothing_written(&proxy);
    assert_eq!(
        place.object("deployment", GREEN).unwrap()["metadata"]["generation"],
        before["metadata"]["generation"]
    );
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn faults_in_a_real_cluster_are_found_in_one_line_each() {
    let mut place = place();
    let namespace = place.namespace.clone();
    PLANE.define("argoproj.io", "v1alpha1", ["applications", "Application"]);
    PLANE.apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: argocd }}\n---\n\
         apiVersion: argoproj.io/v1alpha1\nkind: Application\n\
         metadata: {{ name: {namespace}, namespace: argocd }}\n\
         spec: {{ syncPolicy: {{ automated: {{ selfHeal: true }} }} }}\n---\n\
         apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\n\
         metadata: {{ name: strict, namespace: {namespace} }}\n\
         spec: {{ minAvailable: {PODS}, selector: {{ matchLabels: {{ version: blue }} }} }}\n---\n\
         apiVersion: v1\nkind: ResourceQuota\nmetadata: {{ name: small, namespace: {namespace} }}\n\
         spec: {{ hard: {{ pods: '3' }} }}\n---\n\
         apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\n\
         metadata: {{ name: green, namespace: {namespace} }}\n\
         spec: {{ minReplicas: 4, maxReplicas: 10, scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: {GREEN} }} }}\n"
    ));
    let tracked = format!("argocd.argoproj.io/tracking-id={namespace}:apps/Deployment:{namespace}/{GREEN}");
    place.kubectl(&["annotate", "deployment", GREEN, &tracked]);
    let spec = r#"{"spec":{"paused":true,"progressDeadlineSeconds":30}}"#;
    place.kubectl(&["patch", "deployment", GREEN, "-p", spec]);
    // A slot whose pods the Service would not find, a container that is not there, an image that nobody has meant, and a program.
    place.edit("green\", selector = { version = \"green\" }", "green\", selector = { version = \"gren\" }");
    place.edit(
        "run = [\n  { name = \"image\"",
        "run = [\n  { name = \"side\", set_image = { slot = \"idle\", container = \"sidecar\", image = \"registry.example.com/side:v1\" } },\n  \
         { name = \"other\", set_image = { slot = \"idle\", image = \"registry.example.com/shop:$VERSION\" } },\n  \
         { name = \"tool\", sh = \"no-such-tool --now\" },\n  { name = \"image\"",
    );
    let tls = PLANE.server().rsplit(':').next().unwrap().to_owned();
    place.edit(
        "items = [",
        &format!(
            "items = [\n  {{ text = \"Certificate\", check = {{ tls = {{ host = \"127.0.0.1\", port = {tls}, days = 30 }} }} }},\n  \
             {{ text = \"Name\", check = {{ dns = {{ name = \"nowhere.invalid\", expect = \"lb.example.com\" }} }} }},"
        ),
    );
    place.edit(
        "[[trigger]]",
        "[metrics.none]\ntitle = \"None\"\nquery = 'sum(rate(http_request_total[30s]))'\nunit = \"count\"\n\n\
         [metrics.two]\ntitle = \"Two\"\nquery = 'http_requests_total{job=\"app\",slot=\"blue\"}'\nunit = \"count\"\n\n\
         [metrics.stale]\ntitle = \"Stale\"\nquery = 'sum(db_connections{job=\"gone\"})'\nunit = \"count\"\n\n\
         [metrics.foreign]\ntitle = \"Foreign\"\nquery = 'sum(rate(http_requests_total{namespace=\"elsewhere\"}[30s]))'\nunit = \"count\"\n\n[[trigger]]",
    );
    let (server, _foreign) = with_history(&place);
    place.edit(&place.app.prometheus(), &server.url);
    let allowed = |name: &str, path: [&str; 2]| {
        place
            .object(name, path[0])
            .is_some_and(|it| it["status"][path[1]].is_object() || it["status"][path[1]].is_i64())
    };
    place.eventually("the quota and the budget are counted", || {
        allowed("resourcequota", ["small", "used"]) && allowed("pdb", ["strict", "expectedPods"])
    });
    let proxy = proxy_before(&mut place);
    let looked = Looked::at(&place, &format!("http://127.0.0.1:{}/hook", closed()));
    assert_eq!(looked.code, 3, "{:#?}", looked.bad());
    looked.assert_says(&[
        "fault: deployment/backend-green: it has no container `sidecar`; it has backend -> correct `container`",
        "fault: slot green: after a switch the Service would select version=gren (the pods have version=green)",
        "fault: deployment/backend-green: it runs registry.example.com/backend, but step deploy sets registry.example.com/shop",
        "fault: deployment/backend-green: it is paused",
        "warning: deployment/backend-green: progressDeadlineSeconds is 30, but step deploy waits 5m",
        "fault: hpa/green: it keeps deployment/backend-green between 4 and 10 pods, but step deploy scales it to 2",
        "puts back what others change: it would undo the run -> turn self-heal off",
        "warning: pdb/strict: it allows no eviction of backend-blue",
        "fault: quota small: the run needs 2 more of pods, and 1 of 3 are left -> raise pods to 4",
        "fault: none: no series: nobody measures http_request_total; there are http_requests_total",
        "fault: two: it gives 2 series",
        "fault: stale: ",
        "fault: foreign: its query measures namespace elsewhere",
        "fault: certificate of 127.0.0.1: ",
        "fault: name nowhere.invalid: ",
        "fault: no-such-tool: step deploy runs it, and it is not on the PATH -> install no-such-tool",
        "fault: webhook of [notify]: ",
    ]);
    assert_nothing_written(&proxy);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_verb_that_is_missing_is_named() {
    let mut place = place();
    PLANE.apply(&without(&place, "patch", "services"));
    as_an_operator(&mut place);
    place.eventually("all but one right is given", || Looked::of(&place).faults() == 1);
    let looked = Looked::of(&place);
    assert_eq!(looked.code, 3, "{:#?}", looked.bad());
    looked.assert_says(&["fault: patch services backend-service: not allowed"]);
    assert_eq!(looked.faults(), 1, "{:#?}", looked.bad());
}

/// The kubeconfig with another user or server.
fn with(place: &mut Place, change: impl Fn(&mut Value)) {
    let text = std::fs::read_to_string(&PLANE.kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_saphyr::from_str(&text).unwrap();
    change(&mut kubeconfig);
    let path = place.stage.path().join("changed-kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    place.kubeconfig = path;
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_token_that_has_expired_and_a_name_that_does_not_resolve_are_one_line_each() {
    let mut place = place();
    with(&mut place, |it| it["users"][0]["user"] = json!({ "token": "expired-long-ago" }));
    let looked = Looked::of(&place);
    assert_eq!((looked.code, looked.faults()), (3, 1), "{:#?}", looked.bad());
    looked.assert_says(&["(401)"]);
    let server = PLANE.server().replace("127.0.0.1", "nowhere.invalid");
    with(&mut place, |it| it["clusters"][0]["cluster"]["server"] = json!(server));
    let looked = Looked::of(&place);
    assert_eq!((looked.code, looked.faults()), (3, 1), "{:#?}", looked.bad());
    looked.assert_says(&["does not resolve"]);
}

/// The answers of the real server, as if its clock were ahead.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_clock_that_is_40_seconds_off_is_told() {
    let mut place = place();
    let proxy = proxy_before(&mut place);
    proxy.rule("", &[], u32::MAX, Trouble::Ahead(Duration::from_secs(40)));
    let looked = Looked::of(&place);
    assert_eq!((looked.code, looked.faults()), (3, 1), "{:#?}", looked.bad());
    looked.assert_says(&["s ahead of this machine's -> set both by NTP"]);
    assert_nothing_written(&proxy);
}
