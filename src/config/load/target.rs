//! The target: two slots or one Deployment, and what directs the traffic.

use std::collections::BTreeMap;

use super::{Loader, entries, head, key_span, optional_text, text};
use crate::{
    config::{
        conform,
        raw::{Entry, Node},
        shape::{SLOT, TARGET},
    },
    domain::{
        director::{Director, NEW_REVISION, OLD_REVISION, RouteRef, RuleRef},
        id::SlotName,
        runbook::{Slot, Strategy, Target},
    },
};

/// The strategy of a runbook; blue-green where it names none that exists, which is told elsewhere.
pub(super) fn strategy_of(root: &Node) -> Strategy {
    root.get("deployment").map_or(Strategy::BlueGreen, |node| head::strategy(&text(node, "strategy")))
}

/// What moves traffic, where there is a target.
pub(super) fn director_of(root: &Node) -> Option<Director> {
    let target = root.get("target")?;
    Some(match (strategy_of(root), target.get("route")) {
        (Strategy::Rolling | Strategy::Recreate, _) => Director::Rollout,
        (Strategy::BlueGreen | Strategy::Canary, Some(route)) => Director::Route(RouteRef {
            name: text(route, "name"),
            rule: match route.get("rule") {
                Some(rule) if rule.text().is_some() => RuleRef::Name(text(route, "rule")),
                rule => {
                    let number = rule.and_then(Node::integer);
                    RuleRef::Number(number.and_then(|n| usize::try_from(n).ok()).unwrap_or_default())
                }
            },
        }),
        (Strategy::Canary, None) => Director::Replicas,
        (Strategy::BlueGreen, None) => Director::Selector,
    })
}

/// The names that a runbook can give its slots, beside their roles; none where there is no target.
pub(super) fn slot_names(root: &Node) -> Option<Vec<String>> {
    let target = root.get("target")?;
    if director_of(root) == Some(Director::Rollout) {
        return Some(vec![OLD_REVISION.to_owned()]);
    }
    Some(entries(target, "slots").iter().map(|entry| entry.key.clone()).collect())
}

impl Loader<'_, '_> {
    /// The `[target]`. Names are checked here and not in the cluster: a slip in one is found without a connection,
    /// and with its place in the file.
    pub(super) fn target(&mut self, root: &Node) -> Option<Target> {
        let entry = root.entry("target")?;
        let node = &entry.node;
        for key in ["namespace", "service", "deployment", "container"] {
            self.kubernetes_name(node, key);
        }
        if let Some(route) = node.get("route") {
            self.kubernetes_name(route, "name");
        }
        let director = self.director.clone().unwrap_or_default();
        let (slots, part) = if director == Director::Rollout {
            (self.revisions(node), "deployment")
        } else {
            (self.two_slots(node, &director), "slots")
        };
        // A key that belongs to the other kind of target was told with what to write instead; that it leaves one
        // missing is no second fault.
        let instead = ["deployment", "slots"].iter().any(|key| node.get(key).is_some());
        let service = !matches!(director, Director::Route(_)) && node.get("service").is_none();
        let mut missing = Vec::new();
        missing.extend(service.then_some("service"));
        missing.extend((node.table().is_some() && !instead).then_some(part));
        if node.table().is_some() {
            conform::needs(&TARGET, &missing, &entry.key_span, self.faults);
        }
        let service = match &director {
            Director::Route(route) => optional_text(node, "service").unwrap_or_else(|| route.name.clone()),
            Director::Selector | Director::Replicas | Director::Rollout => text(node, "service"),
        };
        Some(Target {
            context: optional_text(node, "context"),
            cluster_uid: optional_text(node, "cluster_uid"),
            namespace: text(node, "namespace"),
            service,
            slots,
            container: text(node, "container"),
            director,
        })
    }

    /// One Deployment: its revision at the opening, and every other one.
    fn revisions(&mut self, node: &Node) -> BTreeMap<SlotName, Slot> {
        let strategy = self.strategy.word();
        let deployment = text(node, "deployment");
        if let Some(slots) = node.entry("slots") {
            let first = slots.node.entries().first().map(|slot| text(&slot.node, "deployment"));
            let name = first.filter(|name| !name.is_empty()).unwrap_or_else(|| "...".to_owned());
            let help = if node.get("deployment").is_some() {
                "remove `slots`; for two Deployments use strategy \"blue-green\" or \"canary\"".to_owned()
            } else {
                format!(
                    "write `deployment = \"{name}\"` instead; for two Deployments use strategy \"blue-green\" or \
                     \"canary\""
                )
            };
            self.faults
                .error(slots.key_span.clone(), format!("{strategy} works on one Deployment and has no slots"))
                .help(help);
        }
        if let Some(route) = node.entry("route") {
            self.faults
                .error(
                    route.key_span.clone(),
                    format!("{strategy} has no route: its Service selects the Deployment's pods"),
                )
                .help("remove `route`, or use strategy \"canary\" or \"blue-green\" with two Deployments");
        }
        let slot = Slot { deployment, selector: BTreeMap::new(), service: None };
        [OLD_REVISION, NEW_REVISION].map(|name| (SlotName::from(name), slot.clone())).into()
    }

    /// Two slots, each with a Deployment of its own, and with labels or a Service that no other has: what is the same
    /// in both cannot tell the slots' pods apart.
    fn two_slots(&mut self, node: &Node, director: &Director) -> BTreeMap<SlotName, Slot> {
        let (strategy, example) = (self.strategy.word(), self.slot_example());
        let mut slots: BTreeMap<SlotName, Slot> = BTreeMap::new();
        if let Some(deployment) = node.entry("deployment") {
            self.faults
                .error(
                    deployment.key_span.clone(),
                    format!("{strategy} needs two Deployments, each in a slot, not `deployment`"),
                )
                .help(format!(
                    "write {example}, and the same for the other; for one Deployment use strategy \"rolling\""
                ));
        }
        for entry in entries(node, "slots") {
            if ["new", "idle", "previous", "live", "before"].contains(&entry.key.as_str()) {
                self.faults
                    .error(entry.key_span.clone(), format!("a slot cannot be called `{}`", entry.key))
                    .help("that word is a role, which changes with every deployment; use a colour");
            }
            let slot = self.slot_entry(entry, director);
            self.apart(entry, &slot, &slots);
            slots.insert(SlotName::from(entry.key.as_str()), slot);
        }
        if slots.len() != 2 && node.get("slots").is_some() {
            let other = if self.strategy == Strategy::Canary { "the canary" } else { "green" };
            self.faults
                .error(
                    key_span(node, "slots"),
                    format!("{strategy} needs two slots, but there {}", count(slots.len())),
                )
                .help(format!("write {example}, and the same for {other}"));
        }
        slots
    }

    /// What a slot shares with another one.
    fn apart(&mut self, entry: &Entry, slot: &Slot, others: &BTreeMap<SlotName, Slot>) {
        for (other, taken) in others {
            let same = if taken.deployment == slot.deployment && !slot.deployment.is_empty() {
                "Deployment"
            } else if taken.selector == slot.selector && !slot.selector.is_empty() {
                "selector"
            } else if taken.service == slot.service && slot.service.is_some() {
                "Service"
            } else {
                continue;
            };
            let own = if same == "Service" { "Deployment and Service" } else { "Deployment and labels" };
            self.faults
                .error(entry.key_span.clone(), format!("`{}` has the same {same} as `{other}`", entry.key))
                .help(format!("give each slot its own {own}"));
        }
    }

    /// What a slot looks like under this strategy, for help texts.
    fn slot_example(&self) -> &'static str {
        match (self.strategy, &self.director) {
            (Strategy::Canary, Some(Director::Route(_))) => {
                "slots.stable = { deployment = \"...\", service = \"...\" }"
            }
            (Strategy::Canary, _) => {
                "slots.stable = { deployment = \"...\", selector = { track = \"stable\" } }"
            }
            (_, Some(Director::Route(_))) => "slots.blue = { deployment = \"...\", service = \"...\" }",
            _ => "slots.blue = { deployment = \"...\", selector = { version = \"blue\" } }",
        }
    }

    /// One slot. Where a route directs traffic it is known by its Service, otherwise by the labels that the selector
    /// is set to.
    fn slot_entry(&mut self, entry: &Entry, director: &Director) -> Slot {
        let node = &entry.node;
        let selector: BTreeMap<String, String> = entries(node, "selector")
            .iter()
            .filter_map(|label| Some((label.key.clone(), label.node.text()?.to_owned())))
            .collect();
        for key in ["deployment", "service"] {
            self.kubernetes_name(node, key);
        }
        if selector.is_empty() && node.get("selector").is_some_and(|node| node.table().is_some()) {
            self.faults
                .error(key_span(node, "selector"), "the selector is empty")
                .help("add at least one label that only this slot's pods have");
        }
        let route = matches!(director, Director::Route(_));
        let needed = if route { "service" } else { "selector" };
        if node.table().is_some() && node.get(needed).is_none() {
            conform::needs(&SLOT, &[needed], &entry.key_span, self.faults);
        }
        if let Some(service) = node.entry("service").filter(|_| !route) {
            self.faults
                .error(
                    service.key_span.clone(),
                    "a slot has a Service of its own only where a route directs traffic",
                )
                .help("add `route = { name = \"...\" }` to [target], or remove this `service`");
        }
        let service = optional_text(node, "service").filter(|_| route);
        Slot { deployment: text(node, "deployment"), selector, service }
    }

    /// Names of Kubernetes objects: small letters, digits, `-` and dots, at most 253 characters.
    fn kubernetes_name(&mut self, node: &Node, key: &str) {
        let Some(value) = node.get(key) else { return };
        let Some(name) = value.text() else { return };
        // A DNS subdomain (RFC 1123), which is what the API server accepts for most kinds of object.
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !(name.len() <= 253 && name.starts_with(outer) && name.ends_with(outer) && name.chars().all(inner))
        {
            self.faults
                .error(value.span.clone(), format!("`{key}` is not a valid Kubernetes name"))
                .help("use lower-case letters, digits and `-`, with a letter or digit at both ends");
        }
    }
}

/// How many slots there are, after "but there".
fn count(slots: usize) -> String {
    match slots {
        0 => "are none".to_owned(),
        1 => "is only one".to_owned(),
        more => format!("are {more}"),
    }
}
