//! Why a message does not meet a profile.

use alloc::string::String;
use core::fmt;

use crate::error::Reason;

/// Why a request does not meet a [`Profile`](super::Profile), for the operator. Its texts contain names from the profile,
/// never text from the request.
///
/// [`Profile::explain_at`](super::Profile::explain_at) has an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The request has no such header.
    #[error("{0}: the header is missing")]
    MissingHeader(&'static str),
    /// The header is not a structured field of the right type, has a key or a parameter twice, or exceeds a limit.
    #[error("{0}: the header is malformed or too large")]
    MalformedHeader(&'static str),
    /// `Signature-Input` has more signatures than the limit.
    #[error("signature-input: more than 8 signatures")]
    TooManySignatures,
    /// No signature has the label and the tag of the profile.
    #[error("signature-input: no signature with the label and the tag of the profile")]
    NoSuchSignature,
    /// Several signatures have the label and the tag of the profile.
    #[error("signature-input: several signatures with the label and the tag of the profile")]
    AmbiguousSignature,
    /// `Signature` has no byte sequence with the label of the chosen signature, or it is not in the encoding of the profile:
    /// base64 with padding, or base64url without.
    #[error("signature: no byte sequence with the label of the signature")]
    NoSignatureBytes,
    /// The signature covers a component that is malformed or that a request must not have.
    #[error("covered component: {0}")]
    Component(&'static str),
    /// The signature covers a component twice.
    #[error("covered component: covered twice")]
    DuplicateComponent,
    /// The signature does not cover a component that the profile requires, or that it requires for a request with a body.
    #[error("covered components: {0} is not covered")]
    Uncovered(String),
    /// The request does not have a component that the signature covers, has it several times where only one is
    /// permitted, or its value is malformed, ambiguous or too large.
    #[error("covered component: its value is missing, repeated, malformed or too large")]
    ComponentValue,
    /// The method or the path of the request is not known.
    #[error("request line: the head has none")]
    NoRequestLine,
    /// `Host` occurs twice, `Host` or the authority of the request target is malformed, or they differ.
    #[error("host: must occur once, be host or host:port, and equal the authority of the request target")]
    AmbiguousHost,
    /// The request was sent to another host than that of the profile's origin.
    #[error("host: must be {expected}, the authority of the origin, or one of received_as")]
    OtherAuthority {
        /// The authority of the origin.
        expected: String,
    },
    /// A parameter that the profile requires is missing.
    #[error("parameter {0}: missing")]
    MissingParameter(Parameter),
    /// A parameter that the profile forbids is present.
    #[error("parameter {0}: the profile forbids it")]
    ForbiddenParameter(Parameter),
    /// A parameter has the wrong type or is out of range.
    #[error("parameter {0}: malformed")]
    MalformedParameter(Parameter),
    /// The nonce is not base64url without padding, or has too few bytes.
    #[error("parameter nonce: not base64url without padding, or fewer bytes than the profile demands")]
    ShortNonce,
    /// The tag demands that `keyid` is the thumbprint of the key, and it does not have the form of one.
    #[error("parameter keyid: not a JWK thumbprint (RFC 7638), which the tag demands")]
    NoThumbprint,
    /// The parameter `alg` names an algorithm that the profile does not have.
    #[error("parameter alg: not an algorithm of the profile")]
    WrongAlgorithm,
    /// `created` is further in the future than the clock skew of the profile.
    #[error("parameter created: in the future")]
    Early,
    /// `created` is older than the maximum age of the profile.
    #[error("parameter created: older than the maximum age")]
    Stale,
    /// `expires` is later after `created` than the maximum validity of the profile. Without `created`, it is further in the
    /// future than the maximum age.
    #[error("parameter expires: too long after created, or without created too far in the future")]
    LongValidity,
    /// `expires` has passed.
    #[error("parameter expires: expired")]
    Expired,
    /// `Content-Digest` has neither a SHA-256 nor a SHA-512 digest.
    #[error("content-digest: neither sha-256 nor sha-512")]
    NoSupportedDigest,
    /// A digest in `Content-Digest` is not that of the body.
    #[error("content-digest: the digest of another body")]
    OtherBody,
}

impl Problem {
    /// The reason for which a Warden or a Verifier refuses the request.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::MissingHeader(_) => Reason::MissingHeader,
            Self::TooManySignatures | Self::AmbiguousSignature => Reason::TooManyCandidates,
            Self::ComponentValue | Self::NoSupportedDigest | Self::AmbiguousHost => Reason::MalformedHeader,
            Self::OtherAuthority { .. } => Reason::OtherAuthority,
            Self::NoRequestLine => Reason::NoRequestLine,
            Self::MalformedParameter(Parameter::Created | Parameter::Expires) | Self::LongValidity => {
                Reason::MalformedTimestamp
            }
            Self::Early => Reason::Early,
            Self::Stale | Self::Expired => Reason::Stale,
            Self::OtherBody => Reason::Mismatch,
            Self::MalformedHeader(_)
            | Self::NoSuchSignature
            | Self::NoSignatureBytes
            | Self::Component(_)
            | Self::DuplicateComponent
            | Self::Uncovered(_)
            | Self::MissingParameter(_)
            | Self::ForbiddenParameter(_)
            | Self::MalformedParameter(_)
            | Self::ShortNonce
            | Self::NoThumbprint
            | Self::WrongAlgorithm => Reason::MalformedSignature,
        }
    }
}

/// A parameter of a signature
/// ([RFC 9421 section 2.3](https://www.rfc-editor.org/rfc/rfc9421#section-2.3)).
///
/// ```
/// use hookwarden::message_signatures::Parameter;
///
/// assert_eq!(Parameter::Keyid.as_str(), "keyid");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parameter {
    /// The time of signing, in Unix seconds. A signature must have it unless
    /// [`created_optional`](super::ProfileBuilder::created_optional) is set.
    Created,
    /// The signature expires at this time, in Unix seconds.
    Expires,
    /// A value that is different in every message.
    Nonce,
    /// The name of the algorithm. It must be one of the profile. Only keys for it can then verify the signature.
    Alg,
    /// The name of the key.
    Keyid,
    /// The application or the protocol for which the message is signed.
    Tag,
}

impl Parameter {
    /// The name of the parameter in `Signature-Input`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Expires => "expires",
            Self::Nonce => "nonce",
            Self::Alg => "alg",
            Self::Keyid => "keyid",
            Self::Tag => "tag",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
