//! Which certificates are trusted, and how long a host's certificate is still valid.
//!
//! Trust is the host's own store (`SSL_CERT_FILE` and `SSL_CERT_DIR` honoured) and whatever certificates the operator
//! adds with `ca_file`. Nothing here can turn a check off: what is not trusted fails, in a sentence that says why.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::shown::shown;
use crate::{
    domain::time::{Span, Timestamp},
    engine::ports::{PortError, PortResult, Seen},
};

/// Connecting and shaking hands together take no longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// In milliseconds.
const DAY: i64 = 86_400_000;

/// Certificates that cannot be used as authorities.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadTrust {
    /// The PEM text is none, or holds no certificate.
    #[error("no certificate in PEM form found{0}")]
    NoCertificate(String),
    /// A certificate in it was refused.
    #[error("the certificates cannot be used as authorities: {0}")]
    Refused(String),
}

/// The authorities that certificates are checked against.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    /// None where the host has no certificates at all: then nothing is trusted, but plain HTTP still works.
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

impl Trust {
    /// The host's authorities, and those in `extra_pem`. The host's alone are read once and kept.
    pub(super) fn load(extra_pem: Option<&str>) -> Result<Self, BadTrust> {
        static HOST: OnceLock<Trust> = OnceLock::new();
        match (extra_pem, HOST.get()) {
            (None, Some(host)) => Ok(host.clone()),
            (None, None) => Self::read(None).map(|host| HOST.get_or_init(|| host).clone()),
            (Some(_), _) => Self::read(extra_pem),
        }
    }

    /// Reads the host's store. On a host without one that is no error yet: plain HTTP needs none.
    fn read(extra_pem: Option<&str>) -> Result<Self, BadTrust> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let extra = extra_pem.map_or_else(|| Ok(Vec::new()), certificates)?;
        let has_extra = !extra.is_empty();
        let verifier =
            match rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider)) {
                Ok(verifier) => Some(Arc::new(verifier) as Arc<dyn ServerCertVerifier>),
                Err(why) if has_extra => return Err(BadTrust::Refused(why.to_string())),
                Err(_) => None,
            };
        Ok(Self { provider, verifier })
    }

    /// How a client shakes hands, offering these protocols.
    pub(super) fn client_config(&self, protocols: &[&str]) -> Result<ClientConfig, rustls::Error> {
        self.config_with(self.verifier.clone(), protocols)
    }

    /// The configuration that every connection here uses. The verifier is the host's in all cases; a witness may look
    /// on.
    fn config_with(
        &self,
        verifier: Option<Arc<dyn ServerCertVerifier>>,
        protocols: &[&str],
    ) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?;
        let mut config = match verifier {
            Some(verifier) => {
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
            None => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(config)
    }
}

/// The certificates of a PEM text; keys and other parts in it are passed over.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, BadTrust> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(BadTrust::NoCertificate(String::new())),
        Ok(certificates) => Ok(certificates),
        Err(why) => Err(BadTrust::NoCertificate(format!(": {why}"))),
    }
}

/// Checks as the verifier within does and remembers the certificate it saw, so that a refusal can say more about it.
#[derive(Debug)]
struct Witness {
    within: Arc<dyn ServerCertVerifier>,
    leaf: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.leaf.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaf.to_vec());
        self.within.verify_server_cert(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.within.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.within.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.within.supported_verify_schemes()
    }
}

/// What a certificate says that a sentence may need.
struct Leaf {
    until: Timestamp,
    issuer: String,
    self_signed: bool,
}

impl Leaf {
    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let issuer = certificate.issuer();
        let name =
            issuer.iter_organization().chain(issuer.iter_common_name()).find_map(|name| name.as_str().ok());
        Some(Self {
            until: Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)),
            issuer: shown(name.unwrap_or("an unnamed authority"), 60),
            self_signed: issuer == certificate.subject(),
        })
    }
}

/// Shakes hands with `host:port`, at `address` where given instead of wherever the name leads, and says how many days
/// the certificate has left at `now`. A certificate that is refused is an answer; no connection is an error.
pub(super) async fn days_left(
    trust: &Trust,
    (host, port): (&str, u16),
    address: Option<SocketAddr>,
    days: u32,
    now: Timestamp,
) -> PortResult<Seen> {
    let place = if port == 443 { shown(host, 80) } else { format!("{}:{port}", shown(host, 80)) };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| PortError::failed(format!("`{place}` is not a valid host name for a certificate")))?;
    let Some(within) = trust.verifier.clone() else {
        return Err(PortError::failed(
            "this host trusts no certificates at all; install its ca-certificates package or set SSL_CERT_FILE",
        ));
    };
    let witness = Arc::new(Witness { within, leaf: Mutex::new(None) });
    let config = trust
        .config_with(Some(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>), &[])
        .map_err(|why| PortError::failed(format!("cannot prepare a TLS handshake: {why}")))?;

    let handshake = async {
        let stream = match address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((host, port)).await,
        };
        let stream = stream.map_err(|why| PortError::failed(format!("cannot reach {place}: {why}")))?;
        Ok::<_, PortError>(TlsConnector::from(Arc::new(config)).connect(name, stream).await)
    };
    let late = || {
        PortError::failed(format!("{place} did not finish a TLS handshake within {} s", DEADLINE.as_secs()))
    };
    let outcome = tokio::time::timeout(DEADLINE, handshake).await.map_err(|_| late())??;

    let leaf = witness.leaf.lock().unwrap_or_else(PoisonError::into_inner).take();
    let leaf = leaf.as_deref().and_then(Leaf::read);
    match outcome {
        Ok(_) => {
            let leaf =
                leaf.ok_or_else(|| PortError::failed(format!("the certificate of {place} cannot be read")))?;
            Ok(judge(&leaf, days, now))
        }
        Err(why) => match fault(&why) {
            Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                Ok(Seen::no(untrusted(&place, leaf.as_ref())))
            }
            Some(fault @ rustls::Error::InvalidCertificate(_)) => Ok(Seen::no(describe(fault, &place))),
            Some(fault) => Err(PortError::failed(describe(fault, &place))),
            None => Err(PortError::failed(format!("{place} aborted the TLS handshake: {why}"))),
        },
    }
}

/// Whether so many days are left. Days are counted down: one that ends in 23 hours has none left.
fn judge(leaf: &Leaf, days: u32, now: Timestamp) -> Seen {
    let left = leaf.until.0.saturating_sub(now.0).div_euclid(DAY);
    let until = day(leaf.until);
    let issuer = &leaf.issuer;
    if left < 0 {
        Seen::no(format!("the certificate expired on {until}; issued by {issuer}"))
    } else if left < i64::from(days) {
        Seen::no(format!(
            "the certificate is valid for {left} more days, until {until}, but {days} are required; issued \
             by {issuer}"
        ))
    } else {
        Seen::yes(format!("valid for {left} more days, until {until}; issued by {issuer}"))
    }
}

/// The date alone: for certificates the hour is of no use.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Why a certificate is not trusted, and what to write if that is as it should be.
fn untrusted(place: &str, leaf: Option<&Leaf>) -> String {
    match leaf {
        Some(leaf) if leaf.self_signed => {
            format!("the certificate of {place} is self-signed; if that is intended, set it as `ca_file`")
        }
        Some(leaf) => format!(
            "the certificate of {place} is issued by {}, which this host does not trust; set its authority \
             as `ca_file`",
            leaf.issuer
        ),
        None => format!(
            "the certificate of {place} is self-signed, or its issuer is not trusted by this host; set its \
             authority as `ca_file`"
        ),
    }
}

/// The TLS fault inside an error, however deep it was wrapped.
pub(super) fn fault<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<rustls::Error>() {
            return Some(fault);
        }
        // An io::Error's source is the source of what it wraps, so what it wraps must be asked for.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// A TLS fault as a sentence.
pub(super) fn describe(fault: &rustls::Error, place: &str) -> String {
    let on = |at: &UnixTime| day(Timestamp(i64::try_from(at.as_secs()).unwrap_or(0).saturating_mul(1000)));
    let rustls::Error::InvalidCertificate(why) = fault else {
        return format!("no TLS connection to {place}: {fault}");
    };
    match why {
        CertificateError::ExpiredContext { not_after, time } => {
            let ago = Span::from_secs(time.as_secs().saturating_sub(not_after.as_secs())).short();
            format!("the certificate of {place} expired on {}, {ago} ago", on(not_after))
        }
        CertificateError::Expired => format!("the certificate of {place} has expired"),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate of {place} is not valid before {}", on(not_before))
        }
        CertificateError::UnknownIssuer => untrusted(place, None),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // Each is written like `DnsName("a.example")`: the name is between the quotes.
            let names: Vec<&str> =
                presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name.as_str())).collect();
            let names =
                if names.is_empty() { "no name at all".to_owned() } else { shown(&names.join(", "), 120) };
            format!("the certificate of {place} is for another name: {names}")
        }
        CertificateError::NotValidForName => format!("the certificate of {place} is for another name"),
        CertificateError::Revoked => format!("the certificate of {place} was revoked"),
        other => format!("the certificate of {place} was rejected: {other}"),
    }
}

#[cfg(test)]
mod tests;
