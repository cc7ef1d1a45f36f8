//! Looking for `cutover doctor`: the kubeconfig, the login, the API server's clock, the state directory, linger, kubectl.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{online, who};
use crate::domain::{
    online::{
        machine::{Machine, State, Terminal},
        picture::{Looked, Unseen},
    },
    time::Timestamp,
};

/// One look takes no longer.
const EACH: Duration = Duration::from_secs(5);

/// Looks at everything. Credential plugins run, as with kubectl.
pub async fn look(state: &Path, terminal: Terminal, context: Option<&str>) -> Machine {
    let connector = online::connector();
    let login = connector.login(context);
    let server = async {
        // Without a kubeconfig there may still be the service account of the pod that we are in.
        let reachable = login.is_ok() || env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        if !reachable {
            return None;
        }
        Some(connector.reach(context, EACH).await.map(|reached| (reached.version, reached.ahead)))
    };
    let (server, kubectl) = tokio::join!(server, kubectl());
    Machine {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: Timestamp(jiff::Timestamp::now().as_millisecond()),
        files: files(),
        login,
        server,
        terminal,
        state: state_of(state),
        lingers: lingers(),
        user: who::user(),
        kubectl,
    }
}

/// The kubeconfig files that are read, as kubectl finds them.
fn files() -> Vec<(String, Result<u32, String>)> {
    let named = env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
    let paths: Vec<PathBuf> = match &named {
        Some(value) => env::split_paths(value).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config")).into_iter().collect(),
    };
    let seen = |path: PathBuf| {
        let mode = fs::File::open(&path).and_then(|file| file.metadata());
        (
            path.display().to_string(),
            mode.map(|about| about.permissions().mode()).map_err(|why| why.to_string()),
        )
    };
    paths.into_iter().map(seen).collect()
}

/// Nothing is made to find that out: a doctor that changes what it looks at would hide the fault for the next one.
fn state_of(path: &Path) -> State {
    // What is not there yet is made in the next directory above that is.
    let there = path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let writable =
        nix::unistd::access(there, nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK);
    let space = nix::sys::statvfs::statvfs(there).ok();
    let exists = path.is_dir();
    State {
        path: path.display().to_string(),
        exists,
        writable: writable.map_err(|why| format!("{}: {}", there.display(), why.desc())),
        mode: fs::metadata(path).ok().filter(|_| exists).map(|about| about.permissions().mode()),
        free: space.map(|space| {
            #[expect(clippy::useless_conversion, reason = "the types differ between systems")]
            u64::from(space.blocks_available()).saturating_mul(u64::from(space.fragment_size()))
        }),
    }
}

/// Whether services of this user outlive the last logout; nothing where systemd does not run.
fn lingers() -> Option<bool> {
    Path::new("/run/systemd/system")
        .is_dir()
        .then(|| Path::new("/var/lib/systemd/linger").join(who::user()).exists())
}

/// kubectl's own version. It asks nobody for it.
async fn kubectl() -> Looked<Option<String>> {
    let Some(program) = online::on_path("kubectl") else { return Ok(None) };
    let cure = "run `kubectl version --client` by hand";
    let mut command = tokio::process::Command::new(program);
    command
        .args(["version", "--client", "--output=json"])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    // Some kubectls ask the cluster which of them fits.
    command.env("KUBECONFIG", "/dev/null");
    let output = tokio::time::timeout(EACH, command.output()).await;
    let output = output.map_err(|_| Unseen::new("kubectl does not answer", cure))?;
    let output = output.map_err(|why| Unseen::new(format!("kubectl cannot be started: {why}"), cure))?;
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let version = version.pointer("/clientVersion/gitVersion").and_then(serde_json::Value::as_str);
    version
        .map(|version| Some(version.to_owned()))
        .ok_or_else(|| Unseen::new("kubectl does not tell its version", cure))
}
