//! Time limits: calls to the API server, and the terms of the target's lock.

use std::time::Duration;

use crate::domain::time::Span;

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// A read, its repetitions included.
    pub read: Duration,
    /// A write.
    pub write: Duration,
    /// What the look after an unclear write has at least, even where the write's own deadline is over.
    pub look: Duration,
    /// Making a client: credential plugins run then.
    pub login: Duration,
    /// The API server ends each watch after this long, whole seconds; we begin the next one at once.
    pub watch: Duration,
    /// A connection that says nothing for so long is dead. Must be longer than `watch`.
    pub silence: Duration,
    /// Service and Deployments are read this often while a watch runs: it keeps connections warm and finds out that the
    /// server has gone. On the run's clock.
    pub heartbeat: Span,
    /// The least time between two pictures of a watch.
    pub picture: Duration,
    /// The longest pause before a failed watch begins again.
    pub backoff: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(10),
            write: Duration::from_secs(10),
            look: Duration::from_millis(800),
            login: Duration::from_secs(30),
            watch: Duration::from_secs(30),
            silence: Duration::from_secs(35),
            heartbeat: Span::from_secs(10),
            picture: Duration::from_millis(250),
            backoff: Duration::from_secs(5),
        }
    }
}

/// The times of the lock, on the lock's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockTiming {
    /// How long somebody must have seen no renewal before a takeover; whole seconds.
    pub duration: Span,
    /// Without a renewal for so long, nothing is written any more. Shorter than `duration`.
    pub deadline: Span,
    /// Between two renewals.
    pub every: Span,
    /// How long one request may take.
    pub attempt: Span,
}

impl Default for LockTiming {
    fn default() -> Self {
        Self {
            duration: Span::from_secs(15),
            deadline: Span::from_secs(10),
            every: Span::from_secs(2),
            attempt: Span::from_secs(3),
        }
    }
}
