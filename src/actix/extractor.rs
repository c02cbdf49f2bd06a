//! The extractor.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};

use super::request::{payload_of, receive};
use crate::warden::Warden;
use crate::webhook::{Verdict, Webhook};

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
                    (admitted.delivery().clone(), Some(Box::new(admitted)), body)
                }
            };
            let payload = T::from_request(&request, &mut payload_of(body)).await.map_err(Into::into)?;
            Ok(Self::new(payload, facts, admitted))
        })
    }
}
