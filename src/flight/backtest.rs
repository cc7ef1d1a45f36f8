//! Looking for `cutover backtest`: what the metrics' sources and this host's journals know of the past. Nothing is written, and
//! sources are only read.
//!
//! The long time without releases is asked for coarsely, past runs as densely as they were measured live. Where the metric is
//! per slot, the slot that had the users counts; the journals tell which one that was.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{
    online::{Known, now},
    stop::Stop,
    store,
};
use crate::{
    adapters::{http::HttpOptions, metrics::MetricsAdapter},
    domain::{
        backtest::{
            Backtest, LeftOut, SCHEMA_VERSION, Window,
            judge::{Judged, judge},
            past_run::{PastRun, incident},
            trial::Measured,
            windows,
        },
        event::Outcome,
        evidence::{
            baseline::{BEFORE, BLOCK},
            before::{Before, watched},
            counters::Answer,
            lane::Lane,
        },
        id::SlotName,
        metric::{Metric, Missing, Sample},
        runbook::{Runbook, Trigger},
        slot_labels::SlotLabels,
        time::{Span, Timestamp},
    },
    engine::values::Secrets,
};

/// No source is asked for more of the past than this.
const LONGEST: Span = Span::from_mins(90 * 24 * 60);
/// The long past is asked for in steps no finer than this.
const COARSE: Span = Span::from_secs(15);
/// So many steps of expressions in one answer …
const MOST_STEPS: u64 = 5_000;
/// … and of raw counters, of which there may be thousands.
const MOST_COUNTED_STEPS: u64 = 500;

/// Looks back. `vars` are the values given as `NAME=VALUE`; in `except` something else is known to have been wrong.
///
/// # Errors
/// If a value fits no variable, a source can't be set up, or the state directory can't be read.
pub async fn look(
    runbook: &Runbook,
    vars: &[String],
    state: &Path,
    since: Span,
    except: &[Window],
) -> Result<Backtest, Stop> {
    let window = watched(runbook);
    if since < window || since > LONGEST {
        return Err(Stop::usage(format!(
            "--since {since} is not between {window}, which is how long the runbook watches a release, and {LONGEST}\nfor \
             example: --since 14d"
        )));
    }
    let secrets = Arc::new(Secrets::default());
    let known = Known::of(runbook, vars, &secrets)?;
    let mask = {
        let secrets = Arc::clone(&secrets);
        Arc::new(move |text: &str| secrets.mask(text)) as Arc<dyn Fn(&str) -> String + Send + Sync>
    };
    let options = HttpOptions { mask: Some(mask), ..HttpOptions::default() };
    let sources = MetricsAdapter::new(&runbook.sources, |template| known.expand(template), &options)?;
    let to = now();
    // Steps at round times, so that the same question gives the same answer.
    let to = Timestamp(to.0 - to.0.rem_euclid(60_000));
    let whole = Window { from: to - since, to };
    let mut remarks = Vec::new();
    let Journals { runs, mut left_out } = journals(runbook, state, whole, &mut remarks)?;
    leave_out(&mut left_out, except, whole, &secrets);
    let past = Past { sources: &sources, runbook, runs: &runs, left_out: &left_out, whole, window };
    let mut judged = Vec::new();
    for trigger in &runbook.triggers {
        judged.extend(past.judge(trigger, &mut remarks).await);
    }
    remarks = remarks.iter().map(|remark| secrets.mask(remark)).collect();
    let mut once = BTreeSet::new();
    remarks.retain(|remark| once.insert(remark.clone()));
    Ok(Backtest {
        schema_version: SCHEMA_VERSION,
        module: runbook.document.module.clone(),
        from: whole.from,
        to: whole.to,
        window,
        triggers: judged,
        runs: runs.len(),
        left_out,
        remarks,
    })
}

/// What does not count for the judgement, by time: what was wrong then, or what somebody says was.
fn leave_out(left_out: &mut Vec<LeftOut>, except: &[Window], whole: Window, secrets: &Secrets) {
    left_out.extend(except.iter().map(|window| LeftOut { window: *window, why: "--except".to_owned() }));
    left_out.retain(|left| left.window.from < whole.to && whole.from < left.window.to);
    left_out.sort_by_key(|left| left.window.from);
    for left in left_out {
        left.why = secrets.mask(&left.why);
    }
}

/// What the journals on this host know.
struct Journals {
    /// The runs of the runbook's module, oldest first.
    runs: Vec<PastRun>,
    /// Times in which something was wrong: incidents that were declared in any run, and releases of other modules that were
    /// rolled back.
    left_out: Vec<LeftOut>,
}

/// Reads all journals.
fn journals(
    runbook: &Runbook,
    state: &Path,
    whole: Window,
    remarks: &mut Vec<String>,
) -> Result<Journals, Stop> {
    let (mut runs, mut left_out) = (Vec::new(), Vec::new());
    for (id, dir) in store::dirs(state)? {
        match store::events(&dir) {
            Ok(events) => {
                left_out.extend(incident(&events));
                runs.extend(PastRun::of(&events));
            }
            Err(error) => remarks.push(format!("run {id} cannot be read: {error}")),
        }
    }
    let (mut runs, others): (Vec<_>, Vec<_>) =
        runs.into_iter().partition(|run: &PastRun| run.module == runbook.document.module);
    if !others.is_empty() {
        let many = others.len();
        remarks.push(format!(
            "{many} {} of other modules {} no release of this one; the time in which users had a version that was rolled back is \
             left out",
            if many == 1 { "run" } else { "runs" },
            if many == 1 { "is" } else { "are" },
        ));
    }
    left_out.extend(others.into_iter().filter(PastRun::was_bad).map(|run| {
        let why = format!("run {} of {} was rolled back", run.run_id, run.module);
        LeftOut { window: Window { from: run.watched.from, to: run.whole.to }, why }
    }));
    runs.retain(|run| run.watched.from >= whole.from);
    runs.sort_by_key(|run| run.watched.from);
    if runs.is_empty() {
        remarks.push(
            "no past run of this module on this host: only false alarms are counted, and which slot had the users is not known"
                .to_owned(),
        );
    }
    for run in runs.iter().filter(|run| run.outcome == Some(Outcome::RollbackFailed)) {
        remarks.push(format!(
            "the rollback of run {} failed, and its journal does not tell until when users had trouble: leave that out with \
             --except",
            run.run_id
        ));
    }
    Ok(Journals { runs, left_out })
}

/// What the past is asked for.
struct Past<'a> {
    sources: &'a MetricsAdapter,
    runbook: &'a Runbook,
    runs: &'a [PastRun],
    left_out: &'a [LeftOut],
    whole: Window,
    window: Span,
}

/// What a counter counts from that appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appears {
    /// From its first value seen.
    FromFirst,
    /// From zero: on the new slot, after the switch.
    FromZero,
}

/// A metric's samples of one slot.
type Samples = Vec<Sample>;

impl Past<'_> {
    /// Harmless time and past runs are different proofs: a trigger can be quiet because it is right or because it is blind.
    async fn judge(&self, trigger: &Trigger, remarks: &mut Vec<String>) -> Option<Judged> {
        let watch = trigger.watch.as_ref()?;
        let metric = self.runbook.metric(watch.metric.as_str())?;
        if metric.names_revision() {
            remarks.push(format!(
                "{}: its query names a revision, and which ones there were is not known any more",
                metric.id
            ));
        }
        let harmless = self.harmless(metric, remarks).await;
        let mut runs = Vec::new();
        for run in self.runs {
            runs.push((run, self.of_run(run, metric, remarks).await));
        }
        judge(trigger, metric, self.window, &harmless, &runs)
    }

    /// All windows without a release.
    async fn harmless(&self, metric: &Metric, remarks: &mut Vec<String>) -> Vec<Measured> {
        let step = metric.interval.max(COARSE);
        if step > metric.interval {
            remarks.push(format!(
                "{}: measured every {} live, looked at every {step} where nothing was released: what is shorter is not seen",
                metric.id, metric.interval
            ));
        }
        let mut by_slot: BTreeMap<Option<SlotName>, Samples> = BTreeMap::new();
        let from = self.whole.from - BEFORE;
        for slot in self.slots(metric) {
            match self
                .samples(metric, slot.as_ref(), Window { from, to: self.whole.to }, step, Appears::FromFirst)
                .await
            {
                Ok(samples) => {
                    by_slot.insert(slot.map(|slot| slot.name), samples);
                }
                Err(why) => remarks.push(format!("{}: {why}", metric.id)),
            }
        }
        let runs = self.runs.iter().map(|run| run.whole);
        let busy: Vec<Window> = runs.chain(self.left_out.iter().map(|left| left.window)).collect();
        let cut = |window: Window| {
            let within = |samples: &Samples| of(samples, window);
            let slot = if metric.per_slot { self.live_at(window.from) } else { None };
            let samples = match &slot {
                Some(_) => by_slot.get(&slot),
                // Nobody knows which slot had the users: the one that was measured most.
                None => by_slot
                    .values()
                    .max_by_key(|samples| within(samples).iter().filter(|it| it.value.is_ok()).count()),
            };
            let samples = samples.map(Vec::as_slice).unwrap_or_default();
            Measured {
                window,
                step,
                samples: of(samples, window),
                old: Vec::new(),
                before: before(samples, window.from),
            }
        };
        windows(self.whole.from, self.whole.to, self.window, &busy).into_iter().map(cut).collect()
    }

    /// A past run from the moment that users met the new version.
    async fn of_run(&self, run: &PastRun, metric: &Metric, remarks: &mut Vec<String>) -> Measured {
        let window = run.watched;
        let slots = self.slots(metric);
        let named = |name: &Option<SlotName>| {
            let wanted = name.as_ref().filter(|_| metric.per_slot);
            slots.iter().find(|slot| slot.as_ref().map(|slot| &slot.name) == wanted).cloned().flatten()
        };
        let mut asked = async |slot: Option<&SlotLabels>, window: Window, step: Span, appears: Appears| {
            self.samples(metric, slot, window, step, appears).await.unwrap_or_else(|why| {
                remarks.push(format!("{}, run {}: {why}", metric.id, run.run_id));
                Vec::new()
            })
        };
        let (new, old) = (named(&run.new_slot), named(&run.previous));
        // From one step before the switch on, as counters tell only what was added since.
        let dense = Window { from: window.from - metric.interval, to: window.to };
        let samples = asked(new.as_ref(), dense, metric.interval, Appears::FromZero).await;
        let beside = if new == old {
            Vec::new()
        } else {
            asked(old.as_ref(), dense, metric.interval, Appears::FromFirst).await
        };
        let hour = Window { from: window.from - BEFORE, to: window.from };
        let before = if metric.counted().is_some() {
            before(&asked(old.as_ref(), hour, BLOCK, Appears::FromFirst).await, window.from)
        } else {
            Before::default()
        };
        Measured {
            window,
            step: metric.interval,
            samples: of(&samples, window),
            old: of(&beside, window),
            before,
        }
    }

    fn slots(&self, metric: &Metric) -> Vec<Option<SlotLabels>> {
        match &self.runbook.target {
            Some(target) if metric.per_slot => {
                target.slots.keys().map(|slot| Some(SlotLabels::of(slot, target, None))).collect()
            }
            _ => vec![None],
        }
    }

    /// The slot that had the users, as far as runs on this host tell.
    fn live_at(&self, at: Timestamp) -> Option<SlotName> {
        let before = self.runs.iter().rev().find(|run| run.whole.to <= at);
        match before {
            Some(run) => run.live_after.clone(),
            None => self.runs.first().and_then(|run| run.previous.clone()),
        }
    }

    /// The samples of a time as they would have been measured live, asked for in as many questions as it takes.
    async fn samples(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        window: Window,
        step: Span,
        appears: Appears,
    ) -> Result<Samples, Missing> {
        let mut samples = Vec::new();
        let counted = metric.counted();
        let mut steps = if counted.is_some() { MOST_COUNTED_STEPS } else { MOST_STEPS };
        let mut lane = counted.map(Lane::new);
        if let (Some(lane), Appears::FromZero) = (&mut lane, appears) {
            lane.appear_from_zero();
        }
        let mut at = window.from;
        while at <= window.to {
            let to = (at + Span::from_millis(step.as_millis().saturating_mul(steps))).min(window.to);
            let piece = match &lane {
                Some(_) => self.sources.past_counters(metric, slot, at, to, step).await.map(Piece::Counters),
                None => self.sources.past(metric, slot, at, to, step).await.map(Piece::Samples),
            };
            match (piece, &mut lane) {
                (Ok(Piece::Samples(piece)), _) => samples.extend(piece),
                (Ok(Piece::Counters(answers)), Some(lane)) => {
                    samples
                        .extend(answers.iter().filter_map(|answer| counted_in(metric, slot, lane, answer)));
                }
                (Ok(Piece::Counters(_)), None) => {}
                // Thousands of series make an answer too long to take: ask for less at once.
                (Err(Missing::BadAnswer(_)), _) if steps > 1 => {
                    steps = (steps / 4).max(1);
                    continue;
                }
                (Err(why), _) => return Err(why),
            }
            at = to + step;
        }
        Ok(samples)
    }
}

/// An answer about a part of the past.
enum Piece {
    Samples(Samples),
    Counters(Vec<Answer>),
}

/// What an answer adds; the first of all says nothing.
fn counted_in(
    metric: &Metric,
    slot: Option<&SlotLabels>,
    lane: &mut Lane,
    answer: &Answer,
) -> Option<Sample> {
    let begun = lane.has_begun();
    let counts = lane.take(answer);
    begun.then(|| Sample {
        metric: metric.id.clone(),
        slot: slot.map(|slot| slot.name.clone()),
        at: answer.at,
        value: lane.rate(),
        counts: Some(counts),
    })
}

/// The samples within a window, its first moment not among them.
fn of(samples: &[Sample], window: Window) -> Samples {
    let first = samples.partition_point(|sample| sample.at <= window.from);
    let end = samples.partition_point(|sample| sample.at <= window.to);
    samples.get(first..end).unwrap_or_default().to_vec()
}

/// What was counted in the hour before.
fn before(samples: &[Sample], at: Timestamp) -> Before {
    let mut before = Before::default();
    for sample in of(samples, Window { from: at - BEFORE, to: at }) {
        if let Some(counts) = sample.counts {
            before.take(sample.at, counts);
        }
    }
    before
}
