//! The kubectl command that does the same as a Kubernetes action, so that a person can take over by hand at any time.
//!
//! Lines are shell words, quoted: they can be pasted as they are. A variable that has no value yet stays a shell
//! variable in double quotes; a value that happens to contain `$` or quotes stays a value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    action::{ActionKind, PatchAction, PatchType, Replicas, SlotRef},
    director::{Director, RouteRef},
    id::SlotName,
    runbook::{Slot, Target},
    template::{Piece, Template},
};

/// The line for a Kubernetes action, or none where the action is of another kind or its slot is not known yet.
///
/// `resolve` gives the colour of a slot, `show` a template with every known variable replaced (unknown ones left as
/// `$NAME`), and `replicas_before` is what `replicas = "before"` means in this run. The target's context is part of the
/// line where the runbook pins one: a line pasted against the wrong cluster would be worse than none.
pub fn kubectl_line(
    kind: &ActionKind,
    target: &Target,
    resolve: &dyn Fn(&SlotRef) -> Option<SlotName>,
    show: &dyn Fn(&Template) -> String,
    replicas_before: u32,
) -> Option<String> {
    let slot = |slot: &SlotRef| -> Option<(SlotName, &Slot)> {
        let name = resolve(slot)?;
        let found = target.slots.get(&name)?;
        Some((name, found))
    };
    let deployment = |of: &SlotRef| -> Option<String> { Some(slot(of)?.1.deployment.clone()) };
    let tail = scope(target);
    let rollout = |verb: &str, slot: &SlotRef| -> Option<String> {
        let object = quote(&format!("deployment/{}", deployment(slot)?));
        Some(format!("kubectl rollout {verb} {object} {tail}"))
    };
    Some(match kind {
        ActionKind::SetImage { slot, container, image } => {
            let object = quote(&format!("deployment/{}", deployment(slot)?));
            let container = container.as_deref().unwrap_or(&target.container);
            let image = template_word(&format!("{container}="), image, show);
            format!("kubectl set image {object} {image} {tail}")
        }
        ActionKind::Rollout { slot, .. } => rollout("status", slot)?,
        ActionKind::Restart { slot } => rollout("restart", slot)?,
        ActionKind::Scale { slot, replicas } => {
            let replicas = match replicas {
                Replicas::Count(count) => *count,
                Replicas::Before => replicas_before,
            };
            format!("kubectl scale deployment {} --replicas={replicas} {tail}", quote(&deployment(slot)?))
        }
        ActionKind::Revert { slot } => revert_line(target, &deployment(slot)?, None),
        ActionKind::Pause { slot } => rollout("pause", slot)?,
        ActionKind::Resume { slot } => rollout("resume", slot)?,
        ActionKind::SwitchTraffic { to, .. } if target.director == Director::Selector => {
            let (name, to) = slot(to)?;
            let patch = selector_patch(&name, to, target);
            format!(
                "kubectl patch service {} {tail} -p {}",
                quote(&target.service),
                quote(&patch.to_string())
            )
        }
        ActionKind::Patch(patch) => patch_line(patch, show, &tail),
        // Which weights, or how many pods, depends on the run: see `weights_line` and `Run::action_command`.
        ActionKind::SwitchTraffic { .. }
        | ActionKind::ShiftTraffic { .. }
        | ActionKind::Sh { .. }
        | ActionKind::Argv { .. }
        | ActionKind::Http(_)
        | ActionKind::Notify { .. } => {
            return None;
        }
    })
}

/// The line that gives the backends of a route's rule these weights. Which place each has in the rule is the order of the
/// target's slots where nobody has looked.
///
/// Each place is tested for its Service first: where somebody has put in another backend since, nothing is written.
pub fn weights_line(
    target: &Target,
    route: &RouteRef,
    rule: usize,
    weights: &[(usize, String, u32)],
) -> String {
    let at = |place: &usize, field: &str| format!("/spec/rules/{rule}/backendRefs/{place}/{field}");
    let places = weights.iter().flat_map(|(place, service, weight)| {
        [
            serde_json::json!({ "op": "test", "path": at(place, "name"), "value": service }),
            serde_json::json!({ "op": "add", "path": at(place, "weight"), "value": weight }),
        ]
    });
    let patch = Value::Array(places.collect());
    format!(
        "kubectl patch httproute {} {} --type=json -p {}",
        quote(&route.name),
        scope(target),
        quote(&patch.to_string())
    )
}

/// The line that goes back to a revision. Its controller numbers a revision anew whenever its template is rolled out again, so the
/// number is asked for when the line is typed, of the `ReplicaSet` that has the revision's hash in its name; where that is gone
/// kubectl refuses the line. Where no hash is known, the number stays a variable for the shell.
pub fn revert_line(target: &Target, deployment: &str, hash: Option<&str>) -> String {
    let scope = scope(target);
    let number = hash.map_or_else(
        || "$REVISION".to_owned(),
        |hash| {
            let set = quote(&format!("{deployment}-{hash}"));
            format!(
                r"$(kubectl get replicaset {set} {scope} -o jsonpath='{{.metadata.annotations.deployment\.kubernetes\.io/revision}}')"
            )
        },
    );
    format!(
        r#"kubectl rollout undo {} --to-revision="{number}" {scope}"#,
        quote(&format!("deployment/{deployment}"))
    )
}

/// The line that gives a Deployment so many replicas.
pub fn scale_line(target: &Target, deployment: &str, replicas: u32) -> String {
    format!("kubectl scale deployment {} --replicas={replicas} {}", quote(deployment), scope(target))
}

/// The line that makes a Deployment's rollouts replace its pods one at a time, each once another one is ready.
pub fn gentle_line(target: &Target, deployment: &str) -> String {
    let limits = serde_json::json!({ "maxSurge": 1, "maxUnavailable": 0 });
    let strategy = serde_json::json!({ "type": "RollingUpdate", "rollingUpdate": limits });
    let patch = serde_json::json!({ "spec": { "strategy": strategy } });
    let patch = quote(&patch.to_string());
    format!("kubectl patch deployment {} {} -p {patch}", quote(deployment), scope(target))
}

/// The line that gives the Service these labels to select by, and takes away those without a value.
pub fn selector_line(target: &Target, selector: &BTreeMap<String, Option<String>>) -> String {
    let patch = serde_json::json!({ "spec": { "selector": selector } });
    let patch = quote(&patch.to_string());
    format!("kubectl patch service {} {} -p {patch}", quote(&target.service), scope(target))
}

/// `{"spec":{"selector":{…}}}` for a slot. A merge keeps labels it does not name, so those that only other slots
/// select by are taken away with null.
fn selector_patch(name: &SlotName, to: &Slot, target: &Target) -> Value {
    let others =
        target.slots.iter().filter(|(other, _)| *other != name).flat_map(|(_, slot)| slot.selector.keys());
    let mut selector: BTreeMap<&str, Value> = others.map(|key| (key.as_str(), Value::Null)).collect();
    selector.extend(to.selector.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str()))));
    let selector: Map<String, Value> =
        selector.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    serde_json::json!({ "spec": { "selector": selector } })
}

fn patch_line(action: &PatchAction, show: &dyn Fn(&Template) -> String, tail: &str) -> String {
    let how = match action.patch_type {
        PatchType::Strategic => "",
        PatchType::Merge => "--type=merge ",
        PatchType::Json => "--type=json ",
    };
    let name = template_word("", &action.name, show);
    format!("kubectl patch {} {name} {tail} {how}-p {}", quote(&action.kind), json_word(action, show))
}

/// A patch as one shell word. What has no value yet stays a variable for the shell, between two quoted parts.
fn json_word(action: &PatchAction, show: &dyn Fn(&Template) -> String) -> String {
    // Control characters: JSON writes them escaped, so they mark a name's ends and nothing else does.
    let marked = |template: &Template| -> Result<String, std::convert::Infallible> {
        let piece = |piece: Piece<'_>| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Var(name) => {
                let written = format!("${name}");
                let shown = show(&Template(written.clone()));
                if shown == written { format!("\u{1}{name}\u{1}") } else { shown }
            }
        };
        Ok(template.pieces().into_iter().map(piece).collect())
    };
    let patch = match action.expand(&marked) {
        Ok(patch) => patch.to_string(),
        Err(never) => match never {},
    };
    let parts = patch.split("\\u0001").enumerate();
    parts.map(|(index, part)| if index % 2 == 0 { quote(part) } else { format!("\"${part}\"") }).collect()
}

/// `--namespace=… --context=…`
fn scope(target: &Target) -> String {
    let namespace = quote(&format!("--namespace={}", target.namespace));
    match &target.context {
        Some(context) => format!("{namespace} {}", quote(&format!("--context={context}"))),
        None => namespace,
    }
}

/// A text with variables as one shell word: what is known is quoted, what is not stays a variable for the shell.
fn template_word(prefix: &str, template: &Template, show: &dyn Fn(&Template) -> String) -> String {
    let mut word = String::new();
    let mut known = prefix.to_owned();
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => known.push_str(text),
            Piece::Var(name) => {
                let written = format!("${name}");
                let shown = show(&Template(written.clone()));
                if shown == written {
                    if !known.is_empty() {
                        word.push_str(&quote(&known));
                        known.clear();
                    }
                    word.push('"');
                    word.push_str(&written);
                    word.push('"');
                } else {
                    known.push_str(&shown);
                }
            }
        }
    }
    if !known.is_empty() || word.is_empty() {
        word.push_str(&quote(&known));
    }
    word
}

/// A text as one word of a POSIX shell: as it is where no character means anything to a shell, else in single quotes.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        let slot = |colour: &str| Slot {
            deployment: format!("backend-{colour}"),
            selector: BTreeMap::from([("version".to_owned(), colour.to_owned())]),
            service: None,
        };
        Target {
            context: None,
            cluster_uid: None,
            namespace: "production".into(),
            service: "backend-service".into(),
            slots: BTreeMap::from([("blue".into(), slot("blue")), ("green".into(), slot("green"))]),
            container: "backend".into(),
            director: Director::Selector,
        }
    }

    fn line(kind: &ActionKind, target: &Target) -> Option<String> {
        let resolve = |slot: &SlotRef| match slot {
            SlotRef::New => Some("green".into()),
            SlotRef::Previous => Some("blue".into()),
            SlotRef::Named(name) => Some(name.clone()),
        };
        let value = |name: &str| match name {
            "V" => Some("v1.6.0".to_owned()),
            "EVIL" => Some("x'; rm -rf / #$(id)".to_owned()),
            _ => None,
        };
        kubectl_line(kind, target, &resolve, &|template| template.show(value), 3)
    }

    #[test]
    fn lines_are_those_of_a_runbook_on_paper() {
        let shown = |kind: ActionKind| line(&kind, &target()).unwrap();
        assert_eq!(
            shown(ActionKind::SetImage {
                slot: SlotRef::New,
                container: None,
                image: "registry.example.com/b:$V".into()
            }),
            "kubectl set image deployment/backend-green backend=registry.example.com/b:v1.6.0 --namespace=production"
        );
        assert_eq!(
            shown(ActionKind::Rollout { slot: SlotRef::New, patience: None }),
            "kubectl rollout status deployment/backend-green --namespace=production"
        );
        assert_eq!(
            shown(ActionKind::SwitchTraffic { to: SlotRef::New, ready: None }),
            r#"kubectl patch service backend-service --namespace=production -p '{"spec":{"selector":{"version":"green"}}}'"#
        );
        assert_eq!(
            shown(ActionKind::Scale { slot: SlotRef::Previous, replicas: Replicas::Count(0) }),
            "kubectl scale deployment backend-blue --replicas=0 --namespace=production"
        );
        assert_eq!(
            shown(ActionKind::Scale { slot: SlotRef::Named("blue".into()), replicas: Replicas::Before }),
            "kubectl scale deployment backend-blue --replicas=3 --namespace=production"
        );
        assert_eq!(
            shown(ActionKind::Restart { slot: SlotRef::New }),
            "kubectl rollout restart deployment/backend-green --namespace=production"
        );
        assert_eq!(
            shown(ActionKind::Patch(PatchAction {
                kind: "configmap".into(),
                name: "flags".into(),
                patch_type: PatchType::Merge,
                patch: serde_json::json!({"data": {"say": "it's on"}}),
            })),
            r#"kubectl patch configmap flags --namespace=production --type=merge -p '{"data":{"say":"it'\''s on"}}'"#
        );
        let patch = |patch_type, patch| {
            shown(ActionKind::Patch(PatchAction {
                kind: "configmap".into(),
                name: "flags".into(),
                patch_type,
                patch,
            }))
        };
        assert_eq!(
            patch(PatchType::Merge, serde_json::json!({"data": {"$V": "a $V $UNSET b", "evil": "$EVIL"}})),
            r#"kubectl patch configmap flags --namespace=production --type=merge -p '{"data":{"$V":"a v1.6.0 '"$UNSET"' b","evil":"x'\''; rm -rf / #$(id)"}}'"#
        );
        assert_eq!(line(&ActionKind::Sh { script: "true".into() }, &target()), None);
    }

    #[test]
    fn values_are_quoted_and_unknown_ones_stay_variables() {
        let image = |image: &str| {
            line(
                &ActionKind::SetImage {
                    slot: SlotRef::New,
                    container: Some("web".into()),
                    image: image.into(),
                },
                &target(),
            )
            .unwrap()
        };
        assert!(image("b:$EVIL").contains(r"'web=b:x'\''; rm -rf / #$(id)'"), "{}", image("b:$EVIL"));
        assert!(image("b:$LATER-x").contains(r#" web=b:"$LATER"-x "#), "{}", image("b:$LATER-x"));
    }

    #[test]
    fn a_gentle_strategy_is_set_by_one_line() {
        assert_eq!(
            gentle_line(&target(), "backend"),
            r#"kubectl patch deployment backend --namespace=production -p '{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":0}}}}'"#
        );
    }

    #[test]
    fn a_revert_names_its_revision_so_that_it_is_right_when_it_is_typed() {
        let target = target();
        assert_eq!(
            revert_line(&target, "backend", Some("6d5f")),
            concat!(
                r#"kubectl rollout undo deployment/backend --to-revision="$(kubectl get replicaset backend-6d5f "#,
                r#"--namespace=production -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')" "#,
                "--namespace=production"
            )
        );
        // Nobody has looked: a number that a person puts in, never the one before the newest.
        let unseen = line(&ActionKind::Revert { slot: SlotRef::Previous }, &target).unwrap();
        assert_eq!(
            unseen,
            r#"kubectl rollout undo deployment/backend-blue --to-revision="$REVISION" --namespace=production"#
        );
        assert!(revert_line(&target, "backend", Some("x;id")).contains("'backend-x;id'"));
    }

    #[test]
    fn a_pinned_context_and_foreign_selector_labels_are_in_the_line() {
        let mut target = target();
        target.context = Some("prod eu".into());
        target.slots.get_mut("blue").unwrap().selector.insert("tier".into(), "old".into());
        assert_eq!(
            line(&ActionKind::SwitchTraffic { to: SlotRef::New, ready: None }, &target).unwrap(),
            r#"kubectl patch service backend-service --namespace=production '--context=prod eu' -p '{"spec":{"selector":{"tier":null,"version":"green"}}}'"#
        );
    }

    #[test]
    fn a_slot_nobody_knows_gives_no_line() {
        assert_eq!(
            line(&ActionKind::Rollout { slot: SlotRef::Named("red".into()), patience: None }, &target()),
            None
        );
    }
}
