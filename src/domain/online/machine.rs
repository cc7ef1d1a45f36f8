//! This machine and this person: what a run needs of them.

use super::{
    around::clock,
    finding::{Area, Finding, Findings},
    picture::{Login, Looked, Trouble, Unreached},
    unreached,
};
use crate::domain::time::{Span, Timestamp};

/// A day before its end a login is told.
const SOON: Span = Span::from_mins(60 * 24);
/// A client certificate is told this long before its end.
const SOON_FOR_CERTIFICATES: Span = Span::from_mins(60 * 24 * 14);
/// A run with its output needs about so many bytes at most.
const ROOM: u64 = 512 << 20;

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Our own version.
    pub version: String,
    /// When this was looked at.
    pub now: Timestamp,
    /// Kubeconfig files in the order of reading, with their permission bits; or why one can't be read.
    pub files: Vec<(String, Result<u32, String>)>,
    /// The login of the current context.
    pub login: Result<Login, Unreached>,
    /// The API server's version and by how many milliseconds its clock is ahead; or why it can't be asked.
    pub server: Option<Result<(String, Looked<i64>), Unreached>>,
    /// The terminal.
    pub terminal: Terminal,
    /// The state directory.
    pub state: State,
    /// Whether this user's services outlive the last logout; nothing where there is no systemd.
    pub lingers: Option<bool>,
    /// The user's name, for what to type.
    pub user: String,
    /// `kubectl`, if there is one.
    pub kubectl: Looked<Option<String>>,
}

/// The terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// Whether standard output is one.
    pub is_one: bool,
    /// `$TERM`.
    pub term: String,
    /// Whether colours are used.
    pub colours: bool,
    /// Whether `$COLORTERM` promises 24-bit colours.
    pub true_colour: bool,
    /// The locale, as the variables say.
    pub locale: String,
    /// Columns and rows.
    pub size: Option<(u16, u16)>,
}

/// The state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where.
    pub path: String,
    /// Whether it is there already.
    pub exists: bool,
    /// Whether we may write there, or why not.
    pub writable: Result<(), String>,
    /// Its permission bits.
    pub mode: Option<u32>,
    /// Bytes left on its file system.
    pub free: Option<u64>,
}

/// Everything that is worth a line.
pub fn judge(machine: &Machine) -> Findings {
    let mut found = vec![Finding::fine(Area::Versions, "cutover", machine.version.clone())];
    kubectl(machine, &mut found);
    files(machine, &mut found);
    match &machine.login {
        Ok(login) => credentials(login, machine.now, &mut found),
        // That no file can be read was said.
        Err(why)
            if why.kind == Trouble::Kubeconfig && machine.files.iter().all(|(_, file)| file.is_err()) => {}
        Err(why) => found.push(unreached(why)),
    }
    match &machine.server {
        Some(Ok((version, ahead))) => {
            found.push(Finding::fine(Area::Cluster, "API server", format!("it answers, {version}")));
            clock("API server", ahead, &mut found);
        }
        // That the login has ended was said.
        Some(Err(why)) if why.kind == Trouble::Expired && found.iter().any(Finding::is_ended_login) => {}
        Some(Err(why)) => found.push(unreached(why)),
        None => {}
    }
    terminal(&machine.terminal, &mut found);
    state(&machine.state, &mut found);
    linger(machine, &mut found);
    Findings(found)
}

fn kubectl(machine: &Machine, found: &mut Vec<Finding>) {
    let about = "kubectl";
    let server = match &machine.server {
        Some(Ok((version, _))) => minor(version),
        _ => None,
    };
    found.push(match &machine.kubectl {
        Ok(Some(version)) => match (minor(version), server) {
            (Some(client), Some(server)) if client.abs_diff(server) > 1 => Finding::warn(
                Area::Versions,
                about,
                format!("{version}, and the API server is 1.{server}: more than one release apart"),
                format!("install kubectl 1.{server} for what you do by hand; cutover itself does not use it"),
            ),
            _ => Finding::fine(Area::Versions, about, version.clone()),
        },
        Ok(None) => Finding::warn(
            Area::Versions,
            about,
            "it is not on the PATH",
            "install it for what you do by hand; cutover itself does not use it",
        ),
        Err(why) => Finding::not_looked_at(Area::Versions, about, why),
    });
}

/// The second number of a version such as `v1.33.2`.
fn minor(version: &str) -> Option<u32> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let (_, numbers) = version.split_once('v')?;
    digits(numbers.split('.').nth(1)?)
}

fn files(machine: &Machine, found: &mut Vec<Finding>) {
    for (path, seen) in &machine.files {
        found.push(match seen {
            Ok(mode) if mode & 0o077 != 0 => Finding::warn(
                Area::Kubeconfig,
                path,
                format!("others on this machine may read it (mode {:03o})", mode & 0o777),
                format!("chmod 600 {path}"),
            ),
            Ok(_) => Finding::fine(Area::Kubeconfig, path, "readable by you alone"),
            Err(why) => Finding::fault(
                Area::Kubeconfig,
                path,
                format!("it cannot be read: {why}"),
                "set KUBECONFIG to a readable file, or put one at ~/.kube/config",
            ),
        });
    }
}

fn credentials(login: &Login, now: Timestamp, found: &mut Vec<Finding>) {
    let Login { context, server, user, .. } = login;
    found.push(Finding::fine(
        Area::Kubeconfig,
        format!("context {context}"),
        format!("user `{user}` at {server}"),
    ));
    found.push(expiry(login, now));
}

/// How long a login is valid.
pub(super) fn expiry(login: &Login, now: Timestamp) -> Finding {
    let Login { user, by, until, renew, .. } = login;
    let soon = if by.contains("certificate") { SOON_FOR_CERTIFICATES } else { SOON };
    match until {
        Some(until) if *until <= now => Finding::fault(
            Area::Credentials,
            user,
            format!("its {by} expired on {}, {} ago", day(*until), now.since(*until).short()),
            renew.clone(),
        ),
        Some(until) if until.since(now) < soon => Finding::warn(
            Area::Credentials,
            user,
            format!("its {by} expires in {}, on {}", until.since(now).short(), day(*until)),
            renew.clone(),
        ),
        Some(until) => {
            Finding::fine(Area::Credentials, user, format!("its {by} is valid until {}", day(*until)))
        }
        None => Finding::fine(Area::Credentials, user, format!("by {by}, which names no last day")),
    }
}

/// `2026-11-27 14:00`
fn day(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn terminal(terminal: &Terminal, found: &mut Vec<Finding>) {
    let area = Area::Terminal;
    if !terminal.is_one {
        found.push(Finding::warn(
            area,
            "stdout",
            "it is no terminal, so there would be no screen",
            "start runs from a terminal, or with --plain",
        ));
        return;
    }
    found.extend([colours(terminal), locale(terminal), size(terminal)]);
}

fn colours(terminal: &Terminal) -> Finding {
    let area = Area::Terminal;
    match terminal.term.as_str() {
        "" | "dumb" => Finding::fault(
            area,
            "TERM",
            format!("it is `{}`, which cannot show a screen", terminal.term),
            "set TERM, as to xterm-256color, or run with --plain",
        ),
        term if terminal.colours => {
            let many = if terminal.true_colour || term.contains("256") { "many" } else { "16" };
            Finding::fine(area, "colours", format!("{many} ({term})"))
        }
        term => Finding::fine(
            area,
            "colours",
            format!("off by NO_COLOR or setting ({term}); signs and words stay"),
        ),
    }
}

fn locale(terminal: &Terminal) -> Finding {
    let area = Area::Terminal;
    let locale = terminal.locale.to_ascii_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Finding::fine(area, "locale", terminal.locale.clone())
    } else {
        Finding::warn(
            area,
            "locale",
            format!("`{}` is not UTF-8: lines and signs may come out wrong", terminal.locale),
            "export LC_ALL=C.UTF-8",
        )
    }
}

/// The screen draws at 60 × 15, and has all of its panes from 120 × 36 on.
fn size(terminal: &Terminal) -> Finding {
    let area = Area::Terminal;
    match terminal.size {
        Some((columns, rows)) if columns < 60 || rows < 15 => Finding::fault(
            area,
            "size",
            format!("{columns} columns, {rows} rows: the screen needs 60 × 15"),
            "enlarge the window",
        ),
        Some((columns, rows)) if columns < 80 || rows < 24 => Finding::warn(
            area,
            "size",
            format!("{columns} columns, {rows} rows: panes will be missing"),
            "enlarge the window to 120 × 36 for everything",
        ),
        Some((columns, rows)) => Finding::fine(area, "size", format!("{columns} columns, {rows} rows")),
        None => Finding::unseen(area, "size", "the terminal does not tell it", "run `stty size`"),
    }
}

fn state(state: &State, found: &mut Vec<Finding>) {
    let (area, about) = (Area::State, state.path.as_str());
    if let Err(why) = &state.writable {
        found.push(Finding::fault(
            area,
            about,
            format!("it cannot be written: {why}"),
            "make it writable, or give another one with --state-dir or CUTOVER_STATE_DIR",
        ));
        return;
    }
    match state.free {
        Some(free) if free < ROOM => found.push(Finding::warn(
            area,
            about,
            format!("{} MiB are left on its file system", free >> 20),
            "free some space, or give another directory with --state-dir: a run whose journal can't be written stops",
        )),
        Some(_) => {}
        None => found.push(Finding::unseen(area, about, "its file system does not tell the space", "run `df`")),
    }
    match state.mode {
        Some(mode) if mode & 0o022 != 0 => found.push(Finding::warn(
            area,
            about,
            format!("others may write there (mode {:03o})", mode & 0o777),
            format!("chmod go-w {about}"),
        )),
        _ => {}
    }
    if !found.iter().any(|finding| finding.area == area) {
        let there = if state.exists { "writable" } else { "not there yet, can be made" };
        let free = state.free.unwrap_or(0) >> 20;
        found.push(Finding::fine(area, about, format!("{there}; {free} MiB left")));
    }
}

fn linger(machine: &Machine, found: &mut Vec<Finding>) {
    let (area, user) = (Area::Service, &machine.user);
    found.push(match machine.lingers {
        Some(true) => Finding::fine(area, "linger", format!("services of {user} stay after a logout")),
        Some(false) => Finding::warn(
            area,
            "linger",
            format!("services of {user} end with the last logout, and engines may end with them"),
            format!("loginctl enable-linger {user}, and `cutover service install` to restart engines"),
        ),
        None => Finding::warn(
            area,
            "linger",
            "there is no systemd here: nothing restarts an engine that dies",
            "keep an eye on long runs; `cutover resume` takes them up again",
        ),
    });
}
