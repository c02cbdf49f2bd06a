//! What is known of a request so far, and the event that it ends with.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use arrayvec::ArrayString;

use super::Warden;
use crate::error::Rejection;
use crate::event::{Outcome, SecurityEvent};
use crate::secret::KeyId;

/// The record of one request. Dropping it raises the event, so that no end is without one.
pub(super) struct Record {
    pub(super) warden: Warden,
    pub(super) body_bytes: u64,
    pub(super) skew: Option<i64>,
    pub(super) key_id: Option<KeyId>,
    webhook_id: Option<ArrayString<ID_BYTES>>,
    outcome: Outcome,
    rejection: Option<Rejection>,
    began: Instant,
}

impl Record {
    pub(super) fn begin(warden: &Warden) -> Self {
        Self {
            warden: warden.clone(),
            body_bytes: 0,
            skew: None,
            key_id: None,
            webhook_id: None,
            outcome: Outcome::Abandoned,
            rejection: None,
            began: Instant::now(),
        }
    }

    /// Notes the id that a request claims. It is escaped, because it ends up in logs and is whatever a stranger wrote.
    pub(super) fn claim_id(&mut self, id: &str) {
        let mut label = ArrayString::new();
        for character in id.chars() {
            let mut escaped = ArrayString::<12>::new();
            let plain = character.is_ascii_graphic() && character != '\\' || character == ' ';
            let written = if plain {
                escaped.try_push(character).is_ok()
            } else {
                write!(escaped, "{}", character.escape_default()).is_ok()
            };
            if !written || label.try_push_str(&escaped).is_err() {
                break;
            }
        }
        self.webhook_id = Some(label);
    }

    pub(super) fn conclude(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    pub(super) fn refuse(&mut self, rejection: Rejection) {
        self.skew = self.skew.or(rejection.skew());
        self.rejection = Some(rejection);
        self.conclude(Outcome::Refused(rejection.reason()));
    }

    pub(super) const fn refused(&self) -> Option<Rejection> {
        self.rejection
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let scheme = self.warden.scheme();
        let event = SecurityEvent {
            outcome: self.outcome,
            webhook_id: self.webhook_id.as_deref(),
            key_id: self.key_id,
            header: self.rejection.as_ref().and_then(|rejection| rejection.header(scheme)),
            skew: self.skew,
            body_bytes: self.body_bytes,
            duration: self.began.elapsed(),
            scheme: scheme.name(),
        };
        for observer in &self.warden.inner.observers {
            // An observer that panics must not take the request with it, nor abort while another panic unwinds.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.observe(&event)));
        }
    }
}

/// The most bytes of a webhook id in an event.
const ID_BYTES: usize = 128;
