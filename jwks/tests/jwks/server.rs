//! An HTTPS server that does what a test says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Authority;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Sends this and closes the connection.
    Send(Vec<u8>),
    /// Sends this and nothing more.
    Hang(Vec<u8>),
    /// Sends the first text once, and the second one again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends this slowly, one byte at a time.
    Trickle(Vec<u8>),
    /// Sends this and closes the connection without an end of TLS.
    Cut(Vec<u8>),
    /// Waits for a permit, then sends this.
    Hold(Arc<Semaphore>, Vec<u8>),
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    reply: Arc<Mutex<Reply>>,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    /// The head of the last request.
    head: Arc<Mutex<String>>,
    sent: Arc<AtomicUsize>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

/// The name in the server's certificate.
pub(crate) const NAME: &str = "keys.test";

impl Server {
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::with_certificate(reply, NAME, 5).await
    }

    pub(crate) async fn with_certificate(reply: Reply, name: &str, days: i64) -> Self {
        let authority = Authority::new();
        let config = authority.server(name, days);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            authority,
            reply: Arc::new(Mutex::new(reply)),
            requests: Arc::default(),
            connections: Arc::default(),
            head: Arc::default(),
            sent: Arc::default(),
            config: Arc::new(Mutex::new(config)),
        };
        tokio::spawn(server.serve(listener));
        server
    }

    pub(crate) fn set(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// Changes the certificate to one that expires at `days` from now. Sessions that began before can be resumed.
    pub(crate) fn set_certificate(&self, name: &str, days: i64) {
        let mut config = ServerConfig::clone(&self.authority.server(name, days));
        let mut current = self.config.lock().unwrap();
        config.session_storage = current.session_storage.clone();
        config.ticketer = current.ticketer.clone();
        *current = Arc::new(config);
    }

    /// The URL of the document.
    pub(crate) fn url(&self) -> String {
        format!("https://{NAME}:{}/jwks.json", self.address.port())
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The number of bytes that endless answers have had so far.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn last_head(&self) -> String {
        self.head.lock().unwrap().clone()
    }

    /// Waits until there were `count` requests.
    pub(crate) async fn wait_for(&self, count: usize) {
        let waiting = async {
            while self.requests() < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("the server has not had the requests");
    }

    fn serve(&self, listener: TcpListener) -> impl Future<Output = ()> + Send + use<> {
        let (reply, requests, connections) = (self.reply.clone(), self.requests.clone(), self.connections.clone());
        let (head, sent, config) = (self.head.clone(), self.sent.clone(), self.config.clone());
        async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                connections.fetch_add(1, Ordering::SeqCst);
                let (reply, requests, config) = (reply.clone(), requests.clone(), config.lock().unwrap().clone());
                let (head, sent) = (head.clone(), sent.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                    let Some(request) = read_head(&mut stream).await else { return };
                    *head.lock().unwrap() = request;
                    requests.fetch_add(1, Ordering::SeqCst);
                    let reply = reply.lock().unwrap().clone();
                    // The client may close the connection at any time.
                    let _ = answer(stream, reply, &sent).await;
                });
            }
        }
    }
}

async fn answer(mut stream: TlsStream<TcpStream>, reply: Reply, sent: &AtomicUsize) -> std::io::Result<()> {
    match reply {
        Reply::Send(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Hang(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            // Ends when the client closes the connection.
            stream.read(&mut [0]).await.map(|_| ())
        }
        Reply::Endless(first, again) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&again).await?;
                sent.fetch_add(again.len(), Ordering::SeqCst);
            }
        }
        Reply::Trickle(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                sleep(Duration::from_millis(20)).await;
            }
            stream.shutdown().await
        }
        Reply::Cut(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await
        }
        Reply::Hold(permits, bytes) => {
            permits.acquire().await.unwrap().forget();
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
    }
}

async fn read_head(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// An answer with a document.
pub(crate) fn document(body: &str) -> Vec<u8> {
    answer_with("200 OK", "", body)
}

/// An answer with these header lines, each with its line break.
pub(crate) fn answer_with(status: &str, lines: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A test that waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
