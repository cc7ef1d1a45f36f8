//! `cutover check`: validates a runbook and prints each fault with its position.

use std::io::IsTerminal as _;

use super::args::CheckArgs;
use crate::{
    config,
    flight::{
        exit::Exit,
        runbook,
        say::{data, talk},
        stop::Stop,
    },
};

/// Prints all faults; exit code 3 if one of them is an error.
///
/// # Errors
/// If the file can't be read.
pub fn main(args: &CheckArgs) -> Result<Exit, Stop> {
    let name = args.runbook.display().to_string();
    let loaded = if let Ok(bytes) = std::fs::read(&args.runbook) {
        match String::from_utf8(bytes) {
            Ok(text) => {
                let loaded = config::load_str(&name, &text);
                let color = runbook::use_color(&args.color, std::io::stdout().is_terminal());
                for diagnostic in &loaded.diagnostics {
                    data(&format!("{}\n", diagnostic.render(&text, color)));
                }
                loaded
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
    Ok(if args.strict && warnings > 0 { Exit::InvalidRunbook } else { Exit::Done })
}
