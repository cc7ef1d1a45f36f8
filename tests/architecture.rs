//! Holds the layers: reads every path in `src` (in `use` lines and inline, also inside macros) and fails on one that no
//! arrow of `src/lib.rs` allows. A layer that is clean today stays clean because of this test, not because of attention.
//!
//! The sources are read as tokens, so comments and strings name whatever they like. Code behind `#[cfg(test)]` is exempt:
//! tests may put layers together.
//!
//! It fails as well on any circle of files that use each other: what can only be understood together is one file, or has a
//! third one that both use. What a module uses of those that it is part of is apart from that.
//!
//! Longer than 500 lines: a reader of sources and what it is to find, which make no sense apart.

#![expect(clippy::expect_used, reason = "a test that cannot read its own sources has failed")]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A layer with the paths of ours that it may use, `domain` and itself apart.
const LAYERS: &[(&str, &[&[&str]])] = &[
    ("domain", &[]),
    ("config", &[]),
    ("init", &[]),
    ("import", &[&["config"]]),
    ("export", &[&["config"]]),
    ("engine", &[]),
    ("journal", &[&["engine", "ports"]]),
    ("adapters", &[&["engine", "ports"]]),
    ("link", &[]),
    ("tui", &[&["config"], &["link"]]),
    ("world", &[]),
    ("report", &[]),
    ("flight", &[&["adapters"], &["config"], &["engine"], &["init"], &["journal"], &["link"], &["world"]]),
    (
        "cli",
        &[&["config"], &["export"], &["flight"], &["import"], &["init"], &["link"], &["report"], &["tui"]],
    ),
    // All but domain may use it: see `against_arrows`.
    ("failpoint", &[]),
    // main.rs, which sees the library from outside, and lib.rs, which only declares.
    ("main", &[&["cli"]]),
    ("lib", &[]),
];

/// Crates that only some layers may name.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("tui_input", &["tui"]),
    ("kube", &["adapters", "world"]),
    ("k8s_openapi", &["adapters", "world"]),
    ("clap", &["cli"]),
    ("color_eyre", &["cli", "flight"]),
];

/// All that `domain` may name from outside: values and arithmetic, nothing that looks or acts.
const DOMAIN_CRATES: &[&str] = &["std", "core", "alloc", "serde", "serde_json", "jiff", "unicode_width"];

/// What `domain` may not name even so: whatever has a clock, a disk, a network or a process behind it.
const DOMAIN_NEVER: &[&[&str]] = &[
    &["std", "env"],
    &["std", "fs"],
    &["std", "io"],
    &["std", "net"],
    &["std", "os"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["time", "Instant"],
    &["time", "SystemTime"],
    &["jiff", "Zoned", "now"],
    &["jiff", "Timestamp", "now"],
    &["Zoned", "now"],
    &["Timestamp", "now"],
];

/// What the top level holds. Dotfiles are for tools, and are not looked at.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "assets",
    "tests",
    "runbook.toml",
    "CHANGELOG.md",
    "README.md",
    "LICENSE",
    "docs",
    "benches",
    "target",
];

/// A path that no arrow allows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    path: String,
    why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: {}", self.file, self.path, self.why)
    }
}

/// What one file says.
#[derive(Debug, Default)]
struct Source {
    /// Paths as written, each with its segments.
    paths: Vec<Vec<String>>,
    /// Modules declared here and names imported from ours, which hide crates of the same name.
    own_names: BTreeSet<String>,
    /// Modules declared here for tests only, whose files are exempt.
    test_modules: BTreeSet<String>,
}

impl Source {
    fn read(text: &str) -> Self {
        let tokens: TokenStream = text.parse().expect("a source file is a stream of tokens");
        let mut source = Self::default();
        source.walk(tokens, &[]);
        source
    }

    /// Takes in all paths of some tokens; `inside` are the modules they stand in within the file.
    fn walk(&mut self, tokens: TokenStream, inside: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' && is_cfg_test(tokens.get(at + 1)) => {
                    at = self.skip_item(&tokens, at + 2);
                }
                TokenTree::Ident(word) if word == "mod" && named(tokens.get(at + 1)).is_some() => {
                    let name = named(tokens.get(at + 1)).unwrap_or_default();
                    self.own_names.insert(name.clone());
                    if let Some(TokenTree::Group(body)) = tokens.get(at + 2) {
                        self.walk(body.stream(), &[inside, &[name]].concat());
                    }
                    at += 3;
                }
                TokenTree::Ident(_) => at = self.path(&tokens, at, &[], inside),
                TokenTree::Group(group) => {
                    self.walk(group.stream(), inside);
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Takes in the path that begins here, or all paths of a tree of them. Gives where it ends.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, before: &[String], inside: &[String]) -> usize {
        // A lone word is a keyword or a name of this file, but after `use` it is a crate.
        let mut is_path =
            !before.is_empty() || at > 0 && named(tokens.get(at - 1)).is_some_and(|word| word == "use");
        let mut segments = before.to_vec();
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(word)) => segments.push(word.to_string()),
                Some(TokenTree::Group(tree)) if tree.delimiter() == Delimiter::Brace => {
                    self.branches(&tree.stream().into_iter().collect::<Vec<_>>(), &segments, inside);
                    return at + 1;
                }
                // `*`, or the `<` of generic arguments.
                _ => break,
            }
            at += 1;
            if !is_colons(tokens, at) {
                break;
            }
            is_path = true;
            at += 2;
        }
        if is_path {
            let segments = resolve(segments, inside);
            if matches!(segments[0].as_str(), "crate" | "self" | "super") {
                self.own_names.extend(segments.last().cloned());
            }
            self.paths.push(segments);
        }
        at
    }

    /// Takes in what stands between the braces of a `use`.
    fn branches(&mut self, tokens: &[TokenTree], before: &[String], inside: &[String]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at =
                if matches!(token, TokenTree::Ident(_)) { self.path(tokens, at, before, inside) } else { at };
            // On to the next one, past `as other_name`.
            let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
            at = tokens[at..].iter().position(is_comma).map_or(tokens.len(), |comma| at + comma + 1);
        }
    }

    /// Where the item after `#[cfg(test)]` ends.
    fn skip_item(&mut self, tokens: &[TokenTree], mut at: usize) -> usize {
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(word) if word == "mod" => {
                    self.test_modules.extend(named(tokens.get(at + 1)));
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => return at + 1,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    // `use a::{b, c};` goes on to its semicolon.
                    let more = matches!(tokens.get(at + 1), Some(TokenTree::Punct(p)) if p.as_char() == ';');
                    return if more { at + 2 } else { at + 1 };
                }
                _ => {}
            }
            at += 1;
        }
        at
    }
}

/// Inline modules are no files: `super` in one of them stays in the file. What is left counts from the file's module.
fn resolve(segments: Vec<String>, inside: &[String]) -> Vec<String> {
    let supers = segments.iter().take_while(|segment| *segment == "super").count();
    if supers == 0 || inside.is_empty() {
        return segments;
    }
    let out = supers.min(inside.len());
    let mut resolved = vec!["self".to_owned()];
    resolved.extend(segments.into_iter().skip(out));
    resolved
}

fn named(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(word)) => Some(word.to_string()),
        _ => None,
    }
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(tokens.get(at)) && colon(tokens.get(at + 1))
}

fn is_cfg_test(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(attribute)) = token else { return false };
    attribute.stream().to_string().split_whitespace().collect::<String>() == "cfg(test)"
}

/// The layers' rules, with the crates that there are.
struct Rules {
    crates: BTreeSet<String>,
}

impl Rules {
    /// Every crate of Cargo.toml, as code names it.
    fn of(manifest: &str) -> Self {
        let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
        let mut crates: BTreeSet<String> = ["std", "core", "alloc"].map(str::to_owned).into();
        for section in ["dependencies", "dev-dependencies"] {
            let names = manifest.get(section).and_then(toml::Value::as_table).expect("it has this section");
            crates.extend(names.keys().map(|name| name.replace('-', "_")));
        }
        Self { crates }
    }

    /// What a file says against the rules. `file` is its path below `src`.
    fn violations(&self, file: &str, source: &Source) -> Vec<Violation> {
        let module = module_of(file);
        let layer = module.first().map_or("lib", String::as_str);
        let Some((_, arrows)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            let why = format!("`{layer}` is no layer; add it to the map in src/lib.rs and to this test");
            return vec![Violation { file: file.to_owned(), path: layer.to_owned(), why }];
        };
        let mut found: Vec<Violation> = Vec::new();
        for segments in &source.paths {
            let why = match self.ours(&module, segments, source) {
                Some(ours) => against_arrows(layer, arrows, &ours),
                None => self.against_crates(layer, segments),
            };
            if let Some(why) = why {
                let (file, path) = (file.to_owned(), segments.join("::"));
                found.push(Violation { file, path, why });
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// The path from the crate's root, where it leads to something of ours; none where it leads outside or is no path.
    fn ours(&self, module: &[String], segments: &[String], source: &Source) -> Option<Vec<String>> {
        let mut from: Vec<String> = match segments.first()?.as_str() {
            "crate" | "cutover" => Vec::new(),
            "self" | "super" => module.to_vec(),
            first if source.own_names.contains(first) => {
                return Some([module, segments].concat());
            }
            first
                if self.crates.contains(first)
                    || DOMAIN_NEVER.iter().any(|never| segments.starts_with(&owned(never))) =>
            {
                return None;
            }
            // A type's or a variable's name: something imported, and judged there.
            _ => return Some(module.to_vec()),
        };
        for segment in segments {
            match segment.as_str() {
                "crate" | "cutover" | "self" => {}
                "super" => {
                    from.pop();
                }
                name => from.push(name.to_owned()),
            }
        }
        Some(from)
    }

    fn against_crates(&self, layer: &str, segments: &[String]) -> Option<String> {
        let name = segments.first()?;
        if let Some((_, layers)) = KEPT_IN.iter().find(|(kept, _)| kept == name)
            && !layers.contains(&layer)
        {
            return Some(format!("only {} may name this crate", layers.join(" and ")));
        }
        if layer != "domain" {
            return None;
        }
        if self.crates.contains(name) && !DOMAIN_CRATES.contains(&name.as_str()) {
            return Some(format!("domain may name {} only", DOMAIN_CRATES.join(", ")));
        }
        let never = DOMAIN_NEVER.iter().find(|never| segments.starts_with(&owned(never)))?;
        Some(format!("domain has no clock and no I/O, so no {}", never.join("::")))
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|segment| (*segment).to_owned()).collect()
}

/// Why a layer may not use something of ours.
fn against_arrows(layer: &str, arrows: &[&[&str]], ours: &[String]) -> Option<String> {
    let other = ours.first()?;
    let failpoint = other == "failpoint" && layer != "domain";
    if other == layer || other == "domain" || failpoint || !LAYERS.iter().any(|(name, _)| name == other) {
        return None;
    }
    if arrows.iter().any(|arrow| ours.starts_with(&owned(arrow))) {
        return None;
    }
    let allowed: Vec<String> =
        std::iter::once("domain".to_owned()).chain(arrows.iter().map(|arrow| arrow.join("::"))).collect();
    Some(format!("{layer} may use {} only", allowed.join(", ")))
}

/// `adapters/kube/watch.rs` is the module `adapters::kube::watch`.
fn module_of(file: &str) -> Vec<String> {
    let name = file.strip_suffix(".rs").unwrap_or(file);
    if name == "lib" { Vec::new() } else { name.split('/').map(str::to_owned).collect() }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory, with its path from there.
fn rust_files(dir: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("a directory of ours can be read") {
            let path = entry.expect("its entries too").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(dir).expect("it was found below").display().to_string();
                found.push((below, path));
            }
        }
    }
    found.sort();
    found
}

fn rules() -> Rules {
    Rules::of(&fs::read_to_string(root().join("Cargo.toml")).expect("there is a Cargo.toml"))
}

/// Whether a file belongs to a module that only tests have.
fn is_for_tests(file: &str, test_modules: &BTreeSet<Vec<String>>) -> bool {
    let module = module_of(file);
    (1..=module.len()).any(|length| test_modules.contains(&module[..length]))
}

/// Every file of the product, those of tests apart.
fn sources() -> Vec<(String, Source)> {
    let files: Vec<(String, Source)> = rust_files(&root().join("src"))
        .into_iter()
        .map(|(file, path)| (file, Source::read(&fs::read_to_string(path).expect("a source file is text"))))
        .collect();
    assert!(files.len() > 100, "the sources were found: {}", files.len());
    let test_modules: BTreeSet<Vec<String>> = files
        .iter()
        .flat_map(|(file, source)| {
            source.test_modules.iter().map(|name| [module_of(file), vec![name.clone()]].concat())
        })
        .collect();
    files.into_iter().filter(|(file, _)| !is_for_tests(file, &test_modules)).collect()
}

/// Which files use which, by their modules. What a module uses of those above it does not count: they are what it is part of.
struct Graph<'a> {
    files: BTreeMap<Vec<String>, &'a Source>,
}

impl<'a> Graph<'a> {
    fn of(sources: &'a [(String, Source)]) -> Self {
        Self { files: sources.iter().map(|(file, source)| (module_of(file), source)).collect() }
    }

    /// The modules that one uses, apart from those above it.
    fn uses(&self, module: &[String]) -> BTreeSet<Vec<String>> {
        let Some(source) = self.files.get(module) else { return BTreeSet::new() };
        let named = source.paths.iter().filter_map(|path| self.leads_to(module, path, 0));
        named.filter(|used| used != module && !module.starts_with(used)).collect()
    }

    /// The module that what a path names is written in: one that hands it on from a child is passed through.
    fn leads_to(&self, module: &[String], path: &[String], passed: usize) -> Option<Vec<String>> {
        let source = self.files.get(module)?;
        let first = path.first()?;
        let mut at = match first.as_str() {
            "crate" | "cutover" => Vec::new(),
            "self" | "super" => module.to_vec(),
            name if self.files.contains_key(&[module, &[name.to_owned()]].concat()) => module.to_vec(),
            _ => return None,
        };
        let mut rest = Vec::new();
        for segment in path {
            match segment.as_str() {
                "crate" | "cutover" | "self" if rest.is_empty() => {}
                "super" if rest.is_empty() => {
                    at.pop();
                }
                name if rest.is_empty()
                    && self.files.contains_key(&[&at[..], &[name.to_owned()]].concat()) =>
                {
                    at.push(name.to_owned());
                }
                name => rest.push(name.to_owned()),
            }
        }
        let (name, there) = (rest.first(), self.files.get(&at)?);
        let handed_on = name.filter(|_| passed < 4 && !std::ptr::eq(*there, *source)).and_then(|name| {
            let mut ways = there.paths.iter().filter(|way| way.len() > 1 && way.last() == Some(name));
            ways.find_map(|way| self.leads_to(&at, way, passed + 1))
        });
        Some(handed_on.unwrap_or(at))
    }

    /// The shortest way from each module back to itself, each circle once.
    fn circles(&self) -> BTreeSet<Vec<String>> {
        let uses: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> =
            self.files.keys().map(|module| (module.clone(), self.uses(module))).collect();
        let mut circles: BTreeMap<BTreeSet<String>, Vec<String>> = BTreeMap::new();
        for start in self.files.keys() {
            let mut before: BTreeMap<&[String], &[String]> = BTreeMap::new();
            let mut waiting: VecDeque<&[String]> = VecDeque::from([&start[..]]);
            while let Some(at) = waiting.pop_front() {
                for next in uses.get(at).into_iter().flatten() {
                    if !before.contains_key(&next[..]) {
                        before.insert(next, at);
                        waiting.push_back(next);
                    }
                }
            }
            let Some(mut at) = before.get(&start[..]).copied() else { continue };
            let mut way = vec![start.join("::")];
            while at != &start[..] {
                way.push(at.join("::"));
                at = before[at];
            }
            way.push(start.join("::"));
            way.reverse();
            circles.entry(way.iter().cloned().collect()).or_insert(way);
        }
        circles.into_values().collect()
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = sources();
    let circles = Graph::of(&sources).circles();
    let shown: Vec<String> = circles.iter().map(|circle| circle.join(" -> ")).collect();
    assert!(circles.is_empty(), "{} circles of files:\n{}", circles.len(), shown.join("\n"));
}

#[test]
fn planted_circles_are_caught() {
    let circles = |files: &[(&str, &str)]| -> Vec<String> {
        let sources: Vec<(String, Source)> =
            files.iter().map(|(file, text)| ((*file).to_owned(), Source::read(text))).collect();
        Graph::of(&sources).circles().iter().map(|circle| circle.join(" -> ")).collect()
    };
    let (lib, a, b) = (("lib.rs", ""), ("a.rs", "mod one; mod two;"), ("b.rs", ""));
    assert_eq!(
        circles(&[lib, a, b, ("a/one.rs", "use super::two::Two;"), ("a/two.rs", "use crate::a::one;")]),
        ["a::one -> a::two -> a::one"]
    );
    // Through a third, and inline.
    assert_eq!(
        circles(&[
            lib,
            a,
            ("b.rs", "fn f() { crate::a::one::g() }"),
            ("a/one.rs", "use super::two::Two;"),
            ("a/two.rs", "use crate::{b::f};")
        ]),
        ["a::one -> a::two -> b -> a::one"]
    );
    // What a parent hands on is its child's.
    assert_eq!(
        circles(&[
            lib,
            ("a.rs", "mod one; mod two; pub use one::One;"),
            b,
            ("a/one.rs", "use super::two::Two;"),
            ("a/two.rs", "use super::One;")
        ]),
        ["a::one -> a::two -> a::one"]
    );
    // Through a parent that uses its child.
    assert_eq!(
        circles(&[
            lib,
            ("a.rs", "mod one; fn f() { one::g() }"),
            ("b.rs", "use crate::a::f;"),
            ("a/one.rs", "use crate::b;"),
        ]),
        ["a -> a::one -> b -> a"]
    );
    // A parent and its child are no circle, nor is a test.
    assert!(
        circles(&[lib, ("a.rs", "mod one; use one::One;"), b, ("a/one.rs", "use super::A; use crate::a;")])
            .is_empty()
    );
    assert!(
        circles(&[
            lib,
            a,
            b,
            ("a/one.rs", "use super::two::Two;"),
            ("a/two.rs", "#[cfg(test)]\nmod tests { use super::super::one::One; }")
        ])
        .is_empty()
    );
}

#[test]
fn no_layer_reaches_where_no_arrow_leads() {
    let rules = rules();
    let violations: Vec<String> = sources()
        .iter()
        .flat_map(|(file, source)| rules.violations(file, source))
        .map(|violation| format!("src/{violation}"))
        .collect();
    assert!(
        violations.is_empty(),
        "{} paths against the layers:\n{}",
        violations.len(),
        violations.join("\n")
    );
}

#[test]
fn modules_stand_beside_their_directories() {
    for dir in ["src", "tests"] {
        let named: Vec<String> = rust_files(&root().join(dir))
            .into_iter()
            .map(|(file, _)| format!("{dir}/{file}"))
            .filter(|file| file.ends_with("/mod.rs"))
            .collect();
        assert!(named.is_empty(), "write foo.rs beside foo/ instead of {}", named.join(", "));
    }
}

#[test]
fn the_top_level_holds_what_it_should() {
    let foreign: Vec<String> = fs::read_dir(root())
        .expect("the top level can be read")
        .map(|entry| entry.expect("its entries too").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(
        foreign.is_empty(),
        "the top level is for {}, not for {}",
        TOP_LEVEL.join(", "),
        foreign.join(", ")
    );
}

/// A long file is a smell, not a fault: it is told where the tests run, and fails nothing.
#[test]
fn long_files_are_told() {
    const LONG: usize = 500;
    let mut long: Vec<(usize, String)> = rust_files(&root().join("src"))
        .into_iter()
        .map(|(file, path)| (fs::read_to_string(path).expect("it is text").lines().count(), file))
        .filter(|(lines, _)| *lines > LONG)
        .collect();
    long.sort_by(|a, b| b.cmp(a));
    let mut out = std::io::stderr().lock();
    for (lines, file) in long {
        writeln!(out, "src/{file}: {lines} lines").expect("stderr takes a line");
    }
}

/// What the rules say to a text that would stand in a file.
fn judge(file: &str, text: &str) -> Vec<String> {
    rules().violations(file, &Source::read(text)).iter().map(ToString::to_string).collect()
}

#[test]
fn planted_violations_are_caught() {
    // Each line alone is against the rules of the file it would stand in.
    for (file, text) in [
        ("domain/run.rs", "use crate::engine::driver::Engine;"),
        ("domain/run.rs", "use crate::{config::load_str, domain::id::SlotName};"),
        ("domain/run.rs", "use tokio::sync::mpsc;"),
        ("domain/run.rs", "use std::{collections::BTreeMap, fs};"),
        ("domain/run.rs", "use std::time::{Duration, Instant};"),
        ("domain/run.rs", "fn f() { let now = std::time::SystemTime::now(); }"),
        ("domain/run.rs", "fn f() -> jiff::Timestamp { jiff::Timestamp::now() }"),
        ("domain/run.rs", "fn f() -> String { format!(\"{}\", std::process::id()) }"),
        ("domain/run.rs", "use regex::Regex;"),
        ("domain/run.rs", "use crate::failpoint;"),
        ("failpoint.rs", "use crate::engine::ports::Clock;"),
        ("domain/machine/step.rs", "use super::super::super::engine;"),
        ("domain/run.rs", "mod deep { fn f() { super::super::super::world::start() } }"),
        ("config/load.rs", "use crate::engine::ports::Clock;"),
        ("engine/driver.rs", "use crate::journal::Writer;"),
        ("engine/driver.rs", "use crate::adapters;"),
        ("journal/writer.rs", "use crate::engine::driver::Engine;"),
        ("adapters/kube.rs", "use crate::{domain::time::Span, engine::{mask::Masker, ports::Clock}};"),
        ("adapters/kube.rs", "fn f() { crate::world::start(); }"),
        ("link/local.rs", "use crate::engine::messages::UpdateSink;"),
        ("tui/view.rs", "use crate::engine::ports::Clock;"),
        ("tui/view.rs", "use kube::Client;"),
        ("world/cluster.rs", "use crate::{adapters::kube::KubeConnector, domain::time::Span};"),
        ("report/markdown.rs", "use crate::journal::read;"),
        ("cli/run.rs", "use ratatui::Frame;"),
        ("cli/run.rs", "use crate::journal::read;"),
        ("cli/run.rs", "fn f() { crate::engine::driver::start() }"),
        ("flight/job.rs", "use crate::{cli::args::RunArgs, domain::id::RunId};"),
        ("tui/view.rs", "use crate::flight::store;"),
        ("main.rs", "fn main() -> color_eyre::Result<()> { Ok(()) }"),
        ("cli/run.rs", "fn f() { assert!(crossterm::terminal::size().is_ok()) }"),
        ("cli/run.rs", "use k8s_openapi::api::core::v1::Pod;"),
        ("engine/look.rs", "use color_eyre::eyre::eyre;"),
        ("main.rs", "use cutover::engine;"),
        ("helpers/text.rs", "fn f() {}"),
    ] {
        assert_eq!(judge(file, text).len(), 1, "src/{file}: {text}: {:?}", judge(file, text));
    }
}

#[test]
fn a_violation_says_where_and_why() {
    let text = "//! A module.\nuse std::fmt;\nuse crate::{\n    domain::id::SlotName,\n    engine::{\n        mask::Masker,\n        ports::Clock,\n    },\n};\n";
    assert_eq!(
        judge("adapters/kube/watch.rs", text),
        [
            "adapters/kube/watch.rs: `crate::engine::mask::Masker`: adapters may use domain, engine::ports only"
        ]
    );
}

#[test]
fn what_is_allowed_passes() {
    for (file, text) in [
        ("domain/run.rs", "use std::{collections::BTreeMap, fmt, time::Duration}; use super::time::Span;"),
        ("domain/run.rs", "//! Not std::fs, not `use crate::engine`.\nconst A: &str = \"use tokio::fs;\";"),
        (
            "domain/run.rs",
            "#[cfg(test)]\nmod tests { use crate::config; use std::fs; }\nuse crate::domain::id;",
        ),
        (
            "domain/run.rs",
            "#[cfg(test)]\nuse std::{fs, process};\nfn f(now: Timestamp) -> Span { now.since(now) }",
        ),
        (
            "adapters/kube.rs",
            "mod watch; use watch::Watcher; use crate::engine::ports::{self, Clock}; use kube::Api;",
        ),
        (
            "journal/writer.rs",
            "use crate::{engine::ports::Journal, failpoint}; use crate::domain::event::Envelope;",
        ),
        (
            "tui/view.rs",
            "use ratatui::Frame; use crate::{config::theme::Theme, link::Client, domain::run::Run};",
        ),
        ("world/cluster.rs", "use crate::domain::time::Timestamp; use k8s_openapi::api; use super::clock;"),
        (
            "flight/world.rs",
            "use crate::{adapters, engine::driver, journal, link, world}; use color_eyre::eyre::eyre;",
        ),
        (
            "cli/status.rs",
            "use crate::{config, domain::run::Run, flight::store, link, tui}; use clap::Parser;",
        ),
        ("main.rs", "use cutover::cli; fn main() -> ExitCode { cli::main().into() }"),
        ("lib.rs", "pub mod domain; pub mod engine;"),
    ] {
        assert_eq!(judge(file, text), Vec::<String>::new(), "src/{file}: {text}");
    }
}

#[test]
fn only_files_of_test_modules_are_exempt() {
    let source =
        Source::read("#[cfg(test)]\nmod tests;\nmod validate;\n#[cfg(test)]\npub(super) mod testing;");
    assert_eq!(source.test_modules, ["testing".to_owned(), "tests".to_owned()].into());
    let test_modules: BTreeSet<Vec<String>> =
        source.test_modules.iter().map(|name| vec!["world".to_owned(), name.clone()]).collect();
    assert!(is_for_tests("world/tests.rs", &test_modules));
    assert!(is_for_tests("world/testing/server.rs", &test_modules));
    assert!(!is_for_tests("world/validate.rs", &test_modules));
    assert!(!is_for_tests("tests.rs", &test_modules));
}
