//! The variables of a run, and what is known of its versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    action::{Action, ActionKind},
    run::{ActionStatus, Run},
    runbook::{Var, VarSource},
    template::Template,
    time::{Span, Timestamp},
};

impl Run {
    /// Whether what an action prints has a secret in it that nobody knows before.
    pub fn captures_secret(&self, action: &Action) -> bool {
        let secret = |name: &String| self.runbook.vars.iter().any(|var| var.secret && var.name == *name);
        action.capture.iter().any(|capture| secret(&capture.var))
    }

    /// A variable's value, where it has one that may be shown. Fixed values may use variables written before them.
    pub fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.vars.get(name) {
            return value.clone();
        }
        let vars = &self.runbook.vars;
        let upto = &vars[..=vars.iter().position(|var| var.name == name)?];
        let mut needed = BTreeSet::from([name]);
        for var in upto.iter().rev().filter(|var| !self.vars.contains_key(&var.name)) {
            if let VarSource::Fixed { value } = &var.source
                && needed.contains(var.name.as_str())
            {
                needed.extend(value.names());
            }
        }
        self.values_of(upto.iter().filter(|var| needed.contains(var.name.as_str()))).remove(name)
    }

    /// Every variable's value that may be shown.
    pub fn values(&self) -> BTreeMap<String, String> {
        let known = self.vars.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        let mut values = self.values_of(self.runbook.vars.iter());
        values.extend(known);
        values
    }

    /// The values of some variables in their order of writing: each is made of those before it, once.
    fn values_of<'a>(&self, vars: impl Iterator<Item = &'a Var>) -> BTreeMap<String, String> {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for var in vars {
            let value = match (self.vars.get(&var.name), &var.source) {
                (Some(value), _) => value.clone(),
                (None, VarSource::Fixed { value }) => value.expand(|name| values.get(name).cloned()).ok(),
                (None, _) => None,
            };
            values.extend(value.map(|value| (var.name.clone(), value)));
        }
        values
    }

    /// A template as it can be shown: known values in, secrets and unknown ones as `$NAME`.
    pub fn show(&self, template: &Template) -> String {
        template.show(|name| self.value(name))
    }

    /// The version that goes out: the variable that the first `set_image` uses, else the image itself.
    pub fn new_version(&self) -> Option<String> {
        if let Some(value) = self.value("DEPLOY_VERSION") {
            return Some(value);
        }
        self.runbook.steps.iter().flat_map(|step| &step.run).find_map(|action| match &action.kind {
            ActionKind::SetImage { image, .. } => {
                Some(tag_of(&image.expand(|name| self.value(name)).ok()?).to_owned())
            }
            _ => None,
        })
    }

    /// The version that had traffic when the run opened.
    pub fn previous_version(&self) -> Option<String> {
        self.opened.previous.as_ref().map(|target| tag_of(&target.image).to_owned())
    }

    /// Asked variables without a value.
    pub fn unasked(&self) -> impl Iterator<Item = &Var> {
        self.runbook
            .vars
            .iter()
            .filter(|var| matches!(var.source, VarSource::Ask { .. }) && !self.vars.contains_key(&var.name))
    }

    /// How long ago the backup's id was captured: when the action that gave it ended.
    pub fn backup_age(&self, now: Timestamp) -> Option<Span> {
        self.captured_age("BACKUP_ID", now)
    }

    /// How long ago a variable was captured in a step.
    pub fn captured_age(&self, name: &str, now: Timestamp) -> Option<Span> {
        self.value(name)?;
        self.runbook.steps.iter().zip(&self.steps).find_map(|(step, state)| {
            let index = step.run.iter().position(|action| action.capture.iter().any(|c| c.var == name))?;
            let action =
                state.work.actions.get(index).filter(|action| action.status == ActionStatus::Done)?;
            Some(now.since(action.started_at? + action.took?))
        })
    }
}

/// The tag of an image, or the whole where it has none: `registry:5000/app:v1` is `v1`.
pub fn tag_of(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once('@')
        .map_or_else(|| name.split_once(':').map_or(image, |(_, tag)| tag), |(_, digest)| digest)
}
