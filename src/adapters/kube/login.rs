//! How the current login works and how long it is valid, read from the kubeconfig. No token and no key is ever shown.

use std::fs;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use kube::config::{AuthInfo, Kubeconfig};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::ExposeSecret as _;

use crate::domain::{
    online::picture::{Login, Trouble, Unreached},
    safe_text::SafeText,
    time::Timestamp,
};

use super::{
    KubeConnector,
    credentials::{Source, advice},
};

impl KubeConnector {
    /// The login of a context, or of the current one. Nothing is asked over the network, and no plugin runs.
    ///
    /// # Errors
    /// If there is no kubeconfig, or it has no such context.
    pub fn login(&self, context: Option<&str>) -> Result<Login, Unreached> {
        let read = match &self.source {
            Source::Environment => Kubeconfig::read(),
            Source::File(path) => Kubeconfig::read_from(path),
            Source::Text(text) => Kubeconfig::from_yaml(text),
        };
        let kubeconfig = read.map_err(|fault| {
            let words = fault.to_string();
            unusable(words.lines().next().unwrap_or_default())
        })?;
        let name = context.map(str::to_owned).or_else(|| kubeconfig.current_context.clone());
        let name =
            name.filter(|name| !name.is_empty()).ok_or_else(|| unusable("it has no current context"))?;
        let found = kubeconfig.contexts.iter().find(|context| context.name == name);
        let found = found.and_then(|context| context.context.clone());
        let found = found.ok_or_else(|| unusable(&format!("it has no context `{name}`")))?;
        let user = found.user.unwrap_or_default();
        let auth = kubeconfig.auth_infos.iter().find(|named| named.name == user);
        let auth = auth.and_then(|named| named.auth_info.clone()).unwrap_or_default();
        let cluster = kubeconfig.clusters.iter().find(|named| named.name == found.cluster);
        let server = cluster.and_then(|named| named.cluster.as_ref()?.server.clone()).unwrap_or_default();
        let (by, until) = valid(&auth);
        let safe = |text: String| String::from(SafeText::from(text));
        Ok(Login {
            context: safe(name),
            server: safe(server),
            user: safe(user),
            by: safe(by),
            until,
            renew: advice(&auth),
        })
    }
}

/// What the library says may quote the file.
fn unusable(words: &str) -> Unreached {
    Unreached {
        kind: Trouble::Kubeconfig,
        words: format!("no usable kubeconfig: {}", SafeText::new(words)),
        cure: "set KUBECONFIG to a readable one, or `kubectl config use-context` one of its contexts"
            .to_owned(),
    }
}

/// By what a person logs in, and the last moment that it is valid, where it says so.
fn valid(auth: &AuthInfo) -> (String, Option<Timestamp>) {
    if let Some(exec) = &auth.exec {
        return (format!("plugin {}", exec.command.as_deref().unwrap_or("")), None);
    }
    if let Some(provider) = &auth.auth_provider {
        return (format!("auth provider {}", provider.name), None);
    }
    let in_file = auth.token_file.as_ref().and_then(|file| fs::read_to_string(file).ok());
    let token = auth.token.as_ref().map(|token| token.expose_secret().to_owned()).or(in_file);
    if let Some(token) = token {
        return ("token".to_owned(), token_end(&token));
    }
    let data =
        auth.client_certificate_data.as_ref().and_then(|data| BASE64_STANDARD.decode(data.trim()).ok());
    let pem = data.or_else(|| auth.client_certificate.as_ref().and_then(|file| fs::read(file).ok()));
    if let Some(pem) = pem {
        return ("client certificate".to_owned(), certificate_end(&pem));
    }
    if auth.client_certificate.is_some() || auth.client_certificate_data.is_some() {
        return ("client certificate that can't be read".to_owned(), None);
    }
    let by = if auth.username.is_some() { "password" } else { "nothing: no credentials in the kubeconfig" };
    (by.to_owned(), None)
}

/// When a token ends that is a JWT. Its signature is the server's business.
fn token_end(token: &str) -> Option<Timestamp> {
    let payload = token.trim().split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let payload: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let end = payload.get("exp")?;
    #[expect(clippy::cast_possible_truncation, reason = "a number of seconds; what is too large saturates")]
    let seconds = end.as_i64().or_else(|| end.as_f64().map(|seconds| seconds as i64))?;
    Some(Timestamp(seconds.saturating_mul(1000)))
}

/// The first of a chain is the user's own.
fn certificate_end(pem: &[u8]) -> Option<Timestamp> {
    let der = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    Some(Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(yaml: &str) -> AuthInfo {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: [{{name: u, user: {yaml}}}]\n"
        );
        Kubeconfig::from_yaml(&text).unwrap().auth_infos.remove(0).auth_info.unwrap()
    }

    #[test]
    fn a_token_tells_its_end_and_nothing_else() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(br#"{"sub":"ada","exp":1795000000}"#);
        let token = format!("e30.{payload}.c2lnbmF0dXJl");
        assert_eq!(
            valid(&auth(&format!("{{token: {token}}}"))),
            ("token".to_owned(), Some(Timestamp(1_795_000_000_000)))
        );
        for opaque in ["abc", "a.b.c", "a..c", "..."] {
            assert_eq!(valid(&auth(&format!("{{token: '{opaque}'}}"))).1, None, "{opaque}");
        }
    }

    #[test]
    fn a_client_certificate_tells_its_last_day() {
        let mut params = rcgen::CertificateParams::new(vec!["ada".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2027, 1, 2);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let data = BASE64_STANDARD.encode(pem);
        let (by, until) = valid(&auth(&format!("{{client-certificate-data: {data}}}")));
        assert_eq!((by.as_str(), until), ("client certificate", Some(Timestamp(1_798_848_000_000))));
    }

    #[test]
    fn a_plugin_is_named_and_not_run() {
        let exec = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /nonexistent/aws, interactiveMode: Never}}";
        assert_eq!(valid(&auth(exec)), ("plugin /nonexistent/aws".to_owned(), None));
    }
}
