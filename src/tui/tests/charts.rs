//! Charts: both limits in sight, gaps as gaps, the switch in each, clock times below; and the screen that stands still.

use ratatui::{buffer::Cell, style::Color};

use super::fixture::{Told, sent};
use crate::{
    config::{
        keymap::{Key, KeyCode},
        theme::{Theme, ThemeChoice},
    },
    domain::{
        event::RunEvent,
        message::{Command, Update},
        metric::{Missing, Sample},
        time::Span,
    },
    tui::{
        model::Layer,
        msg::{Effect, Saved},
        style::Look,
    },
};

/// What was measured in the last minutes, a sample every five seconds, the newest a second ago. `None` is a sample that could
/// not be had.
fn course(told: &mut Told, metric: &str, slot: Option<&str>, values: &[Option<f64>]) {
    let key = (metric.into(), slot.map(Into::into));
    told.model.telemetry.series.remove(&key);
    told.model.telemetry.latest.remove(&key);
    let now = told.model.now;
    let samples = values.iter().enumerate().map(|(n, value)| Sample {
        metric: metric.into(),
        slot: slot.map(Into::into),
        at: now - Span::from_secs(5 * (values.len() - 1 - n) as u64 + 1),
        value: value.ok_or_else(|| Missing::Unreachable("connection refused".to_owned())),
        counts: None,
    });
    let samples = samples.collect();
    told.tell(Update::Samples { samples, backfill: false });
}

/// A value that goes up and down a little.
fn wave(base: f64, part: f64, samples: u64) -> Vec<Option<f64>> {
    let swing = |n: u64| f64::from(u8::try_from(n * 7 % 5).unwrap()) / 2.0 - 1.0;
    (0..samples).map(|n| Some(base * (1.0 + part * swing(n)))).collect()
}

/// The window after some time, measured all along: five minutes of BLUE before the switch, and GREEN since.
pub(super) fn watched(seconds: u64) -> Told {
    let mut told = Told::in_window(seconds);
    let since = told.model.now.since(told.run().moves[0].0).as_secs() / 5;
    for (metric, base, part) in
        [("error_rate", 0.0004, 0.5), ("latency", 0.143, 0.1), ("payments", 0.995, 0.002)]
    {
        let mut old = wave(base, part, 60);
        old.extend(vec![None; usize::try_from(since).unwrap()]);
        course(&mut told, metric, Some("blue"), &old);
        course(&mut told, metric, Some("green"), &wave(base, part, since));
    }
    for (metric, base) in [("transactions", 2300.0), ("db_conns", 41.0)] {
        course(&mut told, metric, None, &wave(base, 0.05, since + 60));
    }
    told
}

/// Nothing can be measured any more, for a minute and a half.
pub(super) fn blind() -> Told {
    let mut told = watched(400);
    let why = Missing::Unreachable("prometheus.payment-system.com:9090 refused the connection".to_owned());
    for n in 0..18 {
        if n == 5 {
            let metric = "error_rate".into();
            told.after(0, RunEvent::TriggerBlind { trigger: 0, metric, why: why.clone() });
            for check in 0..4 {
                told.watching(Some("watch"), check, false, "no data");
            }
        }
        let at = told.model.now + Span::from_secs(5);
        told.tell(Update::Tick { now: at });
        let metrics: Vec<_> = told.run().runbook.metrics.clone();
        let samples = metrics.iter().map(|metric| Sample {
            metric: metric.id.clone(),
            slot: metric.per_slot.then(|| "green".into()),
            at,
            value: Err(why.clone()),
            counts: None,
        });
        let samples = samples.collect();
        told.tell(Update::Samples { samples, backfill: false });
    }
    told
}

/// The error rate climbs past both limits, and payments fall.
fn failing() -> Told {
    let mut told = watched(400);
    let mut errors = wave(0.0004, 0.5, 30);
    errors.extend((0..50).map(|n| Some(0.0004 * 1.1_f64.powi(n))));
    course(&mut told, "error_rate", Some("green"), &errors);
    let mut payments = wave(0.995, 0.002, 60);
    payments.extend((0..20).map(|n| Some(0.99 - 0.004 * f64::from(n))));
    course(&mut told, "payments", Some("green"), &payments);
    told
}

/// The page of charts, with this metric selected.
fn open_chart(told: &mut Told, metric: &str) {
    told.model.layers.clear();
    told.keys("m");
    let metrics = &told.model.run.as_ref().unwrap().runbook.metrics;
    let index = metrics.iter().position(|it| it.id.as_str() == metric).unwrap();
    let Some(Layer::Page(page)) = told.model.layers.last_mut() else { panic!("no page") };
    page.selected = page.order.iter().position(|it| *it == index).unwrap();
}

/// The rows of the chart of a metric: from below its caption to its axis.
fn chart<'a>(screen: &'a str, title: &str) -> Vec<&'a str> {
    let lines = screen.lines().skip_while(|line| !line.trim_start_matches(['▸', ' ']).starts_with(title));
    lines.skip(1).take_while(|line| line.contains(['┤', '│']) || line.contains('└')).collect()
}

fn is_curve(c: char) -> bool {
    ('\u{2801}'..='\u{28ff}').contains(&c)
}

#[test]
fn both_limits_and_the_switch_are_in_every_chart() {
    for (name, made) in [("well", watched(400)), ("failing", failing()), ("blind", blind())] {
        let metrics = made.run().runbook.metrics.clone();
        let mut told = made;
        told.keys("m");
        // One metric at a time, each reached by the key that the line names.
        for _ in 0..metrics.len() {
            let screen = told.screen(80, 24);
            let Some(Layer::Page(page)) = told.model.layers.last() else { panic!("no page") };
            let metric = &metrics[page.order[page.selected]];
            let rows = chart(&screen, &metric.title);
            let count = |text: &str| rows.iter().filter(|row| row.contains(text)).count();
            let limits = [(metric.normal.is_some(), "normal "), (metric.alert.is_some(), "alert ")];
            for (_, word) in limits.into_iter().filter(|(declared, _)| *declared) {
                assert!(count(word) > 0, "{name}: no {word}line of {}:\n{screen}", metric.title);
            }
            assert!(count("┆") > 3, "{name}: no switch in {}:\n{screen}", metric.title);
            let next = &metrics[page.order[(page.selected + 1) % metrics.len()]].title;
            assert!(screen.contains(&format!(" j next metric: {next}")), "{name}:\n{screen}");
            told.keys("j");
        }
        let screen = told.screen(200, 60);
        for metric in &metrics {
            assert!(screen.contains(&format!("{}  ", metric.title)), "{}:\n{screen}", metric.title);
        }
        let clocks = screen.lines().filter(|line| line.trim_start().starts_with("UTC ")).count();
        assert_eq!(
            clocks, 1,
            "one line of clock times for all charts beside and below each other:\n{screen}"
        );
    }
}

#[test]
fn the_worst_metric_is_charted_first() {
    let mut told = failing();
    // What a trigger counts against comes before what is as bad.
    assert!(told.screen(120, 36).contains(" Error rate  GREEN 4.27 % ALERT"), "{}", told.screen(120, 36));
    course(&mut told, "error_rate", Some("green"), &wave(0.0004, 0.5, 90));
    let screen = told.screen(120, 36);
    assert!(chart(&screen, "Payments ok").len() > 4 && chart(&screen, "Error rate").len() > 4, "{screen}");
    let place = |title: &str| screen.rfind(&format!("\n{title}")).unwrap();
    assert!(place(" Payments ok  ") < place(" Error rate  "), "{screen}");
    told.keys("m");
    assert!(told.screen(80, 24).contains(" Payments ok  GREEN 91.4 % ALERT, ≤ 5 s old"));
}

#[test]
fn a_gap_stays_a_gap() {
    let mut told = watched(400);
    let mut values = wave(0.143, 0.1, 30);
    values.extend(vec![None; 24]);
    values.extend(wave(0.143, 0.1, 26));
    course(&mut told, "latency", Some("green"), &values);
    open_chart(&mut told, "latency");
    let screen = told.screen(80, 24);
    let rows = chart(&screen, "p95 latency");
    let (curve, axis) = rows.split_at(rows.len() - 1);
    let drawn = |column: usize| curve.iter().any(|row| row.chars().nth(column).is_some_and(is_curve));
    let from = 16;
    let first = (from..80).find(|column| drawn(*column)).unwrap();
    let last = (from..80).rev().find(|column| drawn(*column)).unwrap();
    let blank: Vec<usize> = (first..last).filter(|column| !drawn(*column)).collect();
    // Two minutes of ten, on 64 columns.
    assert!((10..=14).contains(&blank.len()), "{blank:?}\n{screen}");
    assert!(blank.windows(2).all(|pair| pair[0] + 1 == pair[1]), "one gap: {blank:?}\n{screen}");
    let axis: Vec<char> = axis[0].chars().collect();
    let holes = blank.iter().filter(|column| matches!(axis[**column], ' ' | '╷')).count();
    assert!(holes + 2 >= blank.len(), "the axis has a hole there:\n{screen}");
    assert!(matches!(axis[first + 1], '─' | '┬') && matches!(axis[last], '─' | '┬'), "{screen}");
}

#[test]
fn a_single_lost_sample_is_not_joined_over_and_one_that_never_came_neither() {
    let mut told = watched(100);
    let mut values = wave(0.143, 0.0, 10);
    values.push(None);
    values.extend(wave(0.143, 0.0, 10));
    course(&mut told, "latency", Some("green"), &values);
    let breaks = |told: &mut Told| {
        open_chart(told, "latency");
        // As little time as can be shown: a sample has several columns.
        told.keys("++++++++");
        let screen = told.screen(80, 24);
        let rows = chart(&screen, "p95 latency");
        let row = rows.iter().find(|row| row.chars().filter(|c| is_curve(*c)).count() > 10);
        let row = row.unwrap_or_else(|| panic!("{screen}")).chars();
        let curve: String = row.map(|c| if is_curve(c) { '#' } else { ' ' }).collect();
        curve.split_whitespace().count()
    };
    assert_eq!(breaks(&mut told), 2);
    // Nothing came for half a minute: the engine was away, and nobody knows.
    let key = ("latency".into(), Some("green".into()));
    told.model.telemetry.series.remove(&key);
    told.sample("latency", Some("green"), &[0.143, 0.143]);
    told.wait(30);
    told.sample("latency", Some("green"), &[0.143, 0.143]);
    assert_eq!(breaks(&mut told), 2);
}

#[test]
fn only_the_part_of_a_curve_that_is_outside_has_a_colour() {
    let mut told = failing();
    told.keys("m");
    let buffer = told.buffer(80, 24);
    let cells = buffer.content.iter().filter(|cell| cell.symbol().chars().all(is_curve));
    let mut colours: Vec<Color> = cells.map(|cell| cell.fg).collect();
    colours.sort_by_key(|colour| format!("{colour:?}"));
    colours.dedup();
    let look = told.model.look;
    let ink = |style: ratatui::style::Style| style.fg.unwrap_or(Color::Reset);
    let mut wanted = [ink(look.alert()), ink(look.warn()), ink(look.text())];
    wanted.sort_by_key(|colour| format!("{colour:?}"));
    assert_eq!(colours, wanted);
    let mut told = watched(400);
    told.keys("m");
    let buffer = told.buffer(80, 24);
    let mut curve = buffer.content.iter().filter(|cell| cell.symbol().chars().all(is_curve));
    assert!(curve.all(|cell| cell.fg == Color::Reset), "what is well has no colour");
}

#[test]
fn a_sparkline_is_dim_but_for_its_bad_part() {
    let mut told = failing();
    told.after(1, RunEvent::WindowAdvanced { step: "watch".into(), watched: Span::from_secs(401) });
    let bar = |symbol: &str| "▁▂▃▄▅▆▇█".contains(symbol) && !symbol.is_empty();
    // The window's table, and the pane of metrics after the end.
    for (mut told, line) in [(told, " ✖ Error rate"), (Told::rolled_back(), " Error rate")] {
        if line == " Error rate" {
            let mut errors = wave(0.0004, 0.5, 20);
            errors.extend([0.002, 0.05, 0.05, 0.0004, 0.0004].map(Some));
            course(&mut told, "error_rate", Some("blue"), &errors);
        }
        let buffer = told.buffer(120, 36);
        let screen = told.screen(120, 36);
        let y = screen.lines().position(|text| text.starts_with(line)).unwrap();
        let bars: Vec<_> = (0..120)
            .map(|x| &buffer[(x, u16::try_from(y).unwrap())])
            .filter(|cell| bar(cell.symbol()))
            .collect();
        let look = told.model.look;
        let drawn = |cell: &Cell, style: ratatui::style::Style| {
            cell.fg == style.fg.unwrap_or(Color::Reset) && cell.modifier.contains(style.add_modifier)
        };
        let loud = bars.iter().filter(|cell| drawn(cell, look.alert()) || drawn(cell, look.warn())).count();
        let dim = bars.iter().filter(|cell| drawn(cell, look.dim())).count();
        assert!(loud > 0 && dim > loud / 2 && loud + dim == bars.len(), "{line}: {loud} {dim}\n{screen}");
    }
}

#[test]
fn a_plain_terminal_gets_signs_of_its_own_for_everything_that_is_drawn() {
    let all = vec![watched(400), failing(), blind(), Told::in_breach(), Told::rolled_back()];
    for mut told in all {
        for keys in ["", "m"] {
            told.model.layers.clear();
            told.keys(keys);
            for (width, height) in [(80, 24), (120, 36), (200, 60)] {
                let questions = |screen: &str| screen.matches('?').count();
                told.model.look = Look(Theme::new(ThemeChoice::Dark, true, false));
                let whole = told.screen(width, height);
                told.model.look = Look(Theme::new(ThemeChoice::Mono, false, true));
                let plain = told.screen(width, height);
                assert!(plain.is_ascii());
                assert_eq!(questions(&whole), questions(&plain), "{plain}");
            }
        }
    }
}

#[test]
fn time_is_zoomed_and_moved_and_the_past_is_told_as_such() {
    let mut told = watched(880);
    told.keys("m");
    let note = |told: &mut Told| {
        told.screen(80, 24).lines().find(|line| line.contains("▸Metrics")).unwrap().to_owned()
    };
    assert!(note(&mut told).contains("last 20 min"), "{}", note(&mut told));
    told.keys("+");
    assert!(note(&mut told).contains("last 15 min"));
    told.press(Key::named(KeyCode::Left));
    let past = note(&mut told);
    assert!(past.contains("PAST: 14:05 to 14:20 UTC, ends 3:33 ago"), "{past}");
    assert!(told.screen(80, 24).contains(" 0 back to now"));
    // It is of the past, and stays where it is while time goes on.
    told.wait(60);
    assert!(note(&mut told).contains("PAST: 14:05 to 14:20 UTC, ends 4:33 ago"), "{}", note(&mut told));
    told.press(Key::named(KeyCode::Right));
    told.press(Key::named(KeyCode::Right));
    assert!(note(&mut told).contains("last 15 min"), "it has come back to now: {}", note(&mut told));
    told.keys("h-");
    assert!(note(&mut told).contains("PAST: "));
    told.keys("0");
    assert!(note(&mut told).contains("last "));
    // Before the oldest value there is nothing to go to, and the key is not offered.
    for _ in 0..40 {
        told.keys("h");
    }
    let screen = told.screen(200, 60);
    assert!(!screen.lines().last().unwrap().contains("earlier"), "{screen}");
    assert!(screen.chars().any(is_curve), "the oldest value is in sight:\n{screen}");
    // A page that is opened again shows now.
    told.esc();
    told.keys("m");
    assert!(note(&mut told).contains("last "));
}

#[test]
fn what_is_frozen_stands_still_and_what_decides_goes_on() {
    let mut told = watched(400);
    told.keys("z");
    let before = told.screen(120, 36);
    let pane = |screen: &str| screen.lines().skip(7).take(26).map(str::to_owned).collect::<Vec<_>>();
    // A breach begins, and samples come.
    told.wait(20);
    let since = told.model.now;
    told.after(
        0,
        RunEvent::TriggerBreaching {
            trigger: 0,
            reason: "error rate 5 %".to_owned(),
            metric: "error_rate".into(),
            value: 0.05,
            since,
        },
    );
    told.wait(22);
    told.sample("error_rate", Some("green"), &[0.05, 0.05, 0.05]);
    let after = told.screen(120, 36);
    assert!(
        after.contains(" FROZEN 0:42 ") && after.contains("BREACH: Error rate 5 % (alert > 1 %)"),
        "{after}"
    );
    assert!(after.lines().nth(2).unwrap().contains("error rate 5 % ALERT"), "the header is of now:\n{after}");
    let row = |screen: &str| screen.lines().find(|line| line.contains(" Error rate   ")).unwrap().to_owned();
    assert_eq!(row(&before), row(&after), "the table stands still");
    assert!(!pane(&after).iter().any(|line| line.contains("5 % ALERT")), "{after}");
    // Dialogs are of now.
    told.keys("R");
    assert!(told.screen(120, 36).contains("error rate 5 % for 0:22"), "{}", told.screen(120, 36));
    told.esc();
    assert!(told.screen(80, 24).contains(" z go live"), "{}", told.screen(80, 24));
    told.keys("z");
    let live = told.screen(120, 36);
    assert!(!live.contains("FROZEN") && row(&live).contains("5 %"), "{live}");
}

#[test]
fn frozen_logs_stand_still_and_another_pods_log_comes_once() {
    let mut told = Told::in_breach();
    told.keys("l");
    told.logs();
    told.keys("z");
    let before = told.screen(80, 24);
    told.wait(3);
    told.tell(Update::Logs { slot: "green".into(), lines: Ok(Vec::new()) });
    let page = |screen: &str| screen.lines().skip(7).take(14).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(page(&before), page(&told.screen(80, 24)));
    // Lines that are not there yet are shown once.
    assert!(matches!(&sent(told.keys(" "))[..], [Command::Logs { pod: Some(_), .. }]));
    assert!(told.screen(80, 24).contains("Asking for it"));
    told.logs();
    let first = told.screen(80, 24);
    assert!(first.contains("INFO POST"), "{first}");
    told.tell(Update::Logs { slot: "green".into(), lines: Ok(Vec::new()) });
    assert_eq!(page(&first), page(&told.screen(80, 24)));
}

#[test]
fn a_tick_redraws_little_and_less_when_frozen() {
    let changed = |told: &mut Told, seconds: u64| -> usize {
        let mut most = 0;
        for _ in 0..seconds {
            let before = told.buffer(120, 36);
            told.wait(1);
            let after = told.buffer(120, 36);
            most += before.content.iter().zip(&after.content).filter(|(a, b)| a != b).count();
        }
        most
    };
    let mut told = watched(400);
    let live = changed(&mut told, 10);
    // What is not measured for too long is told, frozen or not.
    told.healthy("green");
    told.keys("z");
    let frozen = changed(&mut told, 10);
    // Clocks and the strip's bar, and nothing of the charts; frozen, one clock more.
    assert!(live < 120 && frozen < 80, "{live} cells in ten seconds, {frozen} frozen");
}

#[test]
fn the_screen_is_kept_as_text() {
    let saves = |effects: Vec<Effect>| {
        effects.contains(&Effect::Save { name: "screen".to_owned(), what: Saved::Screen })
    };
    let mut told = watched(400);
    assert!(saves(told.keys("W")));
    told.keys(":save");
    assert!(saves(told.enter()) && told.model.layers.is_empty());
    // Also for whoever only looks on, and over a page.
    told.model.options.read_only = true;
    told.keys("m");
    assert!(saves(told.keys("W")));
    let text = crate::tui::view::text(&told.model);
    assert!(text.starts_with("cutover run 20261120-140000-abcd at 2026-11-20T14:"), "{text}");
    assert!(text.contains("PRODUCTION") && !text.contains('\u{1b}'), "{text}");
    // The path is told whole, however long it is.
    let path =
        format!("/home/alice/.local/state/cutover/runs/20261120-140000-abcd/{}-140502.txt", "x".repeat(60));
    crate::tui::update::update(&mut told.model, crate::tui::msg::Msg::Saved(Ok(path.clone())));
    let screen = told.screen(80, 24);
    let told_path: String = screen.lines().skip(18).map(str::trim).collect();
    assert!(told_path.contains(&path), "{screen}");
}

#[test]
fn lines_of_a_log_are_wrapped_timed_hidden_and_saved() {
    let mut told = Told::in_breach();
    told.keys("l");
    told.logs();
    let long = "GET /health 200 and a very long story of what that was good for, which ends only HERE";
    if let Some(Ok(lines)) = told.model.telemetry.logs.get_mut("green") {
        lines.last_mut().unwrap().text = long.to_owned();
    }
    assert!(!told.screen(80, 24).contains("HERE"));
    told.keys("w");
    assert!(told.screen(80, 24).contains("HERE"), "{}", told.screen(80, 24));
    told.keys("T");
    let screen = told.screen(80, 24);
    assert!(screen.contains(" 14:15:45 7f9c5d-"), "{screen}");
    assert!(screen.contains("w no wrap") && screen.contains("T no times"), "{screen}");
    told.keys("/!post");
    told.enter();
    let screen = told.screen(80, 24);
    assert!(!screen.contains("POST") && screen.contains("/!post hides 53 of 60 lines"), "{screen}");
    let effects = told.keys("W");
    let [Effect::Save { name, what: Saved::Lines(lines) }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((name.as_str(), lines.len()), ("log-green", 7));
    assert!(lines[6].starts_with("2026-11-20T14:1") && lines[6].ends_with(long), "{}", lines[6]);
    assert!(lines[0].contains(" backend-green-7f9c5d-"), "{}", lines[0]);
    // Several words, each hides its lines.
    told.keys("/");
    for _ in 0..20 {
        told.press(Key::named(KeyCode::Backspace));
    }
    told.keys("!post !health");
    told.enter();
    assert!(told.screen(80, 24).contains("hides 54 of 60 lines"), "{}", told.screen(80, 24));
    // Searching for nothing brings them back.
    told.keys("/");
    told.enter();
    assert!(told.screen(80, 24).contains("POST"));
}
