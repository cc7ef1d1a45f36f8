//! What a terminal says of itself is heard, whenever it says it, and never taken for keys; what it is told, it is told only
//! where that is wanted, and it is as before afterwards.

#[path = "support/pty.rs"]
mod pty;

use std::{thread::sleep, time::Duration};

use pty::Cockpit;

/// The question that every terminal answers; those before it have been asked then.
const ASKED: &str = "\x1b[c";
const WHITE: &[u8] = b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\";
const HOLDS_FRAMES: &[u8] = b"\x1b[?2026;2$y";
const LAST: &[u8] = b"\x1b[?62;22c";
/// Dim text of the dark and of the light theme, as 256 colours have it.
const DARK: &str = "38;5;248;49m";
const LIGHT: &str = "38;5;240;49m";

fn rehearse(env: &[(&str, &str)]) -> Cockpit {
    let mut cockpit = Cockpit::start((80, 24), &["rehearse".as_ref()], env);
    cockpit.wait_for("Before the deployment");
    cockpit
}

fn seen(cockpit: &Cockpit) -> String {
    String::from_utf8_lossy(&cockpit.seen).into_owned()
}

/// The version that the first question proposes, with whatever has been typed behind it.
fn field(cockpit: &mut Cockpit) -> String {
    let screen = cockpit.screen();
    let line =
        screen.lines().find(|line| line.contains("▸ v")).unwrap_or_else(|| panic!("no field in\n{screen}"));
    line.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

fn leave(cockpit: &mut Cockpit) {
    cockpit.press(b"\x1b");
    cockpit.wait_until("▸Before the deployment");
    quit(cockpit);
}

fn quit(cockpit: &mut Cockpit) {
    cockpit.press(b"q");
    cockpit.wait_until("Leave the cockpit");
    cockpit.press(b"y");
    assert_eq!(cockpit.ended().code(), Some(9));
}

#[test]
fn a_light_background_brings_the_light_theme() {
    let mut cockpit = Cockpit::start((80, 24), &["rehearse".as_ref()], &[]);
    cockpit.wait_for(ASKED);
    cockpit.press(&[HOLDS_FRAMES, WHITE, LAST].concat());
    cockpit.wait_for("Before the deployment");
    cockpit.wait_for(LIGHT);
    let proposed = field(&mut cockpit);
    assert!(proposed.starts_with('v') && !proposed.contains("11;"), "{proposed}");
    leave(&mut cockpit);
    cockpit.assert_given_back("leaving");
}

#[test]
fn a_dark_background_keeps_the_dark_theme_and_a_chosen_theme_is_not_asked_about() {
    let mut cockpit = rehearse(&[]);
    cockpit.press(&[&b"\x1b]11;rgb:1e1e/1e1e/1e1e\x07"[..], LAST].concat());
    cockpit.press(b"7");
    cockpit.wait_until("7");
    assert!(seen(&cockpit).contains(DARK) && !seen(&cockpit).contains(LIGHT));
    let cockpit = rehearse(&[("CUTOVER_THEME", "light")]);
    assert!(seen(&cockpit).contains(LIGHT) && !seen(&cockpit).contains("\x1b]11;?"));
    let cockpit = rehearse(&[("NO_COLOR", "1")]);
    assert!(!seen(&cockpit).contains("\x1b[38;5;") && !seen(&cockpit).contains("\x1b]11;?"));
}

#[test]
fn a_terminal_that_does_not_answer_loses_no_key() {
    let mut cockpit = Cockpit::start((80, 24), &["rehearse".as_ref()], &[]);
    cockpit.wait_for("Before the deployment");
    let proposed = field(&mut cockpit);
    cockpit.press(b"-rc1");
    cockpit.wait_until(&format!("{proposed}-rc1"));
    leave(&mut cockpit);
    cockpit.assert_given_back("leaving");
}

#[test]
fn a_late_answer_is_no_key_however_it_comes() {
    let mut cockpit = rehearse(&[]);
    let proposed = field(&mut cockpit);
    sleep(Duration::from_millis(300));
    // Byte by byte, as over a bad line, between keys. But for what follows an escape: alone for 25 ms it is the key, and on a
    // busy machine this test is that late.
    cockpit.press(b"-a");
    let answers = [HOLDS_FRAMES, WHITE, LAST].concat();
    let mut bytes = answers.iter().peekable();
    while let Some(byte) = bytes.next() {
        let with = bytes.next_if(|_| *byte == 0x1b);
        cockpit.press(&[Some(*byte), with.copied()].into_iter().flatten().collect::<Vec<_>>());
        sleep(Duration::from_millis(2));
    }
    cockpit.press(b"b");
    cockpit.wait_until(&format!("{proposed}-ab"));
    // After the last one nothing is believed, and still nothing of it is a key.
    cockpit.press(b"\x1b]11;rgb:0000/0000/0000\x07\x1b[?2026;1$yc");
    cockpit.wait_until(&format!("{proposed}-abc"));
    // A line that stands still in the middle of it makes no keys of the rest.
    cockpit.press(b"\x1b]11;rgb:ff");
    sleep(Duration::from_millis(600));
    cockpit.press(b"ff/ffff/ffff\x1b\\d");
    cockpit.wait_until(&format!("{proposed}-abcd"));
    // What the line has lost the end of is forgotten.
    cockpit.press(b"\x1b]11;rgb:ff");
    sleep(Duration::from_secs(6));
    cockpit.press(b"e");
    cockpit.wait_until(&format!("{proposed}-abcde"));
    cockpit.wait_for(LIGHT);
}

#[test]
fn frames_are_held_back_where_the_terminal_can() {
    let mut cockpit = rehearse(&[]);
    assert!(!seen(&cockpit).contains("\x1b[?2026h"), "not before it has said so");
    cockpit.press(&[HOLDS_FRAMES, LAST].concat());
    cockpit.press(b"7");
    cockpit.wait_for("\x1b[?2026h");
    cockpit.press(b"8");
    cockpit.wait_until("78");
    leave(&mut cockpit);
    let seen = seen(&cockpit);
    let from = seen.find("\x1b[?2026h").unwrap_or_default();
    let (mut held, mut frames) = (false, 0);
    // Every frame begins and ends, in turn.
    for part in seen[from..].split("\x1b[?2026").skip(1) {
        let begins = part.starts_with('h');
        assert_ne!(begins, held);
        held = begins;
        frames += u32::from(begins);
    }
    assert!(!held && frames > 2, "{frames}");

    let mut cockpit = rehearse(&[]);
    cockpit.press(b"\x1b[?2026;0$y");
    cockpit.press(LAST);
    cockpit.press(b"7");
    cockpit.wait_until("7");
    assert!(!self::seen(&cockpit).contains("\x1b[?2026h"), "it has said that it can't");
}

#[test]
fn the_title_says_how_the_run_stands_and_comes_back() {
    let mut cockpit = rehearse(&[]);
    leave(&mut cockpit);
    cockpit.wait_for("\x1b[?1049l");
    let all = seen(&cockpit);
    let (kept, set) = (all.find("\x1b[22;0t"), all.find("\x1b]0;"));
    assert!(kept.is_some() && kept < set, "{set:?}");
    assert!(all.contains(" · rehearsal"), "it is none of a real run");
    assert!(all.rfind("\x1b[23;0t") > all.rfind("\x1b]0;"), "the one before is back last");

    let mut cockpit = rehearse(&[("CUTOVER_TITLE", "no")]);
    leave(&mut cockpit);
    cockpit.wait_for("\x1b[?1049l");
    let all = seen(&cockpit);
    assert!(!all.contains("\x1b]0;") && !all.contains("\x1b[22;0t") && !all.contains("\x1b[23;0t"));
}

#[test]
fn a_terminal_that_would_print_the_questions_is_not_asked() {
    for term in ["dumb", "linux"] {
        let cockpit = rehearse(&[("TERM", term)]);
        let all = seen(&cockpit);
        for question in [ASKED, "\x1b]11;?", "\x1b[?2026$p", "\x1b]8;"] {
            assert!(!all.contains(question), "{term}: {question:?}");
        }
    }
}

#[test]
fn the_mouse_selects_and_scrolls_where_it_is_wanted_and_is_given_back() {
    let mut cockpit = rehearse(&[("CUTOVER_MOUSE", "yes")]);
    assert!(seen(&cockpit).contains("\x1b[?1000h\x1b[?1006h"));
    let proposed = field(&mut cockpit);
    // In a dialog it is nothing.
    cockpit.press(b"\x1b[<0;40;12M\x1b[<0;40;12m\x1b[<64;40;12M");
    cockpit.press(b"x");
    cockpit.wait_until(&format!("{proposed}x"));
    cockpit.press(b"\x1b");
    cockpit.wait_until("▸Before the deployment");
    cockpit.press(b"\x1b[<0;70;12M\x1b[<0;70;12m");
    cockpit.wait_until("▸Selected item");
    quit(&mut cockpit);
    cockpit.wait_for("\x1b[?1006l\x1b[?1000l");
}

#[test]
fn a_screen_that_is_drawn_anew_asks_nothing_and_stays() {
    let mut cockpit = rehearse(&[]);
    for _ in 0..2 {
        cockpit.press(b"\x0c");
        sleep(Duration::from_millis(300));
    }
    leave(&mut cockpit);
}

#[test]
fn the_runbooks_links_are_links() {
    let mut cockpit = rehearse(&[]);
    cockpit.press(b"\x1b");
    cockpit.wait_until("▸Before the deployment");
    cockpit.press(b"o");
    cockpit.wait_for("\x1b]8;id=0;http");
    // The frame has come whole once what stands below the page has.
    cockpit.press(b"?");
    cockpit.wait_until("Keys and signs");
    let all = seen(&cockpit);
    assert_eq!(all.matches("\x1b]8;id=").count(), all.matches("\x1b]8;;\x1b\\").count(), "each has its end");
}
