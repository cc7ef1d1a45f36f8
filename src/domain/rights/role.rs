//! Permissions in other formats: roles for `kubectl apply`, and the table in `docs/permissions.md`.

use std::fmt::Write as _;

use super::{Objects, On, Right, Scope, TABLE, When};

/// The Role and the `ClusterRole` with what these rights allow, and bindings for a group of people, as YAML for `kubectl apply`.
///
/// `name` is what the Role is called, `wide` the `ClusterRole`.
pub fn role(rights: &[Right], namespace: &str, (name, wide): (&str, &str), title: &str) -> String {
    let mut text = format!(
        "# What `cutover run` needs to be allowed for: {}\n\
         # Apply with: cutover plan --rbac RUNBOOK | kubectl apply -f -\n\
         # Put whoever runs the deployment into the bindings: a user, a group or a service account.\n\
         # Beyond this it asks only for what everybody who is logged in may ask: the version, the kinds there are, and\n\
         # \"may I?\" (selfsubjectaccessreviews).\n",
        one_line(title)
    );
    for (scope, kind, name) in [(Scope::Namespace, "Role", name), (Scope::Cluster, "ClusterRole", wide)] {
        let rules = rules(rights.iter().filter(|right| right.scope == scope));
        if rules.is_empty() {
            continue;
        }
        let place = match scope {
            Scope::Namespace => format!("  namespace: {}\n", quoted(namespace)),
            Scope::Cluster => String::new(),
        };
        let head = |kind: &str| {
            format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {}\n{place}",
                quoted(name)
            )
        };
        text.push_str(&head(kind));
        text.push_str("rules:\n");
        text.push_str(&rules);
        text.push_str("---\n");
        text.push_str(&head(&format!("{kind}Binding")));
        let _ = write!(
            text,
            "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {}\n\
             subjects:\n- kind: Group # or User; a ServiceAccount has apiGroup: \"\" and a namespace\n  \
             apiGroup: rbac.authorization.k8s.io\n  name: \"cutover-operators\" # CHANGE THIS\n---\n",
            quoted(name)
        );
    }
    text.truncate(text.trim_end_matches("---\n").len());
    text
}

/// One rule for each resource and set of names, with what it is for.
fn rules<'a>(rights: impl Iterator<Item = &'a Right>) -> String {
    type Rule<'a> = (&'a Right, Vec<&'static str>, Vec<&'a str>);
    let mut rules: Vec<Rule<'a>> = Vec::new();
    for right in rights {
        let same = |rule: &&mut Rule<'a>| {
            (&rule.0.group, &rule.0.resource, &rule.0.names) == (&right.group, &right.resource, &right.names)
        };
        match rules.iter_mut().find(same) {
            Some((_, verbs, what_for)) => {
                verbs.push(right.verb.as_str());
                if !what_for.contains(&right.what_for.as_str()) {
                    what_for.push(&right.what_for);
                }
            }
            None => rules.push((right, vec![right.verb.as_str()], vec![&right.what_for])),
        }
    }
    let list = |words: &mut dyn Iterator<Item = &str>| words.map(quoted).collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    for (right, verbs, what_for) in rules {
        for line in what_for {
            let _ = writeln!(text, "# {}", one_line(line));
        }
        let _ = writeln!(
            text,
            "- apiGroups: [{}]\n  resources: [{}]",
            quoted(&right.group),
            quoted(&right.resource)
        );
        if !right.names.is_empty() {
            let _ =
                writeln!(text, "  resourceNames: [{}]", list(&mut right.names.iter().map(String::as_str)));
        }
        let _ = writeln!(text, "  verbs: [{}]", list(&mut verbs.into_iter()));
    }
    text
}

/// A text as YAML has it: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The table as `docs/permissions.md` has it.
pub fn markdown() -> String {
    let mut text =
        "| verbs | resource | objects | purpose | without it |\n|---|---|---|---|---|\n".to_owned();
    for row in TABLE {
        let verbs: Vec<_> = row.verbs.iter().map(|verb| format!("`{}`", verb.as_str())).collect();
        let group = if row.of.group.is_empty() { String::new() } else { format!(".{}", row.of.group) };
        let (on, only) = (objects(&row.of), condition(row.of.when));
        let _ = writeln!(
            text,
            "| {} | `{}{group}` | {on}{only} | {} | {} |",
            verbs.join(", "),
            row.of.resource,
            row.what_for,
            row.without
        );
    }
    text.push_str(
        "| `patch` | the kind in a `patch` action | by name, if the name contains no variable | run the \
         action | a checklist item fails |\n",
    );
    text
}

fn objects(of: &Objects) -> &'static str {
    match (of.on, of.scope) {
        (On::Service, _) => "the Service, by name",
        (On::SlotServices, _) => "the slots' Services, by name",
        (On::Route, _) => "the HTTPRoute, by name",
        (On::Deployments, _) => "the slots' Deployments, by name",
        (On::Lease, _) => "`cutover-SERVICE`",
        (On::KubeSystem, _) => "`kube-system`",
        (On::All, Scope::Namespace) => "all in the namespace",
        (On::All, Scope::Cluster) => "all in the cluster",
    }
}

fn condition(when: When) -> &'static str {
    match when {
        When::Always => "",
        When::Service => ", if it directs traffic",
        When::Selector => ", if a Service's selector picks one slot",
        When::Route => ", if an HTTPRoute directs traffic",
        When::Headroom => ", if the runbook has a `headroom` check",
    }
}
