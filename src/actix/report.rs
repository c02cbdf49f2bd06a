//! The steps of the middleware for a Warden that only reports.

use std::cell::Cell;
use std::future::Pending;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::{Error, HttpMessage as _};
use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as _, Frame};

use super::request::{ActixBody, Unread, http_status, payload_of, status_of};
use crate::body::{self, Reported, Rewound};
use crate::tower::{Called, Detachable, Finished, GuardedRequest, RunningHandler};
use crate::warden::{ReportedVerdict, Warden};
use crate::webhook::VerifiedRequest;

/// Verifies `request` and calls `inner` in any case, with the verdict in the extensions. The status of the response settles
/// the delivery if there is one.
pub(super) fn report<S, B>(
    inner: Rc<S>,
    warden: Warden,
    request: ServiceRequest,
) -> impl Detachable<Output = Result<ServiceResponse<EitherBody<B>>, Error>>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    GuardedRequest::new(async move {
        let (http, payload) = request.into_parts();
        let reported = {
            let (head, context, body) = super::request::parts_of(&warden, &http, payload);
            body::receive_whole(&warden, &head, context, body).await
        };
        let (mut admitted, payload) = match reported {
            Reported::Accepted(admitted, body) => {
                let (delivery, answer_writer) = (admitted.delivery().clone(), warden.answer_writer().cloned());
                http.extensions_mut().insert(ReportedVerdict::ACCEPTED);
                http.extensions_mut().insert(delivery.clone());
                http.extensions_mut().insert(VerifiedRequest { delivery, body: body.clone(), answer_writer });
                (Some(admitted), payload_of(body))
            }
            Reported::Refused(verdict, body) => {
                http.extensions_mut().insert(verdict);
                (None, whole(body))
            }
            Reported::Handshake(answer, body) => {
                // As after a refusal, so that the connection can be reused.
                tokio::task::yield_now().await;
                let unread = Unread { answer, payload: Cell::new(Some(whole(body))) };
                return Err(Ok(ServiceResponse::new(http, unread.into_response().map_into_right_body())));
            }
        };
        let running = RunningHandler::of(warden);
        let handler = inner.call(ServiceRequest::from_parts(http, payload));
        let finish = move |returned: Result<ServiceResponse<B>, Error>| {
            if let Some(admitted) = &mut admitted {
                // A Warden that only reports has no shared store to wait for.
                admitted.settle_by_status_now(http_status(status_of(&returned)));
            }
            Finished::<Pending<_>>::Answered(returned.map(ServiceResponse::map_into_left_body))
        };
        Ok(Called { running, handler, finish })
    })
}

/// Returns the payload as it was sent.
fn whole(body: Rewound<ActixBody>) -> Payload {
    Payload::Stream { payload: Box::pin(Whole(body)) }
}

struct Whole(Rewound<ActixBody>);

impl Stream for Whole {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = Pin::new(&mut self.0).poll_frame(cx);
        // actix-web's payload has no trailers.
        frame.map(|next| next.map(|frame| frame.map(|frame| Frame::into_data(frame).unwrap_or_default())))
    }
}
