//! actix-web: [`WardenMiddleware`] for a resource, the extractor [`Webhook`], and [`SignedGuard`] for routing.
//!
//! ```
//! use actix_web::{App, web};
//! use hookwarden::actix::{WardenMiddleware, Webhook};
//! use hookwarden::{Keyring, Scheme, Warden};
//!
//! async fn order(webhook: Webhook<web::Bytes>) -> String {
//!     format!("{} bytes of {}", webhook.payload.len(), webhook.delivery().webhook_id())
//! }
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let warden = Warden::builder(scheme).sender("acme", keys).build()?;
//! let app = App::new().service(
//!     web::resource("/webhooks/{id}").wrap(WardenMiddleware::new(warden)).route(web::post().to(order)),
//! );
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! * Wrap the resource: around a whole `App` there are no path parameters yet.
//! * actix-web limits extractors by itself, `Bytes` and `String` to 256 KiB, `Json<T>` to 2 MiB. A body that the Warden
//!   admits but the extractor refuses is answered 413 and not committed; raise `PayloadConfig` or `JsonConfig`.
//! * actix-web answers `Expect: 100-continue` before any middleware runs, whatever the head is worth, and reads up to 32 KiB
//!   of a body ahead by itself. The Warden polls nothing of it before the head has passed.
//! * After a refusal a connection goes on if all of the body has arrived; otherwise actix-web closes it, a second after the
//!   answer by default (`HttpServer::client_disconnect_timeout`).
//! * actix-web lets a handler finish whose client has left, and then its status counts: the sender's retry is told that the
//!   delivery is in progress, and after a 2xx that it was handled. hyper drops such a handler.
//! * A head of more than 128 KiB is answered 431 by actix-web itself, and raises no event.
//! * A scheme that signs the path is judged by the one that a middleware like `NormalizePath` leaves, where one stands
//!   before the Warden's.

mod extractor;
mod guard;
#[cfg(feature = "harden")]
mod harden;
mod request;

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;

use actix_web::HttpMessage as _;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};

use crate::warden::Warden;
use crate::webhook::Verdict;

pub use crate::webhook::Webhook;
pub use guard::SignedGuard;
#[cfg(feature = "harden")]
pub use harden::{HardenMiddleware, HardenService, security_txt};

use request::{http_status, insert_quota_state, payload_of, receive};

/// Guards a resource by a [`Warden`]. The handlers behind it stay as they are; a 2xx answer of theirs
/// commits the delivery. What is proven of the request is among its extensions, as [`VerifiedDelivery`](crate::warden::VerifiedDelivery).
#[derive(Debug, Clone)]
pub struct WardenMiddleware {
    warden: Warden,
}

impl WardenMiddleware {
    /// A middleware that asks `warden` about every request.
    #[must_use]
    pub const fn new(warden: Warden) -> Self {
        Self { warden }
    }
}

impl<S, B> Transform<S, ServiceRequest> for WardenMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = WardenService<S>;
    type Future = Ready<Result<WardenService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(WardenService { inner: Rc::new(inner), warden: self.warden.clone() }))
    }
}

/// A service behind a [`WardenMiddleware`].
#[derive(Debug)]
pub struct WardenService<S> {
    inner: Rc<S>,
    warden: Warden,
}

impl<S, B> Service<ServiceRequest> for WardenService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, actix_web::Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (inner, warden) = (Rc::clone(&self.inner), self.warden.clone());
        Box::pin(async move {
            let (http, payload) = request.into_parts();
            let (admitted, body) = match receive(&warden, &http, payload).await {
                Ok(received) => received,
                Err(unread) => return Ok(ServiceResponse::new(http, unread.into_response().map_into_right_body())),
            };
            http.extensions_mut().insert(admitted.delivery().clone());
            http.extensions_mut().insert(Verdict { facts: admitted.delivery().clone(), body: body.clone() });
            let mut response = inner.call(ServiceRequest::from_parts(http, payload_of(body))).await?;
            if let Some((quota, quota_state)) = admitted.quota_state() {
                insert_quota_state(response.headers_mut(), quota, quota_state);
            }
            admitted.settle_by_status(http_status(response.status())).await;
            Ok(response.map_into_left_body())
        })
    }
}
