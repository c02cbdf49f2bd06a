//! The bytes of a verified body.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// The bytes of a verified body. Only a successful verification creates it. As a [`Body`] it never fails and has no
/// trailers. [`ReceivedBody::into_verified`](crate::tower::ReceivedBody::into_verified) returns it.
///
/// ```
/// use bytes::Bytes;
/// use hookwarden::tower::{ReceivedBody, VerifiedBody};
/// use http_body_util::BodyExt as _;
///
/// async fn handle(request: http::Request<ReceivedBody>) -> Option<Bytes> {
///     let verified: VerifiedBody = request.into_body().into_verified().ok()?;
///     let Ok(body) = verified.collect().await; // the error type is `Infallible`
///     Some(body.to_bytes())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct VerifiedBody {
    /// Most bodies are one frame.
    first: Option<Bytes>,
    /// All frames of other bodies.
    frames: Option<Box<Frames>>,
}

/// Frames of a body.
#[derive(Debug, Clone, Default)]
pub(super) struct Frames {
    complete: VecDeque<Bytes>,
    /// The small chunks at the end. They are copied together, because each one-byte chunk could keep a whole buffer alive.
    tail: BytesMut,
}

impl Frames {
    pub(super) fn push(&mut self, chunk: Bytes) {
        if chunk.len() >= LARGE {
            self.seal();
            self.complete.push_back(chunk);
            return;
        }
        if self.tail.capacity() == 0 {
            self.tail.reserve(LARGE);
        }
        self.tail.extend_from_slice(&chunk);
    }

    /// Completes the last frame.
    pub(super) fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.complete.push_back(self.tail.split().freeze());
        }
    }

    /// Takes the first complete frame.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.complete.pop_front()
    }

    /// Returns the number of bytes in the complete frames.
    pub(super) fn bytes(&self) -> u64 {
        count(self.complete.iter())
    }
}

impl VerifiedBody {
    pub(super) const fn empty() -> Self {
        Self { first: None, frames: None }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        // HTTP/2 often ends a body with an empty frame.
        if chunk.is_empty() {
            return;
        }
        if self.frames.is_none() && self.first.is_none() {
            self.first = Some(chunk);
            return;
        }
        let frames = self.frames.get_or_insert_default();
        self.first.take().into_iter().chain([chunk]).for_each(|chunk| frames.push(chunk));
    }

    pub(super) fn seal(&mut self) {
        if let Some(frames) = &mut self.frames {
            frames.seal();
        }
    }

    /// Returns the complete frames.
    fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.first.iter().chain(self.frames.iter().flat_map(|frames| &frames.complete))
    }

    /// Returns all bytes if there are at most `max`.
    pub(super) fn contiguous(&self, max: usize) -> Option<Cow<'_, [u8]>> {
        if usize::try_from(self.remaining()).ok()? > max {
            return None;
        }
        let mut frames = self.iter().map(|frame| &**frame);
        let first = frames.next().unwrap_or_default();
        match frames.next() {
            None => Some(Cow::Borrowed(first)),
            Some(second) => Some(Cow::Owned([first, second].into_iter().chain(frames).collect::<Vec<_>>().concat())),
        }
    }

    pub(crate) fn next_chunk(&mut self) -> Option<Bytes> {
        self.first.take().or_else(|| self.frames.as_mut()?.next())
    }

    fn remaining(&self) -> u64 {
        count(self.iter())
    }
}

fn count<'b>(frames: impl Iterator<Item = &'b Bytes>) -> u64 {
    let bytes = frames.map(Bytes::len).fold(0, usize::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Body for VerifiedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_chunk().map(Frame::data).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.iter().next().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

/// The size in bytes from which a chunk is kept without a copy.
const LARGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(chunks: &[&[u8]]) -> VerifiedBody {
        let mut body = VerifiedBody::empty();
        chunks.iter().for_each(|chunk| body.push(Bytes::copy_from_slice(chunk)));
        body.seal();
        body
    }

    #[test]
    fn small_chunks_around_large_ones_keep_their_order() {
        let large = [b'x'; LARGE];
        let mut body = body_of(&[b"a", b"b", b"", b"c", &large, b"d", &large, &large]);
        assert_eq!(body.remaining(), 3 * 4096 + 4);
        let frames: Vec<Bytes> = std::iter::from_fn(|| body.next_chunk()).collect();
        let sizes: Vec<usize> = frames.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [3, LARGE, 1, LARGE, LARGE]);
        assert_eq!(frames[0], "abc");
    }

    #[test]
    fn single_chunk_is_kept_without_a_copy() {
        for size in [1, LARGE - 1, LARGE] {
            let chunk = Bytes::from(vec![7; size]);
            let mut body = VerifiedBody::empty();
            [chunk.clone(), Bytes::new()].into_iter().for_each(|chunk| body.push(chunk));
            body.seal();
            assert_eq!(body.next_chunk().unwrap().as_ptr(), chunk.as_ptr(), "{size} bytes");
        }
    }

    #[test]
    fn empty_body_has_no_frame() {
        assert!(body_of(&[]).is_end_stream() && body_of(&[b"", b""]).is_end_stream());
    }
}
