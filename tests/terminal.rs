//! U1, U2: the terminal is given back however the cockpit ends, and a cockpit without a terminal ends at once.
//! U4, U5: whatever a command prints, the terminal is told only what a cockpit tells it, and nothing is hidden.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use nix::sys::{signal::Signal, termios::tcgetattr};

#[path = "support/pty.rs"]
mod pty;

use pty::{Cockpit, PATIENCE};

#[test]
fn u2_the_terminal_is_given_back_on_signals() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut cockpit = Cockpit::open();
        assert_ne!(tcgetattr(&cockpit.terminal).unwrap(), cockpit.before, "raw mode");
        cockpit.signal(signal);
        assert_eq!(cockpit.ended().code(), Some(128 + signal as i32), "{signal}");
        cockpit.assert_given_back(signal.as_str());
    }
}

#[test]
fn u2_the_terminal_is_given_back_when_its_user_leaves() {
    let mut cockpit = Cockpit::open();
    // A new size and keys at once; esc puts the question aside, q asks, y leaves.
    cockpit.signal(Signal::SIGWINCH);
    cockpit.press(b"\x1b");
    cockpit.wait_until("▸Before the deployment");
    cockpit.press(b"q");
    cockpit.wait_for("Leave the cockpit");
    cockpit.press(b"y");
    assert_eq!(cockpit.ended().code(), Some(9));
    cockpit.assert_given_back("leaving");
}

#[test]
fn u1_a_terminal_that_goes_away_takes_the_screen_with_it() {
    let mut cockpit = Cockpit::open();
    // Nobody sends a signal: the process has no controlling terminal here. The line itself says that it is gone.
    cockpit.line = None;
    assert_eq!(cockpit.ended().code(), Some(9), "as when its user leaves");
    let engine = cockpit.stage.engine();
    assert!(nix::sys::signal::kill(engine, None).is_ok(), "the run goes on");
}

/// What only a debug build can be told to do.
#[cfg(debug_assertions)]
#[test]
fn u2_the_terminal_is_given_back_when_the_screen_panics() {
    let env = [("CUTOVER_FAILPOINTS", "screen.draw=panic@3")];
    let mut cockpit = Cockpit::start((80, 24), &["rehearse".as_ref()], &env);
    assert_eq!(cockpit.ended().code(), Some(1));
    cockpit.assert_given_back("a panic");
    cockpit.wait_for("failpoint screen.draw");
    // The report stands on the main screen, where it stays readable, line by line.
    let seen = String::from_utf8_lossy(&cockpit.seen).into_owned();
    let report = &seen[seen.rfind("\x1b[?1049l").unwrap()..];
    assert!(report.contains("failpoint screen.draw"), "{report:?}");
    assert!(report.contains("\r\n"), "the line discipline was back first: {report:?}");
}

/// What a command may print, with what a reader sees of it. A whole control sequence is left out, as in a terminal; what
/// stands alone or would hide something is shown by its code point.
const CORPUS: &[(&[u8], &str)] = &[
    (b"01 \x1b[2J\x1b[H\x1b[3J|", "01 |"),
    (b"02 \x1b]52;c;ZXZpbA==\x07|", "02 |"),
    (b"03 \x1b[6n\x1b[c\x1b[5n|", "03 |"),
    (b"04 \x1bP1$r0m\x1b\\\x1bP+q544e\x1b\\|", "04 |"),
    (b"05 \x1b]0;owned\x07\x1b]2;owned\x1b\\|", "05 |"),
    (b"06 \x9b31m\x9d52;c;x\x9c\x90q\x9c|", "06 "),
    (b"07 \xc2\x9b31m\xc2\x9d52;c;x\xc2\x9c|", "07 <U+009B>31m<U+009D>52;c;x<U+009C>|"),
    ("08 a\u{202e}b\u{2066}c\u{2069}|".as_bytes(), "08 a<U+202E>b<U+2066>c<U+2069>|"),
    ("09 a\u{200b}b\u{200d}c\u{feff}d|".as_bytes(), "09 a<U+200B>b<U+200D>c<U+FEFF>d|"),
    ("10 a\u{e0041}b\u{e007f}c|".as_bytes(), "10 a<U+E0041>b<U+E007F>c|"),
    (b"11 \x1b[?1000h\x1b[?2004l\x1b[?1049l\x1bc\x1b#8\x0e|", "11 |"),
    (b"12 \x1b_Gf=100;AAAA\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\|", "12 |"),
    (b"13 ab\x08\x0b\x0c\x7fc|", "13 a<U+000B><U+000C><U+007F>c|"),
    (b"14 \x1b[1;31mred\x1b[0m \x1b[4munder\x1b[m|", "14 red under|"),
    ("15 \u{1160}\u{3164}\u{ad}\u{fe0f}\u{2028}|".as_bytes(), "15 <U+1160><U+3164><U+00AD><U+FE0F><U+2028>|"),
    (b"16 \xf0\x9f\xff\xc0\x80|", "16 "),
    (b"17 \x1b", "17"),
    (b"18 \x1b[", "18"),
];

/// Lines of bytes that terminals heed, in an order that is random and always the same.
fn fuzz(lines: usize) -> Vec<u8> {
    const PIECES: &[&[u8]] = &[
        b"\x1b",
        b"[",
        b"]",
        b"P",
        b"?",
        b";",
        b"52",
        b"c",
        b"n",
        b"h",
        b"m",
        b"\x07",
        b"\x1b\\",
        b"\x9b",
        b"\x9d",
        b"\xc2\x9b",
        b"\xc2",
        b"\r",
        b"\x08",
        b"\0",
        b"\x0e",
        b"1049",
        b"6",
        b"\xe2\x80\xae",
        b"\xe2\x80\x8d",
        b"x",
        b" ",
    ];
    let mut state = 0x9e37_79b9_u32;
    let mut bytes = Vec::new();
    for _ in 0..lines {
        for _ in 0..16 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            bytes.extend(PIECES[state as usize % PIECES.len()]);
        }
        bytes.push(b'\n');
    }
    bytes
}

/// A runbook of one step that prints a file and fails, so that what it printed stays on the screen.
fn loud(dir: &Path) -> PathBuf {
    let mut bytes = fuzz(400);
    // Whatever the fuzz has left open is over.
    bytes.extend(b"\n00 begin\n");
    for (line, _) in CORPUS {
        bytes.extend(*line);
        bytes.push(b'\n');
    }
    bytes.extend(b"99 end\n");
    let (corpus, path) = (dir.join("corpus"), dir.join("runbook.toml"));
    std::fs::write(&corpus, bytes).unwrap();
    let text = format!(
        r#"
[runbook]
module = "loud-service"
title = "A service whose commands print what they like"
status = "approved"
version = "1.0.0"
last_updated = 2026-11-20
author = "@ops"

[deployment]
environment = "development"
strategy = "recreate"
automation = "semi-automated"
expected = "1m"

[[checklist]]
group = "Before"
items = [{{ text = "Ready to listen", optional = true }}]

[[step]]
id = "print"
title = "Print"
run = [{{ name = "Print it all", sh = "cat '{}'; exit 3" }}]
undo = [{{ name = "Nothing", sh = "true" }}]
"#,
        corpus.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Listens as a terminal does, and keeps what a cockpit does not say.
#[derive(Default)]
struct Listener {
    foreign: Vec<String>,
    printed: String,
}

impl vte::Perform for Listener {
    fn print(&mut self, c: char) {
        self.printed.push(c);
    }

    fn execute(&mut self, byte: u8) {
        // Line ends come after the cockpit, when it says how the run ended.
        if !matches!(byte, b'\r' | b'\n') {
            self.foreign.push(format!("control {byte:#x}"));
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        let plain =
            |text: &[u8]| String::from_utf8_lossy(text).chars().all(|c| !c.is_control() && !is_hidden(c));
        match params {
            // How the run stands, and the question for the background.
            [b"0", title] if plain(title) && title.ends_with(b"cutover") => {}
            [b"11", b"?"] => {}
            _ => self.foreign.push(format!("OSC {params:?}")),
        }
    }

    fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, c: char) {
        self.foreign.push(format!("DCS {c}"));
    }

    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        // The end of a title set by OSC.
        if byte != b'\\' {
            self.foreign.push(format!("ESC {byte:#x}"));
        }
    }

    fn csi_dispatch(&mut self, params: &vte::Params, intermediates: &[u8], _: bool, c: char) {
        let first = params.iter().next().and_then(|param| param.first()).copied().unwrap_or_default();
        let ours = match (c, intermediates) {
            // Moves, colours, the whole screen cleared.
            ('H' | 'm', b"") => true,
            ('J', b"") => first == 2,
            // The cursor, the alternate screen, bracketed paste.
            ('h' | 'l', b"?") => matches!(first, 25 | 1049 | 2004),
            // What the terminal is asked, and its title kept and brought back.
            ('p', b"?$") => first == 2026,
            ('c', b"") => first == 0,
            ('t', b"") => matches!(first, 22 | 23),
            _ => false,
        };
        if !ours {
            self.foreign.push(format!("CSI {} {first} {c}", String::from_utf8_lossy(intermediates)));
        }
    }
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}' | '\u{1160}' | '\u{3164}' | '\u{e0000}'..='\u{e007f}')
}

#[test]
fn u4_u5_what_a_command_prints_neither_commands_the_terminal_nor_hides() {
    let dir = tempfile::tempdir().unwrap();
    let runbook = loud(dir.path());
    // The bell is the cockpit's own; without it every one that sounds is somebody else's.
    let mut cockpit =
        Cockpit::start((200, 60), &["run".as_ref(), runbook.as_os_str()], &[("CUTOVER_BELL", "no")]);
    cockpit.wait_for("Before the deployment");
    cockpit.press(b"\r");
    cockpit.wait_for("start: Print");
    cockpit.press(b"\r");
    cockpit.wait_for("99 end");
    let until = Instant::now() + PATIENCE;
    let shown = loop {
        let shown = rows(&cockpit.seen);
        let missing = CORPUS.iter().find(|(_, wanted)| !shown.iter().any(|row| row.contains(wanted)));
        match missing {
            None => break shown,
            Some((_, wanted)) => assert!(Instant::now() < until, "no {wanted:?} in {shown:#?}"),
        }
        cockpit.listen();
    };
    assert!(shown.iter().any(|row| row.contains("Print it all: exit status 3")), "{shown:#?}");
    cockpit.press(b"q");
    cockpit.wait_for("Leave the cockpit");
    cockpit.press(b"y");
    assert_eq!(cockpit.ended().code(), Some(9));
    cockpit.assert_given_back("leaving");

    let text = String::from_utf8(cockpit.seen.clone()).expect("not one byte outside of UTF-8");
    let mut listener = Listener::default();
    vte::Parser::new().advance(&mut listener, text.as_bytes());
    assert_eq!(listener.foreign, Vec::<String>::new());
    let hidden: Vec<char> = listener.printed.chars().filter(|c| is_hidden(*c)).collect();
    assert_eq!(hidden, Vec::<char>::new());
}

/// The screen's rows as a terminal shows them.
fn rows(seen: &[u8]) -> Vec<String> {
    let mut screen = vt100::Parser::new(60, 200, 0);
    // This emulator leaves the replacement character out, terminals show it.
    screen.process(String::from_utf8_lossy(seen).replace('\u{fffd}', "?").as_bytes());
    screen.screen().rows(0, 200).collect()
}

#[test]
fn u4_line_mode_prints_no_control_character() {
    let dir = tempfile::tempdir().unwrap();
    let runbook = loud(dir.path());
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["run", "--plain", "--yes", "--state-dir"])
        .arg(dir.path().join("state"))
        .arg(&runbook)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let text = String::from_utf8(bytes).unwrap();
        let foreign: Vec<char> =
            text.chars().filter(|c| *c != '\n' && (c.is_control() || is_hidden(*c))).collect();
        assert_eq!(foreign, Vec::<char>::new(), "{name}: {text}");
    }
}
