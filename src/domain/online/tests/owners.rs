//! Who else writes to the objects of a run.

use super::*;

#[test]
fn an_autoscaler() {
    let hpa =
        |least| Autoscaler { name: "green".into(), deployment: "backend-green".into(), least, most: 10 };
    let found = in_cluster(|cluster| cluster.autoscalers = Ok(vec![hpa(4)]));
    one(
        found,
        Mark::Fault,
        "step deploy scales it to 3: it would be undone",
        "scale to a number between 4 and 10",
    );
    let found = in_cluster(|cluster| cluster.autoscalers = Ok(vec![hpa(2)]));
    one(
        found,
        Mark::Warning,
        "the autoscaler (2 to 10) changes that again",
        "leave the number to the autoscaler",
    );
}

#[test]
fn argo_cd_that_heals_itself() {
    let argo = Tracker::ArgoCd { namespace: None, name: "shop".into() };
    let with = |sync: Looked<Sync>| {
        in_cluster(|cluster| {
            let Some(Ok(Found::There(green))) = cluster.deployments.get_mut("backend-green") else { return };
            let id = "shop:apps/Deployment:production/backend-green";
            green.meta.annotations = labels(&[("argocd.argoproj.io/tracking-id", id)]);
            cluster.trackers = [(argo.clone(), sync)].into();
        })
    };
    one(
        with(Ok(Sync::Heals)),
        Mark::Fault,
        "Argo CD's application shop puts back what others change",
        "argocd app set shop --self-heal=false",
    );
    one(
        with(Err(Unseen::new("denied", "ask"))),
        Mark::NotLookedAt,
        "is unknown (denied)",
        "look there first",
    );
    one(with(Ok(Sync::OnCommit)), Mark::Warning, "at the next commit", "let nobody merge");
}

#[test]
fn labels_tell_who_tracks_an_object() {
    let of = |labels: Labels, annotations: Labels, manager: &str| {
        let managers = vec![manager.to_owned()];
        super::super::owners::trackers(&Meta { labels, annotations, managers, ..Meta::default() })
    };
    let argo = |name: &str| vec![Tracker::ArgoCd { namespace: None, name: name.into() }];
    let shared = || labels(&[("app.kubernetes.io/instance", "shop")]);
    assert_eq!(of(shared(), Labels::new(), "helm"), [], "Helm writes that label too");
    assert_eq!(of(shared(), Labels::new(), "argocd-controller"), argo("shop"));
    let flux = [
        ("kustomize.toolkit.fluxcd.io/name", "apps"),
        ("kustomize.toolkit.fluxcd.io/namespace", "flux-system"),
    ];
    let kustomization = Tracker::Kustomization { namespace: "flux-system".into(), name: "apps".into() };
    assert_eq!(of(labels(&flux), Labels::new(), ""), [kustomization]);
    let left = labels(&[("kustomize.toolkit.fluxcd.io/reconcile", "disabled")]);
    assert_eq!(of(labels(&flux), left, ""), []);
}

#[test]
fn progressive_delivery_that_owns_an_object() {
    let found = on_green(|green| green.meta.owners = vec![("Canary".into(), "shop".into())]);
    one(found, Mark::Fault, "Flagger (Canary shop)", "deploy with Flagger, or delete Canary shop");
}

#[test]
fn an_opening_run_is_told_the_same_of_who_else_writes() {
    let flagger = Meta { owners: vec![("Canary".into(), "shop".into())], ..Meta::default() };
    let found = super::super::owners::others("httproute/shop", &flagger, &BTreeMap::new());
    assert_eq!((found.len(), found[0].mark), (1, Mark::Fault));
    assert_eq!(
        found[0].sentence(),
        "httproute/shop: Flagger (Canary shop) moves traffic and scales here: it would undo the run; deploy with Flagger, \
         or delete Canary shop before you use this runbook"
    );
    let id = labels(&[("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:production/shop")]);
    let argo = Meta { annotations: id, ..Meta::default() };
    let app = Tracker::ArgoCd { namespace: None, name: "shop".into() };
    let mark = |sync: Option<Sync>| {
        let known = sync.map(|sync| (app.clone(), Ok(sync)));
        super::super::owners::others("deployment/shop", &argo, &known.into_iter().collect())[0].mark
    };
    assert_eq!(mark(Some(Sync::Heals)), Mark::Fault);
    assert_eq!(mark(Some(Sync::OnCommit)), Mark::Warning);
    assert_eq!(mark(Some(Sync::Suspended)), Mark::Ok);
    assert_eq!(mark(None), Mark::NotLookedAt);
    assert_eq!(super::super::owners::others("deployment/shop", &Meta::default(), &BTreeMap::new()), []);
}
