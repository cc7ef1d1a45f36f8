use std::{
    collections::VecDeque,
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{record::FILE, *};

/// Records of different shapes and lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    StepStarted { step: String, attempt: u32 },
    Printed { text: String },
    Finished,
}

fn event(number: usize) -> Event {
    match number % 3 {
        0 => Event::StepStarted { step: format!("step-{number}"), attempt: 1 },
        1 => Event::Printed { text: "naïve \u{0} 漢字 \n".repeat(number % 4) },
        _ => Event::Finished,
    }
}

fn header() -> Header {
    Header { run_id: "run-1".to_owned(), runbook_sha256: "ab".repeat(32), boot_id: "boot".to_owned() }
}

/// A disk in memory that fails where it is told to.
#[derive(Debug, Default)]
struct Memory {
    bytes: Vec<u8>,
    writes_left: Option<usize>,
    syncs_left: Option<usize>,
    space: Option<u64>,
    can_reserve: bool,
}

fn count_down(left: &mut Option<usize>) -> io::Result<()> {
    match left {
        Some(0) => Err(io::Error::from_raw_os_error(nix::errno::Errno::EIO as i32)),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

impl Disk for &mut Memory {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let end = start + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let result = count_down(&mut self.writes_left);
        // A failed write leaves half of it.
        let done = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.bytes[start..start + done].copy_from_slice(&bytes[..done]);
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        count_down(&mut self.syncs_left)
    }

    fn reserve(&mut self, end: u64) -> io::Result<bool> {
        if self.space.is_some_and(|space| end > space) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let end = usize::try_from(end).unwrap();
        if self.can_reserve && self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        Ok(self.can_reserve)
    }
}

/// A journal's bytes without reserved space, and where each record ends; the header's end is the first.
fn journal(records: usize) -> (Vec<u8>, Vec<usize>) {
    let mut disk = Memory::default();
    let mut writer = Writer::begin(&mut disk, &header()).unwrap();
    let mut ends = vec![usize::try_from(writer.position().offset).unwrap()];
    for number in 0..records {
        assert_eq!(writer.append(&event(number)).unwrap(), number as u64 + 1);
        ends.push(usize::try_from(writer.position().offset).unwrap());
    }
    drop(writer);
    (disk.bytes, ends)
}

fn expected(records: usize) -> Vec<(u64, Event)> {
    (0..records).map(|number| (number as u64 + 1, event(number))).collect()
}

/// A run's directory that holds `bytes` as its journal.
fn placed(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let path = dir.path().join(FILE);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("run");
    let mut writer = Writer::create(&dir, &header()).unwrap();
    for number in 0..50 {
        writer.append(&event(number)).unwrap();
    }
    writer.sync().unwrap();
    // While the writer is still there, as a second screen would.
    let contents = read::<Event>(&dir).unwrap();
    assert_eq!((contents.header, contents.records), (header(), expected(50)));
    assert_eq!(contents.position, writer.position());
    drop(writer);

    let recovered = recover::<Event>(&dir).unwrap();
    assert_eq!((recovered.records.as_slice(), recovered.torn), (expected(50).as_slice(), None));
    let mut writer = Writer::resume(&dir, recovered.position).unwrap();
    assert_eq!(writer.append(&event(50)).unwrap(), 51);
    writer.sync().unwrap();
    assert_eq!(read::<Event>(&dir).unwrap().records, expected(51));
    assert!(Writer::create(&dir, &header()).is_err(), "a journal is never begun twice");
    assert_eq!(dir.join(FILE).metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn j2_cut_at_every_byte_leaves_the_exact_prefix() {
    let (bytes, ends) = journal(200);
    // Each position carries a checksum of all that is before it: equal positions are equal contents.
    let positions: Vec<Position> = (0..=200)
        .map(|whole| {
            let contents = parse::<Event>(&bytes[..ends[whole]]).unwrap();
            assert_eq!(contents.records, expected(whole));
            contents.position
        })
        .collect();
    for cut in 0..=bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        // As it is, and with reserved space behind it, as a crash leaves it. The second for a part: it is slow, and
        // records differ in three ways only.
        let reserved = [&bytes[..cut], &[0; 64]].concat();
        let both = if (20..=195).contains(&whole) { 1 } else { 2 };
        for left in [&bytes[..cut], &reserved].into_iter().take(both) {
            let parsed = parse::<serde::de::IgnoredAny>(left);
            if whole == 0 {
                assert!(matches!(parsed, Err(ReadError::Unstarted)), "cut at {cut}: {parsed:?}");
                continue;
            }
            let parsed = parsed.unwrap_or_else(|fault| panic!("cut at {cut}: {fault}"));
            assert_eq!(parsed.records.len(), whole - 1, "cut at {cut}");
            assert_eq!(parsed.position, positions[whole - 1], "cut at {cut}");
            let torn = &bytes[ends[whole - 1]..cut];
            // Zeros that belong to it can't be told from those behind it.
            assert!(
                torn.starts_with(&parsed.torn) && torn[parsed.torn.len()..].iter().all(|byte| *byte == 0)
            );
        }
    }
}

#[test]
fn j2_the_torn_tail_is_saved_and_the_run_goes_on() {
    let (bytes, ends) = journal(5);
    let cut = ends[5] - 3;
    for reserved in [0, 4096] {
        let mut left = bytes[..cut].to_vec();
        left.resize(cut + reserved, 0);
        let dir = placed(&left);
        let recovered = recover::<Event>(dir.path()).unwrap();
        assert_eq!(recovered.records, expected(4));
        let saved = recovered.torn.unwrap();
        assert_eq!(std::fs::read(&saved).unwrap(), bytes[ends[4]..cut]);
        assert_eq!(saved.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut writer = Writer::resume(dir.path(), recovered.position).unwrap();
        writer.append(&event(4)).unwrap();
        writer.sync().unwrap();
        let again = recover::<Event>(dir.path()).unwrap();
        assert_eq!((again.records, again.torn), (expected(5), None));
    }
}

#[test]
fn j3_every_flipped_byte_is_detected() {
    let (mut bytes, ends) = journal(20);
    let written = bytes.len();
    bytes.resize(written + 128, 0);
    let clean = parse::<Event>(&bytes).unwrap();
    assert_eq!(clean.records.len(), 20);
    let flips = [1, 2, 4, 8, 16, 32, 64, 128, 255];
    for at in 0..bytes.len() {
        for flip in flips {
            bytes[at] ^= flip;
            for end in [written.max(at + 1), bytes.len()] {
                let parsed = parse::<Event>(&bytes[..end]);
                assert!(parsed.is_err(), "byte {at} of {written} with {flip:#x} went unseen: {parsed:?}");
                if let (Err(ReadError::Corrupt { offset, .. }), true) = (&parsed, at >= ends[0]) {
                    // It is found in the record it is in, not later.
                    let record_end = ends.iter().find(|end| **end > at).copied().unwrap_or(bytes.len());
                    assert!(*offset < record_end as u64, "byte {at} was seen at {offset} only");
                }
            }
            bytes[at] ^= flip;
        }
    }
}

#[test]
fn j3_a_damaged_journal_is_left_alone() {
    let (mut bytes, ends) = journal(5);
    // The last record's length, so that it seems to be cut off.
    bytes[ends[4] + 3] ^= 1;
    let dir = placed(&bytes);
    let fault = recover::<Event>(dir.path()).unwrap_err();
    assert!(matches!(fault, ReadError::Corrupt { offset, .. } if offset == ends[4] as u64), "{fault}");
    assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), bytes);
    assert_eq!(names(dir.path()), [FILE]);
}

#[test]
fn j3_records_moved_removed_or_taken_from_elsewhere_are_detected() {
    let (bytes, ends) = journal(6);
    let part = |from: usize, to: usize| bytes[ends[from]..ends[to]].to_vec();
    let join = |parts: &[Vec<u8>]| [&bytes[..ends[0]], &parts.concat()].concat();
    let missing = join(&[part(0, 2), part(3, 6)]);
    let swapped = join(&[part(0, 1), part(2, 3), part(1, 2), part(3, 6)]);
    let doubled = join(&[part(0, 2), part(1, 6)]);
    let mut disk = Memory::default();
    let other = Header { run_id: "run-2".to_owned(), ..header() };
    drop(Writer::begin(&mut disk, &other).unwrap());
    let foreign = [disk.bytes, part(0, 6)].concat();
    for bytes in [missing, swapped, doubled, foreign] {
        assert!(matches!(parse::<Event>(&bytes), Err(ReadError::Corrupt { .. })));
    }
}

#[test]
fn j8_a_newer_format_is_refused_and_untouched() {
    let (mut bytes, ends) = journal(3);
    bytes[8] = 2;
    // Whatever the newer layout may be, and torn as well.
    bytes.truncate(ends[3] - 2);
    let dir = placed(&bytes);
    assert!(matches!(recover::<Event>(dir.path()), Err(ReadError::Newer { found: 2 })));
    assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), bytes);
    assert_eq!(names(dir.path()), [FILE]);
}

#[test]
fn other_files_are_no_journals() {
    for text in ["", "\0\0\0", "CUTO"] {
        assert!(matches!(parse::<Event>(text.as_bytes()), Err(ReadError::Unstarted)), "{text:?}");
    }
    for text in ["{}", "CUTOVERX and more than sixteen bytes"] {
        assert!(matches!(parse::<Event>(text.as_bytes()), Err(ReadError::Foreign)), "{text:?}");
    }
}

#[test]
fn an_intact_record_of_an_unknown_kind_is_named() {
    let mut disk = Memory::default();
    let mut writer = Writer::begin(&mut disk, &header()).unwrap();
    writer.append(&event(0)).unwrap();
    writer.append(&serde_json::json!({"event": "from_the_future"})).unwrap();
    drop(writer);
    let fault = parse::<Event>(&disk.bytes).unwrap_err();
    assert!(matches!(fault, ReadError::Unreadable { sequence: 2, .. }), "{fault}");
}

#[test]
fn j4_a_failed_write_or_sync_spends_the_writer() {
    for fails_at in 0..4 {
        // The header's write and sync are done before the counting begins.
        let mut disk = Memory::default();
        drop(Writer::begin(&mut disk, &header()).unwrap());
        let position = parse::<Event>(&disk.bytes).unwrap().position;
        disk.writes_left = Some(fails_at);
        let mut writer = Writer::at(&mut disk, position).unwrap();
        for number in 0..fails_at {
            writer.append(&event(number)).unwrap();
        }
        assert_eq!(
            writer.append(&event(fails_at)).unwrap_err().raw_os_error(),
            Some(nix::errno::Errno::EIO as i32)
        );
        assert!(writer.is_spent());
        assert!(writer.append(&event(9)).is_err() && writer.append_from_reserve(&[event(9)]).is_err());
        assert!(writer.sync().is_err());
        drop(writer);
        // What was written half is a torn tail, not damage.
        assert_eq!(parse::<Event>(&disk.bytes).unwrap().records, expected(fails_at));
    }
    let mut disk = Memory { syncs_left: Some(1), ..Memory::default() };
    let mut writer = Writer::begin(&mut disk, &header()).unwrap();
    writer.append(&event(0)).unwrap();
    assert!(writer.sync().is_err());
    // The disk is well again, and it does not matter.
    writer.disk.syncs_left = None;
    let refused = writer.append(&event(1)).unwrap_err().to_string();
    assert!(refused.contains("no longer written"), "{refused}");
    assert!(writer.sync().is_err());
}

#[test]
fn j5_a_full_disk_keeps_room_for_the_rollback() {
    let mut disk = Memory { can_reserve: true, space: Some(3 << 20), ..Memory::default() };
    let mut writer = Writer::begin(&mut disk, &header()).unwrap();
    let text = "x".repeat(10_000);
    let refused = loop {
        if let Err(fault) = writer.append(&Event::Printed { text: text.clone() }) {
            break fault;
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert!(!writer.is_spent());
    let before = writer.position().sequence;
    // Ninety records of a rollback, in space that was taken before.
    for _ in 0..90 {
        writer.append_from_reserve(&[Event::Printed { text: text.clone() }]).unwrap();
    }
    writer.sync().unwrap();
    assert_eq!(writer.position().sequence, before + 90);
    drop(writer);
    assert!(disk.bytes.len() <= 3 << 20, "space was used that had not been reserved");
}

#[test]
fn space_is_taken_on_a_real_disk() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("run");
    let mut writer = Writer::create(&dir, &header()).unwrap();
    let length = dir.join(FILE).metadata().unwrap().len();
    assert!(length == writer.position().offset || length >= writer.position().offset + writer::RESERVE);
    writer.append(&event(0)).unwrap();
    assert_eq!(read::<Event>(&dir).unwrap().records, expected(1));
}

#[test]
fn links_are_not_followed() {
    let base = tempfile::tempdir().unwrap();
    let (bytes, _) = journal(2);
    let real = placed(&bytes);
    let link = base.path().join("run");
    symlink(real.path(), &link).unwrap();
    assert!(matches!(recover::<Event>(&link), Err(ReadError::Io { .. })));
    assert!(Writer::create(&link, &header()).is_err());
    let dir = base.path().join("other");
    RunDir::create(&dir).unwrap();
    symlink(real.path().join(FILE), dir.join(FILE)).unwrap();
    assert!(matches!(read::<Event>(&dir), Err(ReadError::Io { .. })));
    assert!(Writer::create(&dir, &header()).is_err());
}

fn holder(who: &str) -> Holder {
    Holder {
        pid: std::process::id(),
        boot_id: "boot".to_owned(),
        since_ms: 1_764_000_000_000,
        who: who.to_owned(),
    }
}

#[test]
fn l1_of_a_hundred_one_holds() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("run");
    let (ready, holders, tried) = (Barrier::new(100), AtomicUsize::new(0), Barrier::new(100));
    std::thread::scope(|scope| {
        for number in 0..100 {
            let (dir, ready, holders, tried) = (&dir, &ready, &holders, &tried);
            scope.spawn(move || {
                ready.wait();
                let lock = Lock::acquire(dir, lock::RUN_LOCK, &holder(&format!("driver-{number}")));
                match &lock {
                    Ok(_) => drop(holders.fetch_add(1, Ordering::Relaxed)),
                    Err(LockError::Held { .. }) => {}
                    Err(fault) => panic!("{fault}"),
                }
                // Nobody lets go before all have tried.
                tried.wait();
            });
        }
    });
    assert_eq!(holders.into_inner(), 1);
}

#[test]
fn a_lock_says_who_holds_it() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("run");
    RunDir::create(&dir).unwrap();
    assert_eq!(Lock::holder(&dir, lock::RUN_LOCK).unwrap(), None);
    let lock = Lock::acquire(&dir, lock::RUN_LOCK, &holder("alice@bastion")).unwrap();
    assert_eq!(Lock::holder(&dir, lock::RUN_LOCK).unwrap(), Some(holder("alice@bastion")));
    let fault = Lock::acquire(&dir, lock::RUN_LOCK, &holder("bob@bastion")).unwrap_err();
    assert!(fault.to_string().contains("locked by alice@bastion (pid "), "{fault}");
    drop(lock);
    assert_eq!(Lock::holder(&dir, lock::RUN_LOCK).unwrap(), None);
    let _lock = Lock::acquire(&dir, lock::RUN_LOCK, &holder("bob")).unwrap();
    assert_eq!(Lock::holder(&dir, lock::RUN_LOCK).unwrap().unwrap().who, "bob");
}

#[test]
fn targets_have_locks_of_their_own() {
    let name = lock::target_lock_name("uid-1", "production", "backend-service");
    assert_eq!(name, lock::target_lock_name("uid-1", "production", "backend-service"));
    assert!(
        name.starts_with("target-production-backend-service-")
            && name.rsplit_once('.').is_some_and(|(_, end)| end == "lock")
    );
    for other in [
        ("uid-2", "production", "backend-service"),
        ("uid-1", "production-backend", "service"),
        ("uid-1p", "roduction", "backend-service"),
    ] {
        assert_ne!(name, lock::target_lock_name(other.0, other.1, other.2));
    }
    let hostile = lock::target_lock_name("u", "../../etc", &"x/".repeat(500));
    assert!(!hostile.contains('/') && hostile.len() < 128);
}

proptest! {
    #[test]
    fn any_text_comes_back(texts in prop::collection::vec("\\PC{0,40}|[\u{0}-\u{20}]{0,10}", 0..12)) {
        let mut disk = Memory::default();
        let mut writer = Writer::begin(&mut disk, &header()).unwrap();
        for text in &texts {
            writer.append(text).unwrap();
        }
        drop(writer);
        let read: VecDeque<String> = parse(&disk.bytes).unwrap().records.into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(read, texts);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), keep in 0usize..2000) {
        let (journal, _) = journal(10);
        let mut mixed = journal[..keep.min(journal.len())].to_vec();
        mixed.extend(bytes);
        let parsed = parse::<Event>(&mixed);
        if let Ok(contents) = parsed {
            prop_assert!(contents.records.len() <= 10);
        }
    }
}

#[test]
fn j3_a_record_that_is_just_being_written_is_no_damage_and_damage_that_stays_is() {
    let dir = tempfile::tempdir().unwrap();
    // A temporary directory may be open to others, by the umask; a run's own never is.
    let run = dir.path().join("run");
    let mut writer = Writer::create(&run, &header()).unwrap();
    let begin = usize::try_from(writer.position().offset).unwrap();
    writer.append_all(&[event(0)]).unwrap();
    let whole = std::fs::read(run.join(FILE)).unwrap();
    // The end of a record has arrived, its beginning has not.
    let mut half = whole.clone();
    half[begin..begin + 5].fill(0);
    let mut views = [half.clone(), whole].into_iter();
    let read = reader::settled::<Event>(|| Ok(views.next().unwrap())).unwrap();
    assert_eq!(read.records, [(1, event(0))]);
    let stays = reader::settled::<Event>(|| Ok(half.clone()));
    assert!(matches!(stays, Err(ReadError::Corrupt { .. })), "{stays:?}");
}
