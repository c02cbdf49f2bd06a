//! A receiver in memory: hyper's server around the tower service, and a handler that checks its requests with the
//! oracle.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hookwarden::testing::TestClock;
use hookwarden::tower::{PeerAddress, ReceivedBody, WardenLayer};
use hookwarden::warden::{BodyLimits, Quotas, Replay};
use hookwarden::{IdSource, Quota, Scheme, Timestamp, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::clock::NOW;
use crate::keys::{PlainKey, keyring};
use crate::oracle;
use crate::request::Request;

/// Sends `bytes` in writes of `sizes` to a receiver whose clock is fixed at [`NOW`]. Returns the bodies that its
/// handler received and everything that the client read.
///
/// # Panics
/// The handler received a request that the oracle refuses, or one delivery twice, or the connection does not end.
pub fn receive(scheme: &Scheme, keys: &[PlainKey], bytes: &[u8], sizes: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let ring = keyring(scheme, keys).expect("the keys are valid");
    let mut builder = Warden::builder(scheme.clone())
        .sender("acme", ring)
        .webhook_id(IdSource::path_segment(1))
        .quotas(Quotas::new().rejected(few(4)).rejected_by_peer(few(9)))
        .body(BodyLimits::new().max_bytes(BODY_LIMIT))
        .clock(TestClock::new(Timestamp::from_unix(NOW)));
    if !scheme.is_timestamped() {
        builder = builder.replay(Replay::new().lifetime(Duration::from_secs(3_600)));
    }
    let warden = builder.build().expect("the settings are valid");
    let handler =
        Handler { scheme: Arc::new(scheme.clone()), keys: keys.into(), seen: Arc::default(), bodies: Arc::default() };
    let bodies = handler.bodies.clone();
    let service = TowerToHyperService::new(Peered(WardenLayer::new(warden).layer(handler)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let answers = runtime.expect("a runtime without a driver").block_on(async {
        let (client, server) = tokio::io::duplex(PIPE);
        // A client that has sent everything still receives its answers.
        let serve = http1::Builder::new()
            .half_close(true)
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(server), service);
        let (mut reading, mut writing) = tokio::io::split(client);
        let write = async {
            for chunk in crate::verdict::chunks(bytes, sizes) {
                // The receiver may have closed the connection, as it does for invalid HTTP.
                if writing.write_all(chunk).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _ = writing.shutdown().await;
        };
        let mut answers = Vec::new();
        let read = async { reading.read_to_end(&mut answers).await };
        let all = async { tokio::join!(serve, write, read) };
        // The result is an error if the client sends invalid HTTP or disconnects.
        let _ = tokio::time::timeout(PATIENCE, all).await.expect("a connection ends");
        answers
    });
    let bodies = std::mem::take(&mut *bodies.lock().expect("no handler panicked"));
    (bodies, answers)
}

fn few(count: u32) -> Quota {
    Quota::per_minute(count).expect("the count is not zero")
}

/// A service that adds the peer address, as a server does.
#[derive(Clone)]
struct Peered<S>(S);

impl<S: Service<http::Request<Incoming>>> Service<http::Request<Incoming>> for Peered<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(PeerAddress(IpAddr::from([192, 0, 2, 1])));
        self.0.call(request)
    }
}

#[derive(Clone)]
struct Handler {
    scheme: Arc<Scheme>,
    keys: Arc<[PlainKey]>,
    seen: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Service<http::Request<ReceivedBody>> for Handler {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<ReceivedBody>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.expect("a verified body has no error").to_bytes().to_vec();
            let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
            let headers = parts.headers.iter();
            let received = Request {
                line: Some((parts.method.to_string(), path.to_owned())),
                headers: headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
                body,
            };
            let accepted = oracle::verify(&handler.scheme, &handler.keys, &received, NOW);
            assert!(accepted.is_some(), "the handler received {received:?}");
            let identity = oracle::identity(&handler.scheme, &received);
            let is_new = handler.seen.lock().expect("no handler panicked").insert(identity);
            assert!(is_new, "the handler received one delivery twice: {received:?}");
            handler.bodies.lock().expect("no handler panicked").push(received.body);
            Ok(http::Response::new(Full::from("done")))
        })
    }
}

/// The receiver's body limit, in bytes.
pub const BODY_LIMIT: usize = 2_048;

/// The capacity of the connection, in bytes.
const PIPE: usize = 512;

/// The simulated time after which a connection counts as stuck. It is longer than every deadline.
const PATIENCE: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::Draft;

    #[test]
    fn only_signed_requests_reach_the_handler() {
        let keys = [PlainKey::new(b"a-key")];
        let scheme = Scheme::timestamped();
        for (signer, delivered, sizes) in [("a-key", 1, &[7, 200][..]), ("a-key", 1, &[]), ("another", 0, &[])] {
            let request = Draft::plain(b"body").signed(&scheme, &[PlainKey::new(signer.as_bytes())], NOW);
            let mut bytes = b"POST /hooks/acme HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n".to_vec();
            for (name, value) in &request.headers {
                bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
            }
            bytes.extend_from_slice(b"\r\nbody");
            let (bodies, answers) = receive(&scheme, &keys, &bytes, sizes);
            let status = if delivered == 1 { "HTTP/1.1 200" } else { "HTTP/1.1 401" };
            assert!(answers.starts_with(status.as_bytes()), "{}", answers.escape_ascii());
            assert_eq!(bodies, vec![b"body".to_vec(); delivered]);
        }
    }
}
