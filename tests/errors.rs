//! Every error that a person can run into is a sentence: what happened and where, then what to do, and an exit code that is
//! published. No backtrace, no place in our sources, no colour where none is wanted.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

use std::{fs, path::Path};

use assert_cmd::Command;

/// What must come of one command.
struct Case {
    /// What is wrong.
    name: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    exit: i32,
    /// Each stands in what is printed to stderr.
    says: &'static [&'static str],
}

const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
contexts: [{name: lab, context: {cluster: lab, user: me}}]
current-context: lab
"#;

const CASES: &[Case] = &[
    Case {
        name: "no runbook",
        args: &["run", "--plain", "none.toml"],
        env: &[],
        exit: 2,
        says: &["there is no runbook none.toml", "cutover rehearse"],
    },
    Case {
        name: "no runbook to check",
        args: &["check", "none.toml"],
        env: &[],
        exit: 2,
        says: &["there is no runbook none.toml"],
    },
    Case {
        name: "a directory instead of a runbook",
        args: &["plan", "."],
        env: &[],
        exit: 2,
        says: &["cannot read the runbook .: Is a directory", "give a file that you can read"],
    },
    Case {
        name: "a runbook that is no text",
        args: &["plan", "bytes.toml"],
        env: &[],
        exit: 3,
        says: &["bytes.toml:2: the byte at offset 6 is not UTF-8 text", "save the file as UTF-8"],
    },
    Case {
        name: "a target of one slot",
        args: &["run", "--plain", "one-slot.toml"],
        env: &[],
        exit: 3,
        says: &[
            "blue-green needs two slots, but there is only one",
            "one-slot.toml:",
            "and the same for green",
        ],
    },
    Case {
        name: "no kubeconfig",
        args: &["run", "--plain", "runbook.toml"],
        env: &[("KUBECONFIG", "none.yaml")],
        exit: 2,
        says: &["no usable kubeconfig at KUBECONFIG=none.yaml", "set KUBECONFIG to a readable one"],
    },
    Case {
        name: "a kubeconfig that is none",
        args: &["run", "--plain", "runbook.toml"],
        env: &[("KUBECONFIG", "broken.yaml")],
        exit: 2,
        says: &[
            "no usable kubeconfig at KUBECONFIG=broken.yaml",
            "line 1 column",
            "set KUBECONFIG to a readable one",
        ],
    },
    Case {
        name: "an unknown context",
        args: &["run", "--plain", "context.toml"],
        env: &[("KUBECONFIG", "good.yaml")],
        exit: 2,
        says: &[
            "has no context `elsewhere`\n",
            "cutover: it has `lab`\n",
            "cutover: correct `target.context` in the runbook",
        ],
    },
    Case {
        name: "a cluster that does not answer",
        args: &["run", "--plain", "runbook.toml"],
        env: &[("KUBECONFIG", "good.yaml")],
        exit: 3,
        says: &["the API server http://127.0.0.1:1 cannot be reached", "\ncutover: check the network"],
    },
    Case {
        name: "a host without authorities is no matter on a plain connection",
        args: &["run", "--plain", "runbook.toml"],
        env: &[("KUBECONFIG", "good.yaml"), ("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nonexistent")],
        exit: 3,
        says: &["the API server http://127.0.0.1:1 cannot be reached"],
    },
    Case {
        name: "no such run: status",
        args: &["status", "20260101-000000-aaaa"],
        env: &[],
        exit: 2,
        says: &["there is no run 20260101-000000-aaaa on this host", "see: cutover list"],
    },
    Case {
        name: "no such state to wait for",
        args: &["status", "--wait", "succeeded,done"],
        env: &[],
        exit: 2,
        says: &["there is no state `done`; the states are open, window, waits,", "nobody-watches"],
    },
    Case {
        name: "a page where a file is",
        args: &["export", "runbook.toml", "--output", "good.yaml"],
        env: &[],
        exit: 2,
        says: &["good.yaml exists already\n", "give another file, or replace this one with --overwrite"],
    },
    Case {
        name: "a page where no folder is",
        args: &["export", "runbook.toml", "--output", "none/page.md"],
        env: &[],
        exit: 2,
        says: &["cannot write none/page.md: No such file or directory", "with --output"],
    },
    Case {
        name: "no page of a faulty runbook",
        args: &["export", "one-slot.toml"],
        env: &[],
        exit: 3,
        says: &[
            "blue-green needs two slots",
            "one-slot.toml has errors, so it has no page",
            "see: cutover check",
        ],
    },
    Case {
        name: "no such run: attach",
        args: &["attach", "20260101-000000-aaaa"],
        env: &[],
        exit: 2,
        says: &["there is no run 20260101-000000-aaaa on this host", "see: cutover list"],
    },
    Case {
        name: "no such run: resume",
        args: &["resume", "--plain", "20260101-000000-aaaa"],
        env: &[],
        exit: 2,
        says: &["there is no run 20260101-000000-aaaa on this host", "see: cutover list"],
    },
    Case {
        name: "no such run: rollback",
        args: &["rollback", "20260101-000000-aaaa", "--reason", "errors"],
        env: &[],
        exit: 2,
        says: &["there is no run 20260101-000000-aaaa on this host", "see: cutover list"],
    },
    Case {
        name: "no such run: tasks",
        args: &["tasks", "20260101-000000-aaaa"],
        env: &[],
        exit: 2,
        says: &["there is no run 20260101-000000-aaaa on this host", "see: cutover list"],
    },
    Case {
        name: "no runs at all",
        args: &["status"],
        env: &[],
        exit: 2,
        says: &["there are no runs on this host yet", "cutover rehearse"],
    },
    Case {
        name: "no active run",
        args: &["attach"],
        env: &[],
        exit: 2,
        says: &["there is no active run on this host", "start one with: cutover run"],
    },
    Case {
        name: "no run to end",
        args: &["abort", "--reason", "lunch"],
        env: &[],
        exit: 2,
        says: &["there is no active run on this host", "start one with: cutover run"],
    },
    Case {
        name: "nothing to resume",
        args: &["resume", "--plain"],
        env: &[],
        exit: 2,
        says: &["there is no paused run on this host", "see: cutover list"],
    },
    Case {
        name: "an unknown flag",
        args: &["run", "--plainn"],
        env: &[],
        exit: 2,
        says: &["unexpected argument '--plainn' found", "'--plain'", "see: cutover run --help"],
    },
    Case {
        name: "a value that is none",
        args: &["rehearse", "--speed", "fast"],
        env: &[],
        exit: 2,
        says: &["invalid value 'fast' for '--speed <N>'", "see: cutover rehearse --help"],
    },
    Case {
        name: "a flag that is missing",
        args: &["rollback"],
        env: &[],
        exit: 2,
        says: &["required arguments were not provided: --reason <REASON>", "see: cutover rollback --help"],
    },
    Case {
        name: "an unknown subcommand",
        args: &["fly"],
        env: &[],
        exit: 2,
        says: &["unrecognized subcommand 'fly'", "see: cutover --help"],
    },
    Case {
        name: "no such scenario",
        args: &["rehearse", "--plain", "--scenario", "doom"],
        env: &[],
        exit: 2,
        says: &["no such scenario: `doom`", "bad-release"],
    },
    Case {
        name: "a state directory that is a file",
        args: &["rehearse", "--plain", "--state-dir", "runbook.toml"],
        env: &[],
        exit: 2,
        says: &["cannot create runbook.toml/runs", "give a directory that you can write to with --state-dir"],
    },
    Case {
        name: "a state directory that nobody can make",
        args: &["rehearse", "--plain"],
        env: &[("CUTOVER_STATE_DIR", "/proc/nowhere")],
        exit: 2,
        says: &["cannot create /proc/nowhere/runs", "--state-dir"],
    },
    Case {
        name: "a state directory that can't be read",
        args: &["list", "--state-dir", "runbook.toml"],
        env: &[],
        exit: 2,
        says: &["cannot read runbook.toml/runs", "--state-dir"],
    },
    Case {
        name: "a faulty keymap, before a rehearsal is opened",
        args: &["rehearse"],
        env: &[("CUTOVER_SETTINGS", "with-keymap.toml")],
        exit: 2,
        says: &[
            "faulty-keys.toml:2:1: error: `quit` must have a key",
            "CUTOVER_SETTINGS=/dev/null",
            "cutover config",
        ],
    },
    Case {
        name: "a faulty keymap, before the cluster is asked",
        args: &["run", "runbook.toml"],
        env: &[("CUTOVER_SETTINGS", "with-keymap.toml"), ("KUBECONFIG", "none.yaml")],
        exit: 2,
        says: &["`quit` must have a key", "cutover config"],
    },
    Case {
        name: "a keymap that is not there",
        args: &["rehearse"],
        env: &[("CUTOVER_KEYMAP", "none.toml")],
        exit: 2,
        says: &["none.toml: error: cannot be read", "unset CUTOVER_KEYMAP", "cutover config"],
    },
    Case {
        name: "faulty settings, before a rehearsal is opened",
        args: &["rehearse", "--plain"],
        env: &[("CUTOVER_SETTINGS", "faulty-settings.toml")],
        exit: 2,
        says: &[
            "faulty-settings.toml:1:1: error: unknown setting `colour`; did you mean `color`?",
            "faulty-settings.toml:2:8: error: `bell` cannot be \"loud\"",
            "CUTOVER_SETTINGS=/dev/null",
        ],
    },
    Case {
        name: "settings that are named and not there",
        args: &["rehearse", "--plain"],
        env: &[("CUTOVER_SETTINGS", "none.toml")],
        exit: 2,
        says: &["none.toml: error: cannot be read"],
    },
    Case {
        name: "a faulty variable",
        args: &["rehearse", "--plain"],
        env: &[("CUTOVER_BELL", "loud")],
        exit: 2,
        says: &[
            "$CUTOVER_BELL: error: `bell` cannot be \"loud\"; write `true` or `false`",
            "unset CUTOVER_BELL",
        ],
    },
    Case {
        name: "faulty settings keep nobody from rolling back",
        args: &["rollback", "20260101-000000-aaaa", "--reason", "errors"],
        env: &[("CUTOVER_SETTINGS", "faulty-settings.toml")],
        exit: 2,
        says: &["ignored: faulty-settings.toml:1:1", "there is no run 20260101-000000-aaaa"],
    },
    Case {
        name: "an engine that is started by hand",
        args: &["engine"],
        env: &[],
        exit: 2,
        says: &["`cutover engine` is started by `cutover run`"],
    },
];

fn stage(dir: &Path) {
    let runbook = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/runbook.toml")).unwrap();
    let one_slot: Vec<&str> = runbook.lines().filter(|line| !line.starts_with("slots.green")).collect();
    for (name, text) in [
        ("runbook.toml", runbook.clone()),
        ("one-slot.toml", one_slot.join("\n")),
        ("context.toml", runbook.replace("\n[target]\n", "\n[target]\ncontext = \"elsewhere\"\n")),
        ("good.yaml", KUBECONFIG.to_owned()),
        ("broken.yaml", "{{{".to_owned()),
        ("faulty-keys.toml", "[global]\nquit = []\n".to_owned()),
        ("with-keymap.toml", "keymap = \"faulty-keys.toml\"\n".to_owned()),
        ("faulty-settings.toml", "colour = \"never\"\nbell = \"loud\"\n".to_owned()),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
    fs::write(dir.join("bytes.toml"), b"a = 1\n\xff\n").unwrap();
    fs::create_dir(dir.join("home")).unwrap();
}

/// The program in an environment that is all ours: nothing asks for a backtrace.
fn cutover(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.current_dir(dir).env_clear().env("HOME", dir.join("home")).env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8").env("CUTOVER_STATE_DIR", dir.join("state"));
    command
}

fn judge(dir: &Path, case: &Case, colour: &[(&str, &str)], more: &[&str]) {
    let mut command = cutover(dir);
    command.args(case.args).args(more).envs(case.env.iter().copied()).envs(colour.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let name = case.name;
    assert_eq!(output.status.code(), Some(case.exit), "{name}: {said}");
    for words in case.says {
        assert!(said.contains(words), "{name}: `{words}` is missing in:\n{said}");
    }
    for never in ["0x", "at src/", "src/", "stack backtrace", "RUST_BACKTRACE", "panicked", "Report", "<U+"] {
        assert!(!said.contains(never), "{name}: `{never}` in:\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "{name}: an escape sequence in:\n{said}");
    assert!(
        !String::from_utf8_lossy(&output.stdout).contains('\u{1b}'),
        "{name}: an escape sequence on stdout"
    );
}

#[test]
fn every_error_is_a_sentence_with_a_published_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path());
    for case in CASES {
        // Not a terminal; and as somebody asks who wants no colours on one.
        judge(dir.path(), case, &[], &[]);
        judge(dir.path(), case, &[("NO_COLOR", "1")], &[]);
    }
    let runs = fs::read_dir(dir.path().join("state/runs")).map_or(0, Iterator::count);
    assert_eq!(runs, 0, "none of these has opened a run");
}

#[test]
fn what_an_error_quotes_of_a_file_is_text_and_nothing_that_a_terminal_obeys() {
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path());
    // Into the clipboard, into the title, off the screen, against the direction of reading, and as a line of our own.
    let evil = "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{9b}31m\r\nrun it as root";
    let event = serde_json::json!({ "seq": 1, "at": "2026-11-28T12:00:00Z", "event": evil.repeat(40) });
    let text = serde_json::json!({ "schema_version": 1, "events": [event] });
    fs::write(dir.path().join("evil.json"), text.to_string()).unwrap();
    let output = cutover(dir.path()).args(["replay", "--from", "evil.json"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said:?}");
    let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!said.chars().any(obeyed), "{said:?}");
    assert!(said.contains("<U+001B>"), "a reader sees that something was there: {said:?}");
    assert!(said.lines().all(|line| line.starts_with("cutover: ") && line.len() < 600), "{said:?}");
    assert!(!said.contains("cutover: run it as root"), "{said:?}");
}

#[test]
fn a_runbooks_faults_have_colours_only_where_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path());
    let said = |args: &[&str], env: &[(&str, &str)]| {
        let output = cutover(dir.path()).args(args).envs(env.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap().contains('\u{1b}')
    };
    assert!(!said(&["check", "one-slot.toml"], &[]));
    assert!(!said(&["check", "--color", "never", "one-slot.toml"], &[]));
    assert!(said(&["check", "--color", "always", "one-slot.toml"], &[]));
    assert!(!said(&["check", "one-slot.toml"], &[("NO_COLOR", "1")]));
    assert!(!said(&["run", "--plain", "--color", "never", "one-slot.toml"], &[]));
}

#[test]
fn config_says_where_everything_is_and_where_each_value_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path());
    fs::write(dir.path().join("mine.toml"), "# mine\ncolor = \"never\"\nosc9 = true\n").unwrap();
    let config = |args: &[&str], env: &[(&str, &str)]| {
        let output = cutover(dir.path()).arg("config").args(args).envs(env.iter().copied()).output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code(), out, err)
    };
    let mine = [("CUTOVER_SETTINGS", "mine.toml"), ("CUTOVER_SLOW_LINK", "1")];
    let (exit, out, err) = config(&["--state-dir", "elsewhere"], &mine);
    assert_eq!((exit, err.as_str()), (Some(0), ""));
    let line = |name: &str| -> Vec<&str> {
        let found = out.lines().filter(|line| line.split_whitespace().next() == Some(name));
        found.flat_map(|line| line.split_whitespace().skip(1)).collect()
    };
    assert_eq!(line("settings"), ["mine.toml"]);
    assert_eq!(line("keymap")[..2], ["built", "in"]);
    assert_eq!(line("runs")[0], "elsewhere/runs");
    assert_eq!(line("logs")[0], "elsewhere/logs");
    assert_eq!(line("color"), ["never", "mine.toml:2"]);
    assert_eq!(line("osc9"), ["true", "mine.toml:3"]);
    assert_eq!(line("slow_link"), ["true", "$CUTOVER_SLOW_LINK"]);
    assert_eq!(line("state_dir"), ["elsewhere", "--state-dir"]);
    assert_eq!(line("bell"), ["true", "default"]);

    let (exit, out, _) = config(&["--json", "--color", "always"], &mine);
    assert_eq!(exit, Some(0));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["paths"]["settings"], serde_json::json!({ "path": "mine.toml", "exists": true }));
    assert_eq!(document["paths"]["cache"], serde_json::Value::Null);
    let of = |name: &str| {
        let settings = document["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).unwrap().clone()
    };
    assert_eq!(of("color")["value"], "always");
    assert_eq!(of("color")["from"]["name"], "--color");
    assert_eq!(of("osc9")["from"]["line"], 3);
    assert_eq!(of("slow_link")["from"]["kind"], "environment");

    let (exit, _, err) = config(&[], &[("CUTOVER_SETTINGS", "faulty-settings.toml")]);
    assert_eq!(exit, Some(2));
    assert!(err.contains("faulty-settings.toml:1:1: error: unknown setting `colour`"), "{err}");
}

/// What a shell would show in the middle of the line that is being typed.
#[test]
fn a_shell_that_asks_for_completions_is_told_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path());
    let asked = |shell: &str, words: &[&str]| {
        let mut command = cutover(dir.path());
        command
            .env("CUTOVER_COMPLETE", shell)
            .env("CUTOVER_SETTINGS", "faulty-settings.toml")
            .env("_CLAP_IFS", " ");
        command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string()).arg("--").args(words);
        let output = command.output().unwrap();
        assert!(output.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let said = |text: &str| (Some(0), text.to_owned());
    assert_eq!(asked("bash", &["cutover", "rehearse", "--scenario", "bad-r"]), said("bad-release"));
    assert_eq!(asked("bash", &["cutover", "check", "one"]), said("one-slot.toml"));
    let (code, runs) = asked("bash", &["cutover", "attach", ""]);
    assert!(code == Some(0) && runs.contains("--plain"), "there are no runs: {runs}");
    assert_eq!(asked("no-such-shell", &["cutover", ""]), (Some(1), String::new()));
    // No log, and no directory for one.
    assert!(!dir.path().join("state").exists());
    // The variable alone changes no command.
    let mut command = cutover(dir.path());
    let output = command.env("CUTOVER_COMPLETE", "bash").args(["check", "runbook.toml"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no errors"));
}
