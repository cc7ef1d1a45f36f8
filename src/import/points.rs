//! Items of lists, and words with a label: `**Time:** 5 minutes`.

use super::{
    amounts, aside,
    draft::{Contact, Entry, Level, Point, Task, Trigger},
    fence,
    page::{Block, Item, Lines, Text},
    roles::{self, Role},
    walk::Walk,
    words::{self, address, is_optional, one_line},
};

impl Walk<'_> {
    pub(super) fn list(&mut self, ordered: bool, items: &[Item]) {
        if ordered && self.is_procedure(items) {
            return self.procedure_of(items);
        }
        for item in items {
            self.item(ordered, item);
        }
    }

    fn item(&mut self, ordered: bool, item: &Item) {
        let mut blocks = item.blocks.as_slice();
        // The item's own text is its first paragraph; what follows belongs to it.
        if let Some((Block::Paragraph { texts, lines }, rest)) = blocks.split_first() {
            blocks = rest;
            let fence = rest.iter().any(|block| matches!(block, Block::Fence { .. }));
            for (at, text) in texts.iter().enumerate() {
                let first = text.line.max(lines.first);
                let last =
                    texts.get(at + 1).map_or(lines.last, |next| next.line.max(first + 1) - 1).max(first);
                let here = Lines { first, last };
                self.speaks_of_strategy(&text.plain);
                if at > 0 {
                    if !text.label.as_ref().is_some_and(|label| self.keyed(label, &text.rest, text, here)) {
                        self.note(&text.plain, here);
                    }
                } else if fence && item.task.is_none() && self.takes_commands() {
                    // The name of what its fence does.
                    self.lead = Some((text.plain.clone(), here));
                    self.doing = ordered || roles::is_instruction(&text.plain);
                } else if item.task.is_none()
                    && self.role() == Role::Checklist
                    && is_label_of(&text.plain, rest)
                {
                    // What the items below it have in common.
                    self.ledger.note(here.first, here.last, &text.plain);
                    self.group().comments.push(format!("{} (line {})", text.plain, here.first));
                } else {
                    self.point(text, item.task, ordered, here);
                }
            }
        } else {
            self.ledger.form(item.lines.first, item.lines.first);
        }
        self.within += 1;
        for block in blocks {
            self.blocks(std::slice::from_ref(block));
        }
        self.within -= 1;
    }

    /// Whether commands of this place are run.
    fn takes_commands(&mut self) -> bool {
        matches!(
            self.role(),
            Role::Step
                | Role::Rollback
                | Role::DatabaseRollback
                | Role::Completion
                | Role::Validation
                | Role::Checklist
        )
    }

    /// One item.
    pub(super) fn point(&mut self, text: &Text, task: Option<bool>, ordered: bool, lines: Lines) {
        let role = self.role();
        let plain = text.plain.clone();
        if plain.is_empty() {
            self.ledger.form(lines.first, lines.last);
            return;
        }
        let optional = is_optional(&plain);
        if role != Role::Incident && plain.to_lowercase().contains("slack") {
            let channel = words::handle(&plain).filter(|handle| handle.starts_with('#'));
            self.draft.channel = self.draft.channel.take().or(channel);
        }
        let point = Point { text: plain.clone(), line: lines.first, optional };
        match role {
            Role::Checklist => {
                self.counted(lines, "item of the checklist");
                self.group().items.push(point);
            }
            Role::Validation => {
                self.counted(lines, "check");
                self.check(point);
            }
            Role::Triggers => self.trigger(text, lines),
            Role::Failure if self.section().step.is_some() => {
                self.ledger.taken(lines.first, lines.last, "what to do if the step fails");
                self.step().on_failure.push(plain);
            }
            Role::Success => {
                self.ledger.taken(lines.first, lines.last, "success factor");
                self.draft.head.success.push(plain);
            }
            Role::Tasks => {
                let due = self.section().due.or_else(|| words::due(&plain));
                self.after(point, due, lines);
            }
            Role::Incident => self.of_incident(text, ordered || task.is_some(), lines),
            Role::Severity => self.level(text, lines),
            Role::Contacts => self.contact(text, lines),
            Role::Links => {
                if !self.linked(text, lines) {
                    self.note(&plain, lines);
                }
            }
            Role::Metrics => {
                if !(self.linked(text, lines) || self.metric(text, lines)) {
                    self.note(&plain, lines);
                }
            }
            Role::Changes => self.change(&plain, lines),
            Role::Rollback if !matches!(self.section().role, Role::Rollback) => {
                self.ledger.taken(lines.first, lines.last, "how the step is undone, by hand");
                self.step().on_failure.push(format!("To undo: {plain}"));
            }
            Role::Step | Role::Rollback | Role::DatabaseRollback | Role::Completion => {
                self.of_step(text, task.is_some(), ordered, point, lines);
            }
            Role::Summary | Role::Notes | Role::Failure | Role::Template | Role::Output => {
                if task.is_some() {
                    self.counted(lines, "item");
                    if self.draft.steps.is_empty() && self.section().step.is_none() {
                        self.group().items.push(point);
                    } else {
                        self.draft.completion.push(Entry::Item(point));
                    }
                } else if !text.label.as_ref().is_some_and(|label| self.keyed(label, &text.rest, text, lines))
                {
                    self.note(&plain, lines);
                }
            }
        }
    }

    fn counted(&mut self, lines: Lines, what: &str) {
        self.ledger.taken(lines.first, lines.last, what);
        self.ledger.counts.items += 1;
    }

    /// A check of this place: of its step, its way back, or the end.
    fn check(&mut self, point: Point) {
        self.entries().push(Entry::Item(point));
    }

    /// An item where something is done.
    fn of_step(&mut self, text: &Text, task: bool, ordered: bool, point: Point, lines: Lines) {
        if let Some(command) = fence::inline(&text.plain, &text.code).filter(|_| !task) {
            let command = command.to_owned();
            if self.aside || aside::is_another_way(&text.plain) {
                self.ledger.decide(lines.first, "this is another way, so it does not run: choose one");
                return self.note(&text.plain, lines);
            }
            self.command_line(&command, &text.plain, lines);
            return;
        }
        if !task && !ordered {
            if let Some(label) = &text.label
                && self.keyed(label, &text.rest, text, lines)
            {
                return;
            }
            if !roles::is_instruction(&text.plain) {
                self.note(&text.plain, lines);
                return;
            }
        }
        let what = if task { "check" } else { "something that a person does" };
        self.counted(lines, what);
        self.entries().push(Entry::Item(point));
    }

    /// What is done after the deployment: a task where it is known when, else a check at the end.
    fn after(&mut self, point: Point, due: Option<crate::domain::time::Span>, lines: Lines) {
        self.counted(lines, "task for afterwards");
        if due.is_some() {
            self.draft.tasks.push(Task { due, text: point.text });
        } else {
            self.draft.completion.push(Entry::Item(point));
        }
    }

    fn trigger(&mut self, text: &Text, lines: Lines) {
        self.ledger.taken(lines.first, lines.last, "trigger");
        self.ledger.counts.triggers += 1;
        let lasts =
            amounts::bound(&text.plain).and_then(|found| amounts::lasting(&found.after)).or(self.lasting);
        self.draft.triggers.push(Trigger { text: text.plain.clone(), line: lines.first, lasts });
    }

    fn of_incident(&mut self, text: &Text, step: bool, lines: Lines) {
        if let Some(label) = text.label.as_ref().filter(|_| !step)
            && self.keyed(label, &text.rest, text, lines)
        {
            return;
        }
        if step || roles::is_instruction(&text.plain) {
            self.ledger.taken(lines.first, lines.last, "what to do in an incident");
            let channel = words::handle(&text.plain).filter(|handle| handle.starts_with('#'));
            self.draft.incident.channel = self.draft.incident.channel.take().or(channel);
            self.draft.incident.steps.push(text.plain.clone());
        } else if !self.linked(text, lines) {
            self.note(&text.plain, lines);
        }
    }

    /// `**P1**: payments down` is a level; under a heading `SEV-1: Critical` an item is one of the level's columns.
    fn level(&mut self, text: &Text, lines: Lines) {
        let Some(label) = &text.label else { return self.note(&text.plain, lines) };
        let named = |label: &str| label.split([' ', ':', '(']).next().unwrap_or_default().to_owned();
        let title = self.section().title.clone();
        if let Some((name, words)) = severity(&title) {
            let levels = &mut self.draft.incident.levels;
            let at = levels.iter().position(|level| level.name == name).unwrap_or_else(|| {
                levels.push(Level { name, title: words, ..Level::default() });
                levels.len() - 1
            });
            let lower = label.to_lowercase();
            let is = |words: &[&str]| words.iter().any(|word| lower.contains(word));
            let level = levels.get_mut(at);
            let cell = level.and_then(|level| {
                if is(&["respon", "réponse", "acknowledge"]) {
                    Some(&mut level.respond)
                } else if is(&["escalat", "notif", "contact", "page", "inform"]) {
                    Some(&mut level.escalate)
                } else if is(&["impact", "example", "definition", "description", "criteria", "symptom"]) {
                    Some(&mut level.example)
                } else {
                    None
                }
            });
            if let Some(cell) = cell.filter(|cell| cell.is_empty()) {
                cell.clone_from(&text.rest);
                return self.ledger.taken(lines.first, lines.last, "severity level");
            }
            return self.note(&text.plain, lines);
        }
        let name = named(label);
        if self.draft.incident.levels.iter().any(|level| level.name == name) {
            return self.note(&text.plain, lines);
        }
        self.ledger.taken(lines.first, lines.last, "severity level");
        self.draft.incident.levels.push(Level {
            name,
            title: label.clone(),
            example: text.rest.clone(),
            ..Level::default()
        });
    }

    fn contact(&mut self, text: &Text, lines: Lines) {
        let (role, rest) = match (&text.label, text.plain.split_once(':')) {
            (Some(label), _) => (label.clone(), text.rest.clone()),
            (None, Some((role, rest))) if !role.contains("http") => {
                (role.trim().to_owned(), rest.trim().to_owned())
            }
            _ => (text.plain.clone(), text.plain.clone()),
        };
        let (slack, phone) = (words::handle(&rest), words::phone(&rest));
        if slack.is_none() && phone.is_none() {
            if !self.linked(text, lines) {
                self.note(&text.plain, lines);
            }
            return;
        }
        self.ledger.taken(lines.first, lines.last, "contact");
        let name = rest.clone();
        let name = [slack.as_deref(), phone.as_deref()]
            .into_iter()
            .flatten()
            .fold(name, |name, part| name.replace(part, ""));
        let name =
            name.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '>' | ')' | ']')).to_owned();
        let name = Some(one_line(&name)).filter(|name| !name.is_empty());
        self.draft.contacts.push(Contact { role, name, slack, phone, comments: Vec::new() });
    }

    /// A link, or a command that shows something. Whether it was one.
    pub(super) fn linked(&mut self, text: &Text, lines: Lines) -> bool {
        let relative =
            |url: &str| !url.contains("://") && !url.starts_with('#') && !url.starts_with("mailto:");
        let mut found = false;
        let mut own: Vec<(String, String)> = Vec::new();
        let label = text.label.clone();
        for (words, url) in &text.links {
            if url.starts_with('#') {
                continue;
            }
            let name =
                if words == url { label.clone().unwrap_or_else(|| words.clone()) } else { words.clone() };
            own.push((name.clone(), url.clone()));
            if relative(url) {
                self.draft.head.related.push((name, url.clone()));
            } else {
                self.draft.link(&name, url);
            }
            found = true;
        }
        if !found {
            if let Some((before, url)) = address(&text.plain) {
                self.draft.link(&before, &url);
                own.push((before, url.clone()));
                if url.contains("prometheus") {
                    self.draft.prometheus.get_or_insert(url);
                }
                found = true;
            } else if let (Some(label), [code]) = (&label, text.code.as_slice())
                && fence::is_known(code)
            {
                self.draft.link(label, code);
                own.push((label.clone(), code.clone()));
                found = true;
            }
        }
        for (_, url) in &text.links {
            if url.contains("prometheus") && url.starts_with("http") {
                self.draft.prometheus.get_or_insert(url.clone());
            }
        }
        if found {
            self.ledger.taken(lines.first, lines.last, "link");
            let words = &text.plain;
            // What the link's name and address do not say stays as a remark.
            let said = own.iter().any(|(name, url)| {
                words.len() <= name.len() + url.len() + 8
                    && words.contains(url.as_str())
                    && words.contains(name.as_str())
            });
            if !said {
                let comment = format!("{words} (line {})", lines.first);
                self.draft.comments.push(comment);
            }
        }
        found
    }

    /// A metric of a list: `Error rate: < 1 %`.
    fn metric(&mut self, text: &Text, lines: Lines) -> bool {
        let query = text.code.iter().find_map(|code| super::metrics::asked(code));
        // What the query has in it is no bound.
        let plain = query
            .as_ref()
            .map_or_else(|| text.plain.clone(), |query| text.plain.replace(&format!("`{query}`"), ""));
        let Some(found) = amounts::bound(&plain) else { return false };
        let mut title = text.label.clone().unwrap_or_else(|| super::metrics::title(&found.before));
        // A place for a number is none.
        if title.is_empty() || text.rest.starts_with('[') && text.rest.ends_with(']') {
            return false;
        }
        let lower = plain.to_lowercase();
        for percentile in ["p50", "p90", "p95", "p99"] {
            if lower.contains(percentile) && !title.to_lowercase().contains(percentile) {
                title = format!("{} {title}", percentile.to_uppercase());
            }
        }
        self.ledger.taken(lines.first, lines.last, "metric");
        let place = self.section().title.to_lowercase();
        let alerts = lower.split(|c: char| !c.is_alphanumeric()).any(|word| {
            matches!(word, "alert" | "alerts" | "page" | "pages" | "alarm" | "warn" | "warns" | "critical")
        }) || ["alert", "critical", "threshold"].iter().any(|word| place.contains(word));
        let above = found.bound.starts_with('>');
        // A bound beyond which it is worse is an alert, whatever the page calls it, and one within which it is well is not.
        let alerts = super::metrics::more_is_worse(&title).map_or(alerts, |worse| worse == above);
        let (normal, alert) = if alerts { (None, Some(found.bound)) } else { (Some(found.bound), None) };
        if alerts && ["rollback", "roll back", "revert", "abort"].iter().any(|word| lower.contains(word)) {
            self.trigger(text, lines);
        }
        self.draft.metrics.push(super::draft::Metric {
            title,
            unit: found.unit,
            normal,
            alert,
            action: None,
            query,
            line: lines.first,
            comments: vec![format!("{} (line {})", text.plain, lines.first)],
        });
        true
    }

    fn change(&mut self, plain: &str, lines: Lines) {
        let date = plain.get(..10).filter(|date| words::is_date(date));
        let Some(date) = date else { return self.note(plain, lines) };
        self.ledger.taken(lines.first, lines.last, "change");
        let changes = plain[10..].trim_start_matches([' ', ':', '-', '–']).to_owned();
        self.draft.changes.push(super::draft::Change {
            date: date.to_owned(),
            changes,
            ..Default::default()
        });
    }
}

/// Whether an item is only the name of the list below it: `Access required:`.
fn is_label_of(text: &str, rest: &[Block]) -> bool {
    text.ends_with(':') && rest.iter().any(|block| matches!(block, Block::List { .. }))
}

/// The name of a severity level and its words, where a heading is one: `SEV-1: Critical`, `P2 - Major`.
fn severity(title: &str) -> Option<(String, String)> {
    let title = title.trim_start_matches(|c: char| !c.is_alphanumeric());
    let (name, words) = title.split_once([':', '–', '—', ' ', '(']).unwrap_or((title, ""));
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-').to_lowercase();
    let level = name.ends_with(|c: char| c.is_ascii_digit())
        && ["p", "s", "sev", "severity", "level", "l", "priority"].contains(&letters.as_str());
    let words = words.trim_matches(|c: char| !c.is_alphanumeric() && c != ')');
    level.then(|| (name.to_owned(), if words.is_empty() { name.to_owned() } else { words.to_owned() }))
}
