//! Shifts traffic: changes the weights of the slots' backends in an `HTTPRoute`'s rule, and nothing else of the route.
//!
//! One JSON patch, whose first operations test the uid and the `resourceVersion` of the fresh look that allowed the shift, and
//! the name of each backend at its place. So the API server applies it to exactly what was looked at, or refuses it. A test that
//! fails is answered with 422, which can mean other things too: a look tells, by the version.
//!
//! What follows from each answer is as with the Service's selector (see `selector`): a refusal is looked into and, where only
//! what concerns nobody has moved (a gateway writes its status, somebody an annotation), there is one second patch. After an
//! unclear answer nothing is written again.
//!
//! Where the same rule also leads to backends of others, theirs stay as they are, and so does the sum of ours: their part of the
//! traffic is not ours to change.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    domain::{
        action::PatchType,
        director::{Share, Shares, in_words, shares_by},
        id::SlotName,
        observation::Approach,
        safe_text::SafeText,
    },
    engine::ports::{Fault, PortError, PortResult},
    failpoint,
};

use super::{
    super::{
        KubeCluster,
        call::{Call, HTTP_ROUTES},
        fault::Failure,
        fence::FENCE,
        locked,
        view::by,
    },
    route::{HttpRoute, RouteView},
};

/// What our backends shall weigh.
type Weights = BTreeMap<SlotName, u32>;

impl KubeCluster {
    /// All backends of the rule in one request: with two there would be a moment with other shares than either.
    pub(in super::super) async fn put_shares(
        &self,
        shares: &Shares,
        approach: Option<&Approach>,
    ) -> PortResult<String> {
        let Some(name) = self.route_name() else {
            return Err(PortError::failed("this target has no route"));
        };
        let begun = Instant::now();
        let believed = match approach {
            Some(approach) => self.route_approached(name, approach)?,
            None => self.read_route(name).await?,
        };
        match self.patch_weights(name, &believed, shares).await {
            Ok(done) => Ok(shifted(name, &done)),
            Err((call, failure)) if is_refusal(&failure) => {
                self.after_refusal(name, shares, &believed, (&call, &failure, begun)).await
            }
            Err((call, failure)) if failure.is_ambiguous() => {
                self.shift_unclear(name, shares, &believed, (&call, &failure, begun)).await
            }
            Err((call, failure)) => Err(self.gateway.told(&call, &failure)),
        }
    }

    /// The route as the look saw it that allowed the shift.
    fn route_approached(&self, name: &str, approach: &Approach) -> PortResult<RouteView> {
        let observed = locked(&self.observed_route).clone();
        let version = approach.seen.route.as_ref().map(|route| &route.version);
        observed.filter(|view| Some(&view.version) == version).ok_or_else(|| {
            PortError::new(
                Fault::Conflict,
                format!("httproute/{name} was read again meanwhile, so nothing was written"),
            )
        })
    }

    async fn read_route(&self, name: &str) -> PortResult<RouteView> {
        let route: HttpRoute = self.gateway.read(&self.get_route(name)).await?;
        Ok(RouteView::of(&route, &self.target))
    }

    /// A refusal proves that nothing was done: look what moved, and go on only where it concerns nobody.
    async fn after_refusal(
        &self,
        name: &str,
        shares: &Shares,
        believed: &RouteView,
        (call, failure, begun): (&Call, &Failure, Instant),
    ) -> PortResult<String> {
        let now = self.read_route(name).await?;
        if now.version == believed.version {
            // Nothing has moved, so it is the value itself that the API server does not take.
            return Err(self.gateway.told(call, failure));
        }
        self.not_fenced_off(&format!("httproute/{name}"), now.fence).await?;
        if now.uid == believed.uid && is_as_wanted(&now, shares) {
            return Ok(format!(
                "httproute/{name} already gives {}: set by {}",
                share_words(&now),
                by(now.changed.as_ref())
            ));
        }
        if now.uid != believed.uid || now.rule != believed.rule || now.backends != believed.backends {
            return Err(moved(name, &now, believed));
        }
        match self.patch_weights(name, &now, shares).await {
            Ok(done) => Ok(shifted(name, &done)),
            Err((call, failure)) if is_refusal(&failure) => {
                let latest = self.read_route(name).await?;
                if latest.version == now.version {
                    return Err(self.gateway.told(&call, &failure));
                }
                Err(moved(name, &latest, believed))
            }
            Err((call, failure)) if failure.is_ambiguous() => {
                self.shift_unclear(name, shares, &now, (&call, &failure, begun)).await
            }
            Err((call, failure)) => Err(self.gateway.told(&call, &failure)),
        }
    }

    /// No answer, or one that proves nothing: look, and never write again.
    async fn shift_unclear(
        &self,
        name: &str,
        shares: &Shares,
        fenced: &RouteView,
        (call, failure, begun): (&Call, &Failure, Instant),
    ) -> PortResult<String> {
        let why = self.gateway.told(call, failure).message;
        let now = match self.gateway.look_after(begun, self.read_route(name)).await {
            Ok(now) => now,
            Err(blind) => {
                return Err(PortError::new(
                    Fault::Unknown,
                    format!("{why}; and reading it failed: {}", blind.message),
                ));
            }
        };
        if now.uid == fenced.uid && is_as_wanted(&now, shares) {
            return Ok(format!(
                "httproute/{name} gives {} (no answer came, confirmed by reading it)",
                share_words(&now)
            ));
        }
        if now.uid == fenced.uid && now.version == fenced.version {
            return Err(PortError::new(
                Fault::Unknown,
                format!("{why}. It still gives {}, but the request may still arrive", share_words(&now)),
            ));
        }
        if now.uid == fenced.uid && now.rule == fenced.rule && now.backends == fenced.backends {
            return Err(PortError::unavailable(format!(
                "httproute/{name} was not changed, and the lost request can no longer take effect; it still gives {}",
                share_words(&now)
            )));
        }
        Err(moved(name, &now, fenced))
    }

    /// Sends the patch. It tests what was seen, field by field, in the same request that writes: between a look and
    /// the write nothing can slip in.
    async fn patch_weights(
        &self,
        name: &str,
        seen: &RouteView,
        shares: &Shares,
    ) -> Result<RouteView, (Call, Failure)> {
        let call = |patch: &Value| {
            Call::patch(&HTTP_ROUTES, Some(&self.target.namespace), name, PatchType::Json, patch)
        };
        let refused = |refusal: PortError| (call(&Value::Null), Failure::Fenced(refusal));
        let wanted = wanted(name, seen, shares).map_err(refused)?;
        let fence = self.not_fenced_off(&format!("httproute/{name}"), seen.fence).await;
        let call = call(&operations(seen, &wanted, fence.map_err(refused)?));
        failpoint::pass("route.patch");
        let written = self.gateway.write(call).await;
        failpoint::pass("route.answer");
        let written = written?;
        Ok(match serde_json::from_value::<HttpRoute>(written) {
            Ok(route) => RouteView::of(&route, &self.target),
            // Done, though the object is not as we know routes.
            Err(_) => after(seen, &wanted),
        })
    }
}

/// The operations of the patch.
fn operations(seen: &RouteView, wanted: &Weights, fence: Option<u64>) -> Value {
    let mut operations = vec![
        json!({ "op": "test", "path": "/metadata/uid", "value": seen.uid }),
        json!({ "op": "test", "path": "/metadata/resourceVersion", "value": seen.version }),
    ];
    let places = || wanted.iter().filter_map(|(slot, weight)| Some((seen.place(slot)?, weight)));
    let path = |place: usize, field: &str| format!("/spec/rules/{}/backendRefs/{place}/{field}", seen.rule);
    operations.extend(places().map(
        |(place, _)| json!({ "op": "test", "path": path(place, "name"), "value": seen.backends[place].name }),
    ));
    // To add what is there already is to replace it.
    operations.extend(
        places()
            .map(|(place, weight)| json!({ "op": "add", "path": path(place, "weight"), "value": weight })),
    );
    if let Some(fence) = fence {
        let fence = fence.to_string();
        operations.push(if seen.annotated {
            let path = format!("/metadata/annotations/{}", FENCE.replace('~', "~0").replace('/', "~1"));
            json!({ "op": "add", "path": path, "value": fence })
        } else {
            json!({ "op": "add", "path": "/metadata/annotations", "value": { FENCE: fence } })
        });
    }
    Value::Array(operations)
}

/// Whether the API server has refused a patch, so that it was not applied and never will be: a test of it failed, or the route
/// was written at the same moment.
fn is_refusal(failure: &Failure) -> bool {
    failure.is_conflict() || failure.code() == Some(422)
}

/// What each of our backends shall weigh for these shares.
fn wanted(route: &str, seen: &RouteView, shares: &Shares) -> PortResult<Weights> {
    let refuse = |why: String| Err(PortError::failed(format!("httproute/{route} was not changed: {why}")));
    let weights = seen.weights();
    for (slot, share) in shares {
        if !weights.contains_key(slot) && *share > Share::NONE {
            return refuse(format!("its rule {} has no backend for {slot}", seen.rule));
        }
    }
    let doubled = |slot: &&SlotName| {
        seen.backends.iter().filter(|backend| backend.slot.as_ref() == Some(*slot)).count() > 1
    };
    if let Some(slot) = weights.keys().find(doubled) {
        return refuse(format!("its rule {} names the Service of {slot} more than once", seen.rule));
    }
    let all: u32 = shares.values().map(|share| share.thousandths()).sum();
    if all != 1000 {
        return refuse(format!("{} is not all of the traffic", in_words(shares)));
    }
    let of = |slot: &SlotName| shares.get(slot).copied().unwrap_or(Share::NONE).thousandths();
    // Weights have no fixed sum. Small ones are easier to read in `kubectl get`: percent where that is exact, else
    // thousandths.
    if seen.others() == 0 {
        let by = if weights.keys().all(|slot| of(slot).is_multiple_of(10)) { 10 } else { 1 };
        return Ok(weights.into_keys().map(|slot| (slot.clone(), of(&slot) / by)).collect());
    }
    // What others get in this rule stays what it is, so our weights share out the sum that they have now.
    let sum: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
    if sum == 0 {
        return refuse(format!(
            "its rule {} sends all of the traffic to backends of others, and nothing to ours; give one of ours a weight first",
            seen.rule
        ));
    }
    let mut wanted = Weights::new();
    for slot in weights.into_keys() {
        let weight = sum * u64::from(of(&slot));
        if !weight.is_multiple_of(1000) {
            return refuse(format!(
                "its rule {} also leads to backends of others, so our weights must sum up to {sum} as they do now, which \
                 cannot express {}; multiply all weights of the rule by 10",
                seen.rule,
                in_words(shares)
            ));
        }
        wanted.insert(slot, u32::try_from(weight / 1000).unwrap_or(u32::MAX));
    }
    Ok(wanted)
}

/// Whether our backends have exactly these shares.
fn is_as_wanted(now: &RouteView, shares: &Shares) -> bool {
    wanted("", now, shares).is_ok_and(|wanted| wanted == now.weights())
}

/// The route as it must be after the write, without a version: nobody has read one.
fn after(seen: &RouteView, wanted: &Weights) -> RouteView {
    let mut seen = seen.clone();
    seen.version.clear();
    for backend in &mut seen.backends {
        if let Some(weight) = backend.slot.as_ref().and_then(|slot| wanted.get(slot)) {
            backend.weight = *weight;
        }
    }
    seen
}

/// Its weights as shares in words.
fn share_words(view: &RouteView) -> String {
    in_words(&shares_by(view.weights().into_iter().map(|(slot, weight)| (slot, u64::from(weight)))))
}

/// What was done. The version goes with it, so that this write can be told from others later.
fn shifted(route: &str, now: &RouteView) -> String {
    let version = if now.version.is_empty() {
        String::new()
    } else {
        format!(" (resourceVersion {})", SafeText::new(&now.version))
    };
    format!("httproute/{route} gives {}{version}", share_words(now))
}

/// Somebody else was there first: what they did, and who they are as far as `managedFields` tells.
fn moved(route: &str, now: &RouteView, believed: &RouteView) -> PortError {
    let who = by(now.changed.as_ref());
    let what = if now.uid != believed.uid {
        format!("it was deleted and recreated by {who}")
    } else if now.weights() == believed.weights() {
        format!("its rule was changed by {who}")
    } else {
        format!("it was changed from {} to {} by {who}", share_words(believed), share_words(now))
    };
    PortError::new(
        Fault::Conflict,
        format!("httproute/{route} was not changed: {what}; look at it, then decide again"),
    )
}
