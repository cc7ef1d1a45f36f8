//! What can be done with a replay.

use super::{Does, Offer};
use crate::{config::keymap::KeyAction, tui::model::replay::Replay};

/// Everything that moves a replay.
pub(super) fn offers(replay: &Replay) -> Vec<Offer> {
    let key = |action| Offer::key(action, Does::Look);
    let play = match (replay.is_over(), replay.playing) {
        (true, _) => "play again",
        (false, true) => "pause",
        (false, false) => "play",
    };
    let mut offers = vec![key(KeyAction::Play).says(play)];
    if let Some((_, line)) = replay.reel.next_event(replay.place) {
        offers.push(key(KeyAction::NextEvent).says(format!("next event: {line}")).says("next event"));
    }
    if replay.reel.previous_event(replay.place).is_some() {
        offers.push(key(KeyAction::PreviousEvent).says("the event before").says("back"));
    }
    let speeds = [(KeyAction::Faster, true), (KeyAction::Slower, false)];
    let there = speeds.into_iter().filter(|(_, faster)| replay.other_speed(*faster).is_some());
    offers.extend(there.map(|(action, _)| key(action)));
    offers.push(Offer::command("goto", "a time or an event"));
    offers
}
