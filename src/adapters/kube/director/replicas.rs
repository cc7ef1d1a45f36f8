//! A Service that selects the pods of both slots: each gets as much as it has ready pods. So do the revisions of one Deployment.

use std::collections::BTreeMap;

use crate::domain::{
    director::{Shares, shares_by},
    id::SlotName,
};

use super::super::pod::PodRecord;

/// How much of the traffic each slot gets, by the ready pods of it that the Service selects. An empty selector selects none.
pub(in super::super) fn shares<'a>(
    selector: &BTreeMap<String, String>,
    slots: impl IntoIterator<Item = (&'a SlotName, Vec<&'a PodRecord>)>,
) -> Shares {
    let serves = |record: &&&PodRecord| {
        let labels = &record.labels;
        let selected = selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        record.pod.ready && !record.leaving && selected && !selector.is_empty()
    };
    shares_by(slots.into_iter().map(|(name, pods)| (name.clone(), pods.iter().filter(serves).count() as u64)))
}
