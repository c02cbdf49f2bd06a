//! A receiver on actix-web's own server.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use tokio::sync::oneshot;

use super::client::Connection;

/// actix-web's server on a port of 127.0.0.1, until it is dropped.
#[derive(Debug)]
pub(crate) struct ActixReceiver {
    address: SocketAddr,
    handle: ServerHandle,
}

impl ActixReceiver {
    /// A server of two workers, each with an application that `configure` makes.
    pub(crate) async fn start(configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, handle) = oneshot::channel();
        // actix-web has a runtime of its own.
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
        Self { address, handle: handle.await.expect("a server") }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ActixReceiver {
    fn drop(&mut self) {
        // The command is sent by the call; the future only waits for the end.
        drop(self.handle.stop(false));
    }
}
