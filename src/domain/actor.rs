//! Who did something: a person or the machine.
//!
//! Written as one string, as it always was: `auto`, `trigger`, or the person's name.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const AUTO: &str = "auto";
const TRIGGER: &str = "trigger";

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person, by the name that others see. Made by [`Actor::person`].
    Person(String),
    /// The machine: it follows from the runbook, or from what was measured.
    Auto,
    /// A trigger.
    Trigger,
}

impl Actor {
    /// A person. Nobody passes for the machine by being called `auto` or `trigger`.
    pub fn person(name: impl Into<String>) -> Self {
        let name = name.into();
        match Self::written(Cow::Borrowed(&name)) {
            Self::Person(_) => Self::Person(name),
            Self::Auto | Self::Trigger => Self::Person(format!("{name} (a person)")),
        }
    }

    /// The one that was written down.
    fn written(name: Cow<'_, str>) -> Self {
        match name.as_ref() {
            AUTO => Self::Auto,
            TRIGGER => Self::Trigger,
            _ => Self::Person(name.into_owned()),
        }
    }

    /// The word that is shown and written down.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Person(name) => name,
            Self::Auto => AUTO,
            Self::Trigger => TRIGGER,
        }
    }

    /// The actor in words, with the evidence if the cluster decided it: `auto, from the cluster: the selector points at green`.
    pub fn with_evidence(&self, evidence: Option<&str>) -> String {
        match evidence {
            Some(evidence) => format!("{self}, from the cluster: {evidence}"),
            None => self.to_string(),
        }
    }

    /// Whether a person did it.
    pub fn is_person(&self) -> bool {
        match self {
            Self::Person(_) => true,
            Self::Auto | Self::Trigger => false,
        }
    }
}

impl AsRef<str> for Actor {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::written(Cow::Owned(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_one_string_and_nobody_passes_for_the_machine() {
        let written = |actor: &Actor| serde_json::to_string(actor).unwrap();
        assert_eq!(written(&Actor::Auto), r#""auto""#);
        assert_eq!(written(&Actor::Trigger), r#""trigger""#);
        assert_eq!(written(&Actor::person("ada")), r#""ada""#);
        for actor in [Actor::Auto, Actor::Trigger, Actor::person("ada"), Actor::person("auto")] {
            assert_eq!(serde_json::from_str::<Actor>(&written(&actor)).unwrap(), actor);
        }
        assert!(Actor::person("auto").is_person());
        assert!(Actor::person("trigger").is_person());
    }
}
