//! Names, each with its own type so that they cannot be mixed up.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A step's `id`.
    StepId
);
name!(
    /// A rollback procedure's name: `quick`, `database`, …
    ProcedureId
);
name!(
    /// A metric's key under `[metrics]`.
    MetricId
);
name!(
    /// A slot's colour under `[target.slots]`.
    SlotName
);
name!(
    /// A run: its opening time and a random tail.
    RunId
);

/// The name of the procedure that undoes finished steps before the switch.
pub const UNDO: &str = "undo";

/// The name of the procedure that `R` fires after the switch.
pub const QUICK: &str = "quick";
