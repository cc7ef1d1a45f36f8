//! Command line errors in our own words: what is wrong on one line, what to do on the next.

use clap::error::ErrorKind;

use super::grammar;
use crate::flight::{exit::Exit, stop::Stop};

/// Turns an error of the parser into an exit. Help and version are printed as they are.
pub(super) fn told(error: &clap::Error) -> Stop {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Stop::Exit(Exit::Done)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Stop::Exit(Exit::Usage)
        }
        _ => Stop::usage(sentences(&error.render().to_string(), &asked())),
    }
}

/// The subcommand that was meant, for the line that points to its help.
fn asked() -> String {
    let whole = grammar::whole();
    let named = std::env::args().skip(1).find(|word| whole.find_subcommand(word).is_some());
    named.map_or_else(|| "cutover".to_owned(), |named| format!("cutover {named}"))
}

/// The parser's message without its headings: the fault, a similar word if there is one, where to read more.
fn sentences(said: &str, command: &str) -> String {
    let mut paragraphs = said.split("\n\n");
    let fault: Vec<&str> = paragraphs.next().unwrap_or_default().lines().map(str::trim).collect();
    let fault = fault.join(" ");
    let fault = fault.strip_prefix("error: ").unwrap_or(&fault);
    let similar = said.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    let similar: Vec<&str> = similar.filter(|tip| tip.contains("similar")).collect();
    let mut lines = vec![fault.to_owned()];
    lines.extend(similar.into_iter().map(str::to_owned));
    lines.push(format!("see: {command} --help"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> String {
        let error = grammar::whole().try_get_matches_from(args).unwrap_err();
        sentences(&error.render().to_string(), "cutover run")
    }

    #[test]
    fn a_wrong_command_line_is_two_or_three_lines() {
        assert_eq!(
            of(&["cutover", "run", "--plainn"]),
            "unexpected argument '--plainn' found\na similar argument exists: '--plain'\nsee: cutover run --help"
        );
        assert_eq!(
            of(&["cutover", "rollback"]),
            "the following required arguments were not provided: --reason <REASON>\nsee: cutover run --help"
        );
        assert_eq!(
            of(&["cutover", "rehearse", "--speed", "fast"]),
            "invalid value 'fast' for '--speed <N>': invalid float literal\nsee: cutover run --help"
        );
    }
}
