//! A client that writes whatever bytes it is given, and reads one answer at a time.

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
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// An answer as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case, as hyper writes it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The answer byte for byte, without its `Date`.
    pub(crate) fn undated(&self) -> String {
        let lines = self.head.split_inclusive("\r\n").filter(|line| !line.starts_with("date: "));
        lines.chain([&*String::from_utf8_lossy(&self.body)]).collect()
    }

    /// The answer in one line: the status, the headers in order of their names, the body. What the server says of the
    /// time and of its connection is left out.
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

    /// A connection from an address of the loopback that the test chooses.
    pub(crate) async fn open_from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(own, 0)).expect("an address of the loopback");
        Self::over(socket.connect(address).await.expect("a connection"))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an open socket");
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer }
    }

    /// Writes `bytes`. A receiver may have closed the connection before it has them all; what it answered still counts.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.writer.write_all(bytes)).await.expect("the receiver takes nothing any more");
    }

    /// The next answer, or `None` where the receiver has closed the connection instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        read_answer(&mut self.reader).await
    }

    /// Writes `bytes` and reads one answer at the same time, as the receiver may answer before it has them all.
    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> Option<Answer> {
        let writing = async {
            let _ = timeout(PATIENCE, self.writer.write_all(bytes)).await.expect("the receiver takes nothing any more");
        };
        tokio::join!(writing, read_answer(&mut self.reader)).1
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        // A connection that the receiver has closed is finished already.
        let _ = self.writer.shutdown().await;
    }

    /// Writes `drop` after each `pause`, until there is an answer.
    pub(crate) async fn drip(&mut self, drop: &[u8], pause: Duration) -> Option<Answer> {
        let dripping = async {
            loop {
                tokio::time::sleep(pause).await;
                // The answer tells whether the receiver still listens.
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
                // Closed with bytes of ours unread, which resets the connection.
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
            reader.read_exact(&mut answer.body).await.expect("a whole body");
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
        reader.read_exact(&mut chunk).await.expect("a whole chunk");
        body.append(&mut chunk);
        line.clear();
        reader.read_line(&mut line).await.expect("a chunk's end");
        assert_eq!(line, "\r\n");
        if size == 0 {
            return;
        }
    }
}
