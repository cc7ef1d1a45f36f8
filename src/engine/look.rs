//! Looking: every kind of check that is polled, and what became of an unknown action.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{
    ports::{HttpCall, Ports, Seen, ShellCall, ShellNews, ShellProgram},
    values::Values,
};
use crate::domain::{
    action::{Action, ActionKind, HttpRequest, SlotRef},
    belief::labels,
    check::{Check, CheckKind},
    event::Resolution,
    id::SlotName,
    observation::Observation,
    run::Run,
    template::Unset,
    time::{Span, Timestamp},
    workload::RolloutState,
};

/// Log lines read for one look.
const LOG_TAIL: u32 = 1000;
/// Bytes of a checking command's output that are kept for `expect`.
const SH_OUTPUT: usize = 256 * 1024;

/// A request with its variables filled in.
///
/// # Errors
/// The first name that has no value.
pub fn http_call(request: &HttpRequest, values: &Values, timeout: Span) -> Result<HttpCall, Unset> {
    let expand_all = |map: &std::collections::BTreeMap<String, crate::domain::template::Template>| {
        map.iter().map(|(key, value)| Ok((key.clone(), values.expand(value)?))).collect::<Result<_, Unset>>()
    };
    Ok(HttpCall {
        method: request.method.clone(),
        url: values.expand(&request.url)?,
        headers: expand_all(&request.headers)?,
        body: request.body.as_ref().map(|body| values.expand(body)).transpose()?,
        status: request.status,
        json: expand_all(&request.json)?,
        contains: request.contains.as_ref().map(|text| values.expand(text)).transpose()?,
        timeout,
    })
}

/// Everything a look needs.
#[derive(Clone)]
pub struct Looker {
    /// The world.
    pub ports: Ports,
    /// The variables.
    pub values: Values,
    /// Who the slots are: colours by role, fixed at the opening.
    pub slots: Slots,
    /// Log lines count from here.
    pub since: Timestamp,
}

/// The colours of the roles.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    new: Option<SlotName>,
    previous: Option<SlotName>,
}

impl Slots {
    /// As the run has them.
    pub fn of(run: &Run) -> Self {
        Self { new: run.slot(&SlotRef::New), previous: run.slot(&SlotRef::Previous) }
    }

    fn get(&self, slot: &SlotRef) -> Result<SlotName, String> {
        let found = match slot {
            SlotRef::New => self.new.clone(),
            SlotRef::Previous => self.previous.clone(),
            SlotRef::Named(name) => Some(name.clone()),
        };
        found.ok_or_else(|| "the runbook has no such slot".to_owned())
    }
}

impl Looker {
    /// Looks once. A fault is a "no" with its reason: what could not be seen does not hold.
    pub async fn look(&self, check: &Check) -> Seen {
        let seen = self.try_look(check).await.unwrap_or_else(Seen::no);
        Seen { evidence: self.values.secrets().mask(&seen.evidence), ..seen }
    }

    async fn try_look(&self, check: &Check) -> Result<Seen, String> {
        let unset = |unset: Unset| unset.to_string();
        let network = &self.ports.network;
        match &check.kind {
            CheckKind::Person => Err("a person decides".to_owned()),
            CheckKind::Metric { .. } => Err("decided from samples".to_owned()),
            CheckKind::Http(request) => {
                let deadline = Span::from_secs(10).min(check.timeout.max(Span::from_secs(1)));
                let call = http_call(request, &self.values, deadline).map_err(unset)?;
                network.http(call).await.map_err(|error| error.message)
            }
            CheckKind::Tls { host, port, days } => {
                let host = self.values.expand(host).map_err(unset)?;
                network.tls(&host, *port, *days, self.ports.clock.now()).await.map_err(|error| error.message)
            }
            CheckKind::Dns { name, expect } => {
                let name = self.values.expand(name).map_err(unset)?;
                let expect = self.values.expand(expect).map_err(unset)?;
                network.dns(&name, &expect).await.map_err(|error| error.message)
            }
            CheckKind::Sh { script, expect } => self.look_sh(script, expect.as_deref(), check).await,
            CheckKind::Logs { slot, without, with } => {
                let slot = self.slots.get(slot)?;
                self.look_logs(&slot, without.as_deref(), with.as_deref()).await
            }
            CheckKind::Headroom { slot, replicas } => {
                let slot = self.slots.get(slot)?;
                self.ports.cluster()?.headroom(&slot, *replicas).await.map_err(|error| error.message)
            }
            CheckKind::Rollout { slot } => {
                let slot = self.slots.get(slot)?;
                let state = self.ports.cluster()?.rollout(&slot).await.map_err(|error| error.message)?;
                Ok(rollout_seen(&state))
            }
            CheckKind::PodsReady { .. } | CheckKind::TrafficOn { .. } | CheckKind::ScaledTo { .. } => {
                let seen = self.ports.cluster()?.observe().await.map_err(|error| error.message)?;
                self.look_target(&check.kind, &seen)
            }
        }
    }

    /// The target as it is now, by reads. A status that speaks of an older spec is no answer.
    fn look_target(&self, kind: &CheckKind, seen: &Observation) -> Result<Seen, String> {
        let find = |slot: &SlotRef| {
            let name = self.slots.get(slot)?;
            let found = seen.slot(&name).cloned();
            found.map(|slot| (name.clone(), slot)).ok_or_else(|| format!("{name} has no Deployment"))
        };
        let unobserved = |name: &SlotName| Seen::no(format!("the controller has not seen {name}'s spec yet"));
        match kind {
            CheckKind::PodsReady { slot, at_least } => {
                let (name, slot) = find(slot)?;
                if !slot.observed {
                    return Ok(unobserved(&name));
                }
                let (ready, wanted) = (slot.ready(), slot.desired.max(*at_least));
                Ok(Seen { holds: ready >= wanted, evidence: format!("{name} {ready}/{wanted} ready") })
            }
            CheckKind::ScaledTo { slot, replicas } => {
                let (name, slot) = find(slot)?;
                if !slot.observed {
                    return Ok(unobserved(&name));
                }
                let (desired, pods, ready) = (slot.desired, slot.pods, slot.ready());
                Ok(Seen {
                    holds: [desired, pods, ready] == [*replicas; 3],
                    evidence: format!("{name} wants {desired}, has {pods} pods, {ready} ready"),
                })
            }
            // Selecting is not serving: somebody has to answer.
            CheckKind::TrafficOn { slot } => {
                let name = self.slots.get(slot)?;
                Ok(match (seen.live(), seen.serving(&name)) {
                    (Some(live), 0) if *live == name => {
                        Seen::no(format!("the service selects {live}, and none of its pods is ready"))
                    }
                    (Some(live), ready) if *live == name => {
                        Seen::yes(format!("the service selects {live}, {ready} ready"))
                    }
                    (Some(live), _) => Seen::no(format!("the service selects {live}")),
                    (None, _) => Seen::no(nowhere(seen)),
                })
            }
            _ => Err("not a look at the cluster".to_owned()),
        }
    }

    async fn look_logs(
        &self,
        slot: &SlotName,
        without: Option<&str>,
        with: Option<&str>,
    ) -> Result<Seen, String> {
        let compile = |pattern: Option<&str>| {
            pattern.map(regex::Regex::new).transpose().map_err(|error| format!("bad pattern: {error}"))
        };
        let (without, with) = (compile(without)?, compile(with)?);
        let cluster = self.ports.cluster()?;
        let lines =
            cluster.logs(slot, None, LOG_TAIL, Some(self.since)).await.map_err(|error| error.message)?;
        if let Some(line) = without.and_then(|pattern| lines.iter().find(|line| pattern.is_match(&line.text)))
        {
            return Ok(Seen::no(format!("{}: {}", line.pod, line.text)));
        }
        match with {
            Some(pattern) => Ok(match lines.iter().rev().find(|line| pattern.is_match(&line.text)) {
                Some(line) => Seen::yes(format!("{}: {}", line.pod, line.text)),
                None => Seen::no(format!("no line in {} matches `{pattern}`", lines.len())),
            }),
            None => {
                Ok(Seen::yes(format!("{} lines since {}, none matches", lines.len(), self.since.clock())))
            }
        }
    }

    async fn look_sh(&self, script: &str, expect: Option<&str>, check: &Check) -> Result<Seen, String> {
        if let Some(why) = self.values.lacks(script) {
            return Err(why);
        }
        let expect =
            expect.map(regex::Regex::new).transpose().map_err(|error| format!("bad pattern: {error}"))?;
        let call = ShellCall {
            program: ShellProgram::Sh(script.to_owned()),
            env: self.values.environment(),
            timeout: check.timeout,
            output: None,
            mark: None,
            sample: check.sample.clone(),
            sample_failure: Vec::new(),
        };
        let (news_in, mut news) = mpsc::channel(64);
        let (_keep, cancel) = watch::channel(false);
        let collect = async {
            let mut output = Vec::new();
            while let Some(news) = news.recv().await {
                if let ShellNews::Output(bytes) = news {
                    let room = SH_OUTPUT.saturating_sub(output.len());
                    output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
            }
            output
        };
        let (exit, output) = tokio::join!(self.ports.shell.run(call, news_in, cancel), collect);
        let exit = exit.map_err(|error| error.message)?;
        let output = String::from_utf8_lossy(&output).into_owned();
        let last =
            output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output").to_owned();
        Ok(match expect {
            _ if !exit.ok => Seen::no(format!("{}: {last}", exit.detail)),
            Some(pattern) => match output.lines().find(|line| pattern.is_match(line)) {
                Some(line) => Seen::yes(line.to_owned()),
                None => Seen::no(format!("no output matches `{pattern}`; last: {last}")),
            },
            None => Seen::yes(last),
        })
    }

    /// What became of a Kubernetes action whose result is not known; nothing where the cluster cannot tell.
    ///
    /// "Not done" is only said once it cannot be done any more either: a request without an answer may still be on its way, so
    /// its object is marked first, which makes the API server refuse what carries an older version.
    pub async fn verify(&self, run: &Run, action: &Action) -> (Option<Resolution>, String) {
        match self.try_verify(run, action).await {
            Ok((resolution, evidence)) => (Some(resolution), evidence),
            Err(why) => (None, why),
        }
    }

    async fn try_verify(&self, run: &Run, action: &Action) -> Result<(Resolution, String), String> {
        let object = match &action.kind {
            ActionKind::SwitchTraffic { .. } => None,
            ActionKind::Scale { slot, .. } | ActionKind::SetImage { slot, .. } => Some(self.slots.get(slot)?),
            // Waiting changes nothing, so it can simply be done again.
            ActionKind::Rollout { .. } => {
                return Ok((Resolution::RunAgain, "waiting changes nothing".to_owned()));
            }
            ActionKind::Restart { .. }
            | ActionKind::Patch(_)
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => {
                return Err("the cluster does not show whether this was done".to_owned());
            }
        };
        let cluster = self.ports.cluster()?;
        let (done, evidence) =
            self.is_done(run, action, &cluster.observe().await.map_err(|error| error.message)?)?;
        if done {
            return Ok((Resolution::Done, evidence));
        }
        if let Err(fault) = cluster.settle(object.as_ref()).await {
            return Err(format!("{evidence}, but the request may still arrive: {}", fault.message));
        }
        let (done, evidence) =
            self.is_done(run, action, &cluster.observe().await.map_err(|error| error.message)?)?;
        Ok((if done { Resolution::Done } else { Resolution::NotDone }, evidence))
    }

    /// Whether a look shows what an action was to bring about.
    fn is_done(&self, run: &Run, action: &Action, seen: &Observation) -> Result<(bool, String), String> {
        let slot = |slot: &SlotRef| {
            let name = self.slots.get(slot)?;
            seen.slot(&name).ok_or_else(|| format!("{name} has no Deployment"))
        };
        match &action.kind {
            ActionKind::SwitchTraffic { to } => {
                let to = self.slots.get(to)?;
                let text =
                    seen.live().map_or_else(|| nowhere(seen), |live| format!("the service selects {live}"));
                Ok((seen.live() == Some(&to), text))
            }
            ActionKind::Scale { slot: which, replicas } => {
                let found = slot(which)?;
                Ok((found.desired == run.replicas(*replicas), format!("{} replicas wanted", found.desired)))
            }
            ActionKind::SetImage { slot: which, image, .. } => {
                let (found, image) =
                    (slot(which)?, self.values.expand(image).map_err(|unset| unset.to_string())?);
                Ok((found.image == image, format!("image is {}", found.image)))
            }
            _ => Err("the cluster does not show whether this was done".to_owned()),
        }
    }
}

/// A Service that leads to no slot.
fn nowhere(seen: &Observation) -> String {
    seen.service.as_ref().map_or_else(
        || "the service does not exist".to_owned(),
        |service| format!("the service selects {}, which is no slot", labels(&service.selector)),
    )
}

/// A rollout's state as a look.
pub fn rollout_seen(state: &RolloutState) -> Seen {
    match state {
        RolloutState::Complete => Seen::yes("rollout complete"),
        RolloutState::Progressing(text) | RolloutState::DeadlineExceeded(text) => Seen::no(text.clone()),
        RolloutState::Unobserved => Seen::no("the controller has not seen the newest spec yet"),
        RolloutState::Unknown => Seen::no("not known yet"),
    }
}

impl Ports {
    /// The cluster, or the sentence that says there is none.
    ///
    /// # Errors
    /// Where the runbook has no `[target]`.
    pub fn cluster(&self) -> Result<&Arc<dyn super::ports::Cluster>, String> {
        self.cluster
            .as_ref()
            .ok_or_else(|| "the runbook has no [target], so there is no cluster to ask".to_owned())
    }
}
