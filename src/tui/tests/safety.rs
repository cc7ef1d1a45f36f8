//! What must never happen to a terminal.

use ratatui::{Terminal, backend::CrosstermBackend, style::Color};

use super::{fixture::Told, screens::states};
use crate::{
    config::theme::{Theme, ThemeChoice},
    domain::{
        actor::Actor,
        event::{ActionOutcome, RunEvent},
        fixture::payment,
        message::Update,
        workload::{Connection, LogLine},
    },
    tui::{
        model::Layer,
        style::Look,
        view::{self, text_of},
    },
};

/// What the terminal gets for every state is what was drawn: replayed by a terminal emulator, cell for cell. With
/// `CUTOVER_PICTURES` set to a directory, the bytes are kept there: `cat` shows the screen in its colours.
#[test]
fn a_terminal_shows_what_was_drawn() {
    crossterm::style::force_color_output(true);
    let pictures = std::env::var_os("CUTOVER_PICTURES").map(std::path::PathBuf::from);
    for (name, mut told) in states() {
        for (width, height) in [(60, 15), (80, 24), (120, 36), (200, 60)] {
            let drawn = told.buffer(width, height);
            let mut bytes = Vec::new();
            {
                let viewport = ratatui::Viewport::Fixed(drawn.area);
                let options = ratatui::TerminalOptions { viewport };
                let mut terminal =
                    Terminal::with_options(CrosstermBackend::new(&mut bytes), options).unwrap();
                terminal.draw(|frame| view::draw(&told.model, frame.buffer_mut())).unwrap();
            }
            if let Some(pictures) = &pictures {
                std::fs::write(pictures.join(format!("{name}_{width}x{height}.ans")), &bytes).unwrap();
            }
            let mut screen = vt100::Parser::new(height, width, 0);
            screen.process(&bytes);
            let shown: Vec<String> =
                screen.screen().rows(0, width).map(|row| row.trim_end().to_owned()).collect();
            assert_eq!(shown.join("\n"), text_of(&drawn), "{name} at {width}x{height}");
        }
    }
}

/// Sizes that matter (every small one, and up to 500x500 across), each in another state.
#[test]
fn u3_no_size_panics() {
    let mut states = states();
    let count = states.len();
    // Every small size, every width of a few rows, and a spread of large ones: ten thousand in all.
    let small = (0..=100).flat_map(|width| (0..=60).map(move |height| (width, height)));
    let flat = (101..=500).flat_map(|width| (0..9).map(move |height| (width, height)));
    let large = (0..240u16).map(|n| (n * 37 % 501, n * 61 % 501));
    let edges = [(500, 500), (500, 1), (1, 500), (59, 15), (60, 14), (80, 24), (200, 60)];
    for (n, (width, height)) in small.chain(flat).chain(large).chain(edges).enumerate() {
        states[n % count].1.buffer(width, height);
    }
}

/// What others may write into anything that is shown.
const HOSTILE: [&str; 12] = [
    "\x1b[2J\x1b[H gone",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]0;title\x1b\\",
    "\x1bP1$r0m\x1b\\",
    "\u{9b}31m\u{9d}52;c;x\u{9c}",
    "a\rb\nc\td\x08e\x7f",
    "\u{202e}txt.exe\u{2066}x\u{2069}",
    "z\u{200b}e\u{200d}r\u{feff}o\u{e0041}",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "\u{fe0f}\u{1160}\u{3164}",
    "\0\u{1}\u{1f}",
    "漢字🙂👨\u{200d}👩",
];

/// Listens to a terminal's bytes and counts what is neither a printed character nor one of our own drawing commands.
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
        self.foreign.push(format!("control {byte:#x}"));
    }
    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.foreign.push(format!("OSC {params:?}"));
    }
    fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, c: char) {
        self.foreign.push(format!("DCS {c}"));
    }
    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.foreign.push(format!("ESC {byte:#x}"));
    }
    fn csi_dispatch(&mut self, _: &vte::Params, _: &[u8], _: bool, c: char) {
        // Moves, colours, the cursor: what ratatui draws with.
        if !matches!(c, 'H' | 'm' | 'l' | 'h') {
            self.foreign.push(format!("CSI {c}"));
        }
    }
}

#[test]
fn u4_u5_foreign_text_neither_commands_nor_hides() {
    crossterm::style::force_color_output(true);
    for hostile in HOSTILE {
        for mut told in hostile_states(hostile) {
            for (width, height) in [(80, 24), (50, 12)] {
                let drawn = told.buffer(width, height);
                let mut bytes = Vec::new();
                let options = ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(drawn.area) };
                let mut terminal =
                    Terminal::with_options(CrosstermBackend::new(&mut bytes), options).unwrap();
                terminal.draw(|frame| view::draw(&told.model, frame.buffer_mut())).unwrap();
                drop(terminal);
                let mut listener = Listener::default();
                vte::Parser::new().advance(&mut listener, &bytes);
                assert_eq!(listener.foreign, Vec::<String>::new(), "{hostile:?} at {width}x{height}");
                let hidden = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
                assert!(!listener.printed.chars().any(|c| hidden(&c)), "{hostile:?} at {width}x{height}");
            }
        }
    }
}

/// A run whose every text has `text` in it.
fn hostile_states(text: &str) -> Vec<Told> {
    let mut runbook = payment();
    runbook.document.module.push_str(text);
    for group in &mut runbook.checklist {
        group.title.push_str(text);
        group.items.iter_mut().for_each(|item| item.text.insert_str(0, text));
    }
    for step in &mut runbook.steps {
        step.title.insert_str(0, text);
        step.critical = Some(text.to_owned());
        step.on_failure.insert(0, text.to_owned());
        step.run.iter_mut().for_each(|action| action.name.insert_str(0, text));
        step.check.iter_mut().for_each(|check| check.text.insert_str(0, text));
    }
    runbook.metrics.iter_mut().for_each(|metric| metric.title.insert_str(0, text));
    runbook.triggers.iter_mut().for_each(|trigger| trigger.reason.insert_str(0, text));
    runbook.contacts.iter_mut().for_each(|contact| contact.role.insert_str(0, text));
    let told = |page: &str| {
        let mut told = Told::opened_with(runbook.clone(), None);
        told.after(
            1,
            RunEvent::VarSet {
                name: "DEPLOY_VERSION".to_owned(),
                value: Some(text.to_owned()),
                source: text.to_owned(),
            },
        );
        told.after(
            1,
            RunEvent::PartDecided { part: "migrations".to_owned(), applies: true, by: Actor::person(text) },
        );
        told.after(1, RunEvent::NoteAdded { text: text.to_owned(), by: Actor::person(text) });
        told.after(
            1,
            RunEvent::ItemTicked {
                group: 0,
                item: 0,
                text: text.to_owned(),
                by: Actor::person(text),
                note: Some(text.to_owned()),
            },
        );
        told.healthy("blue");
        told.workload(|workload| {
            for slot in workload.slots.values_mut() {
                slot.image.push_str(text);
                slot.pods.iter_mut().for_each(|pod| pod.name.insert_str(0, text));
                slot.pods[0].status = text.to_owned();
                slot.pods[0].bad = true;
            }
            workload.connection = Connection::Lost(text.to_owned());
        });
        told.tell(Update::Refused { why: text.to_owned() });
        told.keys(page);
        let line = LogLine { pod: text.to_owned(), at: None, text: text.to_owned() };
        told.tell(Update::Logs { slot: "blue".into(), lines: Ok(vec![line]) });
        told
    };
    let mut failed = told("");
    failed.after(1, RunEvent::ChecklistPassed { by: Actor::person(text) });
    failed.started("prepare", 1);
    failed.acts(Told::at("prepare", 1, 0));
    failed.prints(Told::at("prepare", 1, 0), &[(Some(1), text)]);
    failed.acted(Told::at("prepare", 1, 0), ActionOutcome::Failed, 1, text);
    failed.after(0, RunEvent::StepFailed { step: "prepare".into(), attempt: 1, reason: text.to_owned() });
    vec![told(""), told("c"), told("l"), told(":log"), told("i"), failed]
}

/// The ten questions of the operator, answered by every state at 80x24 without help.
#[test]
fn every_state_answers_the_ten_questions() {
    for (name, mut told) in states() {
        let screen = told.screen(80, 24);
        let lines: Vec<&str> = screen.lines().collect();
        let has = |text: &str| screen.contains(text);
        assert!(has("traffic 100 %"), "{name}: which colour is live?\n{screen}");
        assert!(has("v1.6.0"), "{name}: which version goes out?\n{screen}");
        assert!(
            ["▶", "✖", "↶", "next: "].iter().any(|sign| lines[1].contains(*sign))
                || has("SUCCEEDED")
                || has("ROLLED BACK"),
            "{name}: what step?\n{screen}"
        );
        assert!(lines[22].contains("ENTER"), "{name}: what does Enter do?\n{screen}");
        assert!(!lines[22].contains('…'), "{name}: the whole of it?\n{screen}");
        let states = [
            "no alerts",
            "watch:",
            "BREACH",
            "BLIND",
            "COUNTDOWN",
            "FAILED",
            "PAUSED",
            "ROLLING BACK",
            "ROLLED BACK",
            "SUCCEEDED",
        ];
        assert!(states.iter().any(|state| lines[2].contains(state)), "{name}: is anything wrong?\n{screen}");
        assert!(
            lines[2..7]
                .iter()
                .any(|line| line.contains("rror rate") && (line.contains('%') || line.contains("NO DATA"))),
            "{name}: is the error rate inside its bound?\n{screen}"
        );
        let over = has("SUCCEEDED") || has(" ROLLED BACK at ");
        let time = if over {
            "ended after"
        } else if lines[2].contains("not started") {
            "35 min"
        } else if lines[2].contains("rolls back in ") || lines[2].contains("back within ") {
            "run "
        } else {
            " min"
        };
        assert!(lines[2].contains(time), "{name}: how long has it run, how long is left?\n{screen}");
        let light = [
            "ROLLBACK READY  key R",
            "ROLLBACK READY  ESC then R",
            "nothing to roll back yet",
            "ROLLING BACK",
            "○ ROLLED BACK",
            "SLOW ROLLBACK  key R",
        ];
        // The rollback's own dialog names the keys that decide.
        let own = matches!(told.model.layers.last(), Some(Layer::Rollback(_))) && has("● ROLLBACK READY");
        assert!(
            own || light.iter().any(|light| has(light)),
            "{name}: can I go back, with which key?\n{screen}"
        );
        assert!(lines[0].contains("pilot: alice (you)"), "{name}: who is in control?\n{screen}");
        assert!(lines[0].contains("PRODUCTION"), "{name}: is this production?\n{screen}");
    }
}

/// What we draw ourselves has a sign in ASCII that looks like it: a question mark says that something was lost.
#[test]
fn ascii_has_a_sign_for_all_that_is_drawn() {
    for (name, mut told) in states() {
        for (width, height) in [(60, 15), (80, 24), (120, 36), (200, 60)] {
            told.model.look = Look(Theme::new(ThemeChoice::Dark, true, false));
            let drawn = told.buffer(width, height);
            // Charts are drawn with other marks.
            told.model.look = Look(Theme::new(ThemeChoice::Dark, true, true));
            let plain = told.buffer(width, height);
            for (cell, sign) in drawn.content.iter().zip(&plain.content) {
                let lost = sign.symbol() == "?" && cell.symbol() != "?";
                assert!(!lost, "{name} at {width}x{height}: {:?}", cell.symbol());
            }
        }
    }
}

/// ASCII and monochrome screens show the same words, and nothing that such a terminal lacks.
#[test]
fn plain_terminals_are_served() {
    for (name, mut told) in states() {
        told.model.look = Look(Theme::new(ThemeChoice::Mono, true, true));
        let buffer = told.buffer(80, 24);
        for cell in &buffer.content {
            assert!(cell.symbol().is_ascii(), "{name}: {:?}", cell.symbol());
            assert!(cell.fg == Color::Reset && cell.bg == Color::Reset, "{name}");
        }
        assert!(text_of(&buffer).contains("traffic 100 %"), "{name}");
    }
}
