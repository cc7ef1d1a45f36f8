//! Whether the parts of a runbook fit together: rollback, window, triggers.

use super::{Loader, action::READS, entries, items, key_span};
use crate::{
    config::{
        diagnose::nearest,
        raw::Node,
        shape::{ACTION_KINDS, CHECK_KINDS, WITHOUT_CLUSTER},
    },
    domain::{
        action::{Action, ActionKind, Replicas, SlotRef},
        director::{Director, Share},
        runbook::{Procedure, Runbook, Step, Strategy, Target, Then},
    },
};

/// What the quick rollback takes back.
#[derive(Debug, Clone, Copy, Default)]
struct Cover {
    /// It brings the users back to the previous version.
    goes_back: bool,
    /// It takes the new slot's pods away.
    empties_new: bool,
    /// One Deployment runs both versions.
    one: bool,
}

impl Cover {
    /// What the rollback does, action by action: only what it really does counts as covered, whatever its title says.
    fn of(quick: Option<&Procedure>, runbook: &Runbook) -> Self {
        let director = runbook.target.as_ref().map(|target| &target.director);
        let one = director == Some(&Director::Rollout);
        let mut cover = Self { one, ..Self::default() };
        for action in quick.map_or(&[][..], |quick| &quick.run) {
            match &action.kind {
                ActionKind::SwitchTraffic { to: SlotRef::Previous | SlotRef::Named(_), .. } => {
                    cover.goes_back = true;
                }
                ActionKind::ShiftTraffic { to: SlotRef::Previous | SlotRef::Named(_), share: Share::ALL }
                | ActionKind::ShiftTraffic { to: SlotRef::New | SlotRef::Named(_), share: Share::NONE } => {
                    cover.goes_back = true;
                }
                ActionKind::Revert { .. } if one => cover.goes_back = true,
                ActionKind::Scale {
                    slot: SlotRef::New | SlotRef::Named(_),
                    replicas: Replicas::Count(0),
                } => {
                    cover.empties_new = true;
                    cover.goes_back |= director == Some(&Director::Replicas);
                }
                _ => {}
            }
        }
        cover
    }

    /// Whether what an action did is taken back. Going back covers the previous slot's replicas as well: before it gets the
    /// traffic, the engine scales that slot up to what it had. One Deployment's replicas are no part of its template.
    fn takes_back(self, action: &Action) -> bool {
        match &action.kind {
            ActionKind::Scale { .. } if self.one => false,
            ActionKind::SwitchTraffic { .. }
            | ActionKind::ShiftTraffic { .. }
            | ActionKind::Revert { .. }
            | ActionKind::SetImage { slot: SlotRef::Previous, .. }
            | ActionKind::Scale { slot: SlotRef::Previous, .. } => self.goes_back,
            ActionKind::SetImage { .. }
            | ActionKind::Pause { .. }
            | ActionKind::Resume { .. }
            | ActionKind::Scale { .. }
            | ActionKind::Restart { .. } => self.goes_back || self.empties_new,
            ActionKind::Http(request) => READS.contains(&request.method.as_str()),
            _ => !action.kind.mutates(),
        }
    }
}

/// How faults speak of the way to the new version and back, by what directs the traffic.
struct Words {
    window_too_early: (&'static str, &'static str),
    no_quick: (&'static str, &'static str),
    not_ready: &'static str,
    not_back: (&'static str, &'static str),
    never_armed: (&'static str, &'static str),
}

const BY_SWITCH: Words = Words {
    window_too_early: (
        "this window has no traffic switch before it",
        "a window watches the new version under traffic: put a step with `switch_traffic = { to = \"new\" }` before \
         it",
    ),
    no_quick: (
        "a step switches traffic, but there is no [rollback.quick]",
        "add it with `run = [{ switch_traffic = { to = \"previous\" } }]`",
    ),
    not_ready: "add checks that run all the time: `ready = [{ http = { url = \
                \"https://$SLOT.example.com/health/db\" } }]`",
    not_back: (
        "the quick rollback does not switch traffic back",
        "add `{ switch_traffic = { to = \"previous\" } }` to its `run`",
    ),
    never_armed: (
        "this trigger is never armed: no step switches traffic",
        "triggers are armed when traffic is switched",
    ),
};

const BY_SHARE: Words = Words {
    window_too_early: (
        "in this window no user meets the new version",
        "put `{ shift_traffic = { to = \"new\", share = \"5%\" } }` into its step, or into one before it",
    ),
    no_quick: (
        "a step gives the new slot traffic, but there is no [rollback.quick]",
        "add it with `run = [{ shift_traffic = { to = \"new\", share = \"0%\" } }]`",
    ),
    not_ready: BY_SWITCH.not_ready,
    not_back: (
        "the quick rollback leaves the new slot its share of the traffic",
        "add `{ shift_traffic = { to = \"new\", share = \"0%\" } }` to its `run`",
    ),
    never_armed: (
        "this trigger is never armed: no step gives the new slot traffic",
        "triggers are armed with the first `shift_traffic = { to = \"new\", share = \"...\" }`",
    ),
};

const BY_ROLLOUT: Words = Words {
    window_too_early: (
        "in this window no user meets the new version",
        "put `{ set_image = { slot = \"new\", image = \"...\" } }` into its step, or into one before it",
    ),
    no_quick: (
        "a step rolls the new version out, but there is no [rollback.quick]",
        "add it with `run = [{ revert = \"previous\" }, { rollout = \"previous\" }]`",
    ),
    not_ready: "add checks that run all the time, say that the old image can still be pulled: `ready = [{ sh = \
                \"docker manifest inspect ...\" }]`",
    not_back: (
        "the quick rollback does not bring the old version back",
        "add `{ revert = \"previous\" }` and `{ rollout = \"previous\" }` to its `run`",
    ),
    never_armed: (
        "this trigger is never armed: no step rolls a new version out",
        "triggers are armed when the first new pod is ready, after `set_image`",
    ),
};

/// The same fault has other words where traffic moves in shares: there is no moment at which it is switched.
fn words(runbook: &Runbook) -> &'static Words {
    match runbook.target.as_ref().map(|target| &target.director) {
        None | Some(Director::Selector) => &BY_SWITCH,
        Some(Director::Route(_)) if runbook.deployment.strategy == Strategy::BlueGreen => &BY_SWITCH,
        Some(Director::Route(_) | Director::Replicas) => &BY_SHARE,
        Some(Director::Rollout) => &BY_ROLLOUT,
    }
}

/// Kinds of actions and checks that speak to the cluster.
fn cluster_kinds() -> impl Iterator<Item = &'static str> {
    ACTION_KINDS.iter().chain(CHECK_KINDS).copied().filter(|kind| !WITHOUT_CLUSTER.contains(kind))
}

impl Loader<'_, '_> {
    /// All checks that look at several parts at once.
    pub(super) fn cover(&mut self, root: &Node, runbook: &Runbook) {
        let quick = runbook.procedure("quick");
        let cover = Cover::of(quick, runbook);
        for (node, step) in items(root, "step").iter().zip(&runbook.steps) {
            // That what lets users meet the new version has no way back is told once for the runbook.
            let told = |action: &Action| quick.is_none() && runbook.lets_meet(action);
            self.step_is_covered(node, step, cover, told);
        }
        self.windows(root, runbook);
        self.the_way_back(root, runbook);
        self.wakes_the_new_slot(root, runbook);
        self.needs_target(root);
    }

    /// A step that changes something has a way back, or says why it needs none.
    fn step_is_covered(&mut self, node: &Node, step: &Step, cover: Cover, told: impl Fn(&Action) -> bool) {
        if !step.undo.is_empty() || step.no_undo.is_some() {
            return;
        }
        let open: Vec<&str> = step
            .run
            .iter()
            .filter(|action| !told(action))
            .filter(|action| {
                action.kind.mutates() && action.irreversible.is_none() && !cover.takes_back(action)
            })
            .map(|action| action.name.as_str())
            .collect();
        let Some(first) = open.first() else { return };
        let more = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
        self.faults
            .warning(key_span(node, "id"), format!("step `{}` has no undo for: {first}{more}", step.id))
            .help("add `undo = [{ ... }]`, or say why it needs none: `no_undo = \"...\"`");
    }

    /// A window watches what a switch has done, in a step before it. A share, and what a rollout brings, can be watched in
    /// its own step.
    fn windows(&mut self, root: &Node, runbook: &Runbook) {
        let switch = runbook.switch_step();
        let with_it = runbook.target.as_ref().is_some_and(Target::has_shares);
        for (index, (node, step)) in items(root, "step").iter().zip(&runbook.steps).enumerate() {
            if step.window.is_none() {
                continue;
            }
            if switch.is_none_or(|switch| switch > index || (switch == index && !with_it)) {
                let (message, help) = words(runbook).window_too_early;
                self.faults.error(key_span(node, "window"), message).help(help);
            }
            if step.check.is_empty() && runbook.triggers.iter().all(|trigger| trigger.watch.is_none()) {
                self.faults
                    .warning(key_span(node, "window"), "this window watches nothing")
                    .help("add checks with `metric`, or a [[trigger]]");
            }
        }
    }

    /// What takes a slot's pods away leaves none for the deployment after this one, whose new slot that is.
    fn wakes_the_new_slot(&mut self, root: &Node, runbook: &Runbook) {
        // Where shares follow the pods, a share starts them; one Deployment is never empty.
        if runbook.target.as_ref().is_some_and(Target::shares_follow_pods) {
            return;
        }
        let Some(switch) = runbook.switch_step() else { return };
        let empties =
            |action: &Action| matches!(action.kind, ActionKind::Scale { replicas: Replicas::Count(0), .. });
        let wakes = |action: &Action| match &action.kind {
            ActionKind::Scale { slot: SlotRef::New | SlotRef::Named(_), replicas } => {
                *replicas != Replicas::Count(0)
            }
            _ => false,
        };
        let before = runbook.steps.iter().take(switch + 1).flat_map(|step| &step.run);
        let after = runbook.steps.iter().skip(switch + 1).flat_map(|step| &step.run);
        let quick = runbook.procedure("quick").map_or(&[][..], |quick| &quick.run);
        if before.clone().any(wakes) || !after.chain(quick).any(empties) {
            return;
        }
        let span = items(root, "step").get(switch).map_or(0..0, |node| key_span(node, "id"));
        self.faults
            .warning(span, "nothing starts the new slot's pods: the next deployment will find none")
            .help(
                "next to `set_image`, before the switch, add `{ scale = { slot = \"new\", replicas = \
                \"before\" } }`",
            );
    }

    /// Where traffic moves, it must be able to move back.
    fn the_way_back(&mut self, root: &Node, runbook: &Runbook) {
        let names = entries(root, "rollback");
        let near =
            nearest("quick", names.iter().map(|entry| entry.key.as_str())).filter(|near| *near != "quick");
        let (quick, words) = (runbook.procedure("quick"), words(runbook));
        if let Some(near) = near.filter(|_| quick.is_none()) {
            let span =
                names.iter().find(|entry| entry.key == near).map_or(0..0, |entry| entry.key_span.clone());
            self.faults.error(span, format!("unknown rollback `{near}`")).help("did you mean `quick`?");
        }
        if let Some(switch) = runbook.switch_step().filter(|_| quick.is_none() && near.is_none()) {
            let span = items(root, "step").get(switch).map_or(0..0, |node| key_span(node, "id"));
            let (message, help) = words.no_quick;
            self.faults.warning(span, message).help(help);
        }
        if let Some(quick) = quick {
            let goes_back = Cover::of(Some(quick), runbook).goes_back;
            let entry = names.iter().find(|entry| entry.key == "quick");
            let span = entry.map_or(0..0, |entry| entry.key_span.clone());
            if runbook.switch_step().is_some() && goes_back && quick.ready.is_empty() {
                self.faults
                    .warning(span.clone(), "no check proves that the quick rollback would work")
                    .help(words.not_ready);
            }
            if runbook.switch_step().is_some() && !goes_back {
                let (message, help) = words.not_back;
                self.faults.warning(span, message).help(help);
            }
        }
        let fires = |trigger: &crate::domain::runbook::Trigger| {
            trigger.watch.as_ref().is_some_and(|watch| watch.then != Then::Ask)
        };
        for (node, trigger) in items(root, "trigger").iter().zip(&runbook.triggers) {
            if fires(trigger) && quick.is_none() {
                self.faults
                    .error(
                        key_span(node, "metric"),
                        "this trigger rolls back, but there is no [rollback.quick]",
                    )
                    .help("add [rollback.quick], or make the trigger ask: `then = \"ask\"`");
            }
            if trigger.watch.is_some() && runbook.switch_step().is_none() {
                let (message, help) = words.never_armed;
                self.faults.warning(key_span(node, "metric"), message).help(help);
            }
        }
    }

    /// Kubernetes actions and checks need a target. Told once, at the first.
    fn needs_target(&mut self, root: &Node) {
        if self.slots.is_some() {
            return;
        }
        let mut lists: Vec<&Node> = Vec::new();
        for step in items(root, "step") {
            lists.extend(["run", "check", "undo"].iter().filter_map(|key| step.get(key)));
        }
        let procedures = entries(root, "rollback").iter().map(|entry| &entry.node);
        for node in procedures.chain(root.get("completion")) {
            lists.extend(["run", "check", "ready"].iter().filter_map(|key| node.get(key)));
        }
        let checklist: Vec<&Node> = items(root, "checklist")
            .iter()
            .flat_map(|group| items(group, "items"))
            .filter_map(|item| item.get("check"))
            .collect();
        let all = lists.into_iter().flat_map(Node::items).chain(checklist);
        let first = all
            .filter_map(|node| cluster_kinds().find_map(|kind| node.entry(kind)))
            .min_by_key(|entry| entry.key_span.start);
        if let Some(entry) = first {
            self.faults
                .error(
                    entry.key_span.clone(),
                    format!("`{}` needs a cluster, but there is no [target]", entry.key),
                )
                .help("add [target] with `namespace`, `service`, `slots` (or `deployment`) and `container`");
        }
    }
}
