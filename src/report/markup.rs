//! HTML and SVG that cannot be broken out of: text and attributes are escaped where they are put in, and nothing else can be
//! put in. Names of elements and attributes are our own.

use std::fmt::Write as _;

use crate::domain::safe_text::SafeText;

/// Longer texts are cut: whoever needs more has the journal.
const LONGEST: usize = 6_000;

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// Text from anywhere, as one line.
    pub fn text(text: &str) -> Self {
        Self(escaped(&cut(text)))
    }

    /// Text from anywhere, its line ends kept for an element that shows them.
    pub fn lines(text: &str) -> Self {
        Self(cut(text).lines().map(escaped).collect::<Vec<_>>().join("\n"))
    }

    /// A style sheet of ours.
    pub fn style(css: &'static str, rest: &str) -> Self {
        Self(format!("<style>{css}{rest}</style>"))
    }

    /// Several pieces one after the other.
    pub fn all(pieces: impl IntoIterator<Item = Self>) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The page's text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<&str> for Markup {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Markup {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl From<&String> for Markup {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

impl From<Tag> for Markup {
    fn from(tag: Tag) -> Self {
        tag.end()
    }
}

/// An element that is being made.
#[derive(Debug, Clone)]
pub struct Tag {
    name: &'static str,
    open: String,
    inner: String,
}

/// Begins an element.
pub fn tag(name: &'static str) -> Tag {
    Tag { name, open: format!("<{name}"), inner: String::new() }
}

impl Tag {
    /// With a class of ours.
    #[must_use]
    pub fn class(self, class: &str) -> Self {
        if class.is_empty() { self } else { self.attr("class", class) }
    }

    /// With an attribute, whose value may be anything.
    #[must_use]
    pub fn attr(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.open, " {name}=\"{}\"", escaped(value.as_ref()));
        self
    }

    /// With a number as an attribute, such as a coordinate.
    #[must_use]
    pub fn number(self, name: &'static str, value: f64) -> Self {
        self.attr(name, number(value))
    }

    /// With something in it.
    #[must_use]
    pub fn put(mut self, inner: impl Into<Markup>) -> Self {
        self.inner.push_str(&inner.into().0);
        self
    }

    /// With several things in it.
    #[must_use]
    pub fn all<T: Into<Markup>>(mut self, inner: impl IntoIterator<Item = T>) -> Self {
        for piece in inner {
            self.inner.push_str(&piece.into().0);
        }
        self
    }

    /// Done.
    pub fn end(self) -> Markup {
        let Self { name, open, inner } = self;
        Markup(match name {
            "meta" | "br" | "path" | "line" | "rect" | "circle" => format!("{open}/>"),
            "html" | "head" | "body" | "header" | "main" | "section" | "table" | "tr" | "figure"
            | "footer" | "details" => {
                format!("{open}>{inner}</{name}>\n")
            }
            _ => format!("{open}>{inner}</{name}>"),
        })
    }
}

/// A coordinate: two decimals are finer than any screen.
pub fn number(value: f64) -> String {
    let value = if value.is_finite() { value.clamp(-1e6, 1e6) } else { 0.0 };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A text cut to what anybody reads.
pub fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} … (cut here; the JSON report has all of it)", text.get(..end).unwrap_or_default())
}

fn escaped(text: &str) -> String {
    let safe = SafeText::new(text);
    let mut out = String::with_capacity(safe.len() + 16);
    for c in safe.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        let hostile = "\"><script>alert('1')</script>\u{202e}\u{1b}[31m&amp;";
        let page = tag("p").attr("title", hostile).put(hostile).end().into_string();
        let text = "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&lt;U+202E&gt;&lt;U+001B&gt;[31m&amp;amp;";
        assert_eq!(page, format!("<p title=\"{text}\">{text}</p>"));
    }

    #[test]
    fn numbers_are_short_and_finite() {
        assert_eq!([number(1.0), number(-0.001), number(2.345), number(f64::NAN)], ["1", "0", "2.35", "0"]);
        assert_eq!(number(f64::INFINITY), "0");
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_curves_are_not() {
        let way = "L1 2".repeat(LONGEST);
        assert!(tag("path").attr("d", &way).end().into_string().contains(&way));
        let long = "é".repeat(LONGEST);
        let text = cut(&long);
        assert!(text.len() < LONGEST + 100 && text.ends_with("all of it)"));
        assert_eq!(cut("short"), "short");
    }
}
