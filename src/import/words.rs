//! Small things about words: names, handles, numbers, addresses, and texts as TOML has them.

use super::amounts;
use crate::domain::time::Span;

/// Lower-case letters, digits and `-`.
pub(super) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.to_lowercase().chars() {
        let plain = match c {
            'à' | 'â' | 'ä' | 'á' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'î' | 'ï' | 'í' => 'i',
            'ô' | 'ö' | 'ó' => 'o',
            'ù' | 'û' | 'ü' | 'ú' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        };
        if plain != '-' || !(out.is_empty() || out.ends_with('-')) {
            out.push(plain);
        }
        if out.len() >= 40 {
            break;
        }
    }
    let out = out.trim_matches('-').to_owned();
    if out.is_empty() { "step".to_owned() } else { out }
}

/// When something is due, by its words: `within 24 hours`, `immediately`.
pub(super) fn due(text: &str) -> Option<Span> {
    let lower = text.to_lowercase();
    let at = ["within ", "after ", "sous ", "dans les ", "innerhalb ", "in den nächsten ", "in the next "]
        .iter()
        .find_map(|word| lower.find(word))?;
    amounts::time(lower.get(at..)?).map(|(_, high)| high)
}

/// When what stands below a heading is due: `Within 1 hour`, `First 24 hours`. `Post-release (2 minutes)` takes that long.
pub(super) fn due_of_heading(text: &str) -> Option<Span> {
    let bare = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let short = !bare.contains('(') && bare.split_whitespace().count() <= 4;
    due(text).or_else(|| amounts::time(bare).map(|(_, high)| high).filter(|_| short))
}

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// Words after which something is only done when it applies.
pub(super) fn is_optional(text: &str) -> bool {
    let lower = text.to_lowercase();
    [
        "(if applicable",
        "(if needed",
        "(if required",
        "(optional",
        "(if necessary",
        "(if user",
        "(if any",
        "optional:",
        "(si nécessaire",
        "(facultatif",
        "(falls",
    ]
    .iter()
    .any(|words| lower.contains(words))
}

/// A value, and whether it is only an example: `[e.g. "Weekly releases"]`.
pub(super) fn value_of(rest: &str) -> (String, bool) {
    let inner = rest.trim().trim_matches('`').strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let Some(inner) = inner else { return (rest.trim().to_owned(), false) };
    let lower = inner.to_lowercase();
    let bare = ["e.g. ", "e.g., ", "eg. ", "for example ", "example: ", "ex: ", "z.b. ", "p. ex. "]
        .iter()
        .find_map(|start| lower.starts_with(start).then(|| &inner[start.len()..]))
        .unwrap_or(inner);
    (bare.trim().trim_matches('"').to_owned(), true)
}

/// An address in a text, and the words before it.
pub(super) fn address(text: &str) -> Option<(String, String)> {
    let at = text.find("https://").or_else(|| text.find("http://"))?;
    let end = text[at..]
        .find(|c: char| c.is_whitespace() || matches!(c, ')' | '>' | '"' | '\'' | '`' | '|' | ']' | ','))
        .map_or(text.len(), |end| at + end);
    let url = text[at..end].trim_end_matches(['.', ';', ':']);
    (url.len() > 10)
        .then(|| (text[..at].trim().trim_end_matches([':', '(', '-', '–', ' ']).to_owned(), url.to_owned()))
}

/// A text in one line, its white space as single spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A handle or channel: `@oncall`, `#incidents`.
pub(super) fn handle(text: &str) -> Option<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | '`' | '/' | ';' | '|'))
        .map(|word| word.trim_end_matches(['.', ':']))
        .find(|word| {
            word.len() > 1
                && (word.starts_with('@')
                    || word.starts_with('#') && !word[1..].chars().all(|c| c.is_ascii_digit()))
                && word[1..].chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        })
        .map(str::to_owned)
}

/// A telephone number, with or without digits: `+1-XXX-XXXX`.
pub(super) fn phone(text: &str) -> Option<String> {
    let fits =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.' | 'X' | 'x' | '/');
    text.split(|c: char| !fits(c))
        .map(|part| part.trim().trim_matches(['/', '-', '(', ' ', '.', 'x']))
        .find(|part| part.chars().filter(|c| c.is_ascii_digit() || *c == 'X').count() >= 6 && !is_date(part))
        .map(str::to_owned)
}

/// `2026-11-20`, or a place for one.
pub(super) fn is_date(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10
}
