//! An answer of a simulated server.

use serde_json::Value as Json;

/// An HTTP answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Reply {
    /// An answer from its parts.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body }
    }

    /// 200 with plain text.
    #[must_use]
    pub fn text(body: &str) -> Self {
        Self::new(200, "text/plain; charset=utf-8", body.to_owned())
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: u16, body: &Json) -> Self {
        Self::new(status, "application/json", body.to_string())
    }
}
