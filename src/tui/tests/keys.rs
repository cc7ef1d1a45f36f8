//! What keys do, and what they must never do.

use super::{
    fixture::{Told, sent},
    screens::states,
};
use crate::{
    config::keymap::{Context, Key, KeyCode, Keymap},
    domain::{
        actor::Actor,
        cause::HoldCause,
        event::{ActionOutcome, Resolution, RunEvent},
        id::StepId,
        message::{Command, JournalState, Update},
        time::Span,
    },
    tui::{
        input::Input,
        model::{Layer, ScreenOptions},
        msg::{Effect, Msg},
        offer::{self, By, Does},
        update::update,
    },
};

const NAMED: [KeyCode; 14] = [
    KeyCode::Enter,
    KeyCode::Esc,
    KeyCode::Tab,
    KeyCode::BackTab,
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::Backspace,
    KeyCode::Delete,
];

fn every_key() -> Vec<Key> {
    let letters = (' '..='~').map(Key::char);
    let ctrl = ('a'..='z').filter(|c| *c != 'c').map(Key::ctrl);
    letters.chain(ctrl).chain(NAMED.map(Key::named)).collect()
}

fn paste(told: &mut Told, text: &str) -> Vec<Effect> {
    told.look();
    update(&mut told.model, Msg::Input(Input::Paste(text.to_owned())))
}

#[test]
fn enter_starts_the_step_and_attempt_that_is_shown() {
    let mut told = Told::at_first_step();
    let commands = sent(told.enter());
    assert_eq!(commands, [Command::Start { step: Some("prepare".into()), attempt: 1, typed: None }]);
}

#[test]
fn enter_does_nothing_that_was_not_on_the_screen() {
    let mut told = Told::at_first_step();
    told.look();
    // Meanwhile somebody else has started it, and it has failed: the same key would now mean another attempt.
    told.passes("prepare", 3);
    let effects = update(&mut told.model, Msg::Input(Input::Key(Key::named(KeyCode::Enter))));
    assert_eq!(sent(effects), []);
    assert!(told.model.toast.is_some());
    // Seen now, it starts what is due now.
    assert_eq!(
        sent(told.enter()),
        [Command::Start { step: Some("migrate".into()), attempt: 1, typed: None }]
    );
}

#[test]
fn enter_first_comes_back_from_another_step() {
    let mut told = Told::before_switch();
    told.keys("kk");
    assert!(told.screen(80, 24).contains("back to the step that is due"));
    assert_eq!(sent(told.enter()), []);
    assert_eq!(told.model.cursor.step, None);
}

#[test]
fn the_switch_wants_its_word() {
    let mut told = Told::before_switch();
    assert_eq!(sent(told.enter()), []);
    told.keys("blue");
    assert_eq!(sent(told.enter()), []);
    for _ in 0..4 {
        told.press(Key::named(KeyCode::Backspace));
    }
    told.keys("green");
    let commands = sent(told.enter());
    assert_eq!(
        commands,
        [Command::Start { step: Some("switch".into()), attempt: 1, typed: Some("green".to_owned()) }]
    );
}

#[test]
fn a_question_goes_when_its_step_has_been_started_by_another_screen() {
    let mut told = Told::before_switch();
    told.enter();
    told.keys("green");
    told.started("switch", 1);
    assert!(told.model.layers.is_empty());
    assert!(told.model.toast.is_some());
}

#[test]
fn a_paste_never_triggers_keys() {
    for (name, mut told) in states() {
        for text in ["y\r", "R", "q", "\u{3}", "green\r\n", ":abort now\r"] {
            let effects = paste(&mut told, text);
            assert!(effects.is_empty(), "{name}: a paste of {text:?} did {effects:?}");
        }
    }
    // Into a text field it goes as one line; the word of a confirmation is typed by hand.
    let mut told = Told::opened();
    paste(&mut told, "v2.0.0\ny\n");
    assert!(told.screen(80, 24).contains("v1.6.0v2.0.0 y"));
    let mut told = Told::before_switch();
    told.enter();
    paste(&mut told, "green");
    assert_eq!(sent(told.enter()), []);
}

#[test]
fn l6_a_watching_screen_asks_for_nothing_but_logs() {
    for (name, mut told) in states() {
        told.model.layers.clear();
        told.model.options.read_only = true;
        for key in every_key() {
            for command in sent(told.press(key)) {
                assert!(matches!(command, Command::Logs { .. }), "{name}: {key} sent {command:?}");
            }
        }
    }
}

#[test]
fn l6_a_watching_screen_offers_nothing_that_it_may_not_do() {
    for (name, mut told) in states() {
        told.model.layers.clear();
        told.model.options.read_only = true;
        let screen = told.screen(120, 36);
        let lines: Vec<&str> = screen.lines().collect();
        let footer = lines[lines.len() - 2..].join("\n");
        for offered in ["tick", "roll back", "database", "retry", "skip", "pause", "note"] {
            assert!(!footer.contains(offered), "{name}: {footer}");
        }
        assert!(footer.contains("leave"), "{name}: {footer}");
        assert!(!screen.contains("key R"), "{name}");
    }
}

/// What a key may change: where the operator's attention is, and what lies on top.
fn attention(told: &Told) -> String {
    format!("{:?} {:?}", told.model.cursor, told.model.layers)
}

#[test]
fn a_key_that_is_not_offered_does_nothing() {
    for read_only in [false, true] {
        for (name, made) in states() {
            for key in every_key() {
                let mut told = made.clone();
                told.model.options.read_only = read_only;
                told.look();
                let context = told.model.context();
                let Some(action) = told.model.options.keymap.action(context, key) else { continue };
                let offered = offer::offers(&told.model).into_iter().find(|it| it.by == By::Key(action));
                // In a text field it is a letter.
                if offered.is_some_and(|offer| offer.does != Does::Wait) || context == Context::Input {
                    continue;
                }
                let before = attention(&told);
                let effects = told.press(key);
                assert!(effects.is_empty(), "{name}: {key} is not offered and did {effects:?}");
                assert_eq!(before, attention(&told), "{name}: {key} is not offered");
            }
        }
    }
}

/// What the walks over all states and keys stand on: keys mean something else in each context. A replay's keys are walked in
/// its own tests, and those of all contexts count nowhere alone.
#[test]
fn states_have_every_context_of_keys() {
    let found: Vec<Context> = states().iter().map(|(_, told)| told.model.context()).collect();
    for context in Context::ALL.into_iter().filter(|context| *context != Context::Replay) {
        assert!(found.contains(&context), "no state for the keys of {context:?}");
    }
}

#[test]
fn a_key_that_is_offered_does_something() {
    for (name, made) in states() {
        for offer in offer::offers(&made.model) {
            let By::Key(action) = offer.by else { continue };
            let moves = matches!(offer.does, Does::Wait | Does::Look | Does::Layer);
            let Some(key) = made.model.options.keymap.keys(made.model.context(), action).first().copied()
            else {
                continue;
            };
            let mut told = made.clone();
            told.look();
            let before = attention(&told);
            let effects = told.press(key);
            // Movement may be at its end, and a question may want an answer first.
            let did = !effects.is_empty() || before != attention(&told);
            assert!(did || moves, "{name}: {key} is offered as {:?} and did nothing", offer.does);
        }
    }
}

#[test]
fn enter_is_named_in_every_state() {
    for (name, mut told) in states() {
        for (width, height) in [(60, 15), (80, 24), (120, 36)] {
            let screen = told.screen(width, height);
            // An empty footer is not among the lines.
            let named = screen.lines().rev().take(2).any(|line| line.starts_with(" ENTER "));
            assert!(named, "{name} at {width}x{height}:\n{screen}");
        }
    }
}

#[test]
fn esc_never_leaves() {
    for (name, mut told) in states() {
        for _ in 0..12 {
            let effects = told.esc();
            assert!(!effects.contains(&Effect::Leave), "{name}");
            assert_eq!(sent(effects), [], "{name}");
        }
        assert!(told.model.layers.is_empty(), "{name}");
    }
}

#[test]
fn any_keys_in_any_state_leave_a_screen_that_draws() {
    let keys = every_key();
    for (name, mut told) in states() {
        // A fixed walk over all keys, different in every state.
        let mut at = name.len();
        for _ in 0..120 {
            at = (at * 31 + 17) % (keys.len() * 7);
            let key = keys[at % keys.len()];
            told.press(key);
            if at % 5 == 0 {
                told.screen(80, 24);
            }
        }
        told.screen(60, 15);
        told.screen(31, 7);
    }
}

#[test]
fn ctrl_c_hints_first() {
    let mut told = Told::in_window(100);
    assert!(!told.press(Key::ctrl('c')).contains(&Effect::Leave));
    assert!(told.screen(80, 24).contains("ctrl-c again leaves; the run continues"));
    assert!(told.press(Key::ctrl('c')).contains(&Effect::Leave));
    // Too late, or with another key between, it is a first one again.
    let mut told = Told::in_window(100);
    told.press(Key::ctrl('c'));
    told.wait(30);
    assert!(!told.press(Key::ctrl('c')).contains(&Effect::Leave));
    told.keys("j");
    assert!(!told.press(Key::ctrl('c')).contains(&Effect::Leave));
}

#[test]
fn q_asks_while_the_run_is_under_way() {
    let mut told = Told::in_window(100);
    assert!(told.keys("q").is_empty());
    assert!(told.screen(80, 24).contains("cutover attach"));
    // The focused button stays.
    assert!(told.enter().is_empty());
    assert!(told.model.layers.is_empty());
    told.keys("q");
    assert!(told.keys("y").contains(&Effect::Leave));
    // Finished, it leaves at once, and the engine may end.
    let mut told = Told::finished();
    assert_eq!(told.keys("q"), [Effect::Send(Command::Close), Effect::Leave]);
}

#[test]
fn two_keys_roll_back_with_the_measured_reason() {
    let mut told = Told::in_breach();
    assert_eq!(sent(told.keys("R")), []);
    assert_eq!(
        sent(told.keys("y")),
        [Command::Rollback { reason: "error rate 1.41 % for 3:40 (alert > 1 %)".to_owned() }]
    );
    // Without a measured reason the log does not blame one.
    let mut told = Told::in_window(100);
    told.keys("R");
    assert_eq!(sent(told.keys("y")), [Command::Rollback { reason: "operator's decision".to_owned() }]);
}

#[test]
fn enter_in_the_rollback_dialog_goes_to_cancel_first() {
    let mut told = Told::in_breach();
    told.keys("R");
    assert_eq!(sent(told.enter()), []);
    assert_eq!(sent(told.enter()), []);
    assert!(told.model.layers.is_empty());
    // By tab to the button that does it.
    told.keys("R");
    told.press(Key::named(KeyCode::Tab));
    told.press(Key::named(KeyCode::Tab));
    assert_eq!(sent(told.enter()).len(), 1);
}

#[test]
fn a_reason_can_be_chosen_or_written() {
    let mut told = Told::in_breach();
    told.keys("Rj");
    let chosen = sent(told.keys("y"));
    assert_eq!(
        chosen,
        [Command::Rollback { reason: "Critical functionality broken (payments failing)".to_owned() }]
    );
    let mut told = Told::in_breach();
    told.keys("R");
    for _ in 0..9 {
        told.press(Key::named(KeyCode::Down));
    }
    // `y` is a letter here.
    assert_eq!(sent(told.keys("they say so")), []);
    told.enter();
    assert_eq!(sent(told.keys("y")), [Command::Rollback { reason: "they say so".to_owned() }]);
}

#[test]
fn r_is_live_on_every_page() {
    for keys in ["?", "l", "m", "c", "o", "i", "t", "b"] {
        let mut told = Told::in_breach();
        told.keys(keys);
        told.keys("R");
        assert!(matches!(told.model.layers.last(), Some(Layer::Rollback(_))), "on {keys}");
        assert_eq!(sent(told.keys("y")).len(), 1, "on {keys}");
    }
}

#[test]
fn the_database_rollback_wants_the_backups_id() {
    let mut told = Told::in_breach();
    told.keys("D");
    let screen = told.screen(80, 24);
    assert!(screen.contains("ONLY IF") && screen.contains("2026-11-20-1400"), "{screen}");
    told.keys("2026-11-20-1499");
    assert_eq!(sent(told.enter()), []);
    told.press(Key::named(KeyCode::Backspace));
    told.press(Key::named(KeyCode::Backspace));
    told.keys("00");
    assert_eq!(sent(told.enter()), []);
    let commands = sent(told.enter());
    assert!(
        matches!(&commands[..], [Command::RollbackProcedure { procedure, typed, .. }]
            if procedure.as_str() == "database" && typed == "2026-11-20-1400"),
        "{commands:?}"
    );
}

#[test]
fn questions_come_by_themselves_and_show_what_was_wrong() {
    let mut told = Told::opened();
    assert_eq!(
        sent(told.enter()),
        [Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v1.6.0".to_owned() }]
    );
    told.tell(Update::Refused { why: "v1.6.0 does not match".to_owned() });
    assert!(told.screen(80, 24).contains("v1.6.0 does not match"));
    // Put aside it stays away, and Enter brings it back.
    told.esc();
    assert!(told.model.layers.is_empty());
    told.wait(1);
    assert!(told.model.layers.is_empty());
    told.enter();
    assert_eq!(told.model.layers.len(), 1);
    // Answered, the next one comes.
    told.answered();
    assert!(told.model.layers.is_empty());
}

#[test]
fn space_ticks_the_checklist_and_goes_on_to_the_next() {
    let mut told = Told::in_checklist();
    told.enter();
    let open = told.model.item_shown().unwrap();
    let commands = sent(told.keys(" "));
    assert_eq!(commands, [Command::TickItem { group: open.0, item: open.1, note: None }]);
    assert_ne!(told.model.item_shown(), Some(open));
    told.keys("x");
    assert_eq!(sent(told.enter()), [], "a reason is needed");
    told.keys("no CDN here");
    assert!(
        matches!(&sent(told.enter())[..], [Command::WaiveItem { reason, .. }] if reason == "no CDN here")
    );
}

#[test]
fn a_failed_step_offers_its_ways_out() {
    let mut told = Told::failed();
    assert_eq!(sent(told.enter()), [], "enter decides nothing here");
    // Whoever missed the shift of `R` sees that this is another question.
    assert_eq!(sent(told.keys("r")), []);
    assert!(told.screen(80, 24).contains("Nothing is rolled back"), "{}", told.screen(80, 24));
    told.press(Key::named(KeyCode::Esc));
    told.keys("r");
    assert_eq!(sent(told.enter()), [Command::Retry { step: Some(StepId::from("health")), attempt: 1 }]);
    told.keys("s");
    told.keys("known flaky");
    assert_eq!(
        sent(told.enter()),
        [Command::Skip { step: "health".into(), reason: "known flaky".to_owned() }]
    );
}

#[test]
fn an_unknown_action_asks_what_became_of_it() {
    let mut told = Told::at_first_step();
    told.started("prepare", 1);
    let at = Told::at("prepare", 1, 0);
    told.acts(at.clone());
    told.acted(at.clone(), ActionOutcome::Unknown, 2, "the engine was killed");
    assert!(told.screen(80, 24).contains("UNKNOWN"));
    told.enter();
    told.keys("j");
    assert_eq!(sent(told.enter()), [Command::Resolve { at, resolution: Resolution::NotDone }]);
}

#[test]
fn a_countdown_waits_while_its_reason_is_written() {
    let told_to = |effects: Vec<Effect>| -> Vec<bool> {
        let commands = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send(Command::Reconsider { trigger: 0, begins }) => Some(begins),
            _ => None,
        });
        commands.collect()
    };
    let mut told = Told::counting_down();
    assert_eq!(told_to(told.keys("x")), [true]);
    assert!(told_to(told.keys("no")).is_empty(), "once");
    assert_eq!(told_to(told.esc()), [false]);
}

#[test]
fn a_countdown_is_cancelled_with_a_reason() {
    let mut told = Told::counting_down();
    told.keys("x");
    assert_eq!(sent(told.enter()), []);
    told.keys("a load test");
    assert_eq!(
        sent(told.enter()),
        [Command::CancelCountdown { trigger: 0, reason: "a load test".to_owned() }]
    );
}

#[test]
fn j4_a_lost_journal_is_said_with_what_to_type() {
    let mut told = Told::in_window(100);
    told.keys(":unrecorded without a journal");
    assert_eq!(sent(told.enter()), [], "the journal is written: nothing to consent to");
    let why = "Input/output error (os error 5)".to_owned();
    let lost = Update::Journal { state: JournalState::Lost { why: why.clone() } };
    for (width, height) in [(80, 24), (120, 36)] {
        told.tell(lost.clone());
        let screen = told.screen(width, height);
        assert!(screen.contains("JOURNAL LOST, nothing is done any more"), "{screen}");
        assert!(screen.matches("unrecorded without a journal").count() >= 2, "{screen}");
    }
    told.keys(":unrecorded without a journal");
    assert_eq!(sent(told.enter()), [Command::GoOnUnrecorded { typed: "without a journal".to_owned() }]);
    let path = "/run/user/1000/cutover-r-without-a-journal-1.jsonl".to_owned();
    told.tell(Update::Journal { state: JournalState::Elsewhere { why: why.clone(), path: path.clone() } });
    let screen = told.screen(80, 24);
    assert!(screen.contains("NO JOURNAL: R rolls back") && screen.contains(&path), "{screen}");
    told.tell(Update::Journal { state: JournalState::Full { why } });
    let screen = told.screen(80, 24);
    assert!(screen.contains("JOURNAL DISK FULL") && screen.contains("R still rolls back"), "{screen}");
}

#[test]
fn commands_are_found_by_their_beginning() {
    let mut told = Told::in_window(100);
    told.keys(":note all quiet");
    assert_eq!(sent(told.enter()), [Command::Note { text: "all quiet".to_owned() }]);
    told.keys(":ab");
    told.enter();
    assert_eq!(told.model.layers.len(), 1, "it asks why");
    told.esc();
    told.keys(":nonsense");
    assert_eq!(sent(told.enter()), []);
    assert!(told.model.toast.as_ref().is_some_and(|toast| toast.refused));
}

#[test]
fn settings_and_keymap_are_read_again_and_faulty_ones_are_not_taken() {
    let mut told = Told::in_window(100);
    told.keys(":reload");
    assert_eq!(told.enter(), [Effect::Reload]);
    let text = "[global]\nlogs = \"w\"\n";
    let (keymap, faults) = Keymap::load_str("keys.toml", text);
    assert_eq!(faults, []);
    let before = told.model.options.keymap.clone();
    let faulty = vec![
        "/etc/keys.toml:2:8: error: key `F2` is a function key; use a letter".to_owned(),
        "another".to_owned(),
    ];
    update(&mut told.model, Msg::Reloaded(Err(faulty)));
    assert_eq!(told.model.options.keymap, before);
    let toast = told.model.toast.clone().unwrap();
    assert!(toast.refused, "{toast:?}");
    let screen = told.screen(120, 36);
    let why = "not done: keys.toml:2:8: key `F2` is a function key (and 1 more); settings stay as they were";
    assert!(screen.contains(why), "{screen}");

    let fresh = ScreenOptions { keymap, slow_link: true, ..told.model.options.clone() };
    update(&mut told.model, Msg::Reloaded(Ok(Box::new(fresh))));
    assert!(told.model.options.slow_link);
    assert!(told.screen(120, 36).contains("w logs"), "{}", told.screen(120, 36));
    told.look();
    told.keys("w");
    assert!(matches!(told.model.layers.last(), Some(Layer::Page(_))), "the new key does it");
}

#[test]
fn an_incident_is_declared_then_sent() {
    let mut told = Told::in_breach();
    told.keys("i");
    told.enter();
    told.press(Key::named(KeyCode::Right));
    told.enter();
    told.enter();
    told.keys("one payment in seventy fails");
    told.enter();
    let commands = sent(told.enter());
    let [Command::Incident { severity, title, impact, status, send }] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_eq!((severity.as_str(), status.as_str(), *send), ("P1", "Investigating", false));
    assert!(title.starts_with("error rate > 1 %"), "{title}");
    assert_eq!(impact, "one payment in seventy fails");
    told.after(
        1,
        RunEvent::IncidentUpdated {
            severity: severity.clone(),
            title: title.clone(),
            impact: impact.clone(),
            status: status.clone(),
            sent: false,
            by: Actor::person("alice"),
        },
    );
    told.keys("s");
    assert_eq!(sent(told.enter()), [], "the button that does nothing has the focus");
    told.keys("s");
    assert!(matches!(&sent(told.keys("y"))[..], [Command::Incident { send: true, .. }]));
}

#[test]
fn logs_are_asked_for_and_searched() {
    let mut told = Told::in_breach();
    assert_eq!(sent(told.keys("l")), [Command::Logs { slot: "green".into(), pod: None }]);
    told.logs();
    told.keys("/47 failed");
    told.enter();
    assert!(told.screen(80, 24).contains("charge 47 failed"));
    // While they are open they are asked for again.
    let now = told.model.now + Span::from_secs(3);
    assert!(matches!(&sent(told.tell(Update::Tick { now }))[..], [Command::Logs { .. }]));
}

#[test]
fn a_person_is_called_once_when_one_is_needed() {
    let mut told = Told::in_window(100);
    let event =
        RunEvent::RunHeld { reason: "support".to_owned(), by: Actor::Auto, cause: HoldCause::Foreign };
    let calls =
        |effects: Vec<Effect>| effects.into_iter().filter(|effect| matches!(effect, Effect::Call(_))).count();
    assert_eq!(calls(told.after(30, event)), 1);
    let now = told.model.now + Span::from_secs(1);
    assert_eq!(calls(told.tell(Update::Tick { now })), 0);
}

#[test]
fn what_was_rolled_back_is_not_said_to_have_changed_nothing() {
    let mut told = Told::rolled_back();
    told.look();
    told.keys("R");
    let toast = told.model.toast.as_ref().unwrap();
    assert_eq!(toast.text, "already rolled back: nothing is left to roll back");
}

#[test]
fn only_a_log_hides_lines() {
    let mut told = Told::in_window(60);
    told.keys("c/!oncall");
    told.enter();
    let toast = told.model.toast.as_ref().map(|toast| toast.text.clone()).unwrap_or_default();
    assert!(!toast.contains("hidden"), "{toast}");
}

#[test]
fn a_page_of_a_frozen_screen_says_so_at_any_size() {
    let mut told = Told::in_window(60);
    told.keys("z");
    for page in ["m", "c", "l"] {
        told.keys(page);
        for (width, height) in [(40, 10), (80, 24)] {
            let screen = told.screen(width, height);
            assert!(screen.contains("frozen"), "{page}\n{screen}");
        }
        told.esc();
    }
}

#[test]
fn how_fast_a_rehearsal_runs_takes_no_time_from_whoever_reads() {
    let mut told = Told::opened_with(crate::domain::fixture::payment(), Some("good"));
    told.press(Key::ctrl('c'));
    // A second of a person, a minute of the rehearsal.
    let now = told.model.now + Span::from_mins(1);
    told.model.real = told.model.real.saturating_add(Span::from_secs(1));
    update(&mut told.model, Msg::Update(Box::new(Update::Tick { now })));
    assert!(told.screen(80, 24).contains("ctrl-c again leaves"));
    assert_eq!(told.press(Key::ctrl('c')), [Effect::Leave]);
}
