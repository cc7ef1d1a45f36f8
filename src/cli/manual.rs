//! What `--help` and the manual pages say beyond the arguments: examples, exit codes, notes. One entry a subcommand; a test
//! fails where a subcommand has none, and where an example would not be understood.

mod pages;

use std::fmt::Write as _;

pub use pages::PAGES;

/// What to type, and what it does.
pub type Example = (&'static str, &'static str);

/// A subcommand's entry.
pub struct Page {
    /// The subcommand.
    pub name: &'static str,
    /// Paragraphs that follow its one sentence. A paragraph that begins with two blanks is text to type or to write.
    pub notes: &'static [&'static str],
    /// What people type most; the first is the simplest.
    pub examples: &'static [Example],
    /// The exit codes it can end with, as [`EXIT_CODES`] has them.
    pub exits: &'static [&'static str],
    /// What a code means where this subcommand says more than [`EXIT_CODES`].
    pub means: &'static [(&'static str, &'static str)],
}

/// Every exit code and what it means.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "internal error, or the run's engine is gone"),
    ("2", "usage: wrong command line, or unusable settings, keymap, kubeconfig or state directory"),
    ("3", "invalid runbook, or its cluster cannot be reached or does not have what the runbook names"),
    ("4", "a check or step failed; traffic was not touched"),
    ("5", "rolled back"),
    ("6", "rollback failed"),
    ("7", "another run or another person has control"),
    ("8", "a person is needed, and there is no terminal"),
    ("9", "paused, or the run continues without this screen"),
    ("10", "status --wait: not in time"),
    ("11", "status --wait: the run has ended in another state"),
    ("128+n", "ended by signal n"),
];

/// Examples of the program's own page and help.
pub const EXAMPLES: &[Example] = &[
    ("cutover init", "Write a first runbook for what runs in a cluster."),
    ("cutover check --online", "Validate ./runbook.toml, and look whether it would work."),
    ("cutover rehearse", "Rehearse it; nothing real is touched."),
    ("cutover run", "Run it, and open the cockpit."),
    ("cutover status", "Where is my run, and does its engine answer?"),
    ("cutover rollback --reason \"errors everywhere\"", "Roll back from any shell."),
];

/// Variables of the environment, for the program's own page.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("KUBECONFIG", "The kubeconfig files, separated by colons; ~/.kube/config if it is not set."),
    ("CUTOVER_STATE_DIR", "Where runs are stored."),
    ("CUTOVER_SETTINGS", "The settings file; /dev/null uses none."),
    (
        "CUTOVER_COLOR, CUTOVER_THEME, CUTOVER_ASCII, CUTOVER_SLOW_LINK, CUTOVER_BELL, CUTOVER_OSC9, CUTOVER_TITLE, \
         CUTOVER_MOUSE, CUTOVER_KEYMAP, CUTOVER_PILOT",
        "Override the settings of the same names; `cutover config` shows them all.",
    ),
    ("CUTOVER_WATCH_GROUP, CUTOVER_APPROVE_GROUP", "Stand for --watch-group and --approve-group."),
    ("CUTOVER_LOG", "The level of cutover's own log, such as debug."),
    ("NO_COLOR", "If it is set, colours are off unless asked for."),
    ("RUST_BACKTRACE", "If it is 1, an internal error says where it comes from."),
];

/// Files, for the program's own page.
pub const FILES: &[(&str, &str)] = &[
    ("runbook.toml", "The runbook that is used if none is named."),
    ("~/.config/cutover/settings.toml", "Your settings."),
    ("~/.config/cutover/service.env", "The environment of engines that the service restarts."),
    ("~/.local/state/cutover/runs/", "A directory for each run: journal, output of commands, deploy.log."),
    ("~/.local/state/cutover/logs/", "cutover's own log, one file a day, two weeks."),
];

impl Page {
    /// The exit codes with what they mean here.
    pub fn exit_codes(&self) -> Vec<(&'static str, &'static str)> {
        let means = |code: &str| {
            let own = self.means.iter().find(|(of, _)| *of == code);
            own.or_else(|| EXIT_CODES.iter().find(|(of, _)| *of == code)).map(|(_, means)| *means)
        };
        self.exits.iter().filter_map(|code| Some((*code, means(code)?))).collect()
    }

    /// What stands below the arguments in `--help`.
    pub fn help(&self) -> String {
        let mut text = String::new();
        for note in self.notes {
            let _ = write!(text, "{note}\n\n");
        }
        text + &examples(self.examples)
    }
}

/// What stands below the subcommands in `cutover --help`.
pub fn help() -> String {
    let mut text = examples(EXAMPLES);
    text.push_str("\n\nExit codes:");
    for (code, means) in EXIT_CODES {
        let _ = write!(text, "\n  {code:5}  {means}");
    }
    text
}

fn examples(examples: &[Example]) -> String {
    let mut text = "Examples:".to_owned();
    for (line, does) in examples {
        let _ = write!(text, "\n  {line}\n      {does}");
    }
    text
}
