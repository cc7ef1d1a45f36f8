//! `cutover doctor`: whether this machine and this person are fit to run a deployment.

use std::io::IsTerminal as _;

use super::{
    args::DoctorArgs,
    findings::{Form, print},
};
use crate::{
    domain::online::machine::{Terminal, judge},
    flight::{doctor, exit::Exit, runbook, stop::Stop, store},
    tui,
};

/// Prints what it finds; exit code 3 if there is a fault.
///
/// # Errors
/// If no home directory is known.
pub async fn main(args: &DoctorArgs) -> Result<Exit, Stop> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let machine = doctor::look(&state, terminal(&args.color), args.context.as_deref()).await;
    let form = Form { json: args.json, color: args.color.clone(), strict: args.strict };
    Ok(print("this machine", &judge(&machine), &form))
}

fn terminal(color: &str) -> Terminal {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let is_one = std::io::stdout().is_terminal();
    Terminal {
        is_one,
        term: env("TERM").unwrap_or_default(),
        colours: runbook::use_color(color, is_one),
        true_colour: env("COLORTERM").is_some_and(|word| word == "truecolor" || word == "24bit"),
        // The first of these that is set decides.
        locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(env).unwrap_or_default(),
        size: is_one.then(tui::terminal_size).flatten().filter(|(columns, rows)| *columns > 0 && *rows > 0),
    }
}
