//! Behind a Warden: replay protection, unknown keys and the budget of bodies.

use std::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::event::RefusalReason;
use hookwarden::message_signatures::{Parameter, Profile, SignatureParameters};
use hookwarden::testing::TestClock;
use hookwarden::warden::BodyLimits;
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
        receiving.finish()
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
