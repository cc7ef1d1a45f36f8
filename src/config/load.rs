//! Turns runbook.toml into a runbook, and collects every error on the way.

mod action;
mod check;
mod counted;
mod cover;
mod flow;
mod head;
mod metrics;
mod names;
mod people;
mod sampling;
mod strategy;
mod target;

pub use metrics::gives_a_number;

use std::{io, ops::Range, path::Path};

use super::{
    conform,
    diagnose::{Diagnostic, Faults, suggest},
    raw::{self, Entry, MAX_BYTES, Node},
    shape::{self, Shape},
    vars::{self, Moment, Sink, VarUses},
};
use crate::domain::{
    action::SlotRef,
    director::{Director, OLD_REVISION},
    id::SlotName,
    metric::Unit,
    runbook::{Runbook, SourceKind, Strategy},
    template::{MAX_EXPANDED, Template},
    time::Span,
};

/// What came of reading a runbook.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The runbook; none where there is an error.
    pub runbook: Option<Runbook>,
    /// Every fault, in order of place. Warnings don't prevent a runbook.
    pub diagnostics: Vec<Diagnostic>,
    /// The text that was read, for showing faults and for the journal. Where it was no UTF-8, with replacement characters.
    pub source: String,
}

impl Loaded {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|fault| fault.is_error()).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }

    /// All faults as a person reads them, and how many there are; empty where there are none. At most the first hundred are
    /// shown.
    pub fn render(&self, color: bool) -> String {
        const SHOWN: usize = 100;
        if self.diagnostics.is_empty() {
            return String::new();
        }
        let mut parts: Vec<String> =
            self.diagnostics.iter().take(SHOWN).map(|fault| fault.render(&self.source, color)).collect();
        if self.diagnostics.len() > SHOWN {
            parts.push(format!("... and {} more", self.diagnostics.len() - SHOWN));
        }
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        parts.push(format!("{}, {}", count(self.errors(), "error"), count(self.warnings(), "warning")));
        parts.join("\n\n")
    }
}

/// Reads a runbook's file.
///
/// # Errors
/// Where the file cannot be read at all. A file too large or no text comes back as a fault in [`Loaded`].
pub fn load_file(path: &Path) -> io::Result<Loaded> {
    use std::io::Read as _;

    let shown = path.display().to_string();
    let mut bytes = Vec::new();
    // One byte more than allowed tells whether there is more; a device or a pipe without end is not read further.
    std::fs::File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Ok(too_large(&shown));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(load_str(&shown, &text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bad = error.as_bytes()[at];
            let source = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let mut faults = Faults::new(&shown, &source);
            faults
                .error(at..at + 1, format!("the file is not valid UTF-8: byte 0x{bad:02X} here"))
                .help("save it as UTF-8");
            let diagnostics = faults.into_sorted();
            Ok(Loaded { runbook: None, diagnostics, source })
        }
    }
}

/// Nothing of it is parsed: what somebody gave by mistake (a log, a binary) would give thousands of faults, each with its
/// line.
fn too_large(path: &str) -> Loaded {
    let mut fault = Diagnostic::whole_file(path, "the file is larger than 1 MiB");
    fault.help = Some("a runbook is a few pages of text; is this the right file?".to_owned());
    Loaded { runbook: None, diagnostics: vec![fault], source: String::new() }
}

/// Reads a runbook's text. `path_for_messages` is how the file is named in faults.
pub fn load_str(path_for_messages: &str, text: &str) -> Loaded {
    if text.len() > MAX_BYTES {
        return too_large(path_for_messages);
    }
    let mut faults = Faults::new(path_for_messages, text);
    let root = raw::parse(&mut faults);
    let broken: Vec<usize> = faults.found().iter().map(|fault| fault.line).collect();
    // A key given twice leaves the rest of the file understood.
    let whole = faults.found().iter().all(|fault| fault.message.starts_with("duplicate key"));
    conform::table(&shape::RUNBOOK, &root, &(0..0), &mut faults);
    let runbook = if whole {
        Some(Loader::new(&mut faults, &root).runbook(&root))
    } else {
        // Of a file that is no TOML, what was understood is checked as far as it goes; what seems missing may stand in
        // the part that was not.
        faults.retain_after(broken.len(), |fault| {
            fault.label.as_deref() != Some(conform::MISSING) && !broken.contains(&fault.line)
        });
        None
    };
    let runbook = runbook.filter(|_| !faults.has_errors());
    Loaded { runbook, diagnostics: faults.into_sorted(), source: text.to_owned() }
}

/// A metric's name with what others must know of it.
#[derive(Debug, Clone)]
struct MetricName {
    name: String,
    unit: Option<Unit>,
    per_slot: bool,
    counted: bool,
}

impl MetricName {
    fn of(entry: &Entry) -> Self {
        let node = &entry.node;
        let mut counted = [Some(node), node.get("scrape")].into_iter().flatten();
        Self {
            name: entry.key.clone(),
            unit: node.get("unit").and_then(Node::text).and_then(metrics::unit),
            per_slot: flag(&shape::METRIC, node, "per_slot"),
            counted: counted.any(|node| node.get("all").is_some()),
        }
    }
}

/// Reads the tree. Values that do not conform were reported before, and are passed over in silence here.
struct Loader<'f, 's> {
    faults: &'f mut Faults<'s>,
    ledger: VarUses,
    strategy: Strategy,
    /// What moves traffic; none where there is no target.
    director: Option<Director>,
    /// The slots' names; none where there is no target.
    slots: Option<Vec<String>>,
    /// What the steps give the new slot: a container, where it is named, and an image.
    new_image: Option<(Option<String>, Template)>,
    metric_names: Vec<MetricName>,
    source_names: Vec<(String, bool)>,
}

impl<'f, 's> Loader<'f, 's> {
    /// Names are gathered before anything is loaded: a trigger may name a metric that stands below it.
    fn new(faults: &'f mut Faults<'s>, root: &Node) -> Self {
        let names = |key: &str| -> Vec<&Entry> {
            root.get(key).map_or_else(Vec::new, |node| node.entries().iter().collect())
        };
        let metric_names = names("metrics").into_iter().map(MetricName::of).collect();
        let source_names = names("sources")
            .into_iter()
            .map(|entry| (entry.key.clone(), entry.node.get("scrape").is_some()))
            .collect();
        Self {
            faults,
            ledger: VarUses::default(),
            strategy: target::strategy_of(root),
            director: target::director_of(root),
            slots: target::slot_names(root),
            new_image: None,
            metric_names,
            source_names,
        }
    }

    fn runbook(mut self, root: &Node) -> Runbook {
        // Declarations first, so that every use finds them; then in the order of a run.
        let vars = self.vars(root);
        let parts = self.parts(root);
        let sources = self.sources(root);
        let runbook = Runbook {
            document: Self::document(root),
            deployment: self.deployment(root),
            target: self.target(root),
            vars,
            sources,
            metrics: self.metrics(root),
            checklist: self.checklist(root),
            steps: self.steps(root),
            completion: self.completion(root),
            rollbacks: self.rollbacks(root),
            triggers: self.triggers(root),
            tasks: Self::tasks(root),
            incident: self.incident(root),
            contacts: self.contacts(root),
            links: Self::links(root),
            notify: self.notify(root),
            changes: Self::changes(root),
            parts,
        };
        self.fits_together(root, &runbook);
        runbook
    }

    /// What can be said only of the runbook as a whole: part against part, then names against names.
    fn fits_together(&mut self, root: &Node, runbook: &Runbook) {
        self.cover(root, runbook);
        self.suits_strategy(root, runbook);
        self.sampling(root, runbook);
        self.claims_after_the_switch(root, runbook);
        self.ledger.balance(self.faults);
    }

    /// A template, its uses noted.
    fn template(&mut self, node: &Node, sink: Sink, moment: Moment) -> Template {
        let text = node.text().unwrap_or_default();
        self.ledger.template(node, text, sink, moment, self.faults.source());
        let length = self.ledger.length(text);
        if length > MAX_EXPANDED {
            let what = match sink {
                Sink::Value(_) => "this value",
                _ => "this text",
            };
            self.faults
                .error(
                    node.span.clone(),
                    format!("{what} is longer than {} KiB with its variables filled in", MAX_EXPANDED / 1024),
                )
                .help("values that use each other grow fast; keep large texts in files");
        }
        Template::from(text)
    }

    /// Not a template: the shell expands it. What it uses is read all the same, so that an unknown name is told here and
    /// not at night.
    fn script(&mut self, node: &Node, moment: Moment) -> String {
        let text = node.text().unwrap_or_default();
        self.ledger.script(node, text, moment, self.faults.source());
        text.to_owned()
    }

    /// A slot by colour or role.
    fn slot(&mut self, node: &Node) -> SlotRef {
        let written = node.text().unwrap_or_default();
        match written {
            "new" | "idle" => SlotRef::New,
            "previous" | "live" => SlotRef::Previous,
            OLD_REVISION if self.is_one_deployment() => SlotRef::Previous,
            colour => {
                match &self.slots {
                    Some(slots) if node.text().is_some() && !slots.iter().any(|slot| slot == colour) => {
                        let known: Vec<&str> = slots.iter().map(String::as_str).collect();
                        let help = if self.is_one_deployment() {
                            Some(
                                "one Deployment has no colours: write `new`, or `previous` for the old one"
                                    .to_owned(),
                            )
                        } else {
                            vars::slot_help(colour, &known)
                        };
                        self.faults
                            .error(node.span.clone(), format!("unknown slot `{colour}`"))
                            .maybe_help(help);
                    }
                    // Without a target that is told once, elsewhere.
                    _ => {}
                }
                SlotRef::Named(SlotName::from(colour))
            }
        }
    }

    /// The metric of a name, or the fault and nothing.
    fn metric_named(&mut self, node: &Node) -> Option<MetricName> {
        let written = node.text()?;
        let found = self.metric_names.iter().find(|metric| metric.name == written).cloned();
        if found.is_none() {
            let known: Vec<&str> = self.metric_names.iter().map(|metric| metric.name.as_str()).collect();
            let help = suggest(written, known)
                .unwrap_or_else(|| format!("add [metrics.{written}] with `query` and `unit`"));
            self.faults.error(node.span.clone(), format!("unknown metric `{written}`")).help(help);
        }
        found
    }
}

/// A key's text, empty where there is none.
fn text(node: &Node, key: &str) -> String {
    optional_text(node, key).unwrap_or_default()
}

/// Empty is not none: where that matters the shape says so.
fn optional_text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::text).map(str::to_owned)
}

/// A key's text, or its default.
fn word(shape: &'static Shape, node: &Node, key: &str) -> String {
    optional_text(node, key).unwrap_or_else(|| default(shape, node, key).to_owned())
}

/// What holds for a key that is not given.
fn default(shape: &'static Shape, node: &Node, key: &str) -> &'static str {
    shape.default(key, |other| node.get(other).is_some())
}

fn flag(shape: &'static Shape, node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::bool).unwrap_or_else(|| default(shape, node, key) == "true")
}

/// A key's number, or its default.
fn number_or(shape: &'static Shape, node: &Node, key: &str) -> u32 {
    number(node, key).or_else(|| default(shape, node, key).parse().ok()).unwrap_or_default()
}

/// A key's duration, or its default.
fn span_or(shape: &'static Shape, node: &Node, key: &str) -> Span {
    span(node, key).or_else(|| default(shape, node, key).parse().ok()).unwrap_or_default()
}

/// A value that is no duration has been told where its type was checked; it counts as not given here.
fn span(node: &Node, key: &str) -> Option<Span> {
    node.get(key).and_then(Node::text).and_then(|text| text.parse().ok())
}

/// A list of texts, or one text.
fn texts(node: &Node, key: &str) -> Vec<String> {
    match node.get(key) {
        Some(one) if one.text().is_some() => {
            one.text().unwrap_or_default().lines().map(str::to_owned).collect()
        }
        Some(list) => list.items().iter().filter_map(Node::text).map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

/// What does not fit was told as out of range; it counts as not given here.
fn number(node: &Node, key: &str) -> Option<u32> {
    node.get(key).and_then(Node::integer).and_then(|number| u32::try_from(number).ok())
}

/// A list's tables, or a map's; nothing where the key is missing.
fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).map_or(&[], Node::items)
}

fn entries<'n>(node: &'n Node, key: &str) -> &'n [Entry] {
    node.get(key).map_or(&[], Node::entries)
}

/// Where a key stands, for a mark; the table where it has none.
fn key_span(node: &Node, key: &str) -> Range<usize> {
    node.entry(key).map_or_else(|| node.span.clone(), |entry| entry.key_span.clone())
}
