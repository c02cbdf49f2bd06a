//! The steps that the layers of tower and axum share.

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::{self, VerifiedBody};
use crate::request_context::{Framework, SentHead, origin};
use crate::warden::answer::{Answer, insert_quota_state};
use crate::warden::{VerifiedDelivery, Warden};

/// Verifies `request`, calls `inner` with the verified body, and settles the delivery by the status of the answer.
///
/// `forward` makes the request for `inner`; `answer` maps what `inner` or the Warden answers.
pub(crate) async fn guard<F, S, B, I, O>(
    warden: Warden,
    mut inner: S,
    request: Request<B>,
    forward: impl FnOnce(&Warden, &VerifiedDelivery, Parts, VerifiedBody) -> Request<I>,
    answer: impl FnOnce(Result<S::Response, Answer>) -> Response<O>,
) -> Result<Response<O>, S::Error>
where
    F: Framework,
    S: Service<Request<I>>,
    B: Body,
{
    let (mut parts, body) = request.into_parts();
    let origin = origin::<F>(&warden, &mut parts).await;
    let (admitted, body) = match body::receive(&warden, &SentHead::<F>::new(&parts), origin, body).await {
        Ok(received) => received,
        Err(refused) => return Ok(answer(Err(refused.into_answer()))),
    };
    parts.extensions.insert(admitted.delivery().clone());
    let request = forward(&warden, admitted.delivery(), parts, body);
    let mut response = answer(Ok(inner.call(request).await?));
    if let Some((quota, quota_state)) = admitted.quota_state() {
        insert_quota_state(response.headers_mut(), quota, quota_state);
    }
    admitted.settle_by_status(response.status()).await;
    Ok(response)
}
