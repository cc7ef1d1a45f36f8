//! Whether the parts of a runbook hold together: the way back, the window, the triggers.

use super::{Loader, action::READS, entries, items, key_span};
use crate::{
    config::{diagnose::nearest, raw::Node},
    domain::{
        action::{Action, ActionKind, Replicas, SlotRef},
        runbook::{Procedure, Runbook, Step, Then},
    },
};

/// What the quick rollback takes back.
#[derive(Debug, Clone, Copy, Default)]
struct Cover {
    /// It points the Service back.
    switches_back: bool,
    /// It takes the new slot's pods away.
    empties_new: bool,
}

impl Cover {
    fn of(quick: Option<&Procedure>) -> Self {
        let mut cover = Self::default();
        for action in quick.map_or(&[][..], |quick| &quick.run) {
            match &action.kind {
                ActionKind::SwitchTraffic { to: SlotRef::Previous | SlotRef::Named(_), .. } => {
                    cover.switches_back = true;
                }
                ActionKind::Scale {
                    slot: SlotRef::New | SlotRef::Named(_),
                    replicas: Replicas::Count(0),
                } => {
                    cover.empties_new = true;
                }
                _ => {}
            }
        }
        cover
    }

    /// Whether what an action did is taken back. Switching back covers the previous slot's replicas as well: before it
    /// points the Service there, the engine scales that slot up to what it had.
    fn takes_back(self, action: &Action) -> bool {
        match &action.kind {
            ActionKind::SwitchTraffic { .. } | ActionKind::Scale { slot: SlotRef::Previous, .. } => {
                self.switches_back
            }
            ActionKind::SetImage { .. } | ActionKind::Scale { .. } | ActionKind::Restart { .. } => {
                self.switches_back || self.empties_new
            }
            ActionKind::Http(request) => READS.contains(&request.method.as_str()),
            _ => !action.kind.mutates(),
        }
    }
}

/// Keys of actions and checks that speak to the cluster.
const KUBERNETES: &[&str] = &[
    "set_image",
    "rollout",
    "switch_traffic",
    "scale",
    "restart",
    "patch",
    "pods_ready",
    "traffic_on",
    "scaled_to",
    "headroom",
    "logs",
];

impl Loader<'_, '_> {
    /// All checks that look at several parts at once.
    pub(super) fn cover(&mut self, root: &Node, runbook: &Runbook) {
        let quick = runbook.procedure("quick");
        let cover = Cover::of(quick);
        for (node, step) in items(root, "step").iter().zip(&runbook.steps) {
            self.step_is_covered(node, step, cover, quick.is_some());
        }
        self.windows(root, runbook);
        self.the_way_back(root, runbook);
        self.wakes_the_new_slot(root, runbook);
        self.needs_target(root);
    }

    /// A step that changes something has a way back, or says why it needs none.
    fn step_is_covered(&mut self, node: &Node, step: &Step, cover: Cover, has_quick: bool) {
        if !step.undo.is_empty() || step.no_undo.is_some() {
            return;
        }
        let open: Vec<&str> = step
            .run
            .iter()
            // That a switch has no way back without a quick rollback is told once for the runbook.
            .filter(|action| has_quick || !matches!(action.kind, ActionKind::SwitchTraffic { .. }))
            .filter(|action| {
                action.kind.mutates() && action.irreversible.is_none() && !cover.takes_back(action)
            })
            .map(|action| action.name.as_str())
            .collect();
        let Some(first) = open.first() else { return };
        let more = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
        self.faults
            .warning(key_span(node, "id"), format!("nothing takes `{}` back: {first}{more}", step.id))
            .help("add `undo = [{ ... }]`, or say why none is needed: `no_undo = \"...\"`");
    }

    /// A window watches what a switch has done.
    fn windows(&mut self, root: &Node, runbook: &Runbook) {
        let switch = runbook.switch_step();
        for (index, (node, step)) in items(root, "step").iter().zip(&runbook.steps).enumerate() {
            if step.window.is_none() {
                continue;
            }
            if switch.is_none_or(|switch| switch >= index) {
                self.faults
                    .error(key_span(node, "window"), "a window with no traffic switch before it")
                    .help("the window watches the new version under traffic: put a step with `switch_traffic = { to = \"new\" }` before it");
            }
            if step.check.is_empty() && runbook.triggers.iter().all(|trigger| trigger.watch.is_none()) {
                self.faults
                    .warning(key_span(node, "window"), "a window that watches nothing")
                    .help("add checks with `metric`, or a [[trigger]]");
            }
        }
    }

    /// What takes a slot's pods away leaves none for the deployment after this one, whose new slot that is.
    fn wakes_the_new_slot(&mut self, root: &Node, runbook: &Runbook) {
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
            .warning(span, "nothing starts the new slot's pods: the deployment after this one finds none")
            .help("before the switch, beside `set_image`: `{ scale = { slot = \"new\", replicas = \"before\" } }`");
    }

    /// Where traffic moves, it must be able to move back.
    fn the_way_back(&mut self, root: &Node, runbook: &Runbook) {
        let names = entries(root, "rollback");
        let near =
            nearest("quick", names.iter().map(|entry| entry.key.as_str())).filter(|near| *near != "quick");
        let quick = runbook.procedure("quick");
        if let Some(near) = near.filter(|_| quick.is_none()) {
            let span =
                names.iter().find(|entry| entry.key == near).map_or(0..0, |entry| entry.key_span.clone());
            self.faults.error(span, format!("unknown rollback `{near}`")).help("did you mean `quick`?");
        }
        if let Some(switch) = runbook.switch_step().filter(|_| quick.is_none() && near.is_none()) {
            let span = items(root, "step").get(switch).map_or(0..0, |node| key_span(node, "id"));
            self.faults
                .warning(span, "traffic is switched, and there is no [rollback.quick]")
                .help("add one: run = [{ switch_traffic = { to = \"previous\" } }]");
        }
        if let Some(quick) = quick {
            let switches_back = Cover::of(Some(quick)).switches_back;
            if runbook.switch_step().is_some() && switches_back && quick.ready.is_empty() {
                let span = names
                    .iter()
                    .find(|entry| entry.key == "quick")
                    .map_or(0..0, |entry| entry.key_span.clone());
                self.faults
                    .warning(span, "nothing proves that the quick rollback would work")
                    .help("add checks that are looked at for the whole run: `ready = [{ http = { url = \"https://$SLOT.example.com/health/db\" } }]`");
            }
            if runbook.switch_step().is_some() && !switches_back {
                let span = names
                    .iter()
                    .find(|entry| entry.key == "quick")
                    .map_or(0..0, |entry| entry.key_span.clone());
                self.faults
                    .warning(span, "the quick rollback does not switch traffic back")
                    .help("add `{ switch_traffic = { to = \"previous\" } }` to its `run`");
            }
        }
        let fires = |trigger: &crate::domain::runbook::Trigger| {
            trigger.watch.as_ref().is_some_and(|watch| watch.then != Then::Ask)
        };
        for (node, trigger) in items(root, "trigger").iter().zip(&runbook.triggers) {
            if fires(trigger) && quick.is_none() {
                self.faults
                    .error(key_span(node, "metric"), "a trigger that rolls back, and no [rollback.quick]")
                    .help("add [rollback.quick], or let the trigger only ask: `then = \"ask\"`");
            }
            if trigger.watch.is_some() && runbook.switch_step().is_none() {
                self.faults
                    .warning(
                        key_span(node, "metric"),
                        "a trigger that is never armed: no step switches traffic",
                    )
                    .help("triggers are armed from the switch on");
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
            .filter_map(|node| KUBERNETES.iter().find_map(|key| node.entry(key)))
            .min_by_key(|entry| entry.key_span.start);
        if let Some(entry) = first {
            self.faults
                .error(
                    entry.key_span.clone(),
                    format!("`{}` needs a cluster, and there is no [target]", entry.key),
                )
                .help("add [target] with `namespace`, `service`, `slots` and `container`");
        }
    }
}
