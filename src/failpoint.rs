//! Failpoints: places where a test lets this program die, hang or meet a failing disk, so that what must survive that is
//! seen to survive it.
//!
//! They exist in debug builds only. In a release build [`hit`] and [`pass`] are empty and inlined, and the environment is
//! not looked at. A test starts the program with
//!
//! ```text
//! CUTOVER_FAILPOINTS="journal.sync=kill@17;screen.draw=panic@3;journal.reserve=enospc@5+"
//! ```
//!
//! Each entry reads `point=action@n`: at the n-th hit of the point (from 1) the action is done once, with a `+` behind it
//! at every hit from then on. Each entry counts for itself.
//!
//! | action | what happens |
//! |---|---|
//! | `kill` | SIGKILL to ourselves: no destructor, no flush, no last word |
//! | `panic` | a panic with the point's name |
//! | `eio`, `enospc` | the I/O error, where the point is one that can fail; elsewhere the entry is refused |
//! | `stall:SECONDS` | the thread hangs for that long |
//!
//! What does not read so ends the program at the first hit of any point: a test with a misspelt failpoint would pass
//! without having tested anything.

/// Every point, with what happens there; `true` where it can fail with an I/O error.
///
/// | point | where |
/// |---|---|
/// | `journal.write` | before a record is written |
/// | `journal.sync` | before what was written is made durable |
/// | `journal.reserve` | before space is taken on the disk |
/// | `samples.write` | before samples are written |
/// | `action.begin` | an action's intent is durable, nothing has been done for it |
/// | `action.spawn` | before a command's process is started |
/// | `action.spawned` | the process runs, nobody has been told |
/// | `action.send` | before a request to the cluster or over HTTP is made |
/// | `action.result` | the result is known, nobody has been told |
/// | `service.patch` | before the Service's patch is sent |
/// | `service.answer` | the Service's patch was answered |
/// | `route.patch` | before the route's patch is sent |
/// | `route.answer` | the route's patch was answered |
/// | `engine.tick` | before the run's clock ticks |
/// | `screen.draw` | before a frame is drawn |
pub const POINTS: &[(&str, bool)] = &[
    ("journal.write", true),
    ("journal.sync", true),
    ("journal.reserve", true),
    ("samples.write", true),
    ("action.begin", false),
    ("action.spawn", false),
    ("action.spawned", false),
    ("action.send", false),
    ("action.result", false),
    ("service.patch", false),
    ("service.answer", false),
    ("route.patch", false),
    ("route.answer", false),
    ("engine.tick", false),
    ("screen.draw", false),
];

/// A point where an I/O error may come out.
///
/// # Errors
/// The one that a test wishes for; none in a release build.
#[cfg(debug_assertions)]
pub fn hit(point: &str) -> std::io::Result<()> {
    armed::reach(point)
}

/// A point where an I/O error may come out.
///
/// # Errors
/// None in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[expect(clippy::inline_always, clippy::missing_const_for_fn, reason = "nothing may be left of it")]
pub fn hit(_point: &str) -> std::io::Result<()> {
    Ok(())
}

/// A point that cannot fail, only end or hang.
#[cfg(debug_assertions)]
pub fn pass(point: &str) {
    // An I/O error at a point that cannot fail was refused when the entry was read.
    let _ = armed::reach(point);
}

/// A point that cannot fail, only end or hang.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[expect(clippy::inline_always, reason = "nothing may be left of it")]
pub fn pass(_point: &str) {}

/// What the environment asks for. Not in a release build.
#[cfg(debug_assertions)]
mod armed {
    use std::{
        io,
        sync::{
            LazyLock,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use nix::{
        errno::Errno,
        sys::signal::{Signal, raise},
    };

    /// The environment's variable.
    const VARIABLE: &str = "CUTOVER_FAILPOINTS";

    static ENTRIES: LazyLock<Result<Vec<Entry>, String>> =
        LazyLock::new(|| read(&std::env::var(VARIABLE).unwrap_or_default()));

    #[derive(Debug)]
    pub(super) struct Entry {
        point: String,
        action: Action,
        /// From 1.
        at: u64,
        /// Not only at that hit, also at all that follow.
        onwards: bool,
        hits: AtomicU64,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Action {
        Kill,
        Panic,
        Fail(Errno),
        Stall(Duration),
    }

    pub(super) fn reach(point: &str) -> io::Result<()> {
        match &*ENTRIES {
            Ok(entries) => due(entries, point).try_for_each(|action| act(point, action)),
            // Said where it is noticed: a test that waits for what this point does must not wait in vain.
            Err(fault) => panic!("{VARIABLE}: {fault}"),
        }
    }

    /// What is to be done at this hit of the point. Counts it.
    pub(super) fn due(entries: &[Entry], point: &str) -> impl Iterator<Item = Action> {
        entries.iter().filter(move |entry| entry.point == point).filter_map(|entry| {
            let hit = entry.hits.fetch_add(1, Ordering::SeqCst) + 1;
            (hit == entry.at || entry.onwards && hit > entry.at).then_some(entry.action)
        })
    }

    fn act(point: &str, action: Action) -> io::Result<()> {
        match action {
            Action::Kill => {
                // A signal to ourselves is taken before the call comes back; SIGKILL cannot be kept from it.
                let _ = raise(Signal::SIGKILL);
                Ok(())
            }
            Action::Panic => panic!("failpoint {point}"),
            Action::Fail(errno) => Err(errno.into()),
            Action::Stall(span) => {
                std::thread::sleep(span);
                Ok(())
            }
        }
    }

    pub(super) fn read(text: &str) -> Result<Vec<Entry>, String> {
        text.split(';').map(str::trim).filter(|entry| !entry.is_empty()).map(entry).collect()
    }

    fn entry(text: &str) -> Result<Entry, String> {
        let wrong = |why: &str| format!("`{text}`: {why}; write point=action@n");
        let (point, what) = text.split_once('=').ok_or_else(|| wrong("no `=`"))?;
        let (action, at) = what.split_once('@').ok_or_else(|| wrong("no `@`"))?;
        let (_, fails) = super::POINTS
            .iter()
            .find(|(name, _)| *name == point)
            .ok_or_else(|| wrong(&format!("there is no point `{point}`")))?;
        let action = match action.split_once(':') {
            None if action == "kill" => Action::Kill,
            None if action == "panic" => Action::Panic,
            None if action == "eio" => Action::Fail(Errno::EIO),
            None if action == "enospc" => Action::Fail(Errno::ENOSPC),
            Some(("stall", seconds)) => Action::Stall(Duration::from_secs(
                seconds.parse().map_err(|_| wrong("no number of seconds"))?,
            )),
            _ => return Err(wrong(&format!("there is no action `{action}`"))),
        };
        if matches!(action, Action::Fail(_)) && !fails {
            return Err(wrong("this point cannot fail"));
        }
        let (number, onwards) = at.strip_suffix('+').map_or((at, false), |number| (number, true));
        let at = number.parse().ok().filter(|at| *at > 0).ok_or_else(|| wrong("n counts from 1"))?;
        Ok(Entry { point: point.to_owned(), action, at, onwards, hits: AtomicU64::new(0) })
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::time::Duration;

    use nix::errno::Errno;

    use super::armed::{Action, due, read};

    #[test]
    fn each_entry_counts_the_hits_of_its_own_point() {
        let entries =
            read("journal.sync=eio@3; journal.sync=kill@4;screen.draw=stall:60@1;journal.write=enospc@2+;")
                .unwrap();
        let hits = |point: &str| -> Vec<Vec<Action>> {
            (0..4).map(|_| due(&entries, point).collect::<Vec<_>>()).collect()
        };
        assert_eq!(
            hits("journal.sync"),
            [vec![], vec![], vec![Action::Fail(Errno::EIO)], vec![Action::Kill]]
        );
        assert_eq!(hits("screen.draw")[0], [Action::Stall(Duration::from_mins(1))]);
        let full = vec![Action::Fail(Errno::ENOSPC)];
        assert_eq!(hits("journal.write"), [vec![], full.clone(), full.clone(), full]);
        assert_eq!(hits("action.spawn"), [vec![], vec![], vec![], vec![]]);
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for (text, why) in [
            ("journal.sink=eio@1", "no point"),
            ("journal.sync", "no `=`"),
            ("journal.sync=eio", "no `@`"),
            ("journal.sync=burn@1", "no action"),
            ("journal.sync=eio@0", "from 1"),
            ("journal.sync=eio@x", "from 1"),
            ("journal.sync=stall:soon@1", "seconds"),
            ("screen.draw=eio@1", "cannot fail"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(why) && fault.contains(text), "{fault}");
        }
    }

    #[test]
    fn without_a_wish_nothing_happens() {
        assert!(super::hit("journal.sync").is_ok());
        super::pass("screen.draw");
    }
}
