//! Errors in files that people write: what is wrong, where, and how to fix it.
//!
//! Each is shown as compilers show theirs: the message, the file with line and column, the line itself with the place
//! marked, and the cure. The excerpt is made safe to show before it is drawn, so a hostile file cannot command the
//! terminal of the person who checks it.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::domain::safe_text::SafeText;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; somebody should look.
    Warning,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one line.
    pub message: String,
    /// The file, as it was named.
    pub path: String,
    /// Bytes of the file it is about; none where it is about the file as a whole.
    pub span: Option<Range<usize>>,
    /// Line of the place, from 1; 0 where there is no place.
    pub line: usize,
    /// Column of the place in characters, from 1; 0 where there is no place.
    pub column: usize,
    /// A few words beside the mark.
    pub label: Option<String>,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn whole_file(path: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            path: path.to_owned(),
            span: None,
            line: 0,
            column: 0,
            label: None,
            help: None,
        }
    }

    /// Whether the file cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The fault as compilers show theirs, several lines, no line end after the last. `source` is the file's text, the
    /// same that the fault was found in. Without `color` it is plain ASCII apart from what the file itself says.
    pub fn render(&self, source: &str, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(safe(&self.message));
        let mut groups: Vec<Group<'_>> = Vec::new();
        let excerpt = self.span.as_ref().map(|span| Excerpt::cut(source, span));
        groups.push(match &excerpt {
            Some(excerpt) => title.element(
                Snippet::source(excerpt.text.as_str())
                    .line_start(self.line)
                    .path(safe(&self.path))
                    .annotation(
                        AnnotationKind::Primary
                            .span(excerpt.mark.clone())
                            .label(self.label.as_deref().map(safe)),
                    ),
            ),
            None => title.element(annotate_snippets::Origin::path(safe(&self.path))),
        });
        if let Some(help) = &self.help {
            groups.push(Group::with_title(Level::HELP.secondary_title(safe(help))));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&groups)
    }
}

impl fmt::Display for Diagnostic {
    /// On one line: `runbook.toml:3:5: error: …; cure`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&safe(&self.path))?;
        if self.span.is_some() {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let word = if self.is_error() { "error" } else { "warning" };
        write!(f, ": {word}: {}", safe(&self.message))?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {}", safe(help)))
    }
}

/// What is quoted comes from a file of somebody else: it must not move the cursor or colour the next line.
fn safe(text: &str) -> String {
    SafeText::new(text).into()
}

/// The one line a fault is on, safe to show, with the marked bytes in it.
struct Excerpt {
    text: String,
    mark: Range<usize>,
}

impl Excerpt {
    /// Cuts the line out. Its three parts are made safe one by one, so the mark stays where it belongs.
    fn cut(source: &str, span: &Range<usize>) -> Self {
        let start = floor(source, span.start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let end = floor(source, span.end).clamp(start, line_end);
        let before = safe(&source[line_start..start]);
        let marked = safe(&source[start..end]);
        let after = safe(source[end..line_end].trim_end_matches('\r'));
        let mark = before.len()..before.len() + marked.len();
        Self { text: format!("{before}{marked}{after}"), mark }
    }
}

/// The nearest character boundary at or before a byte.
fn floor(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Collects the faults of one file.
#[derive(Debug)]
pub(crate) struct Faults<'s> {
    path: &'s str,
    source: &'s str,
    /// Byte offsets at which lines begin.
    lines: Vec<usize>,
    found: Vec<Diagnostic>,
}

impl<'s> Faults<'s> {
    pub(crate) fn new(path: &'s str, source: &'s str) -> Self {
        let lines = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path, source, lines, found: Vec::new() }
    }

    /// Reports an error.
    pub(crate) fn error(&mut self, span: Range<usize>, message: impl Into<String>) -> Noted<'_> {
        self.note(Severity::Error, span, message.into())
    }

    /// Reports an error whose cure follows its message after a semicolon, as the domain's own errors have it.
    pub(crate) fn error_with_cure(&mut self, span: Range<usize>, message: &str) {
        match message.rsplit_once("; ") {
            Some((message, help)) => self.error(span, message).help(help),
            None => self.error(span, message),
        };
    }

    /// Reports a warning.
    pub(crate) fn warning(&mut self, span: Range<usize>, message: impl Into<String>) -> Noted<'_> {
        self.note(Severity::Warning, span, message.into())
    }

    fn note(&mut self, severity: Severity, span: Range<usize>, message: String) -> Noted<'_> {
        let (line, column) = self.place(span.start);
        self.found.push(Diagnostic {
            severity,
            message,
            path: self.path.to_owned(),
            span: Some(span),
            line,
            column,
            label: None,
            help: None,
        });
        Noted { found: &mut self.found }
    }

    /// Line and column of a byte, both from 1.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let at = floor(self.source, at);
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines[line - 1];
        (line, self.source[start..at].chars().count() + 1)
    }

    /// The text the faults are about.
    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(Diagnostic::is_error)
    }

    /// What was found so far.
    pub(crate) fn found(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Of those found after the first `known`, keeps some.
    pub(crate) fn retain_after(&mut self, known: usize, keep: impl Fn(&Diagnostic) -> bool) {
        let mut index = 0;
        self.found.retain(|fault| {
            index += 1;
            index <= known || keep(fault)
        });
    }

    /// All of them in order of place, each once.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|fault| (fault.span.as_ref().map_or(0, |span| span.start), fault.severity));
        self.found.dedup();
        self.found
    }
}

/// A fault just reported, to say more about it.
pub(crate) struct Noted<'f> {
    found: &'f mut Vec<Diagnostic>,
}

impl Noted<'_> {
    /// A few words beside the mark.
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        if let Some(last) = self.found.last_mut() {
            last.label = Some(label.into());
        }
        self
    }

    /// What would be right.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        if let Some(last) = self.found.last_mut() {
            last.help = Some(help.into());
        }
        self
    }

    /// What would be right, where something is known.
    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

/// ``did you mean `timeout`?``, or which there are, or nothing where there are none.
pub(crate) fn suggest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(written, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    (!known.is_empty())
        .then(|| format!("there {} {}", if known.len() == 1 { "is" } else { "are" }, list(&known)))
}

/// The known name that is most like what was written, if any is like it at all.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (name, strsim::jaro_winkler(&lower, &name.to_lowercase())))
        .filter(|(name, likeness)| {
            *likeness > 0.84 || (strsim::damerau_levenshtein(&lower, name) < 2 && name.len() > 2)
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}

/// `` `a`, `b` and `c` ``
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(source: &str, span: Range<usize>) -> Diagnostic {
        let mut faults = Faults::new("a.toml", source);
        faults
            .error(span, "unknown key `timout`")
            .label("not a key of an action")
            .help("did you mean `timeout`?");
        faults.into_sorted().remove(0)
    }

    #[test]
    fn a_fault_shows_its_line_with_the_place_marked() {
        let shown =
            one("a = 1\nb = 2\ntimout = \"5m\"\n", 12..18).render("a = 1\nb = 2\ntimout = \"5m\"\n", false);
        insta::assert_snapshot!(shown, @r#"
        error: unknown key `timout`
         --> a.toml:3:1
          |
        3 | timout = "5m"
          | ^^^^^^ not a key of an action
          |
        help: did you mean `timeout`?
        "#);
    }

    #[test]
    fn a_hostile_line_cannot_command_the_terminal() {
        let source = "a = 1 # \u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\nb";
        let fault = one(source, 4..5);
        for color in [false, true] {
            let shown = fault.render(source, color);
            assert!(shown.contains("<U+001B>") && shown.contains("<U+202E>"), "{shown}");
            assert!(
                !shown.contains('\u{7}') && !shown.contains('\u{9b}') && !shown.contains("\u{1b}]"),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn plain_faults_are_ascii() {
        let source = "timout = 1";
        assert!(one(source, 0..6).render(source, false).is_ascii());
    }

    #[test]
    fn any_span_of_any_text_can_be_rendered() {
        let source = "ä\r\n\t\"日本\u{202e}\u{0}\n\n# end";
        for start in 0..source.len() + 2 {
            for end in start..source.len() + 3 {
                let shown = one(source, start..end).render(source, false);
                assert!(shown.contains("a.toml:"), "{shown}");
            }
        }
    }

    #[test]
    fn places_count_characters_from_one() {
        let faults = Faults::new("a.toml", "ä = 1\nb = 'ö' x");
        assert_eq!(faults.place(0), (1, 1));
        assert_eq!(faults.place(3), (1, 3));
        assert_eq!(faults.place(7), (2, 1));
        assert_eq!(faults.place(16), (2, 9));
    }

    #[test]
    fn suggestions_are_near_or_complete() {
        assert_eq!(suggest("timout", ["timeout", "title"]).unwrap(), "did you mean `timeout`?");
        assert_eq!(suggest("Timeout", ["timeout", "title"]).unwrap(), "did you mean `timeout`?");
        assert_eq!(suggest("zzz", ["blue", "green"]).unwrap(), "there are `blue` and `green`");
        assert_eq!(suggest("zzz", []), None);
    }
}
