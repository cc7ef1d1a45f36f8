//! Declares the variables that commands use and the page does not explain.

use super::{commands, draft::Source, findings::Ledger, resolve::Book, secrets::is_secret_name};
use crate::{
    config::{is_shell_own, script_names, script_sets, shell_gives},
    domain::template::Template,
};

/// Declares what is used and nobody has declared.
pub(super) fn declare(book: &mut Book, ledger: &mut Ledger) {
    let has_target = book.target.is_some();
    for var in &mut book.draft.vars {
        let of_cluster = matches!(var.source, Source::From(fact) if !matches!(fact, "opened-at" | "pilot"));
        if of_cluster && !has_target {
            var.source = Source::Ask {
                question: format!("Which {}?", var.name.to_lowercase().replace('_', " ")),
                sample: None,
            };
        }
    }
    let mut used: Vec<(String, bool)> = Vec::new();
    let lists = book.parts.iter().flat_map(|part| part.run.iter().chain(&part.check).chain(&part.undo));
    let rest = book
        .completion
        .0
        .iter()
        .chain(&book.completion.1)
        .chain(book.rollbacks.iter().flat_map(|(run, check)| run.iter().chain(check)));
    for line in lists.chain(rest) {
        for (text, script) in &line.texts {
            used.extend(names(text, *script).into_iter().map(|name| (name, *script)));
        }
    }
    for var in &book.draft.vars {
        if let Source::Value(value) = &var.source {
            used.extend(names(value, false).into_iter().map(|name| (name, false)));
        }
    }
    for (name, script) in used {
        if book.draft.var(&name).is_some() {
            continue;
        }
        if script && is_shell_own(&name) {
            continue;
        }
        let source = if is_secret_name(&name) {
            book.draft.declare(&name, Source::Env, true, 1);
            continue;
        } else if name == "PILOT" {
            Source::From("pilot")
        } else if shell_gives(&name) {
            Source::Env
        } else if let Some(fact) = commands::fact(&name).filter(|_| has_target) {
            Source::From(fact)
        } else {
            ledger.decide(
                0,
                &format!("the page uses ${name} and does not say what it is: the run asks for it"),
            );
            Source::Ask {
                question: format!("Which {}?", name.to_lowercase().replace('_', " ")),
                sample: None,
            }
        };
        book.draft.declare(&name, source, false, 1);
    }
    if book.notifies {
        book.draft.declare("SLACK_WEBHOOK_URL", Source::Env, true, 1);
    }
}

/// The names that a text uses; in a script those that `check` wants a value for.
fn names(text: &str, script: bool) -> Vec<String> {
    if script {
        script_names(text).into_iter().filter(|name| !script_sets(text, name)).collect()
    } else {
        Template::from(text).names().map(str::to_owned).collect()
    }
}
