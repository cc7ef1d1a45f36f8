//! The two ports that a rehearsal replaces: commands are not executed, notices are only stored.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    domain::{event::ChildProcess, time::Span},
    engine::ports::{
        CancelFlag, Clock, Notifier, Output, PortError, PortResult, Shell, ShellCall, ShellExit, ShellNews,
        ShellProgram,
    },
};

/// Time between two sample lines.
const LINE: Span = Span::from_millis(800);

/// Prints an action's `sample` lines instead of running it, and fails where the story wants that.
pub struct RehearsalShell {
    clock: Arc<dyn Clock>,
    fails: bool,
}

impl RehearsalShell {
    /// With `fails`, every action that has `sample_failure` lines prints those and exits 1.
    pub fn new(clock: Arc<dyn Clock>, fails: bool) -> Self {
        Self { clock, fails }
    }
}

#[async_trait]
impl Shell for RehearsalShell {
    /// Nothing runs outside of a rehearsal's own engine.
    fn is_running(&self, _: &ChildProcess, _: &str) -> bool {
        false
    }

    fn find(&self, _: &str) -> Option<ChildProcess> {
        None
    }

    async fn end(&self, _: &ChildProcess, _: &str) {}

    async fn run(
        &self,
        call: ShellCall,
        news: mpsc::Sender<ShellNews>,
        mut cancel: CancelFlag,
    ) -> PortResult<ShellExit> {
        let fails = self.fails && !call.sample_failure.is_empty();
        let command = match &call.program {
            ShellProgram::Sh(script) => script.clone(),
            ShellProgram::Argv(argv) => argv.join(" "),
        };
        // A check's output is compared with what it expects; the remark would get in its way.
        let remark =
            call.output.as_ref().map(|_| format!("rehearsal, not executed: {}", command.replace('\n', " ")));
        let lines = if fails { &call.sample_failure } else { &call.sample };
        let mut file = match &call.output {
            Some(Output::Disk(path)) => {
                let open = std::fs::OpenOptions::new()
                    .create(true)
                    .write(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(path);
                Some(open.map_err(|error| {
                    PortError::failed(format!("cannot write {}: {error}", path.display()))
                })?)
            }
            Some(Output::Memory(file)) => Some(file.try_clone().map_err(cannot_write)?),
            None => None,
        };
        for line in remark.iter().chain(lines) {
            let bytes = format!("{line}\n").into_bytes();
            if let Some(file) = &mut file {
                file.write_all(&bytes).map_err(cannot_write)?;
            }
            let _ = news.send(ShellNews::Output(bytes)).await;
            tokio::select! {
                () = self.clock.sleep(LINE) => {}
                Ok(_) = cancel.wait_for(|stop| *stop) => {
                    let detail = "stopped on request (rehearsal)".to_owned();
                    return Ok(ShellExit { ok: false, timed_out: false, cancelled: true, detail });
                }
            }
        }
        let status = u8::from(fails);
        let detail = format!("exit status {status} (rehearsal, not executed)");
        Ok(ShellExit { ok: !fails, timed_out: false, cancelled: false, detail })
    }
}

/// A rehearsal writes its output where a run does, so that it finds a full disk as well.
fn cannot_write(error: std::io::Error) -> PortError {
    PortError::failed(format!("cannot write the output: {error}"))
}

/// Keeps notices instead of sending them.
#[derive(Debug, Default)]
pub struct Inbox(Mutex<Vec<String>>);

impl Inbox {
    /// The notices so far.
    pub fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Notifier for Inbox {
    async fn send(&self, _webhook: &str, text: &str) -> PortResult<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        Ok("stored in the rehearsal's inbox".to_owned())
    }
}
