//! Rows of tables about people: contacts, severity levels, changes.

use super::{
    draft::{Change, Contact, Level},
    page::{Lines, Row},
    walk::Walk,
    words::{handle, phone},
};

/// The columns of a table by what their heads say.
pub(super) struct Columns(pub(super) Vec<String>);

impl Columns {
    pub(super) fn find(&self, words: &[&str]) -> Option<usize> {
        words.iter().find_map(|word| {
            self.0.iter().position(|head| {
                head.split(|c: char| !c.is_alphanumeric()).any(|part| part == *word) || head == word
            })
        })
    }

    /// A row as text: `Head: cell; …`.
    pub(super) fn told(&self, row: &Row) -> String {
        let cells =
            row.cells.iter().enumerate().filter(|(_, cell)| !cell.plain.is_empty()).map(|(at, cell)| {
                match self.0.get(at).filter(|head| !head.is_empty()) {
                    Some(head) => format!("{head}: {}", cell.plain),
                    None => cell.plain.clone(),
                }
            });
        cells.collect::<Vec<_>>().join("; ")
    }
}

pub(super) fn cell(row: &Row, at: Option<usize>) -> String {
    at.and_then(|at| row.cells.get(at))
        .map(|cell| cell.plain.clone())
        .filter(|text| !matches!(text.as_str(), "-" | "–" | "—" | "n/a" | "N/A"))
        .unwrap_or_default()
}

pub(super) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl Walk<'_> {
    pub(super) fn contact_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let role_at = columns.find(&[
            "role",
            "function",
            "rôle",
            "rolle",
            "team",
            "equipe",
            "équipe",
            "responsibility",
            "area",
            "escalation",
            "position",
            "who",
            "level",
        ]);
        let name_at =
            columns.find(&["name", "nom", "person", "contact", "primary"]).filter(|at| Some(*at) != role_at);
        let slack_at =
            columns.find(&["slack", "handle", "channel", "chat", "teams"]).filter(|at| Some(*at) != role_at);
        let phone_at = columns.find(&["phone", "téléphone", "telefon", "mobile", "tel", "pager"]);
        let (role, name) = (cell(row, role_at), cell(row, name_at));
        let all = columns.told(row);
        let hole = |text: &String| {
            text.starts_with(['[', '<', '{']) && text.ends_with([']', '>', '}'])
                || text.eq_ignore_ascii_case("tbd")
                || text.eq_ignore_ascii_case("name")
        };
        let slack = some(cell(row, slack_at)).or_else(|| handle(&all));
        let phone = some(cell(row, phone_at)).or_else(|| phone(&all));
        let who = some(role.clone()).or_else(|| some(name.clone())).or_else(|| some(cell(row, Some(0))));
        let Some(who) = who else { return self.noted_row(columns, row, lines) };
        let mut contact = Contact { role: who, slack, phone, ..Contact::default() };
        if hole(&name) || contact.phone.as_ref().is_some_and(|phone| phone.contains("XX")) {
            contact.comments.push(format!("TODO: fill in who this is (line {}: {all})", lines.first));
            self.ledger.decide(lines.first, &format!("{}: fill in name and number", contact.role));
        }
        if !role.is_empty() && !hole(&name) {
            contact.name = some(name);
        }
        let known = [role_at, name_at, slack_at, phone_at];
        if row.cells.iter().enumerate().any(|(at, cell)| !known.contains(&Some(at)) && !cell.plain.is_empty())
        {
            contact.comments.push(format!("{all} (line {})", lines.first));
        }
        self.ledger.taken(lines.first, lines.last, "contact");
        self.draft.contacts.push(contact);
    }

    pub(super) fn level_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let level_at = columns.find(&["level", "severity", "sev", "priority", "gravité", "niveau"]);
        let text_at = columns.find(&["description", "definition", "meaning", "impact", "name"]);
        let example_at = columns.find(&["example", "examples", "exemple"]);
        let respond_at = columns.find(&["response", "respond", "sla", "délai", "réponse", "time"]);
        let escalate_at = columns.find(&["escalation", "escalate", "notify", "action", "escalade", "who"]);
        let level = cell(row, level_at);
        if level.is_empty() || self.draft.incident.levels.iter().any(|known| known.name == level) {
            return self.noted_row(columns, row, lines);
        }
        self.ledger.taken(lines.first, lines.last, "severity level");
        // `Critical (payments down)` is a title with its example.
        let text = cell(row, text_at);
        let (title, inner) = match text.split_once('(') {
            Some((title, inner)) if inner.ends_with(')') => {
                (title.trim().to_owned(), inner.trim_end_matches(')').to_owned())
            }
            _ => (text, String::new()),
        };
        let example = some(cell(row, example_at)).unwrap_or(inner);
        let known = [level_at, text_at, example_at, respond_at, escalate_at];
        if row.cells.iter().enumerate().any(|(at, cell)| !known.contains(&Some(at)) && !cell.plain.is_empty())
        {
            self.draft.incident.comments.push(format!("{} (line {})", columns.told(row), lines.first));
        }
        self.draft.incident.levels.push(Level {
            name: level,
            title,
            example,
            respond: cell(row, respond_at),
            escalate: cell(row, escalate_at),
        });
    }

    pub(super) fn change_row(&mut self, columns: &Columns, row: &Row, lines: Lines) {
        let date = cell(row, columns.find(&["date", "datum", "fecha"]));
        let change = Change {
            date,
            version: cell(row, columns.find(&["version", "rev", "revision"])),
            author: cell(row, columns.find(&["author", "auteur", "who", "autor", "by", "owner"])),
            changes: cell(
                row,
                columns.find(&[
                    "changes",
                    "change",
                    "description",
                    "modification",
                    "modifications",
                    "summary",
                    "notes",
                    "änderung",
                    "comment",
                ]),
            ),
        };
        if change.changes.is_empty() && change.version.is_empty() {
            return self.noted_row(columns, row, lines);
        }
        self.ledger.taken(lines.first, lines.last, "change");
        self.draft.changes.push(change);
    }
}
