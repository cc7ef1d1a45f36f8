//! Foreign text as it may be shown: made safe, and never long.

use crate::domain::safe_text::SafeText;

/// Foreign text made safe to show and cut to `longest` characters.
pub(super) fn shown(text: &str, longest: usize) -> String {
    let safe = SafeText::new(text.trim());
    match safe.as_str().char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &safe.as_str()[..end]),
        None => safe.into(),
    }
}
