//! Reads shell text as far as needed to tell where a command ends: quotes, continuations, heredocs, compounds, comments.
//!
//! Nothing is executed or expanded. What does not end (an open quote, an `if` without `fi`) is no command.

/// A command of a text, whole: with its continuations, its heredocs, and all of a loop or function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// As written, without line ends at both sides.
    pub(super) text: String,
    /// Its first line within the text, from 0, and its last.
    pub(super) first: usize,
    pub(super) last: usize,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Command(Command),
    /// Without `#`.
    Comment {
        text: String,
        line: usize,
    },
    /// Does not end.
    Broken {
        text: String,
        first: usize,
        last: usize,
    },
    Blank,
}

/// What is open at the end of a line.
#[derive(Debug, Default, Clone)]
struct State {
    quote: Option<char>,
    /// Brackets: `(`, `{`, and words that open: `if`, `do`, `case`.
    open: Vec<&'static str>,
    heredocs: Vec<(String, bool)>,
    /// The line asks for the next: `\`, `|`, `&&`, `||`.
    goes_on: bool,
    backtick: bool,
}

/// Where in a line the reading is.
struct Here {
    /// The next character's index.
    at: usize,
    /// The word so far. What is quoted stands in it as `q`, what is substituted as `v`: neither opens or closes anything.
    word: String,
    /// Whether a command begins here: words that open or close something do so nowhere else.
    begins: bool,
}

impl Here {
    /// Whether a comment begins here, to the line's end.
    fn comments(&self, chars: &[char]) -> bool {
        let apart = self.at == 0 || chars[self.at - 1].is_whitespace() || chars[self.at - 1] == ';';
        chars[self.at] == '#' && self.word.is_empty() && apart
    }
}

impl State {
    fn is_open(&self) -> bool {
        self.quote.is_some() || !self.open.is_empty() || self.goes_on || self.backtick
    }

    /// Reads one line on.
    fn line(&mut self, line: &str) {
        self.goes_on = false;
        let chars: Vec<char> = line.chars().collect();
        let mut here = Here { at: 0, word: String::new(), begins: self.quote.is_none() };
        while here.at < chars.len() {
            match self.quote {
                Some(quote) => self.in_quotes(&chars, &mut here, quote),
                None if here.comments(&chars) => break,
                None => self.unquoted(&chars, &mut here),
            }
        }
        self.end_word(&mut here);
        let bare = line.split(" #").next().unwrap_or_default().trim_end();
        if self.quote.is_none() && (bare.ends_with("&&") || bare.ends_with('|')) {
            self.goes_on = true;
        }
    }

    /// A character within quotes, where all but their end is text; a backslash counts within double ones only.
    fn in_quotes(&mut self, chars: &[char], here: &mut Here, quote: char) {
        match chars[here.at] {
            '\\' if quote == '"' => here.at += 1,
            c if c == quote => self.quote = None,
            _ => {}
        }
        here.word.push('q');
        here.at += 1;
    }

    /// A character, or what begins with it, outside of quotes.
    fn unquoted(&mut self, chars: &[char], here: &mut Here) {
        let at = here.at;
        let next = chars.get(at + 1).copied();
        here.at += 1;
        match chars[at] {
            '\\' => {
                self.goes_on |= next.is_none();
                here.word.push('\\');
                here.at += 1;
            }
            c @ ('\'' | '"') => {
                self.quote = Some(c);
                here.word.push('q');
            }
            '`' => {
                self.backtick = !self.backtick;
                here.word.push('q');
            }
            '$' if next == Some('{') => {
                // `${…}` within one line; what is open stays open.
                let end = chars[at..].iter().position(|c| *c == '}');
                here.at += end.unwrap_or(1);
                here.word.push('v');
            }
            '$' if next == Some('(') => {
                here.at += 1;
                here.word.clear();
                self.opens("(", here);
            }
            '<' if next == Some('<') && chars.get(at + 2) != Some(&'<') => {
                here.at = self.heredoc(chars, at + 2);
                here.word.clear();
                here.begins = false;
            }
            '(' => {
                self.end_word(here);
                self.opens("(", here);
            }
            ')' => {
                self.end_word(here);
                // In `case` a pattern ends with it.
                if self.open.last() == Some(&"(") {
                    self.open.pop();
                }
                here.begins = self.open.last() == Some(&"case");
            }
            ';' | '&' | '|' => {
                self.end_word(here);
                here.begins = true;
            }
            c if c.is_whitespace() => self.end_word(here),
            c => here.word.push(c),
        }
    }

    /// Something opens in which commands stand.
    fn opens(&mut self, what: &'static str, here: &mut Here) {
        self.open.push(what);
        here.begins = true;
    }

    /// A word has ended. Where a command begins, it may open or close something.
    fn end_word(&mut self, here: &mut Here) {
        let word = std::mem::take(&mut here.word);
        if word.is_empty() {
            return;
        }
        if here.begins {
            let closes = |open: &mut Vec<&'static str>, what: &str| {
                if open.last() == Some(&what) {
                    open.pop();
                }
            };
            match word.as_str() {
                "if" => self.open.push("if"),
                "case" => self.open.push("case"),
                "do" => self.open.push("do"),
                "for" | "while" | "until" | "select" => self.open.push("loop"),
                "{" => self.open.push("{"),
                "}" => closes(&mut self.open, "{"),
                "fi" => closes(&mut self.open, "if"),
                "esac" => closes(&mut self.open, "case"),
                "done" => {
                    closes(&mut self.open, "do");
                    closes(&mut self.open, "loop");
                }
                _ => {}
            }
            here.begins = matches!(
                word.as_str(),
                "then" | "else" | "elif" | "do" | "{" | "if" | "while" | "until" | "!" | "time"
            );
        } else if word == "{" && self.open.is_empty() {
            // `f() {` has met its brackets before.
            self.opens("{", here);
        }
    }

    fn heredoc(&mut self, chars: &[char], mut at: usize) -> usize {
        let indented = chars.get(at) == Some(&'-');
        at += usize::from(indented);
        while chars.get(at) == Some(&' ') {
            at += 1;
        }
        let mut name = String::new();
        while let Some(c) =
            chars.get(at).filter(|c| !c.is_whitespace() && !matches!(c, ';' | '|' | '&' | '>' | '<' | ')'))
        {
            if !matches!(c, '\'' | '"' | '\\') {
                name.push(*c);
            }
            at += 1;
        }
        if !name.is_empty() {
            self.heredocs.push((name, indented));
        }
        at
    }
}

/// The pieces of a text, line by line.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let lines: Vec<&str> = text.lines().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            pieces.push(Piece::Blank);
            at += 1;
        } else if let Some(comment) = trimmed.strip_prefix('#') {
            let text = comment.trim_start_matches(['#', '!']).trim().to_owned();
            pieces.push(Piece::Comment { text, line: at });
            at += 1;
        } else if let Some(last) = end_of(&lines, at) {
            let text = lines[at..=last].join("\n").trim().to_owned();
            pieces.push(Piece::Command(Command { text, first: at, last }));
            at = last + 1;
        } else {
            // What never ends takes only its own line away, where that makes the rest readable.
            let text = trimmed.to_owned();
            pieces.push(Piece::Broken { text, first: at, last: at });
            at += 1;
        }
    }
    pieces
}

/// The longest command, in lines: a script that is longer is a file of its own.
const LONGEST: usize = 400;

/// The last line of the command that begins at a line.
fn end_of(lines: &[&str], first: usize) -> Option<usize> {
    let mut state = State::default();
    let mut at = first;
    loop {
        state.line(lines.get(at)?);
        for (name, indented) in std::mem::take(&mut state.heredocs) {
            loop {
                at += 1;
                let line = lines.get(at)?;
                if at - first > LONGEST {
                    return None;
                }
                let line = if indented { line.trim_start_matches('\t') } else { line };
                // Pages indent what shells do not; the end is meant even so.
                if line.trim() == name {
                    break;
                }
            }
        }
        if !state.is_open() {
            return Some(at);
        }
        at += 1;
        if at - first > LONGEST {
            return None;
        }
    }
}

/// A word of a simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// As a template: `$NAME` is a variable, `$$` a dollar sign.
    pub(super) template: String,
    /// Whether it uses variables.
    pub(super) varies: bool,
}

impl Word {
    /// The word, where it is no more than its text.
    pub(super) fn plain(&self) -> Option<&str> {
        (!self.varies && !self.template.contains('$')).then_some(self.template.as_str())
    }
}

/// The words of a command that is no more than a program with its arguments; none where the shell has more to do than
/// variables: pipes, redirections, substitutions, patterns. `|| exit 1` at its end is left out, since a failed command ends
/// an action anyway.
pub(super) fn words(command: &str) -> Option<Vec<Word>> {
    let command = command.trim().trim_end_matches(';').trim_end();
    let command = strip_exit(command);
    let chars: Vec<char> = command.chars().collect();
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut at = 0;
    let empty = || Word { template: String::new(), varies: false };
    while at < chars.len() {
        let c = chars[at];
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), c) => {
                let text = &mut word.get_or_insert_with(empty).template;
                if c == '$' { text.push_str("$$") } else { text.push(c) }
            }
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_with(empty);
            }
            (_, '`') => return None,
            (_, '$') => {
                let (text, used, varies) = expansion(&chars[at..])?;
                let word = word.get_or_insert_with(empty);
                word.template.push_str(&text);
                word.varies |= varies;
                at += used;
                continue;
            }
            (Some('"'), '\\') => {
                let next = chars.get(at + 1)?;
                let text = &mut word.get_or_insert_with(empty).template;
                match next {
                    '"' | '\\' | '`' => text.push(*next),
                    '$' => text.push_str("$$"),
                    '\n' => {}
                    other => text.extend(['\\', *other]),
                }
                at += 1;
            }
            (None, '\\') => {
                match chars.get(at + 1)? {
                    '\n' => {}
                    '$' => word.get_or_insert_with(empty).template.push_str("$$"),
                    other => word.get_or_insert_with(empty).template.push(*other),
                }
                at += 1;
            }
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '~' | '\n') => return None,
            (None, '{') if chars.get(at + 1).is_some_and(|c| *c != '}') => return None,
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_with(empty).template.push(c),
        }
        at += 1;
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

/// Without `|| exit 1` and the like at the end.
fn strip_exit(command: &str) -> &str {
    if let Some((before, after)) = command.rsplit_once("||") {
        let after: Vec<&str> = after.split_whitespace().collect();
        if matches!(after.as_slice(), ["exit" | "return" | "false"] | ["exit" | "return", _]) {
            return before.trim_end();
        }
    }
    command
}

/// `$NAME` or `${NAME}` at the beginning: as a template, how many characters it took, and whether it is a variable.
fn expansion(chars: &[char]) -> Option<(String, usize, bool)> {
    let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    match chars.get(1) {
        Some('{') => {
            let name: String = chars[2..].iter().take_while(|c| is_name(c)).collect();
            let used = 2 + name.len();
            let good = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
            (good && chars.get(used) == Some(&'}')).then(|| (format!("${{{name}}}"), used + 1, true))
        }
        Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
            let name: String = chars[1..].iter().take_while(|c| is_name(c)).collect();
            let used = 1 + name.len();
            Some((format!("${name}"), used, true))
        }
        Some(c) if c.is_whitespace() || matches!(c, '"' | '.' | '/' | ',') => {
            Some(("$$".to_owned(), 1, false))
        }
        None => Some(("$$".to_owned(), 1, false)),
        _ => None,
    }
}

/// `NAME=value` or `export NAME=value` and nothing else: name, the value as written, and whether it is exported.
pub(super) fn assignments(command: &str) -> Option<Vec<(String, String)>> {
    let (body, exported) = match command.strip_prefix("export ") {
        Some(rest) => (rest.trim_start(), true),
        None => (command, false),
    };
    let mut rest = body.trim().trim_end_matches(';');
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let good = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !good {
            return None;
        }
        let end = value_end(after)?;
        found.push((name.to_owned(), after[..end].to_owned()));
        let behind = after[end..].trim_start();
        if behind.starts_with('#') {
            break;
        }
        rest = behind;
    }
    let _ = exported;
    (!found.is_empty()).then_some(found)
}

/// Where the value at the beginning ends.
fn value_end(text: &str) -> Option<usize> {
    let (mut quote, mut depth, mut backtick) = (None, 0usize, false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => {
                chars.next();
            }
            (_, '$') if text[at + 1..].starts_with('(') => {
                depth += 1;
                chars.next();
            }
            (_, '(') if depth > 0 => depth += 1,
            (_, ')') if depth > 0 => depth -= 1,
            (_, '`') => backtick = !backtick,
            (None, '"' | '\'') if depth == 0 => quote = Some(c),
            (None, c) if depth == 0 && !backtick => {
                if c.is_whitespace() {
                    return Some(at);
                }
                // `<version>` is a hole, not a redirection.
                let rest = if c == '<' { &text[at + 1..] } else { "" };
                let hole = rest.find('>').filter(|end| {
                    *end <= 60 && rest.starts_with(char::is_alphabetic) && !rest[..*end].contains('\n')
                });
                if let Some(end) = hole {
                    while chars.next_if(|(next, _)| *next <= at + 1 + end).is_some() {}
                    continue;
                }
                if matches!(c, ';' | '|' | '&' | '<' | '>' | '(' | ')') {
                    return None;
                }
            }
            _ => {}
        }
    }
    (quote.is_none() && depth == 0 && !backtick).then_some(text.len())
}

#[cfg(test)]
mod tests;
