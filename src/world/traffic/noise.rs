//! Deterministic noise: the same for the same seed, second and purpose.

/// A value in `[-1, 1)` for one purpose (`stream`) in one second.
pub(super) fn noise(seed: u64, second: i64, stream: u64) -> f64 {
    let mixed = mix(seed ^ mix(second.cast_unsigned()) ^ mix(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    // The upper 53 bits fill a double's mantissa exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    unit * 2.0 - 1.0
}

/// A value in `[0, bound)` for one purpose, for the whole world.
pub(super) fn pick(seed: u64, stream: u64, bound: i64) -> i64 {
    mix(seed ^ mix(stream)).cast_signed().rem_euclid(bound.max(1))
}

/// The finaliser of `SplitMix64`: every bit of the input reaches every bit of the output.
fn mix(input: u64) -> u64 {
    let z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_repeats_and_is_centred() {
        let all: Vec<f64> = (0..10_000).map(|second| noise(7, second, 1)).collect();
        assert_eq!(all, (0..10_000).map(|second| noise(7, second, 1)).collect::<Vec<_>>());
        assert!(all.iter().all(|value| (-1.0..1.0).contains(value)));
        let mean = all.iter().sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!((0..100).any(|second| (noise(7, second, 1) - noise(8, second, 1)).abs() > 0.1));
    }

    #[test]
    fn picks_stay_in_bounds() {
        assert!((0..1_000).all(|seed| (0..31).contains(&pick(seed, 3, 31))));
    }
}
