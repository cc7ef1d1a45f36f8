//! The names and ids of the lock and of the journal's copy.

use sha2::{Digest, Sha256};

/// The Lease's name for a Service.
#[must_use]
pub fn lease_name(service: &str) -> String {
    safe_name("cutover-", service, 253)
}

/// A name that any object may have, at most `longest` bytes: the text itself where it is one already, else what is left of it
/// with a hash, so that different texts stay different.
pub(in crate::adapters::kube) fn safe_name(prefix: &str, text: &str, longest: usize) -> String {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |text: &str| !text.starts_with('-') && !text.ends_with('-') && !text.is_empty();
    if text.chars().all(fine) && ends(text) && prefix.len() + text.len() <= longest {
        return format!("{prefix}{text}");
    }
    let mut tag = format!("{:x}", Sha256::digest(text));
    tag.truncate(10);
    let plain: String = text
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if fine(c) { c } else { '-' })
        .take(longest.saturating_sub(prefix.len() + tag.len() + 1).min(200))
        .collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { format!("{prefix}{tag}") } else { format!("{prefix}{plain}-{tag}") }
}

/// A new id, of a lock or of who copies: 48 random bits, in groups that can be read out and typed.
#[must_use]
pub fn mint() -> String {
    let mut bytes = [0_u8; 8];
    let random = rustls::crypto::ring::default_provider().secure_random;
    if random.fill(&mut bytes).is_err() {
        // Without it the id is still one of a kind; it only is easier to guess.
        bytes = fastrand::u64(..).to_be_bytes();
    }
    let number = u64::from_be_bytes(bytes);
    format!("{:04x}-{:04x}-{:04x}", number >> 32 & 0xffff, number >> 16 & 0xffff, number & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_stay_different() {
        assert_eq!(lease_name("backend-service"), "cutover-backend-service");
        let odd = lease_name("Backend_Service");
        assert!(odd.starts_with("cutover-backend-service-") && odd != lease_name("backend.service"), "{odd}");
        let long = lease_name(&"x".repeat(400));
        assert!(long.len() <= 253, "{}", long.len());
        assert!(safe_name("", &"y".repeat(100), 63).len() <= 63);
    }

    #[test]
    fn l2_lock_ids_can_be_typed_and_are_never_the_same() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| mint()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 14 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')));
    }
}
