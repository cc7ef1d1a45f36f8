//! Reading copies: the list of copied runs, and the journal of one of them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

use crate::{
    domain::{copy::CopiedRun, id::RunId},
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    super::{
        KubeCluster,
        call::{CONFIG_MAPS, Call, NAMESPACES},
    },
    SEGMENTS,
    segment::{Label, OURS, RUN, SEGMENT, SERVICE, label, name, unpack},
};

/// A journal as it was found in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedCopy {
    /// The journal file's bytes from its beginning. The journal's own reader verifies what is in them.
    pub bytes: Vec<u8>,
    /// What the copy says about the run.
    pub run: CopiedRun,
    /// Where the copy is known to end before the journal did: why. Whatever was recorded later is not in it, so an action may
    /// have been started that it does not tell of. Even without this a copy may be some seconds behind.
    pub cut: Option<String>,
}

/// Why a copy can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyFault {
    /// There is none.
    #[error("the cluster has no copy of run {0}")]
    Absent(RunId),
    /// A piece is missing in the middle.
    #[error("the copy of run {run} has a gap: configmap/{name} is missing")]
    Missing {
        /// The run.
        run: RunId,
        /// The piece.
        name: String,
    },
    /// A piece is not as it was written.
    #[error("the copy of run {run} is damaged: configmap/{name}: {why}")]
    Damaged {
        /// The run.
        run: RunId,
        /// The piece.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The cluster did not answer, or not as it should.
    #[error(transparent)]
    Failed(#[from] PortError),
}

/// An object with only its metadata.
#[derive(Deserialize)]
struct Heading {
    metadata: ObjectMeta,
}

impl KubeCluster {
    /// The runs of the target's Service that have a copy in the cluster, newest first.
    ///
    /// # Errors
    /// Where they can't be listed; the sentence names verb and resource. Where there is no such namespace: a list of what is
    /// in it is an empty one.
    pub async fn copied_runs(&self) -> PortResult<Vec<CopiedRun>> {
        let runs = self.copies(&format!("{SERVICE}={}", label(&self.target.service))).await?;
        if runs.is_empty() {
            self.find_namespace().await?;
        }
        Ok(runs.into_iter().map(|run| run.about).collect())
    }

    /// Says where the target's namespace does not exist. Whoever may not read namespaces cannot know.
    async fn find_namespace(&self) -> PortResult<()> {
        let name = &self.target.namespace;
        match self.gateway.find::<Namespace>(&Call::get(&NAMESPACES, None, name)).await {
            Ok(Some(_)) | Err(PortError { kind: Fault::Denied, .. }) => Ok(()),
            Ok(None) => {
                let server = &self.identity.server;
                let why = format!("namespace `{name}` not found on {server}; correct `target.namespace`");
                Err(PortError::new(Fault::NotFound, why))
            }
            Err(fault) => Err(fault),
        }
    }

    /// The journal of a run, put together from its copy.
    ///
    /// # Errors
    /// See [`CopyFault`].
    pub async fn fetch_copy(&self, run: &RunId) -> Result<FetchedCopy, CopyFault> {
        let found = self.copies(&format!("{RUN}={}", label(run.as_str()))).await?;
        let Some(found) = found.into_iter().find(|found| found.about.run_id == *run) else {
            return Err(CopyFault::Absent(run.clone()));
        };
        let last = found.pieces.keys().next_back().copied().unwrap_or(0);
        let mut bytes = Vec::new();
        let mut cut = None;
        for index in 0..=last {
            let name = name(run.as_str(), index);
            let missing = || CopyFault::Missing { run: run.clone(), name: name.clone() };
            let damaged =
                |why: &str| CopyFault::Damaged { run: run.clone(), name: name.clone(), why: why.to_owned() };
            if !found.pieces.contains_key(&index) {
                return Err(missing());
            }
            let call = Call::get(&CONFIG_MAPS, Some(&self.target.namespace), &name);
            let object: Option<ConfigMap> = self.gateway.find(&call).await?;
            let Some(object) = object else { return Err(missing()) };
            let said = Label::of(&object.metadata);
            if said.index != Some(index) || said.run.run_id != *run {
                return Err(damaged("it is labelled as another piece"));
            }
            let raw = unpack(&object).map_err(|why| damaged(&why))?;
            if index < last && raw.len() != SEGMENT {
                return Err(damaged("it is too short for a piece that another one follows"));
            }
            bytes.extend(raw);
            cut = (index == last && said.continues).then(|| {
                let next = super::segment::name(run.as_str(), index + 1);
                if index + 1 == SEGMENTS {
                    format!("the journal was too long to copy: the copy ends at {} MiB", bytes.len() >> 20)
                } else {
                    format!("configmap/{next} is missing: it was never written, or somebody deleted it")
                }
            });
        }
        Ok(FetchedCopy { bytes, run: found.about, cut })
    }

    /// All copies that a label selects, newest first, without their contents.
    pub(super) async fn copies(&self, selector: &str) -> PortResult<Vec<Found>> {
        let selector = format!("{}={},{selector}", OURS.0, OURS.1);
        let call = Call::list(&CONFIG_MAPS, Some(&self.target.namespace))
            .with("labelSelector", selector)
            .metadata_only();
        let mut runs: BTreeMap<String, BTreeMap<usize, Label>> = BTreeMap::new();
        let each = |heading: Heading| {
            let label = Label::of(&heading.metadata);
            // Others may use our label for things of their own.
            if let Some(index) = label.index.filter(|_| !label.run.run_id.as_str().is_empty()) {
                runs.entry(label.run.run_id.0.clone()).or_default().insert(index, label);
            }
        };
        self.gateway.each(&call, each).await?;
        let mut runs: Vec<Found> = runs.into_values().filter_map(Found::new).collect();
        runs.sort_by(|a, b| {
            let age = |found: &Found| (found.about.begun, found.about.run_id.clone());
            age(b).cmp(&age(a))
        });
        Ok(runs)
    }
}

/// A copy as it was listed.
pub(super) struct Found {
    /// As the newest piece says it.
    pub(super) about: CopiedRun,
    pub(super) pieces: BTreeMap<usize, Label>,
}

impl Found {
    fn new(pieces: BTreeMap<usize, Label>) -> Option<Self> {
        let (_, newest) = pieces.last_key_value()?;
        let begun = pieces.values().filter_map(|label| label.run.begun).min();
        let about = CopiedRun { segments: pieces.len(), begun, ..newest.run.clone() };
        Some(Self { about, pieces })
    }
}
