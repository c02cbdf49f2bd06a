//! The extractor.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};

use super::request::{Verdict, payload_of, receive};
use crate::warden::{Admitted, Facts, Warden};

/// A verified webhook: the payload, parsed only after the verdict, and what is proven of it.
///
/// `T` is any of actix-web's extractors of a body: `Bytes`, `String`, `web::Json<Order>`, `web::Form<Order>`.
///
/// Behind a [`WardenMiddleware`](super::WardenMiddleware) the handler's status tells whether the work was done. Without it the extractor verifies
/// by the [`Warden`] in the application's data (`app_data(warden)` or `app_data(web::Data::new(warden))`); then nobody
/// sees the status, and the handler calls [`commit`](Self::commit) when its work is done. With neither, the answer is
/// 500 and the log says why.
#[derive(Debug)]
pub struct Webhook<T> {
    /// The payload.
    pub payload: T,
    facts: Facts,
    /// The handler's to settle, unless a middleware does it.
    admitted: Option<Box<Admitted>>,
}

impl<T> Webhook<T> {
    /// What is proven of the request: the webhook id, the key, the timestamp.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Says that the work is done, and hands over the payload. Without it, and without a middleware, the delivery counts as
    /// not handled, and the sender's retry is handled again. A shared store is told in the background.
    pub fn commit(self) -> T {
        if let Some(admitted) = self.admitted {
            admitted.commit();
        }
        self.payload
    }
}

impl<T: FromRequest> FromRequest for Webhook<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let verdict = request.extensions_mut().remove::<Verdict>();
            let (facts, admitted, body) = match verdict {
                Some(verdict) => (verdict.facts, None, verdict.body),
                None => {
                    let warden = request
                        .app_data::<Warden>()
                        .or_else(|| request.app_data::<web::Data<Warden>>().map(|data| &***data));
                    let Some(warden) = warden else {
                        tracing::error!(
                            target: "hookwarden::actix",
                            "Webhook<T> was asked for without a WardenMiddleware and without a Warden in the application's data"
                        );
                        let answer = HttpResponse::InternalServerError().finish();
                        return Err(InternalError::from_response("no Warden", answer).into());
                    };
                    let (admitted, body) = receive(warden, &request, payload).await?;
                    (admitted.facts().clone(), Some(Box::new(admitted)), body)
                }
            };
            let payload = T::from_request(&request, &mut payload_of(body)).await.map_err(Into::into)?;
            Ok(Self { payload, facts, admitted })
        })
    }
}
