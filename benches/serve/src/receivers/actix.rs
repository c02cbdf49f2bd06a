//! actix-web: a plain resource, and one behind our middleware.

use std::io;
use std::net::Ipv4Addr;

use actix_web::dev::{HttpServiceFactory, Server};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpServer};
use hookwarden::Warden;
use hookwarden::actix::WardenMiddleware;

use super::announce;

pub(crate) fn plain() -> io::Result<()> {
    serve(|| web::resource(ROUTE).route(web::post().to(count)))
}

pub(crate) fn guarded(warden: Warden) -> io::Result<()> {
    serve(move || web::resource(ROUTE).wrap(WardenMiddleware::new(warden.clone())).route(web::post().to(count)))
}

async fn count(body: Bytes) -> String {
    body.len().to_string()
}

fn serve<R: HttpServiceFactory + 'static>(resource: impl Fn() -> R + Clone + Send + 'static) -> io::Result<()> {
    actix_web::rt::System::new().block_on(async { start(resource)?.await })
}

fn start<R: HttpServiceFactory + 'static>(resource: impl Fn() -> R + Clone + Send + 'static) -> io::Result<Server> {
    let server = HttpServer::new(move || App::new().service(resource()))
        .workers(1)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, 0))?;
    for address in server.addrs() {
        announce(address.port())?;
    }
    Ok(server.run())
}

const ROUTE: &str = "/webhooks/{id}";
