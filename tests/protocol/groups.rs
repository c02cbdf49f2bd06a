//! Groups of fields: a signature covers only the timestamp of its group.

use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::verifier::Verified;
use hookwarden::{Key, Keyring, Reason, Rejection, Scheme, Secret, Signer, Timestamp, Verifier};

const NOW: i64 = 1_800_000_000;
const BODY: &[u8] = b"{}";

fn scheme() -> Scheme {
    scheme_with([SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
}

fn scheme_with(parts: impl IntoIterator<Item = SignedPart>) -> Scheme {
    Scheme::builder("groups")
        .signature_header("X-Sig")
        .layout(Layout::field_groups(' ', ',', "v1"))
        .timestamp_field("t", TimestampFormat::Seconds)
        .signed(parts)
        .build()
        .expect("a scheme")
}

fn key(id: &str) -> Key {
    Key::new(id, Secret::from_text(id).expect("a secret")).expect("a key")
}

fn ring(ids: &[&str]) -> Keyring {
    Keyring::from_keys(ids.iter().map(|id| key(id))).expect("keys")
}

/// Returns a group that the key `id` signed at `NOW + offset`.
fn group(scheme: &Scheme, id: &str, offset: i64) -> String {
    let signer = Signer::new(scheme.clone(), ring(&[id])).expect("a signer");
    let signed = signer.sign_body_at(BODY, Timestamp::from_unix(NOW + offset)).expect("a message");
    signed.iter().map(|(_, value)| value.to_owned()).collect()
}

/// Verifies whole and in chunks, and asserts that both verdicts agree.
#[track_caller]
fn verify(scheme: &Scheme, keys: Keyring, value: &str) -> Result<Verified, Rejection> {
    let verifier = Verifier::new(scheme.clone(), keys).expect("a verifier");
    let (head, now) = ([("X-Sig", value)], Timestamp::from_unix(NOW));
    let whole = verifier.verify_at(&head, BODY, now);
    let streamed = verifier.begin_at(&head, now).and_then(|mut verification| {
        BODY.chunks(1).for_each(|chunk| verification.update(chunk));
        verification.finish()
    });
    match (&whole, &streamed) {
        (Ok(whole), Ok(streamed)) => {
            assert_eq!(streamed.key_id(), whole.key_id());
            assert_eq!((streamed.timestamp(), streamed.skew()), (whole.timestamp(), whole.skew()));
            assert_eq!(streamed.replay_keys(), whole.replay_keys());
        }
        (Err(whole), Err(streamed)) => assert_eq!(streamed, whole),
        _ => panic!("{whole:?}, but streamed {streamed:?}"),
    }
    whole
}

#[track_caller]
fn assert_refused(value: &str, reason: Reason) {
    let refused = verify(&scheme(), ring(&["new", "old"]), value).map(drop).map_err(|rejection| rejection.reason());
    assert_eq!(refused, Err(reason), "{value}");
}

fn moved(group: &str, offset: i64) -> String {
    let (_, signature) = group.split_once(',').expect("two fields");
    format!("t={},{signature}", NOW + offset)
}

#[test]
fn each_group_verifies_with_its_own_timestamp() {
    let after = [SignedPart::Body, SignedPart::literal("."), SignedPart::Timestamp];
    for scheme in [scheme(), scheme_with(after)] {
        let (new, old) = (group(&scheme, "new", -10), group(&scheme, "old", -20));
        for (value, ids, expected) in [
            (format!("{new} {old}"), &["new", "old"][..], ("new", 10)),
            (format!("{old} {new}"), &["new", "old"], ("new", 10)),
            (format!("{new} {old}"), &["old"], ("old", 20)),
            (format!("{old} {new}"), &["old"], ("old", 20)),
            (format!("  {new}  {old} "), &["new"], ("new", 10)),
            (old.clone(), &["new", "old"], ("old", 20)),
        ] {
            let verified = verify(&scheme, ring(ids), &value).unwrap();
            assert_eq!((verified.key_id().as_str(), verified.skew()), (expected.0, Some(expected.1)), "{value}");
            assert_eq!(verified.timestamp(), Some(Timestamp::from_unix(NOW - expected.1)));
        }
    }
}

#[test]
fn signature_with_timestamp_of_another_group_is_refused() {
    let (new, old) = (group(&scheme(), "new", -10), group(&scheme(), "old", -20));
    let swapped = format!("{} {}", moved(&new, -20), moved(&old, -10));
    assert_refused(&swapped, Reason::Mismatch);
    assert_refused(&moved(&new, -20), Reason::Mismatch);
    assert_refused(&format!("t={},v1=00 {}", NOW - 10, moved(&new, -20)), Reason::Mismatch);
}

#[test]
fn every_group_needs_one_fresh_timestamp() {
    let new = group(&scheme(), "new", 0);
    for (other, reason) in [
        (group(&scheme(), "old", -301), Reason::Stale),
        (group(&scheme(), "old", 301), Reason::Early),
        ("t=0,v1=00".to_owned(), Reason::MalformedTimestamp),
        ("v1=00".to_owned(), Reason::MissingHeader),
        ("x".to_owned(), Reason::MissingHeader),
        (format!("t={NOW},t={NOW},v1=00"), Reason::DuplicateHeader),
    ] {
        assert_refused(&format!("{new} {other}"), reason);
        assert_refused(&format!("{other} {new}"), reason);
    }
    for (value, reason) in [("", Reason::MalformedSignature), ("  ", Reason::MalformedSignature)] {
        assert_refused(value, reason);
    }
    assert_refused(&format!("t={NOW}"), Reason::MalformedSignature);
}

#[test]
fn third_different_timestamp_is_refused() {
    let groups = [0, -1, -2].map(|offset| group(&scheme(), "new", offset));
    assert!(verify(&scheme(), ring(&["new"]), &groups[..2].join(" ")).is_ok());
    assert_refused(&groups.join(" "), Reason::TooManyCandidates);
    // Groups with the same timestamp count once.
    let many = [groups[0].as_str(); 32].join(" ");
    assert!(verify(&scheme(), ring(&["new"]), &many).is_ok());
    assert_refused(&[groups[0].as_str(); 33].join(" "), Reason::TooManyCandidates);
}

#[test]
fn copy_with_fewer_groups_shares_a_replay_key() {
    let (new, old) = (group(&scheme(), "new", -10), group(&scheme(), "old", -20));
    let keys = || ring(&["new", "old"]);
    let both = verify(&scheme(), keys(), &format!("{new} {old}")).unwrap();
    assert_eq!(both.replay_keys().len(), 4);
    for value in [new.clone(), old.clone(), format!("{old} t={},v1=00", NOW - 7)] {
        let copy = verify(&scheme(), keys(), &value).unwrap();
        assert!(copy.replay_keys().iter().any(|key| both.replay_keys().contains(key)), "{value}");
    }
    let same = verify(&scheme(), keys(), &format!("{new} {}", group(&scheme(), "old", -10))).unwrap();
    assert_eq!(same.replay_keys().len(), 2);
}

#[test]
fn two_timestamps_use_the_four_newest_keys() {
    let ids = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];
    for (index, id) in ids.into_iter().enumerate() {
        let signed = group(&scheme(), id, 0);
        assert!(verify(&scheme(), ring(&ids), &signed).is_ok(), "{id}");
        let verdict = verify(&scheme(), ring(&ids), &format!("{signed} t={},v1=00", NOW - 1));
        assert_eq!(verdict.is_ok(), index < 4, "{id}");
        assert!(verdict.is_ok_and(|verified| verified.replay_keys().len() == 8) || index >= 4);
    }
}

#[test]
fn signer_writes_a_group_for_each_key() {
    let signer = Signer::new(scheme(), ring(&["new", "old"])).unwrap();
    let signed = signer.sign_body_at(BODY, Timestamp::from_unix(NOW)).unwrap();
    let values: Vec<_> = signed.iter().map(|(_, value)| value.to_owned()).collect();
    assert_eq!(values, [format!("{} {}", group(&scheme(), "new", 0), group(&scheme(), "old", 0))]);
}
