//! The steps that the layers of tower and axum share.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::guarded_request::{Called, Detachable, Finished, GuardedRequest, RunningHandler};
use super::receive::receive;
use crate::body::VerifiedBody;
use crate::request_context::{Framework, context_of};
use crate::warden::answer::Answer;
use crate::warden::{VerifiedDelivery, Warden};

/// Verifies `request`, waits until `inner` is ready, calls it with the verified body, and settles the delivery by the
/// status of its response.
///
/// `forward` builds the request for `inner`. `answer` maps the response of `inner`, or the Warden's answer. It can be called
/// for both: the Warden replaces a success of a handler that took its claim and did not commit.
pub(crate) fn guard<F, S, B, I, O>(
    warden: Warden,
    mut inner: S,
    request: Request<B>,
    forward: impl FnOnce(&Warden, VerifiedDelivery, Parts, VerifiedBody) -> Request<I>,
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
        let (mut admitted, body) = match receive::<F, _>(&warden, &parts, context, body).await {
            Ok(received) => received,
            Err(unhandled) => return Err(Ok(answer(Err(unhandled.into_answer())))),
        };
        // Wait for `inner` only now, so that unverified requests hold no permit of a concurrency limit behind the
        // Warden. If the service fails or the client disconnects here, dropping `admitted` releases the delivery.
        let mut lease = None;
        let ready = poll_fn(|cx| match inner.poll_ready(cx) {
            Poll::Ready(ready) => Poll::Ready(Some(ready)),
            // After the lease a copy may be admitted. Create the timer only here, because most services are ready
            // immediately.
            Poll::Pending => {
                lease.get_or_insert_with(|| Box::pin(warden.lease_over())).as_mut().poll(cx).map(|()| None)
            }
        });
        match ready.await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(Err(error)),
            None => return Err(Ok(answer(Err(warden.busy_answer())))),
        }
        drop(lease);
        parts.extensions.insert(admitted.delivery().clone());
        let forwarded = forward(&warden, admitted.delivery().clone(), parts, body);
        let running = RunningHandler::of(warden);
        let handler = inner.call(forwarded);
        let finish = move |returned: Result<S::Response, S::Error>| match returned {
            Ok(response) => {
                let mut response = answer(Ok(response));
                for (name, value) in admitted.quota_fields().into_iter().flatten() {
                    response.headers_mut().insert(name, value);
                }
                if admitted.settle_by_status_now(response.status()) {
                    return Finished::Answered(Ok(response));
                }
                Finished::Settling(Box::pin(async move {
                    let instead = admitted.settle_by_status().await;
                    Ok(instead.map_or(response, |instead| answer(Err(instead))))
                }))
            }
            // Dropping `admitted` releases the delivery.
            Err(error) => Finished::Answered(Err(error)),
        };
        Ok(Called { running, handler, finish })
    })
}
