//! `cutover schema`: prints the JSON Schema of runbook.toml, for editors.

use crate::{
    config::schema::json_schema,
    flight::{exit::Exit, say::data},
};

/// Prints it.
pub fn main() -> Exit {
    data(json_schema().trim_end());
    Exit::Done
}
