use std::{collections::BTreeMap, io::Write as _};

use super::*;
use crate::{
    adapters::testing::{Reply, nobody, serve},
    domain::time::Span,
};

fn adapter() -> NetworkAdapter {
    NetworkAdapter::new(HttpOptions { proxy: Proxying::Direct, ..HttpOptions::default() }).unwrap()
}

fn get(url: String) -> HttpCall {
    HttpCall {
        method: "GET".into(),
        url,
        headers: BTreeMap::new(),
        body: None,
        status: None,
        json: BTreeMap::new(),
        contains: None,
        // For servers that do answer: no test may depend on how busy its host is.
        timeout: Span::from_secs(60),
    }
}

fn version(address: SocketAddr, wanted: &str) -> HttpCall {
    HttpCall {
        json: [("/version".to_owned(), wanted.to_owned())].into(),
        ..get(format!("http://{address}/version"))
    }
}

/// The evidence without the time it took.
fn evidence(seen: &Seen) -> String {
    let (before, after) = seen.evidence.split_once(" in ").unwrap();
    let (_, after) = after.split_once(" ms").unwrap();
    format!("{before}{after}")
}

#[tokio::test]
async fn what_was_seen_is_told() {
    let (address, _) =
        serve(|_| Reply::json(r#"{"version":"v1.6.0","ready":true,"pods":3,"part":{"a":[1]}}"#)).await;
    let adapter = adapter();
    let seen = adapter.http(version(address, "v1.6.0")).await.unwrap();
    assert!(seen.holds);
    assert_eq!(evidence(&seen), "200, /version = \"v1.6.0\"");

    let seen = adapter.http(version(address, "1.6.0")).await.unwrap();
    assert!(!seen.holds, "a leading v counts");
    assert_eq!(evidence(&seen), "200, but /version is \"v1.6.0\", expected \"1.6.0\"");

    let json = [("/ready", "true"), ("/pods", "3"), ("/part", "{\"a\":[1]}"), ("/part/a/0", "1")];
    let json: BTreeMap<_, _> = json.map(|(pointer, wanted)| (pointer.to_owned(), wanted.to_owned())).into();
    let seen = adapter.http(HttpCall { json, ..get(format!("http://{address}/")) }).await.unwrap();
    assert!(seen.holds, "{}", seen.evidence);

    let json = [("/build".to_owned(), "7".to_owned())].into();
    let seen = adapter.http(HttpCall { json, ..get(format!("http://{address}/")) }).await.unwrap();
    assert_eq!(evidence(&seen), "200, but /build is not in the answer");
}

#[tokio::test]
async fn status_and_text_are_compared() {
    let (address, _) = serve(|request| match request {
        r if r.starts_with("GET /health ") => Reply::http("200 OK", "text/plain", "all is ok"),
        r if r.starts_with("GET /gone ") => Reply::http("410 Gone", "text/plain", ""),
        _ => Reply::http("503 Service Unavailable", "text/plain", "no"),
    })
    .await;
    let adapter = adapter();
    let url = |path: &str| format!("http://{address}{path}");
    let seen =
        adapter.http(HttpCall { contains: Some("is ok".into()), ..get(url("/health")) }).await.unwrap();
    assert_eq!((seen.holds, evidence(&seen)), (true, "200, contains \"is ok\"".into()));
    let seen = adapter.http(HttpCall { contains: Some("fine".into()), ..get(url("/health")) }).await.unwrap();
    assert_eq!((seen.holds, evidence(&seen)), (false, "200, but the body does not contain \"fine\"".into()));
    let seen = adapter.http(HttpCall { status: Some(410), ..get(url("/gone")) }).await.unwrap();
    assert!(seen.holds);
    let seen = adapter.http(HttpCall { status: Some(200), ..get(url("/else")) }).await.unwrap();
    assert_eq!((seen.holds, evidence(&seen)), (false, "503, expected 200".into()));
    let seen = adapter.http(get(url("/else"))).await.unwrap();
    assert_eq!((seen.holds, evidence(&seen)), (false, "503, expected 2xx".into()));
}

#[tokio::test]
async fn a_login_page_is_not_the_answer() {
    let (login, _) = serve(|_| Reply::json(r#"{"version":"v1.6.0"}"#)).await;
    let to = format!("http://{login}/sso?return=secret");
    let (address, _) = serve(move |_| Reply::with("302 Found", &[("Location", &to)], "")).await;
    let seen = adapter().http(version(address, "v1.6.0")).await.unwrap();
    assert_eq!(evidence(&seen), format!("302: redirected to http://{login}/sso, which was not followed"));
    assert!(!seen.holds);
    // The same page served in place.
    let (address, _) = serve(|_| Reply::http("200 OK", "text/html", "<!doctype html><form>")).await;
    let seen = adapter().http(version(address, "v1.6.0")).await.unwrap();
    assert_eq!((seen.holds, evidence(&seen)), (false, "200, but the body is HTML, not JSON".into()));
}

#[tokio::test]
async fn redirects_on_one_origin_are_followed_three_times() {
    let (address, requests) = serve(|request| {
        let hop: u32 = request.strip_prefix("GET /").unwrap().split(' ').next().unwrap().parse().unwrap();
        if hop == 0 {
            Reply::json(r#"{"version":"v1.6.0"}"#)
        } else {
            Reply::with("307 Temporary Redirect", &[("Location", &format!("/{}", hop - 1))], "")
        }
    })
    .await;
    let adapter = adapter();
    let call = |hops: u32| HttpCall { url: format!("http://{address}/{hops}"), ..version(address, "v1.6.0") };
    assert!(adapter.http(call(3)).await.unwrap().holds);
    let seen = adapter.http(call(4)).await.unwrap();
    assert_eq!(
        (seen.holds, evidence(&seen)),
        (false, format!("307: redirected to http://{address}/0, which was not followed"))
    );
    // A redirect that is wanted is an answer.
    assert!(
        adapter
            .http(HttpCall { status: Some(307), ..get(format!("http://{address}/3")) })
            .await
            .unwrap()
            .holds
    );
    // A write is never sent on.
    requests.lock().unwrap().clear();
    let (address, requests) =
        serve(|_| Reply::with("307 Temporary Redirect", &[("Location", "/again")], "")).await;
    let call =
        HttpCall { method: "POST".into(), body: Some("{}".into()), ..get(format!("http://{address}/do")) };
    assert!(!adapter.http(call).await.unwrap().holds);
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_slow_drip_ends_at_the_deadline() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
    let (address, _) = serve(move |_| Reply::Drip(head.clone(), Duration::from_millis(10))).await;
    let error = adapter()
        .http(HttpCall { timeout: Span::from_millis(150), ..version(address, "v1") })
        .await
        .unwrap_err();
    assert_eq!(error, PortError::failed(format!("no complete answer from {address} within 150ms")));
}

#[tokio::test]
async fn an_endless_body_ends_at_the_cap() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"4000\r\n", vec![b'x'; 0x4000].as_slice(), b"\r\n"].concat();
    let (address, _) = serve(move |_| Reply::Endless(head.clone(), chunk.clone())).await;
    let seen = adapter().http(version(address, "v1.6.0")).await.unwrap();
    assert_eq!(seen, Seen::no(format!("the answer from {address} is longer than 8 MiB")));
}

#[tokio::test]
async fn a_gzip_bomb_ends_at_the_cap() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let (address, _) = serve(move |_| Reply::with("200 OK", &[("Content-Encoding", "gzip")], &bomb)).await;
    let seen = adapter().http(version(address, "v1.6.0")).await.unwrap();
    assert_eq!(seen, Seen::no(format!("the answer from {address} is longer than 8 MiB")));
}

#[tokio::test]
async fn broken_bodies_say_so() {
    let adapter = adapter();
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"version\":".to_vec();
    let (address, _) = serve(move |_| Reply::Bytes(cut.clone())).await;
    let seen = adapter.http(version(address, "v1.6.0")).await.unwrap();
    assert!(!seen.holds && seen.evidence.contains("cannot read the body"), "{}", seen.evidence);
    let (address, _) =
        serve(|_| Reply::with("200 OK", &[("Content-Encoding", "gzip")], "no gzip at all")).await;
    let seen = adapter.http(version(address, "v1.6.0")).await.unwrap();
    assert!(!seen.holds && seen.evidence.contains("cannot read the body"), "{}", seen.evidence);
    let (address, _) = serve(|_| Reply::json("{\"version\": \"v1.6")).await;
    let seen = adapter.http(version(address, "v1.6.0")).await.unwrap();
    assert!(evidence(&seen).starts_with("200, but the body is not JSON: EOF"), "{}", seen.evidence);
    let (address, _) = serve(|_| Reply::json("")).await;
    let seen = adapter.http(version(address, "v1.6.0")).await.unwrap();
    assert_eq!(evidence(&seen), "200, but the body is empty");
}

#[tokio::test]
async fn no_answer_is_an_error_and_a_lost_write_is_unknown() {
    let adapter = adapter();
    let refused = nobody().await;
    let post = |address: SocketAddr| HttpCall { method: "POST".into(), ..get(format!("http://{address}/")) };
    let wanted = PortError::failed(format!("{refused} refused the connection"));
    assert_eq!(adapter.http(get(format!("http://{refused}/"))).await.unwrap_err(), wanted);
    assert_eq!(adapter.http(post(refused)).await.unwrap_err(), wanted, "certainly not done");
    for (reply, timeout) in [(Reply::Hang, Span::from_secs(1)), (Reply::Close, Span::from_secs(60))] {
        let (address, requests) = serve(move |_| reply.clone()).await;
        let error = adapter.http(HttpCall { timeout, ..post(address) }).await.unwrap_err();
        assert_eq!(error.kind, Fault::Unknown, "{error}");
        assert_eq!(requests.lock().unwrap().len(), 1, "sent once");
    }
    let (address, _) = serve(|_| Reply::Close).await;
    let error = adapter.http(get(format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(error.kind, Fault::Failed, "a read that was lost did nothing: {error}");
}

#[tokio::test]
async fn requests_carry_what_they_should() {
    let (address, requests) = serve(|_| Reply::json("{}")).await;
    let adapter = adapter();
    let headers = [("X-Team".to_owned(), "payments".to_owned())].into();
    let call = HttpCall {
        method: "POST".into(),
        headers,
        body: Some("{\"a\":1}".into()),
        ..get(format!("http://{address}/x?y=1"))
    };
    adapter.http(call.clone()).await.unwrap();
    let request = requests.lock().unwrap().pop().unwrap().to_lowercase();
    for wanted in [
        "post /x?y=1 http/1.1",
        "x-team: payments",
        "content-type: application/json",
        "user-agent: cutover/",
        "\r\n\r\n{\"a\":1}",
    ] {
        assert!(request.contains(wanted), "{wanted} in {request}");
    }
    for (name, value) in [("a b", "x"), ("a", "x\ny")] {
        let headers = [(name.to_owned(), value.to_owned())].into();
        let error = adapter.http(HttpCall { headers, ..call.clone() }).await.unwrap_err();
        assert!(error.message.contains("header"), "{error}");
    }
    for url in ["", "example.com/x", "ftp://example.com", "file:///etc/passwd", "http://"] {
        let error = adapter.http(get(url.into())).await.unwrap_err();
        assert!(error.message.contains("URL"), "{url}: {error}");
    }
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn everything_goes_through_a_given_proxy() {
    let (proxy, requests) = serve(|_| Reply::json(r#"{"version":"v1.6.0"}"#)).await;
    let options =
        HttpOptions { proxy: Proxying::Through(format!("http://{proxy}")), ..HttpOptions::default() };
    let adapter = NetworkAdapter::new(options).unwrap();
    let call = HttpCall { url: "http://api.example.com/version".into(), ..version(proxy, "v1.6.0") };
    assert!(adapter.http(call).await.unwrap().holds);
    assert!(requests.lock().unwrap()[0].starts_with("GET http://api.example.com/version HTTP/1.1"));
}

#[tokio::test]
async fn foreign_text_is_masked_then_made_safe_and_short() {
    let (address, _) =
        serve(|_| Reply::json(format!("{{\"version\":\"\\u001b]0;x\\u0007 hunter2 {}\"}}", "y".repeat(500))))
            .await;
    let mask: Mask = Arc::new(|text| text.replace("hunter2", "***"));
    let adapter = NetworkAdapter::new(HttpOptions {
        proxy: Proxying::Direct,
        mask: Some(mask),
        ..HttpOptions::default()
    })
    .unwrap();
    let seen = adapter.http(version(address, "v1.6.0")).await.unwrap();
    assert!(seen.evidence.contains("***") && !seen.evidence.contains("hunter2"), "{}", seen.evidence);
    assert!(
        !seen.evidence.chars().any(char::is_control) && seen.evidence.chars().count() < 200,
        "{}",
        seen.evidence
    );
}

#[tokio::test]
async fn names_are_compared_by_address() {
    let resolver: Resolver = Arc::new(|name| match name {
        "api.example.com" => vec!["192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap()],
        "lb.example.com" => vec!["192.0.2.8".parse().unwrap()],
        "old.example.com" => vec!["192.0.2.1".parse().unwrap()],
        _ => Vec::new(),
    });
    let adapter =
        NetworkAdapter::new(HttpOptions { resolver: Some(resolver), ..HttpOptions::default() }).unwrap();
    for (name, expect, holds, says) in [
        ("api.example.com", "192.0.2.7", true, "api.example.com resolves to 192.0.2.7, 192.0.2.8"),
        ("api.example.com", "lb.example.com", true, "api.example.com resolves to 192.0.2.7, 192.0.2.8"),
        ("old.example.com", "192.0.2.7", false, "old.example.com resolves to 192.0.2.1, expected 192.0.2.7"),
        (
            "old.example.com",
            "lb.example.com",
            false,
            "old.example.com resolves to 192.0.2.1, expected an address of lb.example.com: 192.0.2.8",
        ),
        (
            "old.example.com",
            "no.example.com",
            false,
            "old.example.com resolves to 192.0.2.1; no.example.com does not resolve to any address",
        ),
        ("no.example.com", "192.0.2.7", false, "no.example.com does not resolve to any address"),
    ] {
        let seen = adapter.dns(name, expect).await.unwrap();
        assert_eq!((seen.holds, seen.evidence.as_str()), (holds, says));
    }
}

#[tokio::test]
async fn the_system_resolves_where_nobody_else_does() {
    let seen = adapter().dns("localhost", "127.0.0.1").await.unwrap();
    assert!(seen.holds, "{}", seen.evidence);
}

#[test]
fn long_text_is_cut_between_characters() {
    assert_eq!(shown("  äöü\u{202e}  ", 3), "äöü…");
    assert_eq!(shown("short", 5), "short");
}
