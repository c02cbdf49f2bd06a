//! Receives a body and verifies it chunk by chunk, within the body limit and one deadline, without copying large
//! chunks.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::event::RefusalReason;
use crate::headers::Head;
use crate::request_context::RequestContext;
use crate::warden::answer::Answer;
use crate::warden::{Admitted, Refused, Sent, Warden};

/// A request that does not reach the handler.
#[derive(Debug)]
pub(crate) enum Unhandled {
    Refused(Refused),
    /// The answer to a handshake, or the refusal of one.
    Handshake(Answer),
}

impl Unhandled {
    pub(crate) fn into_answer(self) -> Answer {
        match self {
            Self::Refused(refused) => refused.into_answer(),
            Self::Handshake(answer) => answer,
        }
    }

    /// Whether the body ended with an error.
    #[cfg(feature = "actix")]
    pub(crate) fn is_broken_off(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.reason() == RefusalReason::BodyInterrupted)
    }

    /// Adds `Connection: close` to the answer.
    pub(crate) fn closing_connection(self) -> Self {
        match self {
            Self::Refused(refused) => Self::Refused(refused.closing_connection()),
            Self::Handshake(answer) => Self::Handshake(answer.closing_connection()),
        }
    }
}

impl From<Refused> for Unhandled {
    fn from(refused: Refused) -> Self {
        match refused.answer().is_handshake() {
            true => Self::Handshake(refused.into_answer()),
            false => Self::Refused(refused),
        }
    }
}

/// Verifies a request. The body is read only after the head has passed its checks.
pub(crate) async fn receive<H: Head, B: Body>(
    warden: &Warden,
    head: &H,
    context: RequestContext,
    body: B,
) -> Result<(Admitted, VerifiedBody), Unhandled> {
    // `None` if the clock cannot represent the deadline, which then never passes.
    let deadline = Instant::now().checked_add(warden.deadline());
    if let Some(answering) = unsigned_handshake(warden, head, &context, deadline) {
        return Err(Unhandled::Handshake(answering.await));
    }
    let examined =
        warden.examine_for(head, context.peer, context.id.as_ref())?.with_room_for(max_bytes(&body.size_hint()))?;
    let id = context.id.unwrap_or_else(|| warden.id_source().find(head));
    let is_local = warden.is_local();
    let mut receiving = if is_local {
        examined.identify_by(id)?
    } else {
        Box::pin(examined.identify_by_until(id, passed(deadline))).await?
    };
    // hyper sets the hint from `Content-Length`. A body of unknown length is counted as it arrives.
    receiving.expect(body.size_hint().lower())?;
    let (mut body, mut timer) = (pin!(body), pin!(None));
    let mut taken = VerifiedBody::empty();
    for count in 1_u64.. {
        // Check the deadline here too: a body that is always ready never lets the timer be polled.
        let is_late = count.is_multiple_of(READY_FRAMES) && deadline.is_some_and(|deadline| deadline <= Instant::now());
        let next = if is_late { Err(TooSlow) } else { frame_by(deadline, body.as_mut(), timer.as_mut()).await };
        match next {
            Err(TooSlow) => return Err(receiving.refuse(RefusalReason::BodyTooSlow).into()),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(receiving.refuse(RefusalReason::BodyInterrupted).into()),
            // Trailers are not signed, so they are dropped.
            Ok(Some(Ok(frame))) => {
                if let Ok(mut data) = frame.into_data() {
                    let chunk = data.copy_to_bytes(data.remaining());
                    receiving.update(&chunk)?;
                    if receiving.keeps_body() {
                        taken.push(chunk);
                    }
                }
            }
        }
    }
    taken.seal();
    let read = || warden.max_read_body().and_then(|max| taken.contiguous(max));
    let sent = Some(Sent { head, body: &read });
    let mut admitted = if is_local {
        receiving.admit_now(sent)?
    } else {
        // The stores get extra time, for a body that arrived just before its deadline.
        let stores = deadline.and_then(|deadline| deadline.checked_add(STORE_GRACE));
        Box::pin(receiving.finish_until(sent, passed(stores))).await?
    };
    if let Some(answer) = admitted.take_handshake_answer() {
        admitted.commit();
        return Err(Unhandled::Handshake(answer));
    }
    Ok((admitted, taken))
}

/// Answers an unsigned handshake. The future is boxed to keep that of deliveries small.
fn unsigned_handshake<H: Head>(
    warden: &Warden,
    head: &H,
    context: &RequestContext,
    deadline: Option<Instant>,
) -> Option<Pin<Box<impl Future<Output = Answer>>>> {
    let handshake = warden.unsigned_handshake(head, context.id.as_ref(), context.peer)?;
    Some(Box::pin(warden.answer_unsigned(handshake, head, context.peer, passed(deadline))))
}

/// Returns the announced length, or `u64::MAX` for a body of unknown length.
fn max_bytes(hint: &SizeHint) -> u64 {
    hint.exact().or(Some(hint.lower()).filter(|lower| *lower > 0)).unwrap_or(u64::MAX)
}

/// Returns the next frame, or an error after `deadline`. The timer is created only if the body is not ready, because
/// most bodies arrive with their head.
async fn frame_by<B: Body>(
    deadline: Option<Instant>,
    mut body: Pin<&mut B>,
    mut timer: Pin<&mut Option<Sleep>>,
) -> Result<Option<Result<Frame<B::Data>, B::Error>>, TooSlow> {
    poll_fn(|cx| {
        if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
            return Poll::Ready(Ok(frame));
        }
        if let (None, Some(deadline)) = (&*timer, deadline) {
            timer.set(Some(sleep_until(deadline)));
        }
        // Poll the timer even if the body has used up the task's budget.
        let late = |timer| pin!(unconstrained(timer)).poll(cx).map(|()| Err(TooSlow));
        timer.as_mut().as_pin_mut().map_or(Poll::Pending, late)
    })
    .await
}

/// The deadline has passed.
struct TooSlow;

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// The bytes of a verified body. Only a successful verification creates it. As a [`Body`] it never fails and has no
/// trailers.
///
/// ```
/// use bytes::Bytes;
/// use hookwarden::tower::VerifiedBody;
/// use http_body_util::BodyExt as _;
///
/// async fn handle(request: http::Request<VerifiedBody>) -> Bytes {
///     let Ok(body) = request.into_body().collect().await; // the error type is `Infallible`
///     body.to_bytes()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct VerifiedBody {
    /// Most bodies are one frame, which needs no queue.
    first: Option<Bytes>,
    others: VecDeque<Bytes>,
    tail: Tail,
}

/// The small chunks at the end. They are copied together, because each one-byte chunk could keep a whole buffer alive.
#[derive(Debug, Clone, Default)]
enum Tail {
    #[default]
    Empty,
    One(Bytes),
    Several(BytesMut),
}

impl VerifiedBody {
    const fn empty() -> Self {
        Self { first: None, others: VecDeque::new(), tail: Tail::Empty }
    }

    fn push(&mut self, chunk: Bytes) {
        if chunk.len() >= LARGE {
            self.seal();
            self.keep(chunk);
            return;
        }
        self.tail = match std::mem::take(&mut self.tail) {
            Tail::Empty if chunk.is_empty() => Tail::Empty,
            Tail::Empty => Tail::One(chunk),
            Tail::One(first) => {
                let mut several = BytesMut::with_capacity(LARGE);
                several.extend_from_slice(&first);
                several.extend_from_slice(&chunk);
                Tail::Several(several)
            }
            Tail::Several(mut several) => {
                several.extend_from_slice(&chunk);
                Tail::Several(several)
            }
        };
    }

    fn seal(&mut self) {
        match std::mem::take(&mut self.tail) {
            Tail::Empty => {}
            Tail::One(chunk) => self.keep(chunk),
            Tail::Several(several) => self.keep(several.freeze()),
        }
    }

    fn keep(&mut self, frame: Bytes) {
        match &self.first {
            None => self.first = Some(frame),
            Some(_) => self.others.push_back(frame),
        }
    }

    /// Returns all bytes if there are at most `max`.
    fn contiguous(&self, max: usize) -> Option<Cow<'_, [u8]>> {
        if usize::try_from(self.remaining()).ok()? > max {
            return None;
        }
        match (&self.first, self.others.is_empty()) {
            (Some(first), true) => Some(Cow::Borrowed(first)),
            (first, _) => {
                let frames: Vec<&[u8]> = first.iter().chain(&self.others).map(|frame| &**frame).collect();
                Some(Cow::Owned(frames.concat()))
            }
        }
    }

    pub(crate) fn next_chunk(&mut self) -> Option<Bytes> {
        self.first.take().or_else(|| self.others.pop_front())
    }

    fn remaining(&self) -> u64 {
        let bytes = self.first.iter().chain(&self.others).map(Bytes::len).fold(0, usize::saturating_add);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Body for VerifiedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_chunk().map(Frame::data).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

/// How long after the deadline shared stores may still answer. Stores have their own timeouts; this limit stops a store
/// that hangs.
const STORE_GRACE: Duration = Duration::from_secs(1);

/// The clock is read once per this many frames.
const READY_FRAMES: u64 = 16;

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
            body.push(chunk.clone());
            body.seal();
            assert_eq!(body.next_chunk().unwrap().as_ptr(), chunk.as_ptr(), "{size} bytes");
        }
    }

    #[test]
    fn empty_body_has_no_frame() {
        assert!(body_of(&[]).is_end_stream() && body_of(&[b"", b""]).is_end_stream());
    }
}
