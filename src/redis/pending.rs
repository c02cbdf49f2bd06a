//! Settlements that must not be lost if their caller is dropped.

use std::sync::Arc;

use super::failure::Failure;
use super::router::Router;
use super::settlement::Settlement;

/// Sends its settlement in the background on drop, unless `forget` is called first.
pub(super) struct PendingSettlement {
    router: Arc<Router>,
    settlement: Option<Settlement>,
}

impl PendingSettlement {
    pub(super) fn new(router: &Arc<Router>, settlement: Settlement) -> Self {
        Self { router: Arc::clone(router), settlement: Some(settlement) }
    }

    /// Sends the settlement now.
    pub(super) async fn send(&self) -> Result<bool, Failure> {
        match &self.settlement {
            Some(settlement) => self.router.settle(settlement).await,
            None => Ok(false),
        }
    }

    pub(super) fn forget(&mut self) {
        self.settlement = None;
    }
}

impl Drop for PendingSettlement {
    fn drop(&mut self) {
        if let Some(settlement) = self.settlement.take() {
            self.router.map.settle_later(settlement);
        }
    }
}
