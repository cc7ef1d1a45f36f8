//! `cutover man`: prints a manual page, or writes all of them.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};
use color_eyre::eyre::eyre;

use super::{
    args::ManArgs,
    grammar,
    manual::{ENVIRONMENT, EXAMPLES, EXIT_CODES, Example, FILES, PAGES, Page},
};
use crate::flight::{
    exit::Exit,
    say::{data, talk},
    stop::Stop,
};

/// How groff and other formatters are told of apostrophes.
const APOSTROPHES: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Prints the page, or writes all pages into a directory.
///
/// # Errors
/// If a page can't be put together, or the directory can't be written.
pub fn main(args: &ManArgs) -> Result<Exit, Stop> {
    if let Some(dir) = &args.dir {
        let count = write_all(dir)?;
        talk(&format!("wrote {count} manual pages to {}", dir.display()));
        return Ok(Exit::Done);
    }
    let wanted = args.page.as_ref().map_or_else(|| "cutover".to_owned(), |name| format!("cutover-{name}"));
    let page = pages()?.into_iter().find(|(name, _)| *name == wanted);
    let (_, text) = page.ok_or_else(|| Stop::from(eyre!("there is no page {wanted}")))?;
    data(text.trim_end());
    Ok(Exit::Done)
}

fn write_all(dir: &Path) -> Result<usize, Stop> {
    let failed = |path: &Path, error: &std::io::Error| {
        Stop::usage(format!("cannot write {}: {error}\ngive another directory with --dir", path.display()))
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    let pages = pages()?;
    for (name, text) in &pages {
        let path: PathBuf = dir.join(format!("{name}.1"));
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    Ok(pages.len())
}

/// Every page with its name, such as `cutover-run`; the program's own is the first.
fn pages() -> std::io::Result<Vec<(String, String)>> {
    let mut whole = grammar::whole().disable_help_subcommand(true).subcommand_value_name("COMMAND");
    whole.build();
    let mut pages = vec![("cutover".to_owned(), main_page(&whole)?)];
    for page in PAGES {
        if let Some(command) = whole.find_subcommand(page.name) {
            pages.push((format!("cutover-{}", page.name), subcommand_page(command, page)?));
        }
    }
    Ok(pages)
}

fn main_page(whole: &Command) -> std::io::Result<String> {
    let man = Man::new(whole.clone());
    let mut page = title(whole);
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let mut roff = Roff::new();
    examples(&mut roff, EXAMPLES);
    table(&mut roff, "EXIT STATUS", EXIT_CODES);
    table(&mut roff, "ENVIRONMENT", ENVIRONMENT);
    table(&mut roff, "FILES", FILES);
    see_also(&mut roff, PAGES.iter().map(|page| format!("cutover-{}", page.name)));
    roff.to_writer(&mut page)?;
    whole_text(page)
}

fn subcommand_page(command: &Command, entry: &Page) -> std::io::Result<String> {
    let man = Man::new(command.clone());
    let mut page = title(command);
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    let mut roff = Roff::new();
    for note in entry.notes {
        roff.control("PP", []);
        match note.strip_prefix("  ") {
            Some(typed) => literal(&mut roff, typed),
            None => roff.text([roman(*note)]),
        };
    }
    roff.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    examples(&mut roff, entry.examples);
    table(&mut roff, "EXIT STATUS", &entry.exit_codes());
    see_also(&mut roff, std::iter::once("cutover".to_owned()));
    roff.to_writer(&mut page)?;
    whole_text(page)
}

/// A page's first line. Without a date: the version says more, and the same sources give the same pages.
fn title(command: &Command) -> Vec<u8> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    format!(".TH {name} 1 \"\" \"cutover {}\" \"cutover manual\"\n", env!("CARGO_PKG_VERSION")).into_bytes()
}

fn examples(roff: &mut Roff, examples: &[Example]) {
    roff.control("SH", ["EXAMPLES"]);
    for (line, does) in examples {
        roff.control("TP", []);
        roff.text([bold(*line)]);
        roff.text([roman(*does)]);
    }
}

fn table(roff: &mut Roff, heading: &str, rows: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (name, means) in rows {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*means)]);
    }
}

fn see_also(roff: &mut Roff, names: impl Iterator<Item = String>) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for name in names {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(name), roman("(1)")]);
    }
    roff.text(line);
}

/// Text to type or to write, as it stands.
fn literal<'r>(roff: &'r mut Roff, typed: &str) -> &'r mut Roff {
    roff.control("RS", ["4"]).control("nf", []).text([bold(typed)]).control("fi", []).control("RE", [])
}

/// Every part begins by saying what an apostrophe is; once is enough.
fn whole_text(page: Vec<u8>) -> std::io::Result<String> {
    let page = String::from_utf8(page).map_err(std::io::Error::other)?;
    Ok(format!("{APOSTROPHES}{}", page.replace(APOSTROPHES, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_its_sections_and_all_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let man1 = dir.path().join("man/man1");
        assert_eq!(write_all(&man1).unwrap(), PAGES.len() + 1);
        for name in
            ["cutover".to_owned()].into_iter().chain(PAGES.iter().map(|it| format!("cutover-{}", it.name)))
        {
            let page = std::fs::read_to_string(man1.join(format!("{name}.1"))).unwrap();
            let title =
                format!(".TH {} 1 \"\" \"cutover {}\"", name.to_uppercase(), env!("CARGO_PKG_VERSION"));
            assert!(page.contains(&title), "{page}");
            let sections =
                ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\"", "\"SEE ALSO\""];
            let mut rest = page.as_str();
            for section in sections {
                let heading = format!(".SH {section}\n");
                rest = rest.split_once(&heading).unwrap_or_else(|| panic!("{name}: {section}: {page}")).1;
            }
        }
    }
}
