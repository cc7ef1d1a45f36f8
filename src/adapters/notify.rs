//! Notices to a Slack-compatible incoming webhook.
//!
//! Sent once and never again: a notice that came twice is worse than one that is known to be missing. The webhook's URL
//! is a secret, its host included, so no message names it, not even where the server repeats it.

use async_trait::async_trait;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{
    http::{
        BadHttp, HttpOptions,
        client::{Ask, Client, NoAnswer},
        web_url,
    },
    tls::Trust,
};
use crate::{
    domain::time::Span,
    engine::ports::{Fault, Notifier, PortError, PortResult},
};

/// A notice that takes longer has failed.
const DEADLINE: Span = Span::from_secs(10);

/// Sends notices.
#[derive(Debug)]
pub struct WebhookNotifier {
    client: Client,
    deadline: Span,
}

impl WebhookNotifier {
    /// A notifier with connections of its own.
    ///
    /// # Errors
    /// Where the added certificates or the proxy's address are no good.
    pub fn new(options: &HttpOptions) -> Result<Self, BadHttp> {
        let trust = Trust::load(options.extra_ca_pem.as_deref())?;
        Ok(Self { client: Client::new(options, &trust)?, deadline: DEADLINE })
    }
}

/// Text as Slack wants it: its three control characters escaped, so that foreign text can ping nobody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The word a Slack-compatible server refuses with, such as `invalid_token`; nothing else of its answer is repeated.
fn error_word<'a>(body: &'a str, webhook: &str) -> Option<&'a str> {
    let word = body.trim();
    let looks_like_one =
        (1..=40).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (looks_like_one && !webhook.contains(word)).then_some(word)
}

#[async_trait]
impl Notifier for WebhookNotifier {
    async fn send(&self, webhook: &str, text: &str) -> PortResult<String> {
        let url = web_url(webhook)
            .map_err(|_| PortError::failed("the webhook is not a valid http:// or https:// URL"))?;
        let ask = Ask {
            method: Method::POST,
            url,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
            body: Some(serde_json::json!({ "text": escaped(text) }).to_string().into_bytes()),
            timeout: self.deadline,
            follow: false,
            alias: Some("the webhook's server"),
        };
        let answer = match self.client.ask(ask).await {
            Ok(answer) => answer,
            Err(NoAnswer::NotSent(why)) => {
                return Err(PortError::failed(format!("{why}; the notice was not sent")));
            }
            Err(NoAnswer::Lost(why) | NoAnswer::Unusable(why)) => {
                return Err(PortError::new(Fault::Unknown, format!("{why}; the notice may have arrived")));
            }
        };
        let status = answer.status.as_u16();
        if answer.status.is_success() {
            return Ok(format!("sent, {status} in {} ms", answer.took.as_millis()));
        }
        let word = error_word(&answer.text(), webhook).map(|word| format!(": {word}")).unwrap_or_default();
        let kind = if matches!(status, 401 | 403) { Fault::Denied } else { Fault::Failed };
        Err(PortError::new(kind, format!("the webhook answered {status}{word}; the notice was not sent")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::{
        http::Proxying,
        testing::{Reply, nobody, serve},
    };

    /// For servers that do answer: no test may depend on how busy its host is.
    const PATIENCE: Span = Span::from_secs(60);

    fn notifier(deadline: Span) -> WebhookNotifier {
        let options = HttpOptions { proxy: Proxying::Direct, ..HttpOptions::default() };
        WebhookNotifier { deadline, ..WebhookNotifier::new(&options).unwrap() }
    }

    #[tokio::test]
    async fn a_notice_is_sent_as_slack_wants_it() {
        let (address, requests) = serve(|_| Reply::text("ok")).await;
        let said = notifier(PATIENCE)
            .send(&format!("http://{address}/services/T0/B0/x"), "rate > 1 % <!channel> \"q\"\n& more")
            .await;
        assert!(said.unwrap().starts_with("sent, 200 in "));
        let request = requests.lock().unwrap().pop().unwrap();
        assert!(request.starts_with("POST /services/T0/B0/x HTTP/1.1"));
        assert!(request.to_lowercase().contains("content-type: application/json"));
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, serde_json::json!({ "text": "rate &gt; 1 % &lt;!channel&gt; \"q\"\n&amp; more" }));
    }

    /// X1 and X3 at this height: whatever happens it is sent once, is over at the deadline, and names no part of the URL.
    #[tokio::test]
    async fn x1_no_fault_names_the_url_and_nothing_is_sent_twice() {
        let secret = "T0canary/B1/s3cret_word";
        let replies = [
            (
                Reply::http("404 Not Found", "text/html", format!("Cannot POST /services/{secret}")),
                Fault::Failed,
                "answered 404",
            ),
            (
                Reply::http("404 Not Found", "text/plain", "no_service"),
                Fault::Failed,
                "answered 404: no_service",
            ),
            (
                Reply::http("403 Forbidden", "text/plain", "invalid_token"),
                Fault::Denied,
                "answered 403: invalid_token",
            ),
            (Reply::http("400 Bad Request", "text/plain", "canary"), Fault::Failed, "answered 400;"),
            (
                Reply::http("429 Too Many Requests", "text/plain", "rate_limited"),
                Fault::Failed,
                "answered 429: rate_limited",
            ),
            (Reply::http("500 Oops", "text/plain", ""), Fault::Failed, "answered 500"),
            (Reply::with("302 Found", &[("Location", "/elsewhere")], ""), Fault::Failed, "answered 302"),
            (Reply::Close, Fault::Unknown, "may have arrived"),
            (Reply::Hang, Fault::Unknown, "within 1s"),
        ];
        for (reply, kind, says) in replies {
            let deadline = if matches!(reply, Reply::Hang) { Span::from_secs(1) } else { PATIENCE };
            let (address, requests) = serve(move |_| reply.clone()).await;
            let error = notifier(deadline)
                .send(&format!("http://{address}/services/{secret}"), "x")
                .await
                .unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(says), "{error}");
            assert!(!error.message.contains("canary") && !error.message.contains("127.0.0.1"), "{error}");
            assert_eq!(requests.lock().unwrap().len(), 1);
        }
        let error = notifier(PATIENCE)
            .send(&format!("http://{}/services/{secret}", nobody().await), "x")
            .await
            .unwrap_err();
        assert_eq!(
            error,
            PortError::failed("the webhook's server refused the connection; the notice was not sent")
        );
        let error = notifier(PATIENCE).send(&format!("{secret} is no url"), "x").await.unwrap_err();
        assert!(!error.message.contains("canary"), "{error}");
    }
}
