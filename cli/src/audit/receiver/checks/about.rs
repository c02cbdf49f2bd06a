//! The id, severity, title and fix of each check.

use super::Check;
use crate::audit::finding::Severity;

impl Check {
    /// The rule's id, which is also the name on the command line.
    pub(in super::super) const fn id(self) -> &'static str {
        self.about().0
    }

    /// The property that should hold.
    pub(in super::super) const fn title(self) -> &'static str {
        self.about().2
    }

    pub(in super::super) const fn severity(self) -> Severity {
        self.about().1
    }

    /// The fix for a finding.
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
                "verify the signature of every delivery before using it",
            ),
            Self::AnswersAlike => (
                "answers-alike",
                Low,
                "refusals do not reveal their cause",
                "send the same response for every failed verification, and log the cause",
            ),
            Self::OtherId => (
                "other-id",
                High,
                "a delivery for one webhook id is refused under another",
                "give each webhook id its own secret, or sign the id",
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
                "refuse a signature whose length differs from the MAC's, then compare all bytes",
            ),
            Self::SignatureEmpty => {
                ("signature-empty", High, "an empty signature is refused", "refuse an empty signature before comparing")
            }
            Self::Algorithm => (
                "algorithm",
                Medium,
                "a message cannot choose the algorithm",
                "set the algorithm and its prefix in the receiver, and refuse all others",
            ),
            Self::WeakSecret => (
                "weak-secret",
                High,
                "no empty, guessable or published secret is accepted",
                "use a secret of 32 random bytes, and refuse to start without one",
            ),
            Self::PartsSigned => (
                "parts-signed",
                High,
                "everything that the scheme signs is verified",
                "compute the MAC over everything that the scheme signs, and accept no older format",
            ),
            Self::HeaderMissing => (
                "header-missing",
                High,
                "a missing header is refused",
                "refuse a delivery without all headers of the scheme",
            ),
            Self::HeaderDuplicate => (
                "header-duplicate",
                Medium,
                "a duplicate header is refused",
                "refuse a delivery with two values of one header, because a proxy may use the other one",
            ),
            Self::TrailerSignature => (
                "trailer-signature",
                Medium,
                "a signature in the trailer is refused",
                "read the signature only from the head",
            ),
            Self::NonUtf8Header => (
                "non-utf8-header",
                Medium,
                "header bytes that are not UTF-8 are refused",
                "treat header values as bytes, and refuse those that are not UTF-8",
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
                "compare the absolute difference from the clock: a future timestamp extends a message's validity",
            ),
            Self::Tolerance => (
                "tolerance",
                Low,
                "a delivery within the tolerance is accepted",
                "accept the whole tolerance, or set --tolerance to the receiver's",
            ),
            Self::TimestampNotation => (
                "timestamp-notation",
                Medium,
                "only the scheme's timestamp format is accepted",
                "accept only decimal digits in the scheme's unit, and refuse other values",
            ),
            Self::Replay => (
                "replay",
                Medium,
                "a replay is recognised",
                "store accepted deliveries until they are stale, and send a distinct response to a duplicate",
            ),
            Self::ReplaySpelling => (
                "replay-spelling",
                Medium,
                "a replay in another spelling is recognised",
                "store the computed MAC, never the text of a header",
            ),
            Self::ReplayUnsignedId => (
                "replay-unsigned-id",
                Medium,
                "a replay with another unsigned id is recognised",
                "store only signed data: anyone can change an unsigned id and have a replay accepted",
            ),
            Self::ReplayParallel => (
                "replay-parallel",
                Medium,
                "only one of several parallel copies is handled",
                "claim a delivery atomically before handling it, with a unique key or SET NX",
            ),
            Self::BodyExact => (
                "body-exact",
                Medium,
                "the body is verified as received",
                "compute the MAC over the received bytes, before parsing them",
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
                "route only POST to the receiver, and respond 405 to other methods",
            ),
            Self::ChallengeOracle => (
                "challenge-oracle",
                High,
                "no challenge is answered with the signature of an event",
                "sign only challenges of letters and digits that no event can have as its signed content",
            ),
            Self::Reuse => (
                "reuse",
                High,
                "the body of a refused request is not read as the next request",
                "read the rest of a refused body, or close the connection",
            ),
            Self::BodyLimit => (
                "body-limit",
                Medium,
                "a body over the limit is refused",
                "limit the body: refuse a larger Content-Length before reading, and stop reading chunks at the limit",
            ),
            Self::HeadFirst => (
                "head-first",
                Low,
                "an invalid head is refused before the body is read",
                "check the headers and the timestamp before reading the body",
            ),
            Self::Deadline => (
                "deadline",
                Medium,
                "a missing body ends at the deadline",
                "set one deadline for the whole body, then respond 408 or close the connection",
            ),
            Self::SecurityHeaders => (
                "security-headers",
                Low,
                "responses have security headers",
                "send nosniff and no-store, no server version, and over TLS Strict-Transport-Security",
            ),
            Self::QuotaForgeries => (
                "quota-forgeries",
                Medium,
                "forgeries do not use up the sender's quota",
                "count a delivery for its sender only after verifying its signature",
            ),
            Self::Quota => (
                "quota",
                Medium,
                "a sender over its quota gets 429 with Retry-After",
                "limit the deliveries of each webhook id, and send Retry-After with 429",
            ),
            Self::ServerError => (
                "server-error",
                Medium,
                "no input is answered with a 5xx",
                "refuse invalid input with a 4xx when parsing it",
            ),
            Self::AnswerLeaks => (
                "answer-leaks",
                High,
                "no response reveals secrets or internals",
                "respond to errors with a status only, and log the details",
            ),
        }
    }
}
