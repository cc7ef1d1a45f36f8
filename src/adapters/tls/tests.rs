use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::adapters::{
    http::{HttpOptions, NetworkAdapter, Proxying},
    testing::{Reply, Requests, answer, nobody},
};
use crate::engine::ports::{HttpCall, Network as _};

/// An authority for tests, valid for a long time.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }
}

fn params(name: &str, until: (i32, u8, u8)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A TLS server that answers `ok` to every request.
async fn serve_tls(certificate: rcgen::Certificate, key: KeyPair) -> SocketAddr {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(answer(stream, Arc::new(|_: &str| Reply::text("ok")), Requests::default()));
            }
        }
    });
    address
}

async fn signed(authority: &Authority, name: &str, until: (i32, u8, u8)) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate = params(name, until).signed_by(&key, &authority.issuer).unwrap();
    serve_tls(certificate, key).await
}

fn now() -> Timestamp {
    Timestamp("2026-11-20T14:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

async fn look(authority: Option<&Authority>, host: &str, address: SocketAddr) -> PortResult<Seen> {
    let trust = Trust::load(authority.map(|authority| authority.pem.as_str())).unwrap();
    days_left(&trust, (host, 443), Some(address), 30, now()).await
}

#[test]
fn days_are_counted_to_the_last_one() {
    let leaf = |until: &str| Leaf {
        until: Timestamp(until.parse::<jiff::Timestamp>().unwrap().as_millisecond()),
        issuer: "Test Authority".into(),
        self_signed: false,
    };
    for (until, holds, says) in [
        ("2026-12-20T14:00:00Z", true, "valid for 30 more days, until 2026-12-20; issued by Test Authority"),
        (
            "2026-12-20T13:59:59Z",
            false,
            "the certificate is valid for 29 more days, until 2026-12-20, but 30 are required; issued by Test Authority",
        ),
        ("2026-11-20T13:59:59Z", false, "the certificate expired on 2026-11-20; issued by Test Authority"),
    ] {
        let seen = judge(&leaf(until), 30, now());
        assert_eq!((seen.holds, seen.evidence.as_str()), (holds, says));
    }
}

#[tokio::test]
async fn a_good_certificate_is_good() {
    let authority = Authority::new("Test Authority");
    let address = signed(&authority, "api.example.com", (2999, 12, 31)).await;
    let seen = look(Some(&authority), "api.example.com", address).await.unwrap();
    assert!(
        seen.holds && seen.evidence.ends_with(", until 2999-12-31; issued by Test Authority"),
        "{}",
        seen.evidence
    );
}

#[tokio::test]
async fn each_bad_certificate_has_its_own_sentence() {
    let authority = Authority::new("Test Authority");

    let address = signed(&authority, "api.example.com", (2021, 6, 1)).await;
    let seen = look(Some(&authority), "api.example.com", address).await.unwrap();
    assert!(
        seen.evidence.starts_with("the certificate of api.example.com expired on 2021-06-01, "),
        "{}",
        seen.evidence
    );
    assert!(!seen.holds);

    let address = signed(&authority, "other.example.com", (2999, 1, 1)).await;
    let seen = look(Some(&authority), "api.example.com", address).await.unwrap();
    let wanted = "the certificate of api.example.com is for another name: other.example.com";
    assert_eq!(seen, Seen::no(wanted));

    let seen = look(Some(&Authority::new("Somebody Else")), "other.example.com", address).await.unwrap();
    let wanted = "the certificate of other.example.com is issued by Test Authority, which this host does not trust; \
                  set its authority as `ca_file`";
    assert_eq!(seen, Seen::no(wanted));

    let key = KeyPair::generate().unwrap();
    let lonely = params("api.example.com", (2999, 1, 1)).self_signed(&key).unwrap();
    let address = serve_tls(lonely, key).await;
    let seen = look(Some(&authority), "api.example.com", address).await.unwrap();
    assert_eq!(
        seen,
        Seen::no(
            "the certificate of api.example.com is self-signed; if that is intended, set it as `ca_file`"
        )
    );
}

#[tokio::test]
async fn no_handshake_is_an_error() {
    let authority = Authority::new("Test Authority");
    let error = look(Some(&authority), "api.example.com", nobody().await).await.unwrap_err();
    assert!(error.message.starts_with("cannot reach api.example.com: "), "{error}");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = look(Some(&authority), "api.example.com", address).await.unwrap_err();
    assert!(error.message.contains("api.example.com"), "{error}");
    let error = look(Some(&authority), "not a host", address).await.unwrap_err();
    assert!(error.message.contains("not a valid host name"), "{error}");
}

/// The bad certificate of reliability's list: a check over HTTPS fails and says why, and `ca_file` is the way out.
#[tokio::test]
async fn https_checks_refuse_a_bad_certificate() {
    let authority = Authority::new("Test Authority");
    let good = signed(&authority, "127.0.0.1", (2999, 1, 1)).await;
    let expired = signed(&authority, "127.0.0.1", (2021, 6, 1)).await;
    let named = signed(&authority, "other.example.com", (2999, 1, 1)).await;
    let stranger = signed(&Authority::new("Somebody"), "127.0.0.1", (2999, 1, 1)).await;
    let options = HttpOptions {
        proxy: Proxying::Direct,
        extra_ca_pem: Some(authority.pem.clone()),
        ..HttpOptions::default()
    };
    let adapter = NetworkAdapter::new(options).unwrap();
    let call = |address: SocketAddr| HttpCall {
        method: "GET".into(),
        url: format!("https://{address}/"),
        headers: std::collections::BTreeMap::new(),
        body: None,
        status: None,
        json: std::collections::BTreeMap::new(),
        contains: Some("ok".into()),
        timeout: Span::from_secs(60),
    };
    let seen = adapter.http(call(good)).await.unwrap();
    assert!(seen.holds, "{}", seen.evidence);
    for (address, says) in [
        (expired, "expired on 2021-06-01"),
        (named, "for another name"),
        (stranger, "not trusted by this host"),
    ] {
        let error = adapter.http(call(address)).await.unwrap_err();
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn authorities_must_be_certificates() {
    for pem in ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Trust::load(Some(pem)).is_err(), "{pem}");
    }
}
