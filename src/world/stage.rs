//! What the simulated traffic needs to know of the simulated cluster.

use std::collections::BTreeMap;

/// One slot of the blue-green pair as the cluster has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// The slot's name in the runbook, say `blue`.
    pub name: String,
    /// The image its Deployment's pods run: the one of the ready pods, or the template's where none is ready.
    pub image: String,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are wanted.
    pub desired: u32,
    /// Whether the Service's selector points here.
    pub live: bool,
    /// Simulated milliseconds since the epoch at which this slot last became live, where it did in this world.
    pub live_since: Option<i64>,
}

/// A view of the cluster for the traffic simulation and the application.
pub trait Stage: Send + Sync {
    /// Both slots.
    fn slots(&self) -> Vec<SlotState>;
}

/// How the world is furnished: names come from the runbook that flies in it.
#[derive(Debug, Clone)]
pub struct Furniture {
    /// The namespace of everything below.
    pub namespace: String,
    /// The Service that routes production traffic.
    pub service: String,
    /// Slots by name.
    pub slots: BTreeMap<String, FurnishedSlot>,
    /// The slot that is live when the world begins.
    pub live: String,
    /// The container's name in the pods of both Deployments.
    pub container: String,
    /// The image both slots run when the world begins, say `registry.example.com/payment-system-backend:v1.5.0`.
    pub image: String,
    /// The replicas both Deployments have when the world begins.
    pub replicas: u32,
    /// The kubeconfig context's name.
    pub context: String,
    /// How long the run's monitoring window lasts, simulated: the late scenarios need to know.
    pub window_ms: i64,
}

/// One slot's objects.
#[derive(Debug, Clone)]
pub struct FurnishedSlot {
    /// The Deployment's name.
    pub deployment: String,
    /// The labels that the Service selects when it points at this slot; the pods carry them.
    pub selector: BTreeMap<String, String>,
}
