//! Problems of the cluster as it is seen: out of reach, nobody answers, no way back, pods that are not well.

use super::{Alert, urgent};
use crate::{
    config::keymap::KeyAction,
    domain::{observation::not_carried_out, plan::Light, run::Run, runbook::Strategy, workload::Connection},
    tui::{model::Model, offer::panes, subject},
};

/// All of them, worst first.
pub(super) fn from_cluster(model: &Model, run: &Run, active: bool) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let workload = model.telemetry.workload.as_ref();
    if let Some(workload) = workload
        && let Connection::Lost(why) = &workload.connection
    {
        let since = model.now.since(workload.as_of).short();
        alerts.push(urgent(
            "NO CLUSTER",
            format!("CLUSTER NOT REACHABLE for {since}: {why}"),
            "Traffic and pods are shown as last seen; they may have changed.".to_owned(),
        ));
    }
    if run.finished.is_none() {
        alerts.extend(from_traffic(model, run));
    }
    if active && run.switch_begun() {
        let readiness = run.readiness(workload, model.telemetry.access.as_ref(), model.now);
        if readiness.light == Light::NotReady {
            alerts.push(urgent(
                "NO WAY BACK",
                format!("A ROLLBACK WOULD FAIL NOW: {}", readiness.against.join(", ")),
                "There is no way back until this is fixed.".to_owned(),
            ));
        }
    }
    let slots = workload.into_iter().flat_map(|workload| &workload.slots);
    for (name, slot) in slots.filter(|_| active || run.finished.is_some()) {
        if let Some(first) = slot.pods.iter().find(|pod| pod.bad) {
            alerts.push(Alert {
                urgent: false,
                word: format!("{} pod{} down", slot.bad(), if slot.bad() == 1 { "" } else { "s" }),
                headline: format!(
                    "{}: {} of {} pods not well: {}",
                    name.0.to_uppercase(),
                    slot.bad(),
                    slot.desired,
                    first.status
                ),
                meter: None,
                follows: warning_about(model, &first.name),
            });
        }
    }
    alerts
}

/// What keeps users from the slots that traffic is directed to.
fn from_traffic(model: &Model, run: &Run) -> Vec<Alert> {
    let mut alerts = Vec::new();
    if subject::nobody_answers(model) {
        let recreates = run.runbook.deployment.strategy == Strategy::Recreate;
        alerts.push(urgent(
            "NOBODY ANSWERS",
            "NOBODY ANSWERS: no pod that the Service selects is ready; users get errors".to_owned(),
            if recreates {
                "Recreate stops the old pods before it starts new ones. R goes back, and takes as long again."
            } else {
                "The pods pane says what each pod waits for."
            }
            .to_owned(),
        ));
    }
    // A gateway takes a moment for every change: that is no alert.
    let route = subject::route(model).filter(|route| !route.lags);
    if let Some(words) = not_carried_out(route.and_then(|route| route.unfit.as_deref())) {
        alerts.push(urgent(
            "ROUTE REFUSED",
            words,
            "Users stay where they were. The window does not count; its step fails after a minute."
                .to_owned(),
        ));
    }
    alerts
}

/// The newest warning event about a pod, else where to look.
fn warning_about(model: &Model, pod: &str) -> String {
    let warnings = model.telemetry.workload.as_ref().map_or(&[][..], |workload| &workload.warnings);
    let found = warnings.iter().find(|warning| warning.object.ends_with(pod));
    found.map_or_else(
        || match panes::label(model, KeyAction::Logs) {
            Some(key) => format!("{key} shows its log"),
            None => String::new(),
        },
        |warning| format!("{}: {}", warning.reason, warning.message),
    )
}
