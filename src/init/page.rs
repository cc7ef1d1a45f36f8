//! The runbook as it is written: what was seen as values, guesses and gaps as comments.

use super::{
    facts::Facts,
    measure::{Measure, Measured},
    shape::{Candidate, Shape, repository},
    steps,
    toml::{Page, literal, quoted},
};
use crate::domain::{
    run::tag_of,
    runbook::Strategy,
    survey::{FoundContainer, FoundDeployment, Labels, Survey, meets},
};

/// The most lines that a written runbook has.
pub const MOST_LINES: usize = 150;

/// The tables at the end of a page, with empty lines between them.
const LINES_OF_THE_END: usize = 22;

/// Reads that were not allowed and are named one by one.
const MOST_REFUSED: usize = 2;

/// Containers that stand beside an application in its pod.
const SIDECARS: &[&str] = &[
    "istio-proxy",
    "linkerd-proxy",
    "envoy",
    "vault-agent",
    "cloud-sql-proxy",
    "cloudsql-proxy",
    "fluent-bit",
    "filebeat",
    "otel-collector",
    "datadog-agent",
    "oauth2-proxy",
];

/// What a person said, or what stands for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// The strategy, where one was asked for.
    pub strategy: Option<Strategy>,
    /// The Prometheus, as a URL.
    pub prometheus: Option<String>,
    /// Whether the kubeconfig's context was named, and is written.
    pub pin_context: bool,
    /// Who writes it.
    pub author: String,
    /// The day, as `2026-11-27`.
    pub date: String,
}

/// A runbook that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub text: String,
    /// Its strategy.
    pub strategy: Strategy,
    /// Guesses in it.
    pub found: usize,
    /// Gaps in it.
    pub todo: usize,
}

/// Writes a runbook for what was chosen.
///
/// # Errors
/// If the strategy that was asked for does not fit, or there is no container to deploy: what is wrong, then what to do.
pub fn write(
    survey: &Survey,
    candidate: &Candidate,
    measured: &Measured,
    answers: &Answers,
) -> Result<Written, String> {
    let strategy = candidate.shape.strategy(answers.strategy)?;
    let names = candidate.deployments();
    let live = names.first().and_then(|name| survey.deployment(name));
    let Some((live, container)) = live.and_then(|live| Some((live, application(live)?))) else {
        return Err(format!(
            "the pods of {} have no container that could be deployed\nname another Service with --service",
            candidate.name
        ));
    };
    let version = Version::of(&container.image);
    let facts = Facts {
        survey,
        candidate,
        strategy,
        live,
        container,
        image: version.image.clone(),
        metrics: &measured.metrics,
    };
    let mut page = Page::default();
    head(&mut page, &facts, answers);
    target(&mut page, &facts, answers);
    variables(&mut page, &facts, &version);
    metrics(&mut page, &facts, measured, answers);
    checklist(&mut page, &facts);
    steps::write(&mut page, &facts);
    end(&mut page, &facts);
    Ok(Written { strategy, found: page.found, todo: page.todo, text: page.into_text() })
}

/// The container that is the application: the one that is not known to stand beside one.
fn application(deployment: &FoundDeployment) -> Option<&FoundContainer> {
    let own = |it: &&FoundContainer| !SIDECARS.contains(&it.name.as_str());
    deployment.containers.iter().find(own).or(deployment.containers.first())
}

/// How an image names its version.
struct Version {
    /// The image with `$VERSION` in it, as a template.
    image: String,
    /// What a version looks like.
    pattern: String,
    /// The one for a rehearsal.
    sample: String,
    /// What is not clear about it.
    todo: Option<String>,
}

impl Version {
    fn of(image: &str) -> Self {
        let is_plain = !image.is_empty()
            && image
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | ':' | '_' | '-' | '@'));
        if !is_plain {
            return Self {
                image: "registry.example.com/app:$VERSION".to_owned(),
                pattern: ANY_TAG.to_owned(),
                sample: "v1.6.0".to_owned(),
                todo: Some(format!("the image; the container has one that cannot be written here: {image}")),
            };
        }
        let name = repository(image);
        let tag = if image.contains('@') || image == name { "" } else { tag_of(image) };
        let (pattern, sample) = match semantic(tag) {
            Some((prefix, [major, minor, _])) => {
                (format!(r"{prefix}\d+\.\d+\.\d+"), format!("{prefix}{major}.{}.0", minor.saturating_add(1)))
            }
            None if tag.is_empty() => (ANY_TAG.to_owned(), "v1.6.0".to_owned()),
            None => (ANY_TAG.to_owned(), tag.to_owned()),
        };
        let todo = match tag {
            "" if image.contains('@') => Some(
                "the image runs by its digest; here a tag is asked for. Name the tags that you deploy"
                    .to_owned(),
            ),
            "" | "latest" => {
                Some("the image has no version as its tag; name the tags that you deploy".to_owned())
            }
            _ => None,
        };
        Self { image: format!("{}:$VERSION", literal(name)), pattern, sample, todo }
    }
}

/// What a registry takes as a tag.
const ANY_TAG: &str = r"[A-Za-z0-9_][A-Za-z0-9_.-]*";

/// `v1.5.0` or `1.5.0`.
fn semantic(tag: &str) -> Option<(&str, [u64; 3])> {
    let (prefix, numbers) = match tag.strip_prefix('v') {
        Some(rest) => ("v", rest),
        None => ("", tag),
    };
    let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    Some((prefix, numbers.try_into().ok()?))
}

/// Where it comes from and when: in half a year somebody asks whether it may be written anew.
fn head(page: &mut Page, facts: &Facts, answers: &Answers) {
    let (survey, name) = (facts.survey, &facts.candidate.name);
    page.comment(&format!(
        "Written by `cutover init` on {} from namespace {}.",
        answers.date, survey.namespace
    ));
    page.comment("Every `found:` is what it saw or took from that: read it. Every `TODO:` is for you: `cutover check` counts them.");
    page.gap();
    page.lines("[runbook]");
    page.lines(&format!("module = {}", quoted(name)));
    page.lines(&format!("title = {}", quoted(&format!("{name}: {}", facts.strategy.word()))));
    page.todo("\"approved\" once a colleague has read it; until then production wants a reason for each run");
    page.lines("status = \"draft\"");
    page.lines("version = \"0.1.0\"");
    page.lines(&format!("last_updated = {}", answers.date));
    page.lines(&format!("author = {}", quoted(&answers.author)));
    page.gap();
    page.lines("[deployment]");
    let (environment, why) = environment(survey);
    page.found(why);
    page.lines(&format!("environment = {}", quoted(environment)));
    page.found(&facts.candidate.words());
    page.lines(&format!("strategy = {}", quoted(facts.strategy.word())));
    let slow = matches!(facts.strategy, Strategy::Rolling | Strategy::Recreate);
    page.lines(&format!("rollback_within = {}", quoted(if slow { "5m" } else { "2m" })));
    page.lines(&format!("zero_downtime = {}", facts.strategy != Strategy::Recreate));
    page.gap();
}

/// The environment by what the namespace and the context are called.
fn environment(survey: &Survey) -> (&'static str, &'static str) {
    let names = format!("{} {}", survey.namespace, survey.context).to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| names.contains(word));
    if has(&["prod", "prd", "live"]) {
        ("production", "the namespace or the context is called so")
    } else if has(&["stag", "preprod", "uat"]) {
        ("staging", "the namespace or the context is called so")
    } else if has(&["dev", "test", "sandbox"]) {
        ("development", "the namespace or the context is called so")
    } else {
        ("production", "nothing says otherwise; production is the strictest")
    }
}

/// What keeps it from another cluster stands first: it is the worst that a copied runbook can do.
fn target(page: &mut Page, facts: &Facts, answers: &Answers) {
    let (survey, candidate) = (facts.survey, facts.candidate);
    page.lines("[target]");
    if answers.pin_context {
        page.lines(&format!("context = {}", quoted(&survey.context)));
    }
    if survey.cluster_uid.is_empty() {
        page.todo("the cluster's uid may not be read: nothing keeps this runbook from another cluster");
    } else {
        page.found(&format!(
            "the cluster of context {} ({}); on another one a run wants a reason",
            survey.context, survey.server
        ));
        page.lines(&format!("cluster_uid = {}", quoted(&survey.cluster_uid)));
    }
    page.lines(&format!("namespace = {}", quoted(&survey.namespace)));
    if !matches!(candidate.shape, Shape::Route { .. }) {
        page.lines(&format!("service = {}", quoted(&candidate.name)));
    }
    for deployment in facts.deployments() {
        page.found(&pods_of(survey, deployment));
    }
    match &candidate.shape {
        Shape::One { deployment, .. } => page.lines(&format!("deployment = {}", quoted(deployment))),
        Shape::Route { rule, .. } => {
            page.lines(&format!("route = {{ name = {}, rule = {rule} }}", quoted(&candidate.name)));
        }
        Shape::Selector(_) | Shape::Replicas(_) => {}
    }
    for slot in candidate.shape.slots().into_iter().flatten() {
        let mut keys = vec![format!("deployment = {}", quoted(&slot.deployment))];
        keys.extend(slot.service.as_ref().map(|service| format!("service = {}", quoted(service))));
        if !slot.selector.is_empty() {
            keys.push(format!("selector = {}", inline(&slot.selector)));
        }
        page.lines(&format!("slots.{} = {{ {} }}", slot.name, keys.join(", ")));
    }
    let others: Vec<&str> = facts.live.containers.iter().map(|it| it.name.as_str()).collect();
    if others.len() > 1 {
        page.found(&format!(
            "of the containers {} the one that looks like the application",
            others.join(", ")
        ));
    }
    page.lines(&format!("container = {}", quoted(&facts.container.name)));
    page.gap();
}

/// `deployment/shop has 3 pods; hpa/shop keeps 2 to 10; pdb/shop wants minAvailable 2`
fn pods_of(survey: &Survey, deployment: &FoundDeployment) -> String {
    let mut words = vec![format!(
        "deployment/{} has {} of {} pods ready",
        deployment.name, deployment.ready, deployment.replicas
    )];
    let scaled = survey.autoscalers.iter().filter(|it| it.deployment == deployment.name);
    words.extend(scaled.map(|it| format!("hpa/{} keeps {} to {}", it.name, it.min, it.max)));
    let budgets = survey.budgets.iter().filter(|it| meets(&it.selector, &deployment.labels));
    words.extend(budgets.map(|it| format!("pdb/{} wants {}", it.name, it.wants)));
    words.join("; ")
}

fn inline(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(key, value)| {
        let bare = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let key = if bare && !key.is_empty() { key.clone() } else { quoted(key) };
        format!("{key} = {}", quoted(value))
    });
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

/// The version is asked for with the pattern of the tags there are: a slip of the finger is found before anything starts.
fn variables(page: &mut Page, facts: &Facts, version: &Version) {
    page.lines("[vars]");
    page.found(&format!("the container runs {}", facts.container.image));
    if let Some(todo) = &version.todo {
        page.todo(todo);
    }
    page.lines(&format!(
        "VERSION = {{ ask = \"Which version goes out?\", pattern = {}, sample = {} }}",
        quoted(&version.pattern),
        quoted(&version.sample)
    ));
    if facts.candidate.shape.one().is_some() {
        page.lines("PREVIOUS_IMAGE = { from = \"live-image\" }");
    }
    page.gap();
}

/// Without a Prometheus the page says what is lost by that, and not only what is missing.
fn metrics(page: &mut Page, facts: &Facts, measured: &Measured, answers: &Answers) {
    if let Some(url) = &answers.prometheus {
        page.lines("[sources.prometheus]");
        page.lines(&format!("url = {}", quoted(&literal(url))));
    } else {
        page.todo(
            "the Prometheus: run cutover init again with --prometheus URL, or write [sources.prometheus] and [metrics.…]",
        );
        page.lines("# Without metrics a person looks at the dashboards, and no trigger can roll back.");
    }
    page.gap();
    if let (Some((first, second)), false) = (facts.slots(), measured.metrics.is_empty()) {
        page.comment(&format!("For each slot; `$slot` is `{first}` or `{second}`, `$deployment` its Deployment, `$hash` its revision."));
    }
    for (at, metric) in measured.metrics.iter().enumerate() {
        page.lines(&format!("[metrics.{}]", metric.id));
        page.lines(&format!("title = {}", quoted(metric.title)));
        for found in &metric.found {
            page.found(found);
        }
        match &metric.measure {
            Measure::Query(query) => page.lines(&format!("query = {}", quoted(query))),
            Measure::Counted { bad, all } => {
                page.lines(&format!("bad = {}", quoted(bad)));
                page.lines(&format!("all = {}", quoted(all)));
            }
        }
        page.lines("per_slot = true");
        page.lines(&format!("unit = {}", quoted(metric.unit)));
        if at == 0 {
            page.todo(
                "your own limits, here and below: these are twice what is usual now, and no less than this",
            );
        }
        page.lines(&format!("normal = {}", quoted(&metric.normal)));
        page.lines(&format!("alert = {}", quoted(&metric.alert)));
        page.gap();
    }
    if answers.prometheus.is_some() && !measured.gaps.is_empty() {
        for gap in &measured.gaps {
            page.todo(&format!("a metric that gives one number a slot; {gap}"));
        }
        page.gap();
    }
}

fn checklist(page: &mut Page, facts: &Facts) {
    page.lines("[[checklist]]\ngroup = \"Before the deployment\"");
    page.todo("let your CI answer: check = { http = { url = \"https://…/$VERSION/status\", json = { \"/state\" = \"success\" } } }");
    let mut items = vec![by_person("CI has passed for this version"), room(facts)];
    if let Shape::Replicas(slots) = &facts.candidate.shape {
        let text = format!("deployment/{} has no pods", slots[1].deployment);
        items.push(checked(&text, "{ scaled_to = { slot = \"new\", replicas = 0 } }"));
    }
    items.extend(other_writers(page, facts));
    if facts.deployments().iter().any(|deployment| deployment.paused) {
        items.push(by_person("The Deployments are not paused (kubectl rollout resume)"));
    }
    items.push(by_person("Somebody is on call who knows this service"));
    match facts.survey.forbidden.as_slice() {
        few if few.len() <= MOST_REFUSED => {
            for refused in few {
                page.todo(&format!("not seen, so not written: {refused}"));
            }
        }
        many => page.todo(&format!(
            "not seen, so not written: {} reads were not allowed; cutover init says which",
            many.len()
        )),
    }
    page.lines("items = [");
    page.lines(&items.join("\n"));
    page.lines("]");
    page.gap();
}

/// An item that a person ticks.
fn by_person(text: &str) -> String {
    format!("    {{ text = {} }},", quoted(text))
}

/// An item that is looked at.
fn checked(text: &str, check: &str) -> String {
    format!("    {{ text = {}, check = {check} }},", quoted(text))
}

/// What both versions at a time need, or that there will be neither for a moment.
fn room(facts: &Facts) -> String {
    let pods = facts.live.replicas.max(1);
    match (&facts.candidate.shape, facts.strategy) {
        (Shape::One { .. }, Strategy::Recreate) => {
            by_person("Support and users know when the service is down")
        }
        (Shape::One { .. }, _) => {
            by_person("Old and new version can run side by side: schema, queues, sessions")
        }
        _ => checked(
            "The nodes have room for the new pods",
            &format!("{{ headroom = {{ slot = \"new\", replicas = {pods} }} }}"),
        ),
    }
}

/// Whoever else writes to the Deployments would take back what a run does: autoscalers, and what applies them from a repository.
fn other_writers(page: &mut Page, facts: &Facts) -> Vec<String> {
    let mut items = Vec::new();
    let names = facts.candidate.deployments();
    let own = facts.survey.autoscalers.iter().filter(|it| names.contains(&it.deployment.as_str()));
    let autoscalers: Vec<String> = own.map(|it| format!("hpa/{}", it.name)).collect();
    if !autoscalers.is_empty() {
        let text = format!("Minimum and maximum are pinned during the run: {}", autoscalers.join(", "));
        items.push(by_person(&text));
    }
    let others = facts.deployments().into_iter().flat_map(|it| it.applied_by.iter().chain(&it.owner));
    let mut others: Vec<&String> = others.collect();
    others.dedup();
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|other| other.as_str()).collect();
        let names = names.join(" and ");
        page.found(&format!("{names} owns these Deployments, and may take back what a run changes"));
        items.push(by_person(
            "Who owns these Deployments leaves them alone during the run: no sync, no self-heal",
        ));
    }
    items
}

fn end(page: &mut Page, facts: &Facts) {
    // On a page that is long already these tables stand close.
    let airy = page.count() + LINES_OF_THE_END <= MOST_LINES;
    let apart = |page: &mut Page| {
        if airy {
            page.gap();
        }
    };
    match facts.metrics.iter().find(|metric| metric.id == "error_rate").or(facts.metrics.first()) {
        Some(metric) => {
            page.lines("[[trigger]]");
            page.lines(&format!("metric = {}", quoted(metric.id)));
            page.lines(&format!("when = {}", quoted(&metric.alert)));
            page.lines("for = \"1m\"");
            apart(page);
            if let Some(harmless) = &metric.harmless {
                if airy {
                    page.comment(&format!("Evidence fires in seconds where the bound takes a minute: 99.9 % certain that more than {harmless} of the requests fail."));
                }
                page.lines("[[trigger]]");
                page.lines(&format!("metric = {}", quoted(metric.id)));
                page.lines(&format!("when = {}", quoted(&format!("worse than {harmless}"))));
                apart(page);
            }
        }
        None => {
            page.todo("once there is a metric: [[trigger]] metric = \"error_rate\", when = \"> 1%\", for = \"1m\", then = \"countdown\"");
        }
    }
    if airy {
        page.lines("[[trigger]]\nreason = \"Users report errors\"");
        page.gap();
    }
    page.lines("[[task]]\ndue = \"24h\"\ntext = \"Look at the dashboards and at new errors in the log\"");
    apart(page);
    page.lines("[[contact]]\nrole = \"On-call engineer\"");
    page.todo("who is called, and where? There may be more of them; a Slack webhook for notices is [notify]");
    page.lines("slack = \"@oncall\"");
}
