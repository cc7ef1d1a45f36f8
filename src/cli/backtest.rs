//! `cutover backtest`: what a runbook's triggers would have done in the past.

use std::path::PathBuf;

use clap::Args;

use crate::{
    domain::{
        backtest::{
            Backtest, Window,
            advice::{Advice, Proof},
            judge::{Judged, RunJudged},
            past_run::By,
        },
        safe_text::SafeText,
        time::Span,
    },
    flight::{
        backtest,
        exit::Exit,
        runbook,
        say::{data, json_document, talk},
        stop::Stop,
        store::state_dir,
    },
};

/// So many times of false alarms are printed.
const MOST_TIMES: usize = 5;

/// `cutover backtest`
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// The runbook file.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// How far to look back, such as 14d or 12h.
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = str::parse::<Span>)]
    pub since: Span,
    /// Leave this time out, because something is known to have been wrong, such as
    /// 2026-11-20T13:00Z..2026-11-20T15:30Z; repeatable.
    #[arg(long, value_name = "FROM..TO", value_parser = str::parse::<Window>)]
    pub except: Vec<Window>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Set a variable; repeatable.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Looks back and prints what was found.
///
/// # Errors
/// If the runbook can't be read or has errors, a source can't be set up, or the state directory can't be read.
pub async fn main(args: &BacktestArgs) -> Result<Exit, Stop> {
    let loaded = runbook::open(&args.runbook, "auto")?;
    let state = state_dir(args.state_dir.as_ref())?;
    talk(&format!("looking back {}", args.since));
    let looked = backtest::look(&loaded.runbook, &args.vars, &state, args.since, &args.except).await?;
    if args.json {
        data(&json_document(&serde_json::to_value(&looked)?));
        return Ok(Exit::Done);
    }
    for line in lines(&looked) {
        data(SafeText::new(&line).as_str());
    }
    Ok(Exit::Done)
}

/// What was looked at stands before what was found: a verdict over two days is another one than over two weeks.
fn lines(looked: &Backtest) -> Vec<String> {
    let mut lines = vec![format!(
        "{} to {}, in windows of {}; {}",
        looked.from,
        looked.to,
        looked.window.clock(),
        plural(looked.runs, "past run")
    )];
    for left in &looked.left_out {
        lines.push(format!("left out: {} to {} ({})", left.window.from, left.window.to, left.why));
    }
    if looked.triggers.is_empty() {
        lines.push("the runbook has no trigger that is measured".to_owned());
    }
    for judged in &looked.triggers {
        lines.push(String::new());
        lines.extend(of_trigger(judged));
    }
    if !looked.remarks.is_empty() {
        lines.push(String::new());
        lines.push("What the past cannot tell:".to_owned());
        lines.extend(looked.remarks.iter().map(|remark| format!("  {remark}")));
    }
    lines
}

fn of_trigger(judged: &Judged) -> Vec<String> {
    let by = if judged.by_evidence { "by evidence" } else { "fixed rule" };
    let mut lines = vec![format!("{} ({}, {by})", judged.trigger, judged.metric)];
    let harmless = &judged.harmless;
    lines.push(format!(
        "  without a release: would have fired in {} of {}",
        harmless.fired.len(),
        plural(harmless.windows, "window")
    ));
    if !harmless.fired.is_empty() {
        let mut times: Vec<String> =
            harmless.fired.iter().take(MOST_TIMES).map(ToString::to_string).collect();
        if harmless.fired.len() > MOST_TIMES {
            times.push(format!("and {} more", harmless.fired.len() - MOST_TIMES));
        }
        lines.push(format!("    at {}: was anything wrong then?", times.join(", ")));
        lines.push("    if so, leave it out: --except FROM..TO".to_owned());
    }
    if harmless.unmeasured > 0 {
        lines.push(format!(
            "    left out, as too little was measured: {}",
            plural(harmless.unmeasured, "window")
        ));
    }
    if harmless.too_little > 0 {
        lines.push(format!(
            "    {} with too little traffic for a verdict",
            plural(harmless.too_little, "window")
        ));
    }
    lines.extend(harmless.no_verdict.iter().map(|why| format!("    {why}")));
    lines.extend(judged.runs.iter().map(|run| format!("  run {}: {}", run.run_id, of_run(run))));
    lines.extend(advised(judged));
    lines
}

/// What is advised, and what that rests on.
fn advised(judged: &Judged) -> Vec<String> {
    let mut lines = vec![match (&judged.advice, &judged.proof) {
        (Advice::Keep, Some(proof)) => format!("  keep it: {}", proved(proof)),
        (Advice::Keep, None) => "  keep it".to_owned(),
        (Advice::Instead(rule), Some(proof)) => format!("  better: {rule}: {}", proved(proof)),
        (Advice::Instead(rule), None) => format!("  better: {rule}"),
        (Advice::None(why), _) => format!("  nothing better was found: {why}"),
    }];
    let Some(proof) = &judged.proof else { return lines };
    if let Some([from, to]) = &proof.room {
        lines.push(format!("    the same is true of anything from {from} to {to}"));
    }
    if !proof.out_of_reach.is_empty() {
        lines.push(format!(
            "    rolled back too soon, or with too little measured, for any bound: run {}",
            proof.out_of_reach.join(", ")
        ));
    }
    lines
}

/// What the past proves of a trigger, and what it does not.
fn proved(proof: &Proof) -> String {
    let quiet = match proof.quiet {
        0 => "nothing is known of times without a release".to_owned(),
        windows => format!("quiet in {}", plural(windows, "window")),
    };
    match (proof.caught, proof.slowest) {
        (0, _) => format!("{quiet}; no run that was rolled back could tell what it catches"),
        (runs, Some(slowest)) => {
            format!("{quiet}, and catches {} within {}", plural(runs, "bad run"), slowest.clock())
        }
        (runs, None) => format!("{quiet}, and catches {}", plural(runs, "bad run")),
    }
}

/// What the trigger would have done beside what had really happened.
fn of_run(run: &RunJudged) -> String {
    let would = match (run.measured, run.would_fire) {
        (_, Some(after)) => format!("would have fired after {}", after.clock()),
        (true, None) => "would not have fired".to_owned(),
        (false, None) => "too little was measured to say".to_owned(),
    };
    let did = run
        .did_fire
        .map_or_else(|| "did not fire".to_owned(), |after| format!("fired after {}", after.clock()));
    let end = match (run.rolled_back, run.by) {
        (None, _) => "not rolled back".to_owned(),
        (Some(after), Some(By::Person)) => format!("rolled back by a person after {}", after.clock()),
        (Some(after), _) => format!("rolled back by a trigger after {}", after.clock()),
    };
    format!("{would}; {did}; {end}")
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests;
