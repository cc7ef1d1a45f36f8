//! Prometheus' text exposition format, as the simulated application and servers write it.

use std::fmt::{self, Write as _};

use super::labels::write_escaped;

/// What the `# TYPE` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, until its process starts over.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Cumulative buckets by upper bound (`le`), a sum and a count.
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What one metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The metric's name, without the suffixes of a histogram's samples.
    pub name: &'static str,
    /// The sentence behind `# HELP`.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
}

/// One line of an exposition, lent to a visitor.
#[derive(Debug)]
pub struct Point<'a> {
    /// The metric it belongs to.
    pub family: &'static Family,
    /// `_bucket`, `_sum` or `_count` for a histogram's samples, else empty.
    pub suffix: &'static str,
    /// The labels.
    pub labels: &'a [(&'a str, &'a str)],
    /// The value.
    pub value: f64,
}

/// Text under construction. All points of a family stand together in it, whatever order they come in.
#[derive(Debug, Default)]
pub struct Exposition {
    families: Vec<(&'static str, String)>,
}

impl Exposition {
    /// The media type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Adds a line, with the family's head before its first one.
    pub fn point(&mut self, point: &Point<'_>) {
        let name = point.family.name;
        let known = self.families.iter().rposition(|(known, _)| *known == name);
        let at = known.unwrap_or_else(|| {
            self.families.push((name, head(point.family)));
            self.families.len() - 1
        });
        // Writing to a String cannot fail.
        let _ = line(&mut self.families[at].1, point);
    }

    /// The whole text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.families.into_iter().map(|(_, text)| text).collect()
    }
}

fn head(&Family { name, help, kind }: &Family) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name())
}

fn line(text: &mut String, point: &Point<'_>) -> fmt::Result {
    write!(text, "{}{}", point.family.name, point.suffix)?;
    let mut separator = '{';
    for (label, value) in point.labels {
        write!(text, "{separator}{label}=\"")?;
        write_escaped(text, value)?;
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    writeln!(text, " {}", number(point.value))
}

/// A value as Prometheus spells it in texts and in JSON.
#[must_use]
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: Family = Family { name: "requests_total", help: "Requests.", kind: Kind::Counter };
    const UP: Family = Family { name: "up", help: "Up.", kind: Kind::Gauge };

    #[test]
    fn a_family_has_one_head_and_escaped_labels() {
        let mut out = Exposition::default();
        out.point(&Point { family: &REQUESTS, suffix: "", labels: &[("a", "x\"y"), ("b", "z")], value: 3.0 });
        out.point(&Point { family: &REQUESTS, suffix: "", labels: &[], value: 0.5 });
        out.point(&Point { family: &UP, suffix: "", labels: &[], value: f64::INFINITY });
        out.point(&Point { family: &REQUESTS, suffix: "", labels: &[("a", "late")], value: 1.0 });
        assert_eq!(
            out.into_text(),
            "# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total{a=\"x\\\"y\",b=\"z\"} 3\n\
             requests_total 0.5\nrequests_total{a=\"late\"} 1\n# HELP up Up.\n# TYPE up gauge\nup +Inf\n"
        );
    }

    #[test]
    fn numbers_are_spelled_as_prometheus_does() {
        assert_eq!(
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 40.0, 0.000_25].map(number),
            ["NaN", "+Inf", "-Inf", "40", "0.00025"]
        );
    }
}
