//! Who is at the other end of a socket, according to the kernel.

use tokio::net::UnixStream;

use crate::domain::crew::Person;

/// The longest name that somebody may want to be called, characters.
const LONGEST_NAME: usize = 40;
/// `/proc/PID/loginuid` of a process that nobody logged in for.
const NO_LOGIN: u32 = u32::MAX;

/// The process at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// The account that was logged in with: another than `uid` where somebody became that user by `sudo` or `su`.
    pub login: String,
}

impl Peer {
    /// Asks the kernel (`SO_PEERCRED`, then the audit system's login uid of that process).
    ///
    /// # Errors
    /// The system's.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        let login = credentials.pid().and_then(login_uid).unwrap_or(uid);
        Ok(Self { uid, login: user_name(login) })
    }

    /// The person, by the name they gave where they gave one.
    pub fn person(&self, name: Option<&str>) -> Person {
        let name: String = name
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_NAME)
            .collect::<String>()
            .trim()
            .to_owned();
        let name = crate::domain::safe_text::SafeText::new(&name).to_string();
        if name.is_empty() {
            Person::of_login(&self.login)
        } else {
            Person { login: self.login.clone(), name }
        }
    }
}

/// The login of this process, as an engine would see it.
pub fn own_login() -> String {
    let login = i32::try_from(std::process::id()).ok().and_then(login_uid);
    user_name(login.unwrap_or_else(|| nix::unistd::getuid().as_raw()))
}

fn login_uid(pid: i32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/loginuid")).ok()?;
    text.trim().parse().ok().filter(|uid| *uid != NO_LOGIN)
}

fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}
