//! The claims that a runbook makes of counted metrics, and where the evidence for each stands.
//!
//! Triggers and checks that claim the same of the same metric share their evidence. A claim is known by its place in
//! [`Runbook::claims`], which depends on nothing but the runbook.

use serde::{Deserialize, Serialize};

use super::{
    check::{CheckKind, Condition},
    evidence::{
        counts::Counts,
        meter::{Finding, Meter},
    },
    id::MetricId,
    metric::Unit,
    run::Run,
    runbook::{Rule, Runbook},
    worse::{Than, Worse},
};

/// How certain the upper bound is that speaks for a release.
const BOUND_CERTAINTY: f64 = 0.99;

/// What is claimed of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The metric.
    pub metric: MetricId,
    /// The claim.
    pub worse: Worse,
}

/// Where the evidence stands now, as a screen shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The claim's place among [`Runbook::claims`].
    pub claim: usize,
    /// What can be said.
    pub stage: Stage,
    /// The part of what a verdict takes, 0 to 100.
    pub percent: f64,
    /// What was counted on the new slot.
    pub new: Counts,
    /// … and on the old one while both had users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Counts>,
    /// With 99 % certainty the share of bad events is below this, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

/// What evidence allows to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Too little traffic for any verdict. Never "fine".
    TooLittle,
    /// Not enough evidence that it is worse.
    Open,
    /// It is worse.
    Worse,
}

impl Standing {
    /// Where a meter stands.
    #[must_use]
    pub fn of(claim: usize, meter: &Meter) -> Self {
        let shown = meter.shown();
        Self {
            claim,
            stage: match shown.finding {
                Finding::TooLittle => Stage::TooLittle,
                Finding::Open => Stage::Open,
                Finding::Worse { .. } => Stage::Worse,
            },
            percent: shown.percent,
            new: shown.new,
            old: shown.old,
            below: meter.below(BOUND_CERTAINTY),
        }
    }

    /// The part of what a verdict takes in whole percent; all of it only where there is one.
    fn part(&self) -> f64 {
        self.percent.floor().min(99.0)
    }
}

impl Runbook {
    /// All claims, each once: those of triggers first, then those of checks.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let watched = self.triggers.iter().filter_map(|trigger| trigger.watch.as_ref());
        let fired = watched.filter_map(|watch| match watch.rule {
            Rule::Worse(worse) => Some(Claim { metric: watch.metric.clone(), worse }),
            Rule::Fixed { .. } => None,
        });
        let checked = self.checks().filter_map(|check| match &check.kind {
            CheckKind::Metric { metric, condition: Condition::NotWorse(than), .. } => {
                Some(Claim { metric: metric.clone(), worse: Worse::usual(*than) })
            }
            _ => None,
        });
        let mut claims = Vec::new();
        for claim in fired.chain(checked) {
            if !claims.contains(&claim) {
                claims.push(claim);
            }
        }
        claims
    }

    /// The place of a claim among [`Self::claims`].
    #[must_use]
    pub fn claim(&self, metric: &MetricId, worse: Worse) -> Option<usize> {
        self.claims().iter().position(|claim| claim.metric == *metric && claim.worse == worse)
    }

    /// The claim of a trigger that evidence decides.
    #[must_use]
    pub fn claim_of(&self, trigger: usize) -> Option<usize> {
        let watch = self.triggers.get(trigger)?.watch.as_ref()?;
        self.claim(&watch.metric, watch.rule.worse()?)
    }
}

impl Run {
    /// Where the evidence for every claim stood when it was last written down.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let told = self.evidence.iter().filter_map(|(claim, gathered)| {
            let meter = match &gathered.card {
                Some(card) => card.meter().ok()?,
                None => Meter::new(gathered.terms?).ok()?,
            };
            Some(Standing::of(*claim, &meter))
        });
        told.collect()
    }

    /// Whose events are counted, for the middle of a sentence: `GREEN`, or `the new version`.
    fn whose(&self, metric: &MetricId) -> String {
        let per_slot = self.runbook.metric(metric.as_str()).is_some_and(|metric| metric.per_slot);
        let slot = self.judged_slot().filter(|_| per_slot);
        slot.map_or_else(|| "the new version".to_owned(), |slot| slot.as_str().to_uppercase())
    }

    /// `worse than 0.1 %`, `worse than before (0.12 %)`
    fn than_words(&self, claim: usize, than: Than) -> String {
        let terms = self.evidence.get(&claim).and_then(|gathered| gathered.terms);
        match (than, terms) {
            (Than::Before, Some(terms)) => format!("{} ({})", than.show(), Unit::Percent.show(terms.p0)),
            _ => than.show(),
        }
    }

    /// `41 of 3,120 failed`, with the old slot's where both had users.
    fn counted_words(&self, metric: &MetricId, new: Counts, old: Option<Counts>) -> String {
        let good = self
            .runbook
            .metric(metric.as_str())
            .and_then(|metric| metric.counted())
            .is_some_and(|it| it.good);
        let word = if good { "bad" } else { "failed" };
        let of = |counts: Counts| format!("{} of {} {word}", grouped(counts.bad), grouped(counts.all));
        let previous = self.opened.previous.as_ref().map(|target| target.slot.as_str().to_uppercase());
        match old.zip(previous) {
            Some((old, previous)) => format!("{}; {previous} {}", of(new), of(old)),
            None => of(new),
        }
    }

    /// What may be said for the release: `0.14 %`, told from what it is judged by.
    fn below(&self, standing: &Standing) -> Option<String> {
        let p0 = self.evidence.get(&standing.claim).and_then(|gathered| Some(gathered.terms?.p0));
        Some(Unit::Percent.show_beside(standing.below?, p0))
    }

    /// What a check that holds has seen, short: `evidence 3 %, below 2.1 % (99 % sure)`.
    #[must_use]
    pub fn standing_short(&self, standing: &Standing) -> String {
        let below =
            self.below(standing).map_or_else(String::new, |below| format!(", below {below} (99 % sure)"));
        format!("evidence {} %{below}", standing.part())
    }

    /// Where the evidence stands, in words; nothing for a claim that the runbook does not make.
    #[must_use]
    pub fn standing_words(&self, standing: &Standing) -> Option<String> {
        let claims = self.runbook.claims();
        let Claim { metric, worse } = claims.get(standing.claim)?;
        let (whose, than) = (self.whose(metric), self.than_words(standing.claim, worse.than));
        let counted = self.counted_words(metric, standing.new, standing.old);
        Some(match standing.stage {
            Stage::TooLittle => format!(
                "too little traffic ({} of {} events) to say whether {whose} is {than}",
                grouped(standing.new.all),
                grouped(f64::from(worse.at_least))
            ),
            Stage::Open => {
                let part = standing.part();
                let below = self
                    .below(standing)
                    .map_or_else(String::new, |below| format!("; with 99 % certainty below {below}"));
                format!("evidence that {whose} is {than}: {part} % of what it takes ({counted}){below}")
            }
            Stage::Worse => format!("{whose} is {than}: {}", certainly(&counted, worse.certainty)),
        })
    }

    /// Why a trigger fires by evidence: `error rate worse than 0.1 %: 41 of 320 failed (99.9 % certain)`.
    #[must_use]
    pub fn verdict_words(&self, trigger: usize, standing: &Standing) -> Option<String> {
        let declared = self.runbook.triggers.get(trigger)?;
        let watch = declared.watch.as_ref()?;
        let counted = self.counted_words(&watch.metric, standing.new, standing.old);
        Some(format!("{}: {}", declared.reason, certainly(&counted, watch.rule.worse()?.certainty)))
    }
}

/// `41 of 320 failed (99.9 % certain)`
fn certainly(counted: &str, certainty: f64) -> String {
    format!("{counted} ({} certain)", Unit::Percent.show_beside(certainty, [1.0]))
}

/// `3,120`
#[must_use]
pub fn grouped(count: f64) -> String {
    let digits = format!("{:.0}", count.max(0.0));
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        for (count, shown) in [(0.0, "0"), (999.0, "999"), (3120.0, "3,120"), (1_234_567.4, "1,234,567")] {
            assert_eq!(grouped(count), shown);
        }
    }
}
