//! Why a delivery was not committed.

/// Why a delivery was not committed in the handler's transaction. Let the transaction roll back: do not commit it.
///
/// The sender's retry finds out what happened: it is answered 200 if another request has finished the delivery, and
/// runs the handler again otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The lease had ended, and another request has claimed the delivery, or the claim was removed an hour later. A longer
    /// lease avoids this: `hookwarden::warden::Replay::lease`.
    #[error("the delivery's lease ended and its claim is lost: roll back, and set a longer lease")]
    ClaimLost,
    /// Another request has finished the delivery, or this transaction has committed it before.
    #[error("the delivery is already finished: roll back")]
    AlreadyFinished,
    /// The Warden made no claim in a shared store: it has no replay protection, keeps deliveries in its process, or fell
    /// back to that.
    #[error("the delivery has no claim in a shared store: pass this store to `WardenBuilder::shared_store`")]
    NotClaimed,
    /// The database refused, or the connection failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}
