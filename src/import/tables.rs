//! Tables: contacts, severity levels, metrics, triggers, tasks, commands, checklists, links, changes; any other row by row.

mod kinds;

use self::kinds::{COMMAND, METRIC, QUERY};
use super::{
    amounts,
    draft::{Metric, Point, Task, Trigger},
    fence, metrics,
    page::{Lines, Row, Text},
    people::{Columns, cell, some},
    roles::Role,
    walk::Walk,
    words::{is_optional, one_line},
};

/// Takes one row of a table.
type Take<'w> = fn(&mut Walk<'w>, &Columns, &Row, Lines);

/// Whether a command that stands in such a part of the page is one that the run executes; elsewhere it is for reference.
fn is_run_in(role: Role) -> bool {
    matches!(role, Role::Step | Role::Rollback | Role::DatabaseRollback | Role::Completion | Role::Validation)
}

impl<'w> Walk<'w> {
    /// A table: its head says once how each of its rows is taken.
    pub(super) fn table(&mut self, head: &Row, rows: &[Row], lines: Lines) {
        let columns = Columns(
            head.cells.iter().map(|cell| cell.plain.to_lowercase().trim_matches('*').to_owned()).collect(),
        );
        // Head and the line below it hold the rest together.
        self.ledger.form(lines.first, (lines.first + 1).min(lines.last));
        for cell in rows.iter().flat_map(|row| &row.cells) {
            self.speaks_of_strategy(&cell.plain);
        }
        let take = Self::taker(&columns, self.role());
        for row in rows {
            let here = Lines { first: row.line, last: row.line };
            if row.cells.iter().all(|cell| cell.plain.is_empty()) {
                self.ledger.form(row.line, row.line);
                continue;
            }
            if let Some(written) = &row.overfull {
                self.note(written, here);
                let why = "this row has more cells than its table's head: write a | that is none as \\|";
                self.ledger.decide(row.line, why);
                continue;
            }
            take(self, &columns, row, here);
        }
    }

    /// How the rows of a table are taken, by its head and by what its part of the page is about. The first that fits counts:
    /// what a table plainly lists (changes, contacts, levels, metrics, triggers) comes before what its place suggests.
    fn taker(columns: &Columns, role: Role) -> Take<'w> {
        let command = columns.find(COMMAND).is_some();
        if role == Role::Triggers {
            Self::trigger_row
        } else if columns.tell_changes() {
            Self::change_row
        } else if columns.tell_contacts() {
            Self::contact_row
        } else if columns.tell_levels() {
            Self::level_row
        } else if columns.tell_metrics() {
            Self::metric_row
        } else if columns.tell_triggers() && !matches!(role, Role::Failure | Role::Incident) {
            Self::trigger_row
        } else if columns.tell_tasks() && matches!(role, Role::Tasks | Role::Completion) {
            Self::task_row
        } else if command && is_run_in(role) {
            Self::command_row
        } else if matches!(role, Role::Checklist | Role::Validation) || columns.tell_checks() {
            Self::check_row
        } else if role == Role::Tasks {
            Self::task_row
        } else if role == Role::Links || columns.tell_links() {
            Self::link_row
        } else if columns.0.len() == 2 && !command {
            Self::keyed_row
        } else if command {
            Self::reference_row
        } else if matches!(role, Role::Step | Role::Rollback | Role::DatabaseRollback) && columns.tell_steps()
        {
            Self::step_row
        } else {
            Self::noted_row
        }
    }

    pub(super) fn noted_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        self.note(&columns.told(row), lines);
    }

    fn keyed_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let (key, value) = (cell(row, Some(0)), row.cells.get(1).cloned().unwrap_or_default());
        if !self.keyed(&key, &value.plain, &value, lines) {
            if value.links.iter().any(|(_, url)| url.starts_with("http")) && self.role() != Role::Step {
                for (_, url) in value.links.iter().filter(|(_, url)| url.starts_with("http")) {
                    self.draft.link(&key, url);
                }
                self.ledger.taken(lines.first, lines.last, "link");
                self.remark(&columns.told(row), lines.first);
                return;
            }
            self.noted_row(columns, row, lines);
        }
    }

    fn metric_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let title_at = columns.find(METRIC);
        let normal_at = columns.find(&[
            "normal",
            "target",
            "expected",
            "healthy",
            "baseline",
            "slo",
            "acceptable",
            "cible",
            "range",
            "success",
            "good",
            "ok",
        ]);
        let alert_at =
            ["alert", "rollback", "abort", "critical", "alerte", "seuil", "limit", "threshold", "warning"]
                .iter()
                .find_map(|word| columns.find(&[word]).filter(|at| Some(*at) != normal_at));
        let action_at = columns.find(&["action", "response", "then", "do"]);
        let query_at = columns.find(QUERY);
        let query = query_at.and_then(|at| row.cells.get(at)).and_then(|cell| metrics::asked(&cell.plain));
        let title = cell(row, title_at);
        let (normal, alert) = (amounts::bound(&cell(row, normal_at)), amounts::bound(&cell(row, alert_at)));
        let unit = alert.as_ref().or(normal.as_ref()).map(|found| found.unit);
        let Some(unit) = unit.filter(|_| !title.is_empty()) else {
            return self.noted_row(columns, row, lines);
        };
        // Bounds of two units are two metrics; the alert is what somebody acts on.
        let fitting =
            |found: Option<amounts::Found>| found.filter(|found| found.unit == unit).map(|found| found.bound);
        let said = columns.told(row);
        // A bound's cell may say more than the bound: for how long, of what.
        let more = [normal.as_ref(), alert.as_ref()].into_iter().flatten().any(|found| {
            [&found.before, &found.after].iter().any(|words| words.contains(char::is_alphanumeric))
        });
        let known = [title_at, normal_at, alert_at, action_at, query_at.filter(|_| query.is_some())];
        let unused = |(at, cell): (usize, &Text)| !known.contains(&Some(at)) && !cell.plain.is_empty();
        let told = more
            || row.cells.iter().enumerate().any(unused)
            || normal.as_ref().is_some_and(|found| found.unit != unit);
        self.ledger.taken(lines.first, lines.last, "metric");
        let back = alert_at.and_then(|at| columns.0.get(at)).is_some_and(|head| {
            ["rollback", "roll back", "abort", "revert"].iter().any(|word| head.contains(word))
        });
        if let Some(found) = alert.as_ref().filter(|_| back) {
            self.ledger.counts.triggers += 1;
            let lasts = amounts::lasting(&found.after);
            let text = format!("{title} {}", cell(row, alert_at));
            self.draft.triggers.push(Trigger { text, line: lines.first, lasts });
        }
        self.draft.metrics.push(Metric {
            title,
            unit,
            normal: fitting(normal),
            alert: fitting(alert),
            action: some(cell(row, action_at)),
            query,
            line: lines.first,
            comments: if told { vec![format!("{said} (line {})", lines.first)] } else { Vec::new() },
        });
    }

    fn trigger_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let what = cell(
            row,
            columns
                .find(&[
                    "trigger",
                    "condition",
                    "symptom",
                    "criteria",
                    "criterion",
                    "metric",
                    "signal",
                    "déclencheur",
                    "indicator",
                    "métrique",
                ])
                .or(Some(0)),
        );
        let threshold = cell(row, columns.find(&["threshold", "value", "limit", "seuil", "breach", "level"]));
        let lasting = cell(row, columns.find(&["duration", "for", "durée", "window", "period"]));
        if what.is_empty() {
            return self.noted_row(columns, row, lines);
        }
        self.ledger.taken(lines.first, lines.last, "trigger");
        self.ledger.counts.triggers += 1;
        let mut text = what;
        for (more, before) in [(&threshold, " "), (&lasting, " for ")] {
            if !more.is_empty() && !text.contains(more.as_str()) {
                text.push_str(before);
                text.push_str(more);
            }
        }
        let lasts = amounts::time(&lasting)
            .map(|(_, high)| high)
            .or_else(|| amounts::bound(&text).and_then(|found| amounts::lasting(&found.after)));
        self.draft.triggers.push(Trigger { text, line: lines.first, lasts });
        if row.cells.len() > 1 {
            self.draft.comments.push(format!("{} (line {})", columns.told(row), lines.first));
        }
    }

    fn task_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let text = cell(
            row,
            columns.find(&["task", "tâche", "action", "aufgabe", "item", "check", "what"]).or(Some(0)),
        );
        let when = cell(
            row,
            columns.find(&["due", "when", "deadline", "within", "échéance", "frist", "timeline", "time"]),
        );
        if text.is_empty() {
            return self.noted_row(columns, row, lines);
        }
        let due = amounts::time(&when).map(|(_, high)| high).or(self.section().due);
        self.ledger.counts.items += 1;
        self.ledger.taken(lines.first, lines.last, "task for afterwards");
        let mut told = text.clone();
        if row.cells.len() > 1 {
            told = columns.told(row);
        }
        if due.is_some() {
            if told != text {
                self.draft.comments.push(format!("{told} (line {})", lines.first));
            }
            self.draft.tasks.push(Task { due, text });
        } else {
            self.draft.completion.push(super::draft::Entry::Item(Point {
                text: told,
                line: lines.first,
                optional: false,
            }));
        }
    }

    fn command_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let at = columns.find(COMMAND);
        let text = at.and_then(|at| row.cells.get(at)).cloned().unwrap_or_default();
        let name_at = columns
            .find(&[
                "description",
                "action",
                "step",
                "étape",
                "what",
                "purpose",
                "task",
                "name",
                "schritt",
                "beschreibung",
            ])
            .filter(|name| Some(*name) != at);
        let name = cell(row, name_at).trim().to_owned();
        let commands: Vec<String> = text.code.iter().filter(|code| fence::is_known(code)).cloned().collect();
        if commands.is_empty() {
            return self.step_row(columns, row, lines);
        }
        for command in &commands {
            let plain = if name.is_empty() { format!("`{command}`") } else { format!("{name}: `{command}`") };
            self.command_line(command, &plain, lines);
        }
        let known = [at, name_at];
        if row.cells.iter().enumerate().any(|(at, cell)| !known.contains(&Some(at)) && !cell.plain.is_empty())
        {
            self.remark(&columns.told(row), lines.first);
        }
    }

    /// A row with something that a person does.
    fn step_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        self.ledger.taken(lines.first, lines.last, "something that a person does");
        self.ledger.counts.items += 1;
        let point = Point { text: columns.told(row), line: lines.first, optional: false };
        self.entries().push(super::draft::Entry::Item(point));
    }

    fn reference_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let at = columns.find(COMMAND);
        let code = at.and_then(|at| row.cells.get(at)).and_then(|cell| cell.code.first().cloned());
        let other = row
            .cells
            .iter()
            .enumerate()
            .find(|(other, _)| Some(*other) != at)
            .map(|(_, cell)| cell.plain.clone());
        match (code, other) {
            (Some(code), Some(name)) if fence::is_known(&code) => {
                self.ledger.taken(lines.first, lines.last, "command, for whoever needs it");
                self.ledger.counts.commands += 1;
                self.draft.link(&name, &code);
                if row.cells.len() > 2 {
                    self.draft.comments.push(format!("{} (line {})", columns.told(row), lines.first));
                }
            }
            _ => self.noted_row(columns, row, lines),
        }
    }

    fn check_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let at = columns.find(&[
            "check",
            "item",
            "task",
            "checklist",
            "description",
            "vérification",
            "prüfung",
            "what",
            "requirement",
            "action",
            "step",
        ]);
        let marks = |text: &str| {
            text.chars().all(|c| {
                matches!(c, '[' | ']' | ' ' | 'x' | 'X' | '☐' | '☑' | '✓' | '✔' | '✅' | '⬜' | '#')
                    || c.is_ascii_digit()
                    || c == '.'
            })
        };
        let text = at
            .map(|at| cell(row, Some(at)))
            .filter(|text| !marks(text))
            .or_else(|| row.cells.iter().map(|cell| cell.plain.clone()).find(|text| !marks(text)));
        let Some(text) = text else { return self.noted_row(columns, row, lines) };
        let others = row.cells.iter().filter(|cell| cell.plain != text && !marks(&cell.plain)).count();
        let point = Point { optional: is_optional(&text), text: text.clone(), line: lines.first };
        self.ledger.taken(lines.first, lines.last, "item");
        self.ledger.counts.items += 1;
        match self.role() {
            Role::Validation => self.entries().push(super::draft::Entry::Item(point)),
            Role::Step if !self.draft.steps.is_empty() => {
                self.entries().push(super::draft::Entry::Item(point));
            }
            Role::Rollback | Role::DatabaseRollback | Role::Completion | Role::Tasks => {
                self.entries().push(super::draft::Entry::Item(point));
            }
            _ => {
                self.group().items.push(point);
                if others > 0 {
                    let comment = format!("{} (line {})", columns.told(row), lines.first);
                    self.group().comments.push(comment);
                }
                return;
            }
        }
        if others > 0 {
            self.remark(&columns.told(row), lines.first);
        }
    }

    fn link_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let whole = columns.told(row);
        let name = cell(row, Some(0));
        let mut all = Text {
            plain: one_line(&row.cells.iter().map(|cell| cell.plain.as_str()).collect::<Vec<_>>().join(" ")),
            line: lines.first,
            ..Text::default()
        };
        for cell in &row.cells {
            all.links.extend(
                cell.links.iter().map(|(words, url)| {
                    (if words == url { name.clone() } else { words.clone() }, url.clone())
                }),
            );
            all.code.extend(cell.code.iter().cloned());
        }
        all.label = some(name);
        if self.linked(&all, lines) {
            self.draft.comments.push(format!("{whole} (line {})", lines.first));
        } else {
            self.noted_row(columns, row, lines);
        }
    }
}
