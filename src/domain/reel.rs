//! A past run in one order: its events, and what was seen beside them, as a replay plays them.

use super::{
    event::{Envelope, RunEvent},
    id::RunId,
    kept::{Kept, Moment, Seen, Thinned},
    run::Run,
    story,
    time::{Span, Timestamp},
};

/// What comes next in a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scene<'a> {
    /// Something happened.
    Event(&'a Envelope),
    /// Something was seen.
    Moment(&'a Moment),
}

/// Where a scene is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Event(usize),
    Moment(usize),
}

/// A past run. A place in it is how many of its scenes have been shown.
#[derive(Debug, PartialEq)]
pub struct Reel {
    events: Vec<Envelope>,
    moments: Vec<Moment>,
    /// All of both, by time. Times never go back, whatever the journal says.
    scenes: Vec<(Timestamp, Place)>,
    /// The scenes that people were told of, with their sentence.
    told: Vec<(usize, String)>,
    thinned: Vec<Thinned>,
    remarks: Vec<String>,
}

impl Reel {
    /// Puts a run's events and what is kept of it in order; none where the events don't begin with the run's opening.
    pub fn new(events: Vec<Envelope>, kept: Kept) -> Option<Self> {
        let remarks = kept.remarks();
        let Kept { moments, thinned, .. } = kept;
        let (first, rest) = events.split_first()?;
        let mut run = Run::open(first)?;
        let mut lines = vec![story::line(&run, &first.event)];
        let mut times = vec![first.at];
        let mut latest = first.at;
        for envelope in rest {
            run.apply(envelope);
            lines.push(story::line(&run, &envelope.event));
            latest = latest.max(envelope.at);
            times.push(latest);
        }
        // What was measured before the run was opened is there when it opens.
        let opened = first.at;
        let seen =
            moments.iter().enumerate().map(|(index, moment)| (moment.at.max(opened), Place::Moment(index)));
        let mut scenes: Vec<_> =
            times.into_iter().enumerate().map(|(index, at)| (at, Place::Event(index))).chain(seen).collect();
        // Of the same time events come first: the sort is stable.
        scenes.sort_by_key(|(at, _)| *at);
        let told = scenes.iter().enumerate().filter_map(|(scene, (_, place))| match place {
            Place::Event(index) => Some((scene, lines.get_mut(*index)?.take()?)),
            Place::Moment(_) => None,
        });
        let told = told.collect();
        Some(Self { events, moments, scenes, told, thinned, remarks })
    }

    /// The run's id.
    pub fn run_id(&self) -> Option<RunId> {
        self.events.first().and_then(|first| match &first.event {
            RunEvent::RunOpened(opened) => Some(opened.run_id.clone()),
            _ => None,
        })
    }

    /// When the run was opened.
    pub fn from(&self) -> Timestamp {
        self.scenes.first().map_or_else(Timestamp::default, |(at, _)| *at)
    }

    /// When its last scene was.
    pub fn to(&self) -> Timestamp {
        self.scenes.last().map_or_else(Timestamp::default, |(at, _)| *at)
    }

    /// From its first scene to its last.
    pub fn length(&self) -> Span {
        self.to().since(self.from())
    }

    /// How many scenes it has.
    pub fn scenes(&self) -> usize {
        self.scenes.len()
    }

    /// A scene, and when it is.
    pub fn scene(&self, index: usize) -> Option<(Timestamp, Scene<'_>)> {
        let (at, place) = *self.scenes.get(index)?;
        let scene = match place {
            Place::Event(index) => Scene::Event(self.events.get(index)?),
            Place::Moment(index) => Scene::Moment(self.moments.get(index)?),
        };
        Some((at, scene))
    }

    /// The place at a time: after everything that was until then.
    pub fn place(&self, at: Timestamp) -> usize {
        self.scenes.partition_point(|(scene, _)| *scene <= at)
    }

    /// The place after the next event that people were told of, and its sentence.
    pub fn next_event(&self, place: usize) -> Option<(usize, &str)> {
        let next = self.told.partition_point(|(scene, _)| *scene < place);
        self.told.get(next).map(|(scene, line)| (scene + 1, line.as_str()))
    }

    /// The place after the event before the one that was told last.
    pub fn previous_event(&self, place: usize) -> Option<(usize, &str)> {
        let next = self.told.partition_point(|(scene, _)| *scene < place);
        // Between two events it is the last one.
        let last = self.told.get(next.checked_sub(1)?)?;
        let previous = if last.0 + 1 == place { self.told.get(next.checked_sub(2)?)? } else { last };
        Some((previous.0 + 1, previous.1.as_str()))
    }

    /// The place after the next event whose sentence has this in it, in whatever case; from the end on it goes on from the
    /// beginning.
    pub fn find(&self, text: &str, place: usize) -> Option<usize> {
        let text = text.to_lowercase();
        let (before, after) = self.told.split_at(self.told.partition_point(|(scene, _)| *scene < place));
        let found = after.iter().chain(before).find(|(_, line)| line.to_lowercase().contains(&text));
        found.map(|(scene, _)| scene + 1)
    }

    /// The place after an event by its number in the journal.
    pub fn event(&self, seq: u64) -> Option<usize> {
        let is_it = |(_, place): &(Timestamp, Place)| match place {
            Place::Event(index) => self.events.get(*index).is_some_and(|envelope| envelope.seq == seq),
            Place::Moment(_) => false,
        };
        self.scenes.iter().position(is_it).map(|scene| scene + 1)
    }

    /// Whether anything was kept beside the events.
    pub fn has_samples(&self) -> bool {
        self.moments.iter().any(|moment| !matches!(moment.seen, Seen::Lost { .. }))
    }

    /// The grid that samples of a time were thinned to, where they were.
    pub fn thinned(&self, at: Timestamp) -> Option<Span> {
        self.thinned.iter().find(|it| it.from <= at && at <= it.to).map(|it| it.grid)
    }

    /// What is not here although it was seen, a sentence each.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        fixture::{opened, runbook},
        metric::Sample,
    };

    fn envelope(seq: u64, at: i64, event: RunEvent) -> Envelope {
        Envelope { seq, at: Timestamp(at), event }
    }

    fn note(seq: u64, at: i64, text: &str) -> Envelope {
        let by = crate::domain::actor::Actor::person("ada");
        envelope(seq, at, RunEvent::NoteAdded { text: text.to_owned(), by })
    }

    fn sample(at: i64) -> Moment {
        let sample =
            Sample { metric: "errors".into(), slot: None, at: Timestamp(at), value: Ok(0.1), counts: None };
        Moment { at: Timestamp(at), seen: Seen::Sample(sample) }
    }

    fn reel() -> Reel {
        let events = vec![
            envelope(1, 1_000, RunEvent::RunOpened(opened(runbook()))),
            note(2, 2_000, "a Cold start"),
            // A clock that went back.
            note(3, 1_500, "second"),
            note(4, 9_000, "third"),
        ];
        let kept = Kept::new(
            vec![sample(500), sample(2_000), sample(8_000), sample(10_000)],
            Vec::new(),
            Vec::new(),
        );
        Reel::new(events, kept).unwrap()
    }

    #[test]
    fn events_and_what_was_seen_come_in_one_order() {
        let reel = reel();
        let order: Vec<(i64, bool)> = (0..reel.scenes())
            .map(|index| {
                reel.scene(index).map(|(at, scene)| (at.0, matches!(scene, Scene::Event(_)))).unwrap()
            })
            .collect();
        let (event, seen) = (true, false);
        assert_eq!(
            order,
            [
                (1_000, event),
                (1_000, seen),
                (2_000, event),
                (2_000, event),
                (2_000, seen),
                (8_000, seen),
                (9_000, event),
                (10_000, seen)
            ]
        );
        assert_eq!(
            (reel.from(), reel.to(), reel.length()),
            (Timestamp(1_000), Timestamp(10_000), Span::from_secs(9))
        );
        assert_eq!(
            [0, 999, 1_000, 2_000, 8_500, 99_000].map(|at| reel.place(Timestamp(at))),
            [0, 0, 2, 5, 6, 8]
        );
    }

    #[test]
    fn events_are_found_forwards_backwards_by_number_and_by_word() {
        let reel = reel();
        let mut place = 0;
        let mut forwards = Vec::new();
        while let Some((next, _)) = reel.next_event(place) {
            forwards.push(next);
            place = next;
        }
        assert_eq!(forwards, [1, 3, 4, 7]);
        let mut backwards = Vec::new();
        place = reel.scenes();
        while let Some((previous, _)) = reel.previous_event(place) {
            backwards.push(previous);
            place = previous;
        }
        assert_eq!(backwards, [7, 4, 3, 1]);
        assert_eq!(reel.event(3), Some(4));
        assert_eq!(reel.event(9), None);
        assert_eq!(reel.find("cOLD", 0), Some(3));
        assert_eq!(reel.find("cold", 5), Some(3), "from the beginning again");
        assert_eq!(reel.find("nowhere", 0), None);
    }

    #[test]
    fn what_does_not_begin_with_an_opening_is_no_run() {
        assert_eq!(Reel::new(Vec::new(), Kept::default()), None);
        assert_eq!(Reel::new(vec![note(1, 0, "x")], Kept::default()), None);
    }
}
