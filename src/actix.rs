//! actix-web: a middleware for resources, [`WardenMiddleware`], the extractors [`Webhook`] and [`UncommittedWebhook`], and
//! [`SignedGuard`] for routing.
//!
//! The middleware verifies each request before its resource sees it. The handler's extractors then read the verified body,
//! and the status of the handler's response settles the delivery: 2xx commits it, and a retry is then answered as a
//! duplicate; anything else releases it, and a retry runs the handler again. Handlers that take `Bytes`, `web::Json<T>` or
//! `web::Form<T>` stay as they are. [`Webhook<T>`](Webhook) adds what is proven about the request, and parses the payload
//! from exactly the bytes that were verified, whatever other middleware did to the body.
//!
//! ```
//! use actix_web::{App, web};
//! use hookwarden::actix::{WardenMiddleware, Webhook};
//! use hookwarden::{Keyring, Scheme, Warden};
//!
//! async fn order(webhook: Webhook<web::Bytes>) -> String {
//!     format!("{} bytes from {}", webhook.payload.len(), webhook.delivery().webhook_id())
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
//! # Without the middleware
//!
//! [`UncommittedWebhook`] verifies with the Warden in the application's data, and the handler commits:
//!
//! ```
//! use actix_web::{App, web};
//! use hookwarden::Warden;
//! use hookwarden::actix::UncommittedWebhook;
//!
//! async fn order(webhook: UncommittedWebhook<web::Bytes>) -> String {
//!     let (payload, admitted) = webhook.into_parts();
//!     let answer = format!("{} bytes from {}", payload.len(), admitted.delivery().webhook_id());
//!     admitted.commit(); // the work is done
//!     answer
//! }
//!
//! # fn app(warden: Warden) {
//! let app = App::new().app_data(warden).route("/webhooks/{id}", web::post().to(order));
//! # }
//! ```
//!
//! # Good to know
//!
//! * Wrap the resource. Around the whole `App` there are no path parameters yet, and every request is answered 500.
//! * The peer is `HttpRequest::peer_addr`; in tests `TestRequest::peer_addr` sets it.
//! * actix-web has body limits too: 256 KiB for `Bytes` and `String`, 2 MiB for `Json<T>`. A body that the Warden admits and
//!   the extractor rejects is answered 413 and released. Raise `PayloadConfig` or `JsonConfig` to the Warden's limit.
//! * actix-web answers `Expect: 100-continue` before any middleware runs, and reads up to 32 KiB of a body ahead. The Warden
//!   reads nothing of the body before the head has passed.
//! * After a refusal the connection is reused if all of the body has arrived. Otherwise actix-web closes it, by default a
//!   second after the answer (`HttpServer::client_disconnect_timeout`).
//! * If the client disconnects, actix-web lets the handler finish, and its status settles the delivery.
//! * actix-web answers 431 to a head of more than 128 KiB; this raises no event.
//! * A scheme that signs the path verifies the path that earlier middleware left: put `NormalizePath` behind the Warden.

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
use crate::webhook::VerifiedRequest;

pub use crate::webhook::{UncommittedWebhook, Webhook};
pub use guard::SignedGuard;
#[cfg(feature = "harden")]
pub use harden::{HardenMiddleware, HardenService, security_txt};

use request::{http_status, insert_quota_state, payload_of, receive};

/// Guards a resource by a [`Warden`]. The status of the handler's response settles the delivery. The
/// [`VerifiedDelivery`](crate::warden::VerifiedDelivery) is among the request's extensions.
///
/// ```
/// use actix_web::web::{self, Bytes, ServiceConfig};
/// use hookwarden::Warden;
/// use hookwarden::actix::WardenMiddleware;
///
/// async fn count(body: Bytes) -> String {
///     format!("{} verified bytes", body.len())
/// }
///
/// fn configure(config: &mut ServiceConfig, warden: Warden) {
///     let guard = WardenMiddleware::new(warden);
///     config.service(web::resource("/webhooks/{id}").wrap(guard).route(web::post().to(count)));
/// }
/// ```
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
            let (delivery, answer_writer) = (admitted.delivery().clone(), warden.answer_writer().cloned());
            http.extensions_mut().insert(VerifiedRequest { delivery, body: body.clone(), answer_writer });
            let mut response = match inner.call(ServiceRequest::from_parts(http, payload_of(body))).await {
                Ok(response) => response,
                Err(error) => {
                    // actix-web makes the answer of it outside of all middleware.
                    admitted.settle_by_status(http_status(error.as_response_error().status_code())).await;
                    return Err(error);
                }
            };
            if let Some((quota, quota_state)) = admitted.quota_state() {
                insert_quota_state(response.headers_mut(), quota, quota_state);
            }
            admitted.settle_by_status(http_status(response.status())).await;
            Ok(response.map_into_left_body())
        })
    }
}
