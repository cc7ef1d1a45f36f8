//! Help says what can be done at this moment, whole, on every screen.

use super::{fixture::Told, screens::states};
use crate::{
    config::keymap::{Key, KeyCode},
    tui::{
        model::{Layer, page::PageKind},
        offer::{self, By},
        pages,
        widget::row::Row,
    },
};

/// The first section of help in a state, as one text.
fn now(told: &mut Told, width: u16) -> String {
    told.model.size = (width, 24);
    told.keys("?");
    let Some(Layer::Page(page)) = told.model.layers.last() else { panic!("no page") };
    assert_eq!(page.kind, PageKind::Help);
    let rows: Vec<String> =
        pages::rows(&told.model, page, usize::from(width)).iter().map(Row::text).collect();
    assert_eq!(rows[0], " Now");
    assert!(rows.iter().all(|row| row.chars().count() <= usize::from(width)), "{rows:#?}");
    let section = rows.iter().skip(1).take_while(|row| !row.is_empty());
    section.map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn its_first_section_has_exactly_what_is_offered() {
    for (name, made) in states() {
        // In a text field the key is a letter, in a dialog it is none; on help itself it closes it.
        let asks = offer::offers(&made.model).iter().any(|it| it.is(crate::config::keymap::KeyAction::Help));
        if !asks || name == "help" {
            continue;
        }
        let context = made.model.context();
        for width in [40, 80, 120] {
            let mut told = made.clone();
            told.model.size = (width, 24);
            let offers = offer::offers(&told.model);
            let shown = now(&mut told, width);
            let mut lines = 0;
            for offer in &offers {
                let Some(label) = offer.label_in(&told.model, context) else { continue };
                let about = match (&offer.by, offer.words.first()) {
                    (_, Some(words)) => words.clone(),
                    (By::Key(action), None) => action.about().to_owned(),
                    (By::Command(_), None) => String::new(),
                };
                lines += usize::from(!offer.words.is_empty() || !offer.word.is_empty());
                // Wrapped or not, in order: key, and what it does.
                let all = words(&shown);
                for part in words(&label).into_iter().chain(words(&about)) {
                    let there =
                        all.iter().any(|word| word.trim_end_matches(',') == part.trim_end_matches(','));
                    assert!(
                        there || width == 40,
                        "{name} at {width}: {label}: {about}: no {part} in\n{shown}"
                    );
                }
            }
            // And nothing else: a key begins a line, further lines of its words do not.
            let begun =
                shown.lines().filter(|line| line.starts_with("   ") && !line.starts_with("    ")).count();
            let grouped = offers.len() - lines;
            assert!(
                begun >= lines && begun <= lines + grouped,
                "{name} at {width}: {begun} of {lines}\n{shown}"
            );
        }
    }
}

#[test]
fn it_is_whole_on_a_small_screen() {
    for (name, made) in states() {
        let mut told = made;
        told.model.layers.clear();
        told.screen(40, 10);
        told.keys("?");
        let mut seen = String::new();
        for _ in 0..400 {
            let screen = told.screen(40, 10);
            seen.push_str(&screen);
            assert!(screen.contains("Keys and signs"), "{name}:\n{screen}");
            told.press(Key::named(KeyCode::Down));
            if told.screen(40, 10) == screen {
                break;
            }
        }
        let Some(Layer::Page(page)) = told.model.layers.last() else { panic!("{name}: no page") };
        for row in pages::rows(&told.model, page, 40) {
            let text = row.text();
            assert!(text.chars().count() <= 40, "{name}: {text:?}");
            assert!(seen.contains(text.trim_end()), "{name}: {text:?} is never seen");
        }
        told.esc();
        // The opening's question comes back by itself.
        assert!(!matches!(told.model.layers.last(), Some(Layer::Page(_))), "{name}");
    }
}

#[test]
fn it_begins_with_what_the_screen_beneath_offers() {
    let mut told = Told::in_breach();
    let shown = now(&mut told, 80);
    assert!(shown.contains('R'), "{shown}");
    assert!(shown.contains("roll back now: "), "{shown}");
    let mut told = Told::in_breach();
    told.keys("l");
    let shown = now(&mut told, 80);
    assert!(shown.contains("next slot or pod") && !shown.contains("roll back now"), "{shown}");
}
