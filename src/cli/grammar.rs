//! The command line as a whole: the arguments, with what the manual says of them and with what completes them.

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::{
    args::Cli,
    candidates,
    manual::{self, PAGES},
};

/// The command line, as it is parsed, shown by `--help`, completed and printed as manual pages.
pub fn whole() -> Command {
    let names: Vec<&str> = PAGES.iter().map(|page| page.name).collect();
    let whole = Cli::command().after_help(manual::help()).mut_subcommands(|subcommand| {
        let page = PAGES.iter().find(|page| page.name == subcommand.get_name());
        let subcommand = candidates::added(subcommand);
        match page {
            Some(page) => subcommand.after_help(page.help()),
            None => subcommand,
        }
    });
    whole.mut_subcommand("man", |man| {
        let pages = clap::builder::PossibleValuesParser::new(names);
        man.mut_arg("page", |page| page.value_parser(pages).hide_possible_values(true))
    })
}

/// Parses the command line of this process.
///
/// # Errors
/// If it is wrong, or asks for help.
pub fn parsed() -> Result<Cli, clap::Error> {
    let mut whole = whole();
    let mut matches = whole.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::manual::{EXAMPLES, EXIT_CODES};

    /// The words of an example, as a shell would hand them over: quotes taken away, nothing of what follows the command.
    fn words(line: &str) -> Vec<String> {
        let line = line.strip_prefix("source <(").and_then(|line| line.strip_suffix(')')).unwrap_or(line);
        let mut words = Vec::new();
        for (index, part) in line.split('"').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        let end = words.iter().position(|word| matches!(word.as_str(), "|" | ">" | "&&"));
        words.truncate(end.unwrap_or(words.len()));
        words
    }

    #[test]
    fn every_subcommand_has_examples_and_exit_codes() {
        let whole = whole();
        let seen: Vec<&str> =
            whole.get_subcommands().filter(|it| !it.is_hide_set()).map(Command::get_name).collect();
        let written: Vec<&str> = PAGES.iter().map(|page| page.name).collect();
        for name in &seen {
            assert!(written.contains(name), "write examples of `cutover {name}` into src/cli/manual.rs");
        }
        assert_eq!(written, seen, "the manual has the order of `cutover --help`");
        for page in PAGES {
            assert!(!page.examples.is_empty(), "{}", page.name);
            assert_eq!(page.exit_codes().len(), page.exits.len(), "{}: a code that no table has", page.name);
            assert!(page.means.iter().all(|(code, _)| page.exits.contains(code)), "{}", page.name);
            let in_order = |code: &&str| EXIT_CODES.iter().position(|(of, _)| of == code);
            assert!(page.exits.is_sorted_by_key(in_order), "{}", page.name);
        }
    }

    #[test]
    fn every_example_is_understood() {
        let of_pages = PAGES.iter().flat_map(|page| page.examples.iter().map(|it| (Some(page.name), it)));
        for (name, (line, does)) in of_pages.chain(EXAMPLES.iter().map(|it| (None, it))) {
            let matches = whole().try_get_matches_from(words(line));
            let matches = matches.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(name.is_none() || matches.subcommand_name() == name, "{line}");
            assert!(does.ends_with(['.', '?']) && line.len() <= 90, "{line}: {does}");
        }
    }

    #[test]
    fn help_shows_the_examples_and_the_command_line_is_consistent() {
        let mut whole = whole();
        whole.clone().debug_assert();
        assert!(whole.render_help().to_string().contains("Exit codes:\n  0      done\n"));
        for page in PAGES {
            let subcommand = whole.find_subcommand_mut(page.name).unwrap();
            let help = subcommand.render_help().to_string();
            assert!(help.contains(&format!("Examples:\n  {}\n", page.examples[0].0)), "{help}");
        }
    }
}
