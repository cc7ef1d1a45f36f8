//! What a look at the real cluster, its metrics and this machine means for a runbook: a picture goes in, findings come out.
//!
//! ```text
//! looking (adapters, flight::online) ──> Picture ──> judge(runbook, picture) ──> Findings ──> table, JSON, exit code
//! looking (flight::doctor)           ──> Machine ──> machine::judge(machine) ──┘
//! ```
//!
//! Nothing is ever taken for healthy because it could not be looked at: that is a finding of its own.

pub mod actions;
mod around;
pub mod finding;
mod limits;
pub mod machine;
pub mod measures;
mod objects;
pub mod owners;
pub mod picture;
pub mod preflight;
pub mod room;
pub mod scripts;
mod traffic;
mod verdicts;

#[cfg(test)]
mod tests;

use self::{
    finding::{Area, Finding, Findings, Mark},
    picture::{ClusterPicture, Picture, Trouble, Unreached},
};
use super::{
    rights::{Missing, Weight},
    runbook::{Runbook, Target},
};

/// Everything that is worth a line, in the order in which a person would look.
pub fn judge(runbook: &Runbook, picture: &Picture) -> Findings {
    let mut found = Vec::new();
    let login = picture.login.as_ref().map(|(login, now)| machine::expiry(login, *now));
    let refused = matches!(&picture.cluster, Some(Err(Unreached { kind: Trouble::Expired, .. })));
    // Of a login that is refused one line is enough: the one that knows since when.
    let since = login.as_ref().is_some_and(|login| login.mark == Mark::Fault);
    found.extend(login.filter(|_| since || !refused));
    if let (Some(target), Some(cluster)) = (&runbook.target, &picture.cluster) {
        match cluster {
            Ok(cluster) => {
                reached(target, cluster, &mut found);
                permissions(target, cluster, &mut found);
                objects::judge(runbook, target, cluster, picture, &mut found);
                traffic::judge(runbook, target, cluster, &mut found);
                owners::judge(runbook, target, cluster, &mut found);
                room::judge(runbook, target, cluster, &mut found);
            }
            Err(_) if refused && since => {}
            Err(why) => found.push(unreached(why)),
        }
    }
    measures::judge(runbook, picture, &mut found);
    around::judge(picture, &mut found);
    Findings(found).merged()
}

/// The API server and its clock.
fn reached(target: &Target, cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    let identity = &cluster.identity;
    found.push(Finding::fine(
        Area::Cluster,
        format!("context {}", identity.context),
        format!("{} answers, {}, as user `{}`", identity.server, identity.version, cluster.user),
    ));
    if let Some(pinned) = &target.cluster_uid {
        let about = "cluster_uid";
        found.push(if identity.uid.is_empty() {
            Finding::unseen(
                Area::Cluster,
                about,
                "the uid of `kube-system` may not be read",
                "ask for the verb `get` on `namespaces` `kube-system`",
            )
        } else if *pinned == identity.uid {
            Finding::fine(Area::Cluster, about, "this is the cluster that the runbook is for")
        } else {
            Finding::fault(
                Area::Cluster,
                about,
                format!("this is another cluster: its uid is {}, the runbook has {pinned}", identity.uid),
                "use the context of the runbook's cluster, or correct `target.cluster_uid`",
            )
        });
    }
    around::clock("API server", &cluster.clock, found);
}

/// Why the cluster could not be asked anything.
pub fn unreached(why: &Unreached) -> Finding {
    Finding::fault(Area::Cluster, why.kind.word(), why.words.clone(), why.cure.clone())
}

fn permissions(target: &Target, cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    let missing = match &cluster.missing {
        Ok(missing) => missing,
        Err(why) => return found.push(Finding::not_looked_at(Area::Permissions, "access reviews", why)),
    };
    let mut groups: Vec<Vec<&Missing>> = Vec::new();
    for missing in missing {
        let same = |group: &&mut Vec<&Missing>| {
            group.iter().all(|known| {
                (known.right.without == missing.right.without)
                    && known.right.object() == missing.right.object()
                    && known.right.weight == missing.right.weight
            })
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(missing),
            None => groups.push(vec![missing]),
        }
    }
    found.extend(groups.iter().filter_map(|group| denied(group)));
    if missing.is_empty() {
        let place = &target.namespace;
        found.push(Finding::fine(
            Area::Permissions,
            format!("{} of {}", cluster.rights, cluster.rights),
            format!("everything that this runbook and its rollbacks need is allowed in namespace {place}"),
        ));
    }
}

/// Rights on one resource that are missing for the same reason.
fn denied(group: &[&Missing]) -> Option<Finding> {
    let right = &group.first()?.right;
    let verbs: Vec<&str> = group.iter().map(|missing| missing.right.verb.as_str()).collect();
    let wanted: Vec<String> = group.iter().map(|missing| missing.wanted()).collect();
    let about = format!("{} {}", verbs.join(", "), right.object());
    let found = format!("not allowed: {}", right.without);
    let cure = format!("ask for {}; `cutover plan --rbac` prints all roles", wanted.join(", "));
    Some(match right.weight {
        Weight::Remark => Finding::warn(Area::Permissions, about, found, cure),
        Weight::Opening | Weight::Lock | Weight::Run => Finding::fault(Area::Permissions, about, found, cure),
    })
}
