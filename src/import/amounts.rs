//! Times and bounds as people write them: `2-5 minutes`, `within 24 hours`, `above 1 %`, `< 200ms`.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::{metric::Unit, time::Span, verdict::parse_bound};

/// A pattern of ours, which is always valid: a test compiles each.
pub(super) fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)(\d+(?:[.,]\d+)?)\s*(?:(?:-|–|—|\.\.|to|à|bis|a)\s*(\d+(?:[.,]\d+)?)\s*)?\+?\s*(?:(?:consecutive|straight|continuous|full|consécutives?)\s+)?(milliseconds?|ms|seconds?|secs?|secondes?|sekunden?|segundos?|s|minutes?|minuten|minutos?|mins?|m|hours?|hrs?|heures?|stunden?|horas?|h|days?|jours?|tage?n?|d[ií]as?|d|weeks?|wks?|semaines?|wochen?|semanas?|w)\b",
    )
});

static BOUND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)(<=|>=|≤|≥|<|>|\b(?:is |are |stays? |remains? |should be |must be |reste |est )?(?:less than|lower than|fewer than|more than|greater than|higher than|at most|at least|below|under|above|over|exceed(?:s|ing)?|inférieure? à|supérieure? à|moins de|plus de|en dessous de|au[- ]dessus de|dépasse|unter|über))\s*(\d+(?:[.,\s]\d+)*)\s*(%|percent\b|pct\b|ms\b|milliseconds?\b|µs\b|seconds?\b|secs?\b|s\b|[kmg]i?b\b|bytes?\b|rpm\b|/\s?min(?:ute)?\b|per minute\b|/\s?s(?:ec)?\b|rps\b|req/s\b)?",
    )
});

/// The first time in a text: shortest and longest. `K8s` is a name, and `T+5min` a moment.
pub(super) fn time(text: &str) -> Option<(Span, Span)> {
    let is_one = |at: usize| {
        let before = &text[..at];
        let moment = before.strip_suffix(['+', '-', '−', '–']).is_some_and(|rest| rest.ends_with(['T', 't']));
        !moment && !before.ends_with(char::is_alphabetic)
    };
    let all = TIME.as_ref()?.captures_iter(text);
    let found = all.into_iter().find(|found| found.get(0).is_some_and(|whole| is_one(whole.start())))?;
    let unit = found.get(3)?.as_str();
    let high = span(found.get(2).or(found.get(1))?.as_str(), unit)?;
    let low = span(found.get(1)?.as_str(), unit)?;
    Some((low.min(high), high.max(low)))
}

/// Whether a text is a time and nothing more.
pub(super) fn is_all_time(text: &str) -> bool {
    let whole = TIME.as_ref().and_then(|regex| regex.find(text.trim()));
    whole.is_some_and(|found| found.as_str().len() == text.trim().len())
}

/// As the runbook has it: `2m..5m`.
pub(super) fn written((low, high): (Span, Span)) -> String {
    if low == high { low.to_string() } else { format!("{low}..{high}") }
}

fn span(number: &str, unit: &str) -> Option<Span> {
    let number: f64 = number.replace(',', ".").parse().ok()?;
    let unit = unit.to_lowercase();
    let ms = if unit == "ms" || unit.starts_with("milli") {
        1.0
    } else if unit.starts_with('s') && !unit.starts_with("sem") && !unit.starts_with("stu") {
        1e3
    } else if unit.starts_with('m') {
        60e3
    } else if unit.starts_with("stu") || unit.starts_with('h') {
        3_600e3
    } else if unit.starts_with("sem") || unit.starts_with('w') {
        7.0 * 86_400e3
    } else {
        86_400e3
    };
    let total = (number * ms).round();
    // A century is no time of a runbook.
    if !(0.0..=3.0e12).contains(&total) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in the range just looked at"
    )]
    Some(Span::from_millis(total as u64))
}

/// A bound in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// As the runbook has it: `< 0.1%`.
    pub(super) bound: String,
    pub(super) unit: Unit,
    /// What stands before it.
    pub(super) before: String,
    /// What stands behind it.
    pub(super) after: String,
}

/// The unit's word in the runbook.
pub(super) fn unit_word(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "percent",
        Unit::Ms => "ms",
        Unit::S => "s",
        Unit::Count => "count",
        Unit::PerMinute => "per-minute",
        Unit::Bytes => "bytes",
    }
}

/// The first bound in a text, where it is one that a metric can have.
pub(super) fn bound(text: &str) -> Option<Found> {
    let found = BOUND.as_ref()?.captures(text)?;
    let words = found.get(1)?.as_str().to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    let op = if has(&["<=", "≤", "at most"]) {
        "<="
    } else if has(&[">=", "≥", "at least"]) {
        ">="
    } else if has(&[
        "<",
        "less",
        "lower",
        "fewer",
        "below",
        "under",
        "inférieur",
        "moins",
        "dessous",
        "unter",
    ]) {
        "<"
    } else {
        ">"
    };
    let number = number(found.get(2)?.as_str())?;
    if is_relative(&text[found.get(0)?.end()..]) {
        return None;
    }
    let suffix = found.get(3).map(|unit| unit.as_str().to_lowercase()).unwrap_or_default();
    let suffix = suffix.trim();
    let (unit, suffix) = match suffix {
        "%" | "percent" | "pct" => (Unit::Percent, "%"),
        "ms" | "millisecond" | "milliseconds" => (Unit::S, "ms"),
        "s" | "sec" | "secs" | "second" | "seconds" => (Unit::S, "s"),
        "rpm" | "per minute" => (Unit::PerMinute, "/min"),
        "" => (Unit::Count, ""),
        "kb" => (Unit::Bytes, "kB"),
        "mb" => (Unit::Bytes, "MB"),
        "gb" => (Unit::Bytes, "GB"),
        "kib" => (Unit::Bytes, "KiB"),
        "mib" => (Unit::Bytes, "MiB"),
        "gib" => (Unit::Bytes, "GiB"),
        other if other.starts_with('/') && other.contains("min") => (Unit::PerMinute, "/min"),
        other if other.starts_with('/') || other == "rps" || other == "req/s" => (Unit::PerMinute, "/s"),
        _ => return None,
    };
    let bound = format!("{op} {number}{suffix}");
    parse_bound(&bound, unit).ok()?;
    let whole = found.get(0)?;
    Some(Found {
        bound,
        unit,
        before: text[..whole.start()].to_owned(),
        after: text[whole.end()..].to_owned(),
    })
}

/// Whether what stands behind a number says that it counts from another one: `> 80% of baseline`, `> 20% higher`.
fn is_relative(after: &str) -> bool {
    let after = after.trim_start_matches([' ', '*', '(', '`']).to_lowercase();
    let starts = [
        "of baseline",
        "of the baseline",
        "of normal",
        "of previous",
        "of the previous",
        "of usual",
        "of average",
        "above baseline",
        "over baseline",
        "below baseline",
        "above normal",
        "increase",
        "decrease",
        "drop",
        "higher",
        "lower",
        "worse",
        "slower",
        "than ",
        "from baseline",
        "vs ",
    ];
    starts.iter().any(|start| after.starts_with(start))
}

/// `1,000` is a thousand, `0,5` a half.
fn number(text: &str) -> Option<String> {
    let text: String = text.split_whitespace().collect();
    let parts: Vec<&str> = text.split(',').collect();
    let text = match parts.as_slice() {
        [whole, rest @ ..]
            if !rest.is_empty() && *whole != "0" && rest.iter().all(|part| part.len() == 3) =>
        {
            text.replace(',', "")
        }
        _ => text.replace(',', "."),
    };
    text.parse::<f64>().ok().map(|_| text)
}

/// How long a breach must last: `for 5+ minutes`, `pendant 10 minutes`.
pub(super) fn lasting(text: &str) -> Option<Span> {
    let lower = text.to_lowercase();
    let at = [
        "for ",
        "during ",
        "over ",
        "within ",
        "pendant ",
        "sur ",
        "während ",
        "seit ",
        "in the last ",
        "≥ ",
    ]
    .iter()
    .filter_map(|word| lower.find(word))
    .min()
    .or_else(|| lower.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '(').then_some(0))?;
    time(lower.get(at..)?).map(|(_, high)| high).filter(|span| *span > Span::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, read) in [
            ("5 minutes", "5m"),
            ("2-5 minutes", "2m..5m"),
            ("about 10 – 15 min.", "10m..15m"),
            ("5+ minutes", "5m"),
            ("within 24 hours", "1d"),
            ("Within 1 Week", "1w"),
            ("90s", "1m30s"),
            ("1,5 heures", "1h30m"),
            ("30 secondes", "30s"),
            ("2 semaines", "2w"),
            ("3 Tage", "3d"),
            ("for 2 consecutive minutes", "2m"),
            ("T+0 (5 minutes)", "5m"),
        ] {
            assert_eq!(time(text).map(written).as_deref(), Some(read), "{text}");
        }
        for text in
            ["no time at all, v1.6", "Rolling update (K8s)", "Preparation (T-30min)", "Checks (T+5min)"]
        {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_read_as_people_write_them() {
        for (text, read) in [
            ("Error rate > 1% for 5+ minutes", "> 1%"),
            ("error rate above 1 %", "> 1%"),
            ("Latency < 200ms (P95)", "< 200ms"),
            ("taux d'erreur supérieur à 0,5 %", "> 0.5%"),
            ("more than 1,000 jobs", "> 1000"),
            ("p99 exceeds 2 seconds", "> 2s"),
            ("memory over 512 MiB", "> 512MiB"),
            ("at least 300 rpm", ">= 300/min"),
        ] {
            assert_eq!(bound(text).map(|found| found.bound).as_deref(), Some(read), "{text}");
        }
        for text in ["Blue -> Green", "throughput > 80% of baseline", "latency > 20% higher than before"] {
            assert_eq!(bound(text), None, "{text}");
        }
        assert_eq!(lasting(" for 5+ minutes").map(|span| span.to_string()).as_deref(), Some("5m"));
        assert_eq!(lasting("pendant 10 minutes").map(|span| span.to_string()).as_deref(), Some("10m"));
        assert_eq!(lasting(" in Grafana"), None);
    }
}
