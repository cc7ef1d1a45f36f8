//! `cutover init`: from a picture of a namespace to a runbook.
//!
//! ```text
//! Survey ── shape ──> Candidate ─┐
//!           (what moves traffic) ├── page ──> TOML, with what was found and what is to do
//! Numbers ── measure ─> Measured ─┘
//! (questions to a Prometheus)
//! ```
//!
//! Nothing here opens a connection: whoever calls has read the namespace, and answers the questions. What is written is what
//! was seen. A guess is a comment `# found: …`, a gap a comment `# TODO: …`; neither is ever filled in from nothing.

pub mod measure;
pub mod page;
pub mod shape;

mod facts;
mod steps;
mod toml;
mod unfit;

/// The runbooks of `--example`, each by the name that it is asked for.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("blue-green", include_str!("../assets/examples/blue-green-small.toml")),
    ("blue-green-sip", include_str!("../assets/examples/blue-green-sip.toml")),
    ("canary", include_str!("../assets/examples/canary-route.toml")),
    ("canary-replicas", include_str!("../assets/examples/canary-replicas.toml")),
    ("rolling", include_str!("../assets/examples/rolling.toml")),
    ("recreate", include_str!("../assets/examples/recreate.toml")),
];

/// An example as it is written for somebody who has only this program: without the line that names our schema's place.
pub fn example(name: &str) -> Option<String> {
    let (_, text) = EXAMPLES.iter().find(|(known, _)| *known == name)?;
    let own = text.strip_prefix("#:schema").and_then(|rest| rest.split_once('\n')).map(|(_, rest)| rest);
    Some(own.unwrap_or(text).trim_start().to_owned())
}

#[cfg(test)]
mod tests;
