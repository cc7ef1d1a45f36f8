//! Which programs a shell script calls, as far as its text tells. What a variable names, what the script defines itself and what
//! the shell has built in is none of them. Nothing is run to find out.

use std::collections::BTreeSet;

use super::actions::{actions, checks};
use crate::domain::{action::ActionKind, check::CheckKind, runbook::Runbook};

const BUILT_IN: &str = ". : [ alias bg break cd command continue echo eval exec exit export false fg getopts hash jobs kill \
                        local printf pwd read readonly return set shift source test times trap true type ulimit umask \
                        unalias unset wait";
/// After these a command follows.
const LEADS: &str = "if then else elif do while until ! { time";
/// After these none does, until the next separator.
const ENDS: &str = "for case select in fi done esac } [[ function";
/// Programs that run another one, with their options that take a value.
const WRAPPERS: [(&str, &[&str]); 9] = [
    ("sudo", &["-u", "-g", "-h", "-p", "-C"]),
    ("env", &["-u", "-C", "-S"]),
    ("nohup", &[]),
    ("exec", &["-a"]),
    ("command", &[]),
    ("nice", &["-n"]),
    ("ionice", &["-c", "-n"]),
    ("xargs", &["-n", "-I", "-P", "-L", "-d", "-a", "-s", "-E"]),
    ("timeout", &["-s", "-k"]),
];

/// The programs of a runbook with the places that call them, by name.
pub fn programs(runbook: &Runbook) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    let mut note = |name: String, place: &str| match all.iter_mut().find(|(known, _)| *known == name) {
        Some((_, places)) => {
            if !places.iter().any(|known| known == place) {
                places.push(place.to_owned());
            }
        }
        None => all.push((name, vec![place.to_owned()])),
    };
    for act in actions(runbook) {
        match &act.it.kind {
            ActionKind::Sh { script } => {
                for name in called(script) {
                    note(name, &act.place);
                }
            }
            ActionKind::Argv { argv } => {
                let program = argv.first().filter(|first| first.names().next().is_none());
                if let Some(first) = program {
                    note(first.as_str().to_owned(), &act.place);
                }
            }
            _ => {}
        }
    }
    for check in checks(runbook) {
        if let CheckKind::Sh { script, .. } = &check.it.kind {
            for name in called(script) {
                note(name, &check.place);
            }
        }
    }
    all.sort();
    all
}

/// The programs that a script calls, each once.
pub fn called(script: &str) -> BTreeSet<String> {
    let mut reader = Reader::default();
    reader.read(script, 0);
    let Reader { mut names, functions, .. } = reader;
    names.retain(|name| !functions.contains(name));
    names
}

fn is_among(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|known| known == word)
}

/// No script is nested deeper.
const DEEPEST: usize = 16;

#[derive(Default)]
struct Reader {
    names: BTreeSet<String>,
    functions: BTreeSet<String>,
}

/// Where in a command the reader is.
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// The next word is a program.
    Command,
    /// The next words are arguments.
    Arguments,
    /// The next word that is no option of this wrapper is a program.
    Wrapped(usize),
    /// The next word is the value of this wrapper's option.
    Value(usize),
}

impl Reader {
    fn read(&mut self, script: &str, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let chars: Vec<char> = script.chars().collect();
        let (mut at, mut state, mut parens) = (0, At::Command, 0_usize);
        let mut last: Option<String> = None;
        let mut heredocs: Vec<String> = Vec::new();
        while let Some(&c) = chars.get(at) {
            match c {
                '\n' => {
                    at += 1;
                    for end in heredocs.drain(..) {
                        at = past_heredoc(&chars, at, &end);
                    }
                    (state, last) = (At::Command, None);
                }
                '#' => at = find(&chars, at, '\n'),
                '\\' if chars.get(at + 1) == Some(&'\n') => at += 2,
                ';' | '&' | '|' => {
                    at += 1;
                    (state, last) = (At::Command, None);
                }
                '(' => {
                    // `name()` defines a function.
                    if let Some(name) = last.take().filter(|_| chars.get(at + 1) == Some(&')')) {
                        self.functions.insert(name);
                        at += 2;
                    } else {
                        parens += 1;
                        at += 1;
                    }
                    state = At::Command;
                }
                ')' => {
                    at += 1;
                    if parens > 0 {
                        parens -= 1;
                        state = At::Arguments;
                    } else {
                        // A pattern of a `case`.
                        if let Some(pattern) = last.take() {
                            self.names.remove(&pattern);
                        }
                        state = At::Command;
                    }
                }
                '<' if chars.get(at + 1) == Some(&'<') && chars.get(at + 2) != Some(&'<') => {
                    let (word, next) =
                        self.word(&chars, skip_spaces(&chars, skip(&chars, at + 2, '-')), depth);
                    heredocs.push(word.text);
                    at = next;
                }
                '<' | '>' => {
                    while matches!(chars.get(at), Some('<' | '>' | '&' | '|')) {
                        at += 1;
                    }
                    at = self.word(&chars, skip_spaces(&chars, at), depth).1;
                }
                c if c.is_whitespace() => at += 1,
                _ => {
                    let (word, next) = self.word(&chars, at, depth);
                    // `2>file`: the number belongs to what follows.
                    let number = !word.text.is_empty() && word.text.chars().all(|c| c.is_ascii_digit());
                    if !(number && matches!(chars.get(next), Some('<' | '>'))) {
                        (state, last) = self.take(&word, state);
                    }
                    at = next.max(at + 1);
                }
            }
        }
    }

    /// Takes a word in; gives where the reader is then, and the word where it was taken for a program.
    fn take(&mut self, word: &Word, state: At) -> (At, Option<String>) {
        let text = word.text.as_str();
        match state {
            At::Arguments => return (At::Arguments, None),
            At::Value(wrapper) => return (At::Wrapped(wrapper), None),
            At::Command => {
                if is_among(LEADS, text) || is_assignment(text) {
                    return (At::Command, None);
                }
                if is_among(ENDS, text) {
                    return (At::Arguments, None);
                }
            }
            At::Wrapped(wrapper) => {
                let (name, valued) = WRAPPERS[wrapper];
                if text.starts_with('-') {
                    // `command -v x` only asks.
                    return match name {
                        "command" => (At::Arguments, None),
                        _ if valued.contains(&text) => (At::Value(wrapper), None),
                        _ => (state, None),
                    };
                }
                let duration = name == "timeout" && text.starts_with(|c: char| c.is_ascii_digit());
                if is_assignment(text) || duration {
                    return (state, None);
                }
            }
        }
        let next = WRAPPERS.iter().position(|(name, _)| *name == text);
        let next = next.map_or(At::Arguments, At::Wrapped);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-/".contains(c);
        if word.dynamic || text.is_empty() || !text.chars().all(plain) || text.starts_with('-') {
            return (At::Arguments, None);
        }
        if !is_among(BUILT_IN, text) {
            self.names.insert(text.to_owned());
        }
        (next, Some(text.to_owned()))
    }

    /// A word from here, and where it ends. Commands within it are read too.
    fn word(&mut self, chars: &[char], mut at: usize, depth: usize) -> (Word, usize) {
        let mut word = Word::default();
        while let Some(&c) = chars.get(at) {
            match c {
                '\'' => {
                    let end = find(chars, at + 1, '\'');
                    word.text.extend(chars.get(at + 1..end).unwrap_or_default());
                    at = end + 1;
                }
                '"' => at = self.quoted(chars, at + 1, depth, &mut word),
                '\\' => {
                    word.text.extend(chars.get(at + 1));
                    at += 2;
                }
                '$' | '`' => at = self.expansion(chars, at, depth, &mut word),
                c if c.is_whitespace() || ";&|()<>".contains(c) => break,
                c => {
                    word.text.push(c);
                    at += 1;
                }
            }
        }
        (word, at)
    }

    fn quoted(&mut self, chars: &[char], mut at: usize, depth: usize, word: &mut Word) -> usize {
        while let Some(&c) = chars.get(at) {
            match c {
                '"' => return at + 1,
                '\\' => {
                    word.text.extend(chars.get(at + 1));
                    at += 2;
                }
                '$' | '`' => at = self.expansion(chars, at, depth, word),
                c => {
                    word.text.push(c);
                    at += 1;
                }
            }
        }
        at
    }

    /// `$(…)`, `` `…` ``, `${…}`, `$name`: what is inside is not known before it runs, but the commands in it are.
    fn expansion(&mut self, chars: &[char], at: usize, depth: usize, word: &mut Word) -> usize {
        word.dynamic = true;
        let inner =
            |from: usize, to: usize| chars.get(from..to).unwrap_or_default().iter().collect::<String>();
        match (chars[at], chars.get(at + 1), chars.get(at + 2)) {
            ('`', ..) => {
                let end = find(chars, at + 1, '`');
                self.read(&inner(at + 1, end), depth + 1);
                end + 1
            }
            // Arithmetic.
            ('$', Some('('), Some('(')) => closing(chars, at + 1, '(', ')') + 1,
            ('$', Some('('), _) => {
                let end = closing(chars, at + 1, '(', ')');
                self.read(&inner(at + 2, end), depth + 1);
                end + 1
            }
            ('$', Some('{'), _) => closing(chars, at + 1, '{', '}') + 1,
            _ => at + 1,
        }
    }
}

#[derive(Default)]
struct Word {
    text: String,
    /// Whether a part of it is known only when it runs.
    dynamic: bool,
}

fn is_assignment(text: &str) -> bool {
    let name = text.split_once('=').map_or("", |(name, _)| name);
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(letter) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn find(chars: &[char], from: usize, wanted: char) -> usize {
    let rest = chars.get(from..).unwrap_or_default();
    rest.iter().position(|c| *c == wanted).map_or(chars.len(), |at| from + at)
}

fn skip(chars: &[char], at: usize, what: char) -> usize {
    if chars.get(at) == Some(&what) { at + 1 } else { at }
}

fn skip_spaces(chars: &[char], mut at: usize) -> usize {
    while matches!(chars.get(at), Some(' ' | '\t')) {
        at += 1;
    }
    at
}

/// The bracket that closes the one at `at`; quotes are honoured.
fn closing(chars: &[char], mut at: usize, open: char, close: char) -> usize {
    let mut depth = 0_usize;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => at += 1,
            '\'' => at = find(chars, at + 1, '\''),
            c if c == open => depth += 1,
            c if c == close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
        at += 1;
    }
    chars.len()
}

/// Past the lines of a here-document.
fn past_heredoc(chars: &[char], mut at: usize, end: &str) -> usize {
    while at < chars.len() {
        let line_end = find(chars, at, '\n');
        let line: String = chars[at..line_end].iter().collect();
        at = line_end + 1;
        if line.trim_start_matches('\t') == end {
            break;
        }
    }
    at.min(chars.len())
}

#[cfg(test)]
mod tests {
    use super::called;

    fn names(script: &str) -> String {
        called(script).into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn programs_are_found_where_commands_begin() {
        for (script, are) in [
            ("kubectl get pods | grep -c Running && echo ok; ./deploy.sh --now", "./deploy.sh grep kubectl"),
            ("A=1 B=\"$(date -u)\" terraform apply > out.log 2>&1", "date terraform"),
            ("if ! curl -fsS \"$URL\"; then exit 1; fi", "curl"),
            ("for host in a b c; do ssh \"$host\" uptime; done", "ssh"),
            ("case $1 in start|stop) systemctl \"$1\" app;; *) exit 2;; esac", "systemctl"),
            ("check() { jq -e .ok; }\ncheck < status.json", "jq"),
            ("psql <<SQL\nselect now(); drop table x;\nSQL\nvacuumdb", "psql vacuumdb"),
            ("sudo -u deploy env X=1 timeout 5m rsync a b", "env rsync sudo timeout"),
            ("command -v jq || apt-get install jq", "apt-get"),
            ("\"$TOOL\" run; ${OTHER} x; test -f a && [ -n b ]", ""),
            ("x=`git rev-parse HEAD`; echo $((1 + 2)) # rm -rf /", "git"),
            ("echo 'rm -rf /' \"a; b\" \\\n  more", ""),
            ("(cd sub && make) && { tar cf - . ; }", "make tar"),
            ("cat a 2>/dev/null >&2", "cat"),
        ] {
            assert_eq!(names(script), are, "{script}");
        }
    }

    #[test]
    fn no_text_makes_it_fail() {
        for script in
            ["$(", "`", "\"", "'", "<<", "a <<EOF", "${", "((((", ")", "\\", &"$(".repeat(10_000), "a\n<<\n"]
        {
            called(script);
        }
    }
}
