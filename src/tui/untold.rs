//! What a screen shows beside the events, as sentences, for those who follow a run line by line.

use std::collections::BTreeMap;

use super::{ScreenOptions, alerts, model::Model, msg::Msg, update::update};
use crate::domain::{
    event::Place,
    id::StepId,
    message::Update,
    run::{CheckStatus, Run},
    safe_text::SafeText,
    time::{Span, Timestamp},
};

/// What goes on, and only changes its words, is said again no sooner.
const AGAIN: Span = Span::from_secs(60);
/// A check that does not pass yet is worth a word after this long.
const PATIENCE: Span = Span::from_secs(10);

/// A screen that nobody draws. It knows what a screen knows, and says what is new of it.
#[derive(Debug)]
pub struct Untold {
    model: Model,
    /// What was said of what is wrong, by its word and what it is about.
    wrong: BTreeMap<(String, String), Said>,
    /// What was said of checks that do not pass yet.
    waits: BTreeMap<(Option<StepId>, usize), Said>,
}

/// A sentence, and when it was said.
#[derive(Debug)]
struct Said {
    words: String,
    at: Timestamp,
}

impl Default for Untold {
    fn default() -> Self {
        let options = ScreenOptions { read_only: true, ..ScreenOptions::default() };
        Self { model: Model::new(options), wrong: BTreeMap::new(), waits: BTreeMap::new() }
    }
}

impl Untold {
    /// The run, once the engine has told it.
    pub fn run(&self) -> Option<&Run> {
        self.model.run.as_ref()
    }

    /// Takes in what the engine tells.
    pub fn take(&mut self, update: Update) {
        match update {
            // Whoever follows line by line has these as they come, or never asks for them.
            Update::Output { .. } | Update::Logs { .. } => {}
            update => drop(super::update::update(&mut self.model, Msg::Update(Box::new(update)))),
        }
    }

    /// The engine has not been heard for so long.
    pub fn silence(&mut self, span: Span) {
        update(&mut self.model, Msg::Silence(span));
    }

    /// What is new: what is wrong now and was not, what is over, and what a check waits for. Safe to print.
    pub fn news(&mut self) -> Vec<String> {
        let now = self.model.now;
        let mut wrong = BTreeMap::new();
        for alert in alerts::untold(&self.model) {
            // Numbers and causes go on changing.
            let changes = |c: char| c == ':' || c.is_ascii_digit();
            let about = alert.headline.split(changes).next().unwrap_or_default().to_owned();
            wrong.insert((alert.word, about), (alert.urgent, alert.headline));
        }
        let mut news = Vec::new();
        self.wrong.retain(|about, said| {
            let stays = wrong.contains_key(about);
            if !stays {
                news.push(format!("over: {}", said.words));
            }
            stays
        });
        for (about, (urgent, words)) in wrong {
            let again = |said: &Said| said.words != words && now.since(said.at) >= AGAIN;
            if self.wrong.get(&about).is_none_or(again) {
                news.push(format!("{}: {words}", if urgent { "ALERT" } else { "watch" }));
                self.wrong.insert(about, Said { words, at: now });
            }
        }
        self.add_waiting(&mut news);
        news.iter().map(|words| SafeText::new(words).to_string()).collect()
    }

    fn add_waiting(&mut self, news: &mut Vec<String>) {
        let now = self.model.now;
        let Some(run) = &self.model.run else { return };
        let watching = &self.model.telemetry.watching;
        self.waits.retain(|at, _| watching.get(at).is_some_and(|(holds, _)| !holds));
        for (at, (_, words)) in watching.iter().filter(|(_, (holds, _))| !holds) {
            let (step, index) = at;
            let Some(place) = step.clone().map(|step| Place::Step { step }).or_else(|| self.model.place())
            else {
                continue;
            };
            let state = run.work(&place).and_then(|work| work.checks.get(*index));
            // What was decided has an event of its own.
            let open = state.is_some_and(|state| state.status == CheckStatus::Open);
            let Some(check) = run.checks(&place).get(*index).filter(|check| open && !check.kind.is_person())
            else {
                continue;
            };
            let said = self.waits.entry(at.clone()).or_insert_with(|| Said { words: String::new(), at: now });
            let pause = if said.words.is_empty() { PATIENCE } else { AGAIN };
            if said.words != *words && now.since(said.at) >= pause {
                news.push(format!("{}: not yet: {words}", check.text));
                *said = Said { words: words.clone(), at: now };
            }
        }
    }
}
