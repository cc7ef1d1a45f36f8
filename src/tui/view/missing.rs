//! What to show in place of a missing value.

use crate::{
    domain::{id::SlotName, metric::Missing},
    tui::{
        model::{Model, telemetry::Reading},
        subject,
        widget::row::Row,
    },
};

/// Why there is no value: a word, and details.
pub(super) fn missing(model: &Model, slot: Option<&SlotName>, reading: &Reading) -> (Row, String) {
    let look = model.look;
    let idle = slot.is_some_and(|slot| subject::is_idle(model, slot));
    let asleep = slot
        .zip(model.measured().workload.as_ref())
        .and_then(|(slot, seen)| seen.slots.get(slot))
        .is_some_and(|seen| seen.desired == 0);
    let quiet = |word: &str| (Row::of(word, look.dim()), String::new());
    match &reading.why {
        Some(Missing::Stale(_)) if idle && asleep => quiet("no pods"),
        Some(Missing::NotYet(_)) if idle => quiet("no pods"),
        // A slot that nobody asks has no rates: that is no fault, and no number either.
        Some(Missing::NoData | Missing::NotANumber | Missing::ZeroByZero | Missing::EmptyRatio) | None
            if idle =>
        {
            quiet("no traffic")
        }
        None => quiet("not measured yet"),
        Some(why) if why.is_no_traffic() => (Row::of("NO TRAFFIC", look.alert()), why.to_string()),
        Some(Missing::NoData) => (Row::of("NO DATA", look.alert()), String::new()),
        Some(why) => (Row::of("NO DATA", look.alert()), why.to_string()),
    }
}
