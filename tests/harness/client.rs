//! A client that writes arbitrary bytes and reads one answer at a time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;

/// A connection to a receiver.
#[derive(Debug)]
pub(crate) struct Connection {
    own: IpAddr,
    receiver: SocketAddr,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The last answer has `Connection: close`.
    is_over: bool,
}

/// A way to disconnect.
pub(crate) type Departure = (&'static str, fn(Connection));

/// hyper drops the request in both cases, actix-web only after a reset.
pub(crate) const DEPARTURES: [Departure; 2] = [("closes", drop), ("resets", Connection::reset)];

/// An answer as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the value of a header by its lower-case name, as hyper writes it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The answer byte for byte without `Date`, and without `Connection`, which depends on how much body was read.
    pub(crate) fn undated(&self) -> String {
        let differs = |line: &str| line.starts_with("date: ") || line.starts_with("connection: ");
        let lines = self.head.split_inclusive("\r\n").filter(|line| !differs(line));
        lines.chain([&*String::from_utf8_lossy(&self.body)]).collect()
    }

    /// The answer in one line: status, headers sorted by name, body. `Date` and connection headers are left out.
    pub(crate) fn essence(&self) -> String {
        let mut lines = self.head.trim_end().split("\r\n");
        let status = lines.next().unwrap_or_default().trim_start_matches("HTTP/1.1 ").to_owned();
        let mut headers: Vec<_> = lines
            .filter(|line| !["date: ", "connection: ", "keep-alive: "].iter().any(|name| line.starts_with(name)))
            .collect();
        headers.sort_unstable();
        let body = String::from_utf8_lossy(&self.body);
        [status.as_str()]
            .into_iter()
            .chain(headers)
            .chain((!body.is_empty()).then_some(&*body))
            .collect::<Vec<_>>()
            .join(" | ")
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("a connection"))
    }

    /// Connects from a loopback address.
    pub(crate) async fn open_from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(own, 0)).expect("an address of the loopback");
        Self::over(socket.connect(address).await.expect("a connection"))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an open socket");
        let own = stream.local_addr().expect("an open socket").ip();
        let receiver = stream.peer_addr().expect("an open socket");
        let (reader, writer) = stream.into_split();
        Self { own, receiver, reader: BufReader::new(reader), writer, is_over: false }
    }

    /// Resets the connection, as the kernel does when a process dies with unread bytes.
    pub(crate) fn reset(self) {
        let stream = self.reader.into_inner().reunite(self.writer).expect("the halves of one");
        stream.set_zero_linger().expect("an open socket");
    }

    /// Writes `bytes`. The receiver may close the connection before it has read all; its answer still counts.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.writer.write_all(bytes)).await.expect("the receiver stopped reading");
    }

    /// Returns whether the receiver has answered or closed the connection.
    pub(crate) async fn is_answered(&mut self) -> bool {
        timeout(Duration::ZERO, self.reader.fill_buf()).await.is_ok()
    }

    /// Returns the next answer, or `None` if the receiver closed the connection.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let answer = read_answer(&mut self.reader).await?;
        self.is_over = answer.header("connection") == Some("close");
        Some(answer)
    }

    /// Writes `bytes` and concurrently reads one answer, because the receiver may answer before it has read all. Opens a
    /// new connection first if the last answer had `Connection: close`.
    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> Option<Answer> {
        if self.is_over {
            *self = Self::open_from(self.own, self.receiver).await;
        }
        let writing = async {
            let _ = timeout(PATIENCE, self.writer.write_all(bytes)).await.expect("the receiver stopped reading");
        };
        let answer = tokio::join!(writing, read_answer(&mut self.reader)).1?;
        self.is_over = answer.header("connection") == Some("close");
        Some(answer)
    }

    /// Closes the sending direction.
    pub(crate) async fn finish(&mut self) {
        // Fails if the receiver has closed the connection.
        let _ = self.writer.shutdown().await;
    }

    /// Writes `drop` after each `pause` until the receiver answers.
    pub(crate) async fn drip(&mut self, drop: &[u8], pause: Duration) -> Option<Answer> {
        let dripping = async {
            loop {
                tokio::time::sleep(pause).await;
                // Fails if the receiver has closed the connection; the answer shows it.
                let _ = self.writer.write_all(drop).await;
            }
        };
        tokio::select! {
            () = dripping => None,
            answer = read_answer(&mut self.reader) => answer,
        }
    }
}

async fn read_answer(reader: &mut BufReader<OwnedReadHalf>) -> Option<Answer> {
    timeout(PATIENCE, async {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head).await {
                // The receiver closed the connection with unread bytes, which resets it.
                Err(_) | Ok(0) if head.is_empty() => return None,
                Err(error) => panic!("reset within an answer: {error}: {head:?}"),
                Ok(0) => panic!("closed within an answer: {head:?}"),
                Ok(_) => {}
            }
        }
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: {head:?}"));
        let mut answer = Answer { status, head, body: Vec::new() };
        if answer.header("transfer-encoding").is_some() {
            read_chunks(reader, &mut answer.body).await;
        } else if let Some(length) = answer.header("content-length") {
            answer.body.resize(length.parse().expect("a length"), 0);
            reader.read_exact(&mut answer.body).await.expect("a complete body");
        }
        Some(answer)
    })
    .await
    .expect("no answer in time")
}

async fn read_chunks(reader: &mut BufReader<OwnedReadHalf>, body: &mut Vec<u8>) {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await.expect("a chunk's size");
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size");
        let mut chunk = vec![0; size];
        reader.read_exact(&mut chunk).await.expect("a complete chunk");
        body.append(&mut chunk);
        line.clear();
        reader.read_line(&mut line).await.expect("a chunk's end");
        assert_eq!(line, "\r\n");
        if size == 0 {
            return;
        }
    }
}
