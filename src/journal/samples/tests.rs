//! The file of samples: whole, torn, damaged, full, and on a disk that fails.

use std::{
    fs::OpenOptions,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{keeper::MOST_WAITING, *};
use crate::{
    domain::{
        id::SlotName,
        kept::{Kept, Moment, Seen},
        metric::{Missing, Sample},
        time::{Span, Timestamp},
        workload::{Pod, WarningEvent, Workload},
    },
    engine::ports::SampleKeeper as _,
};

const RUN: &str = "20261127-1200-test";

fn sample(line: i64, at: i64, value: f64) -> Moment {
    let metric = format!("metric_{}", line / 2).as_str().into();
    let slot: SlotName = ["blue", "green"][usize::try_from(line % 2).unwrap()].into();
    let value = if value.is_nan() { Err(Missing::NoData) } else { Ok(value) };
    Moment {
        at: Timestamp(at),
        seen: Seen::Sample(Sample { metric, slot: Some(slot), at: Timestamp(at), value, counts: None }),
    }
}

fn lines(moments: &[Moment]) -> Vec<u8> {
    let mut lines = Vec::new();
    for moment in moments {
        serde_json::to_writer(&mut lines, moment).unwrap();
        lines.push(b'\n');
    }
    lines
}

fn open(dir: &Path, bounds: Bounds) -> Store {
    Store::open(dir, RUN, bounds, &mut |_| {}).unwrap()
}

fn append(store: &mut Store, moments: &[Moment]) {
    store.append(&lines(moments), moments.len()).unwrap();
}

fn kept(dir: &Path) -> Kept {
    read(dir, RUN).unwrap().unwrap()
}

/// A directory as runs have it.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    dir
}

/// A file of three blocks, as bytes, with what is in it.
fn written() -> (Vec<u8>, Vec<Moment>) {
    let dir = directory();
    let mut store = open(dir.path(), Bounds::default());
    let moments: Vec<Moment> = (0..30).map(|at| sample(at % 4, at * 1_000, 0.5)).collect();
    moments.chunks(10).for_each(|some| append(&mut store, some));
    (std::fs::read(dir.path().join(FILE)).unwrap(), moments)
}

#[test]
fn what_is_written_is_read_and_a_later_engine_goes_on() {
    let dir = directory();
    assert!(read(dir.path(), RUN).unwrap().is_none(), "as of a run of an earlier version");
    let (first, second) = ([sample(0, 1_000, 0.1), sample(1, 1_000, f64::NAN)], [sample(0, 2_000, 0.2)]);
    append(&mut open(dir.path(), Bounds::default()), &first);
    assert_eq!(dir.path().join(FILE).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut known = Vec::new();
    let mut store =
        Store::open(dir.path(), RUN, Bounds::default(), &mut |moments| known.extend(moments)).unwrap();
    assert_eq!(known, first);
    append(&mut store, &second);
    assert_eq!(kept(dir.path()).moments, [&first[..], &second].concat());
    assert_eq!(kept(dir.path()).remarks(), [] as [&str; 0]);
}

#[test]
fn a_torn_end_is_cut_by_the_reader_and_by_the_next_engine() {
    let (bytes, moments) = written();
    for cut in 0..bytes.len() {
        let dir = directory();
        std::fs::write(dir.path().join(FILE), &bytes[..cut]).unwrap();
        std::fs::set_permissions(dir.path().join(FILE), PermissionsExt::from_mode(0o600)).unwrap();
        let before = kept(dir.path());
        assert!(moments.starts_with(&before.moments) && before.moments.len().is_multiple_of(10), "{cut}");
        let more = [sample(0, 99_000, 0.9)];
        append(&mut open(dir.path(), Bounds::default()), &more);
        let after = kept(dir.path());
        assert_eq!(after.moments, [&before.moments[..], &more].concat(), "{cut}");
        assert_eq!(after.faults, [] as [&str; 0], "{cut}");
    }
}

#[test]
fn a_damaged_block_is_left_out_and_what_follows_is_read() {
    let (mut bytes, moments) = written();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let read = parse(&bytes, RUN).unwrap();
    assert_eq!(read.moments, [&moments[..10], &moments[20..]].concat());
    assert_eq!(read.faults.len(), 1, "{:?}", read.faults);
    // A later engine leaves what is behind the damage alone.
    let dir = directory();
    std::fs::write(dir.path().join(FILE), &bytes).unwrap();
    std::fs::set_permissions(dir.path().join(FILE), PermissionsExt::from_mode(0o600)).unwrap();
    append(&mut open(dir.path(), Bounds::default()), &[sample(0, 99_000, 0.9)]);
    assert_eq!(kept(dir.path()).moments.len(), 21);
}

#[test]
fn other_files_are_refused_and_never_changed() {
    let (bytes, _) = written();
    assert!(matches!(parse(&bytes, "another"), Err(SamplesError::OtherRun { found }) if found == RUN));
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert!(matches!(parse(&newer, RUN), Err(SamplesError::Newer { found: 2 })));
    let mut foreign = bytes.clone();
    foreign[0] = b'X';
    assert!(matches!(parse(&foreign, RUN), Err(SamplesError::Foreign)));
    for other in [newer, foreign] {
        let dir = directory();
        let path = dir.path().join(FILE);
        std::fs::write(&path, &other).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(Store::open(dir.path(), RUN, Bounds::default(), &mut |_| {}).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), other);
    }
}

#[test]
fn a_block_that_unpacks_without_end_is_left_out() {
    let (bytes, moments) = written();
    let (_, seed, first) = format::decode_header(&bytes).unwrap();
    // It says that it is short, and has thousand times that.
    let mut bomb = format::encode_block(&vec![b'\n'; 1 << 20], 1, Span::ZERO, seed).unwrap();
    bomb[5..9].copy_from_slice(&64u32.to_le_bytes());
    let sum = crc32c::crc32c_append(seed, &bomb[..17]);
    bomb[17..21].copy_from_slice(&sum.to_le_bytes());
    let read = parse(&[&bytes[..first], &bomb, &bytes[first..]].concat(), RUN).unwrap();
    assert_eq!(read.moments, moments);
    assert_eq!(read.faults, ["1 damaged blocks of samples.cut are left out: its length is wrong"]);
}

#[test]
fn a_line_of_a_later_kind_is_counted() {
    let dir = directory();
    let mut store = open(dir.path(), Bounds::default());
    let mut text = lines(&[sample(0, 1_000, 0.1)]);
    text.extend(br#"{"at":"2026-11-27T12:00:00.000Z","seen":{"verdict":{"e":20}}}"#);
    store.append(&text, 2).unwrap();
    let kept = kept(dir.path());
    assert_eq!(kept.moments.len(), 1);
    assert_eq!(kept.faults, ["1 lines of samples.cut are of a kind that this version does not know"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens to the bytes: no panic, no more than was written, nothing invented.
    #[test]
    fn cut_and_flipped_bytes_give_what_was_written_or_nothing(
        cut in 0usize..2_000,
        flips in proptest::collection::vec((0usize..2_000, 0u8..8), 0..6),
    ) {
        let (mut bytes, moments) = written();
        bytes.truncate(cut.max(1));
        for (at, bit) in flips {
            let length = bytes.len();
            bytes[at % length] ^= 1 << bit;
        }
        if let Ok(read) = parse(&bytes, RUN) {
            prop_assert!(read.moments.iter().all(|moment| moments.contains(moment)));
        }
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let (whole, _) = written();
        let (_, _, first) = format::decode_header(&whole).unwrap();
        let _ = parse(&bytes, RUN);
        let read = parse(&[&whole[..first], &bytes].concat(), RUN).unwrap();
        prop_assert_eq!(read.moments, []);
    }
}

/// 24 hours of 8 lines, a sample each 15 seconds, and a picture with a warning each minute.
#[test]
fn a_day_keeps_to_its_bounds_and_says_what_it_thinned_out() {
    let dir = directory();
    // A thirtieth of the real ones.
    let bounds = Bounds { bytes: 1 << 20, plain: 3 << 20, moments: 10_000 };
    let mut store = open(dir.path(), bounds);
    let (day, minute) = (86_400_000, 60_000);
    let spike = day / 4;
    for from in (0..day).step_by(usize::try_from(minute).unwrap()) {
        let mut moments = Vec::new();
        for at in (from..from + minute).step_by(15_000) {
            for line in 0..8 {
                // Something that packs as badly as measurements do.
                let noise = f64::from(u32::try_from((at / 5_000 * 7_919 + line * 104_729) % 9_973).unwrap());
                let value = if at == spike && line == 3 { 77.0 } else { 0.001 + noise / 1e7 };
                moments.push(sample(line, at, value));
            }
        }
        let mut workload = Workload { as_of: Timestamp(from), ..Workload::default() };
        workload.warnings.push(WarningEvent {
            object: "pod/backend-green-7f9c".to_owned(),
            reason: "BackOff".to_owned(),
            message: "restarting failed container".to_owned(),
            count: 1,
            at: Timestamp(from),
        });
        moments.push(Moment { at: Timestamp(from), seen: Seen::Picture(Box::new(workload)) });
        append(&mut store, &moments);
        assert!(dir.path().join(FILE).metadata().unwrap().len() <= bounds.bytes);
    }
    let kept = kept(dir.path());
    let plain: usize = kept.moments.iter().map(|moment| serde_json::to_vec(moment).unwrap().len() + 1).sum();
    assert!(kept.moments.len() as u64 <= bounds.moments && plain as u64 <= bounds.plain);
    assert!(
        kept.moments.len() as u64 > bounds.moments / 4,
        "there was room for more: {}",
        kept.moments.len()
    );
    assert_eq!(kept.faults, [] as [&str; 0]);
    // Older times are on coarser grids, the newest is whole.
    let grids: Vec<_> = kept.thinned.iter().map(|thinned| thinned.grid).collect();
    assert!(grids.len() > 1 && grids.is_sorted_by(|older, newer| older >= newer), "{grids:?}");
    assert!(kept.remarks()[0].contains("thinned out"), "{:?}", kept.remarks());
    let last_hour = kept.samples().filter(|sample| sample.at.0 >= day - 3_600_000).count();
    assert_eq!(last_hour, 8 * 240);
    for lane in kept.lanes().values() {
        assert!(lane[0].at.0 < 86_400_000 / 24 && lane.is_sorted_by_key(|sample| sample.at));
    }
    assert!(kept.samples().any(|sample| sample.value == Ok(77.0)), "the one peak of the day is there");
    // It can be opened again, and counts right.
    let before = kept.moments.len();
    let mut again = open(dir.path(), bounds);
    append(&mut again, &[sample(0, day, 0.5)]);
    assert!(self::kept(dir.path()).moments.len() <= before + 1);
}

#[test]
fn the_file_and_the_one_that_it_is_thinned_out_to_have_room_together() {
    assert_eq!(Bounds::default().bytes * 2, 64 << 20, "what is promised");
    let dir = directory();
    let bounds = Bounds { bytes: 256 << 10, plain: 64 << 20, moments: 1 << 20 };
    let mut store = open(dir.path(), bounds);
    let mut noise = 0x9E37_79B9_7F4A_7C15_u64;
    for block in 0..120 {
        let look = |at: i64| {
            let text = (0..60).map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                format!("{noise:016x}")
            });
            let evidence: String = text.collect();
            Moment { at: Timestamp(at), seen: Seen::Look { step: None, check: 0, holds: true, evidence } }
        };
        append(&mut store, &(block * 10..block * 10 + 10).map(|at| at * 1_000).map(look).collect::<Vec<_>>());
        assert!(dir.path().join(FILE).metadata().unwrap().len() <= bounds.bytes);
    }
    assert!(store.most > bounds.bytes && store.most <= bounds.bytes * 2, "{}", store.most);
    assert!(!dir.path().join("samples.cut.next").exists());
    let remarks = kept(dir.path()).remarks();
    assert!(
        remarks.iter().all(|remark| remark.contains("thinned out")) && !remarks.is_empty(),
        "{remarks:?}"
    );
}

#[test]
fn what_has_no_room_at_all_goes_and_that_is_said() {
    let dir = directory();
    let bounds = Bounds { bytes: 1 << 20, plain: 8 << 20, moments: 400 };
    let mut store = open(dir.path(), bounds);
    // More lines than there is room for, at one time: no grid helps.
    for block in 0..20 {
        let at = block * 86_400_000;
        let moments: Vec<Moment> = (0..60).map(|line| sample(line, at, 0.5)).collect();
        append(&mut store, &moments);
    }
    let kept = kept(dir.path());
    assert!(kept.moments.len() <= 400);
    let gone: u64 = kept
        .moments
        .iter()
        .filter_map(|moment| match &moment.seen {
            Seen::Lost { moments, .. } => Some(*moments),
            _ => None,
        })
        .sum();
    assert_eq!(gone + kept.samples().count() as u64, 20 * 60, "{:?}", kept.remarks());
    assert!(kept.remarks().iter().any(|remark| remark.contains("the file was full")));
}

#[test]
fn a_file_that_could_not_be_thinned_out_leaves_no_second_one_behind() {
    let dir = directory();
    let bounds = Bounds { bytes: 1 << 20, plain: 8 << 20, moments: 100 };
    let mut store = open(dir.path(), bounds);
    let moments: Vec<Moment> = (0..90).map(|at| sample(at % 4, at * 1_000, 0.5)).collect();
    append(&mut store, &moments);
    let path = dir.path().join(FILE);
    let whole = std::mem::replace(&mut store.file, OpenOptions::new().write(true).open(&path).unwrap());
    let more: Vec<Moment> = (90..120).map(|at| sample(at % 4, at * 1_000, 0.5)).collect();
    assert!(store.append(&lines(&more), more.len()).is_err());
    assert!(!dir.path().join("samples.cut.next").exists(), "on a full disk the journal needs its room");
    store.file = whole;
    append(&mut store, &more);
    assert!(kept(dir.path()).moments.ends_with(&more));
}

/// A disk that hangs, and a cluster of hundreds of pods in which something happens all the time.
#[test]
fn what_waits_for_a_slow_disk_takes_little_memory() {
    let dir = directory();
    let (gate, waits) = std::sync::mpsc::channel::<()>();
    let waits = parking_lot::Mutex::new(waits);
    let mask: Mask = Arc::new(move |text: &str| {
        // Until the disk answers: all that is written goes through here.
        let _ = waits.lock().recv();
        text.to_owned()
    });
    let mut samples = Samples::start(dir.path(), RUN, Bounds::default(), mask).unwrap();
    let picture = |at: i64| {
        let mut workload = Workload { as_of: Timestamp(at), ..Workload::default() };
        let pod = |number: usize| Pod {
            name: format!("backend-green-{at}-{number}"),
            status: "Running".to_owned(),
            ready: true,
            containers_ready: 1,
            containers: 1,
            restarts: 0,
            created: Timestamp(0),
            version: "v1.6.0".to_owned(),
            bad: false,
        };
        workload.slots.entry("green".into()).or_default().pods = (0..200).map(pod).collect();
        Moment { at: Timestamp(at), seen: Seen::Picture(Box::new(workload)) }
    };
    let takes = picture(1_000_000).memory();
    assert!((20_000..200_000).contains(&takes), "{takes}");
    (0..3_000).for_each(|second| samples.keep(picture(2_000 * second)));
    drop(gate);
    drop(samples);
    let counted = || {
        let (mut pictures, mut bytes, mut lost) = (0, 0, 0);
        for moment in &kept(dir.path()).moments {
            match &moment.seen {
                Seen::Picture(_) => (pictures, bytes) = (pictures + 1, bytes + moment.memory()),
                Seen::Lost { moments, .. } => lost += moments,
                other => panic!("{other:?}"),
            }
        }
        (pictures, bytes, lost)
    };
    // The end waits for the last lines, but not for ever.
    let until = Instant::now() + Duration::from_secs(30);
    let (pictures, bytes, lost) = loop {
        let (pictures, bytes, lost) = counted();
        if pictures + lost == 3_000 || Instant::now() > until {
            break (pictures, bytes, lost);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(pictures + lost, 3_000, "what is not there is said");
    // One is in the writer's own hands.
    assert!((MOST_WAITING / 2..MOST_WAITING + takes).contains(&bytes), "{pictures} of {bytes} bytes");
}

#[test]
fn a_disk_that_fails_loses_nothing_that_was_written_and_is_tried_again() {
    let dir = directory();
    let mut store = open(dir.path(), Bounds::default());
    append(&mut store, &[sample(0, 1_000, 0.1)]);
    let path = dir.path().join(FILE);
    let writes = std::mem::replace(&mut store.file, OpenOptions::new().read(true).open(&path).unwrap());
    let moments = [sample(0, 2_000, 0.1)];
    assert!(store.append(&lines(&moments), 1).is_err());
    store.file = writes;
    append(&mut store, &[sample(0, 3_000, 0.1)]);
    let times: Vec<i64> = kept(dir.path()).moments.iter().map(|moment| moment.at.0).collect();
    assert_eq!(times, [1_000, 3_000]);
}

fn start(dir: &Path) -> Samples {
    let mask: Mask = Arc::new(|text: &str| text.replace("s3cret-canary", "•••"));
    Samples::start(dir, RUN, Bounds::default(), mask).unwrap()
}

#[test]
fn a_keeper_writes_what_it_was_given_when_it_ends() {
    let dir = directory();
    let mut samples = start(dir.path());
    (0..100).for_each(|at| samples.keep(sample(at % 4, at * 1_000, 0.5)));
    assert_eq!(samples.fault(), None);
    drop(samples);
    assert_eq!(kept(dir.path()).moments.len(), 100);
    // A screen of the next engine is shown the past once more: it is kept already.
    let mut samples = start(dir.path());
    (90..110).for_each(|at| samples.keep(sample(at % 4, at * 1_000, 0.5)));
    drop(samples);
    assert_eq!(kept(dir.path()).moments.len(), 110);
}

#[test]
fn x1_no_name_and_no_text_brings_a_secret_into_the_file() {
    let dir = directory();
    let mut samples = start(dir.path());
    let mut workload = Workload::default();
    workload.slots.entry("slot-s3cret-canary".into()).or_default().image = "repo/s3cret-canary:v1".to_owned();
    workload.selector = Some([("token".to_owned(), "s3cret-canary".to_owned())].into());
    samples.keep(Moment { at: Timestamp(0), seen: Seen::Picture(Box::new(workload)) });
    let mut bad = sample(0, 0, 0.5);
    if let Seen::Sample(sample) = &mut bad.seen {
        sample.value = Err(Missing::Unreachable("https://s3cret-canary@host".to_owned()));
        sample.slot = Some("s3cret-canary".into());
    }
    samples.keep(bad);
    drop(samples);
    let kept = serde_json::to_string(&kept(dir.path())).unwrap();
    assert!(kept.contains("repo/•••:v1") && kept.contains("https://•••@host"), "{kept}");
    assert!(!kept.contains("canary"), "{kept}");
}

#[test]
fn a_file_that_cannot_be_opened_is_told_once_and_the_engine_does_not_wait() {
    let dir = directory();
    std::fs::create_dir(dir.path().join(FILE)).unwrap();
    let mut samples = start(dir.path());
    let told = (0..500).find_map(|at| {
        samples.keep(sample(0, at * 1_000, 0.5));
        std::thread::sleep(Duration::from_millis(2));
        samples.fault()
    });
    let told = told.expect("it is told");
    assert!(told.starts_with("samples are not kept for replay and report: "), "{told}");
    assert_eq!(samples.fault(), None, "once");
    drop(samples);
}
