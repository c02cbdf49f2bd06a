//! The response body of a guarded service.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};

pin_project_lite::pin_project! {
    /// The response body of a guarded service: the service's own body, or the body of a refusal.
    #[derive(Debug, Clone)]
    pub struct GuardedBody<B> {
        #[pin]
        inner: Either<B, Full<Bytes>>,
    }
}

impl<B> GuardedBody<B> {
    pub(crate) const fn of_service(body: B) -> Self {
        Self { inner: Either::Left(body) }
    }

    pub(crate) const fn of_refusal(body: Full<Bytes>) -> Self {
        Self { inner: Either::Right(body) }
    }
}

impl<B> Body for GuardedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
