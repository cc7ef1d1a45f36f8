//! Times as the API writes them.

use k8s_openapi::{api::core::v1::Event as ApiEvent, apimachinery::pkg::apis::meta::v1::Time};

use crate::domain::time::Timestamp;

/// A time of the API; the epoch where there is none.
pub(super) fn at(time: Option<&Time>) -> Timestamp {
    time.map(|time| Timestamp(time.0.as_millisecond())).unwrap_or_default()
}

/// When an event was told last.
pub(super) fn said_at(event: &ApiEvent) -> Timestamp {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let last = series.or(event.event_time.as_ref()).map(|time| Timestamp(time.0.as_millisecond()));
    match (&event.last_timestamp, last) {
        (Some(time), _) => at(Some(time)),
        (None, Some(last)) => last,
        (None, None) => at(event.metadata.creation_timestamp.as_ref()),
    }
}
