//! How to reach the cluster: kubeconfig, context, proxy, credentials.
//!
//! A [`Session`] is one client with the names it was made from. It can be made again, since credentials expire and people
//! log in again while a run goes on.

use std::{env, path::PathBuf, time::Duration};

use hyper::{
    Uri,
    header::{HeaderValue, USER_AGENT},
    rt::{Read, Write},
};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::{
        legacy::{
            self,
            connect::{Connection, HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _},
    config::{AuthInfo, Context, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tower::{BoxError, Service, ServiceBuilder};

use crate::{
    domain::safe_text::SafeText,
    engine::ports::{Fault, PortError, PortResult},
};

use super::{cause::cause, timing::Timing};

/// The context's name where the program runs in a pod and there is no kubeconfig.
const IN_CLUSTER: &str = "in-cluster";

/// Where the connection's description comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// `KUBECONFIG`, `~/.kube/config`, or the pod's service account; proxies as the environment says.
    Environment,
    /// This kubeconfig file; proxies as the environment says.
    File(PathBuf),
    /// A kubeconfig as text. Proxies of the environment are not used: it describes a server on this host.
    Text(String),
}

/// A client and what it was made from.
#[derive(Clone)]
pub(super) struct Session {
    /// The client. It never retries by itself.
    pub(super) client: Client,
    /// The kubeconfig context.
    pub(super) context: String,
    /// The API server's URL.
    pub(super) server: String,
    /// How a person logs in.
    pub(super) login: Login,
    /// Counts from 0; another number means other credentials.
    pub(super) generation: u64,
}

/// Where the credentials come from, for the sentence that asks a person to log in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    user: String,
    advice: String,
}

impl Login {
    fn of(user: &str, auth: &AuthInfo) -> Self {
        // Roles are given to whom the credentials stand in for.
        let user = auth.impersonate.as_deref().unwrap_or(user);
        Self { user: SafeText::new(user).into(), advice: advice(auth) }
    }

    /// Who is logged in, for people.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// What a person should do, as a clause.
    pub(super) fn advice(&self) -> &str {
        &self.advice
    }
}

/// What a person does to log in again, as a clause.
pub(super) fn advice(auth: &AuthInfo) -> String {
    let advice = if let Some(exec) = &auth.exec {
        let command = exec.command.clone().unwrap_or_default();
        let first =
            exec.args.iter().flatten().take(3).fold(command.clone(), |line, arg| format!("{line} {arg}"));
        format!("log in again with `{command}` in another terminal (its credentials come from `{first}`)")
    } else if let Some(provider) = &auth.auth_provider {
        format!("log in again with the tool of the auth provider `{}`", provider.name)
    } else if let Some(file) = &auth.token_file {
        format!("write a fresh token to {file}")
    } else if auth.token.is_some() {
        "log in again with the tool that wrote the token into the kubeconfig".to_owned()
    } else if auth.client_certificate.is_some() || auth.client_certificate_data.is_some() {
        "renew the client certificate in the kubeconfig".to_owned()
    } else {
        "add credentials to the kubeconfig's user".to_owned()
    };
    SafeText::from(advice).into()
}

/// Makes a session. `wanted` is the context; the current one where nothing is wanted.
///
/// Credential plugins run here, so it has a deadline of its own, and a plugin that wants to ask a person fails instead:
/// it may not touch the terminal that the screen owns.
pub(super) async fn open(source: &Source, wanted: Option<&str>, timing: &Timing) -> PortResult<Session> {
    let source = source.clone();
    let wanted = wanted.map(str::to_owned);
    let (limit, idle) = (timing.login, timing.silence);
    let built = tokio::task::spawn_blocking(move || build(&source, wanted.as_deref(), idle));
    match tokio::time::timeout(limit, built).await {
        Ok(Ok(session)) => session,
        Ok(Err(_)) => Err(PortError::failed("the kubeconfig could not be read: an internal thread failed")),
        Err(_) => Err(PortError::new(
            Fault::Denied,
            format!(
                "the kubeconfig's credential plugin did not answer within {} s; run it by hand in another terminal to see what it asks for",
                limit.as_secs()
            ),
        )),
    }
}

fn build(source: &Source, wanted: Option<&str>, idle: Duration) -> PortResult<Session> {
    let read = match source {
        Source::Environment => Kubeconfig::read(),
        Source::File(path) => {
            let read = Kubeconfig::read_from(path).map_err(|fault| unreadable_at(&shown(path), &fault))?;
            return from_kubeconfig(read, wanted, true, idle);
        }
        Source::Text(text) => Kubeconfig::from_yaml(text),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(fault) => return in_cluster(wanted, idle).unwrap_or_else(|| Err(unreadable(&fault))),
    };
    from_kubeconfig(kubeconfig, wanted, matches!(source, Source::Environment), idle)
}

/// The pod's own service account, where there is one and no context is wanted.
fn in_cluster(wanted: Option<&str>, idle: Duration) -> Option<PortResult<Session>> {
    if wanted.is_some_and(|name| name != IN_CLUSTER) || env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return None;
    }
    let config = Config::incluster().ok()?;
    let login = Login {
        user: "the pod's service account".to_owned(),
        advice: "the token of the pod's service account is not accepted: restart the pod".to_owned(),
    };
    Some(session(&config, None, IN_CLUSTER.to_owned(), login, idle))
}

/// The context to use, with its name: the one that is wanted, else the current one.
fn chosen(kubeconfig: &Kubeconfig, wanted: Option<&str>) -> PortResult<(String, Context)> {
    let known = || {
        let names: Vec<String> =
            kubeconfig.contexts.iter().map(|context| format!("`{}`", SafeText::new(&context.name))).collect();
        let near = wanted.and_then(|wanted| nearest(kubeconfig, wanted));
        let near = near.map(|name| format!(" (did you mean `{}`?)", SafeText::new(name))).unwrap_or_default();
        if names.is_empty() {
            "it has no contexts".to_owned()
        } else {
            format!("it has {}{near}", names.join(", "))
        }
    };
    let Some(name) =
        wanted.map(str::to_owned).or_else(|| kubeconfig.current_context.clone().filter(|n| !n.is_empty()))
    else {
        return Err(PortError::failed(format!(
            "the kubeconfig ({}) has no current context and the runbook sets none; set `target.context` ({})",
            place(),
            known()
        )));
    };
    let Some(context) =
        kubeconfig.contexts.iter().find(|context| context.name == name).and_then(|c| c.context.clone())
    else {
        return Err(PortError::new(
            Fault::NotFound,
            format!(
                "the kubeconfig ({}) has no context `{}`; {}; correct `target.context` in the runbook, or set KUBECONFIG",
                place(),
                SafeText::new(&name),
                known()
            ),
        ));
    };
    Ok((name, context))
}

fn from_kubeconfig(
    mut kubeconfig: Kubeconfig,
    wanted: Option<&str>,
    proxies: bool,
    idle: Duration,
) -> PortResult<Session> {
    let (name, context) = chosen(&kubeconfig, wanted)?;
    for user in &mut kubeconfig.auth_infos {
        if let Some(exec) = user.auth_info.as_mut().and_then(|auth| auth.exec.as_mut()) {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
    }
    let user = context.user.clone().unwrap_or_default();
    let auth = kubeconfig
        .auth_infos
        .iter()
        .find(|named| named.name == user)
        .and_then(|named| named.auth_info.clone());
    let login = Login::of(&user, &auth.unwrap_or_default());
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)
        .and_then(|n| n.cluster.clone());
    let own_proxy =
        cluster.as_ref().and_then(|cluster| cluster.proxy_url.clone()).filter(|url| !url.is_empty());
    if cluster.is_some_and(|cluster| cluster.insecure_skip_tls_verify == Some(true)) {
        return Err(PortError::failed(format!(
            "cluster `{}` in the kubeconfig turns certificate checks off (insecure-skip-tls-verify); set its \
             certificate-authority instead",
            SafeText::new(&context.cluster)
        )));
    }
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config =
        tokio::runtime::Handle::current().block_on(Config::from_custom_kubeconfig(kubeconfig, &options));
    let mut config = config.map_err(|fault| unreadable(&fault))?;
    // The client would compare NO_PROXY with the proxy's own address; what it means is the API server's.
    let proxy = match own_proxy {
        Some(url) => Some(Matcher::builder().all(url).build()),
        None => proxies.then(Matcher::from_env),
    };
    config.proxy_url = None;
    let proxy = proxy.and_then(|matcher| matcher.intercept(&config.cluster_url));
    session(&config, proxy.as_ref(), name, login, idle)
}

/// The context whose name is most like the one that is not there.
fn nearest<'a>(kubeconfig: &'a Kubeconfig, wanted: &str) -> Option<&'a str> {
    let names = kubeconfig.contexts.iter().map(|context| context.name.as_str());
    let near = names.map(|name| (strsim::damerau_levenshtein(name, wanted), name)).min()?;
    (near.0 <= wanted.len() / 2).then_some(near.1)
}

/// Where kubeconfigs are looked for.
fn place() -> String {
    env::var("KUBECONFIG")
        .ok()
        .filter(|path| !path.is_empty())
        .map_or_else(|| "~/.kube/config".to_owned(), |path| format!("KUBECONFIG={}", SafeText::new(&path)))
}

fn session(
    config: &Config,
    proxy: Option<&Intercept>,
    context: String,
    login: Login,
    idle: Duration,
) -> PortResult<Session> {
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    // Audit logs of the API server name the program by this.
    let mut config = config.clone();
    let agent = HeaderValue::from_static(concat!("cutover/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    // On a plain connection no certificate is checked, and the host need not have authorities to check one by.
    let secure = |uri: &Uri| uri.scheme_str() == Some("https");
    if !secure(&config.cluster_url) && !proxy.is_some_and(|proxy| secure(proxy.uri())) {
        config.root_cert.get_or_insert_default();
    }
    let client = client(&config, proxy, idle).map_err(|fault| {
        PortError::new(
            Fault::Denied,
            format!(
                "no connection for user `{}`: {}; {}",
                login.user(),
                plugin_words(&fault),
                login.advice()
            ),
        )
    })?;
    Ok(Session {
        client,
        context: SafeText::from(context).into(),
        server: SafeText::from(server).into(),
        login,
        generation: 0,
    })
}

/// Makes the client from kube's parts, for two things that its ready-made stack does not offer: small packets leave at
/// once (a patch is a head and a body, and the body must not wait for the head's acknowledgement, some 40 ms), and nothing
/// is ever retried, since that is decided where it is known whether a request writes.
fn client(config: &Config, proxy: Option<&Intercept>, idle: Duration) -> Result<Client, kube::Error> {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    direct.set_nodelay(true);
    direct.set_keepalive(Some(Duration::from_secs(20)));
    let Some(proxy) = proxy else { return over(config, direct, idle) };
    let (uri, auth) = (proxy.uri().clone(), proxy.basic_auth().cloned());
    match uri.scheme_str() {
        Some("https") => {
            let secure = config.rustls_https_connector_with_connector(direct)?;
            let tunnel = Tunnel::new(uri, secure);
            over(config, auth.into_iter().fold(tunnel, Tunnel::with_auth), idle)
        }
        Some("http") => {
            let tunnel = Tunnel::new(uri, direct);
            over(config, auth.into_iter().fold(tunnel, Tunnel::with_auth), idle)
        }
        _ => Err(kube::Error::ProxyProtocolUnsupported { proxy_url: Box::new(uri) }),
    }
}

fn over<H>(config: &Config, connector: H, idle: Duration) -> Result<Client, kube::Error>
where
    H: Service<Uri> + Clone + Send + Sync + 'static,
    H::Response: Connection + Read + Write + Send + Unpin + 'static,
    H::Future: Send + 'static,
    H::Error: Into<BoxError>,
{
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    // Calls have deadlines of their own, much shorter; this one ends a watch on a connection that died in silence.
    // Counting from the last write keeps pooled connections open between calls.
    connector.set_read_timeout(Some(idle));
    connector.set_write_timeout(Some(idle));
    connector.set_reset_reader_on_write(true);
    let client: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(connector);
    let client = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(ClientBuilder::new(client, config.default_namespace.clone()).build())
}

/// What went wrong while a client was made; for a credential plugin, the end of what it printed.
fn plugin_words(fault: &kube::Error) -> String {
    if let kube::Error::Auth(kube::client::AuthError::AuthExecRun { cmd: _, out }) = fault {
        let printed = String::from_utf8_lossy(&out.stderr);
        let last = printed.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        return format!("the credential plugin failed ({}): {}", out.status, SafeText::new(last.trim()));
    }
    cause(fault)
}

fn shown(path: &std::path::Path) -> String {
    SafeText::from(path.display().to_string()).into()
}

fn unreadable(fault: &KubeconfigError) -> PortError {
    unreadable_at(&place(), fault)
}

fn unreadable_at(place: &str, fault: &KubeconfigError) -> PortError {
    PortError::failed(format!(
        "no usable kubeconfig at {place}: {}\nset KUBECONFIG to a readable one, or put one at ~/.kube/config",
        SafeText::new(fault.to_string().lines().next().unwrap_or_default())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}, {name: open, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]
users:
- {name: u, user: {token: secret}}
- {name: plugin, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['-c', 'echo please log in >&2; exit 3'], interactiveMode: IfAvailable}}}
contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, user: plugin}}, {name: three, context: {cluster: open, user: u}}]
current-context: one
";

    async fn opened(text: &str, context: Option<&str>) -> Result<(String, String), String> {
        let made = open(&Source::Text(text.to_owned()), context, &Timing::default()).await;
        made.map(|session| (session.context, session.server)).map_err(|fault| fault.message)
    }

    #[tokio::test]
    async fn the_current_context_is_used_where_none_is_wanted() {
        assert_eq!(opened(TWO, None).await.unwrap(), ("one".to_owned(), "http://127.0.0.1:1".to_owned()));
    }

    #[tokio::test]
    async fn a_context_that_does_not_exist_is_answered_with_those_that_do() {
        let said = opened(TWO, Some("tree")).await.unwrap_err();
        assert!(
            said.contains("has no context `tree`; it has `one`, `two`, `three` (did you mean `three`?);"),
            "{said}"
        );
        let said = opened(TWO, Some("prod-eu-1")).await.unwrap_err();
        assert!(said.contains("it has `one`, `two`, `three`; correct `target.context`"), "{said}");
        let said = opened("{}", None).await.unwrap_err();
        assert!(said.contains("no current context") && said.contains("no contexts"), "{said}");
    }

    #[tokio::test]
    async fn a_credential_plugin_cannot_ask_and_its_last_words_are_told() {
        let said = opened(TWO, Some("two")).await.unwrap_err();
        assert!(said.contains("please log in") && said.contains("log in again with `sh`"), "{said}");
    }

    #[tokio::test]
    async fn certificate_checks_cannot_be_turned_off() {
        let said = opened(TWO, Some("three")).await.unwrap_err();
        assert!(said.contains("certificate checks off"), "{said}");
    }
}
