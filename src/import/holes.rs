//! Holes in commands: `<VERSION>`, `{namespace}`, `[NAME]`, `YOUR_TOKEN`, `xxx`. Each becomes a variable that is asked for.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::amounts::pattern;

/// A hole: where it is, and the variable that fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) at: Range<usize>,
    pub(super) name: String,
    /// As it is written.
    pub(super) written: String,
    pub(super) secret: bool,
}

static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // <backup-id>, <your version here>, <secret:NAME>; no redirection, no heredoc.
        r"<((?:secret:)?[A-Za-z_](?:[A-Za-z0-9_ .:/|-]*[A-Za-z0-9_])?)>",
        // {{ version }}, but no {{.Field}}.
        r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)\s*\}\}",
        // {namespace}
        r"\{([A-Za-z][A-Za-z0-9_-]*)\}",
        // [NAME], [service-name]
        r"\[([A-Z][A-Z0-9_ -]{2,})\]",
        r"\[([a-z]{2,}(?:[-_ ][a-z]{2,})+)\]",
        // [Command to execute]
        r"\[([A-Za-z][A-Za-z0-9_-]*(?: [A-Za-z0-9_/-]+)+)\]",
        // __NAME__, %NAME%
        r"__([A-Z][A-Z0-9_]+?)__",
        r"%([A-Z][A-Z0-9_]{2,})%",
        // YOUR_TOKEN, your-service
        r"\b(YOUR[_-][A-Z0-9_-]*[A-Z0-9]|your[_-][a-z0-9_-]*[a-z0-9])\b",
        r"\b((?:[A-Z0-9]+[_-])?SET[_-]ME|CHANGE[_-]?ME|REPLACE[_-]?ME|FILL[_-]?ME|FIXME|TODO|TBD|changeme|replaceme)\b",
        // vX.Y.Z
        r"\b(v?[xX]\.[yYxX]\.[zZxX])\b",
        // xxx, XXXX
        r"\b([xX]{3,})\b",
        r"\b(YYYY-?MM-?DD)\b",
        // … and ... where an argument would be.
        r"(?:^|[\s=])(\.\.\.|…)(?:$|\s)",
    ]
    .into_iter()
    .filter_map(pattern)
    .collect()
});

/// Names that a shell or the login needs as they are.
const TAKEN: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "PWD",
    "SHELL",
    "LANG",
    "TMPDIR",
    "HOSTNAME",
    "IFS",
    "TZ",
    "KUBECONFIG",
    "SLOT",
    "ENV",
];

/// Words in braces that programs know: awk, jsonpath.
const NO_HOLES: &[&str] = &["end", "print", "exit", "next", "else"];

/// A variable's name from words.
pub(super) fn name_of(words: &str) -> String {
    let bare = words.strip_prefix("secret:").unwrap_or(words);
    let lower = bare.to_ascii_lowercase();
    let bare = ["your-", "your_", "your ", "the ", "insert ", "enter "]
        .iter()
        .find_map(|start| lower.starts_with(start).then(|| &bare[start.len()..]))
        .unwrap_or(bare);
    let mut name = String::new();
    let mut before = ' ';
    for c in bare.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
        before = c;
    }
    let name = name.trim_matches('_');
    let name = if name.len() > 40 { name[..40].trim_matches('_') } else { name };
    match name {
        "" => "VALUE".to_owned(),
        "X_Y_Z" | "V_X_Y_Z" | "VX_Y_Z" | "X_X_X" => "VERSION".to_owned(),
        "YYYYMMDD" | "YYYY_MM_DD" => "DATE".to_owned(),
        name if TAKEN.contains(&name) => format!("{name}_VALUE"),
        name if name.len() > 1 && name.chars().all(|c| c == 'X') => "VALUE".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("V{name}"),
        name => name.to_owned(),
    }
}

/// The holes of a command, in order.
pub(super) fn holes(command: &str) -> Vec<Hole> {
    let mut found: Vec<Hole> = Vec::new();
    for form in FORMS.iter() {
        for captures in form.captures_iter(command) {
            let (Some(whole), Some(inner)) = (captures.get(0), captures.get(1)) else { continue };
            let dots = matches!(inner.as_str(), "..." | "…");
            let at = if dots { inner.range() } else { whole.range() };
            let before = command[..at.start].chars().next_back();
            let after = command[at.end..].chars().next();
            let braces = command[at.clone()].starts_with('{') && !command[at.clone()].starts_with("{{");
            // ${X}, %{http_code}, @{u}, {{.X}}, awk's {print}; and a redirection `a <b >c` is none.
            let known = matches!(before, Some('$' | '%' | '@' | '{' | '\\' | '#'))
                || after == Some('}')
                || NO_HOLES.contains(&inner.as_str())
                || (inside_single_quotes(command, at.start) && command.contains("awk"));
            let refused = (braces && known)
                || (command[at.clone()].starts_with('<') && before == Some('<'))
                || (command[at.clone()].starts_with('[') && matches!(before, Some('[' | '$')))
                || found.iter().any(|hole| hole.at.start < at.end && at.start < hole.at.end);
            if refused {
                continue;
            }
            let written = command[at.clone()].to_owned();
            let secret = inner.as_str().starts_with("secret:");
            found.push(Hole { at, name: name_of(inner.as_str()), written, secret });
        }
    }
    found.sort_by_key(|hole| hole.at.start);
    found
}

/// What quotes are open at a place.
fn quote_at(command: &str, at: usize) -> Option<char> {
    let mut quote = None;
    let mut chars = command[..at].chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => {
                chars.next();
            }
            (None, '"' | '\'') => quote = Some(c),
            _ => {}
        }
    }
    quote
}

fn inside_single_quotes(command: &str, at: usize) -> bool {
    quote_at(command, at) == Some('\'')
}

/// The command with variables for its holes; none where a hole cannot have one: in a heredoc that is taken literally, or where
/// the command itself is a hole.
pub(super) fn filled(command: &str, holes: &[Hole]) -> Option<String> {
    if holes.is_empty() {
        return Some(command.to_owned());
    }
    if holes.iter().any(|hole| hole.at.start == 0) {
        return None;
    }
    let literal = command.contains("<<'")
        || command.contains("<<\"")
        || command.contains("<<-'")
        || command.contains("<< '");
    let mut out = String::with_capacity(command.len() + 16 * holes.len());
    let mut from = 0;
    for hole in holes {
        out.push_str(&command[from..hole.at.start]);
        let later =
            command[hole.at.clone()].contains('\n') || literal && command[..hole.at.start].contains('\n');
        if later {
            return None;
        }
        let heredoc = command[..hole.at.start].contains("<<") && command[..hole.at.start].contains('\n');
        match quote_at(command, hole.at.start) {
            _ if heredoc => out.extend(["${", &hole.name, "}"]),
            Some('\'') => out.extend(["'\"$", &hole.name, "\"'"]),
            Some(_) => out.extend(["${", &hole.name, "}"]),
            None => out.extend(["\"$", &hole.name, "\""]),
        }
        from = hole.at.end;
    }
    out.push_str(&command[from..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(command: &str) -> String {
        filled(command, &holes(command)).unwrap_or_else(|| "none".to_owned())
    }

    #[test]
    fn holes_become_variables_in_their_quotes() {
        assert_eq!(fill("r -- --id=<backup-id>"), "r -- --id=\"$BACKUP_ID\"");
        assert_eq!(fill("k -n {namespace} get [NAME]"), "k -n \"$NAMESPACE\" get \"$NAME\"");
        assert_eq!(fill("a \"b <the version>\" 'c <X>'"), "a \"b ${VERSION}\" 'c '\"$X\"''");
        assert_eq!(fill("deploy YOUR_SERVICE vX.Y.Z"), "deploy \"$SERVICE\" \"$VERSION\"");
        assert_eq!(fill("x --t <secret:API_TOKEN>"), "x --t \"$API_TOKEN\"");
        assert_eq!(fill("x <path> <imageTag>"), "x \"$PATH_VALUE\" \"$IMAGE_TAG\"");
        assert_eq!(
            fill("helm upgrade app --set v={{ version }} xxx"),
            "helm upgrade app --set v=\"$VERSION\" \"$VALUE\""
        );
        assert_eq!(fill("k delete pod ..."), "k delete pod \"$VALUE\"");
        assert_eq!(fill("cat <<EOF\nv: <version>\nEOF"), "cat <<EOF\nv: ${VERSION}\nEOF");
    }

    #[test]
    fn what_cannot_be_filled_is_none() {
        assert_eq!(fill("<command> now"), "none");
        assert_eq!(fill("cat <<'EOF'\nv: <version>\nEOF"), "none");
    }

    #[test]
    fn what_programs_mean_is_no_hole() {
        for command in [
            "docker inspect --format '{{.Id}}' x",
            "k get x -o jsonpath='{.spec.a}{\"\\n\"}'",
            "k get x -o jsonpath='{range .items[*]}{.a}{end}'",
            "awk '{print}' f",
            "curl -w %{http_code} https://x",
            "echo ${NAME} $(date +%Y%m%d)",
            "sort <in >out",
            "cat <<EOF\nx\nEOF",
            "grep '[a-z]' f[0-9]",
            "git push origin HEAD@{1} ./...",
            "if [ -f x ]; then y; fi",
        ] {
            assert_eq!(holes(command), Vec::new(), "{command}");
        }
    }
}
