use std::{
    os::unix::fs::{PermissionsExt, symlink},
    time::Instant,
};

use tokio::sync::watch;

use super::*;
use crate::domain::time::Span;

/// What a command did and printed.
struct Ran {
    exit: Exit,
    output: String,
    started: ChildProcess,
}

async fn ran(command: Invocation, cancel: CancelFlag) -> Result<Ran, SpawnError> {
    let output = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&output);
    let mut process = None;
    let exit = run(
        command,
        unfiltered(),
        move |bytes| sink.lock().unwrap().extend_from_slice(bytes),
        |started| process = Some(started),
        cancel,
    )
    .await?;
    let output = String::from_utf8_lossy(&output.lock().unwrap()).into_owned();
    Ok(Ran { exit, output, started: process.unwrap() })
}

fn script(script: &str) -> Invocation {
    Invocation::new(Program::Sh(script.to_owned()))
}

/// A flag that is never set. Its sender may go: nobody can cancel then.
fn never() -> CancelFlag {
    watch::channel(false).1
}

async fn sh(text: &str) -> Ran {
    ran(script(text), never()).await.unwrap()
}

fn first_pid(output: &str) -> u32 {
    output.split_whitespace().next().unwrap().parse().unwrap()
}

/// Whether a process is there and not dead. Pids are not reused within a test: they count up to millions.
fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn s4_every_exit_status_is_exact() {
    for code in 0..=255u8 {
        let ran = sh(&format!("exit {code}")).await;
        assert_eq!(ran.exit.status, Ending::Code(code));
        assert!(!ran.exit.timed_out && !ran.exit.cancelled && ran.exit.escaped.is_empty());
    }
}

#[tokio::test]
async fn s4_every_signal_is_exact() {
    for (number, name) in [
        (1, "HUP"),
        (2, "INT"),
        (3, "QUIT"),
        (6, "ABRT"),
        (9, "KILL"),
        (11, "SEGV"),
        (15, "TERM"),
        (31, "SYS"),
    ] {
        let ran = sh(&format!("ulimit -c 0; kill -{number} $$")).await;
        assert_eq!(ran.exit.status, Ending::Signal(number));
        assert_eq!(ran.exit.status.to_string(), format!("killed by signal {number} ({name})"));
    }
    assert_eq!(Ending::Code(3).to_string(), "exit status 3");
}

/// Runs here, and in [`s4_signals_that_we_ignore_are_not_handed_on`] under a program that ignores some.
#[tokio::test]
async fn s4_a_command_begins_with_clean_signals() {
    use nix::sys::signal::{SigSet, Signal};
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGUSR2);
    blocked.add(Signal::SIGINT);
    blocked.thread_block().unwrap();
    // By builtins: a shell blocks signals while it starts a program.
    let ran = sh("while read -r line; do echo \"$line\"; done </proc/$$/status").await;
    let mask = |name: &str| {
        let line = ran.output.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    // glibc's posix_spawn ignores the two signals that glibc keeps for itself.
    let kept_by_libc = 0b11 << 31;
    assert_eq!((mask("SigBlk:"), mask("SigIgn:") & !kept_by_libc), (0, 0), "{}", ran.output);
}

#[test]
fn s4_signals_that_we_ignore_are_not_handed_on() {
    // As nohup, and a shell without job control for what it runs in the background, would start us.
    for ignored in ["HUP", "INT QUIT", "HUP INT QUIT TERM TSTP TTIN TTOU USR1 ALRM CHLD"] {
        let script = format!("trap '' {ignored}; exec \"$0\" --test-threads 1 --exact \"$@\"");
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(
                ["a_command_begins_with_clean_signals", "every_signal_is_exact"]
                    .map(|test| format!("{}::s4_{test}", module_path!().split_once("::").unwrap().1)),
            )
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("2 passed"), "ignoring {ignored}: {said}");
    }
}

#[tokio::test]
async fn both_streams_come_in_order() {
    let ran = sh("for i in 1 2 3; do echo out $i; echo err $i >&2; done").await;
    assert_eq!(ran.output, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
    assert_eq!(ran.exit.bytes, 36);
}

#[tokio::test]
async fn the_command_leads_a_group_and_reads_nothing() {
    let ran = sh("cat; cut -d' ' -f5 /proc/$$/stat; echo $$").await;
    let numbers: Vec<u32> = ran.output.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, [ran.started.pid, ran.started.pid]);
    assert_eq!(ran.started.boot_id, boot_id());
    assert!(!ran.started.boot_id.is_empty() && ran.started.start_time > 0);
    assert!(!is_running(&ran.started));
}

#[tokio::test]
async fn a_running_process_is_known_again() {
    let (cancel, flag) = watch::channel(false);
    let mut seen = None;
    let exit = run(
        script("sleep 60"),
        unfiltered(),
        |_| {},
        |started| {
            let other_boot = ChildProcess { boot_id: "another".to_owned(), ..started.clone() };
            let reused = ChildProcess { start_time: started.start_time + 1, ..started.clone() };
            seen = Some((is_running(&started), is_running(&other_boot), is_running(&reused)));
            cancel.send(true).unwrap();
        },
        flag,
    )
    .await
    .unwrap();
    assert_eq!(seen, Some((true, false, false)));
    assert!(exit.cancelled);
}

#[tokio::test]
async fn s1_a_command_that_ignores_term_is_gone_after_grace() {
    let mut command = script("trap '' TERM; echo $$; while :; do sleep 0.05; done");
    command.timeout = Some(Duration::from_millis(200));
    command.grace = Duration::from_millis(300);
    let begun = Instant::now();
    let ran = ran(command, never()).await.unwrap();
    assert_eq!(ran.exit.status, Ending::Signal(9));
    assert!(ran.exit.timed_out && !ran.exit.cancelled);
    assert!(
        ran.exit.duration >= Duration::from_millis(500),
        "killed within its grace: {:?}",
        ran.exit.duration
    );
    // The figure itself: grace and one second.
    assert!(begun.elapsed() < Duration::from_millis(200 + 300 + 1000), "{:?}", begun.elapsed());
    assert!(!lives(first_pid(&ran.output)));
}

#[tokio::test]
async fn s1_a_child_in_the_group_dies_too() {
    let mut command = script("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait");
    command.timeout = Some(Duration::from_millis(200));
    command.grace = Duration::from_millis(200);
    let ran = ran(command, never()).await.unwrap();
    assert_eq!(ran.exit.status, Ending::Signal(15));
    assert!(ran.exit.timed_out);
    assert!(!lives(first_pid(&ran.output)));
}

#[tokio::test]
async fn a_command_may_end_itself_within_grace() {
    let (cancel, flag) = watch::channel(false);
    let text = "trap 'echo cleaned up; exit 7' TERM; echo ready; while :; do sleep 0.02; done";
    let output = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&output);
    let exit = run(
        script(text),
        unfiltered(),
        move |bytes| {
            sink.lock().unwrap().extend_from_slice(bytes);
            let _ = cancel.send(true);
        },
        |_| {},
        flag,
    )
    .await
    .unwrap();
    assert_eq!(exit.status, Ending::Code(7));
    assert!(exit.cancelled);
    // The shell may say that its `sleep` was terminated.
    let output = String::from_utf8_lossy(&output.lock().unwrap()).into_owned();
    assert!(output.starts_with("ready\n") && output.ends_with("cleaned up\n"), "{output}");
}

#[tokio::test]
async fn s2_children_in_their_own_session_are_found_and_ended() {
    let escapes = [
        // Its parent is gone, and it holds the pipe.
        "setsid sh -c 'echo $$; exec sleep 300' & sleep 0.2; exit 3",
        // Twice removed, nothing in common but the environment.
        "setsid sh -c 'sh -c \"echo \\$\\$; exec sleep 300\" & exit 0' & sleep 0.2; exit 3",
        // Without output.
        "setsid sh -c 'echo $$; exec sleep 300 >/dev/null 2>&1' & sleep 0.2; exit 3",
        // Ignores TERM.
        "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & sleep 0.2; exit 3",
    ];
    for text in escapes {
        let mut command = script(text);
        command.grace = Duration::from_millis(200);
        let ran = ran(command, never()).await.unwrap();
        let pid = first_pid(&ran.output);
        assert_eq!(ran.exit.status, Ending::Code(3));
        assert!(ran.exit.escaped.contains(&pid), "{text}: {:?}", ran.exit.escaped);
        assert!(!lives(pid), "{text}");
    }
}

#[tokio::test]
async fn s2_an_escaped_child_is_ended_with_a_cancelled_command() {
    let (cancel, flag) = watch::channel(false);
    let mut command = script("setsid sh -c 'echo $$; exec sleep 300' & wait");
    command.grace = Duration::from_millis(300);
    let output = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&output);
    let exit = run(
        command,
        unfiltered(),
        move |bytes| {
            sink.lock().unwrap().extend_from_slice(bytes);
            let _ = cancel.send(true);
        },
        |_| {},
        flag,
    )
    .await
    .unwrap();
    let pid = first_pid(&String::from_utf8_lossy(&output.lock().unwrap()));
    assert!(exit.cancelled && exit.escaped.contains(&pid));
    assert!(!lives(pid));
}

#[tokio::test]
async fn late_output_of_a_helper_is_waited_for() {
    let ran = sh("(sleep 0.1; echo late) & echo early").await;
    assert_eq!(ran.output, "early\nlate\n");
    assert!(ran.exit.escaped.is_empty());
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels() {
    let pid = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&pid);
    let running = run(
        script("sleep 300"),
        unfiltered(),
        |_| {},
        move |started| *seen.lock().unwrap() = Some(started),
        never(),
    );
    // Long enough to start, which is synchronous, and not to end.
    let _ = tokio::time::timeout(Duration::from_millis(1), running).await;
    let started = pid.lock().unwrap().clone().unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        while is_running(&started) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn x2_a_value_is_never_code() {
    let dir = tempfile::tempdir().unwrap();
    let canary = dir.path().join("executed");
    let touch = format!("touch {}", canary.display());
    let shapes = [
        "$(@)",
        "`@`",
        "; @",
        "\n@\n",
        "&& @",
        "|| @",
        "| @",
        "& @",
        "'; @; '",
        "\"; @; \"",
        "$(($(@)))",
        "${x:-$(@)}",
        "> /dev/null; @",
        "\\$(@)",
        "\\`@\\`",
        "%s$(@)",
        "-e $(@)",
        "<(@)",
        "{@,}",
        "$'\\n'@",
        "${IFS}@",
        "$IFS$(@)",
        "*; @",
        "~; @",
        "!@",
        "#\n@",
        "\r\n@",
        "'$(@)'",
        "\"$(@)\"",
        "\"`@`\"",
        "'`@`'",
        "$@; @",
        "$0; @",
        "$$; @",
        "eval @",
        "exec @",
        ". @",
        ") ; @",
        "}; @",
        "done; @",
        "fi; @",
        "esac; @",
        "<<E\n$(@)\nE",
        "\u{feff}$(@)",
        "\u{2028}@",
        "\\\n@",
        "() { :; }; @",
        "x=$(@)",
        "-c '@'",
        "--$(@)",
    ];
    assert_eq!(shapes.len(), 50);
    for shape in shapes {
        let payload = shape.replace('@', &touch);
        let mut command = script("printf '%s' \"$VALUE\"");
        command.env = vec![("VALUE".to_owned(), payload.clone())];
        let ran = ran(command, never()).await.unwrap();
        assert_eq!(ran.output, payload);
        assert!(!canary.exists(), "{payload} was executed");
    }
    // And the trap works.
    sh(&touch).await;
    assert!(canary.exists());
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let argv = ["printf", "%s|", "a b", "$(id)", "*", ""].map(str::to_owned).to_vec();
    let ran = ran(Invocation::new(Program::Argv(argv)), never()).await.unwrap();
    assert_eq!(ran.output, "a b|$(id)|*||");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let argv = |words: &[&str]| {
        Invocation::new(Program::Argv(words.iter().map(|word| (*word).to_owned()).collect()))
    };
    let fault = async |command| ran(command, never()).await.err().unwrap().to_string();
    assert!(fault(argv(&[])).await.contains("nothing to run"));
    assert!(fault(argv(&["no-such-program"])).await.contains("`no-such-program` was not found"));
    assert!(fault(argv(&["/etc/passwd"])).await.contains("ermission denied"));
    let mut command = script("true");
    command.env = vec![("BAD=NAME".to_owned(), "secret-value".to_owned())];
    assert!(fault(command.clone()).await.contains("BAD=NAME"));
    command.env = vec![("NAME".to_owned(), "secret\0value".to_owned())];
    let text = fault(command.clone()).await;
    assert!(text.contains("NUL") && !text.contains("secret"));
    assert!(!format!("{command:?}").contains("secret"));
    command.env.clear();
    command.cwd = Some("/no/such/directory".into());
    assert!(fault(command).await.contains("/no/such/directory"));
}

#[tokio::test]
async fn the_output_is_kept_filtered_and_for_us_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("output");
    let shout: Filter = Box::new(|piece, pass| match piece {
        Some(piece) => pass(&piece.to_ascii_uppercase()),
        None => pass(b"END"),
    });
    let mut command = script("echo one; echo two >&2");
    command.output = Some(Output::Disk(path.clone()));
    let shown = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&shown);
    let exit =
        run(command, shout, move |bytes| sink.lock().unwrap().extend_from_slice(bytes), |_| {}, never())
            .await
            .unwrap();
    assert_eq!(exit.bytes, 8);
    assert_eq!(std::fs::read(&path).unwrap(), b"ONE\nTWO\nEND");
    assert_eq!(*shown.lock().unwrap(), b"ONE\nTWO\nEND");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn an_output_file_of_others_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    std::fs::write(&target, "precious").unwrap();
    let link = dir.path().join("link");
    symlink(&target, &link).unwrap();
    let marker = dir.path().join("ran");
    // A link, a file that others may read, and what is no file.
    for path in [link, target.clone(), "/dev/full".into()] {
        let mut command = script(&format!("touch {}", marker.display()));
        command.output = Some(Output::Disk(path));
        assert!(matches!(ran(command, never()).await, Err(SpawnError::Output { .. })));
    }
    assert!(!marker.exists());
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
}

#[tokio::test]
async fn the_port_tells_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let shell = LocalShell::new(Some(dir.path().to_owned()), Arc::new(unfiltered));
    let call = ShellCall {
        program: ShellProgram::Sh("pwd; exit 4".to_owned()),
        env: Vec::new(),
        timeout: Span::from_secs(60),
        output: None,
        mark: None,
        sample: Vec::new(),
        sample_failure: Vec::new(),
    };
    let (news, mut heard) = mpsc::channel(1);
    let listening = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(news) = heard.recv().await {
            all.push(news);
        }
        all
    });
    let exit = shell.run(call.clone(), news, never()).await.unwrap();
    assert_eq!((exit.ok, exit.detail.as_str()), (false, "exit status 4"));
    let all = listening.await.unwrap();
    assert!(matches!(all.first(), Some(ShellNews::Spawned { .. })));
    let printed: Vec<u8> = all
        .iter()
        .flat_map(|news| if let ShellNews::Output(bytes) = news { bytes.clone() } else { Vec::new() })
        .collect();
    assert_eq!(
        String::from_utf8(printed).unwrap(),
        format!("{}\n", dir.path().canonicalize().unwrap().display())
    );

    let missing = ShellCall { program: ShellProgram::Argv(vec!["no-such-program".to_owned()]), ..call };
    let fault = shell.run(missing, mpsc::channel(1).0, never()).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Failed);
}

#[tokio::test]
async fn a_listener_that_is_slow_gets_the_newest_output() {
    let backlog = Arc::new(Backlog::default());
    let line = [vec![b'x'; 99], vec![b'\n']].concat();
    for _ in 0..100_000 {
        backlog.add(&line);
    }
    backlog.add(b"the end\n");
    backlog.close();
    let (news, mut heard) = mpsc::channel(1);
    Arc::clone(&backlog).tell(news).await;
    let Some(ShellNews::Output(bytes)) = heard.recv().await else { panic!("no output") };
    assert!(bytes.len() <= BACKLOG + 64);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("\n[") && text.lines().nth(1).unwrap().ends_with("bytes of output not shown]"));
    assert!(text.lines().skip(2).all(|line| line.len() == 99 || line == "the end"));
    assert!(text.ends_with("the end\n"));
}

#[tokio::test]
async fn l5_what_a_dead_engine_left_is_found_by_its_mark_and_ended_with_all_that_it_left() {
    use std::os::unix::process::CommandExt as _;
    let mark = format!("test-{}/step-1-00", std::process::id());
    assert_eq!(find(&mark), None);
    // The leader obeys SIGTERM; what it has started does not, and has a session of its own.
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let script =
        format!("setsid sh -c 'trap \"\" TERM; : >{}; while :; do sleep 1; done' & wait", ready.display());
    let mut leader = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .env("CUTOVER_COMMAND", &mark)
        .process_group(0)
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !(find(&mark).is_some_and(|found| found.pid == leader.id()) && ready.exists()) {
        assert!(Instant::now() < until, "it is not found");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let found = find(&mark).unwrap();
    let ending = tokio::spawn({
        let (found, mark) = (found.clone(), mark.clone());
        async move { supervise::end(&found, &mark, Duration::from_secs(3)).await }
    });
    tokio::task::spawn_blocking(move || leader.wait()).await.unwrap().unwrap();
    let shell = LocalShell::new(None, Arc::new(unfiltered));
    assert!(!is_running(&found) && shell.is_running(&found, &mark), "its leader is gone, it is not");
    ending.await.unwrap();
    assert!(!shell.is_running(&found, &mark));
    assert_eq!(find(&mark), None);
}
