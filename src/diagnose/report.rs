//! The result of a diagnosis.

use std::fmt;

use super::cause::Cause;
use crate::error::{ConfigError, Reason};
use crate::time::Timestamp;

/// Whether a captured request verifies, and if not, why.
///
/// It contains no secret and no valid signature. `Display` prints the verdict, and each cause with its fix.
///
/// ```
/// use hookwarden::diagnose::{Capture, Verdict};
/// use hookwarden::{Scheme, Timestamp};
///
/// let scheme = Scheme::timestamped();
/// let head = [
///     ("X-Webhook-Timestamp", "1800000000"),
///     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
/// ];
/// let body = br#"{"event":"user.created"}"#;
/// // The secret was copied with its quotes.
/// let capture = Capture::new(&scheme, "\"a-subscription-secret\"", &head, body);
/// let diagnosis = capture.diagnose_at(Timestamp::from_unix(1_800_000_000));
/// assert!(matches!(diagnosis.verdict(), Verdict::Refused { .. }));
/// assert_eq!(diagnosis.fitting_secret(), Some(0)); // the first secret, without the quotes
/// println!("{diagnosis}");
/// ```
#[derive(Debug, Clone)]
pub struct Diagnosis {
    pub(super) verdict: Verdict,
    pub(super) causes: Vec<Cause>,
    pub(super) fitting_secret: Option<usize>,
    pub(super) tried: u32,
    pub(super) timestamp: Option<Timestamp>,
}

impl Diagnosis {
    /// The result of a normal verification.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether the request verifies without any correction.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self.verdict, Verdict::Holds { .. })
    }

    /// What is wrong, most likely first. It is empty for a request that verifies, and has at least one cause otherwise.
    /// All causes that are [proven](Cause::is_proven) must be corrected.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// The index, from 0, of the secret with which the signature verifies once every proven cause is corrected.
    #[must_use]
    pub const fn fitting_secret(&self) -> Option<usize> {
        self.fitting_secret
    }

    /// The time that the request states, if the scheme has a timestamp and it can be read. It is present even if the
    /// verifier stopped before it read the timestamp.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The number of signatures that the search computed.
    #[must_use]
    pub const fn tried(&self) -> u32 {
        self.tried
    }
}

/// Writes the verdict, each cause on a line with its fix on the next, and the secret with which the corrected request
/// verifies.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        for cause in &self.causes {
            write!(f, "\n{}: {}", cause.kind(), cause.what())?;
            if let Some(offset) = cause.offset() {
                write!(f, " (from byte {offset} of the body on)")?;
            }
            write!(f, "\n  {}", cause.fix())?;
        }
        match self.fitting_secret.filter(|_| !self.holds()) {
            Some(secret) => {
                write!(
                    f,
                    "\nwith every proven cause corrected, the signature verifies with secret {}",
                    secret.saturating_add(1)
                )
            }
            None => Ok(()),
        }
    }
}

/// The result of a normal verification of a captured request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The request verifies.
    #[non_exhaustive]
    Holds {
        /// The index, from 0, of the secret with which it verifies.
        secret: usize,
        /// The receiver's clock minus the timestamp, in seconds, if the scheme has one.
        skew: Option<i64>,
    },
    /// The request is refused.
    #[non_exhaustive]
    Refused {
        /// Why it is refused.
        reason: Reason,
        /// The header that the reason is about.
        header: Option<String>,
        /// The receiver's clock minus the timestamp, in seconds. `None` if no timestamp was read.
        skew: Option<i64>,
    },
    /// The scheme refuses every secret, so no verifier can be built.
    SecretRefused(ConfigError),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { secret, .. } => write!(f, "the signature verifies with secret {}", secret.saturating_add(1)),
            Self::Refused { reason, header, skew } => {
                write!(f, "refused: {reason}")?;
                if let Some(header) = header {
                    write!(f, ", {header}")?;
                }
                if let Some(skew) = skew {
                    write!(f, ", clock minus timestamp {skew} s")?;
                }
                Ok(())
            }
            Self::SecretRefused(error) => write!(f, "no secret can be used: {error}"),
        }
    }
}
