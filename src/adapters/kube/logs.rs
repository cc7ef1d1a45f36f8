//! The newest log lines of a slot, its pods' lines merged by the time the kubelet stamped on them.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod as ApiPod;

use crate::{
    domain::{id::SlotName, safe_text::SafeText, time::Timestamp, workload::LogLine},
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{Call, PODS, is_name},
    picture::worst_first,
    pod::{PodRecord, record},
    view::DeploymentView,
};

/// Pods whose logs are read for one view; more would be no view.
const MAX_PODS: usize = 12;
/// Pods read at the same time.
const AT_ONCE: usize = 4;
/// Lines that can be asked for.
const MAX_LINES: u32 = 2000;
/// Bytes of one pod's log. The API cuts the newest lines off beyond it, so it is generous.
const MAX_BYTES: &str = "4194304";
/// Characters of one line.
const MAX_LINE: usize = 4096;

/// A line with its place in the merged log.
struct Stamped {
    at: jiff::Timestamp,
    line: LogLine,
}

impl KubeCluster {
    pub(super) async fn read_logs(
        &self,
        slot: &SlotName,
        pod: Option<&str>,
        tail: u32,
        since: Option<Timestamp>,
    ) -> PortResult<Vec<LogLine>> {
        let tail = tail.clamp(1, MAX_LINES);
        let (pods, left_out) = self.pods_for_logs(slot, pod).await?;
        let single = pods.len() == 1;
        let read = stream::iter(pods)
            .map(|pod| async move { (pod_name(&pod), self.read_log(&pod, tail, since).await) });
        let mut lines = Vec::new();
        let mut read = read.buffer_unordered(AT_ONCE);
        while let Some((pod, result)) = read.next().await {
            match result {
                Ok(of_pod) => lines.extend(of_pod),
                Err(fault) if single => return Err(fault),
                Err(fault) => lines.push(remark(&pod, &format!("(no log: {})", fault.message))),
            }
        }
        lines.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.line.pod.cmp(&b.line.pod)));
        let surplus = lines.len().saturating_sub(tail as usize);
        let mut lines: Vec<LogLine> = lines.into_iter().skip(surplus).map(|stamped| stamped.line).collect();
        if left_out > 0 {
            let text = format!("(the logs of {left_out} more pods are not shown; open one pod for its log)");
            lines.insert(0, remark(&self.slot(slot)?.deployment, &text).line);
        }
        Ok(lines)
    }

    /// The pods to read, the ones in trouble and the newest first, and how many are left out.
    async fn pods_for_logs(&self, slot: &SlotName, pod: Option<&str>) -> PortResult<(Vec<ApiPod>, usize)> {
        let namespace = Some(self.target.namespace.as_str());
        if let Some(pod) = pod {
            if !is_name(pod) {
                return Err(PortError::new(
                    Fault::NotFound,
                    format!("`{}` is no pod's name", SafeText::new(pod)),
                ));
            }
            return Ok((vec![self.gateway.read(&Call::get(&PODS, namespace, pod)).await?], 0));
        }
        let deployment = DeploymentView::of(self.read_deployment(slot).await?);
        let mut pods: Vec<(PodRecord, ApiPod)> = Vec::new();
        let mut left_out = 0;
        let call = Call::list(&PODS, namespace).with("labelSelector", deployment.pods());
        let each = self.gateway.each(&call, |pod: ApiPod| {
            pods.push((record(&pod, &self.target.container), pod));
            // Whole pods are heavy: keep twice what is wanted, then sort and cut.
            if pods.len() > 2 * MAX_PODS {
                left_out += keep_first(&mut pods);
            }
        });
        each.await?;
        left_out += keep_first(&mut pods);
        if pods.is_empty() {
            return Err(PortError::new(
                Fault::NotFound,
                format!("deployment/{} has no pods, so there is no log", self.slot(slot)?.deployment),
            ));
        }
        Ok((pods.into_iter().map(|(_, pod)| pod).collect(), left_out))
    }

    async fn read_log(&self, pod: &ApiPod, tail: u32, since: Option<Timestamp>) -> PortResult<Vec<Stamped>> {
        let name = pod_name(pod);
        let containers = pod.spec.as_ref().map_or(&[][..], |spec| spec.containers.as_slice());
        let container = containers.iter().find(|c| c.name == self.target.container).or(containers.first());
        let mut call = Call::get(&PODS, Some(&self.target.namespace), &name)
            .subresource("log")
            .with("timestamps", "true")
            .with("tailLines", tail.to_string())
            .with("limitBytes", MAX_BYTES);
        if let Some(container) = container {
            call = call.with("container", container.name.clone());
        }
        if let Some(since) = since {
            call = call.with("sinceTime", since.to_string());
        }
        let body = self.gateway.read_bytes(&call).await?;
        let mut at = jiff::Timestamp::MIN;
        let text = String::from_utf8_lossy(&body);
        let lines = text.lines().map(|line| {
            let (stamp, rest) = line.split_once(' ').unwrap_or((line, ""));
            let text = match stamp.parse() {
                Ok(stamp) => {
                    at = stamp;
                    rest
                }
                // A line without a stamp belongs to the one before it.
                Err(_) => line,
            };
            Stamped { at, line: LogLine { pod: name.clone(), text: cut(text) } }
        });
        Ok(lines.collect())
    }
}

fn keep_first(pods: &mut Vec<(PodRecord, ApiPod)>) -> usize {
    pods.sort_by(|(a, _), (b, _)| worst_first(a, b).then_with(|| b.pod.created.cmp(&a.pod.created)));
    let surplus = pods.len().saturating_sub(MAX_PODS);
    pods.truncate(MAX_PODS);
    surplus
}

fn pod_name(pod: &ApiPod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

fn remark(pod: &str, text: &str) -> Stamped {
    Stamped { at: jiff::Timestamp::MIN, line: LogLine { pod: SafeText::new(pod).into(), text: cut(text) } }
}

/// A line made safe and cut to a length that a screen can bear.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{} …", SafeText::new(text.get(..end).unwrap_or_default())),
        None => SafeText::new(text).into(),
    }
}
