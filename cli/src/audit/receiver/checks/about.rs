//! What each check is called, how bad its finding is, what should hold, and what to do where it does not.

use super::Check;
use crate::audit::finding::Severity;

impl Check {
    /// The rule's id in a report, which is also its name on the command line.
    pub(in super::super) const fn id(self) -> &'static str {
        self.about().0
    }

    /// What holds where nothing is wrong.
    pub(in super::super) const fn title(self) -> &'static str {
        self.about().2
    }

    pub(in super::super) const fn severity(self) -> Severity {
        self.about().1
    }

    /// What to do where something is wrong.
    pub(in super::super) const fn fix(self) -> &'static str {
        self.about().3
    }

    const fn about(self) -> (&'static str, Severity, &'static str, &'static str) {
        use Severity::{High, Low, Medium};
        match self {
            Self::SignatureVerified => (
                "signature-verified",
                High,
                "a forged signature is refused",
                "verify the signature of every delivery before anything else is done with it",
            ),
            Self::AnswersAlike => (
                "answers-alike",
                Low,
                "refusals do not tell their causes apart",
                "answer every failed verification alike, and write the cause to the log only",
            ),
            Self::OtherId => (
                "other-id",
                High,
                "a delivery for one webhook id is refused under another",
                "give each webhook id a secret of its own, or sign the id",
            ),
            Self::BodySigned => {
                ("body-signed", High, "a changed body is refused", "compute the MAC over the whole body")
            }
            Self::SignatureExact => {
                ("signature-exact", High, "a changed signature is refused", "compare all bytes of the MAC")
            }
            Self::SignatureTruncated => (
                "signature-truncated",
                High,
                "a signature of another length is refused",
                "refuse a signature that is not exactly as long as the MAC, then compare all of it",
            ),
            Self::SignatureEmpty => (
                "signature-empty",
                High,
                "an empty signature is refused",
                "refuse an empty signature before anything is compared",
            ),
            Self::Algorithm => (
                "algorithm",
                Medium,
                "the message does not choose the algorithm",
                "fix the algorithm and its prefix in the receiver, and refuse all others",
            ),
            Self::WeakSecret => (
                "weak-secret",
                High,
                "no empty, guessable or published secret signs",
                "use a secret of 32 random bytes, and refuse to start without one",
            ),
            Self::PartsSigned => (
                "parts-signed",
                High,
                "all that the scheme signs is verified",
                "compute the MAC over everything that the scheme signs, with no older form accepted besides",
            ),
            Self::HeaderMissing => (
                "header-missing",
                High,
                "a missing header is refused",
                "refuse a delivery that lacks a header of the scheme",
            ),
            Self::HeaderDuplicate => (
                "header-duplicate",
                Medium,
                "a header that comes twice is refused",
                "refuse a delivery with two values of one header: a proxy may believe the other one",
            ),
            Self::TrailerSignature => (
                "trailer-signature",
                Medium,
                "a signature in the trailer is refused",
                "read the signature from the head alone",
            ),
            Self::NonUtf8Header => (
                "non-utf8-header",
                Medium,
                "header bytes that are not UTF-8 are refused",
                "treat header values as bytes, and refuse such",
            ),
            Self::Stale => (
                "stale",
                Medium,
                "an old delivery is refused",
                "refuse a timestamp that is further in the past than the tolerance",
            ),
            Self::Early => (
                "early",
                Medium,
                "a delivery from the future is refused",
                "compare the absolute difference to the clock: a future timestamp keeps a message valid for longer",
            ),
            Self::Tolerance => (
                "tolerance",
                Low,
                "a delivery within the tolerance is accepted",
                "accept the whole tolerance, or name yours with --tolerance",
            ),
            Self::TimestampNotation => (
                "timestamp-notation",
                Medium,
                "only the scheme's own notation is a timestamp",
                "accept decimal digits of the scheme's unit alone, and refuse what does not parse",
            ),
            Self::Replay => (
                "replay",
                Medium,
                "a delivery that comes again is known again",
                "remember accepted deliveries until they are stale; answer a known one in a way of its own",
            ),
            Self::ReplaySpelling => (
                "replay-spelling",
                Medium,
                "a replay in another spelling is known again",
                "remember the MAC that was computed, never the text of a header",
            ),
            Self::ReplayUnsignedId => (
                "replay-unsigned-id",
                Medium,
                "an unsigned id does not make a replay new",
                "remember what is signed; anyone can change the rest",
            ),
            Self::ReplayParallel => (
                "replay-parallel",
                Medium,
                "of parallel copies one is handled",
                "claim a delivery atomically before it is handled, with a unique key or SET NX",
            ),
            Self::BodyExact => (
                "body-exact",
                Medium,
                "the body is verified as it came",
                "compute the MAC over the bytes that were received, before they are parsed",
            ),
            Self::NonUtf8Body => (
                "non-utf8-body",
                Low,
                "a signed body that is not UTF-8 is verified",
                "compute the MAC over bytes, not over decoded text",
            ),
            Self::Method => (
                "method",
                Medium,
                "only POST is handled",
                "route POST alone to the receiver, and answer the rest with 405",
            ),
            Self::Reuse => (
                "reuse",
                High,
                "the body of a refused request is not the next request",
                "read the rest of a refused body, or close the connection",
            ),
            Self::BodyLimit => (
                "body-limit",
                Medium,
                "a body beyond the limit is refused",
                "cap the body: refuse a larger Content-Length unread, and stop reading chunks at the cap",
            ),
            Self::HeadFirst => (
                "head-first",
                Low,
                "a bad head is refused before the body is read",
                "judge the headers and the timestamp before the body is read",
            ),
            Self::Deadline => (
                "deadline",
                Medium,
                "a body that does not come ends at the deadline",
                "give the whole body one deadline, and answer 408 or close",
            ),
            Self::SecurityHeaders => (
                "security-headers",
                Low,
                "answers have the headers that browsers want",
                "send nosniff, no-store, and no version of the server; over TLS, Strict-Transport-Security",
            ),
            Self::QuotaForgeries => (
                "quota-forgeries",
                Medium,
                "forgeries do not use up the sender's quota",
                "count a delivery for its sender only when its signature held",
            ),
            Self::Quota => (
                "quota",
                Medium,
                "a sender beyond its quota gets 429 with Retry-After",
                "limit the deliveries of each webhook id, and say with Retry-After when to come back",
            ),
            Self::ServerError => (
                "server-error",
                Medium,
                "no input is answered with a 5xx",
                "refuse bad input where it is parsed, with a 4xx",
            ),
            Self::AnswerLeaks => (
                "answer-leaks",
                High,
                "no answer tells secrets or the code's inside",
                "answer errors with a status and no detail; write the detail to the log",
            ),
        }
    }
}
