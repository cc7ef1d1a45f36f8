//! One file for each way to get a runbook wrong, under `tests/bad/`, with what is said about it beside it.
//!
//! Files that begin with `warning-` load, with warnings; all others don't load.

use std::{fs, path::Path};

use cutover::config::{Loaded, load_file, load_str};

fn bad() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

#[test]
fn every_bad_runbook_is_told_with_place_and_cure() {
    let mut files: Vec<_> = fs::read_dir(bad())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 40, "the files are there");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(bad());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in files {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let loaded = load_str(&format!("{name}.toml"), &text);
            if name.starts_with("warning-") {
                assert!(
                    loaded.runbook.is_some() && loaded.warnings() > 0,
                    "{name}: {}",
                    loaded.render(false)
                );
            } else {
                assert!(loaded.runbook.is_none() && loaded.errors() > 0, "{name} must not load");
            }
            for fault in &loaded.diagnostics {
                assert!(fault.line > 0 && fault.span.is_some(), "{name}: {fault} has a place");
            }
            insta::assert_snapshot!(name.as_str(), loaded.render(false));
        }
    });
}

fn refused(loaded: &Loaded, words: &str) {
    assert!(loaded.runbook.is_none());
    assert!(
        loaded.diagnostics.iter().any(|fault| fault.to_string().contains(words)),
        "{}",
        loaded.render(false)
    );
}

#[test]
fn nesting_bombs_are_refused() {
    let deep = 100_000;
    for text in [
        format!("a = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("a = {}1{}", "{a=".repeat(deep), "}".repeat(deep)),
        format!("a{} = 1", ".a".repeat(deep)),
        format!("[a{}]", ".a".repeat(deep)),
    ] {
        refused(&load_str("bomb.toml", &text), "nested too deeply");
    }
}

#[test]
fn a_file_beyond_one_mebibyte_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.toml");
    fs::write(&path, "# ".to_owned() + &"x".repeat(1024 * 1024)).unwrap();
    refused(&load_file(&path).unwrap(), "larger than 1 MiB");
    refused(&load_str("large.toml", &"#".repeat(1024 * 1024 + 1)), "larger than 1 MiB");
}

#[test]
fn a_device_without_end_is_refused() {
    refused(&load_file(Path::new("/dev/zero")).unwrap(), "larger than 1 MiB");
}

#[test]
fn a_file_that_is_not_utf8_is_refused_at_its_first_bad_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latin1.toml");
    fs::write(&path, b"[runbook]\ntitle = \"Gr\xfc\xdfe\"\n").unwrap();
    let loaded = load_file(&path).unwrap();
    refused(&loaded, "not valid UTF-8: byte 0xFC");
    let fault = &loaded.diagnostics[0];
    assert_eq!((fault.line, fault.column), (2, 12));
    assert!(loaded.render(false).contains("title = \"Gr"), "{}", loaded.render(false));
}

#[test]
fn a_file_that_is_not_there_is_an_io_error() {
    assert_eq!(
        load_file(Path::new("/nonexistent/runbook.toml")).unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
}

#[test]
fn no_fault_brings_a_control_character_to_the_terminal() {
    let text = "\u{1b}]0;x\u{7} = 1\n[vars]\n\"\u{202e}\u{9b}\" = 1\nA = { ask = \"\\u001b[2J\" }\nB = \"\u{1b}[31m\"\n";
    let loaded = load_str("hostile\u{1b}.toml", text);
    assert!(loaded.errors() > 1, "{}", loaded.render(false));
    let shown = loaded.render(false);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    assert!(!shown.contains('\u{202e}'));
}

#[test]
fn a_flood_of_faults_is_cut_short() {
    let text = "a = \n".repeat(5_000);
    let loaded = load_str("flood.toml", &text);
    assert!(loaded.errors() > 1_000);
    let shown = loaded.render(false);
    assert!(shown.lines().count() < 1_500 && shown.contains(" more"), "{}", shown.lines().count());
}

/// Front matter, a deployment and a step around some text.
fn around(text: &str) -> String {
    format!(
        "[runbook]\nmodule = \"m\"\ntitle = \"t\"\nstatus = \"draft\"\nversion = \"1\"\nlast_updated = 2026-11-20\n\
         author = \"a\"\n[deployment]\nenvironment = \"staging\"\nstrategy = \"rolling\"\n\
         [[step]]\nid = \"look\"\ntitle = \"Look\"\ncheck = [{{ text = \"ok\" }}]\n{text}"
    )
}

/// Each of these took seconds to minutes, or all the stack there is.
#[test]
fn what_grows_when_it_is_read_is_read_at_once_or_refused() {
    let begun = std::time::Instant::now();
    let lines = |line: &dyn Fn(u32) -> String| (0..3_000).map(line).collect::<Vec<_>>().concat();
    let chain = lines(&|n| format!("V{} = {{ value = \"$V{n}\" }}\n", n + 1));
    let chained = load_str("chain.toml", &around(&format!("[vars]\nV0 = {{ value = \"x\" }}\n{chain}")));
    assert_eq!(chained.errors(), 0, "{}", chained.render(false));
    let unknown = lines(&|n| format!("W{n} = {{ value = \"$X{n}\" }}\n"));
    assert_eq!(load_str("unknown.toml", &around(&format!("[vars]\n{unknown}"))).errors(), 3_000);
    let captured = lines(&|n| format!("C{n} = {{ captured = true }}\n"));
    let captures = lines(&|n| format!("C{n} = '(x)',\n"));
    let step = format!(
        "[[step]]\nid = \"c\"\ntitle = \"C\"\nno_undo = \"none\"\nrun = [{{ sh = \"true\", capture = {{\n{captures}}} }}]\n"
    );
    let captured = load_str("captured.toml", &around(&format!("{step}[vars]\n{captured}")));
    assert_eq!(captured.errors(), 0, "{}", captured.render(false));
    for query in [
        format!("{}up", "-".repeat(60_000)),
        format!("{}up", "- ".repeat(30_000)),
        format!("{}up{}", "(".repeat(60_000), ")".repeat(60_000)),
        format!("up{}", " + up".repeat(20_000)),
        format!("up{}", "[1m:]".repeat(20_000)),
    ] {
        let metric = format!(
            "[sources.prometheus]\nurl = \"http://p:9090\"\n[metrics.m]\nunit = \"count\"\nquery = \"{query}\"\n"
        );
        refused(&load_str("query.toml", &around(&metric)), "query");
    }
    // Some hundredths of a second each where it is right, minutes where it is not.
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Whatever is cut off or flipped in our own runbook, it is read to the end and something is said or it loads.
#[test]
fn no_damage_to_a_runbook_stops_the_reader() {
    let whole = cutover::config::BUILTIN_RUNBOOK;
    let step = whole.len() / 25;
    for at in (0..whole.len()).step_by(step).filter(|at| whole.is_char_boundary(*at)) {
        let cut = load_str("cut.toml", &whole[..at]);
        assert!(cut.runbook.is_some() || cut.errors() > 0);
        let mut flipped = whole.as_bytes().to_vec();
        flipped[at] ^= 0x04;
        if let Ok(text) = String::from_utf8(flipped) {
            let loaded = load_str("flipped.toml", &text);
            assert!(loaded.runbook.is_some() || loaded.errors() > 0);
            loaded.render(true);
        }
    }
}
