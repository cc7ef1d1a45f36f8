//! Current problems in words, worst first. The two lines below the traffic picture show the first one; `:alerts` shows all.

mod around;
mod cluster;
mod measured;

use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::{
    evidence,
    model::{Model, telemetry::Reading},
    offer::panes,
    story,
    widget::row::{Row, wrap},
};
use crate::{
    config::keymap::KeyAction,
    domain::{
        cause::HoldCause,
        event::Outcome,
        metric::Metric,
        promise::Promise,
        prompt::Prompt,
        run::{Run, TriggerState},
        runbook::{OnNoData, Then, Trigger, TriggerWatch},
        time::Span,
    },
};

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Whether it needs a person now.
    pub urgent: bool,
    /// The state in a word or two, for the header: `BREACH`, `watch: latency`.
    pub word: String,
    /// What is wrong.
    pub headline: String,
    /// How far something has run: so much of so much.
    pub meter: Option<(u64, u64)>,
    /// What follows, or what to do.
    pub follows: String,
}

/// So many columns are a few words.
const FEW: usize = 30;
/// From this height on a headline that is too long for one line has two.
const TALL: u16 = 20;

impl Alert {
    /// What is wrong, in a few words behind another one: `1 pod down`, `p95 latency 457 ms`.
    pub fn about(&self) -> String {
        let Some(what) = self.word.strip_prefix("watch: ") else { return self.word.to_lowercase() };
        // The name of a metric alone would not say what is wrong with it.
        let clause = self.headline.split([',', ':']).next().unwrap_or_default();
        if clause.width() > FEW { what.to_owned() } else { clause.to_owned() }
    }

    /// The headline in the lines it takes on a screen of this size, two at most.
    pub fn lines(&self, (width, height): (u16, u16)) -> Vec<String> {
        let width = usize::from(width).saturating_sub(4);
        if height < TALL || self.headline.width() <= width {
            return vec![self.headline.clone()];
        }
        let mut lines = wrap(&self.headline, width);
        if lines.len() > 2 {
            let rest = lines.split_off(1).join(" ");
            lines.push(Row::of(rest, Style::new()).fit(width).text());
        }
        lines
    }
}

/// How many lines the worst problem and its consequence take on a screen of this size.
pub fn height(model: &Model, size: (u16, u16)) -> u16 {
    all(model).first().map_or(0, |first| if first.lines(size).len() > 1 { 3 } else { 2 })
}

/// Everything that is wrong now, worst first.
pub fn all(model: &Model) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let Some(run) = &model.run else { return alerts };
    alerts.extend(from_silence(model));
    alerts.extend(around::from_journal(model));
    let prompt = run.prompt(model.now);
    alerts.extend(from_prompt(model, run, &prompt));
    if matches!(prompt, Prompt::Held { cause: HoldCause::Foreign, .. }) {
        alerts.extend(run.foreign.iter().filter(|it| !it.put_back.is_empty()).map(|change| Alert {
            urgent: false,
            word: "CHANGED".to_owned(),
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
                alerts.extend(from_blindness(model, run, trigger, watch, state));
            }
        }
    }
    if active {
        alerts.extend(evidence::growing(model, run).into_iter().map(|it| Alert {
            urgent: false,
            word: "watch: evidence".to_owned(),
            headline: it.words,
            meter: Some((it.part, 100)),
            follows: format!("With enough of it: {}.", it.then),
        }));
    }
    alerts.extend(around::from_preflight(model));
    alerts.extend(around::from_guards(model, run));
    alerts.extend(around::from_crew(model, run));
    alerts.extend(cluster::from_cluster(model, run, active));
    if active {
        alerts.extend(measured::from_metrics(model, run));
        alerts.extend(measured::unmeasured(model, run));
    }
    alerts
}

/// What is wrong now and no event tells: the engine, the journal and its copy, the cluster, a metric in its alert range.
pub fn untold(model: &Model) -> Vec<Alert> {
    let Some(run) = &model.run else { return Vec::new() };
    let active = run.rolling_back().is_none() && run.finished.is_none();
    let mut alerts: Vec<Alert> = from_silence(model).into_iter().collect();
    alerts.extend(around::from_journal(model));
    alerts.extend(around::from_copy(model, run));
    alerts.extend(cluster::from_cluster(model, run, active));
    if active {
        alerts.extend(measured::from_metrics(model, run));
        alerts.extend(measured::unmeasured(model, run));
    }
    alerts
}

fn from_silence(model: &Model) -> Option<Alert> {
    let silent = model.silent?;
    Some(urgent(
        "NO ENGINE",
        format!("NO ANSWER FROM THE ENGINE for {}", silent.short()),
        "This screen may be out of date, and keys may have no effect.".to_owned(),
    ))
}

fn urgent(word: &str, headline: String, follows: String) -> Alert {
    Alert { urgent: true, word: word.to_owned(), headline, meter: None, follows }
}

fn from_prompt(model: &Model, run: &Run, prompt: &Prompt) -> Option<Alert> {
    // A key is named only where it is offered.
    let by_key = |action, words: &str| {
        panes::way(model, action).map_or_else(String::new, |key| format!(" {key} {words}."))
    };
    Some(match prompt {
        Prompt::RollingBack => {
            let (at, why) = run.waiting_act()?;
            let late = run.rolling_back().is_some_and(|rollback| rollback.late);
            let what = run.action(&at).map_or("the rollback", |action| action.name.as_str());
            // Why comes before what: the pane below shows which action it is, and a narrow screen may cut the end.
            let headline = if late { "ROLLBACK LATE, still trying" } else { "ROLLBACK WAITS" };
            let tries =
                run.work(&at.place).and_then(|work| work.actions.get(at.action)).map_or(0, |it| it.tries);
            let tries = if tries > 1 { format!(" Try {tries} follows.") } else { String::new() };
            urgent(
                "ROLLBACK WAITS",
                format!("{headline}: {why} (action: {what})"),
                format!("Retried by itself.{tries}{}", by_key(KeyAction::CancelCountdown, "abandons it")),
            )
        }
        Prompt::Acting { at } => {
            let (_, why) = run.waiting_act().filter(|(waiting, _)| waiting == at)?;
            let what = run.action(at).map_or("", |action| action.name.as_str());
            let follows = "It starts as soon as that changes.".to_owned();
            Alert { urgent: false, ..urgent("waits", format!("{what} waits: {why}"), follows) }
        }
        Prompt::RollbackStopped { reason, .. } => urgent(
            "ROLLBACK STOPPED",
            format!("ROLLBACK STOPPED: {reason}"),
            "The previous state is not restored. Nothing continues until you choose.".to_owned(),
        ),
        Prompt::Unknown { at } => {
            urgent("UNKNOWN", format!("UNKNOWN: {}", story::action_name(run, at)), unknown_words(run, at))
        }
        Prompt::Proceed { at, .. } if run.rolling_back().is_some() => urgent(
            "WAITS FOR YOU",
            format!("THE ROLLBACK WAITS FOR YOU: {}", story::action_name(run, at)),
            "This can't be undone: you must type a word.".to_owned(),
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
                word: "COUNTDOWN".to_owned(),
                headline: format!("ROLLBACK IN {}: {why}", left.clock()),
                meter: Some((whole.saturating_sub(left).as_millis(), whole.as_millis())),
                follows: format!(
                    "It starts by itself.{}{}",
                    by_key(KeyAction::Rollback, "rolls back now"),
                    by_key(KeyAction::CancelCountdown, "cancels, with a reason")
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
                "TRIGGER FIRED",
                format!("TRIGGER FIRED: {why}"),
                format!(
                    "You decide.{}{}",
                    by_key(KeyAction::Rollback, "rolls back"),
                    by_key(KeyAction::CancelCountdown, "continues, with a reason")
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
            urgent(
                "FAILED",
                format!("FAILED: {what}: {why}"),
                format!("{traffic} Nothing continues until you choose."),
            )
        }
        Prompt::Held { cause, reason } => {
            let held = run.held.as_ref();
            let since = held.map_or(Span::ZERO, |held| model.now.since(held.at));
            let person = held.map(|held| &held.by).filter(|by| by.is_person());
            let who = person.map(|by| format!(" by {by}")).unwrap_or_default();
            Alert {
                urgent: cause.is_fault(),
                ..urgent(
                    "PAUSED",
                    format!("PAUSED{who} for {}: {reason}", since.clock()),
                    match cause {
                        HoldCause::Foreign => {
                            "Triggers stay armed. Put it back, or accept it as it is.".to_owned()
                        }
                        _ => format!("Nothing new starts.{}", by_key(KeyAction::Confirm, "resumes")),
                    },
                )
            }
        }
        Prompt::Finished { outcome: Outcome::RollbackFailed } => urgent(
            "ROLLBACK FAILED",
            "THE ROLLBACK HAS FAILED: a person must act now".to_owned(),
            format!(
                "The command of each action is shown below.{}{}",
                by_key(KeyAction::Contacts, "shows the contacts"),
                by_key(KeyAction::Incident, "declares an incident")
            ),
        ),
        _ => return None,
    })
}

fn unknown_words(run: &Run, at: &crate::domain::event::ActionRef) -> String {
    if run.is_looked_at(at) {
        return "It was started, its outcome was not recorded. Reading it from the cluster.".to_owned();
    }
    if let Some(child) = run.outlives(at) {
        return format!("Its process {} STILL RUNS: wait for its end, or end it with :kill.", child.pid);
    }
    let state = run.work(&at.place).and_then(|work| work.actions.get(at.action));
    match state.and_then(|state| state.child.as_ref()) {
        Some(child) => {
            format!("It was started, its outcome was not recorded. Its process {} may still run.", child.pid)
        }
        None => "It was started, its outcome was not recorded: done or not done?".to_owned(),
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
    let (when, hold_for) = watch.rule.fixed()?;
    let (since, first) = state.breaching?;
    let (promise, why) = run.promise(trigger, model.now)?;
    let lasted = match &promise {
        Promise::In(_) | Promise::NextBreach => model.now.since(since),
        Promise::Anew(_) => Span::ZERO,
    };
    let reading = reading(model, metric);
    // What is promised is what would happen now; where that is not all, it says so.
    let why = why.map(ToString::to_string).or_else(|| match &reading.value {
        Some(_) => None,
        None => Some(format!(
            "not measured now: {}",
            reading.why.as_ref().map_or_else(|| "no data".to_owned(), ToString::to_string)
        )),
    });
    let now = panes::way(model, KeyAction::Rollback)
        .map_or_else(String::new, |key| format!(" {key} rolls back now."));
    let earliest = if why.is_some() { " at the earliest" } else { "" };
    let follows = match (watch.then, promise) {
        (Then::Ask, Promise::In(left)) => format!("You are asked to decide in {}{earliest}", left.clock()),
        (Then::Ask, Promise::NextBreach) => "You are asked to decide at the next measured breach".to_owned(),
        (Then::Ask, Promise::Anew(whole)) => {
            format!("You are asked to decide {} after the next measured breach", whole.clock())
        }
        (Then::Countdown(_) | Then::Rollback, promise) => {
            let countdown = if let Then::Countdown(whole) = watch.then { whole } else { Span::ZERO };
            match promise {
                Promise::In(left) => {
                    let whole = left.saturating_add(countdown).clock();
                    let last = match countdown {
                        Span::ZERO => String::new(),
                        countdown => format!(", the last {} as a countdown", countdown.clock()),
                    };
                    format!("Rolls back by itself in {whole}{earliest}{last}")
                }
                Promise::NextBreach if countdown == Span::ZERO => {
                    "Rolls back by itself at the next measured breach".to_owned()
                }
                Promise::NextBreach => {
                    format!("Rolls back by itself {} after the next measured breach", countdown.clock())
                }
                Promise::Anew(whole) => format!(
                    "Rolls back by itself {} after the next measured breach",
                    whole.saturating_add(countdown).clock()
                ),
            }
        }
    };
    Some(Alert {
        urgent: true,
        word: "BREACH".to_owned(),
        headline: format!(
            "BREACH: {} {} (alert {}) for {} of {}",
            metric.title,
            metric.show(reading.value.unwrap_or(first)),
            when.show(metric.unit),
            lasted.clock(),
            hold_for.clock()
        ),
        meter: Some((lasted.as_millis(), hold_for.as_millis())),
        follows: match why {
            Some(why) => format!("{follows} ({why}).{now}"),
            None => format!("{follows}.{now}"),
        },
    })
}

fn from_blindness(
    model: &Model,
    run: &Run,
    trigger: &Trigger,
    watch: &TriggerWatch,
    state: &TriggerState,
) -> Option<Alert> {
    let metric = run.runbook.metric(watch.metric.as_str())?;
    let why = state.blind.as_ref()?;
    let reason = &trigger.reason;
    let follows = match watch.no_data {
        OnNoData::Hold => format!("Trigger can't fire: {reason}. The watch waits for data."),
        OnNoData::Rollback => {
            format!("Missing data counts as a breach: it ends in a rollback. Trigger: {reason}")
        }
    };
    let blind = |it: &&Metric| it.id != metric.id && reading(model, it).value.is_none();
    let others = match run.runbook.metrics.iter().filter(blind).count() {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let lasted =
        measured::missing_for(model, metric).map_or_else(String::new, |it| format!(" for {}", it.clock()));
    Some(urgent("BLIND", format!("BLIND{lasted}: no data for {}{others}: {why}", metric.title), follows))
}

fn reading(model: &Model, metric: &Metric) -> Reading {
    let slot = model.run.as_ref().and_then(|run| run.opened.new_slot.clone());
    model.telemetry.reading(metric, slot.as_ref(), model.now)
}
