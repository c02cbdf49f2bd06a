//! The search: keys × messages × methods, until one fits a received signature.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::cause::Cause;
use super::form::{Form, MOST_FAULTS};
use super::signatures::Candidate;
use crate::crypto::wrong_mac::{Method, begins_with};

/// A key, and the place of the secret's text that it was made of.
pub(super) struct KeyForm {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) secret: usize,
}

/// What is signed, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    Body,
}

/// All forms of everything.
pub(super) struct Space<'c> {
    pub(super) keys: Vec<Form<KeyForm>>,
    pub(super) bodies: Vec<Form<Cow<'c, [u8]>>>,
    pub(super) contents: Vec<Form<Vec<Piece>>>,
    pub(super) methods: Vec<Form<Method>>,
    pub(super) candidates: Vec<Form<Candidate>>,
}

/// The forms that fit together.
pub(super) struct Fit {
    pub(super) secret: usize,
    pub(super) causes: Vec<Cause>,
}

/// What a search may still cost.
pub(super) struct Budget {
    pub(super) tried: u32,
    bytes: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { tried: 0, bytes: MAX_BYTES }
    }

    /// Pays for one signature over `bytes`, if there is enough left.
    fn spend(&mut self, bytes: usize) -> bool {
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
    /// The forms with the fewest faults that make one of the received signatures, or `Err` if the budget ends before.
    pub(super) fn search(&self, budget: &mut Budget) -> Result<Option<Fit>, Spent> {
        for faults in 0..=MOST_FAULTS {
            for body in self.bodies.iter().filter(|form| form.weight <= faults) {
                let faults = faults.saturating_sub(body.weight);
                for key in self.keys.iter().filter(|form| form.weight <= faults) {
                    let faults = faults.saturating_sub(key.weight);
                    for content in self.contents.iter().filter(|form| form.weight <= faults) {
                        let faults = faults.saturating_sub(content.weight);
                        for method in self.methods.iter().filter(|form| form.weight == faults) {
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
        let size = method.value.tag_size();
        if !self.candidates.iter().any(|candidate| may_fit(&candidate.value, size, method)) {
            return Ok(None);
        }
        let pieces: Vec<&[u8]> = content
            .value
            .iter()
            .map(|piece| match piece {
                Piece::Bytes(bytes) => bytes.as_slice(),
                Piece::Body => &*body.value,
            })
            .collect();
        if !budget.spend(pieces.iter().map(|piece| piece.len()).sum()) {
            return Err(Spent);
        }
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
}

/// The budget ended before the search.
pub(super) struct Spent;

/// A shorter candidate may be the start of a signature by the scheme's own method.
fn may_fit(candidate: &Candidate, size: usize, method: &Form<Method>) -> bool {
    let length = candidate.bytes.len();
    length == size || (method.weight == 0 && length < size)
}

/// The most signatures that are computed.
const MAX_TRIES: u32 = 60_000;

/// The most bytes that are hashed, in all.
const MAX_BYTES: usize = 256 << 20;

/// What a signature costs beside its message, in bytes.
const OVERHEAD: usize = 256;
