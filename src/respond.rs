//! What a refused sender is told, once for all frameworks.

use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use crate::error::Reason;

/// The answer to a refused request. All failures to authenticate have the same one.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    body: Option<AnswerBody>,
}

/// An application's own body for an answer.
#[derive(Debug, Clone)]
pub struct AnswerBody {
    content_type: HeaderValue,
    bytes: Vec<u8>,
}

impl AnswerBody {
    /// A body of the media type `content_type`.
    #[must_use]
    pub fn new(content_type: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let content_type = HeaderValue::from_str(content_type);
        Self {
            content_type: content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
            bytes: bytes.into(),
        }
    }
}

impl Answer {
    pub(crate) fn to(reason: Reason, writer: Option<&AnswerWriter>) -> Self {
        let mut answer = Self { status: status(reason), body: None };
        answer.body = writer.and_then(|writer| (writer.0)(&answer));
        answer
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer as a message of the `http` crate.
    pub fn into_response<B: From<Vec<u8>>>(self) -> Response<B> {
        let (content_type, bytes) = match self.body {
            Some(body) => (Some(body.content_type), body.bytes),
            None => (None, Vec::new()),
        };
        let mut response = Response::new(B::from(bytes));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 11.6.1 asks for a challenge with every 401.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Webhook"));
        }
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        response
    }
}

const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::MissingHeader
        | Reason::DuplicateHeader
        | Reason::MalformedSignature
        | Reason::MalformedTimestamp
        | Reason::MalformedHeader
        | Reason::TooManyCandidates
        | Reason::Stale
        | Reason::Early
        | Reason::NoLiveKey
        | Reason::Mismatch
        | Reason::UnknownId => StatusCode::UNAUTHORIZED,
        Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
        Reason::BodyInterrupted => StatusCode::BAD_REQUEST,
        Reason::NoRequestLine | Reason::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Writes the bodies of answers for an application.
#[derive(Clone)]
pub(crate) struct AnswerWriter(Arc<Write>);

type Write = dyn Fn(&Answer) -> Option<AnswerBody> + Send + Sync;

impl AnswerWriter {
    pub(crate) fn new(write: impl Fn(&Answer) -> Option<AnswerBody> + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }
}

impl fmt::Debug for AnswerWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerWriter(…)")
    }
}
