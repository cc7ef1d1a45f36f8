//! What was found before the start, the worst first, each with what to do.

use super::super::{
    model::Model,
    widget::row::{Row, wrap},
};
use crate::domain::online::{
    finding::{Finding, Mark},
    preflight::Preflight,
};

/// The page.
pub(super) fn rows(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let line = |text: &str| Row::of(format!(" {text}"), look.dim());
    match &model.preflight {
        None => vec![line("Only the screen that starts a run looks. In a shell: cutover check --online")],
        Some(looking @ Preflight::Looking) => vec![line(&format!("{} …", looking.summary()))],
        Some(done @ Preflight::Done { findings, failed }) => {
            let mut rows = vec![line(&done.summary())];
            for why in failed {
                rows.extend(entry(model, " ✖ ", Mark::Fault, &format!("not looked at: {why}"), width));
            }
            for finding in &findings.0 {
                rows.extend(of_finding(model, finding, width));
            }
            rows
        }
    }
}

fn of_finding(model: &Model, finding: &Finding, width: usize) -> Vec<Row> {
    let text = format!("{}: {}: {}", finding.area.word(), finding.about, finding.found);
    let sign = format!(" {} ", finding.mark.sign());
    let mut rows = entry(model, &sign, finding.mark, &text, width);
    if let Some(cure) = &finding.cure {
        let lines = wrap(cure, width.saturating_sub(6)).into_iter().enumerate();
        rows.extend(lines.map(|(n, line)| {
            Row::of(if n == 0 { "   → " } else { "     " }, model.look.text()).put(line, model.look.text())
        }));
    }
    rows
}

fn entry(model: &Model, sign: &str, mark: Mark, text: &str, width: usize) -> Vec<Row> {
    let look = model.look;
    let (signed, words) = match mark {
        Mark::Ok => (look.ok(), look.dim()),
        Mark::Warning | Mark::NotLookedAt => (look.warn(), look.text()),
        Mark::Fault => (look.alert(), look.strong()),
    };
    let lines = wrap(text, width.saturating_sub(4)).into_iter().enumerate();
    lines.map(|(n, line)| Row::of(if n == 0 { sign } else { "   " }, signed).put(line, words)).collect()
}
