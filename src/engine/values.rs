//! The values of variables, secrets among them, as actions and checks need them.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use secrecy::{ExposeSecret, SecretString};

use super::mask::{MaskError, Masker};
use crate::domain::{
    run::Run,
    runbook::VarSource,
    template::{Template, Unset},
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
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = values.clone();
        next.insert(name.to_owned(), SecretString::from(value));
        let masker = Masker::new(next.iter().map(|(name, value)| (name.as_str(), value)))?;
        *values = next;
        *self.masker.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(masker);
        Ok(())
    }

    /// What masks all of them.
    pub fn masker(&self) -> Arc<Masker> {
        Arc::clone(&self.masker.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A text without secrets.
    pub fn mask(&self, text: &str) -> String {
        self.masker().mask(text).into_owned()
    }

    fn get(&self, name: &str) -> Option<String> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values.get(name).map(|value| value.expose_secret().to_owned())
    }

    fn all(&self) -> Vec<(String, String)> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
    }
}

/// All values at one moment.
#[derive(Debug, Clone)]
pub struct Values {
    plain: BTreeMap<String, String>,
    /// Values made of secrets.
    secret: BTreeMap<String, SecretString>,
    secrets: Arc<Secrets>,
}

impl Values {
    /// The values a run has now.
    pub fn of(run: &Run, secrets: &Arc<Secrets>) -> Self {
        let names = run.runbook.vars.iter().map(|var| var.name.clone()).chain(run.vars.keys().cloned());
        let plain = names.filter_map(|name| run.value(&name).map(|value| (name, value))).collect();
        let mut values = Self { plain, secret: BTreeMap::new(), secrets: Arc::clone(secrets) };
        // A fixed value that uses a secret is one itself: known here, shown nowhere.
        for var in &run.runbook.vars {
            if let VarSource::Fixed { value } = &var.source
                && !values.plain.contains_key(&var.name)
                && let Ok(value) = values.expand(value)
            {
                values.secret.insert(var.name.clone(), SecretString::from(value));
            }
        }
        values
    }

    /// A template with every value in it, secrets too. The result must reach no sink.
    ///
    /// # Errors
    /// The first name that has no value.
    pub fn expand(&self, template: &Template) -> Result<String, Unset> {
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

    /// The secrets' masker as it is now.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }
}
