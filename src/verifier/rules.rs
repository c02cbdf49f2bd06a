//! The checks of a request head: its form and its freshness.

use alloc::sync::Arc;

use super::verification::Opening;
use crate::error::Fault;
use crate::headers::Head;
use crate::scheme::{Candidates, Reading, Scheme};
use crate::time::{Timestamp, Tolerance};

/// The checks that need no key.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) tolerance: Tolerance,
}

impl Rules {
    pub(crate) fn new(scheme: Scheme) -> Self {
        Self { tolerance: scheme.tolerance(), scheme: Arc::new(scheme) }
    }

    pub(super) fn read<'h, H: Head + ?Sized>(
        &self,
        head: &'h H,
        now: Timestamp,
        reading: &mut Reading<'h>,
        candidates: &mut Candidates,
    ) -> Result<(), Fault> {
        self.scheme.read(head, reading, candidates)?;
        for stamp in reading.times.iter().copied() {
            let stale = |reason| Fault::new(reason).with_skew(Some(now.seconds_since(stamp)));
            self.tolerance.check(stamp, now).map_err(stale)?;
        }
        Ok(())
    }

    pub(crate) fn open<'h, H: Head + ?Sized>(&'h self, head: &'h H, now: Timestamp) -> Result<Opening<'h, H>, Fault> {
        let (mut reading, mut candidates) = (Reading::default(), Candidates::new());
        self.read(head, now, &mut reading, &mut candidates)?;
        let candidates = candidates.drain(..).collect();
        Ok(Opening { scheme: &self.scheme, head, reading, candidates, now })
    }
}
