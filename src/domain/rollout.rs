//! Whether a rollout can still succeed: facts go in, a verdict comes out.
//!
//! ```text
//! facts ──> RolloutWatch::look ──> Complete | Progressing | Stuck(cause)
//!              remembers since when each fault of each pod lasts
//! ```
//!
//! Only pods of the newest template are facts here: what ails the old ones is not this rollout's fault. A fault must last as
//! long as its cause's patience ([`RolloutCause::patience`]), for many pass by themselves: a registry answers at the second try, a
//! node comes. One that is gone for a moment has not ended: a kubelet tries a pull again and again, and says so in between.

mod watch;
mod words;

pub use watch::RolloutWatch;

use super::time::Span;

/// Restarts of one pod, since it was last ready, after which its next end means that it crashes again and again. The first
/// restart comes at once, the second after 10 s, the third after 20 s more: a program that only waits for another has had its
/// chance by then.
pub const RESTARTS: u32 = 3;

/// What one look at a Deployment's rollout has found. Numbers and conditions only mean something where `observed`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RolloutFacts {
    /// Whether the controller has seen the newest spec: what a status says of an older one is no fact.
    pub observed: bool,
    /// Pods that are wanted.
    pub desired: u32,
    /// Pods of every template.
    pub replicas: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Pods of any template that are available.
    pub available: u32,
    /// Whether `spec.paused` keeps the controller from rolling out.
    pub paused: bool,
    /// What the controller says where its progress deadline is over.
    pub deadline: Option<String>,
    /// What the controller was told when it could not create pods of the newest template.
    pub refused: Option<String>,
    /// The pods of the newest template, without those on their way out.
    pub pods: Vec<NewPod>,
    /// Pods of the Deployment on their way out: room and quota that come free.
    pub leaving: u32,
}

/// A pod of the newest template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPod {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Restarts of all its containers together.
    pub restarts: u32,
    /// How far it is.
    pub stage: PodStage,
}

/// How far a pod is on its way to being ready. Texts are the scheduler's and the kubelet's own words, empty where there are
/// none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodStage {
    /// It has no node yet, and nobody said why.
    Queued,
    /// No node takes it.
    Unschedulable {
        /// The scheduler's words.
        why: String,
        /// An autoscaler has said that it adds a node for it.
        node_comes: bool,
    },
    /// Its image is being pulled.
    Pulling,
    /// Its image could not be pulled, and is tried again: `ErrImagePull`, `ImagePullBackOff`.
    PullFailed {
        /// The image.
        image: String,
        /// The reason.
        reason: String,
        /// The kubelet's words.
        why: String,
    },
    /// A container's configuration cannot work: `CreateContainerConfigError`, `InvalidImageName`.
    Misconfigured {
        /// The reason.
        reason: String,
        /// The kubelet's words.
        why: String,
    },
    /// A container could not be created.
    NotCreated {
        /// The reason.
        reason: String,
        /// The kubelet's words.
        why: String,
    },
    /// Its containers are being prepared or started.
    Starting {
        /// What holds it up, say a volume that cannot be mounted.
        why: String,
    },
    /// A container has ended and is to start again.
    Crashed {
        /// How it ended last: `Error, exit code 1`.
        end: String,
    },
    /// Its containers run, and it is not ready.
    Unready {
        /// What its probe said last.
        why: String,
    },
    /// It is ready.
    Ready,
    /// It has ended for good, say evicted; another will take its place.
    Ended {
        /// The reason.
        why: String,
    },
}

/// Why a rollout cannot succeed, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutCause {
    /// A container's configuration cannot work.
    Config,
    /// An image cannot be pulled.
    ImagePull,
    /// A pod crashes again and again.
    CrashLoop,
    /// A container cannot be created on its node.
    Container,
    /// Pods are refused: by a webhook, by the namespace's pod security, as invalid.
    Refused,
    /// A quota allows no further pod.
    Quota,
    /// Pods cannot be created for another reason, say a webhook that is not reached.
    Uncreated,
    /// No node takes a pod.
    Unschedulable,
    /// The Deployment is paused.
    Paused,
    /// The Deployment's own progress deadline is over.
    Deadline,
}

impl RolloutCause {
    /// How long it must last before the rollout has failed, where the runbook says nothing.
    pub const fn patience(self) -> Span {
        match self {
            // A kubelet may not know a config map that was made a moment before: it does within seconds.
            Self::Config => Span::from_secs(5),
            // The kubelet pulls again after 10 s: a registry that only hiccupped has answered by then.
            Self::ImagePull => Span::from_secs(15),
            // Restarts are its patience.
            Self::CrashLoop => Span::ZERO,
            // What a node's runtime refuses for now, it is asked again a few seconds later.
            Self::Container => Span::from_secs(20),
            // Rules do not change by themselves; two tries show that it is one.
            Self::Refused => Span::from_secs(10),
            // What ends elsewhere gives quota back, webhooks are restarted, and nodes get room: all within half a minute, or
            // it takes a person.
            Self::Quota | Self::Uncreated | Self::Unschedulable => Span::from_secs(30),
            // Somebody may have paused it to change several things at once.
            Self::Paused => Span::from_secs(10),
            // The controller has had its patience already. Two looks, since a condition of the rollout before can stand in the
            // status a moment longer than it is true.
            Self::Deadline => Span::from_secs(4),
        }
    }
}

/// How long faults are borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patience {
    /// As long as each cause deserves: [`RolloutCause::patience`].
    #[default]
    ByCause,
    /// This long, whatever the cause.
    Of(Span),
    /// As long as one waits at all: faults are told, and nothing fails by them.
    Endless,
}

impl Patience {
    /// As a runbook has it: by cause where it says nothing.
    pub fn of(written: Option<Span>) -> Self {
        written.map_or(Self::ByCause, Self::Of)
    }

    /// How long a fault with the patience `deserved` is tolerated; none means forever.
    fn with(self, deserved: Span) -> Option<Span> {
        match self {
            Self::ByCause => Some(deserved),
            Self::Of(span) => Some(span),
            Self::Endless => None,
        }
    }
}

/// What is to be thought of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutVerdict {
    /// Every pod is of the newest template and available, and no other is left.
    Complete,
    /// It is on its way, or may yet get there.
    Progressing {
        /// How far it is, and what the others wait for, with times.
        text: String,
        /// The same without times: it changes when something has happened.
        gist: String,
    },
    /// It cannot succeed.
    Stuck {
        /// Why.
        cause: RolloutCause,
        /// The pod that shows it best, where it is one's.
        pod: Option<String>,
        /// In plain words.
        text: String,
    },
}

/// What stands behind a refusal to create pods. The condition's reason is always `FailedCreate`: only the API server's words
/// tell a rule, which stays, from a fault, which may pass.
fn refusal(why: &str) -> RolloutCause {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["exceeded quota"]) {
        RolloutCause::Quota
    } else if says(&["failed calling webhook", "Internal error occurred"]) {
        RolloutCause::Uncreated
    } else if says(&["denied the request", "is forbidden", "is invalid"]) {
        RolloutCause::Refused
    } else {
        RolloutCause::Uncreated
    }
}

#[cfg(test)]
mod tests;
