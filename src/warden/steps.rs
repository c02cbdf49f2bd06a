//! The steps of a judgement as values: each consumes the one before it.

use std::fmt;

use super::record::Record;
use super::{IdFault, Warden, WebhookId};
use crate::error::{Reason, Rejection};
use crate::event::Outcome;
use crate::head::Head;
use crate::respond::Answer;
use crate::secret::KeyId;
use crate::time::Timestamp;
use crate::verifier::{Opening, Verification, Verified};

impl Warden {
    /// Judges shape and freshness, from the head alone.
    ///
    /// # Errors
    /// The request is refused.
    pub fn examine_at<'h, H: Head + ?Sized>(&'h self, head: &'h H, now: Timestamp) -> Result<Examined<'h, H>, Refused> {
        let mut record = Record::begin(self);
        match self.inner.rules.open(head, now) {
            Ok(opening) => {
                record.skew = opening.skew();
                Ok(Examined { record, opening, now })
            }
            Err(rejection) => Err(Refused::new(&mut record, rejection)),
        }
    }

    /// [`examine_at`](Self::examine_at) the wall clock's time.
    ///
    /// # Errors
    /// As there.
    pub fn examine<'h, H: Head + ?Sized>(&'h self, head: &'h H) -> Result<Examined<'h, H>, Refused> {
        self.examine_at(head, self.now())
    }
}

/// A request of good shape and fresh. Its keys are still to be found.
#[must_use = "the request is not judged yet"]
pub struct Examined<'h, H: ?Sized> {
    record: Record,
    opening: Opening<'h, H>,
    now: Timestamp,
}

impl<H: Head + ?Sized> Examined<'_, H> {
    /// Finds the keys of the webhook `id`. An unknown id, or one without a live key, goes on with a decoy and is refused
    /// when its body is complete, at the same cost and with the same answer as a wrong signature.
    ///
    /// # Errors
    /// None today; a key store that cannot be reached will refuse here.
    pub fn identify(self, id: &str) -> Result<Receiving, Refused> {
        self.identify_by(Ok(id.into()))
    }

    /// [`identify`](Self::identify)s the request by the id that its head holds, where the Warden's [`IdSource`](crate::IdSource) says.
    ///
    /// # Errors
    /// The head has none; an id that only a framework knows, a path parameter, is never found here.
    pub fn identify_from_head(self, head: &dyn Head) -> Result<Receiving, Refused> {
        let id = self.record.warden.inner.id_source.find(head);
        self.identify_by(id)
    }

    pub(crate) fn identify_by(mut self, id: Result<WebhookId, IdFault>) -> Result<Receiving, Refused> {
        let id = match id {
            Ok(id) => {
                self.record.claim_id(id.as_str());
                Some(id)
            }
            Err(IdFault::Unreadable) => None,
            Err(IdFault::NoSuchParameter) => {
                return Err(Refused::new(&mut self.record, Rejection::new(Reason::Misconfigured)));
            }
            Err(IdFault::Header(reason)) => return Err(Refused::new(&mut self.record, Rejection::new(reason))),
        };
        let table = self.record.warden.inner.keys.load_full();
        let known = id.as_ref().and_then(|id| table.find(id.as_str()));
        let live = known.filter(|keys| keys.has_live(self.now));
        let decoy_reason = if known.is_some() { Reason::NoLiveKey } else { Reason::UnknownId };
        match self.opening.with_keys(live.unwrap_or(table.decoy())) {
            Ok(verification) => Ok(Receiving { verification, webhook_id: id, decoy_reason, record: self.record }),
            Err(rejection) => Err(Refused::new(&mut self.record, rejection)),
        }
    }
}

impl<H: ?Sized> fmt::Debug for Examined<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Examined(…)")
    }
}

/// A request whose body is arriving.
#[must_use = "the request is not judged yet"]
pub struct Receiving {
    verification: Verification,
    webhook_id: Option<WebhookId>,
    /// What a refusal under the decoy means.
    decoy_reason: Reason,
    record: Record,
}

impl Receiving {
    /// Notes that the body will have `bytes` bytes, as `Content-Length` says.
    ///
    /// # Errors
    /// That is more than the cap.
    pub fn expect(&mut self, bytes: u64) -> Result<(), Refused> {
        let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.record.warden.body_limit());
        if fits { Ok(()) } else { Err(self.refuse(Reason::BodyTooLarge)) }
    }

    /// Takes the next bytes of the raw body.
    ///
    /// # Errors
    /// The body has outgrown the cap.
    pub fn update(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let total = self.record.body_bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.expect(total)?;
        self.record.body_bytes = total;
        self.verification.update(chunk);
        Ok(())
    }

    /// Judges the signature, once the body is complete.
    ///
    /// # Errors
    /// The request is refused. A request that was refused before, for its size, stays refused.
    pub fn finish(self) -> Result<Admitted, Refused> {
        let Self { verification, webhook_id, decoy_reason, mut record } = self;
        if let Some(refused) = record.refused() {
            return Err(Refused::new(&mut record, refused));
        }
        match (verification.finish(), webhook_id) {
            (Ok(verified), Some(webhook_id)) => {
                record.key_id = Some(verified.key_id());
                record.conclude(Outcome::Released);
                Ok(Admitted { facts: Facts { webhook_id, verified }, record })
            }
            (Err(rejection), _) if rejection.reason() != Reason::UnknownId => Err(Refused::new(&mut record, rejection)),
            _ => Err(Refused::new(&mut record, Rejection::new(decoy_reason))),
        }
    }

    /// Gives the request up, for a reason that only the reader of its body knows.
    pub(crate) fn refuse(&mut self, reason: Reason) -> Refused {
        Refused::new(&mut self.record, Rejection::new(reason))
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("body_bytes", &self.record.body_bytes).finish_non_exhaustive()
    }
}

/// The proof that a request passed every step. Only [`Receiving::finish`] makes one.
///
/// Whoever holds it has the work to do: [`commit`](Self::commit) says that it is done; dropping it says that it is not,
/// so that the sender's retry is welcome.
#[must_use = "dropping it tells that the work was not done"]
pub struct Admitted {
    facts: Facts,
    record: Record,
}

impl Admitted {
    /// What is proven of the request.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The work is done.
    pub fn commit(mut self) {
        self.record.conclude(Outcome::Accepted);
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admitted").field(&self.facts).finish()
    }
}

/// What is proven of an admitted request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Facts {
    webhook_id: WebhookId,
    verified: Verified,
}

impl Facts {
    /// The webhook id whose keys signed the request.
    #[must_use]
    pub fn webhook_id(&self) -> &str {
        self.webhook_id.as_str()
    }

    /// The key that matched.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.verified.key_id()
    }

    /// When the sender says it signed, if the scheme has a timestamp.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.verified.timestamp()
    }

    /// The receiver's clock minus the timestamp, in seconds.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.verified.skew()
    }
}

/// A refused request with its answer.
#[derive(Debug, thiserror::Error)]
#[error("webhook refused")]
pub struct Refused {
    reason: Reason,
    answer: Answer,
}

impl Refused {
    fn new(record: &mut Record, rejection: Rejection) -> Self {
        record.refuse(rejection);
        let reason = rejection.reason();
        Self { reason, answer: Answer::to(reason, record.warden.inner.answer_writer.as_ref()) }
    }

    /// Why, for the operator.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What the sender is told.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// What the sender is told.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        self.answer
    }
}
