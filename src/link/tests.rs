//! Sockets and those who come to them: the friendly, the slow and the hostile.

use std::time::Duration;

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
    time::timeout,
};

use super::{
    client, frame,
    server::{Arrival, Counter, Door, Listener, Outlet, listen},
};
use crate::domain::{
    crew::{ScreenId, Wish},
    message::{Command, Update},
    time::Timestamp,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Stage {
    dir: tempfile::TempDir,
    arrivals: mpsc::Receiver<Arrival>,
    _listener: Listener,
}

impl Stage {
    fn open(door: Door) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (arrivals_in, arrivals) = mpsc::channel(64);
        let listener = listen(&dir.path().join("s"), 0o600, door, &Counter::default(), arrivals_in).unwrap();
        Self { dir, arrivals, _listener: listener }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("s")
    }

    async fn next(&mut self) -> Arrival {
        timeout(PATIENCE, self.arrivals.recv()).await.unwrap().unwrap()
    }

    async fn joined(&mut self) -> (ScreenId, Wish, Outlet) {
        match self.next().await {
            Arrival::Joined { id, wish, outlet, .. } => (id, wish, outlet),
            other => panic!("{other:?}"),
        }
    }
}

fn hello(wish: Wish) -> super::server::Hello {
    client::hello(wish, Some("Ada \u{1b}[31m\u{202e}".to_owned()))
}

#[tokio::test]
async fn a_screen_comes_asks_hears_and_goes() {
    let mut stage = Stage::open(Door::Control);
    let mode = std::os::unix::fs::PermissionsExt::mode(&stage.path().metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let mut screen = client::connect(&stage.path(), &hello(Wish::Pilot)).await.unwrap();
    let Arrival::Joined { id, who, wish, outlet } = stage.next().await else { panic!() };
    assert_eq!(wish, Wish::Pilot);
    assert_eq!(who.login, super::peer::own_login(), "told by the kernel");
    assert!(who.name.starts_with("Ada") && !who.name.contains(['\u{1b}', '\u{202e}']), "{:?}", who.name);
    assert!(screen.send(&Command::Continue).await);
    assert!(
        matches!(stage.next().await, Arrival::Asked { id: asker, command: Command::Continue } if asker == id)
    );
    let tick = Update::Tick { now: Timestamp(7) };
    assert!(outlet.send(&tick));
    assert_eq!(timeout(PATIENCE, screen.next()).await.unwrap(), Some(tick));
    drop(screen);
    assert!(matches!(stage.next().await, Arrival::Left { id: gone } if gone == id));
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_works_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let (arrivals_in, mut arrivals) = mpsc::channel(1);
    let _listener =
        listen(&deep.join("control.sock"), 0o600, Door::Control, &Counter::default(), arrivals_in).unwrap();
    let _screen = client::connect(&deep.join("control.sock"), &hello(Wish::Observe)).await.unwrap();
    assert!(matches!(timeout(PATIENCE, arrivals.recv()).await.unwrap(), Some(Arrival::Joined { .. })));
}

#[tokio::test]
async fn what_is_no_message_drops_its_sender() {
    let too_long = {
        let mut bytes = vec![frame::VERSION];
        bytes.extend(u32::MAX.to_be_bytes());
        bytes
    };
    let other_version = vec![frame::VERSION + 1, 0, 0, 0, 0];
    let no_command = frame::encode(&serde_json::json!({ "command": "format_disk" })).unwrap();
    for bad in [too_long, other_version, no_command] {
        let mut stage = Stage::open(Door::Control);
        let mut stream = UnixStream::connect(stage.path()).await.unwrap();
        stream.write_all(&frame::encode(&hello(Wish::Pilot)).unwrap()).await.unwrap();
        let (id, _, _outlet) = stage.joined().await;
        stream.write_all(&bad).await.unwrap();
        assert!(matches!(stage.next().await, Arrival::Left { id: gone } if gone == id), "{bad:?}");
    }
    // And without a hello nobody even joins.
    let mut stage = Stage::open(Door::Control);
    let mut stream = UnixStream::connect(stage.path()).await.unwrap();
    stream.write_all(&frame::encode(&Command::Continue).unwrap()).await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(stage.arrivals.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l6_a_watching_socket_has_no_ears() {
    let mut stage = Stage::open(Door::Watch);
    let mut runner = TestRunner::deterministic();
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 0..64);
    let valid: Vec<Vec<u8>> = [
        Command::Rollback { reason: "now".to_owned() },
        Command::Close,
        Command::TakeControl { reason: "mine".to_owned() },
        Command::Start { step: None, attempt: 1, typed: None },
    ]
    .iter()
    .map(|command| frame::encode(command).unwrap())
    .collect();
    let mut sent = 0_u32;
    let (mut joined, mut asked) = (0, 0);
    while sent < 100_000 {
        let mut stream = UnixStream::connect(stage.path()).await.unwrap();
        let mut flood = Vec::new();
        for n in 0..1000 {
            // Half of them are what the control socket would obey.
            if n % 2 == 0 {
                flood.extend(&valid[n % valid.len()]);
            } else {
                let noise = bytes.new_tree(&mut runner).unwrap().current();
                flood.extend(frame::encode(&noise).unwrap());
            }
            sent += 1;
        }
        // It is dropped somewhere on the way; what it sent stays unread.
        let _ = stream.write_all(&flood).await;
        drop(stream);
        while let Ok(arrival) = stage.arrivals.try_recv() {
            joined += u32::from(matches!(arrival, Arrival::Joined { wish: Wish::Watch, .. }));
            asked += u32::from(matches!(arrival, Arrival::Asked { .. }));
        }
    }
    while let Ok(Some(arrival)) = timeout(Duration::from_millis(300), stage.arrivals.recv()).await {
        joined += u32::from(matches!(arrival, Arrival::Joined { wish: Wish::Watch, .. }));
        asked += u32::from(matches!(arrival, Arrival::Asked { .. }));
    }
    assert!(joined > 50, "{joined}");
    assert_eq!(asked, 0, "of {sent} frames on {joined} connections");
}

#[tokio::test]
async fn l6_an_approving_socket_understands_one_thing() {
    let mut stage = Stage::open(Door::Approve);
    let _approver = client::approve(&stage.path(), Some("switch".into())).await.unwrap();
    let (id, wish, _outlet) = stage.joined().await;
    assert_eq!(wish, Wish::Approve);
    let Arrival::Asked { command, .. } = stage.next().await else { panic!() };
    assert_eq!(command, Command::Approve { step: Some("switch".into()) });
    for command in [
        Command::Rollback { reason: "now".to_owned() },
        Command::TakeControl { reason: "mine".to_owned() },
        Command::Approve { step: None },
    ] {
        let mut stream = UnixStream::connect(stage.path()).await.unwrap();
        stream.write_all(&frame::encode(&command).unwrap()).await.unwrap();
        loop {
            match stage.next().await {
                Arrival::Joined { outlet, .. } => std::mem::forget(outlet),
                Arrival::Left { id: gone } if gone != id => break,
                Arrival::Left { .. } => panic!("the honest one was dropped"),
                Arrival::Asked { command, .. } => panic!("{command:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_screen_that_does_not_read_loses_telemetry_first_and_then_its_place() {
    let mut stage = Stage::open(Door::Control);
    let mut stream = UnixStream::connect(stage.path()).await.unwrap();
    stream.write_all(&frame::encode(&hello(Wish::Observe)).unwrap()).await.unwrap();
    let (_, _, outlet) = stage.joined().await;
    let event = Update::Refused { why: "x".repeat(100_000) };
    let mut sent = 0;
    while outlet.send(&event) {
        sent += 1;
        assert!(sent < 10_000, "it is never waited for, and never grows without bound");
    }
    assert!((100..=300).contains(&sent), "{sent} of 100 kB: about 16 MB");
    // Telemetry costs it nothing any more: it is left out long before.
    assert!(outlet.send(&Update::Tick { now: Timestamp(1) }));
}
