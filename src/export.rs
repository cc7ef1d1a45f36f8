//! Writes a runbook as a Markdown page, for people without cutover and for `import`.
//!
//! ```text
//! text ─▶ written   the tree as it stands in the file          secrets taken out
//!      ─▶ config    the runbook as it is meant
//!      ─▶ sections, course, hand   the page: words, commands, tables
//!      ─▶ settings  what the page does not say, as TOML at its end
//!
//! page ─▶ back     its blocks as a tree, the settings laid over it                        for `import`
//! ```
//!
//! The page holds each thing once: words, order, shell commands, bounds and times are content; all else is in the settings, and what
//! the page shows of it is a view. `docs/export.md` has the conventions.

mod back;
mod course;
mod hand;
mod markdown;
#[cfg(test)]
mod reader;
mod secrets;
mod sections;
mod settings;
mod shell;
mod words;
mod written;

use crate::{
    config::{Loaded, load_str},
    domain::runbook::Runbook,
};

pub use back::{Back, read};
use hand::Hand;
use written::Node;

/// A runbook's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The page. It can contain whatever the runbook's texts contain: sanitise it before it goes to a terminal.
    pub markdown: String,
    /// Where the page is not the same as the runbook, because values of secrets are not on it: a sentence each.
    pub left_out: Vec<String>,
}

/// Why there is no page.
#[derive(Debug)]
pub enum NoPage {
    /// The runbook has errors.
    Invalid(Box<Loaded>),
    /// Without the secrets that are written out in it, the runbook has errors: they are used where no secret may be.
    Secrets(Box<Loaded>),
}

/// What the writers of sections share.
struct Source<'a> {
    runbook: &'a Runbook,
    tree: &'a Node,
    hand: Hand<'a>,
}

/// The page of a runbook. `name` is how the file is called in messages.
///
/// # Errors
/// If the runbook has errors.
pub fn page(name: &str, source: &str) -> Result<Page, NoPage> {
    let loaded = load_str(name, source);
    let (Some(mut runbook), Ok(mut tree)) = (loaded.runbook.clone(), Node::parse(source)) else {
        return Err(NoPage::Invalid(Box::new(loaded)));
    };
    let left_out = secrets::take_out(&mut tree);
    if !left_out.is_empty() {
        let clean = load_str(name, &tree.to_toml());
        runbook = clean.runbook.clone().ok_or_else(|| NoPage::Secrets(Box::new(clean)))?;
    }
    let source = Source { runbook: &runbook, tree: &tree, hand: Hand::new(&runbook, source) };
    let settings = settings::settings(&tree, &runbook).ordered().to_toml();
    let mut blocks = sections::before_steps(&source);
    blocks.extend(course::steps(&source));
    blocks.extend(sections::after_steps(&source));
    blocks.push(format!("## {}\n", back::SETTINGS));
    blocks.push("*For import:* what this page cannot say. Keep it as it is.\n".to_owned());
    blocks.push(markdown::fence("toml", &settings, 0));
    Ok(Page { markdown: blocks.join("\n"), left_out })
}

#[cfg(test)]
mod tests;
