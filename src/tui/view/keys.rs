//! The last two lines: what the keys do, from the list of offers. The line has those with words, ENTER first, as many as
//! fit; the footer has the others.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    config::keymap::KeyAction,
    tui::{
        commands,
        model::{Layer, Model, page::Page},
        offer::{self, By, Offer},
        style::Look,
        widget::row::Row,
    },
};

/// Both lines.
pub(super) fn draw(model: &Model, line: Rect, footer: Rect, buffer: &mut Buffer) {
    let offers = offer::offers(model);
    let (row, told) = line_of(model, &offers, usize::from(line.width));
    row.fit(usize::from(line.width)).draw(line, buffer);
    footer_of(model, &offers, &told, usize::from(footer.width)).draw(footer, buffer);
}

/// The line alone, for screens that have no room for more.
pub(super) fn line(model: &Model, width: usize) -> Row {
    line_of(model, &offer::offers(model), width).0.fit(width)
}

/// The line, and which offers it has.
fn line_of(model: &Model, offers: &[Offer], width: usize) -> (Row, Vec<By>) {
    let look = model.look;
    let typed = |sign: &'static str, input: &tui_input::Input| {
        Row::of(sign, look.key())
            .put(input.value(), look.strong())
            .put("█", look.dim())
            .put("  ", look.text())
    };
    match model.layers.last() {
        Some(Layer::Command(input)) => {
            let help = commands::help(model.replays(), input.value());
            return (typed(" :", input).put(help, look.dim()), Vec::new());
        }
        Some(Layer::Search(input)) => {
            let hides = model.page().is_some_and(Page::is_log);
            let help = if hides { "a word to go to, or !word to hide its lines" } else { "" };
            return (typed(" /", input).put(help, look.dim()), Vec::new());
        }
        Some(Layer::Form(_) | Layer::Rollback(_) | Layer::Page(_)) | None => {}
    }
    let worded: Vec<(&Offer, String)> = offers
        .iter()
        .filter(|offer| !offer.words.is_empty())
        .filter_map(|offer| Some((offer, offer.label(model)?)))
        .collect();
    let wide = |key: &str, words: &str| key.width() + words.width() + "   ".len();
    // Each in its shortest form, as long as there is room; then the first ones as long as they may be.
    let mut taken: Vec<(&Offer, &String, usize)> = Vec::new();
    let mut used = 0;
    for (offer, key) in &worded {
        let last = offer.words.len() - 1;
        let more = wide(key, &offer.words[last]);
        if !taken.is_empty() && used + more > width {
            continue;
        }
        used += more;
        taken.push((offer, key, last));
    }
    for (offer, _, form) in &mut taken {
        let shortest = offer.words[*form].width();
        let room = width.saturating_sub(used) + shortest;
        if let Some(longer) = offer.words.iter().position(|words| words.width() <= room) {
            used = used - shortest + offer.words[longer].width();
            *form = longer;
        }
    }
    let row = taken.iter().fold(Row::new(), |row, (offer, key, form)| {
        row.join(does(look, key, &offer.words[*form], offer.does == offer::Does::Wait))
    });
    (row, taken.iter().map(|(offer, ..)| offer.by.clone()).collect())
}

/// A key, and what it does.
fn does(look: Look, key: &str, words: &str, waits: bool) -> Row {
    Row::of(" ", look.text())
        .put(key, look.key())
        .put(" ", look.text())
        .put(words, if waits { look.text() } else { look.next() })
        .put(" ", look.text())
}

fn footer_of(model: &Model, offers: &[Offer], told: &[By], width: usize) -> Row {
    let look = model.look;
    let hint = |offer: &Offer| -> Option<Row> {
        if offer.word.is_empty() || told.contains(&offer.by) {
            return None;
        }
        let key = offer.label(model).filter(|_| matches!(offer.by, By::Key(_)))?;
        Some(
            Row::of(" ", look.text())
                .put(key, look.key())
                .put(" ", look.text())
                .put(offer.word.clone(), look.dim())
                .put(" ", look.text()),
        )
    };
    let is_last = |offer: &&Offer| matches!(offer.by, By::Key(KeyAction::Help | KeyAction::Quit));
    let end = offers.iter().filter(is_last).filter_map(hint).fold(Row::new(), Row::join);
    let mut row = Row::new();
    for next in offers.iter().filter(|offer| !is_last(offer)).filter_map(hint) {
        if row.width() + next.width() + end.width() > width {
            break;
        }
        row = row.join(next);
    }
    row.join(end)
}
