//! Variables: which exist, where each is used, and whether it has a value there that may be shown.
//!
//! While a runbook is loaded, every use goes into a [`VarUses`] with its place in time and what becomes of the text. When
//! all is read, the ledger is balanced: unknown names, values that come too late, secrets that would be shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use regex::Regex;

use super::{
    diagnose::{Faults, nearest, suggest},
    raw::Node,
};
use crate::domain::template::{Piece, Template, is_name};

/// A point in the course of a run, for comparing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// Before anything: metrics, notices.
    Opening,
    /// The checklist.
    Checklist,
    /// A step's action, by index.
    Run(usize, usize),
    /// A step's checks.
    Check(usize),
    /// A step's undo.
    Undo(usize),
    /// The completion and rollbacks, by index of the action.
    After(usize),
}

impl Moment {
    /// For ordering: the step's index, then what of it.
    fn order(self) -> (usize, usize, usize) {
        match self {
            Self::Opening => (0, 0, 0),
            Self::Checklist => (0, 1, 0),
            Self::Run(step, action) => (step + 1, 0, action),
            Self::Check(step) => (step + 1, 1, 0),
            Self::Undo(step) => (step + 1, 2, 0),
            Self::After(action) => (usize::MAX, 0, action),
        }
    }
}

/// What becomes of a text with variables in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// It is shown and kept: an image, a title, a name.
    Shown,
    /// A URL: shown, logged, and seen by every proxy.
    Url,
    /// A notice to a channel.
    Notice,
    /// A program's arguments: any user of the host can list them.
    Argv,
    /// It is sent and not shown: headers, bodies, tokens, the webhook.
    Private,
    /// A script's environment.
    Script,
    /// The value of the variable with this index.
    Value(usize),
}

/// A variable as it is declared.
#[derive(Debug)]
struct Declared {
    name: String,
    span: Range<usize>,
    secret: bool,
    captured: bool,
}

/// A place where one is used.
#[derive(Debug)]
struct Use {
    name: String,
    span: Range<usize>,
    sink: Sink,
    moment: Moment,
    /// The whole text is this variable.
    whole: bool,
}

/// For so many unknown names the nearest known one is looked for: a file with more has another fault than slips.
const MAX_GUESSES: usize = 100;

/// Every declaration, use and capture of a runbook's variables.
#[derive(Debug, Default)]
pub(crate) struct VarUses {
    declared: Vec<Declared>,
    /// Where in `declared` a name is.
    index: BTreeMap<String, usize>,
    /// How long each value is at least, in bytes.
    lengths: BTreeMap<String, usize>,
    uses: Vec<Use>,
    captures: Vec<(String, Range<usize>, Moment)>,
    /// A name that has a value just where is being read.
    known: Option<&'static str>,
}

impl VarUses {
    /// From here on a name has a value that no variable gives, until [`VarUses::forget`]. A variable of that name would mean
    /// two things.
    pub(crate) fn know(&mut self, name: &'static str, faults: &mut Faults<'_>) {
        self.known = Some(name);
        if let Some(index) = self.index.get(name) {
            faults
                .error(
                    self.declared[*index].span.clone(),
                    format!("`{name}` is reserved: in `ready` it is the slot to go back to"),
                )
                .help("rename this variable");
        }
    }

    pub(crate) fn forget(&mut self) {
        self.known = None;
    }

    /// The first one counts where a name is declared twice, which TOML refuses anyway.
    pub(crate) fn declare(&mut self, name: &str, span: Range<usize>, secret: bool, captured: bool) {
        self.index.entry(name.to_owned()).or_insert(self.declared.len());
        self.declared.push(Declared { name: name.to_owned(), span, secret, captured });
    }

    /// Notes the uses in a text that is expanded.
    pub(crate) fn template(&mut self, node: &Node, text: &str, sink: Sink, moment: Moment, source: &str) {
        let template = Template::from(text);
        let whole = matches!(template.pieces().as_slice(), [Piece::Var(_)]);
        for name in template.names().filter(|name| Some(*name) != self.known) {
            let span = find(source, &node.span, name);
            self.uses.push(Use { name: name.to_owned(), span, sink, moment, whole });
        }
    }

    /// Notes the uses in a shell script. Names that a script sets itself, guards with a default, or writes in small
    /// letters are its own affair, unless a variable of that name is declared.
    pub(crate) fn script(&mut self, node: &Node, script: &str, moment: Moment, source: &str) {
        for name in script_names(script).into_iter().filter(|name| Some(name.as_str()) != self.known) {
            if self.index.contains_key(&name) || !(is_shell_own(&name) || script_sets(script, &name)) {
                let span = find(source, &node.span, &name);
                self.uses.push(Use { name, span, sink: Sink::Script, moment, whole: false });
            }
        }
    }

    /// How long a text is at least once its variables are filled in. What is not known before a run counts one byte.
    pub(crate) fn length(&self, text: &str) -> usize {
        let of = |piece: Piece<'_>| match piece {
            Piece::Text(text) => text.len(),
            Piece::Var(name) => self.lengths.get(name).copied().unwrap_or(1),
        };
        Template::from(text).pieces().into_iter().map(of).fold(0, usize::saturating_add)
    }

    /// Notes how long a variable's value is at least; what is made of it is measured by that.
    pub(crate) fn measure(&mut self, name: &str, length: usize) {
        self.lengths.insert(name.to_owned(), length);
    }

    /// How long all values are together, at least.
    pub(crate) fn all_lengths(&self) -> usize {
        self.lengths.values().copied().fold(0, usize::saturating_add)
    }

    /// Notes that an action's output gives a variable its value.
    pub(crate) fn capture(&mut self, name: &str, span: Range<usize>, moment: Moment) {
        self.captures.push((name.to_owned(), span, moment));
    }

    /// Reports what does not add up.
    pub(crate) fn balance(&self, faults: &mut Faults<'_>) {
        let mut captured: BTreeMap<&str, Vec<Moment>> = BTreeMap::new();
        for (name, _, moment) in &self.captures {
            captured.entry(name).or_default().push(*moment);
        }
        // Names in use, and those that an unknown one is most like: that is a slip, and told where it is.
        let mut used: BTreeSet<&str> = BTreeSet::new();
        let mut guesses = 0;
        for using in &self.uses {
            if let Some(index) = self.index.get(&using.name) {
                used.insert(&using.name);
                self.in_time(*index, using, captured.get(using.name.as_str()), faults);
                if self.declared[*index].secret {
                    self.may_see_secret(using, faults);
                }
            } else {
                guesses += 1;
                let near = (guesses <= MAX_GUESSES)
                    .then(|| nearest(&using.name, self.declared.iter().map(|var| var.name.as_str())))
                    .flatten();
                used.extend(near);
                Self::unknown(using, near, faults);
            }
        }
        self.check_captures(faults);
        self.check_declared(&captured, &used, faults);
    }

    /// What is declared must get its value somewhere, and be of use to somebody.
    fn check_declared(
        &self,
        captured: &BTreeMap<&str, Vec<Moment>>,
        used: &BTreeSet<&str>,
        faults: &mut Faults<'_>,
    ) {
        for var in &self.declared {
            if var.captured && !captured.contains_key(var.name.as_str()) {
                faults.error(var.span.clone(), format!("no action captures `{}`", var.name)).help(format!(
                    "give the action that prints it `capture = {{ {} = 'id: (\\S+)' }}`",
                    var.name
                ));
            } else if is_name(&var.name) && !used.contains(var.name.as_str()) {
                faults
                    .warning(var.span.clone(), format!("`{}` is never used", var.name))
                    .help("remove it, or use it");
            }
        }
    }

    /// What an action captures must be declared, and get its value no other way.
    fn check_captures(&self, faults: &mut Faults<'_>) {
        for (name, span, _) in &self.captures {
            match self.index.get(name) {
                None => {
                    faults
                        .error(span.clone(), format!("captures into `{name}`, which is not declared"))
                        .help(suggestion(name, self.captured_names()).unwrap_or_else(|| {
                            format!("declare it under [vars]: `{name} = {{ captured = true }}`")
                        }));
                }
                Some(index) if !self.declared[*index].captured => {
                    faults
                        .error(
                            span.clone(),
                            format!("captures into `{name}`, which gets its value another way"),
                        )
                        .help(format!(
                            "declare it as `{name} = {{ captured = true }}`, or capture into another name"
                        ));
                }
                Some(_) => {}
            }
        }
    }

    fn captured_names(&self) -> Vec<&str> {
        self.declared.iter().filter(|var| var.captured).map(|var| var.name.as_str()).collect()
    }

    /// Help differs by where it stands: a script can do without a variable, a text cannot.
    fn unknown(using: &Use, near: Option<&str>, faults: &mut Faults<'_>) {
        let name = &using.name;
        let help = match (near, using.sink) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Sink::Script) => format!(
                "declare it under [vars], for example `{name} = {{ env = \"{name}\" }}`; if the script can \
                 do without it, write `${{{name}:-}}`"
            ),
            (None, _) => "declare it under [vars], or write `$$` for a dollar sign".to_owned(),
        };
        faults.error(using.span.clone(), format!("unknown variable `${name}`")).help(help);
    }

    /// A value that comes from an earlier line or an earlier action must be there by then.
    fn in_time(&self, index: usize, using: &Use, captures: Option<&Vec<Moment>>, faults: &mut Faults<'_>) {
        let var = &self.declared[index];
        if let Sink::Value(of) = using.sink {
            return value_in_time(&var.name, index < of, var.captured, using, faults);
        }
        let late = captures
            .is_some_and(|captures| captures.iter().all(|moment| moment.order() >= using.moment.order()));
        if var.captured && late {
            faults
                .warning(
                    using.span.clone(),
                    format!("`{}` is used before any action has captured it", var.name),
                )
                .help("move the action that captures it above this one");
        }
    }

    /// A secret may go where it is needed and not shown.
    fn may_see_secret(&self, using: &Use, faults: &mut Faults<'_>) {
        let name = &using.name;
        let (message, help) = match using.sink {
            Sink::Private | Sink::Script => return,
            Sink::Url if using.whole => return,
            Sink::Value(of) => {
                if self.declared.get(of).is_some_and(|var| var.secret) {
                    return;
                }
                (
                    format!("the secret `{name}` would be shown as part of this value"),
                    "mark this variable as `secret = true`, too",
                )
            }
            Sink::Url => (
                format!(
                    "the secret `{name}` would be part of a URL; URLs are shown, logged and seen by proxies"
                ),
                "send it in `headers` or in the body, or keep the whole URL in a secret variable",
            ),
            Sink::Notice => {
                (format!("the secret `{name}` would be sent to the channel"), "remove it from the text")
            }
            Sink::Argv => (
                format!("the secret `{name}` would be an argument; every user of the host can see those"),
                "use `sh`, and let the program read it from the environment or from stdin",
            ),
            Sink::Shown => (format!("the secret `{name}` would be shown and stored here"), "remove it"),
        };
        faults.error(using.span.clone(), message).help(help);
    }
}

fn suggestion(written: &str, known: Vec<&str>) -> Option<String> {
    nearest(written, known).map(|near| format!("did you mean `{near}`?"))
}

/// Where a name is written within a value, for the mark; the whole value where it cannot be seen as it stands.
fn find(source: &str, span: &Range<usize>, name: &str) -> Range<usize> {
    let Some(text) = source.get(span.clone()) else { return span.clone() };
    for written in [format!("${name}"), format!("${{{name}")] {
        for (at, _) in text.match_indices(&written) {
            let end = at + written.len();
            if !text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
                return span.start + at..span.start + end;
            }
        }
    }
    span.clone()
}

/// The names a shell would expand in a script and that must have a value: not within single quotes, not escaped, not
/// guarded (`${NAME:-…}`).
pub fn script_names(script: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut chars = script.char_indices().peekable();
    let (mut single, mut double) = (false, false);
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '\\' if !single => {
                chars.next();
            }
            '$' if !single => {
                let rest = &script[at + 1..];
                let (body, braced) = rest.strip_prefix('{').map_or((rest, false), |body| (body, true));
                let end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
                let (name, after) = body.split_at(end);
                let guarded = braced
                    && (after.starts_with(":-")
                        || after.starts_with('-')
                        || after.starts_with(":+")
                        || after.starts_with('+'));
                if is_name(name) && !guarded && !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
            _ => {}
        }
    }
    names
}

/// Whether a name has its value from the shell or the login.
pub fn shell_gives(name: &str) -> bool {
    const GIVEN: &[&str] = &[
        "HOME",
        "USER",
        "LOGNAME",
        "PATH",
        "PWD",
        "OLDPWD",
        "SHELL",
        "TMPDIR",
        "HOSTNAME",
        "IFS",
        "OPTARG",
        "OPTIND",
        "PPID",
        "LANG",
        "TZ",
        "KUBECONFIG",
        "RANDOM",
        "LINENO",
        "REPLY",
    ];
    GIVEN.contains(&name)
}

/// … or is in small letters, which by custom are a script's own.
pub fn is_shell_own(name: &str) -> bool {
    shell_gives(name) || name.chars().any(|c| c.is_ascii_lowercase())
}

/// Whether a script gives a name its value: `NAME=`, `read NAME`, `for NAME in`.
pub fn script_sets(script: &str, name: &str) -> bool {
    let assigned = script.match_indices(&format!("{name}=")).any(|(at, _)| {
        !script[..at]
            .ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || c == '{' || c == '-')
    });
    // `read -r NAME OTHER`: up to the end of the command.
    let read = || {
        script.lines().flat_map(|line| line.split([';', '|', '&', '<'])).any(|command| {
            let mut words = command.split_whitespace().skip_while(|word| *word != "read");
            words.next().is_some() && words.any(|word| word == name)
        })
    };
    let words: Vec<&str> = script.split_whitespace().collect();
    assigned || read() || words.windows(2).any(|pair| pair[0] == "for" && pair[1] == name)
}

/// Whether a value may be given to a variable: no NUL, no line end, no other control character, and as its pattern
/// wants it from the first character to the last.
///
/// # Errors
/// A sentence that says what is wrong with the value, without repeating it: it may be secret.
pub fn check_value(pattern: Option<&str>, value: &str) -> Result<(), String> {
    if let Some(c) = value.chars().find(|c| c.is_control()) {
        let what = match c {
            '\0' => "a NUL character",
            '\n' | '\r' => "a line break",
            _ => "a control character",
        };
        return Err(format!("it contains {what}"));
    }
    let Some(pattern) = pattern else { return Ok(()) };
    // The whole value must match, whether or not the pattern says so with ^ and $.
    match Regex::new(&format!("^(?:{pattern})$")) {
        Ok(regex) if regex.is_match(value) => Ok(()),
        Ok(_) => Err(format!("it does not match {pattern}")),
        Err(_) => Err("its pattern is not a valid regular expression".to_owned()),
    }
}

/// Help for a name that is none.
pub(crate) fn name_help(written: &str) -> String {
    let cleaned: String = written
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    let start = if cleaned.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    format!("use letters, digits and `_`, as in a shell: `{start}{cleaned}`")
}

/// A slot's name, with a suggestion where it is none.
pub(crate) fn slot_help(written: &str, slots: &[&str]) -> Option<String> {
    let mut known = vec!["new", "previous"];
    known.extend(slots);
    suggest(written, known)
}

/// Whether the value of another variable is known when this one's is made of it: when the run opens, in order of writing.
fn value_in_time(name: &str, is_above: bool, captured: bool, using: &Use, faults: &mut Faults<'_>) {
    if !is_above {
        faults
            .error(using.span.clone(), format!("`{name}` has no value yet here"))
            .help("a value can only use variables defined above it; move that line up");
    } else if captured {
        let why = format!("`{name}` is captured during the run, but values are set when it opens");
        faults.error(using.span.clone(), why).help("use it in the step that needs it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_the_variables_a_shell_would_expand() {
        let names = |script: &str| script_names(script).join(" ");
        assert_eq!(names(r#"deploy "$A" ${B} ${C:-x} $$ $1 $(id) \$D"#), "A B");
        assert_eq!(names(r"awk '{print $NF}' $E"), "E");
        assert_eq!(names(r#"echo "it's $F""#), "F");
        assert_eq!(names("echo ${#G} ${H%x} $H"), "H");
        assert!(
            script_sets("X=1; echo $X", "X")
                && script_sets("for X in a; do", "X")
                && script_sets("read X", "X")
        );
        assert!(!script_sets("echo $X --y=$X", "X") && !script_sets("MAX=1", "X"));
    }

    #[test]
    fn values_are_checked_whole_and_without_controls() {
        let version = Some(r"v\d+\.\d+\.\d+");
        assert_eq!(check_value(version, "v1.6.0"), Ok(()));
        assert!(check_value(version, "v1.6.0; rm -rf /").is_err());
        assert!(check_value(version, "v1.6.0\n").is_err());
        assert!(check_value(Some("a|b"), "ax").is_err());
        assert!(check_value(None, "a\0b").unwrap_err().contains("NUL"));
        assert!(check_value(None, "a\nb").unwrap_err().contains("line break"));
        assert_eq!(check_value(None, "$(id) $HOME `x` ; |"), Ok(()), "a value stays a value");
    }
}
