//! The crate's verdict on a request, compared with the simple reader.

use hookwarden::crypto::Algorithm;
use hookwarden::message_signatures::{Problem, Profile};
use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
use ring::digest::{SHA256, SHA512, digest};

use super::draft::Sent;
use super::keys::{OTHER, SENDER, name};
use super::profile::Settings;
use super::reader::{Signed, choose, combined, read, read_dictionary, read_sequences};
use super::structured::{Bare, Item, Member};
use super::sufficient::{is_sufficient, is_sufficient_with_body};
use crate::request::Request;
use crate::verdict;

/// A profile with its verifier.
#[derive(Debug)]
pub struct Receiver {
    /// The profile.
    pub profile: Profile,
    /// What the reader must know of it.
    pub settings: Settings,
    scheme: Scheme,
    verifier: Verifier,
}

impl Receiver {
    /// Creates a receiver with the keys of the sender.
    pub fn new(profile: Profile, settings: Settings) -> Self {
        let scheme = profile.scheme("fuzz").expect("a valid name");
        let verifier = verifier(&scheme, SENDER.public(settings.algorithms));
        Self { profile, settings, scheme, verifier }
    }

    /// Returns whether the request is accepted, and checks what must hold for each request: `sent` is the only one that
    /// was signed.
    ///
    /// # Panics
    /// It does not hold.
    pub fn accepts(&self, request: &Request, sent: &Sent, sizes: &[u8], now: i64) -> bool {
        let problem = self.explain(request, now);
        let at = Timestamp::from_unix(now);
        let verify = |verifier: &Verifier| request.with_head(|head| verifier.verify_at(head, &request.body, at));
        // Public keys are slow. The algorithm makes no difference to the ways to verify.
        let verdict = match self.scheme.algorithm().uses_public_keys() {
            true => verify(&self.verifier),
            false => verdict::verdict(&self.verifier, request, sizes, now),
        };
        let is_accepted = verdict.is_ok();
        let signed = read(&self.settings, request);
        match &problem {
            // All is right but perhaps the signature: the signature decides, over the base of the reader.
            None => {
                let signed = signed.as_ref().unwrap_or_else(|| panic!("the reader finds no signature in {request:?}"));
                let genuine = genuine(&self.settings, signed).map(name);
                let key = verdict.as_ref().ok().map(|verified| verified.key_id());
                assert_eq!(key.as_ref().map(|key| key.as_str()), genuine, "{request:?}: {signed:?}");
            }
            Some(problem) => assert!(!is_accepted, "{request:?} is accepted, but {problem}"),
        }
        if let Some(Problem::MalformedHeader(name)) = problem {
            self.assert_malformed(request, name);
        }
        self.assert_reason(request, problem.as_ref(), now);
        if is_accepted {
            let other = verifier(&self.scheme, OTHER.public(self.settings.algorithms));
            assert!(verify(&other).is_err(), "other keys accept {request:?}");
            let signed = signed.expect("it is accepted");
            self.assert_meets_profile(request, &signed, now);
            let of_sender = sent.signed.as_ref().expect("the sender signed nothing");
            assert_eq!(signed.base, of_sender.base, "{request:?}");
            if signed.covers("@method") {
                assert_eq!(method(request), method(&sent.request));
            }
            if signed.covers("@target-uri") {
                assert_eq!(self.target(request), self.target(&sent.request));
            }
            if signed.covers("@path") {
                let path = |request| self.target(request).map(|(path, _)| path);
                assert_eq!(path(request), path(&sent.request));
            }
            if signed.covers_header("content-digest") {
                assert_eq!(request.body, sent.request.body, "{request:?}");
                assert!(self.has_right_digests(request), "{request:?}");
            } else {
                assert!(request.body.is_empty() || self.settings.has_optional_body, "{request:?}");
            }
        }
        is_accepted
    }

    /// Returns what the profile says about the request.
    pub fn explain(&self, request: &Request, now: i64) -> Option<Problem> {
        request.with_head(|head| {
            let _ = self.profile.keyid(head);
            self.profile.explain_at(head, &request.body, Timestamp::from_unix(now))
        })
    }

    /// Asserts that an accepted request meets the profile.
    fn assert_meets_profile(&self, request: &Request, signed: &Signed, now: i64) {
        assert!(!self.expires_late(&signed.parameters, now), "{signed:?} of {request:?}");
        let candidate = (&signed.label, &signed.components[..], &signed.parameters);
        assert!(is_sufficient(&self.settings, request, candidate), "{signed:?} of {request:?}");
        assert!(request.body.is_empty() || is_sufficient_with_body(&self.settings, &signed.components), "{request:?}");
        assert!(self.permits_host(request), "{request:?}");
    }

    /// Asserts that a request lacks what the problem says.
    fn assert_reason(&self, request: &Request, problem: Option<&Problem>, now: i64) {
        let inputs = read_dictionary(request, "signature-input").unwrap_or_default();
        let chosen = choose(&self.settings, request, &inputs);
        match problem {
            Some(Problem::LongValidity)
                if chosen.is_some_and(|(_, _, parameters)| self.expires_late(parameters, now)) => {}
            Some(Problem::NoSuchSignature | Problem::AmbiguousSignature) => {
                assert_eq!(chosen, None, "{problem:?} of {request:?}");
            }
            Some(
                Problem::Component(_)
                | Problem::DuplicateComponent
                | Problem::Uncovered(_)
                | Problem::MissingParameter(_)
                | Problem::ForbiddenParameter(_)
                | Problem::MalformedParameter(_)
                | Problem::ShortNonce
                | Problem::LongValidity
                | Problem::WrongAlgorithm,
            ) => {
                let is_met = chosen.is_some_and(|chosen| {
                    let is_met_with_body = request.body.is_empty() || is_sufficient_with_body(&self.settings, chosen.1);
                    is_met_with_body && is_sufficient(&self.settings, request, chosen)
                });
                assert!(!is_met, "{problem:?} of {request:?}");
            }
            Some(Problem::OtherAuthority { .. }) => assert!(!self.permits_host(request), "{request:?}"),
            _ => {}
        }
    }

    fn permits_host(&self, request: &Request) -> bool {
        let host = request.single("host").and_then(|host| std::str::from_utf8(host).ok());
        host.is_some_and(|host| self.settings.permits_host(host.trim_matches([' ', '\t'])))
    }

    /// Whether a signature without `created` expires later than the maximum age permits.
    fn expires_late(&self, parameters: &[(String, Bare)], now: i64) -> bool {
        let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let late = now + self.settings.max_age;
        value("created").is_none() && matches!(value("expires"), Some(Bare::Integer(expires)) if *expires > late)
    }

    /// Whether each supported digest is that of the body, and there is one.
    fn has_right_digests(&self, request: &Request) -> bool {
        let digests = read_sequences(&self.settings, request, "content-digest").unwrap_or_default();
        let supported = digests.iter().filter_map(|(key, member)| {
            let algorithm = match key.as_str() {
                "sha-256" => &SHA256,
                "sha-512" => &SHA512,
                _ => return None,
            };
            let expected = Bare::Bytes(digest(algorithm, &request.body).as_ref().to_vec());
            Some(matches!(member, Member::Item((bytes, _)) if *bytes == expected))
        });
        let supported: Vec<bool> = supported.collect();
        !supported.is_empty() && supported.iter().all(|is_right| *is_right)
    }

    /// The path as it is signed, and the query.
    fn target(&self, request: &Request) -> Option<(String, Option<String>)> {
        let (_, target) = request.line.as_ref()?;
        let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
        Some((self.settings.path(path), query.map(str::to_owned)))
    }

    /// Asserts that the header is not a dictionary of the right kind, or that it is too large.
    fn assert_malformed(&self, request: &Request, name: &str) {
        let lines = request.values(name);
        let bytes: usize = lines.iter().map(|line| line.len()).sum();
        let read = read_sequences(&self.settings, request, name).filter(|_| lines.len() <= 32 && bytes <= 8_192);
        // The crate takes colons in a token or in a display string for a byte sequence, and can refuse the header.
        let Some(read) = read.filter(|read| !has_other_colons(read)) else { return };
        let is_sound = match name {
            "content-digest" => read.iter().all(|(key, member)| match (key.as_str(), member) {
                ("sha-256", Member::Item((Bare::Bytes(bytes), _))) => bytes.len() == 32,
                ("sha-512", Member::Item((Bare::Bytes(bytes), _))) => bytes.len() == 64,
                (key, _) => !["sha-256", "sha-512"].contains(&key),
            }),
            "signature-input" => read.iter().all(|(label, member)| {
                self.settings.label.is_some_and(|wanted| wanted != label)
                    || matches!(member, Member::InnerList(components, _) if components.len() <= 32)
            }),
            _ => true,
        };
        assert!(!is_sound, "{name} is refused, but is {:?}", combined(request, name));
    }
}

/// The algorithm with whose key the signature was made.
fn genuine(settings: &Settings, signed: &Signed) -> Option<Algorithm> {
    let alg = signed.parameters.iter().find(|(key, _)| key == "alg").map(|(_, value)| value);
    settings.algorithms.iter().copied().find(|algorithm| {
        alg.is_none_or(|alg| *alg == Bare::String(name(*algorithm).to_owned()))
            && SENDER.is_genuine(*algorithm, &signed.base, &signed.signature)
    })
}

fn verifier(scheme: &Scheme, keys: Keyring) -> Verifier {
    Verifier::new(scheme.clone(), keys).expect("a key for each algorithm")
}

/// Whether there is a token with a colon, or a display string.
fn has_other_colons(dictionary: &[(String, Member)]) -> bool {
    let is_other = |bare: &Bare| match bare {
        Bare::Token(token) => token.contains(':'),
        Bare::Display(_) => true,
        _ => false,
    };
    let has_other = |(bare, parameters): &Item| is_other(bare) || parameters.iter().any(|(_, value)| is_other(value));
    dictionary.iter().any(|(_, member)| match member {
        Member::Item(item) => has_other(item),
        Member::InnerList(items, parameters) => {
            items.iter().any(has_other) || parameters.iter().any(|(_, value)| is_other(value))
        }
    })
}

fn method(request: &Request) -> Option<&str> {
    request.line.as_ref().map(|(method, _)| method.as_str())
}
