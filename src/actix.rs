//! actix-web: a middleware for resources, [`WardenMiddleware`], the extractors [`Webhook`] and [`UncommittedWebhook`],
//! and [`SignedGuard`] for routing.
//!
//! The middleware verifies each request before it reaches the resource. The handler's extractors then read the verified
//! body, and the status of the handler's response settles the delivery: 2xx commits it, and a retry is then answered as
//! a duplicate. Any other status releases it, and a retry runs the handler again. Handlers that take `Bytes`,
//! `web::Json<T>` or `web::Form<T>` need no change. [`Webhook<T>`](Webhook) adds the verified facts about the request.
//! It parses the payload from exactly the bytes that were verified, even if other middleware changed the body.
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
//! * Wrap the resource, not the whole `App`: around the `App` path parameters are not known yet, and every request is
//!   answered with 500.
//! * The peer is `HttpRequest::peer_addr`; in tests `TestRequest::peer_addr` sets it.
//! * actix-web has body limits too: 256 KiB for `Bytes` and `String`, 2 MiB for `Json<T>`. A delivery whose body the
//!   Warden admits and the extractor rejects is answered with 413 and released. Raise `PayloadConfig` or `JsonConfig`
//!   to the Warden's limit.
//! * actix-web answers `Expect: 100-continue` before any middleware runs, and reads up to 32 KiB of a body ahead. The
//!   Warden reads nothing of the body before the head has passed.
//! * After a refusal the connection is reused if all of the body has arrived. Otherwise actix-web closes it, by default
//!   a second after the answer (`HttpServer::client_disconnect_timeout`).
//! * A client that is still sending when it is refused, for example because its body is over the limit, can get a
//!   broken pipe or a connection reset instead of the answer. `Expect: 100-continue` does not prevent that, because
//!   actix-web answers it earlier.
//! * actix-web polls the readiness of a worker's services before it accepts connections, and never polls that of a
//!   resource's services. A limiting middleware takes its permit in `call`, which unverified requests do not reach if
//!   the middleware is behind the Warden. The last `wrap` is the outermost.
//! * actix-web answers a head of more than 128 KiB with 431. This raises no event.
//! * If the scheme signs the path, the Warden verifies the path as earlier middleware changed it: put `NormalizePath`
//!   behind the Warden.
//!
//! # If the client disconnects
//!
//! The handler continues, and its status settles the delivery. A retry is answered with 409 in the meantime. While a
//! handler runs, actix-web does not detect that the client has closed its connection. If the client resets the
//! connection, actix-web drops the request; the handler then continues as a task of the same worker. Over HTTP/2
//! actix-web runs each request as a task anyway. With [`UncommittedWebhook`] and without the middleware, a reset drops
//! the handler, and the delivery is released.
//!
//! # Shutdown
//!
//! The workers' tasks end with the server, so wait for the handlers before it stops:
//!
//! ```
//! use std::time::Duration;
//!
//! use actix_web::dev::ServerHandle;
//! use hookwarden::Warden;
//!
//! async fn stop(server: ServerHandle, warden: Warden) {
//!     server.pause().await; // no new connections
//!     let running = warden.wait_for_handlers(Duration::from_secs(30)).await;
//!     if running > 0 {
//!         eprintln!("{running} handlers did not finish: retries will run them again");
//!     }
//!     server.stop(true).await; // waits for open connections, by default 30 s
//! }
//! ```
//!
//! If a connection is reset after `wait_for_handlers` has returned, its handler continues as a task that nothing waits
//! for. The task is dropped when its worker ends, its delivery is released, and a retry runs the handler again.

mod extractor;
mod guard;
#[cfg(feature = "harden")]
mod harden;
mod report;
mod request;
mod response_future;

use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::HttpMessage as _;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;

use crate::tower::{Called, Finished, GuardedRequest, RunningHandler};
use crate::warden::Warden;
use crate::webhook::VerifiedRequest;

pub use crate::webhook::{UncommittedWebhook, Webhook};
pub use guard::SignedGuard;
#[cfg(feature = "harden")]
pub use harden::{HardenMiddleware, HardenService, security_txt};
pub use response_future::ResponseFuture;

use request::{http_response, http_status, insert_quota_fields, payload_of, receive, status_of};

/// Guards a resource with a [`Warden`]. The status of the handler's response settles the delivery. The
/// [`VerifiedDelivery`](crate::warden::VerifiedDelivery) is in the request's extensions.
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
    /// Creates a middleware that verifies every request with `warden`.
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
    type Future = ResponseFuture<Result<Self::Response, actix_web::Error>>;

    // actix-web polls readiness before a worker accepts connections, and never for a resource. Being ready reserves
    // nothing: a limiting service takes its permit in `call`, which only admitted requests reach.
    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (inner, warden) = (Rc::clone(&self.inner), self.warden.clone());
        if warden.reports_only() {
            return ResponseFuture::new(report::report(inner, warden, request));
        }
        ResponseFuture::new(GuardedRequest::new(async move {
            let (http, payload) = request.into_parts();
            let (mut admitted, body) = match receive(&warden, &http, payload).await {
                Ok(received) => received,
                Err(unread) => {
                    return Err(Ok(ServiceResponse::new(http, unread.into_response().map_into_right_body())));
                }
            };
            http.extensions_mut().insert(admitted.delivery().clone());
            let (delivery, answer_writer) = (admitted.delivery().clone(), warden.answer_writer().cloned());
            http.extensions_mut().insert(VerifiedRequest { delivery, body: body.clone(), answer_writer });
            let running = RunningHandler::of(warden);
            let handler = inner.call(ServiceRequest::from_parts(http, payload_of(body)));
            let finish = move |mut returned: Result<ServiceResponse<B>, actix_web::Error>| {
                if let (Ok(response), Some(fields)) = (&mut returned, admitted.quota_fields()) {
                    insert_quota_fields(response.headers_mut(), &fields);
                }
                if admitted.settle_by_status_now(http_status(status_of(&returned))) {
                    return Finished::Answered(returned.map(ServiceResponse::map_into_left_body));
                }
                Finished::Settling(Box::pin(async move {
                    match (returned, admitted.settle_by_status().await) {
                        (Ok(response), Some(answer)) => {
                            Ok(response.into_response(http_response(answer)).map_into_right_body())
                        }
                        (Err(error), Some(answer)) => {
                            Err(InternalError::from_response(error, http_response(answer)).into())
                        }
                        (returned, None) => returned.map(ServiceResponse::map_into_left_body),
                    }
                }))
            };
            Ok(Called { running, handler, finish })
        }))
    }
}
