//! Log lines of a slot, merged by the kubelet's timestamps.
//!
//! A screen gets the newest lines of the pods that matter most. A check gets everything, piece by piece: each container's
//! log is read on from where the last look ended, and the log of the container before a restart to its end, since that is
//! where the reason of the restart stands. What could not be read is told as that: "nothing bad seen" is not "nothing bad".
//!
//! Longer than 500 lines with its tests, which are tables of container states.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};

use crate::{
    domain::{id::SlotName, safe_text::SafeText, time::Timestamp, workload::LogLine},
    engine::ports::{Fault, LateRead, LogMarks, LogsRead, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{Call, PODS, is_name},
    lean::{LeanContainerStatus, LeanPod},
    picture::worst_first,
    pod::{PodRecord, record},
    view::DeploymentView,
};

/// How many pods' logs are read for one view.
const MAX_PODS: usize = 12;
/// Pods read at the same time.
const AT_ONCE: usize = 4;
/// Lines that can be asked for.
const MAX_LINES: u32 = 2000;
/// Bytes of one pod's log. The API cuts the newest lines off beyond it, so it is generous.
const MAX_BYTES: usize = 4 << 20;
/// Pods that a check reads.
const MAX_CHECKED: usize = 200;
/// Pieces of [`MAX_BYTES`] that a check reads of one log at a look …
const PIECES: usize = 2;
/// … and bytes of all logs together, about: what is left is read at the next look.
const MAX_LOOK: usize = 32 << 20;
/// So long after a restart its status may still tell of the start before.
const LATELY: Duration = Duration::from_secs(15);
/// Characters of one line on a screen. A check looks at the whole of it.
const MAX_LINE: usize = 4096;

/// A line with its place in the merged log.
#[derive(Debug)]
struct Stamped {
    at: jiff::Timestamp,
    line: LogLine,
}

impl Stamped {
    /// Tells a line that was read twice. Two lines of one stamp and one text count as one, which loses nothing that a
    /// check looks for.
    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.at, &self.line.text).hash(&mut hasher);
        hasher.finish()
    }
}

impl KubeCluster {
    /// The newest lines, for a screen. One pod that cannot be read is a remark beside the others; the only one is an
    /// error.
    pub(super) async fn read_logs(
        &self,
        slot: &SlotName,
        pod: Option<&str>,
        tail: u32,
        since: Option<Timestamp>,
    ) -> PortResult<LogsRead> {
        let tail = tail.clamp(1, MAX_LINES);
        let (pods, left_out) = self.pods_for_logs(slot, pod).await?;
        let single = pods.len() == 1;
        let read =
            stream::iter(pods).map(|pod| async move { (pod.name(), self.read_log(&pod, tail, since).await) });
        let (mut lines, mut told) = (Vec::new(), LogsRead::default());
        let mut read = read.buffer_unordered(AT_ONCE);
        while let Some((pod, result)) = read.next().await {
            match result {
                Ok(of_pod) => {
                    told.pods.push(pod);
                    lines.extend(of_pod);
                }
                Err(fault) if single => return Err(fault),
                Err(fault) => told.unread.push((pod, format!("no log: {}", fault.message))),
            }
        }
        let surplus = lines.len().saturating_sub(tail as usize);
        told.lines = in_order(lines).skip(surplus).collect();
        if left_out > 0 {
            let why = format!("the logs of {left_out} more pods are not shown; open one pod for its log");
            told.unread.insert(0, (self.slot(slot)?.deployment.clone(), why));
        }
        Ok(told)
    }

    /// Everything that was printed after the marks.
    pub(super) async fn read_logs_after(
        &self,
        slot: &SlotName,
        marks: &mut LogMarks,
    ) -> PortResult<LogsRead> {
        let name = &self.slot(slot)?.deployment;
        let (sources, left_out) = self.sources_of(slot).await?;
        if sources.is_empty() {
            return Err(self.no_log(slot, name));
        }
        let mut told = LogsRead::default();
        if left_out > 0 {
            told.unread.push((name.clone(), format!("{left_out} more pods were not read")));
        }
        let (all, waiting) = self.read_some(sources, marks).await;
        for pod in waiting {
            told.unread.push((pod, "not read yet: other logs are long".to_owned()));
        }
        let mut lines = Vec::new();
        for (source, read) in all {
            if read.unread.is_empty() {
                told.pods.push(source.pod.clone());
            }
            told.unread.extend(read.unread.into_iter().map(|why| (source.pod.clone(), why)));
            lines.extend(read.lines);
            marks.newest.extend(read.newest.into_iter().map(|(start, at)| ((source.uid.clone(), start), at)));
            let lately = marks.lately.entry(source.uid.clone()).or_default();
            let keep = lately.iter().rposition(|read| read.at.elapsed() > LATELY).unwrap_or(0);
            lately.drain(..keep);
            lately.extend(read.lately);
            marks.finished.extend(read.finished.into_iter().map(|start| (source.uid.clone(), start)));
        }
        told.lines = in_order(lines).collect();
        told.pods.sort_unstable();
        Ok(told)
    }

    /// The slot's pods whose logs are read, and how many more there are.
    async fn sources_of(&self, slot: &SlotName) -> PortResult<(Vec<LogSource>, usize)> {
        let deployment = DeploymentView::of(self.read_deployment(slot).await?);
        let (mut sources, mut left_out) = (Vec::new(), 0_usize);
        let namespace = Some(self.target.namespace.as_str());
        let call = Call::list(&PODS, namespace).with("labelSelector", deployment.pods());
        let of_slot = self.pods_of(slot, &deployment);
        let each = self.gateway.each(&call, |pod: LeanPod| {
            if !of_slot(&pod) {
                return;
            }
            if sources.len() < MAX_CHECKED {
                sources.push(LogSource::of(&pod, &self.target.container));
            } else {
                left_out += 1;
            }
        });
        each.await?;
        Ok((sources, left_out))
    }

    /// Reads until there is enough for one look: what comes after it is for the next, which is why the pods that were not read
    /// are told as well.
    async fn read_some(
        &self,
        sources: Vec<LogSource>,
        marks: &LogMarks,
    ) -> (Vec<(LogSource, SourceRead)>, BTreeSet<String>) {
        let mut waiting: BTreeSet<String> = sources.iter().map(|source| source.pod.clone()).collect();
        let read = stream::iter(sources).map(|source| async move {
            let read = self.read_source(&source, marks).await;
            (source, read)
        });
        let (mut all, mut size) = (Vec::new(), 0);
        let mut read = read.buffer_unordered(AT_ONCE);
        while size < MAX_LOOK
            && let Some((source, of_pod)) = read.next().await
        {
            size += of_pod.lines.iter().map(|line| line.line.text.len()).sum::<usize>();
            waiting.remove(&source.pod);
            all.push((source, of_pod));
        }
        (all, waiting)
    }

    /// One pod's part of it: the container that runs, and the one before its last restart.
    async fn read_source(&self, source: &LogSource, marks: &LogMarks) -> SourceRead {
        let mut read = SourceRead::default();
        for log in source.logs(marks) {
            let known = marks.newest.get(&(source.uid.clone(), log.start)).copied();
            // A start that is over is read on from where a look some time ago ended: the last ones may have read its successor.
            let before = if log.previous { source.before_lately(log.start, marks) } else { known };
            match self.read_on(source, &log, before, marks.since).await {
                Ok(mut new) => {
                    let newest = new.lines.last().map(|line| line.at);
                    new.lines.retain(|line| !source.has_read(line, marks));
                    read.lately.push(LateRead {
                        at: Instant::now(),
                        start: log.start,
                        before,
                        lines: new.lines.iter().map(Stamped::hash).collect(),
                    });
                    read.newest.extend(newest.map(|at| (log.start, at)));
                    if new.behind {
                        read.unread.push("its log grows faster than it can be read".to_owned());
                    } else if log.ended {
                        read.finished.push(log.start);
                    }
                    read.lines.extend(new.lines);
                }
                // It was there a moment ago: nothing of it can be read any more.
                Err(fault) if fault.kind == Fault::NotFound => {
                    read.unread.push("it was deleted while its log was read".to_owned());
                }
                Err(fault) => read.unread.push(fault.message),
            }
        }
        if source.lost_a_log(marks) {
            read.unread
                .push(format!("it restarted {} times; only its last two logs can be read", source.restarts));
        }
        read
    }

    /// One container's log from a line on, in pieces.
    async fn read_on(
        &self,
        source: &LogSource,
        log: &OneLog,
        known: Option<jiff::Timestamp>,
        since: Timestamp,
    ) -> PortResult<NewLines> {
        let mut new = NewLines { lines: Vec::new(), behind: true };
        let mut newest = known;
        for _ in 0..PIECES {
            let from = newest.map_or(since, |at| Timestamp(at.as_millisecond()));
            let mut call = Call::get(&PODS, Some(&self.target.namespace), &source.pod)
                .subresource("log")
                .with("timestamps", "true")
                .with("limitBytes", MAX_BYTES.to_string())
                .with("sinceTime", from.to_string())
                .with("container", source.container.clone());
            if log.previous {
                call = call.with("previous", "true");
            }
            let body = self.gateway.read_bytes(&call).await?;
            let cut = body.len() >= MAX_BYTES;
            let mut lines = stamped(&body, &source.pod, usize::MAX);
            if cut {
                // The last line may be half of one: it is read again.
                lines.pop();
            }
            // The API may tell by whole seconds.
            lines.retain(|line| newest.map_or(line.at >= since.to_jiff(), |newest| line.at > newest));
            newest = lines.last().map(|line| line.at).or(newest);
            let stuck = lines.is_empty();
            new.lines.extend(lines);
            if !cut {
                new.behind = false;
                break;
            }
            if stuck {
                break;
            }
        }
        Ok(new)
    }

    /// The pods to read, the ones in trouble and the newest first, and how many are left out.
    async fn pods_for_logs(&self, slot: &SlotName, pod: Option<&str>) -> PortResult<(Vec<LeanPod>, usize)> {
        let namespace = Some(self.target.namespace.as_str());
        if let Some(pod) = pod {
            if !is_name(pod) {
                return Err(PortError::new(
                    Fault::NotFound,
                    format!("`{}` is not a valid pod name", SafeText::new(pod)),
                ));
            }
            return Ok((vec![self.gateway.read(&Call::get(&PODS, namespace, pod)).await?], 0));
        }
        let deployment = DeploymentView::of(self.read_deployment(slot).await?);
        let mut pods: Vec<(PodRecord, LeanPod)> = Vec::new();
        let mut left_out = 0;
        let call = Call::list(&PODS, namespace).with("labelSelector", deployment.pods());
        let of_slot = self.pods_of(slot, &deployment);
        let each = self.gateway.each(&call, |pod: LeanPod| {
            if !of_slot(&pod) {
                return;
            }
            pods.push((record(&pod, &self.target.container), pod));
            // A slot may have thousands: keep twice what is wanted, then sort and cut.
            if pods.len() > 2 * MAX_PODS {
                left_out += keep_first(&mut pods);
            }
        });
        each.await?;
        left_out += keep_first(&mut pods);
        if pods.is_empty() {
            return Err(self.no_log(slot, &self.slot(slot)?.deployment));
        }
        Ok((pods.into_iter().map(|(_, pod)| pod).collect(), left_out))
    }

    fn no_log(&self, slot: &SlotName, deployment: &str) -> PortError {
        let of = if self.target.is_one_deployment() { format!(" of {slot}") } else { String::new() };
        PortError::new(
            Fault::NotFound,
            format!("deployment/{deployment} has no pods{of}, so there is no log"),
        )
    }

    async fn read_log(&self, pod: &LeanPod, tail: u32, since: Option<Timestamp>) -> PortResult<Vec<Stamped>> {
        let name = pod.name();
        let mut call = Call::get(&PODS, Some(&self.target.namespace), &name)
            .subresource("log")
            .with("timestamps", "true")
            .with("tailLines", tail.to_string())
            .with("limitBytes", MAX_BYTES.to_string());
        if let Some(container) = pod.container(&self.target.container) {
            call = call.with("container", container.name.clone());
        }
        if let Some(since) = since {
            call = call.with("sinceTime", since.to_string());
        }
        let body = self.gateway.read_bytes(&call).await?;
        Ok(stamped(&body, &name, MAX_LINE))
    }
}

/// A pod whose log a check reads.
#[derive(Debug, Default)]
struct LogSource {
    pod: String,
    uid: String,
    container: String,
    /// How often the container has restarted: which start of it the newest log is of.
    restarts: u32,
    /// The newest start's log can be read: it runs, has ended, or is between two starts.
    started: bool,
    /// It runs, or has ended and was not started again: the log before it is still there as well.
    has_previous: bool,
    /// When the oldest start whose log can be read began, where that is known.
    oldest_began: Option<Timestamp>,
    /// When the start before the newest ended.
    previous_ended: Option<Timestamp>,
}

/// One start's log.
#[derive(Debug, PartialEq, Eq)]
struct OneLog {
    /// How often the container had restarted before it.
    start: u32,
    /// Whether it is asked for as the previous one.
    previous: bool,
    /// Nothing is added to it.
    ended: bool,
}

#[derive(Debug, Default)]
struct SourceRead {
    lines: Vec<Stamped>,
    newest: Vec<(u32, jiff::Timestamp)>,
    lately: Vec<LateRead>,
    finished: Vec<u32>,
    unread: Vec<String>,
}

struct NewLines {
    lines: Vec<Stamped>,
    /// There is more than was read.
    behind: bool,
}

impl LogSource {
    fn of(pod: &LeanPod, container: &str) -> Self {
        let container = pod.container(container).map(|found| found.name.clone()).unwrap_or_default();
        let status = pod.status.container_statuses.iter().find(|status| status.name == container);
        let source = Self {
            pod: pod.name(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            container,
            ..Self::default()
        };
        match status {
            Some(status) => source.with(status),
            None => source,
        }
    }

    fn with(self, status: &LeanContainerStatus) -> Self {
        let last = status.last_state.terminated.as_ref();
        let running = status.state.running.as_ref();
        let ended = status.state.terminated.as_ref();
        let at = |time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
            time.map(|time| Timestamp(time.0.as_millisecond()))
        };
        let began = at(running
            .and_then(|running| running.started_at.as_ref())
            .or(ended.and_then(|ended| ended.started_at.as_ref())));
        let last_began = at(last.and_then(|last| last.started_at.as_ref()));
        let is_there = running.is_some() || ended.is_some();
        Self {
            restarts: u32::try_from(status.restart_count).unwrap_or(0),
            started: is_there || last.is_some(),
            has_previous: is_there && status.restart_count > 0,
            oldest_began: last_began.or(began),
            previous_ended: at(last.and_then(|last| last.finished_at.as_ref())).filter(|_| is_there),
            ..self
        }
    }

    /// The logs that have something to read after the marks, oldest first.
    fn logs(&self, marks: &LogMarks) -> Vec<OneLog> {
        let mut logs = Vec::new();
        if let Some(start) = self.restarts.checked_sub(1).filter(|_| self.has_previous) {
            let over = self.previous_ended.is_some_and(|ended| ended < marks.since);
            if !over && !marks.finished.contains(&(self.uid.clone(), start)) {
                logs.push(OneLog { start, previous: true, ended: true });
            }
        }
        if self.started {
            logs.push(OneLog { start: self.restarts, previous: false, ended: false });
        }
        logs
    }

    /// The mark of a start before the oldest of the looks that are kept; where none has read it, its mark.
    fn before_lately(&self, start: u32, marks: &LogMarks) -> Option<jiff::Timestamp> {
        let lately = marks.lately.get(&self.uid).and_then(|all| all.iter().find(|read| read.start == start));
        lately.map_or_else(|| marks.newest.get(&(self.uid.clone(), start)).copied(), |read| read.before)
    }

    /// Whether a line was read lately, as whichever start's.
    fn has_read(&self, line: &Stamped, marks: &LogMarks) -> bool {
        let hash = line.hash();
        marks.lately.get(&self.uid).is_some_and(|lately| lately.iter().any(|read| read.lines.contains(&hash)))
    }

    /// Whether there was a start whose log counts and is gone: the oldest one that can be read began after the marks do, and
    /// the one before it was not read to its end.
    fn lost_a_log(&self, marks: &LogMarks) -> bool {
        let oldest = if self.has_previous { self.restarts.saturating_sub(1) } else { self.restarts };
        let Some(before) = oldest.checked_sub(1) else { return false };
        self.oldest_began.is_none_or(|began| began > marks.since)
            && !marks.finished.contains(&(self.uid.clone(), before))
    }
}

fn in_order(mut lines: Vec<Stamped>) -> impl Iterator<Item = LogLine> {
    lines.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.line.pod.cmp(&b.line.pod)));
    lines.into_iter().map(|stamped| stamped.line)
}

/// A pod's lines with their stamps, each cut to so many characters.
fn stamped(body: &[u8], pod: &str, most: usize) -> Vec<Stamped> {
    let mut at = jiff::Timestamp::MIN;
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().map(|line| {
        let (stamp, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = match stamp.parse() {
            Ok(stamp) => {
                at = stamp;
                rest
            }
            // A line without a stamp belongs to the one before it.
            Err(_) => line,
        };
        let printed = (at != jiff::Timestamp::MIN).then(|| Timestamp(at.as_millisecond()));
        Stamped { at, line: LogLine { pod: pod.to_owned(), at: printed, text: cut(text, most) } }
    });
    lines.collect()
}

fn keep_first(pods: &mut Vec<(PodRecord, LeanPod)>) -> usize {
    pods.sort_by(|(a, _), (b, _)| worst_first(a, b).then_with(|| b.pod.created.cmp(&a.pod.created)));
    let surplus = pods.len().saturating_sub(MAX_PODS);
    pods.truncate(MAX_PODS);
    surplus
}

/// A line made safe and cut to a length that a screen can bear.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} …", SafeText::new(text.get(..end).unwrap_or_default())),
        None => SafeText::new(text).into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SINCE: i64 = 1_795_000_000_000;

    fn source(state: &serde_json::Value, last: &serde_json::Value, restarts: u32) -> LogSource {
        let pod = json!({
            "metadata": { "name": "web-1", "uid": "u" },
            "spec": { "containers": [{ "name": "sidecar" }, { "name": "web" }] },
            "status": { "containerStatuses": [
                { "name": "sidecar", "restartCount": 9, "image": "", "imageID": "", "ready": true },
                { "name": "web", "restartCount": restarts, "state": state, "lastState": last, "image": "", "imageID": "",
                  "ready": true },
            ] },
        });
        LogSource::of(&serde_json::from_value(pod).unwrap(), "web")
    }

    fn at(seconds: i64) -> String {
        Timestamp(SINCE + seconds * 1000).to_string()
    }

    fn running(since: i64) -> serde_json::Value {
        json!({ "running": { "startedAt": at(since) } })
    }

    fn ended(from: i64, to: i64) -> serde_json::Value {
        json!({ "terminated": { "exitCode": 1, "startedAt": at(from), "finishedAt": at(to) } })
    }

    /// Which logs are read, as start and `p` for the previous one, and whether one is lost.
    fn read(source: &LogSource, marks: &LogMarks) -> (Vec<String>, bool) {
        let logs = source.logs(marks).into_iter();
        let told = logs.map(|log| format!("{}{}", log.start, if log.previous { "p" } else { "" }));
        (told.collect(), source.lost_a_log(marks))
    }

    #[test]
    fn the_log_before_a_restart_is_read_once_and_to_its_end() {
        let mut marks = LogMarks::new(Timestamp(SINCE));
        let none = json!({});
        let waiting = json!({ "waiting": { "reason": "ContainerCreating" } });
        assert_eq!(read(&source(&waiting, &none, 0), &marks), (vec![], false), "it has printed nothing yet");
        assert_eq!(read(&source(&running(-99), &none, 0), &marks), (vec!["0".into()], false));
        // It restarted after the marks: what it said last is in the log before.
        let restarted = source(&running(20), &ended(-99, 19), 1);
        assert_eq!(read(&restarted, &marks), (vec!["0p".into(), "1".into()], false));
        marks.finished.insert(("u".to_owned(), 0));
        assert_eq!(read(&restarted, &marks), (vec!["1".into()], false));
        // Between two starts what there is, is the newest one's.
        let between = source(&json!({ "waiting": { "reason": "CrashLoopBackOff" } }), &ended(20, 30), 1);
        assert_eq!(read(&between, &marks), (vec!["1".into()], false));
        let ended_for_good = source(&ended(20, 30), &ended(-99, 19), 1);
        assert_eq!(read(&ended_for_good, &LogMarks::new(Timestamp(SINCE))).0, ["0p", "1"]);
    }

    #[test]
    fn the_last_words_are_not_lost_where_a_look_has_met_the_next_start_already() {
        let line = |seconds: i64, text: &str| Stamped {
            at: Timestamp(SINCE + seconds * 1000).to_jiff(),
            line: LogLine { pod: "web-1".to_owned(), at: None, text: text.to_owned() },
        };
        let (said, last_words, next) = (line(10, "INFO"), line(19, "FATAL"), line(25, "starting"));
        let mut marks = LogMarks::new(Timestamp(SINCE));
        // The status still told of the first start, and the log was the second's.
        marks.newest.insert(("u".to_owned(), 0), next.at);
        let read =
            LateRead { at: Instant::now(), start: 0, before: Some(said.at), lines: [next.hash()].into() };
        marks.lately.insert("u".to_owned(), vec![read]);
        let source = source(&running(20), &ended(-99, 19), 1);
        assert_eq!(source.before_lately(0, &marks), Some(said.at), "read on from there");
        assert!(!source.has_read(&last_words, &marks));
        assert!(source.has_read(&next, &marks), "and nothing twice");
        assert_eq!(source.before_lately(1, &marks), None);
    }

    #[test]
    fn a_restart_from_before_counts_no_more() {
        let marks = LogMarks::new(Timestamp(SINCE));
        assert_eq!(read(&source(&running(-50), &ended(-99, -51), 7), &marks), (vec!["7".into()], false));
    }

    #[test]
    fn a_log_that_nobody_read_and_nobody_can_is_lost() {
        let mut marks = LogMarks::new(Timestamp(SINCE));
        // Two restarts between two looks: of the first start nothing is left.
        let twice = source(&running(30), &ended(20, 29), 2);
        assert_eq!(read(&twice, &marks), (vec!["1p".into(), "2".into()], true));
        marks.finished.insert(("u".to_owned(), 0));
        assert!(!read(&twice, &marks).1);
        let between = source(&json!({ "waiting": {} }), &ended(20, 29), 1);
        assert!(read(&between, &LogMarks::new(Timestamp(SINCE))).1);
    }
}
