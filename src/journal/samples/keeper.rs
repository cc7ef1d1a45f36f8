//! The thread that writes: fed through a queue that nobody waits for.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::Value;

use super::{
    format::{FILE, LONGEST_BLOCK},
    store::{Bounds, Store},
};
use crate::{
    domain::{
        kept::{Moment, Seen, Sieve},
        time::Timestamp,
    },
    engine::ports::SampleKeeper,
};

/// Moments that may wait to be written, …
const QUEUE: usize = 4096;
/// … and the memory that they may take: a picture of the cluster takes as much as hundreds of samples. What comes while so much
/// waits is lost.
pub(super) const MOST_WAITING: usize = 8 << 20;
/// Lines are written once there are so many bytes …
const BLOCK: usize = 256 << 10;
/// … or so long after the first of them: what a crash takes.
const EVERY: Duration = Duration::from_secs(5);
/// After a fault of the disk it is tried again this much later.
const AGAIN: Duration = Duration::from_mins(1);
/// How long the last lines are waited for at the end. A disk that hangs keeps nobody.
const LAST: Duration = Duration::from_secs(2);

/// Takes the secrets out of a text.
pub type Mask = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Keeps what is seen in a run's file of samples.
#[derive(Debug)]
pub struct Samples {
    queue: Option<SyncSender<Moment>>,
    /// The memory of what is in the queue.
    waiting: Arc<AtomicUsize>,
    missed: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<String>>>,
    done: Receiver<()>,
}

impl Samples {
    /// Starts to keep what is seen in the run of a directory, after what its file has already. Every text goes through `mask`.
    ///
    /// # Errors
    /// Where the thread can't be started. A file that can't be opened is told by [`SampleKeeper::fault`].
    pub fn start(dir: &Path, run_id: &str, bounds: Bounds, mask: Mask) -> io::Result<Self> {
        let (queue, moments) = sync_channel(QUEUE);
        let (told, done) = sync_channel(1);
        let (missed, fault) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut writing = Writing {
            dir: dir.to_owned(),
            run_id: run_id.to_owned(),
            bounds,
            mask,
            waiting: Arc::clone(&waiting),
            missed: Arc::clone(&missed),
            fault: Arc::clone(&fault),
            sieve: Sieve::default(),
            store: None,
            lines: Vec::new(),
            count: 0,
            since: None,
            times: None,
            lost: None,
            told: false,
            not_before: None,
        };
        std::thread::Builder::new().name("samples".to_owned()).spawn(move || {
            writing.run(&moments);
            // Whoever has stopped to wait is not there to be told.
            let _ = told.send(());
        })?;
        Ok(Self { queue: Some(queue), waiting, missed, fault, done })
    }
}

impl SampleKeeper for Samples {
    fn keep(&mut self, moment: Moment) {
        let Some(queue) = &self.queue else { return };
        let takes = moment.memory();
        // Only this thread adds, so there is never more than this.
        let room = self.waiting.fetch_add(takes, Ordering::Relaxed) + takes <= MOST_WAITING;
        if !room || queue.try_send(moment).is_err() {
            self.waiting.fetch_sub(takes, Ordering::Relaxed);
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fault(&mut self) -> Option<String> {
        self.fault.lock().take()
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        drop(self.queue.take());
        let _ = self.done.recv_timeout(LAST);
    }
}

/// What could not be kept.
struct Lost {
    moments: u64,
    from: Timestamp,
    until: Timestamp,
    why: String,
}

/// The thread's own.
struct Writing {
    dir: PathBuf,
    run_id: String,
    bounds: Bounds,
    mask: Mask,
    waiting: Arc<AtomicUsize>,
    missed: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<String>>>,
    sieve: Sieve,
    store: Option<Store>,
    /// Lines that are not written yet, …
    lines: Vec<u8>,
    /// … how many, …
    count: usize,
    /// … since when, in real time, …
    since: Option<Instant>,
    /// … and the first and last time in them.
    times: Option<(Timestamp, Timestamp)>,
    lost: Option<Lost>,
    /// Whether a fault was told: once is enough.
    told: bool,
    /// After a fault: when it is tried again.
    not_before: Option<Instant>,
}

impl Writing {
    fn run(&mut self, moments: &Receiver<Moment>) {
        self.open();
        loop {
            let wait = self.since.map_or(EVERY, |since| EVERY.saturating_sub(since.elapsed()));
            match moments.recv_timeout(wait) {
                Ok(moment) => {
                    self.waiting.fetch_sub(moment.memory(), Ordering::Relaxed);
                    self.take(moment);
                }
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.lines.len() >= BLOCK || self.since.is_some_and(|since| since.elapsed() >= EVERY) {
                self.flush();
            }
        }
        self.not_before = None;
        self.flush();
    }

    fn open(&mut self) {
        let mut sieve = Sieve::default();
        let mut known = |moments: Vec<Moment>| sieve.know(&moments);
        match Store::open(&self.dir, &self.run_id, self.bounds, &mut known) {
            Ok(store) => {
                self.store = Some(store);
                self.sieve = sieve;
            }
            Err(why) => self.failed(&why),
        }
    }

    fn take(&mut self, moment: Moment) {
        for moment in self.sieve.pass(moment) {
            self.line(&moment);
        }
    }

    fn line(&mut self, moment: &Moment) {
        let at = moment.at;
        let Ok(mut value) = serde_json::to_value(moment) else {
            self.lose(1, at, at, "it can't be written as JSON");
            return;
        };
        mask(&mut value, &self.mask);
        let line = value.to_string();
        if line.len() >= LONGEST_BLOCK - BLOCK {
            self.lose(1, at, at, "it is too long");
            return;
        }
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        self.count += 1;
        self.since.get_or_insert_with(Instant::now);
        self.times = Some(self.times.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
    }

    fn flush(&mut self) {
        if let Some(waiting) = self.sieve.finish() {
            self.line(&waiting);
        }
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if let Some((from, until)) = self.times.filter(|_| missed > 0) {
            self.lose(missed, from, until, "more came in than could be written");
        } else {
            // Nothing to tell the time by: with the next lines.
            self.missed.fetch_add(missed, Ordering::Relaxed);
        }
        if self.count == 0 {
            return;
        }
        self.since = None;
        let waits = self.not_before.is_some_and(|until| Instant::now() < until);
        if !waits && self.store.is_none() {
            self.open();
        }
        if let Some(Lost { moments, from, until, why }) =
            self.lost.take_if(|_| !waits && self.store.is_some())
        {
            self.line(&Moment { at: from, seen: Seen::Lost { moments, until, why } });
        }
        let lines = std::mem::take(&mut self.lines);
        let count = std::mem::take(&mut self.count);
        let times = self.times.take();
        self.since = None;
        let written = match &mut self.store {
            Some(store) if !waits => store.append(&lines, count).map_err(Some),
            _ => Err(None),
        };
        if let Err(why) = written {
            let (from, until) = times.unwrap_or_default();
            let reason = why.as_ref().map_or_else(String::new, ToString::to_string);
            self.lose(count as u64, from, until, &reason);
            if let Some(why) = why {
                self.failed(&why);
            }
        }
    }

    /// Counts what is not kept.
    fn lose(&mut self, moments: u64, from: Timestamp, until: Timestamp, why: &str) {
        match &mut self.lost {
            Some(lost) => {
                lost.moments += moments;
                lost.from = lost.from.min(from);
                lost.until = lost.until.max(until);
            }
            None => self.lost = Some(Lost { moments, from, until, why: (self.mask)(why) }),
        }
    }

    /// Says once what is wrong, and lets the disk be for a while.
    fn failed(&mut self, why: &io::Error) {
        self.not_before = Some(Instant::now() + AGAIN);
        if !std::mem::replace(&mut self.told, true) {
            *self.fault.lock() = Some(format!(
                "samples are not kept for replay and report: {FILE} can't be written: {why}; the run is not affected"
            ));
        }
    }
}

/// Takes secrets out of every text, names included.
fn mask(value: &mut Value, by: &Mask) {
    match value {
        Value::String(text) => *text = by(text),
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, by)),
        Value::Object(fields) => {
            for (name, mut value) in std::mem::take(fields) {
                mask(&mut value, by);
                fields.insert(by(&name), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
