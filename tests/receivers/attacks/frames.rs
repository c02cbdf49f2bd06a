//! HTTP/2 connections: one that writes single frames (RFC 9113), and an ordinary client.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::time::timeout;

use super::process::Receiver;
use crate::harness::sender::Post;

/// Frame types.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A connection that writes arbitrary frames and discards what it reads.
pub(crate) struct Frames {
    writer: OwnedWriteHalf,
    ended: watch::Receiver<bool>,
}

impl Frames {
    pub(crate) async fn open(receiver: &Receiver) -> Self {
        let stream = TcpStream::connect(receiver.address()).await.expect("a connection");
        let (mut reader, mut writer) = stream.into_split();
        let (end, ended) = watch::channel(false);
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok(1..) = reader.read(&mut buffer).await {}
            end.send_replace(true);
        });
        let greeting = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, b"")[..]].concat();
        writer.write_all(&greeting).await.expect("a connection");
        writer.write_all(&frame(SETTINGS, ACK, 0, b"")).await.expect("a connection");
        Self { writer, ended }
    }

    /// Writes `bytes`, and returns whether the connection is still open.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        // A receiver that stopped reading has not ended the connection.
        let sent = timeout(Duration::from_secs(2), self.writer.write_all(bytes)).await;
        !*self.ended.borrow() && sent.is_ok_and(|sent| sent.is_ok())
    }

    /// Returns whether the receiver ends the connection within `time`.
    pub(crate) async fn is_ended_within(&mut self, time: Duration) -> bool {
        timeout(time, self.ended.wait_for(|ended| *ended)).await.is_ok()
    }
}

/// A frame of the given kind.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A frame that resets a stream.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: u32 = 8;
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// The fields of a request as HPACK literals without indexing (RFC 7541 section 6.2.2).
pub(crate) fn fields(post: &Post) -> Vec<u8> {
    let mut block = Vec::new();
    let pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", &post.path)];
    for (name, value) in pseudo {
        add_field(&mut block, name, value.as_bytes());
    }
    for (name, value) in &post.headers {
        add_field(&mut block, &name.to_lowercase(), value);
    }
    block
}

pub(crate) fn add_field(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    for text in [name.as_bytes(), value] {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        block.push(length.expect("a short text"));
        block.extend_from_slice(text);
    }
}

/// An honest client's connection.
pub(crate) async fn client<B>(receiver: &Receiver) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(receiver.address()).await.expect("a connection");
    let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    requests
}

/// Returns the status of the answer to a request, or zero if the stream is reset.
pub(crate) async fn status<B>(requests: &mut SendRequest<B>, post: &Post, body: B) -> u16
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = format!("http://localhost{}", post.path);
    let request = post.clone().to(&path).request(body);
    match requests.send_request(request).await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            // The rest of an answer to an unread request may be cut off.
            let _ = answer.into_body().collect().await;
            status
        }
        Err(_) => 0,
    }
}
