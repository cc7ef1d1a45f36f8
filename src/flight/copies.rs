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
        dora::Past,
        event::Envelope,
        id::RunId,
        run::Run,
        runbook::{Runbook, Target},
    },
    engine::ports::Clock,
    journal,
};

/// What copies of ended runs tell for the figures.
#[derive(Debug, Default)]
pub struct Told {
    /// The runs.
    pub runs: Vec<(RunId, Past)>,
    /// Copies that tell nothing, a sentence each.
    pub faults: Vec<String>,
}

/// Reads the copies of the runs that have ended, and that `known` does not know better. A copy is a whole journal: it tells what
/// the journal would.
pub async fn told(kube: &KubeCluster, copies: &[CopiedRun], known: impl Fn(&RunId) -> bool) -> Told {
    let mut told = Told::default();
    for copy in copies.iter().filter(|copy| copy.head.ended && !known(&copy.run_id)) {
        let found = kube.fetch_copy(&copy.run_id).await.map_err(|fault| fault.to_string());
        match found.and_then(|found| past(&copy.run_id, &found.bytes)) {
            Ok(past) => told.runs.push((copy.run_id.clone(), past)),
            Err(why) => told.faults.push(format!("run {} is not in the figures: {why}", copy.run_id)),
        }
    }
    told
}

/// What the bytes of a run's journal tell.
fn past(run_id: &RunId, bytes: &[u8]) -> Result<Past, String> {
    let contents =
        journal::parse::<Envelope>(bytes).map_err(|fault| format!("its copy is damaged: {fault}"))?;
    let events: Vec<Envelope> = contents.records.into_iter().map(|(_, envelope)| envelope).collect();
    let run = Run::fold(&events).ok_or("the beginning of its copy is missing")?;
    if run.opened.run_id != *run_id {
        return Err("its copy belongs to another run".to_owned());
    }
    let past = Past::of(&run);
    if past.over { Ok(past) } else { Err("its copy ends before the run did".to_owned()) }
}

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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{
        domain::{
            fixture::{Flight, runbook},
            message::Command,
            time::Span,
        },
        journal::{Header, Writer},
    };

    /// A journal of these events as its file's bytes.
    fn bytes(events: &[Envelope]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let header = Header { run_id: "r".into(), runbook_sha256: "00".into(), boot_id: "boot".into() };
        let run = dir.path().join("run");
        let mut writer = Writer::create(&run, &header).unwrap();
        writer.append_all(events).unwrap();
        writer.sync().unwrap();
        std::fs::read(run.join(journal::record::FILE)).unwrap()
    }

    #[test]
    fn a_copy_tells_what_its_journal_tells_and_half_of_one_tells_nothing() {
        let mut flight = Flight::in_window(runbook());
        flight.fly(Span::from_secs(90));
        let open = flight.events.clone();
        flight.command(Command::Rollback { reason: "errors".to_owned() });
        flight.fly(Span::from_mins(10));
        let run_id = flight.run().opened.run_id.clone();
        let whole = bytes(&flight.events);
        let told = past(&run_id, &whole).unwrap();
        assert_eq!(told, Past::of(flight.run()));
        assert!(told.failed && told.deployed_at.is_some() && told.restored.is_some(), "{told:?}");
        assert!(past(&run_id, &bytes(&open)).unwrap_err().contains("ends before the run did"));
        assert!(past(&RunId("another".to_owned()), &whole).unwrap_err().contains("another run"));
        assert!(past(&run_id, &whole[..40]).is_err());
        let mut damaged = whole.clone();
        let middle = damaged.windows(12).position(|it| it == b"step_started").unwrap();
        damaged[middle] ^= 1;
        assert!(past(&run_id, &damaged).unwrap_err().starts_with("its copy is damaged"));
    }
}
