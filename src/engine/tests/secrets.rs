//! No sink has a secret, and no variable becomes code.

use std::os::unix::fs::PermissionsExt as _;

use super::{
    fakes::CANARY,
    flown::{Flown, actions_of, everything_in, fly, reason, small},
};
use crate::{
    domain::{
        action::{ActionKind, Capture},
        event::Outcome,
        message::Update,
        run::Run,
    },
    engine::messages::End,
    journal,
    report::{self, Format, Integrity, Source},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x1_a_whole_flight_lands_and_no_sink_has_the_secret() {
    let flown = fly(small(), "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Succeeded)), "{}", reason(&flown.run));
    assert_eq!(actions_of(&flown), ["backup", "apply", "image", "rollout", "switch", "log"]);
    assert_eq!(flown.run.value("BACKUP_ID").as_deref(), Some("b-17"), "the last match, without its colour");
    assert_eq!(Run::fold(&flown.journal).as_ref(), Some(&flown.run));
    let before = flown.run.baseline["error_rate/blue"];
    assert!((before - 0.0007).abs() < 1e-9, "what was measured before the engine looked: {before}");
    let mut bytes = Vec::new();
    everything_in(flown.dir.path(), &mut bytes);
    let disk = String::from_utf8_lossy(&bytes).into_owned();
    assert!(disk.contains("SUCCEEDED") && disk.contains("status 0"), "{disk}");
    let journal = serde_json::to_string(&flown.journal).unwrap();
    let screens = serde_json::to_string(&flown.updates).unwrap();
    // What is packed there is looked at unpacked.
    let run_id = flown.run.opened.run_id.as_str();
    let kept = journal::samples::read(flown.dir.path(), run_id).unwrap().unwrap();
    assert!(kept.samples().count() > 10, "{}", kept.samples().count());
    assert_eq!(kept.remarks(), [] as [&str; 0]);
    let samples = serde_json::to_string(&kept).unwrap();
    assert!(samples.contains("prometheus refused"), "{samples}");
    let found = Integrity { records: flown.journal.len(), ..Integrity::default() };
    let source = Source { events: &flown.journal, kept: &kept, journal: &found, backtest: None };
    let [page, wiki, json] =
        [Format::Html, Format::Markdown, Format::Json].map(|it| report::write(&source, it).unwrap());
    for report in [&page, &wiki, &json] {
        assert!(report.contains("BACKUP_ID") && report.contains("b-17"), "{report}");
    }
    // The world did quote it, in every way.
    for quoted in
        ["pasted ", "answered 500", "switched with ", "fine ", "prometheus refused", "no answer to "]
    {
        assert!(screens.contains(quoted), "{quoted}");
    }
    assert!(disk.contains("token="));
    let reports = [page, wiki, json].concat();
    for (name, sink) in [
        ("disk", disk),
        ("journal", journal),
        ("screens", screens),
        ("samples", samples),
        ("reports", reports),
    ] {
        assert!(
            !sink.contains(CANARY),
            "{name}: {}",
            &sink[sink.find(CANARY).unwrap().saturating_sub(200)..]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x1_a_captured_secret_is_taken_out_of_what_it_was_captured_from() {
    const CAPTURED: &str = "captured-77ab-canary";
    let mut book = small();
    book.vars.iter_mut().find(|var| var.name == "BACKUP_ID").unwrap().secret = true;
    let script = |text: String| ActionKind::Sh { script: text };
    // It looks itself whether the engine has a file on disk that holds what it has just printed.
    let look = "for file in /proc/$PPID/fd/*; do case $(readlink $file) in */output/*)\n\
                grep -q 77ab $file && echo in clear on disk;; esac; done";
    book.steps[0].run[0].kind =
        script(format!("echo before; echo 'backup-id: {CAPTURED}'; sleep 0.3\n{look}\necho looked"));
    book.steps[0].run[1].kind =
        script(format!("test \"$BACKUP_ID\" = {CAPTURED}; echo \"status $? $BACKUP_ID\""));
    let flown = fly(book.clone(), "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Succeeded)), "{}", reason(&flown.run));
    let told = |update: &&Update| matches!(update, Update::Output { .. } | Update::Event { .. });
    // The script itself is ours and quotes it: what it prints must not.
    let printed = |updates: &[Update]| {
        let updates: Vec<_> = updates.iter().filter(told).collect();
        serde_json::to_string(&updates)
            .unwrap()
            .replace(&format!("backup-id: {CAPTURED}"), "")
            .replace(&format!("= {CAPTURED}"), "")
    };
    let screens = printed(&flown.updates);
    assert!(screens.contains("hidden while it runs") && screens.contains("status 0"), "{screens}");
    assert!(!screens.contains(CAPTURED), "{screens}");
    let output = |flown: &Flown| {
        let mut bytes = Vec::new();
        everything_in(&flown.dir.path().join("output"), &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let kept = output(&flown);
    assert!(kept.contains("before") && kept.contains("backup-id: ") && !kept.contains(CAPTURED), "{kept}");
    assert!(kept.contains("looked") && !kept.contains("in clear on disk"), "{kept}");
    let file = flown.dir.path().join("output/migrate-1-00.log");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);

    // Where it is not found nobody knows what is one: nothing is kept.
    book.steps[0].run[0].kind = script(format!("echo 'id of the backup: {CAPTURED}'"));
    let flown = fly(book, "v2", 0.0004, None).await;
    let kept = output(&flown);
    assert!(kept.contains("not stored") && !kept.contains(CAPTURED), "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_a_variable_never_becomes_code() {
    let payload = "$(touch pwned)`touch pwned`;touch pwned #\"'$TOKEN";
    let flown = fly(small(), payload, 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Succeeded)), "{}", reason(&flown.run));
    assert!(!flown.dir.path().join("pwned").exists());
    let output = std::fs::read_to_string(flown.dir.path().join("output/migrate-1-01.log")).unwrap();
    assert_eq!(output.lines().next(), Some(payload), "as it is, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captures_that_do_not_fit_fail_the_action_without_telling_a_secret() {
    let mut strict = small();
    strict.vars[1].pattern = Some("[0-9]+".to_owned());
    let flown = fly(strict, "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Failed)));
    assert!(reason(&flown.run).contains("$BACKUP_ID must match"), "{}", reason(&flown.run));
    let mut hidden = small();
    hidden.vars[1].secret = true;
    hidden.vars[1].pattern = Some("[0-9]+".to_owned());
    let flown = fly(hidden, "v2", 0.0004, None).await;
    assert!(
        reason(&flown.run).contains("$BACKUP_ID: the value in the output is not valid"),
        "{}",
        reason(&flown.run)
    );
    let mut nothing = small();
    nothing.steps[0].run[0].capture =
        vec![Capture { var: "BACKUP_ID".to_owned(), pattern: "id=(.*)".to_owned() }];
    let flown = fly(nothing, "v2", 0.0004, None).await;
    assert!(reason(&flown.run).contains("no line matches"), "{}", reason(&flown.run));
}
