//! Which variables an action needs before it starts, and which of them are missing.
//!
//! A procedure that finds out half-way that it has no backup to restore has taken the pods away by then. So this is asked
//! before anything is done, and shown where the procedure is offered.

use std::collections::BTreeSet;

use super::{
    action::{Action, ActionKind, HttpRequest},
    check::CheckKind,
    run::Run,
    runbook::{Procedure, Step, VarSource},
    template::Template,
};

impl Action {
    /// What is lost when it runs, or why nothing brings it back, where the runbook says so.
    pub fn loses(&self) -> Option<&str> {
        self.data_loss.as_deref().or(self.irreversible.as_deref())
    }

    /// Whether it uses a variable: in a text that is filled in, or in a script's environment.
    fn uses(&self, name: &str) -> bool {
        let of = |template: &Template| template.names().any(|used| used == name);
        match &self.kind {
            ActionKind::Sh { script } => script_uses(script, name),
            ActionKind::Argv { argv } => argv.iter().any(of),
            ActionKind::SetImage { image, .. } => of(image),
            ActionKind::Notify { text } => of(text),
            ActionKind::Http(request) => request_texts(request).any(of),
            ActionKind::Patch(patch) => {
                let found = patch.expand(&|text| if of(text) { Err(()) } else { Ok(String::new()) });
                of(&patch.name) || found.is_err()
            }
            ActionKind::Rollout { .. }
            | ActionKind::SwitchTraffic { .. }
            | ActionKind::ShiftTraffic { .. }
            | ActionKind::Revert { .. }
            | ActionKind::Pause { .. }
            | ActionKind::Resume { .. }
            | ActionKind::Scale { .. }
            | ActionKind::Restart { .. } => false,
        }
    }
}

fn request_texts(request: &HttpRequest) -> impl Iterator<Item = &Template> {
    std::iter::once(&request.url)
        .chain(request.headers.values())
        .chain(&request.body)
        .chain(request.json.values())
        .chain(&request.contains)
}

/// Whether a script would find a variable empty if it had no value: `$NAME` or `${NAME}`, but not `${NAME:-…}`, which does
/// without it. Rather once too often than too rarely: quotes are not looked at.
fn script_uses(script: &str, name: &str) -> bool {
    script.match_indices('$').any(|(at, _)| {
        let rest = &script[at + 1..];
        let (body, braced) = rest.strip_prefix('{').map_or((rest, false), |body| (body, true));
        let Some(after) = body.strip_prefix(name) else { return false };
        let longer = after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let guarded = braced && [":-", "-", ":+", "+"].iter().any(|guard| after.starts_with(guard));
        !longer && !guarded
    })
}

impl Run {
    /// Whether a variable has a value now, a secret one that is not shown among them.
    fn has_value(&self, name: &str) -> bool {
        let mut open = vec![name.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if self.vars.contains_key(&name) || !seen.insert(name.clone()) {
                continue;
            }
            match self.runbook.vars.iter().find(|var| var.name == name).map(|var| &var.source) {
                Some(VarSource::Fixed { value }) => open.extend(value.names().map(str::to_owned)),
                _ => return false,
            }
        }
        true
    }

    /// The variable that a check needs and that is still to be asked: before the answer it can only fail.
    pub fn waits_for_answer(&self, check: &CheckKind) -> Option<&str> {
        let of = |template: &Template, name: &str| template.names().any(|used| used == name);
        let uses = |name: &str| match check {
            CheckKind::Http(request) => request_texts(request).any(|template| of(template, name)),
            CheckKind::Sh { script, .. } => script_uses(script, name),
            CheckKind::Tls { host, .. } => of(host, name),
            CheckKind::Dns { name: asked, expect } => of(asked, name) || of(expect, name),
            _ => false,
        };
        let made_of = |name: &str| {
            self.runbook.vars.iter().any(|var| match &var.source {
                VarSource::Fixed { value } => {
                    !self.vars.contains_key(&var.name) && uses(&var.name) && of(value, name)
                }
                _ => false,
            })
        };
        self.unasked().map(|var| var.name.as_str()).find(|name| uses(name) || made_of(name))
    }

    /// The variables without a value that these acts need, in the order of their declaration. What one of the acts captures is
    /// there for those after it.
    pub fn lacking(&self, acts: &[Action]) -> Vec<String> {
        let lacks = |name: &str| {
            let capture = acts.iter().position(|act| act.capture.iter().any(|capture| capture.var == name));
            let before = &acts[..capture.map_or(acts.len(), |index| (index + 1).min(acts.len()))];
            before.iter().any(|act| act.uses(name)) && !self.has_value(name)
        };
        let names = self.runbook.vars.iter().map(|var| &var.name);
        names.filter(|name| lacks(name)).cloned().collect()
    }

    /// Why a procedure can't begin: a variable that one of its acts needs has no value.
    pub fn procedure_lacks(&self, procedure: &Procedure) -> Option<String> {
        let lacking = self.lacking(&procedure.run);
        self.lacks_in_words(&format!("[rollback.{}]", procedure.id), &lacking)
    }

    /// Why a step's undo can't begin.
    pub fn undo_lacks(&self, step: &Step) -> Option<String> {
        self.lacks_in_words("its undo", &self.lacking(&step.undo))
    }

    fn lacks_in_words(&self, what: &str, lacking: &[String]) -> Option<String> {
        let name = lacking.first()?;
        let taker = self.runbook.steps.iter().find(|step| captures(step, name)).map(|step| &step.id);
        Some(match taker {
            Some(step) => {
                format!("{what} needs ${name}, but step `{step}` never captured it")
            }
            None => format!("{what} needs ${name}, which has no value"),
        })
    }

    /// What taking a step back by its own undo loses, in the runbook's words; none where it loses nothing. Such an undo is
    /// never a part of R.
    pub fn undo_loses<'a>(&self, step: &'a Step) -> Option<&'a str> {
        step.undo.iter().find_map(Action::loses)
    }

    /// What a step's undo restores: a variable that one of its acts captured and the undo uses, say a backup's id, with its
    /// value.
    pub fn restores(&self, step: &Step) -> Option<(String, String)> {
        let captured = step.run.iter().flat_map(|action| &action.capture).map(|capture| &capture.var);
        let mut used = captured.filter(|name| step.undo.iter().any(|action| action.uses(name)));
        used.find_map(|name| Some((name.clone(), self.value(name)?)))
    }

    /// What a person types to undo a step, where that is asked: what it restores, else the step's id.
    pub fn undo_word(&self, step: &Step) -> Option<String> {
        let typed = step.undo.iter().any(|action| action.confirm == super::action::Confirm::Type);
        (typed || self.undo_loses(step).is_some())
            .then(|| self.restores(step).map_or_else(|| step.id.0.clone(), |(_, value)| value))
    }
}

fn captures(step: &Step, name: &str) -> bool {
    step.run.iter().any(|action| action.capture.iter().any(|capture| capture.var == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        action::{PatchAction, PatchType},
        effect::Input,
        fixture::{Flight, action, runbook},
    };

    #[test]
    fn a_script_needs_what_it_would_find_empty() {
        for script in ["x $ID", "x ${ID}", "\"$ID\"", "$OTHER${ID}", "${ID:?}", "${ID#v}"] {
            assert!(script_uses(script, "ID"), "{script}");
        }
        for script in ["x $IDS", "x ${IDS}", "ID", "${ID:-none}", "${ID-}", "${ID:+x}", "$MY_ID", ""] {
            assert!(!script_uses(script, "ID"), "{script}");
        }
    }

    #[test]
    fn what_acts_need_is_found_in_every_text() {
        let mut flight = Flight::opened(runbook());
        let patch = PatchAction {
            kind: "configmap".to_owned(),
            name: "c".into(),
            patch_type: PatchType::Merge,
            patch: serde_json::json!({"a": ["$BACKUP_ID"]}),
        };
        let mut takes = action("take", ActionKind::Sh { script: "backup".to_owned() });
        takes.capture =
            vec![crate::domain::action::Capture { var: "BACKUP_ID".to_owned(), pattern: "(x)".to_owned() }];
        let uses = [
            action("sh", ActionKind::Sh { script: "restore $BACKUP_ID".to_owned() }),
            action("argv", ActionKind::Argv { argv: vec!["restore".into(), "$BACKUP_ID".into()] }),
            action("notify", ActionKind::Notify { text: "restoring $BACKUP_ID".into() }),
            action("patch", ActionKind::Patch(patch)),
        ];
        for act in &uses {
            assert_eq!(flight.run().lacking(std::slice::from_ref(act)), ["BACKUP_ID"], "{}", act.name);
            assert_eq!(flight.run().lacking(&[takes.clone(), act.clone()]), [""; 0], "taken before");
            assert_eq!(flight.run().lacking(&[act.clone(), takes.clone()]), ["BACKUP_ID"], "taken after");
        }
        let source = "captured".to_owned();
        flight.feed(Input::VarSet { name: "BACKUP_ID".to_owned(), value: None, source });
        assert_eq!(flight.run().lacking(&uses), [""; 0], "a secret's value is there, and not shown");
    }
}
