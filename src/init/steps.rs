//! The steps of each shape, and the way back.

use super::{
    facts::Facts,
    shape::Shape,
    toml::{Page, quoted},
};
use crate::domain::runbook::Strategy;

/// Writes the steps and `[rollback.quick]`.
pub(super) fn write(page: &mut Page, facts: &Facts) {
    page.todo(
        "does a new version change the database? Then that is a step before all others, with an `undo`",
    );
    match (&facts.candidate.shape, facts.strategy) {
        (Shape::One { .. }, _) => one(page, facts),
        (Shape::Replicas(_), _) => by_replicas(page, facts),
        (Shape::Route { .. }, Strategy::Canary) => by_weights(page, facts),
        (Shape::Route { .. } | Shape::Selector(_), _) => blue_green(page, facts),
    }
}

/// The longest line that a list stands on whole.
const WIDEST: usize = 140;

/// One list of a step: on one line where it fits, else an entry a line.
fn list(page: &mut Page, key: &str, entries: &[String]) {
    let whole = format!("{key} = [{}]", entries.join(", "));
    if whole.chars().count() <= WIDEST {
        return page.lines(&whole);
    }
    page.lines(&format!("{key} = ["));
    for entry in entries {
        page.lines(&format!("    {entry},"));
    }
    page.lines("]");
}

fn step(page: &mut Page, id: &str, title: &str) {
    page.lines(&format!("[[step]]\nid = {}\ntitle = {}", quoted(id), quoted(title)));
}

fn owned(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn set_image(facts: &Facts, name: &str) -> String {
    format!(
        "{{ name = {}, set_image = {{ slot = \"new\", image = {} }} }}",
        quoted(name),
        quoted(&facts.image)
    )
}

/// What says that the new version is well: its own probe, and its logs.
fn health(page: &mut Page, facts: &Facts) -> Vec<String> {
    let container = facts.container;
    match &container.readiness {
        Some(probe) => {
            page.found(&format!("a pod is ready when container {} answers {probe}", container.name));
        }
        None => page.todo(&format!(
            "container {} has no readinessProbe: its pods count as ready before they can answer",
            container.name
        )),
    }
    let path = container.health_path.as_deref().unwrap_or("/health");
    let hosts: Vec<&str> = match &facts.candidate.shape {
        Shape::Route { .. } => {
            let route = facts.survey.routes.iter().find(|route| route.name == facts.candidate.name);
            route.map(|route| route.hosts.iter().map(String::as_str).collect()).unwrap_or_default()
        }
        Shape::Selector(_) | Shape::Replicas(_) | Shape::One { .. } => Vec::new(),
    };
    let front = hosts.first().map(|host| format!(" (users come in at {host})")).unwrap_or_default();
    page.todo(&format!(
        "a URL that leads to the new pods only, as a check: {{ http = {{ url = \"https://…{path}\" }} }}{front}"
    ));
    owned(&[
        r#"{ text = "All its pods are ready", pods_ready = "new" }"#,
        r#"{ text = "No fatal errors in its logs", logs = { slot = "new", without = '\b(FATAL|panic)\b' } }"#,
    ])
}

/// With all that is measured: a window without checks is a pause.
fn window(page: &mut Page, facts: &Facts, lasts: &str) {
    page.lines(&format!("window = {{ lasts = {} }}", quoted(lasts)));
    list(page, "check", &facts.watching());
}

/// Puts the new image beside the old one, where no user meets it.
fn deploy(page: &mut Page, facts: &Facts, safe: &str) {
    step(page, "deploy", "Deploy beside the version that users have");
    let run = [
        set_image(facts, "Set the image"),
        r#"{ name = "Start as many pods as the other slot has", scale = { slot = "new", replicas = "before" } }"#
            .to_owned(),
        r#"{ name = "Wait for them", rollout = "new" }"#.to_owned(),
    ];
    list(page, "run", &run);
    page.lines(&format!("on_failure = [{}]", quoted(safe)));
    page.gap();
    step(page, "health", "Is the new version well?");
    let checks = health(page, facts);
    list(page, "check", &checks);
    page.gap();
}

/// With a route there is a sip before the switch: it costs three minutes and shows what no test does.
fn blue_green(page: &mut Page, facts: &Facts) {
    deploy(page, facts, "No user is affected: traffic is on the other slot");
    if matches!(facts.candidate.shape, Shape::Route { .. }) {
        step(page, "sip", "A sip: 5 % of the users");
        page.lines("critical = \"From here on users meet the new version.\"\nconfirm = \"type\"");
        page.lines("run = [{ shift_traffic = { to = \"new\", share = \"5%\" } }]");
        window(page, facts, "3m");
        page.lines("on_failure = [\"R takes the 5 % back\"]");
        page.gap();
    }
    step(page, "switch", "Switch the traffic");
    page.lines("critical = \"This is when all users meet the new version.\"\nconfirm = \"type\"");
    page.lines("run = [{ switch_traffic = { to = \"new\" } }]");
    page.lines(r#"check = [{ text = "The new slot has all users", traffic_on = "new" }]"#);
    page.lines("on_failure = [\"R switches back: the old slot still runs\"]");
    page.gap();
    step(page, "monitor", "Watch the new version");
    window(page, facts, "5m");
    page.lines("on_failure = [\"Roll back with R\"]");
    page.gap();
    page.lines("# Until here the way back takes seconds; afterwards the old pods have to start first. Without this step they stay.");
    step(page, "retire", "Stop the old version");
    page.lines("confirm = \"twice\"");
    page.lines("run = [{ scale = { slot = \"previous\", replicas = 0 } }]");
    page.gap();
    rollback(
        page,
        "Switch back",
        &[r#"{ switch_traffic = { to = "previous" } }"#, r#"{ scale = { slot = "new", replicas = 0 } }"#],
        "The old slot has all users",
    );
    page.lines(r#"ready = [{ text = "The old slot's pods are ready", pods_ready = "previous" }]"#);
    page.gap();
}

fn by_weights(page: &mut Page, facts: &Facts) {
    deploy(page, facts, "No user is affected: the canary has no share");
    step(page, "five", "5 % of the users");
    page.lines("critical = \"From here on users meet the new version.\"\nconfirm = \"type\"");
    page.lines("run = [{ shift_traffic = { to = \"new\", share = \"5%\" } }]");
    window(page, facts, "5m");
    page.lines("on_failure = [\"R takes the 5 % back\"]");
    page.gap();
    step(page, "half", "Half of the users");
    page.lines("run = [{ shift_traffic = { to = \"new\", share = \"50%\" } }]");
    window(page, facts, "5m");
    page.gap();
    promote(page, facts, true);
    let back = [
        r#"{ shift_traffic = { to = "new", share = "0%" } }"#,
        r#"{ scale = { slot = "new", replicas = 0 } }"#,
    ];
    rollback(page, "Take the canary's users back", &back, "Stable has all users");
    page.lines(r#"ready = [{ text = "The stable pods are ready", pods_ready = "previous" }]"#);
    page.gap();
}

/// The smallest share that pods allow is that of one pod, so the steps are larger than with weights.
fn by_replicas(page: &mut Page, facts: &Facts) {
    page.lines("# A share starts pods, so the image is set while there are none.");
    step(page, "quarter", "A quarter of the users, or as near as pods allow");
    page.lines(
        "critical = \"Users meet the new version as soon as its first pod is ready.\"\nconfirm = \"type\"",
    );
    let run = [
        set_image(facts, "Set the canary's image"),
        r#"{ shift_traffic = { to = "new", share = "25%" } }"#.to_owned(),
        r#"{ name = "Wait for its pods", rollout = "new" }"#.to_owned(),
    ];
    list(page, "run", &run);
    let mut checks = health(page, facts);
    page.lines("window = { lasts = \"5m\" }");
    checks.extend(facts.watching());
    list(page, "check", &checks);
    page.lines("on_failure = [\"R takes the canary's pods away, and its users with them\"]");
    page.gap();
    step(page, "half", "Half of the users");
    page.lines(
        r#"run = [{ shift_traffic = { to = "new", share = "50%" } }, { name = "Wait for its pods", rollout = "new" }]"#,
    );
    window(page, facts, "5m");
    page.lines("on_failure = [\"R takes the canary's pods away, and its users with them\"]");
    page.gap();
    promote(page, facts, false);
    let back = [r#"{ name = "No pods for the canary", shift_traffic = { to = "new", share = "0%" } }"#];
    rollback(page, "Take the canary's users back", &back, "Stable has all users");
    page.lines(r#"ready = [{ text = "The stable pods are ready", pods_ready = "previous" }]"#);
    page.gap();
}

/// Stable gets the image and all users; the canary's pods stop, by hand where a route moves the users.
fn promote(page: &mut Page, facts: &Facts, stop: bool) {
    step(page, "promote", "Everybody");
    let mut run = owned(&[r#"{ name = "Promote", promote = "new", timeout = "10m" }"#]);
    if stop {
        run.push(
            r#"{ name = "Retire the canary's pods", scale = { slot = "new", replicas = 0 } }"#.to_owned(),
        );
    }
    list(page, "run", &run);
    let mut checks = owned(&[r#"{ text = "Stable has all users", traffic_on = "previous" }"#]);
    if let Some(metric) = facts.metrics.iter().find(|metric| metric.id == "error_rate") {
        checks.push(format!(
            "{{ text = \"Errors of stable\", metric = {}, slot = \"previous\", is = {}, timeout = \"3m\" }}",
            quoted(metric.id),
            quoted(&metric.normal)
        ));
    }
    list(page, "check", &checks);
    page.lines("on_failure = [\"R gives stable its old image back\"]");
    page.gap();
}

fn one(page: &mut Page, facts: &Facts) {
    let recreate = facts.strategy == Strategy::Recreate;
    let (title, critical, wait, limit, users) = if recreate {
        (
            "Replace the pods",
            "DOWNTIME: from here until the new pods are ready, users get errors.",
            "Wait for the new pods",
            "5m",
            "The new pods serve users",
        )
    } else {
        (
            "Roll the new version out",
            "Users meet the new version as soon as its first pod is ready.",
            "Wait until every pod is replaced",
            "10m",
            "Only new pods serve users",
        )
    };
    step(page, "deploy", title);
    page.lines(&format!("critical = {}\nconfirm = \"type\"", quoted(critical)));
    let run = [
        set_image(facts, "Set the image"),
        format!("{{ name = {}, rollout = \"new\", timeout = {} }}", quoted(wait), quoted(limit)),
    ];
    list(page, "run", &run);
    let mut checks = health(page, facts);
    checks.insert(0, format!("{{ text = {}, traffic_on = \"new\" }}", quoted(users)));
    list(page, "check", &checks);
    let look = format!(
        "kubectl rollout status deployment/{} --namespace={}",
        facts.live.name, facts.survey.namespace
    );
    let back = if recreate {
        "R starts the old version again: a second interruption"
    } else {
        "R goes back to the old pods, even in the middle of the rollout"
    };
    page.lines(&format!("on_failure = [{}, {}]", quoted(back), quoted(&look)));
    page.gap();
    step(page, "monitor", "Watch the new version");
    window(page, facts, "5m");
    page.lines("on_failure = [\"Roll back with R\"]");
    page.gap();
    page.lines("# To the pod template that the Deployment had when the run opened.");
    let actions = [
        r#"{ name = "Give the Deployment its old template", revert = "previous" }"#,
        r#"{ name = "Wait for the old pods", rollout = "previous" }"#,
    ];
    rollback(page, "Back to the old version", &actions, "Only old pods serve users");
    page.todo("this needs docker and a login to the registry on this host; any command that finds the image will do");
    page.lines(
        r#"ready = [{ text = "The old image can still be pulled", sh = 'docker manifest inspect "$PREVIOUS_IMAGE"', sample = "application/vnd.docker.distribution.manifest.v2+json" }]"#,
    );
    page.gap();
}

fn rollback(page: &mut Page, title: &str, run: &[&str], check: &str) {
    page.lines(&format!("[rollback.quick]\ntitle = {}", quoted(title)));
    list(page, "run", &owned(run));
    page.lines(&format!("check = [{{ text = {}, traffic_on = \"previous\" }}]", quoted(check)));
}
