//! Receives a request, and closes the connection if the body of a refused request was not read completely.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use http::Version;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};

use crate::body::{self, Unhandled, VerifiedBody};
use crate::request_context::{Framework, RequestContext, SentHead};
use crate::warden::{Admitted, Warden};

/// Verifies a request. If the body of a refused request was not read completely, the answer closes an HTTP/1
/// connection: the server cannot find the next request after the rest of the body. HTTP/2 has no `Connection` field
/// (RFC 9113 section 8.2.2).
pub(crate) async fn receive<F: Framework, B: Body>(
    warden: &Warden,
    parts: &Parts,
    context: RequestContext,
    body: B,
) -> Result<(Box<Admitted>, VerifiedBody), Unhandled> {
    let mut body = pin!(TrackedBody { body, has_ended: false });
    match body::receive(warden, &SentHead::<F>::new(parts), context, body.as_mut()).await {
        Err(unhandled) if parts.version < Version::HTTP_2 && !body.is_end_stream() => {
            Err(unhandled.closing_connection())
        }
        received => received,
    }
}

pin_project_lite::pin_project! {
    /// A body that records whether it was read completely. hyper does not report that for a chunked body.
    struct TrackedBody<B> {
        #[pin]
        body: B,
        has_ended: bool,
    }
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        *this.has_ended = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
