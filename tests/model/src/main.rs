//! Checks the protocol of claims and commits in every state that it can reach.

mod protocol;
mod rules;
mod state;
mod steps;
#[expect(dead_code, reason = "the comparison with the stores uses the rest")]
#[path = "../../harness/store_model.rs"]
mod store_model;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use StoreKind::{Local, Shared, Transactional};
use protocol::*;
use rules::Rule;

#[test]
fn local_store_keeps_every_property() {
    every_property_holds(Local);
}

#[test]
fn shared_store_keeps_every_property() {
    every_property_holds(Shared);
}

#[test]
fn transactional_store_keeps_every_property() {
    every_property_holds(Transactional);
}

fn every_property_holds(kind: StoreKind) {
    let cases = [
        ("faults", FAULTS, true),
        ("faults", FAULTS, false),
        ("differing clocks", DIFFERING_CLOCKS, true),
        ("differing clocks", DIFFERING_CLOCKS, false),
        ("clock set forward", CLOCK_SET_FORWARD, true),
        ("clock set forward", CLOCK_SET_FORWARD, false),
        ("resends", RESENDS, true),
    ];
    for (name, events, has_id) in cases {
        let checker = protocol(kind, events, has_id).checker().spawn_bfs().join();
        println!("{kind:?}, {name}, with an id: {has_id}: {} states", checker.unique_state_count());
        let found = checker.discoveries();
        let broken = found.into_iter().find(|(property, _)| *property != WORKS_TWICE);
        if let Some((property, path)) = broken {
            panic!("{kind:?}, {name}: not `{property}` after {:?}", path.into_actions());
        }
    }
}

/// A missing rule is found by its property, so the property would find a mistake in the model, too.
#[test]
fn property_fails_without_its_rule() {
    for (rule, kind, events, has_id, property) in [
        (Rule::ClaimRespectsClaims, Shared, FAULTS, false, ONE_HANDLER),
        (Rule::ClaimRespectsCommits, Shared, FAULTS, false, NEVER_AFTER_COMMIT),
        (Rule::ClaimIncludesId, Shared, FAULTS, true, ONE_HANDLER),
        (Rule::RefusedClaimTakesNothing, Shared, FAULTS, true, RELEASED_IS_FREE),
        (Rule::ClaimUsesTheEarlierClock, Shared, CLOCK_SET_FORWARD, false, NEVER_AFTER_COMMIT),
        (Rule::ClaimUsesTheEarlierClock, Transactional, CLOCK_SET_FORWARD, false, WORKS_ONCE),
        (Rule::ClaimantsAreUnique, Shared, FAULTS, false, ONE_HANDLER),
        (Rule::CommitRespectsClaims, Shared, FAULTS, false, OWNER_COMMITS),
        (Rule::CommitRespectsClaims, Transactional, FAULTS, false, OWNER_COMMITS),
        (Rule::CommitRespectsCommits, Transactional, FAULTS, false, WORKS_ONCE),
        (Rule::CommitUsesTheClaimsClock, Shared, CLOCK_SET_FORWARD, false, NEVER_AFTER_COMMIT),
        (Rule::ReleaseRespectsClaims, Shared, FAULTS, false, ONE_HANDLER),
        (Rule::ReleaseRespectsCommits, Transactional, FAULTS, false, WORKS_ONCE),
        (Rule::LeaseEnds, Shared, FAULTS, false, HANDLED_AGAIN),
        (Rule::LeaseIgnoresTheWallClock, Shared, DIFFERING_CLOCKS, false, ONE_HANDLER),
        (Rule::ExpiryNeedsBothClocks, Local, CLOCK_SET_FORWARD, false, NEVER_AFTER_COMMIT),
        (Rule::MarginCoversClocks, Shared, DIFFERING_CLOCKS, false, NEVER_AFTER_COMMIT),
        (Rule::MarginCoversClocks, Transactional, DIFFERING_CLOCKS, false, WORKS_ONCE),
        (Rule::IdOutlivesSignatures, Shared, FAULTS, true, NEVER_AFTER_COMMIT),
        (Rule::FailureReleases, Shared, FAULTS, false, RELEASED_IS_FREE),
        (Rule::OnlySuccessCommits, Shared, FAULTS, false, NOTHING_LOST),
        (Rule::OnlySuccessCommits, Shared, FAULTS, false, HANDLED_AGAIN),
        (Rule::DisconnectKeepsClaim, Shared, FAULTS, false, ONE_HANDLER),
        (Rule::CommitIsInTheTransaction, Transactional, FAULTS, false, WORKS_ONCE),
        (Rule::CommitIsNotBeforeTheWork, Transactional, FAULTS, false, NOTHING_LOST),
        (Rule::CommitInNeedsItsClaim, Transactional, DIFFERING_CLOCKS, false, WORKS_ONCE),
        (Rule::TransactionLocksKeys, Transactional, FAULTS, false, WORKS_ONCE),
        (Rule::RefusalRollsBack, Transactional, FAULTS, false, WORKS_ONCE),
        (Rule::TakenClaimIsReleased, Transactional, FAULTS, false, NOTHING_LOST),
    ] {
        let protocol = Protocol { removed: Some(rule), ..protocol(kind, events, has_id) };
        let path = find(protocol, property);
        assert!(path.is_some(), "{kind:?} without {rule:?}: no counterexample to `{property}`");
    }
}

/// Why `commit_in` exists.
#[test]
fn crash_without_transaction_doubles_the_work() {
    let limits = Limits { losses: 0, ..FAULTS.limits };
    let path = find(protocol(Shared, Events { limits, ..FAULTS }, false), WORKS_TWICE);
    let actions = path.expect("a handler that works again");
    let crash = actions.iter().position(|action| matches!(action, Action::Crash(_)));
    let work = actions.iter().position(|action| matches!(action, Action::Work(_)));
    assert!(work < crash, "{actions:?}");
}

/// Every store forgets a delivery when its timestamp is stale, so a clock that is set back makes a copy fresh again.
#[test]
fn clock_set_back_allows_a_replay() {
    for kind in [Local, Shared] {
        let events = Events { wall_errors: &[0, -4], ..CLOCK_SET_FORWARD };
        assert!(find(protocol(kind, events, false), NEVER_AFTER_COMMIT).is_some(), "{kind:?}");
    }
}

fn protocol(kind: StoreKind, events: Events, has_id: bool) -> Protocol {
    let mut protocol = Protocol { kind, has_id, events, removed: None };
    // With an id there are more signatures; two requests keep the number of states small.
    if has_id && events.limits.clock_steps > 0 {
        protocol.events.limits.requests = 2;
    }
    protocol
}

fn find(protocol: Protocol, property: &'static str) -> Option<Vec<Action>> {
    let wanted = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = protocol.checker().finish_when(wanted).spawn_bfs().join();
    checker.discovery(property).map(|path| path.into_actions())
}

const FAULTS: Events = Events {
    limits: Limits { requests: 3, ticks: 4, crashes: 1, losses: 1, clock_steps: 0, resends: 0 },
    wall_errors: &[],
};
const DIFFERING_CLOCKS: Events = Events {
    limits: Limits { requests: 3, ticks: 5, crashes: 0, losses: 0, clock_steps: 2, resends: 0 },
    wall_errors: &[0, 1],
};
/// One of the steps can set the clock right again.
const CLOCK_SET_FORWARD: Events = Events { wall_errors: &[0, 7], ..DIFFERING_CLOCKS };
const RESENDS: Events = Events { limits: Limits { losses: 0, resends: 1, ..FAULTS.limits }, ..FAULTS };
