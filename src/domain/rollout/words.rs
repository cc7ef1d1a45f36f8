//! Describes a rollout in progress: how far it is, and what the remaining pods wait for.

use std::collections::BTreeMap;

use super::{NewPod, PodStage, RolloutCause, RolloutFacts};
use crate::domain::{time::Span, workload::RolloutState};

/// Characters of foreign words that are quoted.
const QUOTED: usize = 240;
/// How old a stage is before its age is told.
const TOLD_AGE: Span = Span::from_secs(5);

/// The stages by what one says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Node,
    Image,
    Broken,
    Container,
    Crashed,
    Unready,
    Ended,
    Ready,
}

impl RolloutFacts {
    /// Whether every pod is of the newest template and available, and no other is left.
    pub fn is_complete(&self) -> bool {
        self.observed
            && self.updated >= self.desired
            && self.replicas <= self.updated
            && self.available >= self.updated
    }

    /// Where it stands by the rules of `kubectl rollout status`.
    pub fn state(&self) -> RolloutState {
        if !self.observed {
            return RolloutState::Unobserved;
        }
        if let Some(why) = &self.deadline {
            return RolloutState::DeadlineExceeded(format!("{}; {}", quoted(why), self.words(|_| None)));
        }
        if self.is_complete() {
            RolloutState::Complete
        } else {
            RolloutState::Progressing(self.words(|_| None))
        }
    }

    /// How far it is, and what the others wait for. `age` says how long a pod has been where it is.
    pub(super) fn words(&self, age: impl Fn(&NewPod) -> Option<Span>) -> String {
        let (desired, updated, available) = (self.desired, self.updated, self.available);
        let mut leaving = self.leaving;
        let mut parts = Vec::new();
        if updated < desired {
            parts.push(format!("{updated} of {desired} pods have the new template"));
        } else if available < updated {
            parts.push(format!("{available} of {updated} new pods are available"));
        }
        parts.extend(self.waiting(&age));
        // A status counts no pod that is on its way out.
        if updated >= desired {
            leaving = leaving.saturating_add(self.replicas.saturating_sub(updated));
        }
        match leaving {
            0 => {}
            1 => parts.push("1 old pod is terminating".to_owned()),
            old => parts.push(format!("{old} old pods are terminating")),
        }
        if let Some(why) = &self.refused {
            parts.push(format!("pods cannot be created: {}", quoted(why)));
        }
        if self.paused {
            parts.push("it is paused: resume it with `kubectl rollout resume`".to_owned());
        }
        if parts.is_empty() {
            parts.push(format!("{available} of {desired} pods are available"));
        }
        parts.join("; ")
    }

    /// Where the new pods are that are not ready.
    fn waiting(&self, age: &impl Fn(&NewPod) -> Option<Span>) -> Vec<String> {
        let mut by_step: BTreeMap<Step, Vec<&NewPod>> = BTreeMap::new();
        for pod in &self.pods {
            by_step.entry(pod.stage.step()).or_default().push(pod);
        }
        let waiting = by_step.into_iter().filter(|(step, _)| *step != Step::Ready);
        waiting
            .map(|(step, pods)| {
                let count = pods.len();
                let oldest = pods.iter().filter_map(|pod| age(pod)).max().filter(|age| *age >= TOLD_AGE);
                let aged = match (oldest, count) {
                    (None, _) => String::new(),
                    (Some(age), 1) => format!(" ({})", age.clock()),
                    (Some(age), _) => format!(" (one for {})", age.clock()),
                };
                let why = pods.iter().map(|pod| pod.stage.why()).find(|why| !why.is_empty());
                let why = why.map(|why| format!(": {}", quoted(&why))).unwrap_or_default();
                format!("{count} {}{aged}{why}", step.words(count))
            })
            .collect()
    }
}

impl Step {
    fn words(self, count: usize) -> &'static str {
        let one = count == 1;
        match self {
            Self::Node if one => "waits for a node",
            Self::Node => "wait for a node",
            Self::Image if one => "waits for its image",
            Self::Image => "wait for their image",
            Self::Broken => "cannot start",
            Self::Container if one => "is starting",
            Self::Container => "are starting",
            Self::Crashed => "crashed and will restart",
            Self::Unready if one => "is running but not ready",
            Self::Unready => "are running but not ready",
            Self::Ended if one => "has ended",
            Self::Ended => "have ended",
            Self::Ready if one => "is ready",
            Self::Ready => "are ready",
        }
    }
}

impl PodStage {
    pub(super) fn step(&self) -> Step {
        match self {
            Self::Queued | Self::Unschedulable { .. } => Step::Node,
            Self::Pulling | Self::PullFailed { .. } => Step::Image,
            Self::Misconfigured { .. } | Self::NotCreated { .. } => Step::Broken,
            Self::Starting { .. } => Step::Container,
            Self::Crashed { .. } => Step::Crashed,
            Self::Unready { .. } => Step::Unready,
            Self::Ready => Step::Ready,
            Self::Ended { .. } => Step::Ended,
        }
    }

    /// What keeps it where it is, as far as anybody said.
    fn why(&self) -> String {
        match self {
            Self::Queued | Self::Pulling | Self::Ready => String::new(),
            Self::Unschedulable { why, node_comes: true } => format!("a node is being added; {why}"),
            Self::Unschedulable { why, .. }
            | Self::Starting { why }
            | Self::Unready { why }
            | Self::Ended { why } => why.clone(),
            Self::PullFailed { image, reason, why } => because(reason, &naming(why, image, 1)),
            Self::Misconfigured { reason, why } | Self::NotCreated { reason, why } => because(reason, why),
            Self::Crashed { end } => end.clone(),
        }
    }

    /// Whether a pod at this stage has overcome a cause.
    pub(super) fn is_past(&self, cause: RolloutCause) -> bool {
        let runs = matches!(self, Self::Crashed { .. } | Self::Unready { .. } | Self::Ready);
        match cause {
            RolloutCause::Config | RolloutCause::Container | RolloutCause::ImagePull => runs,
            RolloutCause::Unschedulable => !matches!(self, Self::Queued | Self::Unschedulable { .. }),
            RolloutCause::CrashLoop => matches!(self, Self::Ready),
            // Not a pod's.
            RolloutCause::Refused
            | RolloutCause::Quota
            | RolloutCause::Uncreated
            | RolloutCause::Paused
            | RolloutCause::Deadline => true,
        }
    }
}

pub(super) fn because(reason: &str, why: &str) -> String {
    if why.is_empty() { reason.to_owned() } else { format!("{reason}: {}", quoted(why)) }
}

/// A kubelet's words with the image named in them at most so often: they repeat its whole reference up to four times.
pub(super) fn naming(why: &str, image: &str, times: usize) -> String {
    if image.is_empty() {
        return why.to_owned();
    }
    let mut parts = why.split(image);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        told.push_str(if at < times { image } else { "…" });
        told.push_str(part);
    }
    told
}

/// Foreign words, short enough to be read: of long ones the beginning and the end, where the kubelet says what went wrong.
pub(super) fn quoted(text: &str) -> String {
    let length = text.chars().count();
    if length <= QUOTED {
        return text.to_owned();
    }
    let begin: String = text.chars().take(QUOTED / 2).collect();
    let end: String = text.chars().skip(length - QUOTED / 2).collect();
    format!("{} … {}", begin.trim_end(), end.trim_start())
}
