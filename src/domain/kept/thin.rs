//! Less of the same: what stays of a time when there is no room for all of it.

use std::collections::BTreeMap;

use super::{Lane, Moment, Seen};
use crate::domain::{evidence::counts::Counts, id::StepId, time::Span};

/// The pieces that time is cut into, one after the other, the longer the less room there is.
pub const GRIDS: [Span; 9] = [
    Span::from_secs(10),
    Span::from_secs(30),
    Span::from_mins(1),
    Span::from_mins(2),
    Span::from_mins(5),
    Span::from_mins(15),
    Span::from_mins(60),
    Span::from_mins(360),
    Span::from_mins(1440),
];

/// What stays of one piece of time: of each line its lowest and its highest value and that something was missing; of
/// everything else the last.
#[derive(Default)]
struct Piece {
    lowest: BTreeMap<Lane, (f64, usize)>,
    highest: BTreeMap<Lane, (f64, usize)>,
    missing: BTreeMap<Lane, usize>,
    picture: Option<usize>,
    confirmed: Option<usize>,
    evidence: Option<usize>,
    access: Option<usize>,
    copy: Option<usize>,
    looks: BTreeMap<(Option<StepId>, usize), usize>,
    lost: Vec<usize>,
}

impl Piece {
    fn take(&mut self, index: usize, moment: &Moment) {
        match &moment.seen {
            Seen::Sample(sample) | Seen::Past(sample) => {
                let lane = (sample.metric.clone(), sample.slot.clone());
                let Ok(value) = sample.value else {
                    self.missing.entry(lane).or_insert(index);
                    return;
                };
                let lowest = self.lowest.entry(lane.clone()).or_insert((value, index));
                if value < lowest.0 {
                    *lowest = (value, index);
                }
                let highest = self.highest.entry(lane).or_insert((value, index));
                if value > highest.0 {
                    *highest = (value, index);
                }
            }
            Seen::Picture(_) => (self.picture, self.confirmed) = (Some(index), None),
            // It stands behind the picture that it is about.
            Seen::Confirmed { .. } => self.confirmed = Some(index),
            Seen::Evidence(_) => self.evidence = Some(index),
            Seen::Access(_) => self.access = Some(index),
            Seen::Copy(_) => self.copy = Some(index),
            Seen::Look { step, check, .. } => {
                self.looks.insert((step.clone(), *check), index);
            }
            Seen::Lost { .. } => self.lost.push(index),
        }
    }

    fn stays(self, into: &mut Vec<usize>) {
        into.extend(self.lowest.into_values().map(|(_, index)| index));
        into.extend(self.highest.into_values().map(|(_, index)| index));
        into.extend(self.missing.into_values());
        into.extend(
            [self.picture, self.confirmed, self.evidence, self.access, self.copy].into_iter().flatten(),
        );
        into.extend(self.looks.into_values());
        into.extend(self.lost);
    }
}

/// What stays of `moments`, which are by time, on a grid. A peak stays a peak, a gap a gap, and what was counted is counted in
/// what stays: the sums of every piece are what they were.
pub fn thin(mut moments: Vec<Moment>, grid: Span) -> Vec<Moment> {
    let length = i64::try_from(grid.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut pieces: BTreeMap<i64, (Piece, Vec<usize>)> = BTreeMap::new();
    for (index, moment) in moments.iter().enumerate() {
        let (piece, all) = pieces.entry(moment.at.0.div_euclid(length)).or_default();
        piece.take(index, moment);
        all.push(index);
    }
    let mut stay = Vec::new();
    for (piece, all) in pieces.into_values() {
        let mut stays = Vec::new();
        piece.stays(&mut stays);
        stays.sort_unstable();
        stays.dedup();
        count_on(&mut moments, &all, &stays);
        stay.extend(stays);
    }
    stay.sort_unstable();
    let mut stay = stay.into_iter().peekable();
    let stays = |(index, moment)| {
        // Both are in order.
        stay.next_if_eq(&index).is_some().then_some(moment)
    };
    moments.into_iter().enumerate().filter_map(stays).collect()
}

/// What samples of a piece had counted that don't stay goes to the next one of their line that stays, or to the last.
fn count_on(moments: &mut [Moment], all: &[usize], stays: &[usize]) {
    let mut open: BTreeMap<Lane, Counts> = BTreeMap::new();
    let mut last: BTreeMap<Lane, usize> = BTreeMap::new();
    for index in all {
        let Some(sample) = moments.get_mut(*index).and_then(Moment::sample_mut) else { continue };
        let lane = (sample.metric.clone(), sample.slot.clone());
        if stays.binary_search(index).is_ok() {
            if let Some(counts) = open.remove(&lane) {
                *sample.counts.get_or_insert(Counts::NONE) += counts;
            }
            last.insert(lane, *index);
        } else if let Some(counts) = sample.counts {
            *open.entry(lane).or_default() += counts;
        }
    }
    for (lane, counts) in open {
        let sample = last.get(&lane).and_then(|index| moments.get_mut(*index)).and_then(Moment::sample_mut);
        if let Some(sample) = sample {
            *sample.counts.get_or_insert(Counts::NONE) += counts;
        }
    }
}
