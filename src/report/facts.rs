//! Everything that a report says, put together once, so that page and Markdown cannot differ.

use super::{
    Integrity, Source,
    chart::{self, Chart},
    course::{Course, Stage},
    figures::{Figures, Rollback, Users},
    measured::Measured,
    outcome::{Ending, ending, seconds},
    tone::Tone,
    verdicts::{Verdict, verdicts},
};
use crate::domain::{
    backtest::Backtest,
    claim::grouped,
    event::Outcome,
    id::QUICK,
    metric::Unit,
    run::{ItemStatus, Run, StepStatus},
    time::{Span, Timestamp},
};

/// Everything that a report says.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The runbook's title.
    pub title: String,
    /// The run.
    pub run_id: String,
    /// The scenario, where it was a rehearsal.
    pub rehearsal: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// Who, where, when, with what.
    pub about: Vec<(&'static str, String)>,
    /// The figures.
    pub figures: Figures,
    /// The same for people.
    pub tiles: Vec<Tile>,
    /// What mattered, every line, decisions, stages and values.
    pub course: Course,
    /// The last event's time.
    pub now: Timestamp,
    /// Where traffic went and a rollback began, for charts.
    pub marks: Vec<chart::Mark>,
    /// What users felt, in sentences.
    pub felt: Vec<String>,
    /// The metrics.
    pub charts: Vec<Chart>,
    /// The cards of verdicts.
    pub verdicts: Vec<Verdict>,
    /// What is to be known of the samples.
    pub samples: Vec<String>,
    /// The checklist.
    pub checklist: Vec<(String, Vec<Item>)>,
    /// The incident, where one was declared.
    pub incident: Option<Incident>,
    /// Notices sent, or not.
    pub notices: Vec<Notice>,
    /// Tasks for afterwards.
    pub tasks: Vec<Task>,
    /// What was left open, in sentences.
    pub left: Vec<String>,
    /// What the triggers would have done in the past, where somebody has looked.
    pub backtest: Option<Backtest>,
    /// Links and contacts of the runbook are not in a report; its integrity is.
    pub journal: Integrity,
}

/// A figure for people.
#[derive(Debug, Clone)]
pub struct Tile {
    /// What it is.
    pub label: &'static str,
    /// The figure.
    pub value: String,
    /// What it is to be compared with.
    pub note: String,
    /// Whether somebody should look.
    pub tone: Tone,
}

/// A checklist item.
#[derive(Debug, Clone)]
pub struct Item {
    /// What must be true.
    pub text: String,
    /// Where it stands.
    pub word: &'static str,
    /// Whether somebody should look.
    pub tone: Tone,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Option<Timestamp>,
    /// The evidence, note or reason.
    pub note: String,
}

/// A declared incident.
#[derive(Debug, Clone)]
pub struct Incident {
    /// `P0`.
    pub severity: String,
    /// Its title.
    pub title: String,
    /// What users saw.
    pub impact: String,
    /// Each status with its time.
    pub history: Vec<(Timestamp, String)>,
    /// The message, where the runbook has one.
    pub text: Option<String>,
    /// Its steps, and whether each was done.
    pub steps: Vec<(String, bool)>,
}

/// A notice.
#[derive(Debug, Clone)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// Whether it arrived.
    pub ok: bool,
    /// Its text.
    pub text: String,
    /// The answer.
    pub detail: String,
}

/// A task.
#[derive(Debug, Clone)]
pub struct Task {
    /// What to do.
    pub text: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// Who did it and when.
    pub done: Option<String>,
}

impl Facts {
    /// Puts it together.
    pub fn of(run: &Run, source: &Source<'_>) -> Self {
        let measured = Measured::of(source.kept);
        let figures = Figures::of(run, &measured);
        let course = Course::of(source.events);
        let marks = chart::marks(run);
        let charts = chart::charts(run, source.events, &measured, &marks);
        Self {
            title: run.runbook.document.title.clone(),
            run_id: run.opened.run_id.to_string(),
            rehearsal: run.opened.rehearsal.clone(),
            ending: ending(run, &figures),
            about: about(run),
            tiles: tiles(&figures, &course),
            felt: felt(run, &figures, &measured),
            samples: samples(run, source, &measured, &charts),
            checklist: checklist(run),
            incident: incident(run),
            notices: notices(run),
            tasks: tasks(run),
            left: left(run),
            now: run.last_at,
            journal: source.journal.clone(),
            backtest: source.backtest.cloned(),
            verdicts: verdicts(run, source.events),
            marks,
            charts,
            course,
            figures,
        }
    }

    /// Stages that began: all but the skipped.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.course.stages.iter()
    }
}

/// `2026-11-27 22:51:21 UTC`
pub fn date(at: Timestamp) -> String {
    at.to_jiff().strftime("%F %T UTC").to_string()
}

fn about(run: &Run) -> Vec<(&'static str, String)> {
    let opened = &run.opened;
    let mut about = vec![("Run", opened.run_id.to_string())];
    let versions = (run.previous_version(), run.new_version());
    let from_to = match versions {
        (Some(old), Some(new)) => Some(format!("{new}, before it {old}")),
        (None, new) => new,
        (old, None) => old.map(|old| format!("none set, before it {old}")),
    };
    about.extend(from_to.map(|versions| ("Version", versions)));
    let deployment = &run.runbook.deployment;
    about.push((
        "Runbook",
        format!("{}, version {}", run.runbook.document.title, run.runbook.document.version),
    ));
    about.push((
        "Environment",
        format!("{}, {}", deployment.environment.word().to_lowercase(), deployment.strategy.word()),
    ));
    if let Some(cluster) = &opened.cluster {
        about.push(("Cluster", format!("{}, namespace {}", cluster.context, cluster.namespace)));
    }
    about.push(("Opened", format!("{} by {} on {}", date(run.opened_at), opened.pilot, opened.host)));
    if let Some((_, at, _)) = &run.finished {
        about.push(("Ended", date(*at)));
    }
    about.push(("Runbook file", format!("{}, SHA-256 {}", opened.runbook_path, opened.runbook_sha256)));
    about.push(("Written by", format!("cutover {}", opened.cutover_version)));
    about
}

fn tiles(figures: &Figures, course: &Course) -> Vec<Tile> {
    let expected = figures.expected_ms.map(|ms| format!("expected {}", clock(ms))).unwrap_or_default();
    let mut tiles = vec![tile("Duration", clock(figures.took_ms), expected, Tone::Plain)];
    tiles.extend(figures.users.iter().flat_map(|users| of_users(users, figures.outcome)));
    tiles.extend(figures.time_to_react_ms.map(|react| {
        tile("Trouble to rollback", seconds(react), "first sign to the order".to_owned(), Tone::Plain)
    }));
    tiles.extend(figures.rollback.iter().flat_map(of_rollback));
    tiles.extend(figures.time_to_restore_ms.map(|restore| {
        let note = "first sign to users well again".to_owned();
        tile("Time to restore", seconds(restore), note, Tone::Plain)
    }));
    let overrides = course.decisions.iter().filter(|decision| decision.is_override).count();
    if overrides > 0 {
        let note = "each with its reason below".to_owned();
        tiles.push(tile("Overrides", overrides.to_string(), note, Tone::Watch));
    }
    tiles
}

fn tile(label: &'static str, value: String, note: String, tone: Tone) -> Tile {
    Tile { label, value, note, tone }
}

fn clock(ms: u64) -> String {
    Span::from_millis(ms).clock()
}

/// What the new version did to users, for as long as they had it.
fn of_users(users: &Users, outcome: Option<Outcome>) -> Vec<Tile> {
    let note = if users.to.is_some() { "until users had the old one" } else { "up to the end of the run" };
    let mut tiles = vec![tile("New version in use", clock(users.lasted_ms), note.to_owned(), Tone::Plain)];
    let wrong = outcome != Some(Outcome::Succeeded);
    let worst = users.worst_error_rate.map(|worst| Unit::Percent.show(worst));
    if let Some(failed) = users.failed_requests {
        let note = worst.map(|worst| format!("error rate up to {worst}")).unwrap_or_default();
        let tone = if wrong && failed >= 0.5 { Tone::Bad } else { Tone::Plain };
        let label = if users.failed_is_counted { "Failed requests" } else { "Failed requests, about" };
        tiles.push(tile(label, grouped(failed), note, tone));
    } else if let Some(worst) = worst {
        tiles.push(tile("Error rate, at most", worst, String::new(), Tone::Plain));
    }
    tiles
}

/// A rollback against its promise.
fn of_rollback(rollback: &Rollback) -> Vec<Tile> {
    let within = rollback.within_ms.map(|ms| format!("promised {}", clock(ms))).unwrap_or_default();
    let tone = match (rollback.kept, rollback.ok) {
        (Some(true), _) => Tone::Well,
        (Some(false), _) | (None, Some(false)) => Tone::Bad,
        (None, _) => Tone::Plain,
    };
    let mut tiles = Vec::new();
    if let Some(back) = rollback.traffic_back_ms {
        tiles.push(tile("Old version back in", seconds(back), within.clone(), tone));
    }
    if let Some(took) = rollback.took_ms {
        let open = (rollback.open_checks > 0).then(|| format!("{} open", rollback.checks_words()));
        let note: Vec<String> =
            [within, open.unwrap_or_default()].into_iter().filter(|it| !it.is_empty()).collect();
        tiles.push(tile("Rollback, all done", seconds(took), note.join("; "), tone));
    }
    tiles
}

fn felt(run: &Run, figures: &Figures, measured: &Measured) -> Vec<String> {
    let new = figures.new_version.clone().unwrap_or_else(|| "the new version".to_owned());
    let Some(users) = &figures.users else {
        return vec![if run.met_at.is_some() {
            format!("Users have met {new}; the run is not over.")
        } else {
            format!("Nothing: users never met {new}.")
        }];
    };
    let from = users.from.clock();
    let until = users.to.map_or_else(
        || "until the end of the run, and keep it".to_owned(),
        |to| format!("until {} UTC", to.clock()),
    );
    let lasted = Span::from_millis(users.lasted_ms).clock();
    let mut words = vec![format!("Users had {new} from {from} UTC {until}, for {lasted}.")];
    words.extend(errors_met(users, measured));
    words.extend(counted(run, users));
    words
}

/// Which errors users met; that it is not known is said as well, with why.
fn errors_met(users: &Users, measured: &Measured) -> Vec<String> {
    let Some(worst) = users.worst_error_rate else {
        let why = if measured.is_empty() {
            "no samples were kept of this run"
        } else {
            "nobody measured an error rate then"
        };
        return vec![format!("Which errors they met is not known: {why}.")];
    };
    let at = users.worst_at.map(|at| format!(" at {} UTC", at.clock())).unwrap_or_default();
    let mut words = vec![format!("The highest error rate was {}{at}.", Unit::Percent.show(worst))];
    match users.failed_requests {
        None => words.push(
            "How many requests failed is not known: the runbook neither counts requests nor has a metric of requests \
             per minute."
                .to_owned(),
        ),
        Some(_) if users.failed_is_counted => {}
        Some(failed) => words.push(format!(
            "About {failed:.0} requests failed: each sample of the error rate, times the requests of its time. Shorter \
             peaks than the time between two samples are not in it."
        )),
    }
    words
}

/// What the counters counted: `Error rate: 412 of 40,120 events (1.03 %) were bad, counted on the new version.`
fn counted(run: &Run, users: &Users) -> Vec<String> {
    let metrics = run.runbook.metrics.iter();
    metrics
        .filter_map(|metric| {
            let counts = users.counted.get(metric.id.as_str())?;
            let share =
                counts.share().map(|share| format!(" ({})", Unit::Percent.show(share))).unwrap_or_default();
            let (bad, all) = (grouped(counts.bad), grouped(counts.all));
            Some(format!(
                "{}: {bad} of {all} events{share} were bad, counted on the new version.",
                metric.title
            ))
        })
        .collect()
}

fn samples(run: &Run, source: &Source<'_>, measured: &Measured, charts: &[Chart]) -> Vec<String> {
    let mut words = source.kept.remarks();
    if measured.is_empty() && !run.runbook.metrics.is_empty() {
        words.push(
            "No samples were kept of this run: the charts have only what the journal itself tells (the mean before the \
             switch, and values that a trigger told of)."
                .to_owned(),
        );
    }
    let drawn = |id: &str| charts.iter().any(|chart| chart.id == id);
    let missing: Vec<&str> = run
        .runbook
        .metrics
        .iter()
        .filter(|metric| !drawn(metric.id.as_str()))
        .map(|metric| metric.title.as_str())
        .collect();
    if !missing.is_empty() {
        words.push(format!("Nothing is known of: {}.", missing.join(", ")));
    }
    words
}

fn checklist(run: &Run) -> Vec<(String, Vec<Item>)> {
    let groups = run.runbook.checklist.iter().zip(&run.items);
    groups
        .map(|(group, states)| {
            let items = group.items.iter().zip(states).map(|(item, state)| {
                let (word, tone) = match state.status {
                    ItemStatus::Holds => ("passed", Tone::Well),
                    ItemStatus::Waived => ("not needed", Tone::Watch),
                    ItemStatus::Open if item.optional => ("open, optional", Tone::Plain),
                    ItemStatus::Open => ("OPEN", Tone::Bad),
                    ItemStatus::Fails => ("FAILED", Tone::Bad),
                };
                Item {
                    text: item.text.clone(),
                    word,
                    tone,
                    by: state.by.as_ref().map(ToString::to_string).unwrap_or_default(),
                    at: state.by.as_ref().map(|_| state.at),
                    note: state.note.clone().unwrap_or_default(),
                }
            });
            (group.title.clone(), items.collect())
        })
        .collect()
}

fn incident(run: &Run) -> Option<Incident> {
    let declared = run.incident.as_ref()?;
    let steps = run.runbook.incident.as_ref().map(|incident| incident.steps.as_slice()).unwrap_or_default();
    Some(Incident {
        severity: declared.severity.clone(),
        title: declared.title.clone(),
        impact: declared.impact.clone(),
        history: declared.history.clone(),
        text: run.incident_text(),
        steps: steps.iter().cloned().zip(run.incident_steps.iter().copied()).collect(),
    })
}

fn notices(run: &Run) -> Vec<Notice> {
    let notice = |it: &crate::domain::run::Notice| Notice {
        at: it.at,
        ok: it.ok,
        text: it.text.clone(),
        detail: it.detail.clone(),
    };
    run.notices.iter().map(notice).collect()
}

fn tasks(run: &Run) -> Vec<Task> {
    let task = |it: &crate::domain::run::TaskState| Task {
        text: it.text.clone(),
        due_at: it.due_at,
        done: it.done.as_ref().map(|(by, at)| format!("{by}, {}", date(*at))),
    };
    run.tasks.iter().map(task).collect()
}

/// What was left open.
fn left(run: &Run) -> Vec<String> {
    let counted = |many: usize, what: &str| format!("{many} {what}{}", if many == 1 { "" } else { "s" });
    let mut left = Vec::new();
    if run.left_open() > 0 && run.steps_open {
        left.push(format!(
            "{} never ticked: the steps were opened without it.",
            counted(run.left_open(), "checklist item")
        ));
    }
    let checks = run.open_rollback_checks();
    if checks > 0 {
        left.push(format!(
            "{} of the rollback never passed: nobody has looked, or not said so.",
            counted(checks, "check")
        ));
    }
    for (step, state) in run.runbook.steps.iter().zip(&run.steps) {
        if state.status == StepStatus::Skipped {
            let why = state.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            left.push(format!("Skipped: {}{why}", step.title));
        }
    }
    for notice in run.notices.iter().filter(|notice| !notice.ok) {
        let first = notice.text.lines().next().unwrap_or_default();
        left.push(format!("Not sent ({}): {first}", notice.detail));
    }
    for foreign in &run.foreign {
        left.push(format!("Somebody else's change, neither accepted nor reverted: {}", foreign.words));
    }
    for remark in run.rollbacks.iter().flat_map(|rollback| &rollback.remarks) {
        left.push(format!("Remark of the rollback: {remark}"));
    }
    if run.rollbacks.last().is_some_and(|rollback| rollback.procedure.as_str() == QUICK) {
        left.extend(
            run.procedure_plan(QUICK, None).not_undone.iter().map(|what| format!("Not undone: {what}")),
        );
    }
    left
}
