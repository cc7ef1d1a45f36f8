//! What everything that is written needs to know of what was found.

use super::{measure::FoundMetric, shape::Candidate, toml::quoted};
use crate::domain::{
    runbook::Strategy,
    survey::{FoundContainer, FoundDeployment, Survey},
};

/// What everything that is written needs to know.
pub(super) struct Facts<'a> {
    pub(super) survey: &'a Survey,
    pub(super) candidate: &'a Candidate,
    pub(super) strategy: Strategy,
    /// The Deployment with the users.
    pub(super) live: &'a FoundDeployment,
    /// The container that is deployed.
    pub(super) container: &'a FoundContainer,
    /// The image, with `$VERSION` in it, as a template.
    pub(super) image: String,
    pub(super) metrics: &'a [FoundMetric],
}

impl Facts<'_> {
    /// The slots' names, the one with the users first; nothing with one Deployment.
    pub(super) fn slots(&self) -> Option<(&str, &str)> {
        self.candidate.shape.slots().map(|[first, second]| (first.name.as_str(), second.name.as_str()))
    }

    /// The checks that look at the new version while users meet it.
    pub(super) fn watching(&self) -> Vec<String> {
        if self.metrics.is_empty() {
            return vec![
                r#"{ text = "The dashboards show no more errors and no slower answers than before" }"#
                    .to_owned(),
            ];
        }
        let is = |metric: &FoundMetric| {
            format!("{{ metric = {}, is = {} }}", quoted(metric.id), quoted(&metric.normal))
        };
        self.metrics.iter().map(is).collect()
    }

    /// The Deployments of the target, the one with the users first.
    pub(super) fn deployments(&self) -> Vec<&FoundDeployment> {
        let names = self.candidate.deployments();
        names.into_iter().filter_map(|name| self.survey.deployment(name)).collect()
    }
}
