//! A body with given frames that counts its polls.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// A body with given frames that is always ready.
pub(crate) struct Frames {
    frames: Box<dyn Iterator<Item = Frame<Bytes>> + Send>,
    hint: SizeHint,
    count: Count,
}

/// The polls and bytes of a body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count {
    polls: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl Frames {
    /// Creates a body of unknown length.
    pub(crate) fn new<I: IntoIterator<Item = Frame<Bytes>>>(frames: I) -> Self
    where
        I::IntoIter: Send + 'static,
    {
        Self { frames: Box::new(frames.into_iter()), hint: SizeHint::default(), count: Count::default() }
    }

    /// Splits `body` into pieces of at most `size` bytes.
    pub(crate) fn pieces(body: &[u8], size: usize) -> Self {
        let pieces: Vec<_> = body.chunks(size).map(|piece| Frame::data(Bytes::copy_from_slice(piece))).collect();
        Self::new(pieces)
    }

    /// Creates a body of `count` frames with `size` bytes each.
    pub(crate) fn zeros(count: usize, size: usize) -> Self {
        let frame = Bytes::from(vec![0; size]);
        Self::new(std::iter::repeat_n(frame, count).map(Frame::data))
    }

    /// Makes the length known, as `Content-Length` does.
    pub(crate) fn exactly(self, bytes: u64) -> Self {
        Self { hint: SizeHint::with_exact(bytes), ..self }
    }

    /// Returns the counter of this body.
    pub(crate) fn count(&self) -> Count {
        self.count.clone()
    }
}

impl Count {
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.count.polls.fetch_add(1, Ordering::SeqCst);
        let frame = self.frames.next();
        let bytes = frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        self.count.bytes.fetch_add(bytes, Ordering::SeqCst);
        Poll::Ready(frame.map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
