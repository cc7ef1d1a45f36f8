//! A bar that fills.

/// `▓▓▓▓░░░░`: `width` columns, filled by the part that `value` is of `whole`.
pub fn bar(value: u64, whole: u64, width: usize) -> String {
    let filled = filled(value, whole, width);
    format!("{}{}", "▓".repeat(filled), "░".repeat(width - filled))
}

/// Whole columns: full only when it is full, and visible as soon as anything is.
fn filled(value: u64, whole: u64, width: usize) -> usize {
    if whole == 0 || value >= whole {
        return width;
    }
    let width64 = u64::try_from(width).unwrap_or(u64::MAX);
    let columns = usize::try_from(value.saturating_mul(width64) / whole).unwrap_or(width);
    columns.max(usize::from(value > 0)).min(width.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_only_when_it_is() {
        assert_eq!(bar(0, 10, 5), "░░░░░");
        assert_eq!(bar(1, 100, 5), "▓░░░░");
        assert_eq!(bar(99, 100, 5), "▓▓▓▓░");
        assert_eq!(bar(100, 100, 5), "▓▓▓▓▓");
        assert_eq!(bar(5, 0, 0), "");
        assert_eq!(bar(5, 10, 0), "");
    }
}
