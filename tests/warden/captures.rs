//! Captures of refused requests: which are kept, for how long, and within which limits.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use hookwarden::clock::{Clock, ClockReading};
use hookwarden::crypto::{Algorithm, LiveKeys, Proven};
use hookwarden::event::{RefusalReason, SecurityEvent, Warning};
use hookwarden::headers::{Head, RequestHead};
use hookwarden::scheme::{Coverage, CustomCheck, CustomHead, CustomScheme};
use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, BodyLimits, Captures, Quotas, Refused, WardenBuilder};
use hookwarden::{Keyring, Quota, Reason, Scheme, Timestamp, Warden};

use crate::harness::captured::{Captured, Scratch, soon};
use crate::harness::program::Program;
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring};
use crate::scene::Scene;

const MISMATCH: RefusalReason = RefusalReason::Unverified(Reason::Mismatch);

fn peer(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from_bits(number).into())
}

fn sender(warden: WardenBuilder) -> WardenBuilder {
    warden.sender(ID, keyring(&Scheme::timestamped(), SECRET))
}

fn unlimited() -> Quotas {
    Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected()
}

fn scene(captures: Captures) -> Scene {
    Scene::new(|warden| sender(warden).quotas(unlimited()).captures(captures))
}

/// Runs all steps before the handler, with the whole request.
fn receive(scene: &Scene, from: Option<IpAddr>, id: &str, post: &Post) -> Result<Admitted, Refused> {
    let head = RequestHead::new("POST", &post.path, &post.headers);
    let mut receiving = scene.warden.examine(&head, from)?.identify(id)?;
    // A body that is too large is refused again below.
    let _ = receiving.update(&post.body);
    receiving.finish_request(&head, &post.body)
}

#[track_caller]
fn refuse(scene: &Scene, from: Option<IpAddr>, id: &str, post: &Post) -> RefusalReason {
    receive(scene, from, id, post).expect_err("a refusal").reason()
}

/// A request with a wrong signature.
fn forged(scene: &Scene, body: impl Into<Vec<u8>>) -> Post {
    scene.signed("something else").carrying(body)
}

/// Returns the sizes of the files of a directory.
fn bytes(scratch: &Scratch) -> u64 {
    scratch.files(".http").iter().map(|(_, bytes)| bytes).sum()
}

#[test]
fn refusal_is_captured_and_named_in_the_event() {
    let names = Arc::<Mutex<Vec<Option<String>>>>::default();
    let seen = names.clone();
    let observer = move |event: &SecurityEvent<'_>| seen.lock().unwrap().push(event.capture.map(str::to_owned));
    let scene = Scene::new(|warden| sender(warden).captures(Captures::in_memory(10)).observer(observer));
    let post = forged(&scene, "the body").with("X-One", "1");
    assert_eq!(refuse(&scene, peer(1), ID, &post), MISMATCH);
    let all = scene.warden.captured_requests();
    let [captured] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(*names.lock().unwrap(), [Some(captured.name().to_owned())]);
    assert_eq!(captured.time(), hookwarden::clock::Clock::now(&scene.clock).wall);
    let parsed = Captured::parse(captured.as_bytes());
    assert_eq!((parsed.path.as_str(), parsed.body.as_slice()), (PATH, &b"the body"[..]));
    assert_eq!(parsed.headers, post.headers);
    let shown = format!("{all:?} {:?}", scene.warden);
    assert!(!shown.contains("the body") && !shown.contains("X-One"), "{shown}");
}

#[test]
fn requests_that_verified_are_not_captured() {
    let captures = Captures::in_memory(10);
    let quota = Quota::per_minute(1).unwrap();
    let scene = Scene::new(|warden| sender(warden).quotas(unlimited().accepted_for(ID, quota)).captures(captures));
    let post = scene.signed("x");
    let admitted = receive(&scene, peer(1), ID, &post).unwrap();
    assert_eq!(refuse(&scene, peer(1), ID, &post), RefusalReason::InProgress);
    admitted.commit();
    assert_eq!(refuse(&scene, peer(1), ID, &post), RefusalReason::Replayed);
    assert_eq!(refuse(&scene, peer(1), ID, &scene.signed("y")), RefusalReason::QuotaExceeded);
    assert!(scene.warden.captured_requests().is_empty());
}

#[test]
fn faults_of_the_receiver_are_not_captured() {
    let scene = scene(Captures::in_memory(10));
    let post = forged(&scene, "y");
    // The Warden expects the webhook id in a path parameter, which only a framework knows.
    let refused = scene.warden.examine(&post.headers, None).unwrap().identify_from_head(&post.headers);
    assert_eq!(refused.unwrap_err().reason(), RefusalReason::Misconfigured);
    assert!(scene.warden.captured_requests().is_empty());
}

#[test]
fn bodies_of_unknown_ids_count_while_captured() {
    let limits = BodyLimits::new().max_bytes(10_000).max_bytes_in_flight(40_000);
    let refused = |captures: Option<Captures>| {
        let set = |warden: WardenBuilder| sender(warden).quotas(unlimited()).body(limits);
        let scene = Scene::new(|warden| match captures {
            Some(captures) => set(warden).captures(captures),
            None => set(warden),
        });
        let post = scene.signed("x");
        let receive = || {
            let mut receiving = scene.warden.examine(&post.headers, None).unwrap().identify("other").unwrap();
            receiving.update(&[b'x'; 10_000]).map(|()| receiving)
        };
        let waiting: Vec<_> = (0..6).map(|_| receive()).collect();
        let refused = waiting.iter().filter_map(|received| received.as_ref().err().map(Refused::reason));
        refused.collect::<Vec<_>>()
    };
    assert_eq!(refused(None), []);
    assert_eq!(refused(Some(Captures::in_memory(1))), [RefusalReason::BodyBudgetExceeded; 2]);
}

#[test]
fn blocked_peer_is_not_captured() {
    let quota = || Quota::per_minute(2).unwrap();
    let quotas = Quotas::new().rejected(quota()).rejected_by_peer(quota());
    let scene = Scene::new(|warden| sender(warden).quotas(quotas).captures(Captures::in_memory(10)));
    let post = forged(&scene, "y");
    let reasons: Vec<_> = (0..4).map(|_| refuse(&scene, peer(1), ID, &post)).collect();
    assert_eq!(reasons, [MISMATCH, MISMATCH, RefusalReason::PeerBlocked, RefusalReason::PeerBlocked]);
    assert_eq!(scene.warden.captured_requests().len(), 2);
}

#[test]
fn nothing_is_kept_by_default() {
    let scene = Scene::new(sender);
    assert_eq!(refuse(&scene, peer(1), ID, &forged(&scene, "y")), MISMATCH);
    assert!(scene.warden.captured_requests().is_empty());
}

#[test]
fn known_and_unknown_ids_are_captured_alike() {
    let scene = scene(Captures::in_memory(100));
    let post = forged(&scene, "y");
    for _ in 0..5 {
        assert_eq!(refuse(&scene, peer(1), "other", &post), RefusalReason::UnknownId);
    }
    // Both share the limit of a peer and a reason, so whether a request is captured does not depend on its id.
    for id in [ID, "another"] {
        refuse(&scene, peer(1), id, &post);
        assert_eq!(scene.warden.captured_requests().len(), 5, "{id}");
    }
    refuse(&scene, peer(2), ID, &post);
    assert_eq!(scene.warden.captured_requests().len(), 6);
}

/// A scheme whose check refuses every request for one reason, which a Warden learns only for known ids.
struct Refusing(Reason);

impl CustomScheme for Refusing {
    fn coverage(&self) -> Coverage {
        Coverage::BODY.with_timestamp()
    }

    fn begin(&self, _: &dyn Head) -> Result<CustomHead, Reason> {
        Ok(CustomHead::new(Self(self.0)).with_timestamp(Timestamp::from_unix(1_800_000_000)))
    }
}

impl CustomCheck for Refusing {
    fn update(&mut self, _: &[u8]) {}

    fn finish(self: Box<Self>, _: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        Err(self.0)
    }
}

#[test]
fn custom_reasons_share_the_limit_of_mismatches() {
    let scheme = Scheme::custom("custom", Algorithm::HmacSha256, Refusing(Reason::MalformedHeader)).unwrap();
    let set = |warden: WardenBuilder| sender(warden).quotas(unlimited()).captures(Captures::in_memory(100));
    let scene = Scene::of(scheme, set);
    let post = Post::signed("x");
    for _ in 0..3 {
        assert_eq!(refuse(&scene, peer(1), "other", &post), RefusalReason::UnknownId);
        assert_eq!(refuse(&scene, peer(1), ID, &post), RefusalReason::Unverified(Reason::MalformedHeader));
    }
    let all = scene.warden.captured_requests();
    let of = |reason: &str| all.iter().filter(|captured| captured.name().contains(reason)).count();
    assert_eq!((of("unknown_id"), of("malformed_header")), (3, 2));
}

#[test]
fn flood_leaves_room_for_a_proven_peer() {
    let scene = Scene::new(|warden| sender(warden).captures(Captures::in_memory(100)));
    receive(&scene, peer(9_999), ID, &scene.signed("genuine")).unwrap().commit();
    for number in 0..12 {
        for _ in 0..5 {
            refuse(&scene, peer(number), "other", &forged(&scene, "of the flood"));
        }
        // It waits for the thread, whose queue is short.
        drop(scene.warden.captured_requests());
    }
    refuse(&scene, peer(9_999), ID, &forged(&scene, "of the sender"));
    let all = scene.warden.captured_requests();
    let of = |body: &[u8]| all.iter().filter(|captured| captured.as_bytes().ends_with(body)).count();
    assert_eq!((of(b"of the flood"), of(b"of the sender")), (40, 1));
}

#[test]
fn captures_expire_by_the_clock() {
    let scene = scene(Captures::in_memory(10).max_age(Duration::from_secs(100)));
    refuse(&scene, peer(1), ID, &forged(&scene, "y"));
    scene.clock.advance(Duration::from_secs(99));
    assert_eq!(scene.warden.captured_requests().len(), 1);
    scene.clock.advance(Duration::from_secs(1));
    assert!(scene.warden.captured_requests().is_empty());
}

/// Sends 100,000 requests of many peers, ids, reasons and sizes, one each 50 ms.
fn flood(scene: &Scene, mut check: impl FnMut(u32)) {
    let mut signed = scene.signed("something else");
    for number in 0..100_000_u32 {
        scene.clock.advance(Duration::from_millis(50));
        if number % 1_000 == 0 {
            signed = scene.signed("something else");
        }
        let size = usize::try_from(number % 7).unwrap() * 700;
        let post = signed.clone().carrying(vec![b'x'; size]);
        let (id, post) = match number % 4 {
            0 => (ID.to_owned(), post),
            1 => (format!("stranger-{number}"), post),
            2 => (ID.to_owned(), post.without("X-Webhook-Timestamp")),
            _ => (ID.to_owned(), post.replacing("X-Webhook-Signature", "no hex")),
        };
        let reason = refuse(scene, peer(number % 50), &id, &post);
        assert!(!matches!(reason, RefusalReason::PeerBlocked), "{reason}");
        check(number);
    }
}

const FLOOD_BYTES: usize = 50_000;

#[test]
fn flood_in_memory_stays_within_its_limits() {
    let beta = keyring(&Scheme::timestamped(), "another-secret-of-the-tests");
    let captures = Captures::in_memory(40).max_bytes(FLOOD_BYTES).max_request_bytes(8_192);
    let scene = Scene::new(|warden| sender(warden).sender("beta", beta).quotas(unlimited()).captures(captures));
    let post = forged(&scene, "of beta").to("/webhooks/beta");
    assert_eq!(refuse(&scene, peer(9_999), "beta", &post), MISMATCH);
    let mut most = (0, 0);
    flood(&scene, |number| {
        if number % 97 == 0 {
            let all = scene.warden.captured_requests();
            most = most.max((all.len(), all.iter().map(|captured| captured.as_bytes().len()).sum()));
            assert!(all.iter().map(|captured| captured.as_bytes().len()).sum::<usize>() <= FLOOD_BYTES);
            assert!(all.len() <= 40);
            let of_beta = all.iter().any(|captured| captured.as_bytes().ends_with(b"of beta"));
            assert!(of_beta, "the flood pushed out the capture of another sender at {number}");
        }
    });
    assert!(most.0 > 10, "{most:?}");
}

#[test]
fn flood_in_a_directory_stays_within_its_limits() {
    let scratch = Scratch::new("flood");
    let captures = Captures::in_directory(&scratch.0, 40).max_bytes(FLOOD_BYTES).max_request_bytes(8_192);
    let scene = scene(captures);
    let mut most = 0;
    flood(&scene, |number| {
        if number % 997 == 0 {
            most = most.max(bytes(&scratch));
            // A listing that is read while the thread replaces a file can have both: wait for the thread.
            soon(|| {
                let files = scratch.files(".http");
                let sum: u64 = files.iter().map(|(_, bytes)| bytes).sum();
                sum <= u64::try_from(FLOOD_BYTES).unwrap() && files.len() <= 40
            });
        }
    });
    drop(scene);
    assert!(most > 10_000, "{most}");
    for (path, _) in scratch.files(".http") {
        // The thread may still delete files.
        if let Ok(message) = fs::read(path) {
            Captured::parse(&message);
        }
    }
}

/// The directory of the process that is killed.
const KILLED: &str = "HOOKWARDEN_TEST_CAPTURES";

#[ignore = "the process that `kill_leaves_only_whole_files` kills"]
#[test]
fn receiver_that_is_killed() {
    let Some(directory) = std::env::var_os(KILLED) else { return };
    let captures = Captures::in_directory(Path::new(&directory), 5).max_bytes(4 << 20);
    let scene = Scene::new(|warden| sender(warden).quotas(unlimited()).captures(captures));
    for number in 0.. {
        scene.clock.advance(Duration::from_secs(2));
        refuse(&scene, peer(number % 1_000), ID, &forged(&scene, vec![b'x'; 1_000_000]));
    }
}

#[test]
fn kill_leaves_only_whole_files() {
    let scratch = Scratch::new("kill");
    let mut newest = String::new();
    for round in 0..12_u64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "captures::receiver_that_is_killed", "--ignored"]).env(KILLED, &scratch.0);
        let child = Program::start("receiver", command.stdout(Stdio::null()));
        let names = || scratch.files(".http").iter().map(|(path, _)| path.display().to_string()).max();
        soon(|| scratch.0.exists() && names().is_some_and(|name| name > newest));
        // The child writes all the time, so that partial files would be seen here and after the kill.
        let end = Instant::now() + Duration::from_millis(100 + round * 3);
        while Instant::now() < end {
            let files = scratch.files(".http");
            assert!(files.iter().all(|(_, bytes)| *bytes > 1_000_000), "{files:?}");
        }
        // Dropping it kills it.
        drop(child);
        newest = names().unwrap();
        let files = scratch.files(".http");
        assert!(files.len() <= 5 && bytes(&scratch) <= 4 << 20, "{files:?}");
        for (path, _) in files {
            let captured = Captured::parse(&fs::read(path).unwrap());
            assert!(captured.note.ends_with("body=complete"), "{}", captured.note);
            assert_eq!(captured.body.len(), 1_000_000);
        }
    }
}

#[test]
fn unfinished_files_of_ended_processes_are_deleted() {
    let scratch = Scratch::new("unfinished");
    drop(scene(Captures::in_directory(&scratch.0, 10)));
    let part = |number: u32| {
        scratch.0.join(format!(".hookwarden-1800000000-stale-00000000-0123456789abcdef-{number}.http.part"))
    };
    for number in [1, 2] {
        fs::write(part(number), "POST").unwrap();
    }
    let old = SystemTime::now() - Duration::from_secs(61);
    fs::File::options().write(true).open(part(1)).unwrap().set_modified(old).unwrap();
    drop(scene(Captures::in_directory(&scratch.0, 10)));
    assert_eq!((part(1).exists(), part(2).exists()), (false, true), "another process may be writing the second");
}

#[test]
fn other_files_of_the_directory_are_never_deleted() {
    let scratch = Scratch::new("others");
    drop(scene(Captures::in_directory(&scratch.0, 1)));
    let others = ["notes.http", "hookwarden-1-mismatch-x.http", ".hookwarden.part"].map(|name| scratch.0.join(name));
    others.iter().for_each(|path| fs::write(path, [b'x'; 100_000]).unwrap());
    let name = "hookwarden-1-stale-00000000-0123456789abcdef-1.http";
    fs::create_dir(scratch.0.join(name)).unwrap();
    let scene = scene(Captures::in_directory(&scratch.0, 1).max_bytes(10_000).max_request_bytes(2_000));
    for number in 0..3 {
        refuse(&scene, peer(number), ID, &forged(&scene, "y"));
        soon(|| scratch.files(&format!("-{number:06}.http")).len() == 1);
    }
    drop(scene);
    assert!(others.iter().all(|path| path.exists()) && scratch.0.join(name).exists());
}

#[test]
fn captures_of_earlier_processes_count() {
    let scratch = Scratch::new("earlier");
    let captures = || Captures::in_directory(&scratch.0, 3);
    for round in 0..4_usize {
        let scene = scene(captures());
        // In one second, the captures of two processes have no order.
        scene.clock.advance(Duration::from_secs(u64::try_from(round).unwrap()));
        for number in 0..2 {
            refuse(&scene, peer(number), ID, &forged(&scene, format!("{round}")));
        }
        let ends = |path: &Path| fs::read(path).is_ok_and(|text| text.ends_with(format!("{round}").as_bytes()));
        soon(|| {
            let files = scratch.files(".http");
            let of_round = files.iter().filter(|(path, _)| ends(path)).count();
            of_round == 2 && files.len() == [2, 3, 3, 3][round]
        });
    }
    // A lower limit applies when the Warden is built.
    drop(scene(Captures::in_directory(&scratch.0, 1)));
    assert_eq!(scratch.files(".http").len(), 1);
}

#[test]
fn two_wardens_share_a_directory() {
    let scratch = Scratch::new("shared");
    let scenes = [(); 2].map(|()| scene(Captures::in_directory(&scratch.0, 8)));
    std::thread::scope(|threads| {
        for scene in &scenes {
            threads.spawn(|| {
                for number in 0..5 {
                    refuse(scene, peer(number), ID, &forged(scene, "y"));
                }
            });
        }
    });
    // The documented excess: both may have listed the directory before either wrote its last file.
    soon(|| (8..=9).contains(&scratch.files(".http").len()) && scratch.files(".part").is_empty());
    for scene in &scenes {
        assert!(scene.reports.warnings.take().iter().all(|warning| *warning != Warning::CaptureFailed));
    }
}

#[cfg(unix)]
#[test]
fn files_are_accessible_only_by_their_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let scratch = Scratch::new("modes");
    let scene = scene(Captures::in_directory(scratch.0.join("nested"), 10));
    refuse(&scene, peer(1), ID, &forged(&scene, "y"));
    let nested = Scratch(scratch.0.join("nested"));
    soon(|| nested.files(".http").len() == 1);
    assert_eq!((mode(&nested.0), mode(&nested.files(".http")[0].0)), (0o700, 0o600));

    fs::set_permissions(&nested.0, fs::Permissions::from_mode(0o750)).unwrap();
    let built = sender(Warden::builder(Scheme::timestamped())).captures(Captures::in_directory(&nested.0, 10)).build();
    let error = built.unwrap_err();
    assert_eq!(error.field(), "captures.directory");
    assert!(error.to_string().contains("chmod 700"), "{error}");
}

#[cfg(unix)]
#[test]
fn directory_of_another_user_is_a_config_error() {
    let scratch = Scratch::new("owner");
    let build =
        || sender(Warden::builder(Scheme::timestamped())).captures(Captures::in_directory(&scratch.0, 10)).build();
    build().unwrap();
    // Only root can give a directory away. Another user cannot write in one that is not its own and has mode 0700.
    if std::os::unix::fs::chown(&scratch.0, Some(65_534), None).is_ok() {
        let error = build().unwrap_err();
        assert_eq!(error.field(), "captures.directory");
        assert!(error.to_string().contains("chown"), "{error}");
    }
}

#[test]
fn failed_write_is_a_warning() {
    let scratch = Scratch::new("failed");
    let scene = scene(Captures::in_directory(&scratch.0, 10));
    fs::remove_dir(&scratch.0).unwrap();
    fs::write(&scratch.0, "").unwrap();
    refuse(&scene, peer(1), ID, &forged(&scene, "y"));
    soon(|| scene.reports.warnings.take().contains(&Warning::CaptureFailed));
    fs::remove_file(&scratch.0).unwrap();
}

#[test]
fn deleted_directory_is_created_again() {
    let scratch = Scratch::new("deleted");
    let scene = scene(Captures::in_directory(&scratch.0, 10));
    fs::remove_dir(&scratch.0).unwrap();
    refuse(&scene, peer(1), ID, &forged(&scene, "y"));
    soon(|| scratch.0.exists() && scratch.files(".http").len() == 1);
    assert!(!scene.reports.warnings.take().contains(&Warning::CaptureFailed));
}

/// A clock that stops the thread of the captures while its lock is held.
struct Blocking(TestClock, Arc<Mutex<()>>);

impl Clock for Blocking {
    fn now(&self) -> ClockReading {
        let is_thread = std::thread::current().name() == Some("hookwarden-captures");
        let _waits = is_thread.then(|| self.1.lock().unwrap());
        self.0.now()
    }
}

#[test]
fn full_queue_warns_and_delays_no_request() {
    let lock = Arc::new(Mutex::new(()));
    for captures in [Captures::in_memory(100), Captures::in_directory(&Scratch::new("queue").0, 100)] {
        let clock = Blocking(TestClock::default(), Arc::clone(&lock));
        let scene = Scene::new(|warden| sender(warden).quotas(unlimited()).captures(captures).clock(clock));
        let held = lock.lock().unwrap();
        let post = forged(&scene, "y");
        for number in 0..30 {
            assert_eq!(refuse(&scene, peer(number), ID, &post), MISMATCH);
        }
        let warnings = scene.reports.warnings.take();
        let lost = warnings.iter().filter(|warning| **warning == Warning::CaptureFailed).count();
        // 16 wait, and the thread may have taken one.
        assert!((13..=14).contains(&lost), "{lost}");
        drop(held);
    }
}

#[test]
fn file_in_progress_counts() {
    let scratch = Scratch::new("progress");
    let scene = scene(Captures::in_directory(&scratch.0, 2));
    let part = scratch.0.join(".hookwarden-1800000000-stale-00000000-0123456789abcdef-000000.http.part");
    fs::write(part, "POST").unwrap();
    for number in 0..3 {
        refuse(&scene, peer(number), ID, &forged(&scene, "y"));
        soon(|| scratch.files(&format!("-{number:06}.http")).len() == 1);
    }
    assert_eq!(scratch.files(".http").len(), 1);
}

#[test]
fn captures_from_the_future_make_room_first() {
    let scratch = Scratch::new("future");
    let at = |seconds: i64| {
        let clock = TestClock::new(Timestamp::from_unix(1_800_000_000 + seconds));
        let captures = Captures::in_directory(&scratch.0, 2);
        sender(Warden::builder(Scheme::timestamped())).captures(captures).clock(clock).build().unwrap()
    };
    let refuse = |warden: &Warden| {
        let headers = [("X-One", "1")];
        warden.examine(&RequestHead::new("POST", PATH, &headers), None).unwrap_err();
    };
    let times = || {
        let names = scratch.files(".http").into_iter().map(|(path, _)| path.display().to_string());
        names.map(|name| name.split("hookwarden-18").last().unwrap()[..8].to_owned()).collect::<Vec<_>>()
    };
    let late = at(1_000_000);
    refuse(&late);
    soon(|| times() == ["01000000"]);
    let early = at(0);
    assert_eq!(times(), ["01000000"], "it is not deleted when a Warden is built");
    refuse(&early);
    soon(|| times() == ["00000000", "01000000"]);
    refuse(&early);
    soon(|| times() == ["00000000", "00000000"]);
}

#[test]
fn invalid_settings_are_config_errors() {
    let scratch = Scratch::new("settings");
    fs::write(&scratch.0, "").unwrap();
    let memory = || Captures::in_memory(10);
    for (captures, field) in [
        (Captures::in_memory(0), "captures"),
        (Captures::in_memory(10_001), "captures"),
        (memory().max_request_bytes(1_023), "captures.max_request_bytes"),
        (memory().max_bytes(4_000), "captures.max_bytes"),
        (memory().max_age(Duration::ZERO), "captures.max_age"),
        (memory().max_age(Duration::from_millis(1_500)), "captures.max_age"),
        (Captures::in_directory(&scratch.0, 10), "captures.directory"),
        (Captures::in_directory(scratch.0.join("below-a-file"), 10), "captures.directory"),
    ] {
        let shown = format!("{captures:?}");
        let error = sender(Warden::builder(Scheme::timestamped())).captures(captures).build().unwrap_err();
        assert_eq!(error.field(), field, "{shown}");
        assert!(error.to_string().contains(": must "), "{error}");
    }
    let smallest = Captures::in_memory(1).max_request_bytes(1_024).max_bytes(1_024).max_age(Duration::from_secs(1));
    sender(Warden::builder(Scheme::timestamped())).captures(smallest).build().unwrap();
    fs::remove_file(&scratch.0).unwrap();
}

#[test]
fn files_expire_by_the_clock() {
    let scratch = Scratch::new("expire");
    let clock = TestClock::default();
    let build = || {
        let keys = Keyring::new(Scheme::timestamped().secret(SECRET).unwrap());
        let captures = Captures::in_directory(&scratch.0, 10).max_age(Duration::from_secs(100));
        let warden = Warden::builder(Scheme::timestamped()).sender(ID, keys).clock(clock.clone());
        warden.captures(captures).build().unwrap()
    };
    let warden = build();
    let headers = [("X-One", "1")];
    warden.examine(&RequestHead::new("POST", PATH, &headers), None).unwrap_err();
    soon(|| scratch.files(".http").len() == 1);
    clock.advance(Duration::from_secs(100));
    drop(build());
    assert!(scratch.files(".http").is_empty());
}
