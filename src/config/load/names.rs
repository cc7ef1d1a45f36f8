//! Names for actions and checks that the runbook gives none. They stand on the screen, in the journal and in reports, so they
//! say what is done in words, with variables as they are written: values are not known yet, and some are secret.

use super::Loader;
use crate::domain::{
    action::{ActionKind, Replicas, SlotRef},
    check::CheckKind,
    template::Template,
};

impl Loader<'_, '_> {
    /// Words for a check that has none of its own.
    pub(super) fn check_text(&self, kind: &CheckKind) -> String {
        match kind {
            CheckKind::Person => String::new(),
            CheckKind::Http(request) => {
                format!("{} {} answers as expected", request.method, request.url.as_str())
            }
            CheckKind::Tls { host, days, .. } => {
                format!("the certificate of {} is valid for {days} more days", host.as_str())
            }
            CheckKind::Dns { name, expect } => format!("{} resolves as {}", name.as_str(), expect.as_str()),
            CheckKind::Metric { metric, condition, .. } => {
                let unit = self.metric_names.iter().find(|m| m.name == metric.as_str()).and_then(|m| m.unit);
                let condition = unit.map_or_else(String::new, |unit| {
                    crate::domain::verdict::show_condition(*condition, unit, None)
                });
                format!("{} {condition}", metric.as_str().replace('_', " "))
            }
            CheckKind::Rollout { slot, .. } => format!("the rollout of {} is complete", slot_word(slot)),
            CheckKind::PodsReady { slot, .. } => format!("all pods of {} are ready", slot_word(slot)),
            CheckKind::TrafficOn { slot } => format!("traffic goes to {}", slot_word(slot)),
            CheckKind::ScaledTo { slot, replicas } => format!("{} has {replicas} replicas", slot_word(slot)),
            CheckKind::Headroom { slot, replicas } => {
                format!("room for {replicas} pods of {}", slot_word(slot))
            }
            CheckKind::Sh { script, .. } => first_line(script),
            // No runbook declares it.
            CheckKind::Allowed { right } => format!("allowed to {} {}", right.verb.as_str(), right.object()),
            CheckKind::Logs { slot, .. } => format!("the logs of {} are as expected", slot_word(slot)),
        }
    }
}

/// A name for an action that has none of its own.
pub(super) fn action_name(kind: &ActionKind) -> String {
    match kind {
        ActionKind::Sh { script } => first_line(script),
        ActionKind::Argv { argv } => argv.iter().map(Template::as_str).collect::<Vec<_>>().join(" "),
        ActionKind::SetImage { slot, image, .. } => {
            format!("Set the image of {} to {}", slot_word(slot), image.as_str())
        }
        ActionKind::Rollout { slot, .. } => format!("Wait for the rollout of {}", slot_word(slot)),
        ActionKind::SwitchTraffic { to, .. } => format!("Switch traffic to {}", slot_word(to)),
        ActionKind::Scale { slot, replicas: Replicas::Count(count) } => {
            format!("Scale {} to {count}", slot_word(slot))
        }
        ActionKind::Scale { slot, replicas: Replicas::Before } => {
            format!("Scale {} back up", slot_word(slot))
        }
        ActionKind::ShiftTraffic { to, share } => format!("Give {} {share} of the traffic", slot_word(to)),
        ActionKind::Revert { slot } => format!("Revert {} to what it ran before", slot_word(slot)),
        ActionKind::Pause { slot } => format!("Pause the rollout of {}", slot_word(slot)),
        ActionKind::Resume { slot } => format!("Resume the rollout of {}", slot_word(slot)),
        ActionKind::Restart { slot } => format!("Restart {}", slot_word(slot)),
        ActionKind::Patch(patch) => format!("Patch {} {}", patch.kind, patch.name.as_str()),
        ActionKind::Http(request) => format!("{} {}", request.method, request.url.as_str()),
        ActionKind::Notify { text } => format!("Notify the channel: {}", text.as_str()),
    }
}

/// As people call them: the colour of a role is not known before the run.
fn slot_word(slot: &SlotRef) -> String {
    match slot {
        SlotRef::New => "the new slot".to_owned(),
        SlotRef::Previous => "the previous slot".to_owned(),
        SlotRef::Named(name) => name.to_string(),
    }
}

/// The first line of a script that does something.
fn first_line(script: &str) -> String {
    script
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default()
        .to_owned()
}
