//! What a person types instead of an action.
//!
//! Which slot is new is only known on the day, so a line names slots by variables of the shell, `"$NEW_DEPLOYMENT"`, and the page
//! says how to set them. The lines themselves are those that the screen and the plan show.

use std::collections::BTreeMap;

use super::shell;
use crate::domain::{
    action::{Action, ActionKind, HttpRequest, SlotRef},
    director::{Director, NEW_REVISION, OLD_REVISION, RouteRef, RuleRef, Share, pods_for, weights_for},
    id::SlotName,
    kubectl::{kubectl_line, quote, scale_line, weights_line},
    runbook::{ClusterFact, Runbook, Slot, Target, VarSource},
    template::Template,
};

/// Stands for `replicas = "before"` in a line until a variable takes its place.
const BEFORE: u32 = 4_000_000_007;
/// … and these for the places of the slots' backends in a route.
const PLACES: [usize; 2] = [4_000_000_008, 4_000_000_009];

/// The two roles of a run, `new` first.
const ROLES: [&str; 2] = ["NEW", "PREVIOUS"];

/// Writes lines for a runbook's actions.
pub(super) struct Hand<'a> {
    runbook: &'a Runbook,
    /// The target with its slots called by role, and marks for what depends on the day.
    by_role: Option<Target>,
    /// What a mark begins and ends with: a run of `@` that the runbook does not have.
    mark: String,
}

impl<'a> Hand<'a> {
    /// For one runbook, whose text shows which marks are free.
    pub(super) fn new(runbook: &'a Runbook, source: &str) -> Self {
        let mut mark = "@@".to_owned();
        while source.contains(&mark) {
            mark.push('@');
        }
        let mut hand = Self { runbook, by_role: None, mark };
        hand.by_role = runbook.target.as_ref().map(|target| hand.with_roles(target));
        hand
    }

    fn with_roles(&self, target: &Target) -> Target {
        let mut by_role = target.clone();
        let colours: Vec<(&SlotName, &Slot)> = target.slots.iter().collect();
        let &[(one, a), (other, b)] = colours.as_slice() else { return by_role };
        if target.is_one_deployment() {
            return by_role;
        }
        let slot = |role: &str| {
            let own = |name: &str, a: &str, b: &str| {
                if a == b {
                    a.to_owned()
                } else if (a, b) == (one.as_str(), other.as_str()) {
                    self.marked(&self.name(role, "SLOT"))
                } else {
                    self.marked(&self.name(role, name))
                }
            };
            let label = |(key, value): (&String, &String)| {
                let others = b.selector.get(key).unwrap_or(value);
                (key.clone(), own(&shell::variable(key), value, others))
            };
            Slot {
                deployment: own("DEPLOYMENT", &a.deployment, &b.deployment),
                selector: a.selector.iter().map(label).collect(),
                service: a.service.as_ref().zip(b.service.as_ref()).map(|(a, b)| own("SERVICE", a, b)),
            }
        };
        by_role.slots = ROLES.iter().map(|role| (SlotName::from(*role), slot(role))).collect();
        by_role
    }

    /// The variable for something of a role. If the runbook has one with the same meaning, that one.
    pub(super) fn name(&self, role: &str, what: &str) -> String {
        let fact = match (role, what) {
            ("NEW", "SLOT") => Some(ClusterFact::IdleSlot),
            ("PREVIOUS", "SLOT") => Some(ClusterFact::LiveSlot),
            ("PREVIOUS", "REPLICAS") => Some(ClusterFact::LiveReplicas),
            _ => None,
        };
        let same = |source: &VarSource| matches!(source, VarSource::Cluster(of) if Some(*of) == fact);
        if let Some(var) = self.runbook.vars.iter().find(|var| same(&var.source)) {
            return var.name.clone();
        }
        let mut name = format!("{role}_{what}");
        while self.runbook.vars.iter().any(|var| var.name == name) {
            name.push('_');
        }
        name
    }

    /// Between marks that no shell text has: the name is found again in what was quoted meanwhile.
    fn marked(&self, name: &str) -> String {
        format!("{0}{name}{0}", self.mark)
    }

    /// A line whose marks have become variables: in double quotes, which end the single ones that a mark may stand in.
    fn filled(&self, line: &str) -> String {
        let mut line = line.replace(&BEFORE.to_string(), &self.marked(&self.name("PREVIOUS", "REPLICAS")));
        for (place, role) in PLACES.iter().zip(ROLES) {
            line = line.replace(&place.to_string(), &self.marked(&self.name(role, "BACKEND")));
        }
        let mut out = String::with_capacity(line.len());
        let mut in_quotes = false;
        for (at, part) in line.split(&self.mark).enumerate() {
            if at % 2 == 1 {
                let quote = if in_quotes { "'" } else { "" };
                out.extend([quote, "\"$", part, "\"", quote]);
                continue;
            }
            let mut escaped = false;
            for c in part.chars() {
                match c {
                    '\'' if !escaped => in_quotes = !in_quotes,
                    _ => {}
                }
                escaped = c == '\\' && !in_quotes && !escaped;
            }
            out.push_str(part);
        }
        out
    }

    /// The target and name that a slot goes by in lines.
    fn slot(&self, slot: &SlotRef) -> Option<(&Target, SlotName)> {
        let real = self.runbook.target.as_ref()?;
        let by_role = self.by_role.as_ref()?;
        Some(match slot {
            SlotRef::Named(name) => (real, name.clone()),
            SlotRef::New if real.is_one_deployment() => (real, NEW_REVISION.into()),
            SlotRef::Previous if real.is_one_deployment() => (real, OLD_REVISION.into()),
            SlotRef::New => (by_role, ROLES[0].into()),
            SlotRef::Previous => (by_role, ROLES[1].into()),
        })
    }

    /// A slot's Deployment as a word of the shell.
    pub(super) fn deployment(&self, slot: &SlotRef) -> Option<String> {
        let (target, name) = self.slot(slot)?;
        Some(self.filled(&quote(&target.slots.get(&name)?.deployment)))
    }

    /// A slot in a sentence.
    pub(super) fn colour(&self, slot: &SlotRef) -> String {
        let one = self.runbook.target.as_ref().is_some_and(Target::is_one_deployment);
        match slot {
            SlotRef::New if one => "the new revision".to_owned(),
            SlotRef::Previous if one => "the old revision".to_owned(),
            SlotRef::New => "the new slot".to_owned(),
            SlotRef::Previous => "the previous slot".to_owned(),
            SlotRef::Named(name) => format!("slot {name}"),
        }
    }

    /// `--namespace=… --context=…`
    pub(super) fn scope(&self) -> String {
        let Some(target) = &self.runbook.target else { return String::new() };
        let namespace = quote(&format!("--namespace={}", target.namespace));
        let context =
            target.context.iter().map(|context| format!(" {}", quote(&format!("--context={context}"))));
        format!("{namespace}{}", context.collect::<String>())
    }

    /// The line that asks what directs the traffic.
    pub(super) fn ask_director(&self) -> String {
        let Some(target) = &self.runbook.target else { return String::new() };
        let scope = self.scope();
        match &target.director {
            Director::Selector => {
                format!(
                    "kubectl get service {} {scope} -o jsonpath='{{.spec.selector}}'",
                    quote(&target.service)
                )
            }
            Director::Route(route) => {
                let rule = match &route.rule {
                    RuleRef::Number(number) => number.to_string(),
                    RuleRef::Name(name) => format!("?(@.name==\"{name}\")"),
                };
                let path = quote(&format!("jsonpath={{.spec.rules[{rule}].backendRefs}}"));
                format!("kubectl get httproute {} {scope} -o {path}", quote(&route.name))
            }
            Director::Replicas | Director::Rollout => {
                let label = quote(&format!("kubernetes.io/service-name={}", target.service));
                format!("kubectl get endpointslices -l {label} {scope} -o yaml")
            }
        }
    }

    /// What a person types for an action: a script for the shell, or a comment if there is nothing to type.
    pub(super) fn command(&self, action: &Action) -> String {
        let line = match &action.kind {
            ActionKind::Sh { script } => Some(script.trim_end().to_owned()),
            ActionKind::Argv { argv } => Some(argv.iter().map(shell::word).collect::<Vec<_>>().join(" ")),
            ActionKind::Http(request) => Some(curl(request)),
            ActionKind::Notify { text } => Some(self.notice(text)),
            ActionKind::ShiftTraffic { to, share } => self.shift(to, *share),
            ActionKind::SwitchTraffic { to, .. } if self.has_route() => self.shift(to, Share::ALL),
            ActionKind::SwitchTraffic { to, .. } if !self.same_labels() => self.switch_by_colour(to),
            kind => self.kubectl(kind),
        };
        line.unwrap_or_else(|| "# There is no command for this: see the settings".to_owned())
    }

    fn has_route(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::has_route)
    }

    /// Whether the slots differ in values of labels only, and not in which labels they have.
    fn same_labels(&self) -> bool {
        let Some(target) = &self.runbook.target else { return true };
        let mut keys = target.slots.values().map(|slot| slot.selector.keys().collect::<Vec<_>>());
        let first = keys.next();
        keys.all(|keys| Some(keys) == first)
    }

    /// By the same function as in a run: a page whose lines do something else than the run is worse than none.
    fn kubectl(&self, kind: &ActionKind) -> Option<String> {
        let (target, _) = match kind {
            ActionKind::SetImage { slot, .. }
            | ActionKind::Rollout { slot, .. }
            | ActionKind::Revert { slot }
            | ActionKind::Pause { slot }
            | ActionKind::Resume { slot }
            | ActionKind::Scale { slot, .. }
            | ActionKind::Restart { slot }
            | ActionKind::SwitchTraffic { to: slot, .. } => self.slot(slot)?,
            _ => (self.runbook.target.as_ref()?, SlotName::from("")),
        };
        let resolve = |slot: &SlotRef| self.slot(slot).map(|(_, name)| name);
        let line = kubectl_line(kind, target, &resolve, &|template| template.show(|_| None), BEFORE)?;
        Some(self.filled(&line))
    }

    /// A switch between slots with different labels: which line it is depends on which slot is new.
    fn switch_by_colour(&self, to: &SlotRef) -> Option<String> {
        let target = self.runbook.target.as_ref()?;
        let line = |to: &SlotName| {
            let kind = ActionKind::SwitchTraffic { to: SlotRef::Named(to.clone()), ready: None };
            kubectl_line(&kind, target, &|_| Some(to.clone()), &|template| template.show(|_| None), BEFORE)
        };
        let role = match to {
            SlotRef::Named(name) => return line(name),
            SlotRef::New => ROLES[0],
            SlotRef::Previous => ROLES[1],
        };
        let mut names = target.slots.keys();
        let (one, other) = (names.next()?, names.next()?);
        let variable = self.name(role, "SLOT");
        Some(format!(
            "if [ \"${variable}\" = {} ]; then\n    {}\nelse\n    {}\nfi",
            quote(one.as_str()),
            line(one)?,
            line(other)?
        ))
    }

    /// The line that gives a slot a share of the traffic.
    fn shift(&self, to: &SlotRef, share: Share) -> Option<String> {
        let real = self.runbook.target.as_ref()?;
        match &real.director {
            Director::Route(route) => self.weights(route, to, share),
            Director::Replicas => {
                let share = if *to == SlotRef::Previous { share.rest() } else { share };
                let (target, name) = match to {
                    SlotRef::Named(_) => self.slot(to)?,
                    SlotRef::New | SlotRef::Previous => self.slot(&SlotRef::New)?,
                };
                let line = scale_line(target, &target.slots.get(&name)?.deployment, BEFORE);
                let pods = pods_for_share(share, &self.name("PREVIOUS", "REPLICAS"))?;
                Some(self.filled(&line.replace(&BEFORE.to_string(), &pods)))
            }
            Director::Selector | Director::Rollout => None,
        }
    }

    fn weights(&self, route: &RouteRef, to: &SlotRef, share: Share) -> Option<String> {
        let (target, name) = self.slot(to)?;
        let by_role = matches!(to, SlotRef::New | SlotRef::Previous);
        let rule = match &route.rule {
            RuleRef::Number(number) => *number,
            RuleRef::Name(_) => 0,
        };
        let (part, rest) = weights_for(share);
        let weights: Vec<(usize, String, u32)> = target
            .slots
            .iter()
            .enumerate()
            .map(|(at, (slot, of))| {
                let place = if by_role { *PLACES.get(at).unwrap_or(&at) } else { at };
                (place, of.service.clone().unwrap_or_default(), if *slot == name { part } else { rest })
            })
            .collect();
        Some(self.filled(&weights_line(target, route, rule, &weights)))
    }

    /// Without a webhook a person writes it: the text stands there as a comment to be copied.
    fn notice(&self, text: &Template) -> String {
        let Some(webhook) = &self.runbook.notify.slack else {
            let channel = self.runbook.notify.channel.as_deref().unwrap_or("the team");
            let lines: Vec<String> = text.as_str().lines().map(|line| format!("#     {line}")).collect();
            return format!("# Write to {}:\n{}", channel.replace('\n', " "), lines.join("\n"));
        };
        let body = shell::json_text(text);
        format!(
            "curl -fsS -X POST -H 'Content-Type: application/json' --data-raw '{{\"text\":\"{body}\"}}' {}",
            shell::word(webhook)
        )
    }

    /// How the day's variables are set: for each slot that may have the users now, its name and the line to paste.
    pub(super) fn cases(&self) -> Vec<(String, String)> {
        let Some(target) = self.runbook.target.as_ref().filter(|target| !target.is_one_deployment()) else {
            return Vec::new();
        };
        let slots: Vec<(usize, &SlotName, &Slot)> =
            target.slots.iter().enumerate().map(|(at, (name, slot))| (at, name, slot)).collect();
        let &[one, other] = slots.as_slice() else { return Vec::new() };
        [(one, other), (other, one)]
            .into_iter()
            .map(|(live, idle)| (live.1.to_string(), self.exports([idle, live])))
            .collect()
    }

    /// The line that sets the variables, if these slots are the new and the previous one.
    fn exports(&self, slots: [(usize, &SlotName, &Slot); 2]) -> String {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for (role, (at, name, slot)) in ROLES.into_iter().zip(slots) {
            let mut set = |what: &str, value: &str| {
                values.insert(self.name(role, what), quote(value));
            };
            set("SLOT", name.as_str());
            set("DEPLOYMENT", &slot.deployment);
            if self.has_route() {
                set("BACKEND", &at.to_string());
                set("SERVICE", slot.service.as_deref().unwrap_or_default());
            } else {
                slot.selector.iter().for_each(|(key, value)| set(&shell::variable(key), value));
            }
        }
        let by_role = self.by_role.iter().flat_map(|target| target.slots.values());
        let marks: String = by_role
            .flat_map(|slot| {
                [&slot.deployment].into_iter().chain(slot.selector.values()).chain(&slot.service)
            })
            .map(String::as_str)
            .collect();
        // Only what some line may use.
        values.retain(|name, _| {
            name.ends_with("SLOT")
                || self.has_route() && name.ends_with("_BACKEND")
                || marks.contains(&self.marked(name))
                || ROLES.iter().any(|role| self.name(role, "SLOT") == *name)
        });
        let values: Vec<String> = values.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("export {}", values.join(" "))
    }

    /// The line that sets the number of replicas from before, if there is a place for it.
    pub(super) fn replicas_before(&self) -> Option<(String, String)> {
        let deployment = self.deployment(&SlotRef::Previous)?;
        let name = self.name("PREVIOUS", "REPLICAS");
        let line = format!(
            "{name}=$(kubectl get deployment {deployment} {} -o jsonpath='{{.spec.replicas}}')",
            self.scope()
        );
        Some((name, format!("export {line}")))
    }
}

/// How many pods make a share beside those of a slot that keeps running: a number, or a sum for the shell.
fn pods_for_share(share: Share, others: &str) -> Option<String> {
    let (part, rest) = (share.thousandths(), share.rest().thousandths());
    if part == 0 {
        return pods_for(share, 1).map(|pods| pods.to_string());
    }
    // All of the traffic is not a number of pods: the others would have to stop.
    let by = (1..=part.min(rest)).rev().find(|by| part.is_multiple_of(*by) && rest.is_multiple_of(*by))?;
    let (part, rest) = (part / by, rest / by);
    Some(match (part, rest) {
        (1, 1) => format!("\"${others}\""),
        (_, 1) => format!("\"$(( {others} * {part} ))\""),
        _ => format!("\"$(( ({others} * {part} + {}) / {rest} ))\"", rest - 1),
    })
}

/// A request as a line, and what its answer must be like as comments below it.
pub(super) fn curl(request: &HttpRequest) -> String {
    let mut lines = vec![curl_line(request)];
    let expected = expected(request).into_iter();
    lines.extend(expected.map(|(at, what)| format!("# Expected {at}: {what}").replace('\n', " ")));
    lines.join("\n")
}

/// A request as a line. One whose answer should be an error shows the answer's status.
pub(super) fn curl_line(request: &HttpRequest) -> String {
    let fails = request.status.is_some_and(|status| !(200..400).contains(&status));
    let mut words = vec![
        "curl".to_owned(),
        if fails { "-sS -o /dev/null -w '%{http_code}\\n'".to_owned() } else { "-fsS".to_owned() },
    ];
    match request.method.as_str() {
        "GET" if request.body.is_none() => {}
        "HEAD" => words.push("-I".to_owned()),
        method => words.push(format!("-X {}", quote(method))),
    }
    for (name, value) in &request.headers {
        words.push(format!(
            "-H {}",
            shell::word(&Template(format!("{}: {}", name.replace('$', "$$"), value.as_str())))
        ));
    }
    if let Some(body) = &request.body {
        words.push(format!("--data-raw {}", shell::word(body)));
    }
    words.push(shell::word(&request.url));
    words.join(" ")
}

/// What the answer to a request must be like, beyond a success: what kind of thing, where, and the thing itself.
pub(super) fn expected(request: &HttpRequest) -> Vec<(String, String)> {
    let mut expected = Vec::new();
    expected.extend(request.status.map(|status| ("status".to_owned(), status.to_string())));
    expected.extend(request.json.iter().map(|(at, value)| (format!("at {at}"), value.as_str().to_owned())));
    expected.extend(request.contains.iter().map(|text| ("somewhere".to_owned(), text.as_str().to_owned())));
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_for_a_share_are_as_a_run_counts_them() {
        for percent in 1..100_u32 {
            let share = Share::of_thousand(percent * 10);
            let (part, rest) = (share.thousandths(), share.rest().thousandths());
            let sum = pods_for_share(share, "N").unwrap();
            let numbers: Vec<u32> =
                sum.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
            let (times, plus, by) = match *numbers.as_slice() {
                [] => (1, 0, 1),
                [times] => (times, 0, 1),
                [times, plus, by] => (times, plus, by),
                _ => panic!("{sum}"),
            };
            assert_eq!(part * by, times * rest, "{sum}");
            for others in 1..30 {
                assert_eq!(
                    Some((others * times + plus) / by),
                    pods_for(share, others),
                    "{percent} % of {others}"
                );
            }
        }
        assert_eq!(pods_for_share(Share::NONE, "N").as_deref(), Some("0"));
        assert_eq!(pods_for_share(Share::ALL, "N"), None);
    }
}
