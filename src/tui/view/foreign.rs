//! A change by somebody else that pauses the run: what it is, the command that reverts it by hand, and the choices.

use crate::{
    domain::{cause::HoldCause, prompt::Prompt, run::Run},
    tui::{
        model::Model,
        widget::row::{Row, wrap},
    },
};

/// The pane's title.
pub(super) const TITLE: &str = "Changed by somebody else";

/// Whether that is what the run waits for.
pub(super) fn is_due(model: &Model, run: &Run) -> bool {
    matches!(run.prompt(model.now), Prompt::Held { cause: HoldCause::Foreign, .. }) && !run.foreign.is_empty()
}

/// What was changed, and what to do about it. Lines that are to be pasted are wrapped, never cut.
pub(super) fn rows(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let look = model.look;
    let room = width.saturating_sub(5);
    let mut rows = Vec::new();
    for change in &run.foreign {
        rows.extend(wrap(&change.words, room).into_iter().enumerate().map(|(n, line)| {
            Row::of(if n == 0 { " ! " } else { "   " }, look.warn()).put(line, look.text())
        }));
        if !change.put_back.is_empty() {
            rows.push(Row::of("   by hand:", look.dim()));
            rows.extend(
                wrap(&change.put_back, room)
                    .into_iter()
                    .map(|line| Row::of("     ", look.dim()).put(line, look.next())),
            );
        }
    }
    let choose =
        |key: &str, what: &str| Row::of(format!(" {key:<9} "), look.key()).put(what, look.text()).fit(width);
    rows.push(choose(":putback", "cutover puts it back, then continues"));
    rows.push(choose(":accept", "continues with it as it is now"));
    rows
}
