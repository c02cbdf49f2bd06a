//! The checks, in the order in which they run.

mod about;
mod answers;
mod body;
mod challenge;
mod freshness;
mod headers;
mod quota;
mod replay;
mod signature;
mod slow;

use clap::ValueEnum;

use super::super::finding::Severity;
use super::session::Session;
use super::verdict::{Inconclusive, Verdict};

/// A check. Its name is the rule's id in a report. The checks that use up a quota come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Check {
    SignatureVerified,
    AnswersAlike,
    OtherId,
    BodySigned,
    SignatureExact,
    SignatureTruncated,
    SignatureEmpty,
    Algorithm,
    WeakSecret,
    PartsSigned,
    HeaderMissing,
    HeaderDuplicate,
    TrailerSignature,
    NonUtf8Header,
    Stale,
    Early,
    Tolerance,
    TimestampNotation,
    Replay,
    ReplaySpelling,
    ReplayUnsignedId,
    ReplayParallel,
    BodyExact,
    NonUtf8Body,
    Method,
    ChallengeOracle,
    Reuse,
    BodyLimit,
    HeadFirst,
    Deadline,
    SecurityHeaders,
    QuotaForgeries,
    Quota,
    ServerError,
    AnswerLeaks,
}

impl Check {
    /// Runs the check.
    pub(super) async fn run(self, session: &Session) -> Verdict {
        if self.needs_verification() && session.known.verifies.get() == Some(&false) {
            return Err(Inconclusive::unverified());
        }
        match self {
            Self::SignatureVerified => signature::verified(session),
            Self::AnswersAlike => answers::alike(session).await,
            Self::OtherId => replay::other_id(session).await,
            Self::BodySigned => signature::body_signed(session).await,
            Self::SignatureExact => signature::exact(session).await,
            Self::SignatureTruncated => signature::truncated(session).await,
            Self::SignatureEmpty => signature::empty(session).await,
            Self::Algorithm => signature::algorithm(session).await,
            Self::WeakSecret => signature::weak_secret(session).await,
            Self::PartsSigned => signature::parts_signed(session).await,
            Self::HeaderMissing => headers::missing(session).await,
            Self::HeaderDuplicate => headers::duplicate(session).await,
            Self::TrailerSignature => headers::trailer(session).await,
            Self::NonUtf8Header => headers::non_utf8(session).await,
            Self::Stale => freshness::stale(session).await,
            Self::Early => freshness::early(session).await,
            Self::Tolerance => freshness::tolerance(session).await,
            Self::TimestampNotation => freshness::notation(session).await,
            Self::Replay => replay::replay(session).await,
            Self::ReplaySpelling => replay::spelling(session).await,
            Self::ReplayUnsignedId => replay::unsigned_id(session).await,
            Self::ReplayParallel => replay::parallel(session).await,
            Self::BodyExact => body::exact(session).await,
            Self::NonUtf8Body => body::non_utf8(session).await,
            Self::Method => body::method(session).await,
            Self::ChallengeOracle => challenge::oracle(session).await,
            Self::Reuse => body::reuse(session).await,
            Self::BodyLimit => body::limit(session).await,
            Self::HeadFirst => slow::head_first(session).await,
            Self::Deadline => slow::deadline(session).await,
            Self::SecurityHeaders => answers::security_headers(session),
            Self::QuotaForgeries => quota::forgeries(session).await,
            Self::Quota => quota::quota(session).await,
            Self::ServerError => Ok(answers::server_error(session)),
            Self::AnswerLeaks => Ok(answers::leaks(session)),
        }
    }

    const fn needs_verification(self) -> bool {
        !matches!(
            self,
            Self::SignatureVerified
                | Self::Replay
                | Self::ReplayParallel
                | Self::ReplayUnsignedId
                | Self::NonUtf8Body
                | Self::BodyLimit
                | Self::Deadline
                | Self::Quota
                | Self::SecurityHeaders
                | Self::ServerError
                | Self::AnswerLeaks
        )
    }
}
