//! What a diagnosis says.

use std::fmt;

use super::cause::Cause;
use crate::error::{ConfigError, Reason};

/// Whether a captured request verifies, and why not.
///
/// Nothing in it shows a secret, or a signature that would be valid.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    pub(super) verdict: Verdict,
    pub(super) causes: Vec<Cause>,
    pub(super) fitting_secret: Option<usize>,
    pub(super) tried: u32,
}

impl Diagnosis {
    /// What a verifier says of the request.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether the request verifies as it is.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self.verdict, Verdict::Holds { .. })
    }

    /// What is wrong, most likely first; none for a request that verifies, and at least one for any other. All that are
    /// [proven](Cause::is_proven) have to be put right.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// The place, from 0, of the secret's text under which the signature holds, once every proven cause is put right.
    #[must_use]
    pub const fn fitting_secret(&self) -> Option<usize> {
        self.fitting_secret
    }

    /// How many signatures were computed in the search.
    #[must_use]
    pub const fn tried(&self) -> u32 {
        self.tried
    }
}

/// The verdict, each cause on a line of its own with its fix on the next, and the secret that the signature then fits.
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
                write!(f, "\nall that put right, the signature holds with secret {}", secret.saturating_add(1))
            }
            None => Ok(()),
        }
    }
}

/// What a verifier says of a captured request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It verifies.
    #[non_exhaustive]
    Holds {
        /// The place, from 0, of the secret's text that it verifies with.
        secret: usize,
        /// The receiver's clock minus the timestamp, in seconds, where the scheme has one.
        skew: Option<i64>,
    },
    /// It is refused.
    #[non_exhaustive]
    Refused {
        /// Why.
        reason: Reason,
        /// The header that the reason is about.
        header: Option<String>,
        /// The receiver's clock minus the timestamp, in seconds, once it was read.
        skew: Option<i64>,
    },
    /// No secret is of the scheme's form, so that no verifier can be built.
    SecretRefused(ConfigError),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { secret, .. } => write!(f, "the signature holds with secret {}", secret.saturating_add(1)),
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
