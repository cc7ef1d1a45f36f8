//! Actions: what a step does to change something.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{director::Share, id::SlotName, template::Template, time::Span};

/// A slot by its colour or by its role in this run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotRef {
    /// The slot that receives the new version; fixed when the run opens. Written `new` or `idle`.
    New,
    /// The slot that had traffic when the run opened. Written `previous` or `live`.
    Previous,
    /// A slot by its colour.
    Named(SlotName),
}

/// How much a person must do before something starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// One key.
    #[default]
    None,
    /// The key twice.
    Twice,
    /// The word shown is typed.
    Type,
}

/// One action of a step, an undo or a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Its name on the screen.
    pub name: String,
    /// What it does.
    pub kind: ActionKind,
    /// It is stopped after this time.
    pub timeout: Span,
    /// Variables read from its output: name and regular expression with one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capture: Vec<Capture>,
    /// What a rehearsal prints instead of running it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample: Vec<String>,
    /// What a rehearsal prints where the scenario makes this action fail; without it the action never fails there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample_failure: Vec<String>,
    /// What a person must do before it starts, beyond the step's own confirmation.
    #[serde(default)]
    pub confirm: Confirm,
    /// Why a rollback cannot take this back, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    /// What is lost when this runs, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_loss: Option<String>,
}

impl Action {
    /// An action with nothing but what it does: no capture, no sample, no confirmation.
    pub fn plain(name: impl Into<String>, kind: ActionKind, timeout: Span) -> Self {
        Self {
            name: name.into(),
            kind,
            timeout,
            capture: Vec::new(),
            sample: Vec::new(),
            sample_failure: Vec::new(),
            confirm: Confirm::None,
            irreversible: None,
            data_loss: None,
        }
    }
}

/// A variable taken from an action's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The variable's name.
    pub var: String,
    /// A regular expression; its first group is the value, the last match wins.
    pub pattern: String,
}

/// The kinds of action that change things.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// A command line for `/bin/sh -c`, never spliced: variables reach it as environment variables.
    Sh {
        /// The script, exactly as written.
        script: String,
    },
    /// A program with its arguments, without a shell.
    Argv {
        /// The program and its arguments; `$NAME` is expanded within each, never split.
        argv: Vec<Template>,
    },
    /// Set the image of a slot's Deployment.
    SetImage {
        /// The slot.
        slot: SlotRef,
        /// The container; the target's default if not set.
        container: Option<String>,
        /// The image.
        image: Template,
    },
    /// Wait until a slot's rollout is complete.
    Rollout {
        /// The slot.
        slot: SlotRef,
        /// How long a fault may last before it fails; if not set, it depends on the cause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        patience: Option<Span>,
    },
    /// Point the Service at a slot.
    SwitchTraffic {
        /// The slot that gets the traffic.
        to: SlotRef,
        /// How many of its pods must be ready; if not set, as many as serve the traffic now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ready: Option<u32>,
    },
    /// Give a slot a share of the traffic, and the other the rest.
    ShiftTraffic {
        /// The slot that gets the share.
        to: SlotRef,
        /// How much.
        share: Share,
    },
    /// Give a slot the template and image again that it had when the run opened.
    Revert {
        /// The slot.
        slot: SlotRef,
    },
    /// Stop a rollout where it is: pods that run stay.
    Pause {
        /// The slot.
        slot: SlotRef,
    },
    /// Let a stopped rollout go on.
    Resume {
        /// The slot.
        slot: SlotRef,
    },
    /// Set a slot's replicas.
    Scale {
        /// The slot.
        slot: SlotRef,
        /// How many.
        replicas: Replicas,
    },
    /// Rolling restart of a slot's pods.
    Restart {
        /// The slot.
        slot: SlotRef,
    },
    /// Patch any object of the namespace.
    Patch(PatchAction),
    /// A request with a method that writes.
    Http(HttpRequest),
    /// Tell the channel.
    Notify {
        /// The text.
        text: Template,
    },
}

/// How many replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replicas {
    /// This many.
    Count(u32),
    /// As many as the live slot had when the run opened. Written `"before"`.
    Before,
}

/// A patch of one object in the target's namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatchAction {
    /// `deployment`, `service`, `configmap`, or any resource as `kind.group/version`.
    pub kind: String,
    /// The object's name.
    pub name: Template,
    /// How the patch is applied.
    pub patch_type: PatchType,
    /// The patch itself, JSON. Its texts may have variables in them: see [`PatchAction::expand`].
    pub patch: serde_json::Value,
}

impl PatchAction {
    /// The patch with its texts expanded, each as a whole: a value with quotes or braces in it stays one text. Names of
    /// fields are never expanded, nor are `op`, `path` and `from` of a JSON patch, which say where and not what.
    ///
    /// # Errors
    /// What `text` says of the first text that it can't expand.
    pub fn expand<E>(&self, text: &dyn Fn(&Template) -> Result<String, E>) -> Result<serde_json::Value, E> {
        let mut patch = self.patch.clone();
        match (self.patch_type, &mut patch) {
            (PatchType::Json, serde_json::Value::Array(operations)) => {
                for value in operations.iter_mut().filter_map(|operation| operation.get_mut("value")) {
                    expand_texts(value, text)?;
                }
            }
            (_, patch) => expand_texts(patch, text)?,
        }
        Ok(patch)
    }
}

fn expand_texts<E>(
    value: &mut serde_json::Value,
    text: &dyn Fn(&Template) -> Result<String, E>,
) -> Result<(), E> {
    match value {
        serde_json::Value::String(written) => *written = text(&Template(std::mem::take(written)))?,
        serde_json::Value::Array(items) => {
            items.iter_mut().try_for_each(|item| expand_texts(item, text))?;
        }
        serde_json::Value::Object(fields) => {
            fields.values_mut().try_for_each(|field| expand_texts(field, text))?;
        }
        _ => {}
    }
    Ok(())
}

/// The API server's patch types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, lists merged by key.
    #[default]
    Strategic,
}

/// An HTTP request and what its answer must be like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Where to.
    pub url: Template,
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// The body, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// The expected status; any 2xx if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// JSON pointers into the answer (RFC 6901) and the text that must be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Template>,
    /// Text the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Template>,
}

impl ActionKind {
    /// Whether it changes anything: waiting and telling do not.
    pub fn mutates(&self) -> bool {
        !matches!(self, Self::Rollout { .. } | Self::Notify { .. })
    }

    /// Whether it may change what the run believes of the target: a write of ours, or a command, which may do anything.
    pub fn touches_target(&self) -> bool {
        match self {
            Self::SetImage { .. }
            | Self::SwitchTraffic { .. }
            | Self::ShiftTraffic { .. }
            | Self::Revert { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Scale { .. }
            | Self::Restart { .. }
            | Self::Patch(_)
            | Self::Sh { .. }
            | Self::Argv { .. }
            | Self::Http(_) => true,
            Self::Rollout { .. } | Self::Notify { .. } => false,
        }
    }

    /// Whether a person can find out its outcome by looking.
    pub fn is_kubernetes(&self) -> bool {
        matches!(
            self,
            Self::SetImage { .. }
                | Self::Rollout { .. }
                | Self::SwitchTraffic { .. }
                | Self::ShiftTraffic { .. }
                | Self::Revert { .. }
                | Self::Pause { .. }
                | Self::Resume { .. }
                | Self::Scale { .. }
                | Self::Restart { .. }
                | Self::Patch(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{PatchAction, PatchType};

    fn expanded(
        patch_type: PatchType,
        patch: serde_json::Value,
    ) -> Result<serde_json::Value, super::super::template::Unexpanded> {
        let hostile = r#"v1", "x": {"y": 1} $B \"#;
        let action = PatchAction { kind: "configmap".into(), name: "flags".into(), patch_type, patch };
        action.expand(&|text| text.expand(|name| (name == "A").then(|| hostile.to_owned())))
    }

    #[test]
    fn x2_a_value_in_a_patch_stays_one_text() {
        let hostile = r#"v1", "x": {"y": 1} $B \"#;
        assert_eq!(
            expanded(PatchType::Merge, json!({"$A": ["$A", 7, null], "b": {"c": "is ${A}"}, "price": "$$5"})),
            Ok(json!({"$A": [hostile, 7, null], "b": {"c": format!("is {hostile}")}, "price": "$5"}))
        );
        assert_eq!(
            expanded(PatchType::Json, json!([{"op": "add", "path": "/$A", "value": {"v": "$A"}}])),
            Ok(json!([{"op": "add", "path": "/$A", "value": {"v": hostile}}]))
        );
        let unset = expanded(PatchType::Strategic, json!({"a": "$NOPE"})).unwrap_err();
        assert_eq!(unset, crate::domain::template::Unexpanded::Unset("NOPE".to_owned()));
    }
}
