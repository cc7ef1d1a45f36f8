//! Pages that nobody has written: ours, broken at random places. The same number gives the same page.

/// Random numbers from a seed (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `most`; 0 where there is none.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most).unwrap_or(1).max(1);
        usize::try_from((self.next() >> 33) % most).unwrap_or(0)
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }
}

/// What has a meaning in Markdown, in a shell, in TOML, or in our own rules.
const TOKENS: &[&str] = &[
    "```",
    "```sh",
    "````",
    "~~~",
    "`",
    "|",
    "|---|---|",
    "<",
    ">",
    "<!--",
    "-->",
    "<details>",
    "</pre>",
    "# ",
    "## ",
    "###### ",
    "- [ ] ",
    "- ",
    "1. ",
    "> ",
    "    ",
    "\t",
    "---",
    "***",
    "**",
    "**Validation:**",
    "__",
    "[",
    "](",
    "[x]: ",
    "![",
    "{{",
    "}}",
    "${",
    "$(",
    "$",
    "\\",
    "\\\n",
    "'",
    "\"",
    "'''",
    "\"\"\"",
    "<<EOF",
    "EOF",
    "&&",
    ";",
    "(",
    ")",
    "{",
    "}",
    "export X=$X",
    "export TOKEN=abc123def456",
    "kubectl set image deployment/a-green c=i:<V>",
    "xxx",
    "<VERSION>",
    "[NAME]",
    "sudo ",
    "Or ",
    "If it fails:",
    "Rollback:",
    "> 1% for 5 minutes",
    "within 24 hours",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{0}",
    "\u{feff}",
    "é",
    "Ã©",
    "🚀",
    "&amp;",
    "&#x0;",
    "\r",
    "\u{2028}",
    "=",
    "#",
    "%",
    "@ops",
    "#ops",
    "https://x.example.com/y",
    "2026-11-28",
    "T-30min",
    "K8s",
];

/// One of these pages, with some changes.
pub(crate) fn page(pages: &[String], dice: &mut Dice) -> String {
    let mut lines: Vec<String> = dice.of(pages).lines().map(str::to_owned).collect();
    for _ in 0..=dice.below(8) {
        if lines.is_empty() {
            lines.push(String::new());
        }
        let at = dice.below(lines.len());
        let some = (1 + dice.below(12)).min(lines.len() - at);
        match dice.below(11) {
            0 => drop(lines.drain(at..at + some)),
            1 => {
                let copied: Vec<String> = lines[at..at + some].to_vec();
                let to = dice.below(lines.len() + 1);
                lines.splice(to..to, copied);
            }
            2 => {
                let other = dice.below(lines.len());
                lines.swap(at, other);
            }
            3 => {
                let theirs: Vec<String> = dice.of(pages).lines().map(str::to_owned).collect();
                let from = dice.below(theirs.len());
                let to = (from + 1 + dice.below(20)).min(theirs.len());
                lines.splice(at..at, theirs[from..to].iter().cloned());
            }
            4 => {
                let token = *dice.of(TOKENS);
                let place = place(&lines[at], dice);
                lines[at].insert_str(place, token);
            }
            5 => lines.insert(at, (*dice.of(TOKENS)).to_owned()),
            6 => {
                let place = place(&lines[at], dice);
                lines[at].truncate(place);
            }
            7 => {
                let place = place(&lines[at], dice);
                if let Some(c) = lines[at][place..].chars().next() {
                    lines[at].replace_range(place..place + c.len_utf8(), "");
                }
            }
            8 => {
                let indent = " ".repeat(dice.below(9));
                for line in &mut lines[at..at + some] {
                    line.insert_str(0, &indent);
                }
            }
            9 => {
                let joined = lines[at..at + some].join(" ");
                lines.splice(at..at + some, [joined]);
            }
            _ => {
                let token = *dice.of(TOKENS);
                let times = 1 + dice.below(300);
                lines[at].push_str(&token.repeat(times));
            }
        }
    }
    lines.join("\n")
}

/// A place between two characters.
fn place(line: &str, dice: &mut Dice) -> usize {
    let places: Vec<usize> = line.char_indices().map(|(at, _)| at).chain([line.len()]).collect();
    *dice.of(&places)
}
