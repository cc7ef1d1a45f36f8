//! Looking: every kind of check that is polled, and what became of an unknown action.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{
    ports::{HttpCall, Ports, Seen, ShellCall, ShellNews, ShellProgram},
    values::Values,
};
use crate::domain::{
    action::{Action, ActionKind, HttpRequest, SlotRef},
    check::{Check, CheckKind},
    event::Resolution,
    id::SlotName,
    run::Run,
    template::Unexpanded,
    time::{Span, Timestamp},
    workload::{RolloutState, Workload},
};

/// Log lines read for one look.
const LOG_TAIL: u32 = 1000;
/// Bytes of a checking command's output that are kept for `expect`.
const SH_OUTPUT: usize = 256 * 1024;

/// A request with its variables filled in.
///
/// # Errors
/// The first name that has no value, or that a text would be too long.
pub fn http_call(request: &HttpRequest, values: &Values, timeout: Span) -> Result<HttpCall, Unexpanded> {
    let expand_all = |map: &std::collections::BTreeMap<String, crate::domain::template::Template>| {
        map.iter()
            .map(|(key, value)| Ok((key.clone(), values.expand(value)?)))
            .collect::<Result<_, Unexpanded>>()
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
        let unset = |unset: Unexpanded| unset.to_string();
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
                let workload = self.ports.cluster()?.look().await.map_err(|error| error.message)?;
                self.look_workload(&check.kind, &workload)
            }
        }
    }

    fn look_workload(&self, kind: &CheckKind, workload: &Workload) -> Result<Seen, String> {
        let find = |slot: &SlotRef| {
            let name = self.slots.get(slot)?;
            let found = workload.slots.get(&name).filter(|slot| slot.found).cloned();
            found.map(|slot| (name.clone(), slot)).ok_or_else(|| format!("{name} has no Deployment"))
        };
        match kind {
            CheckKind::PodsReady { slot, at_least } => {
                let (name, slot) = find(slot)?;
                let holds = slot.ready >= slot.desired && slot.ready >= *at_least;
                Ok(Seen {
                    holds,
                    evidence: format!("{name} {}/{} ready", slot.ready, slot.desired.max(*at_least)),
                })
            }
            CheckKind::ScaledTo { slot, replicas } => {
                let (name, slot) = find(slot)?;
                let pods: u32 = slot.counts.values().sum();
                let holds = slot.desired == *replicas && slot.ready == *replicas && pods == *replicas;
                Ok(Seen {
                    holds,
                    evidence: format!("{name} wants {}, has {pods} pods, {} ready", slot.desired, slot.ready),
                })
            }
            CheckKind::TrafficOn { slot } => {
                let name = self.slots.get(slot)?;
                let live = workload.live.as_ref().map_or("no slot of ours", |live| live.as_str());
                Ok(Seen {
                    holds: workload.live.as_ref() == Some(&name),
                    evidence: format!("the service selects {live}"),
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
    pub async fn verify(&self, run: &Run, action: &Action) -> (Option<Resolution>, String) {
        let workload = match self.ports.cluster() {
            Ok(cluster) => cluster.look().await.map_err(|error| error.message),
            Err(why) => Err(why),
        };
        let workload = match workload {
            Ok(workload) => workload,
            Err(why) => return (None, why),
        };
        let done = |is: bool| Some(if is { Resolution::Done } else { Resolution::NotDone });
        let slot = |slot: &SlotRef| self.slots.get(slot).ok().and_then(|name| workload.slots.get(&name));
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => {
                let live = workload.live.as_ref();
                let text =
                    format!("the service selects {}", live.map_or("no slot of ours", |live| live.as_str()));
                (done(live.is_some() && live == self.slots.get(to).ok().as_ref()), text)
            }
            ActionKind::Scale { slot: which, replicas } => match slot(which) {
                Some(found) => (
                    done(found.desired == run.replicas(*replicas)),
                    format!("{} replicas wanted", found.desired),
                ),
                None => (None, "no such Deployment".to_owned()),
            },
            ActionKind::SetImage { slot: which, image, .. } => match (slot(which), self.values.expand(image))
            {
                (Some(found), Ok(image)) => (done(found.image == image), format!("image is {}", found.image)),
                _ => (None, "no such Deployment".to_owned()),
            },
            // Waiting changes nothing, so it can simply be done again.
            ActionKind::Rollout { .. } => (Some(Resolution::RunAgain), "waiting changes nothing".to_owned()),
            _ => (None, "the cluster does not show whether this was done".to_owned()),
        }
    }
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
