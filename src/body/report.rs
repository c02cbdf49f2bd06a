//! Verifies a request of a Warden that only reports, so that it can be passed on with its whole body.

use std::pin::Pin;

use http_body::Body;

use super::rewind::{Recorded, Rewound};
use super::{Unhandled, VerifiedBody, receive};
use crate::headers::Head;
use crate::request_context::RequestContext;
use crate::warden::answer::Answer;
use crate::warden::{Admitted, ReportedVerdict, Warden};

/// The result of a request that is not enforced.
pub(crate) enum Reported<B: Body> {
    Accepted(Box<Admitted>, VerifiedBody),
    /// It would be refused. The body is as it was sent.
    Refused(ReportedVerdict, Rewound<B>),
    /// The answer to a handshake, with the body, which may be unread.
    Handshake(Answer, Rewound<B>),
}

/// Verifies a request like [`receive`], and keeps its body.
pub(crate) async fn receive_whole<H: Head, B: Body>(
    warden: &Warden,
    head: &H,
    context: RequestContext,
    body: B,
) -> Reported<B> {
    let mut body = Recorded::new(body);
    let context = RequestContext { passes_on: true, ..context };
    match receive(warden, head, context, Pin::new(&mut body)).await {
        Ok((admitted, verified)) => Reported::Accepted(admitted, verified),
        Err(Unhandled::Refused(refused)) => Reported::Refused(ReportedVerdict::of(refused), body.rewind()),
        Err(Unhandled::Handshake(answer)) => Reported::Handshake(answer, body.rewind()),
    }
}
