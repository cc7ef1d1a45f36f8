//! Revisions of a Deployment: which set is used again, what a pause leaves as it is, what history keeps, what strategies do.

use std::time::Duration;

use serde_json::{Value, json};

use super::side::{MERGE, STRATEGIC, Side, condition, count, observed};

const GREEN: &str = "deployments/backend-green";
const SETS: &str = "replicasets?labelSelector=version%3Dgreen";
const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";

fn done(object: &Value) -> bool {
    observed(object)
        && ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|field| count(object, field) == 2)
}

fn number(object: &Value) -> i64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn image(tag: &str) -> Value {
    let image = format!("registry.example.com/backend:{tag}");
    json!({"spec": {"template": {"spec": {"containers": [{"name": "backend", "image": image}]}}}})
}

async fn roll_out(side: &mut Side, tag: &str) -> Value {
    side.patch(GREEN, STRATEGIC, image(tag)).await;
    side.until(GREEN, tag, done).await
}

/// Sets that want pods, the oldest number first, as `wanted`.
fn sizes(sets: &Value) -> Vec<i64> {
    let mut all: Vec<(i64, i64)> = sets["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|set| (number(set), set["spec"]["replicas"].as_i64().unwrap_or(0)))
        .filter(|(_, wanted)| *wanted > 0)
        .collect();
    all.sort_unstable();
    all.into_iter().map(|(_, wanted)| wanted).collect()
}

async fn set_of(side: &Side, tag: &str) -> Value {
    let sets = side.get(SETS).await;
    let image = format!("registry.example.com/backend:{tag}");
    let runs = |set: &&Value| set["spec"]["template"]["spec"]["containers"][0]["image"] == image.as_str();
    sets["items"].as_array().into_iter().flatten().find(runs).cloned().unwrap_or_default()
}

pub(crate) async fn revisions(side: &mut Side) {
    side.begin("revisions");
    let begin = number(&side.get(GREEN).await);
    roll_out(side, "v1.7.0").await;
    let first = set_of(side, "v1.7.0").await;
    side.tell("a new template's number", number(&first) - begin);
    roll_out(side, "v1.7.1").await;
    let back = roll_out(side, "v1.7.0").await;
    let again = set_of(side, "v1.7.0").await;
    side.tell("the number after going back", number(&back) - begin);
    side.tell("the same set", first["metadata"]["uid"] == again["metadata"]["uid"]);
    side.tell("its number", number(&again) - begin);
    let earlier = again["metadata"]["annotations"][HISTORY].as_str().unwrap_or_default();
    side.tell("its history is its number of before", earlier == number(&first).to_string());
    let cause = json!({"metadata": {"annotations": {"kubernetes.io/change-cause": "back"}}});
    side.patch(GREEN, MERGE, cause).await;
    let named = |sets: &Value| sets.to_string().contains("\"kubernetes.io/change-cause\":\"back\"");
    let sets = side.until(SETS, "the cause is handed on", named).await;
    let with = sets["items"].as_array().into_iter().flatten();
    let with = with.filter(|set| set["metadata"]["annotations"]["kubernetes.io/change-cause"] == "back");
    side.tell("sets with a change-cause", with.count());
}

pub(crate) async fn pauses(side: &mut Side) {
    side.begin("pauses");
    let begin = number(&side.get(GREEN).await);
    // A set that is used again has its number at once; it gets no pods.
    side.patch(GREEN, MERGE, json!({"spec": {"paused": true}})).await;
    side.patch(GREEN, STRATEGIC, image("v1.7.1")).await;
    let paused = side.until(GREEN, "numbered", |object| observed(object) && number(object) > begin).await;
    side.tell("numbered while it is paused", number(&paused) - begin);
    side.tell("updated", count(&paused, "updatedReplicas"));
    side.tell_conditions("conditions", &paused);
    side.patch(GREEN, MERGE, json!({"spec": {"paused": null}})).await;
    side.until(GREEN, "resumed", done).await;

    // Half-way: the new pod finds no room.
    side.limit_room(true).await;
    side.until(SETS, "half-way", |sets| sizes(sets) == [2, 1]).await;
    side.patch(GREEN, MERGE, json!({"spec": {"paused": true}})).await;
    side.until(GREEN, "paused", |object| condition(object, "Progressing")["reason"] == "DeploymentPaused")
        .await;
    side.patch(GREEN, MERGE, json!({"spec": {"replicas": 8}})).await;
    let grown = side.until(SETS, "scaled up", |sets| sizes(sets).iter().sum::<i64>() == 10).await;
    side.tell("of 2 and 1, scaled to 8", format!("{:?}", sizes(&grown)));
    side.patch(GREEN, MERGE, json!({"spec": {"replicas": 3}})).await;
    let shrunk = side.until(SETS, "scaled down", |sets| sizes(sets).iter().sum::<i64>() == 4).await;
    side.tell("of these, scaled to 3", format!("{:?}", sizes(&shrunk)));
    side.patch(GREEN, MERGE, json!({"spec": {"replicas": 2}})).await;
    side.until(SETS, "scaled back", |sets| sizes(sets).iter().sum::<i64>() == 3).await;
    side.patch(GREEN, MERGE, json!({"spec": {"paused": null}})).await;
    side.limit_room(false).await;
    side.until(GREEN, "room again", done).await;
}

pub(crate) async fn strategies(side: &mut Side) {
    side.begin("strategies");
    let strategy = |strategy: Value| json!({"spec": {"strategy": strategy}});
    let none = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}});
    let answer = side.patch(GREEN, MERGE, strategy(none)).await;
    side.tell_answer("neither over nor under", &answer);
    let both = json!({"type": "Recreate"});
    let answer = side.patch(GREEN, MERGE, strategy(both)).await;
    side.tell_answer("Recreate with limits", &answer);
    let recreate = json!({"type": "Recreate", "rollingUpdate": null});
    let answer = side.patch(GREEN, MERGE, strategy(recreate)).await;
    side.tell_answer("Recreate", &answer);
    // All old pods go first, and the new ones find no room.
    side.limit_room(true).await;
    let down = |object: &Value| {
        observed(object) && count(object, "updatedReplicas") == 2 && count(object, "replicas") == 2
    };
    let object = side.until(GREEN, "down", down).await;
    side.tell("Recreate: pods wanted", format!("{:?}", sizes(&side.get(SETS).await)));
    let told = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"]
        .map(|field| format!("{field} {}", count(&object, field)));
    side.tell("counts", told.join(", "));
    side.tell("Available", &condition(&object, "Available")["status"]);
    side.limit_room(false).await;
    let up = side.until(GREEN, "up again", done).await;
    side.tell("Available", &condition(&up, "Available")["status"]);

    // All may be missing, and no history is kept: an old set stays until the rollout is over.
    let all = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}});
    let answer =
        side.patch(GREEN, MERGE, json!({"spec": {"strategy": all, "revisionHistoryLimit": 0}})).await;
    side.tell_answer("all may be missing", &answer);
    let count_of = |sets: &Value| sets["items"].as_array().map_or(0, Vec::len);
    let sets = side.until(SETS, "no history", |sets| count_of(sets) == 1).await;
    side.tell("sets without history", count_of(&sets));
    side.limit_room(true).await;
    let object = side.until(GREEN, "all are missing", down).await;
    side.tell("Available", &condition(&object, "Available")["status"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sets = side.get(SETS).await;
    side.tell("sets while the rollout is stuck", format!("{} {:?}", count_of(&sets), sizes(&sets)));
    side.limit_room(false).await;
    side.until(GREEN, "room again", done).await;
    let sets = side.until(SETS, "no history", |sets| count_of(sets) == 1).await;
    side.tell("sets once it is over", count_of(&sets));
    let usual = json!({"strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                       "revisionHistoryLimit": 10});
    side.patch(GREEN, MERGE, json!({ "spec": usual })).await;
}
