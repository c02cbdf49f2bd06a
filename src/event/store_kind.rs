//! The stores that can fail.

/// A store that a Warden depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreKind {
    /// The key store.
    Keys,
    /// The rate limiter.
    Limits,
    /// The replay store.
    Replay,
}

impl StoreKind {
    /// The store in one word, for a log field or a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Limits => "limits",
            Self::Replay => "replay",
        }
    }
}
