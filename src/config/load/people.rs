//! Incident response, contacts, links, notices and the change log.

use super::{Loader, entries, head::date, items, key_span, optional_text, text, texts};
use crate::{
    config::{
        diagnose::suggest,
        raw::Node,
        vars::{Moment, Sink},
    },
    domain::runbook::{Change, Contact, Incident, Level, Link, Milestone, Notify},
};

/// What the incident message's template can have filled in.
const PLACES: &[&str] = &["severity", "title", "started", "impact", "actions", "status"];

impl Loader<'_, '_> {
    /// Levels are chosen by name while things burn: two of one name could not be told apart on the screen.
    pub(super) fn incident(&mut self, root: &Node) -> Option<Incident> {
        let node = root.get("incident")?;
        if let Some(template) = node.get("template") {
            self.places(template);
        }
        let mut names: Vec<String> = Vec::new();
        let levels = items(node, "levels")
            .iter()
            .map(|level| {
                let name = text(level, "level");
                if names.contains(&name) {
                    self.faults.error(key_span(level, "level"), format!("duplicate level `{name}`"));
                }
                names.push(name.clone());
                Level {
                    level: name,
                    title: text(level, "title"),
                    example: text(level, "example"),
                    respond: text(level, "respond"),
                    escalate: text(level, "escalate"),
                }
            })
            .collect();
        Some(Incident {
            channel: optional_text(node, "channel"),
            commander: optional_text(node, "commander"),
            levels,
            steps: texts(node, "steps"),
            template: text(node, "template"),
        })
    }

    /// `{name}` in the incident's template must be one that is filled in.
    fn places(&mut self, template: &Node) {
        let words = template.text().unwrap_or_default();
        for part in words.split('{').skip(1) {
            let Some((name, _)) = part.split_once('}') else { continue };
            let is_word = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if is_word && !PLACES.contains(&name) {
                self.faults
                    .error(template.span.clone(), format!("unknown placeholder `{{{name}}}`"))
                    .maybe_help(suggest(name, PLACES.iter().copied()));
            }
        }
    }

    /// Somebody who can be reached by nothing is of no use at that hour, so it is told now.
    pub(super) fn contacts(&mut self, root: &Node) -> Vec<Contact> {
        items(root, "contact")
            .iter()
            .map(|node| {
                let contact = Contact {
                    role: text(node, "role"),
                    name: optional_text(node, "name"),
                    slack: optional_text(node, "slack"),
                    phone: optional_text(node, "phone"),
                };
                if node.get("role").is_some() && contact.slack.is_none() && contact.phone.is_none() {
                    self.faults
                        .warning(
                            key_span(node, "role"),
                            format!("`{}` has no `slack` and no `phone`", contact.role),
                        )
                        .help("add one of them");
                }
                contact
            })
            .collect()
    }

    /// In the order of writing: the first is the one that people need.
    pub(super) fn links(root: &Node) -> Vec<Link> {
        entries(root, "links")
            .iter()
            .filter_map(|entry| Some(Link { name: entry.key.clone(), url: entry.node.text()?.to_owned() }))
            .collect()
    }

    /// A webhook is a secret although it looks like an address: who has it can post in our name. So a literal one is warned
    /// of, and one from a variable is never shown.
    pub(super) fn notify(&mut self, root: &Node) -> Notify {
        let Some(node) = root.get("notify") else { return Notify::default() };
        let slack = node.get("slack").map(|slack| {
            let literal = slack.text().is_some_and(|text| !text.contains('$'));
            if literal {
                self.faults
                    .warning(slack.span.clone(), "a webhook URL is a secret: anyone who has it can post to the channel")
                    .help("keep it in the environment: `SLACK_WEBHOOK_URL = { env = \"SLACK_WEBHOOK_URL\", secret = true }`");
                return self.url(slack, Moment::Opening);
            }
            self.template(slack, Sink::Private, Moment::Opening)
        });
        let on = items(node, "on").iter().filter_map(Node::text).filter_map(milestone).collect::<Vec<_>>();
        if !on.is_empty() && slack.is_none() {
            self.faults
                .warning(key_span(node, "on"), "notices have nowhere to go")
                .help("add `slack = \"$SLACK_WEBHOOK_URL\"`");
        }
        Notify { slack, channel: optional_text(node, "channel"), on }
    }

    /// For people alone: a run does not read it.
    pub(super) fn changes(root: &Node) -> Vec<Change> {
        items(root, "change")
            .iter()
            .map(|node| Change {
                date: date(node, "date"),
                version: text(node, "version"),
                author: text(node, "author"),
                changes: text(node, "changes"),
            })
            .collect()
    }
}

fn milestone(word: &str) -> Option<Milestone> {
    Some(match word {
        "started" => Milestone::Started,
        "switched" => Milestone::Switched,
        "succeeded" => Milestone::Succeeded,
        "failed" => Milestone::Failed,
        "rolled-back" => Milestone::RolledBack,
        "paged" => Milestone::Paged,
        _ => return None,
    })
}
