//! What a runbook and a run are.

pub mod safe_text;
