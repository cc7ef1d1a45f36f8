//! Runs one action, from expanding its values to its outcome.
//!
//! Longer than 500 lines because every kind of action has its way here, and shares its deadlines, its output and its end.

use std::{
    io::BufRead,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use futures::FutureExt as _;
use tokio::sync::mpsc;

use super::{
    hidden,
    look::{Looker, Slots, http_call},
    messages::News,
    output::LineAssembler,
    ports::{
        CancelFlag, Clock, Fault, Output, PortError, PortResult, Ports, ShellCall, ShellNews, ShellProgram,
    },
    values::{Values, check_value},
};
use crate::domain::{
    action::{Action, ActionKind, Capture, HttpRequest, SlotRef},
    director::{Share, Shares, pods_for},
    effect::Input,
    event::{ActionOutcome, ActionRef},
    id::SlotName,
    message::Update,
    observation::Approach,
    run::Run,
    runbook::{Milestone, Target},
    template::Unexpanded,
    time::{LEAST_REAL, Span},
};
use crate::failpoint;

/// Time between two requests that wait for an answer.
const HTTP_POLL: Span = Span::from_secs(1);
/// Output is shown this often.
const SHOW_EVERY: std::time::Duration = std::time::Duration::from_millis(100);
/// Lines sent to screens at once; more are on disk.
const LINES_AT_ONCE: usize = 500;

/// What one action needs.
pub struct Performance {
    /// Which action.
    pub at: ActionRef,
    /// The action.
    pub action: Action,
    /// The container whose image is set by default.
    pub container: String,
    /// The look at the target that allowed it, where one was needed.
    pub approach: Option<Approach>,
    /// The run as it was when the action began.
    pub run: Run,
    /// The world.
    pub ports: Ports,
    /// The variables.
    pub values: Values,
    /// Told to stop.
    pub cancel: CancelFlag,
    /// Where the run keeps its files.
    pub run_dir: PathBuf,
    /// News to the driver.
    pub news: mpsc::Sender<News>,
}

/// How it went.
pub(super) struct Done {
    pub(super) outcome: ActionOutcome,
    pub(super) detail: String,
    pub(super) output: Option<String>,
}

impl Done {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self { outcome: ActionOutcome::Succeeded, detail: detail.into(), output: None }
    }

    pub(super) fn failed(detail: impl Into<String>) -> Self {
        Self { outcome: ActionOutcome::Failed, detail: detail.into(), output: None }
    }
}

/// One write that has one answer.
pub struct Write<'a> {
    /// What.
    pub action: &'a Action,
    /// The look at the target that allowed it, where one was needed.
    pub approach: Option<&'a Approach>,
    /// The container whose image is set by default.
    pub container: &'a str,
    /// The run as it was when it began.
    pub run: &'a Run,
    /// The world.
    pub ports: &'a Ports,
    /// The variables.
    pub values: &'a Values,
}

impl Write<'_> {
    /// Does it, within its time, and says how it went, without secrets.
    pub async fn to_its_end(&self) -> (ActionOutcome, String) {
        let Done { outcome, detail, .. } = tokio::select! {
            done = self.once() => done.unwrap_or_else(Done::from),
            () = deadline(&*self.ports.clock, self.action.timeout) => Done {
                outcome: ActionOutcome::Unknown,
                detail: format!("no answer within {}; the request may have arrived", self.action.timeout),
                output: None,
            },
        };
        (outcome, self.values.secrets().mask(&detail))
    }

    /// One request, and an answer that says what became of it. Whether it is sent again is decided by who knows whether it
    /// may have been done.
    async fn once(&self) -> Result<Done, PortError> {
        failpoint::pass("action.send");
        let unset = |unset: Unexpanded| PortError::failed(unset.to_string());
        if let ActionKind::Http(request) = &self.action.kind {
            let call = http_call(request, self.values, self.action.timeout).map_err(unset)?;
            let seen = self.ports.network.http(call).await?;
            return Ok(if seen.holds { Done::ok(seen.evidence) } else { Done::failed(seen.evidence) });
        }
        let cluster = self.ports.cluster().map_err(PortError::failed)?;
        let seen = self.approach.map(|approach| &approach.seen);
        let answer = match &self.action.kind {
            ActionKind::SetImage { slot, container, image } => {
                let image = self.values.expand(image).map_err(unset)?;
                let container = container.as_deref().unwrap_or(self.container);
                cluster.set_image(&self.slot(slot)?, container, &image, seen).await?
            }
            ActionKind::SwitchTraffic { to, .. } if self.run.has_route() => {
                let (to, other) = (self.slot(to)?, self.run.other_slot(to));
                let mut shares: Shares = [(to, Share::ALL)].into();
                shares.extend(other.map(|other| (other, Share::NONE)));
                cluster.shift_traffic(&shares, self.approach).await?
            }
            ActionKind::SwitchTraffic { to, .. } => {
                cluster.switch_traffic(&self.slot(to)?, self.approach).await?
            }
            ActionKind::Scale { slot, replicas } => {
                cluster.scale(&self.slot(slot)?, self.run.replicas(*replicas), seen).await?
            }
            ActionKind::ShiftTraffic { to, share } => self.shift(self.run.new_share(to, *share)).await?,
            ActionKind::Revert { slot } => {
                let to = self.run.opened.previous.as_ref();
                let to = to.ok_or_else(|| PortError::failed("the run does not know what it opened with"))?;
                cluster.revert(&self.slot(slot)?, to, seen).await?
            }
            ActionKind::Pause { slot } => cluster.pause(&self.slot(slot)?, true, seen).await?,
            ActionKind::Resume { slot } => cluster.pause(&self.slot(slot)?, false, seen).await?,
            ActionKind::Restart { slot } => cluster.restart(&self.slot(slot)?, seen).await?,
            ActionKind::Patch(patch) => {
                let name = self.values.expand(&patch.name).map_err(unset)?;
                let body = patch.expand(&|text| self.values.expand(text)).map_err(unset)?;
                cluster.patch(&patch.kind, &name, patch.patch_type, &body, seen).await?
            }
            _ => return Err(PortError::failed("not a write")),
        };
        Ok(Done::ok(answer))
    }

    /// Gives the new slot its share: as many pods where pods make the share, otherwise a weight.
    async fn shift(&self, share: Share) -> PortResult<String> {
        let cluster = self.ports.cluster().map_err(PortError::failed)?;
        let new = self.slot(&SlotRef::New)?;
        if self.run.shares_follow_pods() {
            let pods = self.approach.and_then(|approach| approach.replicas).or_else(|| {
                let previous = self.run.opened.previous.as_ref()?;
                pods_for(share, previous.replicas)
            });
            let pods = pods.ok_or_else(|| PortError::failed("so much cannot be had by pods"))?;
            let seen = self.approach.map(|approach| &approach.seen);
            return cluster.scale(&new, pods, seen).await;
        }
        let previous = self.slot(&SlotRef::Previous)?;
        let shares = [(new, share), (previous, share.rest())].into();
        cluster.shift_traffic(&shares, self.approach).await
    }

    fn slot(&self, slot: &SlotRef) -> Result<SlotName, PortError> {
        self.run.slot(slot).ok_or_else(|| PortError::failed("the runbook has no such slot"))
    }
}

impl From<PortError> for Done {
    fn from(error: PortError) -> Self {
        let outcome = match error.kind {
            Fault::Unknown => ActionOutcome::Unknown,
            Fault::Unavailable => ActionOutcome::Unavailable,
            Fault::Failed | Fault::Denied | Fault::Conflict | Fault::NotFound => ActionOutcome::Failed,
        };
        Self { outcome, detail: error.message, output: None }
    }
}

/// Waits until `span` has passed on the run's clock, and at least [`LEAST_REAL`] in real time.
pub(super) async fn deadline(clock: &dyn Clock, span: Span) {
    tokio::join!(clock.sleep(span), tokio::time::sleep(LEAST_REAL.min(span).to_std()));
}

/// Waits until the flag says stop.
pub(super) async fn cancelled(flag: &mut CancelFlag) {
    if flag.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Performance {
    /// Does the action and tells the driver how it went.
    pub async fn run(self) {
        let from = self.ports.clock.now();
        let perform = async {
            failpoint::pass("action.begin");
            let done = self.perform().await;
            failpoint::pass("action.result");
            done
        };
        // A fault of ours must not leave an action that runs for ever: it is unknown, and a person says what became of it.
        let done = AssertUnwindSafe(perform).catch_unwind().await.unwrap_or_else(|_| Done {
            outcome: ActionOutcome::Unknown,
            detail: "cutover itself failed while it ran; its log says where".to_owned(),
            output: None,
        });
        let took = self.ports.clock.now().since(from);
        let detail = self.values.secrets().mask(&done.detail);
        let input = Input::ActionFinished {
            at: self.at.clone(),
            outcome: done.outcome,
            detail,
            took,
            output: done.output,
        };
        // The driver may be gone; then nobody needs to know.
        let _ = self.news.send(News::Input(input)).await;
    }

    async fn perform(&self) -> Done {
        match &self.action.kind {
            ActionKind::Sh { script } => match self.values.lacks(script) {
                Some(why) => Done::failed(why),
                None => self.shell(ShellProgram::Sh(script.clone())).await,
            },
            ActionKind::Argv { argv } => {
                match argv.iter().map(|word| self.values.expand(word)).collect::<Result<_, _>>() {
                    Ok(argv) => self.shell(ShellProgram::Argv(argv)).await,
                    Err(unset) => Done::failed(unset.to_string()),
                }
            }
            ActionKind::Notify { text } => match self.values.expand(text) {
                Ok(text) => self.notify(text),
                Err(unset) => Done::failed(unset.to_string()),
            },
            ActionKind::Rollout { slot, patience } => self.rollout(slot, *patience).await,
            ActionKind::Http(request) if reads(&request.method) => self.await_answer(request).await,
            _ => self.write().await,
        }
    }

    /// A write that has one answer: a Kubernetes patch or an HTTP request. Cancelling it only stops waiting: it may
    /// have arrived, so it is unknown then, never "cancelled".
    async fn write(&self) -> Done {
        let mut cancel = self.cancel.clone();
        let unknown =
            |why: &str| Done { outcome: ActionOutcome::Unknown, detail: why.to_owned(), output: None };
        tokio::select! {
            done = self.write_once() => done.unwrap_or_else(|fault| self.not_written(fault)),
            () = cancelled(&mut cancel) => unknown("stopped while waiting for an answer; the request may have arrived"),
            () = deadline(&*self.ports.clock, self.action.timeout) => {
                unknown(&format!("no answer within {}; the request may have arrived", self.action.timeout))
            }
        }
    }

    /// A request that only reads is asked again until the answer is as wanted: right after a switch the old version may
    /// still answer.
    async fn await_answer(&self, request: &HttpRequest) -> Done {
        let mut cancel = self.cancel.clone();
        let clock = &*self.ports.clock;
        let mut last = "no answer yet".to_owned();
        let wait = async {
            loop {
                let call = match http_call(request, &self.values, self.action.timeout) {
                    Ok(call) => call,
                    Err(unset) => return Done::failed(unset.to_string()),
                };
                failpoint::pass("action.send");
                match self.ports.network.http(call).await {
                    Ok(seen) if seen.holds => return Done::ok(seen.evidence),
                    Ok(seen) => last = seen.evidence,
                    Err(error) => last = error.message,
                }
                clock.sleep(HTTP_POLL).await;
            }
        };
        tokio::select! {
            done = wait => return done,
            () = cancelled(&mut cancel) => {}
            () = deadline(clock, self.action.timeout) => {
                return Done { outcome: ActionOutcome::TimedOut, detail: last, output: None };
            }
        }
        Done { outcome: ActionOutcome::Cancelled, detail: last, output: None }
    }

    /// A conflict proves that nothing was written. In a rollback a fresh look says whether the change that was in the way does
    /// any harm, so it is worth another try. Not so a patch of the runbook's own of another object, which meets the same
    /// conflict each time.
    fn not_written(&self, fault: PortError) -> Done {
        let looks = !matches!(self.action.kind, ActionKind::Patch(_)) || self.approach.is_some();
        let conflict = fault.kind == Fault::Conflict && looks && self.run.rolling_back().is_some();
        let done = Done::from(fault);
        if conflict { Done { outcome: ActionOutcome::Unavailable, ..done } } else { done }
    }

    async fn write_once(&self) -> Result<Done, PortError> {
        let write = Write {
            action: &self.action,
            approach: self.approach.as_ref(),
            container: &self.container,
            run: &self.run,
            ports: &self.ports,
            values: &self.values,
        };
        write.once().await
    }

    pub(super) fn slot(&self, slot: &SlotRef) -> Result<SlotName, PortError> {
        self.run.slot(slot).ok_or_else(|| PortError::failed("the runbook has no such slot"))
    }

    /// Sends a notice without waiting for it: nothing is delayed by it.
    fn notify(&self, text: String) -> Done {
        let webhook =
            match self.run.runbook.notify.slack.as_ref().map(|url| self.values.expand(url)).transpose() {
                Ok(Some(webhook)) => webhook,
                Ok(None) => return Done::ok("not sent: the runbook has no [notify]"),
                Err(unset) => return Done::ok(format!("not sent: {unset}")),
            };
        send_notice(&self.ports, &self.values, self.news.clone(), Ok(webhook), None, &text);
        Done::ok("sending")
    }

    async fn shell(&self, program: ShellProgram) -> Done {
        let name = output_name(&self.at);
        let path = self.run_dir.join("output").join(&name);
        let hides = self.run.captures_secret(&self.action);
        // A rollback goes on where the run's directory was deleted: what it prints is only shown then.
        let on_disk = path.parent().is_some_and(Path::is_dir);
        let kept = if hides || !on_disk {
            match hidden::file() {
                Ok(file) => Output::Memory(file),
                Err(error) => return Done::failed(format!("no memory to hide its output: {error}")),
            }
        } else {
            Output::Disk(path.clone())
        };
        let call = ShellCall {
            program,
            env: self.values.environment(),
            timeout: self.action.timeout,
            output: Some(kept.clone()),
            mark: Some(mark(&self.run, &self.at)),
            sample: self.action.sample.clone(),
            sample_failure: self.action.sample_failure.clone(),
        };
        let (news_in, news) = mpsc::channel(64);
        failpoint::pass("action.spawn");
        let (exit, ()) =
            tokio::join!(self.ports.shell.run(call, news_in, self.cancel.clone()), self.follow(news, hides));
        let exit = match exit {
            Ok(exit) => exit,
            Err(error) => return error.into(),
        };
        let (outcome, detail) = if exit.cancelled {
            (ActionOutcome::Cancelled, exit.detail)
        } else if exit.timed_out {
            (ActionOutcome::TimedOut, format!("timed out after {}: {}", self.action.timeout, exit.detail))
        } else if exit.ok {
            match self.capture(&kept).await {
                Ok(()) => (ActionOutcome::Succeeded, exit.detail),
                Err(why) => (ActionOutcome::Failed, why),
            }
        } else {
            (ActionOutcome::Failed, exit.detail)
        };
        if hides && let Err(error) = self.keep_masked(kept, path, outcome).await {
            let detail = format!("{detail}; its output could not be stored: {error}");
            return Done { outcome, detail, output: None };
        }
        Done { outcome, detail, output: on_disk.then_some(name) }
    }

    /// Keeps hidden output without the secret that was captured from it.
    async fn keep_masked(&self, kept: Output, path: PathBuf, outcome: ActionOutcome) -> std::io::Result<()> {
        let masker = self.values.secrets().masker();
        tokio::task::spawn_blocking(move || hidden::write_masked(&kept, &path, &masker, outcome))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Shows output as it comes, a few times a second at most.
    async fn follow(&self, mut news: mpsc::Receiver<ShellNews>, hides: bool) {
        let mut lines = LineAssembler::default().masking(self.values.secrets().masker());
        if hides {
            lines.push(b"[hidden while it runs: a secret is captured from it]\n");
        }
        let mut shown = 0;
        let mut fresh = false;
        let mut tick = tokio::time::interval(SHOW_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                item = news.recv() => match item {
                    Some(ShellNews::Output(_)) if hides => {}
                    Some(ShellNews::Output(bytes)) => {
                        lines.push(&bytes);
                        fresh = true;
                    }
                    Some(ShellNews::Spawned(child)) => {
                        failpoint::pass("action.spawned");
                        let input = Input::ActionSpawned { at: self.at.clone(), child };
                        let _ = self.news.send(News::Input(input)).await;
                    }
                    None => break,
                },
                _ = tick.tick() => if fresh {
                    let next = self.show(&mut lines, shown);
                    fresh = next == shown && lines.total() > shown;
                    shown = next;
                },
            }
        }
        lines.finish();
        let (update, _) = self.update(&mut lines, shown);
        // The end of the output is worth waiting for.
        let _ = self.news.send(News::Show(update)).await;
    }

    /// Sends what is new since `from`; the number to go on with. Where the driver is behind, that is `from` again.
    pub(super) fn show(&self, lines: &mut LineAssembler, from: u64) -> u64 {
        let (update, next) = self.update(lines, from);
        if self.news.try_send(News::Show(update)).is_ok() { next } else { from }
    }

    /// The newest lines where there are too many: nobody reads ten thousand a second, and the file has them all.
    fn update(&self, lines: &mut LineAssembler, from: u64) -> (Update, u64) {
        let batch = lines.since(from);
        let extra = batch.lines.len().saturating_sub(LINES_AT_ONCE);
        let update = Update::Output {
            at: self.at.clone(),
            lines: batch.lines.into_iter().skip(extra).map(|line| line.line).collect(),
            partial: lines.current(),
            dropped: batch.skipped + extra as u64,
        };
        (update, batch.next)
    }

    /// Reads variables from the whole output.
    async fn capture(&self, kept: &Output) -> Result<(), String> {
        if self.action.capture.is_empty() {
            return Ok(());
        }
        let (captures, kept) = (self.action.capture.clone(), kept.clone());
        let found = tokio::task::spawn_blocking(move || read_captures(&captures, &kept))
            .await
            .map_err(|error| format!("reading the output failed: {error}"))??;
        let mut accepted = Vec::new();
        for (name, value) in found {
            let var = self.run.runbook.vars.iter().find(|var| var.name == name);
            let secret = var.is_some_and(|var| var.secret);
            check_value(&name, &value, var.and_then(|var| var.pattern.as_deref())).map_err(|why| {
                if secret { format!("${name}: the value in the output is not valid") } else { why }
            })?;
            accepted.push((name, value, secret));
        }
        for (name, value, secret) in accepted {
            if secret {
                self.values.secrets().add(&name, value.clone()).map_err(|error| error.to_string())?;
            }
            let value = (!secret).then_some(value);
            let input = Input::VarSet { name, value, source: "captured".to_owned() };
            let _ = self.news.send(News::Input(input)).await;
        }
        Ok(())
    }
}

/// Sends a notice, without secrets, and tells how that went; nobody waits for it.
pub fn send_notice(
    ports: &Ports,
    values: &Values,
    news: mpsc::Sender<News>,
    webhook: Result<String, Unexpanded>,
    milestone: Option<Milestone>,
    text: &str,
) {
    let (notifier, secrets) = (ports.notifier.clone(), values.secrets().clone());
    let text = secrets.mask(text);
    tokio::spawn(async move {
        let answer = match webhook {
            Ok(webhook) => notifier.send(&webhook, &text).await.map_err(|error| error.message),
            Err(unset) => Err(unset.to_string()),
        };
        let (ok, detail) = match answer {
            Ok(detail) => (true, detail),
            Err(why) => (false, why),
        };
        let input = Input::NoticeDone { milestone, text, ok, detail: secrets.mask(&detail) };
        let _ = news.send(News::Input(input)).await;
    });
}

/// Takes away what an engine before this one kept of output that a secret was to be captured from, and did not come to mask.
pub fn forget_unmasked(run: &Run, run_dir: &Path) {
    for at in run.unknown_captures() {
        let path = run_dir.join("output").join(output_name(&at));
        if path.exists()
            && let Err(error) = std::fs::write(&path, hidden::NOT_KEPT)
        {
            tracing::error!(%error, path = %path.display(), "output that may contain a secret could not be removed");
        }
    }
}

/// Whether a request with this method changes nothing.
fn reads(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// The last match of each pattern in what was kept of an output, line by line.
fn read_captures(captures: &[Capture], kept: &Output) -> Result<Vec<(String, String)>, String> {
    let cannot_read = |error: std::io::Error| format!("cannot read the output: {error}");
    let mut reader = std::io::BufReader::new(hidden::open(kept).map_err(cannot_read)?);
    let patterns = captures
        .iter()
        .map(|capture| {
            Ok((capture, regex::bytes::Regex::new(&capture.pattern).map_err(|error| error.to_string())?))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let colours =
        regex::bytes::Regex::new(r"\x1b\[[0-9;:?]*[ -/]*[@-~]").map_err(|error| error.to_string())?;
    let mut found: Vec<Option<String>> = vec![None; patterns.len()];
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line longer than 64 KiB is read in pieces: no value is that long, and memory stays bounded.
        let read = std::io::Read::take(&mut reader, 65_536).read_until(b'\n', &mut line);
        if read.map_err(cannot_read)? == 0 {
            break;
        }
        // Colours are no part of a value.
        let text = colours.replace_all(&line, &b""[..]);
        for ((_, pattern), slot) in patterns.iter().zip(&mut found) {
            let last = pattern.captures_iter(&text).last();
            if let Some(group) = last.and_then(|groups| groups.get(1).or_else(|| groups.get(0))) {
                *slot = Some(String::from_utf8_lossy(group.as_bytes()).trim().to_owned());
            }
        }
    }
    patterns
        .into_iter()
        .zip(found)
        .map(|((capture, _), value)| match value {
            Some(value) if value.contains(char::is_control) => {
                Err(format!("the value of ${} would contain a control character", capture.var))
            }
            Some(value) => Ok((capture.var.clone(), value)),
            None => Err(format!(
                "no value for ${} in the output: no line matches `{}`",
                capture.var, capture.pattern
            )),
        })
        .collect()
}

/// The file of an action's output: `deploy-1-02.log` is the third action of step `deploy`, first attempt.
fn output_name(at: &ActionRef) -> String {
    format!("{}.log", file_name(at))
}

/// What the processes of an action's command are known by, to this engine and to one that follows it.
pub fn mark(run: &Run, at: &ActionRef) -> String {
    format!("{}/{}", run.opened.run_id, file_name(at))
}

/// An action and its attempt, fit for a file's name.
fn file_name(at: &ActionRef) -> String {
    use crate::domain::event::Place;
    let place = match &at.place {
        Place::Step { step } => step.0.clone(),
        Place::Undo { step } => format!("{step}-undo"),
        Place::Rollback { procedure } => format!("rollback-{procedure}"),
        Place::Completion => "completion".to_owned(),
    };
    let safe: String =
        place.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    format!("{safe}-{}-{:02}", at.attempt, at.action)
}

/// Looks at an unknown action a moment later, so that a write which is still on its way shows.
pub async fn verify(run: Run, at: ActionRef, ports: Ports, values: Values, news: mpsc::Sender<News>) {
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let Some(action) = run.action(&at).cloned() else { return };
    let shared = run.runbook.target.as_ref().is_some_and(Target::has_shares);
    let looker = Looker { since: ports.clock.now(), slots: Slots::of(&run), ports, values, shared };
    let (resolution, evidence) = looker.verify(&run, &action).await;
    let evidence = looker.values.secrets().mask(&evidence);
    let _ = news.send(News::Input(Input::Verified { at, resolution, evidence })).await;
}
