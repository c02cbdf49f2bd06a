//! The answers to refused requests, for all frameworks.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};

use super::answer_body::AnswerBody;
use super::quota_fields::{Policy, whole_seconds};
use crate::error::Reason;
use crate::event::RefusalReason;
use crate::limit::{Quota, QuotaState};

/// The answer to a request that does not reach the handler. All authentication failures have the same answer.
///
/// The closure of [`WardenBuilder::answer_body`](crate::warden::WardenBuilder::answer_body) reads it to write a body.
/// Without an adapter, the server sends it:
///
/// ```
/// use hookwarden::headers::NoHeaders;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys).build()?;
///
/// let refused = warden.examine(&NoHeaders, None).expect_err("the request has no signature");
/// let (status, headers, body) = refused.into_answer().into_parts();
/// assert_eq!(status, 401);
/// assert_eq!(headers["www-authenticate"], "Webhook");
/// assert!(body.is_empty());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    is_payload_rejection: bool,
    is_handshake: bool,
    hint: RetryHint,
    /// The header that lists the accepted methods or content types, or the one of a handshake.
    header: Option<Arc<(HeaderName, HeaderValue)>>,
    body: Option<Box<AnswerBody>>,
    closes_connection: bool,
}

/// When the sender may retry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RetryHint {
    /// The answer has no `Retry-After`.
    None,
    For(Duration),
    /// When the quota permits it. The answer also describes the quota.
    ByQuota {
        retry_after: Duration,
        quota: Quota,
        quota_state: QuotaState,
    },
}

impl RetryHint {
    /// Returns `ByQuota` if `quota` is set, and `For` otherwise.
    pub(crate) fn by_quota(retry_after: Duration, quota: Option<Quota>, quota_state: QuotaState) -> Self {
        match quota {
            Some(quota) => Self::ByQuota { retry_after, quota, quota_state },
            None => Self::For(retry_after),
        }
    }
}

impl Answer {
    pub(crate) fn to(
        reason: RefusalReason,
        hint: RetryHint,
        duplicates_conflict: bool,
        writer: Option<&AnswerWriter>,
    ) -> Self {
        let status = match reason {
            RefusalReason::Replayed if duplicates_conflict => StatusCode::CONFLICT,
            _ => status(reason),
        };
        Self::with_status(status, hint, writer)
    }

    /// Returns the answer to an admitted request that was not handled: its service is not ready, or did not commit.
    #[cfg(feature = "tower")]
    pub(super) fn busy(writer: Option<&AnswerWriter>) -> Self {
        Self::with_status(StatusCode::SERVICE_UNAVAILABLE, RetryHint::For(BUSY_RETRY), writer)
    }

    pub(super) fn to_handshake(
        status: StatusCode,
        header: Option<Arc<(HeaderName, HeaderValue)>>,
        body: Option<AnswerBody>,
    ) -> Self {
        let body = body.map(Box::new);
        Self { is_handshake: true, header, body, ..Self::without_body(status, RetryHint::None) }
    }

    fn with_status(status: StatusCode, hint: RetryHint, writer: Option<&AnswerWriter>) -> Self {
        let mut answer = Self::without_body(status, hint);
        // A duplicate that is answered with 200 is not a refusal.
        if !status.is_success() {
            answer.body = writer.and_then(|writer| writer.write(&answer)).map(Box::new);
        }
        answer
    }

    const fn without_body(status: StatusCode, hint: RetryHint) -> Self {
        Self {
            status,
            is_payload_rejection: false,
            is_handshake: false,
            hint,
            header: None,
            body: None,
            closes_connection: false,
        }
    }

    /// Adds the header that lists the accepted methods or content types.
    pub(crate) fn with_header(self, header: Option<Arc<(HeaderName, HeaderValue)>>) -> Self {
        Self { header, ..self }
    }

    /// Adds `Connection: close`, which only HTTP/1 has.
    #[cfg(feature = "tower")]
    pub(crate) fn closing_connection(self) -> Self {
        Self { closes_connection: true, ..self }
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns whether the Warden admitted the request and the handler's extractor then rejected its payload: invalid
    /// JSON, a missing field, a wrong `Content-Type`. The answer has the status of that rejection.
    ///
    /// `false` means that the Warden refused the request.
    #[must_use]
    pub const fn is_payload_rejection(&self) -> bool {
        self.is_payload_rejection
    }

    /// Returns whether this answers a [handshake](crate::handshake), also one that a [`Refused`](super::Refused) copies.
    #[must_use]
    pub const fn is_handshake(&self) -> bool {
        self.is_handshake
    }

    /// Returns the time after which the sender may retry, if the answer has one. `Retry-After` contains it in whole
    /// seconds, rounded up.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.hint {
            RetryHint::None => None,
            RetryHint::For(wait) | RetryHint::ByQuota { retry_after: wait, .. } => Some(wait),
        }
    }

    /// Returns the status, the headers and the body. The body is empty unless the application wrote one.
    #[must_use]
    pub fn into_parts(self) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 11.6.1 requires a challenge with every 401.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Webhook"));
        }
        if let Some((name, value)) = self.header.as_deref() {
            headers.insert(name, value.clone());
        }
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if let RetryHint::ByQuota { quota, quota_state, .. } = self.hint {
            headers.extend(Policy::from(quota).fields(quota_state));
        }
        if self.is_handshake {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // The client writes the challenge, so a browser must not guess that it is HTML.
            if self.body.is_some() {
                headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            }
        }
        if self.closes_connection {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match self.body {
            Some(body) => {
                headers.insert(CONTENT_TYPE, body.content_type);
                (self.status, headers, body.bytes)
            }
            None => (self.status, headers, Vec::new()),
        }
    }

    /// Converts the answer into a response of the `http` crate.
    pub fn into_response<B: From<Vec<u8>>>(self) -> Response<B> {
        let (status, headers, body) = self.into_parts();
        let mut response = Response::new(B::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

const fn status(reason: RefusalReason) -> StatusCode {
    match reason {
        RefusalReason::Unverified(Reason::NoRequestLine)
        | RefusalReason::LookupPanicked
        | RefusalReason::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        RefusalReason::Unverified(_) | RefusalReason::UnknownId => StatusCode::UNAUTHORIZED,
        RefusalReason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        RefusalReason::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RefusalReason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalReason::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
        RefusalReason::BodyInterrupted => StatusCode::BAD_REQUEST,
        RefusalReason::QuotaExceeded | RefusalReason::PeerBlocked | RefusalReason::HandshakeQuotaExceeded => {
            StatusCode::TOO_MANY_REQUESTS
        }
        // The delivery was handled, so the sender should stop retrying.
        RefusalReason::Replayed => StatusCode::OK,
        RefusalReason::InProgress => StatusCode::CONFLICT,
        RefusalReason::BodyBudgetExceeded
        | RefusalReason::KeyStoreUnavailable
        | RefusalReason::ReplayStoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The application's closure that writes the bodies of answers.
#[derive(Clone)]
pub(crate) struct AnswerWriter(Arc<Write>);

type Write = dyn Fn(&Answer) -> Option<AnswerBody> + Send + Sync;

impl AnswerWriter {
    pub(crate) fn new(write: impl Fn(&Answer) -> Option<AnswerBody> + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Returns the body for a payload that the handler's extractor rejected with `status`.
    #[cfg(feature = "_router")]
    pub(crate) fn write_for_payload(&self, status: StatusCode) -> Option<AnswerBody> {
        self.write(&Answer { is_payload_rejection: true, ..Answer::without_body(status, RetryHint::None) })
    }

    /// Returns `None` if the application's closure panics.
    fn write(&self, answer: &Answer) -> Option<AnswerBody> {
        catch_unwind(AssertUnwindSafe(|| (self.0)(answer))).ok().flatten()
    }
}

impl fmt::Debug for AnswerWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerWriter(…)")
    }
}

/// The `Retry-After` of an admitted request that was not handled.
#[cfg(feature = "tower")]
const BUSY_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up() {
        for (millis, seconds) in [(1, 1), (600, 1), (1_000, 1), (1_001, 2), (59_400, 60)] {
            let hint = RetryHint::For(Duration::from_millis(millis));
            let (_, headers, _) = Answer::to(RefusalReason::PeerBlocked, hint, false, None).into_parts();
            assert_eq!(headers[RETRY_AFTER], seconds.to_string(), "{millis} ms");
        }
    }

    #[test]
    fn quota_refusal_has_the_fields_of_the_draft() {
        let quota = Quota::per_minute(100).unwrap();
        let quota_state = QuotaState { remaining: 7, reset: Duration::from_millis(55_800) };
        let hint = RetryHint::ByQuota { retry_after: Duration::from_millis(600), quota, quota_state };
        let (status, headers, body) = Answer::to(RefusalReason::QuotaExceeded, hint, false, None).into_parts();
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(headers["ratelimit-policy"], "\"webhook\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"webhook\";r=7;t=56");
        assert_eq!(headers["retry-after"], "1");
        assert!(body.is_empty());
    }

    #[test]
    fn duplicate_is_answered_200_or_409_by_setting() {
        let status = |conflict| Answer::to(RefusalReason::Replayed, RetryHint::None, conflict, None).status();
        assert_eq!((status(false), status(true)), (StatusCode::OK, StatusCode::CONFLICT));
    }
}
