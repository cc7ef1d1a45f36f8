//! The table of permissions: what the adapter asks the API server for, and what is lost where it may not.
//!
//! A request that the adapter learns to make has a row here, or a run opens with a right missing that nobody has named; one
//! that it no longer makes has none, for every row is a permission that somebody must grant.

use super::right::{Scope, Verb, Weight};

/// To which objects a row of the table is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// The target's Service.
    Service,
    /// The slots' own Services.
    SlotServices,
    /// The target's route.
    Route,
    /// The target's Deployments.
    Deployments,
    /// The target's lock.
    Lease,
    /// The namespace that stands for the cluster.
    KubeSystem,
    /// RBAC can't tell the names.
    All,
}

/// When a row of the table is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// For every target.
    Always,
    /// Where a Service directs traffic.
    Service,
    /// Where its selector picks one slot.
    Selector,
    /// Where an `HTTPRoute` does.
    Route,
    /// Where a check asks whether the nodes have room.
    Headroom,
}

/// What a row of the table is about.
pub(super) struct Objects {
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    pub(super) on: On,
    pub(super) scope: Scope,
    pub(super) when: When,
}

/// One permission: a few verbs on some objects that are lost together.
pub(super) struct Row {
    pub(super) verbs: &'static [Verb],
    pub(super) of: Objects,
    pub(super) weight: Weight,
    pub(super) what_for: &'static str,
    pub(super) without: &'static str,
}

/// All objects of a kind in the namespace.
const fn all(group: &'static str, resource: &'static str) -> Objects {
    Objects { group, resource, on: On::All, scope: Scope::Namespace, when: When::Always }
}

/// All objects of a kind in the cluster, of which only a check for room wants to know: most teams may not read them.
const fn in_cluster(resource: &'static str) -> Objects {
    Objects { scope: Scope::Cluster, when: When::Headroom, ..all("", resource) }
}

const SERVICE: Objects = Objects { on: On::Service, when: When::Service, ..all("", "services") };

const ROUTE: Objects =
    Objects { on: On::Route, when: When::Route, ..all("gateway.networking.k8s.io", "httproutes") };

const DEPLOYMENTS: Objects = Objects { on: On::Deployments, ..all("apps", "deployments") };

// What the Service, the route and the Deployments are read for alike. Each of the three is read, written and watched, and these
// are rows of their own because each is lost in another way.
const BEFORE_WRITES: &str = "read before every write, and every 10 s";
const NOT_OPENED: &str = "the run does not open (exit code 3)";
const LIVE_VIEW: &str = "the live view";
const OLDER_VIEW: &str = "the view is up to 10 s old; every write is still decided on a fresh read";

/// Everything that the adapter asks the API server for, the runbook's own `patch` actions apart.
pub(super) const TABLE: &[Row] = &[
    Row {
        verbs: &[Verb::Get],
        of: SERVICE,
        weight: Weight::Opening,
        what_for: BEFORE_WRITES,
        without: NOT_OPENED,
    },
    Row {
        verbs: &[Verb::Patch],
        of: SERVICE,
        weight: Weight::Run,
        what_for: "switch traffic and switch back; the fence",
        without: "no switch, no rollback: a checklist item fails",
    },
    Row {
        verbs: &[Verb::List, Verb::Watch],
        of: SERVICE,
        weight: Weight::Remark,
        what_for: LIVE_VIEW,
        without: OLDER_VIEW,
    },
    Row {
        verbs: &[Verb::Get],
        of: ROUTE,
        weight: Weight::Opening,
        what_for: BEFORE_WRITES,
        without: NOT_OPENED,
    },
    Row {
        verbs: &[Verb::Patch],
        of: ROUTE,
        weight: Weight::Run,
        what_for: "change the weights of the slots' Services; the fence",
        without: "no traffic is shifted, no rollback: a checklist item fails",
    },
    Row {
        verbs: &[Verb::List, Verb::Watch],
        of: ROUTE,
        weight: Weight::Remark,
        what_for: LIVE_VIEW,
        without: OLDER_VIEW,
    },
    Row {
        verbs: &[Verb::Get],
        of: Objects { on: On::SlotServices, when: When::Route, ..all("", "services") },
        weight: Weight::Opening,
        what_for: "know which pods the route's traffic reaches",
        without: NOT_OPENED,
    },
    Row {
        verbs: &[Verb::Get],
        of: DEPLOYMENTS,
        weight: Weight::Opening,
        what_for: BEFORE_WRITES,
        without: NOT_OPENED,
    },
    Row {
        verbs: &[Verb::Patch],
        of: DEPLOYMENTS,
        weight: Weight::Run,
        what_for: "set the image, scale, restart, revert, pause, resume; the fence",
        without: "no new image, no scaling, no revert: a checklist item fails",
    },
    Row {
        verbs: &[Verb::List, Verb::Watch],
        of: DEPLOYMENTS,
        weight: Weight::Remark,
        what_for: LIVE_VIEW,
        without: OLDER_VIEW,
    },
    Row {
        verbs: &[Verb::List],
        of: all("apps", "replicasets"),
        weight: Weight::Remark,
        what_for: "tell the new pods from the old ones during a rollout, and ready pods from ones about to be deleted; the \
                   template that a revert restores",
        without: "only the Deployment's status is used, which can lag a moment; a revert restores the image alone",
    },
    Row {
        verbs: &[Verb::List],
        of: all("", "pods"),
        weight: Weight::Run,
        what_for: "count a slot's ready pods before traffic goes there",
        without: "only the Deployment's own count is used: a checklist item fails",
    },
    Row {
        verbs: &[Verb::Watch],
        of: all("", "pods"),
        weight: Weight::Remark,
        what_for: LIVE_VIEW,
        without: "pods are not shown live",
    },
    Row {
        verbs: &[Verb::Get],
        of: all("", "pods"),
        weight: Weight::Remark,
        what_for: "the log of one pod, chosen on the screen",
        without: "no log of a single pod",
    },
    Row {
        verbs: &[Verb::Get],
        of: all("", "pods/log"),
        weight: Weight::Remark,
        what_for: "logs on the screen; `logs` checks",
        without: "no logs; `logs` checks cannot pass, and then a checklist item fails",
    },
    Row {
        verbs: &[Verb::List, Verb::Watch],
        of: all("", "events"),
        weight: Weight::Remark,
        what_for: "warnings on the screen",
        without: "no warnings on the screen",
    },
    Row {
        verbs: &[Verb::List],
        of: all("autoscaling", "horizontalpodautoscalers"),
        weight: Weight::Remark,
        what_for: "know which replicas an autoscaler owns",
        without: "an autoscaler's changes look like somebody else's",
    },
    Row {
        verbs: &[Verb::List],
        of: Objects { when: When::Selector, ..all("discovery.k8s.io", "endpointslices") },
        weight: Weight::Remark,
        what_for: "know that users have left a slot before its pods go",
        without: "a slot's pods may go while the Service's proxies still send users to them",
    },
    Row {
        verbs: &[Verb::Get, Verb::Update],
        of: Objects { on: On::Lease, ..all("coordination.k8s.io", "leases") },
        weight: Weight::Lock,
        what_for: "the target's lock: one run at a time",
        without: "the run does not open (exit code 8) without a reason",
    },
    Row {
        verbs: &[Verb::Create],
        of: all("coordination.k8s.io", "leases"),
        weight: Weight::Lock,
        what_for: "the target's lock, the first time",
        without: "the same, if there is no Lease yet",
    },
    Row {
        verbs: &[Verb::List, Verb::Get, Verb::Create, Verb::Update],
        of: all("", "configmaps"),
        weight: Weight::Remark,
        what_for: "the copy of the run's journal, so that another host can take over",
        without: "no copy in the cluster: if this host is lost, so is the run",
    },
    Row {
        verbs: &[Verb::Delete],
        of: all("", "configmaps"),
        weight: Weight::Remark,
        what_for: "delete the copies of old runs, from the eleventh on",
        without: "old copies are kept",
    },
    Row {
        verbs: &[Verb::Get],
        of: Objects { on: On::KubeSystem, scope: Scope::Cluster, ..all("", "namespaces") },
        weight: Weight::Remark,
        what_for: "identify the cluster by the uid of `kube-system`",
        without: "the server's URL identifies the cluster; with `cluster_uid` in the runbook a checklist \
            item fails",
    },
    Row {
        verbs: &[Verb::List],
        of: in_cluster("nodes"),
        weight: Weight::Remark,
        what_for: "`headroom` checks",
        without: "a person has to check",
    },
    Row {
        verbs: &[Verb::List],
        of: in_cluster("pods"),
        weight: Weight::Remark,
        what_for: "`headroom` checks",
        without: "a person has to check",
    },
];
