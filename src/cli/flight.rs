//! One flight from opening to landing, real or rehearsed: everything that `run`, `rehearse` and `resume` share.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use color_eyre::eyre::{WrapErr as _, eyre};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{
    args::DriveArgs,
    compose::World,
    engine::{self, Word},
    exit::Exit,
    guard::{self, Guard, Takeover, Unguarded},
    plain::talk,
    serve::{self, Groups},
    store::{self, RunJournal},
    told::Told,
    vars::{Given, Resolved, is_at_hand, resolve},
};
use crate::{
    adapters::kube::{JournalCopy, KubeLock},
    config::{self, theme::ColorChoice},
    domain::{
        actor::Actor,
        belief::{Pinned, labels},
        effect::{Decision, Input},
        event::{Envelope, Opened, Outcome, Override, RollbackTarget, RunEvent},
        id::{RunId, SlotName},
        machine::Machine,
        message::{Command, Request},
        rights::{self, Missing, Weight},
        runbook::{DeployWindow, Environment, Runbook, Status, Target},
        time::Timestamp,
        workload::ClusterIdentity,
    },
    engine::{
        driver::{Engine, Parts},
        messages::End,
        ports::Cluster,
        values::{Secrets, Values, check_value, lost_secrets},
    },
    journal::{self, Header, Lock},
};

/// A runbook that was read and found good.
pub struct Loaded {
    /// The runbook.
    pub runbook: Runbook,
    /// Its text.
    pub text: String,
    /// Its path or name.
    pub path: PathBuf,
}

/// Loads a runbook; prints every fault.
///
/// # Errors
/// The exit code for an invalid runbook.
pub fn load(path: &Path, text: String, color: &str) -> Result<Loaded, Exit> {
    let loaded = config::load_str(&path.display().to_string(), &text);
    let color = use_color(color, std::io::stderr().is_terminal());
    for diagnostic in &loaded.diagnostics {
        let _ = writeln!(std::io::stderr().lock(), "{}\n", diagnostic.render(&text, color));
    }
    match loaded.runbook {
        Some(runbook) => Ok(Loaded { runbook, text, path: path.to_owned() }),
        None => Err(Exit::InvalidRunbook),
    }
}

/// Whether messages are coloured.
pub fn use_color(choice: &str, terminal: bool) -> bool {
    let choice = ColorChoice::from_word(choice).unwrap_or(ColorChoice::Auto);
    config::theme::use_color(choice, &|name| std::env::var(name).ok(), terminal)
}

/// What a flight begins with.
pub struct Flight {
    /// The runbook.
    pub loaded: Loaded,
    /// Everything outside.
    pub world: World,
    /// Secrets.
    pub secrets: Arc<Secrets>,
    /// The story, in a rehearsal.
    pub rehearsal: Option<String>,
    /// How it is driven.
    pub drive: DriveArgs,
    /// What whoever started it wants to be called.
    pub pilot: String,
}

/// Where the journal of a resumed run comes from.
pub enum Origin {
    /// This host's own.
    ThisHost(Option<Takeover>),
    /// The copy in the cluster, of another host's.
    Cluster(Option<Takeover>),
}

impl Flight {
    /// Opens a new run and flies it.
    ///
    /// # Errors
    /// What keeps the run from being opened, in words.
    pub async fn open(self, takeover: Option<Takeover>) -> color_eyre::Result<Exit> {
        let given = match Given::parse(&self.drive.vars, &self.drive.parts, &self.loaded.runbook) {
            Ok(given) => given,
            Err(faults) => return Ok(usage(&faults)),
        };
        let now = self.world.clock.now();
        let mut opened = self.opened(now).await?;
        let resolved = match resolve(&self.loaded.runbook, &opened, now, &given, &self.secrets) {
            Ok(resolved) => resolved,
            Err(faults) => return Ok(usage(&faults)),
        };
        let state = store::state_dir(self.drive.view.state_dir.as_ref())?;
        let rehearsal = opened.rehearsal.is_some();
        let mut refusals = if rehearsal { Vec::new() } else { refusals(&self.loaded.runbook, &opened, now) };
        // What is refused anyway takes no lock.
        if self.overridden(refusals.clone()).is_none() {
            Word::Refused { why: refusals }.say();
            return Ok(Exit::NeedsPerson);
        }
        let guard = match self.guard(&state, &opened.run_id, None, takeover.as_ref(), &mut refusals).await? {
            Ok(guard) => guard,
            Err(exit) => return Ok(exit),
        };
        opened.overrides = self.overridden(refusals).unwrap_or_default();
        match self.opened_with(opened, resolved, given, &state, now, &guard) {
            Ok((machine, decision, journal, run_dir, lock)) => {
                self.fly(machine, decision, Vec::new(), journal, run_dir, lock, guard).await
            }
            Err(error) => {
                guard.release().await;
                Err(error)
            }
        }
    }

    /// Takes the locks; without permission for the cluster's only where somebody gave a reason.
    async fn guard(
        &self,
        state: &Path,
        run_id: &RunId,
        previous: Option<String>,
        takeover: Option<&Takeover>,
        refusals: &mut Vec<String>,
    ) -> color_eyre::Result<Result<Guard, Exit>> {
        let runbook = &self.loaded.runbook;
        match Guard::take(&self.world, runbook, state, run_id, previous, takeover).await? {
            Ok(guard) => Ok(Ok(guard)),
            Err(Unguarded::End(exit)) => Ok(Err(exit)),
            Err(Unguarded::Without(why)) => {
                refusals.push(why);
                if self.drive.override_reason.is_none() {
                    Word::Refused { why: refusals.clone() }.say();
                    return Ok(Err(Exit::NeedsPerson));
                }
                Guard::without_lease(&self.world, runbook, state).await
            }
        }
    }

    /// The new run on disk and in the machine.
    fn opened_with(
        &self,
        opened: Opened,
        resolved: Vec<Resolved>,
        given: Given,
        state: &Path,
        now: Timestamp,
        guard: &Guard,
    ) -> color_eyre::Result<(Machine, Decision, RunJournal, PathBuf, Lock)> {
        let run_dir = store::runs_dir(state)?.join(opened.run_id.as_str());
        let header = Header {
            run_id: opened.run_id.0.clone(),
            runbook_sha256: opened.runbook_sha256.clone(),
            boot_id: crate::adapters::process::boot_id(),
        };
        let journal = RunJournal::create(&run_dir, &header)
            .wrap_err_with(|| format!("cannot create {}", run_dir.display()))?;
        let lock = Lock::acquire(&run_dir, "lock", &store::holder())?;
        make_output_dir(&run_dir)?;
        std::fs::write(run_dir.join("runbook.toml"), &self.loaded.text)
            .wrap_err("cannot keep the runbook's copy")?;
        let (mut machine, mut decision) =
            Machine::open(opened, now).ok_or_else(|| eyre!("the run can't be opened"))?;
        if let Some(taken) = guard.input() {
            append(&mut decision, machine.handle(now, taken));
        }
        for var in resolved {
            let input = Input::VarSet { name: var.name, value: var.value, source: var.source };
            append(&mut decision, machine.handle(now, input));
        }
        let pilot = machine.run().opened.pilot.clone();
        for (name, value) in given.vars {
            let asked = machine.run().unasked().any(|var| var.name == name);
            if asked {
                let secret = machine
                    .run()
                    .runbook
                    .vars
                    .iter()
                    .find(|var| var.name == name)
                    .is_some_and(|var| var.secret);
                if secret {
                    self.secrets.add(&name, value.clone())?;
                }
                let value = (!secret).then_some(value);
                append(
                    &mut decision,
                    machine.handle(now, Input::VarSet { name, value, source: "command line".to_owned() }),
                );
            }
        }
        for (part, applies) in given.parts {
            let command = Command::DecidePart { part, applies };
            append(
                &mut decision,
                machine.handle(now, Input::Operator(Request { by: Actor::person(pilot.clone()), command })),
            );
        }
        Ok((machine, decision, journal, run_dir, lock))
    }

    /// Goes on with a run that was left.
    ///
    /// # Errors
    /// If its journal can't be read or written.
    pub async fn resume(self, run_dir: PathBuf, from: Origin) -> color_eyre::Result<Exit> {
        let lock = match Lock::acquire(&run_dir, journal::lock::RUN_LOCK, &store::holder()) {
            Ok(lock) => lock,
            Err(journal::LockError::Held { holder, .. }) => {
                let run = run_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
                talk(&format!("run {run} flies already{}", driven_by(holder.as_ref())));
                talk(&format!("come to it with: cutover attach {run}; look at it with: cutover watch {run}"));
                return Ok(Exit::SomebodyElse);
            }
            Err(error) => return Err(error.into()),
        };
        let recovered = journal::recover::<Envelope>(&run_dir)?;
        if let Some(torn) = &recovered.torn {
            talk(&format!("the last record was torn; its bytes are kept in {}", torn.display()));
        }
        let events: Vec<Envelope> = recovered.records.into_iter().map(|(_, envelope)| envelope).collect();
        let run = crate::domain::run::Run::fold(&events)
            .ok_or_else(|| eyre!("the journal does not begin with run_opened"))?;
        let given = match Given::parse(&self.drive.vars, &self.drive.parts, &run.runbook) {
            Ok(given) => given,
            Err(faults) => return Ok(usage(&faults)),
        };
        let now = self.world.clock.now();
        // Secrets are never written down: they are read again.
        let mut secrets_only = (*run.runbook).clone();
        // One that is not there now is no reason to leave a run alone that may have to be rolled back.
        secrets_only.vars.retain(|var| var.secret && is_at_hand(var, &given));
        if let Err(faults) = resolve(&secrets_only, &run.opened, now, &given, &self.secrets) {
            return Ok(usage(&faults));
        }
        // What uses one that is gone fails and says so, all else goes on.
        let lost = lost_secrets(&run, &self.secrets);
        if !lost.is_empty() {
            talk(&format!(
                "secrets are never written down, so these have no value now: ${}; set them in the environment, or give them with --var NAME=VALUE",
                lost.join(", $")
            ));
        }
        let mut refusals: Vec<String> = Self::unchanged(&run, &run_dir).err().into_iter().collect();
        if self.overridden(refusals.clone()).is_none() {
            Word::Refused { why: refusals }.say();
            return Ok(Exit::NeedsPerson);
        }
        if let Err(why) = self.same_cluster(&run).await {
            talk(&why);
            return Ok(Exit::NeedsPerson);
        }
        let journal = RunJournal::resume(&run_dir, recovered.position)?;
        make_output_dir(&run_dir)?;
        let state = store::state_dir(self.drive.view.state_dir.as_ref())?;
        let last_host = events.iter().rev().find_map(|envelope| match &envelope.event {
            RunEvent::RunOpened(opened) => Some(opened.host.clone()),
            RunEvent::RunResumed { host, .. } => Some(host.clone()),
            _ => None,
        });
        let own = last_host.is_some_and(|host| host == store::host());
        // Also where an earlier try has fetched it and came no further.
        let copied = matches!(from, Origin::Cluster(_)) || !own;
        let (previous, takeover) = match from {
            // This host's own lock on the run is held, so the engine that had the target's is dead: if it ran here.
            Origin::ThisHost(takeover) => {
                (run.lock.as_ref().filter(|_| own).map(|lock| lock.lock_id.clone()), takeover)
            }
            // Nobody here knows whether the other host's engine is: its lock is taken over by name, or not at all.
            Origin::Cluster(takeover) => (None, takeover),
        };
        let run_id = run.opened.run_id.clone();
        let guard = match self.guard(&state, &run_id, previous, takeover.as_ref(), &mut refusals).await? {
            Ok(guard) => guard,
            Err(exit) => return Ok(exit),
        };
        // From here on it is this host's.
        match std::fs::remove_file(run_dir.join(store::FETCHED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let (mut machine, mut decision) = Machine::resume(run, &self.pilot, &store::host(), copied, now);
        for given in self.overridden(refusals).unwrap_or_default() {
            append(&mut decision, machine.handle(now, Input::Overridden(given)));
        }
        if let Some(taken) = guard.input() {
            append(&mut decision, machine.handle(now, taken));
        }
        self.fly(machine, decision, events, journal, run_dir, lock, guard).await
    }

    #[expect(clippy::too_many_arguments, reason = "everything that a run is made of, moved once")]
    async fn fly(
        self,
        machine: Machine,
        decision: Decision,
        events: Vec<Envelope>,
        journal: RunJournal,
        run_dir: PathBuf,
        _lock: Lock,
        guard: Guard,
    ) -> color_eyre::Result<Exit> {
        let run_id = machine.run().opened.run_id.clone();
        let title = machine.run().opened.runbook.document.title.clone();
        let copy = guard::copy(&self.world, &journal, &run_dir, &run_id, &title).map(Arc::new);
        let lease = guard.lease();
        let ended = self.serve(machine, decision, events, journal, run_dir, lease, copy.clone()).await;
        if let Ok(None) = ended {
            // As if it had been killed: what it had begun may still be under way, so the target's lock is not given back.
            talk(&format!("the engine has broken, see above; the run goes on with: cutover resume {run_id}"));
            return Ok(Exit::Internal);
        }
        guard::finish_copy(copy).await;
        guard.release().await;
        ended.map(|exit| exit.unwrap_or(Exit::Internal))
    }

    /// Runs the engine and its sockets to the run's end; nothing where a fault of its own ended it.
    #[expect(clippy::too_many_arguments, reason = "everything that a run is made of, moved once")]
    async fn serve(
        self,
        machine: Machine,
        decision: Decision,
        events: Vec<Envelope>,
        journal: RunJournal,
        run_dir: PathBuf,
        lease: Option<Arc<KubeLock>>,
        copy: Option<Arc<JournalCopy>>,
    ) -> color_eyre::Result<Option<Exit>> {
        let values = Values::of(machine.run(), &self.secrets);
        let ports = self.world.ports(&self.loaded.runbook, &values, !events.is_empty())?;
        let container = self.loaded.runbook.target.as_ref().map(|target| target.container.clone());
        let run_id = machine.run().opened.run_id.clone();
        let (incoming_in, incoming) = mpsc::channel(256);
        let groups =
            Groups { watch: self.drive.watch_group.clone(), approve: self.drive.approve_group.clone() };
        let doors = serve::open(&run_dir, run_id.as_str(), &groups, incoming_in)?;
        let engine = Engine::new(Parts {
            machine,
            events,
            decision,
            ports,
            journal: Box::new(journal),
            secrets: self.secrets,
            run_dir: run_dir.clone(),
            container: container.unwrap_or_default(),
            lock: lease.map(|lease| lease as _),
            copy: copy.map(|copy| copy as _),
            incoming,
        });
        Word::Ready { run_id, run_dir: run_dir.clone() }.say();
        engine::let_go(&run_dir)?;
        // On a task of its own: this one may not block.
        let end = tokio::spawn(engine.run()).await;
        doors.close().await;
        Ok(match end {
            Ok(End::Closed(outcome)) => Some(outcome.map_or(Exit::Internal, Exit::of)),
            Ok(End::JournalLost(why)) => {
                talk(&why);
                Some(Exit::Internal)
            }
            Err(fault) => {
                tracing::error!(%fault, "the engine has broken");
                None
            }
        })
    }

    /// Whether the kubeconfig still leads to the cluster that the run was opened on. Nobody can say that another one is meant:
    /// what is known of the run is known of that cluster.
    async fn same_cluster(&self, run: &crate::domain::run::Run) -> Result<(), String> {
        let (Some(opened), Some(cluster)) = (&run.opened.cluster, &self.world.cluster) else { return Ok(()) };
        let now = cluster
            .identity()
            .await
            .map_err(|error| format!("it can't be told whether this is the run's cluster: {error}"))?;
        // Where the uid may not be read, the server stands for the cluster.
        if now.uid == opened.uid && (!now.uid.is_empty() || now.server == opened.server) {
            return Ok(());
        }
        Err(format!(
            "this is another cluster: the run was opened on {} ({}, kube-system {}), the kubeconfig leads to {} ({}, kube-system {}); choose the run's context, then resume",
            opened.context, opened.server, opened.uid, now.context, now.server, now.uid
        ))
    }

    /// Whether the runbook is what it was when the run was opened. What flies is always the journal's.
    ///
    /// # Errors
    /// What was changed, in words.
    fn unchanged(run: &crate::domain::run::Run, run_dir: &Path) -> Result<(), String> {
        let kept = std::fs::read_to_string(run_dir.join("runbook.toml")).ok();
        if let Some(kept) = &kept
            && sha256(kept) != run.opened.runbook_sha256
        {
            return Err(format!(
                "{} was changed since the run was opened",
                run_dir.join("runbook.toml").display()
            ));
        }
        let path = Path::new(&run.opened.runbook_path);
        let (Ok(now), Some(kept)) = (std::fs::read_to_string(path), kept) else { return Ok(()) };
        if sha256(&now) == run.opened.runbook_sha256 {
            return Ok(());
        }
        Err(format!(
            "{} was changed since the run was opened ({}); the run goes on with what it was opened with",
            path.display(),
            first_difference(&kept, &now)
        ))
    }

    /// Everything that is fixed when the run opens.
    async fn opened(&self, now: Timestamp) -> color_eyre::Result<Opened> {
        let runbook = &self.loaded.runbook;
        let mut opened = Opened {
            run_id: run_id(now),
            cutover_version: env!("CARGO_PKG_VERSION").to_owned(),
            runbook_sha256: sha256(&self.loaded.text),
            // A resume may come from another directory.
            runbook_path: match &self.rehearsal {
                Some(_) => self.loaded.path.display().to_string(),
                None => std::path::absolute(&self.loaded.path)?.display().to_string(),
            },
            runbook: Box::new(runbook.clone()),
            rehearsal: self.rehearsal.clone(),
            pilot: self.pilot.clone(),
            host: store::host(),
            cluster: None,
            new_slot: None,
            previous: None,
            new_slot_image: None,
            pinned: None,
            overrides: Vec::new(),
        };
        let (Some(target), Some(cluster)) = (&runbook.target, &self.world.cluster) else { return Ok(opened) };
        let identity = cluster.identity().await?;
        self.review(&mut opened, cluster, &identity).await?;
        opened.cluster = Some(identity);
        let seen = cluster.observe().await?;
        let slots: Vec<SlotName> = target.slots.keys().cloned().collect();
        let Some(service) = seen.service.as_ref() else {
            return Err(Told::unfit(self.no_service(target).await).into());
        };
        let live = service.live.clone().ok_or_else(|| {
            let selector = labels(&service.selector);
            let slots: Vec<_> = slots.iter().map(|slot| slot.0.as_str()).collect();
            Told::unfit(format!(
                "service {} selects {selector}, which is none of the runbook's slots ({}); point it at one of them first",
                target.service,
                slots.join(", ")
            ))
        })?;
        for (name, slot) in &target.slots {
            if seen.slot(name).is_none() {
                return Err(Told::unfit(self.no_deployment(target, &slot.deployment).await).into());
            }
        }
        let found = |name: &SlotName| {
            seen.slot(name).ok_or_else(|| {
                let deployment = target.slots.get(name).map_or("?", |slot| slot.deployment.as_str());
                Told::unfit(format!("there is no deployment {deployment} in namespace {}", target.namespace))
            })
        };
        let previous = found(&live)?;
        let new = slots
            .into_iter()
            .find(|name| *name != live)
            .ok_or_else(|| Told::unfit("the runbook has only one slot"))?;
        opened.new_slot_image = Some(found(&new)?.image.clone());
        opened.previous =
            Some(RollbackTarget { slot: live, image: previous.image.clone(), replicas: previous.desired });
        opened.new_slot = Some(new);
        opened.pinned = Pinned::of(&seen);
        Ok(opened)
    }

    /// Asks what we may do, before anything is begun: what a run cannot be opened without ends here, what a write needs
    /// becomes an item of the checklist that fails, the rest is said.
    async fn review(
        &self,
        opened: &mut Opened,
        cluster: &Arc<dyn Cluster>,
        identity: &ClusterIdentity,
    ) -> color_eyre::Result<()> {
        // A simulated cluster allows everything.
        if self.rehearsal.is_some() {
            return Ok(());
        }
        let missing = match cluster.access(&cluster.rights(&self.loaded.runbook)).await {
            Ok(access) => access.missing,
            Err(error) => {
                talk(&format!("it can't be asked what is allowed here: {error}"));
                return Ok(());
            }
        };
        let decisive: Vec<&Missing> =
            missing.iter().filter(|missing| missing.right.weight == Weight::Opening).collect();
        if !decisive.is_empty() {
            return Err(Told::forbidden(&decisive, identity).into());
        }
        for remark in rights::remarks(&missing) {
            talk(&remark);
        }
        opened.runbook.checklist.extend(rights::items(&missing));
        Ok(())
    }

    async fn no_service(&self, target: &Target) -> String {
        match &self.world.kube {
            Some(kube) => kube.no_service().await,
            None => format!("there is no service {} in namespace {}", target.service, target.namespace),
        }
    }

    async fn no_deployment(&self, target: &Target, name: &str) -> String {
        match &self.world.kube {
            Some(kube) => kube.no_deployment(name).await,
            None => format!("there is no deployment {name} in namespace {}", target.namespace),
        }
    }

    /// Refusals with the reason they are overridden for; none where there is no reason.
    fn overridden(&self, refusals: Vec<String>) -> Option<Vec<Override>> {
        if refusals.is_empty() {
            return Some(Vec::new());
        }
        let reason = self.drive.override_reason.clone()?;
        let by = store::user();
        let overridden = |what| Override { what, reason: reason.clone(), by: by.clone() };
        Some(refusals.into_iter().map(overridden).collect())
    }
}

/// The first line where two texts differ, for people.
fn first_difference(before: &str, after: &str) -> String {
    let mut lines = before.lines().zip(after.lines()).enumerate();
    if let Some((index, (before, after))) = lines.find(|(_, (before, after))| before != after) {
        format!("line {}: `{before}` became `{after}`", index + 1)
    } else {
        let (old, new) = (before.lines().count(), after.lines().count());
        if old == new { "its last line end".to_owned() } else { format!("{old} lines became {new}") }
    }
}

/// Who has an engine in their hands, and since when.
pub fn driven_by(holder: Option<&journal::Holder>) -> String {
    holder.map_or_else(String::new, |holder| {
        let since = Timestamp(holder.since_ms);
        format!(
            ": {} drives it since {} UTC (process {})",
            holder.who,
            since.to_jiff().strftime("%F %H:%M:%S"),
            holder.pid
        )
    })
}

fn append(all: &mut Decision, more: Decision) {
    all.events.extend(more.events);
    all.effects.extend(more.effects);
    if let Some(why) = more.refused {
        talk(&format!("refused: {why}"));
    }
}

fn usage(faults: &[String]) -> Exit {
    for fault in faults {
        talk(fault);
    }
    Exit::Usage
}

fn make_output_dir(run_dir: &Path) -> color_eyre::Result<()> {
    journal::RunDir::create(&run_dir.join("output"))
        .map(|_| ())
        .wrap_err("cannot create the directory for output")
}

/// `20261122-204631-3f9a`: sorts by time, short enough to type.
fn run_id(now: Timestamp) -> RunId {
    let tail: String = std::iter::repeat_with(fastrand::alphanumeric).take(4).collect();
    RunId(format!("{}-{}", now.to_jiff().strftime("%Y%m%d-%H%M%S"), tail.to_ascii_lowercase()))
}

/// Whether a journal that comes from outside is of this run and this very runbook, and brings nothing else that would be run
/// with our rights: no other action, no other variable.
///
/// # Errors
/// What differs, in words.
pub fn is_of(events: &[Envelope], run_id: &RunId, loaded: &Loaded) -> Result<(), String> {
    let runbook = &loaded.runbook;
    let Some(RunEvent::RunOpened(opened)) = events.first().map(|envelope| &envelope.event) else {
        return Err("it has no beginning".to_owned());
    };
    if opened.run_id != *run_id {
        return Err("it is another run's".to_owned());
    }
    if sha256(&loaded.text) != opened.runbook_sha256 {
        return Err("the runbook's text differs from the one that the run was opened with".to_owned());
    }
    // A run opens with items of its own where rights are missing; nothing in them is ours to run.
    if rights::as_written(&opened.runbook) != *runbook {
        return Err("it says that something else stands in the runbook".to_owned());
    }
    for envelope in events {
        match &envelope.event {
            RunEvent::VarSet { name, value, .. } => {
                let var = runbook.vars.iter().find(|var| var.name == *name);
                let var = var.ok_or_else(|| format!("it sets ${name}, which the runbook does not have"))?;
                if let Some(value) = value {
                    check_value(name, value, var.pattern.as_deref())?;
                }
            }
            RunEvent::RollbackStarted { procedure, actions, .. } => {
                let declared = runbook.procedure(procedure.as_str()).map_or(&[][..], |found| &found.run);
                let known = |action: &crate::domain::action::Action| {
                    declared.contains(action) || crate::domain::plan::is_wake(action)
                };
                if !actions.iter().all(known) {
                    return Err(format!("its rollback ({procedure}) does what the runbook does not say"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What keeps a run from being opened without a reason.
fn refusals(runbook: &Runbook, opened: &Opened, now: Timestamp) -> Vec<String> {
    let mut refusals = Vec::new();
    let production = runbook.deployment.environment == Environment::Production;
    if production && runbook.document.status != Status::Approved {
        refusals.push(format!(
            "the runbook is not approved for production (status {:?})",
            runbook.document.status
        ));
    }
    if let Some(window) = &runbook.deployment.window
        && let Some(why) = outside(window, now)
    {
        refusals.push(why);
    }
    let pinned = runbook.target.as_ref().and_then(|target| target.cluster_uid.as_ref());
    if let (Some(pinned), Some(cluster)) = (pinned, &opened.cluster)
        && *pinned != cluster.uid
    {
        refusals.push(format!(
            "this is another cluster: kube-system has uid {}, the runbook says {pinned}",
            cluster.uid
        ));
    }
    refusals
}

/// Why a moment lies outside the deployment window.
fn outside(window: &DeployWindow, now: Timestamp) -> Option<String> {
    let zoned = now.to_jiff().in_tz(&window.timezone).ok()?;
    let day = zoned.strftime("%a").to_string().to_lowercase();
    let yesterday = zoned.yesterday().ok()?.strftime("%a").to_string().to_lowercase();
    let time = zoned.strftime("%H:%M").to_string();
    let on = |day: &str| window.days.is_empty() || window.days.iter().any(|named| named == day);
    let inside = if window.from <= window.to {
        on(&day) && time >= window.from && time < window.to
    } else {
        // Past midnight: the late part belongs to the day before.
        (on(&day) && time >= window.from) || (on(&yesterday) && time < window.to)
    };
    (!inside).then(|| {
        let days = if window.days.is_empty() { "every day".to_owned() } else { window.days.join(", ") };
        format!(
            "outside the deployment window ({days} {}-{} {}); now it is {day} {time}",
            window.from, window.to, window.timezone
        )
    })
}

/// Whether a run can be resumed at all.
///
/// # Errors
/// Why not, in words.
pub fn resumable(run: &crate::domain::run::Run) -> Result<(), String> {
    if run.opened.rehearsal.is_some() {
        return Err("a rehearsal's world ended with it; start a new one".to_owned());
    }
    match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        // Until its tasks are done a deployment can be rolled back, and a rollback that failed can be tried again.
        None | Some(Outcome::Held | Outcome::Succeeded | Outcome::RollbackFailed) => Ok(()),
        Some(Outcome::Failed | Outcome::RolledBack) => {
            Err("this run is over; see what happened with `cutover attach`".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn the_deployment_window_knows_days_times_zones_and_midnight() {
        let mut window = DeployWindow {
            days: vec!["fri".into()],
            from: "14:00".into(),
            to: "16:00".into(),
            timezone: "Europe/Berlin".into(),
        };
        // 2026-11-20 is a Friday; Berlin is one hour ahead of UTC in winter.
        assert!(outside(&window, at("2026-11-20T13:00:00Z")).is_none());
        assert!(outside(&window, at("2026-11-20T15:00:00Z")).is_some());
        assert!(outside(&window, at("2026-11-19T13:30:00Z")).is_some());
        window.from = "23:00".into();
        window.to = "01:00".into();
        assert!(outside(&window, at("2026-11-20T22:30:00Z")).is_none());
        assert!(
            outside(&window, at("2026-11-20T23:30:00Z")).is_none(),
            "Saturday 00:30 belongs to Friday night"
        );
        assert!(outside(&window, at("2026-11-21T22:30:00Z")).is_some());
    }

    #[test]
    fn a_copy_brings_nothing_of_its_own_to_run() {
        use crate::domain::fixture::{Flight, opened, runbook, sh};
        let text = "the runbook's text".to_owned();
        let loaded = Loaded { runbook: runbook(), text: text.clone(), path: PathBuf::new() };
        let mut first = opened(runbook());
        first.runbook_sha256 = sha256(&text);
        let mut flight = Flight::in_window(runbook());
        flight.command(Command::Rollback { reason: "errors".to_owned() });
        flight.settle();
        let mut events = flight.events.clone();
        events[0].event = RunEvent::RunOpened(first.clone());
        let run_id = first.run_id.clone();
        assert_eq!(is_of(&events, &run_id, &loaded), Ok(()));
        assert!(is_of(&events[1..], &run_id, &loaded).is_err());
        assert!(is_of(&events, &RunId("another".to_owned()), &loaded).is_err());
        let forged = |change: &dyn Fn(&mut RunEvent)| {
            let mut events = events.clone();
            for envelope in &mut events {
                change(&mut envelope.event);
            }
            is_of(&events, &run_id, &loaded).unwrap_err()
        };
        let action = |event: &mut RunEvent| {
            if let RunEvent::RollbackStarted { actions, .. } = event {
                actions.push(sh("evil"));
            }
        };
        assert!(forged(&action).contains("does what the runbook does not say"));
        let name = |event: &mut RunEvent| {
            if let RunEvent::VarSet { name, .. } = event {
                *name = "LD_PRELOAD".to_owned();
            }
        };
        assert!(forged(&name).contains("$LD_PRELOAD"));
        let value = |event: &mut RunEvent| {
            if let RunEvent::VarSet { value, .. } = event {
                *value = Some("a\nb".to_owned());
            }
        };
        assert!(forged(&value).contains("one line"));
        let text = |event: &mut RunEvent| {
            if let RunEvent::RunOpened(opened) = event {
                opened.runbook.steps.clear();
            }
        };
        assert!(forged(&text).contains("something else"));
        let other = Loaded { text: "another".to_owned(), ..loaded };
        assert!(is_of(&events, &run_id, &other).unwrap_err().contains("text differs"));
    }
}
