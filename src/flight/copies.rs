//! The cluster without a run: who has the target's lock, and the copies of journals that other hosts have left there.

use std::sync::Arc;

use super::{stop::Stop, world::connected};
use crate::{
    adapters::{
        clock::SystemClock,
        kube::{KubeCluster, KubeConnector},
    },
    domain::{
        copy::CopiedRun,
        runbook::{Runbook, Target},
    },
    engine::ports::Clock,
};

/// Opens the cluster for questions outside a run.
///
/// # Errors
/// If the runbook has no target, or the cluster does not answer.
pub async fn cluster(runbook: &Runbook) -> Result<Arc<KubeCluster>, Stop> {
    let target = runbook
        .target
        .as_ref()
        .ok_or_else(|| Stop::unfit("the runbook has no [target], so there is no cluster to ask"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    connected(KubeConnector::from_environment(clock).open(target).await)
}

/// The runbook's cluster, and the copies of runs of the runbook's Service that are stored in it.
///
/// # Errors
/// If there is no such cluster or namespace, it does not answer, or it may not be asked: with what was looked for, and where.
pub async fn copies(runbook: &Runbook) -> Result<(Arc<KubeCluster>, Vec<CopiedRun>), Stop> {
    let found = async {
        let kube = cluster(runbook).await?;
        let copies = kube.copied_runs().await?;
        Ok((kube, copies))
    };
    let Some(target) = runbook.target.as_ref() else { return found.await };
    let place = target.context.as_ref().map_or_else(
        || "the kubeconfig's current context".to_owned(),
        |context| format!("context {context}"),
    );
    found.await.map_err(|stop: Stop| match stop.understood() {
        Stop::Told(exit, message) => {
            let Target { service, namespace, .. } = target;
            let looked =
                format!("looked for copies of runs of service/{service} in namespace {namespace} of {place}");
            Stop::Told(exit, format!("{looked}: {message}"))
        }
        other => other,
    })
}
