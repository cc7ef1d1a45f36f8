//! The program's own log, for finding out what went wrong.

use std::path::PathBuf;

use super::store::state_dir;

/// Lines of the log that wait for the disk; what comes on top is dropped. Room for all of them is taken at the start, 32 bytes
/// each, and the crate's own default would be 4 MiB in every process.
const WAITING_LINES: usize = 4096;

/// Logs go to a file a day in the state directory, never to the screen. The guard writes the rest when dropped.
pub fn open(given: Option<&PathBuf>) -> Option<tracing_appender::non_blocking::WorkerGuard> {
    let dir = state_dir(given).ok()?.join("logs");
    std::fs::create_dir_all(&dir).ok()?;
    let file = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("cutover")
        .filename_suffix("log")
        .max_log_files(14)
        .build(dir)
        .ok()?;
    let (writer, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .finish(file);
    let filter = tracing_subscriber::EnvFilter::try_from_env("CUTOVER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("cutover=info,warn"));
    tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_env_filter(filter).try_init().ok()?;
    Some(guard)
}
