//! cutover flies a deployment runbook from a terminal.
//!
//! Three ideas carry everything. A run *is* its list of [`domain::event::RunEvent`]s: journal, screen, resume and
//! report fold the same ones. Deciding is pure ([`domain::machine`]), doing is elsewhere ([`engine`]). The engine
//! owns the run; a screen only looks and asks, through serialisable messages ([`domain::message`]).
//!
//! ```text
//! domain    what a runbook and a run are; the state machine; verdicts on metrics      plain values: no clock, no I/O
//! config    runbook.toml as written -> as meant, every fault located; settings, keymap, theme
//! init      what a cluster and its Prometheus have -> a first runbook                       plain values, text out
//! import    a Markdown page of any kind -> a runbook, and what became of each line          text in, text out
//! export    a runbook -> a Markdown page, for the wiki and for hands                        text out
//! engine    driver, effects, supervision of tasks; ports (traits) that face the world
//! journal   the write-ahead log: write, repair, recover, lock
//! adapters  process, kube, prometheus, scrape, http, tls, notify, clock: one port each
//! link      the channel between engine and screens
//! tui       model, update, view: (Model, Msg) -> Model, draw(&Model)
//! world     the simulated cluster, metrics server and service that `rehearse` and the tests fly in
//! report    a run's events and samples -> a page for a browser, for a wiki, or JSON           text out
//! flight    the process a run lives in: opened or resumed, guarded, brought to its end; it puts the layers together
//! cli       the command line, one file a subcommand
//! failpoint where tests let the program die, hang or meet a failing disk; empty in release builds    std + nix only
//! ```
//!
//! Arrows: everything may use `domain`. engine -> domain. adapters, journal -> domain + `engine::ports`.
//! config, init, report -> domain. import, export -> domain + config. link -> domain. tui -> domain + config + link.
//! world -> domain. flight -> all but cli, export, import, report and tui. cli -> domain + config + export + flight + import +
//! init + link + report + tui. All but domain -> failpoint.
//! `tests/architecture.rs` holds them.

pub mod adapters;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod export;
pub mod failpoint;
pub mod flight;
pub mod import;
pub mod init;
pub mod journal;
pub mod link;
pub mod report;
pub mod tui;
pub mod world;
