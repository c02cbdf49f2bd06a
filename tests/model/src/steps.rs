//! What each action changes.

use crate::protocol::{Action, BODY, ID, ID_LIFETIME, LEASE, MARGIN, Protocol, StoreKind, TOLERANCE};
use crate::rules::Rule;
use crate::state::{Held, Phase, Request, State};
use crate::store_model::{Claim, Clocks, Delivery, Entry, Key};

impl Protocol {
    /// `None` if the action is not possible.
    pub(crate) fn apply(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Send { signature, process } => self.send(state, signature, process)?,
            Action::Claim(i) => {
                let held = self.held(state, i)?;
                let claim = self.claim(state, i, held)?;
                state.requests[i].phase = if claim == Claim::Granted { Phase::Handling(held) } else { Phase::Ended };
                state.is_repeated |= claim == Claim::Granted && state.is_committed && state.forgotten == 0;
            }
            Action::ClaimUnanswered(i) => {
                take(&mut state.left.losses)?;
                let held = self.held(state, i)?;
                self.claim(state, i, held)?;
                state.requests[i].phase = Phase::Ending(held);
            }
            Action::ClaimLate(i) => {
                take(&mut state.left.losses)?;
                let held = self.held(state, i)?;
                self.claim(state, i, held)?;
                state.requests[i].phase = Phase::Orphaned;
            }
            Action::Work(i) => self.work(state, i)?,
            Action::Fail(i) => {
                let held = state.requests[i].phase.held()?;
                state.requests[i].phase = match self.removed {
                    Some(Rule::FailureReleases) => Phase::Ended,
                    Some(Rule::OnlySuccessCommits) => Phase::Committing(held),
                    _ => Phase::Ending(held),
                };
            }
            Action::Commit(i) => {
                let held = state.requests[i].phase.held()?;
                let is_committed = self.commit(state, i, held)?;
                state.is_committed |= is_committed;
                // The adapter does not release after a commit: what a refused commit leaves belongs to others.
                state.requests[i].phase = Phase::Ended;
            }
            Action::CommitLost(i) => {
                take(&mut state.left.losses)?;
                state.requests[i].phase = Phase::Orphaned;
            }
            Action::Prepare(i) => {
                let held = state.requests[i].phase.held()?;
                let may = self.may_prepare(state, i, held)? || self.removed == Some(Rule::RefusalRollsBack);
                state.requests[i].phase = if may { Phase::Prepared(held) } else { Phase::Ending(held) };
            }
            Action::CommitTransaction(i) => self.commit_transaction(state, i)?,
            Action::RollBack(i) => {
                let held = state.requests[i].phase.held()?;
                // The handler can answer 2xx although its transaction fails later.
                let adapter_commits = self.removed == Some(Rule::TakenClaimIsReleased);
                state.requests[i].phase = if adapter_commits { Phase::Committing(held) } else { Phase::Ending(held) };
            }
            Action::Release(i) => {
                let held = state.requests[i].phase.held()?;
                self.release(state, i, held)?;
                state.requests[i].phase = Phase::Ended;
            }
            Action::ReleaseLost(i) => {
                take(&mut state.left.losses)?;
                state.requests[i].phase = Phase::Orphaned;
            }
            Action::Disconnect(i) => {
                // The handler runs to its end, so nothing changes.
                if self.removed == Some(Rule::DisconnectKeepsClaim) {
                    let held = state.requests[i].phase.held()?;
                    self.release(state, i, held)?;
                }
            }
            Action::Crash(process) => {
                take(&mut state.left.crashes)?;
                let is_hit = |request: &&mut Request| {
                    request.process == process && !matches!(request.phase, Phase::Orphaned | Phase::Ended)
                };
                let mut hit = state.requests.iter_mut().filter(is_hit).peekable();
                hit.peek()?;
                for request in hit {
                    request.phase = Phase::Orphaned;
                }
                if self.kind == StoreKind::Local {
                    state.store.entries.clear();
                    state.is_committed = false;
                }
            }
            Action::Tick => {
                // The time before the first request makes no difference.
                if state.now == self.events.limits.ticks || state.requests.is_empty() {
                    return None;
                }
                state.now += 1;
                let now = state.now;
                state.is_outlived |= self.kind != StoreKind::Transactional
                    && state.requests.iter().any(|request| {
                        request.phase.is_handler() && request.phase.held().is_some_and(|held| now >= held.at + LEASE)
                    });
                for request in &mut state.requests {
                    // A body that takes longer is refused.
                    if matches!(request.phase, Phase::Reading { since, .. } if now > since + BODY) {
                        request.phase = Phase::Ended;
                    }
                }
            }
            Action::SetClock { process, wall_error } => {
                if state.wall_errors[process] == wall_error {
                    return None;
                }
                take(&mut state.left.clock_steps)?;
                state.wall_errors[process] = wall_error;
            }
            Action::Forget => {
                take(&mut state.left.resends)?;
                if self.is_locked(state, usize::MAX) || !state.store.forget(ID, state.clocks(0)) {
                    return None;
                }
                state.forgotten += 1;
            }
        }
        Some(())
    }

    fn send(&self, state: &mut State, signature: Option<usize>, process: usize) -> Option<()> {
        if state.requests.len() == self.events.limits.requests {
            return None;
        }
        // The processes are equal, so the first request can be the first process's.
        if state.requests.is_empty() && process > 0 {
            return None;
        }
        let signature = signature.unwrap_or(state.signatures.len());
        if signature == state.signatures.len() {
            state.signatures.push(state.now);
        }
        let wall_error = state.wall_errors[process];
        if (state.now + wall_error - state.signatures[signature]).abs() > TOLERANCE {
            return None;
        }
        let phase = Phase::Reading { since: state.now, wall_error };
        state.requests.push(Request { process, signature, phase });
        Some(())
    }

    /// The process's clocks as it claims. The wall clock is that by which the timestamp was fresh, or the current one if
    /// it was set back meanwhile. A store in the process uses the first alone: it compares the wall clock itself, too.
    fn held(&self, state: &State, i: usize) -> Option<Held> {
        let Request { process, phase: Phase::Reading { wall_error, .. }, .. } = state.requests[i] else { return None };
        let current = state.wall_errors[process];
        let wall_error = match self.removed {
            Some(Rule::ClaimUsesTheEarlierClock) => current,
            _ if self.kind == StoreKind::Local => wall_error,
            _ => wall_error.min(current),
        };
        Some(Held { at: state.now, wall_error })
    }

    fn claim(&self, state: &mut State, i: usize, held: Held) -> Option<Claim> {
        self.when_unlocked(state, i)?;
        let (by, now) = (self.claimant(i), self.lease_clock(held, state.now));
        let mut delivery = self.delivery(state, i, now.wall);
        if self.removed == Some(Rule::ClaimIncludesId) {
            delivery.keys.truncate(1);
        }
        let claim = state.store.state(&delivery, by, now);
        let is_granted = match claim {
            Claim::Granted => true,
            Claim::InProgress { .. } => self.removed == Some(Rule::ClaimRespectsClaims),
            Claim::Finished => self.removed == Some(Rule::ClaimRespectsCommits),
        };
        if !is_granted {
            if self.removed == Some(Rule::RefusedClaimTakesNothing) {
                delivery.keys.retain(|(key, _)| !state.store.entries.contains_key(key));
                state.store.put_claimed(&delivery, by, LEASE, now);
            }
            return Some(claim);
        }
        let lease = if self.removed == Some(Rule::LeaseEnds) { 1_000 } else { LEASE };
        state.store.put_claimed(&delivery, by, lease, now);
        Some(Claim::Granted)
    }

    fn work(&self, state: &mut State, i: usize) -> Option<()> {
        let held = state.requests[i].phase.held()?;
        if self.kind != StoreKind::Transactional {
            state.works += 1;
        }
        state.requests[i].phase = Phase::Worked(held);
        Some(())
    }

    fn commit(&self, state: &mut State, i: usize, held: Held) -> Option<bool> {
        self.when_unlocked(state, i)?;
        let mut now = held.carried_to(state.now);
        let delivery = self.delivery(state, i, held.at + held.wall_error);
        let may = self.may_commit(state.store.state(&delivery, self.claimant(i), now));
        if may {
            if self.removed == Some(Rule::CommitUsesTheClaimsClock) {
                now = state.clocks(state.requests[i].process);
            }
            state.store.put_finished(&delivery, now);
            if self.removed == Some(Rule::ExpiryNeedsBothClocks) {
                for entry in state.store.entries.values_mut() {
                    if let Entry::Finished { end, .. } = entry {
                        *end = i32::MIN;
                    }
                }
            }
        }
        Some(may)
    }

    /// `commit_in` requires each key to be stored under the claimant. The lease can have ended, but free keys are no
    /// proof: another request can have been granted the delivery, and its commit can have expired.
    fn may_prepare(&self, state: &State, i: usize, held: Held) -> Option<bool> {
        self.when_unlocked(state, i)?;
        let (delivery, claimant) = (self.delivery(state, i, held.at + held.wall_error), self.claimant(i));
        let is_own = |entry: &Entry| matches!(entry, Entry::Claimed { by, .. } if *by == claimant);
        let owns_all = delivery.keys.iter().all(|(key, _)| state.store.entries.get(key).is_some_and(is_own));
        Some(
            owns_all
                || match state.store.state(&delivery, claimant, held.carried_to(state.now)) {
                    Claim::Granted => self.removed == Some(Rule::CommitInNeedsItsClaim),
                    claim => self.may_commit(claim),
                },
        )
    }

    fn may_commit(&self, claim: Claim) -> bool {
        match claim {
            Claim::Granted => true,
            Claim::InProgress { .. } => self.removed == Some(Rule::CommitRespectsClaims),
            Claim::Finished => self.removed == Some(Rule::CommitRespectsCommits),
        }
    }

    /// The work and the delivery's commit take effect together.
    fn commit_transaction(&self, state: &mut State, i: usize) -> Option<()> {
        let held = state.requests[i].phase.held()?;
        let delivery = self.delivery(state, i, held.at + held.wall_error);
        match self.removed {
            Some(Rule::CommitIsInTheTransaction) => {
                // The work takes effect, and the adapter commits the delivery afterwards.
                state.works += 1;
                state.requests[i].phase = Phase::Committing(held);
                return Some(());
            }
            Some(Rule::CommitIsNotBeforeTheWork) if !state.is_committed => {
                // The delivery is committed, and the work takes effect in the next step.
                state.store.put_finished(&delivery, held.carried_to(state.now));
                state.is_committed = true;
                return Some(());
            }
            _ => {}
        }
        state.store.put_finished(&delivery, held.carried_to(state.now));
        state.works += 1;
        state.is_committed = true;
        // The adapter releases whatever the handler answers, for example 500 if it missed the answer of its commit.
        state.requests[i].phase = Phase::Ending(held);
        Some(())
    }

    fn release(&self, state: &mut State, i: usize, held: Held) -> Option<()> {
        self.when_unlocked(state, i)?;
        let (by, now) = (self.claimant(i), self.lease_clock(held, state.now));
        let delivery = self.delivery(state, i, now.wall);
        state.store.release(&delivery, by, now);
        for (key, _) in &delivery.keys {
            let is_removed = match state.store.entries.get(key) {
                Some(Entry::Claimed { .. }) => self.removed == Some(Rule::ReleaseRespectsClaims),
                Some(Entry::Finished { .. }) => self.removed == Some(Rule::ReleaseRespectsCommits),
                None => false,
            };
            if is_removed {
                state.store.entries.remove(key);
            }
        }
        Some(())
    }

    /// The keys of a request, with the ends of a commit, if it was claimed at `wall`.
    pub(crate) fn delivery(&self, state: &State, i: usize, wall: i32) -> Delivery {
        let signature = state.requests[i].signature;
        let margin = if self.removed == Some(Rule::MarginCoversClocks) { BODY } else { MARGIN };
        let until = state.signatures[signature] + TOLERANCE + margin;
        let key = (Key::try_from(signature).expect("few signatures"), until);
        let id_until = match self.removed {
            Some(Rule::IdOutlivesSignatures) => wall,
            _ => until.max(wall + ID_LIFETIME),
        };
        let id = self.has_id.then_some((ID, id_until));
        Delivery { keys: [key].into_iter().chain(id).collect() }
    }

    pub(crate) fn claimant(&self, i: usize) -> u8 {
        if self.removed == Some(Rule::ClaimantsAreUnique) { 0 } else { u8::try_from(i).expect("few requests") }
    }

    fn lease_clock(&self, held: Held, now: i32) -> Clocks {
        let clocks = held.carried_to(now);
        if self.removed == Some(Rule::LeaseIgnoresTheWallClock) {
            return Clocks { monotonic: clocks.wall, ..clocks };
        }
        clocks
    }

    /// A call waits while another request's transaction holds locks on its keys.
    fn when_unlocked(&self, state: &State, i: usize) -> Option<()> {
        (!self.is_locked(state, i)).then_some(())
    }

    fn is_locked(&self, state: &State, i: usize) -> bool {
        let is_prepared = |request: &Request| matches!(request.phase, Phase::Prepared(_));
        self.removed != Some(Rule::TransactionLocksKeys)
            && state.requests.iter().enumerate().any(|(other, request)| other != i && is_prepared(request))
    }
}

/// Takes one of the events that are left.
fn take(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}
