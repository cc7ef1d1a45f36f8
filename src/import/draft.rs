//! A runbook that is being gathered from a page: what was found, with its lines, before it is known how it hangs together.

use std::collections::HashMap;

use crate::domain::{metric::Unit, time::Span};

/// A command of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// For the shell, its holes filled with variables.
    pub(super) script: String,
    /// What the page calls it.
    pub(super) name: Option<String>,
    /// What it prints, according to the page.
    pub(super) expected: Option<String>,
    /// First and last line on the page.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The variable that takes what it prints.
    pub(super) captures: Option<String>,
    /// It may not be run by itself: why.
    pub(super) by_hand: Option<String>,
    /// Comments above it.
    pub(super) comments: Vec<String>,
}

/// Something of a step, in the page's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Command(Command),
    /// Something that a person does or looks at.
    Item(Point),
}

/// A text of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) optional: bool,
}

/// A step.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) title: String,
    pub(super) line: usize,
    pub(super) time: Option<(Span, Span)>,
    pub(super) critical: Option<String>,
    pub(super) entries: Vec<Entry>,
    pub(super) undo: Vec<Entry>,
    pub(super) on_failure: Vec<String>,
    pub(super) notes: Vec<String>,
    /// How long the page says that the new version is watched here.
    pub(super) watch: Option<Span>,
    pub(super) comments: Vec<String>,
    /// It is only taken when it applies.
    pub(super) optional: bool,
}

/// A way back.
#[derive(Debug, Clone, Default)]
pub(super) struct Procedure {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) line: usize,
    pub(super) within: Option<Span>,
    pub(super) only: Option<String>,
    pub(super) entries: Vec<Entry>,
    pub(super) comments: Vec<String>,
}

/// A group of the checklist.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) items: Vec<Point>,
    pub(super) comments: Vec<String>,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Ask { question: String, sample: Option<String> },
    Env,
    Value(String),
    From(&'static str),
    Captured,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Var {
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) secret: bool,
    pub(super) line: usize,
}

/// A metric of a table or list.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    pub(super) title: String,
    pub(super) unit: Unit,
    pub(super) normal: Option<String>,
    pub(super) alert: Option<String>,
    pub(super) action: Option<String>,
    pub(super) query: Option<String>,
    pub(super) line: usize,
    pub(super) comments: Vec<String>,
}

/// A reason to roll back, in the page's words.
#[derive(Debug, Clone)]
pub(super) struct Trigger {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) lasts: Option<Span>,
}

/// What to do afterwards.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) due: Option<Span>,
    pub(super) text: String,
}

/// A severity level.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) example: String,
    pub(super) respond: String,
    pub(super) escalate: String,
}

/// Incidents.
#[derive(Debug, Clone, Default)]
pub(super) struct Incident {
    pub(super) channel: Option<String>,
    pub(super) commander: Option<String>,
    pub(super) levels: Vec<Level>,
    pub(super) steps: Vec<String>,
    pub(super) template: Option<String>,
    pub(super) comments: Vec<String>,
}

/// Somebody to call.
#[derive(Debug, Clone, Default)]
pub(super) struct Contact {
    pub(super) role: String,
    pub(super) name: Option<String>,
    pub(super) slack: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) comments: Vec<String>,
}

/// A line of the change log.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub(super) date: String,
    pub(super) version: String,
    pub(super) author: String,
    pub(super) changes: String,
}

/// Front matter and summary, as far as the page has them.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) title: Option<String>,
    pub(super) module: Option<String>,
    pub(super) status: Option<String>,
    pub(super) version: Option<String>,
    pub(super) updated: Option<String>,
    pub(super) author: Option<String>,
    pub(super) keywords: Vec<String>,
    pub(super) related: Vec<(String, String)>,
    pub(super) environment: Option<String>,
    pub(super) strategy: Option<String>,
    pub(super) automation: Option<String>,
    pub(super) frequency: Option<String>,
    pub(super) expected: Option<Span>,
    pub(super) rollback_within: Option<Span>,
    pub(super) zero_downtime: Option<bool>,
    pub(super) success: Vec<String>,
    pub(super) namespace: Option<String>,
    pub(super) comments: Vec<String>,
}

/// The whole.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) head: Head,
    pub(super) vars: Vec<Var>,
    pub(super) groups: Vec<Group>,
    pub(super) steps: Vec<Step>,
    pub(super) completion: Vec<Entry>,
    pub(super) completion_comments: Vec<String>,
    pub(super) rollbacks: Vec<Procedure>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) metrics: Vec<Metric>,
    pub(super) tasks: Vec<Task>,
    pub(super) incident: Incident,
    pub(super) contacts: Vec<Contact>,
    pub(super) links: Vec<(String, String)>,
    pub(super) changes: Vec<Change>,
    /// A channel of the page that notices are sent to.
    pub(super) channel: Option<String>,
    pub(super) prometheus: Option<String>,
    /// Comments at the end of the file.
    pub(super) comments: Vec<String>,
    link_names: Names,
    pub(super) group_names: Names,
    urls: HashMap<String, Vec<String>>,
    var_names: HashMap<String, usize>,
    /// Words of the page that say how it deploys.
    pub(super) words: Words,
    /// The same in its headings and title.
    pub(super) named: Words,
}

/// How often a page speaks of a strategy.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Words {
    pub(super) blue_green: bool,
    pub(super) canary: bool,
    pub(super) recreate: bool,
    pub(super) rolling: bool,
}

impl Words {
    /// Remembers what a text speaks of.
    pub(super) fn hear(&mut self, text: &str) {
        let lower = text.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        self.blue_green |= has(&["blue-green", "blue/green", "blue green", "bleu/vert", "bleu-vert"]);
        self.canary |= has(&["canary", "canari"]);
        self.recreate |= has(&["recreate"]);
        self.rolling |= has(&["rolling update", "rolling deploy", "rolling-update"]);
    }
}

impl Draft {
    /// Adds a link under a name of its own.
    pub(super) fn link(&mut self, name: &str, url: &str) {
        let name = name.trim().trim_end_matches(':').trim();
        let name = if name.is_empty() { url } else { name };
        let known = self.urls.get(url);
        if known.is_some_and(|names| name == url || names.iter().any(|known| known == name)) {
            return;
        }
        self.urls.entry(url.to_owned()).or_default().push(name.to_owned());
        let own = self.link_names.own(name);
        self.links.push((own, url.to_owned()));
    }

    /// Declares a variable, unless there is one of that name.
    pub(super) fn declare(&mut self, name: &str, source: Source, secret: bool, line: usize) {
        if let Some(at) = self.var_names.get(name) {
            let known = &mut self.vars[*at];
            // What the page sets is better than a question about it.
            if matches!(known.source, Source::Ask { sample: None, .. }) {
                known.source = source;
                known.secret |= secret;
            }
            return;
        }
        self.var_names.insert(name.to_owned(), self.vars.len());
        self.vars.push(Var { name: name.to_owned(), source, secret, line });
    }

    /// A variable by its name.
    pub(super) fn var(&self, name: &str) -> Option<&Var> {
        self.var_names.get(name).map(|at| &self.vars[*at])
    }
}

/// Names of which each is given once: the second `Grafana` is `Grafana (2)`.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// The name, or one like it that is free.
    pub(super) fn own(&mut self, name: &str) -> String {
        self.free(name, |n| format!("{name} ({n})"))
    }

    /// The same of a variable's name: the second `TOKEN` is `TOKEN_2`.
    pub(super) fn own_variable(&mut self, name: &str) -> String {
        self.free(name, |n| format!("{name}_{n}"))
    }

    fn free(&mut self, name: &str, numbered: impl Fn(usize) -> String) -> String {
        let mut own = name.to_owned();
        let mut n = self.0.get(name).copied().unwrap_or_default();
        while self.0.contains_key(&own) {
            n += 1;
            own = numbered(n + 1);
        }
        self.0.insert(name.to_owned(), n);
        self.0.entry(own.clone()).or_insert(0);
        own
    }
}
