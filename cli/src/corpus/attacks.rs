//! The near misses: changes to a valid message, with the result that each must have.

mod body;
mod entries;
mod head;
mod signature;
mod timestamp;

use hookwarden::Reason;

use super::message::Message;
use super::sample::Sample;

/// A change to a valid message.
pub(super) struct Attack {
    /// Its stable name.
    pub(super) name: &'static str,
    /// What the message is, in a sentence.
    pub(super) description: &'static str,
    pub(super) level: Level,
    /// The possible reasons of the refusal. Empty if the message is accepted.
    pub(super) reasons: &'static [Reason],
    /// Returns the changed message, or `None` if the change does not apply to the scheme.
    pub(super) change: Change,
}

type Change = fn(&Sample) -> Option<Message>;

/// Who must agree with the expected result.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    /// Every verifier.
    Must,
    /// Hookwarden, by its own choice. Another verifier may choose differently.
    Should,
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

/// All changes.
pub(super) fn all() -> impl Iterator<Item = &'static Attack> {
    [body::ATTACKS, signature::ATTACKS, entries::ATTACKS, head::ATTACKS, timestamp::ATTACKS].into_iter().flatten()
}

const fn must(name: &'static str, description: &'static str, reasons: &'static [Reason], change: Change) -> Attack {
    Attack { name, description, level: Level::Must, reasons, change }
}

const fn should(name: &'static str, description: &'static str, reasons: &'static [Reason], change: Change) -> Attack {
    Attack { name, description, level: Level::Should, reasons, change }
}

const ACCEPTED: &[Reason] = &[];
const MISMATCH: &[Reason] = &[Reason::Mismatch];
const MISSING: &[Reason] = &[Reason::MissingHeader];
const DUPLICATE: &[Reason] = &[Reason::DuplicateHeader];
const MALFORMED: &[Reason] = &[Reason::MalformedSignature];
