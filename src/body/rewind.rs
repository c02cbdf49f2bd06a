//! A body that keeps what is read of it, and returns it again from the start.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::verified_body::Frames;

/// A body that keeps what is read of it.
pub(super) struct Recorded<B: Body> {
    body: Pin<Box<B>>,
    read: Frames,
    trailers: Option<HeaderMap>,
    /// `Some` once the body has ended, and with the error if it broke off.
    end: Option<Result<(), B::Error>>,
}

/// A body from its start: what was read, and then the rest.
pub(crate) struct Rewound<B: Body>(Recorded<B>);

/// The body broke off. [`Rewound`] has the error.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl<B: Body> Recorded<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body: Box::pin(body), read: Frames::default(), trailers: None, end: None }
    }

    pub(super) fn rewind(mut self) -> Rewound<B> {
        self.read.seal();
        Rewound(self)
    }
}

impl<B: Body> Rewound<B> {
    /// Returns whether the body was read to its end.
    #[cfg(feature = "tower")]
    pub(crate) fn was_read(&self) -> bool {
        self.0.is_end_stream()
    }
}

// The body is pinned in its box, and nothing else is pinned.
impl<B: Body> Unpin for Recorded<B> {}
impl<B: Body> Unpin for Rewound<B> {}

impl<B: Body> Body for Recorded<B> {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let frame = match ready!(self.body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => of_bytes(frame),
            Some(Err(error)) => {
                self.end = Some(Err(error));
                return Poll::Ready(Some(Err(BrokenOff)));
            }
            None => {
                self.end = Some(Ok(()));
                return Poll::Ready(None);
            }
        };
        if let Some(chunk) = frame.data_ref().filter(|chunk| !chunk.is_empty()) {
            let chunk = chunk.clone();
            self.read.push(chunk);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_some() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Body for Rewound<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Recorded { body, read, trailers, end } = &mut self.0;
        if let Some(chunk) = read.next() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if let Some(trailers) = trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if end.is_none() {
            let next = ready!(body.as_mut().poll_frame(cx));
            if next.is_none() {
                *end = Some(Ok(()));
            }
            return Poll::Ready(next.map(|frame| frame.map(of_bytes)));
        }
        Poll::Ready(end.replace(Ok(())).and_then(Result::err).map(Err))
    }

    fn is_end_stream(&self) -> bool {
        let Recorded { body, read, trailers, end } = &self.0;
        let rest_has_ended = match end {
            Some(end) => end.is_ok(),
            None => body.is_end_stream(),
        };
        read.bytes() == 0 && trailers.is_none() && rest_has_ended
    }

    fn size_hint(&self) -> SizeHint {
        let Recorded { body, read, end, .. } = &self.0;
        let rest = if end.is_some() { SizeHint::with_exact(0) } else { body.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read.bytes()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read.bytes()));
        }
        hint
    }
}

impl<B: Body> fmt::Debug for Rewound<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewound(…)")
    }
}

fn of_bytes<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};

    use futures_util::FutureExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    type Piece = Result<Frame<Bytes>, &'static str>;

    fn body(pieces: Vec<Piece>) -> Recorded<impl Body<Data = Bytes, Error = &'static str>> {
        Recorded::new(StreamBody::new(futures_util::stream::iter(pieces)))
    }

    fn data(text: &'static str) -> Piece {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    fn now<F: Future>(future: F) -> F::Output {
        future.now_or_never().expect("a body that is ready")
    }

    /// Reads `frames` frames, rewinds, and returns everything that follows.
    fn rewound(pieces: Vec<Piece>, frames: usize) -> (String, Option<HeaderMap>, Option<&'static str>) {
        let mut recorded = body(pieces);
        for _ in 0..frames {
            drop(now(poll_fn(|cx| Pin::new(&mut recorded).poll_frame(cx))));
        }
        let (mut rewound, mut text, mut trailers) = (recorded.rewind(), String::new(), None);
        while let Some(frame) = now(rewound.frame()) {
            match frame.map(Frame::into_data) {
                Ok(Ok(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(error) => return (text, trailers, Some(error)),
            }
        }
        assert!(rewound.is_end_stream());
        (text, trailers, None)
    }

    #[test]
    fn rewound_body_is_whole_wherever_reading_stopped() {
        let map = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
        for frames in 0..6 {
            let pieces = vec![data("one "), data(""), data("two "), data("three"), Ok(Frame::trailers(map.clone()))];
            assert_eq!(rewound(pieces, frames), ("one two three".to_owned(), Some(map.clone()), None), "{frames}");
        }
    }

    #[test]
    fn broken_body_ends_with_its_error_again() {
        for frames in 0..3 {
            let pieces = vec![data("one"), Err("reset")];
            assert_eq!(rewound(pieces, frames), ("one".to_owned(), None, Some("reset")), "{frames}");
        }
    }

    #[test]
    fn size_hint_includes_what_was_read() {
        let mut recorded = Recorded::new(http_body_util::Full::new(Bytes::from_static(b"four")));
        drop(now(poll_fn(|cx| Pin::new(&mut recorded).poll_frame(cx))));
        assert_eq!(recorded.rewind().size_hint().exact(), Some(4));
    }
}
