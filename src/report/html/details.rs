//! The page's tables: what was done and seen in each step, who decided what, the checklist, what is left.

use super::{figure, list, table, toned};
use crate::{
    domain::event::Place,
    report::{
        backtest,
        course::{Act, Check, End, Kind, Stage},
        facts::{Facts, date},
        markup::{Markup, tag},
        outcome::seconds,
        tone::Tone,
    },
};

/// The rollback against its promise, with all that it did.
pub fn rollback(facts: &Facts) -> Markup {
    let Some(last) = &facts.figures.rollback else { return Markup::default() };
    let promised = last.within_ms.map(|ms| crate::domain::time::Span::from_millis(ms).clock());
    let mut words =
        vec![format!("Ordered at {} UTC by {}: {}.", last.started_at.clock(), last.by, last.reason)];
    if let Some(back) = last.traffic_back_ms {
        words.push(format!("Users had the old version again after {}.", seconds(back)));
    }
    let verdict = match (last.kept, last.took_ms, &promised) {
        (Some(true), Some(took), Some(promised)) => Some((
            Tone::Well,
            format!("{} after {}: the promise of {promised} was kept.", last.done_words(), seconds(took)),
        )),
        (Some(false), Some(took), Some(promised)) if last.ok == Some(true) => Some((
            Tone::Bad,
            format!("{} after {}: the promise of {promised} was NOT KEPT.", last.done_words(), seconds(took)),
        )),
        (_, Some(took), _) if last.ok == Some(false) => {
            Some((Tone::Bad, format!("It FAILED after {}.", seconds(took))))
        }
        (_, Some(took), _) => Some((
            Tone::Plain,
            format!("{} after {}; nothing was promised.", last.done_words(), seconds(took)),
        )),
        (_, None, _) => Some((Tone::Bad, "It is not over.".to_owned())),
    };
    let verdict = verdict.map(|(tone, words)| tag("p").class("strong").put(toned(tone, &words)).end());
    let is = |stage: &&Stage| matches!(&stage.kind, Kind::At(Place::Rollback { .. } | Place::Undo { .. }));
    let stages = facts.stages().filter(is).map(work);
    Markup::all([list(&words), verdict.unwrap_or_default(), Markup::all(stages)])
}

/// Each step with its time against its estimate, and what was done and seen in it.
pub fn stages(facts: &Facts) -> Markup {
    let rows = facts.stages().map(|stage| {
        let took = if stage.end == End::Skipped { String::new() } else { stage.took(facts.now).clock() };
        let estimate = stage.judged(facts.now).map(|(words, tone)| toned(tone, &words)).unwrap_or_default();
        vec![
            tag("b").put(&stage.title).end(),
            Markup::text(&stage.from.clock()),
            Markup::text(&took),
            estimate,
            toned(stage.tone(), stage.word()),
            Markup::text(stage.reason.as_deref().unwrap_or_default()),
        ]
    });
    let times = table("stages", &["Step", "Begun", "Took", "Estimate", "Ended", "Why"], rows);
    let inside = facts
        .stages()
        .filter(|stage| !matches!(stage.kind, Kind::At(Place::Rollback { .. } | Place::Undo { .. })))
        .filter(|stage| !stage.acts.is_empty() || !stage.checks.is_empty())
        .map(|stage| {
            let count =
                |many: usize, what: &str| format!("{many} {what}{}", if many == 1 { "" } else { "s" });
            let what = format!(
                "{}: {}, {}",
                stage.title,
                count(stage.acts.len(), "action"),
                count(stage.checks.len(), "check")
            );
            tag("details").put(tag("summary").put(what)).put(work(stage)).end()
        });
    Markup::all([times].into_iter().chain(inside))
}

/// What was done and seen in a stage.
fn work(stage: &Stage) -> Markup {
    let act = |act: &Act| {
        let took = act.took.map(|took| seconds(took.as_millis())).unwrap_or_default();
        vec![
            Markup::text(&act.from.clock()),
            Markup::all([tag("b").put(&act.name).end(), code(&act.does)]),
            toned(act.tone, act.word),
            Markup::text(&took),
            Markup::lines(&act.detail),
        ]
    };
    let check = |check: &Check| {
        vec![
            Markup::text(&check.seen.clock()),
            Markup::text(&check.text),
            toned(check.tone, check.word),
            Markup::text(&check.by),
            Markup::lines(&check.evidence),
        ]
    };
    Markup::all([
        table("work", &["UTC", "Action", "Ended", "Took", "Answer"], stage.acts.iter().map(act)),
        table("work", &["UTC", "Check", "Last seen", "By", "Evidence"], stage.checks.iter().map(check)),
    ])
}

fn code(text: &str) -> Markup {
    if text.is_empty() { Markup::default() } else { tag("code").put(text).end() }
}

/// The card of each verdict, and whether it can be computed again.
pub fn verdicts(facts: &Facts) -> Markup {
    Markup::all(facts.verdicts.iter().map(|verdict| {
        let rows =
            verdict.facts.iter().map(|(name, value)| vec![tag("b").put(*name).end(), Markup::text(value)]);
        let again = verdict.again.as_ref().map(|(tone, words)| tag("p").put(toned(*tone, words)).end());
        tag("div")
            .class("card")
            .put(tag("h3").put(&verdict.title))
            .put(tag("p").put(toned(verdict.tone, &verdict.words)))
            .put(table("about", &["What", "Value"], rows))
            .put(again.unwrap_or_default())
            .end()
    }))
}

/// What the triggers would have done in the past.
pub fn backtest(facts: &Facts) -> Markup {
    let Some(found) = &facts.backtest else { return Markup::default() };
    let rows = backtest::rows(found).into_iter().map(|row| {
        let each = row.runs.iter().map(|(tone, words)| tag("div").put(toned(*tone, words)).end());
        let runs = Markup::all(each);
        let runs = if runs.is_empty() { runs } else { tag("div").put(runs).end() };
        let trigger = Markup::all([tag("b").put(&row.trigger).end(), tag("small").put(row.by).end()]);
        let (harmless, advice) = (toned(row.harmless.0, &row.harmless.1), toned(row.advice.0, &row.advice.1));
        vec![trigger, harmless, runs, advice]
    });
    let left = found.left_out.iter().map(|left| {
        format!("Left out: {} to {}: {}", date(left.window.from), date(left.window.to), left.why)
    });
    let told: Vec<String> = left.chain(found.remarks.iter().cloned()).collect();
    Markup::all([
        tag("p").put(format!("{}.", backtest::span(found))).end(),
        figure(&|size| backtest::draw(found, size), Markup::default()),
        tag("p").class("dim words").put(backtest::LEGEND).end(),
        table("backtest", &["Trigger", "Without a release", "Past runs", "Advice"], rows),
        list(&told),
    ])
}

/// Who decided what, and why.
pub fn decisions(facts: &Facts) -> Markup {
    table(
        "decisions",
        &["UTC", "Who", "What", "Why"],
        facts.course.decisions.iter().map(|it| {
            let what = if it.is_override {
                toned(Tone::Watch, &format!("OVERRIDE: {}", it.what))
            } else {
                Markup::text(&it.what)
            };
            vec![
                Markup::text(&it.at.clock()),
                Markup::text(&it.by),
                what,
                Markup::lines(it.reason.as_deref().unwrap_or_default()),
            ]
        }),
    )
}

/// The checklist with its evidence.
pub fn checklist(facts: &Facts) -> Markup {
    Markup::all(facts.checklist.iter().map(|(group, items)| {
        let rows = items.iter().map(|item| {
            vec![
                Markup::text(&item.text),
                toned(item.tone, item.word),
                Markup::text(&item.by),
                item.at.map(|at| Markup::text(&at.clock())).unwrap_or_default(),
                Markup::lines(&item.note),
            ]
        });
        Markup::all([
            tag("h3").put(group).end(),
            table("items", &["Item", "State", "By", "UTC", "Evidence"], rows),
        ])
    }))
}

/// The incident's text and steps.
pub fn incident(facts: &Facts) -> Markup {
    let Some(incident) = &facts.incident else { return Markup::default() };
    let head = tag("p").put(tag("b").put(format!("{}: {}", incident.severity, incident.title)));
    let impact =
        if incident.impact.is_empty() { Markup::default() } else { tag("p").put(&incident.impact).end() };
    let history = table(
        "lines",
        &["UTC", "Status"],
        incident.history.iter().map(|(at, status)| vec![Markup::text(&at.clock()), Markup::text(status)]),
    );
    let text = incident.text.as_ref().map(|text| tag("pre").put(Markup::lines(text)).end());
    let steps: Vec<String> = incident
        .steps
        .iter()
        .map(|(step, done)| format!("{} {step}", if *done { "☑" } else { "☐" }))
        .collect();
    Markup::all([head.end(), impact, history, text.unwrap_or_default(), list(&steps)])
}

/// What was sent, and what was not.
pub fn notices(facts: &Facts) -> Markup {
    table(
        "notices",
        &["UTC", "State", "Text", "Answer"],
        facts.notices.iter().map(|notice| {
            let state = if notice.ok { toned(Tone::Well, "sent") } else { toned(Tone::Bad, "NOT SENT") };
            vec![
                Markup::text(&notice.at.clock()),
                state,
                Markup::lines(&notice.text),
                Markup::text(&notice.detail),
            ]
        }),
    )
}

/// What is still to be done, and what was left open.
pub fn left(facts: &Facts) -> Markup {
    let tasks = table(
        "tasks",
        &["Task", "Due", "Done"],
        facts.tasks.iter().map(|task| {
            let done =
                task.done.as_ref().map_or_else(|| toned(Tone::Watch, "open"), |done| toned(Tone::Well, done));
            vec![Markup::text(&task.text), Markup::text(&date(task.due_at)), done]
        }),
    );
    let all = Markup::all([list(&facts.left), tasks]);
    if all.is_empty() { tag("p").put("Nothing is left open.").end() } else { all }
}

/// Who, where, with what.
pub fn about(facts: &Facts) -> Markup {
    let about = table(
        "about",
        &["What", "Value"],
        facts.about.iter().map(|(label, value)| vec![tag("b").put(*label).end(), Markup::text(value)]),
    );
    let values = table(
        "values",
        &["Variable", "Value", "From"],
        facts.course.values.iter().map(|it| {
            let value =
                it.value.as_ref().map_or_else(|| Markup::text("••• (secret)"), |value| Markup::lines(value));
            vec![code(&it.name), value, Markup::text(&it.source)]
        }),
    );
    Markup::all([about, values])
}
