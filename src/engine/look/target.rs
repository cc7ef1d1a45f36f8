//! Checks of the target: its pods, its replicas, and where users are.

use super::Looker;
use crate::{
    domain::{
        action::SlotRef,
        belief::labels,
        check::CheckKind,
        director::in_words,
        id::SlotName,
        observation::{Observation, SlotSeen},
    },
    engine::ports::Seen,
};

impl Looker {
    /// The target as it is now, by reads. A status that speaks of an older spec is no answer.
    pub(super) fn look_target(&self, kind: &CheckKind, seen: &Observation) -> Result<Seen, String> {
        match kind {
            CheckKind::PodsReady { slot, at_least, .. } => {
                let (name, slot) = self.deployment_of(slot, seen)?;
                if !slot.observed {
                    return Ok(unobserved(&name));
                }
                // Of a rollout that was told to stop no more pods come than there are.
                let stopped = self.slots.stopped && slot.paused;
                let wanted = if stopped { slot.pods } else { slot.desired }.max(*at_least);
                let ready = slot.ready();
                Ok(Seen::of(ready >= wanted, format!("{name} {ready}/{wanted} ready")))
            }
            CheckKind::ScaledTo { slot, replicas } => {
                let (name, slot) = self.deployment_of(slot, seen)?;
                if !slot.observed {
                    return Ok(unobserved(&name));
                }
                let (desired, pods, ready) = (slot.desired, slot.pods, slot.ready());
                let evidence = format!("{name}: {desired} desired, {pods} pods, {ready} ready");
                Ok(Seen::of([desired, pods, ready] == [*replicas; 3], evidence))
            }
            CheckKind::TrafficOn { slot } => {
                let name = self.slots.get(slot)?;
                Ok(if self.shared { has_all(seen, &name) } else { selected(seen, &name) })
            }
            _ => Err("not a check of the cluster".to_owned()),
        }
    }

    fn deployment_of<'s>(
        &self,
        slot: &SlotRef,
        seen: &'s Observation,
    ) -> Result<(SlotName, &'s SlotSeen), String> {
        let name = self.slots.get(slot)?;
        let found = seen.slot(&name).ok_or_else(|| format!("{name} has no Deployment"))?;
        Ok((name, found))
    }
}

/// A Deployment's status is written by its controller, some time after its spec: until then its counts are those of before.
fn unobserved(name: &SlotName) -> Seen {
    Seen::no(format!("the controller has not seen {name}'s new spec yet"))
}

/// Whether a slot has all of the traffic where slots share it.
fn has_all(seen: &Observation, name: &SlotName) -> Seen {
    if let Some(why) = seen.not_carried_out() {
        return Seen::no(why);
    }
    let (shares, serving) = (in_words(&seen.shares()), seen.serving(name));
    let text = format!("traffic goes to {shares}, {name} has {serving} ready pods");
    Seen::of(seen.is_alone(name) && serving > 0, text)
}

/// Whether a Service that picks one slot leads all users to this one. Selecting is not serving: somebody has to answer, and the
/// Service's proxies have to be told of them.
fn selected(seen: &Observation, name: &SlotName) -> Seen {
    let named = seen.slot(name).and_then(|slot| slot.named);
    match (seen.live(), seen.serving(name)) {
        (Some(live), 0) if live == name => {
            Seen::no(format!("the service selects {live}, but none of its pods is ready"))
        }
        (Some(live), _) if live == name && named == Some(0) => {
            Seen::no(format!("the service selects {live}, but its endpoints name none of its pods yet"))
        }
        (Some(live), ready) if live == name => {
            Seen::yes(format!("the service selects {live}, {ready} ready"))
        }
        (Some(live), _) => Seen::no(format!("the service selects {live}")),
        (None, _) => Seen::no(nowhere(seen)),
    }
}

/// A Service that leads to no slot.
pub(super) fn nowhere(seen: &Observation) -> String {
    seen.service.as_ref().map_or_else(
        || "the service does not exist".to_owned(),
        |service| format!("the service selects {}, which is not a slot", labels(&service.selector)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_on_a_slot_once_its_ready_pods_are_among_the_services_endpoints() {
        let labels: std::collections::BTreeMap<_, _> = [("version".to_owned(), "green".to_owned())].into();
        let look = |ready: u32, named: Option<u32>, live: Option<&str>| {
            let service = crate::domain::observation::ServiceSeen {
                selector: labels.clone(),
                live: live.map(SlotName::from),
                ..Default::default()
            };
            let slot = SlotSeen {
                found: true,
                desired: 3,
                ready: vec![(labels.clone(), ready)],
                named,
                ..Default::default()
            };
            let seen = Observation {
                service: Some(service),
                slots: [("green".into(), slot)].into(),
                ..Observation::default()
            };
            selected(&seen, &"green".into())
        };
        assert_eq!(look(3, None, Some("green")), Seen::yes("the service selects green, 3 ready"));
        assert!(look(3, Some(1), Some("green")).holds);
        let behind = look(3, Some(0), Some("green"));
        assert_eq!(
            behind,
            Seen::no("the service selects green, but its endpoints name none of its pods yet")
        );
        assert!(!look(0, Some(3), Some("green")).holds);
        assert!(!look(3, Some(3), Some("blue")).holds);
        assert!(!look(3, Some(3), None).holds);
    }
}
