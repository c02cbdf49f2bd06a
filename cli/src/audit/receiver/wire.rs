//! Sends requests as bytes, because HTTP libraries refuse most of them, and reads the responses.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::target::{Stream, Target};

/// A connection to the receiver.
pub(super) struct Link {
    pub(super) incoming: Incoming,
    pub(super) outgoing: WriteHalf<Box<dyn Stream>>,
}

impl Link {
    pub(super) async fn open(target: &Target) -> io::Result<Self> {
        let (reader, outgoing) = tokio::io::split(target.connect().await?);
        Ok(Self { incoming: Incoming { reader, buffer: Vec::new() }, outgoing })
    }

    /// Writes `bytes` and reads one response concurrently, because the receiver may respond early.
    pub(super) async fn exchange(&mut self, bytes: &[u8], patience: Duration) -> Reply {
        let Self { incoming, outgoing } = self;
        tokio::select! {
            reply = incoming.reply(patience) => reply,
            never = write(outgoing, bytes) => match never {},
        }
    }
}

/// Ignores write errors: the receiver may close the connection early, and its response still counts.
async fn write(outgoing: &mut WriteHalf<Box<dyn Stream>>, bytes: &[u8]) -> std::convert::Infallible {
    if outgoing.write_all(bytes).await.is_ok() {
        // If this fails, reading fails too and reports it.
        let _ = outgoing.flush().await;
    }
    std::future::pending().await
}

/// The result of a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Answer(Answer),
    /// The connection was closed.
    Closed,
    /// The response is not HTTP/1.1.
    Garbled,
    /// There was no response in time.
    Silence,
}

impl Reply {
    pub(super) const fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// A short description.
    pub(super) fn said(&self) -> String {
        match self {
            Self::Answer(answer) => answer.status.to_string(),
            Self::Closed => "a closed connection".into(),
            Self::Garbled => "a response that is not HTTP/1.1".into(),
            Self::Silence => "no response".into(),
        }
    }
}

/// A response of the receiver.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether `100 Continue` preceded it.
    pub(super) continued: bool,
}

impl Answer {
    pub(super) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(super) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// The reading half of a connection.
pub(super) struct Incoming {
    reader: ReadHalf<Box<dyn Stream>>,
    buffer: Vec<u8>,
}

impl Incoming {
    /// Reads the next response.
    pub(super) async fn reply(&mut self, patience: Duration) -> Reply {
        match timeout(patience, self.read()).await {
            Err(_) => Reply::Silence,
            Ok(Ok(answer)) => Reply::Answer(answer),
            Ok(Err(Trouble::Closed)) => Reply::Closed,
            Ok(Err(Trouble::Garbled)) => Reply::Garbled,
        }
    }

    async fn read(&mut self) -> Result<Answer, Trouble> {
        let mut continued = false;
        loop {
            let mut answer = self.head().await?;
            match answer.status {
                100 => continued = true,
                101..=199 => {}
                status => {
                    answer.continued = continued;
                    if status != 204 && status != 304 {
                        answer.body = self.body(&answer).await?;
                    }
                    return Ok(answer);
                }
            }
        }
    }

    async fn head(&mut self) -> Result<Answer, Trouble> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            match head.parse(&self.buffer).map_err(|_| Trouble::Garbled)? {
                httparse::Status::Complete(length) => {
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    let headers =
                        head.headers.iter().map(|field| (field.name.to_ascii_lowercase(), text(field.value))).collect();
                    let status = head.code.ok_or(Trouble::Garbled)?;
                    self.buffer.drain(..length);
                    return Ok(Answer { status, headers, body: Vec::new(), continued: false });
                }
                httparse::Status::Partial if self.buffer.len() > MAX_HEAD => return Err(Trouble::Garbled),
                httparse::Status::Partial => self.fill().await?,
            }
        }
    }

    async fn body(&mut self, answer: &Answer) -> Result<Vec<u8>, Trouble> {
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            loop {
                let line = self.line().await?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| Trouble::Garbled)?;
                if size == 0 {
                    while !self.line().await?.is_empty() {}
                    return Ok(body);
                }
                body.extend(self.take(size).await?);
                if body.len() > MAX_BODY || !self.line().await?.is_empty() {
                    return Err(Trouble::Garbled);
                }
            }
        }
        match answer.header("content-length") {
            Some(length) => self.take(length.trim().parse().map_err(|_| Trouble::Garbled)?).await,
            None => {
                // RFC 9112 section 6.3: a body without a length ends with the connection.
                while self.buffer.len() <= MAX_BODY {
                    match self.fill().await {
                        Ok(()) => {}
                        Err(Trouble::Closed) => return Ok(std::mem::take(&mut self.buffer)),
                        Err(trouble) => return Err(trouble),
                    }
                }
                Err(Trouble::Garbled)
            }
        }
    }

    async fn line(&mut self) -> Result<String, Trouble> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end).collect();
                self.buffer.drain(..2);
                return String::from_utf8(line).map_err(|_| Trouble::Garbled);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(Trouble::Garbled);
            }
            self.fill().await?;
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, Trouble> {
        if length > MAX_BODY {
            return Err(Trouble::Garbled);
        }
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn fill(&mut self) -> Result<(), Trouble> {
        match self.reader.read_buf(&mut self.buffer).await {
            // The receiver closed the connection with unread bytes, which resets it.
            Ok(0) | Err(_) => Err(Trouble::Closed),
            Ok(_) => Ok(()),
        }
    }
}

enum Trouble {
    Closed,
    Garbled,
}

const MAX_HEADERS: usize = 100;

/// The maximum size of a response head in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The maximum number of body bytes to read.
const MAX_BODY: usize = 1024 * 1024;
