//! `cutover check`: every fault of a runbook with its place.

use std::io::IsTerminal as _;

use super::{
    args::CheckArgs,
    compose,
    exit::Exit,
    flight,
    plain::{data, talk},
};
use crate::config;

/// Prints all faults; exit code 3 where there is an error.
///
/// # Errors
/// If the file can't be read.
pub fn main(args: &CheckArgs) -> color_eyre::Result<Exit> {
    let name = args.runbook.display().to_string();
    let loaded = if let Ok(bytes) = std::fs::read(&args.runbook) {
        match String::from_utf8(bytes) {
            Ok(text) => {
                let loaded = config::load_str(&name, &text);
                let color = flight::use_color(&args.color, std::io::stdout().is_terminal());
                for diagnostic in &loaded.diagnostics {
                    data(&format!("{}\n", diagnostic.render(&text, color)));
                }
                loaded
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
                data(&format!(
                    "error: {name} is not UTF-8 text: the first bad byte is on line {line} (offset {at}); save it as UTF-8"
                ));
                return Ok(Exit::InvalidRunbook);
            }
        }
    } else {
        compose::read_runbook(&args.runbook)?;
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
