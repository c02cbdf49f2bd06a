//! The rules that the properties depend on.

/// A rule of the protocol. The model can run without one, as an implementation that breaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    ClaimRespectsClaims,
    ClaimRespectsCommits,
    /// A signature's key and the id are one claim.
    ClaimIncludesId,
    /// The time to live of a commit is computed from the earlier of two wall clocks: that by which the timestamp was
    /// fresh, and that of the claim.
    ClaimUsesTheEarlierClock,
    RefusedClaimTakesNothing,
    ClaimantsAreUnique,
    CommitRespectsClaims,
    CommitRespectsCommits,
    /// The time to live is computed from the wall clock of the claim, not from a clock that was set since.
    CommitUsesTheClaimsClock,
    ReleaseRespectsClaims,
    ReleaseRespectsCommits,
    LeaseEnds,
    LeaseIgnoresTheWallClock,
    /// A committed delivery expires in the process when both clocks have passed its end.
    ExpiryNeedsBothClocks,
    /// A committed delivery is stored longer than its timestamp is fresh, by the difference of clocks.
    MarginCoversClocks,
    /// An id is stored at least as long as a signature of its delivery can be fresh.
    IdOutlivesSignatures,
    FailureReleases,
    OnlySuccessCommits,
    /// The handler runs to its end if the client disconnects, and keeps its claim.
    DisconnectKeepsClaim,
    CommitIsInTheTransaction,
    CommitIsNotBeforeTheWork,
    /// `commit_in` requires that each key is still stored under the claimant.
    CommitInNeedsItsClaim,
    /// The keys stay locked from `commit_in` to the end of the transaction.
    TransactionLocksKeys,
    /// A handler whose `commit_in` is refused rolls its transaction back.
    RefusalRollsBack,
    /// The adapter does not commit a claim that the handler took, whatever the handler answers.
    TakenClaimIsReleased,
}
