//! The body of an answer.

use std::fmt;

use http::HeaderValue;

/// An application's own body for an answer, returned by the closure of
/// [`WardenBuilder::answer_body`](crate::warden::WardenBuilder::answer_body).
///
/// ```
/// use hookwarden::warden::{Answer, AnswerBody};
///
/// fn write(answer: &Answer) -> Option<AnswerBody> {
///     let status = answer.status().as_u16();
///     Some(AnswerBody::new("application/problem+json", format!(r#"{{"status":{status}}}"#)))
/// }
/// ```
#[derive(Clone)]
pub struct AnswerBody {
    pub(super) content_type: HeaderValue,
    pub(super) bytes: Vec<u8>,
}

/// Prints the length of the body, because the answer to a handshake can contain a MAC.
impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody")
            .field("content_type", &self.content_type)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

impl AnswerBody {
    /// Creates a body with this `Content-Type`. A content type that is not a valid header value is replaced by
    /// `application/octet-stream`.
    #[must_use]
    pub fn new(content_type: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let content_type = HeaderValue::from_str(content_type);
        Self {
            content_type: content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
            bytes: bytes.into(),
        }
    }

    #[cfg(feature = "_router")]
    pub(crate) fn into_parts(self) -> (HeaderValue, Vec<u8>) {
        (self.content_type, self.bytes)
    }
}
