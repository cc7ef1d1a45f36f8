//! The values of variables, including secrets, as actions and checks need them.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};

use super::mask::{MaskError, Masker};
use crate::domain::{
    run::Run,
    runbook::VarSource,
    template::{Template, Unexpanded},
};

/// Secrets by variable name, and what masks them. Shared by everything that runs for one run.
#[derive(Debug, Default)]
pub struct Secrets {
    values: RwLock<BTreeMap<String, SecretString>>,
    masker: RwLock<Arc<Masker>>,
}

impl Default for Masker {
    fn default() -> Self {
        Self::none()
    }
}

impl Secrets {
    /// Adds a secret.
    ///
    /// # Errors
    /// If the value is too short to be masked.
    pub fn add(&self, name: &str, value: String) -> Result<(), MaskError> {
        let mut values = self.values.write();
        let mut next = values.clone();
        next.insert(name.to_owned(), SecretString::from(value));
        let masker = Masker::new(next.iter().map(|(name, value)| (name.as_str(), value)))?;
        *values = next;
        *self.masker.write() = Arc::new(masker);
        Ok(())
    }

    /// What masks all of them.
    pub fn masker(&self) -> Arc<Masker> {
        Arc::clone(&self.masker.read())
    }

    /// A text without secrets.
    pub fn mask(&self, text: &str) -> String {
        self.masker().mask(text).into_owned()
    }

    fn get(&self, name: &str) -> Option<String> {
        let values = self.values.read();
        values.get(name).map(|value| value.expose_secret().to_owned())
    }

    fn all(&self) -> Vec<(String, String)> {
        let values = self.values.read();
        values.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
    }
}

/// Variables that had a secret value in this run which nobody has any more.
pub fn lost_secrets(run: &Run, secrets: &Secrets) -> Vec<String> {
    let lost = run.runbook.vars.iter().filter(|var| var.secret && run.vars.contains_key(&var.name));
    lost.filter(|var| secrets.get(&var.name).is_none()).map(|var| var.name.clone()).collect()
}

/// Whether a script's text has a name in it, as a word of its own. Rather once too often than too rarely.
fn mentions(script: &str, name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    script.match_indices(name).any(|(at, _)| {
        let (before, after) = (script[..at].chars().next_back(), script[at + name.len()..].chars().next());
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

/// All values at one moment.
#[derive(Debug, Clone)]
pub struct Values {
    plain: BTreeMap<String, String>,
    /// Values made of secrets.
    secret: BTreeMap<String, SecretString>,
    secrets: Arc<Secrets>,
    /// Secrets that an engine before this one was given or captured: they are never written down, so they are gone.
    lost: Vec<String>,
}

impl Values {
    /// The values a run has now.
    pub fn of(run: &Run, secrets: &Arc<Secrets>) -> Self {
        let lost = lost_secrets(run, secrets);
        let mut values =
            Self { plain: run.values(), secret: BTreeMap::new(), secrets: Arc::clone(secrets), lost };
        // A fixed value that uses a secret is one itself: known here, shown nowhere.
        for var in &run.runbook.vars {
            if let VarSource::Fixed { value } = &var.source
                && !values.plain.contains_key(&var.name)
            {
                match values.expand(value) {
                    Ok(value) => drop(values.secret.insert(var.name.clone(), SecretString::from(value))),
                    Err(Unexpanded::Unset(name)) if values.lost.contains(&name) => {
                        values.lost.push(var.name.clone());
                    }
                    Err(_) => {}
                }
            }
        }
        values
    }

    /// With a value that no variable has: only for what is looked at just now.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.plain.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A template with every value in it, secrets too. The result must reach no sink.
    ///
    /// # Errors
    /// The first name that has no value, or that the text would be too long.
    pub fn expand(&self, template: &Template) -> Result<String, Unexpanded> {
        let derived = |name: &str| self.secret.get(name).map(|value| value.expose_secret().to_owned());
        template.expand(|name| {
            self.plain.get(name).cloned().or_else(|| self.secrets.get(name)).or_else(|| derived(name))
        })
    }

    /// The environment of a command: every variable under its own name.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut env: Vec<_> = self.plain.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        env.extend(self.secret.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())));
        env.extend(self.secrets.all());
        env
    }

    /// Why a script can't be run: it uses a secret that is gone, and would find an empty variable.
    pub fn lacks(&self, script: &str) -> Option<String> {
        let name = self.lost.iter().find(|name| mentions(script, name))?;
        Some(format!(
            "it uses the secret ${name}, which this engine does not have, because secrets are never stored: \
             set it in the environment or pass --var {name}=VALUE, and resume"
        ))
    }

    /// The secrets' masker as it is now.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }
}

/// Whether a value may be a variable's.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_value(name: &str, value: &str, pattern: Option<&str>) -> Result<(), String> {
    if value.contains(char::is_control) {
        return Err(format!("${name} must be one line without control characters"));
    }
    let Some(pattern) = pattern else { return Ok(()) };
    let whole = regex::Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| format!("the pattern of ${name} is not valid: {error}"))?;
    if whole.is_match(value) {
        Ok(())
    } else {
        Err(format!("${name} must match `{pattern}`, but `{value}` does not"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_gone_is_named_before_a_script_finds_it_empty() {
        use crate::domain::{
            effect::Input,
            fixture::{Flight, runbook},
        };
        let mut book = runbook();
        book.vars.iter_mut().find(|var| var.name == "BACKUP_ID").unwrap().secret = true;
        let mut flight = Flight::opened(book);
        let secrets = Arc::new(Secrets::default());
        let lacks = |flight: &Flight, script: &str| Values::of(flight.run(), &secrets).lacks(script);
        assert_eq!(lacks(&flight, "restore $BACKUP_ID"), None, "it is not captured yet");
        let (name, source) = ("BACKUP_ID".to_owned(), "captured".to_owned());
        flight.feed(Input::VarSet { name, value: None, source });
        assert!(lacks(&flight, "restore $BACKUP_ID").unwrap().contains("--var BACKUP_ID=VALUE"));
        assert_eq!(lacks(&flight, "echo $OTHER"), None);
        secrets.add("BACKUP_ID", "b-17-at-last".to_owned()).unwrap();
        assert_eq!(lacks(&flight, "restore $BACKUP_ID"), None);
    }

    #[test]
    fn a_name_is_found_as_a_word() {
        for script in ["x $TOKEN", "x ${TOKEN}", "printenv TOKEN", "\"$TOKEN\"", "TOKEN_A TOKEN"] {
            assert!(mentions(script, "TOKEN"), "{script}");
        }
        for script in ["x $TOKENS", "$MY_TOKEN", "", "token"] {
            assert!(!mentions(script, "TOKEN"), "{script}");
        }
    }
}
