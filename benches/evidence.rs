//! The tables of `docs/evidence.md`: `cargo bench --bench evidence`, a minute or two.
//!
//! Verdicts from evidence beside the fixed rule "error rate > 1 % for 5 minutes" in the same runs, with seeds that are
//! fixed. Prints Markdown and asserts nothing; the margins are held by the tests of `domain::evidence`.

#![expect(clippy::print_stdout, reason = "a measuring program prints")]
#![expect(clippy::expect_used, reason = "a measuring program stops where it cannot measure")]

#[path = "evidence/alone.rs"]
mod alone;
#[path = "evidence/beside.rs"]
mod beside;
#[path = "evidence/game.rs"]
mod game;
#[path = "../src/domain/evidence/simulated.rs"]
mod simulated;

fn main() {
    let print = |lines: Vec<String>| lines.iter().for_each(|line| println!("{line}"));
    print(alone::faults());
    print(alone::late_and_slow());
    print(alone::false_alarms());
    print(alone::than_before());
    print(alone::overtime());
    print(beside::alike());
    print(beside::worse());
}
