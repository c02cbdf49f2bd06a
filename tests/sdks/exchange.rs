//! Messages between Hookwarden and an SDK: both sides must agree on each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwarden::encoding::Encoding;
use hookwarden::headers::RequestHead;
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::secret::KeyMaterial;
use hookwarden::{Key, Keyring, Reason, Scheme, Signer, Timestamp, Verifier};
use serde_json::{Value, json};

use crate::bodies::{Content, flipped, value};
use crate::script::{Answer, Limits, Script, Signatures};

/// The exchange with the SDK of one provider.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    script: &'a Script,
    provider: &'a str,
    limits: &'a Limits,
    scheme: Scheme,
    failures: Vec<String>,
}

/// A key, as texts that the SDK and the scheme read.
#[derive(Debug)]
struct KeyTexts {
    secret: String,
    public_key: Option<String>,
}

#[derive(Debug, Clone)]
struct Message {
    /// What the message is, for a failure.
    about: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    path: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Hookwarden,
    Sdk,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(script: &'a Script, provider: &'a str, limits: &'a Limits) -> Self {
        let scheme = Scheme::provider(provider).expect(provider);
        Self { script, provider, limits, scheme, failures: Vec::new() }
    }

    /// Exchanges all messages. Panics with a list of those on which a side was wrong.
    pub(crate) fn run(mut self) {
        let (key, other) = (self.key(), self.key());
        let senders = [Some(Sender::Hookwarden), self.limits.sign.then_some(Sender::Sdk)];
        for sender in senders.into_iter().flatten() {
            for content in Content::ALL {
                let Some(message) = self.message(sender, &key, content) else { continue };
                self.expect_both(None, &message, &key);
                self.expect_both(Some(Reason::Mismatch), &message.with_other_body(), &key);
                self.expect_both(Some(Reason::Mismatch), &message.with_other_signature(&self.scheme), &key);
                self.expect_both(Some(Reason::Mismatch), &message.about("wrong secret"), &other);
                if self.signs_path() {
                    let moved = Message { path: OTHER_PATH, ..message.about("other path") };
                    self.expect_both(Some(Reason::Mismatch), &moved, &key);
                }
            }
            self.rotate_receiver(sender, &key, &other);
        }
        self.rotate_sender(&key, &other);
        self.expect_freshness(&key);
        let failures = self.failures.join("\n");
        assert!(failures.is_empty(), "{} and {}:\n{failures}", self.provider, self.limits.package);
    }

    /// A receiver with both keys accepts a message of either.
    fn rotate_receiver(&mut self, sender: Sender, new: &KeyTexts, old: &KeyTexts) {
        for key in [new, old] {
            let message = self.message(sender, key, Content::Utf8).expect("a text");
            let keys = self.keyring(&[new, old], KeyTexts::verifying);
            let verified = self.verify(keys, &message);
            self.expect(verified == Ok(()), &message, &format!("Hookwarden with two keys: {verified:?}"));
        }
    }

    /// A message with the signatures of two keys is accepted with either, if the receiver reads several signatures.
    fn rotate_sender(&mut self, new: &KeyTexts, old: &KeyTexts) {
        let keys = self.keyring(&[new, old], KeyTexts::signing);
        let message = self.signed(keys, Content::Utf8, Timestamp::now()).expect("a text").about("two keys");
        let has_several = self.scheme.repeats_signature_headers()
            || self.scheme.signature_headers().len() > 1
            || !matches!(self.scheme.layout(), Layout::Plain { .. });
        let (with_new, with_old) = match self.limits.signatures {
            _ if !has_several => (true, false),
            Signatures::All => (true, true),
            Signatures::First => (true, false),
            Signatures::Last => (false, true),
            Signatures::One => (false, false),
        };
        for (key, ours, theirs) in [(new, true, with_new), (old, has_several, with_old)] {
            self.expect_ours((!ours).then_some(Reason::Mismatch), &message, key);
            self.expect_theirs(theirs, &message, key);
        }
    }

    /// A timestamp that is an hour off is refused by Hookwarden, and by the SDK if it compares it with the clock.
    fn expect_freshness(&mut self, key: &KeyTexts) {
        if !self.scheme.is_timestamped() {
            return;
        }
        let now = Timestamp::now().as_unix();
        for (seconds, reason, is_refused) in
            [(-3600, Reason::Stale, self.limits.tolerance), (3600, Reason::Early, self.limits.future)]
        {
            let keys = self.keyring(&[key], KeyTexts::signing);
            let message = self.signed(keys, Content::Utf8, Timestamp::from_unix(now + seconds)).expect("a text");
            let message = message.about(&format!("signed {seconds} s from now"));
            self.expect_ours(Some(reason), &message, key);
            self.expect_theirs(!is_refused, &message, key);
        }
    }

    /// Both sides accept a message, or refuse it for a reason.
    fn expect_both(&mut self, reason: Option<Reason>, message: &Message, key: &KeyTexts) {
        self.expect_ours(reason, message, key);
        self.expect_theirs(reason.is_none(), message, key);
    }

    fn expect_ours(&mut self, reason: Option<Reason>, message: &Message, key: &KeyTexts) {
        let verified = self.verify(self.keyring(&[key], KeyTexts::verifying), message);
        self.expect(verified == reason.map_or(Ok(()), Err), message, &format!("Hookwarden: {verified:?}"));
    }

    fn expect_theirs(&mut self, is_accepted: bool, message: &Message, key: &KeyTexts) {
        let mut request = self.request("verify", message.path, &message.body);
        request["secret"] = key.public_key.as_ref().unwrap_or(&key.secret).clone().into();
        request["headers"] = message.joined_headers();
        let answer = self.script.ask(&request);
        self.expect(answer.ok == Some(is_accepted), message, &format!("SDK: {:?} {}", answer.ok, answer.reason()));
    }

    fn expect(&mut self, is_right: bool, message: &Message, outcome: &str) {
        if !is_right {
            let (size, headers) = (message.body.len(), &message.headers);
            self.failures.push(format!("{}, {size} bytes: {outcome}; headers {headers:?}", message.about));
        }
    }

    /// Asks the script for a random key in the provider's form.
    fn key(&self) -> KeyTexts {
        let Answer { secret, public_key, .. } = self.script.ask(&json!({ "op": "secret", "provider": self.provider }));
        KeyTexts { secret, public_key }
    }

    fn keyring(&self, keys: &[&KeyTexts], material: fn(&KeyTexts, &Scheme) -> KeyMaterial) -> Keyring {
        let keys = keys.iter().zip(["new", "old"]);
        let keys = keys.map(|(key, id)| Key::new(id, material(key, &self.scheme)).expect("a key id"));
        Keyring::from_keys(keys).expect("different keys")
    }

    fn verify(&self, keys: Keyring, message: &Message) -> Result<(), Reason> {
        let verifier = Verifier::new(self.scheme.clone(), keys).expect("keys of the scheme");
        let head = RequestHead::new(METHOD, message.path, &message.headers);
        verifier.verify(&head, &message.body).map(drop).map_err(|rejection| rejection.reason())
    }

    fn message(&self, sender: Sender, key: &KeyTexts, content: Content) -> Option<Message> {
        if sender == Sender::Hookwarden {
            return self.signed(self.keyring(&[key], KeyTexts::signing), content, Timestamp::now());
        }
        let now = Timestamp::now();
        let body = content.body(self.limits, now)?;
        let mut request = self.request("sign", self.path(), &body);
        request["secret"] = key.secret.clone().into();
        request["now"] = now.as_unix().into();
        let answer = self.script.ask(&request);
        assert!(!answer.headers.is_empty(), "the SDK does not sign {content:?}: {}", answer.reason());
        let headers = answer.headers.into_iter().collect();
        Some(Message { about: format!("{content:?} by the SDK"), headers, body, path: self.path() })
    }

    fn signed(&self, keys: Keyring, content: Content, now: Timestamp) -> Option<Message> {
        // Only the signed timestamp may be wrong.
        let body = content.body(self.limits, Timestamp::now())?;
        let mut headers = self.own_headers(now);
        let signer = Signer::new(self.scheme.clone(), keys).expect("keys of the scheme");
        let signed = signer.sign_at(&RequestHead::new(METHOD, self.path(), &headers), &body, now);
        let signed = signed.expect("a message of the scheme");
        headers.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        Some(Message { about: format!("{content:?} by Hookwarden"), headers, body, path: self.path() })
    }

    /// Returns the headers that the scheme signs and a signer does not write.
    fn own_headers(&self, now: Timestamp) -> Vec<(String, String)> {
        let signed = self.scheme.signed().iter();
        let names =
            signed.filter_map(|part| if let SignedPart::Header(name) = part { Some(name.as_str()) } else { None });
        let text = |name: &str| match self.limits.headers.get(name).map(|template| value(template, now)) {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => format!("msg_{}", now.as_unix()),
        };
        names.map(|name| (name.to_owned(), text(name))).collect()
    }

    fn request(&self, operation: &str, path: &str, body: &[u8]) -> Value {
        let base = self.scheme.signed().iter().find_map(|part| match part {
            SignedPart::Url { base, .. } => Some(&**base),
            _ => None,
        });
        json!({
            "op": operation,
            "provider": self.provider,
            "method": METHOD,
            "url": format!("{}{path}", base.unwrap_or("https://hooks.example.com")),
            "body": STANDARD.encode(body),
        })
    }

    fn signs_path(&self) -> bool {
        self.scheme.signed().iter().any(|part| matches!(part, SignedPart::Path | SignedPart::Url { .. }))
    }

    fn path(&self) -> &'static str {
        if self.limits.query { "/webhooks/acme?x=1" } else { "/webhooks/acme" }
    }
}

impl KeyTexts {
    fn signing(&self, scheme: &Scheme) -> KeyMaterial {
        scheme.secret(&self.secret).expect("a secret in the provider's form").into()
    }

    fn verifying(&self, scheme: &Scheme) -> KeyMaterial {
        match &self.public_key {
            Some(text) => scheme.public_key(text).expect("a public key in the provider's form").into(),
            None => self.signing(scheme),
        }
    }
}

impl Message {
    fn about(&self, change: &str) -> Self {
        Self { about: format!("{}, {change}", self.about), ..self.clone() }
    }

    fn with_other_body(&self) -> Self {
        Self { body: flipped(&self.body), ..self.about("flipped body bit") }
    }

    /// Flips a bit of the signature.
    fn with_other_signature(&self, scheme: &Scheme) -> Self {
        let mut changed = self.about("flipped signature bit");
        let is_signature =
            |name: &str| scheme.signature_headers().iter().any(|own| own.as_str().eq_ignore_ascii_case(name));
        let (_, value) = changed.headers.iter_mut().find(|(name, _)| is_signature(name)).expect("a signature");
        let mut bytes = std::mem::take(value).into_bytes();
        // All layouts end with the signature. Its last letters may be padding.
        let position = bytes.len() - 8;
        let alphabet = match scheme.encoding() {
            Encoding::Hex => HEX,
            Encoding::Base64 => BASE64,
            _ => BASE64_URL,
        };
        let digit = alphabet.iter().position(|digit| *digit == bytes[position]);
        bytes[position] = alphabet[digit.expect("a digit of the encoding") ^ 1];
        *value = String::from_utf8(bytes).expect("ASCII");
        changed
    }

    /// Returns the headers with those of the same name joined, as servers pass them on.
    fn joined_headers(&self) -> Value {
        let mut joined = serde_json::Map::new();
        for (name, value) in &self.headers {
            let text = joined
                .get(name)
                .and_then(Value::as_str)
                .map_or_else(|| value.clone(), |first| format!("{first}, {value}"));
            joined.insert(name.clone(), text.into());
        }
        joined.into()
    }
}

const METHOD: &str = "POST";
const OTHER_PATH: &str = "/webhooks/other";
const HEX: &[u8] = b"0123456789abcdef";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
