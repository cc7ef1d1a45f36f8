//! The commands behind `:`.

/// A command: its name, what may follow it, what it does.
pub type Entry = (&'static str, &'static str, &'static str);

/// All commands of a screen on a run, in the order of help.
const COMMANDS: &[Entry] = &[
    ("note", "TEXT", "add a note to the log"),
    ("hold", "REASON", "pause: start nothing new"),
    ("continue", "", "resume after a pause"),
    ("override", "REASON", "start the steps with open items"),
    ("skip", "REASON", "skip the next step"),
    ("rollback", "[PROCEDURE]", "show what a rollback would do now"),
    ("accept", "", "accept somebody else's change to the target, and continue"),
    ("putback", "", "revert somebody else's change if that is safe, and continue"),
    ("blind", "blind", "let a rollback continue without reading the cluster"),
    ("unrecorded", "WORDS", "if the journal is lost: let a rollback continue without it"),
    ("abort", "REASON", "end the run here, before traffic was switched"),
    ("set", "NAME=VALUE", "change a variable, before the steps start"),
    ("part", "NAME yes|no", "set whether an optional part applies, before the steps start"),
    ("log", "", "the log of this run"),
    ("alerts", "", "current problems"),
    ("preflight", "", "what was found before the start, and what to do about it"),
    ("output", "", "all output of the last action"),
    ("logs", "", "logs of the slot that matters now"),
    ("metrics", "", "metrics with axes and bounds"),
    ("tasks", "", "tasks for after the deployment"),
    ("incident", "", "incident response"),
    ("contacts", "", "contacts"),
    ("links", "", "links"),
    ("inbox", "", "notices to the team"),
    ("save", "", "save this screen as text in the run's directory"),
    ("help", "", "help: all keys"),
    ("kill", "", "stop the leftover process of an unknown action"),
    ("ask", "", "ask for control"),
    ("give", "", "hand control over to the person who asked"),
    ("keep", "", "keep control, and tell the person who asked"),
    ("take", "[REASON]", "take control if nobody has it, or from your own other screen"),
    ("approve", "", "approve the next step; not for the pilot"),
    ("missed", "", "what happened while nobody had control"),
    ("crew", "", "the screens of this run"),
    ("reload", "", "read settings and keymap again; faulty ones are not taken"),
    ("quit", "", "leave the screen"),
];

/// What a replay has beside the commands that only look.
const REPLAY: &[Entry] = &[(
    "goto",
    "TIME|EVENT",
    "14:05:30, 12m after the start, +30s from here, #17, start, end, or words of an event",
)];

/// The commands that change nothing but the screen.
const LOOKING: &[&str] = &[
    "log", "alerts", "output", "metrics", "tasks", "incident", "contacts", "links", "inbox", "save", "help",
    "crew", "reload", "quit",
];

/// The commands there are: in a replay only those that change nothing but the screen, and its own.
pub fn all(replays: bool) -> impl Iterator<Item = &'static Entry> {
    let own = if replays { REPLAY } else { &[] };
    own.iter().chain(COMMANDS.iter().filter(move |(name, ..)| !replays || LOOKING.contains(name)))
}

/// Commands that begin like this, for the line above the footer.
pub fn matching(replays: bool, typed: &str) -> impl Iterator<Item = &'static Entry> {
    let name = typed.split_whitespace().next().unwrap_or_default().to_owned();
    all(replays).filter(move |(command, ..)| command.starts_with(&name))
}

/// The commands that match what has been typed, in words.
pub fn help(replays: bool, typed: &str) -> String {
    let mut all = matching(replays, typed);
    match (all.next(), all.next()) {
        (None, _) => "no such command; :help lists them".to_owned(),
        (Some((name, takes, what)), None) => format!("{name} {takes}: {what}"),
        (Some(first), Some(second)) => {
            let names: Vec<&str> = [first, second].into_iter().chain(all).map(|(name, ..)| *name).collect();
            names.join(" ")
        }
    }
}
