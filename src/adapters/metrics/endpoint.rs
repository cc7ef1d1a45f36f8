//! One source's URL, asked over and over, and what a number that it gives must be to be believed.

use reqwest::{Method, Url, header::HeaderMap};

use crate::{
    adapters::http::{
        HttpOptions,
        client::{Answer, Ask, Client, NoAnswer},
    },
    domain::{
        metric::Missing,
        slot_labels::SlotLabels,
        time::{Span, Timestamp},
    },
};

/// What a number rests on is never older than this, or two intervals.
const OLDEST: Span = Span::from_secs(90);

/// No clock is further ahead of ours than this.
const FURTHEST_AHEAD: Span = Span::from_secs(10);

/// So many characters of what a server says are shown.
pub(super) const WORDS: usize = 160;

/// A number and when it was true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::adapters) struct Reading {
    pub(in crate::adapters) at: Timestamp,
    pub(in crate::adapters) value: f64,
}

impl Reading {
    /// Itself, where it is a number and its time is believable.
    pub(super) fn checked(self, interval: Span, now: Timestamp) -> Result<Self, Missing> {
        if !self.value.is_finite() {
            return Err(Missing::NotANumber);
        }
        if self.at > now + FURTHEST_AHEAD {
            return Err(Missing::Stale(format!("its clock is {} ahead of ours", self.at.since(now).short())));
        }
        fresh(self.at, interval, now)?;
        Ok(self)
    }
}

/// Nothing, where a point of this time is fresh enough to rest on.
pub(in crate::adapters) fn fresh(at: Timestamp, interval: Span, now: Timestamp) -> Result<(), Missing> {
    let oldest = OLDEST.max(interval.saturating_add(interval));
    let age = now.since(at);
    if age > oldest {
        Err(Missing::Stale(format!("the newest point is {} old", age.short())))
    } else {
        Ok(())
    }
}

/// A URL with its headers, asked over and over.
#[derive(Debug)]
pub(in crate::adapters) struct Endpoint {
    pub(super) client: Client,
    pub(in crate::adapters) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Span,
    pub(super) options: HttpOptions,
}

impl Endpoint {
    /// Reads from `url`, which is this endpoint's own or one below it.
    ///
    /// # Errors
    /// Where there is no answer, or one that leads elsewhere or is a page for people. Other answers are the caller's to
    /// judge, whatever their status.
    pub(in crate::adapters) async fn read(&self, url: Url, extra: HeaderMap) -> Result<Answer, Missing> {
        let mut headers = self.headers.clone();
        headers.extend(extra);
        let ask = Ask {
            method: Method::GET,
            url,
            headers,
            body: None,
            timeout: self.timeout,
            follow: true,
            alias: None,
        };
        let answer = self.client.ask(ask).await.map_err(|why| match why {
            NoAnswer::NotSent(message) | NoAnswer::Lost(message) => Missing::Unreachable(message),
            NoAnswer::Unusable(message) => Missing::BadAnswer(message),
        })?;
        if let Some(target) = &answer.sent_to {
            return Err(Missing::BadAnswer(format!(
                "redirected to {}, which was not followed",
                self.quote(target)
            )));
        }
        if answer.is_html() {
            return Err(Missing::BadAnswer(format!(
                "status {} with an HTML page instead of metrics",
                answer.status.as_u16()
            )));
        }
        Ok(answer)
    }

    /// What the server said, as it may be shown.
    pub(in crate::adapters) fn quote(&self, text: &str) -> String {
        self.options.quote(text, WORDS)
    }
}

/// The expression with `$slot` and the like replaced by what they are for this slot.
///
/// # Errors
/// If something that it names is not known yet.
pub(in crate::adapters) fn with_slot(text: &str, slot: Option<&SlotLabels>) -> Result<String, Missing> {
    slot.map_or_else(|| Ok(text.to_owned()), |slot| slot.fill(text))
}
