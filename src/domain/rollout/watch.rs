//! Watches a rollout: how long each fault of each pod has lasted, and whether that exceeds its patience.

use std::collections::BTreeMap;

use super::{
    NewPod, Patience, PodStage, RESTARTS, RolloutCause, RolloutFacts, RolloutVerdict, refusal,
    words::{Step, because, naming, quoted},
};
use crate::domain::time::{Span, Timestamp};

/// A fault that is not seen for this long is over, even where nothing shows that its pod got further.
const FLICKER: Span = Span::from_secs(10);
/// A fault that needs patience is seen in at least this many looks: a long pause between two looks is no patience.
const LOOKS: u32 = 2;
/// The patience with a pod for which an autoscaler of nodes has said that it adds a node: machines take minutes to start.
const NODE_COMES: Span = Span::from_mins(5);

/// Watches a rollout, look by look.
#[derive(Debug, Clone, Default)]
pub struct RolloutWatch {
    patience: Patience,
    /// Faults by cause and pod; the Deployment's own have no pod.
    faults: BTreeMap<(RolloutCause, String), Clock>,
    /// Pods by uid.
    pods: BTreeMap<String, PodMemory>,
}

/// Since when a fault lasts.
#[derive(Debug, Clone)]
struct Clock {
    since: Timestamp,
    seen: Timestamp,
    looks: u32,
    /// The most telling words so far: a back-off often says no more than that it waits.
    words: String,
}

#[derive(Debug, Clone)]
struct PodMemory {
    step: Step,
    since: Timestamp,
    /// Restarts when it was last ready: those before are none of this rollout's.
    forgiven: u32,
}

/// A fault that a look shows.
struct Fault {
    cause: RolloutCause,
    uid: String,
    pod: Option<String>,
    words: String,
    patience: Span,
}

impl RolloutWatch {
    /// A watch with this patience, which has seen nothing yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// Takes a look in and says what is to be thought of it. `now` never falls.
    pub fn look(&mut self, facts: &RolloutFacts, now: Timestamp) -> RolloutVerdict {
        if !facts.observed {
            // Another spec begins over.
            self.faults.clear();
            self.pods.clear();
            let text = "the controller has not seen the new spec yet".to_owned();
            return RolloutVerdict::Progressing { gist: text.clone(), text };
        }
        self.remember_pods(facts, now);
        if facts.is_complete() {
            self.faults.clear();
            return RolloutVerdict::Complete;
        }
        let faults = self.faults_of(facts);
        self.keep_clocks(facts, &faults, now);
        let mut over: Vec<&Fault> = faults.iter().filter(|fault| self.is_over(fault, now)).collect();
        over.sort_by_key(|fault| fault.cause);
        if let Some(first) = over.first() {
            return self.stuck(facts, first, &over, now);
        }
        RolloutVerdict::Progressing {
            text: facts.words(|pod| self.pods.get(&pod.uid).map(|memory| now.since(memory.since))),
            gist: facts.words(|_| None),
        }
    }

    fn remember_pods(&mut self, facts: &RolloutFacts, now: Timestamp) {
        self.pods.retain(|uid, _| facts.pods.iter().any(|pod| pod.uid == *uid));
        for pod in &facts.pods {
            let step = pod.stage.step();
            let fresh = PodMemory { step, since: now, forgiven: 0 };
            let memory = self.pods.entry(pod.uid.clone()).or_insert(fresh);
            if memory.step != step {
                (memory.step, memory.since) = (step, now);
            }
            if step == Step::Ready {
                memory.forgiven = pod.restarts;
            }
        }
    }

    /// What is wrong now.
    fn faults_of(&self, facts: &RolloutFacts) -> Vec<Fault> {
        let mut faults: Vec<Fault> = facts.pods.iter().filter_map(|pod| self.fault_of(pod, facts)).collect();
        let mut own = |cause: RolloutCause, words: String| {
            faults.push(Fault { cause, uid: String::new(), pod: None, words, patience: cause.patience() });
        };
        if let Some(why) = &facts.refused {
            let cause = refusal(why);
            // Pods that end give their quota back.
            if cause != RolloutCause::Quota || facts.leaving == 0 {
                own(cause, quoted(why));
            }
        }
        if facts.paused {
            own(RolloutCause::Paused, String::new());
        }
        if let Some(why) = &facts.deadline {
            own(RolloutCause::Deadline, quoted(why));
        }
        faults
    }

    fn fault_of(&self, pod: &NewPod, facts: &RolloutFacts) -> Option<Fault> {
        let fault = |cause: RolloutCause, words: String| {
            let (uid, pod) = (pod.uid.clone(), Some(pod.name.clone()));
            Some(Fault { cause, uid, pod, words, patience: cause.patience() })
        };
        match &pod.stage {
            // Pods that end make room on their nodes.
            PodStage::Unschedulable { .. } if facts.leaving > 0 => None,
            PodStage::Unschedulable { why, node_comes } => {
                let told = fault(RolloutCause::Unschedulable, quoted(why))?;
                let patience = if *node_comes { NODE_COMES } else { told.patience };
                Some(Fault { patience, ..told })
            }
            PodStage::PullFailed { image, reason, why } => {
                // The image is named before the words.
                fault(
                    RolloutCause::ImagePull,
                    format!("{image}: {}", because(reason, &naming(why, image, 0))),
                )
            }
            PodStage::Misconfigured { reason, why } => fault(RolloutCause::Config, because(reason, why)),
            PodStage::NotCreated { reason, why } => fault(RolloutCause::Container, because(reason, why)),
            PodStage::Crashed { end } => {
                let forgiven = self.pods.get(&pod.uid).map_or(0, |memory| memory.forgiven);
                let restarts = pod.restarts.saturating_sub(forgiven);
                let words = format!("{restarts} restarts, last exit: {}", quoted(end));
                if restarts >= RESTARTS { fault(RolloutCause::CrashLoop, words) } else { None }
            }
            PodStage::Queued
            | PodStage::Pulling
            | PodStage::Starting { .. }
            | PodStage::Unready { .. }
            | PodStage::Ready
            | PodStage::Ended { .. } => None,
        }
    }

    /// Starts clocks, keeps them through flicker, and ends those whose fault has passed.
    fn keep_clocks(&mut self, facts: &RolloutFacts, faults: &[Fault], now: Timestamp) {
        for fault in faults {
            let fresh = Clock { since: now, seen: now, looks: 0, words: String::new() };
            let clock = self.faults.entry((fault.cause, fault.uid.clone())).or_insert(fresh);
            clock.seen = now;
            clock.looks = clock.looks.saturating_add(1);
            if fault.words.len() > clock.words.len() {
                clock.words.clone_from(&fault.words);
            }
        }
        let got_further = |uid: &str, cause: RolloutCause| match facts.pods.iter().find(|pod| pod.uid == uid)
        {
            Some(pod) => pod.stage.is_past(cause),
            // What belongs to no pod has no stage; a pod that is gone has no faults.
            None => !uid.is_empty(),
        };
        self.faults.retain(|(cause, uid), clock| {
            clock.seen == now || (now.since(clock.seen) <= FLICKER && !got_further(uid, *cause))
        });
    }

    fn is_over(&self, fault: &Fault, now: Timestamp) -> bool {
        let Some(patience) = self.patience.with(fault.patience) else { return false };
        let key = (fault.cause, fault.uid.clone());
        self.faults.get(&key).is_some_and(|clock| {
            patience == Span::ZERO || (clock.looks >= LOOKS && now.since(clock.since) >= patience)
        })
    }

    fn stuck(&self, facts: &RolloutFacts, fault: &Fault, over: &[&Fault], now: Timestamp) -> RolloutVerdict {
        let alike = over.iter().filter(|other| other.cause == fault.cause).count();
        let clock = self.faults.get(&(fault.cause, fault.uid.clone()));
        let lasts = clock.map_or(Span::ZERO, |clock| now.since(clock.since));
        let words = clock.map_or(fault.words.as_str(), |clock| clock.words.as_str());
        let pod = fault.pod.as_deref().unwrap_or_default();
        let whose = match alike {
            0 | 1 => format!("pod {pod}"),
            2 => format!("pod {pod} and one more"),
            many => format!("pod {pod} and {} more", many - 1),
        };
        let for_so_long =
            if lasts >= Span::from_secs(1) { format!(", for {}", lasts.clock()) } else { String::new() };
        let text = match fault.cause {
            RolloutCause::Config => {
                format!("a container cannot be configured: {words} ({whose}{for_so_long})")
            }
            RolloutCause::ImagePull => format!("the image cannot be pulled: {words} ({whose}{for_so_long})"),
            RolloutCause::CrashLoop => format!("{whose} keeps crashing: {words}"),
            RolloutCause::Container => {
                format!("a container cannot be created: {words} ({whose}{for_so_long})")
            }
            RolloutCause::Refused => format!("the API server rejects its pods{for_so_long}: {words}"),
            RolloutCause::Quota => format!("the quota allows no more pods{for_so_long}: {words}"),
            RolloutCause::Uncreated => format!("its pods cannot be created{for_so_long}: {words}"),
            RolloutCause::Unschedulable => format!("no node accepts {whose}{for_so_long}: {words}"),
            RolloutCause::Paused => {
                "the Deployment is paused, so nothing is rolled out: resume it with `kubectl rollout resume`"
                    .to_owned()
            }
            RolloutCause::Deadline => {
                format!("the Deployment's progress deadline has passed: {words}; {}", facts.words(|_| None))
            }
        };
        RolloutVerdict::Stuck { cause: fault.cause, pod: fault.pod.clone(), text }
    }
}
