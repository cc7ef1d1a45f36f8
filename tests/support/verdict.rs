//! A run of the product over a real process that a real Prometheus scrapes: when evidence finds the new version worse, and when the
//! fixed rule does.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cutover::{
    domain::{
        event::RunEvent,
        evidence::{card::Card, counts::Counts},
        time::Timestamp,
    },
    world::cluster::Cluster,
};
use parking_lot::Mutex;

use super::{
    ground::{Ground, WORLD},
    helm::Helm,
    pty::PATIENCE,
    server::{Prometheus, installed},
};

const RUNBOOK: &str = include_str!("verdict.toml");

/// Requests of all users in a second.
const PER_SECOND: f64 = 100.0;
/// What the old version errs.
const USUAL: f64 = 0.000_5;
/// No more than this come between the switch and its confirmation.
const MOMENT: f64 = 3.0 * PER_SECOND;
/// The past is told with the first scrape, in steps of so many seconds.
const PAST_STEP: i64 = 15;

/// The triggers of the runbook.
const BY_EVIDENCE: usize = 0;
const BY_RULE: usize = 1;

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trial {
    /// The share of the new version's requests that fail.
    pub(crate) share: f64,
    /// Prometheus scrapes it every so many seconds.
    pub(crate) scrape: u64,
    /// The product asks Prometheus every so many seconds.
    pub(crate) interval: u64,
    /// Watched for so long, or until both triggers have fired.
    pub(crate) watch: Duration,
    /// … or until evidence has.
    pub(crate) evidence_is_enough: bool,
}

/// When a trigger fired, from the first request that the new version got, and what had really happened by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) after: Duration,
    pub(crate) happened: Counts,
}

/// What a run tells.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) evidence: Option<Found>,
    pub(crate) rule: Option<Found>,
    /// The last record of the evidence, as the journal has it, and its words.
    pub(crate) card: Card,
    pub(crate) words: String,
    /// What the process had told of the new version at each scrape.
    pub(crate) scraped: Vec<(Timestamp, Counts)>,
}

impl Told {
    /// Whether the events that the evidence rests on are those that happened up to a scrape, each once. Requests of the moment between
    /// the switch and its confirmation may be in none of its samples.
    pub(crate) fn is_exact(&self) -> bool {
        let early = self.scraped.iter().map(|(_, counts)| *counts).filter(|counts| counts.all <= MOMENT);
        early.chain([Counts::NONE]).any(|before| {
            let sum = before + self.card.new;
            self.scraped.iter().any(|(_, counts)| *counts == sum)
        })
    }
}

/// Plays a trial from its first step to a rollback.
pub(crate) fn play(trial: Trial) -> Told {
    let program = installed().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(trial.share, Past::HOUR);
    let server = Prometheus::start(&program, dir.path(), &site.scraped_every(trial.scrape));
    let runbook =
        RUNBOOK.replace("@prometheus@", &server.url).replace("@interval@", &format!("{}s", trial.interval));
    let ground = Ground::new(&runbook);
    site.follow(&ground.cluster);
    wait_for_data(&server.url);

    let mut helm = Helm::open(&ground);
    helm.fly_until("the window", |helm| helm.passed("switch"));
    let until = Instant::now() + trial.watch;
    let fired = |helm: &Helm, which: usize| {
        let fired = helm.events.iter().find(
            |envelope| matches!(envelope.event, RunEvent::TriggerFired { trigger, .. } if trigger == which),
        );
        fired.map(|envelope| envelope.at)
    };
    let done = |helm: &Helm| {
        fired(helm, BY_EVIDENCE).is_some() && (trial.evidence_is_enough || fired(helm, BY_RULE).is_some())
    };
    while Instant::now() < until && !done(&helm) {
        helm.confirm();
        helm.wait(Duration::from_millis(200));
    }
    let [evidence, rule] = [BY_EVIDENCE, BY_RULE].map(|which| fired(&helm, which));
    // What was counted up to here is written down.
    helm.roll_back();
    helm.wait_until("rollback", Helm::is_over);
    let last = ground.stage.events().into_iter().rev().find_map(|envelope| match envelope.event {
        RunEvent::EvidenceTold { words, card, .. } => Some((words, *card)),
        _ => None,
    });
    let (words, card) = last.unwrap_or_else(|| panic!("no evidence was written down\n{}", helm.story()));
    helm.kill();
    let state = site.state.lock();
    Told {
        evidence: evidence.map(|at| state.found(at)),
        rule: rule.map(|at| state.found(at)),
        card,
        words,
        scraped: state.scraped.clone(),
    }
}

/// Until Prometheus has scraped for the first time.
pub(crate) fn wait_for_data(url: &str) {
    let until = Instant::now() + PATIENCE;
    let asks = format!("{url}/api/v1/query?query=http_requests_total");
    let told = || {
        WORLD.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client.get(&asks).send().await.ok()?.text().await.ok()
        })
    };
    while !told().is_some_and(|told| told.contains("blue")) {
        assert!(Instant::now() < until, "Prometheus has scraped nothing");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

/// What the old version has behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// So many seconds.
    pub(crate) lasts: i64,
    /// From so many seconds ago until so many it failed this share of its requests.
    pub(crate) incident: Option<(i64, i64, f64)>,
}

impl Past {
    /// The hour that tells what is normal.
    const HOUR: Self = Self { lasts: 3600, incident: None };
}

/// A process with users, whose counters Prometheus scrapes.
pub(crate) struct Site {
    state: Arc<Mutex<State>>,
    ends: Arc<AtomicBool>,
    /// `127.0.0.1:PORT`
    address: String,
}

struct State {
    dice: fastrand::Rng,
    share: f64,
    /// Requests have come up to here.
    served: Instant,
    green_is_live: bool,
    blue: Counts,
    green: Counts,
    /// When the new version got its first request.
    met: Option<Timestamp>,
    /// What had happened to the new version, moment by moment.
    happened: Vec<(Timestamp, Counts)>,
    scraped: Vec<(Timestamp, Counts)>,
    /// The old version's past hour, until it has been told.
    past: Option<String>,
}

impl Site {
    pub(crate) fn start(share: f64, past: Past) -> Self {
        let state = Arc::new(Mutex::new(State::new(share, past)));
        let ends = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (serving, ended) = (Arc::clone(&state), Arc::clone(&ends));
        std::thread::spawn(move || {
            for line in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut line) = line else { continue };
                let mut head = [0; 4096];
                let _ = line.read(&mut head);
                let body = serving.lock().exposition();
                let _ = write!(
                    line,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { state, ends, address }
    }

    /// The configuration of a Prometheus that scrapes it every so many seconds.
    pub(crate) fn scraped_every(&self, seconds: u64) -> String {
        format!(
            "global: {{ scrape_interval: {seconds}s, scrape_timeout: {seconds}s }}\n\
             scrape_configs: [{{ job_name: shop, static_configs: [{{ targets: ['{}'] }}] }}]\n",
            self.address
        )
    }

    /// From now on this share of the new version's requests fails.
    pub(crate) fn fail(&self, share: f64) {
        let mut state = self.state.lock();
        state.serve();
        state.share = share;
    }

    /// From now on users are where the cluster's Service leads them.
    pub(crate) fn follow(&self, cluster: &Arc<Cluster>) {
        let (state, ended) = (Arc::clone(&self.state), Arc::clone(&self.ends));
        let cluster: Weak<Cluster> = Arc::downgrade(cluster);
        std::thread::spawn(move || {
            while let Some(cluster) = cluster.upgrade().filter(|_| !ended.load(Ordering::Relaxed)) {
                let green = cluster.selector().get("version").is_some_and(|slot| slot == "green");
                drop(cluster);
                let mut state = state.lock();
                state.serve();
                state.green_is_live = green;
                drop(state);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Its listener waits for somebody.
        let _ = TcpStream::connect(&self.address);
    }
}

impl State {
    fn new(share: f64, past: Past) -> Self {
        let mut state = Self {
            dice: fastrand::Rng::with_seed(7),
            share,
            served: Instant::now(),
            green_is_live: false,
            blue: Counts::NONE,
            green: Counts::NONE,
            met: None,
            happened: Vec::new(),
            scraped: Vec::new(),
            past: None,
        };
        let Past { lasts, incident } = past;
        let (mut past, now) = (String::new(), now());
        let mut errors = String::new();
        for ago in (0..=lasts / PAST_STEP).rev().map(|step| step * PAST_STEP) {
            let fails = incident.filter(|(from, to, _)| (*to..*from).contains(&ago));
            for _ in 0..PAST_STEP * 100 {
                state.request(fails.map_or(USUAL, |(_, _, share)| share));
            }
            let (Counts { bad, all }, at) = (state.blue, now.0 - ago * 1000);
            let _ = writeln!(past, "http_requests_total{{slot=\"blue\",code=\"200\"}} {} {at}", all - bad);
            let _ = writeln!(errors, "http_requests_total{{slot=\"blue\",code=\"500\"}} {bad} {at}");
        }
        state.past = Some(past + &errors);
        state
    }

    /// All requests that have come until now.
    fn serve(&mut self) {
        while self.served.elapsed().as_secs_f64() >= 1.0 / PER_SECOND {
            self.served += Duration::from_secs_f64(1.0 / PER_SECOND);
            self.request(if self.green_is_live { self.share } else { USUAL });
        }
        if self.green_is_live {
            self.happened.push((now(), self.green));
        }
    }

    fn request(&mut self, share: f64) {
        let bad = f64::from(u8::from(self.dice.f64() < share));
        let request = Counts::new(bad, 1.0);
        if self.green_is_live {
            self.met.get_or_insert_with(now);
            self.green += request;
        } else {
            self.blue += request;
        }
    }

    fn exposition(&mut self) -> String {
        self.serve();
        if let Some(past) = self.past.take() {
            return past;
        }
        self.scraped.push((now(), self.green));
        let mut text = String::new();
        for (slot, Counts { bad, all }) in [("blue", self.blue), ("green", self.green)] {
            let _ = writeln!(text, "http_requests_total{{slot=\"{slot}\",code=\"200\"}} {}", all - bad);
            // As client libraries do: there is no series before the first error.
            if bad > 0.0 {
                let _ = writeln!(text, "http_requests_total{{slot=\"{slot}\",code=\"500\"}} {bad}");
            }
        }
        text
    }

    fn found(&self, at: Timestamp) -> Found {
        let met = self.met.unwrap_or(at);
        let happened = self.happened.iter().take_while(|(when, _)| *when <= at).last();
        Found {
            after: at.since(met).to_std(),
            happened: happened.map_or(Counts::NONE, |(_, counts)| *counts),
        }
    }
}
