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

    /// Reads the head into an [`Opening`], in place: moving it would take longer than reading.
    pub(crate) fn open<H: Head + ?Sized>(&self, opening: &mut Opening<'_, H>) -> Result<(), Fault> {
        let mut candidates = Candidates::new();
        self.read(opening.head, opening.now, &mut opening.reading, &mut candidates)?;
        candidates.drain(..).for_each(|candidate| opening.candidates.push(candidate));
        Ok(())
    }
}
