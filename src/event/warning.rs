//! Problems that do not belong to one request.

use std::fmt;

/// A problem that an operator should know about and that does not belong to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Warning {
    /// The table that counts the refused requests of each peer is full: peers that are not in it are not blocked.
    RejectedTableFull,
    /// The table that counts the accepted requests of each webhook id is full: ids that are not in it are not limited.
    AcceptedTableFull,
    /// A table that counts handshakes, by peer or by webhook id, is full: those of others are not limited.
    HandshakeTableFull,
    /// The shared limiter failed: this process counts its share of each quota until the limiter answers again.
    LimiterFellBack,
    /// A request has no peer address: all such requests share one quota of refused requests.
    PeerUnknown,
    /// All peers so far have private addresses. There may be a proxy that is not declared; the refused requests of one
    /// client would then count against all of them.
    PeersAllPrivate,
    /// A handler finished after its lease ended, and another request may have claimed the delivery: the handler may have run
    /// twice. If the handler took the claim, its answer 2xx is replaced by 503, because it is not known whether the delivery
    /// is committed.
    LeaseOutlived,
    /// A delivery has no id at the place that the scheme names, or not a string: if the sender signs a retry again, the
    /// handler runs again.
    DeliveryIdMissing,
    /// The table of delivery ids in this process is full, and the oldest were evicted: if a sender signs a late retry
    /// again, the handler runs again.
    DeliveryIdsEvicted,
    /// A handler took its claim to commit it in a transaction, and answered 2xx or called `commit`, but the delivery is not
    /// committed. It was released. A layer or middleware has answered 503 instead, so that the sender retries; without one, the
    /// handler must answer 5xx if its transaction fails.
    CommitMissing,
    /// A refused request is not [captured](crate::warden::Captures), because too many captures wait or because the file
    /// could not be written, or an old capture could not be deleted.
    CaptureFailed,
    /// The Warden only reports ([`danger_report_only`](crate::warden::WardenBuilder::danger_report_only)): refused requests
    /// reach the handler. It is raised when the Warden is built, with its first request, and then at most once an hour.
    ReportOnly,
    /// Keys could not be reloaded, and the keys from before stay in use. The Warden does not raise this: pass
    /// `KeyFileError::warning` to your observers in `FileKeysBuilder::on_error`.
    KeyReloadFailed,
    /// An entry of the key files is faulty, and its webhook id has no keys. It is raised like
    /// [`KeyReloadFailed`](Self::KeyReloadFailed).
    KeyEntryRejected,
}

impl Warning {
    /// Every warning.
    pub const ALL: &[Self] = &[
        Self::RejectedTableFull,
        Self::AcceptedTableFull,
        Self::HandshakeTableFull,
        Self::LimiterFellBack,
        Self::PeerUnknown,
        Self::PeersAllPrivate,
        Self::LeaseOutlived,
        Self::DeliveryIdMissing,
        Self::DeliveryIdsEvicted,
        Self::CommitMissing,
        Self::CaptureFailed,
        Self::ReportOnly,
        Self::KeyReloadFailed,
        Self::KeyEntryRejected,
    ];

    /// The warning in snake case, for a log field or a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RejectedTableFull => "rejected_table_full",
            Self::AcceptedTableFull => "accepted_table_full",
            Self::HandshakeTableFull => "handshake_table_full",
            Self::LimiterFellBack => "limiter_fell_back",
            Self::PeerUnknown => "peer_unknown",
            Self::PeersAllPrivate => "peers_all_private",
            Self::LeaseOutlived => "lease_outlived",
            Self::DeliveryIdMissing => "delivery_id_missing",
            Self::DeliveryIdsEvicted => "delivery_ids_evicted",
            Self::CommitMissing => "commit_missing",
            Self::CaptureFailed => "capture_failed",
            Self::ReportOnly => "report_only",
            Self::KeyReloadFailed => "key_reload_failed",
            Self::KeyEntryRejected => "key_entry_rejected",
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::RejectedTableFull => "the table of refused requests is full: further peers are not blocked",
            Self::AcceptedTableFull => "the table of accepted requests is full: further webhook ids are not limited",
            Self::HandshakeTableFull => {
                "a table of handshakes is full: those of further peers or webhook ids are not limited"
            }
            Self::LimiterFellBack => "the shared limiter failed: this process counts its share of each quota",
            Self::PeerUnknown => "a request has no peer address: all such requests share one quota of refused requests",
            Self::PeersAllPrivate => {
                "all peers have private addresses: if there is a proxy, declare it with \
                 `WardenBuilder::proxies`"
            }
            Self::LeaseOutlived => "a handler finished after its lease: it may have run twice",
            Self::DeliveryIdMissing => {
                "a delivery has no id where the scheme names one: a retry that is signed again runs the handler again"
            }
            Self::DeliveryIdsEvicted => {
                "the table of delivery ids is full: raise `Replay::capacity`, or a late retry may run the handler again"
            }
            Self::CommitMissing => {
                "a handler took its claim and reported success, but did not commit: the delivery is released, answer 5xx"
            }
            Self::CaptureFailed => {
                "a capture was lost or an old one not deleted: check the speed, the space and the permissions of the \
                 directory of `WardenBuilder::captures`"
            }
            Self::ReportOnly => {
                "`danger_report_only` is set: requests that should be refused reach the handler; remove it to enforce"
            }
            Self::KeyReloadFailed => "keys could not be reloaded: the previous keys stay in use",
            Self::KeyEntryRejected => "an entry of the key files is faulty: its webhook id has no keys",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
