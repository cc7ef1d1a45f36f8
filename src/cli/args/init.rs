//! The command line of `cutover init`.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser};

use crate::init::EXAMPLES;

/// `cutover init`
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Ask nothing; stop where somebody has to choose.
    #[arg(long)]
    pub yes: bool,
    /// Namespace [default: that of the context, else the only one with a Deployment].
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Service, or `HTTPRoute`, that the users' traffic goes through [default: the only one].
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// URL of a Prometheus, to look which metrics there are.
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// Strategy to write, if it fits what is there [default: the one that was recognised].
    #[arg(long, value_parser = ["blue-green", "canary", "rolling", "recreate"], value_name = "STRATEGY")]
    pub strategy: Option<String>,
    /// File to write; never overwritten.
    #[arg(long, value_name = "FILE", default_value = "runbook.toml")]
    pub output: PathBuf,
    /// Kubeconfig context; also written into the runbook [default: the current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig file [default: `KUBECONFIG`, else ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Write an example instead, without a cluster.
    #[arg(
        long,
        value_name = "STRATEGY",
        value_parser = PossibleValuesParser::new(EXAMPLES.iter().map(|(name, _)| *name)),
        conflicts_with_all = ["namespace", "service", "prometheus", "strategy", "context", "kubeconfig"]
    )]
    pub example: Option<String>,
}
