//! The operator's settings and keymap: validated before anything is opened with them.

use crate::{
    config::{
        diagnose::Diagnostic,
        keymap::Keymap,
        settings::{Found, Settings},
    },
    flight::{say::talk, stop::Stop},
};

/// The operator's settings, validated.
pub struct Own {
    /// The settings.
    pub settings: Settings,
    /// What each key does; the built-in keys if no screen is opened.
    pub keymap: Keymap,
}

/// Reads the settings, and the keymap where a screen is to be opened.
///
/// # Errors
/// Every fault, one a line.
pub fn read(screen: bool) -> Result<Own, Vec<String>> {
    let env = |name: &str| std::env::var(name).ok();
    let Found { settings, mut faults, .. } = Settings::load(&env);
    let (keymap, more) = if screen { settings.keymap(&env) } else { Default::default() };
    faults.extend(more);
    let faults = lines(&faults);
    if faults.is_empty() { Ok(Own { settings, keymap }) } else { Err(faults) }
}

/// As [`read`], for a command that opens something.
///
/// # Errors
/// Every fault, and what to do.
pub fn good(screen: bool) -> Result<Own, Stop> {
    read(screen).map_err(|faults| {
        Stop::usage(format!("{}\n{}; see: cutover config", faults.join("\n"), way_out(&faults)))
    })
}

/// How to continue despite invalid settings, when it is urgent.
fn way_out(faults: &[String]) -> String {
    let variable = |fault: &String| Some(fault.strip_prefix('$')?.split(':').next()?.to_owned());
    let mut variables: Vec<String> = faults.iter().filter_map(variable).collect();
    // A file can be left out, unless a variable names the keymap all the same.
    let of_file = faults.len() > variables.len();
    let keymap = std::env::var("CUTOVER_KEYMAP").is_ok_and(|path| !path.is_empty());
    variables.extend((of_file && keymap).then(|| "CUTOVER_KEYMAP".to_owned()));
    let mut ways: Vec<String> = variables.iter().map(|name| format!("unset {name}")).collect();
    ways.extend(of_file.then(|| "run without settings: CUTOVER_SETTINGS=/dev/null".to_owned()));
    format!("correct it, or {}", ways.join(" and "))
}

/// Warns about invalid settings, for a command that continues anyway: a rollback must not wait for settings.
pub fn warn() {
    for fault in read(false).err().unwrap_or_default() {
        talk(&format!("ignored: {fault}"));
    }
}

/// The errors among the faults, one per line.
pub fn lines(faults: &[(Diagnostic, String)]) -> Vec<String> {
    faults.iter().filter(|(fault, _)| fault.is_error()).map(|(fault, _)| fault.to_string()).collect()
}
