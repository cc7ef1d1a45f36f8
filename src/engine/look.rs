//! Runs checks: every kind that is polled. What became of an action whose result is unknown is looked up here as well
//! (`outcome`), because both claim no more than a look can show.

mod logs;
mod outcome;
mod script;
mod target;

use std::sync::Arc;

use tokio::sync::mpsc;

use self::logs::LogMemory;
use super::{
    ports::{Fault, HttpCall, PortError, Ports, Seen},
    values::Values,
};
use crate::domain::{
    action::{HttpRequest, SlotRef},
    check::{Check, CheckKind},
    effect::Input,
    event::{CheckRef, Place},
    id::SlotName,
    rights::Right,
    rollout::{Patience, RolloutVerdict, RolloutWatch},
    run::Run,
    template::Unexpanded,
    time::{Span, Timestamp},
};

/// An answer that takes longer is as good as none, however long the check itself may take: it is asked again.
const LONGEST_REQUEST: Span = Span::from_secs(10);

fn message(error: PortError) -> String {
    error.message
}

fn unset(error: Unexpanded) -> String {
    error.to_string()
}

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
    /// Whether a slot can have a part of the traffic.
    pub shared: bool,
}

/// The colours of the roles, and whether one of them has as many pods as it is to have for now.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    new: Option<SlotName>,
    previous: Option<SlotName>,
    /// The run has stopped the rollout that makes the pods of one from those of the other.
    stopped: bool,
}

impl Slots {
    /// As the run has them.
    pub fn of(run: &Run) -> Self {
        Self {
            new: run.slot(&SlotRef::New),
            previous: run.slot(&SlotRef::Previous),
            stopped: run.has_paused_rollout(),
        }
    }

    pub(super) fn get(&self, slot: &SlotRef) -> Result<SlotName, String> {
        let found = match slot {
            SlotRef::New => self.new.clone(),
            SlotRef::Previous => self.previous.clone(),
            SlotRef::Named(name) => Some(name.clone()),
        };
        found.ok_or_else(|| "the runbook has no such slot".to_owned())
    }
}

impl Looker {
    /// Looks once. A fault is a "no" with its reason: what could not be seen has not passed.
    pub async fn look(&self, check: &Check) -> Seen {
        self.look_on(check, &mut Memory::new(self.since, patience_of(check))).await
    }

    /// Looks again and again, and tells what it sees, until nobody listens.
    pub async fn watch<T: Send>(
        self,
        at: CheckRef,
        check: Check,
        news: mpsc::Sender<T>,
        wrap: impl Fn(Input) -> T + Send,
    ) {
        // A rollback waits as long as it may: failing early would not bring anything back.
        let endless = matches!(at.place, Place::Rollback { .. });
        let mut memory =
            Memory::new(self.since, if endless { Patience::Endless } else { patience_of(&check) });
        loop {
            memory.hopeless = false;
            let Seen { holds, evidence, .. } = self.look_on(&check, &mut memory).await;
            let at = at.clone();
            let input = if memory.logs.caught.is_some() {
                Input::CheckCaught { at, since: self.since, evidence }
            } else if memory.hopeless {
                Input::CheckHopeless { at, evidence }
            } else {
                Input::CheckSeen { at, holds, evidence }
            };
            if news.send(wrap(input)).await.is_err() {
                return;
            }
            self.ports.clock.sleep(check.interval).await;
        }
    }

    /// The one place that masks what a look says, whatever kind it is of.
    async fn look_on(&self, check: &Check, memory: &mut Memory) -> Seen {
        let seen = self.try_look(check, memory).await.unwrap_or_else(Seen::no);
        Seen { evidence: self.values.secrets().mask(&seen.evidence), ..seen }
    }

    async fn try_look(&self, check: &Check, memory: &mut Memory) -> Result<Seen, String> {
        match &check.kind {
            CheckKind::Person => Err("a person decides".to_owned()),
            CheckKind::Metric { .. } => Err("judged from samples".to_owned()),
            CheckKind::Http(request) => {
                let deadline = LONGEST_REQUEST.min(check.timeout.max(Span::from_secs(1)));
                let call = http_call(request, &self.values, deadline).map_err(unset)?;
                self.ports.network.http(call).await.map_err(message)
            }
            CheckKind::Tls { host, port, days } => {
                let host = self.values.expand(host).map_err(unset)?;
                let now = self.ports.clock.now();
                self.ports.network.tls(&host, *port, *days, now).await.map_err(message)
            }
            CheckKind::Dns { name, expect } => {
                let name = self.values.expand(name).map_err(unset)?;
                let expect = self.values.expand(expect).map_err(unset)?;
                self.ports.network.dns(&name, &expect).await.map_err(message)
            }
            CheckKind::Sh { script, expect } => self.look_sh(script, expect.as_deref(), check).await,
            CheckKind::Logs { slot, without, with } => {
                let slot = self.slots.get(slot)?;
                self.look_logs(&slot, without.as_deref(), with.as_deref(), &mut memory.logs).await
            }
            CheckKind::Headroom { slot, replicas } => self.look_for_room(slot, *replicas).await,
            CheckKind::Allowed { right } => self.look_at_right(right).await,
            CheckKind::Rollout { slot, .. } => {
                let slot = self.slots.get(slot)?;
                Ok(match self.look_rollout(&slot, memory).await? {
                    RolloutVerdict::Complete => Seen::yes("rollout complete"),
                    RolloutVerdict::Progressing { text, .. } | RolloutVerdict::Stuck { text, .. } => {
                        Seen::no(text)
                    }
                })
            }
            CheckKind::PodsReady { slot, .. } => self.look_at_pods(slot, check, memory).await,
            CheckKind::TrafficOn { .. } | CheckKind::ScaledTo { .. } => {
                let seen = self.ports.cluster()?.observe().await.map_err(message)?;
                self.look_target(&check.kind, &seen)
            }
        }
    }

    async fn look_for_room(&self, slot: &SlotRef, replicas: u32) -> Result<Seen, String> {
        let slot = self.slots.get(slot)?;
        match self.ports.cluster()?.headroom(&slot, replicas).await {
            // It will not change by looking again: somebody who may look must.
            Err(PortError { kind: Fault::Denied, message }) => {
                Ok(Seen::asks(format!("somebody must look: {message}")))
            }
            seen => seen.map_err(message),
        }
    }

    /// Asked for again each time: somebody may be giving the right just now.
    async fn look_at_right(&self, right: &Right) -> Result<Seen, String> {
        let access = self.ports.cluster()?.access(std::slice::from_ref(right)).await.map_err(message)?;
        Ok(match access.missing.first() {
            Some(missing) => Seen::no(format!("{missing}; without it: {}", right.without)),
            None => Seen::yes("allowed by the API server"),
        })
    }

    /// Whether enough pods are ready; if not, what keeps them from it, and whether they ever can be.
    async fn look_at_pods(&self, slot: &SlotRef, check: &Check, memory: &mut Memory) -> Result<Seen, String> {
        let observed = self.ports.cluster()?.observe().await.map_err(message)?;
        let seen = self.look_target(&check.kind, &observed)?;
        if seen.holds {
            return Ok(seen);
        }
        let slot = self.slots.get(slot)?;
        Ok(match self.look_rollout(&slot, memory).await {
            Ok(RolloutVerdict::Progressing { text, .. } | RolloutVerdict::Stuck { text, .. }) => {
                Seen::no(format!("{}: {text}", seen.evidence))
            }
            Ok(RolloutVerdict::Complete) | Err(_) => seen,
        })
    }

    /// Looks at a rollout, and remembers whether it can still succeed.
    async fn look_rollout(&self, slot: &SlotName, memory: &mut Memory) -> Result<RolloutVerdict, String> {
        let mut facts = self.ports.cluster()?.rollout(slot).await.map_err(|error| error.message)?;
        // That it was told to stop is no fault of it.
        facts.paused &= !self.slots.stopped;
        let verdict = memory.rollout.look(&facts, self.ports.clock.now());
        memory.hopeless = matches!(verdict, RolloutVerdict::Stuck { .. });
        Ok(verdict)
    }
}

/// What a check that is looked at again and again remembers.
struct Memory {
    logs: LogMemory,
    rollout: RolloutWatch,
    /// Whether the newest look has shown that it cannot pass any more.
    hopeless: bool,
}

impl Memory {
    fn new(since: Timestamp, patience: Patience) -> Self {
        Self { logs: LogMemory::new(since), rollout: RolloutWatch::new(patience), hopeless: false }
    }
}

/// How long a check bears what keeps it from passing.
fn patience_of(check: &Check) -> Patience {
    match &check.kind {
        CheckKind::Rollout { patience, .. } | CheckKind::PodsReady { patience, .. } => {
            Patience::of(*patience)
        }
        CheckKind::Person
        | CheckKind::Http(_)
        | CheckKind::Tls { .. }
        | CheckKind::Dns { .. }
        | CheckKind::Metric { .. }
        | CheckKind::TrafficOn { .. }
        | CheckKind::ScaledTo { .. }
        | CheckKind::Headroom { .. }
        | CheckKind::Sh { .. }
        | CheckKind::Logs { .. }
        | CheckKind::Allowed { .. } => Patience::Endless,
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
