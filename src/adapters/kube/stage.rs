//! How close a pod is to being ready, from its status and its events.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateWaiting, Event as ApiEvent, PodCondition};

use crate::domain::{rollout::PodStage, safe_text::SafeText};

use super::{
    lean::{LeanContainer, LeanContainerStatus, LeanPod, LeanStatus},
    when::said_at,
};

/// Reasons of a container that waits for its image, which is tried again and again.
const PULL: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"];
/// … that waits for a configuration that works.
const CONFIG: [&str; 2] = ["CreateContainerConfigError", "InvalidImageName"];
/// … that the node's runtime could not create.
const CREATE: [&str; 4] =
    ["CreateContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError"];
/// … that has ended, and is to start again.
const CRASHED: [&str; 2] = ["CrashLoopBackOff", "RunContainerError"];

/// The stage of a pod that is not on its way out.
pub(super) fn stage(pod: &LeanPod) -> PodStage {
    let (spec, status) = (&pod.spec, &pod.status);
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        let why = [status.reason.as_deref(), status.message.as_deref()];
        let why = why.into_iter().flatten().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        return PodStage::Ended { why: safe(Some(&why.join(": "))) };
    }
    if condition(status, "Ready").is_some_and(|ready| ready.status == "True") {
        return PodStage::Ready;
    }
    if let Some(scheduled) = condition(status, "PodScheduled").filter(|it| it.status == "False") {
        let unschedulable = scheduled.reason.as_deref() == Some("Unschedulable");
        return if unschedulable {
            PodStage::Unschedulable { why: safe(scheduled.message.as_deref()), node_comes: false }
        } else {
            PodStage::Queued
        };
    }
    if spec.node_name.as_deref().unwrap_or_default().is_empty() {
        return PodStage::Queued;
    }
    let of_init = status.init_container_statuses.iter();
    let of_main = status.container_statuses.iter();
    let trouble = of_init
        .filter_map(|container| {
            let named = spec.init_containers.iter().find(|it| it.name == container.name);
            trouble(container, named, !named.is_some_and(is_sidecar))
        })
        .chain(of_main.clone().filter_map(|container| {
            trouble(container, spec.containers.iter().find(|it| it.name == container.name), false)
        }))
        .next();
    if let Some(trouble) = trouble {
        return trouble;
    }
    let running = of_main.filter(|container| container.state.running.is_some()).count();
    if running > 0 && running == spec.containers.len() {
        PodStage::Unready { why: String::new() }
    } else {
        PodStage::Starting { why: String::new() }
    }
}

/// What is wrong with a container; `ends` says whether it may end well, as an init container does.
fn trouble(container: &LeanContainerStatus, spec: Option<&LeanContainer>, ends: bool) -> Option<PodStage> {
    let ContainerState { waiting, terminated, .. } = container.state.clone();
    if let Some(ContainerStateWaiting { reason: Some(reason), message }) = waiting {
        let (why, reason) = (safe(message.as_deref()), safe(Some(&reason)));
        return match reason.as_str() {
            word if PULL.contains(&word) => {
                let image = spec.and_then(|spec| spec.image.as_deref());
                let image = safe(image.or(Some(&container.image)));
                Some(PodStage::PullFailed { image, reason, why })
            }
            word if CONFIG.contains(&word) => Some(PodStage::Misconfigured { reason, why }),
            word if CREATE.contains(&word) => Some(PodStage::NotCreated { reason, why }),
            word if CRASHED.contains(&word) => {
                let end = last_end(container).unwrap_or(why);
                Some(PodStage::Crashed { end })
            }
            // `ContainerCreating`, `PodInitializing`: it is on its way.
            _ => None,
        };
    }
    let ended = terminated.filter(|ended| !(ends && ended.exit_code == 0))?;
    Some(PodStage::Crashed {
        end: end_of(container, &ended_word(&ended), ended.exit_code, ended.message.as_deref()),
    })
}

/// Why it ended the last time: the state of now only says that it waits to be started again.
fn last_end(container: &LeanContainerStatus) -> Option<String> {
    let ended = container.last_state.terminated.as_ref()?;
    Some(end_of(container, &ended_word(ended), ended.exit_code, ended.message.as_deref()))
}

/// How a container ended, with the last words it left, where it was told to leave any.
fn end_of(container: &LeanContainerStatus, word: &str, code: i32, message: Option<&str>) -> String {
    let last = message.unwrap_or_default().lines().rev().find(|line| !line.trim().is_empty());
    let said = last.map(|line| format!(", message: {}", line.trim())).unwrap_or_default();
    safe(Some(&format!("container {}, exit code {code} ({word}){said}", container.name)))
}

fn condition<'a>(status: &'a LeanStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Messages quote what the container has printed.
fn safe(text: Option<&str>) -> String {
    SafeText::new(text.unwrap_or_default().trim()).into()
}

/// Whether a pod's events can say more of its stage than its status does.
pub(super) fn wants_events(stage: &PodStage) -> bool {
    match stage {
        PodStage::Starting { why } | PodStage::Unready { why } => why.is_empty(),
        // The back-off's own message is only that it backs off, on servers that do not quote the error there.
        PodStage::PullFailed { why, .. } => is_bare(why),
        PodStage::Unschedulable { node_comes, .. } => !node_comes,
        PodStage::Queued
        | PodStage::Pulling
        | PodStage::Misconfigured { .. }
        | PodStage::NotCreated { .. }
        | PodStage::Crashed { .. }
        | PodStage::Ready
        | PodStage::Ended { .. } => false,
    }
}

/// The kubelet's own words for a pause, which name no cause: an earlier event does.
fn is_bare(why: &str) -> bool {
    why.is_empty() || (why.starts_with("Back-off pulling image \"") && why.ends_with('"'))
}

/// The stage with what its pod's events say.
pub(super) fn explained(stage: PodStage, events: &[ApiEvent]) -> PodStage {
    let last = |reasons: &[&str], begins: &str| {
        let said = |event: &&ApiEvent| {
            let message = event.message.as_deref().unwrap_or_default();
            event.reason.as_deref().is_some_and(|reason| reasons.contains(&reason))
                && message.starts_with(begins)
        };
        events.iter().filter(said).max_by_key(|event| said_at(event))
    };
    let words = |event: Option<&ApiEvent>| safe(event.and_then(|event| event.message.as_deref()));
    match stage {
        PodStage::Starting { .. } => {
            let pulling = last(&["Pulling"], "").map(said_at);
            let pulled = last(&["Pulled"], "").map(said_at);
            if pulling.is_some_and(|pulling| pulled.is_none_or(|pulled| pulled < pulling)) {
                return PodStage::Pulling;
            }
            let held_up = ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"];
            PodStage::Starting { why: words(last(&held_up, "")) }
        }
        PodStage::Unready { .. } => {
            let startup = last(&["Unhealthy"], "Startup probe failed");
            PodStage::Unready { why: words(last(&["Unhealthy"], "Readiness probe failed").or(startup)) }
        }
        PodStage::PullFailed { image, reason, why } => {
            // The registry's words stand behind the image, which is told anyway.
            let failed = words(last(&["Failed"], "Failed to pull image"));
            let failed = failed.split_once("\": ").map_or(failed.as_str(), |(_, why)| why).to_owned();
            PodStage::PullFailed { image, reason, why: if failed.is_empty() { why } else { failed } }
        }
        PodStage::Unschedulable { why, .. } => {
            let node_comes = last(&["TriggeredScaleUp", "Nominated"], "").is_some();
            PodStage::Unschedulable { why, node_comes }
        }
        other @ (PodStage::Queued
        | PodStage::Pulling
        | PodStage::Misconfigured { .. }
        | PodStage::NotCreated { .. }
        | PodStage::Crashed { .. }
        | PodStage::Ready
        | PodStage::Ended { .. }) => other,
    }
}

/// How a container ended, in one word.
pub(super) fn ended_word(ended: &k8s_openapi::api::core::v1::ContainerStateTerminated) -> String {
    match (
        ended.reason.as_deref().filter(|reason| !reason.is_empty()),
        ended.signal.filter(|signal| *signal != 0),
    ) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(signal)) => format!("Signal:{signal}"),
        (None, None) => format!("ExitCode:{}", ended.exit_code),
    }
}

/// Whether an init container stays beside the others.
pub(super) fn is_sidecar(container: &LeanContainer) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const IMAGE: &str = "registry.example.com/backend:v9";

    fn seen(status: &Value) -> PodStage {
        let pod: LeanPod = serde_json::from_value(json!({
            "metadata": { "name": "p" },
            "spec": { "nodeName": "node-1", "initContainers": [{ "name": "wait", "image": "busybox" }],
                "containers": [{ "name": "backend", "image": IMAGE }] },
            "status": status
        }))
        .unwrap();
        stage(&pod)
    }

    fn container(name: &str, state: &Value, last: &Value) -> Value {
        json!({ "name": name, "ready": false, "restartCount": 2, "image": "", "imageID": "", "state": state, "lastState": last })
    }

    fn with(state: &Value) -> PodStage {
        seen(&json!({ "phase": "Pending", "containerStatuses": [container("backend", state, &json!({}))] }))
    }

    fn waiting(reason: &str, message: &str) -> PodStage {
        with(&json!({ "waiting": { "reason": reason, "message": message } }))
    }

    fn events(all: &[(&str, &str, &str)]) -> Vec<ApiEvent> {
        let event = |(reason, message, at): &(&str, &str, &str)| {
            serde_json::from_value(
                json!({ "metadata": {}, "involvedObject": {}, "reason": reason, "message": message,
                "lastTimestamp": format!("2026-11-20T10:00:{at}Z") }),
            )
            .unwrap()
        };
        all.iter().map(event).collect()
    }

    #[test]
    fn every_reason_of_a_waiting_container_has_its_stage() {
        let reason = |reason: &str| reason.to_owned();
        for word in PULL {
            let expected =
                PodStage::PullFailed { image: IMAGE.into(), reason: reason(word), why: "no".into() };
            assert_eq!(waiting(word, "no"), expected);
        }
        for word in CONFIG {
            assert_eq!(
                waiting(word, "no"),
                PodStage::Misconfigured { reason: reason(word), why: "no".into() }
            );
        }
        for word in CREATE {
            assert_eq!(waiting(word, "no"), PodStage::NotCreated { reason: reason(word), why: "no".into() });
        }
        for word in ["ContainerCreating", "PodInitializing"] {
            assert_eq!(waiting(word, ""), PodStage::Starting { why: String::new() });
        }
        let hostile = waiting("InvalidImageName", "\u{1b}[2Jgone");
        assert_eq!(
            hostile,
            PodStage::Misconfigured { reason: reason("InvalidImageName"), why: "<U+001B>[2Jgone".into() }
        );
    }

    #[test]
    fn a_container_that_ended_tells_how() {
        let crashed = |end: &str| PodStage::Crashed { end: end.to_owned() };
        assert_eq!(
            with(&json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } })),
            crashed("container backend, exit code 137 (OOMKilled)")
        );
        // One that should serve for ever and ends well has crashed, too.
        assert_eq!(
            with(&json!({ "terminated": { "exitCode": 0, "reason": "Completed" } })),
            crashed("container backend, exit code 0 (Completed)")
        );
        let last = json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": "starting\nFATAL: no $DB_URL\n" } });
        let state = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } });
        let it =
            seen(&json!({ "phase": "Running", "containerStatuses": [container("backend", &state, &last)] }));
        assert_eq!(it, crashed("container backend, exit code 1 (Error), message: FATAL: no $DB_URL"));
    }

    #[test]
    fn init_containers_may_end_well() {
        let init = |state: Value| {
            seen(&json!({ "phase": "Pending",
                "initContainerStatuses": [container("wait", &state, &json!({}))],
                "containerStatuses": [container("backend", &json!({ "waiting": { "reason": "PodInitializing" } }), &json!({}))] }))
        };
        assert_eq!(
            init(json!({ "terminated": { "exitCode": 0 } })),
            PodStage::Starting { why: String::new() }
        );
        assert_eq!(init(json!({ "running": {} })), PodStage::Starting { why: String::new() });
        assert_eq!(
            init(json!({ "terminated": { "exitCode": 4, "reason": "Error" } })),
            PodStage::Crashed { end: "container wait, exit code 4 (Error)".into() }
        );
        let PodStage::PullFailed { image, .. } = init(json!({ "waiting": { "reason": "ErrImagePull" } }))
        else {
            panic!("no pull")
        };
        assert_eq!(image, "busybox");
    }

    #[test]
    fn before_and_after_its_containers_a_pod_has_its_stages_too() {
        let condition = |kind: &str, status: &str, reason: &str| json!({ "phase": "Pending", "conditions": [{ "type": kind, "status": status, "reason": reason, "message": "0/3 nodes" }] });
        assert_eq!(
            seen(&condition("PodScheduled", "False", "Unschedulable")),
            PodStage::Unschedulable { why: "0/3 nodes".into(), node_comes: false }
        );
        assert_eq!(seen(&condition("PodScheduled", "False", "SchedulingGated")), PodStage::Queued);
        assert_eq!(seen(&condition("Ready", "True", "")), PodStage::Ready);
        assert_eq!(
            seen(&json!({ "phase": "Failed", "reason": "Evicted", "message": "low on memory" })),
            PodStage::Ended { why: "Evicted: low on memory".into() }
        );
        assert_eq!(with(&json!({ "running": {} })), PodStage::Unready { why: String::new() });
        let unscheduled: LeanPod =
            serde_json::from_value(json!({ "metadata": {}, "spec": { "containers": [] }, "status": {} }))
                .unwrap();
        assert_eq!(stage(&unscheduled), PodStage::Queued);
    }

    #[test]
    fn events_say_what_a_status_leaves_open() {
        let starting = || PodStage::Starting { why: String::new() };
        let pulling = ("Pulling", "Pulling image \"x\"", "01");
        assert_eq!(explained(starting(), &events(&[pulling])), PodStage::Pulling);
        let pulled = ("Pulled", "Successfully pulled image \"x\"", "09");
        assert_eq!(explained(starting(), &events(&[pulled, pulling])), starting());
        let mount = ("FailedMount", "secret \"tls\" not found", "05");
        assert_eq!(
            explained(starting(), &events(&[mount])),
            PodStage::Starting { why: "secret \"tls\" not found".into() }
        );

        let probes = [
            ("Unhealthy", "Readiness probe failed: HTTP 500", "01"),
            ("Unhealthy", "Readiness probe failed: HTTP 503", "03"),
            ("Unhealthy", "Liveness probe failed: HTTP 503", "04"),
        ];
        let unready = PodStage::Unready { why: String::new() };
        assert_eq!(
            explained(unready, &events(&probes)),
            PodStage::Unready { why: "Readiness probe failed: HTTP 503".into() }
        );

        let back_off = PodStage::PullFailed {
            image: IMAGE.into(),
            reason: "ImagePullBackOff".into(),
            why: format!("Back-off pulling image \"{IMAGE}\""),
        };
        assert!(wants_events(&back_off));
        let newer = format!("Back-off pulling image \"{IMAGE}\": ErrImagePull: not found");
        assert!(!wants_events(&waiting("ImagePullBackOff", &newer)), "it says why");
        let failed = format!("Failed to pull image \"{IMAGE}\": rpc error: not found");
        let told = explained(
            back_off,
            &events(&[("Failed", &failed, "01"), ("Failed", "Error: ErrImagePull", "02")]),
        );
        let PodStage::PullFailed { why, .. } = &told else { panic!("{told:?}") };
        assert_eq!(why, "rpc error: not found");
        assert!(!wants_events(&told));

        let full = || PodStage::Unschedulable { why: "0/3 nodes".into(), node_comes: false };
        let helped =
            explained(full(), &events(&[("TriggeredScaleUp", "pod triggered scale-up: 3->4", "01")]));
        assert_eq!(helped, PodStage::Unschedulable { why: "0/3 nodes".into(), node_comes: true });
        assert_eq!(explained(full(), &events(&[("NotTriggerScaleUp", "no", "01")])), full());
    }
}
