//! Evidence for the runbook's claims: what was normal before the switch, and what has been counted since.
//!
//! Before the switch the counts of the last hour are kept minute by minute: their share of bad events and how they came in
//! bursts are the terms of what is asked afterwards. From the switch on every sample with counts goes to the meter of each
//! claim about its metric. Where the previous slot has users at the same time its counts go with it.
//!
//! An engine that takes a run up goes on from the last record in the journal. What was counted since is lost, and so are the
//! samples that came meanwhile: no bet begins for them any more, so the chance of a false alarm in the whole run stays what the
//! runbook says. The same holds where a person has called a verdict wrong.

use std::{collections::BTreeMap, sync::Arc};

use super::Machine;
use crate::domain::{
    check::NoTraffic,
    claim::{Claim, Stage, Standing},
    director::{Share, share_of},
    event::RunEvent,
    evidence::{
        before::{Before, watched, written},
        card::{Against, Card, Selectors},
        counters::Counted as What,
        counts::Counts,
        meter::{Meter, patience},
        terms::Terms,
    },
    id::{MetricId, SlotName},
    metric::{Metric, Sample},
    run::{Gathered, Run},
    runbook::Rule,
    slot_labels::SlotLabels,
    time::Timestamp,
    verdict::Ruling,
    worse::{Than, Worse},
};

/// No record has more samples than this.
const MOST_RECORDED: usize = 4_096;

/// The evidence for one claim while it is gathered.
#[derive(Debug, Clone)]
pub(super) struct Gathering {
    meter: Meter,
    /// Counts that wait for those of the previous slot, and since when.
    new: Option<(Timestamp, Counts)>,
    /// Counts of the previous slot that wait for those of the new one.
    old: Option<Counts>,
    /// Samples that the last record has.
    recorded: usize,
    /// Quarters of what it takes that were told.
    quarters: usize,
}

impl Gathering {
    fn new(meter: Meter) -> Self {
        let recorded = meter.samples().len();
        let quarters = meter.reached().iter().flatten().count();
        Self { meter, new: None, old: None, recorded, quarters }
    }

    /// Samples that came so far, with those that were lost.
    #[cfg(test)]
    pub(super) fn came(&self) -> u32 {
        self.meter.came()
    }
}

impl Machine {
    /// Keeps what was counted before the switch.
    pub(super) fn remember_counts(&mut self, sample: &Sample) {
        if let Some(counts) = sample.counts.filter(|_| self.run.switched_at.is_none()) {
            let key = Run::baseline_key(&sample.metric, sample.slot.as_ref());
            self.before.entry(key).or_default().take(sample.at, counts);
        }
    }

    /// Begins to gather evidence for every claim, or goes on where the journal says that it was.
    pub(super) fn begin_evidence(&mut self) {
        let Some(switched_at) = self.run.switched_at else { return };
        let claims = self.run.runbook.claims();
        for (index, claim) in claims.iter().enumerate() {
            let Some(metric) = self.run.runbook.metric(claim.metric.as_str()).cloned() else { continue };
            let known = self.run.evidence.get(&index).cloned();
            if let Some(known) = known.as_ref().filter(|known| known.since >= switched_at) {
                self.go_on(index, known, &metric);
                continue;
            }
            let (terms, remark) = self.terms(claim, &metric);
            self.emit(RunEvent::EvidenceBegan {
                claim: index,
                metric: claim.metric.clone(),
                than: claim.worse.than,
                terms,
                remark,
            });
            let Some(mut meter) = terms.and_then(|terms| Meter::new(terms).ok()) else { continue };
            // What an earlier switch of this run has used of the false alarms is used.
            meter.pass_over(known.and_then(|known| known.card).map_or(0, |card| card.came()));
            self.evidence.insert(index, Gathering::new(meter));
        }
    }

    fn go_on(&mut self, claim: usize, known: &Gathered, metric: &Metric) {
        let meter = match (&known.card, known.terms) {
            (Some(card), _) => card.meter().ok(),
            (None, Some(terms)) => Meter::new(terms).ok(),
            (None, None) => None,
        };
        let Some(mut meter) = meter else { return };
        let came = Terms::starts(self.now.since(known.since), metric.interval);
        meter.pass_over(came.saturating_sub(meter.came()));
        self.evidence.insert(claim, Gathering::new(meter));
    }

    /// The terms of a claim by what was counted before the switch, and what is to be said of them.
    fn terms(&self, claim: &Claim, metric: &Metric) -> (Option<Terms>, Option<String>) {
        let previous = self.run.opened.previous.as_ref().map(|target| &target.slot);
        let key = Run::baseline_key(&metric.id, previous.filter(|_| metric.per_slot));
        let before = self.before.get(&key).cloned().unwrap_or_default();
        match before.terms(claim.worse, metric, watched(&self.run.runbook)) {
            Ok((terms, remark)) => (Some(terms), remark),
            Err(why) => (None, Some(why)),
        }
    }

    /// The evidence is complete, or what it was gathered for is over: its last records.
    pub(super) fn end_evidence(&mut self) {
        self.record_evidence();
        self.evidence.clear();
    }

    /// Writes down where every claim stands, where anything was counted since the last record.
    pub(super) fn record_evidence(&mut self) {
        let grown = |gathering: &Gathering| gathering.meter.samples().len() > gathering.recorded;
        let due: Vec<usize> =
            self.evidence.iter().filter(|(_, it)| grown(it)).map(|(claim, _)| *claim).collect();
        for claim in due {
            self.record_claim(claim);
        }
    }

    fn record_claim(&mut self, claim: usize) {
        let runbook = Arc::clone(&self.run.runbook);
        let claims = runbook.claims();
        let Some(Claim { metric, .. }) = claims.get(claim) else { return };
        let Some(declared) = runbook.metric(metric.as_str()) else { return };
        let (judged, previous) =
            (self.run.judged_slot(), self.run.opened.previous.as_ref().map(|it| it.slot.clone()));
        let Some(gathering) = self.evidence.get_mut(&claim) else { return };
        let standing = Standing::of(claim, &gathering.meter);
        gathering.recorded = gathering.meter.samples().len();
        gathering.quarters = gathering.meter.reached().iter().flatten().count();
        let (target, seen) = (runbook.target.as_ref(), self.workload.as_ref());
        let read = |slot: Option<&SlotName>| {
            let slot = slot.filter(|_| declared.per_slot).zip(target);
            selectors(declared, slot.map(|(slot, target)| SlotLabels::of(slot, target, seen)).as_ref())
        };
        let against = previous
            .filter(|_| standing.old.is_some())
            .and_then(|slot| Some(Against { slot: slot.to_string(), selectors: read(Some(&slot))? }));
        let Some(selectors) = read(judged.as_ref()) else { return };
        let mut card = Card::of(&gathering.meter, selectors, against);
        card.ln_e = card.ln_e.map(written);
        card.keep_newest(MOST_RECORDED);
        let words = self.run.standing_words(&standing).unwrap_or_default();
        self.emit(RunEvent::EvidenceTold { claim, metric: metric.clone(), words, card: Box::new(card) });
    }

    /// Where the evidence for every claim stands, for screens.
    pub fn standings(&self) -> impl Iterator<Item = Standing> {
        self.evidence.iter().map(|(claim, gathering)| Standing::of(*claim, &gathering.meter))
    }

    /// A person has called the verdict wrong: it takes new evidence to say it again.
    pub(super) fn reset_evidence(&mut self, trigger: usize) {
        let claim = self.run.runbook.claim_of(trigger);
        if let Some((claim, gathering)) = claim.and_then(|claim| Some((claim, self.evidence.get(&claim)?)))
            && let Ok(mut meter) = Meter::new(gathering.meter.terms())
        {
            meter.pass_over(gathering.meter.came());
            self.evidence.insert(claim, Gathering::new(meter));
        }
    }

    /// Takes in what a sample has counted.
    pub(super) fn feed_evidence(&mut self, sample: &Sample) {
        let Some(counts) = sample.counts else { return };
        let runbook = Arc::clone(&self.run.runbook);
        for (index, claim) in runbook.claims().iter().enumerate().filter(|(_, it)| it.metric == sample.metric)
        {
            let Some(metric) = runbook.metric(claim.metric.as_str()) else { continue };
            if self.take_counts(index, metric, sample, counts) {
                self.weigh(index, claim);
            }
            // The first that fires decides.
            if !self.armed() {
                return;
            }
        }
    }

    /// Gives counts to a claim's meter; `true` where that has changed it.
    fn take_counts(&mut self, claim: usize, metric: &Metric, sample: &Sample, counts: Counts) -> bool {
        let judged = self.run.judged_slot();
        let previous = self.run.opened.previous.as_ref().map(|target| target.slot.clone());
        // Both have users: then what fails for both condemns neither.
        let beside = metric.per_slot
            && previous != judged
            && previous.as_ref().is_some_and(|slot| share_of(&self.run.shares, slot) > Share::NONE);
        let Some(gathering) = self.evidence.get_mut(&claim) else { return false };
        if !metric.per_slot || sample.slot == judged {
            let (since, sum) = gathering.new.unwrap_or((sample.at, Counts::NONE));
            let since = if sum.all > 0.0 { since } else { sample.at };
            gathering.new = Some((since, sum + counts));
        } else if beside && sample.slot == previous {
            gathering.old = Some(gathering.old.unwrap_or_default() + counts);
        } else {
            return false;
        }
        let Some((since, new)) = gathering.new.filter(|(_, new)| new.all > 0.0) else { return false };
        // The two slots are scraped at different moments: the counts of one wait for those of the other.
        let old = gathering.old.filter(|old| beside && old.all > 0.0);
        if beside && old.is_none() && sample.at.since(since) < patience(metric.interval) {
            return false;
        }
        (gathering.new, gathering.old) = (None, None);
        // Both slots are asked at nearly the same moment, in no order.
        let at = gathering.meter.samples().last().map_or(sample.at, |last| sample.at.max(last.at));
        match old {
            Some(old) => gathering.meter.add_beside(at, new, old),
            None => gathering.meter.add(at, new),
        };
        true
    }

    /// What a claim's evidence means now: records at every quarter, and the triggers that it fires.
    fn weigh(&mut self, index: usize, claim: &Claim) {
        let Some(gathering) = self.evidence.get(&index) else { return };
        let standing = Standing::of(index, &gathering.meter);
        let reached = gathering.meter.reached().iter().flatten().count();
        let grown = reached > gathering.quarters;
        let runbook = Arc::clone(&self.run.runbook);
        let fires = |(at, trigger): (usize, &crate::domain::runbook::Trigger)| {
            let watch = trigger.watch.as_ref()?;
            let mine = watch.metric == claim.metric && watch.rule == Rule::Worse(claim.worse);
            (mine && self.run.triggers[at].fired.is_none()).then_some((at, watch.then))
        };
        let worse = standing.stage == Stage::Worse;
        let due: Vec<_> =
            if worse { runbook.triggers.iter().enumerate().filter_map(fires).collect() } else { Vec::new() };
        if grown || !due.is_empty() {
            self.record_claim(index);
        }
        for (trigger, then) in due {
            let reason = self.run.verdict_words(trigger, &standing).unwrap_or_default();
            self.fire(trigger, reason, then);
            if !self.armed() {
                return;
            }
        }
    }

    /// What evidence says of a check that claims `not worse than`.
    pub(super) fn rule_by_evidence(
        &self,
        metric: &MetricId,
        than: Than,
        no_traffic: Option<NoTraffic>,
    ) -> Ruling {
        let claim = self.run.runbook.claim(metric, Worse::usual(than));
        let Some(claim) = claim else { return Ruling::Fails("nothing is counted for it".to_owned()) };
        let Some(gathering) = self.evidence.get(&claim) else {
            let known = self.run.evidence.get(&claim);
            return match known.and_then(|known| known.remark.clone().filter(|_| known.terms.is_none())) {
                Some(why) => Ruling::Fails(why),
                None => Ruling::Waits("waits: nothing was counted since the switch yet".to_owned()),
            };
        };
        let standing = Standing::of(claim, &gathering.meter);
        let words = self.run.standing_words(&standing).unwrap_or_default();
        match (standing.stage, no_traffic) {
            (Stage::Worse, _) => Ruling::Fails(words),
            (Stage::Open, _) => Ruling::Holds(self.run.standing_short(&standing)),
            (Stage::TooLittle, Some(NoTraffic::Skip)) => Ruling::Skipped(format!("skipped: {words}")),
            (Stage::TooLittle, Some(NoTraffic::Fail)) => Ruling::Fails(words),
            (Stage::TooLittle, Some(NoTraffic::Wait) | None) => Ruling::Waits(format!("waits: {words}")),
        }
    }
}

/// What is read of a slot, with what is known of it filled in.
fn selectors(metric: &Metric, slot: Option<&SlotLabels>) -> Option<Selectors> {
    let counted = metric.counted()?;
    let filled = |text: &str| slot.and_then(|slot| slot.fill(text).ok()).unwrap_or_else(|| text.to_owned());
    Some(Selectors {
        what: if counted.good { What::Good } else { What::Bad },
        counted: filled(&counted.part),
        all: filled(&counted.all),
    })
}

/// The evidence of a machine.
pub(super) type Evidence = BTreeMap<usize, Gathering>;
/// What was counted before the switch, by `metric` or `metric/slot`.
pub(super) type Counted = BTreeMap<String, Before>;
