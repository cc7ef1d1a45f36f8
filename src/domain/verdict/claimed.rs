//! Reads what a runbook claims of a counted metric: worse than what, how certainly, and from how many events on.

use super::{BadBound, parse_bound};
use crate::domain::{metric::Unit, worse::Than};

/// How a claim begins.
const WORDS: &str = "worse than ";

/// Whether a text is meant as a claim and not as a bound.
#[must_use]
pub fn is_claim(text: &str) -> bool {
    text.trim_start().starts_with("worse")
}

/// Reads `worse than 0.1%` and `worse than before`.
///
/// # Errors
/// Anything else; a share that leaves no room for anything worse, or that no counting can tell from none.
pub fn parse_than(text: &str) -> Result<Than, BadBound> {
    let bad = |why: &str| BadBound { text: text.to_owned(), why: why.to_owned() };
    let usage =
        "is not a valid claim; write `worse than 0.1%`, with a share of bad events, or `worse than before`";
    let literal = text.trim().strip_prefix(WORDS).ok_or_else(|| bad(usage))?.trim();
    if literal == "before" {
        return Ok(Than::Before);
    }
    let share = parse_bound(&format!("> {literal}"), Unit::Percent).map_err(|_| bad(usage))?.value;
    if share < 1e-6 {
        return Err(bad(
            "leaves no room for a single bad event; write a share that is harmless, as in `worse than 0.1%`",
        ));
    }
    if share > 0.5 {
        return Err(bad(
            "calls a release harmless of which more than every second event is bad; is `bad` the other way round?",
        ));
    }
    Ok(Than::Share(share))
}

/// Reads `99.9%`, as a part of 1.
///
/// # Errors
/// Anything else; less than 90 %, which cries wolf in every tenth run, and more than 99.9999 %.
pub fn parse_certainty(text: &str) -> Result<f64, BadBound> {
    let bad = |why: &str| BadBound { text: text.to_owned(), why: why.to_owned() };
    let parsed = parse_bound(&format!("> {text}"), Unit::Percent);
    let certainty =
        parsed.map_err(|_| bad("is not a valid certainty; write a percentage, as in `99.9%`"))?.value;
    if certainty < 0.9 {
        return Err(bad(
            "is too uncertain: more than every tenth harmless release would fire; write at least `90%`",
        ));
    }
    if certainty > 0.999_999 {
        return Err(bad("is more than counting can give; write at most `99.9999%`, or `99.9%`"));
    }
    // A division by 100 leaves something in the last digit.
    Ok((certainty * 1e9).round() / 1e9)
}

/// Reads `100 events`.
///
/// # Errors
/// Anything else, and none at all.
pub fn parse_at_least(text: &str) -> Result<u32, BadBound> {
    let bad = |why: &str| BadBound { text: text.to_owned(), why: why.to_owned() };
    let usage = "is not a valid number of events; write it as in `100 events`";
    let words: Vec<&str> = text.split_whitespace().collect();
    let [number, "events" | "event"] = words.as_slice() else { return Err(bad(usage)) };
    let number: u32 = number.parse().map_err(|_| bad(usage))?;
    if number == 0 {
        return Err(bad("says nothing: some events must be counted; write it as in `100 events`"));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_and_nonsense_says_what_would_be_one() {
        assert_eq!(parse_than("worse than 0.1%"), Ok(Than::Share(0.001)));
        assert_eq!(parse_than(" worse than 2 % "), Ok(Than::Share(0.02)));
        assert_eq!(parse_than("worse than before"), Ok(Than::Before));
        for text in ["", "worse", "worse than", "worse than 5", "worse than 200ms", "worse than > 1%", "> 1%"]
        {
            assert!(parse_than(text).unwrap_err().why.contains("worse than 0.1%"), "{text}");
        }
        for (text, says) in [("worse than 0%", "no room"), ("worse than 99%", "other way round")] {
            assert!(parse_than(text).unwrap_err().why.contains(says), "{text}");
        }
    }

    #[test]
    fn certainty_and_the_fewest_events_are_read() {
        assert_eq!(parse_certainty("99.9%"), Ok(0.999));
        assert_eq!(parse_certainty("90 %"), Ok(0.9));
        for text in ["", "99.9", "1", "100%", "50%", "sure"] {
            assert!(parse_certainty(text).is_err(), "{text}");
        }
        assert_eq!(parse_at_least("100 events"), Ok(100));
        assert_eq!(parse_at_least("1 event"), Ok(1));
        for text in ["", "100", "0 events", "-3 events", "many events", "100 requests", "100 events a second"]
        {
            assert!(parse_at_least(text).is_err(), "{text}");
        }
    }
}
