//! Where runs are kept: one directory each under the state directory.

use std::{
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use color_eyre::eyre::{WrapErr as _, eyre};
use etcetera::BaseStrategy as _;

use super::{
    args::{ListArgs, TasksArgs},
    compose,
    exit::Exit,
    flight,
    plain::{data, talk},
};
use crate::{
    adapters::kube::ReadJournal,
    config::settings::Settings,
    domain::{
        actor::Actor,
        event::{Envelope, Outcome, RunEvent},
        id::RunId,
        run::Run,
        time::Timestamp,
    },
    engine::ports::Journal,
    journal::{self, Header, Position, Writer},
};

/// The state directory: as given, else as the settings say, else `$XDG_STATE_HOME/cutover`, else `~/.local/state/cutover`.
///
/// # Errors
/// If no home directory is known.
pub fn state_dir(given: Option<&PathBuf>) -> color_eyre::Result<PathBuf> {
    if let Some(dir) = given {
        return Ok(dir.clone());
    }
    if let Some(dir) = Settings::load(&|name| std::env::var(name).ok()).settings.state_dir {
        return Ok(dir);
    }
    let strategy = etcetera::base_strategy::Xdg::new().wrap_err("no home directory; give --state-dir")?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.home_dir().join(".local/state")).join("cutover"))
}

/// Makes the directories above a run's, private to their owner.
///
/// # Errors
/// If a directory can't be made.
pub fn runs_dir(state: &Path) -> color_eyre::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let runs = state.join("runs");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&runs)
        .wrap_err_with(|| format!("cannot create {}; give another --state-dir", runs.display()))?;
    Ok(runs)
}

/// Logs go to a file a day in the state directory, never to the screen. The guard writes the rest when dropped.
pub fn open_logs(given: Option<&PathBuf>) -> Option<tracing_appender::non_blocking::WorkerGuard> {
    let dir = state_dir(given).ok()?.join("logs");
    std::fs::create_dir_all(&dir).ok()?;
    let file = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("cutover")
        .filename_suffix("log")
        .max_log_files(14)
        .build(dir)
        .ok()?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    let filter = tracing_subscriber::EnvFilter::try_from_env("CUTOVER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("cutover=info,warn"));
    tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_env_filter(filter).try_init().ok()?;
    Some(guard)
}

/// A run's journal as the engine's port.
pub struct RunJournal {
    writer: Writer,
    durable: Arc<AtomicU64>,
}

impl RunJournal {
    /// A new run's.
    ///
    /// # Errors
    /// If the run's directory or file can't be made safely.
    pub fn create(dir: &Path, header: &Header) -> io::Result<Self> {
        Writer::create(dir, header).map(Self::of)
    }

    /// An old run's, going on where it was.
    ///
    /// # Errors
    /// If the file can't be opened or was changed since it was read.
    pub fn resume(dir: &Path, position: Position) -> io::Result<Self> {
        Writer::resume(dir, position).map(Self::of)
    }

    fn of(writer: Writer) -> Self {
        let durable = Arc::new(AtomicU64::new(writer.position().offset));
        Self { writer, durable }
    }

    fn synced(&mut self) -> io::Result<()> {
        self.writer.sync()?;
        self.durable.store(self.writer.position().offset, Ordering::Release);
        Ok(())
    }

    /// Reads what is durable of the journal in this directory, whole records only, while it grows.
    pub fn reader(&self, dir: &Path) -> ReadJournal {
        let (durable, dir) = (Arc::clone(&self.durable), dir.to_owned());
        Arc::new(move |offset, most| {
            let end = durable.load(Ordering::Acquire);
            let length = end.saturating_sub(offset).min(most as u64);
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            journal::RunDir::open(&dir)?
                .read_file(journal::record::FILE)?
                .read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        })
    }
}

impl Journal for RunJournal {
    fn append(&mut self, events: &[Envelope]) -> io::Result<()> {
        self.writer.append_all(events)?;
        self.synced()
    }

    fn append_urgent(&mut self, events: &[Envelope]) -> io::Result<()> {
        self.writer.append_from_reserve(events)?;
        self.synced()
    }

    fn is_spent(&self) -> bool {
        self.writer.is_spent()
    }
}

/// A run found in the state directory.
pub struct Found {
    /// Its directory.
    pub dir: PathBuf,
    /// Its state.
    pub run: Run,
}

/// Every run's directory under the state directory, newest first: ids begin with the time.
/// The file in a run's directory which says that it was fetched from the cluster, and not flown here yet.
pub const FETCHED: &str = "fetched";

fn dirs(state: &Path) -> color_eyre::Result<Vec<(String, PathBuf)>> {
    let dir = state.join("runs");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).wrap_err_with(|| format!("cannot read {}", dir.display())),
    };
    let mut found: Vec<_> = entries
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    // A copy from the cluster is no run of this host before an engine here has its target's lock.
    found.retain(|(id, dir)| !id.starts_with('.') && !dir.join(FETCHED).exists());
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The runs that an engine has in its hands; only the named one where one is named. Their journals are not read.
///
/// # Errors
/// If the state directory can't be read.
pub fn live(state: &Path, run: Option<&str>) -> color_eyre::Result<Vec<(RunId, PathBuf)>> {
    let mut live = Vec::new();
    for (id, dir) in dirs(state)? {
        let wanted = run.is_none_or(|run| run == id);
        if wanted && journal::Lock::holder(&dir, journal::lock::RUN_LOCK).is_ok_and(|holder| holder.is_some())
        {
            live.push((RunId(id), dir));
        }
    }
    Ok(live)
}

/// The newest run's id.
///
/// # Errors
/// If the state directory can't be read.
pub fn newest(state: &Path) -> color_eyre::Result<Option<String>> {
    Ok(dirs(state)?.into_iter().next().map(|(id, _)| id))
}

/// One run, by its id.
///
/// # Errors
/// If its journal can't be read.
pub fn find(state: &Path, run: &str) -> color_eyre::Result<Option<Found>> {
    let found = dirs(state)?.into_iter().find(|(id, _)| id == run).map(|(_, dir)| in_dir(dir));
    found.transpose().map(Option::flatten).wrap_err_with(|| format!("cannot read run {run}"))
}

/// The run in a directory.
///
/// # Errors
/// If its journal can't be read.
pub fn in_dir(dir: PathBuf) -> Result<Option<Found>, journal::ReadError> {
    let contents = journal::read::<Envelope>(&dir)?;
    let events: Vec<_> = contents.records.into_iter().map(|(_, envelope)| envelope).collect();
    Ok(Run::fold(&events).map(|run| Found { dir, run }))
}

/// All readable runs, newest first.
///
/// # Errors
/// If the state directory can't be read.
pub fn runs(state: &Path) -> color_eyre::Result<Vec<Found>> {
    let mut found = Vec::new();
    for (_, dir) in dirs(state)? {
        match in_dir(dir.clone()) {
            Ok(run) => found.extend(run),
            Err(error) => talk(&format!("{}: {error}", dir.display())),
        }
    }
    found.sort_by_key(|found| std::cmp::Reverse(found.run.opened_at));
    Ok(found)
}

/// The published word for how a run stands by its journal.
pub fn state_word(run: &Run) -> &'static str {
    match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::RolledBack) => "rolled-back",
        Some(Outcome::RollbackFailed) => "rollback-failed",
        Some(Outcome::Held) => "held",
        None => "open",
    }
}

/// `cutover list`
///
/// # Errors
/// If the state directory can't be read, or the cluster can't be asked.
pub async fn list(args: &ListArgs) -> color_eyre::Result<Exit> {
    if args.cluster {
        return list_cluster(args).await;
    }
    let found = runs(&state_dir(args.state_dir.as_ref())?)?;
    if args.json {
        let rows: Vec<_> = found
            .iter()
            .map(|found| {
                let opened = &found.run.opened;
                serde_json::json!({
                    "run_id": opened.run_id, "title": opened.runbook.document.title, "state": state_word(&found.run),
                    "opened_at": found.run.opened_at, "pilot": opened.pilot, "rehearsal": opened.rehearsal,
                    "new_version": found.run.new_version(), "directory": found.dir,
                })
            })
            .collect();
        data(&serde_json::to_string_pretty(&serde_json::json!({ "schema_version": 1, "runs": rows }))?);
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        talk("no runs yet");
    }
    for Found { run, .. } in found {
        let kind = if run.opened.rehearsal.is_some() { "rehearsal of " } else { "" };
        data(&format!(
            "{}  {:15}  {}  {kind}{}",
            run.opened.run_id,
            state_word(&run),
            run.new_version().unwrap_or_default(),
            run.opened.runbook.document.title
        ));
    }
    Ok(Exit::Done)
}

async fn list_cluster(args: &ListArgs) -> color_eyre::Result<Exit> {
    let text = compose::read_runbook(&args.runbook)?;
    let loaded = match flight::load(&args.runbook, text, "auto") {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let kube = compose::cluster(&loaded.runbook).await?;
    let copies = kube.copied_runs().await?;
    let holder = kube.lock_holder().await;
    if args.json {
        let holder = holder.ok().flatten();
        let document = serde_json::json!({ "schema_version": 1, "runs": copies, "lock": holder });
        data(&serde_json::to_string_pretty(&document)?);
        return Ok(Exit::Done);
    }
    match holder {
        Ok(Some(holder)) => talk(&format!("the target's lock is {}: {}", holder.lock_id, holder.words())),
        Ok(None) => talk("nobody holds the target's lock"),
        Err(error) => talk(&error.to_string()),
    }
    if copies.is_empty() {
        talk("the cluster has no copies of runs");
    }
    for copy in copies {
        data(&format!(
            "{}  {:15}  {}  by {} on {}, up to {}",
            copy.run_id, copy.head.state, copy.title, copy.who, copy.host, copy.head.at
        ));
    }
    Ok(Exit::Done)
}

/// `cutover tasks`
///
/// # Errors
/// If there is no such run, or its journal can't be read or written.
pub fn tasks(args: &TasksArgs) -> color_eyre::Result<Exit> {
    let found = runs(&state_dir(args.state_dir.as_ref())?)?;
    let found = found
        .into_iter()
        .find(|found| match &args.run {
            Some(id) => found.run.opened.run_id.as_str() == id,
            None => !found.run.tasks.is_empty(),
        })
        .ok_or_else(|| eyre!("no run with tasks; see `cutover list`"))?;
    let mut run = found.run;
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    if let Some(number) = args.done {
        let task = number.checked_sub(1).filter(|task| *task < run.tasks.len());
        let task = task.ok_or_else(|| eyre!("no task {number}; there are {}", run.tasks.len()))?;
        let _lock = journal::Lock::acquire(&found.dir, "lock", &holder())?;
        let recovered = journal::recover::<Envelope>(&found.dir)?;
        let by = Actor::person(user());
        let envelope = Envelope {
            seq: run.last_seq + 1,
            at: now.max(run.last_at),
            event: RunEvent::TaskDone { task, by },
        };
        RunJournal::resume(&found.dir, recovered.position)?.append(std::slice::from_ref(&envelope))?;
        run.apply(&envelope);
    }
    data(&format!("{}  {}", run.opened.run_id, run.opened.runbook.document.title));
    for (index, task) in run.tasks.iter().enumerate() {
        let state = match &task.done {
            Some((by, at)) => format!("[x] done by {by} {}", at.to_jiff().strftime("%F %H:%M")),
            None if task.due_at < now => {
                format!("[ ] OVERDUE since {}", task.due_at.to_jiff().strftime("%F %H:%M"))
            }
            None => format!("[ ] due in {}", task.due_at.since(now).short()),
        };
        data(&format!("{:3}  {state}  {}", index + 1, task.text));
    }
    Ok(Exit::Done)
}

/// Who we are: the login name.
pub fn user() -> String {
    let named = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    named.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| nix::unistd::getuid().to_string())
}

/// Where we are: `$CUTOVER_HOST` where several hosts have one name, as containers may; else the host's name.
pub fn host() -> String {
    if let Some(host) = std::env::var("CUTOVER_HOST").ok().filter(|host| !host.trim().is_empty()) {
        return host.trim().to_owned();
    }
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// This process as a lock's holder.
pub fn holder() -> journal::Holder {
    journal::Holder {
        pid: std::process::id(),
        boot_id: crate::adapters::process::unix::boot_id(),
        since_ms: jiff::Timestamp::now().as_millisecond(),
        who: format!("{}@{}", user(), host()),
    }
}
