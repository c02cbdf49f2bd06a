//! The load generator: keep-alive connections over loopback, HTTP/1.1, one request in flight on each, on one thread. It
//! ends with its last request or at its time limit.
//!
//! The thread never sleeps: waking it would cost CPU time of the answering receiver, and slow receivers more than fast
//! ones.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::deliveries::Batch;

/// Connections to one receiver, opened before the clock starts.
pub(crate) struct Load {
    runtime: Runtime,
    streams: Vec<TcpStream>,
}

/// The results of a run.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, LoadError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let streams = runtime.block_on(async {
            let mut streams = Vec::with_capacity(CONNECTIONS);
            for _ in 0..CONNECTIONS {
                let stream = timeout(RUN_LIMIT, TcpStream::connect(address)).await??;
                stream.set_nodelay(true)?;
                streams.push(stream);
            }
            Ok::<_, LoadError>(streams)
        })?;
        Ok(Self { runtime, streams })
    }

    /// Sends the first `count` requests of the batch, each once.
    pub(crate) fn run(self, batch: &Arc<Batch>, count: usize) -> Result<Measured, LoadError> {
        let Self { runtime, streams } = self;
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let latencies = runtime.block_on(async {
            let mut connections = JoinSet::new();
            for stream in streams {
                connections.spawn(drive(stream, batch.clone(), next.clone(), count));
            }
            let all = async {
                let mut latencies = histogram();
                while let Some(connection) = connections.join_next().await {
                    latencies.add(connection.unwrap()?).unwrap();
                }
                Ok::<_, LoadError>(latencies)
            };
            tokio::select! {
                latencies = timeout(RUN_LIMIT, all) => latencies?,
                never = stay_awake() => match never {},
            }
        })?;
        let elapsed = began.elapsed();
        let quantile = |quantile| Duration::from_nanos(latencies.value_at_quantile(quantile));
        Ok(Measured { elapsed, p50: quantile(0.5), p99: quantile(0.99) })
    }
}

/// Keeps the runtime polling for input.
async fn stay_awake() -> Infallible {
    loop {
        tokio::task::yield_now().await;
    }
}

/// Keeps one connection busy until no request is left. Returns its latencies in nanoseconds.
async fn drive(
    mut stream: TcpStream,
    batch: Arc<Batch>,
    next: Arc<AtomicUsize>,
    count: usize,
) -> Result<Histogram<u64>, LoadError> {
    let mut latencies = histogram();
    let mut received = Vec::with_capacity(4096);
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = batch.requests.get(index).filter(|_| index < count) else { return Ok(latencies) };
        let sent = Instant::now();
        stream.write_all(request).await?;
        received.clear();
        while !is_answered(&received, &batch.answer)? {
            if stream.read_buf(&mut received).await? == 0 {
                return Err(LoadError("the receiver closed a connection".into()));
            }
        }
        let nanoseconds = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
        latencies.saturating_record(nanoseconds);
    }
}

/// Whether the whole expected answer was received: 200, and the body of the handler. A guard also answers 200 to a
/// replay, but without a body.
fn is_answered(received: &[u8], expected: &str) -> Result<bool, LoadError> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(received)? else { return Ok(false) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let body = received.get(head..).unwrap_or_default();
    if response.code != Some(200) || length != Some(expected.len()) || body.len() > expected.len() {
        return Err(LoadError(format!("unexpected answer: {}", String::from_utf8_lossy(received))));
    }
    if body.len() < expected.len() {
        return Ok(false);
    }
    if body == expected.as_bytes() { Ok(true) } else { Err(LoadError("unexpected body of an answer".into())) }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).unwrap()
}

/// Why a run is invalid.
#[derive(Debug)]
pub(crate) struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

impl From<std::io::Error> for LoadError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<httparse::Error> for LoadError {
    fn from(error: httparse::Error) -> Self {
        Self(format!("malformed answer: {error}"))
    }
}

impl From<tokio::time::error::Elapsed> for LoadError {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self(format!("a run took longer than {} s", RUN_LIMIT.as_secs()))
    }
}

pub(crate) const CONNECTIONS: usize = 16;

const RUN_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::is_answered;

    #[test]
    fn only_a_complete_handler_answer_counts() {
        for (received, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n1024", Ok(true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n10", Ok(false)),
            ("HTTP/1.1 200 OK\r\ncontent-le", Ok(false)),
            ("", Ok(false)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Err(())),
            ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n1025", Err(())),
            ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\n\r\n1024", Err(())),
            ("HTTP/1.1 204 No Content\r\n\r\n", Err(())),
        ] {
            assert_eq!(is_answered(received.as_bytes(), "1024").map_err(drop), expected, "{received:?}");
        }
    }
}
