//! The receiver under audit: its address, the permission to audit it, and connections to it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::session::PATIENCE;
use crate::failure::Failure;

/// A receiver that the caller may audit.
#[derive(Clone)]
pub(super) struct Target {
    uri: Uri,
    authority: String,
    address: SocketAddr,
    tls: Option<HttpsConnector<Pinned>>,
}

impl Target {
    /// Resolves the receiver. Without the caller's confirmation, all its addresses must be loopback.
    pub(super) async fn find(uri: Uri, owned: bool) -> Result<Self, Failure> {
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let is_https = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| Failure::outside(host, error))?;
        let addresses: Vec<_> = found.collect();
        if !owned && !addresses.iter().all(|address| address.ip().to_canonical().is_loopback()) {
            let problem = format!("must be set to audit {host}, which is another host");
            return Err(Failure::input("--yes-i-own-this", problem));
        }
        // Connects to a checked address, and does not resolve the name again.
        let mut reachable = None;
        let mut last = "the host has no address; check the URL".to_owned();
        for address in addresses {
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(_)) => {
                    reachable = Some(address);
                    break;
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "no connection in time; check the host and the port".to_owned(),
            }
        }
        let address = reachable.ok_or_else(|| Failure::outside(&authority, last))?;
        let tls = if is_https { Some(tls(address)?) } else { None };
        Ok(Self { uri, authority, address, tls })
    }

    /// The value of `Host`, without user information.
    pub(super) fn host(&self) -> &str {
        self.authority.rsplit('@').next().unwrap_or_default()
    }

    pub(super) const fn is_https(&self) -> bool {
        self.tls.is_some()
    }

    /// The path and query of another URL of the same receiver.
    pub(super) fn path_of(&self, other: &Uri) -> Result<String, Failure> {
        if other.scheme() != self.uri.scheme() || other.authority() != self.uri.authority() {
            return Err(Failure::input("--other-url", "must have the same host and port as the audited URL"));
        }
        Ok(other.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned())
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match &self.tls {
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Some(connector) => {
                let stream = connector.clone().call(self.uri.clone()).await.map_err(io::Error::other)?;
                Ok(Box::new(TokioIo::new(stream)))
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.uri.scheme_str().unwrap_or_default(), self.host(), self.uri.path())
    }
}

/// A connection, in plain text or over TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn tls(address: SocketAddr) -> Result<HttpsConnector<Pinned>, Failure> {
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| Failure::outside("system certificates", error))?;
    Ok(builder.https_only().enable_http1().wrap_connector(Pinned(address)))
}

/// A connector to one address.
#[derive(Debug, Clone, Copy)]
struct Pinned(SocketAddr);

impl Service<Uri> for Pinned {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.0;
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
