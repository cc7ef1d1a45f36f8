//! The runbook at the top level: it loads without a word, and says everything.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of a test end it where something is not there"
)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use cutover::{
    adapters::{http::HttpOptions, metrics::MetricsAdapter},
    config::{BUILTIN_RUNBOOK, load_file, load_str},
    domain::{
        action::{ActionKind, Confirm, SlotRef},
        check::CheckKind,
        metric::{Missing, Query, Sample},
        runbook::{DocumentStatus, Runbook, SourceKind, Then},
        template::Template,
        time::{Span, Timestamp},
        verdict::{Ruling, rule},
    },
    engine::ports::Metrics as _,
    world::{
        clock::WorldClock,
        metrics::{Settings, Telemetry},
        network::{Network, NetworkConfig},
        promql::{self, Engine},
        scenario::Scenario,
        service,
        stage::{Backend, Directing, FurnishedSlot, Furniture, Picture, Stage, Strategy},
    },
};
use serde_json::Value;

fn runbook() -> Runbook {
    let loaded = load_str("runbook.toml", BUILTIN_RUNBOOK);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
    loaded.runbook.unwrap()
}

#[test]
fn it_loads_without_a_fault() {
    runbook();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.toml");
    let loaded = load_file(&path).unwrap();
    assert_eq!((loaded.errors(), loaded.warnings()), (0, 0));
    assert_eq!(loaded.source, BUILTIN_RUNBOOK);
}

#[test]
fn the_front_matter_and_the_summary_are_complete() {
    let runbook = runbook();
    assert_eq!(runbook.document.module, "payment-system-backend");
    assert_eq!(runbook.document.status, DocumentStatus::Approved);
    assert!((5..=10).contains(&runbook.document.keywords.len()));
    assert_eq!(runbook.document.related.len(), 4);
    assert_eq!(runbook.changes.len(), 1);
    assert_eq!(runbook.deployment.success_factors.len(), 4);
    assert_eq!(runbook.deployment.rollback_within, Some(Span::from_mins(5)));
    assert!(runbook.deployment.zero_downtime);
    let window = runbook.deployment.window.unwrap();
    assert_eq!((window.days.as_slice(), window.from.as_str()), (["fri".to_owned()].as_slice(), "14:00"));
}

#[test]
fn the_checklist_has_its_twenty_one_items() {
    let runbook = runbook();
    let counts: Vec<usize> = runbook.checklist.iter().map(|group| group.items.len()).collect();
    assert_eq!(counts, [5, 4, 4, 4, 4]);
    let items: Vec<_> = runbook.checklist.iter().flat_map(|group| &group.items).collect();
    let optional = items.iter().filter(|item| item.optional).count();
    assert_eq!(optional, 3, "what is `if applicable`, `if needed` or `if users see it`");
    let automated = items.iter().filter(|item| !item.check.kind.is_person()).count();
    assert_eq!(automated, 6, "CI, headroom, certificates, DNS, dashboards, log aggregation");
}

#[test]
fn the_seven_steps_say_what_they_do_and_how_to_go_back() {
    let runbook = runbook();
    let ids: Vec<&str> = runbook.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["prepare", "migrate", "deploy", "health", "switch", "monitor", "retire"]);
    let validations: Vec<usize> = runbook.steps.iter().map(|step| step.check.len()).collect();
    assert_eq!(validations, [2, 3, 3, 6, 3, 8, 3]);
    let actions: Vec<usize> = runbook.steps.iter().map(|step| step.run.len()).collect();
    assert_eq!(actions, [2, 2, 6, 0, 1, 0, 1]);
    assert!(runbook.steps.iter().all(|step| step.time.is_some()));
    assert_eq!(runbook.switch_step(), Some(4));

    let step = |id: &str| &runbook.steps[runbook.step_index(id).unwrap()];
    assert_eq!(step("switch").confirm, Confirm::Type);
    assert!(["migrate", "switch", "retire"].into_iter().all(|id| step(id).critical.is_some()));
    assert!(
        ["migrate", "deploy", "health", "switch", "monitor"]
            .into_iter()
            .all(|id| !step(id).on_failure.is_empty())
    );
    assert_eq!(step("monitor").window.unwrap().lasts, Span::from_mins(15));
    assert_eq!(step("migrate").when.as_deref(), Some("migrations"));
    assert_eq!(step("migrate").undo.len(), 1);
    assert_eq!(step("migrate").run[0].capture[0].var, "BACKUP_ID");
    assert!(step("migrate").run[1].irreversible.is_some());
    assert_eq!(runbook.completion.run.len(), 4);
    assert_eq!(runbook.completion.check.len(), 3);
}

#[test]
fn kubernetes_work_is_native_and_commands_have_samples() {
    let runbook = runbook();
    let actions = runbook
        .steps
        .iter()
        .flat_map(|step| step.run.iter().chain(&step.undo))
        .chain(&runbook.completion.run)
        .chain(runbook.rollbacks.iter().flat_map(|procedure| &procedure.run));
    for action in actions {
        if let ActionKind::Sh { script } = &action.kind {
            assert!(!script.contains("kubectl"), "{script}");
            assert!(!action.sample.is_empty(), "a rehearsal prints something for: {script}");
        }
    }
    for check in runbook.checks() {
        if matches!(check.kind, CheckKind::Sh { .. }) {
            assert!(!check.sample.is_empty(), "{}", check.text);
        }
    }
    let failing: Vec<&str> = runbook
        .steps
        .iter()
        .flat_map(|step| &step.run)
        .filter(|action| !action.sample_failure.is_empty())
        .map(|action| action.name.as_str())
        .collect();
    assert_eq!(failing, ["Apply the migrations"]);
}

#[test]
fn both_rollbacks_and_the_four_triggers_are_there() {
    let runbook = runbook();
    let quick = runbook.procedure("quick").unwrap();
    assert_eq!((quick.run.len(), quick.check.len()), (4, 3));
    assert_eq!(quick.run[0].kind, ActionKind::SwitchTraffic { to: SlotRef::Previous, ready: None });
    assert_eq!(quick.within, Some(Span::from_mins(5)));
    let database = runbook.procedure("database").unwrap();
    assert!(database.only.as_deref().unwrap().starts_with("ONLY"));
    assert_eq!(database.check.len(), 3);
    assert_eq!(
        database.run.iter().filter(|action| matches!(action.kind, ActionKind::Scale { .. })).count(),
        3
    );

    assert_eq!(runbook.triggers.len(), 6);
    let watch = runbook.triggers[0].watch.as_ref().unwrap();
    assert_eq!(runbook.triggers[0].reason, "error rate > 1 % for 5m");
    assert_eq!(watch.rule.fixed().map(|(_, hold_for)| hold_for), Some(Span::from_mins(5)));
    assert_eq!(watch.then, Then::Countdown(Span::from_secs(30)));
    // Beside the fixed rule, evidence; after them, reasons that a person chooses.
    let claims: Vec<_> = runbook.triggers[1..3].iter().map(|trigger| trigger.reason.as_str()).collect();
    assert_eq!(claims, ["error rate worse than 0.1 %", "slow requests worse than before"]);
    assert!(
        runbook.triggers[1..3].iter().all(|trigger| trigger.watch.as_ref().unwrap().rule.worse().is_some())
    );
    assert!(runbook.triggers[3..].iter().all(|trigger| trigger.watch.is_none()));
}

#[test]
fn tasks_incident_metrics_people_and_places_are_complete() {
    let runbook = runbook();
    let due = |span| runbook.tasks.iter().filter(|task| task.due == span).count();
    let day = Span::from_mins(24 * 60);
    assert_eq!((due(Span::from_mins(60)), due(day), due(Span::from_mins(7 * 24 * 60))), (4, 5, 4));
    assert!(runbook.tasks.iter().any(|task| task.text.contains("kubectl delete deployment")));

    let incident = runbook.incident.as_ref().unwrap();
    assert_eq!((incident.levels.len(), incident.steps.len()), (4, 5));
    for place in ["{severity}", "{title}", "{started}", "{impact}", "{actions}", "{status}"] {
        assert!(incident.template.contains(place), "{place}");
    }
    assert!(incident.commander.is_some());

    let table = ["error_rate", "latency_p95", "db_connections", "cpu", "memory", "payment_success"];
    for id in table {
        let metric = runbook.metric(id).unwrap();
        assert!(metric.normal.is_some() && metric.alert.is_some() && metric.action.is_some(), "{id}");
    }
    assert!(runbook.metrics.len() > table.len());
    assert_eq!(runbook.contacts.len(), 5);
    assert!(runbook.contacts.iter().all(|contact| contact.slack.is_some() && contact.phone.is_some()));
    assert_eq!(runbook.links.len(), 9);
}

#[test]
fn it_survives_json_as_the_journal_keeps_it() {
    let runbook = runbook();
    let json = serde_json::to_string(&runbook).unwrap();
    assert_eq!(serde_json::from_str::<Runbook>(&json).unwrap(), runbook);
}

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/runbook.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_schema_for_editors_is_the_one_the_loader_checks_by() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/runbook.schema.json");
    let schema = cutover::config::schema::json_schema();
    if std::env::var_os("WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == schema, "assets/runbook.schema.json is old: run this test with WRITE_SCHEMA=1");
}

/// Follows a schema's references, and of several ways takes the one that fits the value's type.
fn resolve<'s>(schema: &'s Value, root: &'s Value, value: &toml::Value) -> &'s Value {
    if let Some(name) = schema["$ref"].as_str() {
        return resolve(&root["definitions"][name.trim_start_matches("#/definitions/")], root, value);
    }
    if let Some(ways) = schema["allOf"].as_array() {
        return resolve(&ways[0], root, value);
    }
    if let Some(ways) = schema["anyOf"].as_array() {
        let fits = |way: &&Value| {
            let way = resolve(way, root, value);
            match value {
                toml::Value::Table(_) => way["type"] == "object",
                toml::Value::Array(_) => way["type"] == "array",
                toml::Value::Integer(_) => way["type"] == "integer",
                _ => way["type"] == "string" || way.get("enum").is_some(),
            }
        };
        return resolve(ways.iter().find(fits).expect("one of the ways fits"), root, value);
    }
    schema
}

/// Every key of the runbook has its place in the schema; what the schema requires is there.
fn conforms(value: &toml::Value, schema: &Value, root: &Value, at: &str) {
    let schema = resolve(schema, root, value);
    match value {
        toml::Value::Table(table) => {
            if let Some(properties) = schema["properties"].as_object() {
                for (key, inner) in table {
                    let known =
                        properties.get(key).unwrap_or_else(|| panic!("{at}.{key} is not in the schema"));
                    conforms(inner, known, root, &format!("{at}.{key}"));
                }
                for key in schema["required"].as_array().into_iter().flatten() {
                    assert!(table.contains_key(key.as_str().unwrap()), "{at} lacks {key}");
                }
                if let Some(ways) = schema["oneOf"].as_array() {
                    let names = ways.iter().filter_map(|way| way["required"][0].as_str());
                    let given = names.filter(|name| table.contains_key(*name)).count();
                    assert!(given == 1 || ways.iter().any(|way| way.get("not").is_some()), "{at}");
                }
            } else {
                for (key, inner) in table {
                    conforms(inner, &schema["additionalProperties"], root, &format!("{at}.{key}"));
                }
            }
        }
        toml::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                conforms(item, &schema["items"], root, &format!("{at}[{index}]"));
            }
        }
        toml::Value::String(text) => {
            if let Some(words) = schema["enum"].as_array() {
                assert!(words.contains(&Value::from(text.as_str())), "{at}: {text}");
            } else {
                assert_eq!(schema["type"], "string", "{at}");
            }
        }
        toml::Value::Boolean(_) => assert_eq!(schema["type"], "boolean", "{at}"),
        toml::Value::Integer(_) => assert_eq!(schema["type"], "integer", "{at}"),
        toml::Value::Datetime(_) => assert_eq!(schema["format"], "date", "{at}"),
        toml::Value::Float(_) => assert_eq!(schema["type"], "number", "{at}"),
    }
}

#[test]
fn the_runbook_conforms_to_the_schema() {
    let schema = schema();
    let document: toml::Value = toml::from_str(BUILTIN_RUNBOOK).unwrap();
    conforms(&document, &schema, &schema, "runbook.toml");
}

/// The other way round: a table with every key of the schema has no unknown key for the loader, and with one more it has.
#[test]
fn the_loader_knows_every_key_of_the_schema_and_no_other() {
    let schema = schema();
    for (table, key) in [
        ("runbook", "document"),
        ("deployment", "deployment"),
        ("target", "target"),
        ("incident", "incident"),
    ] {
        let properties = schema["definitions"][key]["properties"].as_object().unwrap();
        let mut text = format!("[{table}]\n");
        for name in properties.keys() {
            text.extend([name, " = 1\n"]);
        }
        let unknown = |text: &str| {
            load_str("x.toml", text)
                .diagnostics
                .iter()
                .filter(|fault| fault.message.starts_with("unknown key"))
                .count()
        };
        assert_eq!(unknown(&text), 0, "{text}");
        assert_eq!(unknown(&format!("{text}surplus = 1\n")), 1);
    }
}

/// A cluster in which nothing moves.
struct Still(Picture);

impl Stage for Still {
    fn picture(&self) -> Picture {
        self.0.clone()
    }
}

/// The world's Prometheus over HTTP, a minute after `green` got its new pods, and the runbook's metrics asked there.
async fn measured(counts_probes: bool, green: u32, expr: Option<&str>) -> Vec<(String, Sample)> {
    const NOW_MS: i64 = 1_795_000_000_000;
    drop(rustls::crypto::ring::default_provider().install_default());
    let runbook = runbook();
    let config = NetworkConfig {
        furniture: furniture(&runbook),
        scenario: Scenario::Good,
        clock: WorldClock::new(Arc::new(|| NOW_MS), 1.0),
        stage: Arc::new(Still(slots("blue", None, green))),
        prometheus_hosts: Vec::new(),
        seed: 7,
    };
    let settings = Settings { history_ms: 300_000, counts_probes, ..Settings::default() };
    let network = Network::start_with(config, settings).await.unwrap();
    let mut source = runbook.sources["prometheus"].clone();
    source.kind = SourceKind::Prometheus { url: network.prometheus_url().as_str().into() };
    (source.headers, source.bearer_token, source.basic_auth, source.ca_file) =
        (BTreeMap::new(), None, None, None);
    let sources = BTreeMap::from([("prometheus".to_owned(), source)]);
    let expand = |template: &Template| template.expand(|_| None);
    let adapter = MetricsAdapter::new(&sources, expand, &HttpOptions::default()).unwrap();
    let mut samples = Vec::new();
    for id in ["error_rate", "latency_p95"] {
        let mut metric = runbook.metric(id).unwrap().clone();
        if let Some(expr) = expr {
            metric.query = Query::Promql { source: "prometheus".to_owned(), expr: expr.to_owned() };
        }
        let sample = adapter.sample(&metric, Some(&"green".into()), Timestamp(NOW_MS)).await;
        samples.push((id.to_owned(), sample));
    }
    samples
}

/// The step before the switch asks for the error rate of a slot that may have no requests: 0/0, which is skipped.
#[tokio::test]
async fn health_of_a_slot_without_requests_is_skipped() {
    let runbook = runbook();
    let health = runbook.steps.iter().find(|step| step.id.as_str() == "health").unwrap();
    let ruled = |id: &str, sample: &Sample| {
        let check = health.check.iter().find_map(|check| match &check.kind {
            CheckKind::Metric { metric, condition, no_traffic, .. } if metric.as_str() == id => {
                Some((*condition, *no_traffic))
            }
            _ => None,
        });
        let (condition, no_traffic) = check.unwrap_or_else(|| panic!("no check of {id}"));
        let metric = runbook.metric(id).unwrap();
        rule(metric, condition, no_traffic, sample.slot.as_ref(), &sample.value, None)
    };
    for (id, sample) in measured(false, 3, None).await {
        assert_eq!(sample.value, Err(Missing::ZeroByZero), "{id}");
        assert_eq!(
            ruled(&id, &sample),
            Ruling::Skipped("skipped: no requests on GREEN yet".to_owned()),
            "{id}"
        );
    }
    for (id, sample) in measured(true, 3, None).await {
        assert!(matches!(ruled(&id, &sample), Ruling::Holds(_)), "{id}: {sample:?}");
    }
}

/// `or vector(0)` answers for series that are all gone; that is no health.
#[tokio::test]
async fn a_zero_without_an_age_is_no_number() {
    let errors = r#"sum(rate(http_requests_total{code=~"5..",slot="$slot"}[1m])) or vector(0)"#;
    for (_, sample) in measured(true, 0, Some(errors)).await {
        let unknown = "age unknown: no series in the query has a point".to_owned();
        assert_eq!(sample.value, Err(Missing::Stale(unknown)));
    }
    for (_, sample) in measured(true, 3, Some(errors)).await {
        assert_eq!(sample.value, Ok(0.0));
    }
}

fn slots(live: &str, since: Option<i64>, green: u32) -> Picture {
    let slot = |name: &str| Backend {
        slot: name.to_owned(),
        image: format!(
            "registry.example.com/payment-system-backend:{}",
            if name == live { "v1.5.0" } else { "v1.6.0" }
        ),
        ready: if name == "green" { green } else { 3 },
        desired: 3,
        share: if name == live { 1.0 } else { 0.0 },
        since: since.filter(|_| name == live),
        ..Backend::default()
    };
    ["blue", "green"].map(slot).to_vec().into()
}

fn furniture(runbook: &Runbook) -> Furniture {
    let target = runbook.target.as_ref().unwrap();
    Furniture {
        namespace: target.namespace.clone(),
        service: target.service.clone(),
        slots: target
            .slots
            .iter()
            .map(|(name, slot)| {
                let furnished = FurnishedSlot::new(slot.deployment.clone(), slot.selector.clone());
                (name.to_string(), furnished)
            })
            .collect(),
        live: "blue".to_owned(),
        container: target.container.clone(),
        image: "registry.example.com/payment-system-backend:v1.5.0".to_owned(),
        replicas: 3,
        context: "rehearsal".to_owned(),
        window_ms: 900_000,
        directing: Directing::Selector,
        strategy: Strategy::default(),
    }
}

/// The rehearsal's world exports what the runbook asks for, and a good release stays inside what it demands.
#[test]
fn every_query_is_answered_in_the_rehearsal_world() {
    const START_MS: i64 = 1_795_000_000_000;
    let runbook = runbook();
    let furniture = furniture(&runbook);
    let begun = slots("blue", None, 3);
    let mut telemetry =
        Telemetry::start(&furniture, Scenario::Good, 7, START_MS, &begun, Settings::default());
    let now = START_MS + 120_000;
    telemetry.advance(now, &begun);
    let number = |id: &str, slot: &str| -> Option<f64> {
        let metric = runbook.metric(id).unwrap();
        let Query::Promql { expr, .. } = &metric.query else { return None };
        match Engine::default().instant(telemetry.store(), &expr.replace("$slot", slot), now).unwrap() {
            promql::Value::Vector(elements) if elements.len() == 1 => Some(elements[0].value),
            other => panic!("{id}: {other:?}"),
        }
    };
    for metric in &runbook.metrics {
        let Some(value) = number(metric.id.as_str(), "blue") else { continue };
        assert!(value.is_finite(), "{} of the live slot is {value}", metric.id);
        assert!(metric.normal.is_none_or(|normal| normal.holds(value)), "{} is {value}", metric.id);
    }
    // Step 4 asks these of a slot that has no users yet.
    assert!(number("latency_p95", "green").unwrap() < 0.2, "latency of the idle slot");
    let scraped = service::answer(service::Door::Front(0), "/metrics", &begun, &telemetry).body;
    assert!(scraped.contains("http_error_rate{"), "what the scraped metric reads");
}
