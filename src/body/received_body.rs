//! The body that the tower layer passes on.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use super::rewind::Rewound;
use super::verified_body::VerifiedBody;

/// The body of a request that the layer passes on: verified, unless the Warden [only
/// reports](crate::warden::WardenBuilder::danger_report_only).
///
/// Reading a verified body never fails.
///
/// ```
/// use bytes::Bytes;
/// use hookwarden::tower::ReceivedBody;
/// use http_body_util::{BodyExt as _, Collected};
///
/// type BoxError = Box<dyn std::error::Error + Send + Sync>;
///
/// async fn handle(request: http::Request<ReceivedBody>) -> Result<Bytes, BoxError> {
///     request.into_body().collect().await.map(Collected::to_bytes)
/// }
/// ```
#[derive(Debug)]
pub struct ReceivedBody {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Verified(VerifiedBody),
    /// The request would be refused.
    Reported(UnsyncBoxBody<Bytes, BoxError>),
}

type BoxError = Box<dyn Error + Send + Sync>;

impl ReceivedBody {
    pub(crate) const fn verified(body: VerifiedBody) -> Self {
        Self { kind: Kind::Verified(body) }
    }

    pub(crate) fn reported<B>(body: Rewound<B>) -> Self
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
        B::Error: Send,
    {
        Self { kind: Kind::Reported(body.map_err(Into::into).boxed_unsync()) }
    }

    /// Returns the verified body. It can be cloned, and its error type is `Infallible`.
    ///
    /// # Errors
    /// Returns the body unchanged if the request would have been refused, which happens only if the Warden [only
    /// reports](crate::warden::WardenBuilder::danger_report_only).
    pub fn into_verified(self) -> Result<VerifiedBody, Self> {
        match self.kind {
            Kind::Verified(body) => Ok(body),
            kind => Err(Self { kind }),
        }
    }
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::Verified(body) => Poll::Ready(body.next_chunk().map(Frame::data).map(Ok)),
            Kind::Reported(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Verified(body) => body.is_end_stream(),
            Kind::Reported(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Verified(body) => body.size_hint(),
            Kind::Reported(body) => body.size_hint(),
        }
    }
}
