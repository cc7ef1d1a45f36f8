//! The values that variables have before a run: from the command line, the environment and the cluster.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{
        online::picture::{Unseen, VarSeen, VarState},
        run::tag_of,
        runbook::{ClusterFact, Runbook, Target, VarSource},
        template::{Template, Unexpanded},
        workload::Workload,
    },
    engine::values::{Secrets, check_value},
    flight::{stop::Stop, vars::Given},
};

/// What is known.
pub(in crate::flight) struct Known {
    /// Secrets too: goes into no text.
    values: BTreeMap<String, String>,
    /// How each variable gets its value.
    pub(super) states: Vec<VarSeen>,
    /// The slot that a rollback goes back to.
    live: Option<String>,
}

impl Known {
    /// What the command line and the environment give.
    pub(in crate::flight) fn of(
        runbook: &Runbook,
        vars: &[String],
        secrets: &Arc<Secrets>,
    ) -> Result<Self, Stop> {
        let given = Given::parse(vars, &[], runbook).map_err(|faults| Stop::usage(faults.join("\n")))?;
        let mut known = Self { values: BTreeMap::new(), states: Vec::new(), live: None };
        for var in &runbook.vars {
            let from_line = given.vars.get(&var.name).map(|value| (value.clone(), "command line".to_owned()));
            let (found, otherwise) = match &var.source {
                // The suggested answer is what most people confirm: good enough to look with.
                VarSource::Ask { default, .. } => {
                    known.values.extend(default.clone().map(|value| (var.name.clone(), value)));
                    (None, VarState::Asked)
                }
                VarSource::Env { name, default } => {
                    let found = std::env::var(name).ok().map(|value| (value, format!("environment {name}")));
                    let found = found.or_else(|| Some((default.clone()?, "default".to_owned())));
                    (found, VarState::Unset(name.clone()))
                }
                VarSource::Fixed { .. } => (None, VarState::Known("fixed".to_owned())),
                VarSource::Cluster(_) => (None, VarState::Known("cluster".to_owned())),
                VarSource::Captured => (None, VarState::Captured),
            };
            let state = match from_line.or(found) {
                None => otherwise,
                Some((value, source)) => match check_value(&var.name, &value, var.pattern.as_deref()) {
                    Err(_) if var.secret => {
                        VarState::Unfit(format!("its value does not fit (from {source})"))
                    }
                    Err(why) => VarState::Unfit(why),
                    Ok(()) if var.secret => match secrets.add(&var.name, value.clone()) {
                        Ok(()) => {
                            known.values.insert(var.name.clone(), value);
                            VarState::Known(source)
                        }
                        Err(why) => VarState::Unfit(why.to_string()),
                    },
                    Ok(()) => {
                        known.values.insert(var.name.clone(), value);
                        VarState::Known(source)
                    }
                },
            };
            known.states.push(VarSeen { name: var.name.clone(), state });
        }
        known.derive(runbook);
        Ok(known)
    }

    /// Takes in what the cluster tells.
    pub(super) fn tell_cluster(&mut self, runbook: &Runbook, target: &Target, workload: &Workload) {
        let live = workload.live.as_ref();
        let idle = live.and_then(|live| target.slots.keys().find(|name| *name != live));
        let image =
            |slot: Option<&_>| slot.and_then(|slot| workload.slots.get(slot)).map(|slot| slot.image.clone());
        self.live = live.map(|slot| slot.0.clone());
        for var in &runbook.vars {
            let VarSource::Cluster(fact) = &var.source else { continue };
            let value = match fact {
                ClusterFact::LiveImageTag => image(live).map(|image| tag_of(&image).to_owned()),
                ClusterFact::LiveImage => image(live),
                ClusterFact::IdleImage => image(idle),
                ClusterFact::IdleImageTag => image(idle).map(|image| tag_of(&image).to_owned()),
                ClusterFact::LiveSlot => live.map(|slot| slot.0.clone()),
                ClusterFact::IdleSlot => idle.map(|slot| slot.0.clone()),
                ClusterFact::LiveReplicas => {
                    live.and_then(|slot| workload.slots.get(slot)).map(|slot| slot.desired.to_string())
                }
                ClusterFact::OpenedAt => Some(super::now().to_string()),
                ClusterFact::Pilot => Some(crate::flight::who::user()),
            };
            self.values.extend(value.map(|value| (var.name.clone(), value)));
        }
        self.derive(runbook);
    }

    /// Fixed values, as far as what they are made of is known.
    fn derive(&mut self, runbook: &Runbook) {
        for var in &runbook.vars {
            if let VarSource::Fixed { value } = &var.source
                && !self.values.contains_key(&var.name)
                && let Ok(value) = self.expand(value)
            {
                self.values.insert(var.name.clone(), value);
            }
        }
    }

    /// A text with its variables.
    pub(in crate::flight) fn expand(&self, template: &Template) -> Result<String, Unexpanded> {
        template.expand(|name| match name {
            "SLOT" => self.values.get(name).or(self.live.as_ref()).cloned(),
            _ => self.values.get(name).cloned(),
        })
    }

    /// The same, with what to do where a value is missing.
    pub(super) fn text(&self, template: &Template) -> Result<String, Unseen> {
        self.expand(template).map_err(|why| match why {
            Unexpanded::Unset(name) => Unseen::new(
                format!("it needs ${name}, which has no value yet"),
                format!("give it with --var {name}=VALUE, or look at it in the run"),
            ),
            Unexpanded::TooLong => Unseen::new(why.to_string(), "correct the variable that makes it so long"),
        })
    }

    /// Values that may be shown.
    pub(super) fn plain(&self, runbook: &Runbook) -> BTreeMap<String, String> {
        let secret = |name: &String| runbook.vars.iter().any(|var| var.secret && var.name == *name);
        let mut derived: BTreeMap<String, String> = self.values.clone();
        // A fixed value that uses a secret is one itself.
        derived.retain(|name, _| {
            !secret(name)
                && !runbook.vars.iter().any(|var| match &var.source {
                    VarSource::Fixed { value } => {
                        var.name == *name && value.names().any(|used| secret(&used.to_owned()))
                    }
                    _ => false,
                })
        });
        derived
    }
}
