//! A line of small bars, one sample a column, newest at the right.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A column without a number. Never drawn as a low bar: nothing measured is not zero.
pub const GAP: char = '·';

/// The bars of the last `width` values between `low` and `high`; missing ones are gaps, and so is the time before the
/// first.
pub fn bars(values: &[Option<f64>], low: f64, high: f64, width: usize) -> String {
    let shown = &values[values.len().saturating_sub(width)..];
    let mut line: String = std::iter::repeat_n(GAP, width - shown.len()).collect();
    line.extend(shown.iter().map(|value| value.map_or(GAP, |value| bar(value, low, high))));
    line
}

fn bar(value: f64, low: f64, high: f64) -> char {
    let part = if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
    let index = (part * 7.999) as usize;
    BARS.get(index).copied().unwrap_or(GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_no_low_bar() {
        assert_eq!(bars(&[Some(0.0), None, Some(1.0)], 0.0, 1.0, 5), "··▁·█");
        assert_eq!(bars(&[Some(0.0), Some(0.5), Some(9.0)], 0.0, 1.0, 2), "▄█");
        assert_eq!(bars(&[Some(3.0)], 3.0, 3.0, 1), "▁");
        assert_eq!(bars(&[], 0.0, 1.0, 0), "");
    }
}
