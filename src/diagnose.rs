//! Finds out why a captured request does not verify.
//!
//! A verifier only reports a mismatch. This module takes a captured request, tries the known mistakes between senders
//! and receivers, and names those that explain it: a line break that an editor added, a body that a framework parsed
//! and serialized again, a secret with quotes, a clock in the wrong time zone, and about eighty-five others
//! ([`CauseKind`]). It is for operators, tests and the command line. Never run it on the path of a request: it is slow
//! on purpose.
//!
//! A [`Capture`] holds the request and the receiver's scheme and secrets. [`Capture::diagnose`] returns a [`Diagnosis`]
//! with a [`Cause`] for each problem.
//!
//! ```
//! use hookwarden::diagnose::{Capture, CauseKind};
//! use hookwarden::{Scheme, Timestamp};
//!
//! let scheme = Scheme::timestamped();
//! let head = [
//!     ("X-Webhook-Timestamp", "1800000000"),
//!     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
//! ];
//! // Python parsed the body and serialized it again.
//! let capture = Capture::new(&scheme, "a-subscription-secret", &head, br#"{"event": "user.created"}"#);
//! let diagnosis = capture.diagnose_at(Timestamp::from_unix(1_800_000_000));
//!
//! let cause = &diagnosis.causes()[0];
//! assert_eq!(cause.kind(), CauseKind::BodyJsonRewritten);
//! assert_eq!(cause.offset(), Some(9));
//! assert!(cause.is_proven());
//! println!("{diagnosis}");
//! ```
//!
//! # What it tries
//! Bodies × keys × templates × algorithms × encodings of the signature: up to two mistakes at a time, in addition to
//! mistakes in how the signature is written. Combinations with fewer mistakes are tried first. A search computes at
//! most 60,000 signatures over at most 256 MiB; bodies of more than 1 MiB are not decoded or rewritten. A cause that
//! the search found is [proven](Cause::is_proven): with the mistake corrected, the received signature verifies. A cause
//! that no computation can confirm, such as a truncated body, is a suspicion.
//!
//! For HTTP Message Signatures (feature `message-signatures`), it also tries other signature bases, and compares the digest
//! with other bodies, of at most another 256 MiB. JWKs with `kid` are named.
//!
//! # What it never shows
//! A diagnosis never shows a secret, a value decoded from a secret, or a signature: anyone who reads the expected
//! signature could forge the request. Its text can be pasted into a ticket.

mod bodies;
mod cause;
mod contents;
mod form;
mod head;
mod incomplete;
#[cfg(feature = "message-signatures")]
mod message;
mod methods;
mod names;
mod presets;
mod report;
mod search;
mod secrets;
mod signatures;
mod time;
mod unexplained;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::error::{ConfigError, Reason};
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{Candidates, Reading, Scheme};
use crate::secret::{Key, Keyring, MAX_KEYS};
use crate::time::{Timestamp, Tolerance};
use crate::verifier::Verifier;

pub use cause::{Cause, CauseKind};
pub use report::{Diagnosis, Verdict};

use search::{Budget, Fit, Space};
use unexplained::Left;

/// A captured request, with the scheme and the secrets that should verify it.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::diagnose::Capture;
///
/// let scheme = Scheme::github();
/// let head = [("X-Hub-Signature", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")];
/// let diagnosis = Capture::new(&scheme, "It's a Secret to Everybody", &head, b"Hello, World!")
///     .with_headers(head) // to find renamed and repeated headers
///     .diagnose();
/// assert!(!diagnosis.holds());
/// for cause in diagnosis.causes() {
///     println!("{}: {}; {}", cause.kind(), cause.what(), cause.fix());
/// }
/// ```
///
/// # Keys by `keyid`
/// For HTTP Message Signatures, the secrets may be the JWKs of a whole set. JWKs that the scheme cannot use are skipped.
/// If each of the others has a `kid`, only those with the `keyid` of the signature are used, even if there is only one: this
/// is how keys that are looked up by `keyid` are verified. A thumbprint (RFC 7638) is also a name. **To diagnose a receiver
/// that ignores `keyid`, because it has a fixed keyring, remove the `kid` from each JWK.**
#[derive(Clone)]
#[must_use]
pub struct Capture<'c, H: ?Sized> {
    scheme: &'c Scheme,
    secrets: Vec<Zeroizing<String>>,
    head: &'c H,
    headers: Vec<(String, Vec<u8>)>,
    body: &'c [u8],
    tolerance: Tolerance,
}

impl<'c, H: Head + ?Sized> Capture<'c, H> {
    /// Captures a request. `secret` is the configured text, which is that of a public key if the scheme uses them. It is not
    /// decoded, trimmed or checked, because the search covers mistakes in it. A JWK with a `kid` verifies only signatures
    /// that name it: see [Keys by `keyid`](Self#keys-by-keyid).
    pub fn new(scheme: &'c Scheme, secret: &str, head: &'c H, body: &'c [u8]) -> Self {
        let secrets = vec![Zeroizing::new(secret.to_owned())];
        Self { scheme, secrets, head, headers: Vec::new(), body, tolerance: scheme.tolerance() }
    }

    /// Adds another secret that is valid during a rotation. At most eight are used, and four public keys for HTTP Message
    /// Signatures. At most 64 are stored.
    /// How they are chosen by `keyid` is described [above](Self#keys-by-keyid).
    pub fn with_secret(mut self, secret: &str) -> Self {
        if self.secrets.len() < MAX_SECRETS {
            self.secrets.push(Zeroizing::new(secret.to_owned()));
        }
        self
    }

    /// Sets how far a timestamp may be from `now`. The default is the scheme's tolerance.
    pub fn with_tolerance(self, tolerance: Tolerance) -> Self {
        Self { tolerance, ..self }
    }

    /// Sets all headers as names and values, in order. A [`Head`] can neither list its headers nor return the values of
    /// a repeated one. Without this list, the search for a missing header covers only common names, and a repeated
    /// header is reported without a proof. At most 256 are used.
    pub fn with_headers<N: Into<String>, V: AsRef<[u8]>>(self, headers: impl IntoIterator<Item = (N, V)>) -> Self {
        let headers = headers.into_iter().take(MAX_HEADERS);
        Self { headers: headers.map(|(name, value)| (name.into(), value.as_ref().to_vec())).collect(), ..self }
    }

    /// Verifies the request at the time `now`, and searches for what is wrong with it. For a stored request, `now` is
    /// the time at which it arrived; otherwise it is stale.
    #[must_use]
    pub fn diagnose_at(&self, now: Timestamp) -> Diagnosis {
        let verdict = self.verdict(now);
        let mut diagnosis = Diagnosis { verdict, causes: Vec::new(), fitting_secret: None, tried: 0, timestamp: None };
        if let Verdict::Holds { skew, .. } | Verdict::Refused { skew, .. } = &diagnosis.verdict {
            diagnosis.timestamp = skew.map(|skew| Timestamp::from_unix(now.as_unix().saturating_sub(skew)));
        }
        if let Verdict::Holds { secret, .. } = diagnosis.verdict {
            diagnosis.fitting_secret = Some(secret);
        } else if self.explains_message(&mut diagnosis, now) {
            self.hide_secrets(&mut diagnosis.causes);
        } else if self.scheme.is_custom() {
            diagnosis.causes.push(self.malformed_secret().unwrap_or_else(|| {
                let what = "the application verifies this scheme itself, so nothing else was tried";
                let fix = "look up the reason in the code of the scheme; then compare the key on both sides";
                Cause::new(CauseKind::Unexplained, what, fix)
            }));
        } else {
            self.explain(&mut diagnosis, now);
            self.hide_secrets(&mut diagnosis.causes);
        }
        diagnosis
    }

    /// Verifies the request now, by the wall clock, and searches for what is wrong with it.
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    #[must_use]
    pub fn diagnose(&self) -> Diagnosis {
        self.diagnose_at(Timestamp::now())
    }

    /// Explains a request with message signatures. Returns `false` if the scheme is another one.
    fn explains_message(&self, diagnosis: &mut Diagnosis, now: Timestamp) -> bool {
        #[cfg(feature = "message-signatures")]
        if let Some(profile) = message::profile(self.scheme) {
            self.explain_message(profile, diagnosis, now);
            return true;
        }
        let _ = (diagnosis, now);
        false
    }

    fn verdict(&self, now: Timestamp) -> Verdict {
        if self.chosen_secrets().is_empty() {
            // The signature names none of the keys.
            return Verdict::Refused { reason: Reason::Mismatch, header: None, skew: None };
        }
        let (verifier, places) = match self.verifier() {
            Ok(verifier) => verifier,
            Err(error) => return Verdict::SecretRefused(error),
        };
        match verifier.verify_at(self.head, self.body, now) {
            Ok(verified) => {
                let place = places.iter().find(|(id, _)| id == verified.key_id().as_str()).map(|(_, place)| *place);
                Verdict::Holds { secret: place.unwrap_or_default(), skew: verified.skew() }
            }
            Err(rejection) => Verdict::Refused {
                reason: rejection.reason(),
                header: rejection.header().map(str::to_owned),
                skew: rejection.skew(),
            },
        }
    }

    /// The secrets to verify with, and the place of each. If all keys for message signatures have names, they are those
    /// that the signature names.
    fn chosen_secrets(&self) -> Vec<(usize, &Zeroizing<String>)> {
        #[cfg(feature = "message-signatures")]
        if let Some(profile) = message::profile(self.scheme) {
            return self.named_secrets(profile);
        }
        self.secrets.iter().enumerate().take(MAX_KEYS).collect()
    }

    /// A verifier with every chosen secret that the scheme accepts, and the index of each by its key id.
    fn verifier(&self) -> Result<(Verifier, Vec<(String, usize)>), ConfigError> {
        let mut ring: Option<Keyring> = None;
        let mut places = Vec::new();
        let mut fault = None;
        for (place, text) in self.chosen_secrets() {
            let id = format!("secret-{}", place.saturating_add(1));
            let added =
                self.scheme.key_material(text).and_then(|material| Key::new(&id, material)).and_then(
                    |key| match &ring {
                        // The first secret is the newest. A duplicate secret is an error here, and is skipped.
                        Some(ring) => Keyring::from_keys(ring.iter().cloned().chain([key])),
                        None => Keyring::from_keys([key]),
                    },
                );
            match added {
                Ok(added) => {
                    ring = Some(added);
                    places.push((id, place));
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        let ring = ring.ok_or_else(|| fault.unwrap_or_else(|| ConfigError::new("secret", "must be set")))?;
        let verifier = Verifier::new(self.scheme.clone(), ring)?.with_tolerance(self.tolerance);
        Ok((verifier, places))
    }

    fn explain(&self, diagnosis: &mut Diagnosis, now: Timestamp) {
        let (overlay, mut causes) = head::examine(self);
        let other = presets::other(self, now);
        // A request that follows another scheme does not need this scheme's headers.
        let unsigned = |name: &FieldName| self.head.header(name) == Occurrence::Absent;
        if let Some(presets::Other { cause, secret: secret @ Some(_) }) = &other
            && self.scheme.signature_headers().iter().all(unsigned)
        {
            diagnosis.fitting_secret = *secret;
            diagnosis.causes.push(cause.clone());
            return;
        }
        let malformed = match self.scheme.read(&overlay, &mut Reading::default(), &mut Candidates::new()) {
            Err(fault) if fault.reason == Reason::MissingHeader && !causes.is_empty() => None,
            Err(fault) => head::refused(fault, self.scheme),
            Ok(_) => None,
        };
        if let Some(incomplete) = incomplete::cause(self.head) {
            diagnosis.timestamp = diagnosis.timestamp.or_else(|| self.own_time(&overlay));
            let readable = malformed.filter(|_| !incomplete::is_redacted(self.head));
            diagnosis.causes = causes.into_iter().chain(readable).chain(self.wrong_timestamp(&overlay, now)).collect();
            diagnosis.causes.push(incomplete);
            return;
        }
        let is_unknown = malformed
            .as_ref()
            .is_some_and(|cause| matches!(cause.kind(), CauseKind::HeaderDuplicated | CauseKind::RequestLineMissing));
        let signature_malformed = malformed.filter(|cause| match cause.kind() {
            CauseKind::SignatureMalformed => true,
            _ => {
                causes.push(cause.clone());
                false
            }
        });
        // Search each group of fields like a separate request.
        let heads = head::groups(self.scheme, &overlay);
        diagnosis.timestamp = diagnosis.timestamp.or_else(|| heads.iter().find_map(|head| self.own_time(head)));
        causes.extend(heads.iter().find_map(|head| self.wrong_timestamp(head, now)));
        let mut budget = Budget::new();
        let spaces: Vec<Space<'_>> = heads.iter().map(|head| self.space(head)).collect();
        let mut found = Ok(None);
        for space in &spaces {
            found = space.search(&mut budget);
            if !matches!(found, Ok(None)) {
                break;
            }
        }
        diagnosis.tried = budget.tried;
        match found {
            Ok(Some(Fit { secret, causes: proven })) => {
                diagnosis.fitting_secret = Some(secret);
                // The causes found in the head are proven too: the signature verifies with them corrected.
                let unread = head::unread(self.scheme, &overlay);
                diagnosis.causes = causes.into_iter().map(Cause::proven).chain(proven).chain(unread).collect();
            }
            unfound => {
                causes.extend(self.secret_as_signature(&overlay));
                causes.extend(signature_malformed);
                if let Some(presets::Other { cause, secret }) = other {
                    // Without this scheme's signature, the rest of the head says nothing.
                    if cause.is_proven() || self.scheme.signature_headers().iter().all(unsigned) {
                        diagnosis.fitting_secret = secret;
                        diagnosis.causes.push(cause);
                        return;
                    }
                    causes.insert(0, cause);
                }
                let suspicions = head::suspicions(self);
                let body_differs = !suspicions.is_empty();
                causes.extend(suspicions);
                causes.extend(self.malformed_secret());
                // The signed value of a repeated header or of the request line is unknown, so a failed search does not
                // mean that the secret is wrong.
                if let Some(space) = spaces.iter().find(|space| !space.candidates.is_empty()).or(spaces.first())
                    && !is_unknown
                    && (causes.is_empty() || !space.candidates.is_empty())
                {
                    let left = Left::of(&causes, body_differs);
                    causes.push(unexplained::cause(space, &budget, unfound.is_err(), left, self.key_name()));
                }
                diagnosis.causes = causes;
            }
        }
    }

    fn wrong_timestamp(&self, head: &impl Head, now: Timestamp) -> Option<Cause> {
        let place = self.scheme.timestamp()?;
        let text = self.scheme.timestamp_text(head)?;
        let slot = crate::error::Slot::Timestamp;
        let header = self.scheme.header_in(slot).unwrap_or_default();
        time::wrong(text, place.format, self.tolerance, now, header)
    }

    /// The time that the head states.
    fn own_time(&self, head: &impl Head) -> Option<Timestamp> {
        let place = self.scheme.timestamp()?;
        place.format.parse(self.scheme.timestamp_text(head)?)
    }

    fn space<'s, O: Head>(&'s self, head: &O) -> Space<'s> {
        let contents = contents::contents(self.scheme, head);
        let bodies = bodies::bodies(self.body, head::declared_length(self.head));
        Space {
            keys: secrets::keys(self.scheme, self.chosen_secrets()),
            bodies: bodies.forms,
            omitted: bodies.omitted,
            contents,
            methods: methods::methods(self.scheme.algorithm(), methods::SCHEME),
            candidates: signatures::candidates(self.scheme, head),
        }
    }

    /// Finds a signature header that contains the secret itself, as GitLab's token does.
    fn secret_as_signature(&self, head: &impl Head) -> Option<Cause> {
        let carries = |name: &&FieldName| match head.header(name) {
            Occurrence::Once(value) => self.secrets.iter().any(|text| {
                let text = text.trim().as_bytes();
                text.len() >= MIN_SHOWN && value.windows(text.len()).any(|part| part == text)
            }),
            Occurrence::Absent | Occurrence::Repeated => false,
        };
        self.scheme.signature_headers().iter().find(carries).map(|name| {
            Cause::new(
                CauseKind::SignatureIsSecret,
                format!("{} contains the secret itself instead of a signature", name.as_str()),
                "on the sender, send an HMAC made with the secret, and change the secret: it was sent over the wire \
                 and may be in logs",
            )
            .at_header(name.as_str())
        })
    }

    fn malformed_secret(&self) -> Option<Cause> {
        let (place, error) = self
            .chosen_secrets()
            .into_iter()
            .find_map(|(place, text)| Some((place.saturating_add(1), self.scheme.key_material(text).err()?)))?;
        Some(Cause::new(
            CauseKind::SecretMalformed,
            format!("{} {place} cannot be used: {error}", self.key_name()),
            format!(
                "on the receiver, copy the whole {} again from the sender's settings, without quotes or spaces",
                self.key_name()
            ),
        ))
    }

    fn key_name(&self) -> &'static str {
        if self.scheme.algorithm().uses_public_keys() { "public key" } else { "secret" }
    }

    /// Replaces the texts of causes that would show a secret.
    fn hide_secrets(&self, causes: &mut [Cause]) {
        let keys = secrets::keys(self.scheme, self.secrets.iter().enumerate());
        let written = keys.iter().flat_map(|form| {
            let bytes = &*form.value.bytes;
            let text = core::str::from_utf8(bytes).unwrap_or_default().trim().to_owned();
            [text, const_hex::encode(bytes), STANDARD_NO_PAD.encode(bytes)].map(Zeroizing::new)
        });
        let configured = self.secrets.iter().map(|text| Zeroizing::new(text.trim().to_owned()));
        let texts: Vec<_> = written.chain(configured).filter(|text| text.len() >= MIN_SHOWN).collect();
        for cause in causes {
            if cause.texts().any(|text| texts.iter().any(|secret| text.contains(secret.as_str()))) {
                *cause = cause.clone().without_quotes();
            }
        }
    }
}

/// Prints neither the secrets nor the values of headers.
impl<H: ?Sized> fmt::Debug for Capture<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("scheme", &self.scheme.name())
            .field("secrets", &self.secrets.len())
            .field("body_bytes", &self.body.len())
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

/// The maximum number of secrets that are stored.
const MAX_SECRETS: usize = 64;

/// The maximum number of headers.
const MAX_HEADERS: usize = 256;

/// The minimum length, in bytes, of a text that is treated as a secret when searching for one.
const MIN_SHOWN: usize = 6;
