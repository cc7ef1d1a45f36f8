//! Whether every query gives exactly one fresh number a slot, and triggers can fire with what is measured.

use super::{
    around::clock,
    finding::{Area, Finding},
    picture::{Explained, Gap, Labels, Measured, Picture},
    verdicts,
};
use crate::domain::{
    metric::{Metric, Missing},
    run::tag_of,
    runbook::{Runbook, Target},
    time::Span,
    trigger::longest_gap,
};

/// Labels that pods and their scrapes have: what differs only in them is one thing, measured in parts.
const PARTS: [&str; 8] =
    ["pod", "pod_name", "instance", "container", "endpoint", "node", "replica", "kubernetes_pod_name"];
/// Labels that name a namespace.
pub const NAMESPACE_LABELS: [&str; 4] =
    ["namespace", "kubernetes_namespace", "exported_namespace", "destination_workload_namespace"];

pub(super) fn judge(runbook: &Runbook, picture: &Picture, found: &mut Vec<Finding>) {
    for (source, ahead) in &picture.clocks {
        clock(&format!("source {source}"), ahead, found);
    }
    let silent = silent(runbook, picture, found);
    for measured in &picture.measured {
        let Some(metric) = runbook.metric(measured.metric.as_str()) else { continue };
        if silent.contains(&source(metric)) {
            continue;
        }
        number(runbook, picture, metric, measured, found);
    }
    for trigger in &runbook.triggers {
        let Some(watch) = &trigger.watch else { continue };
        let Some(metric) = runbook.metric(watch.metric.as_str()) else { continue };
        let mine = picture.measured.iter().filter(|measured| measured.metric == metric.id);
        let mine: Vec<&Measured> = mine.filter(|measured| matches!(measured.value, Ok(Ok(_)))).collect();
        if let Some((_, hold_for)) = watch.rule.fixed().filter(|_| !mine.is_empty()) {
            found.push(fires(&trigger.reason, hold_for, metric, &mine));
        }
        if let Some(worse) = watch.rule.worse() {
            found.extend(verdicts::traffic(&trigger.reason, worse, runbook, metric, &mine));
        }
    }
}

/// Sources that answer nothing at all: one line for each, and not one for each metric.
fn silent<'a>(runbook: &'a Runbook, picture: &Picture, found: &mut Vec<Finding>) -> Vec<&'a str> {
    let mut silent = Vec::new();
    for name in runbook.sources.keys() {
        let of = |measured: &&Measured| {
            runbook.metric(measured.metric.as_str()).is_some_and(|metric| source(metric) == name)
        };
        let mine: Vec<&Measured> = picture.measured.iter().filter(of).collect();
        let unreachable = mine.iter().find_map(|measured| match &measured.value {
            Ok(Err(Missing::Unreachable(why))) => Some(why),
            _ => None,
        });
        let answers = mine.iter().any(|it| !matches!(it.value, Err(_) | Ok(Err(Missing::Unreachable(_)))));
        if let (Some(why), false) = (unreachable, answers) {
            found.push(Finding::fault(
                Area::Metrics,
                format!("source {name}"),
                format!("it cannot be reached, so {} numbers were not measured: {why}", mine.len()),
                format!("correct the URL of [sources.{name}], or open the way from this machine"),
            ));
            silent.push(name.as_str());
        } else if let (Some(Err(why)), true) =
            (mine.first().map(|it| &it.value), mine.iter().all(|it| it.value.is_err()))
        {
            found.push(Finding::not_looked_at(Area::Metrics, format!("source {name}"), why));
            silent.push(name.as_str());
        }
    }
    silent
}

fn about(measured: &Measured) -> String {
    match &measured.slot {
        Some(slot) => format!("{} of {slot}", measured.metric),
        None => measured.metric.to_string(),
    }
}

fn number(
    runbook: &Runbook,
    picture: &Picture,
    metric: &Metric,
    measured: &Measured,
    found: &mut Vec<Finding>,
) {
    let about = about(measured);
    let target = runbook.target.as_ref();
    let foreign = foreign_namespace(target, &measured.explained);
    let value = match &measured.value {
        Ok(value) => value,
        Err(why) => return found.push(Finding::not_looked_at(Area::Metrics, about, why)),
    };
    // A number from elsewhere is worse than none.
    if let (Some((label, value)), Some(target)) = (foreign, target) {
        let ours = &target.namespace;
        return found.push(Finding::fault(
            Area::Metrics,
            about,
            format!("its query measures namespace {value} ({label}=\"{value}\"), the target is in {ours}"),
            format!("write {label}=\"{ours}\" in the query of [metrics.{}]", metric.id),
        ));
    }
    found.push(judged(target, picture, metric, measured, value, about));
}

/// What a metric's value says, or why there is none.
fn judged(
    target: Option<&Target>,
    picture: &Picture,
    metric: &Metric,
    measured: &Measured,
    value: &Result<f64, Missing>,
    about: String,
) -> Finding {
    let source = source(metric);
    match value {
        Ok(number) => {
            Finding::fine(Area::Metrics, about, format!("one fresh number: {}", metric.show(*number)))
        }
        Err(why) if why.is_no_traffic() && measured.explained.gap.is_none() => Finding::warn(
            Area::Metrics,
            about,
            format!("no number: {why}"),
            "nothing to do if the slot has no requests yet; its checks need `no_traffic`",
        ),
        Err(Missing::NotYet(what)) => Finding::warn(
            Area::Metrics,
            about,
            format!("{what} is not known before the run deploys it"),
            "nothing to do; look at the metric in the run",
        ),
        Err(Missing::Ambiguous(_)) => many(metric, target, measured, about),
        Err(Missing::Stale(by)) => Finding::fault(
            Area::Metrics,
            about,
            format!("its series are stale: {by}"),
            format!("see the targets of {source}: the scrape has stopped, or the pods are gone"),
        ),
        Err(Missing::NoData | Missing::EmptyRatio) => nothing(target, picture, metric, measured, about),
        Err(Missing::Unreachable(why)) => Finding::fault(
            Area::Metrics,
            about,
            format!("source {source} cannot be reached: {why}"),
            format!("correct the URL of [sources.{source}], or open the way from this machine"),
        ),
        Err(Missing::BadAnswer(why)) => Finding::fault(
            Area::Metrics,
            about,
            format!("source {source} does not answer with a number: {why}"),
            format!("correct the query of [metrics.{}] or the access to [sources.{source}]", metric.id),
        ),
        Err(why) => Finding::fault(
            Area::Metrics,
            about,
            format!("no number: {why}"),
            format!("correct the query of [metrics.{}]", metric.id),
        ),
    }
}

fn source(metric: &Metric) -> &str {
    metric.query.source()
}

/// A namespace that a query names and the target is not in.
fn foreign_namespace<'a>(target: Option<&Target>, explained: &'a Explained) -> Option<&'a (String, String)> {
    let target = target?;
    explained.namespaces.iter().find(|(_, value)| *value != target.namespace)
}

/// More than one series: which there are, and what makes one of them.
fn many(metric: &Metric, target: Option<&Target>, measured: &Measured, about: String) -> Finding {
    let series = &measured.explained.series;
    let shown: Vec<String> = series.iter().take(3).map(|labels| told(&apart(labels, series))).collect();
    let more = series.len().saturating_sub(3);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let there = if shown.is_empty() {
        "it gives more than one series".to_owned()
    } else {
        format!("it gives {} series: {}{more}", series.len(), shown.join(" "))
    };
    let slot = measured.slot.as_ref().map(crate::domain::id::SlotName::as_str);
    Finding::fault(
        Area::Metrics,
        about,
        there,
        format!("{} in the query of [metrics.{}]", one_of(series, slot, target), metric.id),
    )
}

/// The labels of a series in which it differs from another.
fn apart(labels: &Labels, series: &[Labels]) -> Labels {
    let differs = |name: &str, value: &str| {
        series.iter().any(|other| other.get(name).is_none_or(|other| other != value))
    };
    labels.iter().filter(|(name, value)| differs(name, value)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn told(labels: &Labels) -> String {
    let each: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{{{}}}", each.join(","))
}

/// What to write so that one series is left: the label that tells the slot, the namespace, or a sum over parts.
pub(super) fn one_of(series: &[Labels], slot: Option<&str>, target: Option<&Target>) -> String {
    let with = |wanted: &str| {
        let found = series.iter().flatten().filter(|(_, value)| *value == wanted).map(|(label, _)| label);
        let unique = |label: &&String| {
            series.iter().filter(|one| one.get(*label).is_some_and(|value| value == wanted)).count()
                < series.len()
        };
        found.into_iter().find(unique).cloned()
    };
    let deployment = slot.zip(target).and_then(|(slot, target)| {
        let mut slots = target.slots.iter().filter(|(name, _)| name.as_str() == slot);
        slots.next().map(|(_, slot)| slot.deployment.as_str())
    });
    if let Some(label) = slot.and_then(with) {
        return format!("add {label}=\"$slot\"");
    }
    if let Some(label) = deployment.and_then(with) {
        return format!("add {label}=\"$deployment\"");
    }
    if let Some(target) = target
        && let Some(label) =
            with(&target.namespace).filter(|label| NAMESPACE_LABELS.contains(&label.as_str()))
    {
        return format!("add {label}=\"{}\"", target.namespace);
    }
    let mut differing: Vec<String> = Vec::new();
    for label in series.iter().flat_map(|one| apart(one, series).into_keys()) {
        if !differing.contains(&label) {
            differing.push(label);
        }
    }
    let whole: Vec<&String> = differing.iter().filter(|label| !PARTS.contains(&label.as_str())).collect();
    match whole.as_slice() {
        [] => "write sum(…) or max(…) around it".to_owned(),
        [label, ..] => format!("pick one by its label {label}, or write sum(…) around it"),
    }
}

/// No series: what would find some.
fn nothing(
    target: Option<&Target>,
    picture: &Picture,
    metric: &Metric,
    measured: &Measured,
    about: String,
) -> Finding {
    let place = format!("in the query of [metrics.{}]", metric.id);
    match &measured.explained.gap {
        Some(Gap::NoMetric { name, alike }) => no_metric(metric, name, alike, &place, about),
        // Not the query's fault: whatever it asks for of this slot, there is none.
        _ if is_empty(picture, measured) => Finding::warn(
            Area::Metrics,
            about,
            "no series, and the slot has no pods",
            "nothing to do; look at the metric in the run, once the slot has pods",
        ),
        Some(Gap::NoValue { name, label, wanted, there }) if waits(picture, measured, wanted, there) => {
            Finding::warn(
                Area::Metrics,
                about,
                format!("no series yet: {name} has no {label}=\"{wanted}\"; there is {}", there.join(", ")),
                format!("nothing to do if the slot has no requests yet; otherwise correct {label} {place}"),
            )
        }
        Some(Gap::NoValue { name, label, there, .. }) if there.is_empty() => {
            let slot = measured.slot.as_ref().map(crate::domain::id::SlotName::as_str);
            let instead = one_of(&measured.explained.series, slot, target);
            let what = format!("no series: {name} has no label {label}");
            Finding::fault(Area::Metrics, about, what, format!("remove {label} {place}, and {instead}"))
        }
        Some(Gap::NoValue { name, label, wanted, there }) => Finding::fault(
            Area::Metrics,
            about,
            format!("no series: {name} has no {label}=\"{wanted}\"; there is {}", there.join(", ")),
            format!("correct {label} {place}"),
        ),
        Some(Gap::NoCombination { name }) => Finding::fault(
            Area::Metrics,
            about,
            format!("no series: {name} is there, but not with all these labels together"),
            format!("leave out one label after the other {place} until it gives a number"),
        ),
        None => Finding::fault(
            Area::Metrics,
            about,
            "no series: nobody measures this",
            format!("correct the metric's name and labels {place}"),
        ),
    }
}

/// Nobody measures a metric of this name now: it was never there, or it is there no longer.
fn no_metric(metric: &Metric, name: &str, alike: &[String], place: &str, about: String) -> Finding {
    let (what, cure) = match alike {
        [] => (
            format!("no series: nobody measures {name}"),
            format!("correct the name {place}, or see to it that the service is scraped"),
        ),
        alike if alike.iter().any(|known| known == name) => (
            format!("its series are stale: {name} was measured, and is not any more"),
            format!("see the targets of {}: the scrape has stopped, or the pods are gone", source(metric)),
        ),
        [first, ..] => (
            format!("no series: nobody measures {name}; there are {}", alike.join(", ")),
            format!("write {first} {place}, if that is meant"),
        ),
    };
    Finding::fault(Area::Metrics, about, what, cure)
}

/// Whether the slot has no pods, so that nothing of it can be measured.
fn is_empty(picture: &Picture, measured: &Measured) -> bool {
    let cluster = picture.cluster.as_ref().and_then(|cluster| cluster.as_ref().ok());
    let workload = cluster.and_then(|cluster| cluster.workload.as_ref().ok());
    let pods = measured.slot.as_ref().zip(workload).and_then(|(slot, workload)| workload.slots.get(slot));
    pods.is_some_and(|slot| slot.counts.values().sum::<u32>() == 0)
}

/// Whether a slot without traffic is the reason that a value of its own is not there yet: what was never asked counts nothing.
/// Where the cluster could not be read nobody knows which slot has the traffic, so it may be.
fn waits(picture: &Picture, measured: &Measured, wanted: &str, there: &[String]) -> bool {
    let (Some(cluster), Some(slot)) = (&picture.cluster, &measured.slot) else { return false };
    if there.is_empty() {
        return false;
    }
    let Some(workload) = cluster.as_ref().ok().and_then(|cluster| cluster.workload.as_ref().ok()) else {
        return slot.as_str() == wanted;
    };
    let own = workload.slots.get(slot).is_some_and(|found| {
        [slot.as_str(), &found.deployment, &found.hash, tag_of(&found.image)].contains(&wanted)
    });
    own && workload.live.as_ref().is_some_and(|live| live != slot)
}

/// Whether a trigger gets samples often enough.
fn fires(reason: &str, hold_for: Span, metric: &Metric, mine: &[&Measured]) -> Finding {
    let took = mine.iter().map(|measured| measured.took).max().unwrap_or_default();
    let spacing = metric.interval.max(took);
    let scraped = mine.iter().filter_map(|measured| measured.explained.spacing).max();
    let id = &metric.id;
    if hold_for < spacing || took > longest_gap(hold_for, metric.interval) {
        return Finding::fault(
            Area::Triggers,
            reason,
            format!("it can never fire: an answer for {id} takes {}, `for` is {hold_for}", took.short()),
            format!(
                "make `for` at least {}, or the query faster",
                Span::from_millis(spacing.as_millis() * 3).short()
            ),
        );
    }
    if let Some(scraped) = scraped.filter(|scraped| hold_for < *scraped) {
        return Finding::warn(
            Area::Triggers,
            reason,
            format!(
                "{id} is scraped every {} only: within `for` ({hold_for}) there is one measurement",
                scraped.short()
            ),
            format!(
                "make `for` at least {}, or scrape more often",
                Span::from_millis(scraped.as_millis() * 2).short()
            ),
        );
    }
    if took > metric.interval {
        return Finding::warn(
            Area::Triggers,
            reason,
            format!(
                "answers for {id} take {}, longer than its interval of {}",
                took.short(),
                metric.interval
            ),
            format!("give [metrics.{id}] an interval of {} or more", spacing.short()),
        );
    }
    Finding::fine(
        Area::Triggers,
        reason,
        format!("can fire: a sample every {}, for {hold_for}", spacing.short()),
    )
}
