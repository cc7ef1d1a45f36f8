//! Variables and optional parts at the opening of a run: from the command line, the environment, the cluster.

use std::collections::BTreeMap;

use crate::{
    domain::{
        event::Opened,
        run::tag_of,
        runbook::{ClusterFact, Runbook, Var, VarSource},
        time::Timestamp,
    },
    engine::values::{Secrets, check_value},
};

/// What the command line gave.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--var`
    pub vars: BTreeMap<String, String>,
    /// `--part`
    pub parts: BTreeMap<String, bool>,
}

impl Given {
    /// Reads `NAME=VALUE` and `NAME=yes|no` and compares the names with the runbook's.
    ///
    /// # Errors
    /// Every argument that fits nothing, in words.
    pub fn parse(vars: &[String], parts: &[String], runbook: &Runbook) -> Result<Self, Vec<String>> {
        let mut given = Self::default();
        let mut faults = Vec::new();
        for arg in vars {
            match arg.split_once('=') {
                Some((name, value)) if runbook.vars.iter().any(|var| var.name == name) => {
                    given.vars.insert(name.to_owned(), value.to_owned());
                }
                Some((name, _)) => faults.push(format!(
                    "--var {name}: the runbook has no such variable{}",
                    similar(name, runbook.vars.iter().map(|var| var.name.as_str()))
                )),
                None => faults.push(format!("--var {arg}: write NAME=VALUE")),
            }
        }
        for arg in parts {
            let (name, word) = arg.split_once('=').unwrap_or((arg, "yes"));
            let applies = match word {
                "yes" | "true" => true,
                "no" | "false" => false,
                _ => {
                    faults.push(format!("--part {arg}: write NAME=yes or NAME=no"));
                    continue;
                }
            };
            if runbook.parts.iter().any(|part| part.name == name) {
                given.parts.insert(name.to_owned(), applies);
            } else {
                faults.push(format!(
                    "--part {name}: the runbook has no such part{}",
                    similar(name, runbook.parts.iter().map(|part| part.name.as_str()))
                ));
            }
        }
        if faults.is_empty() { Ok(given) } else { Err(faults) }
    }
}

/// Only a near miss is worth a guess: a wrong one sends people the wrong way.
fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("; did you mean {candidate}?"))
        .unwrap_or_default()
}

/// A variable's value with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its name.
    pub name: String,
    /// Its value; nothing for a secret, which is in the secrets by then.
    pub value: Option<String>,
    /// Where it came from.
    pub source: String,
}

/// Resolves everything that is known at the opening. Asked variables that nothing gives stay open.
///
/// # Errors
/// Every variable that can't have a value, in words.
pub fn resolve(
    runbook: &Runbook,
    opened: &Opened,
    now: Timestamp,
    given: &Given,
    secrets: &Secrets,
) -> Result<Vec<Resolved>, Vec<String>> {
    let mut resolved = Vec::new();
    let mut faults = Vec::new();
    for var in &runbook.vars {
        match value_of(var, opened, now, given) {
            Ok(None) => {}
            Ok(Some((value, source))) => match accept(var, value, source, secrets) {
                Ok(found) => resolved.push(found),
                Err(why) => faults.push(why),
            },
            Err(why) => faults.push(why),
        }
    }
    if faults.is_empty() { Ok(resolved) } else { Err(faults) }
}

/// Checked before it is kept: a secret that does not fit must not be masked everywhere from then on.
fn accept(var: &Var, value: String, source: String, secrets: &Secrets) -> Result<Resolved, String> {
    check_value(&var.name, &value, var.pattern.as_deref()).map_err(|why| {
        // A secret is not repeated in its own error.
        if var.secret { format!("${}: the value does not fit (from {source})", var.name) } else { why }
    })?;
    if var.secret {
        secrets.add(&var.name, value).map_err(|error| error.to_string())?;
        return Ok(Resolved { name: var.name.clone(), value: None, source });
    }
    Ok(Resolved { name: var.name.clone(), value: Some(value), source })
}

/// The command line beats everything; in a rehearsal a sample stands for the environment. What a person says and what an action
/// prints comes later.
fn value_of(
    var: &Var,
    opened: &Opened,
    now: Timestamp,
    given: &Given,
) -> Result<Option<(String, String)>, String> {
    if let Some(value) = given.vars.get(&var.name) {
        return Ok(Some((value.clone(), "command line".to_owned())));
    }
    let rehearsal =
        || opened.rehearsal.as_ref().and(var.sample.clone()).map(|value| (value, "rehearsal".to_owned()));
    match &var.source {
        VarSource::Ask { .. } | VarSource::Captured | VarSource::Fixed { .. } => Ok(None),
        VarSource::Env { name, default } => {
            // A rehearsal must not carry real secrets anywhere.
            if let Some(found) = rehearsal() {
                return Ok(Some(found));
            }
            match std::env::var(name).ok().or_else(|| default.clone()) {
                Some(value) => Ok(Some((value, format!("environment {name}")))),
                None => {
                    Err(format!("${} comes from the environment variable {name}, which is not set", var.name))
                }
            }
        }
        VarSource::Cluster(fact) => match cluster_fact(*fact, opened, now) {
            Some(value) => Ok(Some((value, "cluster".to_owned()))),
            None => Err(format!("${} comes from the cluster, but the runbook has no [target]", var.name)),
        },
    }
}

/// Whether a variable can have a value without anybody being asked: not where its environment variable is unset.
pub fn is_at_hand(var: &Var, given: &Given) -> bool {
    match &var.source {
        VarSource::Env { name, default } => {
            given.vars.contains_key(&var.name) || default.is_some() || std::env::var_os(name).is_some()
        }
        _ => true,
    }
}

/// As the run found the target when it opened. A fact that changes later keeps this value: a name must mean the same in
/// every step.
fn cluster_fact(fact: ClusterFact, opened: &Opened, now: Timestamp) -> Option<String> {
    let previous = opened.previous.as_ref();
    Some(match fact {
        ClusterFact::LiveImageTag => tag_of(&previous?.image).to_owned(),
        ClusterFact::LiveImage => previous?.image.clone(),
        ClusterFact::IdleImage => opened.new_slot_image.clone()?,
        ClusterFact::IdleImageTag => tag_of(opened.new_slot_image.as_ref()?).to_owned(),
        ClusterFact::LiveSlot => previous?.slot.0.clone(),
        ClusterFact::IdleSlot => opened.new_slot.as_ref()?.0.clone(),
        ClusterFact::LiveReplicas => previous?.replicas.to_string(),
        ClusterFact::OpenedAt => now.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        ClusterFact::Pilot => opened.pilot.clone(),
    })
}
