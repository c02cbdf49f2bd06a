//! Published vectors, verified and signed again.

use hookwarden::crypto::Algorithm;
use hookwarden::{Keyring, Reason, Scheme, Signer, Timestamp, Verifier};

use crate::{ED25519, P256, bare, public_half, signature, verdict};

/// The private key signs the message as published, and the signature verifies with the public key.
#[track_caller]
fn assert_vector(algorithm: Algorithm, private: &str, public: &str, message: &[u8], expected: &str) {
    let scheme = bare(algorithm);
    let key = scheme.public_key(public).unwrap();
    assert_eq!(public_half(&scheme.secret(private).unwrap()), key);
    assert_eq!(const_hex::encode(signature(algorithm, private, message)), expected);
    assert_eq!(verdict(algorithm, key, message, &const_hex::decode(expected).unwrap()), Ok(()));
}

#[test]
fn ed25519_signatures_are_those_of_rfc_8032() {
    let sha_of_abc = const_hex::decode(
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e\
         2a9ac94fa54ca49f",
    )
    .unwrap();
    for (private, public, message, expected) in [
        (
            ED25519[0],
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &b""[..],
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24\
             655141438e7a100b",
        ),
        (
            ED25519[1],
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            b"\x72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee\
             b00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            b"\xaf\x82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d\
             c027beceea1ec40a",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            &sha_of_abc,
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17a\
             d9bef1177331a704",
        ),
    ] {
        assert_vector(Algorithm::Ed25519, private, public, message, expected);
    }
}

/// Signed with python3 cryptography 48, and the same with node crypto 20. No SDK signs or verifies `v1a`: not svix 2.9.1 and
/// standardwebhooks 1.1.0 of PyPI, nor their packages of npm. The specification publishes no message for `v1a`;
/// this is the one of its SDK for `v1`.
#[test]
fn standard_webhooks_v1a_message_verifies() {
    let scheme = Scheme::standard_webhooks_v1a();
    let (id, body) =
        (("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"), br#"{"email":"test@example.com","username":"test_user"}"#);
    let now = Timestamp::from_unix(1_649_367_553);
    let signature = "v1a,jfp5j4J3Buv9EPOcc9Bqo8rJqAO1H6lrRl0WZQdzVZI6IttNPT8HSLyPvUvY54dJJt2BQGA01di1ePvigCwlCw==";
    let head = [id, ("webhook-timestamp", "1649367553"), ("webhook-signature", signature)];

    let key = scheme.public_key("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
    Verifier::new(scheme.clone(), Keyring::new(key)).unwrap().verify_at(&head, body, now).unwrap();
    let key = scheme.secret("whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").unwrap();
    let signed = Signer::new(scheme, Keyring::new(key)).unwrap().sign_at(&[id], body, now).unwrap();
    assert!(signed.iter().any(|header| header == head[2]));
}

/// `R` is the neutral element. OpenSSL accepts the signature, which only the owner of the private key can make.
#[test]
fn ed25519_signature_with_small_order_r_is_refused() {
    let key = bare(Algorithm::Ed25519).public_key("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
    let signature = "01000000000000000000000000000000000000000000000000000000000000007a944bb6e074f92c34d2b4b27216f7e7ea7cb6554102\
                     c4186a4b51daad91c005";
    let verdict = verdict(Algorithm::Ed25519, key, b"{}", &const_hex::decode(signature).unwrap());
    assert_eq!(verdict, Err(Reason::Mismatch));
}

#[test]
fn ecdsa_signature_is_that_of_rfc_6979() {
    let public = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d\
                  7e9f5177a3c294d4462299";
    let expected = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb\
                    9aff4064dc4ab2f843acda8";
    assert_vector(Algorithm::EcdsaP256, P256[0], public, b"sample", expected);
}
