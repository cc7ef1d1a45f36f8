//! Where each setting's value comes from.

use std::fmt;

use super::{DEFAULTS, FLAGS, Found, KEYS, VARIABLES, flag_of_word};

/// Where a value comes from; a later one of these beats those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has said anything.
    Default,
    /// This line of the settings file.
    File {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// This environment variable.
    Variable(&'static str),
    /// This flag on the command line.
    Flag(&'static str),
}

impl Origin {
    /// Its kind in one word, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Variable(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    /// For people: `default`, `settings.toml:3`, `$CUTOVER_COLOR`, `--color`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A setting as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the settings file.
    pub name: &'static str,
    /// Its value as the settings file would have it, text without quotes; where nobody said anything, what that means.
    pub value: String,
    /// Where that comes from.
    pub origin: Origin,
}

impl Found {
    /// Every setting with its value and where it comes from, in the order of the documentation.
    pub fn listed(&self) -> Vec<Setting> {
        let unset = |name| DEFAULTS.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| *value);
        let setting = |name: &&'static str| {
            let given = self.given.iter().rev().find(|setting| setting.name == *name).cloned();
            let value = unset(*name).to_owned();
            given.unwrap_or(Setting { name, value, origin: Origin::Default })
        };
        KEYS.iter().map(setting).collect()
    }

    /// Notes that a value was given, after those that it beats.
    pub fn give(&mut self, name: &str, value: impl Into<String>, origin: Origin) {
        let name = KEYS.iter().find(|key| **key == name);
        self.given.extend(name.map(|name| Setting { name, value: value.into(), origin }));
    }

    /// Notes the variables that are set and could be taken.
    pub(super) fn note_variables(&mut self, env: &dyn Fn(&str) -> Option<String>) {
        for (variable, key) in VARIABLES {
            let faulty = self.faults.iter().any(|(fault, _)| fault.path == format!("${variable}"));
            let Some(value) = env(variable).filter(|value| !value.is_empty() && !faulty) else { continue };
            let flag = flag_of_word(&value).filter(|_| FLAGS.contains(key));
            self.give(key, flag.map_or(value, |flag| flag.to_string()), Origin::Variable(variable));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Settings;

    #[test]
    fn each_value_says_where_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.toml");
        std::fs::write(&path, "# mine\ncolor = \"never\"\nbell = false\nosc9 = true\nascii = 3\n").unwrap();
        let file = path.display().to_string();
        let env = |name: &str| match name {
            "CUTOVER_SETTINGS" => Some(file.clone()),
            "CUTOVER_OSC9" => Some("0".to_owned()),
            "CUTOVER_SLOW_LINK" => Some("perhaps".to_owned()),
            _ => None,
        };
        let mut found = Settings::load(&env);
        found.give("color", "always", Origin::Flag("--color"));
        let listed = found.listed();
        let of = |name: &str| {
            let setting = listed.iter().find(|setting| setting.name == name).unwrap();
            (setting.value.as_str(), setting.origin.to_string())
        };
        assert_eq!(of("color"), ("always", "--color".to_owned()));
        assert_eq!(of("bell"), ("false", format!("{file}:3")));
        assert_eq!(of("osc9"), ("false", "$CUTOVER_OSC9".to_owned()));
        // What cannot be taken changes nothing, and so comes from nowhere.
        assert_eq!(of("slow_link"), ("false", "default".to_owned()));
        assert_eq!(of("ascii"), ("by the locale", "default".to_owned()));
        assert_eq!(found.faults.len(), 2);
    }

    #[test]
    fn every_setting_has_a_default_that_can_be_shown() {
        let mut named: Vec<&str> = DEFAULTS.iter().map(|(name, _)| *name).collect();
        named.sort_unstable();
        let mut keys = KEYS.to_vec();
        keys.sort_unstable();
        assert_eq!(named, keys);
    }
}
