//! Ways for the API server to misbehave, for tests of its clients.

use std::time::Duration;

/// What happens to requests that a [`Fault`] fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// The answer is a `Status` with this code.
    Answer {
        /// The HTTP status, such as 429, 503, 504, 409, 403 or 401.
        code: u16,
        /// Seconds for `Retry-After`.
        retry_after: Option<u32>,
        /// Whether the request was carried out anyway.
        applied: bool,
    },
    /// No answer, ever.
    Hang {
        /// Whether the request was carried out anyway.
        applied: bool,
    },
    /// The connection ends without an answer.
    Reset {
        /// Whether the request was carried out anyway.
        applied: bool,
    },
    /// The request is carried out at once and answered after this much real time.
    Late(Duration),
    /// A login page with status 200, as a proxy in between would send.
    LoginPage,
    /// The watch begins with a 410 `ERROR` event and ends.
    WatchExpires,
    /// The watch ends after what it begins with.
    WatchEnds,
    /// The watch stays open and says nothing after what it begins with.
    WatchGoesSilent,
}

/// A misbehaviour and the requests that meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP method, any where `None`.
    pub method: Option<String>,
    /// A part of the path with its query, such as `/services/` or `watch=`; the empty text fits all.
    pub path: String,
    /// How many requests meet it before it is over; `u32::MAX` for all to come.
    pub times: u32,
    /// What they meet.
    pub misbehaviour: Misbehaviour,
}

impl Fault {
    /// A fault for the next request with this method whose path contains `path`.
    #[must_use]
    pub fn next(method: &str, path: &str, misbehaviour: Misbehaviour) -> Self {
        Self { method: Some(method.to_owned()), path: path.to_owned(), times: 1, misbehaviour }
    }

    /// The same for the next `times` requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    pub(super) fn fits(&self, method: &str, path: &str) -> bool {
        self.times > 0
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && path.contains(&self.path)
    }
}
