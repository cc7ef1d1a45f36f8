//! Text with variables in it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text in which `$NAME` or `${NAME}` stands for a variable and `$$` for a dollar sign. Expanded once, strictly: what a
/// value contains is never expanded again, and an unknown name is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub String);

/// The longest text that a template expands to, in bytes. No argument, URL, image or notice is that long, and Linux takes
/// 128 KiB at most as one argument or environment variable. Without a bound eleven variables of ten references each to the
/// one before are longer than all memory.
pub const MAX_EXPANDED: usize = 64 * 1024;

/// Why a template can't be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpanded {
    /// This name has no value.
    Unset(String),
    /// It would be longer than [`MAX_EXPANDED`].
    TooLong,
}

impl fmt::Display for Unexpanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(name) => write!(f, "variable ${name} has no value"),
            Self::TooLong => {
                write!(f, "it is longer than {} KiB with its variables filled in", MAX_EXPANDED / 1024)
            }
        }
    }
}

impl std::error::Error for Unexpanded {}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// A variable's name.
    Var(&'a str),
}

impl Template {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pieces in order. A `$` that starts no name is text.
    pub fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find('$') {
            if at > 0 {
                pieces.push(Piece::Text(&rest[..at]));
            }
            let tail = &rest[at + 1..];
            let braced = tail.strip_prefix('{').and_then(|t| t.find('}').map(|end| (&t[..end], end + 2)));
            let (name, used) = braced.unwrap_or_else(|| {
                let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
                (&tail[..end], end)
            });
            if is_name(name) {
                pieces.push(Piece::Var(name));
                rest = &tail[used..];
            } else {
                pieces.push(Piece::Text("$"));
                rest = tail.strip_prefix('$').unwrap_or(tail);
            }
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest));
        }
        pieces
    }

    /// The names it uses, in order, with repeats.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces().into_iter().filter_map(|piece| match piece {
            Piece::Var(name) => Some(name),
            Piece::Text(_) => None,
        })
    }

    /// The text with every variable replaced.
    ///
    /// # Errors
    /// The first name that `value` does not know, or that the text would be longer than [`MAX_EXPANDED`].
    pub fn expand(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, Unexpanded> {
        let mut out = String::with_capacity(self.0.len().min(MAX_EXPANDED));
        let mut push = |text: &str| {
            if out.len() + text.len() > MAX_EXPANDED {
                return Err(Unexpanded::TooLong);
            }
            out.push_str(text);
            Ok(())
        };
        for piece in self.pieces() {
            match piece {
                Piece::Text(text) => push(text)?,
                Piece::Var(name) => {
                    push(&value(name).ok_or_else(|| Unexpanded::Unset(name.to_owned()))?)?;
                }
            }
        }
        Ok(out)
    }

    /// The text with every known variable replaced and the others left as written: for showing, never for doing.
    pub fn show(&self, value: impl Fn(&str) -> Option<String>) -> String {
        self.expand(|name| Some(value(name).unwrap_or_else(|| format!("${name}"))))
            .unwrap_or_else(|_| self.0.clone())
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Whether a text can name a variable: a letter or underscore, then letters, digits, underscores (as in a shell).
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        match name {
            "V" => Some("v1.6.0".to_owned()),
            "EVIL" => Some("$V $(id) ${V}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn names_are_replaced_once_and_strictly() {
        let expand = |text: &str| Template::from(text).expand(value);
        assert_eq!(expand("app:$V"), Ok("app:v1.6.0".into()));
        assert_eq!(expand("app:${V}x"), Ok("app:v1.6.0x".into()));
        assert_eq!(expand("$EVIL"), Ok("$V $(id) ${V}".into()));
        assert_eq!(expand("5 $ and $$V and $1"), Ok("5 $ and $V and $1".into()));
        assert_eq!(expand("$NOPE"), Err(Unexpanded::Unset("NOPE".into())));
        assert_eq!(Template::from("a $NOPE $V").show(value), "a $NOPE v1.6.0");
    }

    #[test]
    fn no_text_grows_beyond_what_anything_takes() {
        let long = |_: &str| Some("x".repeat(1_000));
        assert_eq!(Template("$A".repeat(65)).expand(long).unwrap().len(), 65_000);
        assert_eq!(Template("$A".repeat(66)).expand(long), Err(Unexpanded::TooLong));
        assert_eq!(Template("x".repeat(MAX_EXPANDED + 1)).expand(long), Err(Unexpanded::TooLong));
        // What can't be filled in is shown as it is written.
        assert_eq!(Template("$A".repeat(66)).show(long), "$A".repeat(66));
    }
}
