//! The body of a request, with a copy of what was read.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, timeout_at};

/// A body that a Warden reads as far as it needs. [`finish`](Self::finish) then reads the rest.
#[derive(Clone)]
pub(super) struct Recording(Arc<Mutex<Tape>>);

struct Tape {
    body: Incoming,
    read: Vec<u8>,
    /// The maximum size of `read`.
    limit: usize,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    /// The connection was closed, or the body is larger than the limit.
    Incomplete,
}

impl Recording {
    pub(super) fn new(body: Incoming, limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Tape { body, read: Vec::new(), limit, end: None })))
    }

    /// Reads the rest, and returns the whole body. Returns `None` if it is larger than the limit, incomplete, or not there
    /// at `deadline`.
    pub(super) async fn finish(mut self, deadline: Instant) -> Option<Bytes> {
        let rest = async {
            while self.tape().end.is_none() {
                self.frame().await;
            }
        };
        timeout_at(deadline, rest).await.ok()?;
        let mut tape = self.tape();
        (tape.end == Some(End::Complete)).then(|| std::mem::take(&mut tape.read).into())
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tape {
    fn add(&mut self, frame: Option<&Result<Frame<Bytes>, hyper::Error>>) {
        match frame {
            None => self.end = self.end.or(Some(End::Complete)),
            Some(Err(_)) => self.end = Some(End::Incomplete),
            Some(Ok(frame)) => {
                let data = frame.data_ref().map(|data| &**data).unwrap_or_default();
                if self.read.len().saturating_add(data.len()) > self.limit {
                    self.end = Some(End::Incomplete);
                } else if self.end.is_none() {
                    self.read.extend_from_slice(data);
                }
            }
        }
    }
}

impl Body for Recording {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut tape = self.tape();
        let frame = ready!(Pin::new(&mut tape.body).poll_frame(cx));
        tape.add(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.tape().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.tape().body.size_hint()
    }
}
