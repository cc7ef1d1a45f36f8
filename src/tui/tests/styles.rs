//! How the states look, not only what they say: each colour and attribute with the texts that have it, line by line. A red
//! band that turns grey shows here.

use std::fmt::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

use super::{fixture::Told, screens::states};
use crate::{
    config::theme::{Ground, Theme, ThemeChoice, contrast, luminance},
    domain::{
        event::RunEvent,
        message::Update,
        metric::{Missing, Sample},
    },
    tui::style::{Look, linked},
};

/// The fifteen states that a person must read at a glance.
const READ_AT_A_GLANCE: [&str; 15] = [
    "question",
    "checklist",
    "running",
    "failed",
    "before_switch",
    "switch_confirmation",
    "window",
    "breach",
    "countdown",
    "blind",
    "rollback_dialog",
    "rolling_back",
    "rolled_back",
    "finished",
    "incident",
];

fn blind() -> Told {
    let mut told = Told::in_window(400);
    let why = Missing::Unreachable("connection refused".to_owned());
    let at = told.model.now;
    let sample = Sample {
        metric: "error_rate".into(),
        slot: Some("green".into()),
        at,
        value: Err(why.clone()),
        counts: None,
    };
    told.tell(Update::Samples { samples: vec![sample], backfill: false });
    told.after(25, RunEvent::TriggerBlind { trigger: 0, metric: "error_rate".into(), why });
    told
}

/// A colour by the name that it has in the themes.
fn name(colour: Color) -> String {
    match colour {
        Color::Reset => String::new(),
        Color::Indexed(16) => "black".to_owned(),
        Color::Indexed(231) => "white".to_owned(),
        Color::Indexed(210) => "red".to_owned(),
        Color::Indexed(160) => "deep red".to_owned(),
        Color::Indexed(221) => "yellow".to_owned(),
        Color::Indexed(114) => "green".to_owned(),
        Color::Indexed(111) => "blue".to_owned(),
        Color::Indexed(80) => "cyan".to_owned(),
        Color::Indexed(116) => "pale cyan".to_owned(),
        Color::Indexed(90) => "purple".to_owned(),
        Color::Indexed(248) => "grey".to_owned(),
        Color::Indexed(242) => "dark grey".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// How a cell looks, in words; nothing for plain text.
fn look_of(cell: &Cell) -> String {
    let attributes = [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::UNDERLINED, "underlined"),
        (Modifier::REVERSED, "reversed"),
    ];
    let mut words: Vec<String> = attributes
        .into_iter()
        .filter(|(modifier, _)| cell.modifier.contains(*modifier))
        .map(|(_, word)| word.to_owned())
        .collect();
    words.push(name(cell.fg));
    if cell.bg != Color::Reset {
        words.push(format!("on {}", name(cell.bg)));
    }
    if linked(cell.underline_color).is_some() {
        words.push("linked".to_owned());
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// Each look with the texts that have it, in the order in which they come.
fn looks(buffer: &Buffer) -> String {
    let mut found: Vec<(String, String)> = Vec::new();
    for (y, line) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        for piece in line.chunk_by(|one, other| look_of(one) == look_of(other)) {
            let look = piece.first().map(look_of).unwrap_or_default();
            let text: String = piece.iter().map(Cell::symbol).collect();
            // Rules are the same everywhere.
            let rule = text.chars().all(|c| matches!(c, ' ' | '─' | '│' | '┬' | '┴' | '┼'));
            if look.is_empty() || (rule && !look.contains("on ") && !look.contains("reversed")) {
                continue;
            }
            let at = found.iter().position(|(known, _)| *known == look).unwrap_or_else(|| {
                found.push((look, String::new()));
                found.len() - 1
            });
            // Writing to a String cannot fail.
            let _ = writeln!(found[at].1, "{:>4}  {}", y + 1, text.trim());
        }
    }
    found.into_iter().map(|(look, texts)| format!("{look}\n{texts}")).collect::<Vec<_>>().concat()
}

#[test]
fn every_state_has_its_colours() {
    let mut states = states();
    states.push(("blind", blind()));
    for wanted in READ_AT_A_GLANCE {
        let (_, told) = states.iter_mut().find(|(name, _)| *name == wanted).unwrap();
        insta::assert_snapshot!(format!("{wanted}_looks"), looks(&told.buffer(80, 24)));
    }
}

/// A colour of the cube or the greys of the 256.
fn cube(index: u8) -> [u8; 3] {
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..=15 => panic!("{index} is the palette's"),
        16..=231 => [level((index - 16) / 36), level((index - 16) / 6 % 6), level((index - 16) % 6)],
        232..=255 => [8 + 10 * (index - 232); 3],
    }
}

/// Roles are readable by themselves; this is about what becomes of them where one is drawn over another.
#[test]
fn every_word_on_every_screen_is_readable() {
    let luminance_of = |colour: Color| match colour {
        Color::Indexed(index) => luminance(cube(index)),
        other => panic!("{other:?}"),
    };
    for (ground, behind) in [(Ground::Dark, [0x2e, 0x34, 0x36]), (Ground::Light, [0xee, 0xee, 0xee])] {
        for choice in [ThemeChoice::Auto, ThemeChoice::ColourBlind, ThemeChoice::HighContrast] {
            for (state, mut told) in states() {
                told.model.look = Look(Theme::new(choice, true, false).on(ground));
                for (width, height) in [(60, 15), (80, 24), (120, 36)] {
                    let buffer = told.buffer(width, height);
                    for (at, cell) in buffer.content.iter().enumerate() {
                        let text = cell.symbol().chars().any(char::is_alphanumeric);
                        // What lies behind a dialog is not what is read; the terminal's own colours are its user's.
                        if !text || cell.modifier.contains(Modifier::DIM) || cell.fg == Color::Reset {
                            assert!(!text || cell.fg != Color::Reset || cell.bg == Color::Reset, "{state}");
                            continue;
                        }
                        let ground =
                            if cell.bg == Color::Reset { luminance(behind) } else { luminance_of(cell.bg) };
                        let found = contrast(luminance_of(cell.fg), ground);
                        let row = at / usize::from(width);
                        assert!(
                            found >= 4.5,
                            "{choice:?}, {state}, line {row}: {} {found:.1}:1",
                            cell.symbol()
                        );
                    }
                }
            }
        }
    }
}

/// A theme may give what is bad a ground of its own: numbers stand on it, the blanks that align them do not.
#[test]
fn blanks_before_a_number_have_no_ground() {
    for choice in [ThemeChoice::HighContrast, ThemeChoice::ColourBlind] {
        let mut told = Told::in_breach();
        told.model.look = Look(Theme::new(choice, true, false));
        let buffer = told.buffer(80, 24);
        let plain = buffer[(79, 23)].bg;
        let lines = buffer.content.chunks(80);
        let text = |line: &&[Cell]| line.iter().map(Cell::symbol).collect::<String>();
        let line = lines.clone().find(|line| text(line).contains("✖ Error rate")).unwrap();
        let filled: Vec<usize> =
            (0..80).filter(|x| line[*x].symbol() == " " && line[*x].bg != plain).collect();
        // A number's own blank, before its unit, is part of it.
        let apart = filled.iter().filter(|x| line[**x - 1].symbol() == " " || line[**x + 1].symbol() == " ");
        assert_eq!(apart.count(), 0, "{choice:?}: {filled:?} in {}", text(&line));
    }
}

/// With `CUTOVER_PICTURES` set to a directory, what each theme makes of a few states is kept there as a terminal would get it.
#[test]
fn every_theme_draws_every_state() {
    let pictures = std::env::var_os("CUTOVER_PICTURES").map(std::path::PathBuf::from);
    let themes = ThemeChoice::WORDS.iter().filter_map(|word| Some((*word, ThemeChoice::from_word(word)?)));
    for (word, choice) in themes {
        for many in [true, false] {
            for ground in [Ground::Dark, Ground::Light] {
                let look = Look(Theme::new(choice, many, false).on(ground));
                for (state, mut told) in states() {
                    told.model.look = look;
                    let buffer = told.buffer(80, 24);
                    let coloured =
                        buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
                    assert_eq!(coloured, choice != ThemeChoice::Mono, "{word}, {state}");
                    let Some(pictures) = &pictures else { continue };
                    // All states as most people see them, a few with every theme.
                    let usual = (word, many, ground) == ("dark", true, Ground::Dark);
                    if !usual && !["window", "breach", "rollback_dialog"].contains(&state) {
                        continue;
                    }
                    for (width, height) in [(60, 15), (80, 24), (120, 36)] {
                        let colours = if many { 256 } else { 16 };
                        let file = format!("{word}_{ground:?}_{colours}_{state}_{width}x{height}.ans");
                        std::fs::write(pictures.join(file), bytes(&mut told, width, height)).unwrap();
                    }
                }
            }
        }
    }
}

/// A frame as a terminal gets it.
fn bytes(told: &mut Told, width: u16, height: u16) -> Vec<u8> {
    use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend};
    crossterm::style::force_color_output(true);
    let drawn = told.buffer(width, height);
    let mut bytes = Vec::new();
    let options = TerminalOptions { viewport: Viewport::Fixed(drawn.area) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut bytes), options).unwrap();
    terminal.draw(|frame| crate::tui::view::draw(&told.model, frame.buffer_mut())).unwrap();
    drop(terminal);
    bytes
}
