//! `hookwarden rotate`: keys files of schemes with public keys.

use hookwarden::event::RefusalReason;
use hookwarden::keys::FileKeys;
use hookwarden::testing::TestClock;
use hookwarden::{Keyring, Reason, Scheme, Signer, Timestamp, Warden};

use super::public_keys::{KEYS, OTHERS, SCHEME};
use super::scratch::{CommandOutput, Scratch, mode};

const ROTATE: [&str; 6] = ["rotate", "keys.toml", "--id", "acme", "--scheme", "scheme.toml"];

const START: i64 = 1_900_000_000;
const START_TEXT: &str = "2030-03-17T17:46:40Z";
const OVERLAP: i64 = 24 * 60 * 60;

/// A directory with a scheme, and a keys file whose sender has the public key of a private key.
struct Site {
    scratch: Scratch,
    scheme: Scheme,
    file: String,
}

impl Site {
    fn new(algorithm: &str, private: &str) -> Self {
        let scratch = Scratch::new();
        let document = SCHEME.replace("ALGORITHM", algorithm);
        scratch.write("scheme.toml", &document);
        let scheme = toml::from_str(&document).unwrap();
        let site = Self { scratch, scheme, file: String::new() };
        let old = site.public(private);
        let file = format!(
            "# Senders.\n[[sender]]\nid = \"acme\"\n\n[[sender.key]]\nid = \"old\" # shown\npublic_key = \"{old}\"\n"
        );
        site.scratch.write("keys.toml", &file);
        Self { file, ..site }
    }

    /// The public key of a private key, as the command prints it.
    fn public(&self, private: &str) -> String {
        let arguments = ["secret", "public", "--scheme", "scheme.toml"];
        self.scratch.run_with_secret(private, arguments).assert_code(0).stdout.trim().to_owned()
    }

    /// Rotates with a key on standard input.
    fn rotate(&self, key: &str, extra: &[&str]) -> CommandOutput {
        let arguments = [&ROTATE[..], &["--secret-file", "-"], extra].concat();
        self.scratch.run_with_input(arguments, key)
    }

    /// Verifies a message that `private` signs, with the keys of the file.
    fn verdict(&self, private: &str, now: i64) -> Result<(), RefusalReason> {
        let now = Timestamp::from_unix(now);
        let signer = Signer::new(self.scheme.clone(), Keyring::new(self.scheme.secret(private).unwrap())).unwrap();
        let signed = signer.sign_body_at(b"{}", now).unwrap();
        let headers: Vec<_> = signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let keys = FileKeys::open(&self.scheme, self.scratch.path("keys.toml")).unwrap();
        let warden = Warden::builder(self.scheme.clone()).keys(keys).clock(TestClock::new(now)).build().unwrap();
        let received = || {
            let mut receiving = warden.examine(&headers, None)?.identify("acme")?;
            receiving.update(b"{}")?;
            receiving.finish().map(drop)
        };
        received().map_err(|refused| refused.reason())
    }
}

#[test]
fn old_public_key_verifies_until_the_overlap_ends() {
    for ((algorithm, old), new) in KEYS.into_iter().zip(OTHERS) {
        let site = Site::new(algorithm, old);
        let public = site.public(new);
        let ran =
            site.rotate(&format!("{public}\n"), &["--start", START_TEXT, "--key-id", "new", "--json"]).assert_code(0);
        let report = ran.json();
        assert_eq!((&report["public_key"], &report["secret"]), (&public.as_str().into(), &().into()), "{algorithm}");
        let after = site.scratch.read("keys.toml");
        assert!(after.contains(&format!("public_key = \"{public}\"")) && !after.contains("secret"), "{after}");
        assert!(after.contains("# Senders.") && after.contains("# shown"), "{after}");
        for (private, now, verdict) in [
            (old, START - 1, Ok(())),
            (new, START - 1, Err(Reason::Mismatch.into())),
            (old, START, Ok(())),
            (new, START, Ok(())),
            (old, START + OVERLAP, Ok(())),
            (old, START + OVERLAP + 1, Err(Reason::Mismatch.into())),
            (new, START + OVERLAP + 1, Ok(())),
        ] {
            assert_eq!(site.verdict(private, now), verdict, "{algorithm}, {now}");
        }
    }
}

#[test]
fn public_key_in_pem_is_accepted() {
    let pem = include_str!("../../../tests/public_keys/keys/rsa_a_public.pem");
    for text in [pem.to_owned(), pem.replace('\n', "\r\n")] {
        let site = Site::new("rsa-pss-sha256", KEYS[4].1);
        let file = site.file.replace("[[sender.key]]\nid = \"old\" # shown\n", "key = [{ id = \"old\", ");
        let file = format!("{} }}]\n", file.trim_end());
        for content in [&site.file, &file] {
            site.scratch.write("keys.toml", content);
            let ran = site.rotate(&text, &["--start", START_TEXT]).assert_code(0);
            assert!(ran.stdout.is_empty() && !ran.stderr.contains("the new"), "{ran:?}");
            assert_eq!(site.verdict(KEYS[3].1, START), Ok(()), "{}", site.scratch.read("keys.toml"));
            assert_eq!(site.verdict(KEYS[4].1, START), Ok(()));
        }
    }
}

#[test]
fn private_key_is_never_written_as_public() {
    for ((algorithm, old), new) in KEYS.into_iter().zip(OTHERS) {
        let site = Site::new(algorithm, old);
        let der: String = old.lines().filter(|line| !line.starts_with('-')).collect();
        let mut given = vec![old, &der];
        // The bytes of an Ed25519 private key alone do not show what they are.
        given.extend((algorithm != "ed25519").then_some(new));
        for text in given {
            for extra in [&[][..], &["--dry-run"]] {
                let ran = site.rotate(text, extra);
                let shown = text.lines().nth(1).unwrap_or(text);
                assert!(!ran.stderr.contains(shown), "{ran:?}");
                ran.assert_refused("must be a public key, but is a private key");
                assert_eq!(site.scratch.read("keys.toml"), site.file, "{algorithm}");
            }
        }
    }
    let site = Site::new("ed25519", OTHERS[0]);
    site.rotate("whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", &[]).assert_refused("is a private key");
    assert_eq!(site.scratch.read("keys.toml"), site.file);
}

#[test]
fn raw_private_key_of_known_key_is_refused() {
    // As bytes of a public key, this private key is valid too.
    let private = ambiguous_private_key();
    let site = Site::new("ed25519", &private);
    site.rotate(&private, &[]).assert_refused("must be a public key, but is the private key of key old of sender acme");
    assert_eq!(site.scratch.read("keys.toml"), site.file);
}

/// A private key of Ed25519 in hex, whose bytes are also a public key.
fn ambiguous_private_key() -> String {
    let scheme = Scheme::standard_webhooks_v1a();
    let keys = (0_u8..).map(|byte| format!("{byte:02x}").repeat(32));
    keys.into_iter().find(|text| scheme.public_key(text).is_ok()).unwrap()
}

#[test]
fn unsuitable_options_and_keys_change_nothing() {
    let site = Site::new("ed25519", KEYS[0].1);
    let whpk = format!("whpk_{}", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    site.scratch.run(ROTATE).assert_refused("--secret-file: must be set, because acme has public keys");
    let kind = ["--kind", "whsk"];
    site.scratch.run(ROTATE.iter().chain(&kind)).assert_refused("--secret-file: must be set, because acme has public");
    site.rotate(&whpk, &["--show-secret"]).assert_refused("must not be set with a public key");
    site.rotate(&whpk, &["--secret-output", "new"]).assert_refused("must not be set with a public key");
    let p256 = include_str!("../../../tests/public_keys/keys/p256_public.pem");
    site.rotate(p256, &[]).assert_refused("must be an Ed25519 public key");
    site.rotate("", &[]).assert_refused("must not be empty");
    site.rotate(&site.public(KEYS[0].1), &[]).assert_refused("public key, which is already key old of sender acme");
    let old = include_str!("../../../tests/public_keys/keys/ed25519_public.pem");
    site.rotate(old, &[]).assert_refused("have the same secret or public key");
    assert!(!site.scratch.path("new").exists());
    assert_eq!(site.scratch.read("keys.toml"), site.file);
    assert_eq!(mode(&site.scratch.path("keys.toml")), 0o600);
}

#[test]
fn fifth_public_key_is_refused_until_prune() {
    let site = Site::new("ed25519", KEYS[0].1);
    let expired = "not_after = 2020-01-01T00:00:00Z\n";
    site.scratch.write("keys.toml", format!("{}{expired}", site.file));
    let public = |n: u8| site.public(&format!("{n:02x}").repeat(32));
    for n in 1..=3 {
        site.rotate(&public(n), &[]).assert_code(0);
    }
    site.rotate(&public(4), &[])
        .assert_refused("already has the maximum of 4 keys; old expired; add --prune to remove them");
    site.rotate(&public(4), &["--prune"]).assert_code(0);
    assert!(!site.scratch.read("keys.toml").contains("\"old\""));
}

#[test]
fn shared_public_key_is_rotated_for_both_ids() {
    let site = Site::new("ed25519", KEYS[0].1);
    let (_, entry) = site.file.split_once('\n').unwrap();
    let (new, both) = (site.public(OTHERS[0]), format!("{entry}{}", entry.replace("acme", "globex")));
    site.scratch.write("keys.toml", &both);
    site.rotate(&new, &[]).assert_code(0);
    site.rotate(&new, &["--id", "globex"]).assert_code(2);
    let globex = ["rotate", "keys.toml", "--id", "globex", "--scheme", "scheme.toml", "--secret-file", "-"];
    site.scratch.run_with_input(globex, &new).assert_code(0);
    assert_eq!(site.scratch.read("keys.toml").matches(&new).count(), 2);
    // A file without shared keys gets none.
    let separate = format!("{entry}{}", entry.replace("acme", "globex").replace(&site.public(KEYS[0].1), &new));
    site.scratch.write("keys.toml", &separate);
    site.rotate(&new, &[]).assert_refused("must not share a secret or public key, as \"acme\" and \"globex\" do");
    assert_eq!(site.scratch.read("keys.toml"), separate);
}

#[test]
fn private_keys_of_sender_are_generated() {
    let scratch = Scratch::new();
    let private = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    scratch.write("keys.toml", format!("[[sender]]\nid = \"a\"\n[[sender.key]]\nid = \"k\"\nsecret = \"{private}\"\n"));
    let scheme = ["--scheme", "standard_webhooks_v1a"];
    let rotate = ["rotate", "keys.toml", "--id", "a", "--show-secret", "--json"];
    let report = scratch.run(rotate.iter().chain(&scheme)).assert_code(0).json();
    let (secret, public) = (report["secret"].as_str().unwrap(), report["public_key"].as_str().unwrap());
    assert!(secret.starts_with("whsk_") && scratch.read("keys.toml").contains(secret), "{secret}");
    let shown = scratch.run_with_secret(secret, ["secret", "public"].iter().chain(&scheme)).assert_code(0).stdout;
    assert_eq!(shown.trim(), public);
    let ran = scratch.run(["rotate", "keys.toml", "--id", "a"].iter().chain(&scheme)).assert_code(0);
    assert!(ran.stderr.contains("the receivers need the new public key: whpk_"), "{ran:?}");
    let given = ["rotate", "keys.toml", "--id", "a", "--secret-env", "HOOKWARDEN_SECRET"];
    scratch.run_with_secret(public, given.iter().chain(&scheme)).assert_refused("secret: must be a private key");
}
