//! L1: however many would drive, one does.

#![expect(clippy::print_stdout, reason = "the figure is what the test is for")]

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

#[path = "support/pty.rs"]
mod pty;

use pty::{PATIENCE, Stage};

#[test]
fn l1_of_a_hundred_that_would_drive_one_does() {
    let stage = Stage::new();
    std::fs::write(stage.path().join("runbook.toml"), include_str!("support/small.toml")).unwrap();
    // Nobody confirms: it is paused at once, and has no engine then.
    let log = stage.path().join("log");
    let (code, _, said) = {
        let output = stage.command(&["run", "--plain"]).env("LOG", &log).output().unwrap();
        (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(code, Some(8), "{said}");
    let run = stage.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    let mut racers: Vec<Child> = (0..100)
        .map(|_| {
            stage
                .command(&["resume", &run, "--plain", "--yes"])
                .env("LOG", &log)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    // The winner waits in its slow action until everybody else has been told.
    let mut codes = Vec::new();
    let until = Instant::now() + PATIENCE * 4;
    while codes.len() < 99 {
        assert!(Instant::now() < until, "{} have ended", codes.len());
        racers.retain_mut(|racer| match racer.try_wait().unwrap() {
            Some(status) => {
                codes.push(status.code().unwrap());
                false
            }
            None => true,
        });
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(stage.engines().len(), 1);
    std::fs::write(stage.path().join("log.go"), "").unwrap();
    codes.extend(racers.iter_mut().map(|racer| racer.wait().unwrap().code().unwrap()));
    let count = |code| codes.iter().filter(|found| **found == code).count();
    println!("L1: {} drove, {} were told who does", count(0), count(7));
    assert_eq!((count(0), count(7)), (1, 99), "{codes:?}");
    let done = std::fs::read_to_string(&log).unwrap();
    assert_eq!(done.lines().collect::<Vec<_>>(), ["one", "slow", "slept", "two", "three"]);
}
