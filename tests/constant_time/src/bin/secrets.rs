//! Runs under valgrind's memcheck with every secret marked as undefined, so that a branch or an address which depends on
//! one is reported: `tests/constant_time/run`.

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
        eprintln!("without valgrind nothing is checked: use tests/constant_time/run");
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
        Some("early-exit") => control(&mut table, "control: comparison that ends at the first difference", early_exit),
        Some("table") => control(&mut table, "control: look-up in a table by a byte of the MAC", look_up),
        Some(other) => {
            eprintln!("there is no control {other:?}");
            return ExitCode::FAILURE;
        }
    }
    println!("verdicts: {}", table.verdicts);
    if table.unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Which code for SHA-256 runs, by what valgrind shows of the processor.
fn hash() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sha") {
        return "with the processor's SHA instructions";
    }
    "portable code; valgrind shows no SHA instructions, where there are any"
}

/// Each way to verify, with one key.
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

/// Several live keys, several signatures in the header.
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

/// The whole judgement.
fn warden(table: &mut Table) {
    let sort = Sort::timestamped();
    let retired = format!("{SECRET}, retired");
    // Setting up looks at the secrets: senders that share one are refused.
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
        table.row(&format!("Warden: {what}"), expected, || judged(&warden, id, message));
    }
}

/// What is wrong, done with a MAC that the crate computed: it has to be reported.
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
    // Put together without a branch: what is reported is the address alone.
    black_box(table[usize::from(computed[0])] ^ received[0]);
    false
}

fn whole(verifier: &Verifier, message: &Message) -> Judged {
    told(verifier.verify_at(&message.head, BODY, NOW))
}

fn streamed(verifier: &Verifier, message: &Message) -> Judged {
    let verification = verifier.begin_at(&message.head, NOW).map(|mut verification| {
        BODY.chunks(40).for_each(|chunk| verification.update(chunk));
        verification
    });
    told(verification.and_then(Verification::finish))
}

fn told(verdict: Result<Verified, Rejection>) -> Judged {
    let verified = verdict.map_err(|rejection| rejection.reason())?;
    assert_secret(verified.replay_keys());
    Ok(verified.key_id())
}

fn judged(warden: &Warden, id: &str, message: &Message) -> Judged {
    let judge = async {
        let mut receiving = warden.examine(&message.head, None)?.identify(id)?;
        BODY.chunks(40).try_for_each(|chunk| receiving.update(chunk))?;
        let admitted = receiving.finish_async().await?;
        let key_id = admitted.delivery().key_id();
        admitted.commit_async().await.expect("a memory that answers");
        Ok(key_id)
    };
    at_once(judge).map_err(|refused: Refused| refused.reason())
}

/// Nothing here has to be waited for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("something waits"),
    }
}

/// The memory of deliveries, where the verdict is already known: what it is asked with are MACs of a message that was
/// signed with a live key, looked up by a hash whose key is this process's own.
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
}

/// The MACs under all live keys are undefined to the last bit, or the case shows nothing.
#[track_caller]
fn assert_secret(macs: &[ReplayKey]) {
    assert!(macs.iter().all(|mac| is_poisoned(mac.as_bytes())), "a MAC is not marked as a secret");
}

fn keyring(secrets: &[&str]) -> Keyring {
    keyring_until(NOW, secrets)
}

/// Keys named `k0`, `k1` and so on, each of them undefined from here on. That none is blank and no two are the same is
/// looked at before.
fn keyring_until(not_after: Timestamp, secrets: &[&str]) -> Keyring {
    let bytes: Vec<_> = secrets.iter().map(|text| text.as_bytes().to_vec()).collect();
    // The secrets keep their bytes where they are; if they did not, no MAC would be undefined.
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
    /// How often it was branched on whether a secret key had matched, and on which.
    verdicts: u32,
}

impl Table {
    /// A case that must have its outcome without a report.
    fn row(&mut self, name: &str, expected: Result<&str, RefusalReason>, judge: impl FnOnce() -> Judged) {
        let before = requests::reports();
        let judged = judge();
        let reports = requests::reports() - before;
        self.print(name, reports, "none", reports == 0);
        self.verdicts += match judged {
            // A replay was accepted before it was known for one.
            Ok(_) | Err(RefusalReason::Replayed) => 2,
            Err(RefusalReason::Unverified(Reason::Mismatch)) => 1,
            Err(_) => 0,
        };
        let judged = judged.as_ref().map(KeyId::as_str).map_err(|reason| *reason);
        if judged != expected {
            self.unexpected += 1;
            println!("  judged {judged:?}, not {expected:?}");
        }
    }

    /// Something wrong that must be reported.
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

/// The key that a message was accepted under, or why it was refused.
type Judged = Result<KeyId, RefusalReason>;
