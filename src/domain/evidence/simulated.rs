//! Traffic from dice, for the Monte Carlo of tests and benches. The same seed gives the same traffic.

/// Dice with a seed.
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.f64()
    }

    /// How many of `of` events are bad, each with the chance `share`.
    pub(crate) fn bad(&mut self, of: u32, share: f64) -> f64 {
        if share <= 0.0 || of == 0 {
            return 0.0;
        }
        if share >= 1.0 {
            return f64::from(of);
        }
        if share > 0.5 {
            return f64::from(of) - self.bad(of, 1.0 - share);
        }
        // The chance of none would be too small a number.
        if f64::from(of) * share > 300.0 {
            return self.bad(of / 2, share) + self.bad(of - of / 2, share);
        }
        let (n, odds) = (f64::from(of), share / (1.0 - share));
        let mut chance = (1.0 - share).powf(n);
        let (mut bad, mut left) = (0.0, self.unit());
        while left >= chance && bad < n {
            left -= chance;
            chance *= odds * (n - bad) / (bad + 1.0);
            bad += 1.0;
        }
        bad
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Gamma with mean 1 and this coefficient of variation (Marsaglia and Tsang).
    fn gamma(&mut self, cv: f64) -> f64 {
        let shape = 1.0 / (cv * cv);
        let d = shape + 1.0 - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        let drawn = loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                break d * v;
            }
        };
        drawn * (1.0 - self.unit()).powf(1.0 / shape) / shape
    }
}

/// What bursts make of a rate: a factor with mean 1 that stays for 30 s.
pub(crate) struct Bursts {
    cv: f64,
    factor: f64,
    /// Seconds that it stays.
    stays: f64,
}

const STAYS: f64 = 30.0;

impl Bursts {
    /// `cv` is the factor's coefficient of variation, 0 for steady traffic.
    pub(crate) fn new(cv: f64, dice: &mut Dice) -> Self {
        let factor = if cv > 0.0 { dice.gamma(cv) } else { 1.0 };
        Self { cv, factor, stays: dice.unit() * STAYS }
    }

    /// The factor of the next so many seconds.
    pub(crate) fn next(&mut self, seconds: f64, dice: &mut Dice) -> f64 {
        if self.stays <= 0.0 {
            self.stays += STAYS;
            self.factor = if self.cv > 0.0 { dice.gamma(self.cv) } else { 1.0 };
        }
        self.stays -= seconds;
        self.factor
    }
}
