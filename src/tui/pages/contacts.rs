//! Entries of the pages of contacts and links, each in as many lines as it takes.

use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::super::{
    links as addresses,
    model::Model,
    widget::row::{Row, wrap},
};
use crate::domain::{
    run::Run,
    runbook::{Contact, Link},
};

/// Contacts: role, name, handle, number, on a further line what has no room on the first.
pub(super) fn contacts(model: &Model, run: &Run, width: usize) -> Vec<Vec<Row>> {
    let look = model.look;
    let longest = run.runbook.contacts.iter().map(|contact| contact.role.chars().count()).max();
    let wide = longest.unwrap_or(0).min(28).min(width / 3);
    let column = wide + 3;
    let fields = |contact: &Contact| [contact.name.clone(), contact.slack.clone(), contact.phone.clone()];
    let all: Vec<[Option<String>; 3]> = run.runbook.contacts.iter().map(fields).collect();
    let used = [0, 1, 2].map(|field| all.iter().any(|fields| fields[field].is_some()));
    let entry = |contact: &Contact| {
        let mut rows = Vec::new();
        let mut roles =
            wrap(&contact.role, wide).into_iter().map(|line| Row::of(format!(" {line}"), look.strong()));
        let mut row = roles.next().unwrap_or_default().fill(column, look.text());
        let styles = [look.text(), look.key(), look.text()];
        // What some have and this one has not keeps its column free.
        let shown = fields(contact).into_iter().zip(styles).zip(used).filter(|(_, used)| *used);
        for ((text, style), _) in shown {
            for part in wrap(text.as_deref().unwrap_or_default(), width.saturating_sub(column).max(8)) {
                if row.width() > column && row.width() + part.width() > width {
                    let next = roles.next().unwrap_or_default().fill(column, look.text());
                    rows.push(std::mem::replace(&mut row, next));
                }
                let end = row.width() + 14;
                row = row.put(part, style).fill(end, look.text()).put("  ", look.text());
            }
        }
        rows.push(row);
        rows.extend(roles);
        rows
    };
    run.runbook.contacts.iter().map(entry).collect()
}

/// Where to look: each name with its whole address, in as many lines as it takes.
pub(super) fn links(model: &Model, run: &Run, width: usize) -> Vec<Vec<Row>> {
    let targets = addresses::targets(model);
    let wide = link_column(run, width);
    let entry = |link: &Link| {
        named(&targets, (&link.name, model.look.strong()), (&link.url, model.look.command()), wide, width)
    };
    run.runbook.links.iter().map(entry).collect()
}

/// What else is written about this deployment.
pub(super) fn related(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let targets = addresses::targets(model);
    let wide = link_column(run, width);
    let related = run.runbook.document.related.iter();
    related
        .flat_map(|(kind, path)| {
            named(
                &targets,
                (&kind.replace('_', " "), model.look.text()),
                (path, model.look.dim()),
                wide,
                width,
            )
        })
        .collect()
}

fn link_column(run: &Run, width: usize) -> usize {
    let longest = run.runbook.links.iter().map(|link| link.name.chars().count()).max();
    longest.unwrap_or(0).min(30).min(width / 3)
}

/// A name beside what it stands for, both whole.
fn named(
    targets: &[String],
    name: (&str, Style),
    what: (&str, Style),
    wide: usize,
    width: usize,
) -> Vec<Row> {
    let column = wide + 3;
    let mut names = wrap(name.0, wide).into_iter();
    let mut whats =
        addresses::lines(targets, what.0, width.saturating_sub(column).max(8), what.1).into_iter();
    let mut rows = Vec::new();
    loop {
        let (left, right) = (names.next(), whats.next());
        if left.is_none() && right.is_none() {
            return rows;
        }
        let left = Row::of(format!(" {}", left.unwrap_or_default()), name.1);
        rows.push(left.fill(column, Style::new()).join(right.unwrap_or_default()));
    }
}
