//! Where deliveries are stored.

use std::fmt;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::replay::ReplayStore;
use crate::shared_store::SharedStore;
use crate::warden::stores::ReplayBackend;

pub(super) enum Place {
    /// The shared store of the Warden, or this process if it has none.
    Default,
    InProcess,
    Shared(Box<dyn ReplayStore>),
    Off,
}

impl Place {
    /// Returns the shared store, if there is one.
    pub(super) fn backend(
        self,
        shared_store: Option<Arc<dyn SharedStore>>,
    ) -> Result<Option<ReplayBackend>, ConfigError> {
        match (self, shared_store) {
            (Self::Shared(_), Some(_)) => {
                let problem = "must not be set with `Replay::shared`: both store deliveries; remove one of the two";
                Err(ConfigError::new("shared_store", problem))
            }
            (Self::InProcess, Some(_)) => {
                let problem = "must not be `Replay::in_process()` with `shared_store`: use `Replay::new()`, or share \
                               only the quotas with `Quotas::shared`";
                Err(ConfigError::new("replay", problem))
            }
            (Self::Shared(store), None) => Ok(Some(ReplayBackend::Shared(store))),
            (_, store) => Ok(store.map(ReplayBackend::Joint)),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "Default",
            Self::InProcess => "InProcess",
            Self::Shared(_) => "Shared",
            Self::Off => "Off",
        })
    }
}
