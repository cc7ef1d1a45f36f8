//! Checks the parsed tree against the format: unknown and missing keys, wrong types, allowed words, durations, dates,
//! regular expressions.
//!
//! Whatever can be said of one value alone is said here, once for every place; the passes after it read values without
//! complaining again.

use std::ops::Range;

use super::{
    diagnose::{Faults, list, suggest},
    raw::{Node, Value},
    shape::{Key, Kind, Shape},
};
use crate::domain::{director::Share, safe_text::SafeText, time::Span};

/// Checks a table against its shape. `at` is where it is named: its key, or itself where it has none.
pub(crate) fn table(shape: &'static Shape, node: &Node, at: &Range<usize>, faults: &mut Faults<'_>) {
    if node.table().is_none() {
        wrong_type(node, "a table", &shape_example(shape), faults);
        return;
    }
    for entry in node.entries() {
        match shape.key(&entry.key) {
            Some(key) => {
                value(key.name, &key.kind, &entry.node, &entry.key_span, faults);
                companion(shape, key, node, &entry.key_span, faults);
            }
            None => unknown(shape, &entry.key, &entry.key_span, faults),
        }
    }
    let missing: Vec<&str> = shape
        .all_keys()
        .filter(|key| key.required && node.get(key.name).is_none())
        .map(|key| key.name)
        .collect();
    needs(shape, &missing, at, faults);
    choice(shape, node, at, faults);
}

/// Reports keys that a table lacks, all in one.
pub(crate) fn needs(shape: &'static Shape, missing: &[&str], at: &Range<usize>, faults: &mut Faults<'_>) {
    if missing.is_empty() {
        return;
    }
    let about: Vec<String> = missing
        .iter()
        .filter_map(|name| shape.key(name))
        .map(|key| format!("`{}`: {}", key.name, key.about.trim_end_matches('.')))
        .collect();
    faults
        .error(at.clone(), format!("{} needs {}", shape.what, list(missing)))
        .label(MISSING)
        .help(about.join("; "));
}

/// Beside the mark of a missing key. Such faults are left out where the file could not be parsed as a whole.
pub(crate) const MISSING: &str = "missing here";

/// Exactly one of …
fn choice(shape: &Shape, node: &Node, at: &Range<usize>, faults: &mut Faults<'_>) {
    let Some(choice) = &shape.choice else { return };
    let given: Vec<&str> = choice.keys.iter().copied().filter(|key| node.get(key).is_some()).collect();
    match given.as_slice() {
        [] if choice.optional => {}
        [] => {
            faults
                .error(at.clone(), format!("{} must have exactly one of {}", shape.what, list(choice.keys)))
                .label(MISSING);
        }
        [_] => {}
        [first, .., last] => {
            let span = node.entry(last).map_or_else(|| at.clone(), |entry| entry.key_span.clone());
            let of = list(&given);
            faults
                .error(span, format!("{} can have only one of {of}", shape.what))
                .label(format!("in addition to `{first}`"))
                .help(format!(
                    "split it into separate {}, each with exactly one of {}",
                    plural(shape),
                    list(choice.keys)
                ));
        }
    }
}

/// The word for several of what a shape is about.
fn plural(shape: &Shape) -> String {
    let noun = shape.what.trim_start_matches("an ").trim_start_matches("a ");
    format!("{noun}s")
}

/// A key that means nothing without another.
fn companion(shape: &Shape, key: &Key, node: &Node, at: &Range<usize>, faults: &mut Faults<'_>) {
    if key.with.is_empty() || key.with.iter().any(|other| node.get(other).is_some()) {
        return;
    }
    faults.error(at.clone(), format!("`{}` requires {}", key.name, one_of(key.with))).help(format!(
        "in {}: {}",
        shape.what,
        key.about.trim_end_matches('.')
    ));
}

/// Keys as alternatives. So many that nobody would read the list are named by what they are.
fn one_of(keys: &[&str]) -> String {
    if keys.len() > 4 { "a check".to_owned() } else { list(keys).replace(" and ", " or ") }
}

/// A key that the format does not have: an error and no warning, since what is ignored would look as if it held.
fn unknown(shape: &Shape, written: &str, span: &Range<usize>, faults: &mut Faults<'_>) {
    let known: Vec<&str> = shape.all_keys().map(|key| key.name).collect();
    let help = suggest(written, known.iter().copied());
    faults
        .error(span.clone(), format!("unknown key `{}` in {}", SafeText::new(written), shape.what))
        .maybe_help(help);
}

/// Checks one value.
fn value(name: &str, kind: &Kind, node: &Node, at: &Range<usize>, faults: &mut Faults<'_>) {
    match kind {
        Kind::Text
        | Kind::Template
        | Kind::Slot
        | Kind::Bound
        | Kind::BoundOrClaim
        | Kind::Script
        | Kind::Duration
        | Kind::DurationRange
        | Kind::ClockTime
        | Kind::Regex
        | Kind::Word(_) => match node.text() {
            Some(text) => written(name, kind, text, node, faults),
            None => wrong_type(node, "text", &example(name, kind), faults),
        },
        Kind::Date => date(name, node, faults),
        Kind::Bool => {
            if node.bool().is_none() {
                wrong_type(node, "true or false", &format!("{name} = true"), faults);
            }
        }
        Kind::Integer(low, high) => integer(name, (*low, *high), node, faults),
        Kind::Percent => percentage(name, node, faults),
        Kind::Share => share(name, node, faults),
        Kind::List(item) => items(name, item, node, faults),
        Kind::Table(shape) => table(shape, node, at, faults),
        Kind::Map(of) => entries(name, of, node, faults),
        Kind::Either(kinds) => {
            if let Some(kind) = kinds.iter().find(|kind| fits(kind, &node.value)) {
                value(name, kind, node, at, faults);
            } else {
                let examples: Vec<String> = kinds.iter().map(|kind| example(name, kind)).collect();
                wrong_type(node, "a different type", &examples.join("` or `"), faults);
            }
        }
        Kind::Any => {}
    }
}

/// A number that TOML reads and we cannot (beyond 64 bits) is out of range like any other.
fn integer(name: &str, (low, high): (i64, i64), node: &Node, faults: &mut Faults<'_>) {
    match &node.value {
        Value::Integer(Some(number)) if (low..=high).contains(number) => {}
        Value::Integer(_) => {
            faults
                .error(node.span.clone(), format!("`{name}` is out of range"))
                .help(format!("write a whole number from {low} to {high}"));
        }
        _ => wrong_type(node, "a whole number", &format!("{name} = {}", low.max(1)), faults),
    }
}

/// People write 95 for the 95th percentile, so the help shows the right form.
fn share(name: &str, node: &Node, faults: &mut Faults<'_>) {
    match node.number() {
        Some(share) if (0.0..=1.0).contains(&share) => {}
        Some(_) => {
            faults
                .error(node.span.clone(), format!("`{name}` must be a number from 0 to 1"))
                .help("for the 95th percentile write 0.95");
        }
        None => wrong_type(node, "a number", &format!("{name} = 0.95"), faults),
    }
}

/// Each item on its own: one wrong item says nothing about the others.
fn items(name: &str, item: &Kind, node: &Node, faults: &mut Faults<'_>) {
    match &node.value {
        Value::List(items) => {
            for inner in items {
                value(name, item, inner, &inner.span, faults);
            }
        }
        _ => wrong_type(node, "a list", &format!("{name} = [{}]", example("", item)), faults),
    }
}

/// At the key of each entry and not at the table: that is where a person looks.
fn entries(name: &str, of: &Kind, node: &Node, faults: &mut Faults<'_>) {
    match &node.value {
        Value::Table(inner) => {
            for entry in &inner.entries {
                value(&entry.key, of, &entry.node, &entry.key_span, faults);
            }
        }
        _ => wrong_type(node, "a table", &format!("{name} = {{ NAME = {} }}", example("", of)), faults),
    }
}

/// Whether a value has the TOML type that a kind is written in.
fn fits(kind: &Kind, value: &Value) -> bool {
    matches!(
        (kind, value),
        (Kind::List(_), Value::List(_))
            | (Kind::Table(_) | Kind::Map(_), Value::Table(_))
            | (Kind::Integer(..), Value::Integer(_))
            | (Kind::Text | Kind::Template | Kind::Script | Kind::Slot | Kind::Word(_), Value::Text(_))
    )
}

/// Checks what is written in a text of some kind.
fn written(name: &str, kind: &Kind, text: &str, node: &Node, faults: &mut Faults<'_>) {
    let span = || node.span.clone();
    match kind {
        Kind::Script => {
            no_controls(name, text, node, faults);
            nothing_hidden(name, text, node, faults);
        }
        Kind::Duration => {
            if let Err(bad) = text.parse::<Span>() {
                faults.error_with_cure(span(), &bad.to_string());
            }
        }
        Kind::DurationRange => {
            if let Err(message) = duration_range(text) {
                faults.error_with_cure(span(), &message);
            }
        }
        Kind::ClockTime if clock_time(text).is_none() => {
            faults
                .error(span(), format!("`{}` is not a valid time of day", SafeText::new(text)))
                .help("write hours and minutes, 00:00 to 23:59: \"14:00\"");
        }
        Kind::Regex => {
            if let Err(error) = regex::Regex::new(text) {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                faults
                    .error(span(), format!("`{name}` is not a valid regular expression: {why}"))
                    .help("write it in '...', which takes backslashes literally");
            }
        }
        Kind::Word(words) if !words.contains(&text) => {
            faults
                .error(span(), format!("`{name}` cannot be \"{}\"", SafeText::new(text)))
                .maybe_help(suggest(text, words.iter().copied()));
        }
        _ => no_controls(name, text, node, faults),
    }
}

/// Both what was expected and what was found: "expected text" alone sends people to look for a missing quote.
fn wrong_type(node: &Node, wanted: &str, example: &str, faults: &mut Faults<'_>) {
    faults
        .error(node.span.clone(), format!("expected {wanted}, found {}", node.kind()))
        .help(format!("write it like `{example}`"));
}

/// How a value of a kind is written.
fn example(name: &str, kind: &Kind) -> String {
    let value = match kind {
        Kind::Text | Kind::Template | Kind::Any => "\"...\"".to_owned(),
        Kind::Script => "\"npm run build\"".to_owned(),
        Kind::Slot => "\"new\"".to_owned(),
        Kind::Duration => "\"5m\"".to_owned(),
        Kind::DurationRange => "\"2m..5m\"".to_owned(),
        Kind::Bool => "true".to_owned(),
        Kind::Integer(low, _) => (*low).max(1).to_string(),
        Kind::Share => "0.95".to_owned(),
        Kind::Percent => "\"5%\"".to_owned(),
        Kind::Date => "2026-11-20".to_owned(),
        Kind::ClockTime => "\"14:00\"".to_owned(),
        Kind::Word(words) => format!("\"{}\"", words.first().copied().unwrap_or_default()),
        Kind::Bound | Kind::BoundOrClaim => "\"< 5%\"".to_owned(),
        Kind::Regex => r"'id: (\S+)'".to_owned(),
        Kind::List(item) => format!("[{}]", example("", item)),
        Kind::Table(shape) => return shape_example_of(name, shape),
        Kind::Map(of) => format!("{{ NAME = {} }}", example("", of)),
        Kind::Either(kinds) => return kinds.first().map_or_else(String::new, |kind| example(name, kind)),
    };
    if name.is_empty() { value } else { format!("{name} = {value}") }
}

fn shape_example(shape: &Shape) -> String {
    shape_example_of("", shape)
}

/// Required keys alone, three at most: an example that is longer than the line hides what it shows.
fn shape_example_of(name: &str, shape: &Shape) -> String {
    let required: Vec<&Key> = shape.all_keys().filter(|key| key.required).take(3).collect();
    let keys: Vec<String> = if required.is_empty() {
        shape
            .all_keys()
            .find(|key| shape.choice.as_ref().is_none_or(|c| c.keys.contains(&key.name)))
            .into_iter()
            .map(|key| example(key.name, &key.kind))
            .collect()
    } else {
        required.iter().map(|key| example(key.name, &key.kind)).collect()
    };
    let table = format!("{{ {} }}", keys.join(", "));
    if name.is_empty() { table } else { format!("{name} = {table}") }
}

/// Control characters stop everything: a person cannot see what they would do.
fn no_controls(name: &str, text: &str, node: &Node, faults: &mut Faults<'_>) {
    if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        let help = if c == '\r' {
            "save the file with Unix line endings (LF)"
        } else {
            "remove it; if a command needs one, use printf in the command"
        };
        faults
            .error(node.span.clone(), format!("control character U+{:04X} in `{name}`", u32::from(c)))
            .help(help);
    }
}

/// Invisible and reordering characters make a command read otherwise than it runs.
fn nothing_hidden(name: &str, text: &str, node: &Node, faults: &mut Faults<'_>) {
    let hidden = text
        .chars()
        .filter(|c| !c.is_ascii() && !c.is_control())
        .find(|c| SafeText::new(&format!("a{c}")).starts_with("a<U+"));
    if let Some(c) = hidden {
        faults
            .error(node.span.clone(), format!("invisible character U+{:04X} in `{name}`", u32::from(c)))
            .help("remove it: with it, the command that runs is not the one you read");
    }
}

/// `"2m..5m"` or `"5m"`.
pub(crate) fn duration_range(text: &str) -> Result<(Span, Span), String> {
    let read = |part: &str| part.trim().parse::<Span>().map_err(|bad| bad.to_string());
    match text.split_once("..") {
        None => read(text).map(|span| (span, span)),
        Some((from, to)) => {
            let (from, to) = (read(from)?, read(to.trim_start_matches('='))?);
            if from <= to {
                Ok((from, to))
            } else {
                Err(format!("`{text}` ends before it begins; write the shorter time first"))
            }
        }
    }
}

/// `"5%"`, `"12.5 %"`. A number could mean a part of 1 or of 100, so it is asked for in words.
fn percentage(name: &str, node: &Node, faults: &mut Faults<'_>) {
    match (node.text(), node.number()) {
        (Some(text), _) => {
            if let Err(message) = percent(text) {
                faults.error_with_cure(node.span.clone(), &message);
            }
        }
        (None, Some(number)) => {
            faults.error(node.span.clone(), format!("expected a percentage, found {}", node.kind())).help(
                format!(
                    "write it in quotes with a percent sign: `{name} = \"{number}%\"`{}",
                    if number > 0.0 && number < 1.0 {
                        format!(" or `{name} = \"{}%\"`", (number * 1000.0).round() / 10.0)
                    } else {
                        String::new()
                    }
                ),
            );
        }
        (None, None) => wrong_type(node, "a percentage", &example(name, &Kind::Percent), faults),
    }
}

/// A share of the traffic from `5%`, `12.5 %`.
pub(crate) fn percent(text: &str) -> Result<Share, String> {
    let shown = SafeText::new(text);
    let Some(number) = text.trim().strip_suffix('%').map(str::trim) else {
        return Err(format!("`{shown}` has no percent sign; write it like \"5%\""));
    };
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(tenths) {
        return Err(format!("`{shown}` is not a percentage; write a number from 0 to 100, like \"12.5%\""));
    }
    // Shares are kept in thousandths: an HTTPRoute's weights are whole numbers, and nobody means more than that.
    let tenths = tenths.trim_end_matches('0');
    if tenths.len() > 1 {
        return Err(format!("`{shown}` is too exact; a share has at most one decimal, like \"12.5%\""));
    }
    let thousandths = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(10));
    let thousandths = thousandths.and_then(|whole| whole.checked_add(tenths.parse().unwrap_or(0)));
    match thousandths {
        Some(thousandths) if thousandths <= 1000 => Ok(Share::of_thousand(thousandths)),
        _ => Err(format!("`{shown}` is more than all of the traffic; write 0% to 100%")),
    }
}

/// Hours and minutes of `HH:MM`.
pub(crate) fn clock_time(text: &str) -> Option<(u8, u8)> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str, below: u8| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u8>().ok())
            .flatten()
            .filter(|n| *n < below)
    };
    Some((two(hours, 24)?, two(minutes, 60)?))
}

/// A date, as TOML's own type or in quotes; a time of day would be more than a page's front matter means.
fn date(name: &str, node: &Node, faults: &mut Faults<'_>) {
    let (Value::Date(written) | Value::Text(written)) = &node.value else {
        return wrong_type(node, "a date", &example(name, &Kind::Date), faults);
    };
    if written.parse::<jiff::civil::Date>().is_err() || written.len() != 10 {
        faults
            .error(node.span.clone(), format!("`{}` is not a valid date", SafeText::new(written)))
            .help("write year, month and day: 2026-11-20");
    }
}
