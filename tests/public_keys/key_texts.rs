//! The texts of keys, as providers show them. The keys in `keys` were generated with openssl 3; their other forms were
//! made with python3 cryptography 48.

use hookwarden::crypto::Algorithm;

use crate::{ALGORITHMS, ED25519, P256, RSA, bare, public_half};

const RSA_JWK: &str = r#"{"kty":"RSA","use":"sig","key_ops":["verify"],"ext":true,"e":"AQAB","n":"r8u_Np-KNVcYLpfe7pLfmTod7hQ-ZKNf76Q9eVIEUU5k3UqvOJYjLd1E8tidUqJY1G46GlhpUgT8E7SG9H6qvZhYsxoVzRAv_9RFwSMvs4lYKX1v4-Zu1IObfvZNySCc0ST-IPVnz6YC3AnFaup9jRAxXb3T9evg2tLA5RklbN9evnD2CW0-DLzWR7AU6SVZU8fd6nqPlraZ33Zc9XMfSOeKP_QBJyIFfo8JFqZao37Yjxno6Z24y56-jlbgLVs9w0MYVraBW4buuGB6AMgHcDT5pQvKrJlnR1_oJyt4KF2_gTZpn7mav3sYaY9BvntZozQU7Fk7Ku904mFk5CsREQ"}"#;

#[track_caller]
fn assert_public_keys_equal(algorithm: Algorithm, texts: &[&str]) {
    let keys: Vec<_> = texts.iter().map(|text| bare(algorithm).public_key(text).expect(text)).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[track_caller]
fn assert_private_keys_equal(algorithm: Algorithm, texts: &[&str]) {
    let keys: Vec<_> = texts.iter().map(|text| public_half(&bare(algorithm).secret(text).expect(text))).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn every_text_of_an_ed25519_key_is_read() {
    assert_public_keys_equal(
        Algorithm::Ed25519,
        &[
            "373d223dab90cc8fd4617168da8c28084b8a3133575d65b764e6d22c823f07fc",
            "373D223DAB90CC8FD4617168DA8C28084B8A3133575D65B764E6D22C823F07FC",
            "Nz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w=",
            "Nz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w",
            "Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w=",
            "Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w",
            "whpk_Nz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w=",
            "MCowBQYDK2VwAyEANz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w=",
            include_str!("keys/ed25519_public.pem"),
            include_str!("keys/ed25519_public.pem").trim(),
            r#"{ "kty": "OKP", "crv": "Ed25519", "x": "Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w" }"#,
        ],
    );
    assert_private_keys_equal(
        Algorithm::Ed25519,
        &[
            "6531eec292102b2e0cef008cd9fadfd1037588e99e966d91ed8922f5aaaddbcc",
            "ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28w=",
            "whsk_ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28w=",
            // The private key and its public key, as Svix writes it.
            "whsk_ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28w3PSI9q5DMj9RhcWjajCgIS4oxM1ddZbdk5tIsgj8H/A==",
            include_str!("keys/ed25519.pem"),
            r#"{"kty":"OKP","crv":"Ed25519","d":"ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28w","x":"Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","d":"ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28w"}"#,
        ],
    );
}

#[test]
fn every_text_of_a_p256_key_is_read() {
    assert_public_keys_equal(
        Algorithm::EcdsaP256,
        &[
            "04a311d1359fecbb479be4a700f63b17fa3e2c7bb5c07784050e020a138ee862e499aa8446e0d9f6ad57f4009cc0779d6e629a08dee2752531c541ffec22d880b9",
            "03a311d1359fecbb479be4a700f63b17fa3e2c7bb5c07784050e020a138ee862e4",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoxHRNZ/su0eb5KcA9jsX+j4se7XAd4QFDgIKE47oYuSZqoRG4Nn2rVf0AJzAd51uYpoI3uJ1JTHFQf/sItiAuQ==",
            include_str!("keys/p256_public.pem"),
            // The same with a compressed point.
            "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADoxHRNZ/su0eb5KcA9jsX+j4se7XAd4QFDgIKE47oYuQ=",
            r#"{"kty":"EC","crv":"P-256","x":"oxHRNZ_su0eb5KcA9jsX-j4se7XAd4QFDgIKE47oYuQ","y":"maqERuDZ9q1X9ACcwHedbmKaCN7idSUxxUH_7CLYgLk"}"#,
        ],
    );
    assert_private_keys_equal(
        Algorithm::EcdsaP256,
        &[
            "7ff1a22160f20a2ab3dc36316f851e66219fe548b2b288d9302b74045b08749e",
            include_str!("keys/p256.pem"),
            include_str!("keys/p256_sec1.pem"),
            r#"{"kty":"EC","crv":"P-256","d":"f_GiIWDyCiqz3DYxb4UeZiGf5UiysojZMCt0BFsIdJ4"}"#,
            r#"{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","key_ops":["sign"],"d":"f_GiIWDyCiqz3DYxb4UeZiGf5UiysojZMCt0BFsIdJ4","x":"oxHRNZ_su0eb5KcA9jsX-j4se7XAd4QFDgIKE47oYuQ","y":"maqERuDZ9q1X9ACcwHedbmKaCN7idSUxxUH_7CLYgLk"}"#,
        ],
    );
}

#[test]
fn every_text_of_an_rsa_key_is_read() {
    let base64 = |pem: &str| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let (spki, pkcs1) = (include_str!("keys/rsa_a_public.pem"), include_str!("keys/rsa_a_public_pkcs1.pem"));
    assert_public_keys_equal(Algorithm::RsaPkcs1, &[spki, pkcs1, &base64(spki), &base64(pkcs1), RSA_JWK]);
    assert_private_keys_equal(Algorithm::RsaPkcs1, &[RSA[0], &base64(RSA[0])]);
}

/// The error names the field and the problem, and quotes no part of the text.
#[track_caller]
fn assert_refused(algorithm: Algorithm, text: &str, problem: &str) {
    let error = bare(algorithm).public_key(text).expect_err(text);
    assert_eq!(error.field(), "public_key");
    let shown = error.to_string();
    assert!(shown.contains(problem), "{algorithm:?} {text:?}: {shown}");
    let pieces = text.as_bytes().windows(10).filter(|piece| !piece.contains(&b' '));
    for piece in pieces.filter_map(|piece| std::str::from_utf8(piece).ok()) {
        assert!(!shown.contains(piece), "{shown} quotes {piece}");
    }
}

#[test]
fn unsuitable_text_of_any_public_key_is_refused() {
    for (algorithm, [private, other]) in ALGORITHMS {
        for (text, problem) in [
            ("", "must not be empty"),
            ("\n", "must not be empty"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "not an HMAC secret"),
            ("whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", "not the private key"),
            (include_str!("keys/certificate.pem"), "not a certificate"),
            (include_str!("keys/p384_public.pem"), "must be a"),
            ("a-subscription-secret", "must be a"),
            ("00", "must be a"),
            ("{", "must be a"),
            ("{}", "must be a"),
            ("-----BEGIN PUBLIC KEY-----", "must be a"),
            ("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", "must be a"),
        ] {
            assert_refused(algorithm, text, problem);
        }
        for pem in [private, other].into_iter().filter(|text| text.starts_with('-')) {
            assert_refused(algorithm, pem, "not the private key");
            let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            assert_refused(algorithm, &der, "not the private key");
        }
        for (kind, pem) in [
            ("Ed25519", include_str!("keys/ed25519_public.pem")),
            ("Ecdsa", include_str!("keys/p256_public.pem")),
            ("Rsa", include_str!("keys/rsa_a_public.pem")),
        ] {
            let is_own = format!("{algorithm:?}").starts_with(kind);
            assert_eq!(bare(algorithm).public_key(pem).is_ok(), is_own, "{algorithm:?}: {pem}");
        }
    }
}

#[test]
fn weak_or_noncanonical_ed25519_key_is_refused() {
    for text in [
        // All points of small order, with their non-canonical encodings (the list of libsodium).
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        // y = p + 3, a point of large order that is not canonical.
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Not on the curve.
        "0200000000000000000000000000000000000000000000000000000000000000",
        // Wrong lengths.
        &ED25519[0][2..],
        &format!("00{}", ED25519[0]),
    ] {
        assert_refused(Algorithm::Ed25519, text, "Ed25519 public key, canonical");
    }
    // y = 3 itself is a valid key.
    assert!(
        bare(Algorithm::Ed25519).public_key("0300000000000000000000000000000000000000000000000000000000000000").is_ok()
    );
}

#[test]
fn p256_point_off_the_curve_is_refused() {
    let good = "04a311d1359fecbb479be4a700f63b17fa3e2c7bb5c07784050e020a138ee862e499aa8446e0d9f6ad57f4009cc0779d6e629a08dee2752531c541ffec22d880b9";
    for text in [
        &format!("{}8", &good[..good.len() - 1]),
        &good[..good.len() - 2],
        &good[2..],
        // The point at infinity, and a compressed point without its tag.
        "00",
        "a311d1359fecbb479be4a700f63b17fa3e2c7bb5c07784050e020a138ee862e4",
        // A compact point, which does not say which `y` it has, raw and in SPKI; and hybrid points.
        "05a311d1359fecbb479be4a700f63b17fa3e2c7bb5c07784050e020a138ee862e4",
        "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgAFoxHRNZ/su0eb5KcA9jsX+j4se7XAd4QFDgIKE47oYuQ=",
        &format!("06{}", &good[2..]),
        &format!("07{}", &good[2..]),
    ] {
        assert_refused(Algorithm::EcdsaP256, text, "P-256 public key");
    }
    for private in ["00".repeat(32).as_str(), "ff".repeat(32).as_str(), &P256[0][2..]] {
        let error = bare(Algorithm::EcdsaP256).secret(private).unwrap_err();
        assert!(error.to_string().contains("P-256 private key"), "{error}");
    }
}

#[test]
fn rsa_key_of_another_size_is_refused() {
    for pem in [include_str!("keys/rsa_2040_public.pem"), include_str!("keys/rsa_4104_public.pem")] {
        assert_refused(Algorithm::RsaPkcs1, pem, "2048 to 4096 bits");
    }
}

#[test]
fn malformed_jwk_is_refused() {
    let x = "Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w";
    let with = |members: &str| format!(r#"{{"kty":"OKP","crv":"Ed25519",{members}}}"#);
    assert!(bare(Algorithm::Ed25519).public_key(&with(&format!(r#""x":"{x}""#))).is_ok());
    for members in [
        format!(r#""x":"{x}","x":"{x}""#),
        format!(r#""x":"{x}","kty":"OKP""#),
        format!(r#""x":"{x}=""#),
        format!(r#""x":"{x}",}}"#),
        format!(r#""x":"{x}"}} {{"#),
        format!(r#""x":["{x}"]"#),
        format!(r#""x":1,"n":"{x}""#),
        format!(r#""x":null,"n":"{x}""#),
        format!(r#""x":"{}\u0077""#, &x[..x.len() - 1]),
        format!(r#""x":"{x}","a":"\""#),
        format!(r#""x":"{x}","a":nul"#),
        format!(r#""x":"{x}","a":-"#),
        format!(r#""x":"{x}","a":1e"#),
        format!(r#""x":"{x}","a":[1]"#),
        format!("\"x\":\"{x}\",\"a\":\"\n\""),
        format!(r#""\u0078":"{x}""#),
        format!(r#""x":"{x}","a":{{}}"#),
        format!(r#""x":"{x}" "a":true"#),
    ] {
        assert_refused(Algorithm::Ed25519, &with(&members), "must be an Ed25519 public key");
    }
    assert_refused(Algorithm::Ed25519, &with(&format!(r#""x":"{x}","d":"{x}""#)), "not the private key");
    assert_refused(Algorithm::EcdsaP256, &with(&format!(r#""x":"{x}""#)), "must be a P-256 public key");
}

/// The answer of Plaid's `/webhook_verification_key/get`, from its documentation.
const PLAID: &str = r#"{
      "alg": "ES256",
      "created_at": 1560466150,
      "crv": "P-256",
      "expired_at": null,
      "kid": "bfbd5111-8e33-4643-8ced-b2e642a72f3c",
      "kty": "EC",
      "use": "sig",
      "x": "hKXLGIjWvCBv-cP5euCTxl8g9GLG9zHo_3pO5NN1DwQ",
      "y": "shhexqPB7YffGn6fR6h2UhTSuCtPmfzQJ6ENVIoO4Ys"
    }"#;

#[test]
fn unused_members_of_a_jwk_are_ignored() {
    bare(Algorithm::EcdsaP256).public_key(PLAID).expect("the JWK of Plaid");
    let x = "Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w";
    for member in [
        r#""created_at":1560466150"#,
        r#""a":-1.5e+10"#,
        r#""a":null"#,
        r#""a":true"#,
        r#""x5u":"https:\/\/example.com\/\"quoted\"\\""#,
        r#""x5c":["MIIB\/w==","\u0041"]"#,
        r#""a":[]"#,
    ] {
        for jwk in [
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}",{member}}}"#),
            format!(r#"{{{member}, "kty":"OKP","crv":"Ed25519","x":"{x}"}}"#),
        ] {
            assert!(bare(Algorithm::Ed25519).public_key(&jwk).is_ok(), "{jwk}");
        }
    }
}

#[test]
fn jwk_set_is_refused_as_one() {
    for set in [format!(r#"{{"keys":[{PLAID}]}}"#), format!(r#"{{"a":1,"keys":[{PLAID},{PLAID}],"b":2}}"#)] {
        let error = bare(Algorithm::EcdsaP256).public_key(&set).unwrap_err().to_string();
        assert!(error.contains("public_key: must be one key, not a JWK Set"), "{error}");
        let error = bare(Algorithm::EcdsaP256).secret(&set).unwrap_err().to_string();
        assert!(error.contains("secret: must be one key, not a JWK Set"), "{error}");
    }
}

#[test]
fn jwk_for_another_use_is_refused() {
    let ed25519 = r#""kty":"OKP","crv":"Ed25519","x":"Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w""#;
    let p256 = r#""kty":"EC","crv":"P-256","x":"oxHRNZ_su0eb5KcA9jsX-j4se7XAd4QFDgIKE47oYuQ","y":"maqERuDZ9q1X9ACcwHedbmKaCN7idSUxxUH_7CLYgLk""#;
    let rsa = RSA_JWK.replace(r#""use":"sig","key_ops":["verify"],"#, "").replace(['{', '}'], "");
    let algorithms: [(Algorithm, &str, &[&str]); 6] = [
        (Algorithm::Ed25519, ed25519, &["EdDSA", "Ed25519"]),
        (Algorithm::EcdsaP256, p256, &["ES256"]),
        (Algorithm::EcdsaP256Der, p256, &["ES256"]),
        (Algorithm::RsaPkcs1, &rsa, &["RS256"]),
        (Algorithm::RsaPss, &rsa, &["PS256"]),
        (Algorithm::RsaPssSha512, &rsa, &["PS512"]),
    ];
    let problem = "must be a key for the scheme's algorithm";
    for (algorithm, key, names) in algorithms {
        let with = |member: &str| format!("{{{key},{member}}}");
        let good = [r#""use":"sig""#, r#""key_ops":["verify"]"#, r#""key_ops":["sign","verify"]"#, r#""kid":"enc""#];
        for member in good {
            assert!(bare(algorithm).public_key(&with(member)).is_ok(), "{algorithm:?}: {member}");
        }
        for member in [
            r#""use":"enc""#,
            r#""use":"""#,
            r#""use":["sig"]"#,
            r#""use":null"#,
            r#""key_ops":["sign"]"#,
            r#""key_ops":[]"#,
            r#""key_ops":"verify""#,
            r#""key_ops":["encrypt","wrapKey"]"#,
            r#""alg":null"#,
        ] {
            let error = bare(algorithm).public_key(&with(member)).expect_err(member).to_string();
            assert!(error.contains(problem), "{algorithm:?}: {member}: {error}");
        }
        for name in
            ["EdDSA", "Ed25519", "ES256", "RS256", "PS256", "PS384", "PS512", "ES384", "RSA-OAEP", "HS256", "none", ""]
        {
            let read = bare(algorithm).public_key(&with(&format!(r#""alg":"{name}""#)));
            assert_eq!(read.is_ok(), names.contains(&name), "{algorithm:?}: {name}");
            assert!(read.is_ok() || read.unwrap_err().to_string().contains(problem), "{algorithm:?}: {name}");
        }
    }
}

#[test]
fn private_jwk_that_contradicts_itself_is_refused() {
    let ed25519 = r#""kty":"OKP","crv":"Ed25519","d":"ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28w""#;
    let p256 = r#""kty":"EC","crv":"P-256","d":"f_GiIWDyCiqz3DYxb4UeZiGf5UiysojZMCt0BFsIdJ4""#;
    let (x, y) = ("oxHRNZ_su0eb5KcA9jsX-j4se7XAd4QFDgIKE47oYuQ", "maqERuDZ9q1X9ACcwHedbmKaCN7idSUxxUH_7CLYgLk");
    let foreign = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let (other_use, other_key) = ("must be a key for the scheme's algorithm", "must have the public key of `d`");
    for (algorithm, key, member, problem) in [
        (Algorithm::Ed25519, ed25519, format!(r#""x":"{foreign}""#), other_key),
        (Algorithm::Ed25519, ed25519, r#""x":"any""#.to_owned(), other_key),
        (Algorithm::Ed25519, ed25519, r#""x":null"#.to_owned(), other_key),
        (Algorithm::EcdsaP256, p256, format!(r#""x":"{x}","y":"{foreign}""#), other_key),
        (Algorithm::EcdsaP256, p256, format!(r#""x":"{foreign}","y":"{y}""#), other_key),
        (Algorithm::EcdsaP256, p256, format!(r#""x":"{y}","y":"{x}""#), other_key),
        (Algorithm::Ed25519, ed25519, r#""key_ops":["verify"]"#.to_owned(), other_use),
        (Algorithm::Ed25519, ed25519, r#""use":"enc""#.to_owned(), other_use),
        (Algorithm::EcdsaP256, p256, r#""alg":"ECDH-ES""#.to_owned(), other_use),
    ] {
        let text = format!("{{{key},{member}}}");
        let error = bare(algorithm).secret(&text).expect_err(&text).to_string();
        assert!(error.contains(problem), "{text}: {error}");
        assert!(!error.contains("ZTHu") && !error.contains("f_Gi") && !error.contains(foreign), "{error}");
    }
}

#[test]
fn public_key_read_as_private_is_refused() {
    for (algorithm, text) in [
        (Algorithm::Ed25519, include_str!("keys/ed25519_public.pem")),
        (Algorithm::Ed25519, "whpk_Nz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w="),
        (Algorithm::Ed25519, "MCowBQYDK2VwAyEANz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w="),
        (Algorithm::EcdsaP256, include_str!("keys/p256_public.pem")),
        (Algorithm::EcdsaP256, "03a311d1359fecbb479be4a700f63b17fa3e2c7bb5c07784050e020a138ee862e4"),
        (Algorithm::RsaPkcs1, include_str!("keys/rsa_a_public.pem")),
        (Algorithm::RsaPkcs1, RSA_JWK),
    ] {
        let error = bare(algorithm).secret(text).unwrap_err();
        assert!(
            error.to_string().contains("must be a private key; give a public key as"),
            "{algorithm:?} {text}: {error}"
        );
    }
    // The public key that follows the private one must be its own.
    let foreign = "whsk_ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28zXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
    assert!(bare(Algorithm::Ed25519).secret(foreign).unwrap_err().to_string().contains("Ed25519 private key"));
}
