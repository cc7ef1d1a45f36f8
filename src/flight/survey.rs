//! What `cutover init` reads: a namespace of the kubeconfig's cluster, and a Prometheus. Nothing is written.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use url::Url;

use super::{stop::Stop, world::connected};
use crate::{
    adapters::{
        clock::SystemClock,
        http::HttpOptions,
        kube::{KubeConnector, KubeSurvey},
        metrics::MetricsAdapter,
    },
    domain::{
        metric::{Metric, Missing, Query, Unit},
        runbook::{Source, SourceKind},
        slot_labels::SlotLabels,
        survey::Survey,
        time::Span,
    },
    engine::ports::{Clock, Metrics as _, PortError},
    init::{
        measure::{Measured, Numbers, measure},
        shape::Candidate,
    },
};

/// The source's name, here and in what is written.
const SOURCE: &str = "prometheus";

/// A Prometheus that does not answer in this time is told, not waited for.
const ANSWER_WITHIN: Span = Span::from_secs(10);

/// A cluster that is looked at.
#[derive(Debug)]
pub struct Cluster(KubeSurvey);

impl Cluster {
    /// Connects by a kubeconfig: this file, or where kubectl finds one.
    ///
    /// # Errors
    /// If it can't be used, or has no such context.
    pub async fn connect(context: Option<&str>, kubeconfig: Option<PathBuf>) -> Result<Self, Stop> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let connector = match kubeconfig {
            Some(path) => KubeConnector::from_kubeconfig_file(path, clock),
            None => KubeConnector::from_environment(clock),
        };
        // Here the context is not a runbook's.
        let opened = connector.survey(context).await.map_err(|error| PortError {
            message: error
                .message
                .replace("correct `target.context` in the runbook, or set KUBECONFIG", "correct --context")
                .replace("and the runbook sets none; set `target.context`", "; name one with --context"),
            ..error
        });
        Ok(Self(connected(opened)?))
    }

    /// The context and the API server's URL.
    pub fn place(&self) -> (String, String) {
        self.0.place()
    }

    /// The namespace that the context names, where it does.
    pub fn own_namespace(&self) -> Option<String> {
        self.0.own_namespace()
    }

    /// The namespaces that somebody may deploy in.
    ///
    /// # Errors
    /// If the cluster does not answer, or does not say.
    pub async fn namespaces(&self) -> Result<Vec<String>, Stop> {
        self.0.namespaces().await.map_err(|error| match error.kind {
            crate::engine::ports::Fault::Failed => {
                Stop::unfit(format!("{}\nor name the namespace with --namespace", error.message))
            }
            _ => error.into(),
        })
    }

    /// A namespace.
    ///
    /// # Errors
    /// If the cluster does not answer, or its Services and Deployments may not be listed.
    pub async fn read(&self, namespace: &str) -> Result<Survey, Stop> {
        Ok(self.0.read(namespace).await?)
    }
}

/// A Prometheus' URL as it is written.
///
/// # Errors
/// If it is none, or has a password in it.
pub fn prometheus_url(text: &str) -> Result<String, Stop> {
    let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let Some(url) = Url::parse(text.trim()).ok().filter(usable) else {
        return Err(Stop::usage(
            "--prometheus must be a URL that starts with http:// or https://\nfor example --prometheus \
             http://prometheus.example.com:9090",
        ));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Stop::usage(
            "the URL of the Prometheus has a user or a password in it, which would be written into the runbook\nleave them \
             out, and add `basic_auth` with a secret variable to [sources.prometheus] afterwards",
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Asks a Prometheus for the usual metrics of what is to be deployed.
///
/// # Errors
/// If this host can't make an HTTP client.
pub async fn ask(url: &str, survey: &Survey, candidate: &Candidate) -> Result<Measured, Stop> {
    let source = Source {
        kind: SourceKind::Prometheus { url: url.replace('$', "$$").as_str().into() },
        headers: std::collections::BTreeMap::new(),
        bearer_token: None,
        basic_auth: None,
        ca_file: None,
        timeout: ANSWER_WITHIN,
    };
    let sources = [(SOURCE.to_owned(), source)].into();
    let adapter =
        MetricsAdapter::new(&sources, |template| template.expand(|_| None), &HttpOptions::default())?;
    let asked = Asked { adapter, clock: SystemClock::new() };
    Ok(measure(&asked, survey, candidate).await)
}

/// Asks through the same adapter as a run will: what answers here answers there.
struct Asked {
    adapter: MetricsAdapter,
    clock: SystemClock,
}

#[async_trait]
impl Numbers for Asked {
    async fn number(&self, query: &str, slot: Option<&SlotLabels>) -> Result<f64, Missing> {
        let metric = Metric {
            id: "looked-for".into(),
            title: String::new(),
            query: Query::Promql { source: SOURCE.to_owned(), expr: query.to_owned() },
            per_slot: slot.is_some(),
            unit: Unit::Count,
            normal: None,
            alert: None,
            action: None,
            interval: Span::from_secs(5),
        };
        self.adapter.sample(&metric, slot, self.clock.now()).await.value
    }

    async fn labels(&self, metric: &str) -> Result<Vec<String>, Missing> {
        self.adapter.labels(SOURCE, metric).await
    }
}
