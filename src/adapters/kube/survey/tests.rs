use serde_json::json;

use super::*;

fn labels_as(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn of_deployment(metadata: &Value, spec: &Value, sets: &[ReplicaSet]) -> Option<FoundDeployment> {
    let object = json!({ "metadata": metadata, "spec": spec, "status": { "readyReplicas": 2 } });
    deployment(&serde_json::from_value(object).unwrap(), sets)
}

fn spec(container: &Value) -> Value {
    json!({
        "replicas": 3,
        "selector": { "matchLabels": { "app": "shop" } },
        "strategy": { "type": "Recreate" },
        "template": { "metadata": { "labels": { "app": "shop" } }, "spec": { "containers": [container] } },
    })
}

#[test]
fn a_deployment_is_told_with_its_probe_its_revision_and_who_applies_it() {
    let set = |revision: &str, hash: &str| -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("shop-{hash}"),
                "labels": { "pod-template-hash": hash },
                "annotations": { "deployment.kubernetes.io/revision": revision },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "u1" }],
            },
            "spec": { "selector": {} },
        }))
        .unwrap()
    };
    let metadata = json!({
        "name": "shop",
        "uid": "u1",
        "annotations": {
            "deployment.kubernetes.io/revision": "7",
            "argocd.argoproj.io/tracking-id": "shop-app:apps/Deployment:shop/shop",
        },
    });
    let container = json!({
        "name": "app",
        "image": "shop:v1",
        "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" } },
    });
    let found = of_deployment(&metadata, &spec(&container), &[set("6", "old1"), set("7", "new1")]).unwrap();
    assert_eq!((found.replicas, found.ready, found.recreate), (3, 2, true));
    assert_eq!(found.hash.as_deref(), Some("new1"));
    assert_eq!(found.applied_by.as_deref(), Some("Argo CD (application shop-app)"));
    assert_eq!(found.containers[0].readiness.as_deref(), Some("GET /ready on port http"));
    assert_eq!(found.containers[0].health_path.as_deref(), Some("/ready"));
}

#[test]
fn what_kubernetes_itself_would_refuse_is_left_out() {
    let container = json!({ "name": "app", "image": "shop:v1" });
    assert!(of_deployment(&json!({ "name": "shop" }), &spec(&container), &[]).is_some());
    for name in ["shop\n[vars]", "../x", "Shop", "a b", ""] {
        assert_eq!(of_deployment(&json!({ "name": name }), &spec(&container), &[]), None, "{name}");
    }
    let mut labelled = spec(&container);
    labelled["template"]["metadata"]["labels"] = json!({ "app": "x\"\ny" });
    assert_eq!(of_deployment(&json!({ "name": "shop" }), &labelled, &[]), None);
    let found = of_deployment(&json!({ "name": "shop" }), &spec(&json!({ "name": "a'b" })), &[]).unwrap();
    assert!(found.containers.is_empty());
    let no_selector: Service =
        serde_json::from_value(json!({ "metadata": { "name": "a" }, "spec": {} })).unwrap();
    assert_eq!(service(&no_selector), None);
}

#[test]
fn a_route_tells_the_services_of_its_own_namespace() {
    let object = json!({
        "metadata": { "name": "shop" },
        "spec": {
            "hostnames": ["shop.example.com"],
            "rules": [{ "backendRefs": [
                { "name": "shop-blue", "weight": 90, "kind": "Service", "group": "" },
                { "name": "shop-green" },
                { "name": "elsewhere", "namespace": "other" },
                { "name": "bucket", "kind": "Bucket" },
            ] }, {}],
        },
    });
    let found = route(&object, "shop").unwrap();
    assert_eq!(found.hosts, ["shop.example.com"]);
    assert_eq!(found.rules[0], [("shop-blue".to_owned(), 90), ("shop-green".to_owned(), 1)]);
    assert!(found.rules[1].is_empty());
}

#[test]
fn other_controllers_are_told_with_what_they_control() {
    let made = rollout(&json!({
        "metadata": { "name": "shop" },
        "spec": { "template": { "metadata": { "labels": { "app": "shop" } } } },
    }));
    let made = made.unwrap();
    assert_eq!((made.object.as_str(), &made.labels), ("rollout/shop", &labels_as(&[("app", "shop")])));
    let referred = rollout(&json!({
        "metadata": { "name": "shop" },
        "spec": { "workloadRef": { "kind": "Deployment", "name": "shop-web" } },
    }));
    assert_eq!(referred.unwrap().deployment.as_deref(), Some("shop-web"));
    let flagger = canary(&json!({
        "metadata": { "name": "shop" },
        "spec": { "targetRef": { "kind": "Deployment", "name": "shop" } },
    }));
    assert_eq!(flagger.unwrap().deployment.as_deref(), Some("shop"));
}

#[test]
fn autoscalers_and_budgets_are_told() {
    let found = autoscaler(&json!({
        "metadata": { "name": "shop" },
        "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "shop" }, "maxReplicas": 9 },
    }));
    assert_eq!(found.map(|it| (it.deployment, it.min, it.max)), Some(("shop".to_owned(), 1, 9)));
    let of = |spec: Value| budget(&json!({ "metadata": { "name": "shop" }, "spec": spec }));
    let selector = json!({ "matchLabels": { "app": "shop" } });
    let percent = of(json!({ "maxUnavailable": "20%", "selector": selector })).unwrap();
    assert_eq!(percent.wants, "maxUnavailable 20%");
    assert_eq!(of(json!({ "minAvailable": 2, "selector": selector })).unwrap().wants, "minAvailable 2");
    assert_eq!(of(json!({ "minAvailable": 2 })), None);
}
