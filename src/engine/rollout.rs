//! Waits for a rollout: shows its progress, and ends as soon as it is certain that it cannot succeed.

use super::{
    output::LineAssembler,
    perform::{Done, Performance, cancelled, deadline},
    ports::{Cluster, Fault},
};
use crate::domain::{
    action::SlotRef,
    event::ActionOutcome,
    id::SlotName,
    rollout::{Patience, RolloutCause, RolloutVerdict, RolloutWatch},
    time::{Span, Timestamp},
};

/// Time between looks at a rollout.
const POLL: Span = Span::from_secs(2);
/// A line whose times alone have changed is shown again this often.
const SHOW_AGAIN: Span = Span::from_secs(15);
/// Lines of a crashed pod's log that are shown.
const LOG_LINES: u32 = 20;
/// Characters of the log's last line that the failure quotes.
const QUOTED: usize = 200;

impl Performance {
    /// Waits for a rollout, as long as it can still succeed.
    ///
    /// In a rollback it waits as long as it may, unless the runbook gives it a patience: giving up early would leave undone what
    /// comes after it.
    pub(super) async fn rollout(&self, slot: &SlotRef, patience: Option<Span>) -> Done {
        let slot = match self.slot(slot) {
            Ok(slot) => slot,
            Err(error) => return error.into(),
        };
        let cluster = match self.ports.cluster() {
            Ok(cluster) => &**cluster,
            Err(why) => return Done::failed(why),
        };
        let rolling_back = self.run.rolling_back().is_some();
        let patience =
            if rolling_back && patience.is_none() { Patience::Endless } else { Patience::of(patience) };
        let mut watch = RolloutWatch::new(patience);
        let mut cancel = self.cancel.clone();
        let clock = &*self.ports.clock;
        let mut shown = Shown::new(LineAssembler::default().masking(self.values.secrets().masker()));
        let wait = async {
            loop {
                let (text, gist) = match cluster.rollout(&slot).await {
                    Ok(facts) => match watch.look(&facts, clock.now()) {
                        RolloutVerdict::Complete => return Done::ok("rollout complete"),
                        RolloutVerdict::Progressing { text, gist } => (text, gist),
                        RolloutVerdict::Stuck { cause, pod, text } => {
                            let why = self.stuck(cluster, &slot, cause, pod, text, &mut shown).await;
                            return Done::failed(why);
                        }
                    },
                    Err(error) if matches!(error.kind, Fault::NotFound | Fault::Denied | Fault::Conflict) => {
                        return error.into();
                    }
                    Err(error) => (error.message.clone(), error.message),
                };
                self.tell(&mut shown, text, gist, clock.now());
                clock.sleep(POLL).await;
            }
        };
        let stopped = tokio::select! {
            done = wait => return done,
            () = cancelled(&mut cancel) => true,
            () = deadline(clock, self.action.timeout) => false,
        };
        let (outcome, detail) = if stopped {
            (ActionOutcome::Cancelled, "stopped waiting; the rollout itself continues".to_owned())
        } else {
            (ActionOutcome::TimedOut, format!("not complete after {}: {}", self.action.timeout, shown.last))
        };
        Done { outcome, detail, output: None }
    }

    /// Shows how far a rollout is: where something has happened, and now and then how long it lasts.
    fn tell(&self, shown: &mut Shown, text: String, gist: String, now: Timestamp) {
        if gist != shown.gist || now.since(shown.at) >= SHOW_AGAIN && text != shown.last {
            shown.lines.push(format!("{}  {text}\n", now.clock()).as_bytes());
            shown.sent = self.show(&mut shown.lines, shown.sent);
            (shown.gist, shown.at) = (gist, now);
        }
        shown.last = text;
    }

    /// Why a rollout cannot succeed, with what the log of a pod that crashes says.
    async fn stuck(
        &self,
        cluster: &dyn Cluster,
        slot: &SlotName,
        cause: RolloutCause,
        pod: Option<String>,
        text: String,
        shown: &mut Shown,
    ) -> String {
        let (RolloutCause::CrashLoop, Some(pod)) = (cause, pod) else { return text };
        let hint = format!("whole log: key l, or kubectl logs --previous {pod}");
        let read = cluster.logs(slot, Some(&pod), LOG_LINES, None).await;
        let lines = read.map(|read| read.lines).unwrap_or_default();
        for line in &lines {
            shown.lines.push(format!("{}: {}\n", line.pod, line.text).as_bytes());
        }
        shown.sent = self.show(&mut shown.lines, shown.sent);
        match lines.iter().rev().map(|line| line.text.trim()).find(|line| !line.is_empty()) {
            Some(last) => {
                let last: String = last.chars().take(QUOTED).collect();
                format!("{text}; last log line: `{last}` ({hint})")
            }
            None => format!("{text} ({hint})"),
        }
    }
}

/// What was shown of a rollout.
struct Shown {
    lines: LineAssembler,
    sent: u64,
    /// The newest words without times, and when they were shown.
    gist: String,
    at: Timestamp,
    /// The newest words.
    last: String,
}

impl Shown {
    fn new(lines: LineAssembler) -> Self {
        Self { lines, sent: 0, gist: String::new(), at: Timestamp::default(), last: String::new() }
    }
}
