//! `cutover check`: validates a runbook and prints each fault with its position; with `--online` it goes on to what the runbook
//! will meet.

use std::io::IsTerminal as _;

use super::{
    args::CheckArgs,
    findings::{self, Form},
};
use crate::{
    config,
    flight::{
        exit::Exit,
        online, runbook,
        say::{data, talk},
        stop::Stop,
    },
};

/// Prints all faults; exit code 3 if one of them is an error.
///
/// # Errors
/// If the file can't be read, or a value on the command line fits no variable.
pub async fn main(args: &CheckArgs) -> Result<Exit, Stop> {
    let name = args.runbook.display().to_string();
    let (loaded, todo) = if let Ok(bytes) = std::fs::read(&args.runbook) {
        match String::from_utf8(bytes) {
            Ok(text) => {
                let loaded = config::load_str(&name, &text);
                let color = runbook::use_color(&args.color, std::io::stdout().is_terminal());
                for diagnostic in &loaded.diagnostics {
                    let shown = format!("{}\n", diagnostic.render(&text, color));
                    // JSON on stdout stays one document.
                    if args.json { talk(&shown) } else { data(&shown) }
                }
                (loaded, todo_comments(&text))
            }
            Err(error) => return Err(Stop::unfit(runbook::not_utf8(&args.runbook, &error))),
        }
    } else {
        runbook::read(&args.runbook)?;
        return Ok(Exit::Internal);
    };
    let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let warnings = loaded.diagnostics.len() - errors;
    let Some(runbook) = loaded.runbook.filter(|_| errors == 0) else {
        talk(&format!("{name}: {errors} errors, {warnings} warnings"));
        return Ok(Exit::InvalidRunbook);
    };
    let items: usize = runbook.checklist.iter().map(|group| group.items.len()).sum();
    talk(&format!(
        "{name}: no errors, {warnings} warnings; {items} checklist items, {} steps, {} metrics, {} triggers, {} tasks",
        runbook.steps.len(),
        runbook.metrics.len(),
        runbook.triggers.len(),
        runbook.tasks.len()
    ));
    if todo > 0 {
        talk(&format!("{name}: {todo} TODO left; each is a comment that says what to fill in"));
    }
    if args.online {
        let found = online::look(&runbook, &args.runbook, &args.vars).await?;
        let form = Form { json: args.json, color: args.color.clone(), strict: args.strict };
        let exit = findings::print(&name, &found, &form);
        return Ok(if args.strict && warnings > 0 { Exit::InvalidRunbook } else { exit });
    }
    Ok(if args.strict && warnings > 0 { Exit::InvalidRunbook } else { Exit::Done })
}

/// How many comments of a runbook begin with `TODO`: what `cutover init` could not know, or a person has left for later.
fn todo_comments(text: &str) -> usize {
    text.lines().filter(|line| line.contains("# TODO")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_begin_with_todo_are_counted_and_other_lines_are_not() {
        let text = "# TODO: a\n# found: b\na = 1 # TODO: c\n    # TODO d\ntext = \"a TODO list\"\n#TODOS\n";
        assert_eq!(todo_comments(text), 3);
        assert_eq!(todo_comments(""), 0);
    }
}
