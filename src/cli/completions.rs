//! `cutover completions`: prints what connects a shell's TAB with cutover, and answers the shell when it asks.

use std::{
    ffi::OsString,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use clap::Command;
use clap_complete::{CompleteEnv, env::Shells};

use super::{args::CompletionsArgs, grammar};
use crate::flight::{exit::Exit, stop::Stop};

/// The variable in which a shell that asks says which one it is.
const VARIABLE: &str = "CUTOVER_COMPLETE";

/// What zsh needs where the script is a file of its own in the function path: it is run at the first TAB, and has to answer
/// that one as well.
const FIRST_TAB: &str = "[[ $funcstack[1] == _cutover ]] && _clap_dynamic_completer_cutover";

/// Prints the script for a shell to source.
///
/// # Errors
/// If there is none for the shell, or it can't be written.
pub fn main(args: &CompletionsArgs) -> Result<Exit, Stop> {
    let name = args.shell.to_string();
    let shells = Shells::builtins();
    let shell =
        shells.completer(&name).ok_or_else(|| Stop::usage(format!("there are no completions for {name}")))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "cutover", "cutover", &program(), &mut script)?;
    if args.shell == clap_complete::Shell::Zsh {
        writeln!(script, "{FIRST_TAB}")?;
    }
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}

/// What the shell calls: `cutover`, or the path if this process was called by one, so that a program that is not installed
/// can be tried.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = Path::new(&called);
    let path = std::path::absolute(called).ok().filter(|_| called.components().count() > 1);
    path.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| "cutover".to_owned())
}

/// Answers the shell if this is a question of its: `CUTOVER_COMPLETE=bash cutover -- cutover att`. The variable alone changes
/// no command. Whatever fails, fails in silence: its words would stand in the line that is being typed.
pub fn answered() -> Option<Exit> {
    std::env::var_os(VARIABLE)?;
    std::env::args_os().nth(1).filter(|word| word == "--")?;
    std::panic::set_hook(Box::new(|_| {}));
    let here = std::env::current_dir().ok();
    let words: Vec<OsString> = std::env::args_os().collect();
    let complete = CompleteEnv::with_factory(|| offering(grammar::whole(), &words)).var(VARIABLE);
    let answer = catch_unwind(AssertUnwindSafe(|| complete.try_complete(words.clone(), here.as_deref())));
    Some(if matches!(answer, Ok(Ok(true))) { Exit::Done } else { Exit::Internal })
}

/// The command line with what is worth offering: where nothing of a word is typed yet, values go before options, which show up
/// where there are no values, and at a `-`.
pub(super) fn offering(mut whole: Command, words: &[OsString]) -> Command {
    if words.last().is_some_and(|word| !word.is_empty()) {
        return whole;
    }
    // What is hidden is offered only if nothing else is. `--help` is there once all is put together.
    whole.build();
    let hide =
        |command: Command| command.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(true) });
    hide(whole.mut_subcommands(hide))
}
