//! The examples of RFC 9421 and RFC 9530 for requests and the algorithms that are supported.

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::headers::{NoHeaders, RequestHead};
use hookwarden::message_signatures::{
    Parameter, Problem, Profile, ProfileBuilder, SignatureParameters, StructuredType,
};
use hookwarden::{Keyring, Reason, Scheme, Secret, Timestamp, Verifier};

use crate::message::{Message, digest_builder};

/// RFC 9421 appendix B.2: `test-request`. Its body has 18 bytes.
const BODY: &[u8] = br#"{"hello": "world"}"#;
const CREATED: Timestamp = Timestamp::from_unix(1_618_884_473);

fn test_request() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        ("Content-Digest", CONTENT_DIGEST),
        ("Content-Length", "18"),
    ]
}

/// The digest in RFC 9421 appendix B.2.
const CONTENT_DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

/// RFC 9421 appendix B.1.5.
const SHARED_SECRET: &str = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
/// RFC 9421 appendix B.1.4: `x` and `d` of the JWK.
const ED25519: [&str; 2] =
    ["JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs", "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU"];
/// RFC 9421 appendix B.1.3.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA","y":"Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"}"#;
/// RFC 9421 appendix B.1.1.
const RSA: &str = r#"{"kty":"RSA","e":"AQAB","n":"hAKYdtoeoy8zcAcR874L8cnZxKzAGwd7v36APp7Pv6Q2jdsPBRrwWEBnez6d0UDKDwGbc6nxfEXAy5mbhgajzrw3MOEt8uA5txSKobBpKDeBLOsdJKFqMGmXCQvEG7YemcxDTRPxAleIAgYYRjTSd_QBwVW9OwNFhekro3RtlinV0a75jfZgkne_YiktSvLG34lw2zqXBDTC5NHROUqGTlML4PlNZS5Ri2U4aCNx2rUPRcKIlE0PuKxI4T-HIaFpv8-rdV6eUgOrB2xeI1dSFFn_nnv5OoZJEIB-VmuKn3DCUcCZSFlQPSXSfBDiUGhwOw76WuSSsf1D4b_vLoJ10w"}"#;

fn public(scheme: &Scheme, key: &str) -> Keyring {
    Keyring::new(scheme.public_key(key).unwrap())
}

fn secret(_: &Scheme) -> Keyring {
    let bytes = Encoding::Base64.decode(SHARED_SECRET.as_bytes()).unwrap();
    Keyring::new(Secret::from_bytes(bytes).unwrap())
}

/// A signed example of the RFC.
struct Example {
    origin: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static [u8],
    label: &'static str,
    input: &'static str,
    signature: &'static str,
    algorithm: Algorithm,
    keys: fn(&Scheme) -> Keyring,
    /// Whether the signature covers the body.
    covers_body: bool,
}

impl Example {
    fn profile(&self) -> ProfileBuilder {
        let profile = Profile::builder(self.origin)
            .danger_any_tag()
            .algorithms([self.algorithm])
            .label(self.label)
            .danger_unsigned_target();
        // Appendix B.4 has two lines of `Accept`.
        let profile = profile.structured_field("accept", StructuredType::List);
        if self.covers_body { profile.covers(["content-digest"]) } else { profile.danger_unsigned_body() }
    }

    fn verify(&self, profile: &Profile, change: impl FnOnce(&mut Vec<(&str, String)>)) -> Result<(), Reason> {
        let scheme = profile.scheme("rfc").unwrap();
        let keys = (self.keys)(&scheme);
        let mut headers: Vec<(&str, String)> =
            self.headers.iter().map(|(name, value)| (*name, (*value).into())).collect();
        headers.push(("Signature-Input", format!("{}={}", self.label, self.input)));
        headers.push(("Signature", format!("{}=:{}:", self.label, self.signature)));
        change(&mut headers);
        let verifier = Verifier::new(scheme, keys).unwrap();
        let now = Timestamp::from_unix(CREATED.as_unix() + 10);
        let head = RequestHead::new(self.method, self.path, &headers);
        verifier.verify_at(&head, self.body, now).map(drop).map_err(|rejection| rejection.reason())
    }

    #[track_caller]
    fn assert_verifies(&self) {
        let profile = self.profile().build().unwrap();
        assert_eq!(self.verify(&profile, |_| {}), Ok(()), "{}", self.label);
        // It is this signature that verified.
        let changed = self.verify(&profile, |headers| {
            let signature = &mut headers.last_mut().unwrap().1;
            let first = self.label.len() + 2;
            let other = if signature[first..].starts_with('A') { "B" } else { "A" };
            signature.replace_range(first..=first, other);
        });
        assert_eq!(changed, Err(Reason::Mismatch), "{}", self.label);
    }
}

fn b25() -> Example {
    Example {
        origin: "https://example.com",
        method: "POST",
        path: "/foo?param=Value&Pet=dog",
        headers: test_request(),
        body: BODY,
        label: "sig-b25",
        input: r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
        signature: "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
        algorithm: Algorithm::HmacSha256,
        keys: secret,
        covers_body: false,
    }
}

fn b26() -> Example {
    Example {
        label: "sig-b26",
        input: concat!(
            r#"("date" "@method" "@path" "@authority" "content-type" "content-length")"#,
            r#";created=1618884473;keyid="test-key-ed25519""#
        ),
        signature: "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        algorithm: Algorithm::Ed25519,
        keys: |scheme| public(scheme, ED25519[0]),
        ..b25()
    }
}

/// The request of appendix B.4. Its body is empty.
fn b4() -> Example {
    Example {
        origin: "https://example.org",
        method: "GET",
        path: "/demo?name1=Value1&Name2=value2",
        headers: vec![
            ("Host", "example.org"),
            ("Date", "Fri, 15 Jul 2022 14:24:55 GMT"),
            ("Accept", "application/json"),
            ("Accept", "*/*"),
        ],
        body: b"",
        label: "transform",
        input: r#"("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519""#,
        signature: "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==",
        algorithm: Algorithm::Ed25519,
        keys: |scheme| public(scheme, ED25519[0]),
        covers_body: false,
    }
}

/// RFC 9421 appendix B.1.2.
const RSA_PSS: &str = r#"{"kty":"RSA","alg":"PS512","e":"AQAB","n":"r4tmm3r20Wd_PbqvP1s2-QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct-Lh1GH45x28Rw3Ry53mm-oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL-Wokqltd11nqqzi-bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d-nb4bnNkQVklLQ3fVAvJm-xdDOp9LCNCN48V2pnDOkFV6-U9nV5oyc6XI2w"}"#;

fn rsa_pss(label: &'static str, input: &'static str, signature: &'static str) -> Example {
    let keys = |scheme: &Scheme| public(scheme, RSA_PSS);
    Example { label, input, signature, algorithm: Algorithm::RsaPssSha512, keys, ..b25() }
}

#[test]
fn b21_to_b23_rsa_pss_sha512_verify() {
    let minimal = rsa_pss(
        "sig-b21",
        r#"();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
        "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
    );
    minimal.assert_verifies();
    let selective = rsa_pss(
        "sig-b22",
        concat!(
            r#"("@authority" "content-digest" "@query-param";name="Pet")"#,
            r#";created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#
        ),
        "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
    );
    let full = rsa_pss(
        "sig-b23",
        concat!(
            r#"("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")"#,
            r#";created=1618884473;keyid="test-key-rsa-pss""#
        ),
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
    );
    for example in [selective, full] {
        let mut example = Example { covers_body: true, ..example };
        example.assert_verifies();
        let profile = example.profile().build().unwrap();
        example.body = br#"{"hello": "World"}"#;
        assert_eq!(example.verify(&profile, |_| {}), Err(Reason::Mismatch), "{}", example.label);
    }
}

#[test]
fn b25_hmac_sha256_verifies() {
    b25().assert_verifies();
}

#[test]
fn b26_ed25519_verifies() {
    b26().assert_verifies();
}

#[test]
fn b3_ecdsa_p256_with_client_cert_verifies() {
    let mut headers = test_request();
    headers.retain(|(name, _)| *name != "Content-Digest");
    headers[0].1 = "service.internal.example";
    headers.push(("Client-Cert", CLIENT_CERT));
    let example = Example {
        origin: "https://service.internal.example",
        headers,
        label: "ttrp",
        input: concat!(
            r#"("@path" "@query" "@method" "@authority" "client-cert")"#,
            r#";created=1618884473;keyid="test-key-ecc-p256""#
        ),
        signature: "xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==",
        algorithm: Algorithm::EcdsaP256,
        keys: |scheme| public(scheme, P256),
        ..b25()
    };
    example.assert_verifies();
}

/// The only example with `rsa-v1_5-sha256` and the only one of a supported algorithm whose signature covers the body:
/// section 4.3.
#[test]
fn rsa_proxy_signature_verifies_with_its_body() {
    let mut headers = test_request();
    headers[0].1 = "origin.host.internal.example";
    headers.push(("Forwarded", "for=192.0.2.123;host=example.com;proto=https"));
    let mut example = Example {
        origin: "https://origin.host.internal.example",
        headers,
        label: "proxy_sig",
        input: concat!(
            r#"("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded")"#,
            r#";created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540"#
        ),
        signature: "S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==",
        algorithm: Algorithm::RsaPkcs1,
        keys: |scheme| public(scheme, RSA),
        covers_body: true,
        ..b25()
    };
    example.assert_verifies();
    let profile = example.profile().requires([Parameter::Expires]).build().unwrap();
    assert_eq!(example.verify(&profile, |_| {}), Ok(()));
    example.body = br#"{"hello": "World"}"#;
    assert_eq!(example.verify(&profile, |_| {}), Err(Reason::Mismatch));
}

/// Appendix B.4: which transformations of a message keep its signature valid.
#[test]
fn b4_transformations_verify_as_the_rfc_says() {
    b4().assert_verifies();
    let profile = b4().profile().build().unwrap();
    let valid = |example: &Example, change: fn(&mut Vec<(&str, String)>)| {
        assert_eq!(example.verify(&profile, change), Ok(()));
    };
    let more = Example { path: "/demo?name1=Value1&Name2=value2&param=added", ..b4() };
    valid(&more, |headers| headers.push(("Accept-Language", "en-US,en;q=0.5".into())));
    valid(&b4(), |headers| {
        headers.remove(1);
        headers[0].0 = "host";
        headers.insert(1, ("Referer", "https://developer.example.org/demo".into()));
    });
    // The lines of `Accept` in one, with other whitespace; and other headers between them.
    valid(&b4(), |headers| {
        headers.remove(3);
        headers[2].1 = "  application/json, */*\t".into();
    });
    valid(&b4(), |headers| headers.insert(3, ("X-Between", "1".into())));

    let invalid = |example: &Example, change: fn(&mut Vec<(&str, String)>)| {
        assert_eq!(example.verify(&profile, change), Err(Reason::Mismatch));
    };
    invalid(&Example { method: "POST", ..b4() }, |_| {});
    invalid(&Example { path: "/demo/other?name1=Value1", ..b4() }, |_| {});
    invalid(&b4(), |headers| headers.swap(2, 3));
    let other = || Example { origin: "https://example.com", ..b4() }.profile();
    assert_eq!(b4().verify(&other().build().unwrap(), |_| {}), Err(Reason::OtherAuthority));
    assert_eq!(b4().verify(&other().danger_any_host().build().unwrap(), |_| {}), Err(Reason::Mismatch));
}

/// The signer reproduces the signatures of the algorithms that are deterministic.
#[test]
fn deterministic_signatures_are_reproduced() {
    let headers = test_request();
    let head = RequestHead::new("POST", "/foo?param=Value&Pet=dog", &headers);
    let cases = [
        (b25(), &["date", "@authority", "content-type"][..]),
        (b26(), &["date", "@method", "@path", "@authority", "content-type", "content-length"]),
    ];
    for (example, covered) in cases {
        let profile = example.profile().covers(covered).build().unwrap();
        let scheme = profile.scheme("rfc").unwrap();
        let keys = match example.algorithm {
            Algorithm::Ed25519 => Keyring::new(scheme.secret(ED25519[1]).unwrap()),
            _ => secret(&scheme),
        };
        let signer = profile.signer(keys).unwrap();
        let keyid = example.input.split('"').rev().nth(1).unwrap();
        let signed = signer.sign_at(&head, BODY, &SignatureParameters::new().keyid(keyid), CREATED).unwrap();
        let signed: Vec<(&str, &str)> = signed.iter().collect();
        let input = format!("{}={}", example.label, example.input);
        let signature = format!("{}=:{}:", example.label, example.signature);
        assert_eq!(signed, [("Signature-Input", input.as_str()), ("Signature", signature.as_str())]);
    }
}

/// RFC 9530 appendix B and section 2: digests of JSON with and without a line feed, of empty content, and of content that is
/// compressed with Brotli; one algorithm and both.
#[test]
fn digests_of_rfc_9530_verify() {
    let profile = digest_builder().build().unwrap();
    let bodies: [(&[u8], &str); 6] = [
        (b"{\"hello\": \"world\"}\n", "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"),
        (b"{\"hello\": \"world\"}", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
        (b"{\"hello\": \"world\"}", CONTENT_DIGEST),
        (b"", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
        (b"\x8b\x08\x80{\"hello\": \"world\"}\x03", "sha-256=:4REjxQ4yrqUVicfSKYNO/cF9zNj5ANbzgDZt3/h3Qxo=:"),
        (
            b"{\"hello\": \"world\"}",
            "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, \
             sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
    ];
    for (body, digest) in bodies {
        let line = format!("\"content-digest\": {digest}");
        let mut message = Message::signed_as(&[&line], r#"("content-digest");created=1800000000"#);
        message.set("Content-Digest", digest);
        message.body = body.into();
        message.assert_verifies(&profile);
        message.body.push(b' ');
        message.assert_problem(&profile, &Problem::OtherBody);
    }
    let signer = profile.signer(crate::message::keys()).unwrap();
    let signed = signer.sign_at(&NoHeaders, bodies[0].0, &SignatureParameters::new(), crate::message::NOW).unwrap();
    assert_eq!(signed.iter().next(), Some(("Content-Digest", bodies[0].1)));
}

#[test]
fn algorithms_with_another_hash_are_refused() {
    for algorithm in [Algorithm::HmacSha1, Algorithm::HmacSha512, Algorithm::EcdsaP256Der, Algorithm::RsaPss] {
        let error = digest_builder().algorithms([algorithm]).build().unwrap_err();
        assert_eq!(error.field(), "algorithms", "{algorithm:?}");
    }
}

/// The certificate in RFC 9421 appendix B.3.
const CLIENT_CERT: &str = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
