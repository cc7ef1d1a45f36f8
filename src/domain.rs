//! What a runbook and a run are.
