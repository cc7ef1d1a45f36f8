//! What is worth keeping of what is seen: only what has changed.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{Lane, Moment, Seen};
use crate::domain::{
    metric::Sample,
    time::{Span, Timestamp},
    workload::{Access, Workload},
};

/// Pictures of the cluster are kept at most this often …
const BETWEEN_PICTURES: Span = Span::from_secs(1);
/// … and one that stays the same is confirmed this often.
const BETWEEN_CONFIRMATIONS: Span = Span::from_secs(5);

/// Passes on what has changed since it was last kept. Its memory is one picture and one time for each metric and slot.
#[derive(Debug, Default)]
pub struct Sieve {
    /// The last picture kept, and when.
    picture: Option<(Timestamp, Box<Workload>)>,
    /// A newer one that came too soon after it.
    waiting: Option<Moment>,
    confirmed: Timestamp,
    access: Option<Access>,
    /// The oldest time and the newest measurement of each line.
    kept: BTreeMap<Lane, (Timestamp, Sample)>,
}

impl Sieve {
    /// These are kept already, by an earlier engine: such measurements are not kept again.
    pub fn know(&mut self, kept: &[Moment]) {
        for moment in kept {
            self.is_new(moment);
        }
    }

    /// What is to be kept now that this was seen.
    pub fn pass(&mut self, moment: Moment) -> Vec<Moment> {
        let Moment { at, seen } = moment;
        match seen {
            Seen::Picture(workload) => self.picture(at, workload),
            Seen::Access(access) => {
                let known = self.access.as_ref().map(|known| Access { at: access.at, ..known.clone() });
                if known.as_ref() == Some(&access) {
                    return Vec::new();
                }
                self.access = Some(access.clone());
                vec![Moment { at, seen: Seen::Access(access) }]
            }
            seen => {
                let moment = Moment { at, seen };
                if self.is_new(&moment) { vec![moment] } else { Vec::new() }
            }
        }
    }

    /// What has waited, at the end.
    pub fn finish(&mut self) -> Option<Moment> {
        let waiting = self.waiting.take()?;
        if let Seen::Picture(workload) = &waiting.seen {
            self.picture = Some((waiting.at, workload.clone()));
        }
        Some(waiting)
    }

    /// Whether a measurement is later than all of its line, corrects the newest, or is of a time before all of it. Everything
    /// else is new.
    fn is_new(&mut self, moment: &Moment) -> bool {
        let Some(sample) = moment.sample() else { return true };
        let past = matches!(moment.seen, Seen::Past(_));
        match self.kept.entry((sample.metric.clone(), sample.slot.clone())) {
            Entry::Vacant(line) => {
                line.insert((sample.at, sample.clone()));
                true
            }
            Entry::Occupied(mut line) => {
                let (oldest, newest) = line.get_mut();
                let corrects = !past && sample.at == newest.at && sample.value != newest.value;
                let later = sample.at > newest.at || corrects;
                let earlier = past && sample.at < *oldest;
                *oldest = sample.at.min(*oldest);
                if later {
                    *newest = sample.clone();
                }
                later || earlier
            }
        }
    }

    fn picture(&mut self, at: Timestamp, workload: Box<Workload>) -> Vec<Moment> {
        let as_of = workload.as_of;
        match &self.picture {
            Some((_, known)) if differs_in_time_only(known, &workload) => {
                let of = known.as_of;
                // What waited is undone by this one.
                let mut passed: Vec<Moment> = self.waiting.take().into_iter().collect();
                if passed.is_empty() {
                    if at.since(self.confirmed) < BETWEEN_CONFIRMATIONS || as_of <= of {
                        return Vec::new();
                    }
                    self.confirmed = at;
                    return vec![Moment { at, seen: Seen::Confirmed { of, as_of } }];
                }
                self.keep(at, workload, &mut passed);
                passed
            }
            Some((kept, _)) if at.since(*kept) < BETWEEN_PICTURES => {
                self.waiting = Some(Moment { at, seen: Seen::Picture(workload) });
                Vec::new()
            }
            _ => {
                self.waiting = None;
                let mut passed = Vec::new();
                self.keep(at, workload, &mut passed);
                passed
            }
        }
    }

    fn keep(&mut self, at: Timestamp, workload: Box<Workload>, passed: &mut Vec<Moment>) {
        self.picture = Some((at, workload.clone()));
        self.confirmed = at;
        passed.push(Moment { at, seen: Seen::Picture(workload) });
    }
}

/// Compared without a copy of what may be hundreds of pods; field by field, so that a new one does not compile without a word
/// here.
fn differs_in_time_only(known: &Workload, workload: &Workload) -> bool {
    let Workload {
        slots,
        selector,
        live,
        service_version,
        service_changed,
        warnings,
        connection,
        as_of: _,
        shares,
        route,
    } = known;
    *slots == workload.slots
        && *selector == workload.selector
        && *live == workload.live
        && *service_version == workload.service_version
        && *service_changed == workload.service_changed
        && *warnings == workload.warnings
        && *connection == workload.connection
        && *shares == workload.shares
        && *route == workload.route
}
