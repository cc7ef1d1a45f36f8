//! The world's time: an anchor on the wall clock, running `speed` times as fast.

use std::{sync::Arc, time::Duration};

/// Simulated time. Cheap to clone; all parts of one world share it with the engine that runs in it.
#[derive(Clone)]
pub struct WorldClock {
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
    speed: f64,
}

impl std::fmt::Debug for WorldClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorldClock").field("now", &self.now_ms()).field("speed", &self.speed).finish()
    }
}

impl WorldClock {
    /// A clock that reads simulated milliseconds since the Unix epoch from `now`; `speed` says how many simulated
    /// seconds pass in one real one and must be positive.
    pub fn new(now: Arc<dyn Fn() -> i64 + Send + Sync>, speed: f64) -> Self {
        Self { now, speed: if speed > 0.0 { speed } else { 1.0 } }
    }

    /// Simulated milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        (self.now)()
    }

    /// Simulated seconds in a real one.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The real time in which `simulated` passes.
    pub fn real(&self, simulated: Duration) -> Duration {
        simulated.div_f64(self.speed)
    }

    /// Waits until `simulated` has passed on this clock.
    pub async fn sleep(&self, simulated: Duration) {
        tokio::time::sleep(self.real(simulated)).await;
    }
}
