//! What several subcommands take alike: how a run is shown, and how it is controlled.
//!
//! Flattened into theirs, so that an option has one name, one help text and one default wherever it is taken.

use std::path::PathBuf;

use clap::Args;

use crate::{config::theme::ThemeChoice, flight::job::Terms};

/// How a screen looks, and where the runs are that it shows.
#[derive(Debug, Clone, Default, Args)]
pub struct LookArgs {
    /// When to use colours.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
    /// Colour theme; can also be set with `CUTOVER_THEME`.
    #[arg(long, value_name = "THEME", value_parser = clap::builder::PossibleValuesParser::new(ThemeChoice::WORDS))]
    pub theme: Option<String>,
    /// Draw at most 4 frames per second, for slow connections.
    #[arg(long)]
    pub slow_link: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// How to show a run.
#[derive(Debug, Clone, Default, Args)]
pub struct ViewArgs {
    /// No screen: print one line per event.
    #[arg(long)]
    pub plain: bool,
    /// Answer every confirmation with yes; stops when the outcome is uncertain. Needs --plain.
    #[arg(long, requires = "plain")]
    pub yes: bool,
    /// Print events as JSON, one object per line. Needs --plain.
    #[arg(long, requires = "plain")]
    pub json_lines: bool,
    /// How it looks, and where it is stored.
    #[command(flatten)]
    pub look: LookArgs,
}

/// How to show and control a run.
#[derive(Debug, Clone, Default, Args)]
pub struct DriveArgs {
    /// How to show the run.
    #[command(flatten)]
    pub view: ViewArgs,
    /// Print metric samples too. Needs --plain.
    #[arg(long, requires = "plain")]
    pub samples: bool,
    /// Set a variable; repeatable.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Include or leave out an optional part; repeatable.
    #[arg(long = "part", value_name = "NAME=yes|no")]
    pub parts: Vec<String>,
    /// Start even if the run would be refused (runbook not approved, outside its window, different cluster); the reason is recorded.
    #[arg(long = "override", value_name = "REASON")]
    pub override_reason: Option<String>,
    /// Open the screen read-only.
    #[arg(long, conflicts_with = "plain")]
    pub read_only: bool,
    /// Let members of this Unix group watch the run from their own accounts.
    #[arg(long, value_name = "GROUP", env = "CUTOVER_WATCH_GROUP")]
    pub watch_group: Option<String>,
    /// Let members of this Unix group approve steps from their own accounts.
    #[arg(long, value_name = "GROUP", env = "CUTOVER_APPROVE_GROUP")]
    pub approve_group: Option<String>,
}

impl DriveArgs {
    /// The part that the engine needs.
    pub fn terms(&self) -> Terms {
        Terms {
            vars: self.vars.clone(),
            parts: self.parts.clone(),
            override_reason: self.override_reason.clone(),
            watch_group: self.watch_group.clone(),
            approve_group: self.approve_group.clone(),
            color: self.view.look.color.clone(),
            state_dir: self.view.look.state_dir.clone(),
        }
    }
}
