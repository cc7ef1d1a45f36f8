//! What moves traffic in a namespace: by which Service or route, between which Deployments.
//!
//! | what is there | what it is |
//! |---|---|
//! | a route's rule with two Services, each of one Deployment | canary, or blue-green by their names |
//! | a Service that selects one Deployment, and another one that differs in one of the selector's labels | blue-green |
//! | a Service that selects two Deployments | canary by replicas |
//! | a Service that selects one Deployment | rolling, or recreate by the Deployment's strategy |

use super::unfit::{controller, moved_by, no_such, nothing};
use crate::domain::{
    runbook::Strategy,
    survey::{FoundDeployment, FoundRoute, FoundService, Labels, Survey},
};

/// Words by which people tell an old from a new, or one side from the other.
const SIDES: &[&str] = &[
    "blue",
    "green",
    "red",
    "black",
    "a",
    "b",
    "stable",
    "canary",
    "primary",
    "secondary",
    "baseline",
    "preview",
    "active",
    "v1",
    "v2",
    "one",
    "two",
    "1",
    "2",
];

/// Labels that say what something is. Where two Deployments differ in one of these they are two applications, unless the
/// values end in [`SIDES`].
const IDENTITIES: &[&str] = &[
    "app",
    "name",
    "k8s-app",
    "component",
    "tier",
    "role",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
];

/// Names that a runbook gives to roles, and to revisions.
const TAKEN: &[&str] = &["new", "idle", "previous", "live", "before", "old"];

/// One way that traffic moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The Service, or the route.
    pub name: String,
    /// How.
    pub shape: Shape,
}

/// How traffic moves between which Deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// The Service's selector picks one slot: the first one now.
    Selector(Box<[FoundSlot; 2]>),
    /// One Service selects the pods of both: the first one is stable.
    Replicas(Box<[FoundSlot; 2]>),
    /// A route weighs the slots' Services: the first one has more, or is called stable.
    Route {
        /// The slots.
        slots: Box<[FoundSlot; 2]>,
        /// The place of the rule.
        rule: usize,
        /// Whether the slots are called as those of a blue-green deployment.
        colours: bool,
    },
    /// One Deployment.
    One {
        /// Its name.
        deployment: String,
        /// Whether all old pods stop before the first new one starts.
        recreate: bool,
    },
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSlot {
    /// Its name in the runbook.
    pub name: String,
    /// Its Deployment.
    pub deployment: String,
    /// The labels that tell its pods from the other slot's.
    pub selector: Labels,
    /// Its own Service, with a route.
    pub service: Option<String>,
}

/// Why nothing could be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchosen {
    /// These could be deployed: somebody has to say which.
    Several(Vec<String>),
    /// Nothing here can be deployed: what is wrong, then what to do, each on a line.
    Unfit(String),
}

impl Candidate {
    /// The Deployments, the one with the users first.
    pub fn deployments(&self) -> Vec<&str> {
        match self.shape.slots() {
            Some(slots) => slots.iter().map(|slot| slot.deployment.as_str()).collect(),
            None => self.shape.one().into_iter().collect(),
        }
    }

    /// What it is, in a line: `blue-green: service/shop selects shop-blue, beside it shop-green`.
    pub fn words(&self) -> String {
        let name = &self.name;
        let both = |slots: &[FoundSlot; 2]| format!("{} and {}", slots[0].deployment, slots[1].deployment);
        match &self.shape {
            Shape::Selector(slots) => format!(
                "blue-green: service/{name} selects deployment/{}, and deployment/{} differs in its labels only",
                slots[0].deployment, slots[1].deployment
            ),
            Shape::Replicas(slots) => {
                format!("canary by replicas: service/{name} selects the pods of both {}", both(slots))
            }
            Shape::Route { slots, rule, .. } => {
                format!("httproute/{name}, rule {rule}, weighs the Services of {}", both(slots))
            }
            Shape::One { deployment, recreate: true } => {
                format!(
                    "recreate: service/{name} selects deployment/{deployment}, whose strategy is Recreate"
                )
            }
            Shape::One { deployment, recreate: false } => {
                format!("rolling: service/{name} selects deployment/{deployment} only")
            }
        }
    }
}

impl Shape {
    /// The two slots, where there are two.
    pub fn slots(&self) -> Option<&[FoundSlot; 2]> {
        match self {
            Self::Selector(slots) | Self::Replicas(slots) | Self::Route { slots, .. } => Some(slots),
            Self::One { .. } => None,
        }
    }

    /// The Deployment, where there is one.
    pub fn one(&self) -> Option<&str> {
        match self {
            Self::One { deployment, .. } => Some(deployment),
            Self::Selector(_) | Self::Replicas(_) | Self::Route { .. } => None,
        }
    }

    /// The strategy that fits, or the one that is wanted where it fits as well.
    ///
    /// # Errors
    /// If what is wanted does not fit: what there is instead, then what would be needed.
    pub fn strategy(&self, wanted: Option<Strategy>) -> Result<Strategy, String> {
        let own = match self {
            Self::Selector(_) | Self::Route { colours: true, .. } => Strategy::BlueGreen,
            Self::Replicas(_) | Self::Route { colours: false, .. } => Strategy::Canary,
            Self::One { recreate: true, .. } => Strategy::Recreate,
            Self::One { recreate: false, .. } => Strategy::Rolling,
        };
        let by_route = matches!(self, Self::Route { .. });
        match wanted {
            None => Ok(own),
            Some(wanted) if wanted == own => Ok(own),
            Some(wanted @ (Strategy::Canary | Strategy::BlueGreen)) if by_route => Ok(wanted),
            Some(wanted) => {
                Err(format!("the strategy here is {}, not {}\n{}", own.word(), wanted.word(), needs(wanted)))
            }
        }
    }
}

/// What it would take, with an example: "not possible" helps nobody on.
fn needs(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::BlueGreen => {
            "blue-green needs two Deployments that differ in one label of the Service's selector, or a route over \
             their Services; `cutover init --example blue-green` shows one"
        }
        Strategy::Canary => {
            "a canary needs two Deployments that the Service selects both, or a route over their Services; `cutover \
             init --example canary` shows one"
        }
        Strategy::Rolling => "rolling needs one Deployment, whose own strategy is RollingUpdate",
        Strategy::Recreate => "recreate needs one Deployment, whose own strategy is Recreate",
    }
}

/// Chooses what to write a runbook for: by the name of a Service or a route, or the only one there is.
///
/// # Errors
/// If there are several or none, or another controller moves this traffic.
pub fn choose(survey: &Survey, wanted: Option<&str>) -> Result<Candidate, Unchosen> {
    let unfit = |why: String| Err(Unchosen::Unfit(why));
    let candidates = recognise(survey);
    let candidate = match wanted {
        Some(name) => match named(survey, &candidates, name) {
            Some(candidate) => candidate.clone(),
            None => return unfit(no_such(survey, name)),
        },
        None => match candidates.as_slice() {
            [] => return unfit(nothing(survey)),
            [one] => one.clone(),
            several => {
                return Err(Unchosen::Several(several.iter().map(|one| one.name.clone()).collect()));
            }
        },
    };
    match controller(survey, &candidate.deployments()) {
        Some(other) => unfit(moved_by(other)),
        None => Ok(candidate),
    }
}

/// Everything in a namespace by which traffic moves, routes first. A Service that a route leads to is no candidate of its own.
pub fn recognise(survey: &Survey) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = survey.routes.iter().filter_map(|it| by_route(survey, it)).collect();
    let routed: Vec<Vec<String>> = found.iter().map(|one| sorted(one.deployments())).collect();
    for service in &survey.services {
        let Some(candidate) = by_service(survey, service) else { continue };
        let deployments = sorted(candidate.deployments());
        let of_a_route = routed.iter().any(|route| deployments.iter().all(|name| route.contains(name)));
        // A second Service for the same pods, without an address: for discovery, not for users.
        let twin = survey
            .services
            .iter()
            .any(|other| service.headless && !other.headless && other.selector == service.selector);
        if !of_a_route && !twin {
            found.push(candidate);
        }
    }
    found
}

/// The candidate that a Service or a route belongs to.
fn named<'a>(survey: &Survey, candidates: &'a [Candidate], name: &str) -> Option<&'a Candidate> {
    let own = candidates.iter().find(|candidate| candidate.name == name);
    own.or_else(|| {
        // A Service that a route leads to, or that stands before all of its Deployments.
        let service = survey.service(name)?;
        let met: Vec<&str> = survey.met_by(&service.selector).map(|it| it.name.as_str()).collect();
        let of = |candidate: &&Candidate| {
            let deployments = candidate.deployments();
            matches!(candidate.shape, Shape::Route { .. })
                && !met.is_empty()
                && met.iter().all(|name| deployments.contains(name))
        };
        candidates.iter().find(of)
    })
}

fn sorted(mut names: Vec<&str>) -> Vec<String> {
    names.sort_unstable();
    names.into_iter().map(str::to_owned).collect()
}

/// Each Service must lead to one Deployment: with two behind one, a weight says nothing about versions.
fn by_route(survey: &Survey, route: &FoundRoute) -> Option<Candidate> {
    let of = |name: &str| {
        let service = survey.service(name)?;
        let mut met = survey.met_by(&service.selector);
        let deployment = met.next()?;
        met.next().is_none().then_some((service, deployment))
    };
    let two = |(rule, backends): (usize, &Vec<(String, u32)>)| {
        let [(first, weight), (second, other)] = backends.as_slice() else { return None };
        let (a, b) = (of(first)?, of(second)?);
        (a.1.name != b.1.name).then_some((rule, a, b, *weight < *other))
    };
    let (rule, a, b, second_has_more) = route.rules.iter().enumerate().find_map(two)?;
    let apart = |one: &FoundService, other: &FoundService| -> Labels {
        let own = one.selector.iter().filter(|(key, value)| other.selector.get(*key) != Some(*value));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let (ours, theirs) = (apart(a.0, b.0), apart(b.0, a.0));
    let mut slots = [slot(a.1, ours, Some(a.0)), slot(b.1, theirs, Some(b.0))];
    let is_canary = name_slots(&mut slots, ["stable", "canary"]);
    // Stable stays stable whatever the weights say at the moment.
    let swap = if is_canary { is_new(&slots[0].name) } else { second_has_more };
    if swap {
        slots.swap(0, 1);
    }
    let colours = slots.iter().all(|slot| is_colour(&slot.name));
    let shape = Shape::Route { slots: Box::new(slots), rule, colours };
    Some(Candidate { name: route.name.clone(), shape })
}

/// One Deployment may have a sibling that differs in one label only, which is how blue-green looks while one colour has the
/// traffic.
fn by_service(survey: &Survey, service: &FoundService) -> Option<Candidate> {
    let met: Vec<&FoundDeployment> = survey.met_by(&service.selector).collect();
    let shape = match met.as_slice() {
        [one] => match sibling(survey, service, one) {
            Some((key, other)) => {
                let label = |it: &FoundDeployment| -> Labels {
                    it.labels.get(&key).map(|value| (key.clone(), value.clone())).into_iter().collect()
                };
                let mut slots = [slot(one, label(one), None), slot(other, label(other), None)];
                name_slots(&mut slots, ["blue", "green"]);
                Shape::Selector(Box::new(slots))
            }
            None => Shape::One { deployment: one.name.clone(), recreate: one.recreate },
        },
        [a, b] => by_replicas(a, b)?,
        _ => return None,
    };
    Some(Candidate { name: service.name.clone(), shape })
}

/// Two Deployments whose pods one Service has both: their numbers make the shares. Their labels must tell them apart.
fn by_replicas(a: &FoundDeployment, b: &FoundDeployment) -> Option<Shape> {
    let apart = |one: &FoundDeployment, other: &FoundDeployment| -> Labels {
        let own = one
            .labels
            .iter()
            .filter(|(key, value)| other.labels.get(*key).is_some_and(|theirs| theirs != *value));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let (ours, theirs) = (apart(a, b), apart(b, a));
    if ours.is_empty() {
        return None;
    }
    let mut slots = [slot(a, ours, None), slot(b, theirs, None)];
    name_slots(&mut slots, ["stable", "canary"]);
    // The smaller one is the canary, unless a name says otherwise.
    if is_new(&slots[0].name) || (!is_new(&slots[1].name) && a.replicas < b.replicas) {
        slots.swap(0, 1);
    }
    Some(Shape::Replicas(Box::new(slots)))
}

/// The other slot of a Service that selects this Deployment now: it has all of the selector's labels, and one of them with
/// another value. With the same containers and images: what only looks alike is another application.
fn sibling<'a>(
    survey: &'a Survey,
    service: &FoundService,
    one: &FoundDeployment,
) -> Option<(String, &'a FoundDeployment)> {
    let mut alike = survey.deployments.iter().filter(|other| other.name != one.name).filter_map(|other| {
        let mut differs = Vec::new();
        for (key, value) in &service.selector {
            let theirs = other.labels.get(key)?;
            if theirs != value {
                differs.push((key, value, theirs));
            }
        }
        let [(key, value, theirs)] = differs.as_slice() else { return None };
        let named = last_part(value)
            .zip(last_part(theirs))
            .is_some_and(|(ours, theirs)| SIDES.contains(&ours) && SIDES.contains(&theirs));
        let same = |it: &FoundDeployment| -> Vec<(String, String)> {
            let images = it.containers.iter().map(|it| (it.name.clone(), repository(&it.image).to_owned()));
            images.collect()
        };
        let fits = if IDENTITIES.contains(&key.as_str()) { named } else { true };
        (fits && same(one) == same(other)).then(|| ((*key).clone(), other))
    });
    let found = alike.next()?;
    // Of three nobody knows which is the other one.
    alike.next().is_none().then_some(found)
}

fn slot(deployment: &FoundDeployment, selector: Labels, service: Option<&FoundService>) -> FoundSlot {
    FoundSlot {
        name: String::new(),
        deployment: deployment.name.clone(),
        selector,
        service: service.map(|service| service.name.clone()),
    }
}

/// Names two slots: by the value of a label in which they differ, which `$slot` in a query then is; by how their Deployments'
/// names end; or as they are called usually. Says whether these are a stable one and a canary.
fn name_slots(slots: &mut [FoundSlot; 2], usual: [&str; 2]) -> bool {
    let fits = |name: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 30
            && name.chars().all(plain)
            && !TAKEN.contains(&name)
    };
    let by_label = slots[0].selector.iter().find_map(|(key, value)| {
        let other = slots[1].selector.get(key)?;
        (fits(value) && fits(other)).then(|| [value.clone(), other.clone()])
    });
    let by_end = || {
        let ends = [last_part(&slots[0].deployment)?, last_part(&slots[1].deployment)?];
        (ends[0] != ends[1] && ends.iter().all(|end| fits(end))).then(|| ends.map(str::to_owned))
    };
    let names = by_label.or_else(by_end).unwrap_or_else(|| usual.map(str::to_owned));
    let [first, second] = names;
    let is_canary = is_new(&first) != is_new(&second);
    slots[0].name = first;
    slots[1].name = second;
    is_canary
}

fn last_part(name: &str) -> Option<&str> {
    name.rsplit(['-', '_', '.']).next().filter(|part| !part.is_empty())
}

/// As Flagger and Argo Rollouts call them, and most people.
fn is_new(name: &str) -> bool {
    ["canary", "preview", "secondary"].iter().any(|word| name.contains(word))
}

fn is_colour(name: &str) -> bool {
    ["blue", "green", "red", "black"].iter().any(|colour| name.contains(colour))
}

/// An image without its tag and digest.
pub fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        // A colon before the last slash belongs to a port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}
