//! Which part of a list is seen.

/// The first visible line where the view is kept around the selection: a pure function of it, so that drawing needs no
/// memory.
pub fn around(len: usize, height: usize, selected: usize) -> usize {
    if height == 0 || len <= height {
        return 0;
    }
    selected.saturating_sub(height / 2).min(len - height)
}

/// The index moved by `by`, kept inside.
pub fn moved(index: usize, by: isize, len: usize) -> usize {
    index.saturating_add_signed(by).min(len.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_is_always_seen() {
        for len in 0..30 {
            for height in 1..12 {
                for selected in 0..len {
                    let first = around(len, height, selected);
                    assert!(first <= selected && selected < first + height);
                    assert!(first + height <= len.max(height));
                }
            }
        }
        assert_eq!(moved(0, -3, 5), 0);
        assert_eq!(moved(3, 9, 5), 4);
        assert_eq!(moved(0, 1, 0), 0);
    }
}
