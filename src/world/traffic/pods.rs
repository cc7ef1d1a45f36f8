//! The pods of one backend: what they have served since they started, and the metrics they expose.

use std::collections::VecDeque;

use super::{counter::Counter, noise::noise, story::Health, tag};
use crate::world::metrics::exposition::{Family, Kind, Point};

/// Upper bounds of the latency histogram's buckets in seconds, as numbers and as `le` labels.
const BUCKETS: [(f64, &str); 16] = [
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.075, "0.075"),
    (0.1, "0.1"),
    (0.15, "0.15"),
    (0.2, "0.2"),
    (0.25, "0.25"),
    (0.3, "0.3"),
    (0.4, "0.4"),
    (0.5, "0.5"),
    (0.75, "0.75"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
];

/// Status codes that are counted, each from the start: a counter that appears with its first error hides that error
/// from `rate`.
const CODES: [&str; 4] = ["200", "404", "500", "502"];
/// Places in `CODES`.
const OK: usize = 0;
const NOT_FOUND: usize = 1;
const INTERNAL: usize = 2;
const BAD_GATEWAY: usize = 3;

/// What users ask for: handler, method, share of all requests, latency compared with the whole.
const ROUTES: [(&str, &str, f64, f64); 3] = [
    ("/api/payments", "POST", 0.30, 1.10),
    ("/api/orders", "GET", 0.45, 0.97),
    ("/api/products", "GET", 0.25, 0.92),
];
/// Whose answers count as payments.
const PAYMENTS: usize = 0;

/// The kubelet's probes, beside the users: each ready pod is asked every five seconds and answers at once.
const PROBE: (&str, &str) = ("/health", "GET");
const PROBES_PER_POD_SECOND: f64 = 0.2;
const PROBE_P95: f64 = 0.004;

/// Share of requests for things that are not there: no fault of the service.
const NOT_FOUND_SHARE: f64 = 0.002;

/// Seconds over which the gauge of the error rate looks back.
const ERROR_GAUGE_SECONDS: usize = 60;

/// Requests of one handler.
#[derive(Debug, Clone, Default)]
struct Route {
    /// Whole requests: a counter that rises by 0.3 is one that no service has.
    requests: Counter,
    missing: Counter,
    codes: [f64; CODES.len()],
    /// Expected requests at or below each bound; what is shown is rounded, which keeps buckets cumulative.
    buckets: [f64; BUCKETS.len()],
    /// What `_sum` shows. It stays a fraction, as with real histograms.
    seconds: f64,
}

impl Route {
    /// Counts `requests` with a 95th percentile of `p95` seconds and answers how many whole ones there were.
    ///
    /// Latencies follow a log-logistic distribution, whose shape of 3 gives the long tail that services have.
    fn serve(&mut self, requests: f64, p95: f64) -> f64 {
        const SHAPE: f64 = 3.0;
        let whole = self.requests.expect(requests);
        let median = p95 / 19_f64.powf(1.0 / SHAPE);
        for (count, (bound, _)) in self.buckets.iter_mut().zip(BUCKETS) {
            *count += whole / (1.0 + (median / bound).powf(SHAPE));
        }
        let angle = std::f64::consts::PI / SHAPE;
        self.seconds += whole * median * angle / angle.sin();
        whole
    }

    /// Divides whole requests by their status.
    fn answer(&mut self, whole: f64, errors: f64, bad_gateways: f64) {
        // Never more than what is left: the codes of a second add up to its requests.
        let missing = self.missing.expect(whole * NOT_FOUND_SHARE).min(whole - errors);
        self.codes[NOT_FOUND] += missing;
        self.codes[INTERNAL] += errors - bad_gateways;
        self.codes[BAD_GATEWAY] += bad_gateways;
        self.codes[OK] += whole - errors - missing;
    }
}

/// The ready pods of one template, from their start on.
#[derive(Debug)]
pub(super) struct Pods {
    pub(super) image: String,
    pub(super) hash: String,
    pub(super) ready: u32,
    /// Simulated milliseconds since the epoch.
    pub(super) started_ms: i64,
    /// Raised where the same template starts again: its counters begin at 0 then, and Prometheus sees a reset.
    pub(super) incarnation: u64,
    version: String,
    routes: [Route; ROUTES.len()],
    probe: Route,
    errors: Counter,
    bad_gateways: Counter,
    failed_payments: Counter,
    paid: f64,
    connections: f64,
    cpu: f64,
    memory: f64,
    /// Requests and errors of the last minute, second by second.
    recent: VecDeque<(f64, f64)>,
}

impl Pods {
    pub(super) fn new(image: &str, hash: &str, started_ms: i64, incarnation: u64) -> Self {
        Self {
            image: image.to_owned(),
            hash: hash.to_owned(),
            ready: 0,
            started_ms,
            incarnation,
            version: tag(image).to_owned(),
            routes: Default::default(),
            probe: Route::default(),
            errors: Counter::default(),
            bad_gateways: Counter::default(),
            failed_payments: Counter::default(),
            paid: 0.0,
            // What a pod without users has: its own pool, its runtime.
            connections: 5.0,
            cpu: 0.06,
            memory: 0.44,
            recent: VecDeque::with_capacity(ERROR_GAUGE_SECONDS),
        }
    }

    /// Serves one second of the kubelet's probes.
    pub(super) fn probe(&mut self) {
        let probes = self.probe.serve(PROBES_PER_POD_SECOND * f64::from(self.ready), PROBE_P95);
        self.probe.answer(probes, 0.0, 0.0);
    }

    /// The image's tag.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Serves one second with `requests` of users, `share` of all there are. Answers how many whole ones there were, and how
    /// many of them failed.
    pub(super) fn serve(
        &mut self,
        requests: f64,
        share: f64,
        health: Health,
        seed: u64,
        second: i64,
    ) -> (f64, f64) {
        // Latency drifts over a quarter of a minute; noise by the second would vanish in every rate.
        let p95 = health.p95 * (1.0 + 0.02 * noise(seed, second / 15, 3));
        let mut served = [0.0; ROUTES.len()];
        for (whole, (route, (_, _, part, slower))) in
            served.iter_mut().zip(self.routes.iter_mut().zip(ROUTES))
        {
            *whole = route.serve(requests * part, p95 * slower);
        }
        let total: f64 = served.iter().sum();
        let failed = self.errors.expect(total * health.errors).min(total);
        self.remember(total, failed);
        let mut errors = failed;
        // Errors fall on the handlers in turn, so that no one of them keeps them all.
        for turn in 0..ROUTES.len() {
            let at = (turn + usize::try_from(second.rem_euclid(3)).unwrap_or(0)) % ROUTES.len();
            let here = if turn + 1 == ROUTES.len() { errors } else { (errors / 2.0).ceil() }.min(served[at]);
            errors -= here;
            let gateways = self.bad_gateways.expect(here * 0.25).min(here);
            self.routes[at].answer(served[at], here, gateways);
        }

        let unpaid = self.failed_payments.expect(served[PAYMENTS] * health.failed_payments);
        self.paid += served[PAYMENTS] - unpaid.min(served[PAYMENTS]);
        // After the requests: what they have cost is seen in the gauges a moment later.
        self.settle(share, health, seed, second);
        (total, failed)
    }

    /// Lets the gauges follow the load.
    fn settle(&mut self, share: f64, health: Health, seed: u64, second: i64) {
        // Each gauge has its own inertia: connections follow at once, memory slowly, as garbage collectors do.
        let approach = |gauge: &mut f64, to: f64, seconds: f64| *gauge += (to - *gauge) / seconds;
        let connections = 5.0 + share * (31.0 + 60.0 * health.extra_cpu + 1.6 * noise(seed, second / 7, 4));
        approach(&mut self.connections, connections, 3.0);
        let cpu = 0.06 + share * (0.49 + health.extra_cpu + 0.05 * noise(seed, second / 11, 5));
        approach(&mut self.cpu, cpu, 12.0);
        let memory = 0.46 + share * (0.14 + 0.02 * noise(seed, second / 60, 6));
        approach(&mut self.memory, memory, 45.0);
    }

    /// A window that slides second by second: the gauge forgets an error after a minute, whatever comes later.
    fn remember(&mut self, requests: f64, errors: f64) {
        if self.recent.len() == ERROR_GAUGE_SECONDS {
            self.recent.pop_front();
        }
        self.recent.push_back((requests, errors));
    }

    /// Without requests there is no error: services that show such a gauge show 0 then, and not nothing.
    fn error_rate(&self) -> f64 {
        let (requests, errors) =
            self.recent.iter().fold((0.0, 0.0), |sum, second| (sum.0 + second.0, sum.1 + second.1));
        if requests > 0.0 { errors / requests } else { 0.0 }
    }

    /// Probes last: they are there also where no user is, and tell an idle pod from one that is gone.
    fn all_routes(&self) -> impl Iterator<Item = (&'static str, &'static str, &Route)> {
        let users =
            ROUTES.iter().zip(&self.routes).map(|(&(handler, method, ..), route)| (handler, method, route));
        users.chain([(PROBE.0, PROBE.1, &self.probe)])
    }

    /// Shows everything measured, in the order of an exposition. Without a slot, versions and templates alone tell pods apart.
    pub(super) fn visit(&self, slot: Option<&str>, visitor: &mut dyn FnMut(&Point<'_>)) {
        let own = [
            ("slot", slot.unwrap_or_default()),
            ("version", &self.version),
            ("pod_template_hash", &self.hash),
        ];
        // An empty label is none.
        let base: Vec<_> = own.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        for (handler, method, route) in self.all_routes() {
            for (code, value) in CODES.into_iter().zip(route.codes) {
                let labels = with(&base, &[("code", code), ("method", method), ("handler", handler)]);
                visitor(&Point { family: &REQUESTS, suffix: "", labels: &labels, value });
            }
        }
        for (handler, _, route) in self.all_routes() {
            visit_latency(route, &with(&base, &[("handler", handler)]), visitor);
        }
        for (result, value) in [("success", self.paid), ("failure", self.failed_payments.total)] {
            let labels = with(&base, &[("result", result)]);
            visitor(&Point { family: &PAYMENTS_TOTAL, suffix: "", labels: &labels, value });
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch fit a double")]
        let started = self.started_ms as f64 / 1_000.0;
        for (family, value) in [
            (&ERROR_RATE, self.error_rate()),
            (&CONNECTIONS, self.connections.round()),
            (&CPU, self.cpu),
            (&CONTAINER_CPU, self.cpu),
            (&MEMORY, self.memory),
            (&STARTED, started),
            (&INFO, 1.0),
        ] {
            visitor(&Point { family, suffix: "", labels: &base, value });
        }
    }
}

fn with<'a>(base: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [base, more].concat()
}

/// Shows one histogram. `labels` are those of the whole; each bucket adds its `le`.
fn visit_latency(route: &Route, labels: &[(&str, &str)], visitor: &mut dyn FnMut(&Point<'_>)) {
    let count = route.requests.total;
    let mut show = |suffix, labels: &[(&str, &str)], value| {
        visitor(&Point { family: &LATENCY, suffix, labels, value });
    };
    // The bucket without a bound equals the count by definition; rounding would make them differ by one.
    let finite = BUCKETS.iter().zip(route.buckets).map(|((_, le), value)| (*le, value.round()));
    for (le, value) in finite.chain([("+Inf", count)]) {
        show("_bucket", &with(labels, &[("le", le)]), value);
    }
    show("_sum", labels, route.seconds);
    show("_count", labels, count);
}

const REQUESTS: Family =
    Family { name: "http_requests_total", help: "Requests answered, by status code.", kind: Kind::Counter };
const LATENCY: Family = Family {
    name: "http_request_duration_seconds",
    help: "Time from a request to its answer.",
    kind: Kind::Histogram,
};
const PAYMENTS_TOTAL: Family =
    Family { name: "payments_total", help: "Payments attempted, by result.", kind: Kind::Counter };
const ERROR_RATE: Family = Family {
    name: "http_error_rate",
    help: "Share of users' requests of the last minute answered with 5xx.",
    kind: Kind::Gauge,
};
const CONNECTIONS: Family =
    Family { name: "db_connections", help: "Open database connections.", kind: Kind::Gauge };
const CPU: Family =
    Family { name: "process_cpu_utilization", help: "CPU used, as a share of the limit.", kind: Kind::Gauge };
const CONTAINER_CPU: Family = Family {
    name: "container_cpu_usage_ratio",
    help: "CPU used by the containers, as a share of the limit.",
    kind: Kind::Gauge,
};
const MEMORY: Family = Family {
    name: "container_memory_usage_ratio",
    help: "Memory used by the containers, as a share of the limit.",
    kind: Kind::Gauge,
};
const STARTED: Family = Family {
    name: "process_start_time_seconds",
    help: "When the process started, since the epoch.",
    kind: Kind::Gauge,
};
const INFO: Family = Family { name: "app_info", help: "The version that runs.", kind: Kind::Gauge };
