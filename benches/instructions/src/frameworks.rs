//! Whole requests to routes of axum and actix-web, in this process.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use actix_web::dev::Service as _;
use actix_web::{App, test, web};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::post;
use bytes::Bytes;
use hookwarden::Warden;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tower_layer::Identity;

use super::pipeline::Pipeline;
use super::{Work, each, fill, messages, settings};

/// A bare route of axum, with bodies of `size` bytes.
#[must_use]
pub fn axum_plain(size: usize) -> Work {
    axum(size, Router::new().route(ROUTE, post(count)))
}

/// The same route behind a layer that does nothing: what axum itself takes for any layer.
#[must_use]
pub fn axum_layered(size: usize) -> Work {
    axum(size, Router::new().route(ROUTE, post(count).layer(Identity::new())))
}

/// The same route behind the layer.
#[must_use]
pub fn axum_guarded(size: usize) -> Work {
    let layer = hookwarden::axum::WardenLayer::new(warden());
    axum(size, Router::new().route(ROUTE, post(count).layer(layer)))
}

fn axum(size: usize, app: Router) -> Work {
    let requests: Vec<_> = messages(size)
        .map(|(head, body)| {
            let mut request = http::Request::post(PATH).body(Body::from(body)).expect("a request");
            *request.headers_mut() = head;
            request.extensions_mut().insert(ConnectInfo(PEER));
            Some(request)
        })
        .collect();
    let runtime = runtime();
    each(requests.into_iter(), move |request| {
        let request = request.take().expect("it is sent once");
        let response = wait(&runtime, app.clone().oneshot(request)).expect("no error");
        assert!(response.status().is_success());
    })
}

/// A bare resource of actix-web, with bodies of `size` bytes.
#[must_use]
pub fn actix_plain(size: usize) -> Work {
    actix(size, web::resource(ROUTE).route(web::post().to(count)))
}

/// The same resource behind the middleware.
#[must_use]
pub fn actix_guarded(size: usize) -> Work {
    let middleware = hookwarden::actix::WardenMiddleware::new(warden());
    actix(size, web::resource(ROUTE).wrap(middleware).route(web::post().to(count)))
}

fn actix(size: usize, resource: impl actix_web::dev::HttpServiceFactory + 'static) -> Work {
    let requests: Vec<_> = messages(size)
        .map(|(head, body)| {
            let request = test::TestRequest::post().uri(PATH).peer_addr(PEER).set_payload(body);
            let add = |request: test::TestRequest, (name, value)| request.append_header((name, value));
            let head: Vec<(String, String)> =
                head.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect();
            Some(head.into_iter().fold(request, add).to_request())
        })
        .collect();
    let runtime = runtime();
    let service = Rc::new(wait(&runtime, test::init_service(App::new().service(resource))));
    each(requests.into_iter(), move |request| {
        let request = request.take().expect("it is sent once");
        let response = wait(&runtime, service.call(request)).expect("no error");
        assert!(response.status().is_success());
    })
}

async fn count(body: Bytes) -> String {
    body.len().to_string()
}

fn warden() -> Warden {
    let pipeline = Pipeline::with(settings);
    fill(&pipeline);
    pipeline.warden
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn wait<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    tokio::task::LocalSet::new().block_on(runtime, future)
}

const ROUTE: &str = "/webhooks/{id}";
const PATH: &str = "/webhooks/acme";
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);
