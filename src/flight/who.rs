//! Who we are, and where.

use crate::journal::Holder;

/// The login name.
pub fn user() -> String {
    let named = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    named.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| nix::unistd::getuid().to_string())
}

/// `$CUTOVER_HOST` where several hosts have one name, as containers may; else the host's name.
pub fn host() -> String {
    if let Some(host) = std::env::var("CUTOVER_HOST").ok().filter(|host| !host.trim().is_empty()) {
        return host.trim().to_owned();
    }
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// `user@host`, as locks and copies name us.
pub fn address() -> String {
    format!("{}@{}", user(), host())
}

/// This process as a lock's holder.
pub fn holder() -> Holder {
    Holder {
        pid: std::process::id(),
        boot_id: crate::adapters::process::boot_id(),
        since_ms: jiff::Timestamp::now().as_millisecond(),
        who: address(),
    }
}
