//! Receivers in this process: axum's own server, bare hyper with the layer around a function, and actix-web's.

use std::convert::Infallible;
use std::fmt::Debug;
use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpMessage as _, HttpRequest, HttpResponse, HttpServer, web};
use axum::Router;
use axum::extract::Request as AxumRequest;
use axum::routing::any;
use hookwarden::actix::WardenMiddleware;
use hookwarden::axum::WardenLayer;
use hookwarden::tower::{PeerAddress, WardenLayer as TowerLayer};
use hookwarden::warden::{VerifiedDelivery, WardenBuilder};
use hookwarden::{IdSource, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::PATIENCE;
use super::client::Connection;
use super::events::{Events, events};

/// A server on a port of 127.0.0.1 that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    stop: Stop,
}

/// The handle that stops a server.
#[derive(Debug)]
enum Stop {
    Task(JoinHandle<()>),
    Actix(ServerHandle),
}

impl Receiver {
    /// Starts axum's own server.
    pub(crate) async fn axum(router: Router) -> Self {
        Self::serve(|listener| async move { axum::serve(listener, router).await.expect("no end") }).await
    }

    /// Starts axum's own server, whose handlers know the address of their peer.
    pub(crate) async fn axum_with_peers(router: Router) -> Self {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        Self::serve(|listener| async move { axum::serve(listener, service).await.expect("no end") }).await
    }

    /// Starts hyper's server for HTTP/1.1 only.
    pub(crate) async fn hyper<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        Self::hyper_by_peer(move |_| service.clone()).await
    }

    /// Starts hyper's server, with a service for each connection.
    pub(crate) async fn hyper_by_peer<S, B>(make: impl Fn(SocketAddr) -> S + Send + 'static) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        Self::serve(|listener| async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, peer) = listener.accept().await.expect("a connection");
                let service = TowerToHyperService::new(make(peer));
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new());
                // Ends with an error if the client disconnects.
                connections.spawn(async move {
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
        .await
    }

    /// Starts actix-web's server with two workers; `configure` makes the application of each.
    pub(crate) async fn actix(configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, handle) = oneshot::channel();
        // actix-web has its own runtime.
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || App::new().configure(configure.clone()))
                    .workers(2)
                    .disable_signals()
                    .listen(listener)
                    .expect("a listening server")
                    .run();
                sender.send(server.handle()).expect("a test that waits");
                server.await.expect("no failure");
            });
        });
        Self { address, stop: Stop::Actix(handle.await.expect("a server")) }
    }

    async fn serve<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(TcpListener) -> F) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Self { address, stop: Stop::Task(tokio::spawn(run(listener))) }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        match &self.stop {
            Stop::Task(task) => task.abort(),
            // The call sends the command. Its future only waits for the end.
            Stop::Actix(handle) => drop(handle.stop(false)),
        }
    }
}

/// A server with the adapter for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// `axum::serve`, the layer on a route, the webhook id a path parameter.
    Axum,
    /// hyper, the layer around a function, the webhook id a path segment.
    Hyper,
    /// actix-web, the middleware on a resource, the webhook id a path parameter.
    Actix,
}

impl Server {
    /// The servers on hyper.
    pub(crate) const BOTH: [Self; 2] = [Self::Axum, Self::Hyper];
    pub(crate) const ALL: &[Self] = &[Self::Axum, Self::Hyper, Self::Actix];

    /// Adds the settings that this server needs.
    pub(crate) fn adapt(self, warden: WardenBuilder) -> WardenBuilder {
        match self {
            Self::Axum | Self::Actix => warden.webhook_id(IdSource::path_parameter("id")),
            Self::Hyper => warden.webhook_id(IdSource::path_segment(1)),
        }
    }

    /// Runs a server with the handler behind the Warden, at `/webhooks/{id}` and at `/`.
    pub(crate) async fn start(self, warden: Warden, handler: impl Handler) -> Receiver {
        match self {
            Self::Axum => {
                let handle = move |request: AxumRequest| handle(request, handler);
                let route = any(handle).layer(WardenLayer::new(warden));
                Receiver::axum_with_peers(Router::new().route("/webhooks/{id}", route.clone()).route("/", route)).await
            }
            Self::Hyper => {
                let layer = TowerLayer::new(warden);
                let make = move |peer: SocketAddr| {
                    let handler = handler.clone();
                    let service = service_fn(move |request| {
                        let handling = handle(request, handler.clone());
                        async { Ok::<_, Infallible>(handling.await) }
                    });
                    layer.layer(service).map_request(move |mut request: Request<_>| {
                        request.extensions_mut().insert(PeerAddress(peer.ip()));
                        request
                    })
                };
                Receiver::hyper_by_peer(make).await
            }
            Self::Actix => {
                Receiver::actix(move |config| {
                    config.app_data(web::PayloadConfig::new(warden.body_limit()));
                    for path in ["/webhooks/{id}", "/"] {
                        let handler = handler.clone();
                        let route = web::route().to(move |request, body| handle_actix(request, body, handler.clone()));
                        config.service(web::resource(path).wrap(WardenMiddleware::new(warden.clone())).route(route));
                    }
                })
                .await
            }
        }
    }
}

/// The same handler for every server.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    fn handle(self, request: Handled) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// A request as a handler received it.
#[derive(Debug, Clone)]
pub(crate) struct Handled {
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) delivery: VerifiedDelivery,
}

async fn handle<B: Body<Data = Bytes, Error: Debug>>(
    request: Request<B>,
    handler: impl Handler,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a verified body cannot fail");
    let trailers = body.trailers().cloned();
    let delivery = parts.extensions.get::<VerifiedDelivery>().expect("a verified delivery").clone();
    handler.handle(Handled { body: body.to_bytes(), headers: parts.headers, trailers, delivery }).await
}

async fn handle_actix(request: HttpRequest, body: web::Bytes, handler: impl Handler) -> HttpResponse {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = hyper::header::HeaderName::from_bytes(name.as_str().as_bytes()).expect("a name");
        headers.append(name, hyper::header::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    let delivery = request.extensions().get::<VerifiedDelivery>().expect("a verified delivery").clone();
    let (parts, body) = handler.handle(Handled { body, headers, trailers: None, delivery }).await.into_parts();
    let status = actix_web::http::StatusCode::from_u16(parts.status.as_u16()).expect("a status");
    let mut response = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    let body = body.collect().await.expect("a body in memory").to_bytes();
    if body.is_empty() { response.finish() } else { response.body(body) }
}

/// A guarded receiver whose handler answers 200 and passes its requests to the test.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) receiver: Receiver,
    pub(crate) events: Events,
    pub(crate) handled: HandledRequests,
}

/// The requests that reached the handler.
#[derive(Debug)]
pub(crate) struct HandledRequests(UnboundedReceiver<Handled>);

impl Bench {
    /// Starts a receiver with this Warden and observes it.
    pub(crate) async fn start(server: Server, warden: WardenBuilder) -> Self {
        let (observer, events) = events();
        let warden = server.adapt(warden.observer(observer)).build().expect("a Warden");
        let (sender, handled) = unbounded_channel();
        Self { receiver: server.start(warden, Pass(sender)).await, events, handled: HandledRequests(handled) }
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.receiver.connect().await
    }
}

/// A handler that passes each request to the test.
#[derive(Clone)]
struct Pass(UnboundedSender<Handled>);

impl Handler for Pass {
    async fn handle(self, request: Handled) -> Response<Full<Bytes>> {
        // Fails if the test has ended.
        let _ = self.0.send(request);
        Response::new(Full::from("handled"))
    }
}

impl HandledRequests {
    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> Handled {
        timeout(PATIENCE, self.0.recv()).await.expect("no request reached the handler in time").expect("a handler")
    }

    /// Takes the bodies so far.
    pub(crate) fn bodies(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|handled| handled.body).collect()
    }
}
