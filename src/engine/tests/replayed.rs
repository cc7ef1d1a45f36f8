//! A replay ends on the screen that the run had when it ended: flown, with its journal and its file of samples.

use std::sync::Arc;

use ratatui::{buffer::Buffer, layout::Rect};

use super::flown::{Flown, fly, reason, small};
use crate::{
    domain::{
        event::Outcome,
        fixture::trigger,
        kept::Kept,
        message::Update,
        reel::Reel,
        runbook::{OnNoData, Runbook, Then},
        time::Span,
    },
    engine::messages::End,
    journal,
    tui::{
        model::{Cursor, Model, ScreenOptions},
        msg::Msg,
        update::update,
        view::{draw, text_of},
    },
};

/// The screen that was there all along, without the pilot's dialogs.
fn there(flown: &Flown) -> Model {
    let mut model = Model::new(ScreenOptions { read_only: true, ..ScreenOptions::default() });
    for told in flown.updates.iter().filter(|told| !matches!(told, Update::Closed { .. })) {
        update(&mut model, Msg::Update(Box::new(told.clone())));
    }
    model
}

/// A replay of what the run has left on the disk, at its end.
fn replayed(flown: &Flown, kept: Kept) -> Model {
    let mut model = Model::new(ScreenOptions::default());
    let reel = Reel::new(flown.journal.clone(), kept).unwrap();
    update(&mut model, Msg::Replay(Arc::new(reel), 600));
    while model.replay.as_ref().is_some_and(|replay| replay.playing) {
        update(&mut model, Msg::Passed(Span::from_millis(100)));
    }
    model
}

/// Both screens, as they are drawn but for the band and the keys, which say what they are; and without who else was there and
/// what commands printed, which has files of its own.
fn drawn(mut model: Model, now: &Model, size: (u16, u16)) -> String {
    model.replay = None;
    model.options.read_only = true;
    (model.layers, model.toast, model.closed, model.window) = (Vec::new(), None, None, None);
    (model.members, model.missed, model.cursor) = (Vec::new(), None, Cursor::default());
    model.telemetry.outputs.clear();
    model.telemetry.logs.clear();
    // The command line says where the run is kept.
    model.run_dir.clone_from(&now.run_dir);
    model.now = now.now;
    model.size = size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    draw(&model, &mut buffer);
    text_of(&buffer)
}

async fn compared(name: &str, book: Runbook, errors: f64, outcome: Outcome) {
    let flown = fly(book, "v2", errors, None).await;
    assert_eq!(flown.end, End::Closed(Some(outcome)), "{name}: {}", reason(&flown.run));
    let run_id = flown.run.opened.run_id.as_str();
    let kept = journal::samples::read(flown.dir.path(), run_id).unwrap().unwrap();
    assert_eq!(kept.remarks(), [] as [&str; 0], "{name}");
    let (live, replay) = (there(&flown), replayed(&flown, kept));
    assert_eq!(replay.run, live.run, "{name}");
    assert_eq!(replay.story, live.story, "{name}");
    assert_eq!(replay.telemetry.latest, live.telemetry.latest, "{name}");
    assert_eq!(replay.telemetry.series, live.telemetry.series, "{name}");
    assert_eq!(replay.telemetry.watching, live.telemetry.watching, "{name}");
    assert_eq!(replay.telemetry.evidence, live.telemetry.evidence, "{name}");
    for size in [(80, 24), (120, 36), (60, 15)] {
        let (replay, live) = (drawn(replay.clone(), &live, size), drawn(live.clone(), &live, size));
        for (replay, live) in replay.lines().zip(live.lines()) {
            assert_eq!(replay, live, "{name}");
        }
        assert_eq!(replay, live, "{name}");
    }
    // Without the samples, as a run of an earlier version: the same run, and the same story.
    let bare = replayed(&flown, Kept::default());
    assert_eq!((&bare.run, &bare.story), (&live.run, &live.story), "{name}");
    assert!(bare.telemetry.latest.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_a_good_run_ends_on_its_last_screen() {
    compared("good", small(), 0.0004, Outcome::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_a_run_that_went_back_ends_on_its_last_screen() {
    let mut bad = small();
    bad.triggers[0] = trigger(Then::Countdown(Span::from_secs(5)), Span::from_secs(30), OnNoData::Hold);
    bad.rollbacks[0].check.remove(1);
    compared("rolled back", bad, 0.2, Outcome::RolledBack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_a_run_that_failed_ends_on_its_last_screen() {
    let mut strict = small();
    strict.vars[1].pattern = Some("[0-9]+".to_owned());
    compared("failed", strict, 0.0004, Outcome::Failed).await;
}
