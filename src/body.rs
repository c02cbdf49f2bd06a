//! Receives a body and verifies it chunk by chunk, within the body limit and one deadline, without copying large
//! chunks.

mod received_body;
mod report;
mod rewind;
mod verified_body;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::event::RefusalReason;
use crate::headers::Head;
use crate::request_context::RequestContext;
use crate::warden::answer::Answer;
use crate::warden::{Admitted, Receiving, Refused, Sent, Warden};

pub use received_body::ReceivedBody;
pub use verified_body::VerifiedBody;

pub(crate) use report::{Reported, receive_whole};
pub(crate) use rewind::Rewound;

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
///
/// The future is small, because it is boxed with that of the handler, and a large allocation is slow. The head is checked
/// before the future exists, and the future holds the request in a box.
pub(crate) fn receive<'r, H: Head, B: Body>(
    warden: &'r Warden,
    head: &'r H,
    context: RequestContext,
    mut body: Pin<&'r mut B>,
) -> impl Future<Output = Result<(Box<Admitted>, VerifiedBody), Unhandled>> + use<'r, H, B> {
    // `None` if the clock cannot represent the deadline, which then never passes.
    let deadline = Instant::now().checked_add(warden.deadline());
    let identified = identify(warden, head, context, max_bytes(&body.size_hint()), deadline);
    async move {
        let mut receiving = match identified {
            Ok(receiving) => receiving,
            Err(Unidentified::Waiting(receiving)) => receiving.await?,
            Err(Unidentified::Handshake(answer)) => return Err(Unhandled::Handshake(answer.await)),
            Err(Unidentified::Refused(refused)) => return Err(refused.into()),
        };
        // hyper sets the hint from `Content-Length`. A body of unknown length is counted as it arrives.
        receiving.expect(body.size_hint().lower()).map_err(|refused| receiving.captured(refused, head))?;
        let mut timer = pin!(None);
        let mut taken = VerifiedBody::empty();
        for count in 1_u64.. {
            // Check the deadline here too: a body that is always ready never lets the timer be polled.
            let is_late =
                count.is_multiple_of(READY_FRAMES) && deadline.is_some_and(|deadline| deadline <= Instant::now());
            let frame = poll_fn(|cx| poll_frame_by(deadline, body.as_mut(), timer.as_mut(), cx));
            match if is_late { Err(TooSlow) } else { frame.await } {
                Err(TooSlow) => {
                    let refused = receiving.refuse(RefusalReason::BodyTooSlow);
                    return Err(receiving.captured(refused, head).into());
                }
                Ok(None) => break,
                Ok(Some(Err(_))) => {
                    let refused = receiving.refuse(RefusalReason::BodyInterrupted);
                    return Err(receiving.captured(refused, head).into());
                }
                // Trailers are not signed, so they are dropped.
                Ok(Some(Ok(frame))) => {
                    if let Ok(mut data) = frame.into_data() {
                        let chunk = data.copy_to_bytes(data.remaining());
                        receiving.update(&chunk).map_err(|refused| receiving.captured(refused, head))?;
                        if receiving.keeps_body() {
                            taken.push(chunk);
                        } else {
                            taken = VerifiedBody::empty();
                        }
                    }
                }
            }
        }
        taken.seal();
        let read = |max| taken.contiguous(max);
        let sent = Some(Sent { head, body: &read });
        let mut admitted = if warden.is_local() {
            Box::new(receiving.admit_boxed(sent)?)
        } else {
            // The stores get extra time, for a body that arrived just before its deadline.
            let stores = deadline.and_then(|deadline| deadline.checked_add(STORE_GRACE));
            Box::new(Box::pin(receiving.finish_until(sent, passed(stores))).await?)
        };
        if let Some(answer) = admitted.take_handshake_answer() {
            admitted.commit();
            return Err(Unhandled::Handshake(answer));
        }
        Ok((admitted, taken))
    }
}

/// Why there are no keys yet.
enum Unidentified<W, A> {
    Refused(Refused),
    /// The keys must be awaited.
    Waiting(Pin<Box<W>>),
    /// It is an unsigned handshake, which is answered.
    Handshake(Pin<Box<A>>),
}

impl<W, A> From<Refused> for Unidentified<W, A> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Checks the head, and looks up the keys.
#[expect(clippy::type_complexity, reason = "the futures have no names")]
fn identify<'r, H: Head>(
    warden: &'r Warden,
    head: &'r H,
    context: RequestContext,
    max_bytes: u64,
    deadline: Option<Instant>,
) -> Result<
    Box<Receiving>,
    Unidentified<
        impl Future<Output = Result<Box<Receiving>, Refused>> + use<'r, H>,
        impl Future<Output = Answer> + use<'r, H>,
    >,
> {
    let RequestContext { id, peer, passes_on } = context;
    if let Some(handshake) = warden.unsigned_handshake(head, id.as_ref(), peer) {
        return Err(Unidentified::Handshake(Box::pin(warden.answer_unsigned(handshake, head, peer, passed(deadline)))));
    }
    let mut examined = warden.examine_for(head, peer, id.as_ref(), passes_on)?;
    examined.check_room_for(max_bytes)?;
    let id = id.unwrap_or_else(|| warden.id_source().find(head));
    if warden.is_local() {
        return Ok(examined.identify_boxed(id)?);
    }
    let identified = examined.identify_by_until(id, passed(deadline));
    Err(Unidentified::Waiting(Box::pin(async move { identified.await.map(Box::new) })))
}

/// Returns the announced length, or `u64::MAX` for a body of unknown length.
fn max_bytes(hint: &SizeHint) -> u64 {
    hint.exact().or(Some(hint.lower()).filter(|lower| *lower > 0)).unwrap_or(u64::MAX)
}

/// Polls the next frame, until `deadline`. The timer is created only if the body is not ready, because most bodies arrive
/// with their head.
fn poll_frame_by<B: Body>(
    deadline: Option<Instant>,
    body: Pin<&mut B>,
    mut timer: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<FrameResult<B>>, TooSlow>> {
    if let Poll::Ready(frame) = body.poll_frame(cx) {
        return Poll::Ready(Ok(frame));
    }
    if let (None, Some(deadline)) = (&*timer, deadline) {
        timer.set(Some(sleep_until(deadline)));
    }
    // Poll the timer even if the body has used up the task's budget.
    let late = |timer| pin!(unconstrained(timer)).poll(cx).map(|()| Err(TooSlow));
    timer.as_mut().as_pin_mut().map_or(Poll::Pending, late)
}

type FrameResult<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

/// The deadline has passed.
struct TooSlow;

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// How long after the deadline shared stores may still answer. Stores have their own timeouts; this limit stops a store
/// that hangs.
const STORE_GRACE: Duration = Duration::from_secs(1);

/// The clock is read once per this many frames.
const READY_FRAMES: u64 = 16;
