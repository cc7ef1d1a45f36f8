//! Counting.

/// A counter of whole events fed with expected ones: the remainder waits for the next second, so that counts follow the
/// rate as closely as whole numbers can. Events drawn by chance would cross narrow bounds now and then in a healthy world.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counter {
    pub(super) total: f64,
    rest: f64,
}

impl Counter {
    /// Adds what is expected and says how many whole events that made.
    pub(super) fn expect(&mut self, events: f64) -> f64 {
        self.rest += events.max(0.0);
        let whole = self.rest.floor();
        self.rest -= whole;
        self.total += whole;
        whole
    }
}
