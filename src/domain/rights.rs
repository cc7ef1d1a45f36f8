//! The permissions that a run needs in the cluster. One table is the source of the printed roles, of the access reviews
//! when a run opens, and of `docs/permissions.md`.
//!
//! ```text
//! TABLE (verb, resource, of which objects, what for) ── needed(runbook) ──> Right ──> role(): YAML for kubectl
//!                                                                            └─────> access review at the opening
//! ```
//!
//! Only what the adapter really asks for stands here. RBAC limits `get`, `update`, `patch` and `delete` to names, and `list`
//! and `watch` too where the request selects by `metadata.name`, as ours for the Service and the Deployments do. It cannot
//! limit `create`, nor lists by label: those rights are for the whole namespace.

mod right;
mod role;
mod table;

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    action::{ActionKind, PatchAction},
    check::{Check, CheckKind},
    director::Director,
    runbook::{Group, Item, Runbook, Target},
    template::Template,
    time::Span,
};

pub use right::{Missing, Right, Scope, Verb, Weight};
pub use role::{markdown, role};
use table::{Objects, On, Row, TABLE, When};

impl Missing {
    fn place(&self) -> String {
        let whole = || " in the whole cluster".to_owned();
        self.namespace.as_ref().map_or_else(whole, |namespace| format!(" in namespace {namespace}"))
    }

    /// What to ask for: the verb, the resource, for whom.
    pub fn wanted(&self) -> String {
        let user = if self.user.is_empty() { String::new() } else { format!(" for user `{}`", self.user) };
        format!(
            "the verb `{}` on `{}`{}{user}",
            self.right.verb.as_str(),
            self.right.in_roles(),
            self.place()
        )
    }
}

/// The rights that a runbook needs, in the order of the table; none where it has no target. `lease` is the name of the
/// target's lock, and `show` gives a template's text as far as it is known.
pub fn needed(runbook: &Runbook, lease: &str, show: &dyn Fn(&Template) -> Option<String>) -> Vec<Right> {
    let Some(target) = &runbook.target else { return Vec::new() };
    let routed = target.has_route();
    let applies = |when: When| match when {
        When::Always => true,
        When::Service => !routed,
        When::Selector => target.director == Director::Selector,
        When::Route => routed,
        When::Headroom => asks_for_room(runbook),
    };
    let rows = TABLE.iter().filter(|row| applies(row.of.when));
    let mut rights: Vec<Right> =
        rows.flat_map(|row| row.verbs.iter().map(|verb| right(row, *verb, target, runbook, lease))).collect();
    for patched in patches(runbook).filter_map(|patch| to_patch(patch, show)) {
        if !rights.iter().any(|known| covers(known, &patched)) {
            rights.push(patched);
        }
    }
    rights
}

fn right(row: &Row, verb: Verb, target: &Target, runbook: &Runbook, lease: &str) -> Right {
    Right {
        verb,
        group: row.of.group.to_owned(),
        resource: row.of.resource.to_owned(),
        names: names(row.of.on, target, lease),
        scope: row.of.scope,
        weight: weight(row, runbook),
        what_for: row.what_for.to_owned(),
        without: row.without.to_owned(),
    }
}

/// What a `patch` action needs. An object whose name has a variable in it is not known before the run, and so RBAC cannot limit
/// the right to it.
fn to_patch(patch: &PatchAction, show: &dyn Fn(&Template) -> Option<String>) -> Option<Right> {
    let (group, resource) = resource_of(&patch.kind)?;
    Some(Right {
        verb: Verb::Patch,
        group: group.into_owned(),
        resource: resource.into_owned(),
        names: show(&patch.name).into_iter().collect(),
        scope: Scope::Namespace,
        weight: Weight::Run,
        what_for: "a `patch` action of the runbook".to_owned(),
        without: "the action cannot run: a checklist item fails".to_owned(),
    })
}

/// Whether a right is asked for already, for these names and more. One for all objects does not cover one by name: a role that
/// gives both says so.
fn covers(known: &Right, right: &Right) -> bool {
    (known.verb, &known.group, &known.resource) == (right.verb, &right.group, &right.resource)
        && right.names.iter().all(|name| known.names.contains(name))
        && right.names.is_empty() == known.names.is_empty()
}

fn names(on: On, target: &Target, lease: &str) -> Vec<String> {
    match on {
        On::Service => vec![target.service.clone()],
        On::SlotServices => {
            let names: BTreeSet<_> = target.slots.values().filter_map(|slot| slot.service.clone()).collect();
            names.into_iter().collect()
        }
        On::Route => match &target.director {
            Director::Route(route) => vec![route.name.clone()],
            Director::Selector | Director::Replicas | Director::Rollout => Vec::new(),
        },
        // Two slots with one Deployment need it once.
        On::Deployments => {
            let names: BTreeSet<_> = target.slots.values().map(|slot| slot.deployment.clone()).collect();
            names.into_iter().collect()
        }
        On::Lease => vec![lease.to_owned()],
        On::KubeSystem => vec!["kube-system".to_owned()],
        On::All => Vec::new(),
    }
}

/// What a check of this runbook cannot do without weighs more than what only a screen shows.
fn weight(row: &Row, runbook: &Runbook) -> Weight {
    let pinned = runbook.target.as_ref().is_some_and(|target| target.cluster_uid.is_some());
    let reads_logs = all_checks(runbook).any(|kind| matches!(kind, CheckKind::Logs { .. }));
    match row.of.resource {
        "pods/log" if reads_logs => Weight::Run,
        "namespaces" if pinned => Weight::Run,
        _ => row.weight,
    }
}

fn asks_for_room(runbook: &Runbook) -> bool {
    all_checks(runbook).any(|kind| matches!(kind, CheckKind::Headroom { .. }))
}

fn all_checks(runbook: &Runbook) -> impl Iterator<Item = &CheckKind> {
    let proofs = runbook.rollbacks.iter().flat_map(|procedure| &procedure.ready);
    runbook.checks().chain(proofs).map(|check| &check.kind)
}

fn patches(runbook: &Runbook) -> impl Iterator<Item = &PatchAction> {
    let steps = runbook.steps.iter().flat_map(|step| step.run.iter().chain(&step.undo));
    let others = runbook.rollbacks.iter().flat_map(|procedure| &procedure.run).chain(&runbook.completion.run);
    steps.chain(others).filter_map(|action| match &action.kind {
        ActionKind::Patch(patch) => Some(patch),
        ActionKind::Sh { .. }
        | ActionKind::Argv { .. }
        | ActionKind::SetImage { .. }
        | ActionKind::Rollout { .. }
        | ActionKind::SwitchTraffic { .. }
        | ActionKind::ShiftTraffic { .. }
        | ActionKind::Revert { .. }
        | ActionKind::Pause { .. }
        | ActionKind::Resume { .. }
        | ActionKind::Scale { .. }
        | ActionKind::Restart { .. }
        | ActionKind::Http(_)
        | ActionKind::Notify { .. } => None,
    })
}

/// A text that has no variable in it: what is known of it before the run is.
pub fn literal(template: &Template) -> Option<String> {
    template.names().next().is_none().then(|| template.show(|_| None))
}

/// The group of checklist items that fail because rights are missing; nothing where none is. It stands behind the runbook's
/// own groups, looks again by itself, and so turns green when somebody gives the right.
pub fn items(missing: &[Missing]) -> Option<Group> {
    let items: Vec<Item> = (missing.iter())
        .filter(|missing| missing.right.weight == Weight::Run)
        .map(|missing| {
            let right = &missing.right;
            let text = format!("Allowed to {} {}", right.verb.as_str(), right.object());
            Item {
                check: Check {
                    text: text.clone(),
                    kind: CheckKind::Allowed { right: right.clone() },
                    timeout: Span::from_mins(1),
                    interval: Span::from_secs(30),
                    optional: false,
                    sample: Vec::new(),
                },
                text,
                optional: false,
                valid_for: Span::from_mins(30),
            }
        })
        .collect();
    (!items.is_empty()).then(|| Group { title: PERMISSIONS.to_owned(), items })
}

/// What is poorer because rights are missing, one line for each consequence: what, and what to ask for.
pub fn remarks(missing: &[Missing]) -> Vec<String> {
    let mut remarks: Vec<(&str, Vec<String>)> = Vec::new();
    for missing in missing.iter().filter(|missing| missing.right.weight == Weight::Remark) {
        let without = missing.right.without.as_str();
        match remarks.iter_mut().find(|(known, _)| *known == without) {
            Some((_, wanted)) => wanted.push(missing.wanted()),
            None => remarks.push((without, vec![missing.wanted()])),
        }
    }
    remarks.into_iter().map(|(without, wanted)| format!("{without}; ask for {}", wanted.join(", "))).collect()
}

/// The title of that group.
pub const PERMISSIONS: &str = "Permissions";

/// A runbook without the group that [`items`] has added: as it was written.
pub fn as_written(runbook: &Runbook) -> Runbook {
    let mut written = runbook.clone();
    written.checklist.retain(|group| {
        group.items.is_empty()
            || !group.items.iter().all(|item| matches!(item.check.kind, CheckKind::Allowed { .. }))
    });
    written
}

/// Kinds that a `patch` action names without a group: their group, version, plural and singular.
pub const KNOWN_KINDS: [(&str, &str, &str, &str); 9] = [
    ("apps", "v1", "deployments", "deployment"),
    ("", "v1", "services", "service"),
    ("", "v1", "pods", "pod"),
    ("", "v1", "configmaps", "configmap"),
    ("", "v1", "secrets", "secret"),
    ("apps", "v1", "statefulsets", "statefulset"),
    ("apps", "v1", "daemonsets", "daemonset"),
    ("networking.k8s.io", "v1", "ingresses", "ingress"),
    ("autoscaling", "v1", "horizontalpodautoscalers", "horizontalpodautoscaler"),
];

/// Group and plural of a `patch` action's kind. What the runbook names with a group is looked up in the cluster when it is
/// patched; here its plural is made as Kubernetes makes them where nobody says otherwise.
fn resource_of(kind: &str) -> Option<(Cow<'static, str>, Cow<'static, str>)> {
    let (word, rest) = kind.split_once('.').map_or((kind, None), |(kind, rest)| (kind, Some(rest)));
    let word = word.to_ascii_lowercase();
    let Some(rest) = rest else {
        let known =
            KNOWN_KINDS.iter().find(|(.., plural, singular)| [*plural, *singular].contains(&word.as_str()));
        return known.map(|(group, _, plural, _)| (Cow::Borrowed(*group), Cow::Borrowed(*plural)));
    };
    let group = rest.split('/').next().unwrap_or_default().to_owned();
    let plural = match word.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if word.ends_with("ss") || word.ends_with('x') => format!("{word}es"),
        None if word.ends_with('s') => word,
        None => format!("{word}s"),
    };
    Some((Cow::Owned(group), Cow::Owned(plural)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        action::{Action, PatchType},
        fixture::{check, payment, runbook},
        id::SlotName,
    };

    fn patching(kind: &str, name: &str) -> Action {
        let (kind, name) = (kind.to_owned(), Template(name.to_owned()));
        let patch = PatchAction { kind, name, patch_type: PatchType::Merge, patch: serde_json::json!({}) };
        crate::domain::fixture::action("patch", ActionKind::Patch(patch))
    }

    fn rights(runbook: &Runbook) -> Vec<Right> {
        needed(runbook, "cutover-x", &literal)
    }

    fn find<'a>(rights: &'a [Right], verb: Verb, resource: &str) -> Vec<&'a Right> {
        rights.iter().filter(|right| right.verb == verb && right.in_roles() == resource).collect()
    }

    #[test]
    fn names_limit_what_rbac_can_limit() {
        let rights = rights(&payment());
        let target = payment().target.unwrap();
        for verb in [Verb::Get, Verb::List, Verb::Watch, Verb::Patch] {
            assert_eq!(find(&rights, verb, "services")[0].names, std::slice::from_ref(&target.service));
            assert_eq!(find(&rights, verb, "deployments.apps")[0].names.len(), 2);
        }
        for right in &rights {
            let by_label = ["pods", "pods/log", "events", "configmaps"].contains(&right.resource.as_str());
            if right.verb == Verb::Create || by_label {
                assert!(right.names.is_empty(), "{right:?}");
            }
        }
    }

    #[test]
    fn what_this_runbook_does_decides_what_it_needs() {
        let mut small = runbook();
        let plain = rights(&small);
        assert!(find(&plain, Verb::List, "nodes").is_empty());
        assert_eq!(find(&plain, Verb::Get, "pods/log")[0].weight, Weight::Remark);
        let slot = crate::domain::action::SlotRef::New;
        small.checklist[0].items[0].check =
            check("room", CheckKind::Headroom { slot: slot.clone(), replicas: 3 });
        let logs = CheckKind::Logs { slot, without: Some("FATAL".to_owned()), with: None };
        small.steps[0].check.push(check("logs", logs));
        small.steps[0].run.push(patching("configmap", "flags"));
        small.steps[0].run.push(patching("configmap", "flags-$ENVIRONMENT"));
        small.steps[0].run.push(patching("Rollout.argoproj.io/v1alpha1", "web"));
        small.steps[0].undo.push(patching("NetworkPolicy.networking.k8s.io/v1", "web"));
        let service = small.target.as_ref().unwrap().service.clone();
        small.steps[0].run.push(patching("service", &service));
        let more = rights(&small);
        assert_eq!(find(&more, Verb::List, "nodes")[0].scope, Scope::Cluster);
        assert_eq!(find(&more, Verb::List, "pods").len(), 2, "in the namespace, and everywhere");
        assert_eq!(find(&more, Verb::Get, "pods/log")[0].weight, Weight::Run);
        let patched = |resource| -> Vec<Vec<String>> {
            find(&more, Verb::Patch, resource).into_iter().map(|right| right.names.clone()).collect()
        };
        assert_eq!(patched("configmaps"), [vec!["flags".to_owned()], Vec::new()]);
        assert_eq!(patched("rollouts.argoproj.io"), [vec!["web".to_owned()]]);
        assert_eq!(patched("networkpolicies.networking.k8s.io"), [vec!["web".to_owned()]]);
        assert_eq!(patched("services"), [vec![service]], "the switch needs it anyway");
        small.target = None;
        assert_eq!(rights(&small), Vec::new());
    }

    #[test]
    fn two_slots_of_one_deployment_are_named_once() {
        let mut small = runbook();
        let target = small.target.as_mut().unwrap();
        let blue = target.slots[&SlotName::from("blue")].clone();
        target.slots.insert("green".into(), blue.clone());
        assert_eq!(find(&rights(&small), Verb::Patch, "deployments.apps")[0].names, [blue.deployment]);
    }

    #[test]
    fn with_a_route_it_is_the_route_that_is_written_and_no_service() {
        use crate::domain::director::{RouteRef, RuleRef};
        let mut small = runbook();
        let target = small.target.as_mut().unwrap();
        target.director = Director::Route(RouteRef { name: "shop".to_owned(), rule: RuleRef::Number(0) });
        for (name, slot) in &mut target.slots {
            slot.service = Some(format!("shop-{name}"));
        }
        let rights = rights(&small);
        for verb in [Verb::Get, Verb::List, Verb::Watch, Verb::Patch] {
            let routes = find(&rights, verb, "httproutes.gateway.networking.k8s.io");
            assert_eq!(routes[0].names, ["shop"], "{verb:?}");
        }
        let services: Vec<_> = rights.iter().filter(|right| right.resource == "services").collect();
        assert_eq!(services.len(), 1, "they are only read");
        assert_eq!((services[0].verb, services[0].names.len()), (Verb::Get, 2));
        assert!(rights.iter().all(|right| !right.names.contains(&small.target.as_ref().unwrap().service)));
    }

    #[test]
    fn missing_rights_are_items_that_can_be_taken_out_again() {
        let written = runbook();
        let all: Vec<Missing> = (rights(&written).into_iter())
            .map(|right| Missing { right, namespace: Some("prod".to_owned()), user: "ada".to_owned() })
            .collect();
        let group = items(&all).unwrap();
        let texts: Vec<&str> = group.items.iter().map(|item| item.text.as_str()).collect();
        assert!(texts.iter().any(|text| text.starts_with("Allowed to patch services ")), "{texts:?}");
        assert!(!texts.iter().any(|text| text.contains("events") || text.contains("leases")), "{texts:?}");
        let mut opened = written.clone();
        opened.checklist.push(group);
        assert_eq!(as_written(&opened), written);
        assert_eq!(items(&[]), None);
        let said = all.iter().find(|missing| missing.right.resource == "pods/log").unwrap().to_string();
        assert_eq!(
            said,
            "not allowed to get pods/log in namespace prod; ask for the verb `get` on `pods/log` in namespace prod for user `ada`"
        );
    }
}
