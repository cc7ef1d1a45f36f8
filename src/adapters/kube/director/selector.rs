//! Switches traffic: changes the Service's selector without losing anybody else's update.
//!
//! The common way is one request on a warm connection: the patch carries the uid and the `resourceVersion` of the fresh look
//! that allowed the switch, so that the API server applies it to exactly what was looked at or answers 409.
//!
//! ```text
//! patch(version seen) ── 2xx ────────────────────────────────────────────── done
//!   ├─ 409 ── read ── selector and uid as believed ── patch(version read) ── 2xx done, 409 conflict
//!   │           ├──── selector as wanted ────────────────────────────────── done, by whom it says
//!   │           └──── otherwise ─────────────────────────────────────────── conflict, by whom it says
//!   ├─ 4xx, never left ──────────────────────────────────────────────────── certainly not done
//!   └─ 5xx, silence, broken ── read ── as wanted ────────────────────────── done, confirmed by reading
//!                                ├──── version moved, selector as before ── certainly not done, and cannot be any more
//!                                ├──── version moved, another selector ──── conflict
//!                                └──── version as before ────────────────── unknown
//! ```
//!
//! The second patch after a 409 is no blind retry. A 409 proves that the first was not applied and never will be, since its
//! version is gone for good. It is needed because a `resourceVersion` also moves for an annotation or a load balancer's
//! status, and a rollback must not stop for those. There is one second patch, no third.
//!
//! With a lock held, the patch also carries the lock's fence, and a Service that carries a higher one is left alone (see
//! `fence`): whoever has taken over has the last word.
//!
//! After an unclear failure nothing is written again. Where the version has not moved, the request may still arrive and
//! would then be applied, so the answer is "unknown" even though a look shows the old selector. Where the version has
//! moved, the fence in the request keeps it from ever being applied late.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    domain::{
        action::PatchType,
        id::SlotName,
        observation::Approach,
        runbook::{Slot, Target},
    },
    engine::ports::{Fault, PortError, PortResult},
    failpoint,
};

use super::super::{
    KubeCluster,
    call::{Call, SERVICES},
    fault::Failure,
    locked,
    view::{ServiceView, by, labels},
};

/// Where a switch leads.
struct Goal<'a> {
    described: &'a Slot,
    /// The whole selector that is wanted, where it is not only the slot's labels that matter.
    exact: Option<BTreeMap<String, String>>,
}

impl Goal<'_> {
    /// What the Service shall select that selects this now.
    fn wanted(&self, target: &Target, now: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        self.exact.clone().unwrap_or_else(|| target.selector_on(now, self.described))
    }
}

impl KubeCluster {
    /// The Service as the look saw it that allowed the switch.
    fn service_approached(&self, approach: &Approach) -> PortResult<ServiceView> {
        let observed = locked(&self.observed).clone();
        let version = approach.seen.service.as_ref().map(|service| &service.version);
        observed.filter(|view| Some(&view.version) == version).ok_or_else(|| {
            PortError::new(
                Fault::Conflict,
                format!("service/{} was read again meanwhile, so nothing was written", self.target.service),
            )
        })
    }

    /// One request, which carries the version that was looked at: somebody who has switched in between is noticed by the
    /// API server itself.
    pub(in super::super) async fn point_service_at(
        &self,
        to: &SlotName,
        approach: Option<&Approach>,
    ) -> PortResult<String> {
        let described = self.slot(to)?;
        let begun = Instant::now();
        let believed = match approach {
            Some(approach) => self.service_approached(approach)?,
            None => match self.service_seen() {
                Some(view) => view,
                None => self.read_service().await?,
            },
        };
        let exact = approach.and_then(|approach| approach.selector.clone());
        let slot = &Goal { described, exact };
        let first = match self.patch_selector(&believed, slot).await {
            Ok(done) => return Ok(self.switched(to, &done)),
            Err(failed) => failed,
        };
        match first {
            (_, failure) if failure.is_conflict() => self.after_conflict(to, slot, &believed, begun).await,
            (_, failure) if failure.is_ambiguous() => {
                self.after_unclear(to, slot, &believed, (&failure, begun)).await
            }
            (call, failure) => Err(self.gateway.told(&call, &failure)),
        }
    }

    /// A 409 proves that nothing was done: look what moved, and go on only where it concerns nobody.
    async fn after_conflict(
        &self,
        to: &SlotName,
        slot: &Goal<'_>,
        believed: &ServiceView,
        begun: Instant,
    ) -> PortResult<String> {
        let now = self.read_service().await?;
        self.not_fenced_off(&format!("service/{}", self.target.service), now.fence).await?;
        let wanted = slot.wanted(&self.target, &now.selector);
        if now.uid == believed.uid && now.selector == wanted {
            return Ok(self.already(to, &now));
        }
        if now.uid != believed.uid || now.selector != believed.selector {
            return Err(self.moved(&now, believed));
        }
        match self.patch_selector(&now, slot).await {
            Ok(done) => Ok(self.switched(to, &done)),
            Err((_, failure)) if failure.is_conflict() => {
                let latest = self.read_service().await?;
                Err(self.moved(&latest, believed))
            }
            Err((_, failure)) if failure.is_ambiguous() => {
                self.after_unclear(to, slot, &now, (&failure, begun)).await
            }
            Err((call, failure)) => Err(self.gateway.told(&call, &failure)),
        }
    }

    /// No answer, or one that proves nothing: look, and never write again.
    async fn after_unclear(
        &self,
        to: &SlotName,
        slot: &Goal<'_>,
        fenced: &ServiceView,
        (failure, begun): (&Failure, Instant),
    ) -> PortResult<String> {
        let service = &self.target.service;
        let call =
            Call::patch(&SERVICES, Some(&self.target.namespace), service, PatchType::Strategic, &Value::Null);
        let why = self.gateway.told(&call, failure).message;
        let now = match self.gateway.look_after(begun, self.read_service()).await {
            Ok(now) => now,
            Err(blind) => {
                return Err(PortError::new(
                    Fault::Unknown,
                    format!("{why}; and reading it failed: {}", blind.message),
                ));
            }
        };
        if now.uid == fenced.uid && now.selector == slot.wanted(&self.target, &now.selector) {
            return Ok(format!("service/{service} points at {to} (no answer came, confirmed by reading it)"));
        }
        if now.uid == fenced.uid && now.version == fenced.version {
            let as_before = labels(&now.selector);
            return Err(PortError::new(
                Fault::Unknown,
                format!("{why}. It still selects {as_before}, but the request may still arrive"),
            ));
        }
        if now.uid == fenced.uid && now.selector == fenced.selector {
            return Err(PortError::unavailable(format!(
                "service/{service} was not switched, and the lost request can no longer take effect; it \
                 still selects {}",
                labels(&now.selector)
            )));
        }
        Err(self.moved(&now, fenced))
    }

    /// Only what differs, and the slot's own labels: keys that others added stay theirs.
    async fn patch_selector(
        &self,
        seen: &ServiceView,
        slot: &Goal<'_>,
    ) -> Result<ServiceView, (Call, Failure)> {
        let wanted = slot.wanted(&self.target, &seen.selector);
        let mut selector: Map<String, Value> = (wanted.iter())
            .filter(|&(key, value)| {
                seen.selector.get(key) != Some(value) || slot.described.selector.contains_key(key)
            })
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        for key in seen.selector.keys().filter(|key| !wanted.contains_key(*key)) {
            selector.insert(key.clone(), Value::Null);
        }
        let service = &self.target.service;
        let call = |patch: &Value| {
            Call::patch(&SERVICES, Some(&self.target.namespace), service, PatchType::Strategic, patch)
        };
        let object = format!("service/{service}");
        let identity = (Some(seen.uid.as_str()), Some(seen.version.as_str()));
        let metadata = match self.fenced_metadata(&object, identity, seen.fence).await {
            Ok(metadata) => metadata,
            Err(refusal) => return Err((call(&Value::Null), Failure::Fenced(refusal))),
        };
        let call = call(&json!({ "metadata": metadata, "spec": { "selector": selector } }));
        failpoint::pass("service.patch");
        let written = self.gateway.write(call).await;
        failpoint::pass("service.answer");
        let written = written?;
        let view = match serde_json::from_value(written) {
            Ok(service) => ServiceView::of(&service),
            // Done, though the object is not as we know Services: the version stays unknown, so the next switch reads first.
            Err(_) => ServiceView { version: String::new(), selector: wanted, ..seen.clone() },
        };
        self.note_service(Some(&view));
        Ok(view)
    }

    fn switched(&self, to: &SlotName, now: &ServiceView) -> String {
        let service = &self.target.service;
        let version = if now.version.is_empty() {
            String::new()
        } else {
            format!(" (resourceVersion {})", now.version)
        };
        format!("service/{service} points at {to}: selects {}{version}", labels(&now.selector))
    }

    fn already(&self, to: &SlotName, now: &ServiceView) -> String {
        format!("service/{} already points at {to}: set by {}", self.target.service, by(now.changed.as_ref()))
    }

    /// Nothing is tried again: somebody has decided otherwise, and who wins is a person's decision.
    fn moved(&self, now: &ServiceView, believed: &ServiceView) -> PortError {
        let service = &self.target.service;
        let who = by(now.changed.as_ref());
        let message = if now.uid == believed.uid {
            format!(
                "service/{service} was not switched: it was changed from {1} to {0} by {who}; look at it, then \
                 decide again",
                labels(&now.selector),
                labels(&believed.selector)
            )
        } else {
            format!(
                "service/{service} was not switched: it was deleted and recreated by {who}; look at it, then decide \
                 again"
            )
        };
        PortError::new(Fault::Conflict, message)
    }
}
