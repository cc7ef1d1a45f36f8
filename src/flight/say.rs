//! Data on stdout, talk on stderr.

use std::io::Write as _;

use crate::domain::safe_text::escaped_json;

/// Data goes to stdout. A reader that has gone away ends nothing: the run matters more.
pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Talk goes to stderr.
pub fn talk(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "cutover: {line}");
}

/// A document as JSON for people and programs alike.
pub fn json_document(document: &serde_json::Value) -> String {
    escaped_json(&format!("{document:#}"))
}
