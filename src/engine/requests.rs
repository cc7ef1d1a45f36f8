//! What a screen asks for, and what becomes of it before the machine hears of it: whether this screen may, what must stay
//! secret, and what waits for a first look at the cluster.

use std::{sync::Arc, time::Duration};

use super::{crew::permit, hall::Hall, kit::Kit, mask::Masker, messages::News, values::check_value};
use crate::domain::{
    crew::{Member, ScreenId},
    effect::Input,
    id::SlotName,
    message::{Command, Request, Update},
    run::Run,
    runbook::VarSource,
    workload::LogLine,
};

/// A rollback ordered right after the engine's start waits so long for the first look at the cluster: without one nobody
/// knows whether the slot that traffic goes back to has pods.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Requests on their way to the machine.
pub(super) struct Requests {
    kit: Arc<Kit>,
    started: tokio::time::Instant,
    /// Rollbacks ordered before the slot that traffic goes back to was seen, and who ordered each.
    early: Vec<(Option<ScreenId>, Request)>,
}

impl Requests {
    /// The engine starts now.
    pub(super) fn new(kit: Arc<Kit>) -> Self {
        Self { kit, started: tokio::time::Instant::now(), early: Vec::new() }
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
            command => self.operate(person.to_string(), command, run, hall),
        }
    }

    fn operate(
        &mut self,
        by: String,
        command: Command,
        run: &Run,
        hall: &Hall,
    ) -> Result<Option<Input>, String> {
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
        let rollback =
            matches!(request.command, Command::Rollback { .. } | Command::RollbackProcedure { .. });
        if rollback && !self.sees_way_back(run, hall) {
            self.early.push((hall.asker(), request));
            return Ok(None);
        }
        Ok(Some(Input::Operator(request)))
    }

    /// Whether enough is known of the cluster to plan a rollback: the slot that traffic goes back to was looked at, or the
    /// engine has waited for that long enough.
    fn sees_way_back(&self, run: &Run, hall: &Hall) -> bool {
        let Some(previous) = &run.opened.previous else { return true };
        let seen = hall.workload().is_some_and(|workload| workload.slots.contains_key(&previous.slot));
        seen || self.kit.ports.cluster.is_none() || self.started.elapsed() >= FIRST_LOOK
    }

    /// Rollbacks that need wait no longer, and who ordered each.
    pub(super) fn due(&mut self, run: &Run, hall: &Hall) -> Vec<(Option<ScreenId>, Request)> {
        if self.early.is_empty() || !self.sees_way_back(run, hall) {
            return Vec::new();
        }
        std::mem::take(&mut self.early)
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
            .map_err(|why| if var.secret { format!("${name}: the value does not fit") } else { why })?;
        if var.secret {
            self.kit.secrets.add(name, value).map_err(|error| error.to_string())?;
            return Ok(String::new());
        }
        Ok(value)
    }

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
            let lines = lines.map(|lines| {
                lines.into_iter().map(|line| LogLine { text: secrets.mask(&line.text), ..line }).collect()
            });
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
