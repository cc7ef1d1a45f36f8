//! `cutover list`: the runs in the state directory, or the copies in the cluster.

use super::args::ListArgs;
use crate::{
    domain::{
        dora::{Figures, Heads, Kind, Past, figures},
        time::Timestamp,
    },
    flight::{
        copies::copies,
        exit::Exit,
        runbook,
        say::{data, json_document, talk},
        stop::Stop,
        store::{Found, runs, state_dir, state_word},
    },
};

/// Prints them.
///
/// # Errors
/// If the state directory can't be read, or the cluster can't be asked.
pub async fn main(args: &ListArgs) -> Result<Exit, Stop> {
    if args.cluster {
        return in_cluster(args).await;
    }
    let found = runs(&state_dir(args.state_dir.as_ref())?)?;
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    let past: Vec<Past> = found.iter().map(|found| Past::of(&found.run)).collect();
    let figures = figures(&past, now);
    if args.json {
        let rows: Vec<_> = found
            .iter()
            .map(|found| {
                let opened = &found.run.opened;
                serde_json::json!({
                    "run_id": opened.run_id, "title": opened.runbook.document.title, "state": state_word(&found.run),
                    "opened_at": found.run.opened_at, "pilot": opened.pilot, "rehearsal": opened.rehearsal,
                    "new_version": found.run.new_version(), "directory": found.dir,
                })
            })
            .collect();
        data(&json_document(&serde_json::json!({ "schema_version": 1, "runs": rows, "dora": figures })));
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        talk("no runs yet");
    }
    for Found { run, .. } in found {
        let kind = if run.opened.rehearsal.is_some() { "rehearsal of " } else { "" };
        data(&format!(
            "{}  {:15}  {}  {kind}{}",
            run.opened.run_id,
            state_word(&run),
            run.new_version().unwrap_or_default(),
            run.opened.runbook.document.title
        ));
    }
    figures.iter().for_each(tell);
    Ok(Exit::Done)
}

/// The figures of one kind of runs. They are no rows of the list: a script that reads it line by line stops at the empty one.
fn tell(figures: &Figures) {
    let runs = if figures.runs == 1 {
        "1 run that has ended".to_owned()
    } else {
        format!("{} runs that have ended", figures.runs)
    };
    let apart = if figures.kind == Kind::Rehearsal { " (not among the deployments)" } else { "" };
    data(&format!("\n{}, {runs}{apart}", figures.kind.words()));
    for (name, words) in figures.lines() {
        data(&format!("  {name:22}{words}"));
    }
}

async fn in_cluster(args: &ListArgs) -> Result<Exit, Stop> {
    let loaded = runbook::open(&args.runbook, "auto")?;
    let (kube, copies) = copies(&loaded.runbook).await?;
    let holder = kube.lock_holder().await;
    if args.json {
        let holder = holder.ok().flatten();
        let heads = Heads::of(copies.iter().map(|copy| &copy.head));
        let document =
            serde_json::json!({ "schema_version": 1, "runs": copies, "lock": holder, "heads": heads });
        data(&json_document(&document));
        return Ok(Exit::Done);
    }
    match holder {
        Ok(Some(holder)) => talk(&format!("the target's lock is {}: {}", holder.lock_id, holder.words())),
        Ok(None) => talk("nobody holds the target's lock"),
        Err(error) => talk(&error.to_string()),
    }
    if copies.is_empty() {
        talk("the cluster has no copies of runs");
    }
    let heads = Heads::of(copies.iter().map(|copy| &copy.head));
    for copy in copies {
        data(&format!(
            "{}  {:15}  {}  by {} on {}, up to {}",
            copy.run_id, copy.head.state, copy.title, copy.who, copy.host, copy.head.at
        ));
    }
    if heads.ended > 0 {
        data(&format!("\n{}", heads.words()));
    }
    Ok(Exit::Done)
}
