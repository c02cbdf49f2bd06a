//! Settlements that must not be lost if their caller is dropped.

use std::sync::Arc;

use super::link::Link;
use super::settlement::Settlement;

/// Sends its settlement in the background on drop, unless `forget` is called first.
pub(super) struct PendingSettlement {
    link: Arc<Link>,
    settlement: Option<Settlement>,
}

impl PendingSettlement {
    pub(super) fn new(link: &Arc<Link>, settlement: Settlement) -> Self {
        Self { link: Arc::clone(link), settlement: Some(settlement) }
    }

    pub(super) const fn settlement(&self) -> Option<&Settlement> {
        self.settlement.as_ref()
    }

    pub(super) fn forget(&mut self) {
        self.settlement = None;
    }
}

impl Drop for PendingSettlement {
    fn drop(&mut self) {
        if let Some(settlement) = self.settlement.take() {
            self.link.settle_later(settlement);
        }
    }
}
