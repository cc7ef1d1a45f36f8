//! The control plane: what tests/real/kube starts.

#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{LazyLock, RwLock},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Those who need the API server share it; those who stop it have it alone.
pub(crate) static IN_THE_AIR: RwLock<()> = RwLock::new(());

/// Started by the first who asks; `tests/real/kube down` ends it.
pub(crate) static PLANE: LazyLock<Plane> = LazyLock::new(Plane::up);

pub(crate) struct Plane {
    /// Where its files are.
    pub(crate) dir: PathBuf,
    /// Where its programs are.
    pub(crate) bin: PathBuf,
    /// What allows everything.
    pub(crate) kubeconfig: PathBuf,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/kube")
}

impl Plane {
    fn up() -> Self {
        let output = Command::new(script()).arg("up").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let kubeconfig = PathBuf::from(told.lines().last().unwrap());
        let dir = kubeconfig.ancestors().nth(2).unwrap().to_owned();
        let cached = || dir.parent().unwrap().join("kubernetes-1.20.2");
        let bin = std::env::var_os("KUBEBUILDER_ASSETS").map_or_else(cached, PathBuf::from);
        Self { dir, bin, kubeconfig }
    }

    /// What kubectl says, as the one who may do everything.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.bin.join("kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args).output().unwrap()
    }

    /// The release of Kubernetes, `1.20`.
    pub(crate) fn release(&self) -> String {
        let told: serde_json::Value =
            serde_json::from_slice(&self.kubectl(&["version", "--output=json"]).stdout).unwrap();
        let part =
            |name: &str| told["serverVersion"][name].as_str().unwrap().trim_end_matches('+').to_owned();
        format!("{}.{}", part("major"), part("minor"))
    }

    /// For those who ask often.
    pub(crate) async fn client(&self) -> kube::Client {
        let file = kube::config::Kubeconfig::read_from(&self.kubeconfig).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// As [`Self::kubectl`], with a manifest; it has to work.
    pub(crate) fn apply(&self, manifest: &str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, manifest.as_bytes()).unwrap();
        let output = self.kubectl(&["apply", "-f", &file.path().display().to_string()]);
        assert!(output.status.success(), "{}\n{manifest}", String::from_utf8_lossy(&output.stderr));
    }

    /// The API server's URL.
    pub(crate) fn server(&self) -> String {
        let path = "jsonpath={.clusters[0].cluster.server}";
        let output = self.kubectl(&["config", "view", "--output", path]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes a kind of objects that have what fields they like, where there is none yet, and waits until it is served.
    pub(crate) fn define(&self, group: &str, version: &str, [plural, kind]: [&str; 2]) {
        let (name, singular) = (format!("{plural}.{group}"), kind.to_lowercase());
        self.apply(&format!(
            "apiVersion: apiextensions.k8s.io/v1\n\
             kind: CustomResourceDefinition\n\
             metadata: {{ name: {name}, annotations: {{ api-approved.kubernetes.io: unapproved }} }}\n\
             spec:\n\
             \x20 group: {group}\n\
             \x20 scope: Namespaced\n\
             \x20 names: {{ plural: {plural}, singular: {singular}, kind: {kind} }}\n\
             \x20 versions:\n\
             \x20 - name: {version}\n\
             \x20   served: true\n\
             \x20   storage: true\n\
             \x20   schema: {{ openAPIV3Schema: {{ type: object, x-kubernetes-preserve-unknown-fields: true }} }}\n"
        ));
        self.await_kind(&name);
    }

    /// A new kind is served a moment after it is established.
    pub(crate) fn await_kind(&self, name: &str) {
        let waited = self.kubectl(&["wait", "crd", name, "--for=condition=Established", "--timeout=20s"]);
        assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
        for _ in 0..100 {
            if self.kubectl(&["get", name]).status.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        panic!("{name} is not served");
    }

    fn pid(&self, name: &str) -> Pid {
        let text = std::fs::read_to_string(self.dir.join(format!("{name}.pid"))).unwrap();
        Pid::from_raw(text.trim().parse().unwrap())
    }

    /// The API server answers nobody until it is let go on; its connections stay open.
    pub(crate) fn freeze(&self) -> Frozen {
        let pid = self.pid("apiserver");
        kill(pid, Signal::SIGSTOP).unwrap();
        Frozen(pid)
    }

    /// The API server is gone at once.
    pub(crate) fn kill(&self) {
        self.script(&["stop", "apiserver"]);
    }

    /// … and back, once it says that it is ready.
    pub(crate) fn revive(&self) {
        self.script(&["start", "apiserver"]);
    }

    fn script(&self, args: &[&str]) {
        let status = Command::new(script()).args(args).arg(&self.dir).status().unwrap();
        assert!(status.success(), "{args:?}");
    }
}

/// The API server while it rests.
pub(crate) struct Frozen(Pid);

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// A namespace with blue live and green beside it, each on so many pods.
pub(crate) fn furniture(namespace: &str, [blue, green]: [usize; 2]) -> String {
    let deployment = |slot: &str, image: &str, replicas: usize| {
        format!(
            "---\n\
             apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata: {{ name: backend-{slot}, namespace: {namespace} }}\n\
             spec:\n\
             \x20 replicas: {replicas}\n\
             \x20 selector: {{ matchLabels: {{ app: backend, version: {slot} }} }}\n\
             \x20 template:\n\
             \x20   metadata: {{ labels: {{ app: backend, version: {slot} }} }}\n\
             \x20   spec: {{ terminationGracePeriodSeconds: 1, containers: [{{ name: backend, image: '{image}' }}] }}\n"
        )
    };
    format!(
        "apiVersion: v1\n\
         kind: Namespace\n\
         metadata: {{ name: {namespace} }}\n\
         ---\n\
         apiVersion: v1\n\
         kind: Service\n\
         metadata: {{ name: backend-service, namespace: {namespace} }}\n\
         spec: {{ selector: {{ app: backend, version: blue }}, ports: [{{ port: 80 }}] }}\n\
         {}{}",
        deployment("blue", "registry.example.com/backend:v1.5.0", blue),
        deployment("green", "registry.example.com/backend:v1.4.0", green),
    )
}
