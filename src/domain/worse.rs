//! The claim that a release is worse than something, as a runbook makes it; evidence decides it.

use serde::{Deserialize, Serialize};

use super::metric::Unit;

/// A claim that evidence decides: the share of bad events is above this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Worse {
    /// Worse than what.
    pub than: Than,
    /// So many runs of a harmless release out of all do not fire, 0 to 1: `0.999` is 99.9 %.
    pub certainty: f64,
    /// Below so many events there is too little traffic for any verdict.
    pub at_least: u32,
}

impl Worse {
    /// The claim of a check, which says nothing of certainty.
    #[must_use]
    pub fn usual(than: Than) -> Self {
        Self { than, certainty: CERTAINTY, at_least: AT_LEAST }
    }

    /// The chance that a whole run of a harmless release fires, 0 to 1.
    #[must_use]
    pub fn alpha(self) -> f64 {
        1.0 - self.certainty
    }
}

/// What the new version must not be worse than.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Than {
    /// This share of bad events, 0 to 1.
    Share(f64),
    /// The share before the switch.
    Before,
}

impl Than {
    /// `worse than 0.1 %`, `worse than before`
    #[must_use]
    pub fn show(self) -> String {
        match self {
            Self::Share(share) => format!("worse than {}", Unit::Percent.show(share)),
            Self::Before => "worse than before".to_owned(),
        }
    }
}

/// The certainty where none is written: the default of `certainty` in the runbook's format.
const CERTAINTY: f64 = 0.999;
/// The fewest events where no number is written: the default of `at_least` in the runbook's format.
const AT_LEAST: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_claims_is_what_the_format_says_holds_where_nothing_is_written() {
        let claim = Worse::usual(Than::Before);
        assert!((claim.alpha() - 0.001).abs() < 1e-12);
        assert_eq!(claim.at_least, 100);
        let json = serde_json::to_string(&claim).unwrap();
        assert_eq!(serde_json::from_str::<Worse>(&json).unwrap(), claim);
    }
}
