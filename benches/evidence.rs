//! The tables of `docs/evidence.md`: `cargo bench --bench evidence`, a minute or two.
//!
//! Verdicts from evidence beside the fixed rule "error rate > 1 % for 5 minutes" in the same runs, with seeds that are
//! fixed. Prints Markdown and asserts nothing; the margins are held by the tests of `domain::evidence`.
//!
//! `cargo bench --bench evidence -- prometheus` runs the program itself over a real process and a real Prometheus, which has to be
//! installed, and takes eight minutes of real time. Parts of the tables: `-- faults`, `late`, `false-alarms`, `before`, `overtime`,
//! `alike`, `worse`, `scraped`.

#![expect(clippy::print_stdout, reason = "a measuring program prints")]
#![expect(clippy::expect_used, reason = "a measuring program stops where it cannot measure")]

#[path = "evidence/alone.rs"]
mod alone;
#[path = "evidence/beside.rs"]
mod beside;
#[path = "evidence/game.rs"]
mod game;
#[path = "evidence/prometheus.rs"]
mod prometheus;
#[path = "../src/domain/evidence/simulated.rs"]
mod simulated;

#[path = "../tests/support/verdict.rs"]
mod evidence;
#[path = "../tests/support/ground.rs"]
mod ground;
#[path = "../tests/support/helm.rs"]
mod helm;
#[path = "../tests/support/pty.rs"]
mod pty;
#[path = "../tests/support/prometheus.rs"]
mod server;

/// A table and the word that asks for it alone.
type Part = (&'static str, fn() -> Vec<String>);

const TABLES: [Part; 8] = [
    ("faults", alone::faults),
    ("late", alone::late_and_slow),
    ("false-alarms", alone::false_alarms),
    ("before", alone::than_before),
    ("overtime", alone::overtime),
    ("alike", beside::alike),
    ("worse", beside::worse),
    ("scraped", beside::scraped),
];

fn main() {
    // Cargo adds options of its own.
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |word: &str| asked.iter().any(|it| it == word);
    let tables = TABLES.iter().filter(|(word, _)| asked.is_empty() || wanted(word));
    let real = Some(prometheus::trials as fn() -> Vec<String>).filter(|_| wanted("prometheus"));
    for part in tables.map(|(_, part)| *part).chain(real) {
        for line in part() {
            println!("{line}");
        }
    }
}
