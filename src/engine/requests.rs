//! Requests from screens, before the machine sees them: whether the screen may do this, and what must stay secret.

use std::sync::Arc;

use super::{crew::permit, hall::Hall, kit::Kit, mask::Masker, messages::News, values::check_value};
use crate::domain::{
    actor::Actor,
    crew::{Member, ScreenId},
    effect::Input,
    id::SlotName,
    message::{Command, Request, Update},
    run::Run,
    runbook::VarSource,
    workload::LogLine,
};

/// Requests on their way to the machine.
pub(super) struct Requests {
    kit: Arc<Kit>,
}

impl Requests {
    /// The engine starts now.
    pub(super) fn new(kit: Arc<Kit>) -> Self {
        Self { kit }
    }

    /// Reads what a screen asks for. The input is what the machine is told of it now.
    ///
    /// # Errors
    /// Why it is not done.
    pub(super) fn read(
        &mut self,
        id: ScreenId,
        command: Command,
        run: &Run,
        hall: &mut Hall,
    ) -> Result<Option<Input>, String> {
        let Some(Member { person, role, .. }) = hall.member(id).cloned() else { return Ok(None) };
        permit(role, &command)?;
        match command {
            Command::AskControl => Ok(Some(Input::ControlAsked { by: person })),
            Command::HandOver => hall.hand_over(run).map(Some),
            Command::KeepControl => Ok(Some(Input::ControlKept)),
            Command::TakeControl { reason } => {
                let reason = self.kit.secrets.mask(&reason);
                hall.take_control(run, id, &reason).map(Some)
            }
            Command::Approve { step } => Ok(Some(Input::Approval { step, by: person })),
            command => self.operate(Actor::person(person.to_string()), command, run),
        }
    }

    /// Secrets are taken out before the command goes on: what the machine sees ends up in the journal.
    fn operate(&mut self, by: Actor, command: Command, run: &Run) -> Result<Option<Input>, String> {
        let command = match command {
            Command::Logs { slot, pod } => {
                self.fetch_logs(slot, pod);
                return Ok(None);
            }
            Command::SetVar { name, value } => {
                let value = self.accept_var(&name, value, run)?;
                Command::SetVar { name, value }
            }
            other => self.without_secrets(other),
        };
        let request = Request { by, command };
        Ok(Some(Input::Operator(request)))
    }

    /// Notes and reasons go to the journal, the log and the channel: a secret pasted into one does not.
    fn without_secrets(&self, command: Command) -> Command {
        let masker = self.kit.secrets.masker();
        let Ok(text) = serde_json::to_value(&command) else { return command };
        let mut masked = text.clone();
        mask_strings(&mut masked, &masker);
        if masked == text { command } else { serde_json::from_value(masked).unwrap_or(command) }
    }

    /// A typed value must fit the variable's pattern. A secret is kept here; the machine never sees it.
    fn accept_var(&self, name: &str, value: String, run: &Run) -> Result<String, String> {
        let Some(var) = run.runbook.vars.iter().find(|var| var.name == name) else {
            return Err(format!("the runbook has no variable {name}"));
        };
        let open = !run.steps_open && run.finished.is_none();
        if !matches!(var.source, VarSource::Ask { .. }) || !open {
            // The machine says why not; a secret that is in use stays as it is.
            return Ok(if var.secret { String::new() } else { value });
        }
        check_value(name, &value, var.pattern.as_deref())
            .map_err(|why| if var.secret { format!("${name}: the value is not valid") } else { why })?;
        if var.secret {
            self.kit.secrets.add(name, value).map_err(|error| error.to_string())?;
            return Ok(String::new());
        }
        Ok(value)
    }

    /// On a task of its own: a slow API server must not keep the engine from anything.
    fn fetch_logs(&self, slot: SlotName, pod: Option<String>) {
        let (ports, news, secrets) =
            (self.kit.ports.clone(), self.kit.news.clone(), Arc::clone(&self.kit.secrets));
        tokio::spawn(async move {
            let lines = match ports.cluster() {
                Ok(cluster) => {
                    cluster.logs(&slot, pod.as_deref(), 500, None).await.map_err(|error| error.message)
                }
                Err(why) => Err(why),
            };
            let masked = |line: LogLine| LogLine { text: secrets.mask(&line.text), ..line };
            let lines = lines.map(|read| read.shown().into_iter().map(masked).collect());
            let _ = news.send(News::Show(Update::Logs { slot, lines })).await;
        });
    }
}

/// Masks every text in a JSON value.
fn mask_strings(value: &mut serde_json::Value, masker: &Masker) {
    match value {
        serde_json::Value::String(text) => *text = masker.mask(text).into_owned(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask_strings(item, masker)),
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(|field| mask_strings(field, masker));
        }
        _ => {}
    }
}
