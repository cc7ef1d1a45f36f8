//! A past run on the screen: the same as it was, and nothing that can be done to it.

use std::sync::Arc;

use super::{fixture::Told, screens::states};
use crate::{
    config::keymap::{Context, Key, KeyCode},
    domain::{
        actor::Actor,
        event::{Envelope, RunEvent},
        kept::{Kept, Moment, Seen, Sieve, Thinned},
        message::Update,
        reel::Reel,
        time::{Span, Timestamp},
    },
    tui::{
        input::Input,
        model::{Cursor, Model, ScreenOptions},
        msg::{Effect, Msg},
        offer::{self, By, Does},
        update::update,
        view::{self, text_of},
    },
};

/// What the journal has of a story, and what was kept beside it.
fn recorded(told: &Told) -> (Vec<Envelope>, Vec<Moment>) {
    let (mut events, mut moments, mut sieve) = (Vec::new(), Vec::new(), Sieve::default());
    for (now, update) in &told.log {
        match update {
            Update::Backlog { events: before, .. } => events.extend(before.iter().cloned()),
            Update::Event { envelope } => events.push(envelope.clone()),
            update => {
                let seen = Moment::of(update, *now).into_iter();
                moments.extend(seen.flat_map(|moment| sieve.pass(moment)));
            }
        }
    }
    moments.extend(sieve.finish());
    (events, moments)
}

fn reel(told: &Told) -> Reel {
    let (events, moments) = recorded(told);
    Reel::new(events, Kept::new(moments, Vec::new(), Vec::new())).unwrap()
}

/// A screen on it, at its beginning.
fn screen(reel: Reel) -> Told {
    let mut told = Told::opened();
    told.model = Model::new(ScreenOptions::default());
    update(&mut told.model, Msg::Replay(Arc::new(reel), 10));
    told
}

fn passes(told: &mut Told, ms: u64) {
    let effects = update(&mut told.model, Msg::Passed(Span::from_millis(ms)));
    assert_eq!(effects, []);
}

/// Plays to the end, in steps of no even length.
fn played(mut told: Told) -> Told {
    for step in 0.. {
        assert!(step < 1_000_000, "it ends");
        passes(&mut told, 37 + step % 900);
        if !told.model.replay.as_ref().unwrap().playing {
            break;
        }
    }
    assert!(told.model.replay.as_ref().unwrap().is_over());
    told
}

/// The screen as whoever only watches sees it, without what no file has: who else is there, output, logs.
fn watched(model: &Model, now: Timestamp) -> Told {
    let mut told = Told::opened();
    told.model =
        Model { replay: None, layers: Vec::new(), toast: None, still: None, missed: None, ..model.clone() };
    let it = &mut told.model;
    it.options.read_only = true;
    it.cursor = Cursor::default();
    it.members = Vec::new();
    (it.you, it.silent, it.closed, it.window) = (None, None, None, None);
    it.telemetry.outputs.clear();
    it.telemetry.logs.clear();
    // The command line says where the run is kept.
    it.run_dir = "/var/lib/cutover/20261120-140000-abcd".to_owned();
    it.now = now;
    told
}

#[test]
fn the_last_screen_of_a_replay_is_the_last_one_of_the_run() {
    for (name, made) in states() {
        let replayed = played(screen(reel(&made)));
        // A screen that was there all along: told everything, and nothing but that.
        let mut there = Model::new(ScreenOptions::default());
        for (_, told) in &made.log {
            update(&mut there, Msg::Update(Box::new(told.clone())));
        }
        assert_eq!(replayed.model.run, there.run, "{name}");
        assert_eq!(replayed.model.story, there.story, "{name}");
        let (live, replayed) = (&there.telemetry, &replayed.model.telemetry);
        for (lane, series) in &live.series {
            assert_eq!(replayed.series.get(lane), Some(series), "{name}: {lane:?}");
        }
        assert_eq!(replayed.latest, live.latest, "{name}");
        assert_eq!(replayed.watching, live.watching, "{name}");
        assert_eq!(replayed.evidence, live.evidence, "{name}");
        assert_eq!(replayed.workload, live.workload, "{name}");
        let replayed = played(screen(reel(&made)));
        let now = there.now;
        let (mut live, mut replayed) = (watched(&there, now), watched(&replayed.model, now));
        for (width, height) in [(80, 24), (120, 36), (200, 60), (60, 15)] {
            assert_eq!(replayed.screen(width, height), live.screen(width, height), "{name}");
        }
    }
}

#[test]
fn wherever_it_is_it_shows_the_same_however_it_came_there() {
    let made = Told::rolled_back();
    let seen = |told: &Told| watched(&told.model, told.model.now).screen(120, 36);
    let mut moved = screen(reel(&made));
    let (right, left) = (Key::named(KeyCode::Right), Key::named(KeyCode::Left));
    let mut places = Vec::new();
    for step in 0..400u64 {
        match step * 7_919 % 11 {
            0..5 => drop(moved.press(right)),
            5..8 => drop(moved.press(left)),
            8 => passes(&mut moved, step * 113 % 4_000),
            9 => drop(moved.keys(" ")),
            _ => update(&mut moved.model, Msg::Passed(Span::from_millis(step * 331 % 9_000))).clear(),
        }
        let replay = moved.model.replay.clone().unwrap();
        places.push(replay.place);
        if step % 13 == 0 {
            let mut fresh = screen(reel(&made));
            while fresh.model.replay.as_ref().unwrap().place < replay.place {
                passes(&mut fresh, 10);
                let replay = fresh.model.replay.as_ref().unwrap();
                assert!(replay.playing || replay.is_over());
            }
            if fresh.model.replay.as_ref().unwrap().place == replay.place {
                fresh.model.now = moved.model.now;
                assert_eq!(fresh.model.run, moved.model.run, "{step}");
                assert_eq!(seen(&fresh), seen(&moved), "{step}");
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    assert!(places.len() > 20, "it went about: {places:?}");
}

#[test]
fn no_key_acts_on_the_run_and_none_is_offered_that_would() {
    let states: [fn() -> Told; 5] =
        [Told::in_checklist, Told::rolled_back, Told::finished, Told::counting_down, Told::failed];
    for state in states {
        let mut told = screen(reel(&state()));
        told.keys(" ");
        loop {
            let place = told.model.replay.as_ref().unwrap().place;
            for offer in offer::offers(&told.model) {
                let looks = matches!(offer.does, Does::Look | Does::Wait);
                assert!(looks, "{offer:?}");
            }
            let run = told.model.run.clone();
            let hints = told.model.options.keymap.help();
            let keys: Vec<Key> =
                hints.into_iter().flat_map(|(_, hints)| hints).flat_map(|hint| hint.keys).collect();
            for key in keys {
                let mut pressed = told.clone();
                let effects = pressed.press(key);
                assert!(
                    !effects.iter().any(|effect| matches!(effect, Effect::Send(_))),
                    "{key}: {effects:?}"
                );
                let moves =
                    [KeyCode::Right, KeyCode::Left, KeyCode::Char(' ')].map(Key::named).contains(&key);
                assert!(moves || pressed.model.run == run, "{key}");
            }
            for line in ["rollback", "abort x", "hold x", "note x", "take x", "set A=b", "skip x", "kill"] {
                let mut typed = told.clone();
                typed.keys(&format!(":{line}"));
                assert_eq!(typed.enter(), [], "{line}");
                assert!(typed.model.toast.as_ref().is_some_and(|toast| toast.refused), "{line}");
            }
            // Not every event: a few of each kind will do.
            for _ in 0..6 {
                told.press(Key::named(KeyCode::Right));
            }
            if told.model.replay.as_ref().unwrap().place == place {
                break;
            }
        }
    }
}

#[test]
fn the_header_says_that_it_is_a_replay_and_where_in_the_run() {
    let mut told = screen(reel(&Told::rolled_back()));
    told.keys(":goto 10m");
    told.enter();
    for (width, height) in [(200, 60), (120, 36), (80, 24), (60, 15), (40, 10), (30, 5)] {
        let text = told.screen(width, height);
        let band = text.lines().next().unwrap();
        assert!(band.contains("REPLAY"), "{width}: {band}");
        if width >= 60 {
            assert!(band.contains("10:00"), "{width}: {band}");
            assert!(!text.contains("you watch"), "{text}");
        }
    }
    let all = told.screen(120, 36);
    assert!(all.contains("REPLAY of PRODUCTION") && all.contains("14:10:00 UTC"), "{all}");
    assert_eq!(crate::tui::title::of(&told.model).rsplit(" · ").next(), Some("replay"));
    insta::assert_snapshot!("replay_120x36", all);
    insta::assert_snapshot!("replay_80x24", told.screen(80, 24));
    insta::assert_snapshot!("replay_60x15", told.screen(60, 15));
}

fn goto(told: &mut Told, to: &str) -> (usize, i64) {
    told.keys(&format!(":goto {to}"));
    told.enter();
    let replay = told.model.replay.as_ref().unwrap();
    (replay.place, i64::try_from(replay.gone().as_millis()).unwrap() / 1_000)
}

#[test]
fn a_time_or_an_event_is_gone_to_by_what_one_knows_of_it() {
    let made = Told::rolled_back();
    let mut told = screen(reel(&made));
    assert_eq!(goto(&mut told, "3m").1, 180);
    assert_eq!(goto(&mut told, "+90s").1, 270);
    assert_eq!(goto(&mut told, "-30s").1, 240);
    assert_eq!(goto(&mut told, "14:01").1, 60, "the story begins at 14:00:00");
    assert_eq!(goto(&mut told, "14:01:05").1, 65);
    let length = told.model.replay.as_ref().unwrap().reel.length();
    assert_eq!(goto(&mut told, "13:59").1, i64::try_from(length.as_secs()).unwrap(), "tomorrow: the end");
    assert_eq!(goto(&mut told, "start").1, 0);
    let seven = goto(&mut told, "#7");
    assert_eq!(told.model.run.as_ref().unwrap().last_seq, 7);
    assert_eq!(goto(&mut told, "#99999"), seven);
    assert!(told.model.toast.as_ref().is_some_and(|toast| toast.text.contains("no event #99999")));
    goto(&mut told, "rollback");
    let last = told.model.story.last().unwrap().1.to_lowercase();
    assert!(last.contains("rollback"), "{last}");
    assert!(!told.model.replay.as_ref().unwrap().playing, "an event is looked at");
    let here = goto(&mut told, "nothing says this");
    assert_eq!(goto(&mut told, ""), here);
    goto(&mut told, "end");
    assert!(told.model.replay.as_ref().unwrap().is_over());
    // And from there it plays again.
    told.keys(" ");
    assert_eq!(told.model.replay.as_ref().unwrap().gone(), Span::ZERO);
}

#[test]
fn speed_changes_in_steps_and_time_stands_while_it_is_paused() {
    let mut told = screen(reel(&Told::rolled_back()));
    let gone = |told: &Told| told.model.replay.as_ref().unwrap().gone().as_millis();
    passes(&mut told, 1_000);
    assert_eq!(gone(&told), 10_000);
    told.keys(">");
    passes(&mut told, 1_000);
    assert_eq!(gone(&told), 40_000);
    told.keys("<<<");
    passes(&mut told, 1_000);
    assert_eq!(gone(&told), 42_000);
    told.keys(" ");
    passes(&mut told, 60_000);
    assert_eq!(gone(&told), 42_000);
    told.keys("<<<<<<");
    assert_eq!(told.model.replay.as_ref().unwrap().speed, 1);
    told.keys(">>>>>>>>>>>>>>");
    assert_eq!(told.model.replay.as_ref().unwrap().speed, 600);
    let faster = told.model.options.keymap.label(Context::Replay, crate::config::keymap::KeyAction::Faster);
    let offered = |told: &Told| {
        offer::offers(&told.model)
            .iter()
            .any(|it| matches!(it.by, By::Key(crate::config::keymap::KeyAction::Faster)))
    };
    assert!(faster.is_some() && !offered(&told), "there is nothing faster");
}

#[test]
fn a_journal_of_an_earlier_version_replays_without_samples() {
    let made = Told::in_window(200);
    let (mut events, _) = recorded(&made);
    let at = made.model.now + Span::from_secs(1);
    let held = RunEvent::RunHeld {
        reason: "no data: the run cannot tell health from harm".to_owned(),
        by: Actor::Auto,
        cause: crate::domain::cause::HoldCause::NoData,
    };
    events.push(Envelope { seq: events.len() as u64 + 1, at, event: held });
    // As it was written then: the cause by its sentence alone, and nothing that later versions added.
    let old = |envelope: &Envelope| {
        let mut json = serde_json::to_value(envelope).unwrap();
        let fields = json.as_object_mut().unwrap();
        fields.retain(|name, value| !(value.is_null() || name == "cause"));
        serde_json::from_value::<Envelope>(json).unwrap()
    };
    let events: Vec<Envelope> = events.iter().map(old).collect();
    let mut told = played(screen(Reel::new(events, Kept::default()).unwrap()));
    assert!(told.model.toast.as_ref().is_some_and(|toast| toast.text.contains("no samples were kept")));
    told.esc();
    let text = told.screen(120, 36);
    assert!(text.contains("NO SAMPLES KEPT") && text.contains("paused"), "{text}");
}

#[test]
fn times_that_were_thinned_out_and_what_was_lost_are_said() {
    let (events, moments) = recorded(&Told::rolled_back());
    let from = events[0].at;
    let thinned = Thinned { from, to: from + Span::from_mins(5), grid: Span::from_mins(1) };
    let faults = vec!["the last 7 bytes of samples.cut are no whole block".to_owned()];
    let mut told = screen(Reel::new(events, Kept::new(moments, vec![thinned], faults)).unwrap());
    let toast = told.model.toast.clone().unwrap().text;
    assert!(toast.contains("thinned out") && toast.contains("no whole block"), "{toast}");
    goto(&mut told, "4m");
    let text = told.screen(120, 36);
    assert!(text.contains("THINNED TO 60s"), "{text}");
    goto(&mut told, "6m");
    assert!(!told.screen(120, 36).contains("THINNED"));
}

#[test]
fn a_hostile_report_neither_controls_the_terminal_nor_breaks_the_screen() {
    let evil = "\u{1b}]0;gone\u{7}\u{1b}[2J\u{202e}x\r\n<script>";
    let (events, mut moments) = recorded(&Told::rolled_back());
    let poison = |value: &mut serde_json::Value| {
        fn walk(value: &mut serde_json::Value, evil: &str) {
            match value {
                serde_json::Value::String(text) if text.contains(' ') => *text = format!("{text}{evil}"),
                serde_json::Value::Array(values) => values.iter_mut().for_each(|value| walk(value, evil)),
                serde_json::Value::Object(fields) => fields.values_mut().for_each(|value| walk(value, evil)),
                _ => {}
            }
        }
        walk(value, evil);
    };
    let mut poisoned: Vec<Envelope> = Vec::new();
    for envelope in &events {
        let mut json = serde_json::to_value(envelope).unwrap();
        poison(&mut json);
        poisoned.push(serde_json::from_value(json).unwrap_or_else(|_| envelope.clone()));
    }
    for moment in &mut moments {
        if let Seen::Picture(workload) = &mut moment.seen {
            for slot in workload.slots.values_mut() {
                slot.pods.iter_mut().for_each(|pod| pod.name.push_str(evil));
            }
        }
    }
    let mut told =
        screen(Reel::new(poisoned, Kept::new(moments, Vec::new(), vec![evil.to_owned()])).unwrap());
    told.keys(" ");
    for step in 0..60 {
        for (width, height) in [(120, 36), (60, 15)] {
            let buffer = told.buffer(width, height);
            let text = text_of(&buffer);
            assert!(
                !text.replace('\n', "").contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{text:?}"
            );
        }
        told.press(Key::named(KeyCode::Right));
        if step == 30 {
            update(&mut told.model, Msg::Input(Input::Key(Key::char('m'))));
        }
    }
    view::text(&told.model);
}

/// Events in an order that no engine writes, some twice, some never: nothing panics.
#[test]
fn events_out_of_order_break_nothing() {
    let (events, moments) = recorded(&Told::rolled_back());
    let (first, rest) = events.split_first().unwrap();
    for seed in 0..30usize {
        let mut mixed = vec![first.clone()];
        mixed.extend((0..rest.len()).map(|n| rest[(n * (2 * seed + 1) + seed * seed) % rest.len()].clone()));
        let kept = Kept::new(moments.clone(), Vec::new(), Vec::new());
        let mut told = screen(Reel::new(mixed, kept).unwrap());
        for _ in 0..12 {
            passes(&mut told, 20_000);
            told.screen(120, 36);
        }
    }
}
