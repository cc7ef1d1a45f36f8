//! Histories told one after the other, by their numbers.

use std::collections::BTreeMap;

use super::{HAPPENINGS, Rules, World};
use crate::domain::fixture::Flight;

/// Histories of one run of the tests; `CUTOVER_HISTORIES` says otherwise. One alone, by its number: `CUTOVER_HISTORY`.
const HISTORIES: u64 = 400;

impl World {
    /// The pods as they are, where that is to be told.
    pub(super) fn tell_pods(&mut self, when: &str) {
        if !self.in_detail {
            return;
        }
        let ground = &self.flight.ground;
        let slots = ground.slots.iter().map(|(name, slot)| {
            let old: Vec<_> = slot.stale.iter().filter(|(_, count)| **count > 0).collect();
            let seen = if slot.observed { "" } else { ", not observed" };
            format!("{name} {}/{} {} and {old:?}{seen}", slot.ready, slot.desired, slot.image)
        });
        let slots = slots.collect::<Vec<_>>().join("; ");
        let (kept, weights) = (ground.kept, &ground.weights);
        self.tell(format!("    {when}: {slots}; kept {kept}, {weights:?}"));
    }
}

fn tell_history(rules: &'static dyn Rules, beginnings: &[Flight], seed: u64, in_detail: bool) -> String {
    let mut world = World::new(rules, beginnings, seed);
    world.in_detail = in_detail;
    world.tell(format!("history {seed}"));
    for _ in 0..HAPPENINGS {
        world.happen();
    }
    world.come_to_rest();
    world.judge();
    world.flight.outcome().map_or_else(|| "open".to_owned(), |outcome| format!("{outcome:?}"))
}

/// Tells histories by these rules, on two threads: none may break a rule, and some of them must get somewhere.
pub(super) fn tell_histories(rules: &'static dyn Rules, beginnings: &[Flight]) {
    let number = |name: &str| std::env::var(name).ok().and_then(|count| count.parse::<u64>().ok());
    if let Some(seed) = number("CUTOVER_HISTORY") {
        tell_history(rules, beginnings, seed, true);
        return;
    }
    let histories = number("CUTOVER_HISTORIES").unwrap_or(HISTORIES);
    let half = |odd: u64| {
        move || -> Vec<Result<String, u64>> {
            let seeds = (0..histories).filter(|seed| seed % 2 == odd);
            let told = |seed| {
                // Whatever breaks, its number is told: `CUTOVER_HISTORY` tells that one alone.
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    tell_history(rules, beginnings, seed, false)
                }))
                .map_err(|_| seed)
            };
            seeds.map(told).collect()
        }
    };
    let told = std::thread::scope(|scope| {
        let halves = [scope.spawn(half(0)), scope.spawn(half(1))];
        halves.map(|half| half.join().unwrap()).concat()
    });
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    let mut broken = Vec::new();
    for end in told {
        match end {
            Ok(end) => *ends.entry(end).or_default() += 1,
            Err(seed) => broken.push(seed),
        }
    }
    assert!(broken.is_empty(), "histories that have broken a rule: {broken:?}");
    // Histories that never get anywhere would prove nothing.
    for end in ["RolledBack", "Succeeded"] {
        assert!(ends.get(end).is_some_and(|count| *count > 0), "{ends:?}");
    }
}
