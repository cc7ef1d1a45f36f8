//! The cards of verdicts: what was counted, what was asked of it, how far the evidence went, and whether it can be computed again.

use super::{outcome::seconds, tone::Tone};
use crate::domain::{
    claim::grouped,
    event::{Envelope, RunEvent},
    evidence::{card::Card, terms::Terms},
    metric::Unit,
    run::Run,
    time::Timestamp,
    worse::Than,
};

/// What is known of one claim.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// `Error rate, worse than 0.1 %`.
    pub title: String,
    /// Where it stands, in a sentence.
    pub words: String,
    /// Whether somebody should look.
    pub tone: Tone,
    /// What it rests on.
    pub facts: Vec<(&'static str, String)>,
    /// What a reader who computes it again finds.
    pub again: Option<(Tone, String)>,
}

/// The card of each claim, by the order in which evidence for it began.
pub fn verdicts(run: &Run, events: &[Envelope]) -> Vec<Verdict> {
    let begun = events.iter().filter_map(|envelope| match &envelope.event {
        RunEvent::EvidenceBegan { claim, metric, than, terms, remark } => {
            Some((*claim, metric, *than, *terms, remark.clone(), envelope.at))
        }
        _ => None,
    });
    let mut seen = Vec::new();
    let mut verdicts = Vec::new();
    for (claim, metric, than, terms, remark, at) in begun {
        if seen.contains(&claim) {
            continue;
        }
        seen.push(claim);
        let title =
            run.runbook.metric(metric.as_str()).map_or(metric.as_str(), |metric| metric.title.as_str());
        let told = events.iter().rev().find_map(|envelope| match &envelope.event {
            RunEvent::EvidenceTold { claim: of, words, card, .. } if *of == claim => Some((words, card)),
            _ => None,
        });
        let title = format!("{title}, {}", than.show());
        verdicts.push(match told {
            Some((words, card)) => of_card(title, words, card, remark, at),
            None => Verdict {
                title,
                words: remark.unwrap_or_else(|| "No evidence was written down.".to_owned()),
                tone: Tone::Watch,
                facts: terms.map(|terms| asked(than, terms)).unwrap_or_default(),
                again: None,
            },
        });
    }
    verdicts
}

fn of_card(title: String, words: &str, card: &Card, remark: Option<String>, began: Timestamp) -> Verdict {
    let mut facts = vec![
        ("Counted", card.selectors.counted.clone()),
        ("Out of", card.selectors.all.clone()),
        ("New version", format!("{} bad of {}", grouped(card.new.bad), grouped(card.new.all))),
    ];
    if let (Some(against), Some(old)) = (&card.against, card.old) {
        facts.push((
            "Compared with",
            format!("{}: {} bad of {}", against.slot, grouped(old.bad), grouped(old.all)),
        ));
    }
    facts.extend(terms(card.terms));
    if let Some(ln_e) = card.ln_e {
        let (reached, target) = (ln_e.exp(), 1.0 / card.terms.alpha);
        facts
            .push(("Evidence", format!("E = {reached:.3e} (ln E = {ln_e:.3}); a verdict takes {target:.0}")));
    }
    let after = |at: Timestamp| {
        format!("{} UTC, {} after users met it", at.clock(), seconds(at.since(began).as_millis()))
    };
    let reached = [25, 50, 75].iter().zip(card.reached);
    let reached: Vec<String> =
        reached.filter_map(|(part, at)| Some(format!("{part} % at {}", at?.clock()))).collect();
    if !reached.is_empty() {
        facts.push(("Reached", format!("{} UTC", reached.join(", "))));
    }
    facts.extend(card.worse.map(|at| ("Verdict", after(at))));
    facts.extend(remark.map(|remark| ("Remark", remark)));
    let again = match card.check() {
        Ok(()) => {
            (Tone::Well, format!("Computed again from the card's {} samples: it agrees.", card.samples.len()))
        }
        Err(why) if card.left_out > 0 => {
            (Tone::Watch, format!("It cannot be computed again from this card: {why}."))
        }
        Err(why) => (Tone::Bad, format!("Computed again, it does NOT AGREE: {why}.")),
    };
    let tone = if card.worse.is_some() { Tone::Bad } else { Tone::Plain };
    Verdict { title, words: words.to_owned(), tone, facts, again: Some(again) }
}

fn asked(than: Than, asked: Terms) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Asked", than.show())];
    facts.extend(terms(asked));
    facts
}

fn terms(terms: Terms) -> Vec<(&'static str, String)> {
    let Terms { p0, alpha, phi, usual, starts, at_least, weighed: _, compared: _ } = terms;
    let seen = usual.map_or_else(String::new, |usual| format!(", seen at {}", Unit::Percent.show(usual)));
    vec![
        ("Worse than", format!("p0 = {}", Unit::Percent.show(p0))),
        ("False alarms", format!("alpha = {} of harmless runs", Unit::Percent.show(alpha))),
        ("Burstiness", format!("phi = {phi:.2}{seen}")),
        ("Starts", format!("N = {starts} samples in which it could begin")),
        ("At least", format!("{} events", grouped(at_least))),
    ]
}
