//! `cutover config`: prints all paths, and every setting with its value and origin.

use std::path::{Path, PathBuf};

use super::{args::ConfigArgs, front::own};
use crate::{
    config::settings::{Origin, Setting, Settings},
    flight::{
        exit::Exit,
        say::{data, json_document, talk},
        stop::Stop,
        store,
    },
};

/// Prints them; exit code 2 if a file or variable is invalid.
///
/// # Errors
/// If no home directory is known.
pub fn main(args: &ConfigArgs) -> Result<Exit, Stop> {
    let env = |name: &str| std::env::var(name).ok();
    let mut found = Settings::load(&env);
    let (_, of_keymap) = found.settings.keymap(&env);
    let mut faults = own::lines(&found.faults);
    faults.extend(own::lines(&of_keymap));
    if let Some(color) = &args.color {
        found.give("color", color, Origin::Flag("--color"));
    }
    if args.slow_link {
        found.give("slow_link", "true", Origin::Flag("--slow-link"));
    }
    if let Some(dir) = &args.state_dir {
        found.give("state_dir", dir.display().to_string(), Origin::Flag("--state-dir"));
    }
    let state = args.state_dir.clone().or_else(|| found.settings.state_dir.clone());
    let state = store::state_dir(state.as_ref())?;
    let paths = [
        ("settings", Settings::path(&env)),
        ("keymap", found.settings.keymap_path(&env)),
        ("state", Some(state.clone())),
        ("runs", Some(state.join("runs"))),
        ("logs", Some(state.join("logs"))),
        ("cache", None),
    ];
    if args.json {
        data(&json_document(&document(&paths, &found.listed(), &faults)));
    } else {
        for line in lines(&paths, &found.listed()) {
            data(&line);
        }
        for fault in &faults {
            talk(fault);
        }
    }
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Usage })
}

type Paths = [(&'static str, Option<PathBuf>)];

fn lines(paths: &Paths, settings: &[Setting]) -> Vec<String> {
    let of_path = |(name, path): &(&str, Option<PathBuf>)| {
        let shown = match path {
            Some(path) if path.exists() => path.display().to_string(),
            Some(path) => format!("{} (not there)", path.display()),
            None if *name == "keymap" => "built in".to_owned(),
            None => "none".to_owned(),
        };
        format!("{name:10}  {shown}")
    };
    let widest = settings.iter().map(|setting| setting.value.chars().count()).max().unwrap_or(0);
    let of_setting =
        |setting: &Setting| format!("{:10}  {:widest$}  {}", setting.name, setting.value, setting.origin);
    let head = |title: &str| vec![title.to_owned()];
    let mut all = head("Paths");
    all.extend(paths.iter().map(of_path));
    all.extend(head(""));
    all.extend(head("Settings"));
    all.extend(settings.iter().map(of_setting));
    all
}

fn document(paths: &Paths, settings: &[Setting], faults: &[String]) -> serde_json::Value {
    let path = |path: &Option<PathBuf>| match path {
        Some(path) => serde_json::json!({ "path": path, "exists": Path::exists(path) }),
        None => serde_json::Value::Null,
    };
    let setting = |setting: &Setting| {
        let (path, line) = match &setting.origin {
            Origin::File { path, line } => (Some(path), Some(line)),
            Origin::Default | Origin::Variable(_) | Origin::Flag(_) => (None, None),
        };
        let name = match &setting.origin {
            Origin::Variable(name) | Origin::Flag(name) => Some(name),
            Origin::Default | Origin::File { .. } => None,
        };
        serde_json::json!({
            "name": setting.name, "value": setting.value,
            "from": { "kind": setting.origin.kind(), "path": path, "line": line, "name": name },
        })
    };
    let paths: serde_json::Map<_, _> =
        paths.iter().map(|(name, found)| ((*name).to_owned(), path(found))).collect();
    serde_json::json!({
        "schema_version": 1,
        "paths": paths,
        "settings": settings.iter().map(setting).collect::<Vec<_>>(),
        "faults": faults,
    })
}
