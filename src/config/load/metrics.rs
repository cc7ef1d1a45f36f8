//! Sources and metrics.

use std::collections::BTreeMap;

use promql_parser::parser::{self, Expr, value::ValueType};
use url::Url;

use super::{Loader, SourceKind, entries, flag, key_span, optional_text, span_or};
use crate::{
    config::{
        diagnose::{list, suggest},
        raw::Node,
        shape::{METRIC, SOURCE},
        vars::{Moment, Sink},
    },
    domain::{
        id::MetricId,
        metric::{Bound, Metric, Op, Query, ScrapeCalc, Unit},
        runbook::Source,
        slot_labels::SLOT_PLACES,
        template::{Piece, Template},
        verdict::parse_bound,
    },
};

impl Loader<'_, '_> {
    /// The places that metrics come from. Variables in them are known when the run opens, since that is when sampling
    /// starts.
    pub(super) fn sources(&mut self, root: &Node) -> BTreeMap<String, Source> {
        let mut sources = BTreeMap::new();
        for entry in entries(root, "sources") {
            let node = &entry.node;
            let kind = match (node.get("url"), node.get("scrape")) {
                (Some(url), _) => SourceKind::Prometheus { url: self.url(url, Moment::Opening) },
                (None, Some(url)) => SourceKind::Scrape { url: self.url(url, Moment::Opening) },
                (None, None) => SourceKind::Prometheus { url: Template::from("") },
            };
            let headers = self.private_map(node, "headers", Moment::Opening);
            // Tokens go out in headers only, and are masked wherever an answer repeats them.
            let mut token = |key: &str, node: Option<&Node>| {
                node.map(|node| {
                    self.no_literal_secret(key, node);
                    self.template(node, Sink::Private, Moment::Opening)
                })
            };
            let bearer_token = token("bearer_token", node.get("bearer_token"));
            let password = token("password", node.get("basic_auth").and_then(|auth| auth.get("password")));
            let user = node.get("basic_auth").and_then(|auth| auth.get("user"));
            let basic_auth =
                user.map(|user| self.template(user, Sink::Private, Moment::Opening)).zip(password);
            if bearer_token.is_some() && basic_auth.is_some() {
                self.faults
                    .error(
                        key_span(node, "basic_auth"),
                        "a source can have only one of `bearer_token` and `basic_auth`",
                    )
                    .help("remove one");
            }
            let source = Source {
                kind,
                headers,
                bearer_token,
                basic_auth,
                ca_file: optional_text(node, "ca_file"),
                timeout: span_or(&SOURCE, node, "timeout"),
            };
            sources.insert(entry.key.clone(), source);
        }
        sources
    }

    /// A token in plain text in a file that a team shares.
    fn no_literal_secret(&mut self, key: &str, node: &Node) {
        if node.text().is_some_and(|text| Template::from(text).names().next().is_none()) {
            self.faults
                .warning(node.span.clone(), format!("`{key}` is in this file in plain text"))
                .help("take it from a secret variable: `TOKEN = { env = \"TOKEN\", secret = true }` and `$TOKEN` here");
        }
    }

    /// A map of texts that may hold secrets, such as headers: they are sent, and never shown.
    pub(super) fn private_map(
        &mut self,
        node: &Node,
        key: &str,
        moment: Moment,
    ) -> BTreeMap<String, Template> {
        entries(node, key)
            .iter()
            .map(|entry| (entry.key.clone(), self.template(&entry.node, Sink::Private, moment)))
            .collect()
    }

    /// A URL: http or https, with a host. Variables may stand anywhere in it.
    pub(super) fn url(&mut self, node: &Node, moment: Moment) -> Template {
        let template = self.template(node, Sink::Url, moment);
        let whole = matches!(template.pieces().as_slice(), [Piece::Var(_)]);
        if node.text().is_none() || whole {
            return template;
        }
        let filled = template.show(|_| Some("x".to_owned()));
        match Url::parse(&filled) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                self.faults
                    .error(
                        node.span.clone(),
                        format!("URLs with scheme `{}` are not supported", url.scheme()),
                    )
                    .help("use https:// or http://");
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                self.faults
                    .error(node.span.clone(), "the URL contains a user or password")
                    .help("URLs are shown and logged; send credentials in `headers`, from a secret variable");
            }
            Ok(_) => {}
            Err(error) => {
                self.faults
                    .error(node.span.clone(), format!("not a valid URL: {error}"))
                    .help("write a full URL: `https://api.example.com/health`");
            }
        }
        template
    }

    /// The metrics in order of writing, which is their order on the screen.
    pub(super) fn metrics(&mut self, root: &Node) -> Vec<Metric> {
        entries(root, "metrics")
            .iter()
            .map(|entry| {
                let node = &entry.node;
                let per_slot = flag(&METRIC, node, "per_slot");
                if per_slot && self.slots.is_none() {
                    self.faults
                        .error(key_span(node, "per_slot"), "`per_slot` needs slots, but there is no [target]")
                        .help("add [target], or remove `per_slot`");
                }
                let unit = node.get("unit").and_then(Node::text).and_then(unit);
                let normal = node.get("normal").and_then(|bound| self.bound(bound, unit));
                let alert = node.get("alert").and_then(|bound| self.bound(bound, unit));
                if let (Some(normal), Some(alert)) = (normal, alert)
                    && overlap(normal, alert)
                {
                    self.faults.error(key_span(node, "alert"), "`normal` and `alert` overlap").help(
                        "the alert must be outside the normal range: `normal = \"< 0.1%\"`, `alert \
                                = \"> 1%\"`",
                    );
                }
                Metric {
                    id: MetricId::from(entry.key.as_str()),
                    title: optional_text(node, "title").unwrap_or_else(|| entry.key.clone()),
                    query: self.query(node, per_slot),
                    per_slot,
                    unit: unit.unwrap_or(Unit::Count),
                    normal,
                    alert,
                    action: optional_text(node, "action"),
                    interval: span_or(&METRIC, node, "interval"),
                }
            })
            .collect()
    }

    /// A bound in a metric's unit. Where the unit is not known that was told already, and nothing more can be said.
    pub(super) fn bound(&mut self, node: &Node, unit: Option<Unit>) -> Option<Bound> {
        let (written, unit) = (node.text()?, unit?);
        match parse_bound(written, unit) {
            Ok(bound) => Some(bound),
            Err(bad) => {
                self.faults.error_with_cure(node.span.clone(), &bad.to_string());
                None
            }
        }
    }

    /// How a metric is measured: PromQL, a scraped series, or events counted by two selectors.
    fn query(&mut self, node: &Node, per_slot: bool) -> Query {
        if let Some(query) = node.get("query") {
            let expr = query.text().unwrap_or_default().to_owned();
            self.promql(query, &expr, per_slot);
            let source = self.source(node, node, false);
            return Query::Promql { source, expr };
        }
        if node.get("all").is_some() {
            return self.counted(node, node, false, per_slot);
        }
        let Some(scrape) = node.get("scrape") else {
            return Query::Promql { source: String::new(), expr: String::new() };
        };
        if scrape.get("all").is_some() {
            return self.counted(scrape, node, true, per_slot);
        }
        let source = self.source(scrape, node, true);
        let mut selector = |key: &str| -> Option<String> {
            let value = scrape.get(key)?;
            let written = value.text()?;
            self.selector(value, written, per_slot);
            Some(written.to_owned())
        };
        let (rate, over, histogram, gauge) =
            (selector("rate"), selector("over"), selector("histogram"), selector("gauge"));
        // That exactly one of these keys is given was checked against the shape.
        let calc = if let Some(rate) = rate {
            ScrapeCalc::Rate { rate, over }
        } else if let Some(quantile) = scrape.get("quantile") {
            if histogram.is_none() {
                self.faults
                    .error(key_span(scrape, "quantile"), "`quantile` needs `histogram`")
                    .help("add `histogram = \"http_request_duration_seconds\"`, without `_bucket`");
            }
            ScrapeCalc::Quantile {
                quantile: quantile.number().unwrap_or_default(),
                histogram: histogram.unwrap_or_default(),
            }
        } else {
            ScrapeCalc::Gauge { gauge: gauge.unwrap_or_default() }
        };
        Query::Scrape { source, calc }
    }

    /// The source of a metric: the one named, or the only one of its kind, or the one called `prometheus`.
    pub(super) fn source(&mut self, node: &Node, metric: &Node, scrape: bool) -> String {
        let fitting: Vec<String> =
            self.source_names.iter().filter(|(_, is)| *is == scrape).map(|(name, _)| name.clone()).collect();
        let fitting: Vec<&str> = fitting.iter().map(String::as_str).collect();
        if let Some(named) = node.get("source") {
            return self.named_source(named, scrape, &fitting);
        }
        // A runbook with one Prometheus need not name it; with several nothing is guessed, except that the plain name
        // is the usual one.
        match fitting.as_slice() {
            [only] => (*only).to_owned(),
            several if several.contains(&"prometheus") => "prometheus".to_owned(),
            [] => {
                let example = if scrape {
                    "[sources.app] with `scrape = \"https://.../metrics\"`"
                } else {
                    "[sources.prometheus] with `url = \"http://...:9090\"`"
                };
                self.faults
                    .error(key_span(metric, asks_by(metric, scrape)), "there is no source for this metric")
                    .help(format!("add {example}"));
                String::new()
            }
            several => {
                let names = list(several);
                self.faults
                    .error(key_span(metric, asks_by(metric, scrape)), "this metric needs `source`")
                    .help(format!("choose one of {names}"));
                String::new()
            }
        }
    }

    /// The source that a metric names. It must be of the metric's kind: a Prometheus can't be scraped for what it stores, and an
    /// application answers no PromQL.
    fn named_source(&mut self, named: &Node, scrape: bool, fitting: &[&str]) -> String {
        let written = named.text().unwrap_or_default().to_owned();
        let found = self.source_names.iter().find(|(name, _)| *name == written).map(|(_, is)| *is);
        match found {
            Some(is) if is == scrape => {}
            Some(_) if scrape => {
                self.faults
                    .error(named.span.clone(), format!("`{written}` is a Prometheus, not a source to scrape"))
                    .help("use `query` with PromQL, or a source with `scrape`");
            }
            Some(_) => {
                self.faults
                    .error(named.span.clone(), format!("`{written}` is scraped, so it cannot answer PromQL"))
                    .help("use `scrape = { ... }`, or a source with `url`");
            }
            None if named.text().is_some() => {
                self.faults
                    .error(named.span.clone(), format!("unknown source `{written}`"))
                    .maybe_help(suggest(&written, fitting.iter().copied()));
            }
            None => {}
        }
        written
    }

    /// A query must be PromQL that gives one number for each series, and name the slot (`$slot`, `$hash`, …) where and only
    /// where it is per slot.
    fn promql(&mut self, node: &Node, expr: &str, per_slot: bool) {
        if node.text().is_none() {
            return;
        }
        self.slot_variable(node, expr, per_slot);
        if !self.is_readable(node, expr) {
            return;
        }
        match parser::parse(&with_slot(expr)) {
            Ok(parsed) if matches!(parsed.value_type(), ValueType::Vector | ValueType::Scalar) => {}
            Ok(parsed) => {
                let what = match parsed {
                    Expr::StringLiteral(_) => "a text",
                    _ => "a range of values",
                };
                self.faults
                    .error(node.span.clone(), format!("this query returns {what}, not a number"))
                    .help("wrap it in a function, such as `sum(rate(...[1m]))`");
            }
            Err(error) => {
                let error = error.lines().next().unwrap_or_default().to_owned();
                self.faults
                    .error(node.span.clone(), format!("not valid PromQL: {error}"))
                    .help("test the query in Prometheus first");
            }
        }
    }

    /// Whether a query is short and flat enough to be parsed at once. The parser's time grows with the square of the
    /// operators, and it, and all that walk its tree, take stack for each level. So both are bounded before it sees the
    /// text: what passes takes some hundredths of a second at most.
    pub(super) fn is_readable(&mut self, node: &Node, expr: &str) -> bool {
        let size = Size::of(expr);
        let (what, help) = if expr.len() > MAX_QUERY {
            let help = "compute it in a Prometheus recording rule, and query that";
            (format!("the query is longer than {} KiB", MAX_QUERY / 1024), help)
        } else if size.depth > MAX_DEPTH {
            (format!("the query nests more than {MAX_DEPTH} brackets"), "simplify it")
        } else if size.operators > MAX_OPERATORS {
            let help = "use `sum(a)`, or one selector with `=~\"a|b\"`";
            (format!("the query has more than {MAX_OPERATORS} operators"), help)
        } else {
            return true;
        };
        self.faults.error(node.span.clone(), what).help(help);
        false
    }

    /// `name{label="value"}` of a scrape.
    fn selector(&mut self, node: &Node, written: &str, per_slot: bool) {
        self.slot_variable(
            node,
            written,
            per_slot && SLOT_PLACES.iter().any(|name| written.contains(&format!("${name}"))),
        );
        if !self.is_readable(node, written) {
            return;
        }
        if !is_selector(written) {
            self.faults
                .error(node.span.clone(), "not a valid series selector")
                .help("write a name with labels: `http_requests_total{code=~\"5..\"}`");
        }
    }

    /// A per-slot query without its slot measures both, twice; one with it that is not per slot has no value to put in.
    pub(super) fn slot_variable(&mut self, node: &Node, written: &str, per_slot: bool) {
        let names: Vec<String> = Template::from(written).names().map(str::to_owned).collect();
        let one = self.is_one_deployment();
        let place = names.iter().find(|name| SLOT_PLACES.contains(&name.as_str()));
        if per_slot && place.is_none() {
            self.faults
                .error(node.span.clone(), "the metric is per slot, but its query does not contain `$slot`")
                .help(if one {
                    "add it to the selector, `{pod_template_hash=\"$hash\"}`, or remove `per_slot`"
                } else {
                    "add it to the selector, `{slot=\"$slot\"}`, or remove `per_slot`"
                });
        } else if per_slot && one && !names.iter().any(|name| matches!(name.as_str(), "hash" | "version")) {
            self.faults
                .error(
                    node.span.clone(),
                    "the metric is per slot, but this query gives the same for both revisions of the Deployment",
                )
                .help(
                    "add `{pod_template_hash=\"$hash\"}` or `{version=\"$version\"}` to the selector, or remove \
                     `per_slot`",
                );
        }
        if let Some(place) = place.filter(|_| !per_slot) {
            self.faults
                .error(
                    node.span.clone(),
                    format!("the query uses `${place}`, but the metric is not per slot"),
                )
                .help("add `per_slot = true`");
        }
        if let Some(other) = names.iter().find(|name| !SLOT_PLACES.contains(&name.as_str())) {
            self.faults
                .error(node.span.clone(), format!("unknown variable `${other}` in a query"))
                .help("a query can use only `$slot`, `$deployment`, `$hash` and `$version`");
        }
    }
}

/// The key that says what is asked for.
fn asks_by(metric: &Node, scrape: bool) -> &'static str {
    match (scrape, metric.get("query")) {
        (true, _) => "scrape",
        (false, Some(_)) => "query",
        (false, None) => "all",
    }
}

/// The longest query, in bytes. The longest ones of dashboards have one or two thousand.
const MAX_QUERY: usize = 4 * 1024;
/// The most brackets that are open at once; people write three to eight.
const MAX_DEPTH: usize = 64;
/// The most operators: `a + b + c` is a tree with a level for each.
const MAX_OPERATORS: usize = 256;

/// How large the tree of a query becomes, as far as its text tells before it is parsed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Size {
    /// Brackets that are open at once, at most.
    depth: usize,
    /// Operators, signs among them. What compares labels within `{ }` is none.
    operators: usize,
}

impl Size {
    /// Counted without parsing: an expression that is too deep would end the parser, which recurses, and with it the
    /// process.
    fn of(expr: &str) -> Self {
        let mut size = Self::default();
        let mut open: Vec<char> = Vec::new();
        let mut chars = expr.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' | '\'' | '`' => {
                    while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                        if inner == '\\' && c != '`' {
                            chars.next();
                        }
                    }
                }
                '#' => drop(chars.by_ref().find(|c| *c == '\n')),
                '(' | '[' | '{' => {
                    open.push(c);
                    size.depth = size.depth.max(open.len());
                }
                ')' | ']' | '}' => drop(open.pop()),
                _ if open.last() == Some(&'{') => {}
                '+' | '-' | '*' | '/' | '%' | '^' | '=' | '<' | '>' => size.operators += 1,
                c if c.is_alphabetic() || c == '_' => {
                    let mut word = String::from(c);
                    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                        word.push(c);
                    }
                    let word = word.to_ascii_lowercase();
                    size.operators += usize::from(matches!(word.as_str(), "and" | "or" | "unless" | "atan2"));
                }
                _ => {}
            }
        }
        size
    }
}

/// The query as it will be asked for some slot.
pub(super) fn with_slot(expr: &str) -> String {
    Template::from(expr).show(|name| SLOT_PLACES.contains(&name).then(|| "blue".to_owned()))
}

/// Whether a text that somebody has written is plainly a query whose answer is a number: with brackets, without a variable, and
/// not one that answers nothing as long as all is well, as the rule of an alert does.
pub fn gives_a_number(expr: &str) -> bool {
    let size = Size::of(expr);
    if !expr.contains(['(', '{', '['])
        || expr.contains('$')
        || expr.len() > MAX_QUERY
        || size.depth > MAX_DEPTH
        || size.operators > MAX_OPERATORS
    {
        return false;
    }
    match parser::parse(expr) {
        Ok(Expr::Binary(binary)) if binary.op.is_comparison_operator() => {
            binary.modifier.is_some_and(|it| it.return_bool)
        }
        Ok(parsed) => parsed.value_type() == ValueType::Vector,
        Err(_) => false,
    }
}

/// Whether a text is a name with labels and nothing else.
pub(super) fn is_selector(written: &str) -> bool {
    matches!(parser::parse(&with_slot(written)), Ok(Expr::VectorSelector(_)))
}

/// Whether some number is on both bounds' side.
fn overlap(a: Bound, b: Bound) -> bool {
    let below = |op: Op| matches!(op, Op::Lt | Op::Le);
    // Two bounds open to the same side always share numbers.
    match (below(a.op), below(b.op)) {
        (true, true) | (false, false) => true,
        (true, false) => gap(b, a),
        (false, true) => gap(a, b),
    }
}

/// Whether something lies above `low` and below `high`.
fn gap(low: Bound, high: Bound) -> bool {
    low.value < high.value
        || (low.op == Op::Ge && high.op == Op::Le && (low.value - high.value).abs() < f64::EPSILON)
}

/// The unit of a word.
pub(super) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "percent" => Unit::Percent,
        "ms" => Unit::Ms,
        "s" => Unit::S,
        "count" => Unit::Count,
        "per-minute" => Unit::PerMinute,
        "bytes" => Unit::Bytes,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn a_querys_size_is_what_stands_outside_quotes_and_comments() {
        let size = |expr| {
            let Size { depth, operators } = Size::of(expr);
            (depth, operators)
        };
        assert_eq!(size("up"), (0, 0));
        assert_eq!(size("- -+up"), (0, 3));
        assert_eq!(size("sum(rate(x{code=~\"5..\",a!=\"((+\"}[1m])) / 2 > 1"), (3, 2));
        assert_eq!(size("a or b AND c unless d atan2 e"), (0, 4));
        assert_eq!(size("orders_and_more + nor"), (0, 1));
        assert_eq!(size("'\\'((' `((\\` \"\\\"((\""), (0, 0));
        assert_eq!(size("up # ((( + + +\n+ 1"), (0, 1));
        assert_eq!(size(")))((("), (3, 0));
    }
}
