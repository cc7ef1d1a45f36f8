//! `cutover list`: the runs in the state directory, or the copies in the cluster.

use super::args::ListArgs;
use crate::{
    domain::{
        dora::{Figures, Heads, Kind, Past, figures},
        run::Run,
        safe_text::SafeText,
        time::Timestamp,
    },
    flight::{
        copies::{copies, told},
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
    let past: Vec<Past> = found.iter().map(|found| Past::of(&found.run)).collect();
    let figures = figures(&past, now());
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
    for Found { run, .. } in &found {
        data(row(run).as_str());
    }
    figures.iter().for_each(tell);
    Ok(Exit::Done)
}

/// A run's row. Its journal may come from another host: what that says is text, and nothing for the terminal to obey.
fn row(run: &Run) -> SafeText {
    let kind = if run.opened.rehearsal.is_some() { "rehearsal of " } else { "" };
    SafeText::from(format!(
        "{}  {:15}  {}  {kind}{}",
        run.opened.run_id,
        state_word(run),
        run.new_version().unwrap_or_default(),
        run.opened.runbook.document.title
    ))
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
    let module = &loaded.runbook.document.module;
    // What this host knows of such runs, it knows from their journals.
    let mut own = runs(&state_dir(args.state_dir.as_ref())?)?;
    own.retain(|found| found.run.runbook.document.module == *module && found.run.opened.rehearsal.is_none());
    let told =
        told(&kube, &copies, |run_id| own.iter().any(|found| found.run.opened.run_id == *run_id)).await;
    let past = own.iter().map(|found| Past::of(&found.run)).chain(told.runs.iter().map(|(_, past)| *past));
    let figures = figures(&past.collect::<Vec<_>>(), now());
    if args.json {
        let holder = holder.ok().flatten();
        let heads = Heads::of(copies.iter().map(|copy| &copy.head));
        let document = serde_json::json!({
            "schema_version": 1, "runs": copies, "lock": holder, "heads": heads, "dora": figures,
            "from_copies": told.runs.len(), "remarks": told.faults,
        });
        data(&json_document(&document));
        return Ok(Exit::Done);
    }
    talk(&match holder {
        Ok(Some(holder)) => format!("the target's lock is {}: {}", holder.lock_id, holder.words()),
        Ok(None) => "nobody holds the target's lock".to_owned(),
        Err(error) => error.to_string(),
    });
    if copies.is_empty() {
        talk("the cluster has no copies of runs");
    }
    for copy in copies {
        data(&format!(
            "{}  {:15}  {}  by {} on {}, up to {}",
            copy.run_id, copy.head.state, copy.title, copy.who, copy.host, copy.head.at
        ));
    }
    figures.iter().for_each(tell);
    if !figures.is_empty() {
        data(&format!(
            "\nover the runs of {module} on this host and {} that only the cluster's copies tell of",
            told.runs.len()
        ));
    }
    told.faults.iter().for_each(|fault| talk(SafeText::new(fault).as_str()));
    Ok(Exit::Done)
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        fixture::{Flight, runbook},
        safe_text::is_hidden,
    };

    #[test]
    fn a_journal_of_others_writes_one_line_and_nothing_that_the_terminal_obeys() {
        let mut book = runbook();
        book.document.title = "\u{1b}]0;gone\u{7}\u{1b}[2Jshop\r\nsecond row \u{202e}".to_owned();
        let flight = Flight::in_window(book);
        let row = row(flight.run());
        assert!(row.contains("shop") && !row.chars().any(is_hidden), "{row}");
    }
}
