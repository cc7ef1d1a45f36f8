//! What every key does now: the one list that the line above the footer, the footer, alerts and the keys themselves come from.
//!
//! An offer names its key, says what it does, and holds the very thing that it does. A key that is not offered does nothing.
//! What starts something is done as it was shown: where the screen has changed since, nothing is done.

mod due;
mod enter;
mod layer;
pub mod panes;
mod replay;
mod why;

use super::{
    layout,
    model::{Layer, Model, page::PageKind},
};
use crate::config::keymap::{Context, KeyAction};

pub use super::model::offer::{By, Does, Offer};

pub use due::{check_due, checks_of_person, undo_target};
pub use enter::confirm_words;
pub use layer::choices;
pub use why::{why_not, with_shift};

/// What a key that would act on a run says in a replay.
pub const REPLAY_ONLY: &str = "this is a replay: nothing here changes the run";

/// What can be done now, in the order of the line above the footer and of the footer.
pub fn offers(model: &Model) -> Vec<Offer> {
    offers_of(model, model.layers.last())
}

/// What can be done once help is closed, and the keys that count there.
pub fn beneath_help(model: &Model) -> (Vec<Offer>, Context) {
    let is_help = |layer: &Layer| matches!(layer, Layer::Page(page) if page.kind == PageKind::Help);
    let help = model.layers.iter().rposition(is_help).unwrap_or(model.layers.len());
    let beneath = help.checked_sub(1).and_then(|at| model.layers.get(at));
    (offers_of(model, beneath), model.context_of(beneath))
}

fn offers_of(model: &Model, layer: Option<&Layer>) -> Vec<Offer> {
    let mut offers = match layer {
        Some(layer) => layer::offers(model, layer),
        None => panes::offers(model),
    };
    // Where panes are is known only here: it depends on alerts, which ask for keys themselves.
    let panes = if layout::is_tiny(model.size) { 0 } else { layout::panes(model).len() };
    offers
        .retain(|offer| !matches!(offer.by, By::Key(KeyAction::Pane(number)) if usize::from(number) > panes));
    // The first that a key is given counts.
    let mut seen = Vec::new();
    offers.retain(|offer| {
        let new = !seen.contains(&offer.by);
        seen.push(offer.by.clone());
        new
    });
    offers
}

/// What a frame of this size offers: nothing where it has no room to say so.
pub fn shown(model: &Model) -> Vec<Offer> {
    if shows_next(model) { offers(model) } else { Vec::new() }
}

/// Whether a frame of this size shows what Enter does.
fn shows_next(model: &Model) -> bool {
    let (width, height) = model.size;
    let covered = matches!(model.layers.last(), Some(Layer::Page(_)));
    width >= 20 && height >= 4 && !covered
}

/// What came of a key.
pub enum Taken {
    /// Do this.
    Do(Does),
    /// It is offered now, and was not in the last frame.
    Changed,
    /// It is not offered.
    Nothing,
}

/// What a key does now, by what it means in the keymap.
pub fn take(model: &Model, action: KeyAction) -> Taken {
    let Some(offer) = offers(model).into_iter().find(|offer| offer.is(action)) else { return Taken::Nothing };
    let seen = model.shown.iter().any(|shown| shown.by == offer.by && shown.does == offer.does);
    if offer.does.must_be_seen() && !seen { Taken::Changed } else { Taken::Do(offer.does) }
}

/// Whether a key of a dialog, a page or a text field is offered there.
pub fn is_offered(model: &Model, action: KeyAction) -> bool {
    offers(model).iter().any(|offer| offer.is(action) && offer.does != Does::Wait)
}
