//! Two hosts and one target, over the real Lease: a second does not drive while the first is alive, takes over once it is not,
//! and the first, coming back, writes nothing any more.

use std::{process::Stdio, time::Duration};

use cutover::domain::{event::RunEvent, message::Command as Order};
use nix::sys::signal::{Signal, kill};

use super::{
    helm::{Base as _, Helm},
    place::{BLUE, GREEN, NEW, Place},
    pty::Stage,
};

/// A command on the second host, and what it says.
fn on_b(place: &Place, host: &Stage, args: &[&str]) -> (i32, String) {
    let mut command = host.command(args);
    place.equip(&mut command).current_dir(place.stage.path()).env("CUTOVER_HOST", "bastion-b");
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// The id that a refusal tells people to type.
fn lock_id(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    let is_id = |word: &&str| word.len() == 14 && word.split('-').all(|part| part.len() == 4);
    words.into_iter().find(is_id).unwrap_or_else(|| panic!("no lock id in {text}")).to_owned()
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_second_host_takes_over_and_the_first_is_fenced_off() {
    let place = Place::new(NEW);
    let b = Stage::new();
    let mut helm = Helm::open(&place);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    // Its copy has caught up by now or soon.
    helm.wait(Duration::from_secs(5));
    let (code, text) = on_b(&place, &b, &["run", "--plain", "--yes"]);
    assert_eq!(code, 7, "{text}");
    let (code, text) = on_b(&place, &b, &["resume", "--from-cluster", "--plain", "--yes"]);
    assert_eq!(code, 7, "{text}");
    let id = lock_id(&text);
    let (code, text) = on_b(&place, &b, &["takeover", &id, "--reason", "mine", "--plain", "--yes"]);
    assert!(code == 7 && text.contains("is alive"), "{code} {text}");

    let engine = place.stage.engine();
    kill(engine, Signal::SIGSTOP).unwrap();
    let (code, text) =
        on_b(&place, &b, &["takeover", &id, "--reason", "bastion-a is gone", "--plain", "--yes"]);
    assert_eq!(code, 9, "it is held until somebody has looked around: {text}");
    let run = b.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    let (code, text) = on_b(&place, &b, &["rollback", &run, "--reason", "bastion-a is gone"]);
    assert_eq!(code, 5, "{text}");
    place.assert_on_blue(&helm);
    place.assert_all_answered(&helm);
    let service = place.object("service", "backend-service").unwrap();

    kill(engine, Signal::SIGCONT).unwrap();
    helm.wait_until("lock lost", |helm| helm.has(|event| matches!(event, RunEvent::LockLost { .. })));
    helm.order(&Order::Continue);
    helm.wait(Duration::from_secs(5));
    assert_eq!(
        place.object("service", "backend-service").unwrap(),
        service,
        "nothing was written: {}",
        helm.story()
    );
    assert_eq!((place.replicas(BLUE), place.replicas(GREEN)), (2, 0));
    helm.kill();
}
