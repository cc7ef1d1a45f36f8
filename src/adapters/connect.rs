//! Whether a host accepts a connection, without a byte being sent to it: for what will be written to later.

use std::time::Duration;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::{TcpStream, lookup_host};

use super::http::web_url;

/// Connects to the host of a URL, or to the proxy that leads there, and closes the connection again. Gives the way it took;
/// texts never name the host, which may be a secret.
///
/// # Errors
/// Why there is no connection.
pub async fn accepts(url: &str, limit: Duration) -> Result<String, String> {
    let url = web_url(url)?;
    let uri: Uri = url.as_str().parse().map_err(|_| "not a valid URL".to_owned())?;
    let through = Matcher::from_env().intercept(&uri);
    let (host, port, way) = if let Some(proxy) = &through {
        let uri = proxy.uri();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        (uri.host().unwrap_or_default().to_owned(), port, "the proxy")
    } else {
        let host = url.host_str().unwrap_or_default().to_owned();
        (host, url.port_or_known_default().unwrap_or(443), "the host")
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let connected = tokio::time::timeout(limit, async {
        let mut found = lookup_host((host.as_str(), port))
            .await
            .map_err(|_| format!("the name of {way} does not resolve"))?
            .peekable();
        if found.peek().is_none() {
            return Err(format!("the name of {way} does not resolve"));
        }
        let mut last = String::new();
        for address in found {
            match TcpStream::connect(address).await {
                Ok(_) => return Ok(format!("{way} accepts connections; nothing was sent")),
                Err(why) if why.kind() == std::io::ErrorKind::ConnectionRefused => {
                    last = format!("{way} refuses connections");
                }
                Err(why) => last = format!("{way} cannot be reached: {}", why.kind()),
            }
        }
        Err(last)
    });
    connected.await.unwrap_or_else(|_| Err(format!("no connection to {way} within {} s", limit.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::testing::{Reply, nobody, serve};

    #[tokio::test]
    async fn a_connection_is_made_and_nothing_sent() {
        let (address, requests) = serve(|_| Reply::Close).await;
        let limit = Duration::from_secs(5);
        let said = accepts(&format!("http://{address}/services/secret"), limit).await;
        assert_eq!(said, Ok("the host accepts connections; nothing was sent".to_owned()));
        assert_eq!(requests.lock().unwrap().len(), 0);
        let said = accepts(&format!("http://{}/secret", nobody().await), limit).await;
        assert_eq!(said, Err("the host refuses connections".to_owned()));
        let said = accepts("https://canary.invalid/secret", limit).await.unwrap_err();
        assert!(said == "the name of the host does not resolve" && !said.contains("canary"), "{said}");
    }
}
