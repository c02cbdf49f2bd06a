//! One request: verified by the Warden, forwarded, answered and reported.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use hookwarden::Warden;
use hookwarden::event::Outcome;
use hookwarden::tower::{PeerAddress, ReceivedBody, WardenLayer};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tower_layer::Layer as _;
use tower_service::Service;

use super::forward::{Forward, Forwarded};
use super::recording::Recording;
use super::report::{Finished, Reply};
use super::warden::SEEN;

/// What all requests share.
pub(super) struct Exchanges {
    warden: Warden,
    forward: Option<Arc<Forward>>,
    forwards_refused: bool,
    /// The number of requests so far.
    count: AtomicU64,
    reports: mpsc::Sender<Finished>,
    /// One permit for each request from its arrival until it is reported.
    places: Arc<Semaphore>,
}

impl Exchanges {
    pub(super) fn new(
        warden: Warden,
        forward: Option<Forward>,
        forwards_refused: bool,
        reports: mpsc::Sender<Finished>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(reports.max_capacity()));
        Self { warden, forward: forward.map(Arc::new), forwards_refused, count: AtomicU64::new(0), reports, places }
    }

    /// Waits until a request may begin. The permit bounds the bodies in memory, because it is kept until the request is
    /// reported, even if the client disconnects.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.places).acquire_owned().await
    }

    /// Returns the answer to a request, and queues the report.
    pub(super) async fn exchange(
        self: Arc<Self>,
        peer: SocketAddr,
        request: Request<Incoming>,
        place: OwnedSemaphorePermit,
    ) -> Response<Full<Bytes>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let (began, arrived) = (Instant::now(), jiff::Timestamp::now());
        let (parts, body) = request.into_parts();
        let recording = Recording::new(body, self.warden.body_limit());
        let application = Application { forward: self.forward.clone(), reply: Arc::default() };
        let reply = Arc::clone(&application.reply);
        let mut guarded = Request::from_parts(parts.clone(), recording.clone());
        guarded.extensions_mut().insert(PeerAddress(peer.ip()));
        let mut service = WardenLayer::new(self.warden.clone()).layer(application);
        let (response, seen) = SEEN
            .scope(OnceCell::new(), async {
                let Ok(response) = service.call(guarded).await;
                (response, SEEN.with(|slot| slot.get().cloned()))
            })
            .await;
        let (head, answer) = response.into_parts();
        // The body of an answer is in memory.
        let answer = answer.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let mut response = Response::from_parts(head, Full::new(answer));
        // Reading to the end lets the client finish sending before it reads the answer.
        let deadline = began.checked_add(self.warden.deadline()).unwrap_or(began);
        let body = recording.finish(deadline).await;
        let mut reply = reply.get().cloned();
        let is_refused = seen.as_ref().is_some_and(|seen| matches!(seen.outcome, Outcome::Refused(_)));
        if let (true, true, Some(forward), Some(body)) = (self.forwards_refused, is_refused, &self.forward, &body) {
            let (answered, given) = answer_of(forward.send(parts.clone(), body.clone()).await);
            response = answered;
            reply = Some(given);
        }
        let status = response.status();
        let took = began.elapsed();
        let finished = Finished { number, arrived, parts, body, seen, status, reply, took, _place: place };
        // The queue has room for each permit, so that no answer waits for a report. It is closed only when the command
        // ends.
        let _ = self.reports.try_send(finished);
        response
    }
}

/// The application as the service behind the Warden. Without one, it answers 200.
#[derive(Clone)]
struct Application {
    forward: Option<Arc<Forward>>,
    reply: Arc<OnceLock<Reply>>,
}

impl Service<Request<ReceivedBody>> for Application {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReceivedBody>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let Some(forward) = this.forward else { return Ok(Response::default()) };
            let (parts, body): (Parts, _) = request.into_parts();
            // Reading a verified body never fails.
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let (response, reply) = answer_of(forward.send(parts, body).await);
            // A request has one reply.
            let _ = this.reply.set(reply);
            Ok(response)
        })
    }
}

/// The answer to the sender, and what to report about the application.
fn answer_of(forwarded: Forwarded) -> (Response<Full<Bytes>>, Reply) {
    match forwarded {
        Ok(response) => {
            let reply = Reply::Answered(response.status());
            (response, reply)
        }
        Err((status, problem)) => {
            let mut response = Response::default();
            *response.status_mut() = status;
            (response, Reply::Failed(problem))
        }
    }
}
