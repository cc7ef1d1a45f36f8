//! Points in time and durations, as people write and read them.

use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A point in time: milliseconds since the Unix epoch. Written as RFC 3339 in UTC.
///
/// Within one engine it comes from a clock that is anchored once and then counts boot time, so a corrected wall clock
/// moves nothing (see the clock adapter).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Span {
        Span::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time as `HH:MM:SS` in UTC, for log lines on the screen.
    pub fn clock(self) -> String {
        self.to_string().get(11..19).unwrap_or("--:--:--").to_owned()
    }

    /// The same moment as a calendar type.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default()
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Self(at.as_millisecond()))
    }
}

/// A length of time in whole milliseconds. Read as `90s`, `5m`, `1h30m`, `250ms`, `1d`, `1w`; kept in JSON as milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

/// What a deadline is worth in real time, however fast a rehearsal runs: what measures, answers and schedules takes its time
/// in real time. One that is shorter than this stays as it is.
pub const LEAST_REAL: Span = Span::from_secs(5);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// This span as a deadline in the run's time, where one real second is `second` of it: at least [`LEAST_REAL`] in real
    /// time, or what it says where that is shorter. At normal speed it is what it says.
    #[must_use]
    pub fn as_deadline(self, second: Self) -> Self {
        let least = self.0.min(LEAST_REAL.0).saturating_mul(second.0) / 1000;
        Self(self.0.max(least))
    }

    /// A span of milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// A span of seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1000))
    }

    /// A span of minutes.
    pub const fn from_mins(m: u64) -> Self {
        Self::from_secs(m.saturating_mul(60))
    }

    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds, cut off.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// As the standard library has it.
    pub const fn to_std(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// As a clock shows it: `0:21`, `6:40`, `15:00`, `1:02:03`, and `3d 04:00` beyond a day.
    pub fn clock(self) -> String {
        let s = self.as_secs();
        let (d, h, m, s) = (s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60);
        match (d, h) {
            (0, 0) => format!("{m}:{s:02}"),
            (0, _) => format!("{h}:{m:02}:{s:02}"),
            _ => format!("{d}d {h:02}:{m:02}"),
        }
    }

    /// As an estimate: `~3 s`, from a minute on `~1:44`.
    pub fn about(self) -> String {
        match self.as_secs() {
            s @ 0..=59 => format!("~{} s", s.max(1)),
            _ => format!("~{}", self.clock()),
        }
    }

    /// In one short unit, for ages: `5s`, `3m`, `2h`, `4d`.
    pub fn short(self) -> String {
        match self.as_secs() {
            s @ 0..=119 => format!("{s}s"),
            s @ 120..=7_199 => format!("{}m", s / 60),
            s @ 7_200..=172_799 => format!("{}h", s / 3600),
            s => format!("{}d", s / 86_400),
        }
    }

    /// The difference, zero where `other` is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, capped.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    /// In the notation that [`FromStr`] reads: `1h30m`, `5m`, `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in
            [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
        {
            // Weeks only where nothing is left over: "8d" reads better than "1w1d".
            if rest >= size && (size != 604_800_000 || rest.is_multiple_of(size)) {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

/// Why a text is not a valid span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSpan(pub String);

impl fmt::Display for BadSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a valid duration; write a number with a unit, such as `30s`, `5m` or `1h30m`",
            self.0
        )
    }
}

impl std::error::Error for BadSpan {}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(text.to_owned());
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let (number, tail) = rest.split_at(digits);
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let size = match unit.trim() {
                "ms" => 1,
                "s" => 1000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 604_800_000,
                _ => return Err(bad()),
            };
            let number: u64 = number.parse().map_err(|_| bad())?;
            total = number.checked_mul(size).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
            rest = tail;
        }
        // A century is a typing mistake, and larger values would overflow timestamps.
        if total > 100 * 365 * 86_400_000 { Err(bad()) } else { Ok(Self(total)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for text in ["0s", "250ms", "30s", "5m", "1h30m", "1d", "1w", "1m30s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["", "5", "m", "5 minutes", "-5m", "5mm", "99999999999999999999s", "200000w"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn clocks_show_minutes_hours_and_days() {
        assert_eq!(Span::from_secs(21).clock(), "0:21");
        assert_eq!(Span::from_secs(900).clock(), "15:00");
        assert_eq!(Span::from_secs(3723).clock(), "1:02:03");
        assert_eq!(Span::from_secs(86_400 * 3 + 3600 * 4).clock(), "3d 04:00");
    }

    #[test]
    fn a_timestamp_survives_json() {
        let at = Timestamp(1_795_000_000_123);
        let json = serde_json::to_string(&at).unwrap();
        assert!(json.ends_with("Z\""), "{json}");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
    }

    #[test]
    fn a_deadline_keeps_its_real_seconds_at_any_speed() {
        let real = |span: &str, second| span.parse::<Span>().unwrap().as_deadline(Span::from_millis(second));
        assert_eq!(real("60s", 1_000), Span::from_secs(60));
        assert_eq!(real("60s", 10_000), Span::from_secs(60), "six real seconds");
        assert_eq!(real("60s", 400_000), Span::from_secs(2_000), "five");
        assert_eq!(real("2s", 400_000), Span::from_secs(800), "two, as it says");
        assert_eq!(real("2s", 500), Span::from_secs(2));
    }
}
