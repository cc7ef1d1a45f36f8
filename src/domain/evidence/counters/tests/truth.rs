//! Random lives of pods against what really happened: each event is known one by one, and whether anybody could have seen it.

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

/// One counter of one pod, with what is true of it.
#[derive(Debug, Clone, Default)]
struct Counter {
    exists: bool,
    value: f64,
    /// Events since it was read last. Those that a restart wiped out nobody can know.
    unread: f64,
    known: bool,
}

impl Counter {
    fn count(&mut self, events: f64) {
        if events > 0.0 || self.exists {
            self.exists = true;
            self.value += events;
            self.unread += events;
        }
    }

    fn restart(&mut self) {
        (self.value, self.unread) = (0.0, 0.0);
    }

    /// What its being read adds to what is known.
    fn read(&mut self, first: bool, from_zero: bool, gone: bool) -> f64 {
        let unread = std::mem::take(&mut self.unread);
        match (std::mem::replace(&mut self.known, true), gone) {
            (true, false) => unread,
            (true, true) => 0.0,
            (false, _) if first || !from_zero => 0.0,
            (false, _) => self.value,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Pod {
    all: Counter,
    other: Counter,
    restarted: bool,
    /// Not in answers since this second.
    hidden: Option<i64>,
    /// The first answer that lacked it.
    lacked: Option<i64>,
}

/// What happens before an answer.
#[derive(Debug, Clone)]
struct Turn {
    pod: usize,
    what: u8,
    passes: i64,
    events: u16,
    bad: u8,
}

fn turn() -> impl Strategy<Value = Turn> {
    (0..6_usize, 0..16_u8, 1..90_i64, 0..400_u16, 0..40_u8)
        .prop_map(|(pod, what, passes, events, bad)| Turn { pod, what, passes, events, bad })
}

fn life(what: Counted, turns: &[Turn], from_zero: bool) -> Result<(), TestCaseError> {
    let mut pods: Vec<Pod> = (0..6).map(|_| Pod::default()).collect();
    for pod in &mut pods[..3] {
        // Long up before anybody watched.
        pod.all.count(1_000_000.0);
        pod.other.count(if what == Counted::Good { 990_000.0 } else { 10_000.0 });
    }
    let mut counters = Counters::new(what);
    if from_zero {
        counters.appear_from_zero();
    }
    let (mut now, mut first) = (0, true);
    let (mut all, mut other, mut told) = (0.0, 0.0, Counts::NONE);
    for turn in turns {
        now += turn.passes;
        let pod = &mut pods[turn.pod];
        match turn.what {
            // Those alone have counted so much that a new count is below the old one for sure.
            0 if pod.restarted || !pod.all.known || turn.pod >= 3 => {}
            0 => {
                pod.restarted = true;
                pod.all.restart();
                pod.other.restart();
            }
            1 | 2 => pod.hidden = pod.hidden.xor(Some(now)),
            _ => {}
        }
        for pod in pods.iter_mut().filter(|pod| pod.all.exists) {
            let bad = f64::from(u16::from(turn.bad).min(turn.events));
            pod.all.count(f64::from(turn.events));
            pod.other.count(if what == Counted::Good { f64::from(turn.events) - bad } else { bad });
        }
        let pod = &mut pods[turn.pod];
        pod.all.count(f64::from(turn.events) + 1.0);
        pod.other.count(f64::from(u16::from(turn.bad % 2)));
        // A missing answer.
        if turn.what == 3 {
            continue;
        }
        let mut answer = Answer { at: at(now), counted: Vec::new(), all: Vec::new() };
        for (name, pod) in pods.iter_mut().enumerate() {
            if pod.hidden.is_some() {
                pod.lacked = pod.lacked.or(Some(now));
                continue;
            }
            let gone = pod.lacked.take().is_some_and(|since| now - since >= 300);
            let key = SeriesKey::of([("pod", name.to_string())]);
            if pod.all.exists {
                all += pod.all.read(first, from_zero, gone);
                answer.all.push((key, pod.all.value));
            }
            if pod.other.exists {
                other += pod.other.read(first, from_zero, gone);
                answer.counted.push((key, pod.other.value));
            }
        }
        let added = counters.take(&answer);
        prop_assert!(added.bad >= 0.0 && added.bad <= added.all, "{added:?}");
        told += added;
        // The same scrape once more.
        if turn.what == 4 {
            prop_assert_eq!(counters.take(&answer), Counts::NONE);
        }
        // … and as it is told to one who asks again before the next scrape.
        if turn.what == 5 {
            now += 1;
            prop_assert_eq!(counters.take(&Answer { at: at(now), ..answer }), Counts::NONE);
        }
        first = false;
        let bad = if what == Counted::Good { all - other } else { other };
        prop_assert_eq!(told.all, all);
        prop_assert_eq!(told.bad + counters.carry, bad);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, rng_seed: RngSeed::Fixed(13), ..ProptestConfig::default() })]

    #[test]
    fn totals_are_exactly_what_could_be_seen(
        turns in prop::collection::vec(turn(), 1..80),
        good in any::<bool>(),
        from_zero in any::<bool>(),
    ) {
        life(if good { Counted::Good } else { Counted::Bad }, &turns, from_zero)?;
    }
}
