//! One flight's ground: a namespace with blue live on two pods and green asleep beside it, users, and what kubectl says of it.

#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, PoisonError, RwLockReadGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use cutover::domain::event::Outcome;
use serde_json::Value;

use super::{
    app::{App, Way},
    helm::{Base, Helm},
    plane::{IN_THE_AIR, PLANE, furniture},
    pty::{PATIENCE, Stage},
};

const RUNBOOK: &str = include_str!("flight.toml");
pub(crate) const BLUE: &str = "backend-blue";
pub(crate) const GREEN: &str = "backend-green";
pub(crate) const OLD: &str = "registry.example.com/backend:v1.5.0";
pub(crate) const NEW: &str = "registry.example.com/backend:v1.6.0";
/// Pods of the slot that has the traffic.
pub(crate) const PODS: usize = 2;

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) stage: Arc<Stage>,
    pub(crate) app: App,
    pub(crate) kubeconfig: PathBuf,
    _in_the_air: Option<RwLockReadGuard<'static, ()>>,
}

impl Base for Place {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = vec![self.stage.path().join("bin")];
        paths.extend(std::env::split_paths(&path));
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("LOG", self.log())
            .env("SLACK_WEBHOOK_URL", format!("{}/hook", self.app.url))
            .env("PATH", std::env::join_paths(paths).unwrap())
    }
}

impl Place {
    /// Beside others.
    pub(crate) fn new(image: &str) -> Self {
        Self::of(image, PODS, Some(IN_THE_AIR.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// For somebody who has the API server alone: see [`IN_THE_AIR`].
    pub(crate) fn alone(image: &str) -> Self {
        Self::of(image, PODS, None)
    }

    /// For the runbook that comes with the program, whose slots have three pods: its hosts are the application here.
    pub(crate) fn shipped(image: &str) -> Self {
        let place = Self::of(image, 3, Some(IN_THE_AIR.read().unwrap_or_else(PoisonError::into_inner)));
        let app = &place.app.url;
        let mut runbook = cutover::config::BUILTIN_RUNBOOK
            .replace("https://$NEW_SLOT.api.payment-system.com", &format!("{app}/$NEW_SLOT"))
            .replace("https://$SLOT.api.payment-system.com", &format!("{app}/$SLOT"))
            .replace("http://prometheus.payment-system.com", &place.app.prometheus())
            .replace("payment-system-backend:$", "backend:$")
            .replace("namespace = \"production\"", &format!("namespace = \"{}\"", place.namespace))
            .replace("lasts = \"15m\"", "lasts = \"20s\"")
            .replace("[1m]", "[5s]");
        for host in ["api", "ci", "grafana", "logs"] {
            runbook = runbook.replace(&format!("https://{host}.payment-system.com"), app);
        }
        // The application here has neither a name nor a certificate, and the clock says what it likes.
        for (from, to) in [
            (", check = { tls = { host = \"api.payment-system.com\", days = 30 } }", ""),
            (
                ", check = { dns = { name = \"api.payment-system.com\", expect = \"lb.payment-system.com\" } }",
                "",
            ),
            ("window = { days = [\"fri\"], from = \"14:00\", to = \"16:00\", timezone = \"UTC\" }\n", ""),
            (
                r#"{ ask = "Which version goes out?", pattern = 'v\d+\.\d+\.\d+', sample = "v1.6.0" }"#,
                "{ value = \"v1.6.0\" }",
            ),
        ] {
            assert!(runbook.contains(from), "{from}");
            runbook = runbook.replace(from, to);
        }
        std::fs::write(place.stage.path().join("runbook.toml"), runbook).unwrap();
        // What its commands print where all is well.
        let bin = place.stage.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let said = "backup-id: b-17\nsha256:9b1c\ndatabase schema is up to date\n12 passed, 0 failed\nrefs/tags/\nverified";
        for program in ["npm", "docker", "git"] {
            let path = bin.join(program);
            std::fs::write(&path, format!("#!/bin/sh\ncat <<'END'\n{said}\nEND\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        place
    }

    fn of(image: &str, pods: usize, shared: Option<RwLockReadGuard<'static, ()>>) -> Self {
        let manifest = |namespace: &str| furniture(namespace, [pods, 0]);
        let place = Self::set_up(&RUNBOOK.replace("@image@", image), manifest, Way::Service, shared);
        place.eventually("blue serves", || {
            place.serving(BLUE) == pods && place.app.counted("blue").good > 0.0
        });
        place.app.forget_unanswered();
        place
    }

    /// Beside others, with another runbook and other objects. Who is still starting counts as nobody.
    pub(crate) fn furnished(runbook: &str, manifest: impl Fn(&str) -> String, way: Way) -> Self {
        let shared = IN_THE_AIR.read().unwrap_or_else(PoisonError::into_inner);
        Self::set_up(runbook, manifest, way, Some(shared))
    }

    fn set_up(
        runbook: &str,
        manifest: impl Fn(&str) -> String,
        way: Way,
        shared: Option<RwLockReadGuard<'static, ()>>,
    ) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("flight-{}-{number}", std::process::id());
        PLANE.apply(&manifest(&namespace));
        let stage = Stage::new();
        let app = App::start(&namespace, way).with_prometheus(stage.path());
        let runbook = runbook.replace("@namespace@", &namespace).replace("@prometheus@", &app.prometheus());
        std::fs::write(stage.path().join("runbook.toml"), runbook).unwrap();
        let kubeconfig = PLANE.kubeconfig.clone();
        Self { namespace, stage, app, kubeconfig, _in_the_air: shared }
    }

    /// The runbook with a change of a test's own.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.stage.path().join("runbook.toml");
        let runbook = std::fs::read_to_string(&path).unwrap();
        assert!(runbook.contains(from), "{from}");
        std::fs::write(path, runbook.replace(from, to)).unwrap();
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.stage.path().join("log")
    }

    /// What the commands have written so far.
    pub(crate) fn logged(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    // --- kubectl ---------------------------------------------------------------------------------------------------------

    /// What kubectl says in this namespace, as somebody who may do everything. It has to work.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let output = PLANE.kubectl(&[&["--namespace", &self.namespace], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// An object; nothing where there is none, or the API server rests.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Option<Value> {
        let args =
            ["--namespace", &self.namespace, "--request-timeout=5s", "get", kind, name, "--output=json"];
        let output = PLANE.kubectl(&args);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The slot that the Service selects.
    pub(crate) fn live(&self) -> String {
        let service = self.object("service", "backend-service").unwrap_or_default();
        service["spec"]["selector"]["version"].as_str().unwrap_or_default().to_owned()
    }

    /// Pods of a Deployment that users reach, by the Service's endpoints.
    pub(crate) fn serving(&self, deployment: &str) -> usize {
        let endpoints = self.object("endpoints", "backend-service").unwrap_or_default();
        let subsets = endpoints["subsets"].as_array().cloned().unwrap_or_default();
        let ready =
            subsets.iter().flat_map(|subset| subset["addresses"].as_array().cloned().unwrap_or_default());
        let of = |address: &Value| {
            let name = address["targetRef"]["name"].as_str().unwrap_or_default();
            name.starts_with(&format!("{deployment}-"))
        };
        ready.filter(of).count()
    }

    pub(crate) fn replicas(&self, deployment: &str) -> i64 {
        let object = self.object("deployment", deployment).unwrap_or_default();
        object["spec"]["replicas"].as_i64().unwrap_or(-1)
    }

    pub(crate) fn image(&self, deployment: &str) -> String {
        let object = self.object("deployment", deployment).unwrap_or_default();
        let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        image.unwrap_or_default().to_owned()
    }

    /// Waits until this is so.
    pub(crate) fn eventually(&self, what: &str, is: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is() {
            assert!(Instant::now() < until, "never: {what}\n{}", self.told());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn told(&self) -> String {
        let kinds = "deployments,replicasets,pods,endpoints";
        let args = ["--namespace", &self.namespace, "--request-timeout=5s", "get", kinds, "--output=wide"];
        let objects = PLANE.kubectl(&args).stdout;
        let app = self.app.told_of();
        format!("live {}, {app}\n{}", self.live(), String::from_utf8_lossy(&objects))
    }

    /// Somebody points the Service at another version.
    pub(crate) fn point_at(&self, version: &str) {
        let patch = format!(r#"{{"spec":{{"selector":{{"version":"{version}"}}}}}}"#);
        self.kubectl(&["patch", "service", "backend-service", "-p", &patch]);
    }

    /// Somebody scales a Deployment.
    pub(crate) fn scale(&self, deployment: &str, replicas: usize) {
        let target = format!("deployment/{deployment}");
        self.kubectl(&["scale", &target, &format!("--replicas={replicas}")]);
    }

    // --- what must be so at an end -------------------------------------------------------------------------------------

    /// The users are on blue as before, on both of its pods.
    pub(crate) fn assert_on_blue(&self, helm: &Helm) {
        let is = || self.live() == "blue" && self.serving(BLUE) == PODS && self.serving(GREEN) == 0;
        let until = Instant::now() + Duration::from_secs(10);
        while !is() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(is() && self.image(BLUE) == OLD, "{}\n{}", self.told(), helm.story());
    }

    /// The rollback that was ordered comes to its end: the users are on blue as before, and none of them has found nobody.
    pub(crate) fn assert_rolls_back(&self, helm: Helm) {
        self.rolls_back(helm, true, "");
    }

    /// … where some of the users have found nobody: somebody else had seen to that.
    pub(crate) fn assert_comes_back(&self, helm: Helm) {
        self.rolls_back(helm, false, "");
    }

    /// … with what the test was about, for whoever reads why it has failed.
    pub(crate) fn assert_rolls_back_after(&self, helm: Helm, what: &dyn std::fmt::Debug) {
        self.rolls_back(helm, true, &format!("{what:?}: "));
    }

    fn rolls_back(&self, mut helm: Helm, all_answered: bool, what: &str) {
        helm.wait_until("end", Helm::is_over);
        assert_eq!(helm.outcome(), Some(Outcome::RolledBack), "{what}{}", helm.story());
        self.assert_on_blue(&helm);
        if all_answered {
            self.assert_all_answered(&helm);
        }
        assert_eq!(helm.close(), 5, "{what}");
    }

    /// No request has ever found nobody.
    pub(crate) fn assert_all_answered(&self, helm: &Helm) {
        assert!(self.app.unanswered() == 0.0, "{}\n{}", self.told(), helm.story());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = PLANE.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}
