//! Tries keys × messages × algorithms until a combination fits a received signature.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::cause::Cause;
use super::form::{Form, MAX_MISTAKES};
use super::signatures::Candidate;
use crate::crypto::HashAlgorithm;
use crate::crypto::body_hash::BodyHash;
use crate::crypto::wrong_mac::{Method, begins_with};
use crate::encoding::Encoding;

/// A key, and the index of the secret that it was made from.
pub(super) struct KeyForm {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) secret: usize,
}

/// A piece of the signed content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    Body,
    /// The digest of the body as text.
    Digest {
        hash: HashAlgorithm,
        encoding: Encoding,
        is_upper: bool,
    },
}

impl Piece {
    /// Returns the signed bytes for a body.
    fn bytes<'p>(&'p self, body: &'p [u8]) -> Cow<'p, [u8]> {
        match self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Body => Cow::Borrowed(body),
            Self::Digest { hash, encoding, is_upper } => {
                let mut hash = BodyHash::new(*hash, *encoding);
                hash.update(body);
                let text = hash.text().map(|text| text.as_bytes().to_vec()).unwrap_or_default();
                Cow::Owned(if *is_upper { text.to_ascii_uppercase() } else { text })
            }
        }
    }

    /// The number of bytes that are hashed.
    fn cost(&self, body: &[u8]) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Body | Self::Digest { .. } => body.len(),
        }
    }
}

/// The forms that are combined.
pub(super) struct Space<'c> {
    pub(super) keys: Vec<Form<KeyForm>>,
    pub(super) bodies: Vec<Form<Cow<'c, [u8]>>>,
    /// Why some forms of the body are not tried.
    pub(super) omitted: Vec<&'static str>,
    pub(super) contents: Vec<Form<Vec<Piece>>>,
    pub(super) methods: Vec<Form<Method>>,
    pub(super) candidates: Vec<Form<Candidate>>,
}

/// A combination that fits.
pub(super) struct Fit {
    pub(super) secret: usize,
    pub(super) causes: Vec<Cause>,
}

/// The work that a search may still do.
pub(super) struct Budget {
    pub(super) tried: u32,
    bytes: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { tried: 0, bytes: MAX_BYTES }
    }

    /// Charges one signature over `bytes`. Returns `false` if the budget is used up.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        match self.bytes.checked_sub(bytes.saturating_add(OVERHEAD)) {
            Some(left) if self.tried < MAX_TRIES => {
                self.bytes = left;
                self.tried = self.tried.saturating_add(1);
                true
            }
            _ => false,
        }
    }
}

impl Space<'_> {
    /// Returns the combination with the fewest mistakes that yields a received signature, or `Err` if the budget ends
    /// first.
    pub(super) fn search(&self, budget: &mut Budget) -> Result<Option<Fit>, Spent> {
        for mistakes in 0..=MAX_MISTAKES {
            for body in self.bodies.iter().filter(|form| form.weight <= mistakes) {
                let mistakes = mistakes.saturating_sub(body.weight);
                for key in self.keys.iter().filter(|form| form.weight <= mistakes) {
                    let mistakes = mistakes.saturating_sub(key.weight);
                    for content in self.contents.iter().filter(|form| form.weight <= mistakes) {
                        let mistakes = mistakes.saturating_sub(content.weight);
                        for method in self.methods.iter().filter(|form| form.weight == mistakes) {
                            let fit = self.fit(key, body, content, method, budget)?;
                            if fit.is_some() {
                                return Ok(fit);
                            }
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    fn fit(
        &self,
        key: &Form<KeyForm>,
        body: &Form<Cow<'_, [u8]>>,
        content: &Form<Vec<Piece>>,
        method: &Form<Method>,
        budget: &mut Budget,
    ) -> Result<Option<Fit>, Spent> {
        let Some(size) = method.value.tag_size() else {
            return self.fit_signature(key, body, content, method, budget);
        };
        if !self.candidates.iter().any(|candidate| may_fit(&candidate.value, size, method)) {
            return Ok(None);
        }
        if !budget.spend(content.value.iter().map(|piece| piece.cost(&body.value)).sum()) {
            return Err(Spent);
        }
        let bytes: Vec<Cow<'_, [u8]>> = content.value.iter().map(|piece| piece.bytes(&body.value)).collect();
        let pieces: Vec<&[u8]> = bytes.iter().map(|piece| &**piece).collect();
        let Some(tag) = method.value.tag(&key.value.bytes, &pieces) else { return Ok(None) };
        let fits = |form: &&Form<Candidate>| may_fit(&form.value, size, method) && begins_with(&tag, &form.value.bytes);
        Ok(self.candidates.iter().find(fits).map(|candidate| {
            let truncated = (candidate.value.bytes.len() < size).then(|| candidate.value.truncated(size));
            let causes = [&content.causes, &method.causes, &key.causes, &body.causes, &candidate.causes];
            Fit {
                secret: key.value.secret,
                causes: causes.into_iter().flatten().cloned().chain(truncated).map(Cause::proven).collect(),
            }
        }))
    }

    /// [`fit`](Self::fit) for a method with public keys, which verifies every candidate.
    fn fit_signature(
        &self,
        key: &Form<KeyForm>,
        body: &Form<Cow<'_, [u8]>>,
        content: &Form<Vec<Piece>>,
        method: &Form<Method>,
        budget: &mut Budget,
    ) -> Result<Option<Fit>, Spent> {
        let bytes: Vec<Cow<'_, [u8]>> = content.value.iter().map(|piece| piece.bytes(&body.value)).collect();
        let pieces: Vec<&[u8]> = bytes.iter().map(|piece| &**piece).collect();
        let cost: usize = content.value.iter().map(|piece| piece.cost(&body.value)).sum();
        for candidate in &self.candidates {
            if !budget.spend(cost.saturating_add(VERIFICATION)) {
                return Err(Spent);
            }
            if method.value.verifies(&key.value.bytes, &pieces, &candidate.value.bytes) {
                let causes = [&content.causes, &method.causes, &key.causes, &body.causes, &candidate.causes];
                let causes = causes.into_iter().flatten().cloned().map(Cause::proven).collect();
                return Ok(Some(Fit { secret: key.value.secret, causes }));
            }
        }
        Ok(None)
    }
}

/// The budget ended before the search was complete.
pub(super) struct Spent;

/// Whether the length fits. A shorter candidate may be a truncated signature, but only of the scheme's algorithm.
fn may_fit(candidate: &Candidate, size: usize, method: &Form<Method>) -> bool {
    let length = candidate.bytes.len();
    length == size || (method.weight == 0 && length < size)
}

/// The maximum number of signatures that are computed.
const MAX_TRIES: u32 = 60_000;

/// The maximum number of bytes that are hashed in all.
const MAX_BYTES: usize = 256 << 20;

/// The cost of verifying a signature with a public key, in bytes: it takes about as long as hashing them.
const VERIFICATION: usize = 64 << 10;

/// The cost of a signature in addition to its message, in bytes.
const OVERHEAD: usize = 256;
