//! What a client sees of the API server: versions, dry runs, errors, rights, pages, tables.

use super::*;

#[test]
fn writes_that_name_an_old_version_lose() {
    let mut state = world(Scenario::Good);
    let old = get(&mut state, SERVICE);
    switch(&mut state, "green");
    let (code, body) = send(&mut state, "PUT", SERVICE, "application/json", &old);
    assert_eq!((code, text(&body, "/reason")), (409, "Conflict"));
    let version = old["metadata"]["resourceVersion"].clone();
    let body = json!({"metadata": {"resourceVersion": version}, "spec": {"selector": {"version": "blue"}}});
    let (code, status) = patch(&mut state, SERVICE, &body);
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        "Operation cannot be fulfilled on services \"backend-service\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    assert_eq!(get(&mut state, SERVICE)["spec"]["selector"]["version"], "green");
    let wrong = json!({"metadata": {"uid": "another"}});
    assert_eq!(patch(&mut state, SERVICE, &wrong).0, 422);
}

#[test]
fn a_dry_run_changes_nothing_and_answers_as_if() {
    let mut state = world(Scenario::Good);
    let before = get(&mut state, SERVICE);
    let body = json!({"spec": {"selector": {"version": "green"}}});
    let (code, shown) = patch(&mut state, &format!("{SERVICE}?dryRun=All"), &body);
    assert_eq!((code, &shown["spec"]["selector"]["version"]), (200, &json!("green")));
    assert_eq!(get(&mut state, SERVICE), before);
    let (code, shown) = send(
        &mut state,
        "PATCH",
        &format!("{DEPLOYMENTS}/backend-blue/scale?dryRun=All"),
        "application/merge-patch+json",
        &json!({"spec": {"replicas": 9}}),
    );
    assert_eq!((code, &shown["spec"]["replicas"]), (200, &json!(9)));
    assert_eq!(deployment(&state, "backend-blue")["spec"]["replicas"], 3);
}

#[test]
fn what_changes_nothing_makes_no_new_version() {
    let mut state = world(Scenario::Good);
    let before = get(&mut state, SERVICE);
    switch(&mut state, "blue");
    assert_eq!(get(&mut state, SERVICE), before);
}

#[test]
fn errors_are_what_a_real_server_says() {
    let mut state = world(Scenario::Good);
    let path = format!("{DEPLOYMENTS}/backend-blue");
    let containers = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    for (body, code, message) in [
        (
            containers(json!([{"name": "nope", "resources": {}}])),
            422,
            "Deployment.apps \"backend-blue\" is invalid: spec.template.spec.containers[0].image: Required value",
        ),
        (
            json!({"spec": {"replicas": -1}}),
            422,
            "Deployment.apps \"backend-blue\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"metadata": {"name": "other"}}),
            400,
            "the name of the object (other) does not match the name on the URL (backend-blue)",
        ),
    ] {
        let (got, status) = patch(&mut state, &path, &body);
        assert_eq!((got, text(&status, "/message")), (code, message));
        assert_eq!(text(&status, "/kind"), "Status");
    }
    let (code, status) =
        patch(&mut state, &path, &json!({"spec": {"selector": {"matchLabels": {"app": "x"}}}}));
    assert_eq!(code, 422);
    assert!(text(&status, "/message").contains("field is immutable"), "{status}");
    let (code, status) = send(&mut state, "GET", &format!("{DEPLOYMENTS}/x"), "", &Value::Null);
    assert_eq!((code, text(&status, "/message")), (404, "deployments.apps \"x\" not found"));
    assert_eq!(send(&mut state, "PATCH", &path, "text/plain", &json!({})).0, 415);
    assert_eq!(send(&mut state, "POST", &path, "application/json", &json!({})).0, 405);
    assert_eq!(send(&mut state, "GET", "/apis/batch/v1/jobs", "", &Value::Null).0, 404);
    assert_eq!(send(&mut state, "GET", "/api/v1/pods?resourceVersion=999999999", "", &Value::Null).0, 504);
    let null = json!({"spec": {"replicas": null}});
    let (code, body) = patch(&mut state, &path, &null);
    assert_eq!((code, &body["spec"]["replicas"]), (200, &json!(1)), "no number of replicas means one");
}

#[test]
fn what_is_denied_is_forbidden_and_reviews_know() {
    let mut state = world(Scenario::Good);
    state.denied.insert(("patch".into(), "services".into()));
    let (code, status) = patch(&mut state, SERVICE, &json!({"spec": {"selector": {"version": "green"}}}));
    assert_eq!(code, 403);
    assert_eq!(
        text(&status, "/message"),
        "services \"backend-service\" is forbidden: User \"operator\" cannot patch resource \"services\" in API group \"\" in the \
         namespace \"production\""
    );
    let mut review = |verb: &str| {
        let attributes = json!({"namespace": "production", "verb": verb, "resource": "services"});
        let body = json!({"spec": {"resourceAttributes": attributes}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        send(&mut state, "POST", path, "application/json", &body)
    };
    assert_eq!(review("patch").1["status"]["allowed"], false);
    assert_eq!(review("get").1["status"]["allowed"], true);
    assert_eq!(review("get").0, 201);
}

#[test]
fn what_cannot_be_decoded_or_is_too_large_is_refused() {
    let mut state = world(Scenario::Good);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/production/leases";
    let lease = |time: &str| json!({"metadata": {"name": "l"}, "spec": {"renewTime": time}});
    for time in ["2026-11-22T14:00:00Z", "2026-11-22T14:00:00.123Z", "yesterday"] {
        let (code, body) = send(&mut state, "POST", leases, "application/json", &lease(time));
        assert_eq!(code, 400, "{time}: {body}");
    }
    let good = lease("2026-11-22T14:00:00.123456Z");
    assert_eq!(send(&mut state, "POST", leases, "application/json", &good).0, 201);

    let maps = "/api/v1/namespaces/production/configmaps";
    let map = |text: String| json!({"metadata": {"name": "m"}, "binaryData": {"x": text}});
    assert_eq!(send(&mut state, "POST", maps, "application/json", &map("?".to_owned())).0, 400);
    // 1 MiB is 1398101 and a third letters of base64.
    let (code, body) = send(&mut state, "POST", maps, "application/json", &map("AAAA".repeat(349_526)));
    assert_eq!(code, 422, "{body}");
    assert_eq!(send(&mut state, "POST", maps, "application/json", &map("AAAA".repeat(349_525))).0, 201);
}

#[test]
fn a_lease_that_is_gone_is_not_made_anew_by_its_holders_renewal() {
    let mut state = world(Scenario::Good);
    let path = "/apis/coordination.k8s.io/v1/namespaces/production/leases";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}});
    let (_, made) = send(&mut state, "POST", path, "application/json", &lease);
    let one = format!("{path}/l");
    assert_eq!(send(&mut state, "DELETE", &one, "", &Value::Null).0, 200);
    assert_eq!(send(&mut state, "PUT", &one, "application/json", &made).0, 409);
    assert_eq!(send(&mut state, "GET", &one, "", &Value::Null).0, 404);
}

#[test]
fn an_empty_list_of_metadata_is_null() {
    let mut state = world(Scenario::Good);
    let path = "/api/v1/namespaces/production/configmaps?labelSelector=no%3Dsuch";
    let mut asked = call("GET", path, "", &Value::Null);
    asked.accept =
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json".into();
    let Ok(Answer::Json(200, body)) = state.answer(&asked, "") else { panic!("no answer") };
    assert_eq!((&body["kind"], &body["items"]), (&json!("PartialObjectMetadataList"), &Value::Null));
}

#[test]
fn leases_are_made_renewed_and_fought_for() {
    let mut state = world(Scenario::Good);
    let path = "/apis/coordination.k8s.io/v1/namespaces/production/leases";
    let lease = json!({"metadata": {"name": "cutover"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0}});
    let (code, made) = send(&mut state, "POST", path, "application/json", &lease);
    assert_eq!(code, 201);
    assert_eq!(send(&mut state, "POST", path, "application/json", &lease).0, 409);
    let one = format!("{path}/cutover");
    let mut renewed = made.clone();
    renewed["spec"]["renewTime"] = json!("2026-11-22T14:00:10.000000Z");
    assert_eq!(send(&mut state, "PUT", &one, "application/json", &renewed).0, 200);
    let mut late = made.clone();
    late["spec"]["holderIdentity"] = json!("b");
    assert_eq!(send(&mut state, "PUT", &one, "application/json", &late).0, 409);
    late["metadata"].as_object_mut().unwrap().shift_remove("resourceVersion");
    assert_eq!(
        send(&mut state, "PUT", &one, "application/json", &late).0,
        422,
        "a Lease is never replaced blindly"
    );
    let guard = json!([{"op": "test", "path": "/spec/leaseTransitions", "value": 1}]);
    assert_eq!(send(&mut state, "PATCH", &one, "application/json-patch+json", &guard).0, 422);
    let wrong = json!({"preconditions": {"uid": "another"}});
    assert_eq!(send(&mut state, "DELETE", &one, "application/json", &wrong).0, 409);
    assert_eq!(send(&mut state, "DELETE", &one, "", &Value::Null).0, 200);
    assert_eq!(send(&mut state, "GET", &one, "", &Value::Null).0, 404);
}

#[test]
fn pages_are_one_list() {
    let mut state = world(Scenario::Good);
    let whole = get(&mut state, "/api/v1/namespaces/production/pods");
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let page = get(&mut state, &format!("/api/v1/namespaces/production/pods?limit=4&continue={next}"));
        assert_eq!(page["metadata"]["resourceVersion"], whole["metadata"]["resourceVersion"]);
        names.extend(list(&page, "/items").iter().map(|pod| name(pod).to_owned()));
        next = text(&page, "/metadata/continue").to_owned();
        if next.is_empty() {
            break;
        }
    }
    let all: Vec<_> = list(&whole, "/items").iter().map(|pod| name(pod).to_owned()).collect();
    assert_eq!(names, all);
    assert_eq!(names.len(), 6);
}

#[test]
fn events_are_shown_in_both_shapes() {
    let mut state = world(Scenario::Good);
    set_image(&mut state, "backend-green", NEW);
    let now = state.now;
    state.advance(now + 5_000);
    let core = get(
        &mut state,
        "/api/v1/namespaces/production/events?fieldSelector=involvedObject.name%3Dbackend-green",
    );
    let new = get(
        &mut state,
        "/apis/events.k8s.io/v1/namespaces/production/events?fieldSelector=regarding.name%3Dbackend-green",
    );
    assert_eq!(text(&core, "/items/0/reason"), "ScalingReplicaSet");
    assert_eq!(core["items"][0]["message"], new["items"][0]["note"]);
    assert_eq!(new["items"][0]["regarding"]["kind"], "Deployment");
    // Events are kept for an hour.
    state.advance(now + 2 * 3_600_000);
    assert_eq!(list(&get(&mut state, "/api/v1/events"), "/items").len(), 0);
}

#[test]
fn a_table_has_the_columns_that_kubectl_prints() {
    let mut state = world(Scenario::Good);
    let mut call = call("GET", "/api/v1/namespaces/production/pods", "", &Value::Null);
    call.accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json".into();
    let Ok(Answer::Json(200, table)) = state.answer(&call, "") else { panic!("no table") };
    let columns: Vec<_> =
        list(&table, "/columnDefinitions").iter().map(|column| text(column, "/name")).collect();
    assert_eq!(columns[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
    assert_eq!(list(&table, "/rows").len(), 6);
    assert_eq!(list(&table, "/rows/0/cells")[1..3], [json!("1/1"), json!("Running")]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}
