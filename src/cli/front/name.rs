//! The name of whoever sits here.

use crate::{config::settings::Settings, link};

/// What they want to be called, where they have said so.
pub fn alias() -> Option<String> {
    Settings::load(&|name| std::env::var(name).ok()).settings.pilot
}

/// What they go by.
pub fn own_name() -> String {
    alias().unwrap_or_else(link::peer::own_login)
}
