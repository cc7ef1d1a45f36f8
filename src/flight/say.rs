//! Data on stdout, talk on stderr.

use std::io::Write as _;

use crate::domain::safe_text::{SafeText, escaped_json};

/// Data goes to stdout. A reader that has gone away ends nothing: the run matters more.
pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Talk goes to stderr. It quotes what others wrote, in files and answers: nothing of that is for the terminal to obey.
pub fn talk(line: &str) {
    let mut stderr = std::io::stderr().lock();
    for line in line.split('\n') {
        let _ = writeln!(stderr, "cutover: {}", SafeText::new(line.trim_end_matches('\r')).as_str());
    }
}

/// A fault with the places in our sources that it comes from, in colours, for whoever asked for them.
pub(super) fn trace(report: &color_eyre::Report) {
    let _ = writeln!(std::io::stderr().lock(), "cutover: {report:?}");
}

/// A document as JSON for people and programs alike.
pub fn json_document(document: &serde_json::Value) -> String {
    escaped_json(&format!("{document:#}"))
}
