//! The default key bindings.

use super::{Context, KeyAction};

/// An action and the keys that do it.
pub(super) type Keys = (KeyAction, &'static [&'static str]);

/// The bindings we come with, in the order of footer and help. A small letter changes nothing before it
/// has asked where its large one is bound too: whoever misses the shift of `R` gets a question, not another try.
pub(super) const DEFAULTS: &[(Context, &[Keys])] = &[
    (
        Context::Global,
        &[
            (KeyAction::Confirm, &["enter"]),
            (KeyAction::Rollback, &["R"]),
            (KeyAction::DatabaseRollback, &["D"]),
            (KeyAction::Logs, &["l"]),
            (KeyAction::Incident, &["i"]),
            (KeyAction::Contacts, &["c"]),
            (KeyAction::Links, &["o"]),
            (KeyAction::Metrics, &["m"]),
            (KeyAction::NextPane, &["tab"]),
            (KeyAction::PreviousPane, &["shift-tab"]),
            (KeyAction::Help, &["?"]),
            (KeyAction::Quit, &["q"]),
            (KeyAction::Back, &["esc"]),
            (KeyAction::Hold, &["p"]),
            (KeyAction::Note, &["n"]),
            (KeyAction::Tasks, &["t"]),
            (KeyAction::Inbox, &["b"]),
            (KeyAction::Zoom, &["+"]),
            (KeyAction::Freeze, &["z"]),
            (KeyAction::Save, &["W"]),
            (KeyAction::Search, &["/"]),
            (KeyAction::Command, &[":"]),
            (KeyAction::Copy, &["y"]),
            (KeyAction::Down, &["j", "down"]),
            (KeyAction::Up, &["k", "up"]),
            (KeyAction::Left, &["left"]),
            (KeyAction::Right, &["right"]),
            (KeyAction::Top, &["g", "home"]),
            (KeyAction::Bottom, &["G", "end"]),
            (KeyAction::PageUp, &["pgup"]),
            (KeyAction::PageDown, &["pgdn"]),
            (KeyAction::Redraw, &["ctrl-l"]),
            (KeyAction::Pane(1), &["1"]),
            (KeyAction::Pane(2), &["2"]),
            (KeyAction::Pane(3), &["3"]),
            (KeyAction::Pane(4), &["4"]),
            (KeyAction::Pane(5), &["5"]),
            (KeyAction::Pane(6), &["6"]),
            (KeyAction::Pane(7), &["7"]),
            (KeyAction::Pane(8), &["8"]),
            (KeyAction::Pane(9), &["9"]),
        ],
    ),
    (
        Context::Checklist,
        &[
            (KeyAction::Tick, &["space"]),
            (KeyAction::Note, &["n"]),
            (KeyAction::NotNeeded, &["x"]),
            (KeyAction::Recheck, &["r"]),
        ],
    ),
    (
        Context::Steps,
        &[
            (KeyAction::Tick, &["space"]),
            (KeyAction::Fails, &["f"]),
            (KeyAction::Retry, &["r"]),
            (KeyAction::Skip, &["s"]),
            (KeyAction::Undo, &["u"]),
            (KeyAction::Resolve, &["v"]),
            (KeyAction::CancelCountdown, &["x"]),
        ],
    ),
    (
        Context::Logs,
        &[
            (KeyAction::Follow, &["f"]),
            (KeyAction::NextSource, &["space"]),
            (KeyAction::NextMatch, &["n"]),
            (KeyAction::PreviousMatch, &["N"]),
            (KeyAction::Wrap, &["w"]),
            (KeyAction::Stamps, &["T"]),
        ],
    ),
    (
        Context::Metrics,
        &[
            (KeyAction::ZoomIn, &["+", "="]),
            (KeyAction::ZoomOut, &["-"]),
            (KeyAction::Earlier, &["left", "h"]),
            (KeyAction::Later, &["right"]),
            (KeyAction::Live, &["0"]),
        ],
    ),
    (
        Context::Incident,
        &[(KeyAction::Tick, &["space"]), (KeyAction::Edit, &["e"]), (KeyAction::Send, &["s"])],
    ),
    (Context::Tasks, &[(KeyAction::Tick, &["space"])]),
    (
        Context::Replay,
        &[
            (KeyAction::Play, &["space"]),
            (KeyAction::NextEvent, &["right"]),
            (KeyAction::PreviousEvent, &["left"]),
            (KeyAction::Faster, &[">"]),
            (KeyAction::Slower, &["<"]),
        ],
    ),
    (
        Context::Dialog,
        &[
            (KeyAction::Yes, &["y"]),
            (KeyAction::No, &["n"]),
            (KeyAction::Confirm, &["enter"]),
            (KeyAction::Back, &["esc"]),
            (KeyAction::Tick, &["space"]),
            (KeyAction::Down, &["j", "down"]),
            (KeyAction::Up, &["k", "up"]),
            (KeyAction::Left, &["left"]),
            (KeyAction::Right, &["right"]),
            (KeyAction::PageUp, &["pgup"]),
            (KeyAction::PageDown, &["pgdn"]),
            (KeyAction::NextField, &["tab"]),
            (KeyAction::PreviousField, &["shift-tab"]),
        ],
    ),
    (
        Context::Input,
        &[
            (KeyAction::Confirm, &["enter"]),
            (KeyAction::Back, &["esc"]),
            (KeyAction::NextField, &["tab"]),
            (KeyAction::PreviousField, &["shift-tab"]),
            (KeyAction::Down, &["down"]),
            (KeyAction::Up, &["up"]),
            (KeyAction::PageUp, &["pgup"]),
            (KeyAction::PageDown, &["pgdn"]),
        ],
    ),
];

/// Actions that must stay in reach, with the contexts they must be reached in.
pub(super) const ESSENTIAL: &[KeyAction] =
    &[KeyAction::Rollback, KeyAction::Confirm, KeyAction::Back, KeyAction::Quit, KeyAction::Help];

#[cfg(test)]
mod tests {
    use super::{
        super::{Key, Keymap, action::SPECS},
        *,
    };

    #[test]
    fn every_default_key_parses_and_means_one_thing() {
        for (context, bindings) in DEFAULTS {
            let mut seen = Vec::new();
            for (action, keys) in *bindings {
                assert_eq!(action.spec().action, *action, "{action:?} is described");
                for key in *keys {
                    let key: Key = key.parse().unwrap();
                    assert!(!seen.contains(&key), "{key} twice in {context:?}");
                    assert!(!(key.ctrl && action.is_weighty()), "{key}");
                    seen.push(key);
                }
            }
        }
        let names: std::collections::BTreeSet<_> = SPECS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), SPECS.len());
    }

    #[test]
    fn no_slip_of_the_shift_key_does_something_without_asking() {
        /// What opens a question first.
        const ASKS: [KeyAction; 6] = [
            KeyAction::Rollback,
            KeyAction::DatabaseRollback,
            KeyAction::Retry,
            KeyAction::Skip,
            KeyAction::Undo,
            KeyAction::CancelCountdown,
        ];
        let keymap = Keymap::default();
        for context in Context::ALL.into_iter().filter(|context| context.falls_through()) {
            for letter in 'a'..='z' {
                let of = |c: char| keymap.action(context, Key::char(c));
                let (Some(small), Some(large)) = (of(letter), of(letter.to_ascii_uppercase())) else {
                    continue;
                };
                for action in [small, large] {
                    assert!(
                        !action.is_weighty() || ASKS.contains(&action),
                        "{letter} in {context:?}: {action:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn essential_actions_are_in_reach_everywhere_by_default() {
        let keymap = Keymap::default();
        for context in Context::ALL.into_iter().filter(|context| context.falls_through()) {
            for action in ESSENTIAL {
                assert!(!keymap.keys(context, *action).is_empty(), "{action:?} in {context:?}");
            }
        }
    }
}
