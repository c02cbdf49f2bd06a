//! Behind a Warden: replay protection, unknown keys and the budget of bodies.

use std::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::event::RefusalReason;
use hookwarden::message_signatures::{Parameter, Profile, SignatureParameters};
use hookwarden::testing::TestClock;
use hookwarden::warden::{BodyLimits, Replay};
use hookwarden::{IdSource, Keyring, Reason, Timestamp, Warden};

use crate::message::{Message, NOW, ORIGIN, digest_builder, keys, webhooks};

fn warden(profile: &Profile, keys: Keyring, clock: &TestClock) -> Warden {
    let profile = profile.clone();
    let scheme = profile.scheme("acme").unwrap();
    let id = IdSource::closure(move |head| profile.keyid(head));
    Warden::builder(scheme).sender("2027-01", keys).webhook_id(id).clock(clock.clone()).build().unwrap()
}

/// Delivers the request, and commits it.
pub(crate) fn deliver(warden: &Warden, message: &Message) -> Result<(), RefusalReason> {
    let head = message.head();
    let receive = || {
        let mut receiving = warden.examine(&head, None)?.identify_from_head(&head)?;
        message.body.chunks(5).try_for_each(|chunk| receiving.update(chunk))?;
        receiving.finish_request(&head, &message.body)
    };
    receive().map(hookwarden::warden::Admitted::commit).map_err(|refused| refused.reason())
}

#[test]
fn copy_with_another_label_is_a_duplicate() {
    let profile = webhooks(ORIGIN);
    let clock = TestClock::new(NOW);
    let warden = warden(&profile, keys(), &clock);
    let message = Message::signed(&profile);
    assert_eq!(deliver(&warden, &message), Ok(()));
    let relabelled =
        message.clone().replacing("Signature-Input", "sig1=", "other=").replacing("Signature", "sig1=", "other=");
    let spaced = message.clone().replacing("Signature-Input", "(\"@method\"", "(  \"@method\"");
    let added = message.clone().with("X-Added", "1");
    let mut reversed = message.clone();
    reversed.headers.reverse();
    for copy in [&message, &relabelled, &spaced, &added, &reversed] {
        assert_eq!(deliver(&warden, copy), Err(RefusalReason::Replayed), "{copy:?}");
    }
    // It is remembered for as long as it is fresh.
    clock.advance(Duration::from_secs(300));
    assert_eq!(deliver(&warden, &message), Err(RefusalReason::Replayed));
    clock.advance(Duration::from_secs(1));
    assert_eq!(deliver(&warden, &message), Err(RefusalReason::Unverified(Reason::Stale)));
}

#[test]
fn message_with_another_nonce_is_another_delivery() {
    let profile = webhooks(ORIGIN);
    let warden = warden(&profile, keys(), &TestClock::new(NOW));
    let signer = profile.signer(keys()).unwrap();
    for nonce in ["1", "2", "3"] {
        let mut message = Message::unsigned();
        let parameters = SignatureParameters::new().keyid("2027-01").nonce(nonce);
        let signed = signer.sign_at(&message.head(), &message.body, &parameters, NOW).unwrap();
        signed.iter().for_each(|(name, value)| message.set(name, value));
        assert_eq!(deliver(&warden, &message), Ok(()), "{nonce}");
        assert_eq!(deliver(&warden, &message), Err(RefusalReason::Replayed), "{nonce}");
    }
}

/// A signed message with this body and these parameters.
fn with_nonce(profile: &Profile, keys: &Keyring, keyid: &str, nonce: &str, body: &str) -> Message {
    let mut message = Message { body: body.into(), ..Message::unsigned() };
    let parameters = SignatureParameters::new().keyid(keyid).nonce(nonce);
    let signer = profile.signer(keys.clone()).unwrap();
    let signed = signer.sign_at(&message.head(), &message.body, &parameters, NOW).unwrap();
    signed.iter().for_each(|(name, value)| message.set(name, value));
    message
}

/// A Warden that has one sender for all keys.
fn single(profile: &Profile, keys: &Keyring, clock: &TestClock) -> Warden {
    let scheme = profile.scheme("acme").unwrap();
    Warden::builder(scheme).only_sender(keys.clone()).clock(clock.clone()).build().unwrap()
}

#[test]
fn nonce_in_another_message_is_a_duplicate() {
    let (profile, clock) = (webhooks(ORIGIN), TestClock::new(NOW));
    let warden = single(&profile, &keys(), &clock);
    let message = |keyid, nonce, body| with_nonce(&profile, &keys(), keyid, nonce, body);
    assert_eq!(deliver(&warden, &message("a", "n", "1")), Ok(()));
    assert_eq!(deliver(&warden, &message("a", "n", "2")), Err(RefusalReason::Replayed));
    // A retry that is signed again has another nonce.
    assert_eq!(deliver(&warden, &message("a", "m", "1")), Ok(()));
    // Nonces are unique for a key, and both parameters together are the id.
    assert_eq!(deliver(&warden, &message("b", "n", "2")), Ok(()));
    assert_eq!(deliver(&warden, &message("an", "x", "3")), Ok(()));
    assert_eq!(deliver(&warden, &message("a", "nx", "4")), Ok(()));
    // It is remembered for as long as the message is fresh.
    clock.advance(Duration::from_secs(300));
    assert_eq!(deliver(&warden, &message("a", "n", "5")), Err(RefusalReason::Replayed));
}

#[test]
fn retry_with_same_body_id_is_a_duplicate() {
    let (profile, clock) = (webhooks(ORIGIN), TestClock::new(NOW));
    let scheme = profile.scheme("acme").unwrap();
    let scheme = scheme.into_builder().delivery_id_in_body("/idempotency_key").build().unwrap();
    let warden = Warden::builder(scheme).only_sender(keys()).replay(Replay::new().body_delivery_id());
    let warden = warden.clock(clock).build().unwrap();
    let message = |nonce, body| with_nonce(&profile, &keys(), "a", nonce, body);
    assert_eq!(deliver(&warden, &message("1", r#"{"idempotency_key":"whk_1"}"#)), Ok(()));
    let retry = message("2", r#"{"idempotency_key":"whk_1","attempt":2}"#);
    assert_eq!(deliver(&warden, &retry), Err(RefusalReason::Replayed));
    assert_eq!(deliver(&warden, &message("3", r#"{"idempotency_key":"whk_2"}"#)), Ok(()));
}

#[test]
fn nonce_of_a_failed_delivery_is_free() {
    let (profile, clock) = (webhooks(ORIGIN), TestClock::new(NOW));
    let warden = single(&profile, &keys(), &clock);
    let [first, second] = ["1", "2"].map(|body| with_nonce(&profile, &keys(), "a", "n", body));
    let head = first.head();
    let mut receiving = warden.examine(&head, None).unwrap().identify_from_head(&head).unwrap();
    receiving.update(&first.body).unwrap();
    let admitted = receiving.finish().unwrap();
    assert!(matches!(deliver(&warden, &second), Err(RefusalReason::InProgress)));
    drop(admitted);
    assert_eq!(deliver(&warden, &second), Ok(()));
    assert_eq!(deliver(&warden, &first), Err(RefusalReason::Replayed));
}

/// Without the signature, a nonce is not used up.
#[test]
fn forged_message_does_not_use_the_nonce() {
    let (profile, clock) = (webhooks(ORIGIN), TestClock::new(NOW));
    let warden = single(&profile, &keys(), &clock);
    let message = with_nonce(&profile, &keys(), "a", "n", "1");
    let forged = Message { body: b"2".into(), ..message.clone() };
    assert_eq!(deliver(&warden, &forged), Err(RefusalReason::Unverified(Reason::Mismatch)));
    let other = Keyring::new(hookwarden::Secret::from_text("another-subscription-secret").unwrap());
    let forged = with_nonce(&profile, &other, "a", "n", "1");
    assert_eq!(deliver(&warden, &forged), Err(RefusalReason::Unverified(Reason::Mismatch)));
    assert_eq!(deliver(&warden, &message), Ok(()));
}

#[test]
fn nonce_fits_beside_eight_secrets() {
    let (profile, clock) = (webhooks(ORIGIN), TestClock::new(NOW));
    let key = |number: usize| {
        let secret = hookwarden::Secret::from_text(&format!("a-subscription-secret-{number}")).unwrap();
        hookwarden::Key::new(&format!("k{number}"), secret).unwrap()
    };
    let keys = Keyring::from_keys((0..8).map(key)).unwrap();
    let warden = single(&profile, &keys, &clock);
    assert_eq!(deliver(&warden, &with_nonce(&profile, &keys, "a", "n", "1")), Ok(()));
    assert_eq!(deliver(&warden, &with_nonce(&profile, &keys, "a", "n", "2")), Err(RefusalReason::Replayed));
}

/// ECDSA signatures can be made again without the key: `s` can be negated. The message is what counts.
#[test]
fn ecdsa_signature_with_negated_s_is_a_duplicate() {
    let profile = digest_builder().algorithms([Algorithm::EcdsaP256]).requires([Parameter::Keyid]).build().unwrap();
    let scheme = profile.scheme("acme").unwrap();
    let key = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let keys = Keyring::new(scheme.secret(key).unwrap());
    let mut message = Message::unsigned();
    let signer = profile.signer(keys.clone()).unwrap();
    let parameters = SignatureParameters::new().keyid("2027-01");
    let signed = signer.sign_at(&message.head(), &message.body, &parameters, NOW).unwrap();
    signed.iter().for_each(|(name, value)| message.set(name, value));
    let warden = warden(&profile, keys, &TestClock::new(NOW));
    assert_eq!(deliver(&warden, &message), Ok(()));

    let text = message.get("Signature").strip_prefix("sig1=:").unwrap().strip_suffix(':').unwrap().to_owned();
    let mut bytes = hookwarden::encoding::Encoding::Base64.decode(text.as_bytes()).unwrap();
    negate(bytes[32..].as_mut());
    let other = hookwarden::encoding::Encoding::Base64.encode(&bytes);
    assert_ne!(text, other);
    let copy = message.with("Signature", &format!("sig1=:{other}:"));
    assert_eq!(deliver(&warden, &copy), Err(RefusalReason::Replayed));
}

/// Subtracts a big-endian number from the order of P-256.
fn negate(number: &mut [u8]) {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = hookwarden::encoding::Encoding::Hex.decode(order.as_bytes()).unwrap();
    let mut borrow = 0;
    for (digit, order) in number.iter_mut().zip(order).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
}

#[test]
fn unknown_keyid_is_refused_like_a_wrong_signature() {
    let profile = webhooks(ORIGIN);
    let warden = warden(&profile, keys(), &TestClock::new(NOW));
    let other = Message::signed(&profile).replacing("Signature-Input", "2027-01", "2027-02");
    assert_eq!(deliver(&warden, &other), Err(RefusalReason::UnknownId));
    let body = Message { body: b"{}".into(), ..Message::signed(&profile) };
    assert_eq!(deliver(&warden, &body), Err(RefusalReason::Unverified(Reason::Mismatch)));
    let early = Timestamp::from_unix(NOW.as_unix() - 61);
    let warden = self::warden(&profile, keys(), &TestClock::new(early));
    assert_eq!(deliver(&warden, &Message::signed(&profile)), Err(RefusalReason::Unverified(Reason::Early)));
}

#[test]
fn body_counts_once_in_the_budget() {
    let profile = webhooks(ORIGIN);
    let limits = BodyLimits::new().max_bytes(8_192).max_bytes_in_flight(8_192);
    let message = Message { body: vec![b'x'; 8_192], ..Message::unsigned() }.sign(&profile);
    let scheme = profile.scheme("acme").unwrap();
    let warden = Warden::builder(scheme).only_sender(keys()).clock(TestClock::new(NOW)).body(limits).build().unwrap();
    assert_eq!(deliver(&warden, &message), Ok(()));
}
