//! Reverting somebody else's change: the kubectl command that does it by hand, and our action that does the same.

use std::collections::BTreeMap;

use super::{
    action::{Action, ActionKind, Replicas, SlotRef},
    belief::{Difference, DifferenceKind, labels},
    director::Share,
    kubectl::{kubectl_line, selector_line},
    observation::Observation,
    run::Run,
    template::Template,
    time::Span,
};

/// A write that puts something back may take this long.
const PATIENCE: Span = Span::from_secs(30);

impl Run {
    /// What puts a difference back by hand: a line to paste, or what to do where no line can.
    pub fn put_back_line(&self, difference: &Difference, seen: &Observation) -> String {
        let target = self.runbook.target.as_ref();
        let line = match &difference.kind {
            DifferenceKind::Object | DifferenceKind::Backend(_) => None,
            DifferenceKind::Traffic if self.believed_share().is_some() => {
                self.put_back_action(difference).ok().and_then(|action| self.action_command(&action))
            }
            DifferenceKind::Traffic => target.zip(self.believed_selector()).map(|(target, believed)| {
                let now = seen.service.as_ref().map(|service| service.selector.clone()).unwrap_or_default();
                let gone = now.into_keys().filter(|key| !believed.contains_key(key)).map(|key| (key, None));
                let wanted: BTreeMap<_, _> = gone
                    .chain(believed.iter().map(|(key, value)| (key.clone(), Some(value.clone()))))
                    .collect();
                selector_line(target, &wanted)
            }),
            DifferenceKind::Image(_) | DifferenceKind::Replicas(_) => {
                let action = self.put_back_action(difference).ok();
                action.zip(target).and_then(|(action, target)| {
                    kubectl_line(&action.kind, target, &|slot| self.slot(slot), &|it| self.show(it), 1)
                })
            }
        };
        line.unwrap_or_else(|| self.put_back_action(difference).err().unwrap_or_default())
    }

    /// The act that puts a difference back.
    ///
    /// # Errors
    /// Why that is for a person to do, and what.
    pub fn put_back_action(&self, difference: &Difference) -> Result<Action, String> {
        let Difference { object, .. } = difference;
        let believed = |name| self.pinned.as_ref().and_then(|pinned| pinned.slots.get(name));
        let kind = match &difference.kind {
            DifferenceKind::Object => {
                return Err(format!(
                    "recreate {object} as it was (kubectl apply -f with its manifest), then :accept"
                ));
            }
            DifferenceKind::Backend(name) => {
                let believed = believed(name).and_then(|slot| slot.own_selector.as_ref());
                let route =
                    self.runbook.target.as_ref().is_some_and(|target| *object == target.director_object());
                return Err(match believed.filter(|_| !route) {
                    Some(selector) => {
                        format!("make {object} select {} again, then continue", labels(selector))
                    }
                    None => format!(
                        "remove what sends users to {name} from the other rule of {object}, then continue"
                    ),
                });
            }
            DifferenceKind::Traffic if self.believed_share().is_some() => {
                let share = self.believed_share().unwrap_or_default();
                ActionKind::ShiftTraffic { to: SlotRef::New, share }
            }
            DifferenceKind::Traffic => {
                let selector = self.believed_selector().unwrap_or_default();
                let slot = self.runbook.target.as_ref().and_then(|target| target.pointed_at(&selector));
                let to = slot.ok_or_else(|| {
                    format!("make {object} select {} again: that is not a slot", labels(&selector))
                })?;
                ActionKind::SwitchTraffic { to: SlotRef::Named(to), ready: None }
            }
            DifferenceKind::Image(name) => {
                let image = believed(name).and_then(|slot| slot.image.as_ref());
                let image = image.ok_or_else(|| format!("give {object} its old image again"))?;
                // A value, whatever is in it: nothing is expanded.
                let image = Template(image.replace('$', "$$"));
                ActionKind::SetImage { slot: SlotRef::Named(name.clone()), container: None, image }
            }
            DifferenceKind::Replicas(name) => {
                let replicas = believed(name).map_or(1, |slot| slot.replicas);
                ActionKind::Scale { slot: SlotRef::Named(name.clone()), replicas: Replicas::Count(replicas) }
            }
        };
        Ok(Action::plain(format!("Put {object} back"), kind, PATIENCE))
    }

    /// The new slot's share by the weights that the run believes in, where a route directs traffic.
    fn believed_share(&self) -> Option<Share> {
        let route = self.pinned.as_ref()?.route.as_ref()?;
        self.opened.new_slot.as_ref()?;
        Some(self.share_by_weights(&route.weights).unwrap_or_default())
    }

    /// The order in which differences are put back: pods that are missing first, since traffic needs them; then what runs in
    /// them; then the traffic; pods that are too many last.
    pub(super) fn put_back_rank(&self, difference: &Difference, seen: &Observation) -> u8 {
        match &difference.kind {
            DifferenceKind::Replicas(name) => {
                let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(name));
                let fewer =
                    seen.slot(name).zip(believed).is_some_and(|(now, was)| now.desired < was.replicas);
                if fewer { 0 } else { 3 }
            }
            DifferenceKind::Image(_) => 1,
            DifferenceKind::Traffic => 2,
            DifferenceKind::Object | DifferenceKind::Backend(_) => 4,
        }
    }
}
