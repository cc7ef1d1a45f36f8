//! This machine, and the way from it to the cluster.

use super::*;

fn unreachable(kind: Trouble, words: &str, cure: &str) -> Vec<(Mark, String, String)> {
    let why = Unreached { kind, words: words.into(), cure: cure.into() };
    planted(|picture| picture.cluster = Some(Err(why)))
}

#[test]
fn an_expired_token_a_name_and_a_certificate_are_told_apart() {
    let found = unreachable(Trouble::Expired, "does not accept the login", "log in again");
    one(found, Mark::Fault, "credentials: does not accept the login", "log in again");
    let found = unreachable(Trouble::Name, "does not resolve", "check the VPN");
    one(found, Mark::Fault, "name of the API server: does not resolve", "check the VPN");
    let found = unreachable(Trouble::Certificate, "is not trusted", "certificate-authority");
    one(found, Mark::Fault, "certificate of the API server: is not trusted", "certificate-authority");
}

#[test]
fn an_expired_login_is_one_line_that_knows_since_when() {
    let now = Timestamp(1_795_000_000_000);
    let login = |until: Option<i64>| Login {
        until: until.map(Timestamp),
        by: "token".into(),
        renew: "log in again".into(),
        ..machine().login.unwrap()
    };
    let expired = |until| {
        planted(|picture| {
            let kind = Trouble::Expired;
            picture.cluster = Some(Err(Unreached { kind, words: "401".into(), cure: "log in again".into() }));
            picture.login = Some((login(until), now));
        })
    };
    one(expired(Some(1_794_000_000_000)), Mark::Fault, "its token expired on", "log in again");
    one(expired(None), Mark::Fault, "credentials: 401", "log in again");
}

fn machine() -> Machine {
    Machine {
        version: "1.0.0".into(),
        now: Timestamp(1_795_000_000_000),
        files: vec![("/home/ada/.kube/config".into(), Ok(0o100_600))],
        login: Ok(Login {
            context: "prod".into(),
            server: "https://k".into(),
            user: "ada".into(),
            by: "token".into(),
            until: None,
            renew: "log in again".into(),
        }),
        server: Some(Ok(("v1.33.1".into(), Ok(0)))),
        terminal: Terminal {
            is_one: true,
            term: "xterm-256color".into(),
            colours: true,
            true_colour: true,
            locale: "en_US.UTF-8".into(),
            size: Some((120, 36)),
        },
        state: State {
            path: "/home/ada/.local/state/cutover".into(),
            exists: true,
            writable: Ok(()),
            mode: Some(0o40_700),
            free: Some(10 << 30),
        },
        lingers: Some(true),
        user: "ada".into(),
        kubectl: Ok(Some("v1.33.4".into())),
    }
}

fn on_machine(plant: impl FnOnce(&mut Machine)) -> Vec<(Mark, String, String)> {
    let mut it = machine();
    plant(&mut it);
    let bad = machine::judge(&it).0.into_iter().filter(|finding| finding.mark != Mark::Ok);
    bad.map(|it| (it.mark, format!("{}: {}", it.about, it.found), it.cure.unwrap_or_default())).collect()
}

#[test]
fn a_doctor_finds_what_is_wrong_with_machine_and_login() {
    assert_eq!(on_machine(|_| ()), []);
    let until = |ms: i64| {
        move |it: &mut Machine| it.login.as_mut().unwrap().until = Some(Timestamp(1_795_000_000_000 + ms))
    };
    one(on_machine(until(-60_000)), Mark::Fault, "its token expired on", "log in again");
    one(on_machine(until(3_600_000)), Mark::Warning, "its token expires in", "log in again");
    one(
        on_machine(|it| it.files[0].1 = Ok(0o100_644)),
        Mark::Warning,
        "others on this machine may read it (mode 644)",
        "chmod 600",
    );
    one(on_machine(|it| it.terminal.size = Some((40, 10))), Mark::Fault, "40 columns, 10 rows", "enlarge");
    one(on_machine(|it| it.terminal.locale = "C".into()), Mark::Warning, "not UTF-8", "LC_ALL=C.UTF-8");
    one(
        on_machine(|it| it.state.writable = Err("read-only".into())),
        Mark::Fault,
        "cannot be written",
        "--state-dir",
    );
    one(on_machine(|it| it.state.free = Some(1 << 20)), Mark::Warning, "1 MiB are left", "free some space");
    one(
        on_machine(|it| it.state.mode = Some(0o40_777)),
        Mark::Warning,
        "others may write there",
        "chmod go-w",
    );
    one(
        on_machine(|it| it.lingers = Some(false)),
        Mark::Warning,
        "end with the last logout",
        "loginctl enable-linger ada",
    );
    one(
        on_machine(|it| it.kubectl = Ok(Some("v1.20.0".into()))),
        Mark::Warning,
        "more than one release apart",
        "install kubectl 1.33",
    );
    one(
        on_machine(|it| it.server = Some(Ok(("v1.33.1".into(), Ok(-40_000))))),
        Mark::Fault,
        "40 s behind",
        "timedatectl",
    );
}
