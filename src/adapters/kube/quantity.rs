//! Kubernetes' quantities: `250m`, `1.5`, `512Mi`, `1e3`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A quantity in thousandths of its unit, rounded up as the scheduler does; nothing where the text is no quantity.
///
/// Thousandths hold everything that is requested in practice: a thousandth of a core, and up to 10^35 bytes.
pub(super) fn milli(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.trim();
    let number_end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    // Numerator and denominator of the suffix, in thousandths.
    let (up, down): (i128, i128) = match suffix {
        "" => (1000, 1),
        "n" => (1, 1_000_000),
        "u" => (1, 1000),
        "m" => (1, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1000 << 10, 1),
        "Mi" => (1000 << 20, 1),
        "Gi" => (1000 << 30, 1),
        "Ti" => (1000 << 40, 1),
        "Pi" => (1000 << 50, 1),
        "Ei" => (1000 << 60, 1),
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
            if exponent < 0 { (1000, power) } else { (power.checked_mul(1000)?, 1) }
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || !fraction.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let negative = whole.starts_with('-');
    let digits = format!("{}{fraction}", whole.trim_start_matches(['+', '-']));
    let value: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let down = down.checked_mul(10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
    let product = value.checked_mul(up)?;
    let rounded = product.checked_add(down - 1)? / down;
    Some(if negative { -rounded } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<i128> {
        milli(&Quantity(text.to_owned()))
    }

    #[test]
    fn quantities_are_read_with_every_suffix() {
        assert_eq!(of("250m"), Some(250));
        assert_eq!(of("1.5"), Some(1500));
        assert_eq!(of(".5"), Some(500));
        assert_eq!(of("4"), Some(4000));
        assert_eq!(of("512Mi"), Some(512 * 1024 * 1024 * 1000));
        assert_eq!(of("1e3"), Some(1_000_000));
        assert_eq!(of("1E"), Some(1_000_000_000_000_000_000_000));
        assert_eq!(of("100n"), Some(1), "rounded up");
        assert_eq!(of("-1"), Some(-1000));
    }

    #[test]
    fn nonsense_is_no_quantity() {
        for text in ["", "m", "1x", "1.2.3", "Mi", "e3", "1e99"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
