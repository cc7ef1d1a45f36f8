//! The operator's settings: `cutover/settings.toml` in the XDG config directory, overridden by `CUTOVER_*` variables.
//!
//! What belongs to a deployment stands in the runbook; what belongs to a person and a terminal stands here. A flag on
//! the command line beats both.

mod origin;

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

pub use origin::{Origin, Setting};

use super::{
    diagnose::{Diagnostic, Faults, suggest},
    keymap::Keymap,
    raw::{self, MAX_BYTES, Node},
    theme::{ColorChoice, Theme, ThemeChoice, has_many_colours, use_ascii, use_color},
};

/// What an operator can set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// When to use colours.
    pub color: ColorChoice,
    /// For which background, and which eyes, colours are chosen.
    pub theme: ThemeChoice,
    /// Whether to draw with ASCII only; by the locale where not set.
    pub ascii: Option<bool>,
    /// At most four redraws a second instead of ten, for slow lines.
    pub slow_link: bool,
    /// Whether to stay silent where a bell would ask for a person.
    pub no_bell: bool,
    /// Whether to send desktop notifications through the terminal (OSC 9).
    pub osc9: bool,
    /// Whether to leave the terminal's title alone.
    pub no_title: bool,
    /// Whether to take the mouse: a click selects, the wheel scrolls. Terminals then want shift for selecting text.
    pub mouse: bool,
    /// A keymap file.
    pub keymap: Option<PathBuf>,
    /// Where runs are kept instead of the XDG state directory.
    pub state_dir: Option<PathBuf>,
    /// The name to go by in the log and in notices, instead of the login name.
    pub pilot: Option<String>,
}

/// Settings with all that was found on the way.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The settings.
    pub settings: Settings,
    /// Faults of the file and of variables, each with the text it was found in.
    pub faults: Vec<(Diagnostic, String)>,
    /// What was given, by whom: what beats stands after what it beats.
    given: Vec<Setting>,
}

const KEYS: &[&str] = &[
    "color",
    "theme",
    "ascii",
    "slow_link",
    "bell",
    "osc9",
    "title",
    "mouse",
    "keymap",
    "state_dir",
    "pilot",
];

/// Those that are `true` or `false`.
const FLAGS: &[&str] = &["ascii", "slow_link", "bell", "osc9", "title", "mouse"];

/// What each setting is where nobody has said anything.
const DEFAULTS: &[(&str, &str)] = &[
    ("color", "auto"),
    ("theme", "auto"),
    ("ascii", "by the locale"),
    ("slow_link", "false"),
    ("bell", "true"),
    ("osc9", "false"),
    ("title", "true"),
    ("mouse", "false"),
    ("keymap", "built in"),
    ("state_dir", "by XDG"),
    ("pilot", "login name"),
];

/// Variables over the file, with the setting they stand for.
const VARIABLES: &[(&str, &str)] = &[
    ("CUTOVER_COLOR", "color"),
    ("CUTOVER_THEME", "theme"),
    ("CUTOVER_ASCII", "ascii"),
    ("CUTOVER_SLOW_LINK", "slow_link"),
    ("CUTOVER_BELL", "bell"),
    ("CUTOVER_OSC9", "osc9"),
    ("CUTOVER_TITLE", "title"),
    ("CUTOVER_MOUSE", "mouse"),
    ("CUTOVER_KEYMAP", "keymap"),
    ("CUTOVER_STATE_DIR", "state_dir"),
    ("CUTOVER_PILOT", "pilot"),
];

impl Settings {
    /// Where the settings file is looked for: `CUTOVER_SETTINGS`, or `cutover/settings.toml` in the XDG config directory.
    /// None where there is no home directory.
    pub fn path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        if let Some(path) = env("CUTOVER_SETTINGS").filter(|path| !path.is_empty()) {
            return Some(PathBuf::from(path));
        }
        let base = etcetera::base_strategy::Xdg::new().ok()?;
        Some(base.config_dir().join("cutover").join("settings.toml"))
    }

    /// Reads the settings file, where there is one, and the variables over it.
    pub fn load(env: &dyn Fn(&str) -> Option<String>) -> Found {
        let mut found = Found::default();
        if let Some(path) = Self::path(env) {
            let named = env("CUTOVER_SETTINGS").is_some_and(|path| !path.is_empty());
            match read(&path) {
                Ok(text) => found = Self::load_str(&path.display().to_string(), &text),
                Err((io::ErrorKind::NotFound, _)) if !named => {}
                Err((_, why)) => {
                    found
                        .faults
                        .push((Diagnostic::whole_file(&path.display().to_string(), why), String::new()));
                }
            }
        }
        found.settings.apply(env, &mut found.faults);
        found.note_variables(env);
        found
    }

    /// Reads a settings file's text.
    pub fn load_str(path: &str, text: &str) -> Found {
        let mut faults = Faults::new(path, text);
        let mut settings = Self::default();
        let mut given = Vec::new();
        let root = raw::parse(&mut faults);
        for entry in root.entries() {
            if !KEYS.contains(&entry.key.as_str()) {
                faults
                    .error(entry.key_span.clone(), format!("unknown setting `{}`", entry.key))
                    .maybe_help(suggest(&entry.key, KEYS.iter().copied()));
            } else if let Err((message, help)) = settings.set(&entry.key, &entry.node) {
                faults.error(entry.node.span.clone(), message).help(help);
            } else {
                given.push((entry.key.clone(), value_of(&entry.node), line_of(text, entry.key_span.start)));
            }
        }
        let faults = faults.into_sorted().into_iter().map(|fault| (fault, text.to_owned())).collect();
        let mut found = Found { settings, faults, given: Vec::new() };
        for (key, value, line) in given {
            found.give(&key, value, Origin::File { path: path.to_owned(), line });
        }
        found
    }

    /// Takes the variables that are set and not empty.
    fn apply(&mut self, env: &dyn Fn(&str) -> Option<String>, faults: &mut Vec<(Diagnostic, String)>) {
        for (variable, key) in VARIABLES {
            let Some(value) = env(variable).filter(|value| !value.is_empty()) else { continue };
            let flag = flag_of_word(&value).filter(|_| FLAGS.contains(key));
            let node = flag.map_or(raw::Value::Text(value), raw::Value::Bool);
            if let Err((message, help)) = self.set(key, &Node { span: 0..0, value: node }) {
                let mut fault = Diagnostic::whole_file(&format!("${variable}"), message);
                fault.help = Some(help);
                faults.push((fault, String::new()));
            }
        }
    }

    /// Takes one setting, or says why not and what would be right.
    fn set(&mut self, key: &str, node: &Node) -> Result<(), (String, String)> {
        let wrong = |right: &str| (format!("`{key}` cannot be {}", shown(node)), format!("write {right}"));
        let flag = || node.bool().ok_or_else(|| wrong("`true` or `false`"));
        let text = || node.text().filter(|text| !text.is_empty()).ok_or_else(|| wrong("a text in quotes"));
        match key {
            "color" => {
                let word = node.text().and_then(ColorChoice::from_word);
                self.color = word.ok_or_else(|| wrong("\"auto\", \"always\" or \"never\""))?;
            }
            "theme" => {
                let word = node.text().and_then(ThemeChoice::from_word);
                self.theme =
                    word.ok_or_else(|| wrong(&format!("one of {}", ThemeChoice::WORDS.join(", "))))?;
            }
            "ascii" => self.ascii = Some(flag()?),
            "slow_link" => self.slow_link = flag()?,
            "bell" => self.no_bell = !flag()?,
            "osc9" => self.osc9 = flag()?,
            "title" => self.no_title = !flag()?,
            "mouse" => self.mouse = flag()?,
            "keymap" => self.keymap = Some(PathBuf::from(text()?)),
            "state_dir" => self.state_dir = Some(PathBuf::from(text()?)),
            "pilot" => self.pilot = Some(text()?.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// Where the keymap file is, where one is set. Paths are relative to the settings file's directory.
    pub fn keymap_path(&self, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let path = self.keymap.as_ref()?;
        Some(match Self::path(env).as_deref().and_then(Path::parent) {
            Some(directory) => directory.join(path),
            None => path.clone(),
        })
    }

    /// The keymap: the file's where one is set, else ours.
    pub fn keymap(&self, env: &dyn Fn(&str) -> Option<String>) -> (Keymap, Vec<(Diagnostic, String)>) {
        let Some(path) = self.keymap_path(env) else { return (Keymap::default(), Vec::new()) };
        match read(&path) {
            Ok(text) => {
                let (keymap, faults) = Keymap::load_str(&path.display().to_string(), &text);
                (keymap, faults.into_iter().map(|fault| (fault, text.clone())).collect())
            }
            Err((_, why)) => {
                let fault = Diagnostic::whole_file(&path.display().to_string(), why);
                (Keymap::default(), vec![(fault, String::new())])
            }
        }
    }

    /// The theme these settings and this environment give on a terminal.
    pub fn theme(&self, env: &dyn Fn(&str) -> Option<String>, terminal: bool) -> Theme {
        let color = use_color(self.color, env, terminal);
        let choice = if color { self.theme } else { ThemeChoice::Mono };
        Theme::new(choice, has_many_colours(env), use_ascii(self.ascii, env))
    }
}

/// What a variable's word means for a setting that is `true` or `false`.
fn flag_of_word(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Reads a file of at most 1 MiB as text, or says why not.
fn read(path: &Path) -> Result<String, (io::ErrorKind, String)> {
    let mut text = String::new();
    let limit = MAX_BYTES as u64 + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_string(&mut text))
        .map_err(|error| (error.kind(), format!("cannot be read: {error}")))?;
    if text.len() > MAX_BYTES {
        return Err((io::ErrorKind::FileTooLarge, "larger than 1 MiB".to_owned()));
    }
    Ok(text)
}

/// The line that a byte is on, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// A value without the quotes around a text.
fn value_of(node: &Node) -> String {
    node.text().map_or_else(|| shown(node), str::to_owned)
}

/// Without the value where it is a table: settings are shown on one line each.
fn shown(node: &Node) -> String {
    match &node.value {
        raw::Value::Text(text) => format!("\"{text}\""),
        raw::Value::Bool(flag) => flag.to_string(),
        _ => node.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_its_faults_are_told_at_once() {
        let text =
            "color = \"never\"\nslow_link = true\nbell = false\nkeymap = \"keys.toml\"\npilot = \"alice\"\n";
        let found = Settings::load_str("settings.toml", text);
        assert!(found.faults.is_empty());
        assert_eq!(found.settings.color, ColorChoice::Never);
        assert!(found.settings.slow_link && found.settings.no_bell && !found.settings.osc9);
        assert_eq!(found.settings.pilot.as_deref(), Some("alice"));

        let found = Settings::load_str(
            "settings.toml",
            "colour = \"never\"\nslow_link = \"yes\"\ncolor = \"red\"\ntheme = \"pink\"\n",
        );
        let shown: Vec<String> = found.faults.iter().map(|(fault, _)| fault.to_string()).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        settings.toml:1:1: error: unknown setting `colour`; did you mean `color`?
        settings.toml:2:13: error: `slow_link` cannot be "yes"; write `true` or `false`
        settings.toml:3:9: error: `color` cannot be "red"; write "auto", "always" or "never"
        settings.toml:4:9: error: `theme` cannot be "pink"; write one of auto, dark, light, high-contrast, colour-blind, mono
        "#);
    }

    #[test]
    fn variables_beat_the_file() {
        let mut found = Settings::load_str("settings.toml", "color = \"never\"\nosc9 = false\n");
        let env = |name: &str| match name {
            "CUTOVER_COLOR" => Some("always".to_owned()),
            "CUTOVER_OSC9" => Some("1".to_owned()),
            "CUTOVER_THEME" => Some("light".to_owned()),
            "CUTOVER_MOUSE" => Some("on".to_owned()),
            "CUTOVER_TITLE" => Some("no".to_owned()),
            "CUTOVER_ASCII" => Some("perhaps".to_owned()),
            _ => None,
        };
        found.settings.apply(&env, &mut found.faults);
        assert_eq!(found.settings.color, ColorChoice::Always);
        assert!(found.settings.osc9 && found.settings.mouse && found.settings.no_title);
        assert_eq!(found.settings.theme, ThemeChoice::Light);
        let faults: Vec<String> = found.faults.iter().map(|(fault, _)| fault.to_string()).collect();
        assert_eq!(faults, ["$CUTOVER_ASCII: error: `ascii` cannot be \"perhaps\"; write `true` or `false`"]);
    }

    #[test]
    fn without_colours_every_theme_is_the_one_that_needs_none() {
        let settings = Settings { theme: ThemeChoice::Light, ..Settings::default() };
        assert!(!settings.theme(&|name| (name == "NO_COLOR").then(|| "1".to_owned()), true).has_colour());
        assert!(settings.theme(&|_| None, true).has_colour());
    }

    #[test]
    fn files_are_found_read_and_merged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.toml");
        std::fs::write(&path, "keymap = \"keys.toml\"\n").unwrap();
        std::fs::write(dir.path().join("keys.toml"), "[global]\nlogs = \"w\"\n").unwrap();
        let env = |name: &str| (name == "CUTOVER_SETTINGS").then(|| path.display().to_string());
        let found = Settings::load(&env);
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        let (keymap, faults) = found.settings.keymap(&env);
        assert!(faults.is_empty());
        assert_ne!(keymap, Keymap::default());
    }

    #[test]
    fn a_settings_file_that_was_named_must_exist() {
        let env = |name: &str| (name == "CUTOVER_SETTINGS").then(|| "/nonexistent/settings.toml".to_owned());
        assert_eq!(Settings::load(&env).faults.len(), 1);
    }
}
