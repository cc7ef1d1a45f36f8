//! Durations and the words of a runbook's format, as people and `import` read them.

use serde::Serialize;

use crate::domain::time::Span;

const UNITS: [(&str, u64); 6] = [
    ("week", 604_800_000),
    ("day", 86_400_000),
    ("hour", 3_600_000),
    ("minute", 60_000),
    ("second", 1000),
    ("millisecond", 1),
];

/// `5 minutes`, `1 day`, `90 seconds`: in the largest unit that gives a whole number.
pub(super) fn duration(span: Span) -> String {
    range(span, span)
}

/// `2-5 minutes`, or as [`duration`] where both are the same.
pub(super) fn range(from: Span, to: Span) -> String {
    let (from, to) = (from.as_millis(), to.as_millis());
    if to == 0 {
        return "0 seconds".to_owned();
    }
    let fits = |size: u64| from.is_multiple_of(size) && to.is_multiple_of(size);
    let (unit, size) = UNITS.into_iter().find(|(_, size)| fits(*size)).unwrap_or(("millisecond", 1));
    let plural = if to == size { "" } else { "s" };
    if from == to {
        format!("{} {unit}{plural}", to / size)
    } else {
        format!("{}-{} {unit}s", from / size, to / size)
    }
}

/// A duration or range in words as a runbook writes it: `5m`, `2m..5m`. None if it is none.
pub(super) fn notation(written: &str) -> Option<String> {
    let written = written.trim();
    if !written.is_empty() && written.split("..").all(|part| part.parse::<Span>().is_ok()) {
        return Some(written.to_owned());
    }
    let (numbers, unit) = written.split_once(' ')?;
    let unit = unit.trim();
    let (_, size) = UNITS.into_iter().find(|(name, _)| unit.strip_suffix('s').unwrap_or(unit) == *name)?;
    let span = |number: &str| {
        let number: u64 = number.trim().parse().ok()?;
        Some(Span::from_millis(number.checked_mul(size)?).to_string())
    };
    Some(match numbers.split_once(['-', '–']) {
        Some((from, to)) => format!("{}..{}", span(from)?, span(to)?),
        None => span(numbers)?,
    })
}

/// A word of the format, as a runbook writes it.
pub(super) fn word(of: impl Serialize) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_of_one_unit() {
        let span = |written: &str| written.parse::<Span>().unwrap();
        let shown = |written: &str| duration(span(written));
        assert_eq!(shown("5m"), "5 minutes");
        assert_eq!(shown("1m"), "1 minute");
        assert_eq!(shown("24h"), "1 day");
        assert_eq!(shown("1w"), "1 week");
        assert_eq!(shown("90s"), "90 seconds");
        assert_eq!(shown("1h30m"), "90 minutes");
        assert_eq!(shown("1500ms"), "1500 milliseconds");
        assert_eq!(shown("0s"), "0 seconds");
        assert_eq!(range(span("2m"), span("5m")), "2-5 minutes");
        assert_eq!(range(span("30s"), span("2m")), "30-120 seconds");
        assert_eq!(range(span("0s"), span("1m")), "0-1 minutes");
        for written in
            ["5m", "1m", "1d", "1w", "90s", "1h30m", "1500ms", "0s", "2m..5m", "30s..2m", "0s..1m", "8d"]
        {
            let (from, to) = written.split_once("..").unwrap_or((written, written));
            let read = notation(&range(span(from), span(to))).unwrap();
            let (from_read, to_read) = read.split_once("..").unwrap_or((&read, &read));
            assert_eq!((span(from_read), span(to_read)), (span(from), span(to)), "{written}");
        }
        assert_eq!(notation("24h").as_deref(), Some("24h"));
        assert_eq!(notation("5"), None);
        assert_eq!(notation("soon"), None);
        assert_eq!(notation("5 parsecs"), None);
    }
}
