//! A signed request that a test changes.

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{Problem, Profile, ProfileBuilder, SignatureParameters};
use hookwarden::scheme::SignedPart;
use hookwarden::{Keyring, Reason, Scheme, Secret, Signer, Timestamp, Verifier};

pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
pub(crate) const ORIGIN: &str = "https://hooks.example.com";
pub(crate) const BODY: &[u8] = br#"{"event":"user.created"}"#;

pub(crate) fn keys() -> Keyring {
    Keyring::new(Secret::from_text("a-subscription-secret").unwrap())
}

/// The default profile, with HMAC.
pub(crate) fn webhooks(origin: &str) -> Profile {
    Profile::webhooks(origin).algorithms([Algorithm::HmacSha256]).build().unwrap()
}

/// A profile whose signatures need not cover the method and the URL.
pub(crate) fn builder() -> ProfileBuilder {
    Profile::builder(ORIGIN).algorithms([Algorithm::HmacSha256]).danger_unsigned_target()
}

/// A profile whose signatures must cover the digest of the body and nothing else.
pub(crate) fn digest_builder() -> ProfileBuilder {
    builder().covers(["content-digest"])
}

/// A request with its headers in order.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// The authority of the request target.
    pub(crate) authority: Option<&'static str>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn unsigned() -> Self {
        Self {
            method: "POST",
            path: "/webhooks/acme?id=7&kind=a".into(),
            authority: None,
            headers: vec![
                ("Host".into(), "hooks.example.com".into()),
                ("Content-Type".into(), "application/json".into()),
            ],
            body: BODY.into(),
        }
    }

    /// Signed by the signer with the default profile's parameters.
    pub(crate) fn signed(profile: &Profile) -> Self {
        Self::unsigned().sign(profile)
    }

    pub(crate) fn sign(mut self, profile: &Profile) -> Self {
        let parameters = SignatureParameters::new().keyid("2027-01").nonce("nonce-1");
        let signer = profile.signer(keys()).unwrap();
        let signed = signer.sign_at(&self.head(), &self.body, &parameters, NOW).unwrap();
        for (name, value) in signed.iter() {
            self.set(name, value);
        }
        self
    }

    /// Signs by hand: `input` is the value of `Signature-Input` after `sig=`, and `lines` are the lines of the signature
    /// base before the last one. So a test can sign what the signer does not.
    pub(crate) fn signed_as(lines: &[&str], input: &str) -> Self {
        let mut base: String = lines.iter().map(|line| format!("{line}\n")).collect();
        base.push_str(&format!("\"@signature-params\": {input}"));
        let mut message = Self::unsigned();
        message.set("Content-Digest", DIGEST);
        message.set("Signature-Input", &format!("sig={input}"));
        message.set("Signature", &format!("sig=:{}:", mac(&base)));
        message
    }

    pub(crate) fn head(&self) -> RequestHead<'_, Vec<(String, String)>> {
        let head = RequestHead::new(self.method, &self.path, &self.headers);
        match self.authority {
            Some(authority) => head.with_authority(authority),
            None => head,
        }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("no header {name}")).1
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    #[must_use]
    pub(crate) fn replacing(self, name: &str, from: &str, to: &str) -> Self {
        let value = self.get(name);
        assert!(value.contains(from), "{name}: {value} has no {from}");
        let value = value.replace(from, to);
        self.with(name, &value)
    }

    pub(crate) fn verify_at(&self, profile: &Profile, now: Timestamp) -> Result<(), Reason> {
        let scheme = profile.scheme("acme").unwrap();
        let verifier = Verifier::new(scheme, keys()).unwrap();
        let verified = verifier.verify_at(&self.head(), &self.body, now);
        verified.map(drop).map_err(|rejection| rejection.reason())
    }

    /// Asserts that the request verifies, and that it has no problem.
    #[track_caller]
    pub(crate) fn assert_verifies(&self, profile: &Profile) {
        self.assert_verifies_at(profile, NOW);
    }

    #[track_caller]
    pub(crate) fn assert_verifies_at(&self, profile: &Profile, now: Timestamp) {
        let problem = profile.explain_at(&self.head(), &self.body, now);
        assert_eq!((self.verify_at(profile, now), problem), (Ok(()), None), "{self:?}");
    }

    /// Asserts that the request is refused for its reason, and what the problem is called.
    #[track_caller]
    pub(crate) fn assert_problem(&self, profile: &Profile, problem: &Problem) {
        self.assert_problem_at(profile, problem, NOW);
    }

    #[track_caller]
    pub(crate) fn assert_problem_at(&self, profile: &Profile, problem: &Problem, now: Timestamp) {
        let explained = profile.explain_at(&self.head(), &self.body, now);
        let expected = (Err(problem.reason()), Some(problem.clone()));
        assert_eq!((self.verify_at(profile, now), explained), expected, "{self:?}");
    }

    /// Asserts that only the signature is wrong.
    #[track_caller]
    pub(crate) fn assert_mismatch(&self, profile: &Profile) {
        let problem = profile.explain_at(&self.head(), &self.body, NOW);
        assert_eq!((self.verify_at(profile, NOW), problem), (Err(Reason::Mismatch), None), "{self:?}");
    }
}

/// The base64 of the MAC of a signature base.
pub(crate) fn mac(base: &str) -> String {
    raw_signature(Algorithm::HmacSha256, keys(), base)
}

/// The base64 of the signature of a signature base.
pub(crate) fn raw_signature(algorithm: Algorithm, keys: Keyring, base: &str) -> String {
    let raw = Scheme::builder("raw").algorithm(algorithm).encoding(Encoding::Base64).signature_header("signature");
    let signer = Signer::new(raw.signed([SignedPart::Body]).build().unwrap(), keys).unwrap();
    let signed = signer.sign_body_at(base.as_bytes(), NOW).unwrap();
    signed.iter().next().unwrap().1.to_owned()
}

/// The SHA-256 of [`BODY`], computed with Python's `hashlib`.
pub(crate) const DIGEST: &str = "sha-256=:LO3d+FMKp2uTJ9HCqvAcuG8vzJm+fPTnMFZc7Drz2TU=:";
