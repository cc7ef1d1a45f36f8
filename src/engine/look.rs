//! Runs checks: every kind that is polled, and the lookup of an unknown action's outcome.
//!
//! Longer than 500 lines because every kind of check is looked at here, and shares what a look may claim.

use std::{collections::BTreeSet, sync::Arc};

use regex::Regex;
use tokio::sync::{mpsc, watch};

use super::{
    ports::{
        Fault, HttpCall, LogMarks, LogsRead, PortError, Ports, Seen, ShellCall, ShellNews, ShellProgram,
    },
    values::Values,
};
use crate::domain::{
    action::{Action, ActionKind, HttpRequest, SlotRef},
    belief::labels,
    check::{Check, CheckKind},
    director::{in_words, pods_for, share_of},
    effect::Input,
    event::{CheckRef, Place, Resolution},
    id::SlotName,
    observation::Observation,
    patched::Patched,
    rollout::{Patience, RolloutVerdict, RolloutWatch},
    run::Run,
    template::Unexpanded,
    time::{Span, Timestamp},
    workload::LogLine,
};

/// Where a look cannot tell what became of an action.
const UNSEEN: &str = "the cluster can't show whether this was done";
/// Pods that are named where their logs could not be read.
const NAMED: usize = 3;
/// Characters of a log line that are quoted.
const QUOTED: usize = 400;
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

    async fn look_on(&self, check: &Check, memory: &mut Memory) -> Seen {
        let seen = self.try_look(check, memory).await.unwrap_or_else(Seen::no);
        Seen { evidence: self.values.secrets().mask(&seen.evidence), ..seen }
    }

    async fn try_look(&self, check: &Check, memory: &mut Memory) -> Result<Seen, String> {
        let unset = |unset: Unexpanded| unset.to_string();
        let network = &self.ports.network;
        match &check.kind {
            CheckKind::Person => Err("a person decides".to_owned()),
            CheckKind::Metric { .. } => Err("judged from samples".to_owned()),
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
                self.look_logs(&slot, without.as_deref(), with.as_deref(), &mut memory.logs).await
            }
            CheckKind::Headroom { slot, replicas } => {
                let slot = self.slots.get(slot)?;
                match self.ports.cluster()?.headroom(&slot, *replicas).await {
                    // It will not change by looking again: somebody who may look must.
                    Err(PortError { kind: Fault::Denied, message }) => {
                        Ok(Seen::asks(format!("somebody must look: {message}")))
                    }
                    seen => seen.map_err(|error| error.message),
                }
            }
            CheckKind::Allowed { right } => {
                let asked = self.ports.cluster()?.access(std::slice::from_ref(right)).await;
                let access = asked.map_err(|error| error.message)?;
                Ok(match access.missing.first() {
                    Some(missing) => Seen::no(format!("{missing}; without it: {}", right.without)),
                    None => Seen::yes("allowed by the API server"),
                })
            }
            CheckKind::Rollout { slot, .. } => {
                let slot = self.slots.get(slot)?;
                Ok(match self.look_rollout(&slot, memory).await? {
                    RolloutVerdict::Complete => Seen::yes("rollout complete"),
                    RolloutVerdict::Progressing { text, .. } | RolloutVerdict::Stuck { text, .. } => {
                        Seen::no(text)
                    }
                })
            }
            CheckKind::PodsReady { slot, .. } => {
                let observed = self.ports.cluster()?.observe().await.map_err(|error| error.message)?;
                let seen = self.look_target(&check.kind, &observed)?;
                if seen.holds {
                    return Ok(seen);
                }
                // What keeps them from being ready, and whether they ever can be.
                let slot = self.slots.get(slot)?;
                Ok(match self.look_rollout(&slot, memory).await {
                    Ok(RolloutVerdict::Progressing { text, .. } | RolloutVerdict::Stuck { text, .. }) => {
                        Seen::no(format!("{}: {text}", seen.evidence))
                    }
                    Ok(RolloutVerdict::Complete) | Err(_) => seen,
                })
            }
            CheckKind::TrafficOn { .. } | CheckKind::ScaledTo { .. } => {
                let seen = self.ports.cluster()?.observe().await.map_err(|error| error.message)?;
                self.look_target(&check.kind, &seen)
            }
        }
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

    /// The target as it is now, by reads. A status that speaks of an older spec is no answer.
    fn look_target(&self, kind: &CheckKind, seen: &Observation) -> Result<Seen, String> {
        let find = |slot: &SlotRef| {
            let name = self.slots.get(slot)?;
            let found = seen.slot(&name).cloned();
            found.map(|slot| (name.clone(), slot)).ok_or_else(|| format!("{name} has no Deployment"))
        };
        let unobserved =
            |name: &SlotName| Seen::no(format!("the controller has not seen {name}'s new spec yet"));
        match kind {
            CheckKind::PodsReady { slot, at_least, .. } => {
                let (name, slot) = find(slot)?;
                if !slot.observed {
                    return Ok(unobserved(&name));
                }
                // Of a rollout that was told to stop no more pods come than there are.
                let stopped = self.slots.stopped && slot.paused;
                let wanted = if stopped { slot.pods } else { slot.desired }.max(*at_least);
                let ready = slot.ready();
                Ok(Seen::of(ready >= wanted, format!("{name} {ready}/{wanted} ready")))
            }
            CheckKind::ScaledTo { slot, replicas } => {
                let (name, slot) = find(slot)?;
                if !slot.observed {
                    return Ok(unobserved(&name));
                }
                let (desired, pods, ready) = (slot.desired, slot.pods, slot.ready());
                let evidence = format!("{name}: {desired} desired, {pods} pods, {ready} ready");
                Ok(Seen::of([desired, pods, ready] == [*replicas; 3], evidence))
            }
            CheckKind::TrafficOn { slot } => {
                let name = self.slots.get(slot)?;
                if self.shared {
                    if let Some(why) = seen.not_carried_out() {
                        return Ok(Seen::no(why));
                    }
                    let (shares, serving) = (in_words(&seen.shares()), seen.serving(&name));
                    let text = format!("traffic goes to {shares}, {name} has {serving} ready pods");
                    return Ok(Seen::of(seen.is_alone(&name) && serving > 0, text));
                }
                Ok(selected(seen, &name))
            }
            _ => Err("not a check of the cluster".to_owned()),
        }
    }

    /// Reads on where the last look ended. A line that must not be there is caught for good; one that must be there is
    /// enough once. What could not be read is "cannot tell", and no pass.
    async fn look_logs(
        &self,
        slot: &SlotName,
        without: Option<&str>,
        with: Option<&str>,
        memory: &mut LogMemory,
    ) -> Result<Seen, String> {
        let compile = |pattern: Option<&str>| {
            pattern.map(Regex::new).transpose().map_err(|error| format!("not a valid pattern: {error}"))
        };
        let (without, wanted) = (compile(without)?, compile(with)?);
        if let Some(caught) = &memory.caught {
            return Ok(Seen::no(caught.clone()));
        }
        let cluster = self.ports.cluster()?;
        let read = cluster.logs_after(slot, &mut memory.marks).await.map_err(|error| error.message)?;
        Ok(memory.judge(read, without.as_ref(), wanted.as_ref()))
    }

    async fn look_sh(&self, script: &str, expect: Option<&str>, check: &Check) -> Result<Seen, String> {
        if let Some(why) = self.values.lacks(script) {
            return Err(why);
        }
        let expect =
            expect.map(Regex::new).transpose().map_err(|error| format!("not a valid pattern: {error}"))?;
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

    /// The outcome of a Kubernetes action whose result is unknown; none if the cluster cannot tell.
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
            ActionKind::ShiftTraffic { .. } if run.shares_follow_pods() => {
                Some(self.slots.get(&SlotRef::New)?)
            }
            ActionKind::SwitchTraffic { .. } | ActionKind::ShiftTraffic { .. } => None,
            ActionKind::Scale { slot, .. }
            | ActionKind::SetImage { slot, .. }
            | ActionKind::Revert { slot }
            | ActionKind::Pause { slot }
            | ActionKind::Resume { slot } => Some(self.slots.get(slot)?),
            // Waiting changes nothing, so it can simply be done again.
            ActionKind::Rollout { .. } => {
                return Ok((Resolution::RunAgain, "waiting changes nothing".to_owned()));
            }
            ActionKind::Patch(_) => match run.patches(action) {
                Some(Patched::Service | Patched::Route) => None,
                Some(Patched::Slot(slot)) => Some(slot),
                Some(Patched::Backend(_)) | None => return Err(UNSEEN.to_owned()),
            },
            ActionKind::Restart { .. }
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => {
                return Err(UNSEEN.to_owned());
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
            ActionKind::SwitchTraffic { to, .. } => {
                let to = self.slots.get(to)?;
                if seen.route.is_some() {
                    return Ok((seen.is_alone(&to), format!("traffic goes to {}", in_words(&seen.shares()))));
                }
                let text =
                    seen.live().map_or_else(|| nowhere(seen), |live| format!("the service selects {live}"));
                Ok((seen.live() == Some(&to), text))
            }
            ActionKind::ShiftTraffic { to, share } => {
                let share = run.new_share(to, *share);
                let (new, previous) = (self.slots.get(&SlotRef::New)?, self.slots.get(&SlotRef::Previous)?);
                if run.shares_follow_pods() {
                    let (found, stable) = (slot(&SlotRef::New)?, slot(&SlotRef::Previous)?);
                    let wanted = pods_for(share, stable.desired);
                    return Ok((
                        wanted == Some(found.desired),
                        format!("{} replicas desired", found.desired),
                    ));
                }
                let shares = seen.shares();
                let done = share_of(&shares, &new) == share && share_of(&shares, &previous) == share.rest();
                Ok((done, format!("traffic goes to {}", in_words(&shares))))
            }
            ActionKind::Revert { slot: which } => {
                let (found, target) = (slot(which)?, run.opened.previous.as_ref());
                let target = target.ok_or_else(|| UNSEEN.to_owned())?;
                let same = match &target.hash {
                    Some(hash) if !found.template_hash.is_empty() => found.template_hash == *hash,
                    _ => found.template_image == target.image,
                };
                Ok((same, format!("the template's image is {}", found.template_image)))
            }
            ActionKind::Pause { slot: which } | ActionKind::Resume { slot: which } => {
                let (found, wanted) = (slot(which)?, matches!(action.kind, ActionKind::Pause { .. }));
                let word = if found.paused { "the rollout is paused" } else { "the rollout is not paused" };
                Ok((found.paused == wanted, word.to_owned()))
            }
            ActionKind::Scale { slot: which, replicas } => {
                let found = slot(which)?;
                Ok((found.desired == run.replicas(*replicas), format!("{} replicas desired", found.desired)))
            }
            ActionKind::SetImage { slot: which, image, .. } => {
                let (found, image) =
                    (slot(which)?, self.values.expand(image).map_err(|unset| unset.to_string())?);
                Ok((found.image == image, format!("image is {}", found.image)))
            }
            ActionKind::Patch(_) => is_patched(run, action, seen).ok_or_else(|| UNSEEN.to_owned()),
            _ => Err(UNSEEN.to_owned()),
        }
    }
}

/// Whether a look shows what a patch was to change of the selector, the image or the replicas. Where it changes none of them,
/// nothing shows it.
fn is_patched(run: &Run, action: &Action, seen: &Observation) -> Option<(bool, String)> {
    let pinned = run.pinned.as_ref()?;
    match run.patches(action)? {
        Patched::Service => {
            let after = run.selector_after(action, &pinned.selector).ok()?;
            let now = &seen.service.as_ref()?.selector;
            (after != pinned.selector)
                .then(|| (*now == after, format!("the service selects {}", labels(now))))
        }
        Patched::Route => {
            let (pinned, now) = (pinned.route.as_ref()?, seen.route.as_ref()?);
            let after = run.weights_after(action, pinned).ok()?;
            let words = format!("traffic goes to {}", in_words(&seen.shares()));
            (after != pinned.weights).then(|| (now.weights == after, words))
        }
        Patched::Backend(_) => None,
        Patched::Slot(slot) => {
            let change = run.slot_after(action, pinned.slots.get(&slot)?);
            let (now, image) = (seen.slot(&slot)?, change.image.flatten());
            let replicas = change.replicas.and_then(Result::ok);
            let done = replicas.is_none_or(|replicas| replicas == now.desired)
                && image.as_ref().is_none_or(|image| *image == now.image);
            let words = format!("image is {}, {} replicas desired", now.image, now.desired);
            (replicas.is_some() || image.is_some()).then_some((done, words))
        }
    }
}

/// Whether a Service that picks one slot leads all users to this one. Selecting is not serving: somebody has to answer, and the
/// Service's proxies have to be told of them.
fn selected(seen: &Observation, name: &SlotName) -> Seen {
    let named = seen.slot(name).and_then(|slot| slot.named);
    match (seen.live(), seen.serving(name)) {
        (Some(live), 0) if live == name => {
            Seen::no(format!("the service selects {live}, but none of its pods is ready"))
        }
        (Some(live), _) if live == name && named == Some(0) => {
            Seen::no(format!("the service selects {live}, but its endpoints name none of its pods yet"))
        }
        (Some(live), ready) if live == name => {
            Seen::yes(format!("the service selects {live}, {ready} ready"))
        }
        (Some(live), _) => Seen::no(format!("the service selects {live}")),
        (None, _) => Seen::no(nowhere(seen)),
    }
}

/// A Service that leads to no slot.
fn nowhere(seen: &Observation) -> String {
    seen.service.as_ref().map_or_else(
        || "the service does not exist".to_owned(),
        |service| format!("the service selects {}, which is not a slot", labels(&service.selector)),
    )
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

/// What a check of logs has read so far.
struct LogMemory {
    marks: LogMarks,
    lines: usize,
    pods: BTreeSet<String>,
    /// A line that must not be there. It stays: its pod may be gone at the next look.
    caught: Option<String>,
    /// A line that must be there.
    found: Option<String>,
}

impl LogMemory {
    fn new(since: Timestamp) -> Self {
        Self { marks: LogMarks::new(since), lines: 0, pods: BTreeSet::new(), caught: None, found: None }
    }

    /// What a check makes of the lines that were read again.
    fn judge(&mut self, read: LogsRead, without: Option<&Regex>, with: Option<&Regex>) -> Seen {
        self.lines += read.lines.len();
        self.pods.extend(read.pods);
        if let Some(pattern) = without.filter(|_| self.caught.is_none()) {
            self.caught = read.lines.iter().find_map(|line| quote(line, pattern));
        }
        if let Some(pattern) = with.filter(|_| self.found.is_none()) {
            self.found = read.lines.iter().rev().find_map(|line| quote(line, pattern));
        }
        if let Some(caught) = &self.caught {
            return Seen::no(caught.clone());
        }
        let unread = (!read.unread.is_empty()).then(|| format!("unknown: {}", named(&read.unread)));
        let so_far = format!(
            "{} lines of {} read since {}",
            thousands(self.lines),
            counted(self.pods.len(), "pod"),
            self.marks.since.clock()
        );
        match (&self.found, with, unread) {
            (Some(found), ..) if without.is_none() => Seen::yes(found.clone()),
            (_, _, Some(unread)) => Seen::no(format!("{unread}; {so_far}")),
            (Some(found), ..) => Seen::yes(found.clone()),
            (None, Some(pattern), None) => Seen::no(format!("{so_far}, none matches `{pattern}`")),
            (None, None, None) => Seen::yes(format!("{so_far}, none matches")),
        }
    }
}

/// A line that matches, with its pod; of a long one the part around the match.
fn quote(line: &LogLine, pattern: &Regex) -> Option<String> {
    let found = pattern.find(&line.text)?;
    let before = line.text.get(..found.start())?.chars().count();
    if line.text.chars().count() <= QUOTED {
        return Some(format!("{}: {}", line.pod, line.text));
    }
    let skipped = before.saturating_sub(QUOTED / 4);
    let part: String = line.text.chars().skip(skipped).take(QUOTED).collect();
    let dots = if skipped > 0 { "… " } else { "" };
    Some(format!("{}: {dots}{part} …", line.pod))
}

/// The first pods with unread logs, and why.
fn named(unread: &[(String, String)]) -> String {
    let mut parts: Vec<String> =
        unread.iter().take(NAMED).map(|(pod, why)| format!("{pod}: {why}")).collect();
    if unread.len() > NAMED {
        parts.push(format!("{} more", unread.len() - NAMED));
    }
    parts.join("; ")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A number as people read it: `1,412`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&str, &str)], unread: &[(&str, &str)]) -> LogsRead {
        let pair = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        LogsRead {
            lines: lines.iter().map(pair).map(|(pod, text)| LogLine { pod, at: None, text }).collect(),
            pods: vec!["web-1".to_owned(), "web-2".to_owned()],
            unread: unread.iter().map(pair).collect(),
        }
    }

    fn memory() -> LogMemory {
        LogMemory::new(Timestamp(1_795_000_000_000))
    }

    fn regex(pattern: &str) -> Regex {
        Regex::new(pattern).unwrap()
    }

    #[test]
    fn what_was_seen_once_stays() {
        let (mut memory, fatal) = (memory(), regex("FATAL"));
        let mut look = |lines: &[(&str, &str)]| memory.judge(read(lines, &[]), Some(&fatal), None);
        assert_eq!(
            look(&[("web-1", "fine")]),
            Seen::yes("1 lines of 2 pods read since 11:06:40, none matches")
        );
        let caught = Seen::no("web-2: FATAL out of memory");
        assert_eq!(look(&[("web-2", "FATAL out of memory"), ("web-2", "FATAL again")]), caught);
        assert_eq!(look(&[]), caught, "two seconds later");
        assert_eq!(look(&[("web-1", "FATAL here too")]), caught);
        assert!(memory.caught.is_some());
    }

    #[test]
    fn what_could_not_be_read_is_no_pass() {
        let (fatal, ready) = (regex("FATAL"), regex("ready"));
        let denied = [("web-2", "not allowed: pods/log")];
        let mut memory = memory();
        assert_eq!(
            memory.judge(read(&[("web-1", "fine")], &denied), Some(&fatal), None),
            Seen::no("unknown: web-2: not allowed: pods/log; 1 lines of 2 pods read since 11:06:40")
        );
        assert_eq!(memory.caught, None, "not being able to tell is not caught");
        assert!(memory.judge(read(&[], &[]), Some(&fatal), None).holds, "it could be read in the end");
        // A line that is there is there, whatever else could not be read; but not where another must be absent.
        let line = [("web-1", "ready")];
        assert!(self::memory().judge(read(&line, &denied), None, Some(&ready)).holds);
        assert!(!self::memory().judge(read(&line, &denied), Some(&fatal), Some(&ready)).holds);
        let many: Vec<(&str, &str)> = ["a", "b", "c", "d", "e"].map(|pod| (pod, "403")).into();
        let told = self::memory().judge(read(&[], &many), Some(&fatal), None).evidence;
        assert!(told.contains("a: 403; b: 403; c: 403; 2 more"), "{told}");
    }

    #[test]
    fn a_line_that_must_be_there_is_enough_once() {
        let (mut memory, ready) = (memory(), regex("ready"));
        let mut look = |lines: &[(&str, &str)]| memory.judge(read(lines, &[]), None, Some(&ready));
        assert_eq!(look(&[]), Seen::no("0 lines of 2 pods read since 11:06:40, none matches `ready`"));
        assert_eq!(look(&[("web-1", "ready")]), Seen::yes("web-1: ready"));
        assert_eq!(look(&[("web-1", "busy")]), Seen::yes("web-1: ready"));
    }

    #[test]
    fn a_long_line_is_looked_at_whole_and_quoted_in_part() {
        let line = LogLine {
            pod: "web-1".to_owned(),
            at: None,
            text: format!("{} FATAL {}", "a".repeat(9_000), "b".repeat(9_000)),
        };
        let quoted = quote(&line, &regex("FATAL")).unwrap();
        assert!(quoted.contains("FATAL") && quoted.chars().count() < 420, "{quoted}");
        assert_eq!(quote(&line, &regex("PANIC")), None);
    }

    #[test]
    fn traffic_is_on_a_slot_once_its_ready_pods_are_among_the_services_endpoints() {
        let labels: std::collections::BTreeMap<_, _> = [("version".to_owned(), "green".to_owned())].into();
        let look = |ready: u32, named: Option<u32>, live: Option<&str>| {
            let service = crate::domain::observation::ServiceSeen {
                selector: labels.clone(),
                live: live.map(SlotName::from),
                ..Default::default()
            };
            let slot = crate::domain::observation::SlotSeen {
                found: true,
                desired: 3,
                ready: vec![(labels.clone(), ready)],
                named,
                ..Default::default()
            };
            let seen = Observation {
                service: Some(service),
                slots: [("green".into(), slot)].into(),
                ..Observation::default()
            };
            selected(&seen, &"green".into())
        };
        assert_eq!(look(3, None, Some("green")), Seen::yes("the service selects green, 3 ready"));
        assert!(look(3, Some(1), Some("green")).holds);
        let behind = look(3, Some(0), Some("green"));
        assert_eq!(
            behind,
            Seen::no("the service selects green, but its endpoints name none of its pods yet")
        );
        assert!(!look(0, Some(3), Some("green")).holds);
        assert!(!look(3, Some(3), Some("blue")).holds);
        assert!(!look(3, Some(3), None).holds);
    }

    #[test]
    fn numbers_are_read_by_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1_412, "1,412"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
