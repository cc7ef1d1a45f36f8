//! Work in progress for the machine: running actions, watched checks, checklist items that are being checked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

use super::{
    kit::Kit,
    look::{Looker, Slots},
    messages::{End, News},
    perform::{Performance, Write, mark, send_notice, verify},
    ports::Seen,
};
use crate::domain::{
    action::{Action, ActionKind, SlotRef},
    check::{Check, CheckKind},
    effect::{Effect, Input},
    event::{ActionOutcome, ActionRef, CheckRef, Place},
    id::SlotName,
    lock::LockState,
    observation::Approach,
    run::Run,
    runbook::{Milestone, Runbook, Target},
    slot_labels::SlotLabels,
    time::Span,
    verdict::{Ruling, rule},
};

/// How long an engine waits at its end for processes that it has told to end: a little more than they have.
const ENDING: Duration = Duration::from_secs(12);

/// Everything that runs for the machine.
pub(super) struct Hands {
    kit: Arc<Kit>,
    /// The container whose image is set by default.
    container: String,
    running: BTreeMap<ActionRef, watch::Sender<bool>>,
    watching: BTreeMap<CheckRef, AbortHandle>,
    /// Looks at items of the checklist.
    items: Vec<AbortHandle>,
    /// Processes that a dead engine has left, while they are ended.
    enders: Vec<JoinHandle<()>>,
}

impl Hands {
    /// Nothing runs yet.
    pub(super) fn new(kit: Arc<Kit>, container: String) -> Self {
        Self {
            kit,
            container,
            running: BTreeMap::new(),
            watching: BTreeMap::new(),
            items: Vec::new(),
            enders: Vec::new(),
        }
    }

    /// Whether no action runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether a check is watched.
    pub(super) fn watches(&self, at: &CheckRef) -> bool {
        self.watching.contains_key(at)
    }

    /// An action has ended.
    pub(super) fn finished(&mut self, at: &ActionRef) {
        self.running.remove(at);
    }

    /// Lets go of everything at the engine's end. Nothing that was told to end outlives it.
    pub(super) async fn let_go(&mut self) {
        for task in self.items.drain(..).chain(std::mem::take(&mut self.watching).into_values()) {
            task.abort();
        }
        let _ = tokio::time::timeout(ENDING, join_all(self.enders.drain(..))).await;
    }

    /// Begins what the machine wants, or ends it. The return value is the engine's end, where it wants that.
    pub(super) fn perform(&mut self, effect: Effect, run: &Run) -> Option<End> {
        match effect {
            Effect::StartAction(at) => self.start_action(at, None, run),
            Effect::StartGuarded { at, approach } => self.start_action(at, Some(*approach), run),
            Effect::Observe => self.observe(),
            Effect::Settle(slot) => self.settle(slot),
            Effect::PutBack { action, approach } => self.put_back(*action, *approach, run),
            Effect::Wake(after) => self.wake(after),
            Effect::CancelAction(at) => {
                if let Some(stop) = self.running.get(&at) {
                    let _ = stop.send(true);
                }
            }
            Effect::EndChild(at) => self.end_child(&at, run),
            Effect::Watch(at) => self.start_watch(at, run),
            Effect::StopWatch(at) => {
                if let Some(task) = self.watching.remove(&at) {
                    task.abort();
                }
            }
            Effect::LookItem { group, item } => self.look_item(group, item, run),
            Effect::Verify(at) => {
                let (ports, values, news) =
                    (self.kit.ports.clone(), self.kit.values(run), self.kit.news.clone());
                tokio::spawn(verify(run.clone(), at, ports, values, news));
            }
            Effect::Notify { milestone, text } => self.tell(Some(milestone), &text, run),
            Effect::Close => {
                let outcome = run.finished.as_ref().map(|(outcome, ..)| *outcome);
                return Some(End::Closed(outcome));
            }
        }
        None
    }

    /// By its mark, and not by its number alone: the number may be another process's by now.
    fn end_child(&mut self, at: &ActionRef, run: &Run) {
        let orphan = run.orphans().into_iter().find(|(orphan, _)| orphan == at);
        let Some((_, child)) = orphan else { return };
        let (shell, mark) = (Arc::clone(&self.kit.ports.shell), mark(run, at));
        self.enders.push(tokio::spawn(async move { shell.end(&child, &mark).await }));
    }

    /// Looks at the target afresh.
    fn observe(&self) {
        let (cluster, news) = (self.kit.ports.cluster().cloned(), self.kit.news.clone());
        tokio::spawn(async move {
            let seen = match cluster {
                Ok(cluster) => cluster.observe().await.map_err(|error| error.message),
                Err(why) => Err(why),
            };
            let _ = news.send(News::Input(Input::Observed(Box::new(seen)))).await;
        });
    }

    /// Rules out that an older write of ours still arrives.
    fn settle(&self, slot: Option<SlotName>) {
        let (cluster, news) = (self.kit.ports.cluster().cloned(), self.kit.news.clone());
        tokio::spawn(async move {
            let settled = match cluster {
                Ok(cluster) => cluster.settle(slot.as_ref()).await.map_err(|error| error.message),
                Err(why) => Err(why),
            };
            let _ = news.send(News::Input(Input::Settled { slot, fault: settled.err() })).await;
        });
    }

    /// Puts back what somebody else has changed.
    fn put_back(&self, action: Action, approach: Approach, run: &Run) {
        let (kit, run, container) = (Arc::clone(&self.kit), run.clone(), self.container.clone());
        let values = self.kit.values(&run);
        tokio::spawn(async move {
            let write = Write {
                action: &action,
                approach: Some(&approach),
                container: &container,
                run: &run,
                ports: &kit.ports,
                values: &values,
            };
            let (outcome, detail) = write.to_its_end().await;
            let _ = kit.news.send(News::Input(Input::PutBack { outcome, detail })).await;
        });
    }

    /// Comes back to the machine after a while.
    fn wake(&self, after: Span) {
        let (clock, news) = (Arc::clone(&self.kit.ports.clock), self.kit.news.clone());
        tokio::spawn(async move {
            clock.sleep(after).await;
            let _ = news.send(News::Input(Input::Woken)).await;
        });
    }

    fn start_action(&mut self, at: ActionRef, approach: Option<Approach>, run: &Run) {
        let Some(action) = run.action(&at).cloned() else { return };
        // A change of the cluster asks for itself, as late as can be. A command or a request cannot be fenced once it is on
        // its way, so whether the lock is ours is asked before.
        let unfenced =
            matches!(action.kind, ActionKind::Sh { .. } | ActionKind::Argv { .. } | ActionKind::Http(_));
        if let Some(Err(why)) = self.kit.lock.as_ref().filter(|_| unfenced).map(|lock| lock.permit()) {
            let (news, outcome) = (self.kit.news.clone(), self.outcome_of_refusal());
            let detail = format!("not started: {why}");
            tokio::spawn(async move {
                let input = Input::ActionFinished { at, outcome, detail, took: Span::ZERO, output: None };
                let _ = news.send(News::Input(input)).await;
            });
            return;
        }
        let (stop, cancel) = watch::channel(false);
        self.running.insert(at.clone(), stop);
        let performance = Performance {
            at,
            action,
            approach,
            container: self.container.clone(),
            run: run.clone(),
            ports: self.kit.ports.clone(),
            values: self.kit.values(run),
            cancel,
            run_dir: self.kit.run_dir.clone(),
            news: self.kit.news.clone(),
        };
        tokio::spawn(performance.run());
    }

    /// A lock that is only late to be renewed may be certain again in a moment; one that is gone stays gone.
    fn outcome_of_refusal(&self) -> ActionOutcome {
        match self.kit.lock.as_ref().map(|lock| lock.state().borrow().clone()) {
            Some(LockState::Held { .. } | LockState::Uncertain { .. }) => ActionOutcome::Unavailable,
            Some(LockState::Lost { .. } | LockState::Released) | None => ActionOutcome::Failed,
        }
    }

    /// With the values of now; a watch keeps them until it is started again.
    fn looker(&self, place: Option<&Place>, run: &Run) -> Looker {
        let since = place.and_then(|place| run.work(place)).and_then(|work| work.started_at);
        Looker {
            ports: self.kit.ports.clone(),
            values: self.kit.values(run),
            slots: Slots::of(run),
            since: since.unwrap_or_else(|| self.kit.ports.clock.now()),
            shared: run.runbook.target.as_ref().is_some_and(Target::has_shares),
        }
    }

    /// A watch that is started again takes the place of the one before: two would count each look twice.
    fn start_watch(&mut self, at: CheckRef, run: &Run) {
        let Some(check) = run.checks(&at.place).get(at.check).cloned() else { return };
        let (mut looker, key) = (self.looker(Some(&at.place), run), at.clone());
        if let Some(since) = run.looks_since(&at) {
            looker.since = since;
        }
        let task = tokio::spawn(looker.watch(at, check, self.kit.news.clone(), News::Input));
        if let Some(old) = self.watching.insert(key, task.abort_handle()) {
            old.abort();
        }
    }

    /// Once, on request: an item is looked at again when its time is over or somebody asks.
    fn look_item(&mut self, group: usize, item: usize, run: &Run) {
        let Some(check) =
            run.runbook.checklist.get(group).and_then(|g| g.items.get(item)).map(|i| i.check.clone())
        else {
            return;
        };
        let (looker, news) = (self.looker(None, run), self.kit.news.clone());
        let runbook = Arc::clone(&run.runbook);
        let labels = self.kit.labels.borrow().clone();
        let task = tokio::spawn(async move {
            let seen = match look_metric(&check, &runbook, &looker, &labels).await {
                Some(seen) => seen,
                None => looker.look(&check).await,
            };
            let input =
                Input::ItemSeen { group, item, holds: seen.holds, asks: seen.asks, evidence: seen.evidence };
            let _ = news.send(News::Input(input)).await;
        });
        self.items.retain(|task| !task.is_finished());
        self.items.push(task.abort_handle());
    }

    /// Tells people.
    pub(super) fn tell(&self, milestone: Option<Milestone>, text: &str, run: &Run) {
        let Some(template) = run.runbook.notify.slack.clone() else { return };
        let values = self.kit.values(run);
        let webhook = values.expand(&template);
        send_notice(&self.kit.ports, &values, self.kit.news.clone(), webhook, milestone, text);
    }
}

/// A checklist item on a metric is decided from one measurement, of the slot that it names.
async fn look_metric(
    check: &Check,
    runbook: &Runbook,
    looker: &Looker,
    labels: &[SlotLabels],
) -> Option<Seen> {
    let CheckKind::Metric { metric, slot, condition, no_traffic } = &check.kind else { return None };
    let declared = runbook.metric(metric.as_str())?;
    let slot = match looker.slots.get(slot.as_ref().unwrap_or(&SlotRef::New)) {
        _ if !declared.per_slot => None,
        Ok(slot) => Some(slot),
        Err(why) => return Some(Seen::no(why)),
    };
    let slot = slot.as_ref();
    let known = |slot: &SlotName| labels.iter().find(|known| known.name == *slot).cloned();
    let asked = slot.map(|slot| known(slot).unwrap_or_else(|| slot.as_str().into()));
    let sample = looker.ports.metrics.sample(declared, asked.as_ref(), looker.ports.clock.now()).await;
    Some(match rule(declared, *condition, *no_traffic, slot, &sample.value, None) {
        Ruling::Holds(evidence) | Ruling::Skipped(evidence) => Seen::yes(evidence),
        Ruling::Fails(evidence) | Ruling::Waits(evidence) => Seen::no(evidence),
    })
}
