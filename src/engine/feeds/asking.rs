//! What a metric that is sampled and one that is counted have in common: of what it is asked for, where its samples go, and how
//! often it is asked.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    domain::{
        effect::Input,
        message::Update,
        metric::{Metric, Sample},
        slot_labels::SlotLabels,
        time::Timestamp,
    },
    engine::{messages::News, ports::Ports},
};

/// A metric is asked for at most this often in real time: a rehearsal that runs fast must not flood the server.
const LEAST_SAMPLE: Duration = Duration::from_millis(200);
/// After a real pause longer than this the time in between is not made up for.
const LONGEST_STALL: Duration = Duration::from_secs(2);
/// How long the first picture is waited for, where a metric's past can't be asked for without it.
const FIRST_PICTURE: Duration = Duration::from_secs(5);

/// One metric, with what it takes to ask for it.
pub(super) struct Asking {
    pub(super) metric: Metric,
    /// The slots as the cluster last told of them.
    pub(super) labels: watch::Receiver<Vec<SlotLabels>>,
    pub(super) ports: Ports,
    pub(super) news: mpsc::Sender<News>,
}

impl Asking {
    /// Waits for the cluster's first picture where the metric needs it: the past of a revision can only be asked for once the
    /// cluster has told which it is. A cluster that does not answer must not keep the other samples back for ever.
    pub(super) async fn wait_for_revision(&mut self) {
        if self.metric.names_revision() {
            let told = self.labels.wait_for(|known| known.iter().any(|slot| slot.version.is_some()));
            drop(tokio::time::timeout(FIRST_PICTURE, told).await);
        }
    }

    /// The slots that it is measured of, as they are known now; one that is none where it is not per slot.
    pub(super) fn lanes(&self) -> Vec<Option<SlotLabels>> {
        let known = self.labels.borrow();
        if self.metric.per_slot && !known.is_empty() {
            known.iter().cloned().map(Some).collect()
        } else {
            vec![None]
        }
    }

    /// Tells the past, to the screens first; false where nobody listens any more.
    pub(super) async fn tell_past(&self, past: Vec<Sample>) -> bool {
        if past.is_empty() {
            return true;
        }
        let update = Update::Samples { samples: past.clone(), backfill: true };
        self.news.send(News::Show(update)).await.is_ok()
            && self.news.send(News::Input(Input::Past(past))).await.is_ok()
    }

    /// Tells what was measured, oldest first; false where nobody listens any more.
    pub(super) async fn tell(&self, samples: Vec<Sample>) -> bool {
        for sample in samples {
            if self.news.send(News::Input(Input::Sample(sample))).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// One time that all slots of a metric are asked.
pub(super) struct Round {
    began: Timestamp,
    pub(super) real: Instant,
    /// Whether what was measured since the round before is fetched. Where time runs fast, one real moment skips several
    /// intervals. After a real pause (a suspended laptop, a stopped process) it is not: nobody was watching then.
    pub(super) makes_up: bool,
}

impl Round {
    /// `before` is when the last one began.
    pub(super) fn begin(asking: &Asking, before: Instant) -> Self {
        let real = Instant::now();
        let makes_up = real.duration_since(before) < LONGEST_STALL;
        Self { began: asking.ports.clock.now(), real, makes_up }
    }

    /// Waits until the next one is due, by the run's clock and by ours.
    pub(super) async fn end(&self, asking: &Asking) {
        let clock = &asking.ports.clock;
        let pause = asking.metric.interval.saturating_sub(clock.now().since(self.began));
        let least = LEAST_SAMPLE.saturating_sub(self.real.elapsed());
        tokio::join!(clock.sleep(pause), tokio::time::sleep(least));
    }
}
