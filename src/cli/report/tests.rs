use std::path::Path;

use super::*;
use crate::{
    domain::{fixture::Flight, fixture::runbook, time::Span},
    journal::{self, Header, Writer},
};

const RUN: &str = "20261120-1400-abcd";

/// A state directory with one run whose journal is this.
fn state() -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let mut flight = Flight::in_window(runbook());
    flight.fly(Span::from_secs(5));
    let runs = store::runs_dir(state.path()).unwrap();
    let header =
        Header { run_id: RUN.to_owned(), runbook_sha256: "00".to_owned(), boot_id: "boot".to_owned() };
    let mut writer = Writer::create(&runs.join(RUN), &header).unwrap();
    writer.append_all(&flight.events).unwrap();
    writer.sync().unwrap();
    state
}

fn write_to(state: &Path, format: Format, output: &Path, run: Option<&str>) -> Result<String, Stop> {
    let args = ReportArgs {
        run: run.map(str::to_owned),
        format,
        output: Some(output.to_owned()),
        backtest: None,
        overwrite: true,
        state_dir: Some(state.to_owned()),
    };
    main(&args)?;
    Ok(std::fs::read_to_string(output).unwrap())
}

#[test]
fn the_newest_run_is_written_in_each_format() {
    let state = state();
    let output = state.path().join("report");
    let write = |format| write_to(state.path(), format, &output, None).unwrap();
    assert!(write(Format::Html).starts_with("<!doctype html>"));
    assert!(write(Format::Md).starts_with("# Backend: Not over"));
    let json: serde_json::Value = serde_json::from_str(&write(Format::Json)).unwrap();
    assert_eq!(json["run"]["run_id"], RUN);
    assert_eq!(json["journal"]["damage"], serde_json::Value::Null);
    assert_eq!(json["journal"]["records"], json["events"].as_array().unwrap().len());
    let error = write_to(state.path(), Format::Md, &output, Some("nobody")).unwrap_err();
    assert!(matches!(error, Stop::Told(Exit::Usage, _)));
}

#[test]
fn a_damaged_journal_is_reported_up_to_its_damage() {
    let state = state();
    let file = state.path().join("runs").join(RUN).join(journal::record::FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let place = bytes.windows(12).rposition(|it| it == b"step_started").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let output = state.path().join("report");
    let json = write_to(state.path(), Format::Json, &output, Some(RUN)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let records = json["journal"]["records"].as_u64().unwrap();
    assert!(
        records > 10 && json["journal"]["damage"].as_str().unwrap().contains("damaged at byte"),
        "{records}"
    );
    let page = write_to(state.path(), Format::Html, &output, Some(RUN)).unwrap();
    assert!(page.contains("THE JOURNAL IS DAMAGED"));
}
