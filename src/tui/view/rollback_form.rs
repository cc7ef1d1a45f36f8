//! `R` and `D`: exactly what would be done now, why, and how long it takes.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use super::{
    checks,
    form::{field, scroll_keys},
};
use crate::{
    domain::{
        action::{Action, ActionKind},
        id::QUICK,
        plan::RollbackPlan,
        run::{Run, tag_of},
    },
    tui::{
        model::{
            Model,
            form::{RollbackFocus, RollbackForm},
        },
        offer::panes,
        widget::{
            dialog_box::{self, Content},
            row::{Row, wrap},
        },
    },
};

pub(super) fn draw(model: &Model, form: &RollbackForm, body: Rect, buffer: &mut Buffer) {
    let look = model.look;
    if let Some(content) = content(model, form, body) {
        dialog_box::draw(content, body, look, (look.alert_edge(), look.alert()), buffer);
    }
}

pub(super) fn content(model: &Model, form: &RollbackForm, body: Rect) -> Option<Content> {
    let look = model.look;
    let run = model.run.as_ref()?;
    let workload = model.telemetry.workload.as_ref();
    let plan = match &form.procedure {
        Some(id) => run.procedure_plan(id.as_str(), workload),
        None => run.rollback_plan(workload, model.now),
    };
    let width = 72.min(usize::from(body.width).saturating_sub(6));
    // With room to spare every line shows the command that does the same by hand.
    let word = word_rows(model, form, width);
    // The box's edges, a blank line, the buttons, a fault.
    let rest = 4 + usize::from(form.fault.is_some()) + word.len();
    let left = not_undone(model, &plan, width);
    let roomy = what(model, run, form, &plan, width, true);
    let fits = roomy.len() + left.len() + form.reasons.len() + rest + 4 < usize::from(body.height);
    let mut rows = if fits { roomy } else { what(model, run, form, &plan, width, false) };
    let short = rows.len() + left.len() + form.reasons.len() + 1 + rest > usize::from(body.height);
    let mut foot = Vec::new();
    let focus = if short {
        // What cannot be taken back is never below the edge.
        if rows.len() + left.len() + 1 + rest <= usize::from(body.height) {
            foot.extend(left);
        } else {
            foot.extend(not_undone_in_short(model, &plan, width));
        }
        // What it does comes first; the question stays in sight below it.
        foot.extend(reasons(model, form, width, short));
        foot.extend(word);
        0
    } else {
        rows.extend(left);
        rows.push(Row::new());
        let from = rows.len();
        rows.extend(reasons(model, form, width, short));
        rows.extend(word);
        if form.focus == RollbackFocus::Reasons { from + form.reason } else { rows.len() - 1 }
    };
    if let Some(fault) = &form.fault {
        foot.push(Row::of(format!("! {fault}"), look.alert()));
    }
    foot.push(buttons(model, form, &plan, width));
    let (scroll, keys) = (form.scroll, scroll_keys(model));
    Some(Content { title: title(model, run, form), rows, focus, scroll, keys, foot, width })
}

/// The word to type and its field, where one is asked.
fn word_rows(model: &Model, form: &RollbackForm, width: usize) -> Vec<Row> {
    let look = model.look;
    let Some(word) = &form.word else { return Vec::new() };
    let typed = if form.focus == RollbackFocus::Word {
        field(model, &form.typed, width)
    } else {
        Row::of("  ", look.text()).put(form.typed.value(), look.text())
    };
    vec![Row::of(format!("Type  {word}  to continue:"), look.strong()), typed]
}

fn title(model: &Model, run: &Run, form: &RollbackForm) -> String {
    let environment = match &run.opened.rehearsal {
        Some(_) => "the rehearsal".to_owned(),
        None => run.runbook.deployment.environment.word().to_lowercase(),
    };
    match &form.procedure {
        Some(id) => {
            let title = run.runbook.procedure(id.as_str()).map_or(id.as_str(), |procedure| &procedure.title);
            format!("{title}: {environment}?")
        }
        None if run.switch_begun() => format!("Roll back {environment}?"),
        None => {
            let steps = run.rollback_plan(model.telemetry.workload.as_ref(), model.now).undo.len();
            format!("Undo {steps} step{} of {environment}?", if steps == 1 { "" } else { "s" })
        }
    }
}

/// What it would do, in order, and what stays as it is.
fn what(
    model: &Model,
    run: &Run,
    form: &RollbackForm,
    plan: &RollbackPlan,
    width: usize,
    roomy: bool,
) -> Vec<Row> {
    let look = model.look;
    let mut rows = Vec::new();
    if let Some(procedure) = form.procedure.as_ref().and_then(|id| run.runbook.procedure(id.as_str())) {
        if let Some(only) = &procedure.only {
            rows.extend(
                wrap(&format!("ONLY IF: {only}"), width)
                    .into_iter()
                    .map(|line| Row::of(line, look.critical())),
            );
        }
        match (form.word.as_ref(), run.backup_age(model.now)) {
            (Some(word), Some(age)) => {
                rows.push(
                    Row::of(
                        format!("Backup {word}, taken {} ago: what was written since is lost.", age.short()),
                        look.warn(),
                    )
                    .fit(width),
                );
            }
            _ => rows.push(Row::of("No backup was taken in this run.", look.warn())),
        }
    }
    for (n, item) in plan.items.iter().enumerate() {
        let mut row = Row::of(format!("{:>2}  ", n + 1), look.dim()).put(&item.text, look.text());
        if let Some(facts) = plan.actions.get(n).and_then(|action| facts(model, run, action)) {
            row = row.put(facts, look.dim());
        }
        rows.push(row.fit(width));
        if let Some(command) = item.command.as_ref().filter(|_| roomy) {
            let line = command.split('\n').map(str::trim).collect::<Vec<_>>().join("; ");
            rows.extend(
                Row::of("    ", look.text()).join(checks::by_hand(model, run, &line)).folded(width, 4),
            );
        }
    }
    if plan.items.is_empty() {
        rows.push(Row::of("Nothing would be done: all of it is so already.", look.dim()));
    }
    rows
}

/// What stays as it is whatever is rolled back.
fn not_undone(model: &Model, plan: &RollbackPlan, width: usize) -> Vec<Row> {
    let look = model.look;
    let wrapped = |left: &String| wrap(&format!("not undone: {left}"), width.saturating_sub(4));
    let lines = plan.not_undone.iter().flat_map(wrapped);
    let mut rows: Vec<Row> = lines.map(|line| Row::of("    ", look.text()).put(line, look.warn())).collect();
    // In its own dialog it is what is being done.
    let own = plan.procedure.as_ref().is_some_and(|id| id.as_str() != QUICK);
    if let (false, false, Some((key, title))) = (rows.is_empty(), own, panes::database_key(model)) {
        rows.push(
            Row::of("    for that: ESC then ", look.dim())
                .put(key, look.key())
                .put(format!(" ({title})"), look.dim()),
        );
    }
    rows
}

/// The same in one line: what they are, without why.
fn not_undone_in_short(model: &Model, plan: &RollbackPlan, width: usize) -> Option<Row> {
    let what: Vec<&str> =
        plan.not_undone.iter().map(|left| left.split([':', ';']).next().unwrap_or_default().trim()).collect();
    let text = format!("NOT UNDONE: {}", what.join(", "));
    (!what.is_empty()).then(|| Row::of(text, model.look.warn()).fit(width))
}

/// What traffic would meet where an action sends it: `(v1.5.0, 3/3 ready)`.
fn facts(model: &Model, run: &Run, action: &Action) -> Option<String> {
    let ActionKind::SwitchTraffic { to, .. } = &action.kind else { return None };
    let slot = model.telemetry.workload.as_ref()?.slots.get(&run.slot(to)?)?;
    Some(format!(" ({}, {}/{} ready)", tag_of(&slot.image), slot.ready, slot.desired))
}

/// The reasons to choose from; only the chosen one if there is no room.
fn reasons(model: &Model, form: &RollbackForm, width: usize, short: bool) -> Vec<Row> {
    let look = model.look;
    let mut rows = Vec::new();
    let own = form.reason == form.reasons.len();
    for (n, (reason, _)) in form.reasons.iter().enumerate() {
        let chosen = form.reason == n;
        if short && !chosen {
            continue;
        }
        let lead = if n == 0 || short { "Why? " } else { "     " };
        let sign = if chosen { "▸ " } else { "  " };
        let style = match (chosen, form.focus) {
            (true, RollbackFocus::Reasons) => look.selected(),
            (true, _) => look.strong(),
            (false, _) => look.text(),
        };
        let row = Row::of(lead, look.strong()).put(sign, look.edge()).put(reason, style);
        let more = if short {
            Row::of(format!("{} of {}, j/k", n + 1, form.reasons.len() + 1), look.dim())
        } else {
            Row::new()
        };
        rows.push(row.right(more, width));
    }
    if short && !own {
        return rows;
    }
    let row = Row::of(if short { "Why? " } else { "     " }, look.strong())
        .put(if own { "▸ " } else { "  " }, look.edge())
        .put("other: ", look.text());
    rows.push(if form.focus == RollbackFocus::Other {
        let room = width.saturating_sub(row.width());
        row.join(field(model, &form.other, room))
    } else {
        let text = form.other.value();
        row.put(if text.is_empty() { "______________________________" } else { text }, look.dim()).fit(width)
    });
    rows
}

fn buttons(model: &Model, form: &RollbackForm, plan: &RollbackPlan, width: usize) -> Row {
    let look = model.look;
    let about = plan.estimate.about();
    let late = plan.within.is_some_and(|within| plan.estimate > within);
    let promise =
        plan.within.map(|within| format!(", promised within {}", within.clock())).unwrap_or_default();
    let button = |focused: bool, name: &str| {
        if focused {
            Row::of(format!("[ {name} ]"), look.selected())
        } else {
            Row::of(format!("  {name}  "), look.text())
        }
    };
    // Only what the keys are on stands out.
    let cancel = button(form.focus == RollbackFocus::Cancel, "Cancel");
    let go = button(form.focus == RollbackFocus::Go, "Roll back");
    let keys = cancel.put("  ", look.text()).join(go);
    // The promise is left out where it would be cut.
    let room = width.saturating_sub(keys.width() + 1);
    let forms = [format!("takes {about}{promise}"), format!("takes {about}")];
    let words = forms.iter().find(|form| form.width() <= room).map_or("", String::as_str);
    Row::of(words, if late { look.alert() } else { look.strong() }).right(keys, width)
}
