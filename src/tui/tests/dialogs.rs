//! Dialogs leave the header as it is, let what is behind recede, and can be read whole on every screen.

use ratatui::style::{Color, Modifier};

use super::{fixture::Told, screens::states};
use crate::{
    config::keymap::{Key, KeyCode},
    tui::model::Layer,
};

fn dialogs() -> Vec<(&'static str, Told)> {
    let is_dialog =
        |told: &Told| matches!(told.model.layers.last(), Some(Layer::Form(_) | Layer::Rollback(_)));
    let found: Vec<_> = states().into_iter().filter(|(_, told)| is_dialog(told)).collect();
    assert!(found.len() > 6);
    found
}

#[test]
fn the_header_stays_and_what_is_behind_recedes() {
    for (name, mut told) in dialogs() {
        for (width, height) in [(80, 24), (120, 36), (200, 60)] {
            let with = told.buffer(width, height);
            let mut without = told.clone();
            while matches!(without.model.layers.last(), Some(Layer::Form(_) | Layer::Rollback(_))) {
                without.model.layers.pop();
            }
            let without = without.buffer(width, height);
            let line = |y: u16| (0..width).map(move |x| (x, y));
            // But for the rollback's key: in a dialog it is a letter, so ESC comes first.
            let key = |at: &(u16, u16)| at.1 == 3 && (0..=at.0).any(|x| without[(x, 3)].symbol() == "k");
            for at in (0..5).flat_map(line).filter(|at| !key(at)) {
                assert_eq!(with[at], without[at], "{name} at {width}x{height}: {at:?}");
            }
            // Above the box, below the header: the same signs, in one colour and on no ground of their own.
            let dim: Vec<_> = with.content.iter().filter(|cell| cell.modifier == Modifier::DIM).collect();
            assert!(!dim.is_empty() || width == 80, "{name} at {width}x{height}");
            let same = |cell: &&ratatui::buffer::Cell| cell.bg == Color::Reset && cell.fg == dim[0].fg;
            assert!(dim.iter().all(same), "{name} at {width}x{height}");
        }
    }
}

#[test]
fn a_long_one_scrolls_and_says_how() {
    let mut scrolled = 0;
    for (name, mut told) in dialogs() {
        for (width, height) in [(60, 15), (80, 24)] {
            let mut screen = told.screen(width, height);
            if screen.contains(" more, PGUP") {
                scrolled += 1;
            }
            for _ in 0..12 {
                told.press(Key::named(KeyCode::PageDown));
                let next = told.screen(width, height);
                if next == screen {
                    break;
                }
                screen = next;
            }
            assert!(!screen.contains(" more, PGUP"), "{name} at {width}x{height}:\n{screen}");
            if screen.contains(" above, PGUP") {
                // However often it was pressed at the end: the first key back goes back.
                for _ in 0..5 {
                    told.press(Key::named(KeyCode::PageDown));
                }
                told.press(Key::named(KeyCode::PageUp));
                assert_ne!(told.screen(width, height), screen, "{name} at {width}x{height}");
            }
            for _ in 0..12 {
                told.press(Key::named(KeyCode::PageUp));
            }
            let first = told.screen(width, height);
            assert!(!first.contains(" above, PGUP"), "{name} at {width}x{height}:\n{first}");
        }
    }
    assert!(scrolled > 2, "none was long");
}
