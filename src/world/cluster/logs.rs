//! The output of the application's containers.
//!
//! Lines are worked out from the second they belong to, never stored: the last hundred lines of a pod that has run for a
//! week cost no more than those of a new one.

use serde_json::Value;

use super::{
    directing::{Receiver, Traffic},
    kubelet::ready_since,
    object::{digest, list, parse_time, rfc3339_fraction, text},
    state::State,
    status::ApiError,
};

/// Lines that a node keeps of one container: older ones are rotated away.
const KEPT_LINES: usize = 10_000;
const SECOND_MS: i64 = 1000;
/// The time from a container's start to its first request, where nobody knows it better.
const READY_MS: i64 = 8_000;

/// One line and when it was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Simulated milliseconds since the epoch.
    pub(super) at: i64,
    pub(super) text: String,
}

/// Which lines are asked for.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Wanted {
    /// At most so many, the newest.
    pub(super) tail: Option<usize>,
    /// None before this.
    pub(super) since: Option<i64>,
}

/// One container's output as far as it is decided by now.
#[derive(Debug)]
pub(super) struct ContainerLog {
    seed: String,
    version: String,
    /// When the container started.
    pub(super) started: i64,
    /// When it ended, where it did.
    pub(super) ended: Option<i64>,
    /// From when on it takes requests, as long as any are sent here.
    serving_from: i64,
    /// When it was told to end, where it was.
    leaving: Option<i64>,
    receiver: Option<Receiver>,
    traffic: Vec<Traffic>,
    /// From when on payments fail.
    failing_from: Option<i64>,
}

impl State {
    /// The log of a pod's container; the error a real server has where there is none.
    pub(super) fn log_of(
        &self,
        pod: &Value,
        container: &str,
        previous: bool,
    ) -> Result<ContainerLog, ApiError> {
        let pod_name = text(pod, "/metadata/name");
        let container = container_named(pod, container)?;
        let (started, ended) = self.span_of(pod, container, previous)?;
        let image = text(pod, "/spec/containers/0/image");
        let receiver = self.receiver_of(pod);
        let failing_from = receiver
            .as_ref()
            .filter(|_| image != self.furniture.image)
            .and_then(|receiver| self.live_since(receiver))
            .and_then(|since| Some(since + self.failing_after()?));
        // A container that ended was ready for all we know, soon after it started.
        let ready = if ended.is_some() { Some(started + READY_MS) } else { ready_since(pod) };
        let grace = super::object::int(pod, "/metadata/deletionGracePeriodSeconds") * SECOND_MS;
        Ok(ContainerLog {
            serving_from: ready.unwrap_or(i64::MAX),
            leaving: parse_time(text(pod, "/metadata/deletionTimestamp")).map(|end| end - grace),
            seed: format!("{pod_name}/{container}"),
            version: super::image_parts(image).1.to_owned(),
            started,
            ended,
            receiver,
            traffic: self.directed.history.clone(),
            failing_from,
        })
    }

    /// When the start of a container that is asked for began, and when it ended.
    fn span_of(&self, pod: &Value, container: &str, previous: bool) -> Result<(i64, Option<i64>), ApiError> {
        let pod_name = text(pod, "/metadata/name");
        let status =
            list(pod, "/status/containerStatuses").iter().find(|status| text(status, "/name") == container);
        let time = |pointer: &str| status.and_then(|status| parse_time(text(status, pointer)));
        // A status tells whole seconds, the log's stamps are exact: the last words come after all others.
        let crashed = self.lives.get(super::object::uid_of(pod)).map_or(0, |life| life.last_crash);
        let exact =
            |ended: i64| if crashed - crashed.rem_euclid(SECOND_MS) == ended { crashed } else { ended };
        let last = time("/lastState/terminated/finishedAt")
            .map(|ended| (time("/lastState/terminated/startedAt").unwrap_or(ended), Some(exact(ended))));
        if previous {
            return last.ok_or_else(|| {
                ApiError::bad_request(format!(
                    "previous terminated container \"{container}\" in pod \"{pod_name}\" not found"
                ))
            });
        }
        // Between two starts the last output is still there.
        let now = time("/state/running/startedAt").map(|started| (started, None));
        now.or(last).ok_or_else(|| {
            let why = match status.map_or("", |status| text(status, "/state/waiting/reason")) {
                "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
                "" => "PodInitializing",
                reason => reason,
            };
            ApiError::bad_request(format!(
                "container \"{container}\" in pod \"{pod_name}\" is waiting to start: {why}"
            ))
        })
    }
}

/// The container whose log is asked for; a pod with one need not be asked for it by name.
fn container_named<'p>(pod: &'p Value, asked: &'p str) -> Result<&'p str, ApiError> {
    let pod_name = text(pod, "/metadata/name");
    let names: Vec<&str> =
        list(pod, "/spec/containers").iter().map(|container| text(container, "/name")).collect();
    match (asked, names.as_slice()) {
        ("", [only]) => Ok(only),
        ("", _) => Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {pod_name}, choose one of: {names:?}"
        ))),
        (asked, _) if names.contains(&asked) => Ok(asked),
        (asked, _) => {
            Err(ApiError::bad_request(format!("container {asked} is not valid for pod {pod_name}")))
        }
    }
}

impl ContainerLog {
    /// The lines up to `now`, oldest first.
    pub(super) fn lines(&self, wanted: Wanted, now: i64) -> Vec<Line> {
        let until = self.ended.unwrap_or(now).min(now);
        let from = wanted.since.unwrap_or(i64::MIN).max(self.started);
        let most = wanted.tail.unwrap_or(KEPT_LINES).min(KEPT_LINES);
        let mut newest_first = Vec::new();
        let mut second = (until - self.started) / SECOND_MS;
        while second >= 0 && newest_first.len() < most && self.started + (second + 1) * SECOND_MS > from {
            let lines = self.second(second);
            newest_first.extend(lines.into_iter().rev().filter(|line| line.at >= from && line.at <= until));
            second -= 1;
        }
        newest_first.truncate(most);
        newest_first.reverse();
        newest_first
    }

    /// The lines of the container's n-th second.
    fn second(&self, second: i64) -> Vec<Line> {
        let start = self.started + second * SECOND_MS;
        let chance = digest(&format!("{}{second}", self.seed));
        let at = start + i64::try_from(chance % 700).unwrap_or(0);
        let version = &self.version;
        let mut lines = Vec::new();
        let mut say = |at: i64, level: &str, what: String| {
            lines.push(Line { at, text: format!("{} {level} {what}", rfc3339_fraction(at, 3)) });
        };
        match second {
            0 => say(start + 40, "INFO", format!("payment-system-backend starting version={version}")),
            1 => say(start + 210, "INFO", "connected to database pool=10".to_owned()),
            2 => say(start + 380, "INFO", "listening on 0.0.0.0:8080".to_owned()),
            _ => {}
        }
        let crash = self.ended.is_some_and(|ended| ended < start + SECOND_MS);
        if crash {
            say(
                self.ended.unwrap_or(at),
                "FATAL",
                "unhandled exception: connection pool exhausted, exiting with code 1".to_owned(),
            );
        } else if self.live_at(at) {
            if self.failing_from.is_some_and(|from| at >= from) && chance.is_multiple_of(9) {
                let order = chance % 90_000 + 10_000;
                say(
                    at,
                    "ERROR",
                    format!("payment gateway timeout after 3000ms order={order} version={version}"),
                );
                say(at + 4, "INFO", format!("POST /payments 504 3004ms version={version}"));
            } else {
                let (method, path) = match chance % 5 {
                    0 => ("POST", "/payments"),
                    1 => ("GET", "/payments/history"),
                    _ => ("GET", "/payments"),
                };
                say(at, "INFO", format!("{method} {path} 200 {}ms version={version}", 8 + chance % 31));
            }
        }
        if second > 2 && second % 10 == 0 && !crash {
            say(start + 900, "INFO", format!("GET /health 200 1ms version={version}"));
        }
        lines
    }

    fn live_at(&self, at: i64) -> bool {
        if at < self.serving_from || self.leaving.is_some_and(|leaving| at >= leaving) {
            return false;
        }
        let then = self.traffic.iter().rev().find(|change| change.since <= at);
        then.is_some_and(|then| self.receiver.as_ref().is_some_and(|receiver| then.live.contains(receiver)))
    }
}

impl Line {
    /// The line as it is sent, with its end.
    pub(super) fn spell(&self, timestamps: bool) -> String {
        if timestamps {
            format!("{} {}\n", rfc3339_fraction(self.at, 9), self.text)
        } else {
            format!("{}\n", self.text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(live: bool) -> ContainerLog {
        let blue = Receiver { slot: "blue".into(), hash: String::new() };
        ContainerLog {
            seed: "pod".into(),
            version: "v1.5.0".into(),
            started: 1_000_000,
            ended: None,
            serving_from: 1_008_000,
            leaving: None,
            traffic: vec![Traffic {
                since: i64::MIN,
                live: live.then(|| blue.clone()).into_iter().collect(),
            }],
            receiver: Some(blue),
            failing_from: None,
        }
    }

    #[test]
    fn the_tail_is_the_end_of_the_whole() {
        let now = 1_000_000 + 600_000;
        let all = log(true).lines(Wanted::default(), now);
        assert!(all.is_sorted_by_key(|line| line.at / 1000));
        assert!(all[0].text.contains("starting version=v1.5.0"));
        let tail = log(true).lines(Wanted { tail: Some(20), ..Wanted::default() }, now);
        assert_eq!(tail, all[all.len() - 20..]);
        let since = now - 30_000;
        let recent = log(true).lines(Wanted { since: Some(since), ..Wanted::default() }, now);
        assert_eq!(recent, all.iter().filter(|line| line.at >= since).cloned().collect::<Vec<_>>());
    }

    #[test]
    fn only_the_live_slot_has_requests() {
        let now = 1_000_000 + 600_000;
        let text = |live| {
            log(live).lines(Wanted::default(), now).into_iter().map(|line| line.text).collect::<String>()
        };
        assert!(text(true).contains("GET /payments 200"));
        assert!(!text(false).contains("/payments"));
        assert!(text(false).contains("GET /health 200"));
    }

    #[test]
    fn failing_shows_in_the_log() {
        let mut log = log(true);
        log.failing_from = Some(1_000_000 + 300_000);
        let lines = log.lines(Wanted::default(), 1_000_000 + 600_000);
        let errors: Vec<_> =
            lines.iter().filter(|line| line.text.contains("ERROR payment gateway timeout")).collect();
        assert!(errors.len() > 5);
        assert!(errors.iter().all(|line| line.at >= 1_300_000));
    }
}
