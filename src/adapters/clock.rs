//! The run's time: set from the wall clock once, then counted by the time since boot.
//!
//! So a corrected wall clock moves nothing, and a laptop that slept knows how long it slept: `CLOCK_BOOTTIME` goes on
//! where `Instant` stands still. A rehearsal's clock runs faster from the same kind of anchor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use crate::{
    domain::time::{Span, Timestamp},
    engine::ports::Clock,
};

/// Timers of the runtime stand still while the host is suspended. A clock that sleeps at least once a second, as the engine's
/// does, notices that within that second and wakes all others; no other sleep is longer than this before it looks itself.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NAP: Duration = Duration::from_secs(30);
/// Where no clock tells how long the host was suspended, each looks for itself.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NAP: Duration = Duration::from_secs(1);

/// A host that was suspended for less than this was not.
const SUSPENDED: i64 = 200;

/// How far the time since boot was ahead of the runtime's timers at the last look, in milliseconds.
static AHEAD: AtomicI64 = AtomicI64::new(i64::MIN);

/// Tells all who sleep that the host was suspended.
static WOKEN: Notify = Notify::const_new();

/// Wakes all who sleep where the host was suspended since somebody last looked.
fn look() {
    let ahead = (since_boot() - since(ClockId::CLOCK_MONOTONIC)) / 1_000_000;
    look_at(&AHEAD, &WOKEN, i64::try_from(ahead).unwrap_or(0));
}

/// The two clocks differ by how long this host was suspended. One that jumps has slept: whoever waits looks again at once.
fn look_at(known: &AtomicI64, woken: &Notify, ahead: i64) {
    let before = known.swap(ahead, Ordering::Relaxed);
    if before != i64::MIN && ahead.saturating_sub(before) >= SUSPENDED {
        woken.notify_waiters();
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
/// Elsewhere the monotonic clock is the nearest there is; on macOS it counts time asleep as well.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

/// Nanoseconds since boot, time asleep included.
fn since_boot() -> i128 {
    since(BOOT)
}

/// Nanoseconds by one of the system's clocks.
fn since(clock: ClockId) -> i128 {
    // Neither call can fail on a system that has the clock; standing still is then better than jumping about.
    let read = clock_gettime(clock).or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC));
    read.map_or(0, |time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
}

/// Milliseconds since the Unix epoch by the wall clock.
fn wall() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// Where a clock began, and how fast it goes.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: i64,
    boot: i128,
    speed: f64,
}

impl Anchor {
    /// The wall clock is read once. A run's time never falls, whatever is done to the wall clock meanwhile.
    fn at(wall: i64, speed: f64) -> Self {
        Self { wall, boot: since_boot(), speed }
    }

    fn now(&self) -> i64 {
        self.after(since_boot() - self.boot)
    }

    /// The time after this many real nanoseconds.
    fn after(&self, passed: i128) -> i64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "exact to a microsecond for more than a hundred years"
        )]
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds since the epoch are far from the limits"
        )]
        let ms = (passed as f64 / 1e6 * self.speed) as i64;
        self.wall.saturating_add(ms)
    }

    async fn sleep(&self, span: Span) {
        let end = self.now().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        loop {
            // From here on a suspended host is noticed, also before this task rests.
            let woken = WOKEN.notified();
            let left = end.saturating_sub(self.now());
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            let real = Duration::from_millis(left).div_f64(self.speed).max(Duration::from_micros(100));
            tokio::select! {
                () = tokio::time::sleep(real.min(NAP)) => look(),
                () = woken => {}
            }
        }
    }
}

/// The clock of a real run.
#[derive(Debug, Clone)]
pub struct SystemClock(Anchor);

impl SystemClock {
    /// A clock that begins at the wall clock's time.
    #[must_use]
    pub fn new() -> Self {
        Self(Anchor::at(wall(), 1.0))
    }

    /// A clock for a run that goes on: it does not begin before `last`, the time of its newest record, even where the
    /// wall clock was set back since.
    #[must_use]
    pub fn not_before(last: Timestamp) -> Self {
        Self(Anchor::at(wall().max(last.0), 1.0))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now())
    }

    async fn sleep(&self, span: Span) {
        self.0.sleep(span).await;
    }
}

/// The clock of a rehearsal: the wall clock's time at its beginning, then `speed` seconds in each real one.
#[derive(Debug, Clone)]
pub struct FastClock(Anchor);

impl FastClock {
    /// A clock that begins now. A speed that is not a positive number counts as 1.
    #[must_use]
    pub fn new(speed: f64) -> Self {
        Self(Anchor::at(wall(), if speed.is_finite() && speed > 0.0 { speed } else { 1.0 }))
    }

    /// The same clock as a function, milliseconds since the epoch: what the simulated world is to live by, so that it
    /// and the engine never disagree.
    #[must_use]
    pub fn now_fn(&self) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let anchor = self.0;
        Arc::new(move || anchor.now())
    }
}

#[async_trait]
impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now())
    }

    async fn sleep(&self, span: Span) {
        self.0.sleep(span).await;
    }

    fn speed(&self) -> f64 {
        self.0.speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_begins_at_the_wall_clocks_time_and_never_falls() {
        let before = wall();
        let clock = SystemClock::new();
        let mut last = clock.now();
        assert!(last.0 >= before && last.0 <= wall() + 1000);
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_resumed_run_does_not_begin_before_its_last_record() {
        let ahead = Timestamp(wall() + 3_600_000);
        assert!(SystemClock::not_before(ahead).now() >= ahead);
        let behind = Timestamp(wall() - 3_600_000);
        assert!(SystemClock::not_before(behind).now() > behind + Span::from_mins(59));
    }

    #[test]
    fn speed_multiplies_what_passes_and_not_the_anchor() {
        let anchor = Anchor { wall: 1_800_000_000_000, boot: 0, speed: 10.0 };
        assert_eq!(anchor.after(0), 1_800_000_000_000);
        assert_eq!(anchor.after(1_500_000_000), 1_800_000_015_000);
        // A century at full precision.
        let century = 100 * 365 * 86_400_i128 * 1_000_000_000;
        assert_eq!(
            Anchor { speed: 1.0, ..anchor }.after(century + 1_000_000),
            1_800_000_000_000 + 3_153_600_000_001
        );
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!((FastClock::new(speed).speed() - 1.0).abs() < f64::EPSILON);
        }
    }

    #[tokio::test]
    async fn a_suspended_host_wakes_all_who_sleep() {
        let (known, woken) = (AtomicI64::new(i64::MIN), Notify::const_new());
        let mut sleeper = done_by_now(woken.notified());
        // The first look knows nothing to compare with, and clocks drift by a little.
        for ahead in [5_000, 5_000, 5_100] {
            look_at(&known, &woken, ahead);
            assert!(!sleeper());
        }
        look_at(&known, &woken, 65_100);
        assert!(sleeper());
    }

    /// Whether a future is done by now.
    fn done_by_now<'a>(future: impl Future<Output = ()> + 'a) -> impl FnMut() -> bool + 'a {
        let mut future = Box::pin(future);
        move || futures::FutureExt::now_or_never(&mut future).is_some()
    }

    #[tokio::test]
    async fn a_fast_clock_and_its_function_agree_and_sleep_by_it() {
        let clock = FastClock::new(100.0);
        let now_fn = clock.now_fn();
        let (a, b, c) = (clock.now().0, now_fn(), clock.now().0);
        assert!(a <= b && b <= c);
        clock.sleep(Span::from_secs(5)).await;
        assert!(clock.now().0 >= a + 5000, "sleeps at least as long as asked");
        clock.sleep(Span::ZERO).await;
    }
}
