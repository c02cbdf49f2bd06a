//! Key stores and the Warden with public keys.

use std::path::PathBuf;

use hookwarden::crypto::Algorithm;
use hookwarden::event::RefusalReason;
use hookwarden::keys::{AsyncKeyStore, CachedKeys, FileKeys, KeyStore, StaticKeys};
use hookwarden::testing::TestClock;
use hookwarden::warden::WardenBuilder;
use hookwarden::{BoxFuture, Keyring, Reason, Scheme, Warden};

use crate::{ALGORITHMS, NOW, public_half, scheme, signed_headers};

fn public(scheme: &Scheme, private: &str) -> Keyring {
    Keyring::new(public_half(&scheme.secret(private).unwrap()))
}

fn private(scheme: &Scheme, text: &str) -> Keyring {
    Keyring::new(scheme.secret(text).unwrap())
}

/// What the Warden says to a message that the private key signs.
fn verdict(warden: WardenBuilder, scheme: &Scheme, id: &str, text: &str) -> Result<(), RefusalReason> {
    let warden = warden.clock(TestClock::new(NOW)).build().unwrap();
    let headers = signed_headers(scheme, private(scheme, text), b"{}", NOW);
    let received = || {
        let mut receiving = warden.examine(&headers, None)?.identify(id)?;
        receiving.update(b"{}")?;
        receiving.finish().map(drop)
    };
    received().map_err(|refused| refused.reason())
}

#[test]
fn unknown_id_is_refused_like_a_wrong_key() {
    for (algorithm, [known, other]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let warden = || Warden::builder(scheme.clone()).sender("acme", public(&scheme, known));
        assert_eq!(verdict(warden(), &scheme, "acme", known), Ok(()), "{algorithm:?}");
        assert_eq!(verdict(warden(), &scheme, "acme", other), Err(Reason::Mismatch.into()), "{algorithm:?}");
        assert_eq!(verdict(warden(), &scheme, "globex", known), Err(RefusalReason::UnknownId), "{algorithm:?}");
    }
}

/// The decoy is the public key of RFC 8032, whose private key is public.
#[test]
fn signature_of_the_decoy_is_refused() {
    let [decoy, other] = crate::ED25519;
    let scheme = scheme(Algorithm::Ed25519);
    let warden = Warden::builder(scheme.clone()).sender("acme", public(&scheme, other));
    assert_eq!(verdict(warden, &scheme, "globex", decoy), Err(RefusalReason::UnknownId));
}

#[test]
fn public_key_under_two_ids_is_refused() {
    for (algorithm, [one, other]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let senders = |second: Keyring| [("a", public(&scheme, one)), ("b", second)];
        let problem = "senders: must not share a secret or public key, as \"a\" and \"b\" do";
        for second in [public(&scheme, one), private(&scheme, one)] {
            let error = StaticKeys::new(&scheme, senders(second)).unwrap_err();
            assert_eq!(error.to_string(), problem, "{algorithm:?}");
        }
        assert!(StaticKeys::new(&scheme, senders(public(&scheme, other))).is_ok(), "{algorithm:?}");
    }
}

struct Lookup(Scheme, &'static str);

impl AsyncKeyStore for Lookup {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, hookwarden::error::StoreError>> {
        Box::pin(async move { Ok((id == "acme").then(|| public(&self.0, self.1))) })
    }
}

#[tokio::test]
async fn cached_public_keys_verify() {
    for (algorithm, [known, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let keys = CachedKeys::new(&scheme, Lookup(scheme.clone(), known));
        let warden = Warden::builder(scheme.clone()).cached_keys(keys).clock(TestClock::new(NOW)).build().unwrap();
        let headers = signed_headers(&scheme, private(&scheme, known), b"{}", NOW);
        let mut receiving = warden.examine(&headers, None).unwrap().identify_async("acme").await.unwrap();
        receiving.update(b"{}").unwrap();
        assert!(receiving.finish_async().await.is_ok(), "{algorithm:?}");
    }
}

/// A file or directory for one test, removed on drop.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn toml_file_has_public_keys() {
    let place = Place::new("toml_file_has_public_keys");
    let scheme = scheme(Algorithm::Ed25519);
    let load = |key: &str| {
        let content = format!("[[sender]]\nid = \"acme\"\n[[sender.key]]\nid = \"2026\"\n{key}\n");
        FileKeys::open(&scheme, place.write("senders.toml", &content))
    };
    let pem = include_str!("keys/ed25519_public.pem");
    let (whpk, whsk) =
        ("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=");
    for key in [
        format!("public_key = \"{PUBLIC}\""),
        format!("public_key = \"\"\"{pem}\"\"\""),
        format!("public_key = \"{whpk}\""),
        format!("secret = \"{whsk}\""),
        format!("public_key = \"{PUBLIC}\"\nnot_after = 2030-01-01T00:00:00Z"),
    ] {
        let keys = load(&key).expect(&key);
        assert_eq!(format!("{:?}", keys.find("acme").unwrap()), "Some([KeyId(\"2026\")])", "{key}");
    }
    for (key, problem) in [
        (format!("public_key = \"{PUBLIC}\"\nsecret = \"{PUBLIC}\""), "must not be given with a secret"),
        ("public_key = \"0000\"".to_owned(), "must be an Ed25519 public key"),
        (format!("public_key = \"{whsk}\""), "must be the public key"),
        (format!("secret = \"{whpk}\""), "secret: must be a private key; give a public key as `public_key`"),
        (String::new(), "sender.key.public_key: must be given"),
    ] {
        let error = load(&key).expect_err(&key).to_string();
        assert!(error.contains(problem), "{key}: {error}");
    }
}

const PRIVATE_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"ZTHuwpIQKy4M7wCM2frf0QN1iOmelm2R7Yki9aqt28w"}"#;

/// A seed in hex can be the encoding of a public key too, so the field decides.
#[test]
fn secret_in_toml_is_the_private_key() {
    let place = Place::new("secret_in_toml_is_the_private_key");
    let scheme = scheme(Algorithm::Ed25519);
    let both = "0300000000000000000000000000000000000000000000000000000000000000";
    assert!(scheme.public_key(both).is_ok());
    for private in [both, crate::ED25519[0], PRIVATE_JWK] {
        let content = format!("[[sender]]\nid = \"acme\"\n[[sender.key]]\nid = \"2026\"\nsecret = '{private}'\n");
        let keys = FileKeys::open(&scheme, place.write("senders.toml", &content)).expect(private);
        let warden = Warden::builder(scheme.clone()).keys(keys);
        assert_eq!(verdict(warden, &scheme, "acme", private), Ok(()), "{private}");
    }
}

#[test]
fn mounted_private_jwk_is_read() {
    let place = Place::new("mounted_private_jwk_is_read");
    let scheme = scheme(Algorithm::Ed25519);
    place.write("acme", &format!("{PRIVATE_JWK}\n"));
    let keys = FileKeys::builder(&place.0).pattern("*").open(&scheme).unwrap();
    assert_eq!(verdict(Warden::builder(scheme.clone()).keys(keys), &scheme, "acme", PRIVATE_JWK), Ok(()));
}

#[test]
fn der_file_is_refused_with_the_remedy() {
    let place = Place::new("der_file_is_refused_with_the_remedy");
    let der = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0xff, 0xfe];
    std::fs::write(place.0.join("acme.der"), der).unwrap();
    let open = |scheme: &Scheme| {
        FileKeys::builder(&place.0).file("acme", "acme.der").open(scheme).expect_err("no key").to_string()
    };
    let error = open(&scheme(Algorithm::Ed25519));
    assert!(error.contains("public_key: must be text: PEM, or DER in base64"), "{error}");
    let error = open(&Scheme::timestamped());
    assert!(error.contains("secret: must be UTF-8"), "{error}");
}

#[test]
fn mounted_files_have_public_keys() {
    let place = Place::new("mounted_files_have_public_keys");
    let scheme = scheme(Algorithm::Ed25519);
    let pem = include_str!("keys/ed25519_public.pem");
    place.write("hex", &format!("{PUBLIC}\n"));
    place.write("pem", pem);
    place.write("crlf", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\r\n");
    // `danger_allow_shared_secrets` because every file has the same keys.
    let keys = FileKeys::builder(&place.0).danger_allow_shared_secrets().open(&scheme).unwrap();
    let ids = |id: &str| format!("{:?}", keys.find(id).unwrap());
    assert_eq!(ids("hex"), "Some([KeyId(\"line-1\")])");
    assert_eq!(ids("pem"), "Some([KeyId(\"line-1\")])");
    assert_eq!(ids("crlf"), "Some([KeyId(\"line-1\")])");

    place.write("both", &format!("{pem}{PUBLIC}\n{}", include_str!("keys/ed25519_public.pem").replace("Nz0i", "")));
    keys.reload().unwrap();
    // The third key is too short, which disables only this id.
    assert_eq!(ids("both"), "None");
    assert!(keys.faults().iter().any(|fault| fault.to_string().contains("both") && fault.to_string().contains(":5")));
    place.write("both", &format!("{pem}{PUBLIC}\n"));
    keys.reload().unwrap();
    assert_eq!(ids("both"), "Some([KeyId(\"line-1\"), KeyId(\"line-4\")])");
}
