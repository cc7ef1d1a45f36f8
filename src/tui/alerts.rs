//! What is wrong now, in words, worst first. The two lines below the traffic picture show the first; `:alerts` all.

use super::{
    model::{Model, telemetry::Reading},
    story, subject,
};
use crate::{
    config::keymap::{Context, KeyAction},
    domain::{
        cause::HoldCause,
        copy::CopyState,
        event::Outcome,
        message::{JournalState, WITHOUT_A_JOURNAL},
        metric::Verdict,
        plan::Light,
        promise::Promise,
        prompt::Prompt,
        run::{Run, TriggerState},
        runbook::{OnNoData, Then, Trigger, TriggerWatch},
        time::Span,
        workload::Connection,
    },
};

/// A copy may be this far behind without a word.
const COPY_BEHIND: Span = Span::from_secs(30);

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Whether it needs a person now.
    pub urgent: bool,
    /// What is wrong.
    pub headline: String,
    /// How far something has run: so much of so much.
    pub meter: Option<(u64, u64)>,
    /// What follows, or what to do.
    pub follows: String,
}

/// Everything that is wrong now, worst first.
pub fn all(model: &Model) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let Some(run) = &model.run else { return alerts };
    if let Some(silent) = model.silent {
        alerts.push(urgent(
            format!("THE ENGINE IS SILENT for {}", silent.short()),
            "What is shown may be old. Keys that ask it for something may not be heard.".to_owned(),
        ));
    }
    alerts.extend(from_journal(model));
    let prompt = run.prompt(model.now);
    alerts.extend(from_prompt(model, run, &prompt));
    if matches!(prompt, Prompt::Held { cause: HoldCause::Foreign, .. }) {
        alerts.extend(run.foreign.iter().filter(|it| !it.put_back.is_empty()).map(|change| Alert {
            urgent: false,
            headline: change.words.clone(),
            meter: None,
            follows: format!("By hand: {}", change.put_back),
        }));
    }
    let active = run.rolling_back().is_none() && run.finished.is_none();
    if active {
        for (index, (trigger, state)) in run.runbook.triggers.iter().zip(&run.triggers).enumerate() {
            let shown = matches!(prompt, Prompt::Countdown { trigger, .. } | Prompt::Fired { trigger } if trigger == index);
            if let Some(watch) = &trigger.watch
                && !shown
            {
                alerts.extend(from_breach(model, run, index, watch, state));
                alerts.extend(from_blindness(run, trigger, watch, state));
            }
        }
    }
    alerts.extend(from_guards(model, run));
    alerts.extend(from_crew(model, run));
    alerts.extend(from_cluster(model, run, active));
    if active {
        alerts.extend(from_metrics(model, run));
    }
    alerts
}

/// What guards the run against a second driver and against the loss of this host.
fn from_guards(model: &Model, run: &Run) -> Vec<Alert> {
    let mut alerts = Vec::new();
    if run.finished.is_some() {
        return alerts;
    }
    if let Some(lock) = &run.lock {
        if let Some(why) = &lock.lost {
            alerts.push(urgent(
                format!("FENCED OFF: {why}"),
                "This engine changes nothing any more. Close it; look on with: cutover watch".to_owned(),
            ));
        } else if let Some(why) = &lock.uncertain {
            alerts.push(urgent(
                format!("NOTHING CAN BE WRITTEN: the target's lock can't be renewed: {why}"),
                "It is tried again all the time; a rollback is tried until it can be done.".to_owned(),
            ));
        }
    }
    let copy = match &model.copy {
        Some(CopyState::Off { why }) => Some(why.clone()),
        Some(CopyState::Behind { why, since }) if model.now.since(*since) > COPY_BEHIND => Some(why.clone()),
        _ => None,
    };
    alerts.extend(copy.map(|why| Alert {
        urgent: false,
        headline: format!("No copy of the journal in the cluster: {why}"),
        meter: None,
        follows: "If this host is lost, the run can't be resumed from another one.".to_owned(),
    }));
    alerts
}

/// Who is not there, and who wants to be.
fn from_crew(model: &Model, run: &Run) -> Option<Alert> {
    if run.finished.is_some() {
        return None;
    }
    if let Some(since) = run.away_since {
        let gone = run.pilot.as_ref().map_or_else(String::new, |pilot| format!(" ({pilot} is gone)"));
        return Some(urgent(
            format!("NOBODY IS AT THE CONTROLS for {}{gone}", model.now.since(since).clock()),
            "What runs is finished, triggers are watched and roll back; nothing new starts.".to_owned(),
        ));
    }
    let asking = run.control_asked.as_ref()?;
    let follows = if model.looks_only() {
        format!("{} decides.", run.pilot.as_ref().map_or("the pilot", |pilot| pilot.name.as_str()))
    } else {
        ":give hands them over, :keep keeps them.".to_owned()
    };
    Some(Alert { urgent: false, headline: format!("{asking} asks for the controls"), meter: None, follows })
}

fn urgent(headline: String, follows: String) -> Alert {
    Alert { urgent: true, headline, meter: None, follows }
}

fn from_journal(model: &Model) -> Option<Alert> {
    let rollback = model.key_in(Context::Steps, KeyAction::Rollback);
    Some(match &model.journal {
        JournalState::Whole => return None,
        JournalState::Full { why } => urgent(
            format!("NO ROOM FOR THE JOURNAL, nothing new starts: {why}"),
            format!("{rollback} still rolls back: space is kept for that. Free the disk, then continue."),
        ),
        JournalState::Lost { why } => urgent(
            format!("THE JOURNAL IS LOST, nothing is done any more: {why}"),
            format!("To roll back all the same, type  :unrecorded {WITHOUT_A_JOURNAL}"),
        ),
        JournalState::Elsewhere { path, .. } => urgent(
            format!("NO JOURNAL: {rollback} rolls back, nothing else is done"),
            format!("Recorded in {path}"),
        ),
    })
}

fn from_prompt(model: &Model, run: &Run, prompt: &Prompt) -> Option<Alert> {
    let key = |action| model.key_in(Context::Steps, action);
    Some(match prompt {
        Prompt::RollingBack => {
            let (at, why) = run.waiting_act()?;
            let late = run.rolling_back().is_some_and(|rollback| rollback.late);
            let what = run.action(&at).map_or("the rollback", |action| action.name.as_str());
            let headline = if late { "ROLLBACK LATE, still trying" } else { "ROLLBACK WAITS" };
            let tries =
                run.work(&at.place).and_then(|work| work.actions.get(at.action)).map_or(0, |it| it.tries);
            let tries = if tries > 1 { format!(" Try {tries} follows.") } else { String::new() };
            urgent(
                format!("{headline}: {what}: {why}"),
                format!("It goes on by itself.{tries} {} gives it up.", key(KeyAction::CancelCountdown)),
            )
        }
        Prompt::Acting { at } => {
            let (_, why) = run.waiting_act().filter(|(waiting, _)| waiting == at)?;
            let what = run.action(at).map_or("", |action| action.name.as_str());
            let follows = "It begins by itself as soon as that is so.".to_owned();
            Alert { urgent: false, ..urgent(format!("{what} waits: {why}"), follows) }
        }
        Prompt::RollbackStopped { reason, .. } => urgent(
            format!("ROLLBACK STOPPED: {reason}"),
            format!(
                "{} tries the failed action again; {} gives it up, with a reason.",
                key(KeyAction::Retry),
                key(KeyAction::CancelCountdown)
            ),
        ),
        Prompt::Unknown { at } => {
            urgent(format!("UNKNOWN: {}", story::action_name(run, at)), unknown_words(run, at))
        }
        Prompt::Proceed { at, .. } if run.rolling_back().is_some() => urgent(
            format!("THE ROLLBACK WAITS FOR YOU: {}", story::action_name(run, at)),
            "This cannot be taken back: ENTER, then type the word that is shown.".to_owned(),
        ),
        Prompt::Countdown { trigger, ends_at } => {
            let left = ends_at.since(model.now);
            let then = run.runbook.triggers.get(*trigger).and_then(|trigger| trigger.watch.as_ref());
            let whole = match then.map(|watch| watch.then) {
                Some(Then::Countdown(whole)) => whole,
                _ => left,
            };
            let why = run
                .triggers
                .get(*trigger)
                .and_then(|state| state.fired.as_ref())
                .map_or("", |(_, reason)| reason);
            Alert {
                urgent: true,
                headline: format!("ROLLBACK IN {}: {why}", left.clock()),
                meter: Some((whole.saturating_sub(left).as_millis(), whole.as_millis())),
                follows: format!(
                    "It starts by itself. {} cancels it, with a reason. {}, then y: at once.",
                    key(KeyAction::CancelCountdown),
                    key(KeyAction::Rollback)
                ),
            }
        }
        Prompt::Fired { trigger } => {
            let why = run
                .triggers
                .get(*trigger)
                .and_then(|state| state.fired.as_ref())
                .map_or("", |(_, reason)| reason);
            urgent(
                format!("TRIGGER FIRED: {why}"),
                format!(
                    "You decide: {} rolls back, {} goes on, with a reason.",
                    key(KeyAction::Rollback),
                    key(KeyAction::CancelCountdown)
                ),
            )
        }
        Prompt::Failed { step } => {
            let (what, why) =
                match step.as_ref().and_then(|step| run.declared(step.as_str()).zip(run.step(step.as_str())))
                {
                    Some((declared, state)) => {
                        (declared.title.as_str(), state.reason.clone().unwrap_or_default())
                    }
                    None => ("completion", "see its checks".to_owned()),
                };
            let traffic = if run.switch_begun() {
                "Traffic is on the new version."
            } else {
                "Traffic was not touched."
            };
            urgent(format!("FAILED: {what}: {why}"), format!("{traffic} Nothing goes on until you decide."))
        }
        Prompt::Held { cause, reason } => {
            let held = run.held.as_ref();
            let since = held.map_or(Span::ZERO, |held| model.now.since(held.at));
            let person = held.map(|held| &held.by).filter(|by| by.is_person());
            let who = person.map(|by| format!(" by {by}")).unwrap_or_default();
            Alert {
                urgent: cause.is_fault(),
                ..urgent(
                    format!("HELD{who} for {}: {reason}", since.clock()),
                    match cause {
                        HoldCause::Foreign => {
                            ":putback puts it back, :accept takes it as it is. Triggers stay armed."
                                .to_owned()
                        }
                        _ => "Nothing new starts. ENTER goes on.".to_owned(),
                    },
                )
            }
        }
        Prompt::Finished { outcome: Outcome::RollbackFailed } => urgent(
            "THE ROLLBACK HAS FAILED: a person must act now".to_owned(),
            format!(
                "The commands of each action are shown. On-call: {}. Incident: {}.",
                key(KeyAction::Contacts),
                key(KeyAction::Incident)
            ),
        ),
        _ => return None,
    })
}

fn unknown_words(run: &Run, at: &crate::domain::event::ActionRef) -> String {
    if run.is_looked_at(at) {
        return "It was started, and its end was not seen. The cluster is looked at for what became of it."
            .to_owned();
    }
    if let Some(child) = run.outlives(at) {
        return format!("Its process {} STILL RUNS: wait for its end, or end it with :kill.", child.pid);
    }
    let state = run.work(&at.place).and_then(|work| work.actions.get(at.action));
    match state.and_then(|state| state.child.as_ref()) {
        Some(child) => format!(
            "It was started, its end was not seen. Its process {} may still live. ENTER: what became of it?",
            child.pid
        ),
        None => "It was started, and its end was not seen. ENTER: what became of it?".to_owned(),
    }
}

fn from_breach(
    model: &Model,
    run: &Run,
    trigger: usize,
    watch: &TriggerWatch,
    state: &TriggerState,
) -> Option<Alert> {
    let metric = run.runbook.metric(watch.metric.as_str())?;
    let (since, first) = state.breaching?;
    let (promise, why) = run.promise(trigger, model.now)?;
    let lasted = match &promise {
        Promise::In(_) | Promise::NextBreach => model.now.since(since),
        Promise::Anew(_) => Span::ZERO,
    };
    let reading = reading(model, metric);
    let next = match watch.then {
        Then::Ask => "you are asked whether to roll back.".to_owned(),
        Then::Countdown(whole) => format!("a countdown starts: {whole}, then rollback by itself."),
        Then::Rollback => "the rollback starts by itself.".to_owned(),
    };
    // What is promised is what would happen now; where that is not all, it says so.
    let why = why.map(ToString::to_string).or_else(|| match &reading.value {
        Some(_) => None,
        None => Some(format!(
            "not measured now: {}",
            reading.why.as_ref().map_or_else(|| "no data".to_owned(), ToString::to_string)
        )),
    });
    let follows = match promise {
        Promise::In(left) if why.is_none() => format!("In {} {next}", left.clock()),
        Promise::In(left) => format!("In {} at the earliest {next}", left.clock()),
        Promise::NextBreach => format!("With the next breach that is measured {next}"),
        Promise::Anew(whole) => format!("{} after the next breach that is measured {next}", whole.clock()),
    };
    Some(Alert {
        urgent: true,
        headline: format!(
            "BREACH: {} {} (bound {}) for {} of {}",
            metric.title,
            metric.unit.show(reading.value.unwrap_or(first)),
            watch.when.show(metric.unit),
            lasted.clock(),
            watch.hold_for.clock()
        ),
        meter: Some((lasted.as_millis(), watch.hold_for.as_millis())),
        follows: match why {
            Some(why) => format!("{follows} ({why})"),
            None => follows,
        },
    })
}

fn from_blindness(run: &Run, trigger: &Trigger, watch: &TriggerWatch, state: &TriggerState) -> Option<Alert> {
    let metric = run.runbook.metric(watch.metric.as_str())?;
    let why = state.blind.as_ref()?;
    let then = match watch.no_data {
        OnNoData::Hold => "The window waits: without data it cannot succeed.",
        OnNoData::Rollback => "Counts as a breach: it ends in a rollback.",
    };
    Some(urgent(
        format!("BLIND: {} is not measured: {why}", metric.title),
        format!("{then} Trigger: {}", trigger.reason),
    ))
}

fn reading(model: &Model, metric: &crate::domain::metric::Metric) -> Reading {
    let slot = model.run.as_ref().and_then(|run| run.opened.new_slot.clone());
    model.telemetry.reading(metric, slot.as_ref(), model.now)
}

fn from_cluster(model: &Model, run: &Run, active: bool) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let workload = model.telemetry.workload.as_ref();
    if let Some(workload) = workload
        && let Connection::Lost(why) = &workload.connection
    {
        let since = model.now.since(workload.as_of).short();
        alerts.push(urgent(
            format!("THE CLUSTER IS NOT SEEN for {since}: {why}"),
            "Traffic and pods are shown as last seen.".to_owned(),
        ));
    }
    if active && run.switch_begun() {
        let readiness = run.readiness(workload, model.telemetry.access.as_ref(), model.now);
        if readiness.light == Light::NotReady {
            alerts.push(urgent(
                format!("A ROLLBACK WOULD FAIL NOW: {}", readiness.against.join(", ")),
                "There would be no way back. Mend this before anything else.".to_owned(),
            ));
        }
    }
    let slots = workload.into_iter().flat_map(|workload| &workload.slots);
    for (name, slot) in slots.filter(|_| active || run.finished.is_some()) {
        let bad: Vec<_> = slot.pods.iter().filter(|pod| pod.bad).collect();
        if let Some(first) = bad.first() {
            alerts.push(Alert {
                urgent: false,
                headline: format!(
                    "{}: {} of {} pods not well: {}",
                    name.0.to_uppercase(),
                    bad.len(),
                    slot.desired,
                    first.status
                ),
                meter: None,
                follows: warning_about(model, &first.name),
            });
        }
    }
    alerts
}

/// The newest warning event about a pod, else where to look.
fn warning_about(model: &Model, pod: &str) -> String {
    let warnings = model.telemetry.workload.as_ref().map_or(&[][..], |workload| &workload.warnings);
    let found = warnings.iter().find(|warning| warning.object.ends_with(pod));
    found.map_or_else(
        || format!("Its log: {}", model.key_in(Context::Steps, KeyAction::Logs)),
        |warning| format!("{}: {}", warning.reason, warning.message),
    )
}

/// Metrics in their alert range that no trigger is breaching about.
fn from_metrics(model: &Model, run: &Run) -> Vec<Alert> {
    let told = |metric: &crate::domain::metric::Metric| {
        run.runbook.triggers.iter().zip(&run.triggers).any(|(trigger, state)| {
            trigger.watch.as_ref().is_some_and(|watch| watch.metric == metric.id)
                && (state.breaching.is_some() || state.fired.is_some())
        })
    };
    let slot = subject::live(model);
    let metrics = run.runbook.metrics.iter().filter(|metric| !told(metric));
    metrics
        .filter_map(|metric| {
            let reading = model.telemetry.reading(metric, slot.as_ref(), model.now);
            let value = reading.value.filter(|_| reading.verdict == Verdict::Alert)?;
            let bound =
                metric.alert.map(|bound| format!(", alert {}", bound.show(metric.unit))).unwrap_or_default();
            Some(Alert {
                urgent: false,
                headline: format!("{} {}{bound}", metric.title, metric.unit.show(value)),
                meter: None,
                follows: metric.action.clone().unwrap_or_else(|| "Look into it.".to_owned()),
            })
        })
        .collect()
}
