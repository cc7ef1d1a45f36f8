//! The Kubernetes roles that a run of a runbook needs.

use crate::{
    adapters::kube::lease_name,
    domain::{rights, run::Run},
};

/// The roles as YAML, for `kubectl apply -f -`; none where the runbook has no target.
pub fn roles(run: &Run) -> Option<String> {
    let target = run.runbook.target.as_ref()?;
    // The lock's own name: one a Service, and a name that any object may have.
    let name = lease_name(&target.service);
    let wide = lease_name(&format!("{}-{}", target.namespace, target.service));
    let rights = rights::needed(&run.runbook, &name, &|text| text.expand(|name| run.value(name)).ok());
    Some(rights::role(&rights, &target.namespace, (&name, &wide), &run.runbook.document.title))
}
