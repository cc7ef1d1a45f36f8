//! One right, and what it means that it is missing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A verb of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads all objects of a kind, or those that a selector finds.
    List,
    /// Is told of changes.
    Watch,
    /// Makes an object.
    Create,
    /// Puts an object in another's place.
    Update,
    /// Changes a part of an object.
    Patch,
    /// Deletes an object.
    Delete,
}

impl Verb {
    /// As roles write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// Where a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In the target's namespace.
    Namespace,
    /// In the whole cluster.
    Cluster,
}

/// What it means that a right is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The run cannot even be opened.
    Opening,
    /// The target's lock cannot be had: the run opens only with a reason.
    Lock,
    /// A write, or what decides about one, cannot be done: an item of the checklist fails.
    Run,
    /// The run can do its work, and something is poorer: a remark.
    Remark,
}

/// One verb on one resource, as this runbook needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// What is done.
    pub verb: Verb,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource as roles write it, `pods/log`.
    pub resource: String,
    /// To which objects it can be limited; empty where RBAC cannot, or where the name is not known before.
    pub names: Vec<String>,
    /// Where.
    pub scope: Scope,
    /// What it means that it is missing.
    pub weight: Weight,
    /// What it is for.
    pub what_for: String,
    /// What happens without it.
    pub without: String,
}

/// A right that is not given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What is needed.
    pub right: Right,
    /// The namespace; nothing where it is needed in the whole cluster.
    pub namespace: Option<String>,
    /// Who lacks it, as the kubeconfig names them.
    pub user: String,
}

impl Right {
    /// As roles name the resource: `deployments.apps`.
    pub fn in_roles(&self) -> String {
        if self.group.is_empty() {
            self.resource.clone()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// The objects for people: `service backend-service`, `deployments.apps backend-blue, backend-green`.
    pub fn object(&self) -> String {
        let names = if self.names.is_empty() { String::new() } else { format!(" {}", self.names.join(", ")) };
        format!("{}{names}", self.in_roles())
    }
}

impl fmt::Display for Missing {
    /// What is missing, and what to ask for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Right { verb, .. } = &self.right;
        write!(
            f,
            "not allowed to {} {}{}; ask for {}",
            verb.as_str(),
            self.right.object(),
            self.place(),
            self.wanted()
        )
    }
}
