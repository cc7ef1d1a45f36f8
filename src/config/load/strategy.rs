//! What a strategy has and what it needs: actions that mean nothing under it, windows between a canary's shares.

use super::{Loader, flag, items, key_span, optional_text};
use crate::{
    config::{
        conform::percent,
        raw::{Entry, Node},
        shape::DEPLOYMENT,
    },
    domain::{
        action::{Action, ActionKind, SlotRef},
        director::{Director, Share},
        runbook::{Runbook, Strategy},
    },
};

/// What to write instead of an action that a strategy does not have.
struct Refusal {
    why: String,
    instead: &'static str,
}

#[expect(clippy::unnecessary_wraps, reason = "it is the answer of functions that may have none")]
fn refuse(why: impl Into<String>, instead: &'static str) -> Option<Refusal> {
    Some(Refusal { why: why.into(), instead })
}

/// Weights are moved by an action that is judged by who is ready.
fn no_route_patch(director: &Director, node: &Node) -> Option<Refusal> {
    let Director::Route(route) = director else { return None };
    let kind = optional_text(node, "kind").unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split('.').next().unwrap_or_default();
    let ours = optional_text(node, "name").is_some_and(|name| name == route.name);
    if !ours || !["httproute", "httproutes"].contains(&kind) {
        return None;
    }
    refuse(
        "this patches the HTTPRoute that directs the traffic, without a look at who is ready",
        "use `shift_traffic` or `switch_traffic`; change other rules outside of a run",
    )
}

impl Loader<'_, '_> {
    /// Whether one Deployment runs both versions.
    pub(super) fn is_one_deployment(&self) -> bool {
        self.director == Some(Director::Rollout)
    }

    /// Reports an action that the runbook's strategy does not have.
    pub(super) fn fits_strategy(&mut self, entry: &Entry) {
        let Some(director) = &self.director else { return };
        let refusal = match entry.key.as_str() {
            "switch_traffic" => no_switch(self.strategy, director),
            "shift_traffic" => no_shift(self.strategy, director, &entry.node),
            "promote" => no_promotion(self.strategy),
            "revert" => no_revert(self.strategy, &entry.node),
            "scale" => no_scale(director, &entry.node),
            "patch" => no_route_patch(director, &entry.node),
            "pause" | "resume" if self.strategy == Strategy::Recreate => refuse(
                format!(
                    "recreate stops all old pods before it starts new ones, so there is nothing to {}",
                    entry.key
                ),
                "remove it, or use strategy \"rolling\"",
            ),
            "pause" | "resume" if *director != Director::Rollout => {
                self.faults
                    .warning(
                        entry.key_span.clone(),
                        format!("`{}` changes nothing for users: they meet the new slot by its traffic", entry.key),
                    )
                    .help("remove it; to look at the new version first, add a window before it gets more traffic");
                None
            }
            _ => None,
        };
        if let Some(Refusal { why, instead }) = refusal {
            self.faults.error(entry.key_span.clone(), why).help(instead);
        }
    }

    /// Checks what a strategy needs of the runbook as a whole.
    pub(super) fn suits_strategy(&mut self, root: &Node, runbook: &Runbook) {
        let promised = root.get("deployment").filter(|node| flag(&DEPLOYMENT, node, "zero_downtime"));
        if let Some(node) = promised.filter(|_| self.strategy == Strategy::Recreate) {
            self.faults
                .error(
                    key_span(node, "zero_downtime"),
                    "recreate stops all old pods before it starts new ones: users see an interruption",
                )
                .help("write `zero_downtime = false`, or use strategy \"rolling\"");
        }
        if self.strategy == Strategy::Canary && self.director.is_some() {
            self.windows_between_shares(root, runbook);
        }
    }

    /// Each share of a canary is looked at before the next.
    fn windows_between_shares(&mut self, root: &Node, runbook: &Runbook) {
        let mut unwatched: Option<String> = None;
        for (node, step) in items(root, "step").iter().zip(&runbook.steps) {
            for action in &step.run {
                let gives = gives_share(action) && runbook.lets_meet(action);
                if !gives && !promotes(action) {
                    continue;
                }
                if let Some(before) = unwatched.take() {
                    self.faults
                        .warning(
                            key_span(node, "id"),
                            format!("nobody looks at the canary between `{before}` and `{}`", action.name),
                        )
                        .help("give the step of the first a window: `window = { lasts = \"5m\" }`");
                }
                unwatched = gives.then(|| action.name.clone());
            }
            if step.window.is_some() {
                unwatched = None;
            }
        }
    }
}

/// Whether an action gives a slot a share of the traffic, or all of it.
fn gives_share(action: &Action) -> bool {
    matches!(action.kind, ActionKind::ShiftTraffic { .. } | ActionKind::SwitchTraffic { .. })
}

/// Whether an action belongs to a promotion: it gives the previous slot the new image.
fn promotes(action: &Action) -> bool {
    matches!(action.kind, ActionKind::SetImage { slot: SlotRef::Previous, .. })
}

/// All of the traffic at once needs something that can point at one slot: a Service's selector, or a route.
fn no_switch(strategy: Strategy, director: &Director) -> Option<Refusal> {
    match director {
        Director::Rollout => refuse(
            format!("{} has one Deployment, so there is no traffic to switch", strategy.word()),
            "users meet the new version when its pods are ready: write `set_image` and `rollout`; the way back is \
             `revert = \"previous\"`",
        ),
        Director::Replicas => refuse(
            "without a route, traffic follows the ready pods and cannot be switched",
            "write `shift_traffic = { to = \"new\", share = \"25%\" }` and in the end `promote = \"new\"`; the way \
             back is `share = \"0%\"`",
        ),
        Director::Selector | Director::Route(_) => None,
    }
}

/// A share needs weights, or pods that are counted: a selector has neither.
fn no_shift(strategy: Strategy, director: &Director, node: &Node) -> Option<Refusal> {
    match director {
        Director::Selector => refuse(
            "a Service's selector gives a slot all of the traffic or none",
            "write `switch_traffic = { to = \"new\" }`; for shares add `route = { name = \"...\" }` to [target]",
        ),
        Director::Rollout => refuse(
            format!("{} has one Deployment, where shares follow the ready pods", strategy.word()),
            "to stop after the first new pods write `pause = \"new\"`; for shares use strategy \"canary\"",
        ),
        Director::Replicas => {
            let share = optional_text(node, "share").and_then(|share| percent(&share).ok());
            let back = matches!(optional_text(node, "to").as_deref(), Some("previous" | "live"));
            let all = if back { Share::NONE } else { Share::ALL };
            if share != Some(all) {
                return None;
            }
            refuse(
                "without a route, the new slot cannot get all of the traffic while the previous one has pods",
                "write `promote = \"new\"`: the previous slot gets the new image, and the traffic",
            )
        }
        Director::Route(_) => None,
    }
}

/// Only a canary ends with the previous slot serving all users, which therefore has to get the new version.
fn no_promotion(strategy: Strategy) -> Option<Refusal> {
    let instead = match strategy {
        Strategy::Canary => return None,
        Strategy::BlueGreen => "write `switch_traffic = { to = \"new\" }`: the slots change places",
        Strategy::Rolling | Strategy::Recreate => "remove it: the rollout replaces every pod",
    };
    refuse(format!("`promote` ends a canary, but the strategy is {}", strategy.word()), instead)
}

/// Going back to an older template is the way back where the old version runs no more.
fn no_revert(strategy: Strategy, node: &Node) -> Option<Refusal> {
    let slot = node.text().map(str::to_owned).or_else(|| optional_text(node, "slot"));
    match strategy {
        Strategy::BlueGreen => refuse(
            "blue-green has nothing to revert: the previous slot still runs the old version",
            "switch back: `switch_traffic = { to = \"previous\" }`",
        ),
        Strategy::Canary if matches!(slot.as_deref(), Some("new" | "idle")) => refuse(
            "a canary is not reverted: it loses its traffic",
            "write `shift_traffic = { to = \"new\", share = \"0%\" }`; `revert = \"previous\"` takes a promotion back",
        ),
        Strategy::Canary | Strategy::Rolling | Strategy::Recreate => None,
    }
}

/// No replicas in the one Deployment there is means nobody for the users.
fn no_scale(director: &Director, node: &Node) -> Option<Refusal> {
    let nothing = node.get("replicas").and_then(Node::integer) == Some(0);
    if *director != Director::Rollout || !nothing {
        return None;
    }
    refuse(
        "one Deployment runs both versions: at 0 replicas nobody serves the users",
        "to go back to the old version write `revert = \"previous\"`",
    )
}
