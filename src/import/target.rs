//! Where the page deploys to, as far as its kubectl commands tell: strategy, Deployments, Service, namespace, container.

use super::{
    draft::{Command, Draft, Entry, Source},
    kubectl::{self, Act, Call},
};

/// One of two slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) deployment: String,
    pub(super) selector: Vec<(String, String)>,
    /// The page names its Deployment, not only the other's.
    pub(super) named: bool,
}

/// The Deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slots {
    /// The one that serves users, and the one that gets the new version.
    Two {
        previous: Slot,
        new: Slot,
    },
    One(String),
}

/// Where the page deploys to; what it does not say is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) namespace: Option<String>,
    /// The namespace as commands write it.
    written: Option<String>,
    pub(super) context: Option<String>,
    pub(super) service: Option<String>,
    pub(super) container: Option<String>,
    pub(super) slots: Slots,
    /// The page says what a Service's selector must be.
    pub(super) selects: bool,
}

/// Words that tell two slots apart: the one that usually serves users first.
const COLOURS: &[(&str, &str)] = &[
    ("blue", "green"),
    ("stable", "canary"),
    ("primary", "canary"),
    ("a", "b"),
    ("red", "black"),
    ("bleu", "vert"),
    ("prod", "canary"),
    ("main", "canary"),
];

/// How traffic moves, by the page's words; and whether it says so.
pub(super) fn strategy(draft: &Draft) -> (&'static str, bool) {
    let said = draft.head.strategy.as_deref().unwrap_or_default().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["blue-green", "blue/green", "blue green", "bleu"]) {
        return ("blue-green", true);
    }
    if has(&["canary", "canari"]) {
        return ("canary", true);
    }
    if has(&["recreate"]) {
        return ("recreate", true);
    }
    if has(&["rolling"]) {
        return ("rolling", true);
    }
    let coloured = calls(draft).iter().any(|call| colour(&call.name).is_some_and(|(pair, _)| pair.1 != "b"));
    let (named, words) = (draft.named, draft.words);
    // One Deployment without a colour has one way to go.
    let single = !coloured && calls(draft).iter().any(|call| !matches!(call.act, Act::Select(_)));
    match () {
        () if named.blue_green => ("blue-green", true),
        () if named.canary => ("canary", true),
        () if coloured && !words.canary => ("blue-green", true),
        () if named.recreate => ("recreate", true),
        () if named.rolling => ("rolling", true),
        // What a sentence mentions is a guess.
        () if words.blue_green => ("blue-green", coloured),
        () if words.canary && (coloured || !single) => ("canary", coloured),
        () if words.recreate && !single => ("recreate", false),
        () => ("rolling", words.rolling),
    }
}

fn commands_of(entries: &[Entry]) -> impl Iterator<Item = &Command> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Command(command) => Some(command),
        Entry::Item(_) => None,
    })
}

/// What is known of all commands, those of the steps first.
fn calls(draft: &Draft) -> Vec<Call> {
    let steps = draft.steps.iter().flat_map(|step| commands_of(&step.entries).chain(commands_of(&step.undo)));
    let rest = commands_of(&draft.completion)
        .chain(draft.rollbacks.iter().flat_map(|procedure| commands_of(&procedure.entries)));
    steps.chain(rest).filter_map(|command| kubectl::call(&command.script)).collect()
}

/// The pair a name's colour is of, and whether it is the second of it.
fn colour(name: &str) -> Option<((&'static str, &'static str), bool)> {
    let parts: Vec<&str> = name.split(['-', '_', '.']).collect();
    COLOURS.iter().find_map(|pair| {
        if parts.len() < 2 {
            return None;
        }
        if parts.contains(&pair.1) {
            Some((*pair, true))
        } else if parts.contains(&pair.0) && !matches!(pair.0, "prod" | "main" | "primary") {
            Some((*pair, false))
        } else {
            None
        }
    })
}

/// A name with one of its parts replaced.
fn recoloured(name: &str, from: &str, to: &str) -> String {
    let mut out = String::new();
    let mut part = String::new();
    for c in name.chars().chain(std::iter::once('\0')) {
        if matches!(c, '-' | '_' | '.' | '\0') {
            out.push_str(if part == from { to } else { &part });
            part.clear();
            if c != '\0' {
                out.push(c);
            }
        } else {
            part.push(c);
        }
    }
    out
}

/// A template whose variables all have values that the page gives.
pub(super) fn known(template: &str, draft: &Draft) -> Option<String> {
    let value = |name: &str| {
        draft.var(name).and_then(|var| match &var.source {
            Source::Value(value) if !value.contains('$') && !var.secret => Some(value.clone()),
            _ => None,
        })
    };
    crate::domain::template::Template::from(template).expand(value).ok()
}

fn is_name(text: &str) -> bool {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 253
        && text.starts_with(outer)
        && text.ends_with(outer)
        && text.chars().all(|c| outer(c) || c == '-' || c == '.')
}

/// The target, where the page has commands that act on one.
pub(super) fn target(draft: &Draft, strategy: &str) -> Option<Target> {
    let calls: Vec<Call> = calls(draft)
        .into_iter()
        .filter_map(|call| {
            Some(Call { name: known(&call.name, draft).filter(|name| is_name(name))?, ..call })
        })
        .collect();
    let acts: Vec<&Call> = calls.iter().filter(|call| !matches!(call.act, Act::Select(_))).collect();
    let slots =
        if matches!(strategy, "blue-green" | "canary") { two(&calls, &acts, strategy)? } else { one(&acts)? };
    let ours = |call: &&&Call| match &slots {
        Slots::Two { previous, new } => call.name == previous.deployment || call.name == new.deployment,
        Slots::One(name) => call.name == *name,
    };
    let first = acts.iter().find(ours)?;
    let written = acts.iter().filter(ours).find_map(|call| call.namespace.clone());
    let namespace = written
        .as_deref()
        .and_then(|written| known(written, draft))
        .or_else(|| draft.head.namespace.clone())
        .filter(|name| is_name(name));
    let select = calls.iter().find(|call| matches!(call.act, Act::Select(_)));
    let container = acts.iter().filter(ours).find_map(|call| match &call.act {
        Act::SetImage { container, .. } => known(container, draft).filter(|name| is_name(name)),
        _ => None,
    });
    Some(Target {
        namespace,
        written,
        context: first.context.as_deref().and_then(|context| known(context, draft)),
        service: select.map(|call| call.name.clone()),
        container,
        selects: select.is_some(),
        slots,
    })
}

fn one(acts: &[&Call]) -> Option<Slots> {
    let sets = acts.iter().find(|call| matches!(call.act, Act::SetImage { .. }));
    sets.or(acts.first()).map(|call| Slots::One(call.name.clone()))
}

fn two(calls: &[Call], acts: &[&Call], strategy: &str) -> Option<Slots> {
    // `api` and `api-canary`.
    let plain = acts.iter().find_map(|call| {
        let base = call.name.strip_suffix("-canary")?;
        Some((base.to_owned(), call.name.clone()))
    });
    if let Some((base, canary)) = plain.filter(|(base, _)| strategy == "canary" && colour(base).is_none()) {
        let named = acts.iter().any(|call| call.name == base);
        let stable = if named || acts.iter().all(|call| call.name != format!("{base}-stable")) {
            base
        } else {
            format!("{base}-stable")
        };
        let slot = |name: &str, deployment: String, named| Slot {
            name: name.to_owned(),
            selector: vec![("track".to_owned(), name.to_owned())],
            deployment,
            named,
        };
        return Some(Slots::Two {
            previous: slot("stable", stable, named),
            new: slot("canary", canary, true),
        });
    }
    let (pair, first) = acts.iter().find_map(|call| Some((colour(&call.name)?.0, call)))?;
    // Which of the two gets the new version: the first that gets an image, else the first that gets the traffic.
    let is_second =
        |call: &&&Call| colour(&call.name).filter(|(other, _)| *other == pair).map(|(_, second)| second);
    let imaged =
        acts.iter().filter(|call| matches!(call.act, Act::SetImage { .. })).find_map(|call| is_second(&call));
    let switched = calls.iter().find_map(|call| match &call.act {
        Act::Select(labels) => labels.iter().find_map(|(_, value)| {
            if *value == pair.1 { Some(true) } else { (*value == pair.0).then_some(false) }
        }),
        _ => None,
    });
    let second = imaged.or(switched).unwrap_or(true);
    let (new, previous) = if second { (pair.1, pair.0) } else { (pair.0, pair.1) };
    let slot = |colour: &str| {
        let other = if colour == pair.0 { pair.1 } else { pair.0 };
        let deployment = recoloured(&first.name, other, colour);
        let labels = calls.iter().find_map(|call| match &call.act {
            Act::Select(labels) if labels.iter().any(|(_, value)| value == pair.0 || value == pair.1) => {
                Some(labels.clone())
            }
            _ => None,
        });
        let labels = labels.unwrap_or_else(|| vec![("version".to_owned(), colour.to_owned())]);
        let selector = labels
            .into_iter()
            .map(|(key, value)| if value == other { (key, colour.to_owned()) } else { (key, value) })
            .collect();
        let named = acts.iter().any(|call| call.name == deployment);
        Slot { name: colour.to_owned(), deployment, selector, named }
    };
    Some(Slots::Two { previous: slot(previous), new: slot(new) })
}

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Step,
    Undo,
    Rollback,
}

impl Target {
    /// The role of a Deployment.
    fn slot(&self, deployment: &str, place: Place) -> Option<&'static str> {
        match &self.slots {
            Slots::Two { previous, .. } if previous.deployment == deployment => Some("previous"),
            Slots::Two { new, .. } if new.deployment == deployment => Some("new"),
            Slots::One(name) if name == deployment => {
                Some(if place == Place::Step { "new" } else { "previous" })
            }
            _ => None,
        }
    }

    fn is_one(&self) -> bool {
        matches!(self.slots, Slots::One(_))
    }

    /// A command as an action of ours: its key and value, and how long it may take.
    pub(super) fn native(
        &self,
        script: &str,
        draft: &Draft,
        place: Place,
        strategy: &str,
    ) -> Option<(String, Option<String>)> {
        let call = kubectl::call(script)?;
        let name = known(&call.name, draft)?;
        let elsewhere = call.namespace.as_ref().is_some_and(|namespace| {
            Some(namespace) != self.written.as_ref() && known(namespace, draft) != self.namespace
        });
        if elsewhere || call.context.as_ref().is_some_and(|context| known(context, draft) != self.context) {
            return None;
        }
        if let Act::Select(labels) = &call.act {
            let Slots::Two { previous, new } = &self.slots else { return None };
            if self.service.as_ref() != Some(&name) || strategy != "blue-green" {
                return None;
            }
            let to = if *labels == new.selector {
                "new"
            } else if *labels == previous.selector {
                "previous"
            } else {
                return None;
            };
            return Some((format!("switch_traffic = {{ to = \"{to}\" }}"), None));
        }
        let slot = self.slot(&name, place)?;
        let one = self.is_one();
        let mut timeout = None;
        let native = match &call.act {
            Act::SetImage { container, image } => {
                if one && place != Place::Step {
                    let old = image.ends_with("$PREVIOUS_VERSION") || image.ends_with("${PREVIOUS_VERSION}");
                    return old.then(|| ("revert = \"previous\"".to_owned(), None));
                }
                let container = known(container, draft)?;
                let other = if Some(&container) == self.container.as_ref() {
                    String::new()
                } else {
                    format!("container = {}, ", super::words::quoted(&container))
                };
                format!("set_image = {{ slot = \"{slot}\", {other}image = {} }}", super::words::quoted(image))
            }
            Act::Wait { timeout: limit } => {
                let limit =
                    limit.as_deref().and_then(|limit| limit.parse::<crate::domain::time::Span>().ok());
                timeout = limit
                    .filter(|limit| *limit > crate::domain::time::Span::ZERO)
                    .map(|limit| limit.to_string());
                format!("rollout = \"{slot}\"")
            }
            Act::Restart => format!("restart = \"{slot}\""),
            Act::Undo if one && place != Place::Step => "revert = \"previous\"".to_owned(),
            Act::Pause if one && strategy == "rolling" => format!("pause = \"{slot}\""),
            Act::Resume if one && strategy == "rolling" => format!("resume = \"{slot}\""),
            Act::Scale(0) if one => return None,
            Act::Scale(replicas) => format!("scale = {{ slot = \"{slot}\", replicas = {replicas} }}"),
            _ => return None,
        };
        Some((native, timeout))
    }

    /// Colours in addresses and scripts change with every deployment: variables in their place. Whether there were any.
    pub(super) fn uncoloured(&self, text: &str, script: bool) -> (String, bool) {
        let Slots::Two { previous, new } = &self.slots else { return (text.to_owned(), false) };
        if new.name.len() < 3 || new.name == "canary" {
            return (text.to_owned(), false);
        }
        let mut out = String::with_capacity(text.len());
        let (mut rest, mut quote, mut found) = (text, false, false);
        let mut before = ' ';
        while let Some(c) = rest.chars().next() {
            let variable = [(&new.name, "NEW_SLOT"), (&previous.name, "PREVIOUS_SLOT")].into_iter().find(
                |(colour, _)| {
                    rest.strip_prefix(colour.as_str()).is_some_and(|after| {
                        !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                    })
                },
            );
            let inside =
                before.is_ascii_alphanumeric() || matches!(before, '_' | '$' | '{') || script && quote;
            if let Some((colour, name)) = variable.filter(|_| !inside) {
                out.extend(["${", name, "}"]);
                rest = &rest[colour.len()..];
                before = '}';
                found = true;
            } else {
                quote ^= c == '\'';
                out.push(c);
                before = c;
                rest = &rest[c.len_utf8()..];
            }
        }
        (out, found)
    }
}
