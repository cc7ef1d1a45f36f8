//! Patches of Deployments, and rollouts that cannot succeed.

use std::time::Duration;

use serde_json::{Value, json};

use super::side::{MERGE, STRATEGIC, Side, condition, count, observed};

pub(crate) async fn patches_of_a_deployment(side: &mut Side) {
    side.begin("patches of a Deployment");
    let template = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "backend", "image": image}]}}}});
    let before = side.get("deployments/backend-green").await;
    let grown = |before: &Value, after: &Value| {
        after["metadata"]["generation"].as_i64().unwrap() - before["metadata"]["generation"].as_i64().unwrap()
    };
    let answer = side
        .patch("deployments/backend-green", STRATEGIC, template("registry.example.com/backend:v1.6.0"))
        .await;
    side.tell_answer("an image", &answer);
    side.tell("generations", grown(&before, &answer.1));
    side.tell("observed at once", observed(&answer.1));
    side.tell_owners("owners", &answer.1);
    let same = side
        .patch("deployments/backend-green", STRATEGIC, template("registry.example.com/backend:v1.6.0"))
        .await;
    side.tell("the same again", grown(&answer.1, &same.1));
    let done = |object: &Value| {
        observed(object)
            && count(object, "updatedReplicas") == 2
            && count(object, "replicas") == 2
            && count(object, "availableReplicas") == 2
    };
    let settled = side.until("deployments/backend-green", "the rollout ends", done).await;
    side.tell_conditions("conditions after it", &settled);
    let answer = side.patch("deployments/backend-green", MERGE, json!({"spec": {"replicas": -1}})).await;
    side.tell_answer("replicas below nothing", &answer);
    let answer = side.patch("deployments/backend-green", STRATEGIC, json!({"spec": {"template": {"spec": {"containers": [{"name": "nope", "imagePullPolicy": "Always"}]}}}})).await;
    side.tell_answer("a container without an image", &answer);
    let answer = side
        .patch(
            "deployments/backend-green",
            MERGE,
            json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
        )
        .await;
    side.tell("another pod selector", answer.0);

    // `kubectl scale`.
    let before = side.get("deployments/backend-green").await;
    let answer = side
        .patch("deployments/backend-green/scale?fieldManager=scaler", MERGE, json!({"spec": {"replicas": 1}}))
        .await;
    side.tell("scale", format!("{} {} {}", answer.0, answer.1["kind"], answer.1["apiVersion"]));
    let after = side.get("deployments/backend-green").await;
    side.tell("generations", grown(&before, &after));
    let one = |object: &Value| observed(object) && count(object, "replicas") == 1;
    side.until("deployments/backend-green", "one pod", one).await;
    let answer = side
        .patch(
            "deployments/backend-green/scale?fieldManager=scaler",
            MERGE,
            json!({"spec": {"replicas": -1}}),
        )
        .await;
    side.tell("scale below nothing", answer.0);
    let none = side.patch("deployments/backend-green", MERGE, json!({"spec": {"replicas": 0}})).await;
    side.tell("to nothing", none.0);
    let empty = side
        .until("deployments/backend-green", "no pod", |object| {
            observed(object) && count(object, "replicas") == 0
        })
        .await;
    side.tell_conditions("conditions of nothing", &empty);
    side.tell(
        "counts of nothing",
        format!("{} {}", empty["status"]["readyReplicas"], empty["status"]["replicas"]),
    );
    side.patch("deployments/backend-green", MERGE, json!({"spec": {"replicas": 2}})).await;
    side.until("deployments/backend-green", "two pods", done).await;
}

pub(crate) async fn rollouts_that_cannot_succeed(side: &mut Side) {
    side.begin("rollouts that cannot succeed");
    let patch = |spec: Value| json!({ "spec": spec });
    let image = |tag: &str| json!({"template": {"spec": {"containers": [{"name": "backend", "image": format!("registry.example.com/backend:{tag}")}]}}});
    side.patch("deployments/backend-green", STRATEGIC, patch(json!({"paused": true}))).await;
    let paused = side
        .until("deployments/backend-green", "paused", |object| {
            condition(object, "Progressing")["reason"] == "DeploymentPaused"
        })
        .await;
    side.tell_conditions("paused", &paused);
    side.patch("deployments/backend-green", STRATEGIC, patch(image("v1.6.1"))).await;
    let waits = side.until("deployments/backend-green", "seen", observed).await;
    side.tell("updated while it is paused", waits["status"]["updatedReplicas"].as_i64().unwrap_or(0));
    side.patch("deployments/backend-green", STRATEGIC, patch(json!({"paused": null}))).await;
    let done = |object: &Value| {
        observed(object)
            && count(object, "updatedReplicas") == 2
            && count(object, "replicas") == 2
            && count(object, "availableReplicas") == 2
    };
    side.until("deployments/backend-green", "resumed", done).await;

    side.limit_pods(true).await;
    side.patch("deployments/backend-green", STRATEGIC, patch(image("v1.6.2"))).await;
    let failed = side
        .until("deployments/backend-green", "refused by quota", |object| {
            condition(object, "ReplicaFailure")["status"] == "True"
        })
        .await;
    side.tell("reason", &condition(&failed, "ReplicaFailure")["reason"]);
    let message = condition(&failed, "ReplicaFailure")["message"].as_str().unwrap_or_default();
    side.tell(
        "names the quota",
        message.contains("is forbidden: exceeded quota: ") && message.contains(", requested: pods=1, "),
    );
    side.limit_pods(false).await;
    // The controller tries again, later and later; another template makes it try at once.
    side.patch("deployments/backend-green", STRATEGIC, patch(image("v1.6.3"))).await;
    side.until("deployments/backend-green", "up again", done).await;

    side.limit_room(true).await;
    let unschedulable = |pod: &Value| condition(pod, "PodScheduled")["reason"] == "Unschedulable";
    let pods = side
        .until("pods", "a pod without room", |list| {
            list["items"].as_array().into_iter().flatten().any(unschedulable)
        })
        .await;
    let pod = pods["items"].as_array().unwrap().iter().find(|pod| unschedulable(pod)).unwrap();
    side.tell(
        "without room",
        format!("{} {}", pod["status"]["phase"], condition(pod, "PodScheduled")["status"]),
    );
    let message = condition(pod, "PodScheduled")["message"].as_str().unwrap_or_default();
    side.tell("says", message.contains(" nodes are available: "));
    side.tell("containers", &pod["status"]["containerStatuses"]);
    side.limit_room(false).await;
    side.until("deployments/backend-green", "room again", done).await;
}

/// A rollout that makes no progress is told as that once its deadline is over, and once it does again, as well.
pub(crate) async fn deadline(side: &mut Side) {
    side.begin("progress deadline");
    let green = "deployments/backend-green";
    // The simulated world's time runs sixty times as fast.
    let seconds = if side.simulated.is_some() { 120 } else { 2 };
    side.patch(green, MERGE, json!({"spec": {"progressDeadlineSeconds": seconds}})).await;
    side.limit_room(true).await;
    let over = |object: &Value| observed(object) && condition(object, "Progressing")["status"] == "False";
    let stuck = side.until(green, "its deadline is over", over).await;
    side.tell_conditions("conditions", &stuck);
    side.tell(
        "counts",
        format!(
            "{} updated, {} ready, {} unavailable",
            count(&stuck, "updatedReplicas"),
            count(&stuck, "readyReplicas"),
            count(&stuck, "unavailableReplicas")
        ),
    );
    side.limit_room(false).await;
    let done = |object: &Value| {
        observed(object)
            && ["updatedReplicas", "replicas", "availableReplicas"]
                .iter()
                .all(|field| count(object, field) == 2)
            && condition(object, "Progressing")["reason"] == "NewReplicaSetAvailable"
    };
    let done = side.until(green, "room again", done).await;
    side.tell_conditions("afterwards", &done);
    side.patch(green, MERGE, json!({"spec": {"progressDeadlineSeconds": 600}})).await;
    side.until(green, "settled", observed).await;
}

/// Ready is not available yet where a Deployment wants its pods to have been ready for a while.
pub(crate) async fn min_ready_seconds(side: &mut Side) {
    side.begin("minReadySeconds");
    let green = "deployments/backend-green";
    // The simulated world's time runs sixty times as fast.
    let seconds = if side.simulated.is_some() { 180 } else { 3 };
    let before = side.get(green).await;
    let after = side.patch(green, MERGE, json!({"spec": {"minReadySeconds": seconds}})).await.1;
    let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap();
    side.tell("generations", generation(&after) - generation(&before));
    let done = |object: &Value| {
        observed(object)
            && ["updatedReplicas", "replicas", "availableReplicas"]
                .iter()
                .all(|field| count(object, field) == 2)
    };
    // The pods there are have been ready for that long by then, in either world.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    side.until(green, "settled", done).await;
    let sets = side.get("replicasets?labelSelector=version%3Dgreen").await;
    let handed_on = sets["items"].as_array().into_iter().flatten();
    let handed_on = handed_on.filter(|set| set["spec"]["minReadySeconds"] == seconds).count();
    side.tell("sets that it is handed on to without a rollout", handed_on);
    let image = json!({"name": "backend", "image": "registry.example.com/backend:v1.6.4"});
    let patch = json!({"spec": {"template": {"spec": {"containers": [image]}}}});
    side.patch(green, STRATEGIC, patch).await;
    let waits = |object: &Value| {
        observed(object) && count(object, "updatedReplicas") >= 1 && count(object, "readyReplicas") == 3
    };
    let waiting = side.until(green, "a new pod that is ready", waits).await;
    side.tell(
        "a new pod is ready",
        format!(
            "{} ready, {} available, {} unavailable",
            count(&waiting, "readyReplicas"),
            count(&waiting, "availableReplicas"),
            count(&waiting, "unavailableReplicas")
        ),
    );
    side.tell("Progressing", &condition(&waiting, "Progressing")["reason"]);
    side.until(green, "available", done).await;
    side.patch(green, MERGE, json!({"spec": {"minReadySeconds": null}})).await;
    let gone = side.until(green, "without", done).await;
    side.tell("null takes it away", &gone["spec"]["minReadySeconds"]);
}

/// The same event again is not a second object: its count goes up.
pub(crate) async fn events(side: &mut Side) {
    side.begin("events");
    let blue = "deployments/backend-blue";
    for replicas in [1, 2, 1, 2] {
        side.patch(blue, MERGE, json!({ "spec": { "replicas": replicas } })).await;
        let settled = |object: &Value| observed(object) && count(object, "availableReplicas") == replicas;
        side.until(blue, "scaled", settled).await;
        // Events tell whole seconds: the same thing twice within one would have one time.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let path = "events?fieldSelector=involvedObject.name%3Dbackend-blue%2Creason%3DScalingReplicaSet";
    let down = |list: &Value| -> Vec<Value> {
        let all = list["items"].as_array().into_iter().flatten();
        all.filter(|event| {
            let message = event["message"].as_str().unwrap_or_default();
            message.starts_with("Scaled down") && message.contains(" to 1")
        })
        .cloned()
        .collect()
    };
    let twice = |list: &Value| down(list).iter().any(|event| event["count"] == 2);
    let found = down(&side.until(path, "an event that happened twice", twice).await);
    let event = &found[0];
    side.tell("objects", found.len());
    side.tell(
        "the event",
        format!(
            "{} {} {} x{} of a {}",
            event["type"],
            event["reason"],
            event["source"]["component"],
            event["count"],
            event["involvedObject"]["kind"]
        ),
    );
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    side.tell("first before last", text("firstTimestamp") < text("lastTimestamp"));
    side.tell("made once", text("firstTimestamp") == event["metadata"]["creationTimestamp"]);
    side.tell("series", &event["series"]);
}

/// Many events that differ only in their words become one.
pub(crate) async fn similar_events(side: &mut Side) {
    side.begin("events that are alike");
    let blue = "deployments/backend-blue";
    for replicas in (3..16).chain([2]) {
        side.patch(blue, MERGE, json!({ "spec": { "replicas": replicas } })).await;
        let wanted = |list: &Value| {
            let sets = list["items"].as_array().into_iter().flatten();
            sets.filter(|set| set["spec"]["replicas"] == replicas).count() == 1
        };
        side.until("replicasets?labelSelector=version%3Dblue", "scaled", wanted).await;
    }
    let settled = |object: &Value| observed(object) && count(object, "replicas") == 2;
    side.until(blue, "two pods", settled).await;
    let path = "events?fieldSelector=involvedObject.name%3Dbackend-blue%2Creason%3DScalingReplicaSet";
    let combined = |event: &&Value| {
        event["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("(combined from similar events): Scaled "))
    };
    let has_one = |list: &Value| list["items"].as_array().into_iter().flatten().any(|event| combined(&event));
    let list = side.until(path, "events combined", has_one).await;
    let items = list["items"].as_array().unwrap();
    side.tell("combined", items.iter().filter(combined).count());
    side.tell("of its own", items.len() <= 11);
}
