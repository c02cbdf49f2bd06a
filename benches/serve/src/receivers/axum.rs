//! axum: a plain route, one behind our layer, and one behind the extractor of `axum-standardwebhooks`.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use axum_standardwebhooks::{SharedWebhook, StandardWebhook, Webhook};
use hookwarden::Warden;
use hookwarden::axum::WardenLayer;
use tokio::net::TcpListener;

use super::announce;
use crate::deliveries::STANDARD_SECRET;

pub(crate) fn plain() -> io::Result<()> {
    let app = Router::new().route(ROUTE, post(count));
    serve(|listener| axum::serve(listener, app).into_future())
}

/// Includes the connections' addresses, as in a deployment that counts refused requests for each peer.
pub(crate) fn guarded(warden: Warden) -> io::Result<()> {
    let app = Router::new().route(ROUTE, post(count).layer(WardenLayer::new(warden)));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    serve(|listener| axum::serve(listener, app).into_future())
}

pub(crate) fn standard_webhooks() -> io::Result<()> {
    let webhook = Webhook::new(STANDARD_SECRET).map_err(io::Error::other)?;
    let app = Router::new().route(ROUTE, post(count_verified)).with_state(SharedWebhook::new(webhook));
    serve(|listener| axum::serve(listener, app).into_future())
}

async fn count(body: Bytes) -> String {
    body.len().to_string()
}

async fn count_verified(StandardWebhook(body): StandardWebhook<Bytes>) -> String {
    count(body).await
}

fn serve<F: Future<Output = io::Result<()>>>(start: impl FnOnce(TcpListener) -> F) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        announce(listener.local_addr()?.port())?;
        start(listener).await
    })
}

const ROUTE: &str = "/webhooks/{id}";
