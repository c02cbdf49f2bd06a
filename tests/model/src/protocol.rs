//! The protocol as a state machine: one delivery, a sender, two processes and the store between them.

use stateright::{Model, Property};

use crate::rules::Rule;
use crate::state::{Phase, State};
use crate::store_model::{Claim, Clocks, Delivery, Expiry, Key, Store};

/// One delivery, whose sender sends it again, in the same bytes or signed again, before or after any answer: a sender
/// that misses the answer, a client that disconnects and an attacker with a copy all look like that.
#[derive(Debug, Clone)]
pub(crate) struct Protocol {
    pub(crate) kind: StoreKind,
    /// Signatures of the same delivery share an authenticated id. Without one, the delivery is never signed again,
    /// because another signature is another delivery.
    pub(crate) has_id: bool,
    pub(crate) events: Events,
    /// The rule that the implementation breaks.
    pub(crate) removed: Option<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// In the process. A crash empties it.
    Local,
    /// On a server. The handler's work is done elsewhere.
    Shared,
    /// In the database of the handler's work, which commits the delivery in its transaction.
    Transactional,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Events {
    pub(crate) limits: Limits,
    /// How far the wall clock of a process can be ahead of the sender's.
    pub(crate) wall_errors: &'static [i32],
}

/// How often each event can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    pub(crate) requests: usize,
    pub(crate) ticks: i32,
    pub(crate) crashes: u8,
    /// Calls to the store whose request or answer is lost.
    pub(crate) losses: u8,
    pub(crate) clock_steps: u8,
    /// Resends that an operator requests.
    pub(crate) resends: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `signature` is `None` if the delivery is signed again.
    Send {
        signature: Option<usize>,
        process: usize,
    },
    Claim(usize),
    /// The store makes the claim, and the process misses the answer.
    ClaimUnanswered(usize),
    /// The store makes the claim after the process released it.
    ClaimLate(usize),
    Work(usize),
    Fail(usize),
    Commit(usize),
    /// The commit does not reach the store.
    CommitLost(usize),
    /// `commit_in`.
    Prepare(usize),
    CommitTransaction(usize),
    RollBack(usize),
    Release(usize),
    /// The release does not reach the store.
    ReleaseLost(usize),
    Disconnect(usize),
    Crash(usize),
    Tick,
    SetClock {
        process: usize,
        wall_error: i32,
    },
    Forget,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let expiry = if self.kind == StoreKind::Local { Expiry::BothClocks } else { Expiry::OwnClock };
        vec![State {
            now: 0,
            wall_errors: [0; 2],
            store: Store::new(expiry),
            signatures: Vec::new(),
            requests: Vec::new(),
            works: 0,
            is_committed: false,
            is_repeated: false,
            is_outlived: false,
            forgotten: 0,
            left: self.events.limits,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let processes = 0..if self.kind == StoreKind::Local { 1 } else { 2 };
        for process in processes {
            let signatures = (0..state.signatures.len()).map(Some);
            let again = (self.has_id || state.signatures.is_empty()).then_some(None);
            actions.extend(signatures.chain(again).map(|signature| Action::Send { signature, process }));
            actions.push(Action::Crash(process));
            let errors = self.events.wall_errors.iter();
            actions.extend(errors.map(|&wall_error| Action::SetClock { process, wall_error }));
        }
        for (i, request) in state.requests.iter().enumerate() {
            match request.phase {
                Phase::Reading { .. } => {
                    actions.extend([Action::Claim(i), Action::ClaimUnanswered(i), Action::ClaimLate(i)]);
                }
                Phase::Handling(_) => actions.extend([Action::Work(i), Action::Fail(i), Action::Disconnect(i)]),
                Phase::Worked(_) if self.kind == StoreKind::Transactional => {
                    actions.extend([Action::Prepare(i), Action::Fail(i), Action::Disconnect(i)]);
                }
                Phase::Worked(_) | Phase::Committing(_) => actions.extend([Action::Commit(i), Action::CommitLost(i)]),
                Phase::Prepared(_) => actions.extend([Action::CommitTransaction(i), Action::RollBack(i)]),
                Phase::Ending(_) => actions.extend([Action::Release(i), Action::ReleaseLost(i)]),
                Phase::Orphaned | Phase::Ended => {}
            }
        }
        actions.extend([Action::Tick, Action::Forget]);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.apply(&mut next, action)?;
        next.tidy(self.kind);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_HANDLER, |_, state: &State| state.handlers_within_leases().count() <= 1),
            Property::always(NEVER_AFTER_COMMIT, |_, state: &State| !state.is_repeated),
            Property::always(NOTHING_LOST, |_, state: &State| !state.has_finished() || state.works > 0),
            Property::always(HANDLED_AGAIN, Self::can_be_handled),
            Property::always(RELEASED_IS_FREE, |_, state: &State| state.claims_are_owned()),
            Property::always(OWNER_COMMITS, Self::owner_can_commit),
        ];
        if self.kind == StoreKind::Transactional {
            properties.push(Property::always(WORKS_ONCE, |_, state: &State| state.works <= 1 + state.forgotten));
        } else {
            properties.push(Property::sometimes(WORKS_TWICE, |_, state: &State| state.works > 1 && !state.is_outlived));
        }
        properties
    }
}

impl Protocol {
    /// Whatever happened to the requests so far, one more request after the lease is granted and can commit.
    fn can_be_handled(&self, state: &State) -> bool {
        if state.is_committed && state.works > 0 {
            return true;
        }
        let now = Clocks { monotonic: state.now + LEASE, wall: state.now + LEASE };
        let signatures = state.signatures.len() + usize::from(self.has_id);
        (0..signatures).all(|signature| {
            let key = (Key::try_from(signature).expect("few signatures"), now.wall);
            let id = self.has_id.then_some((ID, now.wall));
            let delivery = Delivery { keys: [key].into_iter().chain(id).collect() };
            state.store.state(&delivery, u8::MAX, now) == Claim::Granted
        })
    }

    /// A handler within its lease can commit, so nothing took its claim.
    fn owner_can_commit(&self, state: &State) -> bool {
        state.handlers_within_leases().all(|(i, held)| {
            let delivery = self.delivery(state, i, held.at + held.wall_error);
            state.store.state(&delivery, self.claimant(i), held.carried_to(state.now)) == Claim::Granted
        })
    }
}

pub(crate) const ONE_HANDLER: &str = "no two handlers run within a lease";
pub(crate) const NEVER_AFTER_COMMIT: &str = "a committed delivery is not handled again";
pub(crate) const NOTHING_LOST: &str = "a finished delivery was handled";
pub(crate) const HANDLED_AGAIN: &str = "a delivery that is not committed is handled again after the lease";
pub(crate) const RELEASED_IS_FREE: &str = "a failed delivery is free at once";
pub(crate) const OWNER_COMMITS: &str = "a handler within its lease can commit";
pub(crate) const WORKS_ONCE: &str = "the work is committed at most once";
pub(crate) const WORKS_TWICE: &str = "the work is done twice, and no handler outlived its lease";

/// In ticks.
pub(crate) const LEASE: i32 = 2;
pub(crate) const TOLERANCE: i32 = 1;
/// How long a body can take.
pub(crate) const BODY: i32 = 1;
/// Covers the time for the body, and the difference between the processes' clocks.
pub(crate) const MARGIN: i32 = BODY + 1;
/// Longer than the sender sends the delivery again, and than a signature can be fresh.
pub(crate) const ID_LIFETIME: i32 = 8;
/// The delivery's id. Lower numbers are signatures.
pub(crate) const ID: Key = 100;
