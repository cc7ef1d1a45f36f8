//! Parses metrics in text format, Prometheus and OpenMetrics, line by line.
//!
//! `prometheus-parse` reads the lines that it reads rightly, which are nearly all. Version 0.2.5 drops series whose label
//! values hold `}` (a route such as `/users/{id}`), cuts values at `,` and `=`, keeps escapes, knows no names with `:`, no
//! exemplars and no OpenMetrics timestamps, and says nothing of any of it. A line read wrongly makes a number wrong, so
//! lines of that kind are told apart beforehand and read here; what is no line of the format is an error, never skipped.
//! Types don't matter, since the runbook says what is a counter; so OpenMetrics' renaming of counters and of histograms'
//! parts does no harm.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::LazyLock,
};

use regex::Regex;

use crate::domain::time::Timestamp;

/// Label names and values.
pub(super) type Labels = BTreeMap<String, String>;

/// One series at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// Its own time, where it tells one.
    pub(super) at: Option<Timestamp>,
}

/// What is kept of a text.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// The names that were looked for.
    wanted: HashSet<String>,
    series: HashMap<String, Vec<Series>>,
    /// Names that are declared, with or without series.
    declared: HashSet<String>,
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a metric: {text}")]
pub(super) struct Malformed {
    line: usize,
    text: String,
}

impl Exposition {
    /// Reads a whole text and keeps the series with these names.
    pub(super) fn parse(text: &str, wanted: &HashSet<String>) -> Result<Self, Malformed> {
        // OpenMetrics ends with this mark, and has seconds where Prometheus' own format has milliseconds.
        let open_metrics = text.trim_end().ends_with("# EOF");
        let mut kept = Self { wanted: wanted.clone(), ..Self::default() };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                let mut words = comment.split_whitespace();
                if let (Some("TYPE"), Some(name)) = (words.next(), words.next()) {
                    kept.declare(name);
                }
            } else if !line.is_empty() {
                let malformed = || Malformed { line: index + 1, text: line.to_owned() };
                kept.take(line, open_metrics).ok_or_else(malformed)?;
            }
        }
        Ok(kept)
    }

    /// The series of a name.
    pub(super) fn series(&self, name: &str) -> &[Series] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether the name was looked for at all.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.wanted.contains(name)
    }

    /// Whether the name occurs, be it without series.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.series.contains_key(name) || self.declared.contains(name)
    }

    fn declare(&mut self, name: &str) {
        // OpenMetrics declares a counter without the `_total` that its series have.
        for name in [name.to_owned(), format!("{name}_total")] {
            if self.wanted.contains(&name) {
                self.declared.insert(name);
            }
        }
    }

    fn take(&mut self, line: &str, open_metrics: bool) -> Option<()> {
        let (name, series) = match plain(line, open_metrics) {
            Some(read) => read,
            None => read_with_care(line, open_metrics)?,
        };
        if self.wanted.contains(&name) {
            self.series.entry(name).or_default().push(series);
        }
        Some(())
    }
}

/// A line that the crate reads rightly: plain names, values without anything that could be taken for syntax.
static PLAIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let label = r#"[A-Za-z_][A-Za-z0-9_]*="[^"\\{},=#]*""#;
    Regex::new(&format!(
        r"^[A-Za-z_][A-Za-z0-9_]*(?:\{{{label}(?:,{label})*,?\}})?[ \t]+[^\s#]+(?P<time>[ \t]+-?[0-9]+)?$"
    ))
    .ok()
});

fn plain(line: &str, open_metrics: bool) -> Option<(String, Series)> {
    let timed = PLAIN.as_ref()?.captures(line)?.name("time").is_some();
    if timed && open_metrics {
        return None;
    }
    let read = prometheus_parse::Scrape::parse(std::iter::once(Ok(line.to_owned()))).ok()?;
    let sample = read.samples.into_iter().next()?;
    // Without its `# TYPE` line every sample is untyped: a bare number, as it is wanted here.
    let prometheus_parse::Value::Untyped(value) = sample.value else { return None };
    let labels = sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let at = timed.then(|| Timestamp(sample.timestamp.timestamp_millis()));
    Some((sample.metric, Series { labels, value, at }))
}

/// Any other line, by the format's own rules.
fn read_with_care(line: &str, open_metrics: bool) -> Option<(String, Series)> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (bare, rest) = line.split_at(end);
    if !bare.is_empty() && !is_name(bare) {
        return None;
    }
    let mut name = (!bare.is_empty()).then(|| bare.to_owned());
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest, &mut name)?,
        None => (Labels::new(), rest),
    };
    // What follows a `#` is an exemplar.
    let mut words = rest.split('#').next()?.split_whitespace();
    let value = number(words.next()?)?;
    let at = match words.next() {
        Some(word) if open_metrics => Some(millis(word.parse::<f64>().ok()? * 1000.0)?),
        Some(word) => Some(Timestamp(word.parse().ok()?)),
        None => None,
    };
    let name = name.filter(|_| words.next().is_none())?;
    Some((name, Series { labels, value, at }))
}

/// The labels after an opening brace, and what follows the closing one. A quoted text without `=` is the metric's name,
/// where names may hold any character.
fn labels<'a>(mut rest: &'a str, metric: &mut Option<String>) -> Option<(Labels, &'a str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            (name, rest) = unquote(quoted)?;
        } else {
            let end = rest.find(|c: char| c == '=' || c.is_whitespace())?;
            name = Some(&rest[..end]).filter(|name| is_name(name))?.to_owned();
            rest = &rest[end..];
        }
        rest = rest.trim_start();
        if let Some(tail) = rest.strip_prefix('=') {
            let (value, tail) = unquote(tail.trim_start().strip_prefix('"')?)?;
            labels.insert(name, value);
            rest = tail.trim_start();
        } else if metric.replace(name).is_some() {
            return None;
        }
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(tail) => rest = tail,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// The text up to the closing quote with its escapes undone, and what follows.
fn unquote(rest: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &rest[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                // No escape of the format; Prometheus keeps both characters.
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// A value as Go writes floats: `1.5e3`, `NaN`, `+Inf`.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn millis(ms: f64) -> Option<Timestamp> {
    // Within a double's exact integers; a NaN is in no range.
    #[expect(clippy::cast_possible_truncation, reason = "checked")]
    (-9.0e15..=9.0e15).contains(&ms).then_some(Timestamp(ms.round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, wanted: &[&str]) -> Result<Exposition, Malformed> {
        Exposition::parse(text, &wanted.iter().map(|name| (*name).to_owned()).collect())
    }

    fn one(line: &str, name: &str) -> Series {
        let exposition = parse(line, &[name]).unwrap();
        let [series] = exposition.series(name) else { panic!("{line}: {exposition:?}") };
        series.clone()
    }

    fn labels_of(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lines_are_read_as_prometheus_reads_them() {
        for (line, name, labels, value, at) in [
            ("up 1", "up", &[][..], 1.0, None),
            ("up{} 1", "up", &[], 1.0, None),
            ("  up  { } \t 1  ", "up", &[], 1.0, None),
            ("a{b=\"c\"} 1.5e3 1395066363000", "a", &[("b", "c")], 1500.0, Some(1_395_066_363_000)),
            ("a{b=\"c\",} -2", "a", &[("b", "c")], -2.0, None),
            ("a{ b = \"c\" , d = \"\" } 0", "a", &[("b", "c"), ("d", "")], 0.0, None),
            ("job:rate5m{a=\"1\"} 2", "job:rate5m", &[("a", "1")], 2.0, None),
            // What the crate for this format drops or garbles, each seen in the wild.
            ("a{route=\"/users/{id}\"} 1", "a", &[("route", "/users/{id}")], 1.0, None),
            ("a{q=\"x,y=z\"} 1", "a", &[("q", "x,y=z")], 1.0, None),
            (
                "a{p=\"C:\\\\DIR\",e=\"say \\\"hi\\\"\\n\"} 1",
                "a",
                &[("p", "C:\\DIR"), ("e", "say \"hi\"\n")],
                1.0,
                None,
            ),
            ("a{u=\"\\d\",v=\"ü #1\"} 1", "a", &[("u", "\\d"), ("v", "ü #1")], 1.0, None),
            ("{\"http.requests\",code=\"500\"} 3", "http.requests", &[("code", "500")], 3.0, None),
            ("{\"http.requests\"} 3", "http.requests", &[], 3.0, None),
            ("a{\"my.label\"=\"x\"} 3", "a", &[("my.label", "x")], 3.0, None),
        ] {
            let wanted = Series { labels: labels_of(labels), value, at: at.map(Timestamp) };
            assert_eq!(one(line, name), wanted, "{line}");
        }
        assert!(one("a NaN", "a").value.is_nan());
        let infinite = |line| Some(one(line, "a").value).filter(|value| value.is_infinite()).map(f64::signum);
        assert_eq!((infinite("a +Inf"), infinite("a -Inf")), (Some(1.0), Some(-1.0)));
    }

    #[test]
    fn open_metrics_has_seconds_exemplars_and_its_own_names() {
        let text = "# TYPE c counter\nc_total{a=\"b\"} 5 1395066363.5 # {trace_id=\"x\"} 1 2\n\
                    # TYPE none counter\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n# EOF\n";
        let exposition = parse(text, &["c_total", "none_total", "h_sum", "h_count", "absent_total"]).unwrap();
        assert_eq!(exposition.series("c_total")[0].at, Some(Timestamp(1_395_066_363_500)));
        assert!((exposition.series("h_count")[0].value - 2.0).abs() < f64::EPSILON);
        assert!(exposition.series("h_bucket").is_empty(), "not wanted, not kept");
        assert!(
            exposition.knows("none_total")
                && exposition.knows("c_total")
                && !exposition.knows("absent_total")
        );
    }

    #[test]
    fn what_is_no_line_is_an_error_with_its_number() {
        for line in [
            "<!doctype html>",
            "{\"status\":\"success\"}",
            "a",
            "a{b=\"c\"}",
            "a{b=\"c\" 1",
            "a{b=\"c} 1",
            "a{b=c} 1",
            "a{b} 1",
            "a{=\"c\"} 1",
            "a{b=\"c\"d=\"e\"} 1",
            "a{\"x\",\"y\"} 1",
            "{} 1",
            "a one",
            "a 1 two",
            "a 1 2 3",
            "1a 1",
            "a-b 1",
            "a{b=\"c\"} 1 1.5",
        ] {
            let error = parse(&format!("up 1\n\n{line}\n"), &["a"]).unwrap_err();
            assert_eq!(error, Malformed { line: 3, text: line.to_owned() });
        }
        assert!(parse("", &["a"]).unwrap().series("a").is_empty());
        assert!(parse("# HELP a what it is\n#\n# a comment\r\n\r\na 1\r\n", &["a"]).unwrap().knows("a"));
    }
}
