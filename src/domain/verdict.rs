//! Judges numbers against the bounds of a metric and against the bound of a check. Also parses those bounds.
//!
//! A missing number is never fine and never a breach: it has a verdict of its own, and a check on it cannot hold.
//!
//! Longer than 500 lines with its tests, which are tables of readings.

pub mod claimed;

use std::fmt;

use super::{
    check::{Condition, NoTraffic},
    id::SlotName,
    metric::{Bound, Metric, Missing, Op, Unit, Verdict},
};

/// What a metric's value means by its `normal` and `alert` bounds.
///
/// `alert` decides first. Without `alert`, nothing alerts; without `normal`, everything short of an alert is fine.
#[must_use]
pub fn judge(metric: &Metric, value: &Result<f64, Missing>) -> Verdict {
    let Some(value) = finite(value) else {
        return Verdict::Missing;
    };
    if metric.alert.is_some_and(|bound| bound.holds(value)) {
        Verdict::Alert
    } else if metric.normal.is_none_or(|bound| bound.holds(value)) {
        Verdict::Ok
    } else {
        Verdict::Warn
    }
}

/// The number of a sample, if it is one to reckon with.
pub(super) fn finite(value: &Result<f64, Missing>) -> Option<f64> {
    value.as_ref().ok().copied().filter(|value| value.is_finite())
}

/// Why a condition can be neither true nor false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// The condition compares with a baseline, and none was recorded.
    NoBaseline,
    /// The baseline is zero and the value is not, so no part of the baseline says how far is too far.
    ZeroBaseline,
    /// The value is NaN or infinite.
    NotANumber,
    /// It is decided by the evidence gathered since the switch, not by the newest value.
    ByEvidence,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBaseline => {
                "no baseline was recorded before the switch; judge it yourself, or give the \
                check a bound with `is`"
            }
            Self::ZeroBaseline => {
                "the baseline is 0, so a percentage of it allows nothing else; give the \
                check a bound with `is`"
            }
            Self::NotANumber => "the value is not a number",
            Self::ByEvidence => "no evidence is gathered: users have not met the new version",
        })
    }
}

impl std::error::Error for Undecided {}

/// Floats that a person would call equal may differ in their last digits; a value exactly at the edge is inside.
const EDGE: f64 = 1e-9;

/// Whether a value is as the check demands. `baseline` is what was recorded before the switch.
///
/// # Errors
/// Where the question has no answer; that is never a pass.
pub fn condition_holds(condition: Condition, value: f64, baseline: Option<f64>) -> Result<bool, Undecided> {
    if !value.is_finite() {
        return Err(Undecided::NotANumber);
    }
    match condition {
        Condition::Is(bound) => Ok(bound.holds(value)),
        Condition::NotWorse(_) => Err(Undecided::ByEvidence),
        Condition::WithinBaseline(part) => {
            let baseline = baseline.filter(|baseline| baseline.is_finite()).ok_or(Undecided::NoBaseline)?;
            if baseline == 0.0 {
                return if value == 0.0 { Ok(true) } else { Err(Undecided::ZeroBaseline) };
            }
            Ok((value - baseline).abs() <= part * baseline.abs() * (1.0 + EDGE))
        }
    }
}

/// What a sample says about a check of its metric, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It holds.
    Holds(String),
    /// It does not, or nobody can tell.
    Fails(String),
    /// There was no traffic, and the check says that it is skipped then. That is not "holds": nothing was measured.
    Skipped(String),
    /// There was no traffic, and the check says that it waits for some.
    Waits(String),
}

/// What a check of a metric makes of a sample that is fresh; `slot` is the one that was measured.
#[must_use]
pub fn rule(
    metric: &Metric,
    condition: Condition,
    no_traffic: Option<NoTraffic>,
    slot: Option<&SlotName>,
    value: &Result<f64, Missing>,
    baseline: Option<f64>,
) -> Ruling {
    let on = || slot.map_or_else(String::new, |slot| format!(" on {}", slot.as_str().to_uppercase()));
    match (value, no_traffic) {
        (Ok(value), _) => match condition_holds(condition, *value, baseline) {
            Ok(holds) => {
                let wanted = show_condition(condition, metric.unit, baseline);
                let judged = match condition {
                    Condition::Is(bound) => Some(bound.value),
                    Condition::WithinBaseline(_) => baseline,
                    Condition::NotWorse(_) => None,
                };
                let evidence = format!("{} ({wanted})", metric.unit.show_beside(*value, judged));
                if holds { Ruling::Holds(evidence) } else { Ruling::Fails(evidence) }
            }
            Err(why) => Ruling::Fails(format!("unknown: {why}")),
        },
        (Err(missing), Some(meaning)) if missing.is_no_traffic() => match meaning {
            NoTraffic::Skip => Ruling::Skipped(format!("skipped: no requests{} yet", on())),
            NoTraffic::Wait => Ruling::Waits(format!("waits: no requests{} yet", on())),
            NoTraffic::Fail => Ruling::Fails(format!("no requests{}, but some are expected", on())),
        },
        (Err(missing), None) if missing.is_no_traffic() => {
            Ruling::Fails(format!("no traffic{}: {missing}", on()))
        }
        (Err(missing), _) => Ruling::Fails(format!("no data: {missing}")),
    }
}

/// What a condition demands, in words: `< 0.1 %`, `within 20 % of 2300/min`, `within 20 % of baseline`.
#[must_use]
pub fn show_condition(condition: Condition, unit: Unit, baseline: Option<f64>) -> String {
    match condition {
        Condition::Is(bound) => bound.show(unit),
        Condition::WithinBaseline(part) => {
            let of = baseline.map_or_else(|| "baseline".to_owned(), |baseline| unit.show(baseline));
            format!("within {} of {of}", Unit::Percent.show(part))
        }
        Condition::NotWorse(than) => format!("not {}", than.show()),
    }
}

/// Why a text is not a valid bound, and what would be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBound {
    /// The text as written.
    pub text: String,
    /// What is wrong and what would be right.
    pub why: String,
}

impl fmt::Display for BadBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.text, self.why)
    }
}

impl std::error::Error for BadBound {}

/// Reads a bound such as `< 0.1%`, `>= 500ms` or `> 512MiB` for a metric of this unit. The value is converted to the
/// unit of the query's result, so `< 200ms` for a metric in seconds becomes `0.2`, and `1%` becomes `0.01`.
///
/// # Errors
/// No comparison, no number, or a unit that does not fit the metric's. A bare number is refused where it could be read
/// in two ways (percent, time), unless it is 0.
pub fn parse_bound(text: &str, unit: Unit) -> Result<Bound, BadBound> {
    let bad = |why: String| BadBound { text: text.to_owned(), why };
    let trimmed = text.trim();
    let (op, literal) = [("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt)]
        .into_iter()
        .find_map(|(sign, op)| trimmed.strip_prefix(sign).map(|rest| (op, rest)))
        .ok_or_else(|| {
            bad(format!("has no comparison; begin with <, <=, > or >=, as in `{}`", example(unit)))
        })?;
    let value = parse_value(literal, unit).map_err(bad)?;
    Ok(Bound { op, value })
}

/// Reads what `within` says: `20% of baseline`.
///
/// # Errors
/// Anything else, and a part that is not above zero.
pub fn parse_within(text: &str) -> Result<Condition, BadBound> {
    let bad = |why: &str| BadBound { text: text.to_owned(), why: why.to_owned() };
    let usage = "is not a valid distance; write a percentage of the value recorded before the switch, as in `20% of \
         baseline`";
    let words: Vec<&str> = text.split_whitespace().collect();
    let literal = match words.as_slice() {
        [number, "of", "baseline"] => (*number).to_owned(),
        [number, "%", "of", "baseline"] => format!("{number}%"),
        _ => return Err(bad(usage)),
    };
    let part = parse_value(&literal, Unit::Percent).map_err(|_| bad(usage))?;
    if part > 0.0 {
        Ok(Condition::WithinBaseline(part))
    } else {
        Err(bad("allows no distance, and no measurement is that exact; allow some, as in `20% of baseline`"))
    }
}

/// A bound a person could copy for a metric of this unit.
fn example(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "< 0.1%",
        Unit::Ms | Unit::S => "< 200ms",
        Unit::Count => "< 100",
        Unit::PerMinute => "> 2000/min",
        Unit::Bytes => "< 512MiB",
    }
}

/// A number with its unit, in the unit of the query's result.
fn parse_value(literal: &str, unit: Unit) -> Result<f64, String> {
    let literal = literal.trim();
    let end = literal.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-')).unwrap_or(literal.len());
    let (number, suffix) = literal.split_at(end);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("has no number after the comparison; write it as in `{}`", example(unit)))?;
    if number < 0.0 && unit != Unit::Count {
        return Err(format!("is below zero, which this metric never is; write it as in `{}`", example(unit)));
    }
    let suffix = suffix.trim();
    if suffix.is_empty() && number == 0.0 {
        return Ok(0.0);
    }
    let factor = match unit {
        Unit::Percent => (suffix == "%").then_some(0.01),
        Unit::Ms => seconds(suffix).map(|s| s * 1000.0),
        Unit::S => seconds(suffix),
        Unit::Count => suffix.is_empty().then_some(1.0),
        Unit::PerMinute => match suffix {
            "" | "/min" => Some(1.0),
            "/s" => Some(60.0),
            "/h" => Some(1.0 / 60.0),
            _ => None,
        },
        Unit::Bytes => bytes(suffix),
    };
    // Division where the factor is below one: 0.1 / 100 is 0.001 to the last digit, 0.1 * 0.01 is not.
    match factor {
        Some(factor) if factor < 1.0 => Ok(number / (1.0 / factor).round()),
        Some(factor) => Ok(number * factor),
        None => Err(misfit(suffix, unit)),
    }
}

/// The length of a unit of time in seconds.
fn seconds(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// The size of a unit of bytes: binary prefixes by their own names, decimal ones by theirs.
fn bytes(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "TiB" => 1_099_511_627_776.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    })
}

fn misfit(suffix: &str, unit: Unit) -> String {
    let wanted = match unit {
        Unit::Percent => "a percent metric needs `%`",
        Unit::Ms => "a metric in milliseconds needs `ms`, `s` or `m`",
        Unit::S => "a metric in seconds needs `ms`, `s` or `m`",
        Unit::Count => "a count needs a number without a unit",
        Unit::PerMinute => "a metric per minute needs `/min`, `/s` or `/h`",
        Unit::Bytes => "a metric in bytes needs `B`, `KiB`, `MiB`, `GiB` or `TiB`",
    };
    let found = if suffix.is_empty() { "has no unit".to_owned() } else { format!("has the unit `{suffix}`") };
    format!("{found}; {wanted}, as in `{}`", example(unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{metric::Query, time::Span};

    fn metric(normal: Option<&str>, alert: Option<&str>) -> Metric {
        let bound = |text: &str| parse_bound(text, Unit::Percent).unwrap();
        Metric {
            id: "error_rate".into(),
            title: "Error rate".into(),
            query: Query::Promql { source: "prometheus".into(), expr: "up".into() },
            per_slot: false,
            unit: Unit::Percent,
            normal: normal.map(bound),
            alert: alert.map(bound),
            action: None,
            interval: Span::from_secs(5),
        }
    }

    #[test]
    fn values_are_judged_by_alert_first() {
        let both = metric(Some("< 0.1%"), Some("> 1%"));
        assert_eq!(judge(&both, &Ok(0.0004)), Verdict::Ok);
        assert_eq!(judge(&both, &Ok(0.001)), Verdict::Warn);
        assert_eq!(judge(&both, &Ok(0.01)), Verdict::Warn);
        assert_eq!(judge(&both, &Ok(0.0101)), Verdict::Alert);
        assert_eq!(judge(&metric(None, Some("> 1%")), &Ok(0.01)), Verdict::Ok);
        assert_eq!(judge(&metric(Some("< 0.1%"), None), &Ok(0.5)), Verdict::Warn);
        assert_eq!(judge(&metric(None, None), &Ok(9.0)), Verdict::Ok);
        // Contradicting bounds: the louder one wins.
        assert_eq!(judge(&metric(Some("< 5%"), Some("> 1%")), &Ok(0.02)), Verdict::Alert);
    }

    /// M1: whatever the bounds are, what is no number is missing: 52 values, none of them ok and none an alert.
    #[test]
    fn m1_what_is_no_number_is_missing() {
        let metrics = [
            metric(Some("< 0.1%"), Some("> 1%")),
            metric(Some("> 99%"), Some("< 95%")),
            metric(None, None),
            metric(None, Some("> 0%")),
        ];
        let values: [Result<f64, Missing>; 13] = [
            Ok(f64::NAN),
            Ok(-f64::NAN),
            Ok(f64::INFINITY),
            Ok(f64::NEG_INFINITY),
            Err(Missing::NoData),
            Err(Missing::NotANumber),
            Err(Missing::ZeroByZero),
            Err(Missing::EmptyRatio),
            Err(Missing::Unreachable("refused".into())),
            Err(Missing::BadAnswer("HTML".into())),
            Err(Missing::Stale("5 minutes old".into())),
            Err(Missing::Ambiguous("2 series".into())),
            Err(Missing::NotYet("the version of new".into())),
        ];
        let verdicts: Vec<Verdict> =
            metrics.iter().flat_map(|metric| values.iter().map(|value| judge(metric, value))).collect();
        assert_eq!(verdicts, vec![Verdict::Missing; 52]);
    }

    #[test]
    fn bounds_are_read_in_the_unit_of_the_query() {
        for (text, unit, op, value) in [
            ("< 0.1%", Unit::Percent, Op::Lt, 0.001),
            (">1 %", Unit::Percent, Op::Gt, 0.01),
            (">= 99.9%", Unit::Percent, Op::Ge, 0.999),
            ("> 0", Unit::Percent, Op::Gt, 0.0),
            ("<200ms", Unit::S, Op::Lt, 0.2),
            ("< 0.2s", Unit::S, Op::Lt, 0.2),
            ("<= 1.5s", Unit::Ms, Op::Le, 1500.0),
            ("< 250us", Unit::Ms, Op::Lt, 0.25),
            ("< 2m", Unit::S, Op::Lt, 120.0),
            ("> 40", Unit::Count, Op::Gt, 40.0),
            ("> -3", Unit::Count, Op::Gt, -3.0),
            ("> 2000/min", Unit::PerMinute, Op::Gt, 2000.0),
            ("> 2000", Unit::PerMinute, Op::Gt, 2000.0),
            ("> 40/s", Unit::PerMinute, Op::Gt, 2400.0),
            ("> 120/h", Unit::PerMinute, Op::Gt, 2.0),
            ("< 512MiB", Unit::Bytes, Op::Lt, 536_870_912.0),
            ("< 2 GB", Unit::Bytes, Op::Lt, 2e9),
            ("< 1024", Unit::Bytes, Op::Lt, 1024.0),
        ] {
            let bound = parse_bound(text, unit).unwrap();
            assert_eq!(bound.op, op, "{text}");
            assert!(
                (bound.value - value).abs() <= value.abs() * 1e-12,
                "{text}: {} is not {value}",
                bound.value
            );
        }
    }

    #[test]
    fn a_misfit_says_what_would_fit() {
        for (text, unit, says) in [
            ("0.1%", Unit::Percent, "begin with <, <=, > or >="),
            ("== 1%", Unit::Percent, "begin with"),
            ("< 1", Unit::Percent, "has no unit; a percent metric needs `%`"),
            ("< 200ms", Unit::Percent, "has the unit `ms`; a percent metric needs `%`"),
            ("< 1%", Unit::S, "has the unit `%`; a metric in seconds needs `ms`"),
            ("< 500", Unit::Ms, "has no unit"),
            ("< 500", Unit::S, "has no unit"),
            ("< 5 req", Unit::Count, "without a unit"),
            ("< 5 MiB", Unit::PerMinute, "`/min`"),
            ("< 5 mib", Unit::Bytes, "`MiB`"),
            ("<", Unit::Count, "no number"),
            ("< NaN", Unit::Count, "no number"),
            ("< inf", Unit::Count, "no number"),
            ("< 1.2.3", Unit::Count, "no number"),
            ("< --1", Unit::Count, "no number"),
            ("< -1%", Unit::Percent, "below zero"),
            ("< 1%%", Unit::Percent, "has the unit `%%`"),
        ] {
            let error = parse_bound(text, unit).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(error.starts_with(&format!("`{text}` ")), "{error}");
        }
    }

    #[test]
    fn every_example_is_itself_a_bound() {
        for unit in [Unit::Percent, Unit::Ms, Unit::S, Unit::Count, Unit::PerMinute, Unit::Bytes] {
            assert!(parse_bound(example(unit), unit).is_ok(), "{unit:?}");
        }
    }

    #[test]
    fn within_is_a_part_of_the_baseline() {
        assert_eq!(parse_within("20% of baseline"), Ok(Condition::WithinBaseline(0.2)));
        assert_eq!(parse_within(" 2.5 %  of baseline "), Ok(Condition::WithinBaseline(0.025)));
        for text in [
            "",
            "20%",
            "20 of baseline",
            "of baseline",
            "20% of normal",
            "< 20% of baseline",
            "0% of baseline",
            "-5% of baseline",
        ] {
            assert!(parse_within(text).is_err(), "{text}");
        }
    }

    #[test]
    fn conditions_hold_or_say_why_nobody_can_tell() {
        let within = Condition::WithinBaseline(0.2);
        for value in [100.0, 120.0, 80.0] {
            assert_eq!(condition_holds(within, value, Some(100.0)), Ok(true), "{value}");
        }
        for value in [120.001, 79.999, 0.0, -100.0] {
            assert_eq!(condition_holds(within, value, Some(100.0)), Ok(false), "{value}");
        }
        assert_eq!(condition_holds(within, 0.0012, Some(0.001)), Ok(true));
        assert_eq!(condition_holds(within, -110.0, Some(-100.0)), Ok(true));
        assert_eq!(condition_holds(within, 0.0, Some(0.0)), Ok(true));
        assert_eq!(condition_holds(within, 0.1, Some(0.0)), Err(Undecided::ZeroBaseline));
        assert_eq!(condition_holds(within, 100.0, None), Err(Undecided::NoBaseline));
        assert_eq!(condition_holds(within, 100.0, Some(f64::NAN)), Err(Undecided::NoBaseline));
        let is = Condition::Is(Bound { op: Op::Lt, value: 0.001 });
        assert_eq!(condition_holds(is, 0.0009, None), Ok(true));
        assert_eq!(condition_holds(is, 0.001, None), Ok(false));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(condition_holds(is, value, Some(1.0)), Err(Undecided::NotANumber));
            assert_eq!(condition_holds(within, value, Some(1.0)), Err(Undecided::NotANumber));
        }
    }

    #[test]
    fn no_traffic_means_what_the_check_says() {
        let (metric, green) = (metric(Some("< 0.1%"), None), SlotName::from("green"));
        let is = Condition::Is(Bound { op: Op::Lt, value: 0.001 });
        let rule =
            |meaning, slot, value: Result<f64, Missing>| rule(&metric, is, meaning, slot, &value, None);
        let on_green = |meaning, value| rule(meaning, Some(&green), value);
        for nothing in [Missing::ZeroByZero, Missing::EmptyRatio] {
            let seen = |meaning| on_green(meaning, Err(nothing.clone()));
            assert_eq!(
                seen(Some(NoTraffic::Skip)),
                Ruling::Skipped("skipped: no requests on GREEN yet".to_owned())
            );
            assert_eq!(
                seen(Some(NoTraffic::Wait)),
                Ruling::Waits("waits: no requests on GREEN yet".to_owned())
            );
            assert_eq!(
                seen(Some(NoTraffic::Fail)),
                Ruling::Fails("no requests on GREEN, but some are expected".to_owned())
            );
            assert_eq!(seen(None), Ruling::Fails(format!("no traffic on GREEN: {nothing}")));
        }
        assert_eq!(
            rule(Some(NoTraffic::Skip), None, Err(Missing::ZeroByZero)),
            Ruling::Skipped("skipped: no requests yet".to_owned())
        );
        // What is merely missing is not "no traffic", whatever is declared.
        for missing in [Missing::NoData, Missing::NotANumber, Missing::Stale("age unknown".to_owned())] {
            let told = on_green(Some(NoTraffic::Skip), Err(missing.clone()));
            assert_eq!(told, Ruling::Fails(format!("no data: {missing}")));
        }
        assert_eq!(on_green(Some(NoTraffic::Skip), Ok(0.0005)), Ruling::Holds("0.05 % (< 0.1 %)".to_owned()));
        assert_eq!(on_green(Some(NoTraffic::Skip), Ok(0.02)), Ruling::Fails("2 % (< 0.1 %)".to_owned()));
        assert!(matches!(on_green(Some(NoTraffic::Skip), Ok(f64::NAN)), Ruling::Fails(_)));
    }

    #[test]
    fn conditions_are_shown_with_what_they_compare_to() {
        let within = Condition::WithinBaseline(0.2);
        assert_eq!(show_condition(within, Unit::PerMinute, Some(2300.0)), "within 20 % of 2300/min");
        assert_eq!(show_condition(within, Unit::PerMinute, None), "within 20 % of baseline");
        assert_eq!(
            show_condition(Condition::Is(Bound { op: Op::Lt, value: 0.001 }), Unit::Percent, None),
            "< 0.1 %"
        );
    }
}
