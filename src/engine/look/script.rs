//! Checks that run a command.

use regex::Regex;
use tokio::sync::{mpsc, watch};

use super::Looker;
use crate::{
    domain::check::Check,
    engine::ports::{Seen, ShellCall, ShellNews, ShellProgram},
};

/// Bytes of a checking command's output that are kept for `expect`; what comes after them is read and thrown away, since a
/// command whose output nobody reads stops.
const SH_OUTPUT: usize = 256 * 1024;

impl Looker {
    /// Runs a script and looks for a line in what it prints.
    pub(super) async fn look_sh(
        &self,
        script: &str,
        expect: Option<&str>,
        check: &Check,
    ) -> Result<Seen, String> {
        if let Some(why) = self.values.lacks(script) {
            return Err(why);
        }
        let expect =
            expect.map(Regex::new).transpose().map_err(|error| format!("not a valid pattern: {error}"))?;
        let call = ShellCall {
            program: ShellProgram::Sh(script.to_owned()),
            env: self.values.environment(),
            timeout: check.timeout,
            output: None,
            mark: None,
            sample: check.sample.clone(),
            sample_failure: Vec::new(),
        };
        let (news_in, news) = mpsc::channel(64);
        let (_keep, cancel) = watch::channel(false);
        let (exit, output) = tokio::join!(self.ports.shell.run(call, news_in, cancel), beginning(news));
        let exit = exit.map_err(super::message)?;
        let output = String::from_utf8_lossy(&output).into_owned();
        let last =
            output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output").to_owned();
        Ok(match expect {
            _ if !exit.ok => Seen::no(format!("{}: {last}", exit.detail)),
            Some(pattern) => match output.lines().find(|line| pattern.is_match(line)) {
                Some(line) => Seen::yes(line.to_owned()),
                None => Seen::no(format!("no output matches `{pattern}`; last: {last}")),
            },
            None => Seen::yes(last),
        })
    }
}

/// The beginning of what a command prints, once it has ended.
async fn beginning(mut news: mpsc::Receiver<ShellNews>) -> Vec<u8> {
    let mut output = Vec::new();
    while let Some(news) = news.recv().await {
        if let ShellNews::Output(bytes) = news {
            let room = SH_OUTPUT.saturating_sub(output.len());
            output.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
    output
}
