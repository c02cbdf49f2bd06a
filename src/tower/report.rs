//! The steps of the layers of tower and axum for a Warden that only reports.

use std::future::{Pending, poll_fn};

use http::request::Parts;
use http::{Request, Response, Version};
use http_body::Body;
use tower_service::Service;

use super::guarded_request::{Called, Detachable, Finished, GuardedRequest, RunningHandler};
use crate::body::{self, Reported, Rewound, VerifiedBody};
use crate::request_context::{Framework, SentHead, context_of};
use crate::warden::answer::Answer;
use crate::warden::{ReportedVerdict, VerifiedDelivery, Warden};

/// Verifies `request` and calls `inner` in any case, with the verdict in the extensions. The status of the response settles
/// the delivery if there is one.
///
/// `forward` and `answer` are as for [`guard`](super::guard()). `pass_on` builds the request for `inner` if it would be
/// refused.
pub(crate) fn report<F, S, B, I, O>(
    warden: Warden,
    mut inner: S,
    request: Request<B>,
    forward: impl FnOnce(&Warden, VerifiedDelivery, Parts, VerifiedBody) -> Request<I>,
    pass_on: impl FnOnce(Parts, Rewound<B>) -> Request<I>,
    answer: impl Fn(Result<S::Response, Answer>) -> Response<O>,
) -> impl Detachable<Output = Result<Response<O>, S::Error>>
where
    F: Framework,
    S: Service<Request<I>>,
    B: Body,
{
    let (mut parts, body) = request.into_parts();
    GuardedRequest::new(async move {
        let context = context_of::<F>(&warden, &mut parts).await;
        let reported = body::receive_whole(&warden, &SentHead::<F>::new(&parts), context, body).await;
        let (mut admitted, forwarded) = match reported {
            Reported::Accepted(admitted, body) => {
                let delivery = admitted.delivery().clone();
                parts.extensions.insert(ReportedVerdict::ACCEPTED);
                parts.extensions.insert(delivery.clone());
                (Some(admitted), forward(&warden, delivery, parts, body))
            }
            Reported::Refused(verdict, body) => {
                parts.extensions.insert(verdict);
                (None, pass_on(parts, body))
            }
            Reported::Handshake(reply, body) => {
                let closes = parts.version < Version::HTTP_2 && !body.was_read();
                let reply = if closes { reply.closing_connection() } else { reply };
                return Err(Ok(answer(Err(reply))));
            }
        };
        // Wait for longer than the lease: the Warden does not answer instead of the handler.
        poll_fn(|cx| inner.poll_ready(cx)).await.map_err(Err)?;
        let running = RunningHandler::of(warden);
        let handler = inner.call(forwarded);
        let finish = move |returned: Result<S::Response, S::Error>| {
            let returned = returned.map(|response| answer(Ok(response)));
            if let (Some(admitted), Ok(response)) = (&mut admitted, &returned) {
                // A Warden that only reports has no shared store to wait for.
                admitted.settle_by_status_now(response.status());
            }
            Finished::<Pending<_>>::Answered(returned)
        };
        Ok(Called { running, handler, finish })
    })
}
