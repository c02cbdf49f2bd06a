//! Laws that hold for any message and any split of its body.

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::{Keyring, Reason, Scheme, Signer, Verifier};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{ALGORITHMS, NOW, bare, public_half, scheme, signature, signed_headers, verdict};

/// Every form in which a signature can be written, around the body or its digest.
fn forms(algorithm: Algorithm) -> Vec<Scheme> {
    let digest = SignedPart::body_digest(hookwarden::crypto::HashAlgorithm::Sha256, Encoding::Hex);
    let mut schemes = Vec::new();
    for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64Url, Encoding::Base64UrlUnpadded] {
        let base = || Scheme::timestamped().into_builder().algorithm(algorithm).encoding(encoding);
        let dot = || SignedPart::literal(".");
        schemes.extend([
            base().build(),
            base().layout(Layout::list(' ', "v1,")).build(),
            base().layout(Layout::fields(',', "v1")).timestamp_field("t", TimestampFormat::Seconds).build(),
            base().layout(Layout::field_groups(' ', ',', "v1")).timestamp_field("t", TimestampFormat::Seconds).build(),
            base().layout(Layout::positional(',', ["t"])).timestamp_field("t", TimestampFormat::Seconds).build(),
            base().signed([SignedPart::Body, dot(), SignedPart::Timestamp]).build(),
            base().signed([SignedPart::Timestamp, dot(), digest.clone(), dot()]).build(),
        ]);
    }
    schemes.into_iter().map(|scheme| scheme.expect("the description is consistent")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn signed_message_verifies_in_any_form_and_chunks(
        (algorithm, [private, _]) in select(&ALGORITHMS[..]),
        body in vec(any::<u8>(), 0..300),
        size in 1_usize..100,
    ) {
        for scheme in forms(algorithm) {
            let keys = Keyring::new(scheme.secret(private).unwrap());
            let headers = signed_headers(&scheme, keys.clone(), &body, NOW);
            let verifier = Verifier::new(scheme, keys).unwrap();
            let whole = verifier.verify_at(&headers, &body, NOW).unwrap();
            let mut verification = verifier.begin_at(&headers, NOW).unwrap();
            body.chunks(size).for_each(|chunk| verification.update(chunk));
            let streamed = verification.finish().unwrap();
            prop_assert_eq!(whole.replay_keys(), streamed.replay_keys());
            prop_assert_eq!(whole.timestamp(), Some(NOW));
        }
    }

    #[test]
    fn body_with_one_bit_flipped_is_refused(
        (algorithm, [private, _]) in select(&ALGORITHMS[..]),
        body in vec(any::<u8>(), 1..20),
    ) {
        let key = public_half(&bare(algorithm).secret(private).unwrap());
        let signature = signature(algorithm, private, &body);
        prop_assert_eq!(verdict(algorithm, key.clone(), &body, &signature), Ok(()));
        for bit in 0..body.len() * 8 {
            let mut body = body.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verdict(algorithm, key.clone(), &body, &signature), Err(Reason::Mismatch), "bit {}", bit);
        }
    }
}

#[test]
fn signature_with_one_bit_flipped_is_refused() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let key = public_half(&bare(algorithm).secret(private).unwrap());
        let good = signature(algorithm, private, b"{}");
        assert_eq!(verdict(algorithm, key.clone(), b"{}", &good), Ok(()), "{algorithm:?}");
        for bit in 0..good.len() * 8 {
            let mut signature = good.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            let verdict = verdict(algorithm, key.clone(), b"{}", &signature);
            assert_eq!(verdict, Err(Reason::Mismatch), "{algorithm:?} bit {bit}");
        }
    }
}

#[test]
fn signature_of_another_length_is_malformed() {
    for (algorithm, sizes) in [
        (Algorithm::Ed25519, 64..=64),
        (Algorithm::EcdsaP256, 64..=64),
        (Algorithm::EcdsaP256Der, 8..=72),
        (Algorithm::RsaPkcs1, 256..=512),
        (Algorithm::RsaPss, 256..=512),
        (Algorithm::RsaPssSha512, 256..=512),
    ] {
        let private = ALGORITHMS.into_iter().find(|(other, _)| *other == algorithm).unwrap().1[0];
        let key = public_half(&bare(algorithm).secret(private).unwrap());
        for size in [0, 1, 7, 8, 63, 64, 65, 72, 73, 255, 256, 512, 513, 1024] {
            let expected = if sizes.contains(&size) { Reason::Mismatch } else { Reason::MalformedSignature };
            let verdict = verdict(algorithm, key.clone(), b"{}", &vec![1; size]);
            assert_eq!(verdict, Err(expected), "{algorithm:?} with {size} bytes");
        }
    }
}

#[test]
fn two_groups_verify_with_their_own_timestamps() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let scheme = scheme(algorithm).into_builder().layout(Layout::field_groups(' ', ',', "v1"));
        let scheme = scheme.timestamp_field("t", TimestampFormat::Seconds).build().unwrap();
        let keys = Keyring::new(scheme.secret(private).unwrap());
        let earlier = hookwarden::Timestamp::from_unix(NOW.as_unix() - 60);
        let signer = Signer::new(scheme.clone(), keys.clone()).unwrap();
        let [old, new] = [earlier, NOW].map(|time| {
            let signed = signer.sign_body_at(b"{}", time).unwrap();
            signed.iter().next().map(|(_, value)| value.to_owned()).unwrap()
        });
        let verifier = Verifier::new(scheme, keys).unwrap();
        let verify = |value: String| verifier.verify_at(&[("X-Webhook-Signature", value)], b"{}", NOW);
        let both = verify(format!("{old} {new}")).unwrap();
        assert_eq!(both.replay_keys().len(), 2);
        for one in [&old, &new] {
            let alone = verify(one.clone()).unwrap();
            assert!(both.replay_keys().contains(&alone.replay_keys()[0]), "{algorithm:?}");
        }
        // A signature for the other group's timestamp is not valid.
        let [first, last] = [earlier, NOW].map(|time| time.as_unix().to_string());
        let (new_as_old, old_as_new) = (new.replace(&last, &first), old.replace(&first, &last));
        assert_eq!(verify(new_as_old.clone()).unwrap_err().reason(), Reason::Mismatch, "{algorithm:?}");
        let only_old = verify(format!("{old} {old_as_new}")).unwrap();
        let only_new = verify(format!("{new_as_old} {new}")).unwrap();
        let times = [only_old.timestamp(), only_new.timestamp()];
        assert_eq!(times, [Some(earlier), Some(NOW)], "{algorithm:?}");
    }
}
