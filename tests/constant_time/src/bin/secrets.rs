//! Runs under valgrind's memcheck with every secret marked as undefined, so that memcheck reports branches and
//! addresses that depend on one: `tests/constant_time/run`.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookwarden::clock::ClockReading;
use hookwarden::error::StoreError;
use hookwarden::event::RefusalReason;
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use hookwarden::secret::KeyId;
use hookwarden::testing::TestClock;
use hookwarden::verifier::{ReplayKey, Verification, Verified};
use hookwarden::warden::{Quotas, Refused, Replay};
use hookwarden::{
    BoxFuture, ConfigError, Key, Keyring, Reason, Rejection, Scheme, Secret, Timestamp, Verifier, Warden,
};
use hookwarden_constant_time::early_exit;
use hookwarden_constant_time::message::{BODY, Message, NOW, Sort};
use hookwarden_constant_time::receiver::{KNOWN, SECRET, UNKNOWN};
use hookwarden_constant_time::requests::{self, Place, is_poisoned, muted};

fn main() -> ExitCode {
    if !requests::on_valgrind() {
        eprintln!("nothing is checked without valgrind: use tests/constant_time/run");
        return ExitCode::FAILURE;
    }
    let mut table = Table::default();
    match std::env::args().nth(1).as_deref() {
        None => {
            println!("hash: {}", hash());
            println!("{:<66} {:>7}  expected", "", "reports");
            for sort in Sort::all() {
                presets(&mut table, &sort);
            }
            rotation(&mut table);
            warden(&mut table);
        }
        Some("early-exit") => control(&mut table, "control: comparison that stops at the first difference", early_exit),
        Some("table") => control(&mut table, "control: table lookup by a byte of the MAC", look_up),
        Some(other) => {
            eprintln!("unknown control {other:?}: must be early-exit or table");
            return ExitCode::FAILURE;
        }
    }
    println!("verdicts: {}", table.verdicts);
    if table.unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns which code for SHA-256 runs on the processor that valgrind simulates.
fn hash() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sha") {
        return "with the processor's SHA instructions";
    }
    "portable code; valgrind simulates a processor without SHA instructions"
}

/// Checks each way to verify, with one key.
fn presets(table: &mut Table, sort: &Sort) {
    let name = sort.scheme.name();
    let verifier = Verifier::new(sort.scheme.clone(), keyring(&[SECRET])).expect("a verifier");
    let good = sort.sign(SECRET);
    let last = sort.mac_size - 1;
    let messages = [
        ("accepted", good.clone(), Ok("k0")),
        ("mismatch in the first byte", good.clone().with_wrong([0]), Err(RefusalReason::Unverified(Reason::Mismatch))),
        (
            "mismatch in the last byte",
            good.clone().with_wrong([last]),
            Err(RefusalReason::Unverified(Reason::Mismatch)),
        ),
        ("mismatch in every byte", good.with_wrong(0..=last), Err(RefusalReason::Unverified(Reason::Mismatch))),
    ];
    for (what, message, expected) in &messages {
        table.row(&format!("{name}: {what}"), *expected, || whole(&verifier, message));
    }
    for (what, message, expected) in &messages {
        table.row(&format!("{name}, streamed: {what}"), *expected, || streamed(&verifier, message));
    }
}

/// Checks several live keys and several signatures in the header.
fn rotation(table: &mut Table) {
    let secrets: Vec<String> = (0..8).map(|number| format!("{SECRET} {number}")).collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    for sort in [Sort::standard_webhooks(), Sort::stripe()] {
        let name = sort.scheme.name();
        let three = Verifier::new(sort.scheme.clone(), keyring(&secrets[..3])).expect("a verifier");
        let eight = Verifier::new(sort.scheme.clone(), keyring(&secrets)).expect("a verifier");
        let good = sort.sign(secrets[1]);
        let (first, last) = (good.clone().among(31, false), good.clone().among(31, true));
        let wrong = good.clone().with_wrong([31]).among(31, true);
        let cases = [
            ("second of 3 keys", &three, &good, Ok("k1")),
            ("second of 3 keys, first of 32 candidates", &three, &first, Ok("k1")),
            ("second of 8 keys, last of 32 candidates", &eight, &last, Ok("k1")),
            ("8 keys, 32 candidates, mismatch", &eight, &wrong, Err(RefusalReason::Unverified(Reason::Mismatch))),
        ];
        for (what, verifier, message, expected) in cases {
            table.row(&format!("{name}: {what}"), expected, || whole(verifier, message));
            table.row(&format!("{name}, streamed: {what}"), expected, || streamed(verifier, message));
        }
    }
}

/// Checks a whole Warden.
fn warden(table: &mut Table) {
    let sort = Sort::timestamped();
    let retired = format!("{SECRET}, retired");
    // The builder compares the secrets, because it refuses senders that share one.
    let warden = muted(|| {
        Warden::builder(Scheme::timestamped())
            .sender(KNOWN, keyring(&[SECRET, "another secret"]))
            .sender("idle", keyring_until(Timestamp::from_unix(1), &[&retired]))
            .quotas(Quotas::new().danger_unlimited_rejected())
            .clock(TestClock::new(NOW))
            .replay(Replay::shared(Boundary(LocalReplay::default())))
            .build()
            .expect("a warden")
    });
    let good = sort.sign(SECRET);
    let (first, last) = (good.clone().with_wrong([0]), good.clone().with_wrong([31]));
    for (what, id, message, expected) in [
        ("accepted", KNOWN, &good, Ok("k0")),
        ("mismatch in the first byte", KNOWN, &first, Err(RefusalReason::Unverified(Reason::Mismatch))),
        ("mismatch in the last byte", KNOWN, &last, Err(RefusalReason::Unverified(Reason::Mismatch))),
        ("unknown id", UNKNOWN, &good, Err(RefusalReason::UnknownId)),
        ("unknown id, mismatch", UNKNOWN, &last, Err(RefusalReason::UnknownId)),
        ("id without a live key", "idle", &sort.sign(&retired), Err(RefusalReason::Unverified(Reason::NoLiveKey))),
        ("replay", KNOWN, &good, Err(RefusalReason::Replayed)),
    ] {
        table.row(&format!("Warden: {what}"), expected, || receive(&warden, id, message));
    }
}

/// Makes a deliberate fault with a MAC that the crate computed. memcheck must report it.
fn control(table: &mut Table, name: &str, wrong: fn(&[u8], &[u8]) -> bool) {
    let sort = Sort::timestamped();
    let verifier = Verifier::new(sort.scheme.clone(), keyring(&[SECRET])).expect("a verifier");
    let good = sort.sign(SECRET);
    let verified = verifier.verify_at(&good.head, BODY, NOW).expect("a good signature");
    let [computed] = verified.replay_keys() else { panic!("one key") };
    let mut received = good.mac();
    received[5] ^= 1;
    table.reported(name, || wrong(computed.as_bytes(), &received));
}

#[inline(never)]
fn look_up(computed: &[u8], received: &[u8]) -> bool {
    let table: [u8; 256] = std::array::from_fn(|number| u8::try_from(number).unwrap_or_default());
    let table = black_box(table);
    // Combine the results without a branch, so that only the address is reported.
    black_box(table[usize::from(computed[0])] ^ received[0]);
    false
}

fn whole(verifier: &Verifier, message: &Message) -> Outcome {
    outcome(verifier.verify_at(&message.head, BODY, NOW))
}

fn streamed(verifier: &Verifier, message: &Message) -> Outcome {
    let verification = verifier.begin_at(&message.head, NOW).map(|mut verification| {
        BODY.chunks(40).for_each(|chunk| verification.update(chunk));
        verification
    });
    outcome(verification.and_then(Verification::finish))
}

fn outcome(verdict: Result<Verified, Rejection>) -> Outcome {
    let verified = verdict.map_err(|rejection| rejection.reason())?;
    assert_secret(verified.replay_keys());
    Ok(verified.key_id())
}

fn receive(warden: &Warden, id: &str, message: &Message) -> Outcome {
    let receive = async {
        let mut receiving = warden.examine(&message.head, None)?.identify(id)?;
        BODY.chunks(40).try_for_each(|chunk| receiving.update(chunk))?;
        let admitted = receiving.finish_async().await?;
        let key_id = admitted.delivery().key_id();
        admitted.commit_async().await.expect("the replay store answers");
        Ok(key_id)
    };
    at_once(receive).map_err(|refused: Refused| refused.reason())
}

/// Runs a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("something waits"),
    }
}

/// A replay store that marks its keys as defined. They are MACs of a message that was signed with a live key, so the
/// verdict is already known. The store looks them up by a hash with a random key of this process.
struct Boundary(LocalReplay);

impl Boundary {
    fn cross(delivery: Delivery<'_>) {
        delivery.keys.iter().for_each(|key| Place::of(key.as_bytes()).cure());
    }
}

impl ReplayStore for Boundary {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        assert_secret(delivery.keys);
        Self::cross(delivery);
        self.0.claim(delivery, by, lease, now)
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Self::cross(delivery);
        self.0.commit(delivery, by, now)
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Self::cross(delivery);
        self.0.release(delivery, by, now)
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.forget(webhook_id, id, now)
    }
}

/// Checks that every bit of the MACs under all live keys is undefined. Otherwise the case shows nothing.
#[track_caller]
fn assert_secret(macs: &[ReplayKey]) {
    assert!(macs.iter().all(|mac| is_poisoned(mac.as_bytes())), "a MAC is not marked as a secret");
}

fn keyring(secrets: &[&str]) -> Keyring {
    keyring_until(NOW, secrets)
}

/// Creates keys named `k0`, `k1` and so on, and marks them as undefined. `Keyring` checks before that none is blank and
/// no two are equal.
fn keyring_until(not_after: Timestamp, secrets: &[&str]) -> Keyring {
    let bytes: Vec<_> = secrets.iter().map(|text| text.as_bytes().to_vec()).collect();
    // `Secret` keeps the bytes in place. If it moved them, no MAC would be undefined.
    let places: Vec<_> = bytes.iter().map(|bytes| Place::of(bytes)).collect();
    let key = |(number, bytes)| Ok(Key::new(&format!("k{number}"), Secret::from_bytes(bytes)?)?.not_after(not_after));
    let keys: Result<Vec<_>, ConfigError> = bytes.into_iter().enumerate().map(key).collect();
    let keyring = Keyring::from_keys(keys.expect("keys")).expect("a keyring");
    places.into_iter().for_each(Place::poison);
    keyring
}

#[derive(Default)]
struct Table {
    unexpected: u32,
    /// The expected number of branches on whether a key matched, and on which.
    verdicts: u32,
}

impl Table {
    /// Checks a case that must have the expected outcome without a report.
    fn row(&mut self, name: &str, expected: Result<&str, RefusalReason>, verify: impl FnOnce() -> Outcome) {
        let before = requests::reports();
        let outcome = verify();
        let reports = requests::reports() - before;
        self.print(name, reports, "none", reports == 0);
        self.verdicts += match outcome {
            // A replay is detected after its signature was accepted.
            Ok(_) | Err(RefusalReason::Replayed) => 2,
            Err(RefusalReason::Unverified(Reason::Mismatch)) => 1,
            Err(_) => 0,
        };
        let outcome = outcome.as_ref().map(KeyId::as_str).map_err(|reason| *reason);
        if outcome != expected {
            self.unexpected += 1;
            println!("  the outcome is {outcome:?}, not {expected:?}");
        }
    }

    /// Checks that memcheck reports a deliberate fault.
    fn reported(&mut self, name: &str, wrong: impl FnOnce() -> bool) {
        let before = requests::reports();
        black_box(wrong());
        let reports = requests::reports() - before;
        self.print(name, reports, "some", reports > 0);
    }

    fn print(&mut self, name: &str, reports: u32, expected: &str, as_expected: bool) {
        let verdict = if as_expected { "ok" } else { "UNEXPECTED" };
        println!("{name:<66} {reports:>7}  {expected:<8} {verdict}");
        self.unexpected += u32::from(!as_expected);
    }
}

/// The key that matched, or the reason of the refusal.
type Outcome = Result<KeyId, RefusalReason>;
