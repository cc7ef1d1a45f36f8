//! Which fences hold commands, and what in them is one: prompts, comments, output in between.

use super::{
    programs,
    shell::{self, Piece},
};

/// What a fence holds, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A command: its text, its first and last line within the fence from 0.
    Command { text: String, first: usize, last: usize },
    /// What a comment says.
    Comment { text: String, line: usize },
    /// Output, prose, or what is no command for another reason.
    Other { text: String, line: usize },
}

/// Fences that are marked as a shell's.
const SHELLS: &[&str] = &[
    "sh",
    "bash",
    "shell",
    "zsh",
    "ksh",
    "dash",
    "console",
    "shell-session",
    "shellsession",
    "shellscript",
    "terminal",
    "bash-session",
    "sh-session",
    "cli",
    "commandline",
    "command-line",
    "posix",
    "ash",
];

/// Whether a fence's mark says that it is a shell's; none where it has no mark.
pub(super) fn is_shell(info: Option<&str>) -> Option<bool> {
    let info = info?;
    let word: String = info
        .trim_start_matches(['{', '.'])
        .chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '+' | '#'))
        .collect();
    if word.is_empty() {
        return None;
    }
    Some(SHELLS.contains(&word.to_lowercase().as_str()))
}

/// The command behind a prompt, where the line has one.
fn prompted(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(rest) =
        line.strip_prefix("$ ").or_else(|| line.strip_prefix("❯ ")).or_else(|| line.strip_prefix("➜ "))
    {
        return Some(rest);
    }
    // user@host:~$ command, [root@host dir]# command, (venv) $ command, bash-5.1$ command
    let end = line
        .char_indices()
        .take(80)
        .find(|(at, c)| matches!(c, '$' | '#' | '%') && line[at + c.len_utf8()..].starts_with(' '))?;
    let before = &line[..end.0];
    let host = before.contains('@')
        && !before.trim_end().contains("  ")
        && before.split_whitespace().count() <= 3
        && !before.contains(['"', '\'', '=']);
    let bare = before.starts_with('(') && before.trim_end().ends_with(')')
        || before.starts_with("bash-")
        || before.starts_with("sh-");
    (host || bare).then(|| line[end.0 + 1..].trim_start())
}

/// The first word of a command, without variables that are set for it.
pub(super) fn program(command: &str) -> &str {
    let mut words = command.split_whitespace();
    loop {
        let Some(word) = words.next() else { return "" };
        let assigns = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if !assigns {
            return word.trim_end_matches(';');
        }
    }
}

/// How names of files end that nobody executes.
const DATA: &[&str] =
    &[".yml", ".yaml", ".json", ".toml", ".md", ".txt", ".conf", ".cfg", ".ini", ".log", ".sql", ".tf"];

/// Whether it begins with a program that is known, a path to one, or is an assignment.
pub(super) fn is_known(command: &str) -> bool {
    let first = program(command);
    if first.is_empty() || shell::assignments(command).is_some() {
        return shell::assignments(command).is_some();
    }
    let bare = first.trim_matches(['"', '\'']);
    let path = (bare.starts_with("./")
        || bare.starts_with("../")
        || bare.starts_with("~/")
        || bare.starts_with('/') && bare[1..].contains('/'))
        || bare.contains('/')
            && bare.rsplit('/').next().is_some_and(|name| name.contains(".sh") || name.contains(".py"))
        || [".sh", ".py"].iter().any(|end| bare.ends_with(end))
        || bare.starts_with("bin/")
        || bare.starts_with("scripts/");
    let name = bare.rsplit('/').next().unwrap_or(bare);
    // A file's name alone is a mention.
    if DATA.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    path || programs::is_known(bare)
        || (bare.starts_with("/usr/") || bare.starts_with("/bin/")) && programs::is_known(name)
        || command.contains("() {")
}

/// Whether a line of a shell's fence is what a command has printed, or prose. `sure`: a prompt said that it is a command.
fn is_output(command: &str) -> bool {
    let joined = command.replace("\\\n", " ");
    let line = joined.lines().next().unwrap_or_default().trim();
    let first = program(line);
    let words: Vec<&str> = line.split_whitespace().collect();
    if line.starts_with(['{', '[', '}', ']'])
        && !line.starts_with("{ ")
        && (!line.starts_with("[ ") || is_box(line).is_some())
        && !line.starts_with("[[ ")
    {
        return true;
    }
    if line.starts_with([
        '<', '>', '|', '+', '=', '*', '→', '✓', '✔', '✗', '✘', '─', '│', '┌', '└', '├', '…', '•', '@',
    ]) || line == "..."
        || line == "---"
        || line.starts_with('-')
    {
        return true;
    }
    if line.starts_with("//") || line.starts_with("/*") || is_call(line) {
        return true;
    }
    // ChatOps.
    if (first.starts_with('/') && !first[1..].contains('/')) || (first.starts_with('!') && first.len() > 1) {
        return true;
    }
    if is_known(line) {
        return false;
    }
    let state = [
        "created",
        "configured",
        "unchanged",
        "deleted",
        "scaled",
        "patched",
        "restarted",
        "updated",
        "labeled",
        "annotated",
        "rolled",
        "successfully",
        "condition",
    ];
    if words.len() >= 2 && words.last().is_some_and(|last| state.contains(last)) && first.contains('/') {
        return true;
    }
    let upper = |word: &&&str| {
        word.len() > 1
            && word.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '-' | '_' | '(' | ')' | '/' | '%'))
    };
    if words.len() >= 2 && words.iter().filter(upper).count() == words.len() {
        return true;
    }
    if first.ends_with(':')
        || first.starts_with("HTTP/")
        || first.starts_with(|c: char| c.is_ascii_digit())
        || first.contains('%')
    {
        return true;
    }
    let sentence = first.starts_with(char::is_uppercase) && !first.contains(['/', '.', '-', '_']);
    let program = first.chars().all(|c| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_' | '+' | '$' | '{' | '}' | '"')
    });
    sentence || !program || (words.len() >= 3 && (line.ends_with('.') || line.ends_with('!')))
}

/// What stands behind a box to tick, and whether it is ticked: `[ ] CI has passed`.
fn is_box(line: &str) -> Option<(&str, bool)> {
    let line = line.trim_start().trim_start_matches(['-', '*', '•']).trim_start();
    [("[ ]", false), ("[]", false), ("[x]", true), ("[X]", true), ("☐", false), ("☑", true), ("⬜", false)]
        .iter()
        .find_map(|(mark, ticked)| Some((line.strip_prefix(mark)?, *ticked)))
        .filter(|(rest, _)| rest.starts_with(' ') && !rest.trim_end().ends_with(']'))
        .map(|(rest, ticked)| (rest.trim(), ticked))
}

/// The boxes of a fence that is a list of them: line from 0, text, and whether it is ticked; none of any other fence.
pub(super) fn boxes<'c>(info: Option<&str>, code: &'c str) -> Option<Vec<(usize, &'c str, bool)>> {
    let lines = || code.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    if info.is_some() || lines().next().is_none() {
        return None;
    }
    lines().map(|(at, line)| is_box(line).map(|(text, ticked)| (at, text, ticked))).collect()
}

/// Whether a fence is a file to be saved rather than commands to be typed: it begins as a script does, and says which.
pub(super) fn is_file(code: &str) -> bool {
    let mut lines = code.lines();
    let names = |line: &str| {
        let name = line.trim_start_matches(['#', ' ']);
        line.starts_with('#')
            && !name.contains(' ')
            && [".sh", ".bash", ".py"].iter().any(|end| name.ends_with(end))
    };
    lines.next().is_some_and(|first| first.starts_with("#!"))
        && lines.find(|line| !line.trim().is_empty()).is_some_and(names)
}

/// Whether a line begins as an expression of another language does, PromQL's or SQL's for one: `rate(…`, `sum by (node) (`.
/// `name() {` is a function of the shell.
fn is_call(line: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let rest = line.trim_start_matches(word);
    if rest.len() == line.len() {
        return false;
    }
    if rest.starts_with('(') {
        return !rest.starts_with("()");
    }
    let rest = rest.trim_start();
    ["by", "without"]
        .iter()
        .any(|word| rest.strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with('(')))
}

/// The lines of a fence that holds commands; none where it holds none.
pub(super) fn read(info: Option<&str>, code: &str) -> Option<Vec<Line>> {
    let marked = is_shell(info);
    if marked == Some(false) {
        return None;
    }
    if code.lines().any(|line| prompted(line).is_some()) {
        return Some(session(code));
    }
    let console = info.is_some_and(|info| info.starts_with("console") || info.contains("session"));
    if console && code.lines().any(|line| line.starts_with("# ") && is_known(line[2..].trim())) {
        // A session of root.
        let dollars: Vec<String> = code
            .lines()
            .map(|line| line.strip_prefix("# ").map_or_else(|| line.to_owned(), |rest| format!("$ {rest}")))
            .collect();
        return Some(session(&dollars.join("\n")));
    }
    if code.starts_with("#!") {
        // One script: its lines are not for typing one by one.
        let last = code.trim_end().lines().count().saturating_sub(1);
        return Some(vec![Line::Command { text: code.trim_end().to_owned(), first: 0, last }]);
    }
    let pieces = shell::pieces(code);
    if marked.is_none() {
        let commands = pieces.iter().filter(|piece| matches!(piece, Piece::Command(_))).count();
        let all = pieces.iter().all(|piece| match piece {
            Piece::Command(command) => {
                is_known(&command.text) && !is_output(&command.text) && plausible(&command.text)
            }
            Piece::Broken { .. } => false,
            Piece::Comment { .. } | Piece::Blank => true,
        });
        if commands == 0 || !all {
            return None;
        }
    }
    let mut lines = Vec::new();
    let mut table = false;
    for piece in pieces {
        match piece {
            Piece::Command(command) => {
                let known = is_known(&command.text);
                table &= !known;
                if table || is_output(&command.text) {
                    // What follows a table's head are its rows.
                    table |= command
                        .text
                        .split_whitespace()
                        .filter(|word| {
                            word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '-')
                        })
                        .count()
                        >= 2;
                    lines.extend(other(&command.text, command.first));
                } else {
                    lines.push(Line::Command {
                        text: command.text,
                        first: command.first,
                        last: command.last,
                    });
                }
            }
            Piece::Comment { text, line } => lines.push(Line::Comment { text, line }),
            Piece::Broken { text, first, .. } => lines.push(Line::Other { text, line: first }),
            Piece::Blank => table = false,
        }
    }
    Some(lines)
}

fn other(text: &str, first: usize) -> impl Iterator<Item = Line> + '_ {
    text.lines()
        .enumerate()
        .map(move |(at, line)| Line::Other { text: line.trim().to_owned(), line: first + at })
}

/// Whether a line that begins with a program's name reads as a command: `make sure that …` does not.
fn plausible(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let prose = [
        "the", "a", "an", "that", "sure", "this", "is", "are", "your", "and", "le", "la", "les", "der",
        "die", "das", "de", "to",
    ];
    let told = words.iter().skip(1).filter(|word| prose.contains(&word.to_lowercase().as_str())).count();
    let marks = command.contains([';', '|', '$', '=', '/', '"', '\''])
        || words.iter().any(|word| word.starts_with('-'));
    told == 0 || (marks && told < 2)
}

/// A session: what stands behind prompts are commands, the rest is what they printed.
fn session(code: &str) -> Vec<Line> {
    let all: Vec<&str> = code.lines().collect();
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(line) = all.get(at) {
        let Some(first) = prompted(line) else {
            if let Some(comment) = line.trim().strip_prefix("# ") {
                lines.push(Line::Comment { text: comment.trim().to_owned(), line: at });
            } else if !line.trim().is_empty() {
                lines.push(Line::Other { text: line.trim().to_owned(), line: at });
            }
            at += 1;
            continue;
        };
        if let Some(comment) = first.strip_prefix('#') {
            lines.push(Line::Comment { text: comment.trim().to_owned(), line: at });
            at += 1;
            continue;
        }
        // A command goes on as long as it does not end, up to the next prompt; `> ` is the shell's second prompt.
        let mut text = first.to_owned();
        let mut last = at;
        let mut whole = complete(&text);
        while !whole && last + 1 < all.len() && last - at < 200 && prompted(all[last + 1]).is_none() {
            last += 1;
            let more = all[last].strip_prefix("> ").unwrap_or(if all[last] == ">" { "" } else { all[last] });
            text.push('\n');
            text.push_str(more);
            whole = complete(&text);
        }
        if whole {
            lines.push(Line::Command { text: text.trim().to_owned(), first: at, last });
            at = last + 1;
        } else {
            lines.push(Line::Other { text: first.to_owned(), line: at });
            at += 1;
        }
    }
    lines
}

fn complete(text: &str) -> bool {
    matches!(shell::pieces(text).as_slice(), [Piece::Command(_)])
}

/// A command in backticks that an item consists of, or that it says to run: `` Run `make deploy` ``.
pub(super) fn inline<'t>(plain: &str, code: &'t [String]) -> Option<&'t str> {
    let [command] = code else { return None };
    let command = command.as_str();
    if !is_known(command)
        || is_output(command)
        || !complete(command)
        || command.split_whitespace().count() < 2 && !command.contains('/')
    {
        return None;
    }
    let written = format!("`{command}`");
    let (before, after) = plain.split_once(&written)?;
    let before = before.trim().trim_end_matches(':').trim();
    let after = after.trim().trim_end_matches(['.', ':', ';']).trim();
    let lower = before.to_lowercase();
    let last = lower.split_whitespace().last().unwrap_or_default().to_owned();
    let asks = [
        "run",
        "execute",
        "exécuter",
        "exécutez",
        "lancer",
        "lancez",
        "ausführen",
        "ejecutar",
        "ejecute",
        "with",
        "using",
        "via",
        "by",
        "running",
        "avec",
        "mit",
        "command",
        "commande",
        "faire",
    ];
    let alone = before.is_empty() && after.is_empty();
    let ends = after.is_empty()
        || after.starts_with(['(', '-', '–', '—', ','])
        || after.to_lowercase().starts_with("to ")
        || after.to_lowercase().starts_with("and ")
        || after.to_lowercase().starts_with("pour ")
        || after.to_lowercase().starts_with("from ")
        || after.to_lowercase().starts_with("on ")
        || after.to_lowercase().starts_with("in ");
    let labelled = plain.contains(&format!(": {written}")) && after.is_empty();
    (alone || labelled || (asks.contains(&last.as_str()) && ends)).then_some(command)
}

#[cfg(test)]
mod tests;
