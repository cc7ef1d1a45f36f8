//! Which metric a text speaks of, and what a Prometheus usually calls it.

use super::{amounts, words::slug};
use crate::{config, domain::metric::Unit};

/// A kind of number that most services have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Errors,
    /// A percentile of the latency, in percent.
    Percentile(u8),
    Average,
    /// Anything else, by its words.
    Other(String),
}

/// The words that name a metric, without what leads to its bound: `Error rate is` is `Error rate`.
pub(super) fn title(before: &str) -> String {
    let mut words: Vec<&str> = before.split_whitespace().collect();
    while let Some(last) = words.last() {
        let last = last.trim_end_matches([':', ',', '(', '–', '-']).to_lowercase();
        let empty = [
            "is",
            "are",
            "stays",
            "remains",
            "stay",
            "must",
            "should",
            "be",
            "goes",
            "rises",
            "drops",
            "falls",
            "reste",
            "est",
            "the",
            "of",
            "to",
            "(should",
            "at",
            "ist",
            "bleibt",
            "when",
            "if",
            "spikes",
            "increases",
            "doit",
            "être",
            "remain",
            "well",
            "up",
            "down",
            "passe",
            "",
        ]
        .contains(&last.as_str());
        if !empty {
            break;
        }
        words.pop();
    }
    while let Some(first) = words.first() {
        let first = first.to_lowercase();
        if ![
            "if",
            "when",
            "the",
            "si",
            "le",
            "la",
            "les",
            "any",
            "verify",
            "check",
            "ensure",
            "confirm",
            "that",
            "monitor",
            "vérifier",
            "que",
            "wenn",
            "die",
            "der",
            "das",
            "-",
            "a",
            "an",
        ]
        .contains(&first.as_str())
        {
            break;
        }
        words.remove(0);
    }
    words.join(" ").trim_matches(|c: char| matches!(c, ':' | '(' | '-' | '–' | '*' | '.')).trim().to_owned()
}

/// The kind of a metric by its title, and what else stands around its bound: `Latency < 200 ms (P95)`.
pub(super) fn kind(title: &str, around: &str) -> Kind {
    let lower = title.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let errors = has(&[
        "error rate",
        "error ratio",
        "5xx",
        "taux d'erreur",
        "taux d’erreur",
        "fehlerrate",
        "errors rate",
        "http errors",
        "error percentage",
        "tasa de error",
        "failure rate",
    ]);
    if errors && !has(&["success", "payment", "job", "queue", "payout", "login", "consumer"]) {
        return Kind::Errors;
    }
    if has(&[
        "latency",
        "latence",
        "response time",
        "latenz",
        "temps de réponse",
        "antwortzeit",
        "latencia",
        "request duration",
    ]) && !has(&["database", "db ", "query", "disk", "kafka", "redis", "replication"])
    {
        let all = format!("{lower} {}", around.to_lowercase());
        for percentile in [99, 95, 90, 50] {
            if all.contains(&format!("p{percentile}"))
                || all.contains(&format!("{percentile}th"))
                || all.contains(&format!("{percentile}e centile"))
            {
                return Kind::Percentile(percentile);
            }
        }
        return Kind::Average;
    }
    Kind::Other(slug(title).replace('-', "_"))
}

/// The kind of a metric whose bounds have this unit: 200 % is no latency, and ten errors are no rate.
pub(super) fn measured_kind(title: &str, around: &str, unit: Unit) -> Kind {
    let kind = kind(title, around);
    let fits = match kind {
        Kind::Errors => unit == Unit::Percent,
        Kind::Percentile(_) | Kind::Average => matches!(unit, Unit::S | Unit::Ms),
        Kind::Other(_) => true,
    };
    if fits { kind } else { Kind::Other(slug(title).replace('-', "_")) }
}

/// Whether more of it is worse, where its words tell.
pub(super) fn more_is_worse(title: &str) -> Option<bool> {
    let lower = title.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&[
        "success",
        "availab",
        "throughput",
        "uptime",
        "hit rate",
        "hit ratio",
        "healthy",
        "ready",
        "conversion",
        "request rate",
        "requests per",
        "disponib",
        "verfügbar",
    ]) {
        return Some(false);
    }
    has(&[
        "error",
        "fail",
        "latency",
        "latence",
        "latenz",
        "response",
        "duration",
        "time",
        "load",
        "cpu",
        "memory",
        "mémoire",
        "disk",
        "lag",
        "queue",
        "connection",
        "restart",
        "5xx",
        "4xx",
        "p50",
        "p90",
        "p95",
        "p99",
        "crash",
        "timeout",
        "retries",
        "usage",
        "utiliz",
        "saturation",
        "burn",
        "depth",
        "backlog",
        "erreur",
        "fehler",
    ])
    .then_some(true)
}

/// A metric's name in the runbook.
pub(super) fn id(kind: &Kind) -> String {
    match kind {
        Kind::Errors => "error_rate".to_owned(),
        Kind::Percentile(percentile) => format!("latency_p{percentile}"),
        Kind::Average => "response_time".to_owned(),
        Kind::Other(words) if words.is_empty() => "metric".to_owned(),
        Kind::Other(words) => words.clone(),
    }
}

/// How a slot's series are told apart in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    Slots,
    Not,
}

/// A query that many services answer; none where there is no such custom.
pub(super) fn query(kind: &Kind, apart: Apart) -> Option<String> {
    let (only, more) = match apart {
        Apart::Slots => ("{slot=\"$slot\"}", ",slot=\"$slot\""),
        Apart::Not => ("", ""),
    };
    Some(match kind {
        Kind::Errors => format!(
            "(sum(rate(http_requests_total{{code=~\"5..\"{more}}}[1m])) or vector(0)) / sum(rate(http_requests_total{only}[1m]))"
        ),
        Kind::Percentile(percentile) => format!(
            "histogram_quantile(0.{percentile:02}, sum by (le) (rate(http_request_duration_seconds_bucket{only}[1m])))"
        ),
        Kind::Average => format!(
            "sum(rate(http_request_duration_seconds_sum{only}[1m])) / sum(rate(http_request_duration_seconds_count{only}[1m]))"
        ),
        Kind::Other(_) => return None,
    })
}

/// What a text of the page asks Prometheus for: nothing where it is no query, or has a place to fill in.
pub(super) fn asked(text: &str) -> Option<String> {
    let bare = text.trim().trim_matches('`').trim();
    let upper = bare.to_uppercase();
    let hole = ["YOUR", "XXX", "{{", "...", "…"].iter().any(|mark| upper.contains(mark))
        || bare.split('<').skip(1).any(|after| after.starts_with(char::is_alphabetic));
    (!hole && config::gives_a_number(bare)).then(|| bare.to_owned())
}

/// Whether two metrics are the same by their words: `Payment success rate` and `payment success`.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let words = |id: &str| -> Vec<String> {
        id.split('_')
            .filter(|word| !matches!(*word, "rate" | "usage" | "the" | "of" | "average" | "total" | ""))
            .map(str::to_owned)
            .collect()
    };
    let (a, b) = (words(a), words(b));
    !a.is_empty() && a == b
}

/// The kind, bound and words of a text that states a bound of a metric.
pub(super) fn stated(text: &str) -> Option<(Kind, amounts::Found, String)> {
    let found = amounts::bound(text)?;
    let title = title(&found.before);
    let words = title.split_whitespace().count();
    if title.is_empty() || words > 6 || title.contains('`') {
        return None;
    }
    let kind = measured_kind(&title, &found.after, found.unit);
    Some((kind, found, title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_metric_is_known_by_other_words() {
        let id_of = |text: &str| stated(text).map(|(kind, found, _)| (id(&kind), found.bound));
        assert_eq!(id_of("Error rate > 1% for 5+ minutes"), Some(("error_rate".into(), "> 1%".into())));
        assert_eq!(id_of("Latency < 200ms (P95) in Grafana"), Some(("latency_p95".into(), "< 200ms".into())));
        assert_eq!(
            id_of("Average response time is below 200 ms"),
            Some(("response_time".into(), "< 200ms".into()))
        );
        assert_eq!(id_of("taux d'erreur supérieur à 1 %"), Some(("error_rate".into(), "> 1%".into())));
        assert_eq!(
            id_of("Payment success rate > 99%"),
            Some(("payment_success_rate".into(), "> 99%".into()))
        );
        assert_eq!(id_of("All is well"), None);
        // A bound of another unit is another metric.
        assert_eq!(id_of("Latency spike > 200%"), Some(("latency_spike".into(), "> 200%".into())));
        assert_eq!(
            [more_is_worse("Error rate"), more_is_worse("Availability"), more_is_worse("Orders")],
            [Some(true), Some(false), None]
        );
        assert!(
            alike("payment_success_rate", "payment_success")
                && alike("cpu_usage", "cpu")
                && !alike("cpu", "memory")
        );
    }
}
