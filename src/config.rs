//! runbook.toml as written and as meant.
