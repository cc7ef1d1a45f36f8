//! Looks for the programs that scripts call. None of them is run.

use std::{
    env,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::domain::{
    online::{picture::Tool, scripts::programs},
    runbook::Runbook,
};

/// Every program of the runbook, and where it is. Paths count from the runbook's directory, where scripts run.
pub(super) fn look(runbook: &Runbook, path: &Path) -> Vec<Tool> {
    let here =
        path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    let found = |name: &str| {
        if name.contains('/') { Some(here.join(name)).filter(|path| is_program(path)) } else { on_path(name) }
    };
    let tool = |(name, places): (String, Vec<String>)| {
        let found = found(&name).map(|path| path.display().to_string());
        Tool { name, places, found }
    };
    programs(runbook).into_iter().map(tool).collect()
}

/// The program that a shell would find under a name.
pub(in crate::flight) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}
