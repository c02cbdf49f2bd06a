//! Fetching the document of a source. It has one connection to one address, without redirects, proxies, cookies and
//! compression, and limits for everything that the server can make long.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::is_public;
use crate::resolver::Resolver;
use crate::source::Location;

/// What limits a fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For the name, the connection and TLS.
    pub(crate) connect: Duration,
    /// For everything.
    pub(crate) total: Duration,
    pub(crate) bytes: usize,
}

/// A document, and the headers of its answer.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

/// Fetches one URL.
pub(crate) struct Fetcher {
    pub(crate) location: Location,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) limits: Limits,
    pub(crate) private_addresses: bool,
}

impl Fetcher {
    /// Fetches the document.
    ///
    /// # Errors
    /// Returns a text for the operator, without the content of the answer.
    pub(crate) async fn fetch(&self) -> Result<Document, String> {
        let total = self.limits.total;
        timeout(total, self.exchange()).await.unwrap_or_else(|_| Err(format!("took longer than {total:?}")))
    }

    async fn exchange(&self) -> Result<Document, String> {
        let stream = self.connect().await?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD_BYTES);
        let (mut requests, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| format!("connection failed: {error}"))?;
        // Dropping the set closes the connection.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let response = requests.send_request(self.request()?).await.map_err(|error| format!("no answer: {error}"))?;
        self.read(response).await
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, String> {
        Request::get(&self.location.path)
            .header(HOST, self.location.authority.as_str())
            .header(ACCEPT, "application/json, */*;q=0.5")
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close")
            .header(USER_AGENT, concat!("hookwarden-jwks/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| format!("invalid request: {error}"))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Document, String> {
        let status = response.status();
        if status.is_redirection() {
            return Err(format!("answered {status}: redirects are not followed; configure the final URL"));
        }
        if status != StatusCode::OK {
            return Err(format!("answered {status} instead of 200"));
        }
        let (head, mut body) = response.into_parts();
        // Compressed content can be much larger than what arrives.
        if head.headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
            return Err("answered with a content encoding, which was not asked for".into());
        }
        let limit = self.limits.bytes;
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("incomplete answer: {error}"))?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > limit.saturating_sub(bytes.len()) {
                return Err(format!("answered with more than {limit} bytes"));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Document { headers: head.headers, bytes })
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let limit = self.limits.connect;
        let connecting = async {
            let addresses = self.addresses().await?;
            let stream = self.reach(&addresses).await?;
            let name = self.location.name.clone();
            let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
            stream.map_err(|error| format!("TLS failed: {error}"))
        };
        timeout(limit, connecting).await.unwrap_or_else(|_| Err(format!("took longer than {limit:?} to connect")))
    }

    /// Returns the addresses that the host has now. All must be permitted: a host that also has a private address can
    /// answer with that one alone the next time.
    async fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        let host = &self.location.host;
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(host).await.map_err(|error| format!("{host} does not resolve: {error}"))?,
        };
        if addresses.is_empty() {
            return Err(format!("{host} has no address"));
        }
        match addresses.iter().find(|address| !self.private_addresses && !is_public(**address)) {
            Some(address) => Err(format!("{host} has the address {address}, which is not public")),
            None => Ok(addresses),
        }
    }

    /// Connects to the first address that answers. Only the checked addresses are used.
    async fn reach(&self, addresses: &[IpAddr]) -> Result<TcpStream, String> {
        let tried = addresses.len().min(MAX_ADDRESSES);
        let share = u32::try_from(tried).unwrap_or(u32::MAX);
        // One address that does not answer must leave time for the others.
        let each = self.limits.connect.checked_div(share).unwrap_or(self.limits.connect);
        let mut problem = String::new();
        for address in addresses.iter().take(tried) {
            let address = SocketAddr::new(*address, self.location.port);
            problem = match timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => format!("{address}: {error}"),
                Err(_) => format!("{address}: no connection within {each:?}"),
            };
        }
        Err(problem)
    }
}

/// The maximum size of the head of an answer. hyper also limits it to 100 headers.
const MAX_HEAD_BYTES: usize = 16_384;

/// The maximum number of addresses that one fetch tries.
const MAX_ADDRESSES: usize = 4;
