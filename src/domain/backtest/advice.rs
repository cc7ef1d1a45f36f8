//! What would have been quiet while nothing was released and still have caught the releases that were bad.
//!
//! Every window has an edge: the strictest bound (or the highest evidence) at which the trigger still fires in it. A bound beyond
//! the edges of all harmless windows is quiet; one short of the edges of all bad runs catches them. Between the two is room, or
//! there is none, and nothing tells them apart. Whatever is advised is run once more through all of them before it is said.

use serde::{Deserialize, Serialize};

use super::{past_run::PastRun, trial::Measured};
use crate::domain::{
    metric::{Bound, Metric, Op, Unit},
    runbook::{Rule, TriggerWatch},
    time::{Span, Timestamp},
    worse::{Than, Worse},
};

/// Shares that are tried, as parts of the one in the runbook; the nearest first.
const FACTORS: [f64; 13] = [1.0, 1.25, 0.8, 1.5, 0.7, 2.0, 0.5, 3.0, 0.3, 5.0, 0.2, 10.0, 0.1];

/// Certainties that are tried.
const CERTAINTIES: [f64; 9] = [0.9, 0.95, 0.99, 0.995, 0.999, 0.999_5, 0.999_9, 0.999_99, 0.999_999];

/// "Worse than" can be asked of no higher share.
const MOST_SHARE: f64 = 0.5;

/// A certainty is chosen so that twice the evidence of the worst harmless window would still be quiet, if there is one.
const MARGIN: f64 = std::f64::consts::LN_2;

/// What would have been quiet in harmless times and still have caught the runs that were rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "advice", content = "text", rename_all = "snake_case")]
pub enum Advice {
    /// The trigger as it is: nothing of what is known speaks against it.
    Keep,
    /// This one instead.
    Instead(String),
    /// None of those tried; why.
    None(String),
}

/// What the advised trigger would have done in the same past; reckoned once more with it, and not concluded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Proof {
    /// Windows without a release, in all of which it would have been quiet.
    pub quiet: usize,
    /// Runs that were rolled back, all of which it would have caught.
    pub caught: usize,
    /// The longest that this would have taken, in milliseconds from the moment users met the new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowest: Option<Span>,
    /// Runs that were rolled back so soon, or measured so little, that no bound would have caught them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_of_reach: Vec<String>,
    /// From where to where anything would have done as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<[String; 2]>,
}

/// What the past says of one trigger.
pub(super) struct Known<'a> {
    /// The trigger.
    pub(super) watch: &'a TriggerWatch,
    /// Its metric.
    pub(super) metric: &'a Metric,
    /// How long a release is watched.
    pub(super) window: Span,
    /// The times without a release in which enough was measured.
    pub(super) harmless: Vec<&'a Measured>,
    /// The runs that were rolled back, where enough was measured.
    pub(super) bad: Vec<(&'a PastRun, &'a Measured)>,
}

/// How far the trigger fires in a window: the strictest bound, as badness that grows; or the highest ln E.
type Edge = f64;

/// What lies between the harmless windows and the bad runs.
struct Room<'a> {
    /// The worst of the harmless: only what is beyond is quiet. With when it was.
    quiet: Option<(Edge, Timestamp)>,
    /// The least of the bad: only what is short of it catches all. With which run it was.
    caught: Option<(Edge, &'a PastRun)>,
    /// Runs that nothing would have caught.
    out_of_reach: Vec<String>,
}

impl Room<'_> {
    /// Why there is nothing better.
    fn nothing(&self, show: &dyn Fn(Edge) -> String) -> String {
        match (self.quiet, self.caught) {
            (Some((quiet, at)), Some((caught, run))) if quiet.is_finite() && quiet >= caught => format!(
                "the window at {at} without a release was as bad ({}) as run {} ({}); if something was wrong then, leave it out \
                 with --except",
                show(quiet),
                run.run_id,
                show(caught)
            ),
            (Some((quiet, at)), _) if !quiet.is_finite() => {
                format!("it fires where nothing is measured, as in the window at {at}, whatever its bound")
            }
            (Some((quiet, at)), None) => format!(
                "the window at {at} without a release is the worst ({}); if something was wrong then, leave it out with --except",
                show(quiet)
            ),
            _ => "none of those tried is quiet and catches what was rolled back".to_owned(),
        }
    }
}

impl<'a> Known<'a> {
    /// What would have been better, and what that would have done.
    pub(super) fn advise(&self) -> (Advice, Option<Proof>) {
        if self.harmless.is_empty() && self.bad.is_empty() {
            return (Advice::None("too little was measured".to_owned()), None);
        }
        match self.watch.rule {
            Rule::Fixed { when, hold_for } => self.bound(when, hold_for),
            Rule::Worse(claim) => self.claim(claim),
        }
    }

    /// The room that there is; `edge` is none where nothing fires in a window.
    fn room(&self, edge: impl Fn(&Measured) -> Option<Edge>) -> Room<'a> {
        let mut room = Room { quiet: None, caught: None, out_of_reach: Vec::new() };
        for measured in &self.harmless {
            if let Some(found) = edge(measured)
                && room.quiet.is_none_or(|(worst, _)| found > worst)
            {
                room.quiet = Some((found, measured.window.from));
            }
        }
        for (run, measured) in &self.bad {
            match edge(measured) {
                None => room.out_of_reach.push(run.run_id.clone()),
                Some(found) if room.caught.is_none_or(|(least, _)| found < least) => {
                    room.caught = Some((found, *run));
                }
                Some(_) => {}
            }
        }
        room
    }

    fn bound(&self, when: Bound, hold_for: Span) -> (Advice, Option<Proof>) {
        let sign = if matches!(when.op, Op::Gt | Op::Ge) { 1.0 } else { -1.0 };
        let room = self.room(|measured| edge(self.watch, sign, hold_for, measured));
        if room.quiet.is_none() && room.caught.is_none() {
            let why = format!("with `for` {hold_for} nothing fires in any window or run, whatever the bound");
            return (Advice::None(why), None);
        }
        let show = |badness: f64, beside: &[f64]| {
            let value = sign * badness;
            format!(
                "{} {}",
                when.op,
                self.metric.unit.show_beside(value, beside.iter().map(|badness| sign * badness))
            )
        };
        let rule = |value: f64| Rule::Fixed { when: Bound { value, ..when }, hold_for };
        if let Some(proof) = self.proof(rule(when.value), &room) {
            return (Advice::Keep, Some(proof));
        }
        let (quiet, caught) = (room.quiet.map(|(edge, _)| edge), room.caught.map(|(edge, _)| edge));
        let declared = sign * when.value;
        let beside: Vec<f64> = quiet.into_iter().chain(caught).filter(|edge| edge.is_finite()).collect();
        let wanted = match (quiet, caught) {
            (Some(quiet), Some(caught)) if quiet >= caught => None,
            (Some(quiet), Some(caught)) if quiet * caught > 0.0 && caught.is_finite() => {
                Some((quiet * caught).sqrt().copysign(quiet))
            }
            (Some(quiet), Some(caught)) if caught.is_finite() => Some(quiet.midpoint(caught)),
            (Some(edge), _) | (None, Some(edge)) if edge.is_finite() => Some(beyond(edge, declared)),
            _ => None,
        };
        let found = wanted.and_then(|wanted| {
            // The fewest digits that are still between the two.
            (2..6).map(|digits| rounded(wanted, digits)).find_map(|badness| {
                let inside =
                    quiet.is_none_or(|quiet| badness > quiet) && caught.is_none_or(|caught| badness < caught);
                let proof = self.proof(rule(sign * badness), &room).filter(|_| inside)?;
                Some((badness, proof))
            })
        });
        if let Some((badness, mut proof)) = found {
            if let (Some(quiet), Some(caught)) = (quiet, caught) {
                proof.room = Some([quiet, caught].map(|edge| show(edge, &[badness])));
            }
            return (Advice::Instead(format!("{} for {hold_for}", show(badness, &beside))), Some(proof));
        }
        (Advice::None(room.nothing(&|edge| self.metric.unit.show(sign * edge))), None)
    }

    fn claim(&self, claim: Worse) -> (Advice, Option<Proof>) {
        let mut first = None;
        for factor in FACTORS {
            let than = match claim.than {
                Than::Share(share) if share * factor <= MOST_SHARE => Than::Share(rounded(share * factor, 3)),
                Than::Before if (factor - 1.0).abs() < f64::EPSILON => Than::Before,
                Than::Share(_) | Than::Before => continue,
            };
            let than = if (factor - 1.0).abs() < f64::EPSILON { claim.than } else { than };
            // The certainty moves only the line that the evidence must reach, so one reckoning is enough for all.
            let room = self.room(|measured| {
                let weighed = measured.weigh(Worse { than, ..claim }, self.metric, self.window);
                weighed.ok().map(|weighed| weighed.highest).filter(|highest| highest.is_finite())
            });
            if room.quiet.is_none() && room.caught.is_none() {
                return (Advice::None("there was never enough traffic for a verdict".to_owned()), None);
            }
            if let Some((certainty, proof)) = self.certainty(Worse { than, ..claim }, &room) {
                let found = Worse { than, certainty, ..claim };
                if found == claim {
                    return (Advice::Keep, Some(proof));
                }
                let certainty = Unit::Percent.show_beside(certainty, [1.0]);
                return (Advice::Instead(format!("{} with {certainty} certainty", than.show())), Some(proof));
            }
            first.get_or_insert(room);
        }
        let evidence = |ln_e: f64| format!("E = {:.3e}", ln_e.exp());
        let why = first.map(|room| room.nothing(&evidence)).unwrap_or_default();
        (Advice::None(why), None)
    }

    /// The certainty nearest to the declared one that is quiet and catches, with its proof.
    fn certainty(&self, claim: Worse, room: &Room<'_>) -> Option<(f64, Proof)> {
        let line = |certainty: f64| -(1.0 - certainty).ln();
        let declared = line(claim.certainty);
        let fits = |certainty: f64, margin: f64| {
            room.quiet.is_none_or(|(worst, _)| line(certainty) > worst + margin)
                && room.caught.is_none_or(|(least, _)| line(certainty) <= least)
        };
        let mut tried: Vec<f64> = CERTAINTIES.to_vec();
        tried.sort_by(|a, b| (line(*a) - declared).abs().total_cmp(&(line(*b) - declared).abs()));
        let asked = std::iter::once(claim.certainty).filter(|certainty| fits(*certainty, 0.0));
        let wide = tried.iter().copied().filter(|certainty| fits(*certainty, MARGIN));
        let narrow = tried.iter().copied().filter(|certainty| fits(*certainty, 0.0));
        asked.chain(wide).chain(narrow).find_map(|certainty| {
            let proof = self.proof(Rule::Worse(Worse { certainty, ..claim }), room)?;
            Some((certainty, proof))
        })
    }

    /// What a rule would have done; none where it is not quiet, or misses a run that is in reach.
    fn proof(&self, rule: Rule, room: &Room<'_>) -> Option<Proof> {
        let watch = TriggerWatch { rule, ..self.watch.clone() };
        let fires = |measured: &Measured| match rule {
            Rule::Fixed { .. } => measured.fires(&watch),
            Rule::Worse(claim) => {
                measured.weigh(claim, self.metric, self.window).ok().and_then(|weighed| weighed.worse)
            }
        };
        if self.harmless.iter().any(|measured| fires(measured).is_some()) {
            return None;
        }
        let mut proof =
            Proof { quiet: self.harmless.len(), out_of_reach: room.out_of_reach.clone(), ..Proof::default() };
        for (run, measured) in &self.bad {
            match fires(measured) {
                Some(at) => {
                    proof.caught += 1;
                    proof.slowest = proof.slowest.max(Some(at.since(run.watched.from)));
                }
                None if room.out_of_reach.contains(&run.run_id) => {}
                None => return None,
            }
        }
        Some(proof)
    }
}

/// The strictest bound at which a fixed rule still fires in a window, as badness: the greater the worse.
fn edge(watch: &TriggerWatch, sign: f64, hold_for: Span, measured: &Measured) -> Option<Edge> {
    let fires = |badness: f64| {
        let op = if sign > 0.0 { Op::Ge } else { Op::Le };
        let rule = Rule::Fixed { when: Bound { op, value: sign * badness }, hold_for };
        measured.fires(&TriggerWatch { rule, ..watch.clone() }).is_some()
    };
    if fires(f64::INFINITY) {
        return Some(f64::INFINITY);
    }
    let values = measured.samples.iter().filter_map(|sample| sample.value.as_ref().ok());
    let mut levels: Vec<f64> = values.filter(|value| value.is_finite()).map(|value| sign * value).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let fired = levels.partition_point(|level| fires(*level));
    levels.get(fired.checked_sub(1)?).copied()
}

/// As far beyond what it must clear as half of what the declared bound was off by.
fn beyond(edge: f64, declared: f64) -> f64 {
    if edge * declared > 0.0 {
        edge * (edge / declared).sqrt()
    } else {
        0.5_f64.mul_add(edge - declared, edge)
    }
}

/// A number with so many digits that say something.
fn rounded(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a finite number")]
    let exponent = digits - 1 - value.abs().log10().floor() as i32;
    // Dividing by a power of ten is exact where multiplying by its inverse is not.
    if exponent >= 0 {
        let scale = 10_f64.powi(exponent);
        (value * scale).round() / scale
    } else {
        let scale = 10_f64.powi(-exponent);
        (value / scale).round() * scale
    }
}
