//! What an error comes down to.

use crate::domain::safe_text::SafeText;

/// The deepest cause of an error, made safe: the outer layers only say that something failed.
pub(super) fn cause(fault: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = fault;
    // Some errors name themselves as their source.
    for _ in 0..16 {
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    SafeText::from(deepest.to_string()).into()
}
