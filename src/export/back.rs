//! Reads a page of ours back: the exact reverse of writing it, also after people have changed its words.
//!
//! What the page has that no page of ours would have is not guessed at: it is told, with its line.

mod blocks;
mod finish;
mod lay;

use blocks::{Block, Kind, Text};
use finish::{action, dated, window};
use lay::UNNAMED;

use super::{markdown::NONE, words, written::Node};

/// The heading of the settings.
pub(super) const SETTINGS: &str = "Settings for cutover";

/// A runbook from its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// The runbook as TOML.
    pub toml: String,
    /// Blocks that say nothing a page of ours would say, with their lines, from 1.
    pub unread: Vec<(usize, String)>,
    /// Settings whose entry is no longer on the page: `run: Build the image`.
    pub lost: Vec<String>,
}

/// The runbook of a page that was written by [`page`](super::page); none, if it has no settings or they are no TOML.
pub fn read(markdown: &str) -> Option<Back> {
    let blocks = blocks::read(markdown);
    let heading = |block: &Block| matches!(&block.kind, Kind::Heading(2, text) if text.words == SETTINGS);
    let at = blocks.iter().rposition(heading)?;
    let (page, end) = blocks.split_at(at);
    let settings = end.iter().find_map(|block| match &block.kind {
        Kind::Fence(language, text) if language == "toml" => Some(text),
        _ => None,
    })?;
    let settings = Node::parse(settings).ok()?;
    let mut reader = Reader::default();
    for block in page {
        reader.block(block);
    }
    let mut tree = reader.tree();
    let mut lost = Vec::new();
    lay::lay(&mut tree, &settings, &mut lost);
    finish::finish(&mut tree);
    Some(Back { toml: tree.ordered().to_toml(), unread: reader.unread, lost })
}

/// What is being read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Section {
    #[default]
    Head,
    Strategy,
    View,
    Checklist,
    Steps,
    Completion,
    Rollback,
    Triggers,
    Tasks,
    Incidents,
    Metrics,
    Contacts,
    Links,
    Changes,
    Unknown,
}

/// The list that tasks, commands and items of a step belong to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Run,
    Check,
    Ready,
    Undo,
    OnFailure,
    Notes,
}

impl Part {
    fn key(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Check => "check",
            Self::Ready => "ready",
            Self::Undo => "undo",
            Self::OnFailure => "on_failure",
            Self::Notes => "notes",
        }
    }
}

/// The runbook as far as the page has been read. What is not understood stops it: a page that somebody has edited by hand
/// must not become a runbook that lacks a part.
#[derive(Default)]
struct Reader {
    section: Section,
    part: Part,
    /// `Success factors`, `What to do`, `Message`: what the last label said.
    label: String,
    /// The task group's time, or the query's title.
    under: String,
    runbook: Vec<(String, Node)>,
    deployment: Vec<(String, Node)>,
    checklist: Vec<Node>,
    steps: Vec<Node>,
    completion: Option<Node>,
    rollbacks: Vec<(String, Node)>,
    triggers: Vec<Node>,
    tasks: Vec<Node>,
    incident: Option<Node>,
    metrics: Vec<(String, Node)>,
    contacts: Vec<Node>,
    links: Vec<(String, Node)>,
    changes: Vec<Node>,
    unread: Vec<(usize, String)>,
}

fn leaf(text: &str) -> Node {
    Node::text_of(text)
}

fn list_of(texts: &[Text]) -> Node {
    Node::List(texts.iter().map(|text| leaf(&text.words)).collect())
}

/// Puts an entry into a table that does not have it yet.
fn once(entries: &mut Vec<(String, Node)>, key: &str, node: Node) -> bool {
    let is_new = entries.iter().all(|(name, _)| name != key);
    if is_new {
        entries.push((key.to_owned(), node));
    }
    is_new
}

/// A table from the cells of a row, without those that say nothing.
fn row_of(keys: &[&str], row: &[String]) -> Node {
    let given = keys.iter().zip(row).filter(|(_, cell)| cell.trim() != NONE);
    Node::Table(given.map(|(key, cell)| ((*key).to_owned(), leaf(cell))).collect())
}

impl Reader {
    /// Headings first: they end every section, also one of which nothing is read.
    fn block(&mut self, block: &Block) {
        let understood = match &block.kind {
            Kind::Heading(level, text) => self.heading(*level, &text.words),
            // A view of the settings.
            _ if self.section == Section::View => true,
            Kind::Paragraph(text) if text.is_view => true,
            Kind::Paragraph(text) => self.paragraph(text),
            Kind::List(items) => self.list(items),
            Kind::Tasks(items) => self.task_list(items),
            Kind::Fence(language, text) => self.fence(language, text),
            Kind::Table(head, rows) => self.table(head, rows),
            Kind::Other(_) => false,
        };
        if !understood {
            self.unread.push((block.line, shown(&block.kind)));
        }
    }

    /// A heading ends the label before it: whatever follows belongs to the new place.
    fn heading(&mut self, level: usize, text: &str) -> bool {
        (self.part, self.label) = (Part::Run, String::new());
        match (level, self.section) {
            (1, Section::Head) => return once(&mut self.runbook, "title", leaf(text)),
            (2, _) => return self.new_section(text),
            (3, Section::Checklist) => {
                self.checklist.push(Node::Table(vec![("group".to_owned(), leaf(text))]));
            }
            (3, Section::Steps) => {
                let title =
                    text.strip_prefix("Step ").and_then(|rest| rest.split_once(": ")).map(|(_, title)| title);
                self.steps.push(Node::Table(vec![("title".to_owned(), leaf(title.unwrap_or(text)))]));
            }
            (3, Section::Tasks) => match text.strip_prefix("Within ").and_then(words::notation) {
                Some(due) => self.under = due,
                None => return false,
            },
            (3, Section::Metrics) => match text.strip_prefix("Query: ") {
                Some(title) => title.clone_into(&mut self.under),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    /// The titles that the exporter writes, and no others. Some sections only show what the settings say as well; they are
    /// passed over, since two sources of one value would contradict each other after an edit.
    fn new_section(&mut self, text: &str) -> bool {
        self.section = match text {
            "Strategy" => Section::Strategy,
            "Which slot is which" | "Variables" | "Optional parts" | "Notices" => Section::View,
            "Checklist" => Section::Checklist,
            "Steps" => Section::Steps,
            "Completion" => {
                self.completion = Some(Node::Table(Vec::new()));
                Section::Completion
            }
            "Triggers" => Section::Triggers,
            "Tasks" => Section::Tasks,
            "Incidents" => {
                self.incident = Some(Node::Table(Vec::new()));
                Section::Incidents
            }
            "Metrics" => Section::Metrics,
            "Contacts" => Section::Contacts,
            "Links" => Section::Links,
            "Changes" => Section::Changes,
            _ => match text.strip_prefix("Rollback: ") {
                Some(title) => {
                    let name = format!("{UNNAMED}{}", self.rollbacks.len());
                    self.rollbacks.push((name, Node::Table(vec![("title".to_owned(), leaf(title))])));
                    Section::Rollback
                }
                None => Section::Unknown,
            },
        };
        self.section != Section::Unknown
    }

    /// The step, completion or rollback that is being read.
    fn course(&mut self) -> Option<&mut Node> {
        match self.section {
            Section::Steps => self.steps.last_mut(),
            Section::Completion => self.completion.as_mut(),
            Section::Rollback => self.rollbacks.last_mut().map(|(_, node)| node),
            _ => None,
        }
    }

    /// A label alone says what the next block is; with text it is the value itself.
    fn paragraph(&mut self, text: &Text) -> bool {
        let Some(label) = &text.label else { return false };
        if text.words.is_empty() {
            label.clone_into(&mut self.label);
            self.part = match label.as_str() {
                "Validation" => Part::Check,
                "Ready" => Part::Ready,
                "Undo" => Part::Undo,
                "If it fails" => Part::OnFailure,
                "Notes" => Part::Notes,
                "Success factors" => return self.section == Section::Strategy,
                "What to do" | "Message" => return self.section == Section::Incidents,
                _ => return false,
            };
            return self.course().is_some();
        }
        let (key, value) = match label.as_str() {
            "Time" => match words::notation(&text.words) {
                Some(time) => ("time", time),
                None => return false,
            },
            "CRITICAL" => ("critical", text.words.clone()),
            "Only" => ("only", text.words.clone()),
            "No undo" => ("no_undo", text.words.clone()),
            _ => return false,
        };
        self.course().is_some_and(|course| course.put_once(key, leaf(&value)))
    }

    fn list(&mut self, items: &[Text]) -> bool {
        match (self.section, self.label.as_str()) {
            (Section::Strategy, "Success factors") => {
                once(&mut self.deployment, "success_factors", list_of(items))
            }
            (Section::Strategy, _) => items.iter().all(|item| self.strategy(item)),
            (Section::Incidents, "What to do") => {
                self.incident.as_mut().is_some_and(|incident| incident.put_once("steps", list_of(items)))
            }
            (Section::Incidents, _) => items.iter().all(|item| {
                let key = match item.label.as_deref() {
                    Some("Channel") => "channel",
                    Some("Commander") => "commander",
                    _ => return false,
                };
                self.incident.as_mut().is_some_and(|incident| incident.put_once(key, leaf(&item.words)))
            }),
            (Section::Links, _) => items.iter().all(|item| self.link(item)),
            _ if matches!(self.part, Part::OnFailure | Part::Notes) => {
                let (key, Node::List(texts)) = (self.part.key(), list_of(items)) else { return false };
                self.course().is_some_and(|course| course.extend(key, texts))
            }
            _ => false,
        }
    }

    /// Times are read back in the notation of a runbook; on the page they stand in words.
    fn strategy(&mut self, item: &Text) -> bool {
        let words = item.words.as_str();
        let (key, node) = match item.label.as_deref() {
            Some("Environment") => ("environment", leaf(words)),
            Some("Strategy") => ("strategy", leaf(words)),
            Some("Automation") => ("automation", leaf(words)),
            Some("Frequency") => ("frequency", leaf(words)),
            Some(label @ ("Expected time" | "Rollback within")) => match words::notation(words) {
                Some(time) if label == "Expected time" => ("expected", leaf(&time)),
                Some(time) => ("rollback_within", leaf(&time)),
                None => return false,
            },
            Some("Zero downtime") => ("zero_downtime", Node::Leaf(toml_edit::Value::from(words == "yes"))),
            Some("Window") => match window(words) {
                Some(window) => ("window", window),
                None => return false,
            },
            _ => return false,
        };
        once(&mut self.deployment, key, node)
    }

    /// With a URL it is a link; with a command in its place one that is to be copied.
    fn link(&mut self, item: &Text) -> bool {
        let (name, to) = match (&item.label, &item.link, &item.code) {
            (Some(name), None, Some(command)) => (name, command),
            (None, Some(url), _) => (&item.words, url),
            _ => return false,
        };
        once(&mut self.links, name, leaf(to))
    }

    /// Boxes stand in three places with three meanings; ticks are not read, since they are of one day.
    fn task_list(&mut self, items: &[Text]) -> bool {
        let entries =
            || items.iter().map(|item| Node::Table(vec![("text".to_owned(), leaf(&item.words))])).collect();
        match self.section {
            Section::Checklist => {
                self.checklist.last_mut().is_some_and(|group| group.extend("items", entries()))
            }
            Section::Tasks if !self.under.is_empty() => {
                let due = leaf(&self.under);
                self.tasks.extend(items.iter().map(|item| {
                    Node::Table(vec![("due".to_owned(), due.clone()), ("text".to_owned(), leaf(&item.words))])
                }));
                true
            }
            _ if matches!(self.part, Part::Check | Part::Ready) => {
                let key = self.part.key();
                self.course().is_some_and(|course| course.extend(key, entries()))
            }
            _ => false,
        }
    }

    /// A fence is a value as it stands: nothing of it was escaped, so nothing is undone.
    fn fence(&mut self, language: &str, text: &str) -> bool {
        match (self.section, language) {
            (Section::Incidents, "text") if self.label == "Message" => {
                // One line is written without its end.
                let template = if text.trim_end().contains('\n') { text } else { text.trim_end() };
                self.incident.as_mut().is_some_and(|incident| incident.put_once("template", leaf(template)))
            }
            (Section::Metrics, "promql") => {
                let title = self.under.clone();
                let metric = self.metrics.iter_mut().find(|(_, metric)| {
                    metric.text("title") == Some(&title) && metric.get("query").is_none()
                });
                metric.is_some_and(|(_, metric)| metric.put_once("query", leaf(text.trim_end())))
            }
            (_, "sh") if matches!(self.part, Part::Run | Part::Undo) => {
                let key = self.part.key();
                self.course().is_some_and(|course| course.extend(key, vec![action(text)]))
            }
            _ => false,
        }
    }

    fn table(&mut self, head: &[String], rows: &[Vec<String>]) -> bool {
        match (self.section, head.first().map(String::as_str)) {
            (Section::Head, Some("Runbook")) => rows.iter().all(|row| self.head(row)),
            (Section::Triggers, Some("Reason")) => {
                let keys = ["reason", "metric", "when", "for", "then", "no_data", "certainty", "at_least"];
                self.triggers.extend(rows.iter().map(|row| row_of(&keys, row)));
                true
            }
            (Section::Incidents, Some("Level")) => {
                let keys = ["level", "title", "example", "respond", "escalate"];
                let levels = Node::List(rows.iter().map(|row| row_of(&keys, row)).collect());
                self.incident.as_mut().is_some_and(|incident| incident.put_once("levels", levels))
            }
            (Section::Metrics, Some("Metric")) => {
                for row in rows {
                    let name = format!("{UNNAMED}{}", self.metrics.len());
                    self.metrics.push((name, row_of(&["title", "normal", "alert", "action"], row)));
                }
                true
            }
            (Section::Contacts, Some("Role")) => {
                let keys = ["role", "name", "slack", "phone"];
                self.contacts.extend(rows.iter().map(|row| row_of(&keys, row)));
                true
            }
            (Section::Changes, Some("Date")) => {
                let keys = ["date", "version", "author", "changes"];
                self.changes.extend(rows.iter().map(|row| row_of(&keys, row)));
                self.changes.iter_mut().for_each(|change| dated(change, "date"));
                true
            }
            _ => false,
        }
    }

    fn head(&mut self, row: &[String]) -> bool {
        let [name, value] = row else { return false };
        if let Some(kind) = name.strip_prefix("Related: ") {
            let related = self.runbook.iter_mut().find(|(key, _)| key == "related");
            let entry = (kind.to_owned(), leaf(value));
            match related {
                Some((_, Node::Table(entries))) => entries.push(entry),
                _ => self.runbook.push(("related".to_owned(), Node::Table(vec![entry]))),
            }
            return true;
        }
        let (key, node) = match name.as_str() {
            "Module" => ("module", leaf(value)),
            "Version" => ("version", leaf(value)),
            "Status" => ("status", leaf(value)),
            "Last updated" => ("last_updated", leaf(value)),
            "Author" => ("author", leaf(value)),
            "Keywords" => ("keywords", Node::List(value.split(", ").map(leaf).collect())),
            _ => return false,
        };
        once(&mut self.runbook, key, node)
    }

    /// All of it, with metrics and rollbacks that have no names yet.
    fn tree(&mut self) -> Node {
        let mut runbook = Node::Table(std::mem::take(&mut self.runbook));
        dated(&mut runbook, "last_updated");
        let mut tree = vec![
            ("runbook".to_owned(), runbook),
            ("deployment".to_owned(), Node::Table(std::mem::take(&mut self.deployment))),
            ("checklist".to_owned(), Node::List(std::mem::take(&mut self.checklist))),
            ("step".to_owned(), Node::List(std::mem::take(&mut self.steps))),
        ];
        tree.extend(self.completion.take().map(|completion| ("completion".to_owned(), completion)));
        tree.extend([
            ("rollback".to_owned(), Node::Table(std::mem::take(&mut self.rollbacks))),
            ("trigger".to_owned(), Node::List(std::mem::take(&mut self.triggers))),
            ("task".to_owned(), Node::List(std::mem::take(&mut self.tasks))),
        ]);
        tree.extend(self.incident.take().map(|incident| ("incident".to_owned(), incident)));
        tree.extend([
            ("metrics".to_owned(), Node::Table(std::mem::take(&mut self.metrics))),
            ("contact".to_owned(), Node::List(std::mem::take(&mut self.contacts))),
            ("links".to_owned(), Node::Table(std::mem::take(&mut self.links))),
            ("change".to_owned(), Node::List(std::mem::take(&mut self.changes))),
        ]);
        tree.retain(|(_, node)| !node.is_empty());
        Node::Table(tree)
    }
}

/// A block for a message.
fn shown(kind: &Kind) -> String {
    match kind {
        Kind::Heading(_, text) | Kind::Paragraph(text) => {
            let label = text.label.as_ref().map(|label| format!("{label}: ")).unwrap_or_default();
            format!("{label}{}", text.words)
        }
        Kind::List(items) | Kind::Tasks(items) => {
            items.iter().map(|item| item.words.as_str()).collect::<Vec<_>>().join("; ")
        }
        Kind::Fence(_, text) | Kind::Other(text) => text.trim_end().to_owned(),
        Kind::Table(head, _) => head.join(" | "),
    }
}

#[cfg(test)]
mod tests;
