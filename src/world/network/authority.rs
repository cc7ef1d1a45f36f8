//! The certificate authority of the simulated world: created at the start, it signs a certificate for each requested
//! name.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

const DAY: Duration = Duration::from_hours(24);

/// Certificates were issued a week ago …
const AGE: Duration = DAY.saturating_mul(7);
/// … and have as many days left.
const LEFT: Duration = DAY.saturating_mul(81);

/// The most names that are remembered: a client that asks for ever new ones gets new certificates each time.
const REMEMBERED: usize = 256;

/// The authority and what it has signed.
pub(super) struct Authority {
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// Of the simulated world, since the epoch: what validity is counted from.
    now: Duration,
    signed: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority in a world where it is `now_ms`.
    pub(super) fn new(now_ms: i64) -> Result<Self, rcgen::Error> {
        let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = common_name("cutover rehearsal CA");
        set_validity(&mut params, now, DAY.saturating_mul(365));
        let key = KeyPair::generate()?;
        let ca_pem = params.self_signed(&key)?.pem();
        Ok(Self { ca_pem, issuer: Issuer::new(params, key), now, signed: Mutex::default() })
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A TLS server's configuration that answers each name asked for (SNI) with its certificate, and a client that names
    /// none with the one of `fallback`.
    pub(super) fn server_config(self: &Arc<Self>, fallback: &str) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ByName {
                authority: Arc::clone(self),
                fallback: fallback.to_owned(),
            }));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = signed.get(name) {
            return Some(Arc::clone(known));
        }
        let new = Arc::new(self.sign(name)?);
        if signed.len() < REMEMBERED {
            signed.insert(name.to_owned(), Arc::clone(&new));
        }
        Some(new)
    }

    /// Signs a certificate for a name or an IP address; none where it is neither.
    fn sign(&self, name: &str) -> Option<CertifiedKey> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).ok()?;
        params.distinguished_name = common_name(name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, self.now, LEFT);
        let key = KeyPair::generate().ok()?;
        let certificate = params.signed_by(&key, &self.issuer).ok()?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = ring::sign::any_supported_type(&key).ok()?;
        Some(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

/// Valid both for who reads the world's clock and for who reads the wall's: from a week before the earlier one, until `left`
/// after the later one.
fn set_validity(params: &mut CertificateParams, now: Duration, left: Duration) {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(now);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.min(wall).saturating_sub(AGE);
    params.not_after = epoch + now.max(wall) + left;
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Chooses the certificate by the name that the client asks for.
#[derive(Debug)]
struct ByName {
    authority: Arc<Authority>,
    fallback: String,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.authority.certificate(hello.server_name().unwrap_or(&self.fallback))
    }
}
