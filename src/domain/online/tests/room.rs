//! Quotas with scopes, and limit ranges.

use super::*;
use crate::domain::online::picture::Scope;

#[test]
fn a_quota_counts_the_pods_of_its_scopes_only() {
    let scoped = |name: &str, operator: &str, values: &[&str]| {
        let scope = Scope {
            name: name.into(),
            operator: operator.into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let full = [("pods".to_owned(), 6000)];
        let quota =
            Quota { name: "team".into(), hard: full.clone().into(), used: full.into(), scopes: vec![scope] };
        in_cluster(|cluster| cluster.quotas = Ok(vec![quota.clone()]))
    };
    // The pods have requests and no priority.
    for (name, operator, values) in [
        ("NotBestEffort", "", &[] as &[&str]),
        ("NotTerminating", "Exists", &[]),
        ("PriorityClass", "NotIn", &["high"]),
    ] {
        one(scoped(name, operator, values), Mark::Fault, "the run needs 1 more of pods", "raise pods to 7");
    }
    for (name, operator, values) in
        [("BestEffort", "", &[] as &[&str]), ("Terminating", "", &[]), ("PriorityClass", "In", &["high"])]
    {
        assert_eq!(scoped(name, operator, values), Vec::new(), "{name}");
    }
    one(
        scoped("Tomorrow", "", &[]),
        Mark::NotLookedAt,
        "whether its scopes (Tomorrow) have",
        "kubectl describe quota team",
    );
}

#[test]
fn a_limit_range_fills_in_what_a_quota_wants_and_refuses_what_is_too_large() {
    let gib = (1_i128 << 30) * 1000;
    let memory = |amount: i128| [("memory".to_owned(), amount)].into();
    let quota = |hard: i128| Quota {
        name: "team".into(),
        hard: [("limits.memory".to_owned(), hard)].into(),
        ..Quota::default()
    };
    let with = |range: LimitRange, hard: i128| {
        in_cluster(|cluster| {
            cluster.limits = Ok(vec![range.clone()]);
            cluster.quotas = Ok(vec![quota(hard)]);
        })
    };
    let default = LimitRange { name: "usual".into(), default: memory(gib), ..LimitRange::default() };
    assert_eq!(with(default.clone(), gib * 100), Vec::new());
    let found = with(default, gib / 2);
    one(
        found,
        Mark::Fault,
        "needs 1024Mi more of limits.memory, and 512Mi of 512Mi are left",
        "raise limits.memory",
    );
    let small = LimitRange {
        name: "small".into(),
        default: memory(gib),
        max: memory(gib / 4),
        ..LimitRange::default()
    };
    one(
        with(small, gib * 100),
        Mark::Fault,
        "it wants at most 256Mi memory of each container",
        "container backend",
    );
    let found = in_cluster(|cluster| {
        cluster.limits = Err(Unseen::new("denied", "ask for the verb `list`"));
    });
    one(found, Mark::NotLookedAt, "denied", "ask for the verb `list`");
}
